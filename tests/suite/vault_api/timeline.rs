//! The history of a recording: what was done to it, and who looked at it.

use reqwest::Method;
use serde_json::{Value, json};

use super::{ANNA, get, send};
use crate::support::eventually;
use crate::support::world::{World, json_answer};

/// With a dot in it: no id, digest or signature contains it by chance.
const ADA: (&str, &str) = ("x-operator-name", "ada.lovelace");

/// A caller who gives her name.
async fn by_ada(world: &World, method: Method, path: &str, body: Value) -> Value {
    let url = format!("{}/api{path}", world.host.url());
    let request = world.client.request(method, url).header(ADA.0, ADA.1);
    let request = if body.is_null() {
        request
    } else {
        request.json(&body)
    };
    let answer = json_answer(request.send().await.expect("the host answers"));
    let (status, answer) = answer.await;
    assert!(status < 300, "{path}: {status} {answer}");
    answer
}

/// A recording that was started, paused, resumed and stopped through the API, and exported; its id and its chunk's.
async fn recorded(world: &World) -> (String, String) {
    let url = world.host.event_grid_url("RecordingFileStatusUpdated");
    let subscription = json!({"url": url});
    world
        .admin("POST", "event-subscriptions", subscription)
        .await;
    let call = json!({"participants": [ANNA], "chunks": [{"durationMs": 2000}]});
    let call = world.admin("POST", "calls", call).await;
    let start = json!({"serverCallId": call["serverCallId"]});
    let started = by_ada(world, Method::POST, "/recordings", start).await;
    let id = started["recordingId"]
        .as_str()
        .expect("a start gives an id");
    for action in ["pause", "resume", "stop"] {
        let path = format!("/recordings/{id}/{action}");
        by_ada(world, Method::POST, &path, Value::Null).await;
    }
    let exported = eventually("the recording is in the vault", async || {
        let path = format!("/vault/recordings/{id}");
        let (status, recording) = world.api("GET", &path, None).await;
        let is_verified = status == 200 && recording["status"] == "verified";
        is_verified.then_some(recording)
    });
    let chunk = exported.await["chunkList"][0]["documentId"].clone();
    let chunk = chunk.as_str().expect("a chunk has an id").to_owned();
    (id.to_owned(), chunk)
}

/// `what: text` of everything that happened.
async fn history(world: &World, id: &str) -> Vec<String> {
    let recording = get(world, &format!("/recordings/{id}")).await;
    let timeline = recording["timeline"].as_array().expect("there is one");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let line = |one: &Value| format!("{}: {}", text(&one["what"]), text(&one["text"]));
    timeline.iter().map(line).collect()
}

