//! Reasons to doubt the copy of a chunk: it may be incomplete, or its media is doubtful. It knows no policy.

use super::{FurtherFile, FurtherState, LedgerEntry};
use crate::export::receipt::ExportReceipt;
use crate::export::state::ChunkState;
use crate::recording::{AnnouncedFile, ChunkEnd};

/// What is doubtful about a copy whose metadata could not be copied in time.
const WITHOUT_METADATA: &str = "its metadata was announced, and is not in the vault";

/// What is doubtful about a chunk whose entry was rebuilt.
const REBUILT: &str = "its entry was rebuilt, so whether events announced a longer form or another place of it is unknown";

/// What is doubtful about a copy that events name under different recordings.
const NAMED_OTHERWISE: &str = "events name it as a file of different recordings or calls";

/// Why a copied file may be incomplete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CutShort {
    #[error("ACS reports that it could not store all of it")]
    NotStoredWhole,
    #[error("a later event reports that ACS could not store all of it")]
    LaterFormFailed,
    #[error("it was copied while it was still recorded")]
    CopiedUnfinished,
    #[error("an event announced another or longer form of it, which has no copy")]
    FormNotCopied,
}

impl LedgerEntry {
    /// The reason why the copied file may be incomplete, if there is one.
    pub fn cut_short(&self) -> Option<CutShort> {
        match self.chunk.end() {
            ChunkEnd::Failed => Some(CutShort::NotStoredWhole),
            ChunkEnd::BeingRecorded => Some(CutShort::CopiedUnfinished),
            ChunkEnd::Final if self.copied_unfinished => Some(CutShort::CopiedUnfinished),
            ChunkEnd::Final if self.has_failed_form() => Some(CutShort::LaterFormFailed),
            ChunkEnd::Final => self.has_uncopied_form().then_some(CutShort::FormNotCopied),
        }
    }

    /// Whether it ended without a copy, or with one that is not or may not be whole: a loss that can be acknowledged.
    pub fn lacks_whole_copy(&self) -> bool {
        self.state.is_loss()
            || matches!(self.state, ChunkState::Removing { .. })
            || self.is_unfinished_import()
            || (self.has_copy() && self.cut_short().is_some())
    }

    /// Whether its file is in a vault, or in the customer's own storage.
    fn has_copy(&self) -> bool {
        self.state.receipt().is_some() || matches!(self.state, ChunkState::InPlace { .. })
    }

    /// What is doubtful about its copy, whether or not an operator has accepted it.
    pub fn doubts(&self) -> impl Iterator<Item = &str> {
        let receipt = self.state.receipt();
        let rebuilt = receipt.filter(|_| self.rebuilt).map(|_| REBUILT);
        let is_named_differently = self.has_copy() && self.chunk.is_named_differently();
        let named_otherwise = is_named_differently.then_some(NAMED_OTHERWISE);
        let of_files = self.doubts_of_files();
        of_files.chain(rebuilt).chain(named_otherwise)
    }

    /// What is doubtful about the files of its copy: its media, or that its metadata is missing.
    pub fn doubts_of_files(&self) -> impl Iterator<Item = &str> {
        let of_receipt = self.state.receipt().into_iter();
        let lacks_metadata = self.lacks_announced_metadata() && !self.awaits_metadata();
        of_receipt
            .flat_map(ExportReceipt::doubts)
            .chain(lacks_metadata.then_some(WITHOUT_METADATA))
    }

    /// Whether its media is in the vault, and the next attempt may still copy its metadata.
    pub fn awaits_metadata(&self) -> bool {
        matches!(self.state, ChunkState::Exported { .. }) && self.lacks_announced_metadata()
    }

    /// Whether an event says where its metadata is, and its copy has none and says nothing about that.
    pub(in crate::export) fn lacks_announced_metadata(&self) -> bool {
        let is_silent = |receipt: &ExportReceipt| {
            receipt.metadata().is_none()
                && receipt.metadata_lack().is_none()
                && receipt.imported().is_none()
        };
        self.state.receipt().is_some_and(is_silent) && self.chunk.locations.metadata.is_some()
    }

    /// Makes this receipt its proof. An acceptance counts only for what was doubtful then.
    pub(in crate::export) fn become_exported(&mut self, receipt: &ExportReceipt) {
        let accepted = self.state.receipt();
        if accepted.is_none_or(|accepted| !receipt.has_no_doubt_beyond(accepted)) {
            self.anomaly_accepted_at = None;
        }
        self.damage = None;
        self.state = ChunkState::Exported {
            receipt: receipt.clone(),
        };
    }

