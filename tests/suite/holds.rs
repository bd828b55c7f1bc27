//! What is held is deleted nowhere; what is past its policy, and not held, is deleted from the vault, whatever happens.

use std::collections::BTreeMap;
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt as _;
use jiff::Timestamp;
use recording_vault::export::ledger::{LedgerError, Retried};
use recording_vault::export::retention::Removal;
use recording_vault::export::{ChunkState, DriveOutcome, ExportSweep};
use recording_vault::recording::{DocumentId, RecordingChunk};
use recording_vault::store::audit::Operator;
use recording_vault::store::digest::Sha256Digest;
use recording_vault::store::document_store::{DocumentStore as _, Precondition};
use recording_vault::store::holds::{Case, Held, Holds, Released};
use serde_json::{Value, json};

use crate::support::pipeline::{Pipeline, RETENTION};
use crate::support::simulation::{Durable, Fault, Plan, budget, deliver};
use crate::support::world::{World, document_ids};
use crate::support::{chunk, content};

const YEAR: Duration = Duration::from_hours(8760);
const FAULTS: [Fault; 4] = [
    Fault::FailBefore,
    Fault::FailAfter,
    Fault::KillBefore,
    Fault::KillAfter,
];

fn case(tag: &str) -> Case {
    Case {
        tag: tag.parse().expect("a test's tag is valid"),
        by: None,
        note: None,
        since: Timestamp::UNIX_EPOCH,
    }
}

fn recording_of(chunk: &RecordingChunk) -> Held {
    Held::RecordingId(
        chunk
            .recording_id
            .clone()
            .expect("a test's chunk is of a recording"),
    )
}

/// A chunk of a recording of its own.
fn chunk_of(recording: &str, id: &str) -> RecordingChunk {
    RecordingChunk {
        recording_id: recording.parse().ok(),
        ..chunk(id, 0)
    }
}

async fn hold(holds: &Holds, held: &Held) {
    holds
        .add(held, &case("A-1"))
        .await
        .expect("the ledger works");
}

async fn release(holds: &Holds, held: &Held) {
    let released = holds
        .release(held, &case("A-1").tag, || {
            futures::future::ready(Ok(())).boxed()
        })
        .await
        .expect("the ledger works");
    assert_eq!(released, Released::Released { still: Vec::new() });
}

async fn recorded(chunks: &[RecordingChunk]) -> Pipeline {
    let pipeline = Pipeline::new();
    for chunk in chunks {
        pipeline.source.put(&chunk.document_id, content(100, 1));
        pipeline.record(chunk).await;
    }
    pipeline
}

#[tokio::test]
async fn a_held_chunk_is_exported_and_not_deleted_until_it_is_released() {
    let chunk = chunk("a", 0);
    let pipeline = recorded(std::slice::from_ref(&chunk)).await;
    let (holds, held) = (pipeline.driver.ledger().holds(), recording_of(&chunk));
    hold(&holds, &held).await;
    let outcome = pipeline.drive(&chunk.document_id).await;
    assert!(
        matches!(outcome, DriveOutcome::Exported { .. }),
        "{outcome:?}"
    );
    for _ in 0..10 {
        pipeline.clock.advance(Duration::from_mins(15));
        let outcome = pipeline.drive(&chunk.document_id).await;
        assert!(
            matches!(outcome, DriveOutcome::Waiting { .. }),
            "{outcome:?}"
        );
    }
    let found = pipeline
        .driver
        .ledger()
        .find(&chunk.document_id)
        .await
        .expect("the ledger works")
        .expect("it is there");
    assert!(
        matches!(found.entry.state, ChunkState::Exported { .. }),
        "{:?}",
        found.entry.state
    );
    assert!(
        found.entry.failures.is_empty() && found.entry.attempts == 0,
        "to be held is no failure"
    );
    assert!(pipeline.source.model().deleted.is_empty());

    release(&holds, &held).await;
    pipeline.clock.advance(Duration::from_mins(15));
    assert_eq!(pipeline.sweep().await.deleted, 1);
}

