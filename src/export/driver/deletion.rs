//! The end of a source: deleted by its location with the receipt as proof, or left with a reason.
//!
//! A deletion runs in this order, each step under the claim:
//! ```text
//! the copy is looked at ─▶ intent, durable and audited ─▶ claim renewed ─▶ holds, entry ─▶ time left? ─▶ DELETE ─▶ settled
//!   (or was proved in this drive)                        (where half is spent)   │           └─ no: once more from the intent
//!                                                                                └─ an event forbids it: intent withdrawn
//! ```
//! Without a delay, the intent is part of the write that says `exported`. Between the check of holds and entry and the
//! request nothing waits but that check itself, and the request is sent only while the claim lasts.
//!
//! The check finds a hold that is added before it. A caller that adds one after it finds the intent. The entry is read
//! beside the holds: an event may have announced a longer file or another place since the intent was written. Where the
//! holds take longer, it is read once more after them. What remains: ACS has no conditional DELETE, so an event that is
//! recorded after that read is too late, and a process that freezes between its last check of the time and the request
//! can send it late.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;
use tracing::{Instrument as _, error, info, info_span, warn};
use uuid::Uuid;

use super::next_step::{DeletionPolicy, NextStep, next_step};
use super::objection::Objection;
use super::run::{Run, Step};
use super::settle::Failed;
use super::{DriveOutcome, ExportDriver, ProofAge};
use crate::error_chain::ErrorChain;
use crate::export::entry::LedgerEntry;
use crate::export::intent::IntendedDeletion;
use crate::export::ledger::{AfterUpdate, Claim, ClaimOver, LedgerError};
use crate::export::receipt::{ExportReceipt, MetadataLack};
use crate::export::recheck::{Depth, Rechecked};
use crate::export::source::SourceError;
use crate::export::state::ChunkState;
use crate::export::transfer::verify::Mismatch;
use crate::recording::{DeleteLocation, SourceKept};
use crate::store::holds::{self, Case};

/// An entry that was read longer ago is read again before the request.
const ENTRY_COUNTS_FOR: Duration = Duration::from_secs(1);
/// Delay before a held chunk is checked again.
const WHILE_HELD: Duration = Duration::from_mins(15);

impl ExportDriver {
    pub(super) async fn delete_source(
        &self,
        run: &mut Run<'_>,
        receipt: ExportReceipt,
    ) -> Result<Step, LedgerError> {
        let location = match self.permission(&run.entry, &receipt).await? {
            DeletionPermission::Granted(location) => location,
            DeletionPermission::NotYet(objection) => return self.wait_for(run, &objection).await,
            DeletionPermission::Denied(objection) => {
                let (id, reason) = (&run.entry.chunk.document_id, objection.to_string());
                warn!(document.id = %id, error = reason, "Chunk `{id}` is not deleted at ACS");
                let left = ChunkState::SourceLeft { receipt, reason };
                return self.settle(run, left).await;
            }
        };
        if !has_intent(run, &location) {
            // Without this check a held chunk would get an intent every quarter of an hour.
            if let Some(withheld) = self.withheld(run, &receipt).await? {
                return Ok(withheld);
            }
            if let Some(step) = self.look_at_copy(run, &receipt).await? {
                return Ok(step);
            }
            run.entry = self.intend_deletion(run.claim, &location).await?;
            if !has_intent(run, &location) {
                return Ok(Step::Next);
            }
        }
        self.ledger.ensure_time(run.claim).await?;
        let LastLook { cases, entries } = self.look_last(run, &location).await?;
        if !cases.is_empty() {
            return self.wait_for_release(run, &receipt, &cases).await;
        }
        for entry in &entries {
            if !self.is_still_due(entry, &location, &receipt).await? {
                return self.withdraw_intent(run).await;
            }
        }
        if !self.ledger.has_time(run.claim) {
            return Ok(Step::Next);
        }
        self.request_deletion(run, &location, receipt).await
    }

