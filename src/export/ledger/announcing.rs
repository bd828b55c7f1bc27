//! Records what events announce: makes chunks durable, and adds what later events report.
//!
//! An event never moves a known document. A file that it announces elsewhere, or another form of a file in the vault,
//! is another file of the document (`announcing/other_files.rs`).

mod adding;
mod ahead;
mod other_files;

use std::borrow::Cow;

use futures::FutureExt as _;
use jiff::Timestamp;

use self::adding::{
    add_other, is_closed_for_another, look_in_place_again, note_other_names, outcome_of,
};
use self::other_files::AnnouncedAs;
use super::auditing::{announced, records_of};
use super::claiming::NewClaim;
use super::fresh::Fresh;
use super::writing::{Change, Changed, MarkerCheck};
use super::{ChunkLedger, LedgerError};
use crate::export::entry::{FurtherFile, LedgerEntry};
use crate::export::slots::ClaimAhead;
use crate::export::state::{ChunkState, SourceEnd};
use crate::recording::{Absorbed, AnnouncedFile, ChunkEnd, NamedAs, RecordingChunk};
use crate::store::audit::{AuditAction, Operator};
use crate::store::documents::Known;

pub use ahead::{AnnouncedAhead, AnnouncedChunk};

pub(in crate::export) use adding::reopen_for_what_was_added;

/// Why an event announces another file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OtherFile {
    /// It is at another location.
    Elsewhere,
    /// It is at the location of the first, and is longer or ends differently.
    Longer,
}

/// Whether credentials may be sent to the locations that an event names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    Admitted,
    Refused,
}

/// Whether the recording of a chunk was requested: through this app, or by a call whose start was announced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Solicitation {
    Solicited,
    Unsolicited,
    /// The lookup failed. A new chunk counts as unsolicited until it is known.
    Unknown,
}

/// Facts about a chunk that its event does not contain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Circumstances {
    pub admission: Admission,
    pub solicitation: Solicitation,
    pub expected: Expected,
}

/// What the caller expects of a chunk in the ledger. A wrong guess causes a conflict and an extra audit record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    Unknown,
    /// No event announced it before.
    New,
}

/// Outcome of recording a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recorded {
    New,
    AlreadyKnown,
    /// It announces another file of a known document, which is exported beside the first.
    OtherFile(OtherFile),
    /// It names another location for a known document, and no credential may be sent there.
    NotAdmitted,
    /// The document already has the maximum number of exported files. Another place of it is disputed nevertheless.
    TooManyFiles,
    /// Its recording was erased: the chunk is not exported.
    Erased,
    /// Its recording was erased, and the chunk was recorded before that was known: it may be in the vault.
    LeftToErasure,
    /// It is known as a chunk of another recording than the event names. It stays one of the first; what the event names
    /// is noted, unless it is an erased recording.
    OfAnotherRecording,
}

impl ChunkLedger {
    /// Makes a chunk durable, and returns only then. A repeat adds what was not known yet, and ensures that an open
    /// entry has its marker.
    ///
    /// # Errors
    /// When the storage fails or the entry of this chunk is unreadable.
    pub async fn record(&self, chunk: RecordingChunk) -> Result<Recorded, LedgerError> {
        let circumstances = Circumstances {
            admission: Admission::Admitted,
            solicitation: Solicitation::Solicited,
            expected: Expected::Unknown,
        };
        self.record_as(chunk, circumstances, None).await
    }

    /// Like [`record`](Self::record), for a chunk whose locations may not be admitted, or that may be unsolicited. A
    /// known document gets no location that is not admitted. With `ahead`, the write that records a new chunk claims it
    /// for this process, which is about to export it; not a file that is elsewhere than at ACS, that still grows, or that expires soon.
    ///
    /// # Errors
    /// As [`record`](Self::record).
    pub async fn record_as(
        &self,
        chunk: RecordingChunk,
        circumstances: Circumstances,
        ahead: Option<ClaimAhead>,
    ) -> Result<Recorded, LedgerError> {
        self.record_announced(chunk.into(), circumstances, ahead)
            .await
    }

