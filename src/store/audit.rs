//! The audit log: what happened to every chunk, and what every operator did, in a chain of documents that cannot be edited,
//! shortened in the middle or reordered without a trace.
//!
//! ```text
//! audit/000000000001.json   {"sequence": 1, "previous": "00…", "records": […]}
//! audit/000000000002.json   {"sequence": 2, "previous": <SHA-256 of document 1, byte for byte>, …}
//! audit-head.json           {"sequence": 1}   where to begin to look for the end; may be behind
//! ```
//! A document is written under the condition that there is none of its number, so writers of any number of processes form
//! one chain. A record is written *before* what it tells takes effect: after a kill it may stand there twice, or for
//! something that was done only later, but nothing is done without it.

mod action;
mod container;
mod operator;
mod verification;

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;

use crate::clock::Clock;
use crate::error_chain::ErrorChain;
use crate::store::digest::Sha256Digest;
use crate::store::document_store::{DocumentStore, Precondition, PutOutcome, StoreError};

pub use action::AuditAction;
pub use container::AuditContainer;
pub use operator::Operator;
pub use verification::AuditReport;

const AUDIT: &str = "audit/";
const HEAD: &str = "audit-head.json";
/// The head is written so often, and may be so far behind.
const HEAD_EVERY: u64 = 32;
/// Other writers that may be faster in a row.
const CONFLICTS_TOLERATED: u32 = 256;

/// Who did it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Actor {
    /// The functions, by event or timer.
    Handler,
    /// A person at a shell.
    Operator,
}

/// One line of the log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditRecord {
    pub at: Timestamp,
    pub actor: Actor,
    pub action: AuditAction,
    /// What it happened to: a document id, a recording, a hold.
    pub subject: String,
    /// Digests, places, reasons; never a location with a query, never participants.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub detail: Value,
}

/// A link of the chain.
#[derive(Debug, Serialize, Deserialize)]
struct Document {
    sequence: u64,
    previous: Sha256Digest,
    records: Vec<AuditRecord>,
}

/// Where to begin to look for the end.
#[derive(Debug, Serialize, Deserialize)]
struct Head {
    sequence: u64,
}

/// The end of the chain as far as it is known here.
#[derive(Debug, Clone, Copy)]
struct Tail {
    sequence: u64,
    sha256: Sha256Digest,
}

impl Tail {
    /// Before the first document.
    const START: Self = Self {
        sequence: 0,
        sha256: Sha256Digest::ZERO,
    };
}

/// Appends to the log. Records that come at once go into one document.
pub struct AuditLog {
    store: Arc<dyn DocumentStore>,
    clock: Arc<dyn Clock>,
    waiting: Mutex<Vec<Waiting>>,
    /// Held while a document is written: the one chain has one end.
    tail: tokio::sync::Mutex<Option<Tail>>,
}

/// A record on its way, and who waits for it.
struct Waiting {
    record: AuditRecord,
    done: oneshot::Sender<Result<u64, String>>,
}

impl AuditLog {
    pub fn new(store: Arc<dyn DocumentStore>, clock: Arc<dyn Clock>) -> Self {
        Self {
            store,
            clock,
            waiting: Mutex::default(),
            tail: tokio::sync::Mutex::default(),
        }
    }

    /// Appends a record; returns when it is durable, with the number of the document that has it.
    ///
    /// # Errors
    /// When the storage fails: what the record tells must then not be done.
    pub async fn append(
        &self,
        actor: Actor,
        action: AuditAction,
        subject: &str,
        detail: Value,
    ) -> Result<u64, StoreError> {
        let record = AuditRecord {
            at: self.clock.now(),
            actor,
            action,
            subject: subject.to_owned(),
            detail,
        };
        let (done, mut written) = oneshot::channel();
        self.waiting
            .lock()
            .expect("no holder of this lock panics")
            .push(Waiting { record, done });
        let mut tail = self.tail.lock().await;
        match written.try_recv() {
            Err(TryRecvError::Empty) => {}
            // Whoever held the end before us has written ours along.
            outcome => return told(outcome),
        }
        let batch =
            std::mem::take(&mut *self.waiting.lock().expect("no holder of this lock panics"));
        let (records, waiting): (Vec<_>, Vec<_>) = batch
            .into_iter()
            .map(|waiting| (waiting.record, waiting.done))
            .unzip();
        let outcome = self
            .write(&mut tail, &records)
            .await
            .map_err(|error| ErrorChain(&error).to_string());
        for done in waiting {
            // One that has gone away does not want to know.
            let _ = done.send(outcome.clone());
        }
        told(written.try_recv())
    }

