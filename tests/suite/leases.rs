//! Another program holds a lease on a document of the ledger, so that nothing of its chunk can be written.

use std::time::Duration;

use recording_vault::export::{Budget, ExportSweep};

use crate::support::failing_store::FailingStore;
use crate::support::pipeline::Pipeline;
use crate::support::{chunk, content};

#[tokio::test(start_paused = true)]
async fn a_chunk_whose_entry_cannot_be_written_is_reported_by_each_sweep_while_there_is_time() {
    let (pipeline, chunk) = (Pipeline::new(), chunk("a", 0));
    pipeline.source.put(&chunk.document_id, content(100, 1));
    pipeline.record(&chunk).await;
    let leased = FailingStore::leased(&pipeline.store, "chunks/");
    let sweep = ExportSweep::new(pipeline.another_through(leased));
    for (hours, at_risk) in [
        (0, [0, 0, 0]),
        (12, [1, 0, 0]),
        (6, [0, 1, 0]),
        (4, [0, 0, 1]),
    ] {
        pipeline.clock.advance(Duration::from_hours(hours));
        for _ in 0..2 {
            let report = sweep.run(Budget::of(Duration::from_hours(1))).await;
            let report = report.expect("the list of open chunks can be read");
            let found = [report.at_risk_50, report.at_risk_75, report.at_risk_90];
            assert_eq!(found, at_risk, "{report:?}");
            assert_eq!(report.failed, 1, "{report:?}");
        }
    }
    pipeline.sweep().await;
    assert!(pipeline.has(&chunk, &content(100, 1)), "the lease is over");
}
