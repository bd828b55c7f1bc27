//! Every single IO call of a run, failed, failed after it took effect, repeated because its answer was lost, and killed at: nothing is lost, nothing is deleted
//! too early, nothing is stuck.
//!
//! A run is intake, export, proof, deletion, sweep on in-memory seams. After the fault a new instance, with nothing but the
//! durable state, gets the events that were not acknowledged, and sweeps until all is settled.

use std::sync::Arc;
use std::time::Duration;

use recording_vault::export::ExportSweep;
use recording_vault::recording::RecordingChunk;

use crate::support::chunk;
use crate::support::simulation::{Durable, Fault, Plan, budget, deliver};

/// One run with a fault at call `number`; whether the run got that far.
async fn run(
    chunks: &[RecordingChunk],
    deliveries: usize,
    instances: usize,
    number: usize,
    fault: Fault,
) -> bool {
    let durable = Durable::new(chunks);
    let plan = Plan::at(number, fault);
    let drivers: Vec<_> = (0..instances).map(|_| durable.instance(&plan)).collect();
    let work = async {
        let delivered = drivers
            .iter()
            .cycle()
            .take(deliveries.max(instances))
            .map(|driver| deliver(driver, chunks));
        let acknowledged = futures::future::join_all(delivered)
            .await
            .into_iter()
            .all(|is| is);
        let _ = ExportSweep::new(Arc::clone(&drivers[0]))
            .run(budget())
            .await;
        acknowledged
    };
    let acknowledged = tokio::select! {
        acknowledged = work => acknowledged,
        () = plan.killed() => false,
    };
    let reached = plan.calls() > number;

    durable
        .settle(
            chunks,
            if acknowledged { &[] } else { chunks },
            &format!("{fault:?} at call {number}"),
        )
        .await;
    reached
}

/// Every call of the scenario, with every fault.
async fn enumerate(chunks: &[RecordingChunk], deliveries: usize, instances: usize) -> usize {
    let mut last = 0;
    for fault in Fault::ALL {
        let mut number = 0;
        while run(chunks, deliveries, instances, number, fault).await {
            number += 1;
        }
        last = number;
    }
    last
}

/// The vault is away while a chunk is exported, and back when it is swept: a fault at call `number` of the sweep.
async fn move_home(number: usize, fault: Fault) -> bool {
    let chunks = [chunk("a", 0)];
    let durable = Durable::new(&chunks);
    durable.vault.set_unavailable(true);
    let first = durable.instance(&Plan::calm());
    for _ in 0..2 {
        deliver(&first, &chunks).await;
        durable.clock.advance(Duration::from_mins(1));
    }
    assert_eq!(durable.backup.files().len(), 3, "media, metadata, receipt");
    durable.vault.set_unavailable(false);
    let plan = Plan::at(number, fault);
    let sweep = ExportSweep::new(durable.instance(&plan));
    tokio::select! {
        _ = sweep.run(budget()) => {}
        () = plan.killed() => {}
    }
    durable
        .settle(&chunks, &[], &format!("{fault:?} at call {number}"))
        .await;
    plan.calls() > number
}

/// An event that names neither metadata nor a delete location comes first, then one that names all: a fault at call `number`.
async fn two_events(number: usize, fault: Fault) -> bool {
    let chunks = [chunk("a", 0)];
    let mut bare = chunks[0].clone();
    bare.locations.metadata = None;
    bare.locations.delete = None;
    let durable = Durable::new(&chunks);
    let plan = Plan::at(number, fault);
    let driver = durable.instance(&plan);
    let work = async {
        deliver(&driver, &[bare]).await;
        deliver(&driver, &chunks).await
    };
    let acknowledged = tokio::select! {
        acknowledged = work => acknowledged,
        () = plan.killed() => false,
    };
    let reached = plan.calls() > number;
    let again: &[RecordingChunk] = if acknowledged { &[] } else { &chunks };
    durable
        .settle(&chunks, again, &format!("{fault:?} at call {number}"))
        .await;
    reached
}

#[tokio::test(start_paused = true)]
async fn no_fault_at_any_call_loses_what_a_later_event_adds() {
    for fault in Fault::ALL {
        let mut number = 0;
        while Box::pin(two_events(number, fault)).await {
            number += 1;
        }
        assert!(
            number > 40,
            "the run makes {number} calls: is it the whole run?"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn no_fault_at_any_call_hurts_a_copy_that_comes_home_from_the_backup_vault() {
    for fault in Fault::ALL {
        let mut number = 0;
        while move_home(number, fault).await {
            number += 1;
        }
        assert!(
            number > 25,
            "the sweep makes {number} calls: is it the whole way?"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn no_fault_at_any_call_loses_a_single_chunk() {
    let calls = enumerate(&[chunk("a", 0)], 1, 1).await;
    assert!(
        calls > 25,
        "the run makes {calls} calls: is it the whole run?"
    );
}

#[tokio::test(start_paused = true)]
async fn no_fault_at_any_call_loses_one_of_several_chunks() {
    enumerate(&[chunk("a", 0), chunk("bb", 1), chunk("ccc", 2)], 1, 1).await;
}

#[tokio::test(start_paused = true)]
async fn no_fault_at_any_call_hurts_while_deliveries_repeat() {
    enumerate(&[chunk("a", 0)], 3, 1).await;
}

#[tokio::test(start_paused = true)]
async fn no_fault_at_any_call_hurts_while_two_instances_work() {
    enumerate(&[chunk("a", 0), chunk("bb", 1)], 2, 2).await;
}
