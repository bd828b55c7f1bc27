//! Proof that records are in the log, for a reader without this program: documents of logs, from the one that has the
//! record to the end that a checkpoint names, and the numbers of the checkpoints. Knows no archive.
//!
//! ```text
//! document 7 ─previous─ 8 ─previous─ 9 = end in checkpoint 41 ─previous─ 42 ─previous─ 43, the newest, stamped or kept elsewhere
//! ```
//! A document covers a minute or two of a log, so the proof of a record is short, however old or long the log is. The
//! checkpoints are many (one a minute at most, of about 1 KB), so `checkpoint_chain` limits and streams them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;

use super::checkpoint_chain::CheckpointRuns;
use super::name::{self, AuditPosition, WriterName};
use super::reading::{AT_ONCE, records_in};
use super::record::{AuditRecord, Checkpoint, LogDocument, LogEnd};
use super::{AuditLog, CheckpointRef, CheckpointStamp, StoreError};
use crate::store::digest::Sha256Digest;

/// Limit of log documents in one proof.
const MOST_DOCUMENTS: usize = 20_000;
/// The clocks of a writer and of a sweep may differ by this much.
const CLOCKS_DIFFER: Duration = Duration::from_mins(10);
/// Checkpoints after a record that are searched for its log.
const LOOKED_AT: u64 = 60;

/// Documents that prove records.
#[derive(Debug, Default)]
pub struct InclusionProof {
    /// The position and the stored bytes of each document.
    pub documents: BTreeMap<AuditPosition, Bytes>,
    pub checkpoints: CheckpointRuns,
    pub segments: BTreeSet<Segment>,
    /// Stamps of these checkpoints.
    pub stamps: Vec<CheckpointStamp>,
    /// Documents that no checkpoint covers, that are not readable, or whose chain is broken.
    pub unproved: BTreeSet<AuditPosition>,
}

/// A part of a log that ends where a checkpoint says that the log ended.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Segment {
    pub writer: WriterName,
    pub first: u64,
    pub last: u64,
    pub checkpoint: u64,
}

/// Checkpoints as they were read.
struct Checkpoints<'a> {
    log: &'a AuditLog,
    read: BTreeMap<u64, Option<(Bytes, Checkpoint)>>,
}

impl AuditLog {
    /// Proves the documents at these positions; `newest` is the newest checkpoint. Each position comes with the time of
    /// a record in its document.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn prove(
        &self,
        positions: &BTreeMap<AuditPosition, Timestamp>,
        newest: CheckpointRef,
    ) -> Result<InclusionProof, StoreError> {
        let mut checkpoints = Checkpoints {
            log: self,
            read: BTreeMap::new(),
        };
        let mut proof = InclusionProof::default();
        // By log and checkpoint: the first document that is needed, and the end.
        let mut ends: BTreeMap<(WriterName, u64), (u64, LogEnd)> = BTreeMap::new();
        for (position, at) in positions {
            let found = checkpoints.covering(position, *at, newest.number).await?;
            let Some((checkpoint, end)) = found else {
                proof.unproved.insert(position.clone());
                continue;
            };
            let key = (position.writer.clone(), checkpoint);
            let (first, _) = ends.entry(key).or_insert((position.number, end));
            *first = position.number.min(*first);
        }
        for ((writer, checkpoint), (first, end)) in ends {
            let segment = Segment {
                writer,
                first,
                last: end.number,
                checkpoint,
            };
            if !self.add_segment(&mut proof, &segment, end.sha256).await? {
                let of_it = positions.keys().filter(|position| segment.has(position));
                proof.unproved.extend(of_it.cloned());
            }
        }
        let needed: BTreeSet<u64> = proof.segments.iter().map(|one| one.checkpoint).collect();
        proof.checkpoints =
            CheckpointRuns::of(&needed, newest.number, &self.stamped_numbers().await?);
        proof.stamps = self
            .stamps_of(|number| proof.checkpoints.has(number))
            .await?;
        Ok(proof)
    }

    /// Adds the documents of a segment. Returns whether all of them exist, are a chain to this end, and fit the limit.
    async fn add_segment(
        &self,
        proof: &mut InclusionProof,
        segment: &Segment,
        end: Sha256Digest,
    ) -> Result<bool, StoreError> {
        let length = usize::try_from(segment.last - segment.first).unwrap_or(usize::MAX);
        if proof.documents.len().saturating_add(length) >= MOST_DOCUMENTS {
            return Ok(false);
        }
        let reading = (segment.first..=segment.last).map(|number| {
            let writer = segment.writer.clone();
            let position = AuditPosition { writer, number };
            async move {
                let stored = self.store.find(&position.key()).await?;
                Ok::<_, StoreError>(stored.map(|stored| (position, stored.content)))
            }
        });
        let reading = futures::stream::iter(reading).buffered(AT_ONCE);
        let documents: Option<Vec<_>> =
            reading.try_collect::<Vec<_>>().await?.into_iter().collect();
        let documents = documents.filter(|documents| is_chain(documents, end));
        let Some(documents) = documents else {
            return Ok(false);
        };
        proof.documents.extend(documents);
        proof.segments.insert(segment.clone());
        Ok(true)
    }
}

