//! What is past its policy, and not held, is deleted from the vault, whatever happens.

use std::collections::BTreeMap;
use std::time::Duration;

use recording_vault::clock::Clock as _;
use recording_vault::export::ledger::Retried;
use recording_vault::export::retention::Removal;
use recording_vault::export::{ChunkState, DriveOutcome, LedgerEntry};
use recording_vault::recording::{DocumentId, RecordingChunk};
use recording_vault::standing::{Standing, of_chunk};
use recording_vault::store::audit::Operator;
use recording_vault::store::digest::Sha256Digest;
use recording_vault::store::document_store::DocumentStore as _;
use recording_vault::store::holds::Held;

use crate::holds::{FAULTS, YEAR, case, chunk_of, hold, recorded, recording_of, release};
use crate::support::content;
use crate::support::pipeline::{Pipeline, RETENTION};
use crate::support::simulation::{Durable, Fault, Plan, deliver};

/// Chunks `old` and `held`, each of its own recording, in the vault for more than a year.
pub(crate) async fn past() -> (Pipeline, DocumentId, DocumentId) {
    let (old, held) = (chunk_of("old", "old"), chunk_of("held", "held"));
    let pipeline = recorded(&[old.clone(), held.clone()]).await;
    hold(&pipeline.driver.ledger().holds(), &recording_of(&held)).await;
    pipeline.sweep().await;
    pipeline.clock.advance(RETENTION);
    pipeline.sweep().await;
    pipeline.clock.advance(YEAR);
    (pipeline, old.document_id, held.document_id)
}

#[tokio::test]
#[expect(
    clippy::too_many_lines,
    reason = "one scenario, in the order in which it happens"
)]
async fn what_is_past_its_policy_is_planned_and_deleted_but_for_what_is_held() {
    let (pipeline, old, held) = Box::pin(past()).await;
    let young = chunk_of("young", "young");
    let young = RecordingChunk {
        started_at: "2027-03-02T20:00:00Z".parse().ok(),
        ..young
    };
    pipeline.source.put(&young.document_id, content(100, 1));
    pipeline.record(&young).await;
    pipeline.drive(&young.document_id).await;

    let plan = pipeline
        .retention(YEAR)
        .plan()
        .await
        .expect("the ledger works");
    let planned: BTreeMap<_, _> = plan
        .copies
        .iter()
        .map(|copy| (&copy.entry.chunk.document_id, copy.cases.len()))
        .collect();
    assert_eq!(planned, BTreeMap::from([(&old, 0), (&held, 1)]));

    let removals = pipeline
        .retention(YEAR)
        .apply(&Operator::Shell)
        .await
        .expect("the ledger works");
    let removals: BTreeMap<_, _> = removals.removals.into_iter().collect();
    assert_eq!(
        removals,
        BTreeMap::from([
            (old.clone(), Removal::Removed),
            (
                held.clone(),
                Removal::Held {
                    cases: vec![case("A-1")],
                    is_whole: true
                }
            )
        ])
    );
    let state = pipeline.state(&old).await;
    assert!(
        matches!(&state, ChunkState::Removed { reason, .. } if reason.contains("8760h")),
        "{state:?}"
    );
    assert!(
        pipeline
            .vault
            .files()
            .keys()
            .all(|name| !name.as_str().contains(".old.")),
        "media, metadata and receipt are gone"
    );
    assert!(pipeline.media(&held).is_some() && pipeline.media(&young.document_id).is_some());
    assert_eq!(pipeline.vault.files().len(), 6);

    release(
        &pipeline.driver.ledger().holds(),
        &Held::RecordingId("held".parse().expect("it is an id")),
    )
    .await;
    let again = pipeline
        .retention(YEAR)
        .apply(&Operator::Shell)
        .await
        .expect("the ledger works");
    assert_eq!(
        again.removals,
        [(held, Removal::Removed)],
        "what is done is not done again"
    );
}

#[tokio::test]
async fn a_copy_whose_start_is_too_old_to_count_is_named() {
    let late = RecordingChunk {
        started_at: "2020-06-01T00:00:00Z".parse().ok(),
        ..chunk_of("late", "late")
    };
    let usual = chunk_of("usual", "usual");
    let pipeline = recorded(&[late.clone(), usual]).await;
    pipeline.sweep().await;
    let retention = pipeline.retention(YEAR);
    let plan = retention.plan().await.expect("the ledger works");
    assert!(plan.copies.is_empty(), "{plan:?}");
    let [named] = &plan.counted_later[..] else {
        panic!("{plan:?}")
    };
    assert_eq!(named.document_id, late.document_id);
    assert!(named.past_at > pipeline.clock.now());
    let applied = retention.apply(&Operator::Shell).await;
    assert!(applied.expect("the ledger works").removals.is_empty());

    pipeline.clock.advance(YEAR);
    let plan = retention.plan().await.expect("the ledger works");
    assert_eq!(plan.copies.len(), 2, "{plan:?}");
    assert!(plan.counted_later.is_empty(), "{plan:?}");
}

