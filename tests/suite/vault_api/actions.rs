//! What operators do over HTTP, and what of it is in the audit log.

use std::collections::BTreeMap;

use super::*;

#[tokio::test]
async fn what_changes_something_is_refused_unless_actions_are_on() {
    let world = World::new().await;
    let event = archived(&world, &[ANNA]).await;
    let id = &document_ids(&event)[0];
    let recording = only_recording(&world).await["recordingId"]
        .as_str()
        .expect("it has an id")
        .to_owned();
    for path in [
        format!("/chunks/{id}/retry"),
        format!("/chunks/{id}/verify"),
        format!("/recordings/{recording}/hold"),
        format!("/recordings/{recording}/release"),
        "/poison/none/replay".to_owned(),
    ] {
        assert_eq!(
            error(&world, "POST", &path, Some(json!({"case": "A"}))).await,
            (403, "ActionsOff".to_owned()),
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_text_for_the_audit_log_that_names_somebody_is_refused() {
    let world = World::with(&[("OPERATOR_ACTIONS", "on")]).await;
    let number = "+1 555 123 0001 asked";
    for (path, body) in [
        ("/vault/recordings/r/acknowledge", json!({"reason": number})),
        ("/vault/poison/none/dismiss", json!({"reason": number})),
        ("/vault/recordings/r/hold", json!({"case": ANNA})),
        (
            "/vault/recordings/r/hold",
            json!({"case": "A", "note": number}),
        ),
        ("/vault/holds", json!({"recordingId": "r", "case": ANNA})),
        (
            "/vault/holds",
            json!({"recordingId": "r", "case": "A", "note": ANNA}),
        ),
    ] {
        let (status, answer) = world.api("POST", path, Some(body.clone())).await;
        let message = answer["error"]["message"].as_str().unwrap_or_default();
        assert_eq!(status, 400, "{path} {body}: {answer}");
        assert!(message.contains("phone number"), "{path} {body}: {message}");
    }
    assert_eq!(get(&world, "/holds").await["holds"], json!([]));
}

#[tokio::test]
async fn what_would_hold_nothing_is_refused_and_a_release_takes_it() {
    const CHUNK: &str = "0-eus-d12-801b3f3fc462fe8a01e6810cbff729b8";
    let world = World::with(&[("OPERATOR_ACTIONS", "on")]).await;
    for (member, value, part) in [
        ("recordingId", CHUNK, "it is the id of a chunk"),
        ("recordingId", ANNA, "it is the id of a person"),
        ("recordingId", "<x>", "quotes or brackets"),
        ("recordingId", "\"x\"", "quotes or brackets"),
        ("recordingId", " ", "it is empty"),
        ("callId", CHUNK, "it is the id of a chunk"),
        ("callId", "4:+15551230001", "give it as `person`"),
        ("callId", "'x'", "quotes or brackets"),
        ("person", CHUNK, "it is the id of a chunk"),
        ("person", "'8:acs:x'", "quotes or brackets"),
        ("person", "2026-03-02", "it is a day"),
        ("person", " ", "expected a person's id"),
    ] {
        let mut hold = json!({"case": "A"});
        hold[member] = json!(value);
        let (status, answer) = world.api("POST", "/vault/holds", Some(hold.clone())).await;
        let problem = &answer["error"];
        let message = problem["message"].as_str().unwrap_or_default();
        assert!(
            (status, &problem["target"]) == (400, &json!(member)) && message.contains(part),
            "{hold}: {answer}"
        );
        // A day reads as a phone number, which lacks its country.
        if !value.trim().is_empty() && value != "2026-03-02" {
            let (status, answer) = world.api("POST", "/vault/holds/release", Some(hold)).await;
            assert_eq!(status, 404, "{member} {value}: {answer}");
        }
    }
    let path = format!("/recordings/{CHUNK}/hold");
    let refused = error(&world, "POST", &path, Some(json!({"case": "A"}))).await;
    assert_eq!(refused, (400, "InvalidArgument".to_owned()));
    assert_eq!(get(&world, "/holds").await["holds"], json!([]));
}

#[tokio::test]
async fn a_blank_filter_does_not_list_everything() {
    let world = World::new().await;
    archived(&world, &[ANNA]).await;
    for name in [
        "from",
        "to",
        "call",
        "person",
        "participant",
        "state",
        "format",
        "q",
    ] {
        for blank in ["", "%20", "+"] {
            let path = format!("/vault/recordings?{name}={blank}");
            let (status, answer) = world.api("GET", &path, None).await;
            assert_eq!(
                (status, &answer["error"]["target"]),
                (400, &json!(name)),
                "{path}: {answer}"
            );
        }
    }
    let first = get(&world, "/recordings?continuation=").await;
    assert_eq!(first["recordings"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
#[expect(
    clippy::too_many_lines,
    reason = "one scenario, in the order in which it happens"
)]
async fn an_operator_holds_verifies_retries_and_replays_and_all_of_it_is_audited() {
    let world = World::with(&[("OPERATOR_ACTIONS", "on"), ("WEBSITE_AUTH_ENABLED", "True")]).await;
    let event = archived(&world, &[ANNA]).await;
    let id = &document_ids(&event)[0];
    let recording = only_recording(&world).await["recordingId"]
        .as_str()
        .expect("it has an id")
        .to_owned();
    let act = async |path: &str, body: Value| {
        let url = format!("{}/api/vault{path}", world.host.url());
        let request = world.client.post(url).headers(crate::rights::principal(
            "ada@contoso.com",
            &["Recordings.Operate"],
        ));
        let response = request
            .body(body.to_string())
            .send()
            .await
            .expect("the host answers");
        (
            response.status().as_u16(),
            response.json::<Value>().await.expect("it is JSON"),
        )
    };
    let holding = format!("/recordings/{recording}/hold");
    let (status, answer) = act(&holding, json!({"case": "A-1", "note": "they asked"})).await;
    assert_eq!(
        (status, &answer["holds"][0]["by"]),
        (200, &json!("ada@contoso.com")),
        "{answer}"
    );
    assert_eq!(act(&holding, json!({"case": ""})).await.0, 400);
    assert_eq!(act(&holding, json!(["A-1"])).await.0, 400);
    let (status, unknown) = act("/recordings/none/hold", json!({"case": "A-1"})).await;
    assert_eq!(
        (status, &unknown["holds"][0]["case"]),
        (200, &json!("A-1")),
        "{unknown}"
    );
    assert!(
        unknown["message"]
            .as_str()
            .is_some_and(|message| message.contains("known yet")),
        "{unknown}"
    );
    assert_eq!(
        act("/recordings/none/release", json!({"case": "A-1"}))
            .await
            .0,
        200
    );
    assert_eq!(
        act("/recordings/nobody/release", json!({"case": "A-1"}))
            .await
            .0,
        404
    );
    let shown = get(&world, &format!("/recordings/{recording}")).await;
    assert_eq!(
        (&shown["held"], &shown["holds"][0]["case"]),
        (&json!(true), &json!("A-1")),
        "{shown}"
    );
    assert_eq!(get(&world, "/summary").await["tiles"]["held"], 1);
    let (status, released) = act(
        &format!("/recordings/{recording}/release"),
        json!({"case": "A-1"}),
    )
    .await;
    let still_held = json!({"recordings": 1, "held": 0, "partlyHeld": 0, "isCapped": false, "unreadable": 0, "unreadableHolds": 0});
    let expected = json!({"holds": [], "stillHeld": still_held});
    assert_eq!((status, released), (200, expected));

    let verify = format!("/chunks/{id}/verify");
    let (_, verified) = act(&verify, Value::Null).await;
    assert_eq!(verified["verified"], true, "{verified}");
    // A directory reads its files.
    assert_eq!(verified["compared"], "content", "{verified}");
    assert_eq!(
        act(&format!("/chunks/{id}/retry"), Value::Null).await.0,
        409
    );
    let file = world.ledger_entry(id)["state"]["receipt"]["media"]["name"]
        .as_str()
        .expect("it has a name")
        .to_owned();
    std::fs::remove_file(world.vault.join(&file)).expect("the file is ours");
    let (status, lost) = act(&verify, Value::Null).await;
    assert_eq!((status, &lost["verified"]), (200, &json!(false)), "{lost}");
    assert!(
        lost["problem"]
            .as_str()
            .is_some_and(|problem| problem.contains("not in the vault")),
        "{lost}"
    );
    assert_eq!(
        error(&world, "GET", &format!("/chunks/{id}/media"), None).await,
        (410, "FileVanished".to_owned())
    );

    world.event(&json!("garbled")).await;
    let poison = get(&world, "/poison").await["poison"][0]["sha256"]
        .as_str()
        .expect("it has one")
        .to_owned();
    let (status, replayed) = act(&format!("/poison/{poison}/replay"), Value::Null).await;
    assert_eq!(
        (status, &replayed["chunks"]),
        (200, &json!(0)),
        "{replayed}"
    );
    assert!(replayed["problem"].is_string(), "{replayed}");
    assert_eq!(act("/poison/none/replay", Value::Null).await.0, 404);
    // One record each; nothing was retried.
    for (action, subject, count) in [
        ("held", format!("recording {recording}"), 1),
        ("released", format!("recording {recording}"), 1),
        ("verified", id.clone(), 2),
        ("replayed", format!("poison:{poison}"), 1),
        ("retried", id.clone(), 0),
    ] {
        let records = audit_records(&world, action, &subject);
        assert_eq!(records.len(), count, "{action} of {subject}: {records:?}");
        for record in records {
            assert_eq!(
                (&record["detail"]["by"], &record["detail"]["through"]),
                (&json!("ada@contoso.com"), &json!("api")),
                "{record}"
            );
        }
    }
}

#[tokio::test]
async fn an_action_without_a_body_refuses_one() {
    let world = World::with(&[("OPERATOR_ACTIONS", "on")]).await;
    let event = archived(&world, &[ANNA]).await;
    let id = &document_ids(&event)[0];
    let unknown = "ab".repeat(32);
    for (path, expected) in [
        (format!("/chunks/{id}/verify"), 200),
        (format!("/chunks/{id}/retry"), 409),
        (format!("/poison/{unknown}/replay"), 404),
    ] {
        for (body, expected) in [
            ("garbage", 400),
            ("[]", 400),
            (r#"{"deep": true}"#, 400),
            ("", expected),
            ("{}", expected),
            ("null", expected),
        ] {
            let url = format!("{}/api/vault{path}", world.host.url());
            let answer = world.client.post(url).body(body).send().await;
            let answer = answer.expect("the host answers");
            assert_eq!(answer.status().as_u16(), expected, "{path} {body}");
        }
    }
}

#[tokio::test]
async fn the_detail_of_a_recording_says_what_each_hold_is_on() {
    let world = World::with(&[("OPERATOR_ACTIONS", "on")]).await;
    archived(&world, &[ANNA]).await;
    let recording = only_recording(&world).await;
    let (id, call) = (&recording["recordingId"], &recording["callId"]);
    for hold in [
        json!({"case": "R", "recordingId": id}),
        json!({"case": "C", "callId": call}),
        json!({"case": "P", "person": ANNA}),
        json!({"case": "T", "from": "2000-01-01"}),
        json!({"case": "PT", "person": ANNA, "from": "2000-01-01"}),
    ] {
        let (status, answer) = world.api("POST", "/vault/holds", Some(hold)).await;
        assert_eq!(status, 200, "{answer}");
    }
    let path = format!("/recordings/{}", id.as_str().expect("it has an id"));
    let shown = get(&world, &path).await;
    let holds = shown["holds"].as_array().expect("there is a list").iter();
    let on: BTreeMap<&str, &str> = holds
        .filter_map(|hold| hold["case"].as_str().zip(hold["on"].as_str()))
        .collect();
    let expected = [
        ("R", "recording"),
        ("C", "call"),
        ("P", "person"),
        ("T", "period"),
        ("PT", "person"),
    ];
    assert_eq!(on, BTreeMap::from(expected), "{shown}");
    for (case, releases) in [("P", false), ("C", false), ("R", true)] {
        let release = format!("/vault{path}/release");
        let (status, _) = world
            .api("POST", &release, Some(json!({"case": case})))
            .await;
        assert_eq!(status == 200, releases, "{case}");
    }
}

/// How many recordings a released hold covered, how many of them are still held, and for which cases.
fn left_by(answer: &Value) -> (Value, Value, Vec<&str>) {
    let still_held = &answer["stillHeld"];
    let holds = answer["holds"].as_array().into_iter().flatten();
    let cases = holds.filter_map(|hold| hold["case"].as_str());
    let (recordings, held) = (&still_held["recordings"], &still_held["held"]);
    (recordings.clone(), held.clone(), cases.collect())
}

#[tokio::test]
async fn a_release_says_how_many_of_the_recordings_that_the_hold_covered_are_still_held() {
    let world = World::with(&[("OPERATOR_ACTIONS", "on")]).await;
    let call_id = "6f1c2f5e-0d0b-4a55-9a43-1f6f2f6b7f01";
    let call = json!({"callId": call_id, "chunks": [{"durationMs": 1000}]});
    for _ in 0..2 {
        let event = world.recording(json!({"call": call})).await;
        world.event(&event).await;
    }
    world.sweep().await;
    let recordings = get(&world, "/recordings").await["recordings"].clone();
    assert_eq!(recordings.as_array().map(Vec::len), Some(2), "{recordings}");
    let id = &recordings[0]["recordingId"];
    let of_call = json!({"case": "Y-1", "callId": call_id});
    let of_one = json!({"case": "Y-1", "recordingId": id});
    let of_period = json!({"case": "Z-2", "from": "2000-01-01"});
    let of_other = json!({"case": "Z-2", "recordingId": id});
    let act = async |path: &str, hold: &Value| {
        let (status, answer) = world.api("POST", path, Some(hold.clone())).await;
        assert_eq!(status, 200, "{path} {hold}: {answer}");
        answer
    };
    let release = async |hold: &Value| act("/vault/holds/release", hold).await;

    act("/vault/holds", &of_call).await;
    act("/vault/holds", &of_one).await;
    let answer = release(&of_call).await;
    assert_eq!(left_by(&answer), (json!(2), json!(1), vec!["Y-1"]));
    // A repeated release has the same answer.
    let answer = release(&of_call).await;
    assert_eq!(left_by(&answer), (json!(2), json!(1), vec!["Y-1"]));
    let answer = release(&of_one).await;
    assert_eq!(left_by(&answer), (json!(1), json!(0), vec![]));

    act("/vault/holds", &of_period).await;
    act("/vault/holds", &of_other).await;
    let answer = release(&of_period).await;
    assert_eq!(left_by(&answer), (json!(2), json!(1), vec!["Z-2"]));
}

#[tokio::test]
async fn a_release_says_that_a_hold_is_not_readable() {
    let world = World::with(&[("OPERATOR_ACTIONS", "on")]).await;
    archived(&world, &[ANNA]).await;
    let id = only_recording(&world).await["recordingId"].clone();
    let hold = json!({"case": "A-1", "recordingId": id});
    let (status, answer) = world.api("POST", "/vault/holds", Some(hold.clone())).await;
    assert_eq!(status, 200, "{answer}");
    let damaged = format!("holds/{}.json", "0".repeat(64));
    let damaged = world.vault.with_file_name("vault-ledger").join(damaged);
    std::fs::write(damaged, "{").expect("the folder is ours");
    let (status, answer) = world.api("POST", "/vault/holds/release", Some(hold)).await;
    assert_eq!((status, &answer["holds"]), (200, &json!([])), "{answer}");
    assert_eq!(answer["stillHeld"]["unreadableHolds"], 1, "{answer}");
}

#[tokio::test]
async fn a_case_that_never_held_a_recording_cannot_be_released() {
    let world = World::with(&[("OPERATOR_ACTIONS", "on")]).await;
    archived(&world, &[ANNA]).await;
    let recording = only_recording(&world).await["recordingId"].clone();
    let path = format!(
        "/recordings/{}/release",
        recording.as_str().unwrap_or_default()
    );
    let body = json!({"case": "A-1"});
    let one = error(&world, "POST", &path, Some(body)).await;
    let body = json!({"case": "A-1", "recordingId": recording});
    let other = error(&world, "POST", "/holds/release", Some(body)).await;
    assert_eq!(one, (404, "HoldNotFound".to_owned()));
    assert_eq!(one, other);
}
