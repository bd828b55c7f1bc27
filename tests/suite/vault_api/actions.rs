//! What operators do over HTTP, and what of it is in the audit log.

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
    assert_eq!((status, released), (200, json!({"holds": []})));

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