#[tokio::test]
async fn a_repeated_event_of_a_removed_chunk_does_not_export_it_again() {
    let (pipeline, old, _) = Box::pin(past()).await;
    pipeline
        .retention(YEAR)
        .apply(&Operator::Shell)
        .await
        .expect("the ledger works");
    // As if ACS had it still.
    pipeline.source.put(&old, content(100, 1));
    pipeline.source.model().opened.clear();
    let mut again = chunk_of("old", "old");
    again.end_reason = Some("SessionEnded".to_owned());
    pipeline.record(&again).await;
    pipeline.sweep().await;
    assert!(matches!(
        pipeline.drive(&old).await,
        DriveOutcome::Settled {
            state: ChunkState::Removed { .. },
            ..
        }
    ));
    assert_eq!(
        pipeline
            .driver
            .ledger()
            .retry(&old, &Operator::Shell)
            .await
            .expect("the ledger works"),
        Retried::Removed
    );
    assert!(pipeline.source.model().opened.is_empty() && pipeline.media(&old).is_none());
}

#[tokio::test]
async fn a_vault_that_refuses_is_reported_and_does_not_stop_the_others() {
    let (first, second) = (chunk_of("first", "first"), chunk_of("second", "second"));
    let pipeline = recorded(&[first.clone(), second.clone()]).await;
    pipeline.sweep().await;
    pipeline.clock.advance(YEAR);
    let before = pipeline.state(&first.document_id).await;
    let media = before
        .receipt()
        .expect("it is in the vault")
        .media()
        .name()
        .clone();
    pipeline.vault.protect(&media);
    for _ in 0..2 {
        let removals: BTreeMap<_, _> = pipeline
            .retention(YEAR)
            .apply(&Operator::Shell)
            .await
            .expect("the ledger works")
            .removals
            .into_iter()
            .collect();
        let Some(Removal::Failed {
            reason,
            is_whole: true,
        }) = removals.get(&first.document_id)
        else {
            panic!("{removals:?}")
        };
        assert!(reason.contains("immutable"), "{reason}");
        assert_eq!(
            pipeline.state(&first.document_id).await,
            before,
            "it is in the vault, and the ledger says so"
        );
    }
    assert!(matches!(
        pipeline.state(&second.document_id).await,
        ChunkState::Removed { .. }
    ));
    assert_eq!(
        pipeline.vault.files().len(),
        3,
        "all that there was of the first"
    );
}

/// The ledger says "in the vault" of nothing that is not there.
async fn assert_no_copy_is_only_said(durable: &Durable, chunks: &[RecordingChunk], what: &str) {
    for chunk in chunks {
        let id = &chunk.document_id;
        let found = durable
            .ledger()
            .find(id)
            .await
            .expect("the durable ledger works")
            .expect("the entry is there");
        assert!(
            found.entry.state.receipt().is_none() || durable.is_whole(id),
            "`{id}`: {:?}; {what}",
            found.entry.state
        );
    }
}

/// Both chunks in the vault for more than a year; the second one held.
async fn in_the_vault() -> (Durable, [RecordingChunk; 2]) {
    let chunks = [chunk_of("old", "old"), chunk_of("held", "held")];
    let durable = Durable::new(&chunks);
    deliver(&durable.instance(&Plan::calm()), &chunks).await;
    hold(&durable.holds(&Plan::calm()), &recording_of(&chunks[1])).await;
    durable.clock.advance(YEAR);
    (durable, chunks)
}

/// A fault at call `number` of an apply; whether it got that far.
async fn apply_with(
    durable: &Durable,
    chunks: &[RecordingChunk],
    number: usize,
    fault: Fault,
    what: &str,
) -> bool {
    let plan = Plan::at(number, fault);
    let retention = durable.retention(&plan, YEAR);
    tokio::select! {
        _ = retention.apply(&Operator::Shell) => {}
        () = plan.killed() => {}
    }
    assert_no_copy_is_only_said(durable, chunks, what).await;
    // Whoever was killed has the claim still.
    durable.clock.advance(Duration::from_mins(2));
    plan.calls() > number
}

async fn entry(durable: &Durable, chunk: &RecordingChunk) -> LedgerEntry {
    let found = durable
        .ledger()
        .find(&chunk.document_id)
        .await
        .expect("the durable ledger works");
    found.expect("the entry is there").entry
}

