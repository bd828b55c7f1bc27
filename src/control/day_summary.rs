//! The numbers of a day, derived from its completeness report. Knows neither the register nor how a report is made.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::store::digest::Sha256Digest;
use crate::store::documents::Keyed;

/// A day in numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DaySummary {
    pub day: String,
    pub recordings: usize,
    pub minutes: f64,
    pub incomplete: usize,
    /// What else was wrong: see the report.
    #[serde(default)]
    pub findings: usize,
    /// What was not checked.
    #[serde(rename = "notChecked", default)]
    pub not_checked: usize,
    /// When the report was begun that these numbers are from.
    #[serde(rename = "madeAt")]
    pub made_at: Timestamp,
    /// SHA-256 of that report.
    #[serde(rename = "reportSha256")]
    pub report_sha256: Sha256Digest,
}

impl Keyed for DaySummary {
    fn key(&self) -> Option<String> {
        Some(summary_key(&self.day))
    }
}

/// Returns the key of a day's numbers in the ledger.
pub fn summary_key(day: &str) -> String {
    format!("reports/{day}-summary.json")
}
