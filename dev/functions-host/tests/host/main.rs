//! The host's own rules, tested with a scripted handler.

mod program;
mod rows;
mod world;

use std::fs;

use functions_host::{Keys, Options};
use serde_json::{Value, json};

use world::{PATIENCE, PYTHON, World};

#[tokio::test]
async fn three_errors_in_a_row_stop_the_host() {
    let mut world = World::new("echo boom >&2; exit 3").await;
    let reason = tokio::time::timeout(PATIENCE, world.host.stopped())
        .await
        .expect("the host gives up");
    assert!(
        reason.contains("Exceeded http worker restart retry count") && reason.contains("boom"),
        "{reason}"
    );
    assert_eq!(
        world.console().matches("exited with code 3 (0x3)").count(),
        4,
        "three errors, and the last once more"
    );
}

#[tokio::test]
async fn exit_0_is_a_success_and_nothing_is_started_again() {
    let world = World::new("exit 0").await;
    world
        .until("the exit is seen", |world| {
            world.console().contains("exited with code 0")
        })
        .await;
    assert_eq!(
        world.act("succeed").await.status(),
        500,
        "later invocations fail"
    );
    assert_eq!(world.host.handler_process_id(), None);
}

#[tokio::test]
async fn exit_200_asks_for_a_restart_and_is_no_error() {
    let script = "echo x >> runs; [ $(wc -l < runs) -lt 6 ] && exit 200; exec python3 handler.py";
    let world = World::new(script).await;
    world.host.ready().await.expect("the sixth run stays");
    assert_eq!(
        fs::read_to_string(world.root.path().join("runs"))
            .expect("it was run")
            .lines()
            .count(),
        6
    );
}

#[tokio::test]
async fn invocations_wait_for_a_handler_that_starts_slowly() {
    let world = World::new(&format!("sleep 0.3; {PYTHON}")).await;
    assert_eq!(world.act("succeed").await.status(), 202);
}

#[rstest::rstest]
#[case("succeed", 202)]
#[case("fail", 500)]
#[case("answer text", 500)]
#[tokio::test]
async fn event_grid_sees_what_the_handler_answered(#[case] act: &str, #[case] expected: u16) {
    let world = World::new(PYTHON).await;
    assert_eq!(
        world.act(act).await.status(),
        expected,
        "{}",
        world.console()
    );
}

#[rstest::rstest]
#[case("hang")]
#[case("answer nothing")]
#[tokio::test]
async fn an_invocation_that_never_ends_takes_the_process_along(#[case] act: &str) {
    let world = World::impatient(PYTHON).await;
    world.host.ready().await.expect("the handler starts");
    let process_id = world.host.handler_process_id();
    assert_eq!(world.act(act).await.status(), 500);
    world
        .until("the handler runs again", |world| {
            let now = world.host.handler_process_id();
            now.is_some() && now != process_id
        })
        .await;
    assert_eq!(world.act("succeed").await.status(), 202);
}

#[tokio::test]
async fn a_response_that_begins_and_never_ends_takes_the_process_along() {
    let world = World::impatient(PYTHON).await;
    world.host.ready().await.expect("the handler starts");
    let process_id = world.host.handler_process_id();
    let url = format!("{}/api/things/begin-only", world.host.url());
    let response = world.client.get(url).send().await.expect("it begins");
    assert_eq!(response.status(), 200);
    let body = response.bytes().await;
    assert!(body.is_err(), "{body:?}");
    world
        .until("the handler runs again", |world| {
            let now = world.host.handler_process_id();
            now.is_some() && now != process_id
        })
        .await;
}

