//! Claims: the exclusive, time-bound right to move one entry.
//!
//! A claim orders the writes of an entry. The vault and ACS do not know it, so code that acts there calls
//! [`ChunkLedger::ensure_time`], checks what could forbid the action, calls [`ChunkLedger::has_time`], and acts under
//! [`Claim::while_it_lasts`].
//!
//! Two clocks measure a claim, and the shorter remaining time counts: the monotonic clock runs on in a process that was
//! stopped, and pauses in a machine that was; the wall clock runs on in both, and may be set.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use futures::FutureExt as _;
use jiff::Timestamp;
use tokio::time::Instant;
use uuid::Uuid;

use super::auditing::records_of;
use super::writing::{Change, MarkerCheck, WriteReceipt};
use super::{ChunkLedger, Found, LedgerError, WriteOutcome, entry_key};
use crate::clock::Clock;
use crate::error_chain::ErrorChain;
use crate::export::entry::{ClaimRecord, LedgerEntry};
use crate::export::intent::{IntendedDeletion, Intent};
use crate::export::state::ChunkState;
use crate::recording::{ChunkEnd, DocumentId};
use crate::store::documents::Known;

/// The exclusive, time-bound right to move one entry. Clones are the same claim.
///
/// No cleanup is necessary when its holder dies: it expires.
#[derive(Debug, Clone)]
pub struct Claim {
    document_id: DocumentId,
    token: Uuid,
    shared: Arc<Shared>,
}

struct Shared {
    clock: Arc<dyn Clock>,
    held: Mutex<Held>,
    /// The write that releases it has begun.
    is_releasing: AtomicBool,
}

#[derive(Debug)]
struct Held {
    /// The entry as this claim last wrote it, so that it need not be read again.
    latest: Option<Found>,
    /// `None`: it was released or lost, for good.
    term: Option<Term>,
}

/// How long a claim lasts unless renewed.
#[derive(Debug, Clone, Copy)]
struct Term {
    /// By the wall clock, as recorded in the entry.
    until: Timestamp,
    runs_out: Instant,
}

/// Remaining time of a claim that another process may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClaimLeft {
    pub until: Timestamp,
    pub remaining: Duration,
}

/// The claim ended before the action under it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it took longer than the claim on the chunk lasted")]
pub struct ClaimOver;

/// A claim that a write is about to make.
#[derive(Debug, Clone, Copy)]
pub(super) struct NewClaim {
    token: Uuid,
    term: Term,
}

impl NewClaim {
    /// Claims the entry that is about to be written.
    ///
    /// The same write names the media if the event says what it is, and notes whether the file still grows: both are
    /// durable before the first byte goes to the vault.
    pub fn put_into(self, entry: &mut LedgerEntry) {
        entry.claim = Some(ClaimRecord {
            token: self.token,
            until: self.term.until,
        });
        entry.claims = entry.claims.saturating_add(1);
        entry.media_kind = entry.media_kind.or_else(|| entry.chunk.media_kind());
        entry.copied_unfinished |=
            entry.state == ChunkState::Pending && entry.chunk.end() == ChunkEnd::BeingRecorded;
    }

    /// Whether the entry as stored has this claim.
    pub fn is_in(self, entry: &LedgerEntry) -> bool {
        entry.is_claimed_by(self.token)
    }
}

/// What to do with the claim after a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterUpdate {
    KeepClaim,
    Release,
}

/// The writer under a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Writer {
    Holder,
    /// It runs beside the holder, and does not know what the holder is about to do.
    Renewal,
}

/// A write under a claim.
struct UnderClaim<'a> {
    writer: Writer,
    /// Written into the vault before the entry.
    receipt: Option<&'a WriteReceipt<'a>>,
}

impl Claim {
    pub fn document_id(&self) -> &DocumentId {
        &self.document_id
    }

    /// The intent of this claim's holder to delete something.
    pub fn intent(&self, deletes: IntendedDeletion, now: Timestamp) -> Intent {
        Intent::new(deletes, self.token, now)
    }

    /// How long it lasts unless renewed, by the clock with less time left.
    pub fn remaining(&self) -> Duration {
        let Some(Term { until, runs_out }) = self.held().term else {
            return Duration::ZERO;
        };
        let by_wall_clock = until.duration_since(self.shared.clock.now());
        runs_out
            .saturating_duration_since(Instant::now())
            .min(Duration::try_from(by_wall_clock).unwrap_or_default())
    }

    /// Awaits an action outside the ledger for as long as the claim lasts; a renewal extends it. In a process that was
    /// frozen until the claim had ended, `acting` is not polled again.
    ///
    /// # Errors
    /// When the claim ended first. Requests that `acting` has sent may still take effect.
    pub async fn while_it_lasts<F: Future>(&self, acting: F) -> Result<F::Output, ClaimOver> {
        let mut acting = pin!(acting);
        let mut guarded = pin!(poll_fn(|context| {
            if self.remaining().is_zero() {
                return Poll::Ready(Err(ClaimOver));
            }
            acting.as_mut().poll(context).map(Ok)
        }));
        loop {
            match tokio::time::timeout(self.remaining(), guarded.as_mut()).await {
                Ok(acted) => return acted,
                Err(_) if self.remaining().is_zero() => return Err(ClaimOver),
                Err(_) => {}
            }
        }
    }

