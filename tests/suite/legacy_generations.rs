//! The versions of 2021 through the same HTTP API, and what they look like on the wire.

use serde_json::{Value, json};

use crate::support::world::World;

const OLDEST: &str = "2021-04-15-preview1";

/// Start, pause, resume, state, stop.
async fn all_operations(version: &str) {
    let world = World::with(&[("ACS_API_VERSION", version)]).await;
    let call = world.admin("POST", "calls", json!({})).await["serverCallId"].clone();
    let (status, started) = world
        .api("POST", "/recordings", Some(json!({"serverCallId": call})))
        .await;
    assert_eq!(status, 200, "{version}: {started}");
    let id = started["recordingId"]
        .as_str()
        .expect("a start gives an id");
    let state = async || {
        world.api("GET", &format!("/recordings/{id}"), None).await.1["recordingState"].clone()
    };
    assert_eq!(state().await, "active");
    assert_eq!(
        world
            .api("POST", &format!("/recordings/{id}/pause"), None)
            .await
            .0,
        202,
        "{version}"
    );
    assert_eq!(state().await, "paused");
    assert_eq!(
        world
            .api("POST", &format!("/recordings/{id}/resume"), None)
            .await
            .0,
        202,
        "{version}"
    );
    assert_eq!(state().await, "active");
    assert_eq!(
        world
            .api("DELETE", &format!("/recordings/{id}"), None)
            .await
            .0,
        200,
        "{version}"
    );
    assert_eq!(state().await, "stopped");
    assert_eq!(world.objects().await.len(), 1);
}

#[tokio::test]
async fn every_generation_does_every_operation() {
    for version in [OLDEST, "2021-11-15-preview", "2022-04-07-preview"] {
        all_operations(version).await;
    }
}

#[tokio::test]
async fn what_a_generation_lacks_is_refused_by_name() {
    let world = World::with(&[("ACS_API_VERSION", OLDEST)]).await;
    let start = json!({"serverCallId": "abc", "recordingFormatType": "mp3"});
    let (status, answer) = world.api("POST", "/recordings", Some(start)).await;
    assert_eq!(
        (status, &answer["error"]["target"]),
        (400, &json!("recordingFormatType")),
        "{answer}"
    );
    let (status, answer) = world
        .api("POST", "/recordings/unregistered/pause", None)
        .await;
    assert_eq!(
        (status, &answer["error"]["code"]),
        (404, &json!("ConversationUnknown")),
        "{answer}"
    );
}

#[tokio::test]
async fn a_flat_error_of_the_oldest_generation_passes_through() {
    let world = World::with(&[("ACS_API_VERSION", OLDEST)]).await;
    let (status, answer) = world
        .api(
            "POST",
            "/recordings",
            Some(json!({"serverCallId": "bm9ib2R5"})),
        )
        .await;
    assert_eq!(
        (status, &answer["error"]["code"]),
        (400, &json!("8501")),
        "{answer}"
    );
}

#[tokio::test]
async fn files_of_the_oldest_generation_are_exported_by_document_id_and_left_at_acs() {
    let world = World::with(&[("ACS_API_VERSION", OLDEST)]).await;
    let event = world
        .recording(json!({"schema": "documentIds", "call": {"chunks": [{"durationMs": 1000}]}}))
        .await;
    assert!(
        event["data"]["recordingStorageInfo"]["recordingChunks"][0]["contentLocation"].is_null(),
        "{event}"
    );
    let (status, answer) = world.event(&event).await;
    assert_eq!(status, 200);
    assert!(
        answer["ReturnValue"]["report"][0]
            .as_str()
            .is_some_and(|log| log.contains("is in the vault; at ACS")),
        "{answer}"
    );
    assert_eq!(world.vault_files().len(), 3);
}

/// A call leg of 2021 names its conversation, and that is what is recorded.
#[tokio::test]
async fn the_first_leg_of_a_call_starts_its_recording() {
    let world = World::with(&[
        ("ACS_API_VERSION", OLDEST),
        ("AUTO_RECORD", "all"),
        ("AUTO_RECORD_OPTIONS", "{}"),
    ])
    .await;
    let call = world.admin("POST", "calls", json!({})).await["serverCallId"].clone();
    let conversation = call
        .as_str()
        .expect("it is text")
        .trim_end_matches('=')
        .replace('+', "-")
        .replace('/', "_");
    let data =
        json!({"ConversationId": conversation, "CallLegId": "leg", "CallState": "Established"});
    let event = json!({"id": null, "topic": null, "subject": "callLeg/leg/callState", "data": data,
        "eventType": "Microsoft.Communication.CallLegStateChanged", "eventTime": jiff::Timestamp::now().to_string()});
    assert_eq!(world.event(&event).await.0, 200);
    let recordings = world.api("GET", "/recordings", None).await.1["recordings"].clone();
    assert_eq!(recordings.as_array().map(Vec::len), Some(1), "{recordings}");
    let id = recordings[0]["recordingId"]
        .as_str()
        .expect("it has an id")
        .to_owned();
    let (status, answer): (u16, Value) = world
        .api("POST", &format!("/recordings/{id}/stop"), None)
        .await;
    assert_eq!(status, 200, "{answer}");
}
