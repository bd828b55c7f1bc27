//! What no checkpoint covers: logs and documents that were added later, and logs that were hidden from the sweeps.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use recording_vault::clock::ManualClock;
use recording_vault::store::audit::{AuditLog, AuditReport};
use recording_vault::store::digest::Sha256Digest;
use serde_json::{Value, json};

use super::tampering::{content, filled, json_of, remove, replace};
use super::{World, append, checkpoint};

const FORGED: &str = "20250101000000-0123456789abcdef0123456789abcdef";

async fn report(world: &World) -> AuditReport {
    world.log().verify().await.expect("the store works")
}

fn has(sentences: &[String], part: &str) -> bool {
    sentences.iter().any(|sentence| sentence.contains(part))
}

/// A log of its own with a record of last year.
async fn forge_log(world: &World) {
    let document = json!({
        "writer": FORGED, "sequence": 1, "previous": Sha256Digest::ZERO, "at": "2025-01-01T00:00:00Z",
        "records": [{
            "at": "2025-01-01T00:00:00Z", "actor": "handler", "action": "recorded", "subject": "a",
        }],
    });
    let key = format!("audit/{FORGED}/000000000001.json");
    replace(world, &key, document.to_string().into()).await;
}

/// Writes a checkpoint after the newest one, with changed ends.
async fn forge_checkpoint(world: &World, change: impl FnOnce(&mut Value)) {
    let newest = world.keys("audit/checkpoints/").await.pop();
    let newest = newest.expect("there is one");
    let mut checkpoint = json_of(world, &newest).await;
    let number = checkpoint["number"].as_u64().expect("it has a number") + 1;
    checkpoint["number"] = number.into();
    checkpoint["previous"] = json!(Sha256Digest::of(&content(world, &newest).await));
    change(&mut checkpoint["ends"]);
    let key = format!("audit/checkpoints/{number:012}.json");
    replace(world, &key, Bytes::from(checkpoint.to_string())).await;
}

#[tokio::test]
async fn a_log_whose_marker_was_removed_before_the_first_sweep_is_in_the_next_checkpoint() {
    let world = World::new();
    let (log, other) = (world.log(), world.log());
    append(&log, "a").await;
    append(&other, "b").await;
    for marker in world.keys("audit/live/").await {
        remove(&world, &marker).await;
    }
    checkpoint(&world.log()).await;
    let report = report(&world).await;
    assert_eq!((report.records, report.records_after_newest), (2, 0));
}

#[tokio::test]
async fn a_foreign_document_hides_no_log() {
    let world = World::new();
    append(&world.log(), "a").await;
    for marker in world.keys("audit/live/").await {
        remove(&world, &marker).await;
    }
    // A page of them, right before the names of logs; and one before all of them.
    let mut foreign: Vec<String> = (0..100)
        .map(|number| format!("audit/20260302080000-{number:03}"))
        .collect();
    foreign.push("audit/(copy) notes.txt".to_owned());
    for key in &foreign {
        replace(&world, key, "{}".into()).await;
    }
    checkpoint(&world.log()).await;
    let report = report(&world).await;
    assert_eq!((report.records, report.records_after_newest), (1, 0));
    let named = foreign
        .iter()
        .map(|key| format!("`{key}` is no document of the log"));
    let (mut named, mut problems) = (named.collect::<Vec<_>>(), report.problems);
    named.sort();
    problems.sort();
    assert_eq!(problems, named);
}

#[tokio::test(start_paused = true)]
async fn a_writer_writes_the_marker_of_its_log_again_that_somebody_removed() {
    let world = World::new();
    let log = world.log();
    append(&log, "a").await;
    let markers = world.keys("audit/live/").await;
    remove(&world, &markers[0]).await;
    tokio::time::advance(Duration::from_secs(61)).await;
    append(&log, "b").await;
    assert_eq!(world.keys("audit/live/").await, markers);
}

#[tokio::test]
async fn a_log_that_was_added_with_old_records_is_a_problem() {
    let world = filled().await;
    forge_log(&world).await;
    let found = report(&world).await;
    assert!(
        has(&found.problems, "neither a checkpoint nor a marker has it"),
        "{:?}",
        found.problems
    );
    assert_eq!(found.records_after_newest, 1);
}

#[tokio::test]
async fn a_log_that_was_added_with_old_records_and_a_marker_never_counts_as_checked() {
    let world = filled().await;
    forge_log(&world).await;
    let marker = json!({"began": "2025-01-01T00:00:00Z"}).to_string();
    replace(&world, &format!("audit/live/{FORGED}"), marker.into()).await;
    let found = report(&world).await;
    assert!(has(&found.not_checked, FORGED), "{:?}", found.not_checked);
    checkpoint(&world.log()).await;
    let found = report(&world).await;
    assert_eq!(found.records_after_newest, 0, "the sweep found it");
    assert!(
        has(
            &found.not_checked,
            "dated before a checkpoint that does not have them"
        ),
        "{:?}",
        found.not_checked
    );
}

#[tokio::test]
async fn a_checkpoint_that_says_falsely_that_a_log_is_closed_is_found_and_hides_nothing() {
    let world = World::new();
    let log = world.log();
    append(&log, "a").await;
    checkpoint(&log).await;
    forge_checkpoint(&world, |ends| {
        for (_, end) in ends.as_object_mut().expect("it has ends") {
            end["state"] = "closed".into();
        }
    })
    .await;
    assert!(has(
        &report(&world).await.problems,
        "do not agree whether document 1 closes"
    ));
    checkpoint(&world.log()).await;
    assert_eq!(world.keys("audit/live/").await.len(), 1, "its marker stays");
    append(&log, "b").await;
    checkpoint(&world.log()).await;
    assert_eq!(report(&world).await.records_after_newest, 0);

    // Of a log that no checkpoint had before.
    let world = World::new();
    let (log, other) = (world.log(), world.log());
    append(&log, "a").await;
    checkpoint(&log).await;
    let place = append(&other, "b").await;
    let document = content(&world, &place.key()).await;
    forge_checkpoint(&world, |ends| {
        ends[place.writer.to_string()] = json!({
            "number": 1, "sha256": Sha256Digest::of(&document), "state": "closed",
        });
    })
    .await;
    assert!(has(
        &report(&world).await.problems,
        "says that the log is closed with document"
    ));
}

#[tokio::test]
async fn a_checkpoint_that_drops_an_open_log_is_found() {
    let world = World::new();
    let log = world.log();
    append(&log, "a").await;
    checkpoint(&log).await;
    forge_checkpoint(&world, |ends| *ends = json!({})).await;
    assert!(has(&report(&world).await.problems, "does not have log"));
}

#[tokio::test]
async fn a_log_of_a_clock_that_is_behind_is_no_problem_before_its_first_sweep() {
    let world = filled().await;
    let behind = ManualClock::starting_at("2016-01-01T00:00:00Z".parse().expect("it is a time"));
    let behind = AuditLog::new(world.store.clone(), Arc::new(behind));
    append(&behind, "a").await;
    assert_eq!(world.problems().await, Vec::<String>::new());
}