    /// What is doubtful about its copy, unless an operator has accepted it.
    pub fn open_anomaly(&self) -> Option<&str> {
        match self.anomaly_accepted_at {
            Some(_) => None,
            None => self.doubts().next(),
        }
    }

    /// Whether an operator has to say that its copy is right, or which place is.
    pub fn awaits_acceptance(&self) -> bool {
        self.has_copy() && (self.open_anomaly().is_some() || self.disputed_places().is_some())
    }

    /// Whether its source is never deleted at ACS, although its copy is proved and accepted: ACS has a longer form of it
    /// that was not copied, or may have one.
    pub(in crate::export) fn keeps_source(&self) -> bool {
        self.rebuilt || self.has_uncopied_form()
    }

    /// Whether the app gave up a form of its file that an event announced, and no copy covers it. A form that ACS no longer
    /// had, because its source was deleted before the event, does not count.
    pub(in crate::export) fn has_uncopied_form(&self) -> bool {
        self.longer_without_room || self.uncopied_forms().any(|form| !self.went_before(form))
    }

    /// Forms of its file that ended without a copy, and that no copy of the same place covers.
    fn uncopied_forms(&self) -> impl Iterator<Item = &FurtherFile> {
        let ended = self.further.iter();
        let ended = ended.filter(|further| further.problem().is_some());
        ended.filter(|form| {
            self.chunk.locations.is_same_place(&form.file.locations)
                && !self.copied_forms().any(|copy| copy.covers(&form.file))
        })
    }

    /// Its own file, and each further one of the same place that has a copy.
    fn copied_forms(&self) -> impl Iterator<Item = AnnouncedFile> {
        let further = self.further.iter();
        let further = further.filter(|further| {
            further.receipt().is_some()
                && self.chunk.locations.is_same_place(&further.file.locations)
        });
        let further = further.map(|further| further.file.clone());
        std::iter::once(AnnouncedFile::of(&self.chunk)).chain(further)
    }

    /// Whether the source was deleted before an event announced this form, which is missing. The order of the writes to the
    /// entry decides, no clock.
    fn went_before(&self, form: &FurtherFile) -> bool {
        matches!(form.state, FurtherState::Missing { .. })
            && matches!(self.state, ChunkState::SourceDeleted { .. })
            && !form.known_at_deletion
    }
}

#[cfg(test)]
mod tests {
    use super::super::Damage;
    use super::super::tests::entry;
    use super::*;
    use crate::export::destination::Protection;
    use crate::export::ledger::reopen_for_what_was_added;
    use crate::export::receipt::MetadataLack;
    use crate::export::receipt::tests::{doubtful_receipt, receipt};

    /// The proof of a copy whose metadata ACS no longer had.
    fn without_metadata() -> ExportReceipt {
        receipt().with_metadata_lack(Some(MetadataLack::Gone))
    }

    /// Whether the acceptance of the first receipt counts after the second one has replaced it.
    fn accepted_after(first: ExportReceipt, second: &ExportReceipt) -> bool {
        let mut entry = entry();
        entry.state = ChunkState::Exported { receipt: first };
        entry.anomaly_accepted_at = Some(entry.recorded_at);
        entry.become_exported(second);
        assert_eq!(entry.state.receipt(), Some(second));
        entry.anomaly_accepted_at.is_some()
    }

    #[test]
    fn an_acceptance_counts_only_for_what_was_doubtful_when_it_was_given() {
        let unprotected =
            |receipt: ExportReceipt| receipt.with_doubts(None, vec![Protection::LegalHold]);
        let of_other_metadata =
            |receipt: ExportReceipt| receipt.with_doubts(Some("another chunk".to_owned()), vec![]);
        let doubtful = doubtful_receipt;
        assert!(accepted_after(doubtful(), &doubtful()));
        assert!(accepted_after(unprotected(receipt()), &receipt()));
        assert!(accepted_after(unprotected(doubtful()), &doubtful()));
        assert!(!accepted_after(doubtful(), &unprotected(doubtful())));
        assert!(!accepted_after(receipt(), &doubtful()));
        assert!(!accepted_after(receipt(), &of_other_metadata(receipt())));
        assert!(!accepted_after(of_other_metadata(receipt()), &doubtful()));
        assert!(!accepted_after(receipt(), &without_metadata()));
        assert!(accepted_after(without_metadata(), &without_metadata()));
        assert!(accepted_after(without_metadata(), &receipt()));
    }

