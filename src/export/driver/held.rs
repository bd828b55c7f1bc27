//! Holds, as a deletion at ACS meets them: the look at them right before the request, and the wait for their release.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;
use tracing::{info, warn};
use uuid::Uuid;

use super::run::{Run, Step};
use super::{DriveOutcome, ExportDriver, ProofAge};
use crate::export::entry::LedgerEntry;
use crate::export::ledger::{AfterUpdate, LedgerError};
use crate::export::receipt::ExportReceipt;
use crate::export::state::ChunkState;
use crate::recording::DeleteLocation;
use crate::store::holds::{self, Case};

/// An entry that was read longer ago is read again before the request.
const ENTRY_COUNTS_FOR: Duration = Duration::from_secs(1);
/// Delay before a held chunk is checked again.
pub(super) const WHILE_HELD: Duration = Duration::from_mins(15);

/// The holds and the entry, right before a deletion.
pub(super) struct LastLook {
    pub cases: Vec<Case>,
    /// As last written under the claim, and as stored: each must permit the deletion.
    pub entries: Vec<LedgerEntry>,
}

impl ExportDriver {
    /// Looks at the holds, and at the entry beside them. The renewal of the claim may have read it since, too.
    ///
    /// Where something is held, the entry that is read after the look may have a name that the look did not know, such as
    /// the recording's id: then the holds are looked at again. Events add each name once, so this ends.
    pub(super) async fn look_last(
        &self,
        run: &Run<'_>,
        location: &DeleteLocation,
    ) -> Result<LastLook, LedgerError> {
        let began = Instant::now();
        let id = run.claim.document_id();
        let (is_anything_held, mut found) =
            futures::try_join!(self.ledger.is_anything_held(), self.ledger.find(id))?;
        let mut cases = Vec::new();
        if is_anything_held {
            let read = found.as_ref().map_or(&run.entry, |found| &found.entry);
            let mut looked_at = self.subjects_of(read.clone()).await?;
            loop {
                cases = self.cases_of(&looked_at).await?;
                if !cases.is_empty() {
                    break;
                }
                found = self.ledger.find(id).await?;
                let Some(entry) = found.as_ref().map(|found| found.entry.clone()) else {
                    break;
                };
                let now = self.subjects_of(entry).await?;
                if has_same_names(&looked_at, &now) {
                    break;
                }
                looked_at = now;
            }
        } else if location.other_object().is_some() || began.elapsed() > ENTRY_COUNTS_FOR {
            found = self.ledger.find(id).await?;
        }
        let found = found.map(|found| found.entry);
        let Some(found) = found.filter(|entry| entry.is_claimed_by(run.claim.token())) else {
            return Err(LedgerError::ClaimLost {
                document_id: id.clone(),
            });
        };
        Ok(LastLook {
            cases,
            entries: run.claim.entry().into_iter().chain([found]).collect(),
        })
    }

    /// Handles a chunk that is held: it waits until ACS itself has dropped the source. `None` when nothing holds it.
    pub(super) async fn withheld(
        &self,
        run: &mut Run<'_>,
        receipt: &ExportReceipt,
    ) -> Result<Option<Step>, LedgerError> {
        let cases = self.cases_on(&run.entry).await?;
        if cases.is_empty() {
            return Ok(None);
        }
        self.wait_for_release(run, receipt, &cases).await.map(Some)
    }

    pub(super) async fn wait_for_release(
        &self,
        run: &mut Run<'_>,
        receipt: &ExportReceipt,
        cases: &[Case],
    ) -> Result<Step, LedgerError> {
        let (now, tags) = (self.clock.now(), holds::tags(cases));
        let (id, token) = (run.entry.chunk.document_id.clone(), run.claim.token());
        let others_act_until = run.others_act_until.filter(|until| now < *until);
        if others_act_until.is_none() && run.entry.is_surely_gone(now) {
            let intent = run.entry.intent.as_ref();
            let what = match intent.and_then(|intent| intent.in_doubt_since(token)) {
                Some(began_at) => {
                    format!("a deletion began at {began_at}; whether ACS carried it out is unknown")
                }
                None => "it was not deleted; its retention at ACS has ended".to_owned(),
            };
            let state = ChunkState::SourceLeft {
                receipt: receipt.clone(),
                reason: format!("held for {tags}, {what}"),
            };
            return self.settle(run, state).await;
        }
        let looked_at_again = now
            .checked_add(WHILE_HELD)
            .unwrap_or(Timestamp::MAX)
            .min(run.entry.surely_gone_at);
        let until = others_act_until.unwrap_or(looked_at_again);
        let wait = |entry: &mut LedgerEntry| {
            entry.not_before = Some(until);
            withdraw_own_intent(entry, token);
        };
        self.ledger
            .update(run.claim, AfterUpdate::Release, wait)
            .await?;
        if others_act_until.is_some() {
            warn!(document.id = %id, chunk.index = run.entry.chunk.index, "Chunk `{id}` is held for {tags}, but a deletion at ACS that began before may take effect until {until}");
        } else {
            info!(document.id = %id, chunk.index = run.entry.chunk.index, "Chunk `{id}` is held for {tags}, and not deleted at ACS");
        }
        Ok(Step::done(match run.proof {
            ProofAge::ThisDrive => DriveOutcome::Exported {
                receipt: receipt.clone(),
            },
            ProofAge::Earlier => DriveOutcome::Waiting { until },
        }))
    }

    /// The cases that hold what this deletion would delete.
    pub(super) async fn cases_on(&self, entry: &LedgerEntry) -> Result<Vec<Case>, LedgerError> {
        if !self.ledger.is_anything_held().await? {
            return Ok(Vec::new());
        }
        self.cases_among_holds(entry).await
    }

    /// Like [`cases_on`](Self::cases_on), where something was held.
    async fn cases_among_holds(&self, entry: &LedgerEntry) -> Result<Vec<Case>, LedgerError> {
        let subjects = self.subjects_of(entry.clone()).await?;
        self.cases_of(&subjects).await
    }

    /// The chunks whose objects this deletion would delete: the chunk, and the other one that its location names.
    async fn subjects_of(&self, entry: LedgerEntry) -> Result<Vec<LedgerEntry>, LedgerError> {
        let other = match self.location_of(&entry) {
            Ok(location) => match location.other_object() {
                Some(other) => self.ledger.find(other).await?,
                None => None,
            },
            Err(_) => None,
        };
        let other = other.map(|found| found.entry);
        Ok([entry].into_iter().chain(other).collect())
    }

    async fn cases_of(&self, subjects: &[LedgerEntry]) -> Result<Vec<Case>, LedgerError> {
        let mut cases = Vec::new();
        for subject in subjects {
            cases.extend(self.ledger.cases_among_holds(subject).await?);
        }
        Ok(cases)
    }
}

/// Whether the entries have the names by which the holds were looked up.
fn has_same_names(looked_at: &[LedgerEntry], now: &[LedgerEntry]) -> bool {
    let pairs = || looked_at.iter().zip(now);
    looked_at.len() == now.len() && pairs().all(|(one, other)| one.is_held_as(other))
}

/// Removes the intent of this claim, under which nothing was sent. What another holder has sent may still arrive, or has:
/// that stays known.
pub(super) fn withdraw_own_intent(entry: &mut LedgerEntry, token: Uuid) {
    let intent = entry.intent.take();
    entry.intent = intent.filter(|intent| intent.in_doubt_since(token).is_some());
}
