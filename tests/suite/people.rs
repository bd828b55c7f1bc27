//! A person's recordings through every door: in any spelling of the id, before anything is exported, and with the number of
//! recordings that nobody could look into.

use std::path::Path;
use std::process::Output;

use recording_vault::catalogue::not_searched::PHONE_NUMBER;
use recording_vault::store::index::recording_name;
use serde_json::{Value, json};

use crate::support::audit::revealed;
use crate::support::command::{self, report, text};
use crate::support::eventually;
use crate::support::world::{World, document_ids, files_by_path};

const ANNA: &str = "8:acs:29bd5ea9_00000001";
const PHONE: &str = "4:+493012345678";

async fn run(world: &World, arguments: &[&str]) -> Output {
    command::run(world.settings(), arguments).await
}

async fn get(world: &World, path: &str) -> Value {
    let (status, answer) = world.api("GET", path, None).await;
    assert_eq!(status, 200, "{path}: {answer}");
    answer
}

/// A recording of a call of these participants that has ended; its event.
async fn recorded(world: &World, participants: &[&str]) -> Value {
    let call = json!({"participants": participants, "chunks": [{"durationMs": 1000}]});
    world.recording(json!({"call": call})).await
}

/// Makes the export of an event's chunk fail for good: its file is at a place that is not read.
fn refused(mut event: Value) -> Value {
    let chunk = &mut event["data"]["recordingStorageInfo"]["recordingChunks"][0];
    chunk["contentLocation"] = "https://evil.example/v1/objects/x".into();
    event
}

/// Starts the recording of a call, and stops it; no event announces its files. Returns its id.
async fn started(world: &World, call: &Value, members: Value) -> String {
    let mut body = members;
    body["serverCallId"] = call["serverCallId"].clone();
    let (_, started) = world.api("POST", "/recordings", Some(body)).await;
    let id = started["recordingId"].as_str().expect("it is started");
    let stop = format!("/recordings/{id}/stop");
    world.api("POST", &stop, None).await;
    id.to_owned()
}

async fn call(world: &World) -> Value {
    let chunks = json!({"chunks": [{"durationMs": 1000}]});
    world.admin("POST", "calls", chunks).await
}

fn found_ids(answer: &Value) -> Vec<&str> {
    let rows = answer["recordings"].as_array().into_iter().flatten();
    rows.filter_map(|row| row["recordingId"].as_str()).collect()
}

fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// The account of a recording, as a file of the ledger.
fn account_of(world: &World, id: &str) -> std::path::PathBuf {
    let folder = world.vault.with_file_name("vault-ledger/recordings");
    let files = std::fs::read_dir(folder).expect("there are accounts");
    let mut paths = files.flatten().map(|file| file.path());
    let has_it = |path: &std::path::PathBuf| {
        let account = std::fs::read_to_string(path).unwrap_or_default();
        account.contains(id.trim_end_matches('='))
    };
    paths.find(has_it).expect("the recording has an account")
}

#[tokio::test]
async fn a_person_is_found_in_every_spelling_through_every_door() {
    let world = World::with(&[("DEFAULT_COUNTRY", "DE")]).await;
    for participants in [&[PHONE, ANNA][..], &["4:+15551230001"]] {
        world.event(&recorded(&world, participants).await).await;
    }
    world.sweep().await;
    for spelling in [
        PHONE,
        "+49 30 12345678",
        "0049 (0)30 1234-5678",
        "493012345678",
        "030 12345678",
        "29BD5EA9_00000001",
    ] {
        for parameter in ["person", "participant", "q"] {
            for value in [encoded(spelling), spelling.replace(' ', "%20")] {
                let path = format!("/vault/recordings?{parameter}={value}");
                let answer = get(&world, &path).await;
                assert_eq!(found_ids(&answer).len(), 1, "{path}: {answer}");
                let not_searched = &answer["notSearched"];
                assert_eq!(not_searched["participantsUnknown"], 0, "{path}: {answer}");
            }
        }
        let found = report(&run(&world, &["find", spelling, "--json"]).await);
        assert_eq!(found_ids(&found).len(), 1, "{spelling}: {found}");
        let listed = report(&run(&world, &["list", "--person", spelling, "--json"]).await);
        let chunks = listed["chunks"].as_array().map(Vec::len);
        assert_eq!(chunks, Some(1), "{spelling}: {listed}");
        let found = run(&world, &["gdpr", "find", spelling, "--json"]).await;
        assert_eq!(found.status.code(), Some(0), "{spelling}: {}", text(&found));
        assert_eq!(found_ids(&report(&found)).len(), 1, "{spelling}");
    }
}

