//! Documents beside the chain of checkpoints are hints: a receipt names no checkpoint that does not exist.

use recording_vault::store::audit::CheckpointRef;
use recording_vault::store::digest::Sha256Digest;

use super::tampering::{json_of, remove, replace};
use super::{World, append, checkpoint};

const HINT: &str = "audit/newest-checkpoint.json";

/// Two checkpoints; returns the newest.
async fn with_checkpoints(world: &World) -> CheckpointRef {
    let log = world.log();
    for subject in ["a", "b"] {
        append(&log, subject).await;
        checkpoint(&log).await;
    }
    let newest = checkpoint(&log).await.newest();
    newest.expect("there is one")
}

async fn write_hint(world: &World, number: u64) {
    let forged = CheckpointRef {
        number,
        sha256: Sha256Digest::of(b"forged"),
    };
    let content = serde_json::to_vec(&forged).expect("it is JSON");
    replace(world, HINT, content.into()).await;
}

#[tokio::test]
async fn a_hint_at_a_checkpoint_that_does_not_exist_is_not_passed_on() {
    for number in [1, 2, 3, 999_999_999, u64::MAX] {
        let world = World::new();
        let newest = with_checkpoints(&world).await;
        write_hint(&world, number).await;
        assert_eq!(world.log().anchor().await, Some(newest), "{number}");
    }
    let world = World::new();
    let newest = with_checkpoints(&world).await;
    remove(&world, HINT).await;
    assert_eq!(world.log().anchor().await, Some(newest), "no hint");
}

#[tokio::test]
async fn the_next_checkpoint_replaces_a_hint_at_one_that_does_not_exist() {
    for number in [3, 999_999_999] {
        let world = World::new();
        with_checkpoints(&world).await;
        write_hint(&world, number).await;
        let log = world.log();
        append(&log, "c").await;
        let newest = checkpoint(&log).await.newest().expect("it is new");
        assert_eq!(newest.number, 3);
        let hint = json_of(&world, HINT).await;
        assert_eq!(hint, serde_json::to_value(newest).expect("it is JSON"));
        assert_eq!(world.problems().await, Vec::<String>::new());
    }
}
