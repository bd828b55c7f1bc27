//! Documents beside the chain of checkpoints are hints: a receipt names no checkpoint that does not exist.

use std::time::Duration;

use async_trait::async_trait;
use recording_vault::store::audit::{
    AcknowledgedLoss, Actor, AuditAction, AuditLog, AuditPosition, AuditRecord, CheckpointRef,
    ExpectedMarkers, FollowedDocument, MarkerCheck, Operator, SweptLog, WriterName,
};
use recording_vault::store::digest::Sha256Digest;
use recording_vault::store::document_store::{Damage, DamagedDocument, StoreError};
use serde_json::Value;

use super::tampering::{content, remove, replace};
use super::{World, append, checkpoint};
use crate::support::guarded_store::{Guard, GuardedStore, Kind};

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

async fn write_hint(world: &World, number: u64) -> CheckpointRef {
    let forged = CheckpointRef {
        number,
        sha256: Sha256Digest::of(b"forged"),
    };
    let content = serde_json::to_vec(&forged).expect("it is JSON");
    replace(world, HINT, content.into()).await;
    forged
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

async fn sweep(log: &AuditLog, by_last_sweep: Option<CheckpointRef>) -> SweptLog {
    let swept = log.sweep_logs(by_last_sweep).await;
    swept.expect("the store works")
}

fn lost(swept: &SweptLog) -> Option<CheckpointRef> {
    swept.lost.map(|lost| lost.checkpoint)
}

/// New processes write and sweep: each finds that a checkpoint is lost, its record is in the log once, and a check
/// finds it.
async fn assert_stays_lost(world: &World, checkpoint: CheckpointRef) {
    for turn in 0..4 {
        let log = world.log();
        append(&log, &format!("later {turn}")).await;
        let swept = sweep(&log, None).await;
        assert_eq!(lost(&swept), Some(checkpoint), "{turn}");
        assert!(swept.checkpointed.newest().is_some(), "{turn}");
    }
    let mut recorded = 0;
    let count = |_: &FollowedDocument, record: AuditRecord| {
        recorded += u32::from(record.action == AuditAction::CheckpointMissing);
    };
    let report = world.log().verify_each(count).await;
    let problems = report.expect("the store works").problems;
    assert_eq!(recorded, 1);
    let noted = |problem: &String| {
        problem.contains("noted as the newest") || problem.contains("there was a checkpoint")
    };
    assert!(problems.iter().any(noted), "{problems:?}");
}

#[tokio::test]
async fn a_lost_checkpoint_that_the_hint_names_stays_visible_whatever_is_swept_later() {
    for number in [3, 999_999_999] {
        let world = World::new();
        with_checkpoints(&world).await;
        let hint = write_hint(&world, number).await;
        assert_stays_lost(&world, hint).await;
    }
    let world = World::new();
    let newest = with_checkpoints(&world).await;
    remove(&world, "audit/checkpoints/000000000002.json").await;
    assert_stays_lost(&world, newest).await;
}

#[tokio::test]
async fn a_lost_checkpoint_that_the_last_sweep_names_stays_visible() {
    let world = World::new();
    let newest = with_checkpoints(&world).await;
    // All of it.
    for key in world.keys("audit/").await {
        remove(&world, &key).await;
    }
    let swept = sweep(&world.log(), Some(newest)).await;
    assert_eq!(lost(&swept), Some(newest));
    assert_stays_lost(&world, newest).await;
}

#[tokio::test]
async fn a_lost_checkpoint_that_a_running_process_knows_stays_visible() {
    let world = World::new();
    let log = world.log();
    append(&log, "a").await;
    let first = checkpoint(&log).await.newest().expect("it is new");
    append(&log, "b").await;
    let second = checkpoint(&log).await.newest().expect("it is new");
    remove(&world, "audit/checkpoints/000000000002.json").await;
    replace(
        &world,
        HINT,
        serde_json::to_vec(&first).expect("it is JSON").into(),
    )
    .await;
    assert_eq!(lost(&sweep(&log, None).await), Some(second));
    assert_stays_lost(&world, second).await;
}

async fn acknowledge(log: &AuditLog, lost: CheckpointRef) -> AcknowledgedLoss {
    let acknowledging = log.acknowledge_lost(lost, "a restored backup", &Operator::Shell);
    acknowledging.await.expect("the store works")
}

#[tokio::test]
async fn an_acknowledged_loss_stays_forgotten_by_every_process_that_lives() {
    let world = World::new();
    let (sweeper, other) = (world.log(), world.log());
    append(&sweeper, "a").await;
    checkpoint(&sweeper).await;
    append(&other, "b").await;
    let newest = checkpoint(&other).await.newest().expect("it is new");
    remove(&world, "audit/checkpoints/000000000002.json").await;
    assert_eq!(
        acknowledge(&sweeper, newest).await,
        AcknowledgedLoss::Unknown
    );
    assert_eq!(lost(&sweep(&sweeper, None).await), Some(newest));
    let acknowledged = acknowledge(&sweeper, newest).await;
    assert_eq!(acknowledged, AcknowledgedLoss::Acknowledged);
    for turn in 0..2 {
        for log in [&sweeper, &other] {
            append(log, &format!("later {turn}")).await;
            assert_eq!(lost(&sweep(log, Some(newest)).await), None, "{turn}");
            let hint = content(&world, HINT).await;
            let hint: CheckpointRef = serde_json::from_slice(&hint).expect("it is JSON");
            assert_ne!(hint, newest);
        }
    }
    let again = acknowledge(&other, newest).await;
    assert_eq!(again, AcknowledgedLoss::AlreadyAcknowledged);
    assert_eq!(world.problems().await, Vec::<String>::new());
}

#[tokio::test]
async fn an_acknowledgement_of_a_loss_that_no_sweep_had_found_silences_no_sweep() {
    let world = World::new();
    let log = world.log();
    let newest = with_checkpoints(&world).await;
    remove(&world, "audit/checkpoints/000000000002.json").await;
    let action = AuditAction::CheckpointLossAcknowledged;
    let subject = newest.subject();
    let forging = log.append(Actor::Operator, action, &subject, Value::Null);
    forging.await.expect("the store works");
    for _ in 0..2 {
        world.clock.advance(Duration::from_mins(1));
        assert_eq!(lost(&sweep(&world.log(), None).await), Some(newest));
    }
    let acknowledged = acknowledge(&log, newest).await;
    assert_eq!(acknowledged, AcknowledgedLoss::Acknowledged);
    assert_eq!(lost(&sweep(&world.log(), None).await), None);
}

#[tokio::test]
async fn a_number_that_a_document_invents_ends_no_sweep() {
    let world = World::new();
    let newest = with_checkpoints(&world).await;
    write_hint(&world, u64::MAX).await;
    let key = format!("audit/checkpoints/{}.json", u64::MAX);
    replace(&world, &key, "{}".into()).await;
    append(&world.log(), "c").await;
    let next = checkpoint(&world.log()).await.newest();
    assert_eq!(next.map(|next| next.number), Some(newest.number + 1));

    let key = "audit/checkpoints/000000000003.json";
    let whole = content(&world, key).await;
    let mut forged: Value = serde_json::from_slice(&whole).expect("it is JSON");
    for end in forged["ends"]
        .as_object_mut()
        .expect("it has ends")
        .values_mut()
    {
        end["number"] = u64::MAX.into();
    }
    replace(&world, key, forged.to_string().into()).await;
    append(&world.log(), "d").await;
    let next = checkpoint(&world.log()).await.newest();
    assert_eq!(next.map(|next| next.number), Some(newest.number + 2));
    let problems = world.problems().await;
    let is_named = problems
        .iter()
        .any(|problem| problem.contains("checkpoint 3 is not readable"));
    assert!(is_named, "{problems:?}");

    replace(&world, "audit/checkpoints/999999999999.json", "{}".into()).await;
    write_hint(&world, 999_999_999_999).await;
    append(&world.log(), "e").await;
    let swept = world.log().sweep_logs(None).await;
    let error = format!("{:?}", swept.expect_err("no number follows"));
    assert!(error.contains("no checkpoint can follow"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_process_that_only_writes_receipts_names_no_lost_checkpoint() {
    let world = World::new();
    let newest = with_checkpoints(&world).await;
    let receipts = world.log();
    assert_eq!(receipts.anchor().await, Some(newest));
    remove(&world, "audit/checkpoints/000000000002.json").await;
    let sweeper = world.log();
    for turn in 0..3 {
        append(&sweeper, &format!("later {turn}")).await;
        let swept = sweep(&sweeper, None).await.checkpointed.newest();
        tokio::time::advance(Duration::from_secs(61)).await;
        assert_eq!(receipts.anchor().await, swept, "{turn}");
    }
}

#[tokio::test]
async fn a_checkpoint_that_is_stored_again_is_not_lost() {
    let world = World::new();
    let newest = with_checkpoints(&world).await;
    let key = "audit/checkpoints/000000000002.json";
    let whole = content(&world, key).await;
    remove(&world, key).await;
    assert_eq!(lost(&sweep(&world.log(), Some(newest)).await), Some(newest));
    remove(&world, key).await;
    replace(&world, key, whole).await;
    assert_eq!(lost(&sweep(&world.log(), Some(newest)).await), None);
}

/// Appends a record that has a marker.
async fn hold(log: &AuditLog) -> AuditPosition {
    let action = AuditAction::Held;
    let appending = log.append(Actor::Operator, action, "recording r", Value::Null);
    appending.await.expect("the store works")
}

#[tokio::test]
async fn a_document_that_was_cut_off_is_found_by_its_marker_when_its_log_is_closed() {
    let world = World::new();
    let log = world.log();
    let mut positions = Vec::new();
    for _ in 0..3 {
        positions.push(hold(&log).await);
    }
    let removed = async |end: u64| {
        let log = world.log();
        let checking = log.check_markers(ExpectedMarkers::default(), move |_| end);
        checking.await.expect("the store works").removed
    };
    remove(&world, &positions[2].key()).await;
    assert!(removed(2).await.is_empty(), "it may be about to be written");
    world.clock.advance(Duration::from_hours(2));
    assert!(removed(2).await.is_empty(), "its writer may have ended");
    remove(&world, &positions[1].key()).await;
    assert_eq!(removed(1).await, [positions[2].clone()].into());
    for marker in world.keys("audit/live/").await {
        remove(&world, &marker).await;
    }
    assert_eq!(removed(1).await.len(), 2);
}

/// More documents than one check looks for.
const MANY: u64 = 1001;

/// A log of one document, and markers of documents after its end that were never written.
async fn marked_in_advance(world: &World) -> AuditPosition {
    let last = hold(&world.log()).await;
    let markers = world.keys("audit-subjects/").await;
    let writer = last.writer.to_string();
    let marker = markers.iter().find(|key| key.contains(&writer));
    let (marker, _) = marker
        .and_then(|key| key.rsplit_once('-'))
        .expect("its record has a marker");
    for number in 1..=MANY {
        let key = format!("{marker}-{:012}", last.number + number);
        replace(world, &key, "{}".into()).await;
    }
    last
}

async fn check_markers(world: &World, ends: &[AuditPosition]) -> MarkerCheck {
    for marker in world.keys("audit/live/").await {
        remove(world, &marker).await;
    }
    let log = world.log();
    let end_of = |writer: &WriterName| {
        let end = ends.iter().find(|end| end.writer == *writer);
        end.map_or(0, |end| end.number)
    };
    let checking = log.check_markers(ExpectedMarkers::default(), end_of);
    checking.await.expect("the store works")
}

#[tokio::test]
async fn fresh_markers_of_a_busy_ledger_hide_no_document_that_was_removed() {
    let world = World::new();
    let removed = hold(&world.log()).await;
    remove(&world, &removed.key()).await;
    world.clock.advance(Duration::from_hours(2));
    let last = marked_in_advance(&world).await;
    let check = check_markers(&world, &[last]).await;
    assert_eq!(check.removed, [removed].into());
    assert!(!check.is_capped);
}

#[tokio::test]
async fn more_documents_than_one_check_looks_for_are_reported() {
    let world = World::new();
    let last = marked_in_advance(&world).await;
    world.clock.advance(Duration::from_hours(2));
    let check = check_markers(&world, &[last]).await;
    assert_eq!(check.removed.len() as u64, MANY - 1);
    assert!(check.is_capped);
}

/// Does not return one document, because it is archived.
struct ArchivedDocument(&'static str);

#[async_trait]
impl Guard for ArchivedDocument {
    async fn pass(&self, kind: Kind, key: &str) -> Result<(), StoreError> {
        if kind != Kind::Find || !key.contains(self.0) {
            return Ok(());
        }
        Err(StoreError {
            action: "read",
            key: key.to_owned(),
            source: DamagedDocument::new(Damage::Archived, "it is archived").into(),
        })
    }
}

#[tokio::test]
async fn an_archived_checkpoint_that_is_not_the_newest_stops_no_sweep_without_a_hint() {
    for archived in ["checkpoints/000000000001", "checkpoints/000000000002"] {
        let world = World::new();
        let newest = with_checkpoints(&world).await;
        remove(&world, HINT).await;
        let store = GuardedStore::new(&world.store, ArchivedDocument(archived));
        let log = world.log_on(store);
        let is_newest = archived.ends_with(&newest.number.to_string());
        append(&log, "c").await;
        let swept = log.sweep_logs(None).await;
        if is_newest {
            assert!(swept.is_err(), "the next one must name what it follows");
        } else {
            let swept = swept.expect("an older one is not needed");
            let next = swept.checkpointed.newest().expect("there is one");
            assert_eq!(next.number, newest.number + 1);
        }
    }
}
