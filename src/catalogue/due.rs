//! What is due: recordings that need attention or have a deadline, and chunks that are not in the vault yet. Nearest first.
//!
//! Both say whether they are complete: what was not read is not called "none".

use futures::{StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::known::Reading;
use super::row::Row;
use super::survey::{OPEN_CHUNKS_READ, Surveyed};
use super::{AT_ONCE, Catalogue, CatalogueError};
use crate::export::LedgerEntry;
use crate::export::entry::Risk;
use crate::export::ledger::OpenChunk;
use crate::standing::{ChunkEntry, Concern, Standing, of_chunk};
use crate::store::index::FOLLOWS_WITHIN;

const PAGE: usize = 500;

/// A chunk that is not in the vault yet.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Deadline {
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    pub recording_id: Option<String>,
    pub document_id: String,
    pub index: u32,
    pub standing: Standing,
    /// `half`, `threeQuarters` or `ninetyPercent` of its time has passed.
    #[schema(value_type = Option<String>)]
    pub risk: Option<Risk>,
}

/// Chunks that are not in the vault yet, by expiry.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Deadlines {
    pub deadlines: Vec<Deadline>,
    /// There may be more that were not read.
    pub is_capped: bool,
    /// Open chunks whose entries are missing or not readable: their deadlines are unknown.
    pub unreadable: usize,
}

/// Recordings that need attention or have a deadline.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DueRecordings {
    /// The nearest deadline first; those without a deadline last, the worst first.
    pub recordings: Vec<Row>,
    /// How many are due, of those that were read.
    pub total: usize,
    /// There may be more that were not read. Files that wait for their export are read in the order of their expiry.
    pub is_capped: bool,
    /// Open chunks whose entries are missing or not readable, and that belong to no known recording.
    pub unreadable_chunks: usize,
}

impl Catalogue {
    /// Returns the first `top` recordings that need attention or have a deadline.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn due(&self, top: usize) -> Result<DueRecordings, CatalogueError> {
        let survey = self.survey(self.last_check().await?.as_ref()).await?;
        let is_due = |one: &Surveyed| {
            let assessment = &one.assessment;
            assessment.standing.concern() == Concern::Attention || assessment.deadline.is_some()
        };
        let rules = survey.rules;
        let (surveyed, limits) = survey.into_parts();
        let mut due: Vec<Surveyed> = surveyed.into_iter().filter(is_due).collect();
        due.sort_by_key(|one| {
            let assessment = &one.assessment;
            let at = assessment.deadline.unwrap_or(Timestamp::MAX);
            (at, assessment.standing, one.place().to_string())
        });
        let total = due.len();
        let mut recordings = Vec::new();
        for one in due.into_iter().take(top) {
            recordings.push(match one.reading {
                Reading::Known(recorded) => self.with_cases(*recorded).await?.row(rules),
                Reading::Unreadable { .. } | Reading::Absent => one.row(rules),
            });
        }
        Ok(DueRecordings {
            recordings,
            total,
            is_capped: limits.is_capped || !limits.chunks.unwritten.is_empty(),
            unreadable_chunks: limits.chunks.unreadable.len(),
        })
    }

    /// Returns chunks that are not in the vault and that ACS drops before `until`, earliest expiry first.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn deadlines(&self, until: Timestamp) -> Result<Deadlines, CatalogueError> {
        let now = self.clock.now();
        let mut found = Deadlines {
            deadlines: Vec::new(),
            is_capped: false,
            unreadable: 0,
        };
        let (mut after, mut looked_at) = (None, 0);
        loop {
            let (chunks, next) = self.ledger.open_chunks(after.as_ref(), PAGE).await?;
            looked_at += chunks.len();
            let entries = futures::stream::iter(chunks).map(|chunk| async move {
                let entry = self.chunk_entry(&chunk.document_id).await?;
                Ok::<_, CatalogueError>((chunk, entry))
            });
            let mut entries = entries.buffered(AT_ONCE);
            let mut is_beyond = false;
            while let Some((chunk, entry)) = entries.try_next().await? {
                match entry {
                    ChunkEntry::Found(entry) => {
                        is_beyond = entry.expires_at > until;
                        found.deadlines.extend(deadline(&entry, now, until));
                    }
                    ChunkEntry::Unreadable => found.unreadable += 1,
                    ChunkEntry::Absent if self.lacks_entry(&chunk, now) => found.unreadable += 1,
                    ChunkEntry::Absent => {
                        // Its entry is about to be written, or was written meanwhile.
                        let entry = self.entry(&chunk.document_id).await?;
                        found.is_capped |= entry.is_none();
                        let deadline = entry.and_then(|entry| deadline(&entry, now, until));
                        found.deadlines.extend(deadline);
                    }
                }
            }
            // Later ones expire later.
            after = next.filter(|_| !is_beyond);
            if after.is_none() || looked_at >= OPEN_CHUNKS_READ {
                found.is_capped |= after.is_some();
                return Ok(found);
            }
        }
    }

    /// Whether the entry of an open chunk that was not found should exist: a new one is written soon after its marker.
    pub(super) fn lacks_entry(&self, chunk: &OpenChunk, now: Timestamp) -> bool {
        let written_before = now.checked_sub(FOLLOWS_WITHIN);
        written_before.is_ok_and(|at| chunk.is_from_before(at, self.ledger.source_retention()))
    }
}

/// The deadline of an open chunk, if it waits for its export and ACS drops it before `until`.
fn deadline(entry: &LedgerEntry, now: Timestamp, until: Timestamp) -> Option<Deadline> {
    let assessment = of_chunk(entry, now);
    let is_due = matches!(
        assessment.standing,
        Standing::Waiting | Standing::Exporting | Standing::AtRisk
    );
    let at = assessment.deadline.filter(|at| is_due && *at <= until)?;
    Some(Deadline {
        at,
        recording_id: entry.chunk.recording_id.as_ref().map(ToString::to_string),
        document_id: entry.chunk.document_id.to_string(),
        index: entry.chunk.index,
        standing: assessment.standing,
        risk: entry.risk(now),
    })
}