#[tokio::test]
async fn a_number_with_the_prefix_of_the_callers_country_finds_and_holds_that_number() {
    let world = World::with(&[("DEFAULT_COUNTRY", "AU")]).await;
    world.event(&recorded(&world, &[PHONE]).await).await;
    world.sweep().await;
    let dialled = "0011 49 30 12345678";
    let found = run(&world, &["gdpr", "find", dialled, "--json"]).await;
    assert_eq!(found.status.code(), Some(0), "{}", text(&found));
    assert_eq!(found_ids(&report(&found)).len(), 1);
    let add = ["hold", "add", "--case", "A", "--person", dialled, "--json"];
    let held = report(&run(&world, &add).await);
    assert_eq!(held["chunks"].as_array().map(Vec::len), Some(1), "{held}");
    let mut elsewhere = world.settings().clone();
    elsewhere.insert("DEFAULT_COUNTRY".to_owned(), "DE".to_owned());
    let refused = command::run(&elsewhere, &["gdpr", "find", dialled]).await;
    let complaint = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        refused.status.code() == Some(2) && complaint.contains("is not certain"),
        "{complaint}"
    );
    assert!(!complaint.contains("DEFAULT_COUNTRY"), "{complaint}");
}

/// In China mobile numbers are written like this; with `+` it is one in America.
#[tokio::test]
async fn a_number_that_may_be_of_two_countries_is_neither_held_nor_erased() {
    let settings = [("DEFAULT_COUNTRY", "CN"), ("OPERATOR_ACTIONS", "on")];
    let world = World::with(&settings).await;
    let event = recorded(&world, &["4:+13123456789"]).await;
    world.event(&event).await;
    world.sweep().await;
    let person = "131 2345 6789";
    for arguments in [
        &["hold", "add", "--yes", "--case", "A", "--person", person][..],
        &["gdpr", "erase", person, "--reason", "request 17", "--yes"],
    ] {
        let output = run(&world, arguments).await;
        let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            output.status.code() == Some(2) && complaint.contains("is not certain"),
            "{arguments:?}: {complaint}"
        );
        assert!(!complaint.contains("DEFAULT_COUNTRY"), "{complaint}");
    }
    let (status, answer) = world
        .api(
            "POST",
            "/vault/holds",
            Some(json!({"case": "A", "person": person})),
        )
        .await;
    assert_eq!(status, 400, "{answer}");
    let holds = get(&world, "/vault/holds").await;
    assert_eq!(holds["holds"], json!([]), "{holds}");
    let id = &document_ids(&event)[0];
    let files = world.vault_files();
    assert!(files.keys().any(|file| file.contains(id)), "{id} is erased");
}

#[tokio::test]
async fn a_number_without_its_country_names_nobody_and_no_search_says_that_nobody_was_found() {
    let world = World::new().await;
    world.event(&recorded(&world, &[PHONE]).await).await;
    world.sweep().await;
    for arguments in [
        &["gdpr", "find", "030 12345678"][..],
        &["list", "--person", "030 12345678"],
    ] {
        let output = run(&world, arguments).await;
        let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            output.status.code() == Some(2) && complaint.contains("DEFAULT_COUNTRY"),
            "{arguments:?}: {complaint}"
        );
    }
    let path = "/vault/recordings?person=030%2012345678";
    let (status, answer) = world.api("GET", path, None).await;
    assert_eq!(
        (status, &answer["error"]["code"]),
        (400, &json!("InvalidArgument")),
        "{answer}"
    );
    let mut invalid = world.settings().clone();
    invalid.insert("DEFAULT_COUNTRY".to_owned(), "Germany".to_owned());
    let output = command::run(&invalid, &["list"]).await;
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.code() == Some(64) && complaint.contains("DEFAULT_COUNTRY is `Germany`"),
        "{complaint}"
    );
}

