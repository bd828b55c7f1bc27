//! A copy that is exact, of a file that may not be what was recorded: kept, flagged, and its source spared.

use std::time::Duration;

use recording_vault::export::ledger::Accepted;
use recording_vault::export::{ChunkState, DriveOutcome};
use recording_vault::store::audit::Operator;
use serde_json::json;

use crate::support::chunk;
use crate::support::pipeline::{Pipeline, RETENTION};
use crate::support::world::{World, document_ids};

/// A page where a WAV should be.
const PAGE: &[u8] = b"<html><body>Service unavailable</body></html>";

async fn doubtful() -> Pipeline {
    let pipeline = Pipeline::that_keeps_anomalies();
    let chunk = chunk("a", 0);
    pipeline.source.put(&chunk.document_id, PAGE);
    pipeline.record(&chunk).await;
    let outcome = pipeline.drive(&chunk.document_id).await;
    assert!(
        matches!(outcome, DriveOutcome::Exported { .. }),
        "{outcome:?}"
    );
    pipeline
}

#[tokio::test]
async fn doubtful_media_is_kept_and_flagged_and_its_source_is_spared() {
    let pipeline = doubtful().await;
    let id = chunk("a", 0).document_id;
    assert_eq!(pipeline.media(&id).as_deref(), Some(PAGE));
    let state = pipeline.state(&id).await;
    let anomaly = state
        .receipt()
        .and_then(|receipt| receipt.anomaly())
        .unwrap_or_default();
    assert!(anomaly.contains("web page"), "{state:?}");
    let receipt = pipeline
        .vault
        .files()
        .into_iter()
        .find(|(name, _)| name.as_str().contains("-receipt."))
        .expect("it is there");
    assert!(
        String::from_utf8_lossy(&receipt.1).contains("web page"),
        "the receipt beside the file says so too"
    );
    pipeline.clock.advance(Duration::from_hours(12));
    pipeline.sweep().await;
    assert!(pipeline.source.model().deleted.is_empty());
}

#[tokio::test]
async fn an_operator_who_accepts_it_lets_its_source_be_deleted() {
    let pipeline = doubtful().await;
    let id = chunk("a", 0).document_id;
    let ledger = pipeline.driver.ledger();
    assert_eq!(
        ledger
            .accept(&id, &Operator::Shell)
            .await
            .expect("the ledger works"),
        Accepted::Accepted
    );
    assert_eq!(
        ledger
            .accept(&id, &Operator::Shell)
            .await
            .expect("the ledger works"),
        Accepted::AlreadyAccepted
    );
    assert_eq!(pipeline.sweep().await.deleted, 1);
}

#[tokio::test]
async fn what_nobody_accepts_is_left_to_acs() {
    let pipeline = doubtful().await;
    pipeline.clock.advance(RETENTION);
    pipeline.sweep().await;
    let state = pipeline.state(&chunk("a", 0).document_id).await;
    assert!(
        matches!(&state, ChunkState::SourceLeft { reason, .. } if reason.contains("doubtful")),
        "{state:?}"
    );
    assert!(pipeline.source.model().deleted.is_empty());
}

#[tokio::test]
async fn a_recording_that_is_shorter_than_its_metadata_says_is_told_of_and_accepted_from_the_outside()
 {
    let world = World::new().await;
    let event = world
        .recording(
            json!({"call": {"chunks": [{"durationMs": 5000, "metadataDurationMs": 60_000}]}}),
        )
        .await;
    world.event(&event).await;
    let id = document_ids(&event)[0].clone();
    world.sweep().await;
    assert_eq!(world.ledger_entry(&id)["state"]["name"], "exported");
    assert!(
        world.objects().await[0]["deletedAt"].is_null(),
        "{:?}",
        world.objects().await
    );

    let run = |arguments: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_recording-vault"));
        let output = command
            .args(arguments)
            .envs(world.settings())
            .output()
            .expect("the binary runs");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let listed = run(&["list", "--doubtful"]);
    assert!(
        listed.contains(&id) && listed.contains("doubtful"),
        "{listed}"
    );
    let accepted = run(&["accept", &id]);
    assert!(accepted.contains("is accepted"), "{accepted}");
    world.sweep().await;
    assert_eq!(world.ledger_entry(&id)["state"]["name"], "sourceDeleted");
}

#[tokio::test]
async fn a_policy_may_say_that_doubtful_sources_are_deleted() {
    let world = World::with(&[("ON_ANOMALY", "delete")]).await;
    let event = world
        .recording(
            json!({"call": {"chunks": [{"durationMs": 5000, "metadataDurationMs": 60_000}]}}),
        )
        .await;
    world.event(&event).await;
    let entry = world.ledger_entry(&document_ids(&event)[0]);
    assert_eq!(entry["state"]["name"], "sourceDeleted");
    assert!(
        entry["state"]["receipt"]["anomaly"].is_string(),
        "it is flagged all the same: {entry}"
    );
}
