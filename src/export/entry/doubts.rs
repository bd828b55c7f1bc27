//! Reasons to doubt the copy of a chunk: it may be incomplete, or its media is doubtful. It knows no policy.

use super::LedgerEntry;
use crate::export::receipt::ExportReceipt;
use crate::recording::ChunkEnd;

/// What is doubtful about a chunk whose entry was rebuilt.
const REBUILT: &str = "its entry was rebuilt from its receipt, so whether events announced a longer form or another place of it is unknown";

/// Why a copied file may be incomplete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CutShort {
    #[error("ACS reports that it could not store all of it")]
    NotStoredWhole,
    #[error("a later event reports that ACS could not store all of it")]
    LaterFormFailed,
    #[error("it was copied while it was still recorded")]
    CopiedUnfinished,
}

impl LedgerEntry {
    /// The reason why the copied file may be incomplete, if there is one.
    pub fn cut_short(&self) -> Option<CutShort> {
        match self.chunk.end() {
            ChunkEnd::Failed => Some(CutShort::NotStoredWhole),
            ChunkEnd::BeingRecorded => Some(CutShort::CopiedUnfinished),
            ChunkEnd::Final if self.copied_unfinished => Some(CutShort::CopiedUnfinished),
            ChunkEnd::Final => self.has_failed_form().then_some(CutShort::LaterFormFailed),
        }
    }

    /// Whether it ended without a copy, or with one that is not whole: a loss that can be acknowledged.
    pub fn lacks_whole_copy(&self) -> bool {
        self.state.is_loss()
            || self.is_unfinished_import()
            || (self.state.receipt().is_some() && self.cut_short().is_some())
    }

    /// What is doubtful about its copy, whether or not an operator has accepted it.
    pub fn doubts(&self) -> impl Iterator<Item = &str> {
        let receipt = self.state.receipt();
        let rebuilt = receipt.filter(|_| self.rebuilt).map(|_| REBUILT);
        let anomaly = receipt.and_then(ExportReceipt::anomaly);
        anomaly.into_iter().chain(rebuilt)
    }

    /// What is doubtful about its copy, unless an operator has accepted it.
    pub fn open_anomaly(&self) -> Option<&str> {
        match self.anomaly_accepted_at {
            Some(_) => None,
            None => self.doubts().next(),
        }
    }

    /// Whether its source is never deleted at ACS, although its copy is proved and accepted: ACS has a longer form of it
    /// that was not copied, or may have one.
    pub(in crate::export) fn keeps_source(&self) -> bool {
        self.rebuilt || self.longer_without_room
    }
}
