//! The nightly report: yesterday's completeness report, made once and kept beside its numbers.

use std::time::Duration;

use jiff::SignedDuration;
use tracing::{error, info};

use super::RecordingControl;
use super::day_summary::{DaySummary, summary_key};
use super::report::{CompletenessReport, ReportError, name_of};
use crate::export::ChunkLedger;

/// A day is reported on when the files of its last recordings have come, or are missing.
const REPORT_AT: Duration = Duration::from_hours(2);

impl RecordingControl {
    /// Makes and keeps yesterday's report, once: `reports/<day>.json` and `.txt` in the ledger's storage.
    ///
    /// # Errors
    /// As [`RecordingControl::report`].
    pub async fn report_daily(&self, ledger: &ChunkLedger) -> Result<(), ReportError> {
        let yesterday = self.clock.now()
            - SignedDuration::try_from(REPORT_AT).unwrap_or_default()
            - SignedDuration::from_hours(24);
        let day = name_of(yesterday);
        let key = format!("reports/{day}.json");
        if self.register.has(&key).await? {
            return Ok(());
        }
        let report = self.report(ledger, yesterday).await?;
        let json = serde_json::to_string_pretty(&report).expect("a report has string keys only");
        self.register
            .keep(&format!("reports/{day}.txt"), report.to_string())
            .await?;
        let CompletenessReport {
            incomplete,
            minutes,
            ..
        } = report;
        let summary = DaySummary {
            day: day.clone(),
            recordings: report.recordings.len(),
            minutes,
            incomplete,
        };
        let summary = serde_json::to_string(&summary).expect("it has string keys only");
        self.register.keep(&summary_key(&day), summary).await?;
        if self.register.keep(&key, json).await? {
            match report.incomplete {
                0 => info!(
                    recordings = report.recordings.len(),
                    chunks = report.chunk_count,
                    "Nothing is missing of {day}"
                ),
                incomplete => error!(
                    incomplete,
                    "{incomplete} recordings of {day} are not complete; see {key} in the ledger"
                ),
            }
        }
        Ok(())
    }
}
