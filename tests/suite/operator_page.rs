//! The operator's page in a real browser: Debian's Chromium against the built handler. What a person does there is written in
//! `dev/browser/scenarios.mjs`; here is what they find.

use std::fs;
use std::path::Path;

use recording_vault::control::entry::RegisteredRecording;
use recording_vault::control::files::Files;
use recording_vault::store::digest::Sha256Digest;
use recording_vault::store::index::{Listed, recording_name};
use serde_json::{Value, json};

use crate::support::audit::audit_records;
use crate::support::eventually;
use crate::support::two_places::two_places;
use crate::support::world::{World, document_ids};

const MANY: usize = 10_000;

/// Runs a scenario of `dev/browser` with the page of this world.
async fn in_browser(scenario: &str, world: &World, mut facts: Value) {
    #[expect(clippy::disallowed_methods, reason = "how xtask tells the tests")]
    let chromium = std::env::var("TEST_CHROMIUM")
        .expect("TEST_CHROMIUM is not set: run the tests by `cargo xtask test`");
    if facts["page"].is_null() {
        facts["page"] = format!("{}/api/vault/", world.host.url()).into();
    }
    let mut command = tokio::process::Command::new("node");
    command
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/dev/browser/run.mjs"))
        .args([scenario, &facts.to_string()])
        .env("TEST_CHROMIUM", chromium)
        .kill_on_drop(true);
    let output = command.output().await.expect("Node.js runs");
    assert!(
        output.status.success(),
        "{}\n{}",
        String::from_utf8_lossy(&output.stderr),
        world.console()
    );
}

/// A call that is recorded through our API and exported, in two chunks of unmixed audio with a pause; gives its id.
async fn recorded_call(world: &World) -> String {
    let url = world.host.event_grid_url("RecordingFileStatusUpdated");
    world
        .admin("POST", "event-subscriptions", json!({"url": url}))
        .await;
    let call = world
        .admin(
            "POST",
            "calls",
            json!({"chunks": [{"durationMs": 9000}, {"durationMs": 5000}]}),
        )
        .await;
    let start = json!({"serverCallId": call["serverCallId"], "recordingContentType": "audio", "recordingChannelType": "unmixed",
        "recordingFormatType": "wav"});
    let (_, started) = world.api("POST", "/recordings", Some(start)).await;
    let id = started["recordingId"]
        .as_str()
        .expect("a start gives an id")
        .to_owned();
    for action in ["pause", "resume", "stop"] {
        world
            .api("POST", &format!("/recordings/{id}/{action}"), None)
            .await;
    }
    until_verified(world, &id).await;
    id
}

/// A stopped recording whose event has come.
async fn made_recording(world: &World, wanted: Value) -> String {
    let event = world.recording(wanted).await;
    world.event(&event).await;
    let id = recording_id(&event);
    until_verified(world, &id).await;
    id
}

fn recording_id(event: &Value) -> String {
    let subject = event["subject"].as_str().expect("an event has a subject");
    subject
        .rsplit('/')
        .next()
        .expect("a subject ends with the recording")
        .to_owned()
}

async fn until_verified(world: &World, id: &str) -> Value {
    eventually("the recording is in the vault", async || {
        let (status, recording) = world
            .api("GET", &format!("/vault/recordings/{id}"), None)
            .await;
        let is_deleted = |chunk: &Value| chunk["state"] == "sourceDeleted";
        let chunks = recording["chunkList"]
            .as_array()
            .filter(|chunks| status == 200 && !chunks.is_empty())?;
        chunks.iter().all(is_deleted).then(|| recording.clone())
    })
    .await
}

fn facts_of(recording: &Value) -> Value {
    json!({"recordingId": recording["recordingId"], "callId": recording["callId"]})
}

#[tokio::test]
async fn the_overview_has_the_verdict_a_tile_per_standing_and_the_days_and_keeps_its_place() {
    let world = World::new().await;
    made_recording(&world, json!({"format": "mp3"})).await;
    recorded_call(&world).await;
    // Without a complete check no day is complete.
    world.sweep().await;
    in_browser("overview", &world, json!({"verified": 3})).await;
}

