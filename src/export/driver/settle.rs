//! What a drive writes into the ledger when a step is done, or has failed.

use std::time::Duration;

use jiff::Timestamp;
use tracing::{error, info, warn};

use super::{AFTER_VAULT_FAILURE, DriveOutcome, ExportDriver};
use crate::error_chain::ErrorChain;
use crate::export::entry::LedgerEntry;
use crate::export::ledger::{AfterUpdate, Claim, LedgerError};
use crate::export::receipt::{ExportReceipt, VaultName};
use crate::export::source::SourceError;
use crate::export::state::ChunkState;
use crate::export::transfer::chunk::Proved;
use crate::export::transfer::error::TransferError;

use crate::metrics;
use crate::recording::MetadataSummary;

/// Whose failure it was.
#[derive(Debug, Clone, Copy)]
pub(super) enum Blame {
    Source,
    Vault,
}

impl Blame {
    fn as_str(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Vault => "vault",
        }
    }
}

impl ExportDriver {
    /// Durable before anything may be deleted.
    pub(super) async fn settle_exported(
        &self,
        claim: &Claim,
        proved: Proved,
    ) -> Result<LedgerEntry, LedgerError> {
        let Proved { receipt, metadata } = proved;
        let entry = self.put_exported(claim, receipt.clone(), metadata).await?;
        count_exported(&entry, &receipt);
        let id = &entry.chunk.document_id;
        info!(
            document.id = %id, chunk.index = entry.chunk.index, blob = %receipt.media().name(),
            size_bytes = receipt.media().size_bytes(), sha256 = %receipt.media().sha256(), "Exported chunk `{id}`"
        );
        if let Some(anomaly) = receipt.anomaly() {
            error!(document.id = %id, chunk.index = entry.chunk.index, blob = %receipt.media().name(), error = anomaly, "Chunk `{id}` is in the vault, but its media is doubtful: look at it");
        }
        Ok(entry)
    }

    /// `metadata` that says nothing leaves what is known.
    pub(super) async fn put_exported(
        &self,
        claim: &Claim,
        receipt: ExportReceipt,
        metadata: Option<MetadataSummary>,
    ) -> Result<LedgerEntry, LedgerError> {
        self.ledger
            .update(claim, AfterUpdate::KeepClaim, |entry| {
                entry.state = ChunkState::Exported {
                    receipt: receipt.clone(),
                };
                entry.metadata = metadata.clone().or_else(|| entry.metadata.take());
                entry.attempts = 0;
                entry.vault_failures = 0;
                entry.not_before = None;
            })
            .await
    }

    pub(super) async fn settle_failed_export(
        &self,
        claim: &Claim,
        entry: &LedgerEntry,
        error: &TransferError,
    ) -> Result<DriveOutcome, LedgerError> {
        let now = self.clock.now();
        let reason = ErrorChain(error).to_string();
        let end = match error {
            TransferError::Source {
                source: SourceError::Refused(_),
                ..
            }
            | TransferError::Unproved(_) => Some(ChunkState::DeadLettered {
                at: now,
                reason: reason.clone(),
            }),
            TransferError::Source {
                source: SourceError::Gone { .. },
                ..
            } if entry.is_surely_gone(self.clock.now()) => Some(ChunkState::Expired {
                seen_at: now,
                reason: reason.clone(),
            }),
            TransferError::Source { .. }
            | TransferError::Destination(_)
            | TransferError::Vanished(_) => None,
        };
        if let Some(state) = end {
            return self.settle_unexported(claim, state, &reason).await;
        }
        let TransferError::Source { source, .. } = error else {
            // The vault's trouble is not the chunk's: it spends no attempt.
            return self
                .back_off(claim, entry, AFTER_VAULT_FAILURE, Blame::Vault, reason)
                .await;
        };
        let delay =
            self.policy
                .attempts
                .delay(entry.attempts + 1, source.retry_after(), rand::random());
        match delay {
            Some(delay) => {
                self.back_off(claim, entry, delay, Blame::Source, reason)
                    .await
            }
            // As long as ACS may have it, nothing is given up.
            None if !entry.is_surely_gone(self.clock.now()) => {
                self.back_off(
                    claim,
                    entry,
                    self.policy.attempts.longest_delay,
                    Blame::Source,
                    reason,
                )
                .await
            }
            None => {
                let reason = format!("{} attempts failed, the last: {reason}", entry.attempts + 1);
                self.settle_unexported(
                    claim,
                    ChunkState::DeadLettered {
                        at: now,
                        reason: reason.clone(),
                    },
                    &reason,
                )
                .await
            }
        }
    }