    /// The entry as this claim's holder last wrote it.
    pub(in crate::export) fn entry(&self) -> Option<LedgerEntry> {
        self.latest().map(|found| found.entry)
    }

    pub(in crate::export) fn token(&self) -> Uuid {
        self.token
    }

    fn is_releasing(&self) -> bool {
        self.shared.is_releasing.load(Ordering::Relaxed)
    }

    fn set_releasing(&self, is_releasing: bool) {
        let flag = &self.shared.is_releasing;
        flag.store(is_releasing, Ordering::Relaxed);
    }

    /// Like [`entry`](Self::entry), with the revision for a later write.
    pub(in crate::export) fn latest(&self) -> Option<Found> {
        self.held().latest.clone()
    }

    fn note(&self, latest: Option<Found>, term: Term) {
        let mut held = self.held();
        // A late note of a renewal does not revive a claim.
        if held.term.is_some() {
            let term = Some(term);
            *held = Held { latest, term };
        }
    }

    fn put_term(&self, after: AfterUpdate, term: Term, entry: &mut LedgerEntry) {
        entry.claim = (after == AfterUpdate::KeepClaim).then_some(ClaimRecord {
            token: self.token,
            until: term.until,
        });
        if let Some(intent) = &mut entry.intent {
            intent.extend(self.token, term.until);
        }
    }

    fn note_end(&self, latest: Option<Found>) {
        *self.held() = Held { latest, term: None };
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        let held = self.shared.held.lock();
        held.unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("held", &self.held)
            .field("is_releasing", &self.is_releasing)
            .finish_non_exhaustive()
    }
}

impl ChunkLedger {
    /// A claim to be made by the next write of an entry that has no claim.
    pub(super) fn new_claim(&self) -> NewClaim {
        NewClaim {
            token: Uuid::new_v4(),
            term: self.term_from_now(),
        }
    }

    /// The claim that this process has made, with the entry as stored. `None` when the entry has another.
    pub(super) fn made(&self, claim: NewClaim, stored: Found) -> Option<Claim> {
        if !claim.is_in(&stored.entry) {
            return None;
        }
        Some(Claim {
            document_id: stored.entry.chunk.document_id.clone(),
            token: claim.token,
            shared: Arc::new(Shared {
                clock: Arc::clone(&self.clock),
                held: Mutex::new(Held {
                    latest: Some(stored),
                    term: Some(claim.term),
                }),
                is_releasing: AtomicBool::new(false),
            }),
        })
    }

