//! Checkpoints: the ends of all logs, in a chain of their own. One is written by each sweep that finds something new.
//!
//! ```text
//! audit/checkpoints/000000000001.json   {"number": 1, "previous": "00…", "ends": {<log>: {"number", "sha256", "state"}}}
//! audit/newest-checkpoint.json          {"number", "sha256"}   where to begin to look for the newest; may be behind
//! ```
//! A log that was quiet for long is closed: the sweep creates its next document. Its writer may only be slow; it finds that
//! document when it writes again, and begins another log. Once a checkpoint has the closed end, the log's marker goes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;

use super::name::{self, CheckpointRef, LIVE, NEWEST_CHECKPOINT, WriterName};
use super::record::{Checkpoint, LiveMarker, LogContent, LogDocument, LogEnd, LogState};
use super::{AuditLog, failed};
use crate::error_chain::ErrorChain;
use crate::store::digest::Sha256Digest;
use crate::store::document_store::{DocumentStore, Precondition, PutOutcome, StoreError};

/// A log without new records for this long is closed. Its writer can continue in another log.
const QUIET: Duration = Duration::from_mins(30);
/// How often in a row other sweeps may be faster.
const CONFLICTS_TOLERATED: u32 = 8;
const LOGS_AT_ONCE: usize = 8;
const PAGE: usize = 1000;
/// The shortest time between two lookups of the newest checkpoint.
const LOOK_EVERY: Duration = Duration::from_mins(1);

/// What a sweep did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checkpointed {
    /// A new checkpoint covers all records until now.
    Written(CheckpointRef),
    /// The newest checkpoint, if any, already covers them.
    NothingNew(Option<CheckpointRef>),
}

impl Checkpointed {
    /// The newest checkpoint.
    pub fn newest(self) -> Option<CheckpointRef> {
        match self {
            Self::Written(newest) => Some(newest),
            Self::NothingNew(newest) => newest,
        }
    }
}

/// The newest checkpoint and its ends. An unreadable one has no ends; the chain continues after it.
#[derive(Debug, Clone)]
struct Newest {
    reference: CheckpointRef,
    ends: BTreeMap<WriterName, LogEnd>,
}

impl Newest {
    fn of(number: u64, content: &[u8]) -> Self {
        Self {
            reference: CheckpointRef {
                number,
                sha256: Sha256Digest::of(content),
            },
            ends: serde_json::from_slice::<Checkpoint>(content)
                .map(|checkpoint| checkpoint.ends)
                .unwrap_or_default(),
        }
    }
}

/// The newest checkpoint as it was last looked up.
#[derive(Debug, Default)]
pub(super) struct KnownNewest {
    looked_at: Option<tokio::time::Instant>,
    reference: Option<CheckpointRef>,
    /// The newest that a sweep of this process read or wrote. The next sweep searches only after it.
    read: Option<Newest>,
}

impl AuditLog {
    /// Writes a checkpoint if a log has grown since the last, and closes logs that are quiet.
    ///
    /// # Errors
    /// When the storage fails, or other sweeps were faster too often. What is not done is done by the next sweep.
    pub async fn checkpoint(&self) -> Result<Checkpointed, StoreError> {
        for _ in 0..CONFLICTS_TOLERATED {
            let newest = self.newest().await?;
            let ends = self.survey(newest.as_ref()).await?;
            let known = |writer: &WriterName| newest.as_ref()?.ends.get(writer);
            let has_new = ends.iter().any(|(writer, end)| known(writer) != Some(end));
            let reference = newest.as_ref().map(|newest| newest.reference);
            if !has_new {
                self.remove_markers(&ends).await?;
                return Ok(Checkpointed::NothingNew(reference));
            }
            let checkpoint = Checkpoint {
                number: reference.map_or(0, |reference| reference.number) + 1,
                previous: reference.map_or(Sha256Digest::ZERO, |reference| reference.sha256),
                at: self.clock.now(),
                ends,
            };
            if let Some(written) = self.create(&checkpoint).await? {
                self.remember_read(&Newest {
                    reference: written,
                    ends: checkpoint.ends.clone(),
                });
                self.note_newest(written).await;
                self.remove_markers(&checkpoint.ends).await?;
                return Ok(Checkpointed::Written(written));
            }
        }
        Err(failed(
            "other sweeps wrote checkpoints at the same time".to_owned(),
        ))
    }

    /// The newest checkpoint that this process knows of; it looks once a minute at most. `None` where there is none, or it
    /// could not be read.
    pub async fn anchor(&self) -> Option<CheckpointRef> {
        {
            let known = self.known.lock().expect("no holder of this lock panics");
            if known.looked_at.is_some_and(|at| at.elapsed() < LOOK_EVERY) {
                return known.reference;
            }
        }
        match self.hint().await {
            Ok(found) => self.remember(found),
            Err(error) => {
                tracing::debug!(error = %ErrorChain(&error), "Could not read which checkpoint of the audit log is the newest");
                self.remember(None)
            }
        }
    }

