//! The second door for events: a plain webhook, with both of Event Grid's handshakes, its schemas and its authentication.

use serde_json::{Value, json};

use crate::support::eventually;
use crate::support::issuer::{self, Issuer};
use crate::support::open_metrics;
use crate::support::world::{World, document_ids, json_answer};

fn fixture(name: &str) -> Value {
    let path = format!("{}/tests/fixtures/{name}", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_slice(&std::fs::read(path).expect("the fixture is there"))
        .expect("a fixture is JSON")
}

/// What Event Grid sends with the validation of a subscription.
const HANDSHAKE: (&str, &str) = ("aeg-event-type", "SubscriptionValidation");

/// To the handler itself; the host's function key is not what this is about.
async fn post(
    world: &World,
    query: &str,
    headers: &[(&str, &str)],
    body: impl Into<reqwest::Body>,
) -> (u16, Value) {
    let mut request = world
        .client
        .post(format!(
            "{}/api/eventgrid/webhook{query}",
            world.handler_url().await
        ))
        .body(body);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    json_answer(request.send().await.expect("the handler answers")).await
}

#[tokio::test]
async fn a_subscription_is_validated_at_once_through_the_host() {
    let world = World::new().await;
    let validation = fixture("handshake/h01_subscription_validation.json");
    let (status, answer) = world
        .api("POST", "/eventgrid/webhook", Some(validation))
        .await;
    assert_eq!(
        (status, answer),
        (
            200,
            json!({"validationResponse": "512d38b6-c7b8-40c8-89fe-f46f9e9622b6"})
        )
    );
}

#[tokio::test]
async fn the_handshake_of_cloud_events_allows_only_event_grid() {
    let world = World::new().await;
    let handshake = fixture("handshake/h02_cloudevents_options.json");
    let ask = async |origin: &str| {
        let url = format!("{}/api/eventgrid/webhook", world.host.url());
        let request = world
            .client
            .request(reqwest::Method::OPTIONS, url)
            .header("WebHook-Request-Origin", origin);
        let rate = handshake["headers"]["WebHook-Request-Rate"]
            .as_str()
            .expect("the handshake has a rate");
        let response = request
            .header("WebHook-Request-Rate", rate)
            .send()
            .await
            .expect("the host answers");
        let header = |name: &str| {
            response
                .headers()
                .get(name)
                .and_then(|value| value.to_str().ok())
                .map(str::to_owned)
        };
        (
            response.status().as_u16(),
            header("webhook-allowed-origin"),
            header("webhook-allowed-rate"),
        )
    };
    let event_grid = handshake["headers"]["WebHook-Request-Origin"]
        .as_str()
        .expect("the handshake has an origin");
    assert_eq!(
        ask(event_grid).await,
        (200, Some(event_grid.to_owned()), Some("120".to_owned()))
    );
    assert_eq!(ask("evil.example").await.1, None);
}

/// Otherwise a subscription with a wrong secret is created, and each of its deliveries is refused.
#[tokio::test]
async fn no_handshake_succeeds_without_the_secret_that_deliveries_need() {
    let world = World::with(&[("EVENT_GRID_SECRET", "a secret+of-16-characters")]).await;
    let validation = fixture("handshake/h01_subscription_validation.json").to_string();
    for (host, query, expected) in [
        (true, "", 401),
        (true, "?secret=another-of-16-characters", 401),
        (true, "?secret=a%20secret%2Bof-16-characters", 200),
        (false, "?secret=", 401),
        (false, "?code=k&secret=a%20secret%2Bof-16-characters", 200),
    ] {
        let base = if host {
            world.host.url()
        } else {
            world.handler_url().await
        };
        let request = world
            .client
            .request(
                reqwest::Method::OPTIONS,
                format!("{base}/api/eventgrid/webhook{query}"),
            )
            .header("WebHook-Request-Origin", "eventgrid.azure.net");
        let answer = request.send().await.expect("it answers");
        let is_allowed = answer.headers().contains_key("webhook-allowed-origin");
        assert_eq!(
            (answer.status().as_u16(), is_allowed),
            (expected, expected == 200),
            "{query}"
        );
        let (status, _) = post(&world, query, &[HANDSHAKE], validation.clone()).await;
        assert_eq!(status, expected, "{query}");
    }
}

#[tokio::test]
async fn an_unsubscription_is_taken_note_of() {
    let world = World::new().await;
    let unsubscribed = [("aeg-event-type", "Unsubscribe")];
    let deleted =
        json!({"id": "1", "eventType": "Microsoft.EventGrid.SubscriptionDeletedEvent", "data": {}});
    let told = [
        &deleted.to_string(),
        &format!("[{deleted}]"),
        "[]",
        "{}",
        "[{}]",
        "\n",
        "",
    ];
    for body in told {
        let answer = post(&world, "", &unsubscribed, body.to_owned()).await;
        assert_eq!(answer, (202, json!({"unsubscribed": true})), "{body}");
    }
    assert!(world.poison().is_empty());
    assert_eq!(removals_reported(&world), told.len());
}

fn removals_reported(world: &World) -> usize {
    let console = world.console();
    console
        .matches("An Event Grid subscription was removed")
        .count()
}

#[tokio::test]
async fn the_last_delivery_of_a_subscription_loses_no_recording() {
    let world = World::new().await;
    let event = world
        .recording(json!({"call": {"chunks": [{"durationMs": 1000}]}}))
        .await;
    let unsubscribed = [("aeg-event-type", "Unsubscribe")];
    let answer = post(&world, "", &unsubscribed, json!([event]).to_string()).await;
    assert_eq!(answer, (200, json!({"chunks": 1})));
    let entry = world.ledger_entry(&document_ids(&event)[0]);
    assert_eq!(entry["state"]["name"], "sourceDeleted");
    assert_eq!(removals_reported(&world), 1);
    let kept = post(&world, "", &unsubscribed, "<html>").await;
    assert_eq!((kept.0, world.poison().len()), (200, 1));
    let deleted =
        json!({"id": "1", "eventType": "Microsoft.EventGrid.SubscriptionDeletedEvent", "data": {}});
    assert_eq!(post(&world, "", &[], deleted.to_string()).await.0, 200);
    world.event(&deleted).await;
    assert_eq!(removals_reported(&world), 4);
}

/// Names of people are in events of calls, and JSON libraries cut them in the middle of a character.
#[tokio::test]
async fn what_other_libraries_write_makes_no_event_unreadable() {
    let world = World::new().await;
    let odd = [
        r#"{"displayName": "Ann \ud83d"}"#,
        r#"{"weight": 1e999}"#,
        r#"{"weight": NaN}"#,
    ];
    for member in odd {
        let sibling = format!(
            r#"{{"id": "1", "eventType": "Microsoft.Communication.CallParticipantAdded", "data": {member}}}"#
        );
        let event = world
            .recording(json!({"call": {"chunks": [{"durationMs": 1000}]}}))
            .await;
        let batch = format!("[{event}, {sibling}]");
        let answer = post(&world, "", &[], batch).await;
        assert_eq!(answer, (200, json!({"chunks": 1})), "{member}");
        let mut event = world
            .recording(json!({"call": {"chunks": [{"durationMs": 1000}]}}))
            .await;
        event["data"]["odd"] = "ODD".into();
        let alone = event.to_string().replace("\"ODD\"", member);
        let answer = post(&world, "", &[], alone.clone()).await;
        assert_eq!(answer, (200, json!({"chunks": 1})), "{member}");
        // The host sends the event as an object, or as text.
        for event in [alone.clone(), Value::from(alone).to_string()] {
            let envelope = format!(r#"{{"Data": {{"event": {event}}}, "Metadata": {{}}}}"#);
            let (status, answer) = world.envelope("RecordingFileStatusUpdated", envelope).await;
            assert_eq!(status, 200, "{answer}");
        }
    }
    assert!(world.poison().is_empty());
}

#[tokio::test]
async fn an_unreadable_event_is_kept_alone_and_the_others_are_taken() {
    let world = World::new().await;
    let deep = format!("{}{}", "[".repeat(500), "]".repeat(500));
    for (number, unreadable) in ["<html>", &deep, r#"{"id": 7, "data": {]}"#]
        .into_iter()
        .enumerate()
    {
        let event = world
            .recording(json!({"call": {"chunks": [{"durationMs": 1000}]}}))
            .await;
        let answer = post(&world, "", &[], format!("[{unreadable}, {event}]")).await;
        assert_eq!(answer, (200, json!({"chunks": 1})), "{unreadable}");
        assert_eq!(world.poison().len(), number + 1, "{unreadable}");
    }
}

#[tokio::test]
async fn a_body_that_is_not_text_is_kept_byte_for_byte() {
    let world = World::new().await;
    let answer = post(&world, "", &[], b"\xff\x00<".to_vec()).await;
    assert_eq!(answer, (200, json!({"chunks": 0})));
    let poison = world.poison();
    let kept = poison.values().next().expect("it is kept");
    let kept: Value = serde_json::from_slice(kept).expect("poison is JSON");
    assert_eq!(kept["event"], "/wA8");
}

#[tokio::test]
async fn a_delivery_that_a_gateway_compressed_is_taken() {
    let world = World::new().await;
    let event = world
        .recording(json!({"call": {"chunks": [{"durationMs": 1000}]}}))
        .await;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut encoder, json!([event]).to_string().as_bytes())
        .expect("memory takes it");
    let body = encoder.finish().expect("memory takes it");
    let answer = post(&world, "", &[("content-encoding", "gzip")], body).await;
    assert_eq!(answer, (200, json!({"chunks": 1})));
}

/// As after an upgrade: an earlier version kept a whole delivery because of one event.
#[tokio::test]
async fn a_replay_takes_the_readable_events_of_a_delivery_that_was_kept_whole() {
    let world = World::with(&[("OPERATOR_ACTIONS", "on")]).await;
    // The first poison creates the folder.
    post(&world, "", &[], "<html>").await;
    for sibling in [r#"{"type": "T", "data": {"a": "\ud83d"}}"#, "<html>"] {
        let event = world
            .recording(json!({"call": {"chunks": [{"durationMs": 1000}]}}))
            .await;
        let sha256 = "ab".repeat(32);
        let kept = json!({
            "reason": "the delivery is not JSON", "keptAt": "2026-03-02T10:00:00Z", "sha256": sha256,
            "event": format!("[{event}, {sibling}]"),
        });
        std::fs::write(
            world.poison_folder().join(format!("{sha256}.json")),
            kept.to_string(),
        )
        .expect("the folder is there");
        let replay = format!("/vault/poison/{sha256}/replay");
        let (status, answer) = world.api("POST", &replay, None).await;
        assert_eq!((status, &answer["chunks"]), (200, &json!(1)), "{answer}");
        // What is still unreadable stays.
        let stays = sibling == "<html>";
        assert_eq!(answer.get("problem").is_some(), stays, "{answer}");
        assert_eq!(world.poison().len(), 1 + usize::from(stays));
    }
}

#[tokio::test]
async fn events_of_both_schemas_alone_and_many_are_exported() {
    let world = World::new().await;
    let mut exported = 0;
    for schema in ["eventGrid", "cloudEvents"] {
        let wanted = json!({"schema": schema, "call": {"chunks": [{"durationMs": 1000}]}});
        let (one, two) = (
            world.recording(wanted.clone()).await,
            world.recording(wanted).await,
        );
        let alone = if schema == "cloudEvents" {
            one
        } else {
            json!([one])
        };
        assert_eq!(
            post(&world, "", &[], alone.to_string()).await,
            (200, json!({"chunks": 1}))
        );
        // The same one again, beside another.
        let many = json!([two, alone.get(0).unwrap_or(&alone)]);
        assert_eq!(
            post(&world, "", &[], format!("\u{feff}{many}")).await,
            (200, json!({"chunks": 2}))
        );
        exported += 2;
        assert_eq!(
            world
                .vault_files()
                .keys()
                .filter(|name| name.contains("receipt"))
                .count(),
            exported
        );
    }
}

#[tokio::test]
async fn a_thousand_events_in_one_batch_are_all_recorded() {
    let world = World::with(&[("EVENT_BUDGET", "1s")]).await;
    let event = world.recording(json!({})).await;
    let batch: Vec<Value> = (0..1000)
        .map(|number| {
            let mut event = event.clone();
            event["data"]["recordingStorageInfo"]["recordingChunks"][0]["documentId"] =
                format!("0-eus-d1-{number:032}").into();
            event
        })
        .collect();
    let (status, answer) = post(&world, "", &[], json!(batch).to_string()).await;
    assert_eq!((status, answer), (200, json!({"chunks": 1000})));
    assert_eq!(
        world.ledger_entry(&format!("0-eus-d1-{:032}", 999))["chunk"]["documentId"],
        format!("0-eus-d1-{:032}", 999)
    );
}

#[tokio::test]
async fn what_cannot_be_read_is_kept_and_acknowledged() {
    let world = World::new().await;
    let deep = "[".repeat(10_000);
    for (number, body) in ["<html>", "{\"no\": \"event\"}", &deep, ""]
        .into_iter()
        .enumerate()
    {
        let (status, answer) = post(&world, "", &[], body.to_owned()).await;
        assert_eq!((status, answer), (200, json!({"chunks": 0})), "{number}");
        assert_eq!(world.poison().len(), number + 1);
    }
}

#[tokio::test]
async fn the_secret_lets_in_and_nothing_else_does() {
    let secret = "a b+c&d-0123456789";
    let world = World::with(&[("EVENT_GRID_SECRET", secret)]).await;
    for query in [
        "?secret=a%20b%2Bc%26d-0123456789",
        "?secret=a+b%2Bc%26d-0123456789",
        "?code=k&secret=a%20b+c&d-0123456789",
    ] {
        assert_eq!(post(&world, query, &[], "[]").await.0, 200, "{query}");
    }
    for query in [
        "",
        "?secret=",
        "?secret=a",
        "?other=a%20b%2Bc%26d-0123456789",
    ] {
        let (status, answer) = post(&world, query, &[], "[]").await;
        assert_eq!(status, 503, "{query}");
        let message = answer["error"]["message"].as_str().expect("it says why");
        assert!(message.contains("%2B"), "{message}");
    }
    assert_eq!(post(&world, "", &[HANDSHAKE], "[]").await.0, 401);
    assert!(!world.console().contains(secret));
    let reported = "Deliveries of events without the right secret are refused, and may be authentic; compare EVENT_GRID_SECRET with the subscription's URL";
    assert_eq!(world.console().matches(reported).count(), 1);
    assert_eq!(refused(&world).await, Some(4.0), "no handshake is counted");
}

/// How many deliveries the handler says that it refused.
async fn refused(world: &World) -> Option<f64> {
    let url = format!("{}/api/metrics", world.handler_url().await);
    let answer = world.client.get(url).send().await;
    let text = answer.expect("the handler answers").text().await;
    let families = open_metrics::parse(&text.expect("metrics are text"));
    families["recording_vault_deliveries_refused"]
        .sample("recording_vault_deliveries_refused_total")
}

/// Event Grid drops what is answered with 401, and repeats what is answered with 503.
#[tokio::test]
async fn an_event_with_the_secret_of_before_a_rotation_is_taken_when_it_is_repeated() {
    let world = World::with(&[("EVENT_GRID_SECRET", "the-secret-after-the-rotation")]).await;
    let event = world
        .recording(json!({"call": {"chunks": [{"durationMs": 1000}]}}))
        .await;
    let deliver = async |secret: &str| {
        let query = format!("?secret={secret}");
        post(&world, &query, &[], json!([event]).to_string()).await
    };
    assert_eq!(deliver("the-secret-before-the-rotation").await.0, 503);
    assert!(world.poison().is_empty());
    let taken = deliver("the-secret-after-the-rotation").await;
    assert_eq!(taken, (200, json!({"chunks": 1})));
}

fn validation() -> Value {
    fixture("handshake/h01_subscription_validation.json")[0].clone()
}

#[tokio::test]
async fn a_recording_beside_a_validation_is_taken() {
    let world = World::new().await;
    for is_first in [true, false] {
        let event = world
            .recording(json!({"call": {"chunks": [{"durationMs": 1000}]}}))
            .await;
        let batch = if is_first {
            json!([validation(), event])
        } else {
            json!([event, validation()])
        };
        let (status, answer) = post(&world, "", &[], batch.to_string()).await;
        assert_eq!((status, &answer["chunks"]), (200, &json!(1)));
        assert_eq!(
            answer["validationResponse"],
            "512d38b6-c7b8-40c8-89fe-f46f9e9622b6"
        );
        let entry = world.ledger_entry(&document_ids(&event)[0]);
        assert_eq!(entry["state"]["name"], "sourceDeleted");
    }
}

#[tokio::test]
async fn a_cloud_event_in_binary_mode_is_taken_and_kept_with_its_attributes() {
    let world = World::new().await;
    let event = world
        .recording(json!({"call": {"chunks": [{"durationMs": 1000}]}}))
        .await;
    let event_type = "Microsoft.Communication.RecordingFileStatusUpdated";
    let subject = event["subject"].as_str().expect("an event has a subject");
    let headers = [
        ("ce-specversion", "1.0"),
        ("ce-type", event_type),
        ("ce-id", "binary-1"),
        ("ce-source", "/subscriptions/x"),
        ("ce-subject", subject),
        ("content-type", "application/json"),
    ];
    let answer = post(&world, "", &headers, event["data"].to_string()).await;
    assert_eq!(answer, (200, json!({"chunks": 1})));

    let answer = post(&world, "", &headers, "<html>").await;
    assert_eq!(answer, (200, json!({"chunks": 0})));
    let kept: String = world
        .poison()
        .values()
        .map(|document| String::from_utf8_lossy(document))
        .collect();
    assert!(
        kept.contains("binary-1") && kept.contains(subject),
        "{kept}"
    );
}

/// Event Grid drops what is answered with 400, 401, 403 or 413.
#[tokio::test]
async fn a_delivery_that_is_too_large_is_not_dropped() {
    let world = World::new().await;
    let body = format!("[\"{}\"]", "x".repeat(9 << 20));
    assert_eq!(post(&world, "", &[], body).await.0, 503);
}

#[tokio::test]
async fn many_wrong_chunks_are_one_poison_and_one_line() {
    let world = World::new().await;
    let chunks = vec![json!(7); 100_000];
    let data = json!({"recordingStorageInfo": {"recordingChunks": chunks}});
    let event_type = "Microsoft.Communication.RecordingFileStatusUpdated";
    let event = json!({"id": "many", "eventType": event_type, "data": data});
    let answer = post(&world, "", &[], event.to_string()).await;
    assert_eq!(answer, (200, json!({"chunks": 0})));
    assert_eq!(world.poison().len(), 1);
    assert_eq!(
        world
            .console()
            .matches("Kept an unreadable event as poison")
            .count(),
        1
    );
}

#[tokio::test]
async fn a_secured_subscription_shows_its_token() {
    let issuer = Issuer::start().await;
    let openid_url = issuer.openid_url();
    let world = World::with(&[
        ("EVENT_GRID_AUDIENCE", issuer::AUDIENCE),
        ("EVENT_GRID_OPENID_URL", &openid_url),
    ])
    .await;
    let bearer = |token: String| format!("Bearer {token}");
    let right = bearer(issuer.token(&issuer.claims()));
    let event = world
        .recording(json!({"call": {"chunks": [{"durationMs": 1000}]}}))
        .await;
    assert_eq!(
        post(
            &world,
            "",
            &[("authorization", &right)],
            json!([event]).to_string()
        )
        .await
        .0,
        200
    );
    assert_eq!(
        world.ledger_entry(&document_ids(&event)[0])["state"]["name"],
        "sourceDeleted"
    );
    let forged = bearer(issuer::forged(&issuer.claims()));
    assert_eq!(
        post(&world, "", &[("authorization", &forged)], "[]")
            .await
            .0,
        401
    );
    let unreachable = [
        ("EVENT_GRID_AUDIENCE", issuer::AUDIENCE),
        ("EVENT_GRID_OPENID_URL", "http://127.0.0.1:1/openid"),
    ];
    let world = World::with(&unreachable).await;
    // It may be authentic: Event Grid is to come again, and it drops what is answered with 401.
    assert_eq!(
        post(&world, "", &[("authorization", &right)], "[]").await.0,
        503
    );
}

/// Settings may be wrong, and a key may be newer than the last look at the issuer: such a delivery may be authentic.
#[tokio::test]
async fn a_token_that_is_not_what_settings_expect_is_asked_for_again() {
    let issuer = Issuer::start().await;
    let openid_url = issuer.openid_url();
    let world = World::with(&[
        ("EVENT_GRID_AUDIENCE", issuer::AUDIENCE),
        ("EVENT_GRID_OPENID_URL", &openid_url),
    ])
    .await;
    let with = |name: &str, value: &str| {
        let mut claims = issuer.claims();
        claims[name] = value.into();
        issuer.token(&claims)
    };
    let newer_key = issuer.token_with(&issuer.claims(), |header| header.kid = Some("k2".into()));
    let tokens = [
        ("none", None),
        ("newer key", Some(newer_key)),
        (
            "another issuer",
            Some(with("iss", "https://sts.windows.net/x/")),
        ),
        ("another audience", Some(with("aud", "api://another"))),
        ("another application", Some(with("azp", "another"))),
    ];
    for (what, token) in tokens {
        let bearer = token.map(|token| format!("Bearer {token}"));
        let token = bearer.iter().map(|bearer| ("authorization", &**bearer));
        let token: Vec<(&str, &str)> = token.collect();
        let (status, answer) = post(&world, "", &token, "[]").await;
        assert_eq!(
            (status, &answer["error"]["code"]),
            (503, &json!("Unauthorized")),
            "{what}: {answer}"
        );
        // No subscription is created whose events would be refused.
        let handshake = [&token[..], &[HANDSHAKE]].concat();
        let (status, answer) = post(&world, "", &handshake, "[]").await;
        assert_eq!(status, 401, "{what}: {answer}");
    }
    let reported =
        "Deliveries whose token is not what the settings expect are refused, and may be authentic";
    assert_eq!(world.console().matches(reported).count(), 1);
    eventually("each handshake is reported", async || {
        let handshakes = "Refused a handshake without the right token";
        (world.console().matches(handshakes).count() == 5).then_some(())
    })
    .await;
    assert_eq!(refused(&world).await, Some(5.0), "no handshake is counted");
}

#[tokio::test]
async fn ids_of_settings_match_those_of_tokens_however_they_are_written() {
    let issuer = Issuer::start().await;
    let openid_url = issuer.openid_url();
    let braced = format!("{{{}}}", issuer::AUDIENCE.to_uppercase());
    let world = World::with(&[
        ("EVENT_GRID_AUDIENCE", &braced),
        ("EVENT_GRID_OPENID_URL", &openid_url),
        ("EVENT_GRID_APP_ID", "4962773B9CDB44CFA8BF237846A00AB7"),
    ])
    .await;
    let bearer = format!("Bearer {}", issuer.token(&issuer.claims()));
    let answer = post(&world, "", &[("authorization", &bearer)], "[]").await;
    assert_eq!(answer.0, 200, "{}", answer.1);
}

#[tokio::test]
async fn the_envelope_form_gives_the_same_answers() {
    let world = World::new().await;
    let validation = fixture("handshake/h01_subscription_validation.json");
    let request = json!({"Url": "http://localhost:7071/api/eventgrid/webhook?code=k", "Method": "POST", "Headers": {}, "Body": validation.to_string()});
    let (status, answer) = world
        .envelope(
            "EventGridWebhook",
            json!({"Data": {"req": request}}).to_string(),
        )
        .await;
    assert_eq!(status, 200);
    assert_eq!(
        answer["Outputs"]["res"]["body"]["validationResponse"],
        "512d38b6-c7b8-40c8-89fe-f46f9e9622b6",
        "{answer}"
    );
}

/// Event Grid drops an event that is answered with 400.
#[tokio::test]
async fn an_envelope_without_a_request_is_a_failure_that_event_grid_retries() {
    let world = World::new().await;
    for envelope in [
        json!({"Data": {}}),
        json!({"Data": {"req": {}}}),
        json!({"Data": {"req": {"Url": "http://localhost/api/other", "Method": "POST"}}}),
        json!({"Data": {"req": {"Url": "http://localhost/api/eventgrid/webhook", "Method": "NO METHOD"}}}),
        json!([]),
    ] {
        let answer = world
            .envelope("EventGridWebhook", envelope.to_string())
            .await;
        assert_eq!(answer.0, 500, "{envelope}: {}", answer.1);
    }
}
