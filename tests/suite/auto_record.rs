//! Calls that are recorded without being asked for: `CallStarted` begins, `CallEnded` closes.

use serde_json::{Value, json};

use crate::support::world::World;

fn call_started(call: &Value, extra: Value) -> Value {
    let mut data = json!({"serverCallId": call["serverCallId"], "startedBy": {"rawId": "8:acs:x"}});
    data.as_object_mut()
        .expect("it is an object")
        .extend(extra.as_object().expect("it is an object").clone());
    json!({"id": "e1", "topic": "t", "subject": "call/x/startedBy/8:acs:x", "eventType": "Microsoft.Communication.CallStarted",
        "eventTime": jiff::Timestamp::now().to_string(), "data": data, "dataVersion": "1.0", "metadataVersion": "1"})
}

async fn running(world: &World) -> Vec<Value> {
    world.api("GET", "/recordings", None).await.1["recordings"]
        .as_array()
        .expect("a list has recordings")
        .clone()
}

#[tokio::test]
async fn a_call_is_recorded_when_it_starts_and_closed_when_it_ends() {
    let options = r#"{"recordingFormatType": "mp3", "recordingContentType": "audio"}"#;
    let world = World::with(&[("AUTO_RECORD", "all"), ("AUTO_RECORD_OPTIONS", options)]).await;
    let call = world.admin("POST", "calls", json!({})).await;
    let event = call_started(&call, json!({}));
    assert_eq!(world.event(&event).await.0, 200);
    let (status, again) = world.event(&event).await;
    assert_eq!(status, 200, "a redelivery is the same start: {again}");
    let recordings = running(&world).await;
    assert_eq!(recordings.len(), 1, "{recordings:?}");
    assert_eq!(
        (
            &recordings[0]["startedBy"],
            &recordings[0]["options"]["recordingFormatType"]
        ),
        (&json!("auto-record"), &json!("mp3"))
    );
    let mut ended = event;
    ended["eventType"] = "Microsoft.Communication.CallEnded".into();
    world
        .admin(
            "POST",
            "calls/end",
            json!({"serverCallId": call["serverCallId"]}),
        )
        .await;
    assert_eq!(world.event(&ended).await.0, 200);
    assert_eq!(running(&world).await, Vec::<Value>::new());
}

#[tokio::test]
async fn a_call_ended_event_of_a_call_that_continues_ends_nothing() {
    let world = World::with(&[("AUTO_RECORD", "all")]).await;
    let call = world.admin("POST", "calls", json!({})).await;
    let event = call_started(&call, json!({}));
    assert_eq!(world.event(&event).await.0, 200);
    let mut forged = event;
    forged["eventType"] = "Microsoft.Communication.CallEnded".into();
    assert_eq!(world.event(&forged).await.0, 200);
    assert_eq!(running(&world).await.len(), 1);
}

#[tokio::test]
async fn a_start_that_acs_refuses_for_our_credential_makes_event_grid_retry() {
    let world = World::with(&[("AUTO_RECORD", "all")]).await;
    let call = world.admin("POST", "calls", json!({})).await;
    for status in [401, 403] {
        let fault = json!([{"plane": "control", "kind": "status", "status": status, "times": 1}]);
        world.admin("PUT", "faults", fault).await;
        let (answered, answer) = world.event(&call_started(&call, json!({}))).await;
        assert_eq!(answered, 500, "{status}: {answer}");
    }
    assert_eq!(world.event(&call_started(&call, json!({}))).await.0, 200);
    assert_eq!(running(&world).await.len(), 1);
}

#[tokio::test]
async fn without_a_policy_nothing_is_recorded() {
    let world = World::new().await;
    let call = world.admin("POST", "calls", json!({})).await;
    assert_eq!(world.event(&call_started(&call, json!({}))).await.0, 200);
    assert_eq!(running(&world).await.len(), 0);
}

#[tokio::test]
async fn the_policy_chooses_by_group_and_room() {
    let world = World::with(&[("AUTO_RECORD", "rooms,group:wanted")]).await;
    for (extra, is_recorded) in [
        (json!({"group": {"id": "wanted"}}), true),
        (json!({"group": {"id": "other"}}), false),
        (json!({"room": {"id": "99"}, "isRoomsCall": true}), true),
        (json!({}), false),
    ] {
        let before = running(&world).await.len();
        let call = world.admin("POST", "calls", json!({})).await;
        assert_eq!(
            world.event(&call_started(&call, extra.clone())).await.0,
            200
        );
        assert_eq!(
            running(&world).await.len() - before,
            usize::from(is_recorded),
            "{extra}"
        );
    }
}

#[tokio::test]
async fn a_call_that_does_not_exist_yet_makes_event_grid_retry() {
    let world = World::with(&[("AUTO_RECORD", "all")]).await;
    let call = json!({"serverCallId": "bm90IHlldA=="});
    let (status, answer) = world.event(&call_started(&call, json!({}))).await;
    assert_eq!(status, 500, "{answer}");
    world.admin("POST", "calls", call.clone()).await;
    assert_eq!(world.event(&call_started(&call, json!({}))).await.0, 200);
    assert_eq!(running(&world).await.len(), 1);
}
