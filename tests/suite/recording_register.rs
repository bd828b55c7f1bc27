//! The register, from outside: one call, one recording; consent, pauses, the list.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::http::{Method, StatusCode, Uri};
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::support::world::World;

async fn call(world: &World) -> Value {
    world.admin("POST", "calls", json!({})).await["serverCallId"].clone()
}

async fn started(world: &World, body: Value) -> String {
    let (status, started) = world.api("POST", "/recordings", Some(body)).await;
    assert_eq!(status, 200, "{started}");
    started["recordingId"]
        .as_str()
        .expect("a start gives an id")
        .to_owned()
}

async fn state(world: &World, id: &str) -> Value {
    let (status, state) = world.api("GET", &format!("/recordings/{id}"), None).await;
    assert_eq!(status, 200, "{state}");
    state
}

#[tokio::test]
async fn a_second_start_of_a_call_is_told_which_recording_runs() {
    let world = World::new().await;
    let call = call(&world).await;
    let id = started(&world, json!({"serverCallId": call})).await;
    let padless = call.as_str().expect("it is text").trim_end_matches('=');
    let (status, answer) = world
        .api(
            "POST",
            "/recordings",
            Some(json!({"serverCallId": padless})),
        )
        .await;
    let error = &answer["error"];
    let expected = (
        409,
        &json!("RecordingAlreadyInProgress"),
        &json!("Recording is already in progress"),
        &json!(id),
    );
    assert_eq!(
        (
            status,
            &error["code"],
            &error["message"],
            &error["recordingId"]
        ),
        expected,
        "{answer}"
    );
}

#[tokio::test]
async fn of_starts_at_once_one_starts_and_the_others_get_a_conflict() {
    let world = World::new().await;
    let start = json!({"serverCallId": call(&world).await});
    let starts = (0..8).map(|_| world.api("POST", "/recordings", Some(start.clone())));
    let mut statuses: Vec<u16> = futures::future::join_all(starts)
        .await
        .into_iter()
        .map(|(status, _)| status)
        .collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409, 409, 409, 409, 409, 409, 409]);
}

#[tokio::test]
async fn after_its_stop_a_recording_is_stopped_and_its_call_can_be_recorded_again() {
    let world = World::new().await;
    let call = call(&world).await;
    let id = started(&world, json!({"serverCallId": call})).await;
    assert_eq!(
        world
            .api("POST", &format!("/recordings/{id}/stop"), None)
            .await
            .0,
        200
    );
    assert_eq!(state(&world, &id).await["recordingState"], "stopped");
    for action in ["pause", "resume"] {
        let (status, answer) = world
            .api("POST", &format!("/recordings/{id}/{action}"), None)
            .await;
        assert_eq!(
            (status, &answer["error"]["message"]),
            (409, &json!("The recording has ended")),
            "{action}: {answer}"
        );
    }
    assert_ne!(started(&world, json!({"serverCallId": call})).await, id);
}

#[tokio::test]
async fn a_stop_of_a_recording_that_has_ended_gives_the_same_answer_again() {
    let world = World::new().await;
    let call = call(&world).await;
    let id = started(&world, json!({"serverCallId": call})).await;
    let stop = format!("/recordings/{id}/stop");
    let (status, first) = world.api("POST", &stop, None).await;
    assert_eq!((status, &first["recordingState"]), (200, &json!("stopped")));
    assert_eq!(world.api("POST", &stop, None).await, (200, first.clone()));
    assert_eq!(
        world
            .api("DELETE", &format!("/recordings/{id}"), None)
            .await,
        (200, first)
    );
    // It ended by itself, and the register does not know yet.
    let id = started(&world, json!({"serverCallId": call})).await;
    world
        .admin("POST", "calls/end", json!({"serverCallId": call}))
        .await;
    let (status, stopped) = world
        .api("POST", &format!("/recordings/{id}/stop"), None)
        .await;
    assert_eq!(
        (status, &stopped["recordingState"]),
        (200, &json!("stopped")),
        "{stopped}"
    );
}

