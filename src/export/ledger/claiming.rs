//! Claims: the exclusive, time-bound right to move one entry.
//!
//! A claim orders the writes of an entry. The vault and ACS do not know it, so whoever acts there asks [`ChunkLedger::ensure_time`]
//! first: a process that was frozen finds that its claim is over, by a clock that goes on while it sleeps.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::FutureExt as _;
use jiff::Timestamp;
use tokio::time::Instant;
use uuid::Uuid;

use super::writing::{Change, MarkerCheck};
use super::{ChunkLedger, Found, LedgerError, WriteOutcome, entry_key};
use crate::error_chain::ErrorChain;
use crate::export::entry::{ClaimRecord, LedgerEntry};
use crate::export::intent::{IntendedDeletion, Intent};
use crate::export::state::ChunkState;
use crate::recording::{ChunkEnd, DocumentId};

/// The exclusive, time-bound right to move one entry. Clones are the same claim.
///
/// Nothing has to be cleaned up when its holder dies: it runs out.
#[derive(Debug, Clone)]
pub struct Claim {
    document_id: DocumentId,
    token: Uuid,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// The entry as this claim wrote it last, so that it need not be read again.
    latest: Mutex<Option<Found>>,
    /// When it runs out, unless renewed.
    runs_out: Mutex<Instant>,
    /// The write that gives it back has begun.
    is_releasing: AtomicBool,
}

/// What to do with the claim after a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterUpdate {
    KeepClaim,
    Release,
}

/// Who writes under a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Writer {
    Holder,
    /// It runs beside the holder, and says nothing of what the holder is about to do.
    Renewal,
}

impl Claim {
    pub fn document_id(&self) -> &DocumentId {
        &self.document_id
    }

    /// The intent of this claim's holder to delete something.
    pub fn intent(&self, deletes: IntendedDeletion, now: Timestamp) -> Intent {
        Intent::new(deletes, self.token, now)
    }

    /// How long it lasts unless renewed.
    pub fn remaining(&self) -> Duration {
        let runs_out = *self
            .shared
            .runs_out
            .lock()
            .expect("no holder of this lock panics");
        runs_out.saturating_duration_since(Instant::now())
    }

    /// The entry as this claim's holder wrote it last.
    pub(in crate::export) fn entry(&self) -> Option<LedgerEntry> {
        self.latest().map(|found| found.entry)
    }

    pub(in crate::export) fn token(&self) -> Uuid {
        self.token
    }

    fn is_releasing(&self) -> bool {
        self.shared.is_releasing.load(Ordering::Relaxed)
    }

    fn latest(&self) -> Option<Found> {
        self.shared
            .latest
            .lock()
            .expect("no holder of this lock panics")
            .clone()
    }

    fn note(&self, latest: Option<Found>, runs_out: Instant) {
        *self
            .shared
            .latest
            .lock()
            .expect("no holder of this lock panics") = latest;
        *self
            .shared
            .runs_out
            .lock()
            .expect("no holder of this lock panics") = runs_out;
    }
}