#[tokio::test]
async fn no_hold_is_added_for_a_number_without_its_country() {
    let world = World::with(&[("OPERATOR_ACTIONS", "on")]).await;
    world.event(&recorded(&world, &[PHONE]).await).await;
    for person in ["030 12345678", "(555) 123-0001", "5551230001"] {
        for verb in [&["hold", "add", "--yes"][..], &["hold", "release"]] {
            let held = ["--case", "A", "--person", person];
            let output = run(&world, &[verb, &held[..]].concat()).await;
            let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(
                output.status.code() == Some(2) && complaint.contains("DEFAULT_COUNTRY"),
                "{verb:?} {person}: {complaint}"
            );
        }
        for path in ["/vault/holds", "/vault/holds/release"] {
            let hold = json!({"case": "A", "person": person});
            let (status, answer) = world.api("POST", path, Some(hold)).await;
            let message = answer["error"]["message"].as_str().unwrap_or_default();
            assert!(
                status == 400 && message.contains("DEFAULT_COUNTRY"),
                "{path} {person}: {answer}"
            );
        }
    }
    let (_, listed) = world.api("GET", "/vault/holds", None).await;
    assert_eq!(listed["holds"], json!([]), "{listed}");
    let hold = json!({"case": "A", "person": "+49 (0)30 12345678"});
    let (status, answer) = world.api("POST", "/vault/holds", Some(hold)).await;
    assert_eq!(status, 200, "{answer}");
}

#[tokio::test]
async fn people_are_found_before_anything_is_exported_and_nobody_is_called_absent_on_a_bad_day() {
    let world = World::with(&[("MISSING_AFTER", "0s")]).await;
    let by_caller = started(&world, &call(&world).await, json!({"startedBy": ANNA})).await;
    let affinity = json!([{"channel": 0, "participant": {"kind": "phoneNumber", "phoneNumber": {"value": PHONE}}}]);
    let by_channel = json!({
        "recordingContentType": "audio", "recordingChannelType": "unmixed", "recordingFormatType": "wav",
        "channelAffinity": affinity
    });
    let by_channel = started(&world, &call(&world).await, by_channel).await;
    // The event of the call comes first, and the recording is started after it.
    let announced = call(&world).await;
    let caller = "8:orgid:7c62cca0-0000-4444-8888-000000000001";
    let event = json!({
        "id": "e1", "topic": "t", "eventType": "Microsoft.Communication.CallStarted", "dataVersion": "1.0",
        "eventTime": jiff::Timestamp::now().to_string(),
        "subject": format!("call/{}/startedBy/{caller}", announced["serverCallId"].as_str().expect("it has an id")),
        "data": {"serverCallId": announced["serverCallId"],
            "startedBy": {"communicationIdentifier": {"rawId": caller}, "role": "user"}}
    });
    world.event(&event).await;
    let by_event = started(&world, &announced, json!({})).await;
    // An export that fails: nobody knows who was in it.
    world
        .event(&refused(recorded(&world, &["8:acs:x_bert"]).await))
        .await;
    world.sweep().await;
    for (person, recording) in [
        (ANNA, &by_caller),
        ("+49 30 12345678", &by_channel),
        ("7c62cca0-0000-4444-8888-000000000001", &by_event),
    ] {
        let path = format!("/vault/recordings?person={}", encoded(person));
        let answer = get(&world, &path).await;
        assert_eq!(
            found_ids(&answer),
            [recording.as_str()],
            "{person}: {answer}"
        );
        assert_eq!(answer["notSearched"]["participantsUnknown"], 3, "{answer}");
        let listed = report(&run(&world, &["list", "--person", person, "--json"]).await);
        assert_eq!(found_ids(&listed), [recording.as_str()], "{listed}");
    }
    for (arguments, door) in [
        (&["gdpr", "find", "8:acs:x_bert"][..], "gdpr"),
        (&["find", "8:acs:x_bert"], "find"),
        (&["list", "--person", "8:acs:x_bert"], "list"),
    ] {
        let output = run(&world, arguments).await;
        let said = text(&output);
        assert_eq!(output.status.code(), Some(2), "{door}: {said}");
        assert!(
            said.contains("Not searched: 4 recordings whose participants are not all known yet."),
            "{door}: {said}"
        );
    }
    let answer = get(&world, "/vault/recordings?q=8:acs:x_bert").await;
    assert_eq!(answer["notSearched"]["participantsUnknown"], 4, "{answer}");
}