async fn state(durable: &Durable, chunk: &RecordingChunk) -> ChunkState {
    entry(durable, chunk).await.state
}

#[tokio::test(start_paused = true)]
async fn no_fault_at_any_call_leaves_a_removal_undone_or_touches_what_is_held() {
    for fault in FAULTS {
        let mut number = 0;
        loop {
            let what = format!("{fault:?} at call {number}");
            let (durable, chunks) = in_the_vault().await;
            let reached = apply_with(&durable, &chunks, number, fault, &what).await;
            durable
                .retention(&Plan::calm(), YEAR)
                .apply(&Operator::Shell)
                .await
                .expect("the ledger works");
            let (old, held) = (
                state(&durable, &chunks[0]).await,
                state(&durable, &chunks[1]).await,
            );
            assert!(matches!(old, ChunkState::Removed { .. }), "{old:?}; {what}");
            assert!(
                matches!(held, ChunkState::SourceDeleted { .. }),
                "{held:?}; {what}"
            );
            let files = durable.vault.files();
            assert!(
                files.len() == 3 && files.keys().all(|name| name.as_str().contains(".held.")),
                "{what}"
            );
            assert!(durable.is_whole(&chunks[1].document_id), "{what}");
            if !reached {
                break;
            }
            number += 1;
        }
        assert!(
            number > 15,
            "the removal makes {number} calls: is it the whole one?"
        );
    }
}

/// Every file with its digest; of a receipt the name only, because a copy that was touched is proved by its new `ETag`.
fn files_by_digest(durable: &Durable) -> BTreeMap<String, Option<Sha256Digest>> {
    let files = durable.vault.files().into_iter();
    files
        .map(|(name, content)| {
            let is_receipt = name.as_str().contains("-receipt.");
            let digest = (!is_receipt).then(|| Sha256Digest::of(&content));
            (name.to_string(), digest)
        })
        .collect()
}

#[tokio::test(start_paused = true)]
async fn a_hold_that_comes_after_a_killed_removal_keeps_what_there_is() {
    for fault in FAULTS {
        let mut number = 0;
        loop {
            let what = format!("{fault:?} at call {number}");
            let (durable, chunks) = in_the_vault().await;
            let reached = apply_with(&durable, &chunks, number, fault, &what).await;
            hold(&durable.holds(&Plan::calm()), &recording_of(&chunks[0])).await;
            let before = files_by_digest(&durable);
            durable
                .retention(&Plan::calm(), YEAR)
                .apply(&Operator::Shell)
                .await
                .expect("the ledger works");
            assert_eq!(
                files_by_digest(&durable),
                before,
                "nothing more is deleted; {what}"
            );
            assert_no_copy_is_only_said(&durable, &chunks, &what).await;
            let entry = entry(&durable, &chunks[0]).await;
            let state = &entry.state;
            let is_copy = matches!(state, ChunkState::SourceDeleted { .. });
            assert_eq!(
                is_copy,
                durable.is_whole(&chunks[0].document_id) && before.len() == 6,
                "{state:?}; {what}"
            );
            let is_unfinished = matches!(state, ChunkState::Removing { .. });
            let standing = of_chunk(&entry, durable.clock.now()).standing;
            assert_eq!(
                standing == Standing::Unknown,
                is_unfinished,
                "{state:?}; {what}"
            );
            let store = durable.store();
            let attention = store.list("catalogue/attention/incomplete/", None, 9);
            let is_listed = !attention.await.expect("the store works").is_empty();
            assert!(is_listed || !is_unfinished, "{what}");
            if !reached {
                break;
            }
            number += 1;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_hold_that_comes_while_a_removal_is_under_way_is_kept_or_reported_as_too_late() {
    let (mut kept, mut late) = (0, 0);
    for seed in 0..500 {
        let (durable, chunks) = in_the_vault().await;
        let retention = durable.retention(&Plan::noisy(seed, 0, None), YEAR);
        let holds = durable.holds(&Plan::noisy(seed + 1000, 0, None));
        let holding = async {
            for _ in 0..seed % 40 {
                tokio::task::yield_now().await;
            }
            hold(&holds, &recording_of(&chunks[0])).await;
            state(&durable, &chunks[0]).await
        };
        let (removals, seen) = tokio::join!(retention.apply(&Operator::Shell), holding);
        removals.expect("the ledger works");
        if seen.receipt().is_some() {
            kept += 1;
            assert!(
                durable.is_whole(&chunks[0].document_id),
                "seed {seed}: it was told that it is held"
            );
        } else {
            late += 1;
        }
        assert_no_copy_is_only_said(&durable, &chunks, &format!("seed {seed}")).await;
    }
    assert!(
        kept > 20 && late > 20,
        "{kept} kept, {late} late: do they meet?"
    );
}