#[tokio::test]
#[expect(
    clippy::too_many_lines,
    reason = "one scenario, in the order in which it happens"
)]
async fn the_history_has_each_action_and_each_access_with_who_it_was() {
    let world = World::with(&[("OPERATOR_ACTIONS", "on")]).await;
    let (id, chunk) = recorded(&world).await;
    let post = async |path: &str, body: Value| {
        let path = format!("/vault{path}");
        by_ada(&world, Method::POST, &path, body).await
    };
    // A hold, one of her call, and standing ones by another spelling of a person and by period; all are released.
    let call = get(&world, &format!("/recordings/{id}")).await["callId"].clone();
    for hold in [
        json!({"case": "A-1", "recordingId": id}),
        json!({"case": "A-2", "callId": call}),
        json!({"case": "A-3", "person": ANNA.to_uppercase()}),
        json!({"case": "A-4", "from": "2020-01-01"}),
    ] {
        post("/holds", hold.clone()).await;
        post("/holds/release", hold).await;
    }
    post(&format!("/chunks/{chunk}/verify"), Value::Null).await;
    let media = format!("/chunks/{chunk}/media");
    let part = send(&world, Method::GET, &media, &[ADA, ("range", "bytes=0-9")]).await;
    assert_eq!(part.status(), 206);
    let whole = send(&world, Method::GET, &media, &[ADA]).await;
    assert_eq!(whole.status(), 200);
    let ticket = format!("/vault/chunks/{chunk}/ticket");
    let ticket = by_ada(&world, Method::GET, &ticket, Value::Null).await;
    let url = ticket["url"].as_str().expect("a ticket has a URL");
    assert!(!url.contains(ADA.1), "{url}");
    let played = world.client.get(format!("{}{url}", world.host.url()));
    assert_eq!(played.send().await.expect("it answers").status(), 200);
    let evidence = format!("/recordings/{id}/evidence");
    let evidence = send(&world, Method::GET, &evidence, &[ADA]).await;
    assert_eq!(evidence.status(), 200);

    let expected = [
        "started: The recording was started by ada.lovelace (claimed) through the API",
        "paused: The recording was paused by ada.lovelace (claimed) through the API",
        "resumed: The recording was resumed by ada.lovelace (claimed) through the API",
        "stopped: The recording was stopped by ada.lovelace (claimed) through the API",
        "recorded: Chunk 0 was announced",
        "exported: Chunk 0 was exported and proved",
        "sourceDeleted: Chunk 0 was deleted at ACS",
        "held: The recording was held for the case A-1 by ada.lovelace (claimed) through the API",
        "released: The recording was released from the case A-1 by ada.lovelace (claimed) through the API",
        "held: The recording was held for the case A-2 (with its call) by ada.lovelace (claimed) through the API",
        "released: The recording was released from the case A-2 (with its call) by ada.lovelace (claimed) through the API",
        "held: The recording was held for the case A-3 (standing hold) by ada.lovelace (claimed) through the API",
        "released: The recording was released from the case A-3 (standing hold) by ada.lovelace (claimed) through the API",
        "held: The recording was held for the case A-4 (standing hold) by ada.lovelace (claimed) through the API",
        "released: The recording was released from the case A-4 (standing hold) by ada.lovelace (claimed) through the API",
        "verified: Chunk 0 was compared with its receipt by ada.lovelace (claimed) through the API",
        "played: Chunk 0 was played by ada.lovelace (claimed) through the API",
        "downloaded: Chunk 0 was downloaded by ada.lovelace (claimed) through the API",
        "ticketIssued: Chunk 0 was given a ticket for playing by ada.lovelace (claimed) through the API",
        "played: Chunk 0 was played by the holder of a ticket of ada.lovelace (claimed)",
        "evidenceExported: The recording was packed as evidence by ada.lovelace (claimed) through the API",
    ];
    // Records of access are written a moment later.
    let complete = eventually("the history is complete", async || {
        let history = history(&world, &id).await;
        let has = |line: &&str| history.iter().any(|one| one == line);
        let missing: Vec<&&str> = expected.iter().filter(|line| !has(line)).collect();
        missing.is_empty().then_some(history)
    });
    let complete = complete.await;
    for line in expected {
        let times = complete.iter().filter(|one| *one == line).count();
        assert_eq!(times, 1, "{line} in {complete:#?}");
    }
    // What the account says as well is not there twice.
    for what in ["started", "paused", "resumed", "stopped"] {
        let count = complete.iter().filter(|one| one.starts_with(what)).count();
        assert_eq!(count, 1, "{what} in {complete:#?}");
    }
}

#[tokio::test]
async fn a_standing_hold_that_was_released_before_the_recording_began_is_not_in_its_history() {
    let world = World::with(&[("OPERATOR_ACTIONS", "on")]).await;
    let hold = json!({"case": "OLD", "person": ANNA});
    for path in ["/vault/holds", "/vault/holds/release"] {
        by_ada(&world, Method::POST, path, hold.clone()).await;
    }
    let hold = json!({"case": "NEW", "person": ANNA});
    by_ada(&world, Method::POST, "/vault/holds", hold).await;
    let url = world.host.event_grid_url("RecordingFileStatusUpdated");
    let subscription = json!({"url": url});
    world
        .admin("POST", "event-subscriptions", subscription)
        .await;
    let call = json!({"participants": [ANNA], "chunks": [{"durationMs": 2000}]});
    let call = world.admin("POST", "calls", call).await;
    let start = json!({"serverCallId": call["serverCallId"]});
    let started = by_ada(&world, Method::POST, "/recordings", start).await;
    let id = started["recordingId"].as_str().expect("it has an id");
    let history = history(&world, id).await;
    let has = |case: &str| history.iter().any(|line| line.contains(case));
    assert!(has("the case NEW (standing hold)"), "{history:#?}");
    assert!(!has("OLD"), "{history:#?}");
}

