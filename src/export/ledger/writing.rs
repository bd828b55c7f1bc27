//! The only way to change an entry: decides on its current content, writes what it refers to first, and cleans up after
//! it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use serde_json::Value;

use super::auditing::note_audited;
use super::{ChunkLedger, Found, LedgerError, entry_key};
use crate::export::destination::DestinationError;
use crate::export::entry::LedgerEntry;
use crate::recording::DocumentId;
use crate::store::audit::AuditAction;
use crate::store::documents::{Decided, Decision, Known};
use crate::store::index::{MarkedAhead, SeenMarker};

/// Decision about an entry.
pub(super) enum Change<O> {
    Leave(O),
    Write {
        entry: Box<LedgerEntry>,
        outcome: O,
        marker: MarkerCheck,
    },
    /// Like [`Write`](Self::Write), with records for the audit log. They are written together with the markers, before
    /// the entry.
    Record {
        entry: Box<LedgerEntry>,
        outcome: O,
        marker: MarkerCheck,
        records: Vec<(AuditAction, Value)>,
    },
}

/// Writes the receipt of a copy into the vault, which has it before the entry says so.
pub(super) type WriteReceipt<'a> =
    dyn Fn() -> BoxFuture<'a, Result<(), DestinationError>> + Send + Sync + 'a;

/// Whether a write ensures the marker of an entry that it leaves open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MarkerCheck {
    Ensure,
    /// The writer is working on the entry, and ends with a write that ensures it.
    Skip,
    /// The marker of the opening that this write begins exists already.
    Written,
}

/// Outcome of a change.
pub(super) struct Changed<O> {
    pub outcome: O,
    /// The entry as this change wrote it; `None` when it wrote nothing.
    pub written: Option<LedgerEntry>,
    /// The entry as it is now: others may have changed it since.
    pub found: Option<Found>,
}

/// The entries around a write.
struct Written {
    before: Option<LedgerEntry>,
    after: LedgerEntry,
    /// Index markers that it invalidated.
    stale: Vec<SeenMarker>,
}

impl ChunkLedger {
    /// Changes an entry to what `decide` returns for it. `known` saves the first read.
    pub(super) async fn change<'a, O: Send + 'a>(
        &'a self,
        document_id: &DocumentId,
        known: Option<Found>,
        decide: impl FnMut(Option<LedgerEntry>) -> BoxFuture<'a, Result<Change<O>, LedgerError>> + Send,
    ) -> Result<Changed<O>, LedgerError> {
        let known = known.map_or(Known::Nothing, |found| Known::Read(found.into()));
        self.change_known(document_id, known, decide).await
    }

    /// Like [`change`](Self::change), for an entry that is partly known already.
    pub(super) async fn change_known<'a, O: Send + 'a>(
        &'a self,
        document_id: &DocumentId,
        known: Known<LedgerEntry>,
        decide: impl FnMut(Option<LedgerEntry>) -> BoxFuture<'a, Result<Change<O>, LedgerError>> + Send,
    ) -> Result<Changed<O>, LedgerError> {
        self.change_after(None, document_id, known, decide).await
    }

    /// Like [`change_known`](Self::change_known), with a receipt that is written before the entry, together with its lists
    /// and its records.
    pub(super) async fn change_after<'a, O: Send + 'a>(
        &'a self,
        receipt: Option<&'a WriteReceipt<'a>>,
        document_id: &DocumentId,
        known: Known<LedgerEntry>,
        decide: impl FnMut(Option<LedgerEntry>) -> BoxFuture<'a, Result<Change<O>, LedgerError>> + Send,
    ) -> Result<Changed<O>, LedgerError> {
        // On the heap: it holds several entries, and callers hold it within their own futures.
        Box::pin(self.decide_and_write(receipt, document_id, known, decide)).await
    }