    /// Caches the result of a lookup, unless it is older than the known one.
    fn remember(&self, found: Option<CheckpointRef>) -> Option<CheckpointRef> {
        let mut known = self.known.lock().expect("no holder of this lock panics");
        known.looked_at = Some(tokio::time::Instant::now());
        let number = |reference: Option<CheckpointRef>| reference.map(|found| found.number);
        if number(found) > number(known.reference) {
            known.reference = found;
        }
        known.reference
    }

    pub(super) async fn hint(&self) -> Result<Option<CheckpointRef>, StoreError> {
        let stored = self.store.find(NEWEST_CHECKPOINT).await?;
        Ok(stored.and_then(|stored| serde_json::from_slice(&stored.content).ok()))
    }

    /// The newest checkpoint that there is now.
    pub(super) async fn newest_reference(&self) -> Result<Option<CheckpointRef>, StoreError> {
        Ok(self.newest().await?.map(|newest| newest.reference))
    }

    async fn newest(&self) -> Result<Option<Newest>, StoreError> {
        let newest = match self.read_before() {
            Some(before) => {
                let number = before.reference.number;
                let further = last_after(&*self.store, number, name::checkpoint).await?;
                Some(further.map_or(before, |(number, content)| Newest::of(number, &content)))
            }
            None => self.find_newest().await?,
        };
        if let Some(newest) = &newest {
            self.remember_read(newest);
        }
        Ok(newest)
    }

    fn read_before(&self) -> Option<Newest> {
        let known = self.known.lock().expect("no holder of this lock panics");
        known.read.clone()
    }

    fn remember_read(&self, newest: &Newest) {
        let mut known = self.known.lock().expect("no holder of this lock panics");
        known.read = Some(newest.clone());
    }

    async fn find_newest(&self) -> Result<Option<Newest>, StoreError> {
        let hint = self.hint().await?.map_or(0, |hint| hint.number);
        let found = match last_from(&*self.store, hint, name::checkpoint).await? {
            // The hint names a missing checkpoint: search from the first one.
            None if hint > 0 => last_from(&*self.store, 0, name::checkpoint).await?,
            found => found,
        };
        Ok(found.map(|(number, content)| Newest::of(number, &content)))
    }

    /// The ends of the logs that are open, and of those that were closed since.
    async fn survey(
        &self,
        newest: Option<&Newest>,
    ) -> Result<BTreeMap<WriterName, LogEnd>, StoreError> {
        let known = newest.map(|newest| &newest.ends);
        let open = known.into_iter().flatten();
        let open = open.filter(|(_, end)| end.state == LogState::Open);
        let mut writers: BTreeSet<WriterName> = open.map(|(writer, _)| writer.clone()).collect();
        writers.extend(self.live().await?);
        let surveyed = futures::stream::iter(writers).map(|writer| {
            let known = known.and_then(|ends| ends.get(&writer)).cloned();
            async move { Ok::<_, StoreError>((self.end_of(&writer, known).await?, writer)) }
        });
        surveyed
            .buffer_unordered(LOGS_AT_ONCE)
            .try_filter_map(|(end, writer)| {
                futures::future::ready(Ok(end.map(|end| (writer, end))))
            })
            .try_collect()
            .await
    }

