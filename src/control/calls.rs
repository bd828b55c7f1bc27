//! One call, one recording: which start may record a call, or has recorded it.
//!
//! ```text
//! calls/<sha256 of the call>.json                         the call's last start, and what it gave
//! starting/<seconds>-<sha256 of the call>-<start>          a marker while the outcome of a start is unknown
//! starts-given-up/<seconds>-<sha256 of the call>           a marker of a start that was given up, for two days, see `calls/freed.rs`
//! freed-starts/<seconds>-<sha256 of the call>              a marker of a start that was given up, see `calls/freed.rs`
//!
//!  reserve ─▶ open ──ACS started it───▶ started ∎
//!               ├────ACS refused it───▶ refused ∎
//!               └────not known for RESERVED_FOR──▶ freed ∎ (an error names it)
//! ```
//! A start reserves its call before ACS is asked, with everything that is needed to ask again: ACS returns the same
//! recording for the same request id. Markers are written before the reservation and removed after it is settled.

mod document;
mod freed;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use jiff::Timestamp;
use uuid::Uuid;

use super::start::Start;
use crate::acs::client::StartAttempt;
use crate::acs::failed_start::{NotBegun, SentBefore};
use crate::recording::{RecordedCall, RecordingId};
use crate::store::document_store::{DocumentStore, Precondition};
use crate::store::documents::{DocumentError, Documents};
use document::{CallDocument, key, key_of};

const STARTING: &str = "starting/";
/// A reservation usually needs far less time from its marker to its write; after longer the marker is written again.
const MARKER_SURELY_SEEN: Duration = Duration::from_mins(1);
const PAGE: usize = 100;
pub use document::RESERVED_FOR;

/// The calls, each with its last recording.
#[derive(Clone)]
pub struct CallRegister {
    documents: Documents,
}

/// The right to start the recording of a call.
#[derive(Debug, Clone)]
pub struct Reservation {
    key: String,
    marker: String,
    /// With the time at which this start was first sent, perhaps by an earlier repetition.
    pub attempt: StartAttempt,
    pub origin: StartOrigin,
}

/// Whether ACS may have been asked for this start before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartOrigin {
    New,
    Repeated,
}

/// A start whose outcome is unknown, with everything that is needed to ask ACS for it again.
#[derive(Debug)]
pub struct PendingStart {
    pub reservation: Reservation,
    pub start: Start,
    /// Until then the process that reserved it may still be asking.
    pub asked_until: Timestamp,
}

/// Whether it is known what became of the last start of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LastStart {
    /// Its recording is known, or it began none.
    Known,
    /// ACS is still asked.
    Open,
    /// Its recording may run, and no account has it.
    GivenUp,
}

/// Why a start has no reservation.
#[derive(Debug, thiserror::Error)]
pub enum ReserveError {
    /// Nothing was written.
    #[error(transparent)]
    NotWritten(#[from] DocumentError),
    /// The reservation may be written: then the sweep sends the start.
    #[error(transparent)]
    MayBeWritten(DocumentError),
}

/// Whether a call can be started, and if not, why.
#[derive(Debug)]
pub enum Reserved {
    Yes(Reservation),
    /// The same start was made before, and returned this recording.
    AlreadyMade(RecordingId),
    /// This is the call's last recording; ACS knows whether it runs.
    Recorded(RecordingId),
    /// Another start was sent, or is about to be, and its outcome is unknown.
    Pending(Box<PendingStart>),
    /// The outcome of the last start stayed unknown for so long that it must be given up first.
    Expired(Box<PendingStart>),
}

/// The start that a marker refers to.
#[derive(Debug)]
pub enum Marked {
    /// There is no open start.
    Settled,
    /// Its reservation is about to be written, or was replaced; the marker stays for a while.
    Elsewhere,
    Pending(Box<PendingStart>),
    /// Its reservation has expired: it is to be given up.
    Expired(Box<PendingStart>),
}

impl StartOrigin {
    pub fn sent_before(self) -> SentBefore {
        match self {
            Self::New => SentBefore::No,
            Self::Repeated => SentBefore::Maybe,
        }
    }
}

impl CallRegister {
    pub fn new(store: Arc<dyn DocumentStore>) -> Self {
        Self {
            documents: Documents { store },
        }
    }

