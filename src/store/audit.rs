//! The audit log: what happened to every chunk, and what every operator did, in chains of documents that cannot be edited,
//! shortened or reordered without a trace.
//!
//! ```text
//! audit/<log>/000000000001.json         {"writer", "sequence": 1, "previous": "00…", "at", "records": […]}
//! audit/<log>/000000000002.json         {"writer", "sequence": 2, "previous": <SHA-256 of document 1, byte for byte>, …}
//! audit/live/<log>                      a marker, while the log is open
//! audit/checkpoints/000000000001.json   the ends of all logs; see `audit/checkpoint.rs`
//! audit-subjects/                       markers that find records by their subject; see `audit/subjects.rs`
//! audit-runs/                           markers that find the records of a request that runs again; see `audit/runs.rs`
//! people/, audit-texts/                 names and free text of records, erasable; see `audit/private.rs`
//! ```
//! Each process has a log of its own, so no two compete for its end, and what processes write adds up. What is missing of one
//! log, or a whole log that is gone, shows in the checkpoints; what is missing of those shows where a checkpoint was noted
//! elsewhere: in the receipts in the vault, and where the output of `audit verify` is kept.
//!
//! A record is written *before* its action takes effect: after a kill the log may have it twice, or before an action
//! that was only done later, but no action is done without it. A request that the host sends again after a kill finds its
//! record and writes no other.

mod access;
mod action;
mod checkpoint;
mod checkpoint_chain;
mod container;
mod gaps;
mod name;
mod operator;
mod private;
mod proof;
mod reading;
mod record;
mod remains;
mod runs;
mod stamps;
mod subjects;
mod verification;
mod who;
mod wording;
mod writer;

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;

use self::access::Accesses;
use self::checkpoint::{KnownNewest, LogListing};
use self::private::PrivateTexts;
use self::runs::RunKey;
use self::writer::{Appended, OwnLog};
use crate::clock::Clock;
use crate::error_chain::ErrorChain;
use crate::store::document_store::{DocumentStore, StoreError};

pub use action::AuditAction;
pub use checkpoint::{
    AcknowledgedLoss, Checkpointed, LostCheckpoint, NamedBy, SweptLog, UnreadLog,
};
pub use checkpoint_chain::{CheckpointGap, CheckpointRuns, MOST_CHECKPOINTS};
pub use container::AuditContainer;
pub use gaps::LogGaps;
pub use name::{AuditPosition, CheckpointRef, InvalidName, WriterName};
pub use operator::{Operator, Principal};
pub use private::{InvalidReference, PrincipalRef};
pub use proof::InclusionProof;
pub use reading::FoundDocument;
pub use record::{Actor, AuditRecord};
pub use remains::Knowledge;
pub(crate) use runs::INVOCATION;
pub use runs::Invocation;
pub use stamps::{CheckpointStamp, UnstampedCheckpoint};
pub use subjects::{ExpectedMarkers, MarkedDocument, MarkerCheck, SubjectKey};
pub use verification::{AuditReport, CheckpointedDocuments, FollowedDocument};

/// How many logs in a row a sweep may close before a record is written into one.
const CLOSINGS_TOLERATED: u32 = 4;

/// Appends to the log. Simultaneous records go into one document.
pub struct AuditLog {
    store: Arc<dyn DocumentStore>,
    clock: Arc<dyn Clock>,
    waiting: Mutex<Vec<Waiting>>,
    /// Locked while a document is written. `None` before the first write.
    own: tokio::sync::Mutex<Option<OwnLog>>,
    known: Mutex<KnownNewest>,
    /// Which names of logs were listed, in search of open logs without a marker.
    listing: Mutex<LogListing>,
    accesses: Mutex<Accesses>,
    private: PrivateTexts,
    /// The key of the newest stamp that is known to exist.
    newest_stamp: Mutex<Option<String>>,
}

/// Records that are being written, and their waiting caller.
struct Waiting {
    records: Vec<AuditRecord>,
    /// Set if the host may send the request again that they are of.
    run: Option<RunKey>,
    done: oneshot::Sender<Result<AuditPosition, String>>,
}

/// Records that are being written. One whose writing is cut off waits again, for the next writer.
struct Batch<'a> {
    log: &'a AuditLog,
    waiting: Vec<Waiting>,
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        if !self.waiting.is_empty() {
            self.log.waiting().append(&mut self.waiting);
        }
    }
}

impl AuditLog {
    pub fn new(store: Arc<dyn DocumentStore>, clock: Arc<dyn Clock>) -> Self {
        Self {
            private: PrivateTexts::new(Arc::clone(&store)),
            store,
            clock,
            waiting: Mutex::default(),
            own: tokio::sync::Mutex::default(),
            known: Mutex::default(),
            listing: Mutex::default(),
            accesses: Mutex::default(),
            newest_stamp: Mutex::default(),
        }
    }