    /// The logs that have a marker.
    async fn live(&self) -> Result<Vec<WriterName>, StoreError> {
        let mut live = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let keys = self.store.list(LIVE, after.as_deref(), PAGE).await?;
            let is_last = keys.len() < PAGE;
            let names = keys.iter().filter_map(|key| key.strip_prefix(LIVE));
            live.extend(names.filter_map(|name| name.parse::<WriterName>().ok()));
            after = keys.last().cloned();
            if is_last {
                return Ok(live);
            }
        }
    }

    /// Where a log ends now; it is closed if it is quiet. `None`: nothing was written into it yet.
    async fn end_of(
        &self,
        writer: &WriterName,
        known: Option<LogEnd>,
    ) -> Result<Option<LogEnd>, StoreError> {
        if known
            .as_ref()
            .is_some_and(|end| end.state == LogState::Closed)
        {
            return Ok(known);
        }
        let from = known.as_ref().map_or(0, |end| end.number);
        let further = last_after(&*self.store, from, |number| writer.document(number)).await?;
        let end = further.map(|(number, content)| LogEnd::of(number, &content));
        let Some(end) = end.or(known) else {
            let began = self.began(writer).await?;
            return self.closed_if_quiet(writer, None, began).await;
        };
        let since = end.at;
        self.closed_if_quiet(writer, Some(end), since).await
    }

    /// When a log was begun into which nothing was written yet.
    async fn began(&self, writer: &WriterName) -> Result<Option<Timestamp>, StoreError> {
        let stored = self.store.find(&writer.live_marker()).await?;
        let marker =
            stored.and_then(|stored| serde_json::from_slice::<LiveMarker>(&stored.content).ok());
        Ok(marker.map(|marker| marker.began))
    }

    async fn closed_if_quiet(
        &self,
        writer: &WriterName,
        end: Option<LogEnd>,
        since: Option<Timestamp>,
    ) -> Result<Option<LogEnd>, StoreError> {
        let now = self.clock.now();
        // A time in the far future comes from a wrong clock. Closing a log too early costs its writer two requests.
        let is_quiet = since.is_none_or(|since| now.duration_since(since).unsigned_abs() >= QUIET);
        if !is_quiet
            || end
                .as_ref()
                .is_some_and(|end| end.state == LogState::Closed)
        {
            return Ok(end);
        }
        let number = end.as_ref().map_or(0, |end| end.number) + 1;
        let document = LogDocument {
            writer: writer.clone(),
            sequence: number,
            previous: end.as_ref().map_or(Sha256Digest::ZERO, |end| end.sha256),
            at: now,
            content: LogContent::Closed { quiet_since: since },
        };
        let content = Bytes::from(serde_json::to_vec(&document).expect("it has string keys only"));
        let key = writer.document(number);
        match self
            .store
            .put(&key, content.clone(), Precondition::Absent)
            .await?
        {
            PutOutcome::Written(_) => Ok(Some(LogEnd::of(number, &content))),
            // Its writer, or another sweep, was first: the next sweep sees the result.
            PutOutcome::Conflict => Ok(end),
        }
    }

    /// `None`: another sweep was first.
    async fn create(&self, checkpoint: &Checkpoint) -> Result<Option<CheckpointRef>, StoreError> {
        let content =
            Bytes::from(serde_json::to_vec(checkpoint).expect("a checkpoint has string keys only"));
        let key = name::checkpoint(checkpoint.number);
        let written = CheckpointRef {
            number: checkpoint.number,
            sha256: Sha256Digest::of(&content),
        };
        let failure = match self
            .store
            .put(&key, content.clone(), Precondition::Absent)
            .await
        {
            Ok(PutOutcome::Written(_)) => return Ok(Some(written)),
            Ok(PutOutcome::Conflict) => None,
            Err(error) => Some(error),
        };
        match (self.store.find(&key).await, failure) {
            // Our own write, whose response was lost.
            (Ok(Some(found)), _) if found.content == content => Ok(Some(written)),
            (_, Some(failure)) | (Err(failure), None) => Err(failure),
            (Ok(_), None) => Ok(None),
        }
    }

    /// A hint that is behind costs a few reads; it is not worth a failure.
    async fn note_newest(&self, newest: CheckpointRef) {
        let noted = async {
            let stored = self.store.find(NEWEST_CHECKPOINT).await?;
            let is_behind = |stored: &[u8]| {
                serde_json::from_slice::<CheckpointRef>(stored)
                    .map_or(true, |there| there.number < newest.number)
            };
            let condition = match stored {
                Some(stored) if !is_behind(&stored.content) => return Ok(()),
                Some(stored) => Precondition::Unchanged(stored.version),
                None => Precondition::Absent,
            };
            let content = serde_json::to_vec(&newest).expect("it has string keys only");
            let put = self.store.put(NEWEST_CHECKPOINT, content.into(), condition);
            put.await.map(drop)
        };
        if let Err(error) = noted.await {
            tracing::debug!(error = %ErrorChain(&error), "Could not note the newest checkpoint of the audit log");
        }
        self.remember(Some(newest));
    }

    /// Removes the markers of logs whose closed end is in a checkpoint.
    async fn remove_markers(&self, ends: &BTreeMap<WriterName, LogEnd>) -> Result<(), StoreError> {
        let closed = ends.iter().filter(|(_, end)| end.state == LogState::Closed);
        for (writer, _) in closed {
            self.store.remove(&writer.live_marker()).await?;
        }
        Ok(())
    }
}

/// The last document of a chain, from number `from` on: by doubling steps, then by halving them. `None` where `from` is above 0
/// and does not exist, or the chain is empty.
async fn last_from(
    store: &dyn DocumentStore,
    from: u64,
    key: impl Fn(u64) -> String + Send + Sync,
) -> Result<Option<(u64, Bytes)>, StoreError> {
    if from == 0 {
        return last_after(store, 0, key).await;
    }
    let Some(there) = store.find(&key(from)).await? else {
        return Ok(None);
    };
    let further = last_after(store, from, key).await?;
    Ok(Some(further.unwrap_or((from, there.content))))
}

/// The last document of a chain after number `from`, if there is one.
async fn last_after(
    store: &dyn DocumentStore,
    from: u64,
    key: impl Fn(u64) -> String + Send + Sync,
) -> Result<Option<(u64, Bytes)>, StoreError> {
    let mut last = None;
    let (mut reached, mut step) = (from, 1);
    while let Some(stored) = store.find(&key(reached + step)).await? {
        reached += step;
        last = Some((reached, stored.content));
        step *= 2;
    }
    while step > 1 {
        step /= 2;
        if let Some(stored) = store.find(&key(reached + step)).await? {
            reached += step;
            last = Some((reached, stored.content));
        }
    }
    Ok(last)
}