    /// Reserves the start of a call's recording. `over` is a recording of it that is known to have ended.
    ///
    /// # Errors
    /// When the storage fails, with whether the reservation may be written anyway.
    pub async fn reserve(
        &self,
        start: &Start,
        attempt: StartAttempt,
        over: Option<&RecordingId>,
    ) -> Result<Reserved, ReserveError> {
        let (call, began) = (&start.request.call, Instant::now());
        let (key, marker) = (key(call), marker(call, attempt));
        let reserve = |known: Option<&CallDocument>| {
            CallDocument::reserved(known, start, attempt, over)
                .map(|document| document.with_marker(&marker))
        };
        let known: Option<CallDocument> = self.documents.find(&key).await?;
        let opens = reserve(known.as_ref()).is_some_and(|document| document.is_open_by(&marker));
        if opens {
            self.mark(&marker).await?;
        }
        let written = self.documents.change(&key, reserve).await;
        let document = written.map_err(ReserveError::MayBeWritten)?;
        let document = document.unwrap_or_else(|| CallDocument::new(start, attempt));
        let is_ours = document.is_open_by(&marker);
        if is_ours && began.elapsed() > MARKER_SURELY_SEEN {
            let put = self.mark(&marker).await;
            put.map_err(ReserveError::MayBeWritten)?;
        } else if opens && !is_ours {
            self.unmark(&marker).await?;
        }
        let reserved = reserved(&key, document, attempt, is_ours);
        if let Reserved::Yes(reservation) = &reserved
            && reservation.origin == StartOrigin::Repeated
        {
            let put = self.mark(&reservation.marker).await;
            put.map_err(ReserveError::MayBeWritten)?;
        }
        Ok(reserved)
    }

    /// Registers that the reserved start returned this recording. Drops what was stored to ask again.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn started(
        &self,
        reservation: &Reservation,
        id: &RecordingId,
    ) -> Result<(), DocumentError> {
        self.settle(reservation, |document| document.started(id))
            .await
    }