#[tokio::test]
async fn a_recording_that_ended_by_itself_is_found_out_when_it_matters() {
    let world = World::new().await;
    let call = call(&world).await;
    let id = started(&world, json!({"serverCallId": call})).await;
    world
        .admin("POST", "calls/end", json!({"serverCallId": call}))
        .await;
    world
        .admin("POST", "calls", json!({"serverCallId": call}))
        .await;
    let next = started(&world, json!({"serverCallId": call})).await;
    assert_eq!(state(&world, &id).await["recordingState"], "stopped");
    assert_eq!(state(&world, &next).await["recordingState"], "active");
}

#[tokio::test]
async fn the_list_has_what_runs_and_pages() {
    let world = World::new().await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(started(&world, json!({"serverCallId": call(&world).await})).await);
    }
    world
        .api("POST", &format!("/recordings/{}/stop", ids[0]), None)
        .await;
    world
        .api("POST", &format!("/recordings/{}/pause", ids[1]), None)
        .await;
    let ids_of = |answer: &Value| -> Vec<String> {
        let recordings = answer["recordings"]
            .as_array()
            .expect("a list has recordings");
        recordings
            .iter()
            .filter_map(|recording| recording["recordingId"].as_str().map(str::to_owned))
            .collect()
    };
    let (status, all) = world.api("GET", "/recordings?state=active", None).await;
    let mut listed = ids_of(&all);
    listed.sort();
    let mut expected = ids[1..].to_vec();
    expected.sort();
    assert_eq!((status, listed), (200, expected), "{all}");
    let paused = world.api("GET", "/recordings?state=paused", None).await.1;
    assert_eq!(
        (ids_of(&paused), &paused["recordings"][0]["recordingState"]),
        (vec![ids[1].clone()], &json!("paused"))
    );
    let (_, first) = world.api("GET", "/recordings?top=1", None).await;
    let continuation = first["continuation"]
        .as_str()
        .expect("there is another page");
    let (_, second) = world
        .api(
            "GET",
            &format!("/recordings?top=1&continuation={continuation}"),
            None,
        )
        .await;
    assert_ne!(ids_of(&first), ids_of(&second));
    for bad in ["state=all", "top=0", "continuation=x", "top=x"] {
        let (status, answer) = world.api("GET", &format!("/recordings?{bad}"), None).await;
        assert_eq!(
            (status, &answer["error"]["code"]),
            (400, &json!("InvalidArgument")),
            "{bad}: {answer}"
        );
    }
}

#[tokio::test]
async fn consent_is_kept_with_the_recording_and_asked_for_where_it_must_be() {
    let world = World::with(&[("REQUIRE_CONSENT", "true")]).await;
    let call = call(&world).await;
    let (status, answer) = world
        .api("POST", "/recordings", Some(json!({"serverCallId": call})))
        .await;
    assert_eq!(
        (status, &answer["error"]["code"]),
        (422, &json!("ConsentRequired")),
        "{answer}"
    );
    let consent = json!({"basis": "consent", "givenBy": "caller, by pressing 1", "givenAt": "2026-03-02T10:00:00Z", "reference": "crm:4711"});
    let id = started(
        &world,
        json!({"serverCallId": call, "consent": consent, "startedBy": "IVR 7"}),
    )
    .await;
    world
        .api("POST", &format!("/recordings/{id}/stop"), None)
        .await;
    let stopped = state(&world, &id).await;
    assert_eq!(
        (&stopped["consent"], &stopped["startedBy"]),
        (&consent, &json!("IVR 7")),
        "{stopped}"
    );
}

#[tokio::test]
async fn a_forgotten_pause_is_ended_by_the_sweep_and_every_pause_is_evidence() {
    let world = World::new().await;
    let id = started(&world, json!({"serverCallId": call(&world).await})).await;
    let pause = async |body: Option<Value>| {
        world
            .api("POST", &format!("/recordings/{id}/pause"), body)
            .await
    };
    assert_eq!(pause(None).await.0, 202);
    assert_eq!(
        world
            .api("POST", &format!("/recordings/{id}/resume"), None)
            .await
            .0,
        202
    );
    // What is over at once is due at once.
    assert_eq!(pause(Some(json!({"resumeAfter": "1ms"}))).await.0, 202);
    assert_eq!(world.sweep_recordings().await["resumed"], 1);
    let state = state(&world, &id).await;
    let ends: Vec<&Value> = state["pauses"]
        .as_array()
        .expect("pauses are kept")
        .iter()
        .map(|pause| &pause["endedBy"])
        .collect();
    assert_eq!(
        (&state["recordingState"], ends),
        (&json!("active"), vec![&json!("caller"), &json!("guard")]),
        "{state}"
    );
    assert_eq!(world.sweep_recordings().await["resumed"], 0);
}