    /// Releases a chunk that may not be deleted yet, and checks it again later.
    async fn wait_for(&self, run: &Run<'_>, objection: &Objection) -> Result<Step, LedgerError> {
        let now = self.clock.now();
        let until = now.checked_add(WHILE_HELD).unwrap_or(Timestamp::MAX);
        let until = until.min(run.entry.surely_gone_at);
        let token = run.claim.token();
        let wait = |entry: &mut LedgerEntry| {
            entry.not_before = Some(until);
            withdraw_own_intent(entry, token);
        };
        self.ledger
            .update(run.claim, AfterUpdate::Release, wait)
            .await?;
        let id = &run.entry.chunk.document_id;
        info!(document.id = %id, chunk.index = run.entry.chunk.index, "Chunk `{id}` is not deleted at ACS yet: {objection}");
        Ok(Step::done(DriveOutcome::Waiting { until }))
    }

    /// Looks at the holds, and at the entry beside them. The renewal of the claim may have read it since, too.
    async fn look_last(
        &self,
        run: &Run<'_>,
        location: &DeleteLocation,
    ) -> Result<LastLook, LedgerError> {
        let began = Instant::now();
        let id = run.claim.document_id();
        let (is_anything_held, mut found) =
            futures::try_join!(self.ledger.is_anything_held(), self.ledger.find(id))?;
        let cases = if is_anything_held {
            self.cases_among_holds(&run.entry).await?
        } else {
            Vec::new()
        };
        let takes_longer = is_anything_held || location.other_object().is_some();
        if cases.is_empty() && (takes_longer || began.elapsed() > ENTRY_COUNTS_FOR) {
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

    /// Whether the entry still permits the deletion of this source.
    async fn is_still_due(
        &self,
        entry: &LedgerEntry,
        location: &DeleteLocation,
        receipt: &ExportReceipt,
    ) -> Result<bool, LedgerError> {
        let due = NextStep::DeleteSource {
            receipt: receipt.clone(),
        };
        if next_step(entry, self.policy.deletion, self.clock.now()) != due {
            return Ok(false);
        }
        Ok(match self.permission(entry, receipt).await? {
            DeletionPermission::Granted(granted) => granted == *location,
            DeletionPermission::Denied(_) | DeletionPermission::NotYet(_) => false,
        })
    }

    /// Gives up a deletion of which nothing was sent: an event has added what is to be done first.
    async fn withdraw_intent(&self, run: &mut Run<'_>) -> Result<Step, LedgerError> {
        let token = run.claim.token();
        let id = run.claim.document_id();
        warn!(document.id = %id, "An event announced more of chunk `{id}` right before its deletion at ACS: it is not deleted yet");
        let withdraw = |entry: &mut LedgerEntry| withdraw_own_intent(entry, token);
        run.entry = self
            .ledger
            .update(run.claim, AfterUpdate::KeepClaim, withdraw)
            .await?;
        Ok(Step::Next)
    }

    /// Checks again a proof that is not from this drive: files in a vault may be moved or replaced. `None` when the
    /// copy exists.
    async fn look_at_copy(
        &self,
        run: &mut Run<'_>,
        receipt: &ExportReceipt,
    ) -> Result<Option<Step>, LedgerError> {
        if run.proof == ProofAge::ThisDrive {
            return Ok(None);
        }
        match self.vaults().recheck(receipt, Depth::Described).await {
            Rechecked::Same(_) => Ok(None),
            Rechecked::Missing(mismatch) | Rechecked::Different(mismatch) => {
                self.export_again(run, &mismatch).await.map(Some)
            }
            Rechecked::NotChecked(error) => {
                let failed = Failed::of_vault(ErrorChain(&error).to_string());
                self.back_off(run, failed).await.map(Some)
            }
        }
    }

    /// Records the intent, if the source of the entry being written is still to be deleted at this location.
    async fn intend_deletion(
        &self,
        claim: &Claim,
        location: &DeleteLocation,
    ) -> Result<LedgerEntry, LedgerError> {
        let (deletion, now) = (self.policy.deletion, self.clock.now());
        let intend = |entry: &mut LedgerEntry| {
            let is_due = matches!(
                next_step(entry, deletion, now),
                NextStep::DeleteSource { .. }
            );
            if is_due && self.location_of(entry).as_ref() == Ok(location) {
                let intent = claim.intent(location.into(), now);
                entry.intent = Some(intent.after(entry.intent.as_ref()));
            }
        };
        self.ledger
            .update(claim, AfterUpdate::KeepClaim, intend)
            .await
    }

    async fn request_deletion(
        &self,
        run: &mut Run<'_>,
        location: &DeleteLocation,
        receipt: ExportReceipt,
    ) -> Result<Step, LedgerError> {
        let deleting = self.source.delete(location, &receipt);
        // An answer after the end of the claim does not count.
        let deleting = run.claim.while_it_lasts(deleting);
        let deleted = deleting.instrument(info_span!("delete")).await;
        let error = match deleted {
            Ok(Ok(deletion)) => return self.settle_deleted(run, receipt, deletion).await,
            Ok(Err(error)) => error,
            Err(ClaimOver) => SourceError::transient("ACS did not answer the deletion in time"),
        };
        let reason = ErrorChain(&error).to_string();
        let retry_after = match &error {
            SourceError::Transient { retry_after, .. }
                if !run.entry.is_surely_gone(self.clock.now()) =>
            {
                *retry_after
            }
            // Refused, or past its retention: the copy is safe, and ACS drops its own.
            SourceError::Transient { .. }
            | SourceError::Refused(_)
            | SourceError::Gone { .. }
            | SourceError::TooLarge { .. } => {
                let id = &run.entry.chunk.document_id;
                warn!(document.id = %id, error = %reason, "Chunk `{id}` is safe, but is not deleted at ACS");
                return self
                    .settle(run, ChunkState::SourceLeft { receipt, reason })
                    .await;
            }
        };
        let failed = self.failed_at_source(&run.entry, retry_after, reason);
        self.back_off(run, failed).await
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

    async fn wait_for_release(
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
        let mut cases = self.ledger.cases_among_holds(entry).await?;
        // Deleting this location deletes the document of another chunk too.
        if let Ok(location) = self.location_of(entry)
            && let Some(other) = location.other_object()
            && let Some(found) = self.ledger.find(other).await?
        {
            cases.extend(self.ledger.cases_among_holds(&found.entry).await?);
        }
        Ok(cases)
    }

    /// Exports again a chunk whose copy the vault has lost or replaced.
    pub(super) async fn export_again(
        &self,
        run: &mut Run<'_>,
        mismatch: &Mismatch,
    ) -> Result<Step, LedgerError> {
        let id = run.claim.document_id();
        error!(document.id = %id, error = %mismatch, "The copy of chunk `{id}` is not in the vault as it was proved; it is exported again");
        let reason = format!("the vault no longer holds what was proved: {mismatch}");
        self.reopen(run, reason).await
    }

    /// Opens the chunk again. What was proved or accepted for a copy does not apply to the next one.
    pub(super) async fn reopen(
        &self,
        run: &mut Run<'_>,
        reason: String,
    ) -> Result<Step, LedgerError> {
        let change = |entry: &mut LedgerEntry| {
            entry.state = ChunkState::Pending;
            entry.anomaly_accepted_at = None;
        };
        run.entry = self
            .ledger
            .update(run.claim, AfterUpdate::KeepClaim, change)
            .await?;
        self.back_off(run, Failed::of_vault(reason)).await
    }

    pub(super) fn location_of(&self, entry: &LedgerEntry) -> Result<DeleteLocation, SourceKept> {
        DeleteLocation::of(&entry.chunk, self.policy.deletion.other_objects)
    }

    /// Whether this receipt permits the deletion of this source, and at which location.
    pub(super) async fn permission(
        &self,
        entry: &LedgerEntry,
        receipt: &ExportReceipt,
    ) -> Result<DeletionPermission, LedgerError> {
        let denied = |objection| Ok(DeletionPermission::Denied(objection));
        let expires_at = entry.expires_at;
        if receipt.imported().is_some() {
            return denied(Objection::Imported);
        }
        let location = match self.location_of(entry) {
            Ok(location) => location,
            Err(kept) => return denied(Objection::Location { kept, expires_at }),
        };
        if !has_all_metadata(receipt) {
            return denied(Objection::MetadataNotInVault { expires_at });
        }
        if let Some(other) = location.other_object()
            && let Some(found) = self.ledger.find(other).await?
        {
            let (other, is_gone) = (other.clone(), entry.is_surely_gone(self.clock.now()));
            let objection = Objection::OtherNotInVault { other };
            match replaces_source(&found.entry, self.policy.deletion) {
                Replaces::Yes => {}
                Replaces::NotYet if !is_gone => return Ok(DeletionPermission::NotYet(objection)),
                Replaces::NotYet | Replaces::No => return denied(objection),
            }
        }
        Ok(DeletionPermission::Granted(location))
    }
}

/// The holds and the entry, right before a deletion.
struct LastLook {
    cases: Vec<Case>,
    /// As last written under the claim, and as stored: each must permit the deletion.
    entries: Vec<LedgerEntry>,
}

/// What may be done about a source whose copy is proved.
pub(super) enum DeletionPermission {
    Granted(DeleteLocation),
    Denied(Objection),
    /// The reason ends by itself.
    NotYet(Objection),
}

/// Whether a chunk has a copy that permits the deletion of its own source.
enum Replaces {
    Yes,
    /// Another file of it is still to be exported.
    NotYet,
    No,
}

/// An imported copy never permits the deletion of a source.
fn replaces_source(entry: &LedgerEntry, deletion: DeletionPolicy) -> Replaces {
    match &entry.state {
        ChunkState::Pending
        | ChunkState::Removing { .. }
        | ChunkState::Removed { .. }
        | ChunkState::Expired { .. }
        | ChunkState::DeadLettered { .. } => Replaces::No,
        ChunkState::Exported { receipt }
        | ChunkState::SourceDeleted { receipt, .. }
        | ChunkState::SourceLeft { receipt, .. } => {
            let spares = deletion.spares(entry, receipt);
            let waits = spares == Some(Objection::OtherFilePending);
            let is_refused = spares.is_some() && !waits;
            if receipt.imported().is_some() || !has_all_metadata(receipt) || is_refused {
                return Replaces::No;
            }
            if waits {
                Replaces::NotYet
            } else {
                Replaces::Yes
            }
        }
        ChunkState::InPlace { .. } => Replaces::Yes,
    }
}

/// Whether nothing of the metadata goes with the source, whatever the clock says: only ACS itself can say that there is
/// none any more.
fn has_all_metadata(receipt: &ExportReceipt) -> bool {
    receipt.metadata().is_some() || receipt.metadata_lack() == Some(MetadataLack::Gone)
}

/// Whether the intent to delete at this location is recorded under this claim.
fn has_intent(run: &Run<'_>, location: &DeleteLocation) -> bool {
    run.entry.intent.as_ref().is_some_and(|intent| {
        intent.is_of(run.claim.token()) && intent.deletes == IntendedDeletion::from(location)
    })
}

/// Removes the intent of this claim, under which nothing was sent. What another holder has sent may still arrive, or has:
/// that stays known.
fn withdraw_own_intent(entry: &mut LedgerEntry, token: Uuid) {
    let intent = entry.intent.take();
    entry.intent = intent.filter(|intent| intent.in_doubt_since(token).is_some());
}
