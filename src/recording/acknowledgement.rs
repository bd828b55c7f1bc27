//! A loss that an operator has acknowledged. Knows neither what was lost nor where it is stored.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Who acknowledged a loss, when, and why it is no longer searched for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledgement {
    pub at: Timestamp,
    /// The principal, where one is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    pub reason: String,
}