impl ChunkLedger {
    /// Claims an entry as it was found. `None` when another holder has it or was faster.
    ///
    /// The same write names the media where the event tells what it is, and notes whether the file still grows: both are durable
    /// before the first byte goes to the vault.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn claim(&self, found: &Found) -> Result<Option<Claim>, LedgerError> {
        if found.entry.is_claimed(self.clock.now()) {
            return Ok(None);
        }
        let token = Uuid::new_v4();
        let runs_out = Instant::now() + self.claim_ttl;
        let mut entry = found.entry.clone();
        entry.claim = Some(ClaimRecord {
            token,
            until: self.claimed_until(),
        });
        entry.claims = entry.claims.saturating_add(1);
        entry.media_kind = entry.media_kind.or_else(|| entry.chunk.media_kind());
        entry.copied_unfinished |=
            entry.state == ChunkState::Pending && entry.chunk.end() == ChunkEnd::BeingRecorded;
        let document_id = entry.chunk.document_id.clone();
        let written = self
            .entries
            .write(&entry_key(&document_id), Some(&found.revision), entry)
            .await?;
        let WriteOutcome::Written(stored) = written else {
            return Ok(None);
        };
        if !stored.document.is_claimed_by(token) {
            return Ok(None);
        }
        Ok(Some(Claim {
            document_id,
            token,
            shared: Arc::new(Shared {
                latest: Mutex::new(Some(stored.into())),
                runs_out: Mutex::new(runs_out),
                is_releasing: AtomicBool::new(false),
            }),
        }))
    }

    /// Changes a claimed entry, durably. The marker of an entry that becomes settled is removed.
    ///
    /// # Errors
    /// [`LedgerError::ClaimLost`] when the claim is no longer ours; otherwise when the storage fails.
    pub async fn update(
        &self,
        claim: &Claim,
        after: AfterUpdate,
        change: impl Fn(&mut LedgerEntry) + Send + Sync,
    ) -> Result<LedgerEntry, LedgerError> {
        self.update_deciding(claim, |entry| {
            change(entry);
            after
        })
        .await
    }

    /// The same, where it depends on the entry that is written whether this was the last write under the claim: an event may
    /// have added something that is still to be done.
    ///
    /// # Errors
    /// As [`update`](Self::update).
    pub async fn update_deciding(
        &self,
        claim: &Claim,
        change: impl Fn(&mut LedgerEntry) -> AfterUpdate + Send + Sync,
    ) -> Result<LedgerEntry, LedgerError> {
        self.write(claim, Writer::Holder, change).await
    }

    async fn write(
        &self,
        claim: &Claim,
        writer: Writer,
        change: impl Fn(&mut LedgerEntry) -> AfterUpdate + Send + Sync,
    ) -> Result<LedgerEntry, LedgerError> {
        let began = Instant::now();
        let until = self.claimed_until();
        let changed = self
            .change(&claim.document_id, claim.latest(), |found| {
                let decided =
                    found
                        .filter(|entry| entry.is_claimed_by(claim.token))
                        .map(|before| {
                            let mut entry = before.clone();
                            let after = change(&mut entry);
                            (before, entry, after)
                        });
                let Some((before, mut entry, after)) = decided else {
                    let lost = LedgerError::ClaimLost {
                        document_id: claim.document_id.clone(),
                    };
                    return futures::future::ready(Err(lost)).boxed();
                };
                let is_released = after == AfterUpdate::Release;
                if writer == Writer::Holder {
                    claim
                        .shared
                        .is_releasing
                        .store(is_released, Ordering::Relaxed);
                }
                entry.claim = (!is_released).then_some(ClaimRecord {
                    token: claim.token,
                    until,
                });
                if let Some(intent) = &mut entry.intent {
                    intent.extend(claim.token, until);
                }
                let marker = if is_released {
                    MarkerCheck::Ensure
                } else {
                    MarkerCheck::Skip
                };
                async move {
                    self.audit_change(&before, &mut entry).await?;
                    Ok(Change::Write {
                        outcome: (),
                        entry: Box::new(entry),
                        marker,
                    })
                }
                .boxed()
            })
            .await?;
        claim.note(changed.found, began + self.claim_ttl);
        changed.written.ok_or_else(|| LedgerError::ClaimLost {
            document_id: claim.document_id.clone(),
        })
    }

    /// Renews a claim for as long as it is awaited; returns when the claim is lost, with what it was lost by.
    ///
    /// Once the write that gives the claim back has begun, it neither renews nor returns: what follows that write belongs to it.
    pub async fn keep_claimed(&self, claim: &Claim) -> LedgerError {
        loop {
            tokio::time::sleep(self.claim_ttl / 3).await;
            if claim.is_releasing() {
                continue;
            }
            let renewing = self.write(claim, Writer::Renewal, |_| AfterUpdate::KeepClaim);
            match renewing.await {
                Ok(_) => {}
                Err(_) if claim.is_releasing() => {}
                Err(lost @ LedgerError::ClaimLost { .. }) => return lost,
                // A storage that fails for a moment costs nothing: there is time for another try before the claim runs out.
                Err(error) if claim.remaining().is_zero() => return error,
                Err(error) => {
                    tracing::debug!(error = %ErrorChain(&error), "Could not renew a claim");
                }
            }
        }
    }

    /// Sees to it that the claim lasts longer than a request to the vault or to ACS takes, by a monotonic clock: else it is
    /// renewed first.
    ///
    /// # Errors
    /// [`LedgerError::ClaimLost`] when the claim is no longer ours; otherwise when the storage fails.
    pub async fn ensure_time(&self, claim: &Claim) -> Result<(), LedgerError> {
        if claim.remaining() < self.claim_ttl / 2 {
            self.update(claim, AfterUpdate::KeepClaim, |_| {}).await?;
        }
        Ok(())
    }

    fn claimed_until(&self) -> Timestamp {
        let now = self.clock.now();
        now.checked_add(self.claim_ttl).unwrap_or(Timestamp::MAX)
    }
}