#[tokio::test]
async fn a_call_is_found_by_filters_and_with_a_few_keys_by_its_id() {
    let world = World::new().await;
    for participant in ["8:acs:one", "8:acs:two"] {
        let call = json!({"participants": [participant], "chunks": [{"durationMs": 2000}]});
        made_recording(&world, json!({"format": "mp3", "call": call})).await;
    }
    let call = json!({"participants": ["4:+4930901820"], "chunks": [{"durationMs": 2000}]});
    let id = made_recording(&world, json!({"format": "wav", "call": call})).await;
    let mut facts = facts_of(&until_verified(&world, &id).await);
    facts["recordings"] = 3.into();
    facts["wav"] = 1.into();
    facts["participant"] = "8:acs:two".into();
    in_browser("listAndFilter", &world, facts).await;
}

#[tokio::test]
async fn a_search_follows_what_is_typed_or_pasted_and_many_are_held_and_verified_at_once() {
    let world = World::with(&[("OPERATOR_ACTIONS", "on")]).await;
    let call = json!({"participants": ["8:acs:one"], "chunks": [{"durationMs": 2000}]});
    made_recording(&world, json!({"format": "mp3", "call": call})).await;
    let call = json!({"participants": ["4:+4930901820"], "chunks": [{"durationMs": 2000}]});
    let id = made_recording(&world, json!({"format": "wav", "call": call})).await;
    let recording = until_verified(&world, &id).await;
    let mut facts = facts_of(&recording);
    facts["recordings"] = 2.into();
    facts["phone"] = "+49 (0)30 - 901820".into();
    let day = recording["startedAt"].as_str().and_then(|at| at.get(..10));
    facts["day"] = day.expect("it began at a time").into();
    in_browser("searchAndSelect", &world, facts).await;
}

#[tokio::test]
async fn an_action_on_many_recordings_outlives_other_lists_and_what_it_left_is_reported() {
    const RECORDINGS: usize = 4;
    let world = World::with(&[("OPERATOR_ACTIONS", "on")]).await;
    let call = json!({"chunks": [{"durationMs": 2000}]});
    for _ in 0..RECORDINGS {
        made_recording(&world, json!({"format": "wav", "call": call})).await;
    }
    in_browser("bulkActions", &world, json!({"recordings": RECORDINGS})).await;
    let holds = world.api("GET", "/vault/holds", None).await.1;
    let cases = holds["holds"].as_array().expect("there is a list").iter();
    let cases = cases.flat_map(|hold| hold["cases"].as_array().into_iter().flatten());
    let of_second = cases.filter(|case| case["case"] == "CASE-2").count();
    assert_eq!(
        of_second, 3,
        "what was stopped held as many as it said: {holds}"
    );
}

#[tokio::test]
async fn a_phone_number_is_found_as_it_is_typed_where_its_zero_is_kept_too() {
    let world = World::new().await;
    let mut spellings = Vec::new();
    for (participant, written) in [
        (
            "4:+390612345678",
            ["+39 (0)6 12345678", "0039 06 1234-5678"],
        ),
        ("4:+4930901820", ["+49 (0)30 - 901820", "tel:+49-30-901820"]),
    ] {
        let call = json!({"participants": [participant], "chunks": [{"durationMs": 2000}]});
        let id = made_recording(&world, json!({"format": "wav", "call": call})).await;
        spellings.extend(written.map(|written| json!([written, id])));
    }
    in_browser("phoneNumbers", &world, json!({"spellings": spellings})).await;
}

#[tokio::test]
async fn each_view_says_when_it_was_read_and_one_that_is_not_updated_can_be_read_again() {
    let world = World::new().await;
    let call = json!({"chunks": [{"durationMs": 2000}]});
    let id = made_recording(&world, json!({"format": "wav", "call": call})).await;
    in_browser("freshness", &world, json!({"recordingId": id})).await;
}