#[tokio::test]
async fn the_event_grid_webhook_climbs_its_ladder() {
    let world = World::new(PYTHON).await;
    let url = world.host.event_grid_url("NoSuchFunction");
    let unknown = world
        .client
        .post(url)
        .json(&json!([]))
        .send()
        .await
        .expect("the host answers");
    assert_eq!(unknown.status(), 404);
    let validation = json!([{"data": {"validationCode": "c0de"}}]);
    let answer = world
        .deliver("SubscriptionValidation", validation)
        .await
        .text()
        .await
        .expect("it is text");
    assert_eq!(answer, r#"{"validationResponse":"c0de"}"#);
    let cloud_event = json!({"specversion": "1.0", "data": "{\"validationCode\":\"c0de\"}"});
    assert_eq!(
        world
            .deliver("SubscriptionValidation", cloud_event)
            .await
            .status(),
        200
    );
    assert_eq!(world.deliver("Unsubscribe", json!([])).await.status(), 202);
    assert_eq!(world.deliver("Something", json!([])).await.status(), 400);
}

#[tokio::test]
async fn a_request_is_proxied_as_it_is_with_the_hosts_headers_added() {
    let world = World::new(PYTHON).await;
    let url = format!("{}/api/things/a%20b?x=1", world.host.url());
    let response = world
        .client
        .delete(url)
        .header("x-mine", "kept")
        .send()
        .await
        .expect("the host answers");
    assert_eq!(
        response.status(),
        418,
        "the handler's status passes through"
    );
    let seen: Value = response.json().await.expect("the echo is JSON");
    assert_eq!(
        (&seen["method"], &seen["path"]),
        (&json!("DELETE"), &json!("/api/things/a%20b?x=1"))
    );
    assert_eq!(seen["headers"]["x-mine"], "kept");
    for name in [
        "x-azure-functions-hostversion",
        "x-azure-functions-invocationid",
        "x-ms-invocation-id",
    ] {
        assert!(seen["headers"][name].is_string(), "{name} is missing");
    }
    let wrong_method = world
        .client
        .put(format!("{}/api/things", world.host.url()))
        .send()
        .await
        .expect("the host answers");
    assert_eq!(wrong_method.status(), 404);
}

#[tokio::test]
async fn keys_are_asked_for_when_they_are_switched_on() {
    let world = World::with(PYTHON, |options| {
        options.keys = Keys::of_host("right");
    })
    .await;
    let status = async |query: &str| {
        let response = world
            .client
            .get(format!("{}/api/things{query}", world.host.url()))
            .send()
            .await;
        response.expect("the host answers").status().as_u16()
    };
    assert_eq!(
        (
            status("").await,
            status("?code=wrong").await,
            status("?code=right").await
        ),
        (401, 401, 418)
    );
}

#[tokio::test]
async fn a_timer_fires_and_keeps_no_status_below_a_minute() {
    let every_second = |options: &mut Options| {
        options
            .environment
            .insert("SCHEDULE".to_owned(), "* * * * * *".to_owned());
    };
    let world = World::with(PYTHON, every_second).await;
    world
        .until("the timer fires twice", |world| {
            world.console().matches("invoked /OnTimer").count() >= 2
        })
        .await;
    assert!(
        world.console().contains(r#""ScheduleStatus":null"#),
        "{}",
        world.console()
    );
}

#[tokio::test]
async fn a_timer_that_was_missed_fires_at_once_as_past_due() {
    let state = tempfile::tempdir().expect("there is room for temporary files");
    let status = json!({"Last": "2026-01-01T00:00:00Z", "Next": "2026-01-01T00:01:00Z", "LastUpdated": "2026-01-01T00:00:00Z"});
    fs::write(state.path().join("OnTimer.status"), status.to_string()).expect("the folder is ours");
    let world = World::with(PYTHON, |options| {
        options.state_dir = Some(state.path().to_owned());
    })
    .await;
    world
        .until("the timer fires", |world| {
            world.console().contains(r#""IsPastDue":true"#)
        })
        .await;
    world
        .until("the status is kept", |_| {
            fs::read_to_string(state.path().join("OnTimer.status"))
                .is_ok_and(|text| !text.contains("2026-01-01T00:01:00Z"))
        })
        .await;
}

#[tokio::test]
async fn the_console_is_mapped_as_the_host_does_it() {
    let world = World::new(PYTHON).await;
    assert_eq!(world.act("warn").await.status(), 202);
    world
        .until("stderr is read", |world| {
            world.console().contains("warning: this is a warning")
        })
        .await;
    let console = world.console();
    assert!(console.contains("said in the invocation"), "{console}");
    assert!(
        console.contains("Executed 'Functions.OnEvent' (Succeeded"),
        "{console}"
    );
}

#[tokio::test]
async fn a_function_is_run_by_hand_and_draining_stops_the_timers_only() {
    let world = World::new(PYTHON).await;
    let post = async |path: &str, body: Value| {
        let request = world
            .client
            .post(format!("{}{path}", world.host.url()))
            .json(&body);
        request
            .send()
            .await
            .expect("the host answers")
            .status()
            .as_u16()
    };
    assert_eq!(
        post("/admin/functions/OnTimer", json!({"input": ""})).await,
        202
    );
    world
        .until("the timer's function runs", |world| {
            world.console().contains("invoked /OnTimer")
        })
        .await;
    assert_eq!(post("/admin/host/drain", json!({})).await, 202);
    assert_eq!(world.act("succeed").await.status(), 202);
}