    /// Claims an entry as found. `None` when another holder has it or was faster.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn claim(&self, found: &Found) -> Result<Option<Claim>, LedgerError> {
        if found.entry.is_claimed(self.clock.now()) {
            return Ok(None);
        }
        let claim = self.new_claim();
        let mut entry = found.entry.clone();
        claim.put_into(&mut entry);
        let key = entry_key(&entry.chunk.document_id);
        let writing = self.entries.write(&key, Some(&found.revision), entry);
        Ok(match writing.await? {
            WriteOutcome::Written(stored) => self.made(claim, stored.into()),
            WriteOutcome::Conflict { .. } => None,
        })
    }

    /// Remaining time of the claim on a chunk; `None` where there is none.
    ///
    /// # Errors
    /// When the storage fails or the entry is unreadable.
    pub async fn claim_left(&self, id: &DocumentId) -> Result<Option<ClaimLeft>, LedgerError> {
        let now = self.clock.now();
        let found = self.find(id).await?;
        let entry = found.map(|found| found.entry);
        let claim = entry
            .filter(|entry| entry.is_claimed(now))
            .and_then(|entry| entry.claim);
        Ok(claim.map(|claim| ClaimLeft {
            until: claim.until,
            remaining: Duration::try_from(claim.until.duration_since(now)).unwrap_or_default(),
        }))
    }

    /// How long a claim lasts unless renewed.
    pub fn claim_ttl(&self) -> Duration {
        self.claim_ttl
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

    /// Like [`update`](Self::update), but the written entry decides whether this was the last write under the claim: an
    /// event may have added work that is still to be done.
    ///
    /// # Errors
    /// As [`update`](Self::update).
    pub async fn update_deciding(
        &self,
        claim: &Claim,
        change: impl Fn(&mut LedgerEntry) -> AfterUpdate + Send + Sync,
    ) -> Result<LedgerEntry, LedgerError> {
        let write = UnderClaim {
            writer: Writer::Holder,
            receipt: None,
        };
        self.write(claim, write, change).await
    }

    /// Like [`update`](Self::update) of a claim that is kept, with a receipt that is in the vault before the entry is
    /// written. It is written together with the lists and the audit log; after a conflict it is written again.
    ///
    /// # Errors
    /// As [`update`](Self::update); [`LedgerError::Receipt`] when the vault does not take the receipt.
    pub async fn update_with_receipt<'a>(
        &'a self,
        claim: &'a Claim,
        receipt: &'a WriteReceipt<'a>,
        change: impl Fn(&mut LedgerEntry) + Send + Sync,
    ) -> Result<LedgerEntry, LedgerError> {
        let write = UnderClaim {
            writer: Writer::Holder,
            receipt: Some(receipt),
        };
        let change = |entry: &mut LedgerEntry| {
            change(entry);
            AfterUpdate::KeepClaim
        };
        self.write(claim, write, change).await
    }

    async fn write<'a>(
        &'a self,
        claim: &'a Claim,
        UnderClaim { writer, receipt }: UnderClaim<'a>,
        change: impl Fn(&mut LedgerEntry) -> AfterUpdate + Send + Sync,
    ) -> Result<LedgerEntry, LedgerError> {
        // Each decision begins a new term, so that no write shortens what another has stored.
        let mut term = self.term_from_now();
        let known = claim
            .latest()
            .map_or(Known::Nothing, |found| Known::Read(found.into()));
        let changing = self.change_after(receipt, &claim.document_id, known, |found| {
            let held = found.filter(|entry| entry.is_claimed_by(claim.token));
            let Some(before) = held else {
                let lost = LedgerError::ClaimLost {
                    document_id: claim.document_id.clone(),
                };
                return futures::future::ready(Err(lost)).boxed();
            };
            term = self.term_from_now();
            let mut entry = before.clone();
            let after = change(&mut entry);
            claim.put_term(after, term, &mut entry);
            async move {
                if writer == Writer::Holder {
                    claim.set_releasing(false);
                }
                if after == AfterUpdate::KeepClaim {
                    return Ok(Change::Record {
                        outcome: after,
                        records: records_of(&before, &entry),
                        entry: Box::new(entry),
                        marker: MarkerCheck::Skip,
                    });
                }
                self.audit_change(&before, &mut entry).await?;
                // The audit log may delay it. From here on nothing does, and nothing may cancel it.
                if writer == Writer::Holder {
                    claim.set_releasing(true);
                }
                Ok(Change::Write {
                    outcome: after,
                    entry: Box::new(entry),
                    marker: MarkerCheck::Ensure,
                })
            }
            .boxed()
        });
        let changed = match changing.await {
            Ok(changed) => changed,
            Err(error) => {
                if matches!(error, LedgerError::ClaimLost { .. }) {
                    claim.note_end(None);
                }
                return Err(error);
            }
        };
        match changed.outcome {
            AfterUpdate::KeepClaim => claim.note(changed.found, term),
            AfterUpdate::Release => claim.note_end(changed.found),
        }
        changed.written.ok_or_else(|| LedgerError::ClaimLost {
            document_id: claim.document_id.clone(),
        })
    }

    /// Renews a claim for as long as it is awaited. Returns when the claim is lost, with the cause.
    ///
    /// Once the write that releases the claim has begun, it neither renews nor returns: that write owns the follow-up.
    pub async fn keep_claimed(&self, claim: &Claim) -> LedgerError {
        loop {
            tokio::time::sleep(self.claim_ttl / 3).await;
            if claim.is_releasing() {
                continue;
            }
            let renewal = UnderClaim {
                writer: Writer::Renewal,
                receipt: None,
            };
            let renewing = self.write(claim, renewal, |_| AfterUpdate::KeepClaim);
            match renewing.await {
                Ok(_) => {}
                Err(_) if claim.is_releasing() => {}
                Err(lost @ LedgerError::ClaimLost { .. }) => return lost,
                // A short storage failure does no harm: there is time for another try before the claim expires.
                Err(error) if claim.remaining().is_zero() => return error,
                Err(error) => {
                    tracing::debug!(error = %ErrorChain(&error), "Could not renew a claim");
                }
            }
        }
    }

    /// Ensures that the claim lasts longer than a request to the vault or to ACS takes, and renews it if necessary. It
    /// may wait, so check what could forbid an action after it.
    ///
    /// # Errors
    /// [`LedgerError::ClaimLost`] when the claim is no longer ours, or the renewal itself took too long; otherwise when
    /// the storage fails.
    pub async fn ensure_time(&self, claim: &Claim) -> Result<(), LedgerError> {
        if self.has_time(claim) {
            return Ok(());
        }
        self.update(claim, AfterUpdate::KeepClaim, |_| {}).await?;
        if self.has_time(claim) {
            return Ok(());
        }
        Err(LedgerError::ClaimLost {
            document_id: claim.document_id.clone(),
        })
    }

    /// Whether half of the claim is left: time for a request. It never waits.
    pub fn has_time(&self, claim: &Claim) -> bool {
        claim.remaining() >= self.claim_ttl / 2
    }

    fn term_from_now(&self) -> Term {
        let now = self.clock.now();
        Term {
            until: now.checked_add(self.claim_ttl).unwrap_or(Timestamp::MAX),
            runs_out: Instant::now() + self.claim_ttl,
        }
    }
}