    /// Appends a record; returns when it is durable, with the place of the document that has it.
    ///
    /// # Errors
    /// When the storage fails: the action of the record must then not be done.
    pub async fn append(
        &self,
        actor: Actor,
        action: AuditAction,
        subject: &str,
        detail: Value,
    ) -> Result<AuditPosition, StoreError> {
        self.append_together(actor, subject, vec![(action, detail)])
            .await
    }

    /// Appends records of one subject, in one document.
    ///
    /// # Errors
    /// As [`append`](Self::append).
    pub async fn append_together(
        &self,
        actor: Actor,
        subject: &str,
        actions: Vec<(AuditAction, Value)>,
    ) -> Result<AuditPosition, StoreError> {
        let at = self.clock.now();
        let record = |(action, detail)| AuditRecord {
            at,
            actor,
            action,
            subject: subject.to_owned(),
            detail,
        };
        let records: Vec<AuditRecord> = actions.into_iter().map(record).collect();
        let run = RunKey::of(&records);
        if let (Some(run), Some(first)) = (&run, records.first())
            && let Some(position) = self.written_before(run, first).await?
        {
            return Ok(position);
        }
        let (done, mut written) = oneshot::channel();
        self.waiting().push(Waiting { records, run, done });
        let mut own = self.own.lock().await;
        match written.try_recv() {
            Err(TryRecvError::Empty) => {}
            // The previous writer has written our record too.
            outcome => return received(outcome),
        }
        let mut batch = Batch {
            log: self,
            waiting: std::mem::take(&mut *self.waiting()),
        };
        // A record whose caller has gone need not be written: its action is not done.
        batch.waiting.retain(|waiting| !waiting.done.is_closed());
        let sealed = self.seal(&mut batch).await;
        if batch.waiting.is_empty() {
            return received(written.try_recv());
        }
        let runs = batch.waiting.iter();
        let runs: Vec<RunKey> = runs.filter_map(|waiting| waiting.run.clone()).collect();
        let outcome = self
            .write_sealed(&mut own, &sealed, &runs)
            .await
            .map_err(|error| ErrorChain(&error).to_string());
        for waiting in std::mem::take(&mut batch.waiting) {
            // A caller that has gone needs no result.
            let _ = waiting.done.send(outcome.clone());
        }
        received(written.try_recv())
    }

    /// Appends sealed records in one document. After a failure it may exist: a repeat with the same records finds it, if
    /// no other records were appended meanwhile.
    async fn append_document(&self, sealed: &[AuditRecord]) -> Result<(), StoreError> {
        let mut own = self.own.lock().await;
        self.write_sealed(&mut own, sealed, &[]).await.map(drop)
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, Vec<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stores the names and texts of records. Those of a caller whose names or texts cannot be stored leave the batch, and
    /// keep back no others.
    async fn seal(&self, batch: &mut Batch<'_>) -> Vec<AuditRecord> {
        let (mut sealed, mut position) = (Vec::new(), 0);
        while let Some(waiting) = batch.waiting.get(position) {
            match self.private.seal(&waiting.records).await {
                Ok(records) => {
                    sealed.extend(records);
                    position += 1;
                }
                Err(error) => {
                    let refused = batch.waiting.remove(position);
                    // A caller that has gone needs no result.
                    let _ = refused.done.send(Err(ErrorChain(&error).to_string()));
                }
            }
        }
        sealed
    }

    /// Writes records whose names and texts are stored.
    async fn write_sealed(
        &self,
        own: &mut Option<OwnLog>,
        records: &[AuditRecord],
        runs: &[RunKey],
    ) -> Result<AuditPosition, StoreError> {
        for _ in 0..CLOSINGS_TOLERATED {
            let log = match own {
                Some(log) => log,
                None => own.insert(OwnLog::begin(&*self.store, self.clock.now()).await?),
            };
            let appending = log.append(&*self.store, self.clock.now(), records, runs);
            match appending.await {
                Ok(Appended::At(position)) => return Ok(position),
                // The next turn begins another log.
                Ok(Appended::Closed) => *own = None,
                Err(error) => {
                    if log.is_stuck() {
                        *own = None;
                    }
                    return Err(error);
                }
            }
        }
        Err(failed("each log that was begun is closed".to_owned()))
    }
}

fn received(
    outcome: Result<Result<AuditPosition, String>, TryRecvError>,
) -> Result<AuditPosition, StoreError> {
    match outcome {
        Ok(outcome) => outcome.map_err(failed),
        Err(_) => Err(failed(
            "the writer ended before it wrote the record".to_owned(),
        )),
    }
}

fn failed(reason: String) -> StoreError {
    StoreError {
        action: "append to",
        key: name::AUDIT.to_owned(),
        source: reason.into(),
    }
}