#[tokio::test]
async fn a_hold_that_comes_before_the_deletion_is_due_is_heard() {
    let pipeline = Pipeline::with_delete_delay(Duration::from_hours(1));
    let chunk = chunk("a", 0);
    pipeline.source.put(&chunk.document_id, content(100, 1));
    pipeline.record(&chunk).await;
    pipeline.drive(&chunk.document_id).await;
    let call = Held::CallId(chunk.call_id.clone().expect("it has a call"));
    hold(&pipeline.driver.ledger().holds(), &call).await;
    pipeline.clock.advance(Duration::from_hours(1));
    let outcome = pipeline.drive(&chunk.document_id).await;
    assert!(
        matches!(outcome, DriveOutcome::Waiting { .. }),
        "{outcome:?}"
    );
    assert!(pipeline.source.model().deleted.is_empty());
}

#[tokio::test]
async fn what_is_held_past_acs_own_retention_is_left_with_its_case_named() {
    let chunk = chunk("a", 0);
    let pipeline = recorded(std::slice::from_ref(&chunk)).await;
    hold(&pipeline.driver.ledger().holds(), &recording_of(&chunk)).await;
    pipeline.drive(&chunk.document_id).await;
    pipeline.clock.advance(RETENTION);
    assert_eq!(pipeline.sweep().await.deleted, 0);
    let state = pipeline.state(&chunk.document_id).await;
    assert!(
        matches!(&state, ChunkState::SourceLeft { reason, .. } if reason.contains("`A-1`")),
        "{state:?}"
    );
    assert!(pipeline.source.model().deleted.is_empty());
}

#[tokio::test]
async fn a_deletion_that_would_take_a_held_chunk_with_it_waits() {
    let (held, mut other) = (chunk_of("held", "held"), chunk_of("other", "other"));
    other.call_id = "another-call".parse().ok();
    other.locations.delete.clone_from(&held.locations.delete);
    let pipeline = Pipeline::that_deletes_other_objects();
    for chunk in [&held, &other] {
        pipeline.source.put(&chunk.document_id, content(100, 1));
        pipeline.record(chunk).await;
    }
    hold(&pipeline.driver.ledger().holds(), &recording_of(&held)).await;
    pipeline.drive(&held.document_id).await;
    let outcome = pipeline.drive(&other.document_id).await;
    assert!(
        matches!(outcome, DriveOutcome::Exported { .. }),
        "{outcome:?}"
    );
    assert!(pipeline.source.model().deleted.is_empty());
}

async fn garble_the_hold(pipeline: &Pipeline) {
    let key = pipeline
        .store
        .list("holds/", None, 1)
        .await
        .expect("the store works")
        .remove(0);
    let stored = pipeline
        .store
        .find(&key)
        .await
        .expect("the store works")
        .expect("it is there");
    let garbled = pipeline
        .store
        .put(
            &key,
            Bytes::from_static(b"{"),
            Precondition::Unchanged(stored.version),
        )
        .await;
    garbled.expect("the store works");
}

#[tokio::test]
async fn a_hold_that_cannot_be_read_deletes_nothing() {
    let chunk = chunk("a", 0);
    let pipeline = recorded(std::slice::from_ref(&chunk)).await;
    hold(&pipeline.driver.ledger().holds(), &recording_of(&chunk)).await;
    garble_the_hold(&pipeline).await;
    let outcome = pipeline.driver.drive(&chunk.document_id, budget()).await;
    assert!(matches!(outcome, Err(LedgerError::Store(_))), "{outcome:?}");
    assert!(pipeline.source.model().deleted.is_empty());

    let (pipeline, old, held) = past().await;
    garble_the_hold(&pipeline).await;
    let removals: BTreeMap<_, _> = pipeline
        .retention(YEAR)
        .apply()
        .await
        .expect("the ledger works")
        .removals
        .into_iter()
        .collect();
    assert_eq!(
        removals.get(&old),
        Some(&Removal::Removed),
        "another recording's hold is none of its concern"
    );
    assert!(
        matches!(removals.get(&held), Some(Removal::Failed { .. })),
        "{removals:?}"
    );
    assert!(pipeline.media(&held).is_some());
}