#[tokio::test]
async fn whether_the_sweep_is_late_is_shown_as_the_verdict_says_it() {
    let world = World::new().await;
    world.sweep().await;
    in_browser("health", &world, json!({})).await;
}

#[tokio::test]
async fn downloads_are_the_bytes_of_the_vault_and_the_evidence_is_a_zip() {
    let world = World::new().await;
    let call = json!({"chunks": [{"durationMs": 2000}]});
    let id = made_recording(&world, json!({"format": "wav", "call": call})).await;
    let recording = until_verified(&world, &id).await;
    let document_id = &recording["chunkList"][0]["documentId"];
    let facts = json!({"recordingId": id, "documentId": document_id});
    in_browser("downloads", &world, facts).await;
}

#[tokio::test]
async fn what_cannot_be_read_again_says_since_when_it_is_so_and_no_part_says_more_than_is_known() {
    let world = World::new().await;
    let call = json!({"chunks": [{"durationMs": 2000}]});
    let id = made_recording(&world, json!({"format": "wav", "call": call})).await;
    let recording = until_verified(&world, &id).await;
    let mut facts = facts_of(&recording);
    facts["documentId"] = recording["chunkList"][0]["documentId"].clone();
    in_browser("refreshFails", &world, facts).await;
}

#[tokio::test]
async fn a_running_recording_is_paused_resumed_and_stopped_on_the_page() {
    let world = World::with(&[("OPERATOR_ACTIONS", "on")]).await;
    let call = world.admin("POST", "calls", json!({})).await;
    let start = json!({"serverCallId": call["serverCallId"]});
    let (_, started) = world.api("POST", "/recordings", Some(start)).await;
    let facts = json!({"recordingId": started["recordingId"]});
    in_browser("control", &world, facts).await;
}

#[tokio::test]
async fn a_recording_plays_from_chunk_to_chunk_and_from_any_place() {
    let world = World::new().await;
    let id = recorded_call(&world).await;
    let video = made_recording(
        &world,
        json!({"format": "mp4", "call": {"chunks": [{"sizeBytes": 200_000}]}}),
    )
    .await;
    in_browser(
        "play",
        &world,
        json!({"recordingId": id, "videoId": video, "channels": 2}),
    )
    .await;
}

#[tokio::test]
async fn media_that_cannot_be_loaded_is_reported_and_can_be_retried() {
    let world = World::new().await;
    let id = made_recording(
        &world,
        json!({"format": "wav", "call": {"chunks": [{"durationMs": 2000}]}}),
    )
    .await;
    in_browser("mediaFails", &world, json!({"recordingId": id})).await;
}

#[tokio::test]
async fn a_chunk_that_was_given_up_is_retried_after_a_question() {
    let world = World::with(&[("OPERATOR_ACTIONS", "on")]).await;
    let mut event = world.recording(json!({"format": "wav"})).await;
    event["data"]["recordingStorageInfo"]["recordingChunks"][0]["contentLocation"] =
        "https://evil.example/media".into();
    world.event(&event).await;
    let document_id = &document_ids(&event)[0];
    assert_eq!(
        world.ledger_entry(document_id)["state"]["name"],
        "deadLettered"
    );
    in_browser("retry", &world, json!({"failedId": recording_id(&event)})).await;
    assert_eq!(world.ledger_entry(document_id)["state"]["name"], "pending");
}

#[tokio::test]
async fn a_recording_is_verified_held_and_released_after_a_question() {
    let world = World::with(&[("OPERATOR_ACTIONS", "on")]).await;
    let id = made_recording(
        &world,
        json!({"format": "wav", "call": {"chunks": [{"durationMs": 2000}]}}),
    )
    .await;
    in_browser("hold", &world, json!({"recordingId": id})).await;
}

