//! What `find` finds and `play-url` plays is what the API finds and plays.

use serde_json::{Value, json};

use crate::support::command::{report, run, text};
use crate::support::world::{World, document_ids, files_by_path};

const ANNA: &str = "8:acs:29bd5ea9_00000001";

/// Ids of the recordings of an answer.
fn ids(found: &Value) -> Vec<String> {
    let rows = found["recordings"].as_array().expect("there is a list");
    rows.iter()
        .map(|row| {
            row["recordingId"]
                .as_str()
                .expect("a row has an id")
                .to_owned()
        })
        .collect()
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a table of searches in one world")]
async fn find_finds_what_the_api_finds_by_anything_that_is_known() {
    let world = World::new().await;
    let call = json!({"participants": [ANNA, "4:+15551230001"], "chunks": [{"durationMs": 2000}]});
    let event = world.recording(json!({"call": call})).await;
    let other = json!({"participants": ["8:acs:other"], "chunks": [{"durationMs": 2000}]});
    let other = world.recording(json!({"call": other})).await;
    for event in [&event, &other] {
        world.event(event).await;
    }
    world.sweep().await;
    let (_, found) = world
        .api(
            "GET",
            &format!("/vault/recordings?participant={ANNA}"),
            None,
        )
        .await;
    let row = found["recordings"][0].clone();
    let of = |name: &str| row[name].as_str().expect("a row has it").to_owned();
    let (id, day) = (of("recordingId"), of("startedAt")[..10].to_owned());
    let hold = [
        "hold",
        "add",
        "--case",
        "Complaint 2026/17",
        "--recording",
        &id,
    ];
    assert!(run(world.settings(), &hold).await.status.success());
    for (text, expected) in [
        (id.clone(), 1),
        (id[..id.len() - 6].to_owned(), 1),
        (of("callId"), 1),
        (of("serverCallId"), 1),
        (document_ids(&event)[0].clone(), 1),
        (ANNA.to_uppercase(), 1),
        ("4:+15551230001".to_owned(), 1),
        ("complaint 2026".to_owned(), 1),
        (day.clone(), 2),
        (format!("{}..", &day[..7]), 2),
        ("1999-01-01..1999-12-31".to_owned(), 0),
        ("lost".to_owned(), 0),
        ("of nobody".to_owned(), 0),
    ] {
        let output = run(world.settings(), &["find", &text, "--json"]).await;
        let by_shell = ids(&report(&output));
        let code = if expected == 0 { 2 } else { 0 };
        assert_eq!(output.status.code(), Some(code), "{text}");
        // As a caller writes it who forgets to encode the plus sign.
        let query = text.replace(' ', "%20");
        let (status, by_api) = world
            .api("GET", &format!("/vault/recordings?q={query}"), None)
            .await;
        assert_eq!(status, 200, "{text}: {by_api}");
        assert_eq!(
            (by_shell.len(), &by_shell),
            (expected, &ids(&by_api)),
            "{text}"
        );
    }
    let (_, plus) = world
        .api("GET", "/vault/recordings?participant=4:+15551230001", None)
        .await;
    assert_eq!(ids(&plus), std::slice::from_ref(&id));

    let found = text(&run(world.settings(), &["find", &day]).await);
    assert!(
        found.starts_with("started") && found.contains("2 recordings."),
        "{found}"
    );
    let url = ["--url", "https://app.example"];
    let opened = run(world.settings(), &[&["open", &id][..], &url].concat()).await;
    assert!(text(&opened).starts_with("https://app.example/api/vault/#/recordings/"));
    let many = run(world.settings(), &[&["open", &day][..], &url].concat()).await;
    assert_eq!(many.status.code(), Some(2));
}

/// A recording of the call with this id, in the vault. Returns its id.
async fn of_call(world: &World, call: &str) -> String {
    let call = json!({"callId": call, "chunks": [{"durationMs": 1000}]});
    let event = world.recording(json!({"call": call})).await;
    world.event(&event).await;
    let subject = event["subject"].as_str().expect("an event has a subject");
    let id = subject.rsplit('/').next();
    id.expect("the subject ends with the recording").to_owned()
}

#[tokio::test]
async fn a_text_that_names_a_case_and_the_beginning_of_an_id_finds_both() {
    let world = World::new().await;
    let held = of_call(&world, "7c62cca0-0000-4444-8888-000000000001").await;
    let by_call = of_call(&world, "11462cca-0000-4444-8888-000000000002").await;
    of_call(&world, "22462cca-0000-4444-8888-000000000003").await;
    let add = ["hold", "add", "--case", "A-2026-114", "--recording", &held];
    assert!(run(world.settings(), &add).await.status.success());
    let found = report(&run(world.settings(), &["find", "114", "--json"]).await);
    // What the case names comes first.
    assert_eq!(ids(&found), [held, by_call], "{found}");
    let mut pages = Vec::new();
    let mut next = String::new();
    for _ in 0..2 {
        let path = format!("/vault/recordings?q=114&top=1&continuation={next}");
        let (_, page) = world.api("GET", &path, None).await;
        assert_eq!(ids(&page).len(), 1, "{page}");
        pages.extend(ids(&page));
        next = page["continuation"].as_str().unwrap_or_default().to_owned();
    }
    assert_eq!(pages, ids(&found), "page by page");
    let open = ["open", "114", "--url", "https://app.example"];
    let opened = run(world.settings(), &open).await;
    assert_eq!(opened.status.code(), Some(2), "{}", text(&opened));
}

#[tokio::test]
async fn a_chunk_of_an_event_without_a_recording_id_is_found_by_its_own_id() {
    let world = World::new().await;
    let events = include_str!("../fixtures/events/e08_seed_2021_document_id_only.json");
    let events: Value = serde_json::from_str(events).expect("it is JSON");
    let (status, answer) = world.event(&events[0]).await;
    assert_eq!(status, 200, "{answer}");
    let mut found = Vec::new();
    for id in [
        "43563209-4ec6-4119-be5b-88398cda2caf",
        &document_ids(&events[0])[0],
    ] {
        let output = run(world.settings(), &["find", id, "--json"]).await;
        found.push(ids(&report(&output)));
    }
    assert_eq!(found[0].len(), 1, "{found:?}");
    assert_eq!(found[0], found[1], "by its call and by its chunk");
}

#[tokio::test]
async fn a_play_url_of_a_copy_that_was_found_damaged_says_so() {
    let world = World::new().await;
    let call = json!({"chunks": [{"durationMs": 1000}]});
    let event = world.recording(json!({"call": call})).await;
    world.event(&event).await;
    world.sweep().await;
    let id = &document_ids(&event)[0];
    let media = world.vault_file(&format!("{id}.wav"));
    let mut bytes = std::fs::read(&media).expect("it is readable");
    bytes[1000] ^= 1;
    std::fs::write(&media, &bytes).expect("it is writable");
    let host = world.host.url();
    let play_url = ["play-url", id, "--url", &host, "--json"];
    let unknown = run(world.settings(), &play_url).await;
    assert_eq!(unknown.status.code(), Some(0), "nothing has read it yet");
    let verify = ["verify", "--read-data-subset", "all"];
    let verified = run(world.settings(), &verify).await;
    assert_eq!(verified.status.code(), Some(2), "{}", text(&verified));
    let printed = run(world.settings(), &play_url).await;
    let said = String::from_utf8_lossy(&printed.stderr).into_owned();
    assert_eq!(printed.status.code(), Some(2), "{said}");
    assert!(
        said.contains("damaged") && said.contains("SHA-256"),
        "{said}"
    );
    let address: Value = serde_json::from_slice(&printed.stdout).expect("it is JSON");
    let problem = address["damage"]["problem"].as_str().unwrap_or_default();
    assert!(problem.contains("SHA-256"), "{address}");
    let url = address["url"].as_str().expect("it has a URL");
    let played = world.client.get(url).send().await;
    let played = played.expect("the host answers");
    assert_eq!(played.status(), 200);
    assert!(played.bytes().await.expect("it arrives") == bytes);
}

#[tokio::test]
async fn a_play_url_plays_without_a_key() {
    let world = World::new().await;
    let call = json!({"chunks": [{"durationMs": 1000}]});
    let event = world.recording(json!({"call": call})).await;
    world.event(&event).await;
    world.sweep().await;
    let id = &document_ids(&event)[0];
    let host = world.host.url();
    let printed = text(&run(world.settings(), &["play-url", id, "--url", &host]).await);
    let response = world.client.get(printed.trim()).send().await;
    let response = response.expect("the host answers");
    assert_eq!(response.status(), 200);
    let length = response.bytes().await.expect("it arrives").len();
    assert!(length > 1000, "{length} bytes");
    let nowhere = run(world.settings(), &["play-url", id]).await;
    assert_eq!(nowhere.status.code(), Some(2));
    let names = files_by_path(&world.vault).into_keys();
    let mut media = names.filter(|name| name.ends_with(&format!("{id}.wav")));
    let media = world.vault.join(media.next().expect("it is there"));
    std::fs::remove_file(media).expect("the folder is ours");
    let vanished = run(world.settings(), &["play-url", id, "--url", &host]).await;
    assert_eq!(vanished.status.code(), Some(2));
    assert!(text(&vanished).is_empty());
    let said = String::from_utf8_lossy(&vanished.stderr).into_owned();
    assert!(said.contains("is missing from the vault"), "{said}");
    assert!(String::from_utf8_lossy(&nowhere.stderr).contains("FUNCTIONS_URL"));
}