/// Chunks `old` and `held`, each of its own recording, in the vault for more than a year.
async fn past() -> (Pipeline, DocumentId, DocumentId) {
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
    let (pipeline, old, held) = past().await;
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
        .apply()
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
        .apply()
        .await
        .expect("the ledger works");
    assert_eq!(
        again.removals,
        [(held, Removal::Removed)],
        "what is done is not done again"
    );
}

#[tokio::test]
async fn an_event_that_comes_again_for_a_removed_chunk_does_not_export_it_again() {
    let (pipeline, old, _) = past().await;
    pipeline
        .retention(YEAR)
        .apply()
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
async fn a_vault_that_refuses_is_told_of_and_does_not_stop_the_others() {
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
            .apply()
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
        _ = retention.apply() => {}
        () = plan.killed() => {}
    }
    assert_no_copy_is_only_said(durable, chunks, what).await;
    // Whoever was killed has the claim still.
    durable.clock.advance(Duration::from_mins(2));
    plan.calls() > number
}

async fn state(durable: &Durable, chunk: &RecordingChunk) -> ChunkState {
    let found = durable
        .ledger()
        .find(&chunk.document_id)
        .await
        .expect("the durable ledger works");
    found.expect("the entry is there").entry.state
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
                .apply()
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
                .apply()
                .await
                .expect("the ledger works");
            assert_eq!(
                files_by_digest(&durable),
                before,
                "nothing more is deleted; {what}"
            );
            assert_no_copy_is_only_said(&durable, &chunks, &what).await;
            let state = state(&durable, &chunks[0]).await;
            let is_copy = matches!(state, ChunkState::SourceDeleted { .. });
            assert_eq!(
                is_copy,
                durable.is_whole(&chunks[0].document_id) && before.len() == 6,
                "{state:?}; {what}"
            );
            if !reached {
                break;
            }
            number += 1;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_hold_that_comes_while_a_removal_is_under_way_is_kept_or_told_that_it_is_too_late() {
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
        let (removals, seen) = tokio::join!(retention.apply(), holding);
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

#[tokio::test(start_paused = true)]
async fn no_fault_at_any_call_deletes_a_held_source() {
    let chunks = [chunk("a", 0)];
    for fault in FAULTS {
        let mut number = 0;
        loop {
            let durable = Durable::new(&chunks);
            let (holds, held) = (durable.holds(&Plan::calm()), recording_of(&chunks[0]));
            hold(&holds, &held).await;
            let plan = Plan::at(number, fault);
            let driver = durable.instance(&plan);
            let work = async {
                deliver(&driver, &chunks).await;
                durable.clock.advance(Duration::from_mins(15));
                let _ = ExportSweep::new(Arc::clone(&driver)).run(budget()).await;
            };
            tokio::select! {
                () = work => {}
                () = plan.killed() => {}
            }
            let what = format!("{fault:?} at call {number}");
            let restarted = durable.instance(&Plan::calm());
            deliver(&restarted, &chunks).await;
            for _ in 0..3 {
                durable.clock.advance(Duration::from_mins(20));
                ExportSweep::new(Arc::clone(&restarted))
                    .run(budget())
                    .await
                    .expect("the ledger works");
            }
            assert!(durable.source.model().deleted.is_empty(), "{what}");
            assert!(durable.is_whole(&chunks[0].document_id), "{what}");
            release(&holds, &held).await;
            durable.settle(&chunks, &[], &what).await;
            if plan.calls() <= number {
                break;
            }
            number += 1;
        }
    }
}

fn run(world: &World, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_recording-vault"));
    command
        .args(arguments)
        .envs(world.settings())
        .output()
        .expect("the binary runs")
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn report(output: &Output) -> Value {
    let text = text(output);
    serde_json::from_str(&text)
        .unwrap_or_else(|_| panic!("{text}\n{}", String::from_utf8_lossy(&output.stderr)))
}

/// What an event's subject says after a name.
fn of_subject(event: &Value, name: &str) -> String {
    let subject = event["subject"].as_str().expect("an event has a subject");
    let mut segments = subject.split('/').skip_while(|segment| *segment != name);
    segments.nth(1).expect("it is in the subject").to_owned()
}

#[tokio::test]
#[expect(
    clippy::too_many_lines,
    reason = "one scenario, in the order in which it happens"
)]
async fn an_operator_holds_a_call_and_releases_it_case_by_case() {
    let world = World::new().await;
    assert_eq!(
        text(&run(&world, &["hold", "list"])).trim(),
        "Nothing is held."
    );
    let event = world
        .recording(json!({"call": {"chunks": [{"durationMs": 1000}]}}))
        .await;
    let (id, call) = (document_ids(&event)[0].clone(), of_subject(&event, "call"));
    let add = |case: &str| {
        run(
            &world,
            &[
                "hold", "add", "--case", case, "--by", "legal", "--note", "a note", "--call",
                &call, "--json",
            ],
        )
    };
    assert_eq!(
        report(&add("A-1"))["chunks"],
        json!([]),
        "its event is still to come"
    );
    world.event(&event).await;
    world.sweep().await;
    assert_eq!(world.ledger_entry(&id)["state"]["name"], "exported");
    assert!(
        world.objects().await[0]["deletedAt"].is_null(),
        "it is held"
    );
    assert_eq!(report(&add("B-2"))["chunks"], json!([id]));
    let again = report(&add("B-2"));
    assert_eq!(
        (&again["isNew"], &again["gone"]),
        (&json!(false), &json!([])),
        "{again}"
    );
    let listed = text(&run(&world, &["hold", "list"]));
    for part in [call.as_str(), "`A-1`", "`B-2`", "by legal", "a note"] {
        assert!(listed.contains(part), "{part} is not in {listed}");
    }

    let release = |case: &str| {
        run(
            &world,
            &["hold", "release", "--case", case, "--call", &call],
        )
    };
    assert!(text(&release("A-1")).contains("still held for `B-2`"));
    let repeated = release("A-1");
    assert!(repeated.status.success(), "{}", text(&repeated));
    assert!(
        text(&repeated).contains("is no longer held for `A-1`"),
        "{}",
        text(&repeated)
    );
    let output = release("C-3");
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
    assert!(
        text(&output).contains("was never held for `C-3`"),
        "{}",
        text(&output)
    );
    assert!(release("B-2").status.success());
    assert_eq!(
        report(&run(&world, &["hold", "list", "--json"])),
        json!({"holds": []})
    );
    world.sweep().await;
    assert_eq!(world.ledger_entry(&id)["state"]["name"], "sourceDeleted");
}

#[tokio::test]
async fn a_hold_of_nothing_or_for_no_case_is_refused() {
    let world = World::new().await;
    for arguments in [
        &["hold", "add", "--case", "A-1"][..],
        &["hold", "add", "--case", " ", "--call", "c"],
        &["hold", "add", "--call", "c"],
        &[
            "hold",
            "add",
            "--case",
            "A-1",
            "--call",
            "c",
            "--recording",
            "r",
        ],
        &["hold", "release", "--case", "A-1"],
    ] {
        let output = run(&world, arguments);
        assert!(
            !output.status.success() && !output.stderr.is_empty(),
            "{arguments:?}"
        );
    }
}

/// As if a chunk had been recorded long ago.
fn age(world: &World, id: &str) {
    let path = world
        .vault
        .with_file_name("vault-ledger")
        .join(format!("chunks/{id}.json"));
    let mut entry = world.ledger_entry(id);
    entry["recordedAt"] = "2020-03-02T10:03:00Z".into();
    entry["chunk"]["startedAt"] = "2020-03-02T10:00:00Z".into();
    std::fs::write(path, entry.to_string()).expect("the ledger is ours");
}

#[tokio::test]
#[expect(
    clippy::too_many_lines,
    reason = "one scenario, in the order in which it happens"
)]
async fn an_operator_deletes_from_the_vault_what_is_past_its_policy() {
    let world = World::with(&[("VAULT_RETENTION", "8760h")]).await;
    let mut events = Vec::new();
    for _ in 0..3 {
        let event = world
            .recording(json!({"call": {"chunks": [{"durationMs": 1000}]}}))
            .await;
        world.event(&event).await;
        events.push(event);
    }
    let ids: Vec<String> = events
        .iter()
        .map(|event| document_ids(event)[0].clone())
        .collect();
    let [old, held, young] = &ids[..] else {
        panic!("{ids:?}")
    };
    age(&world, old);
    age(&world, held);
    let recording = of_subject(&events[1], "recordingId");
    assert!(
        run(
            &world,
            &["hold", "add", "--case", "A-1", "--recording", &recording]
        )
        .status
        .success()
    );

    let planned = text(&run(&world, &["retention", "plan"]));
    assert!(
        planned.contains(old) && planned.contains("is held for `A-1`") && !planned.contains(young),
        "{planned}"
    );
    let plan = report(&run(&world, &["retention", "plan", "--json"]));
    let copies = plan["copies"].as_array().expect("a plan has copies");
    assert!(
        copies.len() == 2
            && copies
                .iter()
                .all(|copy| copy["sizeBytes"].as_u64() > Some(1000)),
        "{plan}"
    );
    assert!(
        copies
            .iter()
            .all(|copy| copy["ageDays"].as_u64() > Some(365)),
        "{plan}"
    );

    let output = run(&world, &["retention", "apply", "--yes", "--json"]);
    let applied = report(&output);
    assert!(output.status.success(), "{applied}");
    assert_eq!(
        (&applied["removed"], &applied["failed"]),
        (&json!([old]), &json!([])),
        "{applied}"
    );
    assert_eq!(
        (
            &applied["held"][0]["documentId"],
            &applied["held"][0]["cases"][0]["tag"]
        ),
        (&json!(held), &json!("A-1"))
    );
    let files = world.vault_files();
    assert!(
        files.len() == 6 && files.keys().all(|name| !name.contains(old.as_str())),
        "{:?}",
        files.keys()
    );
    assert!(
        text(&run(&world, &["list", "--state", "removed"]))
            .contains("deleted from the vault by policy")
    );

    world.event(&events[0]).await;
    world.sweep().await;
    assert_eq!(world.ledger_entry(old)["state"]["name"], "removed");
    assert!(text(&run(&world, &["retry", old])).contains("deleted from the vault"));
    let late = run(
        &world,
        &[
            "hold",
            "add",
            "--case",
            "B-2",
            "--recording",
            &of_subject(&events[0], "recordingId"),
            "--json",
        ],
    );
    assert_eq!(
        (late.status.code(), &report(&late)["gone"]),
        (Some(2), &json!([old])),
        "who holds it has to know"
    );
    assert!(
        text(&run(&world, &["retention", "apply", "--yes"]))
            .starts_with("0 deleted from the vault, 1 held, 0 not deleted")
    );
}

#[tokio::test]
async fn without_a_policy_nothing_is_past_it() {
    let world = World::new().await;
    for verb in ["plan", "apply"] {
        let output = run(&world, &["retention", verb]);
        assert_eq!(output.status.code(), Some(64));
        assert!(String::from_utf8_lossy(&output.stderr).contains("VAULT_RETENTION is not set"));
    }
}
