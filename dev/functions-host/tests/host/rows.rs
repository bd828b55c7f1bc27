//! Observed behaviour of the real host that a stand-in easily gets wrong, one test for each.

use functions_host::{Generation, Keys, Options};
use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::world::{PYTHON, World};

fn of_generation(generation: Generation) -> impl FnOnce(&mut Options) {
    move |options| options.generation = generation
}

fn with_keys(options: &mut Options) {
    options.keys = Keys {
        host: Some("host".to_owned()),
        system: Some("system".to_owned()),
        master: Some("master".to_owned()),
        functions: [("OnHttp", "own"), ("OnEnvelope", "other")]
            .map(|(function, key)| (function.to_owned(), key.to_owned()))
            .into(),
    };
}

async fn send(
    world: &World,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: &'static str,
) -> Response {
    let mut request = world
        .client
        .request(method, format!("{}{path}", world.host.url()));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = if body.is_empty() {
        request
    } else {
        request.body(body)
    };
    request.send().await.expect("the host answers")
}

async fn status(world: &World, method: Method, path: &str, headers: &[(&str, &str)]) -> u16 {
    let answer = send(world, method, path, headers, "").await;
    answer.status().as_u16()
}

/// What the handler saw of a GET.
async fn seen(world: &World, path: &str, headers: &[(&str, &str)]) -> Value {
    let answer = send(world, Method::GET, path, headers, "").await;
    answer.json().await.expect("the echo is JSON")
}

#[tokio::test]
async fn each_key_opens_what_it_opens_at_the_host() {
    let world = World::with(PYTHON, with_keys).await;
    let webhook = "/runtime/webhooks/eventgrid?functionName=OnEvent";
    for (key, function, admin, event_grid) in [
        ("", 401, 401, 401),
        ("wrong", 401, 401, 401),
        ("own", 418, 401, 401),
        ("other", 401, 401, 401),
        ("host", 418, 403, 403),
        ("system", 401, 403, 202),
        ("master", 418, 200, 202),
    ] {
        let header = [("x-functions-key", key), ("aeg-event-type", "Unsubscribe")];
        let got = (
            status(&world, Method::GET, "/api/things/a", &header).await,
            status(&world, Method::GET, "/admin/host/status", &header).await,
            status(&world, Method::POST, webhook, &header).await,
        );
        assert_eq!(got, (function, admin, event_grid), "{key}");
    }
}

#[tokio::test]
async fn a_wrong_key_in_the_header_wins_over_a_right_one_in_the_query() {
    let world = World::with(PYTHON, with_keys).await;
    let wrong = [("x-functions-key", "wrong")];
    for (query, headers, expected) in [
        ("?code=own", &wrong[..], 401),
        ("?CODE=own", &[][..], 418),
        ("?code=wrong", &[("x-functions-key", "own")][..], 418),
    ] {
        let path = format!("/api/things/a{query}");
        assert_eq!(
            status(&world, Method::GET, &path, headers).await,
            expected,
            "{query}"
        );
    }
    let refused = send(&world, Method::GET, "/api/things/a", &wrong, "").await;
    assert!(refused.headers().get("www-authenticate").is_none());
    let refused = send(&world, Method::GET, "/admin/host/status", &wrong, "").await;
    assert_eq!(refused.headers()["www-authenticate"], "Bearer");
}

#[tokio::test]
async fn the_event_grid_webhook_answers_the_cloud_events_handshake() {
    let world = World::new(PYTHON).await;
    let path = "/runtime/webhooks/eventgrid?functionName=OnEvent";
    let origin = [("webhook-request-origin", "eventgrid.azure.net")];
    let answer = send(&world, Method::OPTIONS, path, &origin, "").await;
    assert_eq!(answer.status(), 200);
    assert_eq!(
        answer.headers()["webhook-allowed-origin"],
        "eventgrid.azure.net"
    );
}

#[rstest::rstest]
#[case::no_json("<html>")]
#[case::empty("")]
#[case::string("\"an event\"")]
#[tokio::test]
async fn a_webhook_body_without_events_is_a_500(#[case] body: &'static str) {
    let world = World::new(PYTHON).await;
    let path = "/runtime/webhooks/eventgrid?functionName=OnEvent";
    let notification = [("aeg-event-type", "Notification")];
    let answer = send(&world, Method::POST, path, &notification, body).await;
    assert_eq!(answer.status(), 500);
}