    pub(super) async fn back_off(
        &self,
        claim: &Claim,
        entry: &LedgerEntry,
        delay: Duration,
        blame: Blame,
        reason: String,
    ) -> Result<DriveOutcome, LedgerError> {
        metrics::ATTEMPTS_FAILED.increment(&[blame.as_str()]);
        let now = self.clock.now();
        let until = now
            .checked_add(self.within_retention(entry, delay, now))
            .unwrap_or(Timestamp::MAX);
        self.ledger
            .update(claim, AfterUpdate::Release, |entry| {
                match blame {
                    Blame::Source => entry.attempts += 1,
                    Blame::Vault => entry.vault_failures = entry.vault_failures.saturating_add(1),
                }
                entry.not_before = Some(until);
                entry.note_failure(now, reason.clone());
            })
            .await?;
        let (id, attempt) = (&entry.chunk.document_id, entry.attempts + 1);
        warn!(document.id = %id, chunk.index = entry.chunk.index, attempt, error = %reason, "Chunk `{id}` has to be tried again");
        Ok(DriveOutcome::Failed { reason, until })
    }

    /// The two ends without a receipt: a human must act.
    pub(super) async fn settle_unexported(
        &self,
        claim: &Claim,
        state: ChunkState,
        reason: &str,
    ) -> Result<DriveOutcome, LedgerError> {
        let now = self.clock.now();
        let change = |entry: &mut LedgerEntry| {
            entry.state = state.clone();
            entry.note_failure(now, reason.to_owned());
        };
        self.ledger
            .update(claim, AfterUpdate::Release, change)
            .await?;
        count_settled(&state);
        if let Some(found) = self.ledger.find(claim.document_id()).await? {
            self.tell_end(&found).await?;
        }
        Ok(DriveOutcome::Settled {
            state,
            exported_now: false,
        })
    }

    pub(super) async fn settle(
        &self,
        claim: &Claim,
        state: ChunkState,
        exported_now: bool,
    ) -> Result<DriveOutcome, LedgerError> {
        self.ledger
            .update(claim, AfterUpdate::Release, |entry| {
                entry.state = state.clone()
            })
            .await?;
        count_settled(&state);
        Ok(DriveOutcome::Settled {
            state,
            exported_now,
        })
    }

    pub(super) async fn release(&self, claim: &Claim) -> Result<(), LedgerError> {
        self.ledger
            .update(claim, AfterUpdate::Release, |_| {})
            .await
            .map(drop)
    }

    /// A delay that leaves time for another attempt: never more than half of what is left.
    pub(super) fn within_retention(
        &self,
        entry: &LedgerEntry,
        delay: Duration,
        now: Timestamp,
    ) -> Duration {
        let left = Duration::try_from(entry.expires_at.duration_since(now)).unwrap_or_default();
        delay.min((left / 2).max(self.policy.attempts.first_delay))
    }
}

fn count_exported(entry: &LedgerEntry, receipt: &ExportReceipt) {
    let vault = match receipt.vault() {
        VaultName::Home => "home",
        VaultName::Backup => "backup",
    };
    metrics::CHUNKS_EXPORTED.increment(&[vault]);
    metrics::EXPORT_PROVED.add(receipt.media().size_bytes(), &[]);
    let announced_at = entry.chunk.event_time.unwrap_or(entry.recorded_at);
    metrics::EXPORT_DELAY.record(
        receipt
            .verified_at()
            .duration_since(announced_at)
            .as_secs_f64()
            .max(0.0),
        &[],
    );
    if receipt.anomaly().is_some() {
        metrics::CHUNKS_DOUBTFUL.increment(&[]);
    }
    if !receipt.notices().is_empty() {
        metrics::CHUNKS_NOTICED.increment(&[]);
    }
}

fn count_settled(state: &ChunkState) {
    let counter = match state {
        ChunkState::SourceDeleted { .. } => &metrics::CHUNKS_DELETED,
        ChunkState::SourceLeft { .. } => &metrics::CHUNKS_LEFT,
        ChunkState::InPlace { .. } => &metrics::CHUNKS_IN_PLACE,
        ChunkState::Expired { .. } => &metrics::CHUNKS_EXPIRED,
        ChunkState::DeadLettered { .. } => &metrics::CHUNKS_DEAD_LETTERED,
        ChunkState::Pending
        | ChunkState::Exported { .. }
        | ChunkState::Removing { .. }
        | ChunkState::Removed { .. } => return,
    };
    counter.increment(&[]);
}
