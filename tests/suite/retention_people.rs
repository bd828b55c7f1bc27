//! What stays of a recording after retention removed its copies: everything, or ids, times and digests without people.

use std::sync::Arc;
use std::time::Duration;

use recording_vault::catalogue::detail::RecordingLookup;
use recording_vault::catalogue::dropping::PeopleDropped;
use recording_vault::control::consent::Consent;
use recording_vault::control::entry::RegisteredRecording;
use recording_vault::export::retention::{RetentionKeeps, RetentionPolicy};
use recording_vault::export::{ChunkState, ExportSweep, LedgerEntry};
use recording_vault::operator_actions::import::ImportOutcome;
use recording_vault::operator_actions::retention::RetentionOutcome;
use recording_vault::recording::RecordingChunk;
use recording_vault::store::audit::Operator;
use recording_vault::store::digest::Sha256Digest;
use recording_vault::store::document_store::{DocumentStore as _, Precondition};
use recording_vault::store::holds::Held;

use crate::holds::{FAULTS, YEAR, hold, release};
use crate::imports::{downloaded, of_document};
use crate::support::chunk;
use crate::support::fake_source::PARTICIPANT;
use crate::support::simulation::{Durable, Plan, budget, deliver, media_of};

const STARTED_BY: &str = "Anna";

fn chunk_of(id: &str, index: u32) -> RecordingChunk {
    RecordingChunk {
        recording_id: "mine".parse().ok(),
        ..chunk(id, index)
    }
}

/// A recording of two chunks that somebody started and consented to, in the vault for more than a year.
async fn past() -> (Durable, [RecordingChunk; 2]) {
    let chunks = [chunk_of("a", 0), chunk_of("bb", 1)];
    let durable = Durable::new(&chunks);
    let now = "2026-03-02T10:03:00Z".parse().expect("it is a time");
    let account = |account: &mut RegisteredRecording| {
        account.started_by = Some(STARTED_BY.to_owned());
        account.consent = Some(Consent {
            basis: "consent".to_owned(),
            given_by: STARTED_BY.to_owned(),
            given_at: now,
            reference: None,
        });
        account.files.announced_at = Some(now);
        account.files.has_last = true;
        for chunk in &chunks {
            let documents = account.files.chunks.entry(chunk.index).or_default();
            documents.insert(chunk.document_id.clone());
        }
        account.stop(now);
    };
    let register = durable.register(&Plan::calm());
    let id = chunks[0].filed_under();
    let registered = register.change(&id, now, account).await;
    registered.expect("the register works");
    deliver(&durable.instance(&Plan::calm()), &chunks).await;
    durable.clock.advance(YEAR);
    (durable, chunks)
}

async fn apply(
    durable: &Durable,
    plan: &Arc<Plan>,
    keeps: RetentionKeeps,
) -> Option<RetentionOutcome> {
    let policy = RetentionPolicy {
        keep_for: YEAR,
        keeps,
    };
    let retention = durable.retention_by(plan, policy);
    let actions = durable.actions(plan);
    let applying = actions.apply_retention(&retention, &Operator::Shell);
    tokio::select! {
        applied = applying => applied.ok(),
        () = plan.killed() => None,
    }
}

async fn entry(durable: &Durable, chunk: &RecordingChunk) -> LedgerEntry {
    let found = durable.ledger().find(&chunk.document_id).await;
    found
        .expect("the ledger works")
        .expect("the entry is there")
        .entry
}

/// Documents of register and ledger that name a person of the recording.
async fn naming(durable: &Durable) -> Vec<String> {
    let documents = durable.documents().await.into_iter();
    documents
        .filter(|(_, content)| content.contains(PARTICIPANT) || content.contains(STARTED_BY))
        .map(|(key, _)| key)
        .collect()
}

