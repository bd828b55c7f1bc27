//! The numbers of a day, kept beside its completeness report. Knows neither the register nor how a report is made.

use serde::{Deserialize, Serialize};

/// A day in numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DaySummary {
    pub day: String,
    pub recordings: usize,
    pub minutes: f64,
    pub incomplete: usize,
}

/// Key of a day's numbers in the ledger.
pub fn summary_key(day: &str) -> String {
    format!("reports/{day}-summary.json")
}