#[tokio::test]
async fn a_person_and_a_period_are_held_listed_and_released_on_the_page() {
    let world = World::with(&[("OPERATOR_ACTIONS", "on")]).await;
    let call = json!({"participants": ["4:+4930901820"], "chunks": [{"durationMs": 2000}]});
    let id = made_recording(&world, json!({"format": "wav", "call": call})).await;
    let recording = until_verified(&world, &id).await;
    let day = recording["startedAt"].as_str().and_then(|at| at.get(..10));
    let day = day.expect("it began at a time");
    let facts = json!({"recordingId": id, "phone": "+49 (0)30 - 901820", "day": day});
    in_browser("standingHolds", &world, facts).await;
    let holds = world.api("GET", "/vault/holds", None).await.1;
    assert_eq!(holds["holds"], json!([]));
}

#[tokio::test]
async fn a_hold_on_a_person_is_released_where_all_holds_are_and_a_release_says_what_still_holds() {
    let world = World::with(&[("OPERATOR_ACTIONS", "on")]).await;
    let call = json!({"participants": ["4:+4930901820"], "chunks": [{"durationMs": 2000}]});
    let id = made_recording(&world, json!({"format": "wav", "call": call})).await;
    for hold in [
        json!({"case": "P-1", "person": "+4930901820"}),
        json!({"case": "A-2026-114", "person": "+4930901820"}),
        json!({"case": "A-2026-114", "recordingId": id}),
        json!({"case": "B-2", "recordingId": id}),
    ] {
        let (status, answer) = world.api("POST", "/vault/holds", Some(hold)).await;
        assert_eq!(status, 200, "{answer}");
    }
    in_browser("heldByOthers", &world, json!({"recordingId": id})).await;
    let holds = world.api("GET", "/vault/holds", None).await.1;
    assert_eq!(holds["holds"], json!([]));
}

#[tokio::test]
async fn a_release_of_a_call_or_a_period_says_how_much_of_it_is_still_held() {
    let world = World::with(&[("OPERATOR_ACTIONS", "on")]).await;
    let call_id = "6f1c2f5e-0d0b-4a55-9a43-1f6f2f6b7f01";
    let call = json!({"callId": call_id, "chunks": [{"durationMs": 2000}]});
    let id = made_recording(&world, json!({"format": "wav", "call": call})).await;
    made_recording(&world, json!({"format": "wav", "call": call})).await;
    for (case, member, value, on, still) in [
        ("Y-1", "callId", call_id, "call", "Y-1"),
        ("Z-2", "from", "2000-01-01", "recordings from", "Y-1, Z-2"),
    ] {
        let one = json!({"case": case, "recordingId": id});
        let mut both = json!({"case": case});
        both[member] = value.into();
        for hold in [one, both] {
            let (status, answer) = world.api("POST", "/vault/holds", Some(hold)).await;
            assert_eq!(status, 200, "{answer}");
        }
        let text =
            format!("1 of 2 recordings is still held for {still}. Only the hold of {case} on {on}");
        let facts = json!({"name": format!("Release {case} of {on}"), "text": text});
        in_browser("releasedInPart", &world, facts).await;
    }
}

#[tokio::test]
async fn a_damaged_copy_is_to_be_restored_and_is_not_offered_to_be_accepted() {
    let world = World::with(&[("OPERATOR_ACTIONS", "on")]).await;
    let call = json!({"chunks": [{"durationMs": 2000}]});
    let id = made_recording(&world, json!({"format": "wav", "call": call})).await;
    let recording = until_verified(&world, &id).await;
    let chunk = &recording["chunkList"][0];
    let media = world
        .vault
        .join(chunk["file"].as_str().expect("it has a file"));
    let mut content = fs::read(&media).expect("the copy is there");
    // A sample of the sound: a browser still plays the file.
    content[1000] ^= 1;
    fs::write(&media, &content).expect("the folder is ours");
    let document_id = chunk["documentId"].as_str().expect("it has an id");
    let act = async |action: &str| {
        let path = format!("/vault/chunks/{document_id}/{action}");
        world.api("POST", &path, None).await
    };
    let (status, verified) = act("verify").await;
    assert_eq!((status, &verified["verified"]), (200, &json!(false)));
    let facts = json!({"recordingId": id, "sha256": Sha256Digest::of(&content).to_string()});
    in_browser("damagedCopy", &world, facts).await;
    let (status, refused) = act("accept").await;
    assert_eq!(status, 409, "{refused}");
}