    /// Like [`record_as`](Self::record_as), for a chunk whose marker and audit record may be written already.
    ///
    /// # Errors
    /// As [`record`](Self::record).
    pub async fn record_announced(
        &self,
        announced: AnnouncedChunk,
        circumstances: Circumstances,
        ahead: Option<ClaimAhead>,
    ) -> Result<Recorded, LedgerError> {
        let is_external = announced.chunk.is_external();
        let ahead = ahead.filter(|_| !is_external);
        let claim = ahead.as_ref().map(|_| self.new_claim());
        // On the heap: it holds several entries.
        let changed = Box::pin(self.change_announced(&announced, circumstances, claim)).await?;
        if let Some(found) = changed.found.filter(|_| changed.outcome == Recorded::New) {
            let claim = claim.and_then(|claim| self.made(claim, found.clone()));
            self.fresh.keep(Fresh::new(found, claim.zip(ahead)));
        }
        Ok(changed.outcome)
    }

    async fn change_announced(
        &self,
        announced: &AnnouncedChunk,
        circumstances: Circumstances,
        claim: Option<NewClaim>,
    ) -> Result<Changed<Recorded>, LedgerError> {
        let chunk = &announced.chunk;
        let document_id = &chunk.document_id;
        let known = match circumstances.expected {
            Expected::Unknown => Known::Nothing,
            Expected::New => Known::Absent,
        };
        let new = || self.new_entry(announced, circumstances.solicitation, claim);
        let changed = self.change_known(document_id, known, |found| match found {
            None => futures::future::ready(Ok(new())).boxed(),
            Some(before) => self
                .decide_announced(before, chunk.clone(), circumstances, claim)
                .boxed(),
        });
        match changed.await {
            Ok(changed) => Ok(changed),
            Err(error) => {
                let new = async { Ok(new()) };
                Box::pin(self.change_awaited(document_id, error, new)).await
            }
        }
    }

    /// Makes a chunk durable that an operator imports and that no event announced. It is never exported from ACS. A known
    /// chunk stays as it is.
    ///
    /// # Errors
    /// As [`record`](Self::record).
    pub async fn record_for_import(
        &self,
        chunk: RecordingChunk,
        operator: &Operator,
    ) -> Result<(), LedgerError> {
        let document_id = &chunk.document_id;
        let changed = self.change(document_id, None, |found| {
            let new = self.new_import(&chunk, operator);
            async move {
                match found {
                    None => new.await,
                    Some(_) => Ok(Change::Leave(())),
                }
            }
            .boxed()
        });
        if let Err(error) = changed.await {
            let new = self.new_import(&chunk, operator);
            Box::pin(self.change_awaited(document_id, error, new)).await?;
        }
        Ok(())
    }

    async fn new_import(
        &self,
        chunk: &RecordingChunk,
        operator: &Operator,
    ) -> Result<Change<()>, LedgerError> {
        let mut entry = LedgerEntry::new(chunk.clone(), self.clock.now(), self.retention);
        entry.recorded_for_import = true;
        let (action, detail) = announced(AuditAction::Recorded, chunk);
        let audited = self.audit_operator(action, chunk.document_id.as_str(), operator, detail);
        entry.note_audited(audited.await?);
        Ok(Change::Write {
            entry: Box::new(entry),
            outcome: (),
            marker: MarkerCheck::Ensure,
        })
    }

    /// Notes a chunk of an erased recording without personal data, so that it is never exported. The same applies to
    /// one that was recorded before and whose export has not begun. Any other is left to the erasure, and one of another
    /// recording stays as it is, whatever the event says.
    ///
    /// # Errors
    /// As [`record`](Self::record).
    pub async fn record_erased(&self, chunk: RecordingChunk) -> Result<Recorded, LedgerError> {
        let document_id = chunk.document_id.clone();
        let changed = self
            .change(&document_id, None, |found| {
                self.decide_erased(found, chunk.clone()).boxed()
            })
            .await?;
        Ok(changed.outcome)
    }