/// An ACS that pauses, and loses its answer: the next attempt hears that it cannot be paused.
async fn acs_that_loses_the_answer_to_a_pause() -> String {
    let pauses = Arc::new(AtomicUsize::new(0));
    let answer = move |method: Method, uri: Uri| {
        let pauses = Arc::clone(&pauses);
        async move {
            let error =
                |code: &str| Json(json!({"error": {"code": code, "message": "as it happens"}}));
            match (
                method.as_str(),
                uri.path().rsplit(':').next().unwrap_or_default(),
            ) {
                ("POST", "pause") if pauses.fetch_add(1, Ordering::Relaxed) == 0 => {
                    (StatusCode::BAD_GATEWAY, error("9999"))
                }
                ("POST", "pause") => (StatusCode::CONFLICT, error("8573")),
                ("POST", "resume") => (StatusCode::ACCEPTED, Json(json!({}))),
                _ => (
                    StatusCode::OK,
                    Json(json!({"recordingId": "r", "recordingState": "inactive"})),
                ),
            }
        }
    };
    let listener = TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port is free");
    let url = format!("http://{}", listener.local_addr().expect("it is bound"));
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
    url
}

#[tokio::test]
async fn a_pause_whose_answer_was_lost_is_ended_by_the_guard_too() {
    let acs = acs_that_loses_the_answer_to_a_pause().await;
    let world = World::with(&[("ACS_ENDPOINT", &acs)]).await;
    assert_eq!(started(&world, json!({"serverCallId": "abc"})).await, "r");
    let (status, answer) = world
        .api(
            "POST",
            "/recordings/r/pause",
            Some(json!({"resumeAfter": "1ms"})),
        )
        .await;
    assert!(status == 409 || status == 202, "{answer}");
    assert_eq!(world.sweep_recordings().await["resumed"], 1);
}

#[tokio::test]
async fn a_pause_within_a_pause_is_no_error_and_a_bad_one_says_why() {
    let world = World::new().await;
    let id = started(&world, json!({"serverCallId": call(&world).await})).await;
    let pause = async |body: Value| {
        world
            .api("POST", &format!("/recordings/{id}/pause"), Some(body))
            .await
    };
    for (body, expected) in [
        (json!({"resumeAfter": "soon"}), "expected a duration"),
        (json!({"resumeAfter": 5}), "`resumeAfter`: expected a text"),
        (json!({"until": "5m"}), "unknown field `until`"),
    ] {
        let (status, answer) = pause(body).await;
        assert_eq!(status, 400, "{answer}");
        assert!(
            answer["error"]["message"]
                .as_str()
                .is_some_and(|message| message.contains(expected)),
            "{answer}"
        );
    }
    assert_eq!(state(&world, &id).await["recordingState"], "active");
    assert_eq!(pause(json!({})).await.0, 202);
    let (status, paused) = pause(json!({"resumeAfter": "5m"})).await;
    assert_eq!(
        (status, paused["pauses"].as_array().map(Vec::len)),
        (202, Some(1)),
        "{paused}"
    );
    assert!(paused["pauses"][0]["resumeAt"].is_string(), "{paused}");
}

#[tokio::test]
async fn a_recording_that_starts_paused_is_paused() {
    let world = World::new().await;
    let id = started(
        &world,
        json!({"serverCallId": call(&world).await, "pauseOnStart": true}),
    )
    .await;
    assert_eq!(state(&world, &id).await["recordingState"], "paused");
    assert_eq!(
        world
            .api("POST", &format!("/recordings/{id}/resume"), None)
            .await
            .1["recordingState"],
        "active"
    );
}

#[tokio::test]
async fn secrets_in_urls_are_not_kept() {
    let world = World::new().await;
    let callback = "https://app.example/api/recordings/callbacks?code=SECRET";
    let id = started(
        &world,
        json!({"serverCallId": call(&world).await, "recordingStateCallbackUri": callback}),
    )
    .await;
    let state = state(&world, &id).await;
    assert_eq!(
        state["options"]["recordingStateCallbackUri"],
        "https://app.example/api/recordings/callbacks"
    );
}