#[tokio::test]
async fn a_phone_number_without_its_country_is_not_searched_and_that_is_said() {
    let world = World::new().await;
    world
        .event(&recorded(&world, &["4:+493012345678"]).await)
        .await;
    world.sweep().await;
    for (text_to_find, is_flagged) in [
        ("030 12345678", true),
        ("(030) 1234-5678", true),
        ("5551234", true),
        ("+49 30 12345678", false),
        ("+49 30 999999", false),
        ("8:acs:x_bert", false),
        ("nobody", false),
    ] {
        let said = text(&run(&world, &["find", text_to_find]).await);
        assert_eq!(
            said.contains(PHONE_NUMBER),
            is_flagged,
            "{text_to_find}: {said}"
        );
        let path = format!("/vault/recordings?q={}", encoded(text_to_find));
        let answer = get(&world, &path).await;
        let flag = answer["notSearched"]["lacksCountry"].as_bool();
        assert_eq!(flag.unwrap_or_default(), is_flagged, "{answer}");
        let output = run(&world, &["audit", "show", text_to_find]).await;
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(
            said.contains(PHONE_NUMBER),
            is_flagged,
            "{text_to_find}: {said}"
        );
    }
}

#[tokio::test]
async fn an_unreadable_account_is_named_by_every_verb_of_gdpr_and_its_recording_is_left() {
    let world = World::new().await;
    let event = recorded(&world, &[ANNA]).await;
    world.event(&event).await;
    world
        .event(&recorded(&world, &["8:acs:x_bert"]).await)
        .await;
    world.sweep().await;
    let found = report(&run(&world, &["gdpr", "find", ANNA, "--json"]).await);
    let id = found_ids(&found)[0].to_owned();
    let account = account_of(&world, &id);
    std::fs::write(&account, "no JSON").expect("the folder is ours");
    let name = account
        .file_name()
        .expect("it is a file")
        .to_string_lossy()
        .into_owned();
    let folder = tempfile::tempdir().expect("there is room for temporary files");
    let archive = folder.path().join("anna.tar").display().to_string();
    for arguments in [
        &["gdpr", "find", ANNA][..],
        &["gdpr", "export", ANNA, "--to", &archive],
        &["gdpr", "erase", ANNA, "--reason", "request 17", "--yes"],
    ] {
        let output = run(&world, arguments).await;
        let said = text(&output);
        assert!(
            output.status.code() == Some(2) && said.contains(&name),
            "{arguments:?}: {said}"
        );
    }
    let id = &document_ids(&event)[0];
    assert!(
        world.vault_files().keys().any(|file| file.contains(id)),
        "its copy is there"
    );
    let path = format!("/vault/recordings?person={}", encoded(ANNA));
    let answer = get(&world, &path).await;
    assert_eq!(
        (
            &answer["notSearched"]["unreadable"],
            &answer["recordings"][0]["status"]
        ),
        (&json!(0), &json!("unknown")),
        "the page shows it as one that is not readable: {answer}"
    );
}

