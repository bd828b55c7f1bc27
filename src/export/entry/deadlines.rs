//! How much of its time at ACS has passed for a chunk of which a file is not in the vault.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{FurtherFile, LedgerEntry};
use crate::export::state::ChunkState;

/// How much of its time at ACS has passed for a chunk that is not in the vault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Risk {
    Half,
    ThreeQuarters,
    NinetyPercent,
}

impl Risk {
    /// How much of the time has passed, at least.
    pub fn percent(self) -> u32 {
        match self {
            Self::Half => 50,
            Self::ThreeQuarters => 75,
            Self::NinetyPercent => 90,
        }
    }
}

/// The time that ACS keeps a file that is not in the vault, by the most cautious reading.
#[derive(Debug, Clone, Copy)]
struct Kept {
    from: Timestamp,
    until: Timestamp,
}

impl Risk {
    /// Of the time between its announcement and its deadline.
    pub fn share(self) -> f64 {
        match self {
            Self::Half => 0.5,
            Self::ThreeQuarters => 0.75,
            Self::NinetyPercent => 0.9,
        }
    }
}

impl Kept {
    fn risk(self, now: Timestamp) -> Option<Risk> {
        let kept = self.until.duration_since(self.from).as_secs_f64();
        let left = self.until.duration_since(now).as_secs_f64();
        // A file that was announced after its deadline has no time left.
        let over = if kept > 0.0 { 1.0 - left / kept } else { 1.0 };
        [Risk::NinetyPercent, Risk::ThreeQuarters, Risk::Half]
            .into_iter()
            .find(|risk| over >= risk.share())
    }
}

impl LedgerEntry {
    /// Whether half of its time has passed and a file of it is not in the vault.
    pub fn is_at_risk(&self, now: Timestamp) -> bool {
        self.risk(now).is_some()
    }

    /// Whether ACS's retention no longer matters: it is in the vault with each form of its file, or in a final state
    /// (which may be a loss).
    pub fn has_no_deadline(&self) -> bool {
        self.deadline().is_none()
    }

    /// The same, or only its metadata is still to be copied.
    fn has_no_deadline_but_of_metadata(&self) -> bool {
        self.has_no_deadline() || (self.awaits_metadata() && self.pending_forms().next().is_none())
    }

    /// Begins the time of files that are now to be copied, unless others still are: what was reported of the files before
    /// says nothing of these.
    pub(in crate::export) fn begin_risk_period(&mut self) {
        if self.has_no_deadline_but_of_metadata() && self.reported_risk.take().is_some() {
            self.risk_period = self.risk_period.saturating_add(1);
        }
    }

    /// When ACS drops the first file of it that is not in the vault, by the most cautious reading.
    pub fn deadline(&self) -> Option<Timestamp> {
        self.waiting_files().map(|kept| kept.until).min()
    }

    /// How much of its time has passed, while a file of it is not in the vault.
    pub fn risk(&self, now: Timestamp) -> Option<Risk> {
        self.waiting_files().filter_map(|kept| kept.risk(now)).max()
    }

    /// Another form of the document's file that is still to be copied.
    pub fn pending_forms(&self) -> impl Iterator<Item = &FurtherFile> {
        let is_removed = matches!(
            self.state,
            ChunkState::Removing { .. } | ChunkState::Removed { .. }
        );
        let further = self.further.iter().filter(move |_| !is_removed);
        further.filter(|further| {
            further.is_pending() && self.chunk.locations.is_same_place(&further.file.locations)
        })
    }

    /// When ACS drops a further file, by the most cautious reading.
    pub(in crate::export) fn expiry_of(&self, further: &FurtherFile) -> Timestamp {
        let kept = further.surely_gone_at.duration_since(further.recorded_at);
        let chunk = self.chunk.with_file(&further.file);
        let kept = kept.try_into().unwrap_or_default();
        chunk.expires_at(further.recorded_at, kept)
    }

    fn waiting_files(&self) -> impl Iterator<Item = Kept> {
        let own = Kept {
            from: self.recorded_at,
            until: self.expires_at,
        };
        let is_kept_by_acs = !self.is_external();
        let own = self.is_own_file_waiting().then_some(own).into_iter();
        let forms = self.pending_forms().map(|form| Kept {
            from: form.recorded_at,
            until: self.expiry_of(form),
        });
        own.chain(forms).filter(move |_| is_kept_by_acs)
    }

    fn is_own_file_waiting(&self) -> bool {
        match &self.state {
            ChunkState::Pending => !self.is_unfinished_import(),
            ChunkState::Exported { .. } => self.awaits_metadata(),
            ChunkState::SourceDeleted { .. }
            | ChunkState::SourceLeft { .. }
            | ChunkState::InPlace { .. }
            | ChunkState::Removing { .. }
            | ChunkState::Removed { .. }
            | ChunkState::Expired { .. }
            | ChunkState::DeadLettered { .. } => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::tests::entry;
    use super::*;
    use crate::export::receipt::tests::receipt;
    use crate::recording::AnnouncedFile;

    #[rstest::rstest]
    #[case("2026-03-02T12:00:00Z", None)]
    #[case("2026-03-02T21:31:00Z", Some(Risk::Half))]
    #[case("2026-03-03T04:00:00Z", Some(Risk::ThreeQuarters))]
    #[case("2026-03-03T08:00:00Z", Some(Risk::NinetyPercent))]
    #[case("2026-03-05T00:00:00Z", Some(Risk::NinetyPercent))]
    fn the_risk_grows_while_a_chunk_is_not_in_the_vault(
        #[case] now: Timestamp,
        #[case] expected: Option<Risk>,
    ) {
        assert_eq!(entry().risk(now), expected);
    }

    #[test]
    fn a_longer_form_that_is_not_in_the_vault_has_a_deadline_of_its_own() {
        let mut entry = entry();
        entry.state = ChunkState::Exported { receipt: receipt() };
        entry.chunk.locations.metadata = Some("https://acs.example/metadata".to_owned());
        assert!(!entry.has_no_deadline() && entry.has_no_deadline_but_of_metadata());
        entry.chunk.locations.metadata = None;
        assert!(entry.has_no_deadline() && entry.has_no_deadline_but_of_metadata());
        let announced_at = entry.recorded_at + Duration::from_hours(48);
        let gone_at = announced_at + Duration::from_hours(24);
        let mut file = AnnouncedFile::of(&entry.chunk);
        file.number = entry.free_number().unwrap();
        file.event_time = Some(announced_at);
        entry
            .further
            .push(FurtherFile::new(file, announced_at, gone_at));
        assert_eq!(entry.deadline(), Some(gone_at));
        assert!(!entry.has_no_deadline_but_of_metadata());
        assert_eq!(entry.risk(announced_at), None);
        let late = announced_at + Duration::from_hours(23);
        assert_eq!(entry.risk(late), Some(Risk::NinetyPercent));
    }
}