    async fn decide_erased(
        &self,
        found: Option<LedgerEntry>,
        mut chunk: RecordingChunk,
    ) -> Result<Change<Recorded>, LedgerError> {
        let now = self.clock.now();
        let mut entry = match found {
            None => {
                chunk.other.clear();
                LedgerEntry::new(chunk, now, self.retention)
            }
            Some(entry) if matches!(entry.state, ChunkState::Removed { .. }) => {
                return Ok(Change::Leave(Recorded::Erased));
            }
            Some(entry) if !entry.chunk.is_of(&chunk.filed_under()) => {
                return Ok(Change::Leave(Recorded::OfAnotherRecording));
            }
            // A chunk that was claimed may be in a vault; one that is held is not changed.
            Some(entry) if entry.claims > 0 || !self.cases_on(&entry).await?.is_empty() => {
                return Ok(Change::Leave(Recorded::LeftToErasure));
            }
            Some(mut entry) => {
                entry.chunk.other.clear();
                entry.failures.clear();
                entry
            }
        };
        entry.state = ChunkState::Removed {
            receipt: None,
            source: Some(SourceEnd::Open),
            removed_at: now,
            reason: "its recording was erased before it was exported".to_owned(),
        };
        entry.note_audited(
            self.audit_recorded(AuditAction::RecordedErased, &entry.chunk)
                .await?,
        );
        Ok(Change::Write {
            entry: Box::new(entry),
            outcome: Recorded::Erased,
            marker: MarkerCheck::Skip,
        })
    }

    /// The entry of a chunk before it is written.
    fn unrecorded(&self, chunk: RecordingChunk, solicitation: Solicitation) -> LedgerEntry {
        let mut entry = LedgerEntry::new(chunk, self.clock.now(), self.retention);
        entry.unsolicited = solicitation != Solicitation::Solicited;
        entry
    }

    fn new_entry(
        &self,
        AnnouncedChunk { chunk, ahead }: &AnnouncedChunk,
        solicitation: Solicitation,
        claim: Option<NewClaim>,
    ) -> Change<Recorded> {
        let now = self.clock.now();
        let ahead = ahead.as_ref().and_then(|ahead| ahead.entry(now)).cloned();
        let is_marked = ahead.is_some();
        let mut entry = ahead.unwrap_or_else(|| self.unrecorded(chunk.clone(), solicitation));
        entry.unsolicited = solicitation != Solicitation::Solicited;
        // A claim means that its export begins: the file of one that still grows is not due, and counts as not copied.
        let is_due = entry.risk(now).is_none() && entry.chunk.end() != ChunkEnd::BeingRecorded;
        if let Some(claim) = claim.filter(|_| is_due) {
            claim.put_into(&mut entry);
        }
        let (entry, outcome) = (Box::new(entry), Recorded::New);
        if is_marked {
            return Change::Write {
                entry,
                outcome,
                marker: MarkerCheck::Written,
            };
        }
        Change::Record {
            records: vec![announced(AuditAction::Recorded, chunk)],
            entry,
            outcome,
            marker: MarkerCheck::Ensure,
        }
    }

    /// Opens a chunk that was given up, because an event says that ACS has it. A setting may have been wrong when ACS was
    /// believed to have dropped it. A loss that an operator acknowledged stays one.
    fn try_again_if_announced(&self, entry: &mut LedgerEntry) {
        let is_due = match &entry.state {
            ChunkState::DeadLettered { .. } => true,
            ChunkState::Expired { .. } => entry.acknowledged.is_none(),
            ChunkState::Pending
            | ChunkState::Exported { .. }
            | ChunkState::SourceDeleted { .. }
            | ChunkState::SourceLeft { .. }
            | ChunkState::Removing { .. }
            | ChunkState::Removed { .. }
            | ChunkState::InPlace { .. } => false,
        };
        if is_due {
            let gone_at = entry.recorded_at.checked_add(self.retention);
            let gone_at = gone_at.unwrap_or(Timestamp::MAX);
            entry.surely_gone_at = entry.surely_gone_at.max(gone_at);
            entry.try_again();
        }
    }