/// Whether each document has the digest of the one before, and the last has this digest.
fn is_chain(documents: &[(AuditPosition, Bytes)], end: Sha256Digest) -> bool {
    let mut before: Option<Sha256Digest> = None;
    for (_, content) in documents {
        let Ok(document) = serde_json::from_slice::<LogDocument>(content) else {
            return false;
        };
        if before.is_some_and(|before| before != document.previous) {
            return false;
        }
        before = Some(Sha256Digest::of(content));
    }
    before == Some(end)
}

impl InclusionProof {
    /// All records of its documents, each with the position of its document.
    pub fn records(&self) -> impl Iterator<Item = (&AuditPosition, AuditRecord)> {
        let documents = self.documents.iter();
        documents.flat_map(|(position, content)| {
            let records = records_in(content).into_iter();
            records.map(move |record| (position, record))
        })
    }

    /// The name of a checkpoint in the log's storage.
    pub fn checkpoint_name(number: u64) -> String {
        name::checkpoint(number)
    }
}

impl Segment {
    fn has(&self, position: &AuditPosition) -> bool {
        position.writer == self.writer && (self.first..=self.last).contains(&position.number)
    }
}

impl Checkpoints<'_> {
    /// `None`: it is missing or not readable.
    async fn get(&mut self, number: u64) -> Result<Option<&(Bytes, Checkpoint)>, StoreError> {
        if !self.read.contains_key(&number) {
            let stored = self.log.store.find(&name::checkpoint(number)).await?;
            let read = stored.and_then(|stored| {
                let checkpoint = serde_json::from_slice(&stored.content).ok()?;
                Some((stored.content, checkpoint))
            });
            self.read.insert(number, read);
        }
        Ok(self.read.get(&number).and_then(Option::as_ref))
    }

    /// The first checkpoint that covers a document, and where its log ended then.
    async fn covering(
        &mut self,
        position: &AuditPosition,
        at: Timestamp,
        newest: u64,
    ) -> Result<Option<(u64, LogEnd)>, StoreError> {
        let from = at.checked_sub(CLOCKS_DIFFER).unwrap_or(Timestamp::MIN);
        let first = self.first_since(from, newest).await?;
        // Sweeps write a checkpoint a minute, some of them within the clock difference, so later ones are searched too.
        let last = newest.min(first.saturating_add(LOOKED_AT));
        for number in (first..=last).chain((newest != last).then_some(newest)) {
            let Some((_, checkpoint)) = self.get(number).await? else {
                continue;
            };
            let end = checkpoint.ends.get(&position.writer);
            if let Some(end) = end.filter(|end| end.number >= position.number) {
                return Ok(Some((number, end.clone())));
            }
        }
        Ok(None)
    }

    /// Finds the first checkpoint that was written at a time or later, by binary search.
    async fn first_since(&mut self, time: Timestamp, newest: u64) -> Result<u64, StoreError> {
        let (mut low, mut high) = (1, newest);
        while low < high {
            let middle = low + (high - low) / 2;
            let is_before = (self.get(middle).await?).is_some_and(|(_, found)| found.at < time);
            if is_before {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(low)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::SignedDuration;
    use serde_json::json;

    use super::*;
    use crate::clock::{Clock as _, ManualClock};
    use crate::store::audit::{Actor, AuditAction, Checkpointed};
    use crate::store::document_store::{DocumentStore as _, Precondition};
    use crate::vault::memory::MemoryDocumentStore;

    async fn written(log: &AuditLog, subject: &str) -> AuditPosition {
        let detail = json!({});
        log.append(Actor::Handler, AuditAction::Recorded, subject, detail)
            .await
            .unwrap()
    }

    async fn checkpoint(log: &AuditLog) -> CheckpointRef {
        match log.checkpoint().await.unwrap() {
            Checkpointed::Written(newest) => newest,
            Checkpointed::NothingNew(_) => panic!("something is new"),
        }
    }

    #[tokio::test]
    async fn an_old_record_is_proved_by_the_documents_until_the_checkpoint_after_it() {
        let clock = Arc::new(ManualClock::starting_at(
            "2026-03-02T09:00:00Z".parse().unwrap(),
        ));
        let log = AuditLog::new(Arc::new(MemoryDocumentStore::default()), clock.clone());
        let mut positions = Vec::new();
        let mut newest = None;
        for minute in 0..100 {
            for part in 0..2 {
                positions.push(written(&log, &format!("{minute}-{part}")).await);
            }
            newest = Some(checkpoint(&log).await);
            clock.advance(Duration::from_mins(1));
        }
        let newest = newest.unwrap();
        let late = written(&log, "late").await;
        let at = |minute: i64| {
            let start: Timestamp = "2026-03-02T09:00:00Z".parse().unwrap();
            start + SignedDuration::from_mins(minute)
        };
        let asked = BTreeMap::from([(positions[60].clone(), at(30)), (late.clone(), at(100))]);
        let proof = log.prove(&asked, newest).await.unwrap();
        assert_eq!(proof.unproved, BTreeSet::from([late]));
        let segment = proof.segments.first().unwrap();
        assert_eq!(
            (segment.first, segment.last, segment.checkpoint),
            (positions[60].number, positions[61].number, 31)
        );
        assert_eq!(proof.documents.len(), 2);
        assert!(proof.checkpoints.numbers().eq(31..=newest.number));
        let mut packed = Vec::new();
        let mut reading = std::pin::pin!(log.packed_checkpoints(&proof.checkpoints, newest));
        while let Some(checkpoint) = reading.try_next().await.unwrap() {
            assert_eq!(checkpoint.problem, None);
            packed.push(checkpoint.content.unwrap());
        }
        assert_eq!(Sha256Digest::of(packed.last().unwrap()), newest.sha256);
    }

    #[tokio::test]
    async fn a_changed_document_between_a_record_and_its_checkpoint_leaves_the_record_unproved() {
        let clock = Arc::new(ManualClock::starting_at(
            "2026-03-02T09:00:00Z".parse().unwrap(),
        ));
        let store = Arc::new(MemoryDocumentStore::default());
        let log = AuditLog::new(store.clone(), clock.clone());
        let first = written(&log, "a").await;
        let second = written(&log, "b").await;
        let newest = checkpoint(&log).await;
        let found = store.find(&second.key()).await.unwrap().unwrap();
        let forged = String::from_utf8(found.content.to_vec()).unwrap();
        let forged = forged.replace("\"b\"", "\"c\"");
        store
            .put(
                &second.key(),
                forged.into(),
                Precondition::Unchanged(found.version),
            )
            .await
            .unwrap();
        let asked = BTreeMap::from([(first.clone(), clock.now())]);
        let proof = log.prove(&asked, newest).await.unwrap();
        assert_eq!(proof.unproved, BTreeSet::from([first]));
        assert!(proof.documents.is_empty() && proof.segments.is_empty());
    }

    #[tokio::test]
    async fn a_missing_and_a_changed_checkpoint_are_problems_of_the_proof() {
        let clock = Arc::new(ManualClock::starting_at(
            "2026-03-02T09:00:00Z".parse().unwrap(),
        ));
        let store = Arc::new(MemoryDocumentStore::default());
        let log = AuditLog::new(store.clone(), clock.clone());
        let mut newest = None;
        let first = written(&log, "a").await;
        for _ in 0..6 {
            newest = Some(checkpoint(&log).await);
            written(&log, "b").await;
        }
        let newest = newest.unwrap();
        store.remove(&name::checkpoint(3)).await.unwrap();
        let found = store.find(&name::checkpoint(5)).await.unwrap().unwrap();
        let changed = String::from_utf8(found.content.to_vec()).unwrap() + " ";
        let unchanged = Precondition::Unchanged(found.version);
        store
            .put(&name::checkpoint(5), changed.into(), unchanged)
            .await
            .unwrap();
        let asked = BTreeMap::from([(first, clock.now())]);
        let proof = log.prove(&asked, newest).await.unwrap();
        let packed: Vec<_> = log
            .packed_checkpoints(&proof.checkpoints, newest)
            .try_collect()
            .await
            .unwrap();
        let problems = packed.iter().map(|one| one.problem.as_deref());
        let problems: Vec<(u64, &str)> = packed
            .iter()
            .map(|one| one.number)
            .zip(problems)
            .filter_map(|(number, problem)| Some((number, problem?)))
            .collect();
        assert!(
            problems[0].1.contains("checkpoint 3 is missing"),
            "{problems:?}"
        );
        assert_eq!(problems[1].0, 6, "{problems:?}");
        assert!(problems[1].1.contains("does not continue"), "{problems:?}");
        assert_eq!(problems.len(), 2);
    }
}
