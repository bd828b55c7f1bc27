//! What is known beside the accounts of single recordings, read once. The verdict and the reports of days are derived from
//! the same, so that no report says more than the verdict.

use jiff::{SignedDuration, Timestamp};

use super::check::CheckRecord;
use super::survey::Survey;
use super::{Catalogue, CatalogueError};
use crate::export::ledger::LastSweep;
use crate::standing::verdict::{Facts, StorageUse};
use crate::store::listing::Count;

/// Unreadable events that are counted; there may be more.
const COUNTED: usize = 10_000;

/// What the verdict is derived from.
#[derive(Debug)]
pub(super) struct Observed {
    as_of: Timestamp,
    sweep_late_after: SignedDuration,
    pub survey: Survey,
    pub check: Option<CheckRecord>,
    pub poison: Count,
    kept_events: usize,
    /// With whether there are more.
    unknown_starts: (Vec<Timestamp>, bool),
    pub sweep: Option<LastSweep>,
    pub storage: StorageUse,
}

impl Observed {
    pub fn facts(&self) -> Facts {
        let (limits, sweep) = (self.survey.limits(), self.sweep.as_ref());
        Facts {
            as_of: self.as_of,
            recordings: self.survey.counts(),
            is_capped: limits.is_capped,
            first_deadline: self.survey.first_deadline(),
            unreadable_chunks: limits.chunks.unreadable.clone(),
            unwritten_chunks: limits.chunks.unwritten.len(),
            poison: self.poison.count,
            kept_events: self.kept_events,
            unknown_starts: self.unknown_starts.0.clone(),
            has_more_starts: self.unknown_starts.1,
            last_sweep: sweep.map(|sweep| sweep.at),
            timer: sweep.map(|sweep| sweep.timer_state(self.sweep_late_after)),
            sweep_late_after: self.sweep_late_after,
            audit_uncovered: sweep.and_then(|sweep| sweep.audit_uncovered.clone()),
            check: self.check.as_ref().map(CheckRecord::summary),
            storage: self.storage.clone(),
        }
    }
}

impl Catalogue {
    /// Reads what the verdict is derived from.
    pub(super) async fn observed(&self) -> Result<Observed, CatalogueError> {
        let as_of = self.clock.now();
        let check = self.last_check().await?;
        let (survey, poison, kept_events, unknown_starts, sweep, storage) = futures::try_join!(
            self.survey(check.as_ref()),
            async { Ok(self.ledger.count_poison(COUNTED).await?) },
            async { Ok(self.ledger.kept_events().await?.len()) },
            async { Ok(self.register.unknown_starts(as_of).await?) },
            async { Ok(self.ledger.last_sweep().await?) },
            self.storage_use(),
        )?;
        Ok(Observed {
            as_of,
            sweep_late_after: self.sweep_rhythm.late_after(),
            survey,
            check,
            poison,
            kept_events,
            unknown_starts,
            sweep,
            storage,
        })
    }
}