#[tokio::test]
async fn each_chunk_of_a_person_is_listed_however_the_id_of_its_recording_is_written() {
    let world = World::new().await;
    let mut documents = Vec::new();
    for id in ["eyJhYmMx", "eyJhYmMx=="] {
        let mut event = recorded(&world, &[ANNA]).await;
        let subject = event["subject"].as_str().expect("it has a subject");
        let (call, _) = subject.rsplit_once('/').expect("it ends with an id");
        event["subject"] = format!("{call}/{id}").into();
        world.event(&event).await;
        documents.extend(document_ids(&event));
    }
    world.sweep().await;
    let listed = report(&run(&world, &["list", "--person", ANNA, "--json"]).await);
    let chunks = listed["chunks"].as_array().expect("there is a list");
    let mut ids: Vec<_> = chunks
        .iter()
        .filter_map(|chunk| chunk["documentId"].as_str())
        .collect();
    ids.sort_unstable();
    documents.sort();
    assert_eq!(ids, documents, "{listed}");
}

#[tokio::test]
async fn an_archive_says_which_recordings_of_the_person_are_not_whole() {
    let world = World::with(&[("MISSING_AFTER", "0s")]).await;
    let missing = started(&world, &call(&world).await, json!({"startedBy": ANNA})).await;
    world.sweep().await;
    let folder = tempfile::tempdir().expect("there is room for temporary files");
    let to = folder.path().join("anna.tar").display().to_string();
    let exported = run(&world, &["gdpr", "export", ANNA, "--to", &to, "--json"]).await;
    let manifest = report(&exported);
    assert_eq!(exported.status.code(), Some(2), "{manifest}");
    let incomplete = &manifest["incomplete"];
    assert_eq!(incomplete[0]["recordingId"], missing, "{manifest}");
    let reasons = incomplete.to_string();
    assert!(reasons.contains("no event announced a file"), "{manifest}");
}

/// Lets a recording have ended so long ago that no event can announce files of it any more.
fn end_earlier(ledger: &Path, recording: &str) {
    let id = recording.parse().expect("it is a recording");
    let path = ledger.join(format!("recordings/{}.json", recording_name(&id)));
    let content = std::fs::read(&path).expect("it has an account");
    let mut account: Value = serde_json::from_slice(&content).expect("it is JSON");
    assert_eq!(account["status"]["name"], "stopped", "{account}");
    account["status"]["at"] = "2026-03-02T10:00:00Z".into();
    std::fs::write(&path, account.to_string()).expect("it can be written");
}

#[tokio::test]
async fn an_erasure_takes_people_out_of_accounts_too_and_keeps_them_where_it_leaves_the_recording()
{
    let world = World::with(&[("MISSING_AFTER", "0s")]).await;
    let missing = started(&world, &call(&world).await, json!({"startedBy": ANNA})).await;
    let event = recorded(&world, &[ANNA]).await;
    world.event(&event).await;
    world.sweep().await;
    let arguments = ["hold", "add", "--case", "A-1", "--recording", &missing];
    assert!(run(&world, &arguments).await.status.success());
    let erase = [
        "gdpr",
        "erase",
        ANNA,
        "--reason",
        "request 17",
        "--yes",
        "--json",
    ];
    let erased = run(&world, &erase).await;
    let report_of = report(&erased);
    assert_eq!(
        report_of["erased"].as_array().map(Vec::len),
        Some(1),
        "{report_of}"
    );
    assert_eq!(report_of["left"][0]["recordingId"], missing, "{report_of}");
    let found = report(&run(&world, &["gdpr", "find", ANNA, "--json"]).await);
    assert_eq!(
        found_ids(&found),
        [missing.as_str()],
        "what is held is still found"
    );
    let arguments = ["hold", "release", "--case", "A-1", "--recording", &missing];
    assert!(run(&world, &arguments).await.status.success());
    let left = report(&run(&world, &erase).await);
    assert_eq!(left["left"][0]["recordingId"], missing, "{left}");
    let ledger = world.vault.with_file_name("vault-ledger");
    end_earlier(&ledger, &missing);
    let erased = run(&world, &erase).await;
    assert_eq!(erased.status.code(), Some(0), "{}", text(&erased));
    for (name, content) in files_by_path(&ledger) {
        let content = String::from_utf8_lossy(&content).into_owned();
        // The audit log keeps who asked for a recording.
        assert!(
            name.starts_with("audit/") || !content.contains(ANNA),
            "{name} names her"
        );
    }
    let lists = std::fs::read_dir(ledger.join("catalogue/participant"));
    for list in lists.into_iter().flatten().flatten() {
        let markers = files_by_path(&list.path());
        assert!(markers.is_empty(), "{markers:?}");
    }
}

