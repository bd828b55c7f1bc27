//! A proved copy that a verification found to be damaged. It knows no vault and no source.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::LedgerEntry;

/// What the last verification found wrong with a proved copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Damage {
    pub found_at: Timestamp,
    pub problem: String,
    /// Its content was read. A check that reads less does not refute it.
    pub by_reading: bool,
}

impl LedgerEntry {
    /// What a verification found wrong with its copies, if none has found them good since.
    pub fn open_damage(&self) -> Option<&Damage> {
        let damage = self.damage.as_deref();
        damage.filter(|_| self.copies().next().is_some())
    }
}