    /// Registers that the reserved start began no recording, so that the next start need not wait. Drops its consent.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn refused(
        &self,
        reservation: &Reservation,
        _: &NotBegun,
    ) -> Result<(), DocumentError> {
        self.settle(reservation, CallDocument::refused).await
    }

    /// Returns the last recording of a call.
    ///
    /// # Errors
    /// When the storage fails or the register is unreadable.
    pub async fn recording_of(
        &self,
        call: &RecordedCall,
    ) -> Result<Option<RecordingId>, DocumentError> {
        let document: Option<CallDocument> = self.documents.find(&key(call)).await?;
        Ok(document.and_then(|document| document.last_recording().cloned()))
    }

    /// Returns whether it is known what became of the last start of a call.
    ///
    /// # Errors
    /// When the storage fails or the register is unreadable.
    pub async fn last_start(&self, call: &RecordedCall) -> Result<LastStart, DocumentError> {
        let document: Option<CallDocument> = self.documents.find(&key(call)).await?;
        Ok(document.map_or(LastStart::Known, |document| document.last_start()))
    }

    /// Removes the consent of starts of this recording, which ended at `ended_at`. A start whose answer was lost may
    /// have begun this recording if it was sent before that.
    ///
    /// # Errors
    /// When the storage fails or the register is unreadable.
    pub async fn forget_consent(
        &self,
        call: &RecordedCall,
        id: &RecordingId,
        ended_at: Option<Timestamp>,
    ) -> Result<(), DocumentError> {
        let forget = |known: Option<&CallDocument>| {
            let document = known?.without_consent(id, ended_at);
            (known != Some(&document)).then_some(document)
        };
        self.documents.change(&key(call), forget).await?;
        Ok(())
    }

    /// Returns a page of markers of starts whose outcome is unknown, oldest first.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn marked(&self, after: Option<&str>) -> Result<Vec<String>, DocumentError> {
        Ok(self.documents.store.list(STARTING, after, PAGE).await?)
    }

    /// Reads the start that a marker refers to.
    ///
    /// # Errors
    /// When the storage fails or the register is unreadable.
    pub async fn look(&self, marker: &str, now: Timestamp) -> Result<Marked, DocumentError> {
        let Some(key) = marker.strip_prefix(STARTING).and_then(key_of) else {
            return Ok(Marked::Elsewhere);
        };
        let known: Option<CallDocument> = self.documents.find(&key).await?;
        let Some(known) = known.filter(|document| document.is_open_by(marker)) else {
            return Ok(Marked::Elsewhere);
        };
        Ok(match known.pending(&key).map(Box::new) {
            None => Marked::Settled,
            Some(pending) if known.is_free(now) => Marked::Expired(pending),
            Some(pending) => Marked::Pending(pending),
        })
    }

    /// Whether a start is open: its account may still be to come.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn has_open(&self) -> Result<bool, DocumentError> {
        Ok(!self.marked(None).await?.is_empty())
    }

    /// Removes the marker of a settled start.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn unmark(&self, marker: &str) -> Result<(), DocumentError> {
        Ok(self.documents.store.remove(marker).await?)
    }

    async fn mark(&self, marker: &str) -> Result<(), DocumentError> {
        let put = self
            .documents
            .store
            .put(marker, Bytes::new(), Precondition::Absent);
        put.await?;
        Ok(())
    }

    /// Changes the document if its last start belongs to this reservation, and removes the marker.
    async fn settle(
        &self,
        reservation: &Reservation,
        change: impl Fn(&CallDocument) -> CallDocument + Send + Sync,
    ) -> Result<(), DocumentError> {
        let settled = |known: Option<&CallDocument>| {
            known
                .filter(|document| document.is_open_by(&reservation.marker))
                .map(&change)
        };
        self.documents.change(&reservation.key, settled).await?;
        self.unmark(&reservation.marker).await
    }
}

fn reserved(key: &str, document: CallDocument, attempt: StartAttempt, is_ours: bool) -> Reserved {
    let is_same = document.request_id == attempt.request_id;
    match (document.pending(key), document.last_recording()) {
        (Some(pending), _) if is_ours || (is_same && !document.is_free(attempt.first_sent)) => {
            Reserved::Yes(Reservation {
                origin: if is_ours {
                    StartOrigin::New
                } else {
                    StartOrigin::Repeated
                },
                ..pending.reservation
            })
        }
        (Some(pending), _) if document.is_free(attempt.first_sent) => {
            Reserved::Expired(Box::new(pending))
        }
        (Some(pending), _) => Reserved::Pending(Box::new(pending)),
        (None, Some(id)) if is_same && document.recording_id.is_some() => {
            Reserved::AlreadyMade(id.clone())
        }
        (None, Some(id)) => Reserved::Recorded(id.clone()),
        // `reserve` does not write this: the call is free.
        (None, None) => Reserved::Yes(Reservation {
            key: key.to_owned(),
            marker: marker(&document.call, attempt),
            attempt,
            origin: StartOrigin::New,
        }),
    }
}

fn marker(call: &RecordedCall, attempt: StartAttempt) -> String {
    let seconds = attempt.first_sent.as_second().max(0);
    let (call, start) = (document::name(call), Uuid::new_v4());
    format!("{STARTING}{seconds:011}-{call}-{start}")
}

/// When the start of a marker with this prefix was first sent, in whole seconds.
fn sent_at(marker: &str, prefix: &str) -> Option<Timestamp> {
    let (seconds, _) = marker.strip_prefix(prefix)?.split_once('-')?;
    Timestamp::from_second(seconds.parse().ok()?).ok()
}

#[cfg(test)]
mod tests;