#[tokio::test]
async fn a_selection_without_a_copy_is_not_verified_to_be_right() {
    let world = World::new().await;
    world.event(&recorded(&world, &[ANNA]).await).await;
    world.sweep().await;
    let output = run(&world, &["verify", "--of", "nothing-like-it"]).await;
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.code() == Some(2) && complaint.contains("No copy matches `nothing-like-it`"),
        "{complaint}"
    );
}

fn key_of_people(world: &World) -> std::path::PathBuf {
    world.vault.with_file_name("vault-ledger/keys/person.json")
}

#[tokio::test]
async fn a_search_with_another_key_names_what_it_did_not_search_and_makes_no_second_key() {
    let world = World::new().await;
    world.event(&recorded(&world, &[ANNA]).await).await;
    world.sweep().await;
    let add = ["hold", "add", "--person", ANNA, "--case", "A-1"];
    let added = run(&world, &add).await;
    assert_eq!(added.status.code(), Some(0), "{}", text(&added));
    let key = key_of_people(&world);

    std::fs::remove_file(&key).expect("the folder is ours");
    for arguments in [
        &["gdpr", "find", ANNA][..],
        &["gdpr", "erase", ANNA, "--reason", "r", "--yes"],
        &["list", "--person", ANNA],
    ] {
        let output = run(&world, arguments).await;
        let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            output.status.code() == Some(1) && complaint.contains("restore it"),
            "{arguments:?}: {complaint}"
        );
        assert!(!key.exists(), "{arguments:?}: it was made anew");
    }

    let another = r#"{"key":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="}"#;
    std::fs::write(&key, another).expect("the folder is ours");
    let found = run(&world, &["gdpr", "find", ANNA]).await;
    assert_eq!(found.status.code(), Some(2), "{}", text(&found));
    assert!(
        text(&found).contains("another `keys/person.json`"),
        "{}",
        text(&found)
    );
    let found = report(&run(&world, &["gdpr", "find", ANNA, "--json"]).await);
    assert_eq!(found["notSearched"]["namedByAnotherKey"], true, "{found}");

    let listed = text(&run(&world, &["hold", "list"]).await);
    assert!(listed.contains("added with another"), "{listed}");
    assert_eq!(run(&world, &add).await.status.code(), Some(0));
    let release = ["hold", "release", "--person", ANNA, "--case", "A-1"];
    assert_eq!(run(&world, &release).await.status.code(), Some(0));
    let listed = text(&run(&world, &["hold", "list"]).await);
    assert_eq!(listed.trim(), "Nothing is held.");
}

/// The records of an action in the audit log, with their names.
fn audited(world: &World, action: &str) -> Vec<Value> {
    let folder = world.vault.with_file_name("vault-ledger/audit");
    let documents = files_by_path(&folder).into_values();
    let records = documents.flat_map(|content| {
        let document: Value = serde_json::from_slice(&content).expect("the log is JSON");
        document["records"].as_array().cloned().unwrap_or_default()
    });
    let of_action = records.filter(|record| record["action"] == action);
    of_action.map(|record| revealed(world, record)).collect()
}

