//! Files of a chunk that an operator's retry makes due again. It knows no vault and no source.

use jiff::Timestamp;

use super::{FurtherFile, LedgerEntry};
use crate::export::receipt::MetadataLack;
use crate::export::state::ChunkState;

impl LedgerEntry {
    /// Whether a retry may save what was given up: its own file, or another form of it that ACS may still have. A file in the
    /// customer's own storage that was not whole may be whole by now.
    pub fn is_worth_a_retry(&self, now: Timestamp) -> bool {
        let mut further = self.further.iter();
        let is_part_in_place = matches!(self.state, ChunkState::InPlace { .. })
            && self.cut_short().is_some()
            && self.acknowledged.is_none();
        matches!(self.state, ChunkState::DeadLettered { .. })
            || is_part_in_place
            || further.any(|further| {
                self.chunk.locations.is_same_place(&further.file.locations)
                    && self.was_given_up(further, now)
            })
    }

    /// Whether its copy has no metadata, no attempt to copy it is to come, and ACS may have it. The files are exported again.
    pub(in crate::export) fn may_request_metadata_again(&self, now: Timestamp) -> bool {
        let Some(receipt) = self.state.receipt() else {
            return false;
        };
        let is_given_up = receipt.metadata_lack() == Some(MetadataLack::NotCopied)
            || (self.lacks_announced_metadata() && !self.awaits_metadata());
        is_given_up && !self.is_surely_gone(now)
    }

    /// Makes each further file due now that was given up, or that waits for its next attempt. Returns whether there is one.
    pub(in crate::export) fn retry_further(&mut self, now: Timestamp) -> bool {
        let waits = |further: &FurtherFile| further.is_pending() && further.not_before.is_some();
        let due: Vec<_> = self
            .further
            .iter()
            .filter(|further| self.was_given_up(further, now) || waits(further))
            .map(|further| further.file.number)
            .collect();
        if due.is_empty() {
            return false;
        }
        self.begin_risk_period();
        self.acknowledged = None;
        for number in due {
            if let Some(further) = self.further_mut(number) {
                further.open_again();
            }
        }
        true
    }

    /// Whether a further file ended without a copy although ACS may still have it.
    fn was_given_up(&self, further: &FurtherFile, now: Timestamp) -> bool {
        let is_removed = matches!(
            self.state,
            ChunkState::Removing { .. } | ChunkState::Removed { .. }
        );
        further.problem().is_some()
            && now < further.surely_gone_at
            && !is_removed
            && !self.went_with_its_source(further)
    }

    /// Whether the document's source, which was at the same location, is already deleted.
    pub(in crate::export) fn went_with_its_source(&self, further: &FurtherFile) -> bool {
        matches!(self.state, ChunkState::SourceDeleted { .. })
            && self.chunk.locations.is_same_place(&further.file.locations)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::entry;
    use super::*;
    use crate::export::receipt::tests::receipt;

    #[test]
    fn metadata_that_was_not_copied_can_be_requested_again() {
        let mut entry = entry();
        let (now, gone) = (entry.recorded_at, entry.surely_gone_at);
        let lacking = |lack| ChunkState::SourceLeft {
            receipt: receipt().with_metadata_lack(lack),
            reason: "r".to_owned(),
        };
        entry.state = lacking(Some(MetadataLack::NotCopied));
        assert!(entry.may_request_metadata_again(now));
        assert!(
            !entry.may_request_metadata_again(gone),
            "its copy could not be made again"
        );
        entry.state = lacking(Some(MetadataLack::Gone));
        assert!(!entry.may_request_metadata_again(now));
        entry.chunk.locations.metadata = None;
        entry.state = lacking(None);
        assert!(!entry.may_request_metadata_again(now), "there is none");
        // An earlier build said nothing of metadata that it called too large.
        entry.chunk.locations.metadata = Some("https://acs.example/metadata".to_owned());
        assert!(entry.may_request_metadata_again(now));
        entry.state = ChunkState::Exported { receipt: receipt() };
        assert!(!entry.may_request_metadata_again(now), "it is requested");
    }
}