    async fn write(
        &self,
        tail: &mut Option<Tail>,
        records: &[AuditRecord],
    ) -> Result<u64, StoreError> {
        let mut end = match *tail {
            Some(known) => known,
            None => self.find_end().await?,
        };
        for _ in 0..CONFLICTS_TOLERATED {
            let document = Document {
                sequence: end.sequence + 1,
                previous: end.sha256,
                records: records.to_vec(),
            };
            let content =
                Bytes::from(serde_json::to_vec(&document).expect("a record has string keys only"));
            let key = key(document.sequence);
            match self
                .store
                .put(&key, content.clone(), Precondition::Absent)
                .await?
            {
                PutOutcome::Written(_) => {
                    end = Tail {
                        sequence: document.sequence,
                        sha256: Sha256Digest::of(&content),
                    };
                    *tail = Some(end);
                    self.move_head(end.sequence).await;
                    return Ok(end.sequence);
                }
                PutOutcome::Conflict => {
                    // Another process was first: its document is the end now.
                    let theirs = self.store.find(&key).await?;
                    end = match theirs {
                        Some(theirs) => Tail {
                            sequence: document.sequence,
                            sha256: Sha256Digest::of(&theirs.content),
                        },
                        None => self.find_end().await?,
                    };
                    *tail = Some(end);
                }
            }
        }
        Err(failed("too many write it at once".to_owned()))
    }

    /// The last document there is: from the head on by doubling steps, then by halving them.
    async fn find_end(&self) -> Result<Tail, StoreError> {
        let head = self
            .store
            .find(HEAD)
            .await?
            .and_then(|stored| serde_json::from_slice::<Head>(&stored.content).ok());
        let mut end = match head {
            Some(head) => self.at(head.sequence).await?.unwrap_or(Tail::START),
            None => Tail::START,
        };
        let mut step = 1;
        while let Some(further) = self.at(end.sequence + step).await? {
            end = further;
            step *= 2;
        }
        while step > 1 {
            step /= 2;
            if let Some(further) = self.at(end.sequence + step).await? {
                end = further;
            }
        }
        Ok(end)
    }

    async fn at(&self, sequence: u64) -> Result<Option<Tail>, StoreError> {
        let found = self.store.find(&key(sequence)).await?;
        Ok(found.map(|stored| Tail {
            sequence,
            sha256: Sha256Digest::of(&stored.content),
        }))
    }

    /// The records of one document; none where it is not there or not readable.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn records(&self, sequence: u64) -> Result<Vec<AuditRecord>, StoreError> {
        let found = self.store.find(&key(sequence)).await?;
        let document =
            found.and_then(|stored| serde_json::from_slice::<Document>(&stored.content).ok());
        Ok(document
            .map(|document| document.records)
            .unwrap_or_default())
    }

    /// A head that is behind costs a few reads at the next start; it is not worth a failure.
    async fn move_head(&self, sequence: u64) {
        if !sequence.is_multiple_of(HEAD_EVERY) {
            return;
        }
        let moved = async {
            let stored = self.store.find(HEAD).await?;
            let condition = stored.map_or(Precondition::Absent, |stored| {
                Precondition::Unchanged(stored.version)
            });
            let content =
                serde_json::to_vec(&Head { sequence }).expect("a head has string keys only");
            self.store.put(HEAD, content.into(), condition).await
        };
        if let Err(error) = moved.await {
            tracing::debug!(error = %ErrorChain(&error), "Could not move the head of the audit log");
        }
    }
}

fn key(sequence: u64) -> String {
    format!("{AUDIT}{sequence:012}.json")
}