#[tokio::test]
async fn a_search_for_a_person_is_in_the_log_with_its_operator_whatever_the_door_is() {
    let world = World::new().await;
    world.event(&recorded(&world, &[ANNA]).await).await;
    let by_eve = async |query: &str| {
        let url = format!("{}/api/vault/recordings?{query}", world.host.url());
        let request = world.client.get(url).header("x-operator-name", "eve");
        let response = request.send().await.expect("the host answers");
        assert_eq!(response.status(), 200, "{query}");
    };
    // One who is in no recording is searched for as well; a text that may be anything is not.
    let absent = "8:acs:nobody";
    let searches = [
        format!("person={}", encoded(ANNA)),
        format!("participant={}&continuation=", encoded(ANNA)),
        format!("person={}&q=2026", encoded(ANNA)),
        format!("q={}", encoded(ANNA)),
        format!("person={}", encoded(absent)),
        format!("q={}", encoded(absent)),
        "q=a-17".to_owned(),
    ];
    for search in &searches {
        by_eve(search).await;
    }
    let records = eventually("both searches are recorded", async || {
        let records = audited(&world, "personSearched");
        (records.len() >= 2).then_some(records)
    });
    let records = records.await;
    let details: Vec<&Value> = records.iter().map(|record| &record["detail"]).collect();
    let by_eve = json!({"claimedBy": "eve", "through": "api"});
    assert_eq!(details, [&by_eve, &by_eve]);
    assert_ne!(records[0]["subject"], records[1]["subject"]);

    let archive = world.vault.with_file_name("person.tar");
    let archive = archive.to_string_lossy();
    let verbs: [(&[&str], &str); 5] = [
        (&["list", "--person", ANNA], "personSearched"),
        (&["find", ANNA], "personSearched"),
        (&["gdpr", "find", ANNA], "personSearched"),
        (
            &["gdpr", "export", ANNA, "--to", &archive],
            "personExported",
        ),
        (&["ledger", "index"], "indexed"),
    ];
    for (verb, action) in verbs {
        let before = audited(&world, action).len();
        let output = run(&world, verb).await;
        let records = audited(&world, action);
        assert_eq!(records.len(), before + 1, "{verb:?}: {}", text(&output));
        let by_shell = records.iter().filter(|record| {
            let by = record["detail"]["by"].as_str();
            record["detail"]["through"] == "shell" && by.is_some_and(|by| by.contains('@'))
        });
        let api = records
            .iter()
            .filter(|record| record["detail"]["through"] == "api");
        assert_eq!(by_shell.count() + api.count(), records.len(), "{records:?}");
    }
}

#[tokio::test]
async fn an_erasure_removes_every_spelling_of_a_persons_id_from_the_names_of_the_log() {
    for (started_by, erased) in [
        ("4:+493012345678", "+49 30 12345678"),
        (
            "8:ORGID:7c62d1a5-0000-4000-8000-000000000001",
            "7c62d1a5-0000-4000-8000-000000000001",
        ),
    ] {
        let world = World::with(&[("DEFAULT_COUNTRY", "DE")]).await;
        let call = call(&world).await;
        let id = started(&world, &call, json!({"startedBy": started_by})).await;
        let person = ["gdpr", "erase", erased, "--reason", "request 7", "--yes"];
        let output = run(&world, &person).await;
        let people = world.vault.with_file_name("vault-ledger/people");
        let names = files_by_path(&people).into_values();
        let names: Vec<String> = names
            .map(|content| String::from_utf8_lossy(&content).to_lowercase())
            .collect();
        let is_named = |name: &String| name.contains("12345678") || name.contains("7c62d1a5");
        assert!(!names.iter().any(is_named), "{names:?} {}", text(&output));
        let shown = run(&world, &["audit", "show", &id]).await;
        assert!(
            text(&shown).contains("(erased)") || !text(&shown).contains(started_by),
            "{}",
            text(&shown)
        );
    }
}