    #[test]
    fn metadata_that_acs_no_longer_had_is_a_doubt_that_can_be_accepted_and_is_not_waited_for() {
        let mut entry = entry();
        entry.chunk.locations.metadata = Some("https://acs.example/metadata".to_owned());
        let deleted = ChunkState::SourceDeleted {
            receipt: without_metadata(),
            deleted_at: entry.recorded_at,
        };
        let exported = ChunkState::Exported {
            receipt: without_metadata(),
        };
        for state in [exported, deleted] {
            entry.state = state;
            entry.anomaly_accepted_at = None;
            assert!(!entry.awaits_metadata());
            assert_eq!(entry.doubts().count(), 1, "{:?}", entry.state);
            assert!(entry.open_anomaly().is_some());
            entry.anomaly_accepted_at = Some(entry.recorded_at);
            assert_eq!(entry.open_anomaly(), None);
            assert_eq!(entry.doubts().count(), 1, "it stays known");
        }
    }

    #[test]
    fn metadata_that_an_earlier_build_called_too_large_is_a_doubt() {
        let mut entry = entry();
        entry.chunk.locations.metadata = Some("https://acs.example/metadata".to_owned());
        entry.state = ChunkState::SourceLeft {
            receipt: receipt(),
            reason: "its metadata is not in the vault".to_owned(),
        };
        let mut stored = serde_json::to_value(&entry).unwrap();
        stored["metadataTooLarge"] = true.into();
        let read: LedgerEntry = serde_json::from_value(stored).unwrap();
        assert_eq!(read.open_anomaly(), Some(WITHOUT_METADATA));
        assert!(read.awaits_acceptance());
    }

    #[rstest::rstest]
    #[case::before(true, Some(CutShort::FormNotCopied))]
    #[case::after(false, None)]
    fn whether_a_missing_form_went_with_the_source_is_no_question_of_clocks(
        #[case] known_at_deletion: bool,
        #[case] expected: Option<CutShort>,
    ) {
        let mut entry = entry();
        entry.chunk.duration_ms = Some(1000);
        let deleted_at = entry.recorded_at;
        entry.state = ChunkState::SourceDeleted {
            receipt: receipt(),
            deleted_at,
        };
        let mut longer = AnnouncedFile::of(&entry.chunk);
        longer.number = entry.free_number().unwrap();
        longer.duration_ms = Some(2000);
        for seconds in [-60, 0, 60] {
            let recorded_at = deleted_at + jiff::SignedDuration::from_secs(seconds);
            let mut form = FurtherFile::new(longer.clone(), recorded_at, entry.surely_gone_at);
            form.known_at_deletion = known_at_deletion;
            form.state = FurtherState::Missing {
                at: deleted_at,
                reason: "404".to_owned(),
            };
            entry.further = vec![form];
            assert_eq!(entry.cut_short(), expected, "{seconds}");
        }
    }

    #[test]
    fn an_acceptance_does_not_cover_metadata_that_was_announced_later() {
        let left = ChunkState::SourceLeft {
            receipt: receipt(),
            reason: "r".to_owned(),
        };
        for state in [ChunkState::Exported { receipt: receipt() }, left] {
            let mut entry = entry();
            entry.state = state;
            entry.anomaly_accepted_at = Some(entry.recorded_at);
            entry.chunk.locations.metadata = Some("https://acs.example/metadata".to_owned());
            reopen_for_what_was_added(&mut entry);
            assert_eq!(entry.anomaly_accepted_at, None);
            assert!(entry.awaits_metadata());
        }
    }

    #[test]
    fn a_doubtful_copy_awaits_an_acceptance_and_a_damaged_one_does_not() {
        let mut entry = entry();
        assert!(!entry.awaits_acceptance(), "it has no copy");
        entry.state = ChunkState::Exported { receipt: receipt() };
        entry.damage = Some(Box::new(Damage {
            found_at: entry.recorded_at,
            problem: "another SHA-256".to_owned(),
            by_reading: true,
        }));
        assert!(entry.open_damage().is_some() && !entry.awaits_acceptance());
        entry.state = ChunkState::Exported {
            receipt: doubtful_receipt(),
        };
        assert!(entry.awaits_acceptance());
        entry.anomaly_accepted_at = Some(entry.recorded_at);
        assert!(!entry.awaits_acceptance());
    }

    #[test]
    fn an_acceptance_does_not_outlive_its_copy() {
        let mut entry = entry();
        entry.anomaly_accepted_at = Some(entry.recorded_at);
        entry.become_exported(&receipt());
        assert_eq!(entry.anomaly_accepted_at, None);
    }
}