async fn assert_without_people(durable: &Durable, chunks: &[RecordingChunk], what: &str) {
    assert_eq!(naming(durable).await, Vec::<String>::new(), "{what}");
    assert!(durable.markers_of(PARTICIPANT).await.is_empty(), "{what}");
    for chunk in chunks {
        let entry = entry(durable, chunk).await;
        let ChunkState::Removed {
            receipt: Some(receipt),
            ..
        } = &entry.state
        else {
            panic!("{:?}; {what}", entry.state)
        };
        // Digests and times stay.
        assert!(receipt.media().size_bytes() > 0, "{what}");
        assert_eq!(entry.chunk.started_at, chunk.started_at, "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn people_stay_by_default_and_are_dropped_where_only_digests_are_kept() {
    let (durable, chunks) = past().await;
    let kept = apply(&durable, &Plan::calm(), RetentionKeeps::People).await;
    let kept = kept.expect("the ledger works");
    assert_eq!(
        (kept.applied.removals.len(), kept.people_dropped.len()),
        (2, 0)
    );
    assert!(!naming(&durable).await.is_empty());
    assert!(!durable.markers_of(PARTICIPANT).await.is_empty());
    // The policy changed since: what was removed before is handled too, once.
    let dropped = apply(&durable, &Plan::calm(), RetentionKeeps::Digests).await;
    let dropped = dropped.expect("the ledger works");
    assert_eq!(dropped.people_dropped.len(), 2, "{dropped:?}");
    assert_without_people(&durable, &chunks, "after the policy changed").await;
    let shown = durable.catalogue(&Plan::calm());
    let shown = shown.show(&chunks[0].filed_under()).await;
    let Ok(RecordingLookup::Known(detail)) = shown else {
        panic!("{shown:?}")
    };
    let row = &detail.row;
    assert_eq!(
        (row.participants, row.people_dropped, row.has_metadata),
        (0, true, false)
    );
    let again = apply(&durable, &Plan::calm(), RetentionKeeps::Digests).await;
    let again = again.expect("the ledger works");
    assert_eq!(
        (again.people_dropped.len(), again.people_left.len()),
        (0, 0)
    );
}

#[tokio::test(start_paused = true)]
async fn no_fault_at_any_call_leaves_a_person_in_a_removed_recording() {
    for fault in FAULTS {
        let mut number = 0;
        loop {
            let what = format!("{fault:?} at call {number}");
            let (durable, chunks) = past().await;
            let plan = Plan::at(number, fault);
            let _ = apply(&durable, &plan, RetentionKeeps::Digests).await;
            let has_reached = plan.calls() > number;
            // A killed process still has its claims.
            durable.clock.advance(Duration::from_mins(2));
            let repeat = apply(&durable, &Plan::calm(), RetentionKeeps::Digests).await;
            let repeat = repeat.expect("the ledger works");
            assert!(repeat.people_left.is_empty(), "{repeat:?}; {what}");
            assert_without_people(&durable, &chunks, &what).await;
            if !has_reached {
                break;
            }
            number += 1;
        }
        assert!(
            number > 30,
            "a whole removal makes more than {number} calls"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn people_of_a_held_recording_stay_until_it_is_released() {
    let (durable, chunks) = past().await;
    let kept = apply(&durable, &Plan::calm(), RetentionKeeps::People).await;
    assert_eq!(kept.expect("the ledger works").applied.removals.len(), 2);
    let held = Held::RecordingId(chunks[0].filed_under());
    hold(&durable.holds(&Plan::calm()), &held).await;
    let left = apply(&durable, &Plan::calm(), RetentionKeeps::Digests).await;
    let left = left.expect("the ledger works").people_left;
    assert_eq!(left.len(), 2, "{left:?}");
    assert!(left[0].1.contains("A-1"), "{left:?}");
    assert!(!naming(&durable).await.is_empty());
    release(&durable.holds(&Plan::calm()), &held).await;
    let dropped = apply(&durable, &Plan::calm(), RetentionKeeps::Digests).await;
    assert_eq!(dropped.expect("the ledger works").people_dropped.len(), 2);
    assert_without_people(&durable, &chunks, "after the release").await;
}

#[tokio::test(start_paused = true)]
async fn people_stay_while_another_chunk_of_the_recording_is_kept() {
    let (durable, chunks) = past().await;
    let young = RecordingChunk {
        started_at: "2027-03-02T20:00:00Z".parse().ok(),
        ..chunk_of("young", 2)
    };
    durable
        .source
        .put(&young.document_id, media_of(&young.document_id));
    let now = "2027-03-02T20:00:00Z".parse().expect("it is a time");
    let add = |account: &mut RegisteredRecording| {
        let documents = account.files.chunks.entry(young.index).or_default();
        documents.insert(young.document_id.clone());
    };
    let register = durable.register(&Plan::calm());
    let changed = register.change(&young.filed_under(), now, add).await;
    changed.expect("the register works");
    deliver(
        &durable.instance(&Plan::calm()),
        std::slice::from_ref(&young),
    )
    .await;
    let kept = apply(&durable, &Plan::calm(), RetentionKeeps::Digests).await;
    let kept = kept.expect("the ledger works");
    assert_eq!(
        (
            kept.applied.removals.len(),
            kept.people_dropped.len(),
            kept.people_left.len()
        ),
        (2, 0, 0),
        "{kept:?}"
    );
    assert!(!durable.markers_of(PARTICIPANT).await.is_empty());
    durable.clock.advance(YEAR);
    let dropped = apply(&durable, &Plan::calm(), RetentionKeeps::Digests).await;
    assert_eq!(dropped.expect("the ledger works").people_dropped.len(), 3);
    let all = [chunks[0].clone(), chunks[1].clone(), young];
    assert_without_people(&durable, &all, "after the last copy").await;
}

/// Adds a chunk to the recording that ACS does not have, and waits until it is lost.
async fn add_lost(durable: &Durable) -> RecordingChunk {
    let lost = chunk_of("lost", 2);
    let add = |account: &mut RegisteredRecording| {
        let documents = account.files.chunks.entry(lost.index).or_default();
        documents.insert(lost.document_id.clone());
    };
    let now = "2027-03-02T10:03:00Z".parse().expect("it is a time");
    let register = durable.register(&Plan::calm());
    let changed = register.change(&lost.filed_under(), now, add).await;
    changed.expect("the register works");
    let driver = durable.instance(&Plan::calm());
    deliver(&driver, std::slice::from_ref(&lost)).await;
    durable.clock.advance(Duration::from_hours(72));
    let sweep = ExportSweep::new(driver).run(budget()).await;
    sweep.expect("the ledger works");
    let state = entry(durable, &lost).await.state;
    assert!(state.is_loss(), "{state:?}");
    lost
}

#[tokio::test(start_paused = true)]
async fn people_of_a_chunk_that_is_imported_after_the_others_were_removed_are_dropped_too() {
    let (durable, chunks) = past().await;
    let lost = add_lost(&durable).await;
    let dropped = apply(&durable, &Plan::calm(), RetentionKeeps::Digests).await;
    dropped.expect("the ledger works");
    assert_eq!(naming(&durable).await, Vec::<String>::new());

    let file = downloaded(1);
    let metadata = file.path.with_extension("json");
    let text = format!(r#"{{"participants": [{{"participantId": "{PARTICIPANT}"}}]}}"#);
    std::fs::write(&metadata, text).expect("there is room");
    let mut request = of_document(&lost.document_id, &file);
    request.metadata = Some(metadata.into());
    let (actions, driver) = (
        durable.actions(&Plan::calm()),
        durable.instance(&Plan::calm()),
    );
    let importing = actions.import(request, &driver, &Operator::Shell, budget());
    let importing = importing.await.expect("the ledger works");
    assert!(
        matches!(importing.outcome, ImportOutcome::Imported(_)),
        "{importing:?}"
    );
    assert!(!durable.markers_of(PARTICIPANT).await.is_empty());

    durable.clock.advance(YEAR);
    let dropped = apply(&durable, &Plan::calm(), RetentionKeeps::Digests).await;
    let dropped = dropped.expect("the ledger works");
    assert!(dropped.people_left.is_empty(), "{dropped:?}");
    let all = [chunks[0].clone(), chunks[1].clone(), lost];
    assert_without_people(&durable, &all, "after the imported copy").await;
}

#[tokio::test(start_paused = true)]
async fn people_are_kept_where_the_account_that_a_hold_may_cover_is_not_readable() {
    let (durable, chunks) = past().await;
    apply(&durable, &Plan::calm(), RetentionKeeps::People).await;
    let store = durable.store();
    let name = Sha256Digest::of(chunks[0].filed_under().as_str().as_bytes());
    let key = format!("recordings/{name}.json");
    let found = store.find(&key).await.expect("the store works");
    let unchanged = Precondition::Unchanged(found.expect("the account is there").version);
    let garbage = bytes::Bytes::from_static(b"{");
    let written = store.put(&key, garbage, unchanged).await;
    assert!(written.expect("the store works").is_written());
    let catalogue = durable.catalogue(&Plan::calm());
    let dropped = Box::pin(catalogue.drop_people(&chunks[0].document_id)).await;
    assert!(
        matches!(&dropped, Ok(PeopleDropped::Left(reason)) if reason.contains("not readable")),
        "{dropped:?}"
    );
    assert!(!durable.markers_of(PARTICIPANT).await.is_empty());
}
