//! Which recordings belong into a package of a day or a call, and what may belong there and cannot be packed.

use crate::catalogue::covered::RecordingsAt;
use crate::catalogue::{Catalogue, CatalogueError};
use crate::recording::RecordingId;
use crate::store::index::{Listed, Period};

/// The recordings for a package.
#[derive(Debug, Default)]
pub struct EvidenceSelection {
    /// Also those that were erased.
    pub recordings: Vec<RecordingId>,
    /// A sentence for each account or entry that may belong to them and is not readable.
    pub left_out: Vec<String>,
}

impl Catalogue {
    /// The recordings that began in a period, newest first.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn evidence_of_period(
        &self,
        period: Period,
    ) -> Result<EvidenceSelection, CatalogueError> {
        let found = self.recordings_within(&Listed::All, period, usize::MAX);
        Ok(EvidenceSelection::of(found.await?))
    }

    /// The recordings of a call, newest first.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn evidence_of_call(&self, call: &str) -> Result<EvidenceSelection, CatalogueError> {
        let list = Listed::Call(call.to_owned());
        let found = self.recordings_within(&list, Period::default(), usize::MAX);
        Ok(EvidenceSelection::of(found.await?))
    }
}

impl EvidenceSelection {
    fn of(at: RecordingsAt) -> Self {
        let found = at.found.into_iter();
        let unreadable = at.unreadable.iter();
        Self {
            recordings: found.map(|one| one.account.recording_id).collect(),
            left_out: unreadable.map(|item| left_out(item)).collect(),
        }
    }

    /// Adds another selection, each recording once.
    pub fn add(&mut self, other: Self) {
        for id in other.recordings {
            if !self.recordings.contains(&id) {
                self.recordings.push(id);
            }
        }
        for sentence in other.left_out {
            if !self.left_out.contains(&sentence) {
                self.left_out.push(sentence);
            }
        }
    }
}

/// Says that an account or an entry is not in the package.
pub fn left_out(item: &str) -> String {
    format!("not in this package, because it is not readable or has no account: {item}")
}