fn told(outcome: Result<Result<u64, String>, TryRecvError>) -> Result<u64, StoreError> {
    match outcome {
        Ok(outcome) => outcome.map_err(failed),
        Err(_) => Err(failed("whoever wrote it was stopped".to_owned())),
    }
}

fn failed(reason: String) -> StoreError {
    StoreError {
        action: "append to",
        key: AUDIT.to_owned(),
        source: reason.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use crate::vault::memory::MemoryDocumentStore;

    fn log(store: &Arc<MemoryDocumentStore>) -> AuditLog {
        let clock = ManualClock::starting_at("2026-03-02T10:00:00Z".parse().unwrap());
        AuditLog::new(store.clone(), Arc::new(clock))
    }

    async fn append(log: &AuditLog, subject: &str) {
        log.append(Actor::Handler, AuditAction::Recorded, subject, Value::Null)
            .await
            .unwrap();
    }

    async fn filled(documents: u64) -> Arc<MemoryDocumentStore> {
        let store = Arc::default();
        let log = log(&store);
        for number in 0..documents {
            append(&log, &number.to_string()).await;
        }
        store
    }

    async fn replace(store: &MemoryDocumentStore, sequence: u64, content: Option<Bytes>) {
        store.remove(&key(sequence)).await.unwrap();
        if let Some(content) = content {
            store
                .put(&key(sequence), content, Precondition::Absent)
                .await
                .unwrap();
        }
    }

    async fn content(store: &MemoryDocumentStore, sequence: u64) -> Bytes {
        store.find(&key(sequence)).await.unwrap().unwrap().content
    }

    #[tokio::test]
    async fn what_is_appended_is_a_whole_chain() {
        let store = filled(5).await;
        let report = log(&store).verify().await.unwrap();
        assert_eq!((report.documents, report.records, report.last), (5, 5, 5));
        assert_eq!(report.problems, Vec::<String>::new());
    }

    #[tokio::test]
    async fn another_process_goes_on_where_the_chain_ends() {
        for documents in [1, 2, 3, 31, 32, 33, 70] {
            let store = filled(documents).await;
            append(&log(&store), "another").await;
            let report = log(&store).verify().await.unwrap();
            assert_eq!(
                (report.last, report.problems.len()),
                (documents + 1, 0),
                "{documents}"
            );
        }
    }

    #[tokio::test]
    async fn writers_at_once_form_one_chain_and_lose_nothing() {
        let store = Arc::default();
        let logs: Vec<_> = (0..4).map(|_| log(&store)).collect();
        let subjects: Vec<_> = (0..100).map(|number| number.to_string()).collect();
        futures::future::join_all(
            subjects
                .iter()
                .enumerate()
                .map(|(at, subject)| append(&logs[at % 4], subject)),
        )
        .await;
        let report = logs[0].verify().await.unwrap();
        assert_eq!((report.records, report.problems.len()), (100, 0));
    }

    #[tokio::test]
    async fn an_edit_a_gap_a_reordering_and_a_cut_are_found() {
        let store = filled(40).await;
        let edited = String::from_utf8(content(&store, 7).await.to_vec())
            .unwrap()
            .replace("recorded", "forgotten");
        replace(&store, 7, Some(edited.into())).await;
        let problems = log(&store).verify().await.unwrap().problems;
        assert!(
            problems.len() == 1 && problems[0].contains("document 7 is not"),
            "{problems:?}"
        );

        let store = filled(40).await;
        replace(&store, 7, None).await;
        let problems = log(&store).verify().await.unwrap().problems;
        assert!(
            problems.len() == 1 && problems[0].contains("documents 7 to 7 are missing"),
            "{problems:?}"
        );

        let store = filled(40).await;
        let (seventh, eighth) = (content(&store, 7).await, content(&store, 8).await);
        replace(&store, 7, Some(eighth)).await;
        replace(&store, 8, Some(seventh)).await;
        assert!(!log(&store).verify().await.unwrap().problems.is_empty());

        let store = filled(40).await;
        for sequence in 30..=40 {
            replace(&store, sequence, None).await;
        }
        let problems = log(&store).verify().await.unwrap().problems;
        assert!(
            problems.len() == 1 && problems[0].contains("there was a document 32"),
            "{problems:?}"
        );
    }
}