/// An event that cannot be read; gives its SHA-256.
async fn unreadable_event(world: &World) -> String {
    world.event(&json!({"eventType": "Microsoft.Communication.RecordingFileStatusUpdated", "data": "nothing"})).await;
    let poison = world.poison();
    let name = poison.keys().next().and_then(|name| name.split('.').next());
    name.expect("the event is kept").to_owned()
}

#[tokio::test]
async fn an_event_that_cannot_be_read_is_shown_saved_and_replayed() {
    let world = World::with(&[("OPERATOR_ACTIONS", "on")]).await;
    let sha256 = unreadable_event(&world).await;
    in_browser("replay", &world, json!({"sha256": sha256})).await;
}

#[tokio::test]
async fn what_needs_a_decision_is_accepted_acknowledged_and_dismissed_under_a_name() {
    let world = World::with(&[("OPERATOR_ACTIONS", "on")]).await;
    let shorter = json!({"chunks": [{"durationMs": 5000, "metadataDurationMs": 60_000}]});
    let doubtful = world.recording(json!({"call": shorter})).await;
    world.event(&doubtful).await;
    let mut failed = world.recording(json!({"format": "wav"})).await;
    failed["data"]["recordingStorageInfo"]["recordingChunks"][0]["contentLocation"] =
        "https://evil.example/media".into();
    world.event(&failed).await;
    world.sweep().await;
    let sha256 = unreadable_event(&world).await;
    let facts = json!({
        "doubtfulId": recording_id(&doubtful), "failedId": recording_id(&failed), "sha256": sha256,
    });
    in_browser("decide", &world, facts).await;
    let (accepted, lost) = (&document_ids(&doubtful)[0], &document_ids(&failed)[0]);
    assert!(!world.ledger_entry(accepted)["anomalyAcceptedAt"].is_null());
    let acknowledged = &world.ledger_entry(lost)["acknowledged"];
    assert_eq!(acknowledged["by"], "Zoë K (claimed)", "{acknowledged}");
    assert!(world.poison().is_empty());
    let records = audit_records(&world, "accepted", accepted);
    assert_eq!(records[0]["detail"]["claimedBy"], "Zoë K", "{records:?}");
}

#[tokio::test]
async fn what_was_typed_is_kept_for_its_author_and_shown_to_no_other_name() {
    let world = World::with_key(Some("operator"), &[("OPERATOR_ACTIONS", "on")]).await;
    let event = world.recording(json!({"format": "mp3"})).await;
    world.event(&event).await;
    let facts = json!({"recordingId": recording_id(&event), "key": "operator"});
    in_browser("drafts", &world, facts).await;
}

#[tokio::test]
async fn the_right_one_of_several_places_is_chosen_on_the_page() {
    let world = World::with(&[("OPERATOR_ACTIONS", "on")]).await;
    let (event, _) = two_places(&world).await;
    let facts = json!({"recordingId": recording_id(&event)});
    in_browser("choosePlace", &world, facts).await;
    let entry = world.ledger_entry(&document_ids(&event)[0]);
    assert_eq!(entry["acceptedPlace"], 2, "{entry}");
}

#[tokio::test]
async fn a_key_that_only_reads_is_offered_no_action() {
    let world = World::with(&[("OPERATOR_ACTIONS", "on")]).await;
    let call = json!({"chunks": [{"durationMs": 2000}]});
    let id = made_recording(&world, json!({"format": "wav", "call": call})).await;
    let keys = functions_host::Keys {
        host: Some("operator".to_owned()),
        functions: [("Vault".to_owned(), "reader".to_owned())].into(),
        ..functions_host::Keys::default()
    };
    let host = world.host_with(|options| options.keys = keys).await;
    let facts = json!({
        "page": format!("{}/api/vault/", host.url()), "recordingId": id, "reader": "reader", "operator": "operator",
    });
    in_browser("readers", &world, facts).await;
}