#[tokio::test]
async fn an_event_keeps_the_order_of_its_members_and_its_dates_become_utc() {
    let world = World::new(PYTHON).await;
    let event =
        r#"{"zeta": 1, "eventTime": "2026-03-02T12:16:05+02:00", "data": {"b": 1, "a": 2}}"#;
    let path = "/runtime/webhooks/eventgrid?functionName=OnEvent";
    let notification = [("aeg-event-type", "Notification")];
    assert_eq!(
        send(&world, Method::POST, path, &notification, event)
            .await
            .status(),
        202
    );
    world
        .until("the handler prints the event", |world| {
            world.console().contains(r#"{"event":{"zeta":1,"eventTime":"2026-03-02T10:16:05+00:00","data":{"b":1,"a":2}}}"#)
        })
        .await;
}

#[tokio::test]
async fn an_http_envelope_has_query_headers_route_and_body_in_its_metadata() {
    let world = World::new(PYTHON).await;
    let headers = [("x-mine", "here")];
    let body = r#"{"wish": "tea", "count": 4}"#;
    send(
        &world,
        Method::POST,
        "/api/enveloped/7?colour=red",
        &headers,
        body,
    )
    .await;
    for part in [
        r#""colour":"\"red\"""#,
        r#""id":"\"7\"""#,
        r#""wish":"\"tea\"""#,
        r#""count":"4""#,
        r#""Query":{"colour":"red"}"#,
        r#""x-mine":"here""#,
        r#""$sys":{"#,
        r#""sys":{"MethodName":"OnEnvelope""#,
    ] {
        world
            .until(part, |world| world.console().contains(part))
            .await;
    }
}

#[rstest::rstest]
#[case(Generation::Proxying, "/api/things/a%252Fb")]
#[case(Generation::Forwarding, "/api/things/a%2Fb")]
#[tokio::test]
async fn an_encoded_slash_reaches_the_handler_as_each_host_sends_it(
    #[case] generation: Generation,
    #[case] expected: &str,
) {
    let world = World::with(PYTHON, of_generation(generation)).await;
    assert_eq!(
        seen(&world, "/api/things/a%2Fb", &[]).await["path"],
        expected
    );
}

#[tokio::test]
async fn a_proxying_host_names_the_caller_in_forwarded_headers() {
    let world = World::new(PYTHON).await;
    let claimed = [
        ("x-forwarded-for", "203.0.113.7"),
        ("x-azure-functions-invocationid", "mine"),
        ("user-agent", "me/1"),
    ];
    let headers = seen(&world, "/api/things/a", &claimed).await["headers"].clone();
    let of_host = world.host.url().replace("http://", "");
    assert_eq!(headers["x-forwarded-host"], of_host.as_str());
    assert_eq!(headers["x-forwarded-for"], "127.0.0.1");
    assert_eq!(headers["x-forwarded-proto"], "http");
    assert_eq!(headers["user-agent"], "me/1");
    assert_ne!(headers["host"], of_host.as_str(), "it is the handler's own");
    let id = headers["x-azure-functions-invocationid"].as_str();
    assert!(id.is_some_and(|id| !id.contains("mine")), "{id:?}");
}

#[tokio::test]
async fn a_forwarding_host_keeps_the_callers_headers_and_appends_its_own() {
    let world = World::with(PYTHON, of_generation(Generation::Forwarding)).await;
    let claimed = [
        ("x-forwarded-for", "203.0.113.7"),
        ("x-azure-functions-invocationid", "mine"),
        ("user-agent", "me/1"),
    ];
    let headers = seen(&world, "/api/things/a", &claimed).await["headers"].clone();
    assert_eq!(
        headers["host"],
        world.host.url().replace("http://", "").as_str()
    );
    assert_eq!(headers["x-forwarded-for"], "203.0.113.7");
    assert!(headers["x-forwarded-host"].is_null());
    let text = |name: &str| headers[name].as_str().unwrap_or_default().to_owned();
    assert!(text("user-agent").starts_with("me/1 Azure-Functions-Host/4."));
    assert!(text("x-azure-functions-invocationid").starts_with("mine, "));
}

#[rstest::rstest]
#[case(Generation::Proxying, 418)]
#[case(Generation::Forwarding, 500)]
#[tokio::test]
async fn a_body_in_pieces_passes_a_proxying_host_only(
    #[case] generation: Generation,
    #[case] expected: u16,
) {
    let world = World::with(PYTHON, of_generation(generation)).await;
    let pieces = futures::stream::iter([Ok::<_, std::io::Error>("one "), Ok("two")]);
    let request = world
        .client
        .post(format!("{}/api/things/a", world.host.url()))
        .body(reqwest::Body::wrap_stream(pieces));
    let answer = request.send().await.expect("the host answers");
    assert_eq!(answer.status(), expected);
    let is_seen = world.console().contains("forwarded a body of 7");
    assert_eq!(is_seen, expected == 418, "{}", world.console());
}

#[tokio::test]
async fn what_has_no_body_is_sent_again_when_the_handler_dies() {
    let world = World::new(PYTHON).await;
    assert_eq!(
        status(&world, Method::DELETE, "/api/things/die-once", &[]).await,
        418
    );
    assert!(
        world.console().contains("exited with code 1"),
        "{}",
        world.console()
    );
}

#[tokio::test]
async fn what_has_a_body_is_not_sent_twice() {
    let world = World::new(PYTHON).await;
    let answer = send(&world, Method::POST, "/api/things/die-once", &[], "{}").await;
    assert_eq!(answer.status(), 500);
}

#[tokio::test]
async fn routes_match_in_any_case_and_a_double_slash_is_a_404() {
    let world = World::new(PYTHON).await;
    for (path, expected) in [
        ("/API/Things/A/", 418),
        ("/api/things//a", 404),
        ("//api/things/a", 404),
    ] {
        assert_eq!(
            status(&world, Method::GET, path, &[]).await,
            expected,
            "{path}"
        );
    }
    assert_eq!(
        seen(&world, "/API/Things/A/", &[]).await["path"],
        "/API/Things/A/"
    );
}

#[tokio::test]
async fn a_host_that_stops_leaves_no_handler_behind() {
    let world = World::new(PYTHON).await;
    world.host.ready().await.expect("the handler starts");
    let process_id = world.host.handler_process_id().expect("it runs");
    let World { host, .. } = world;
    host.stop().await;
    let is_gone = || {
        let stat = std::fs::read_to_string(format!("/proc/{process_id}/stat"));
        // A zombie has ended; its exit status was not collected yet.
        stat.map_or(true, |stat| stat.contains(") Z "))
    };
    let mut ticks = tokio::time::interval(std::time::Duration::from_millis(20));
    let ending = async {
        while !is_gone() {
            ticks.tick().await;
        }
    };
    let ended = tokio::time::timeout(crate::world::PATIENCE, ending).await;
    ended.expect("the handler ends with its host");
}

#[tokio::test]
async fn nothing_is_written_into_the_script_root() {
    let every_minute = |options: &mut Options| {
        let schedule = "0 * * * * *".to_owned();
        options.environment.insert("SCHEDULE".to_owned(), schedule);
    };
    let world = World::with(PYTHON, every_minute).await;
    let run = world
        .client
        .post(format!("{}/admin/functions/OnTimer", world.host.url()))
        .json(&json!({"input": ""}));
    run.send().await.expect("the host answers");
    world
        .until("the timer's function runs", |world| {
            world
                .console()
                .contains("Executed 'Functions.OnTimer' (Succeeded")
        })
        .await;
    let mut names: Vec<String> = std::fs::read_dir(world.root.path())
        .expect("the folder is ours")
        .map(|entry| {
            entry
                .expect("the folder is ours")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    names.sort();
    assert_eq!(
        names,
        [
            "OnEnvelope",
            "OnEvent",
            "OnHttp",
            "OnTimer",
            "handler",
            "handler.py",
            "host.json"
        ]
    );
}
