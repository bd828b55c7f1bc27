//! The end of a source: deleted by its location with the receipt as proof, or left with a reason.
//!
//! A deletion runs in this order, each step under the claim:
//! ```text
//! the copy is looked at ─▶ intent, durable and audited ─▶ claim renewed ─▶ holds, entry ─▶ time left? ─▶ DELETE ─▶ settled
//!   (or was proved in this drive)                        (where half is spent)   │           └─ no: once more from the intent
//!                                                                                └─ an event forbids it: intent withdrawn
//! ```
//! Without a delay, the intent is part of the write that says `exported`. While other chunks wait for their export, the
//! deletion then waits, which changes nothing of what follows. Between the check of holds and entry and the
//! request nothing waits but that check itself, and the request is sent only while the claim lasts.
//!
//! The check finds a hold that is added before it. A caller that adds one after it finds the intent. The entry is read
//! beside the holds: an event may have announced a longer file or another place since the intent was written. Where the
//! holds take longer, it is read once more after them. What remains: ACS has no conditional DELETE, so an event that is
//! recorded after that read is too late, and a process that freezes between its last check of the time and the request
//! can send it late.

use jiff::Timestamp;
use tracing::{Instrument as _, error, info, info_span, warn};

use super::held::{LastLook, WHILE_HELD, withdraw_own_intent};
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

impl ExportDriver {
    pub(super) async fn delete_source(
        &self,
        run: &mut Run<'_>,
        receipt: ExportReceipt,
    ) -> Result<Step, LedgerError> {
        let location = match self.permission_by_copies(&run.entry, &receipt).await? {
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
        self.compare_copy(run, receipt).await
    }

    /// Compares a copy that a verification found damaged, and exports it again if it differs. One that differs only where it
    /// is read waits for a person; its source stays.
    pub(super) async fn replace_damaged(
        &self,
        run: &mut Run<'_>,
        receipt: &ExportReceipt,
    ) -> Result<Step, LedgerError> {
        match self.compare_copy(run, receipt).await? {
            Some(step) => Ok(step),
            None => self.wait_for(run, &Objection::Damaged).await,
        }
    }

    /// `None` when the copy is as it was proved.
    async fn compare_copy(
        &self,
        run: &mut Run<'_>,
        receipt: &ExportReceipt,
    ) -> Result<Option<Step>, LedgerError> {
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
            | SourceError::CredentialRefused { retry_after, .. }
                if !run.entry.is_surely_gone(self.clock.now()) =>
            {
                *retry_after
            }
            SourceError::RedirectRefused(_) if !run.entry.is_surely_gone(self.clock.now()) => None,
            // Refused, or past its retention: the copy is safe, and ACS drops its own.
            SourceError::Transient { .. }
            | SourceError::CredentialRefused { .. }
            | SourceError::RedirectRefused(_)
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
        let Some(other) = location.other_object() else {
            return Ok(DeletionPermission::Granted(location));
        };
        // An object that the ledger does not know may be a recording whose event is still to come.
        let found = self.ledger.find(other).await?;
        let replaces = found.map_or(Replaces::NotYet, |found| {
            replaces_source(&found.entry, self.policy.deletion)
        });
        let objection = Objection::OtherNotInVault {
            other: other.clone(),
        };
        Ok(match replaces {
            Replaces::Yes => DeletionPermission::Granted(location),
            Replaces::NotYet if !entry.is_surely_gone(self.clock.now()) => {
                DeletionPermission::NotYet(objection)
            }
            Replaces::NotYet | Replaces::No => DeletionPermission::Denied(objection),
        })
    }

    /// The same, where the copies of another chunk whose object would be deleted are looked at too: its own drive looks at
    /// them only before it deletes.
    pub(super) async fn permission_by_copies(
        &self,
        entry: &LedgerEntry,
        receipt: &ExportReceipt,
    ) -> Result<DeletionPermission, LedgerError> {
        let location = match self.permission(entry, receipt).await? {
            DeletionPermission::Granted(location) => location,
            other @ (DeletionPermission::Denied(_) | DeletionPermission::NotYet(_)) => {
                return Ok(other);
            }
        };
        let Some(other) = location.other_object() else {
            return Ok(DeletionPermission::Granted(location));
        };
        let found = self.ledger.find(other).await?;
        let other_receipt = found.as_ref().and_then(|found| found.entry.state.receipt());
        let rechecked = match other_receipt {
            Some(receipt) => Some(self.vaults().recheck(receipt, Depth::Described).await),
            None => None,
        };
        let other = other.clone();
        let objection = match rechecked {
            Some(Rechecked::Same(_)) => return Ok(DeletionPermission::Granted(location)),
            Some(Rechecked::NotChecked(error)) => Objection::OtherNotChecked {
                other,
                reason: ErrorChain(&error).to_string(),
            },
            Some(Rechecked::Missing(_) | Rechecked::Different(_)) | None => {
                Objection::OtherNotInVault { other }
            }
        };
        Ok(if entry.is_surely_gone(self.clock.now()) {
            DeletionPermission::Denied(objection)
        } else {
            DeletionPermission::NotYet(objection)
        })
    }
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
    /// Another file of it is still to be exported, or the ledger does not know it.
    NotYet,
    No,
}

/// An imported copy never permits the deletion of a source.
fn replaces_source(entry: &LedgerEntry, deletion: DeletionPolicy) -> Replaces {
    match &entry.state {
        // The object at ACS is not the file that was seen in the customer's own storage.
        ChunkState::InPlace { .. }
        | ChunkState::Pending
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