#[tokio::test]
async fn every_screen_and_dialog_works_by_keyboard_alone() {
    let world = World::with(&[("OPERATOR_ACTIONS", "on")]).await;
    let call = json!({"chunks": [{"durationMs": 2000}]});
    let id = made_recording(&world, json!({"format": "wav", "call": call})).await;
    let sha256 = unreadable_event(&world).await;
    let facts = json!({"recordingId": id, "sha256": sha256});
    in_browser("keyboardOnly", &world, facts).await;
}

#[tokio::test]
async fn the_key_is_asked_for_kept_for_the_tab_taken_out_of_the_address_and_forgotten() {
    let world = World::with_key(Some("open sesame+/="), &[]).await;
    in_browser("keys", &world, json!({"key": "open sesame+/="})).await;
}

#[tokio::test]
async fn an_empty_vault_says_what_to_do_next() {
    in_browser("empty", &World::new().await, json!({})).await;
}

#[tokio::test]
async fn what_is_missing_or_unreachable_is_reported_and_its_message_goes_when_it_is_back() {
    let world = World::new().await;
    let id = made_recording(
        &world,
        json!({"format": "mp3", "call": {"chunks": [{"durationMs": 2000}]}}),
    )
    .await;
    in_browser("badInput", &world, json!({"recordingId": id})).await;
}

#[tokio::test]
async fn every_view_is_for_all_in_both_themes_narrow_and_wide_by_keyboard_and_on_paper() {
    let world = World::new().await;
    let id = recorded_call(&world).await;
    in_browser("forEverybody", &world, json!({"recordingId": id})).await;
}

#[tokio::test]
async fn ten_thousand_recordings_are_fluent() {
    // In memory where there is such a place: it is not the disk that is looked at here.
    let ledger = tempfile::tempdir_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .expect("there is room for temporary files");
    let world =
        World::with(&[("LEDGER_URL", &format!("file://{}", ledger.path().display()))]).await;
    let id = made_recording(
        &world,
        json!({"format": "mp3", "call": {"chunks": [{"durationMs": 2000}]}}),
    )
    .await;
    multiply(ledger.path(), &id);
    in_browser("many", &world, json!({"count": MANY})).await;
}

/// Writes a recording again under other names, as register and index have one whose files are still to be announced.
fn multiply(ledger: &Path, id: &str) {
    let account = ledger.join(format!(
        "recordings/{}.json",
        recording_name(&id.parse().expect("it is an id"))
    ));
    let account = fs::read_to_string(account).expect("the register has it");
    // Nobody asks for them by their call.
    let all = Listed::All.prefix();
    for number in 1..MANY {
        let renamed = account.replace(id, &format!("many-{number}"));
        let mut copy: RegisteredRecording =
            serde_json::from_str(&renamed).expect("an account is JSON");
        let minutes = jiff::SignedDuration::from_mins(i64::try_from(number).expect("it is small"));
        copy.started_at = copy.started_at.and_then(|at| at.checked_sub(minutes).ok());
        copy.opened_at = copy.opened_at.and_then(|at| at.checked_sub(minutes).ok());
        copy.files = Files::default();
        let text = serde_json::to_string(&copy).expect("an account can be written");
        let markers = copy
            .markers()
            .into_iter()
            .filter(|marker| marker.starts_with(&all))
            .map(|marker| (marker, String::new()));
        for (key, content) in markers.chain([(
            format!("recordings/{}.json", recording_name(&copy.recording_id)),
            text,
        )]) {
            let path = ledger.join(key);
            if fs::write(&path, &content).is_err() {
                fs::create_dir_all(path.parent().expect("a key lies in a folder"))
                    .expect("the folder is ours");
                fs::write(&path, content).expect("the folder is ours");
            }
        }
    }
}
