//! Proof that records are in the log, for a reader without this program: documents of logs, from the one that has the
//! record to the end that a checkpoint names, and the checkpoints. Knows no archive.
//!
//! ```text
//! document 7 ─previous─ 8 ─previous─ 9 = end in checkpoint 41 ─previous─ 42 ─previous─ 43, the newest, stamped or kept elsewhere
//! ```
//! A document covers a minute or two of a log, so the proof of a record is short, however old or long the log is.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;

use super::name::{self, AuditPosition, WriterName};
use super::reading::AT_ONCE;
use super::record::Checkpoint;
use super::{AuditLog, CheckpointRef, CheckpointStamp, StoreError};

/// Limit of log documents in one proof.
const MOST_DOCUMENTS: usize = 20_000;
/// Limit of checkpoints between the first and the newest that are added, so that a reader can follow the chain.
const MOST_CHECKPOINTS: u64 = 3000;
/// The clocks of a writer and of a sweep may differ by this much.
const CLOCKS_DIFFER: Duration = Duration::from_mins(10);
/// Checkpoints after a record that are searched for its log.
const LOOKED_AT: u64 = 60;

/// Documents that prove records.
#[derive(Debug, Default)]
pub struct InclusionProof {
    /// The position and the stored bytes of each document.
    pub documents: BTreeMap<AuditPosition, Bytes>,
    /// By number.
    pub checkpoints: BTreeMap<u64, Bytes>,
    pub segments: BTreeSet<Segment>,
    /// Stamps of these checkpoints.
    pub stamps: Vec<CheckpointStamp>,
    /// Documents that no checkpoint covers, or that are not readable.
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
        let mut ends: BTreeMap<(WriterName, u64), (u64, u64)> = BTreeMap::new();
        for (position, at) in positions {
            let found = checkpoints.covering(position, *at, newest.number).await?;
            let Some((checkpoint, last)) = found else {
                proof.unproved.insert(position.clone());
                continue;
            };
            let key = (position.writer.clone(), checkpoint);
            let (first, _) = ends.entry(key).or_insert((position.number, last));
            *first = position.number.min(*first);
        }
        for ((writer, checkpoint), (first, last)) in ends {
            let segment = Segment {
                writer,
                first,
                last,
                checkpoint,
            };
            if !self.add_segment(&mut proof, &segment).await? {
                let of_it = positions.keys().filter(|position| segment.has(position));
                proof.unproved.extend(of_it.cloned());
            }
        }
        let needed: BTreeSet<u64> = proof.segments.iter().map(|one| one.checkpoint).collect();
        let first = needed.first().copied().unwrap_or(newest.number);
        let chain = first.max(newest.number.saturating_sub(MOST_CHECKPOINTS))..=newest.number;
        for number in needed.into_iter().chain(chain) {
            if let Some((content, _)) = checkpoints.get(number).await? {
                proof.checkpoints.insert(number, content.clone());
            }
        }
        proof.stamps = self
            .stamps_of(|number| proof.checkpoints.contains_key(&number))
            .await?;
        Ok(proof)
    }

    /// Adds the documents of a segment. Returns whether all of them exist and fit the limit.
    async fn add_segment(
        &self,
        proof: &mut InclusionProof,
        segment: &Segment,
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
        let Some(documents) = documents else {
            return Ok(false);
        };
        proof.documents.extend(documents);
        proof.segments.insert(segment.clone());
        Ok(true)
    }
}

impl InclusionProof {
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
    ) -> Result<Option<(u64, u64)>, StoreError> {
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
                return Ok(Some((number, end.number)));
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
    use crate::clock::ManualClock;
    use crate::store::audit::{Actor, AuditAction, Checkpointed};
    use crate::store::digest::Sha256Digest;
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
        assert!(proof.checkpoints.keys().copied().eq(31..=newest.number));
        let last = &proof.checkpoints[&newest.number];
        assert_eq!(Sha256Digest::of(last), newest.sha256);
    }
}