#[tokio::test]
async fn a_release_that_spells_the_person_in_another_way_is_in_the_history() {
    let world = World::with(&[("OPERATOR_ACTIONS", "on"), ("DEFAULT_COUNTRY", "DE")]).await;
    let event = super::archived(&world, &["4:+4930901820"]).await;
    let recording = get(&world, "/recordings").await["recordings"][0].clone();
    let id = recording["recordingId"].as_str().expect("it has an id");
    let spellings = [
        ("A-1", "030 901820", "+49 (0)30 - 901820"),
        ("A-2", "4:+4930901820", "0049 30 901820"),
        ("A-3", "004930901820", "(030) 90 18 20"),
    ];
    for (case, held, released) in spellings {
        let hold = json!({"case": case, "person": held});
        let answer = by_ada(&world, Method::POST, "/vault/holds", hold).await;
        assert_eq!(
            answer["chunks"],
            json!(crate::support::world::document_ids(&event))
        );
        let release = json!({"case": case, "person": released});
        by_ada(&world, Method::POST, "/vault/holds/release", release).await;
    }
    let history = history(&world, id).await;
    for (case, ..) in spellings {
        for what in ["held", "released"] {
            let is_it = |line: &&String| line.starts_with(what) && line.contains(case);
            let count = history.iter().filter(is_it).count();
            assert_eq!(count, 1, "{case} {what}: {history:#?}");
        }
    }
}

#[tokio::test]
async fn a_ticket_plays_where_the_name_of_its_holder_cannot_be_read() {
    let world = World::new().await;
    let event = super::archived(&world, &[ANNA]).await;
    let chunk = &crate::support::world::document_ids(&event)[0];
    let path = format!("/vault/chunks/{chunk}/ticket");
    let ticket = by_ada(&world, Method::GET, &path, Value::Null).await;
    let url = ticket["url"].as_str().expect("it has one");
    eventually("the ticket is recorded", async || {
        let records = crate::support::audit::audit_records(&world, "ticketIssued", chunk);
        (!records.is_empty()).then_some(())
    })
    .await;
    // A folder in the place of the document: reading it fails.
    let people = world.vault.with_file_name("vault-ledger").join("people");
    let names = std::fs::read_dir(&people).expect("the name is stored");
    for name in names.map(|name| name.expect("it can be listed").path()) {
        std::fs::remove_file(&name).expect("the document is a file");
        std::fs::create_dir(&name).expect("the folder is ours");
    }
    let played = world.client.get(format!("{}{url}", world.host.url()));
    assert_eq!(played.send().await.expect("it answers").status(), 200);
    let records = eventually("the access is recorded", async || {
        let records = crate::support::audit::audit_records(&world, "played", chunk);
        (!records.is_empty()).then_some(records)
    });
    let records = records.await;
    assert_eq!(records[0]["detail"], json!({"through": "ticket"}));
}

#[tokio::test]
async fn a_ticket_with_another_name_is_refused_and_nothing_is_recorded() {
    let world = World::new().await;
    let event = super::archived(&world, &[ANNA]).await;
    let chunk = &crate::support::world::document_ids(&event)[0];
    let path = format!("/chunks/{chunk}/ticket");
    let issued = async |name: &str| {
        let response = send(&world, Method::GET, &path, &[("x-operator-name", name)]).await;
        let ticket: Value = response.json().await.expect("it is JSON");
        ticket["url"].as_str().expect("it has one").to_owned()
    };
    let (ada, eve) = (issued("ada").await, issued("eve").await);
    let holder = |url: &str| url.split('.').nth(2).expect("it has a holder").to_owned();
    for forged in [
        eve.replace(&holder(&eve), &holder(&ada)),
        eve.replace(&format!(".{}", holder(&eve)), ""),
    ] {
        let response = world.client.get(format!("{}{forged}", world.host.url()));
        let response = response.send().await.expect("the host answers");
        assert_eq!(response.status(), 403, "{forged}");
    }
    let played = world.client.get(format!("{}{eve}", world.host.url()));
    assert_eq!(played.send().await.expect("it answers").status(), 200);
    let records = eventually("the access is recorded", async || {
        let records = crate::support::audit::audit_records(&world, "played", chunk);
        (!records.is_empty()).then_some(records)
    });
    let records = records.await;
    let details: Vec<&Value> = records.iter().map(|record| &record["detail"]).collect();
    assert_eq!(details, [&json!({"claimedBy": "eve", "through": "ticket"})]);
    assert!(!world.console().contains(&eve), "tickets are not logged");
}