    /// Opens a chunk that was closed for a recording that it is not of, as if this event were the first.
    fn open_again(
        &self,
        closed: LedgerEntry,
        chunk: RecordingChunk,
        solicitation: Solicitation,
    ) -> Change<Recorded> {
        let records = vec![announced(AuditAction::Recorded, &chunk)];
        let mut entry = self.unrecorded(chunk, solicitation);
        (entry.openings, entry.audited) = (closed.openings, closed.audited);
        Change::Record {
            records,
            entry: Box::new(entry),
            outcome: Recorded::New,
            marker: MarkerCheck::Ensure,
        }
    }

    /// Adds to an entry what an event announces of its files.
    fn add_announced(
        &self,
        before: &LedgerEntry,
        entry: &mut LedgerEntry,
        chunk: &RecordingChunk,
        admission: Admission,
    ) -> Recorded {
        let now = self.clock.now();
        let surely_gone_at = now.checked_add(self.retention).unwrap_or(Timestamp::MAX);
        let announced_file = FurtherFile::new(AnnouncedFile::of(chunk), now, surely_gone_at);
        match other_files::classify(entry, &announced_file.file) {
            AnnouncedAs::OwnFile => {
                // An event announces it: it is exported from ACS.
                entry.recorded_for_import = false;
                self.try_again_if_announced(entry);
                if entry.chunk.absorb(chunk) == Absorbed::Something {
                    reopen_for_what_was_added(entry);
                    look_in_place_again(before, entry);
                }
                Recorded::AlreadyKnown
            }
            AnnouncedAs::Known(number) => {
                other_files::update_known(entry, number, announced_file);
                Recorded::AlreadyKnown
            }
            AnnouncedAs::NotExported => Recorded::AlreadyKnown,
            AnnouncedAs::Another(OtherFile::Elsewhere) if admission == Admission::Refused => {
                Recorded::NotAdmitted
            }
            AnnouncedAs::Another(why) => add_other(entry, announced_file, why),
        }
    }

    async fn decide_announced(
        &self,
        before: LedgerEntry,
        chunk: RecordingChunk,
        circumstances: Circumstances,
        claim: Option<NewClaim>,
    ) -> Result<Change<Recorded>, LedgerError> {
        let Circumstances {
            admission,
            solicitation,
            expected: _,
        } = circumstances;
        // Our own write, whose response was lost.
        if claim.is_some_and(|claim| claim.is_in(&before)) {
            return Ok(Change::Leave(Recorded::New));
        }
        // Nothing is added to a removed chunk: it may have been erased.
        if matches!(before.state, ChunkState::Removed { .. }) {
            return Ok(if is_closed_for_another(&before, &chunk) {
                self.open_again(before, chunk, solicitation)
            } else {
                Change::Leave(Recorded::AlreadyKnown)
            });
        }
        let mut entry = before.clone();
        entry.unsolicited &= solicitation != Solicitation::Solicited;
        let named = note_other_names(&mut entry, &chunk);
        let described = match named {
            NamedAs::Known => Cow::Borrowed(&chunk),
            NamedAs::AnotherAgain | NamedAs::Another | NamedAs::AnotherWithoutRoom => {
                Cow::Owned(chunk.without_names())
            }
        };
        let added = self.add_announced(&before, &mut entry, &described, admission);
        if added == Recorded::NotAdmitted {
            // Nothing that such an event says counts.
            return Ok(Change::Leave(added));
        }
        let outcome = outcome_of(named, added);
        if entry == before {
            if entry.is_open() {
                self.put_marker(&entry).await?;
            }
            return Ok(Change::Leave(outcome));
        }
        let mut records = vec![announced(AuditAction::AnnouncedAgain, &chunk)];
        records.extend(records_of(&before, &entry));
        Ok(Change::Record {
            records,
            entry: Box::new(entry),
            outcome,
            marker: MarkerCheck::Ensure,
        })
    }
}