    async fn decide_and_write<'a, O: Send + 'a>(
        &'a self,
        receipt: Option<&'a WriteReceipt<'a>>,
        document_id: &DocumentId,
        known: Known<LedgerEntry>,
        mut decide: impl FnMut(Option<LedgerEntry>) -> BoxFuture<'a, Result<Change<O>, LedgerError>>
        + Send,
    ) -> Result<Changed<O>, LedgerError> {
        let key = entry_key(document_id);
        // Index markers of every attempt: those of a failed attempt are removed.
        let ahead = Arc::new(Mutex::new(Vec::new()));
        let deciding = Box::pin(self.entries.decide(&key, known, |before| {
            let decision = decide(before.clone());
            let ahead = Arc::clone(&ahead);
            async move {
                let (mut after, outcome, marker, records) = match decision.await? {
                    Change::Leave(outcome) => return Ok(Decision::Leave((outcome, None))),
                    Change::Write {
                        entry,
                        outcome,
                        marker,
                    } => (*entry, outcome, marker, Vec::new()),
                    Change::Record {
                        entry,
                        outcome,
                        marker,
                        records,
                    } => (*entry, outcome, marker, records),
                };
                let id = after.chunk.document_id.clone();
                let preparing = self.prepare(before.as_ref(), &mut after, marker, records);
                let MarkedAhead { new, stale } =
                    Box::pin(self.with_receipt(receipt, &id, preparing)).await?;
                lock(&ahead).extend(new);
                let written = Written {
                    before,
                    after: after.clone(),
                    stale,
                };
                Ok::<_, LedgerError>(Decision::Write(after, (outcome, Some(written))))
            }
            .boxed()
        }));
        let decided = deciding.await;
        let mut ahead = std::mem::take(&mut *lock(&ahead));
        if let Ok(Decided {
            outcome: (_, Some(written)),
            ..
        }) = &decided
        {
            let said = written.after.markers();
            ahead.retain(|marker| !said.contains(marker.key()));
        }
        if !ahead.is_empty() {
            Box::pin(self.take_back(document_id, ahead)).await;
        }
        let decided = decided?;
        let (outcome, written) = decided.outcome;
        let written = match written {
            Some(written) => Some(Box::pin(self.follow_up(written)).await?),
            None => None,
        };
        Ok(Changed {
            outcome,
            written,
            found: decided.stored.map(Found::from),
        })
    }

    /// Writes the receipt together with the documents that must exist before the entry.
    async fn with_receipt(
        &self,
        receipt: Option<&WriteReceipt<'_>>,
        document_id: &DocumentId,
        preparing: impl Future<Output = Result<MarkedAhead, LedgerError>>,
    ) -> Result<MarkedAhead, LedgerError> {
        let Some(write) = receipt else {
            return preparing.await;
        };
        // As in `prepare`, a failure of one does not cancel the other.
        let (prepared, written) = futures::join!(preparing, write());
        let marked = prepared?;
        match written {
            Ok(()) => Ok(marked),
            Err(error) => {
                self.take_back(document_id, marked.new).await;
                Err(LedgerError::Receipt(error))
            }
        }
    }

    /// Writes the documents that must exist before the entry refers to them, concurrently, because they are independent.
    pub(super) async fn prepare(
        &self,
        before: Option<&LedgerEntry>,
        after: &mut LedgerEntry,
        marker: MarkerCheck,
        records: Vec<(AuditAction, Value)>,
    ) -> Result<MarkedAhead, LedgerError> {
        let is_opened = after.is_open() && before.is_none_or(|before| !before.is_open());
        if is_opened {
            let openings = before.map_or(after.openings, |before| before.openings);
            after.openings = openings.saturating_add(1);
        }
        if let Some(before) = before {
            after.keep_acknowledged_what_was_known(before);
        }
        let needs_marker = match marker {
            MarkerCheck::Ensure => after.is_open(),
            MarkerCheck::Skip => is_opened,
            MarkerCheck::Written => false,
        };
        after.participant_hashes = self.participant_hashes(before, after).await?;
        // Metadata that was added since names people again.
        after.people_dropped = after.is_without_people();
        let entry = &*after;
        let id = &entry.chunk.document_id;
        let marking = async {
            if needs_marker {
                self.put_marker(entry).await?;
            }
            self.keep_notices(before, entry).await
        };
        // A failure does not cancel the other writes, so that all completed writes are known and can be reverted.
        let (opened, indexed, recorded) = futures::join!(
            marking,
            self.mark_new(before, entry),
            self.audit_steps(id, records)
        );
        let indexed = indexed?;
        match opened.map_err(LedgerError::from).and(recorded) {
            Ok(position) => {
                note_audited(after, position);
                Ok(indexed)
            }
            Err(error) => {
                self.take_back(id, indexed.new).await;
                Err(error)
            }
        }
    }

    /// Removes what the entry no longer needs. A kill in between leaves surplus markers, which readers and sweeps
    /// handle.
    async fn follow_up(&self, written: Written) -> Result<LedgerEntry, LedgerError> {
        let Written {
            before,
            after,
            stale,
        } = written;
        self.index().remove_seen(stale).await?;
        let was_open = before.is_some_and(|before| before.is_open());
        if was_open && after.is_done() {
            self.remove_marker(&after).await?;
        }
        Ok(after)
    }
}

fn lock(ahead: &Mutex<Vec<SeenMarker>>) -> MutexGuard<'_, Vec<SeenMarker>> {
    ahead.lock().unwrap_or_else(PoisonError::into_inner)
}
