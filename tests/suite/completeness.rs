//! What should have come and did not: gaps, silence, and the report of a day.

use serde_json::{Value, json};

use crate::support::world::World;

async fn recorded(world: &World) -> (String, Value) {
    let call = world
        .admin(
            "POST",
            "calls",
            json!({"chunks": [{"durationMs": 1000}, {"durationMs": 1000}]}),
        )
        .await["serverCallId"]
        .clone();
    let started = world
        .api("POST", "/recordings", Some(json!({"serverCallId": call})))
        .await
        .1;
    let id = started["recordingId"]
        .as_str()
        .expect("a start gives an id")
        .to_owned();
    world
        .api("POST", &format!("/recordings/{id}/stop"), None)
        .await;
    (id, call)
}

/// An event of this recording with these chunks.
fn announcement(id: &str, chunks: &[(u32, &str)]) -> Value {
    let chunks: Vec<Value> = chunks
        .iter()
        .map(|(index, document)| json!({"documentId": document, "index": index}))
        .collect();
    json!({"id": "e", "eventType": "Microsoft.Communication.RecordingFileStatusUpdated", "eventTime": jiff::Timestamp::now().to_string(),
        "subject": format!("/recording/call/c/serverCallId/s/recordingId/{id}"),
        "data": {"recordingStorageInfo": {"recordingChunks": chunks}, "sessionEndReason": "CallEnded"}})
}

fn report(world: &World) -> (Value, String) {
    let run = |arguments: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_recording-vault"));
        command
            .args(arguments)
            .envs(world.settings())
            .output()
            .expect("the binary runs")
    };
    let json = run(&["report", "--json"]);
    let text = run(&["report"]);
    assert_eq!(json.status.code(), text.status.code());
    let json: Value = serde_json::from_slice(&json.stdout).expect("a report is JSON");
    (json, String::from_utf8_lossy(&text.stdout).into_owned())
}

#[tokio::test]
async fn a_recording_whose_files_never_come_is_logged_once_and_reported() {
    let world = World::with(&[("MISSING_AFTER", "0s")]).await;
    let (id, _) = recorded(&world).await;
    world.sweep().await;
    world.sweep().await;
    let told = world
        .console()
        .lines()
        .filter(|line| line.contains("no file of it was announced") && line.contains(&id))
        .count();
    assert_eq!(told, 1, "{}", world.console());
    let (report, text) = report(&world);
    assert_eq!(
        (&report["incomplete"], &report["recordings"][0]["problems"]),
        (&json!(1), &json!(["no event announced a file"])),
        "{report}"
    );
    assert!(
        text.contains("1 recording is not complete") && text.contains(&id),
        "{text}"
    );
}

#[tokio::test]
async fn gaps_and_empty_lists_are_reported_and_filled_by_later_events() {
    let world = World::with(&[("EVENT_BUDGET", "1s")]).await;
    let (id, _) = recorded(&world).await;
    world.event(&announcement(&id, &[])).await;
    world
        .event(&announcement(&id, &[(0, "0-eus-d1-a"), (2, "0-eus-d1-c")]))
        .await;
    let problems = report(&world).0["recordings"][0]["problems"].clone();
    for problem in ["no event announced chunk 1", "an event announced no chunk"] {
        assert!(
            problems
                .as_array()
                .is_some_and(|problems| problems.contains(&json!(problem))),
            "{problems}"
        );
    }
    world.event(&announcement(&id, &[(1, "0-eus-d1-b")])).await;
    let problems = report(&world).0["recordings"][0]["problems"].clone();
    assert!(
        !problems.to_string().contains("announced chunk"),
        "{problems}"
    );
}

#[tokio::test]
async fn of_a_day_of_which_all_is_in_the_vault_nothing_is_missing() {
    let world = World::new().await;
    let host_door = world.host.event_grid_url("RecordingFileStatusUpdated");
    world
        .admin("POST", "event-subscriptions", json!({"url": host_door}))
        .await;
    let (id, _) = recorded(&world).await;
    let objects = async || {
        world
            .objects()
            .await
            .iter()
            .filter(|object| !object["deletedAt"].is_null())
            .count()
    };
    crate::support::eventually("both chunks are exported and deleted", async || {
        (objects().await == 2).then_some(())
    })
    .await;
    let (unchecked, text) = report(&world);
    assert_eq!(unchecked["incomplete"], 0, "{unchecked}");
    assert!(
        text.contains("Whether anything is missing is not known.\nNot checked: no "),
        "nothing has looked at everything yet: {text}"
    );
    world.sweep().await;
    let (report, text) = report(&world);
    assert_eq!(
        (&report["incomplete"], &report["chunksInVault"]),
        (&json!(0), &json!(2)),
        "{report}"
    );
    let recording = &report["recordings"][0];
    assert_eq!(
        (&recording["recordingId"], &recording["chunks"][0]["state"]),
        (&json!(id), &json!("sourceDeleted")),
        "{report}"
    );
    assert!(
        text.contains(
            "\nWhether anything is missing is not known.\nNot checked: the day is not over"
        ),
        "{text}"
    );
    assert!(
        !world.console().contains("is not complete"),
        "{}",
        world.console()
    );
}
