//! Finds the records that an earlier run of the same request wrote. The host sends a request again if the process dies
//! before its answer, and an action has one record. Knows no chains and no actions.
//!
//! ```text
//! audit-runs/<YYYYMMDD>-<sha256 of the records>/<log>/<12 digits>   a marker: this document of the log has the records
//! ```
//! A marker is written before its document, so that no record lacks its marker. Readers skip a marker without a record.
//! The host repeats a request within seconds, so markers are removed when the next day has passed.

use bytes::Bytes;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};

use super::name::AuditPosition;
use super::record::AuditRecord;
use super::subjects::SubjectKey;
use super::{AuditLog, StoreError};
use crate::store::digest::Sha256Digest;
use crate::store::document_store::{DocumentStore, Precondition};

pub(super) const RUNS: &str = "audit-runs/";
/// The member of a record's detail that tells invocations apart.
pub(crate) const INVOCATION: &str = "invocation";
/// How long after a run the host may begin the next one.
const REPEATED_WITHIN: SignedDuration = SignedDuration::from_hours(1);
const KEPT_FOR: SignedDuration = SignedDuration::from_hours(24);
/// Markers of one run: one for each attempt to write its document.
const MARKERS_READ: usize = 64;
/// Markers that one cleanup removes.
const REMOVED_AT_ONCE: usize = 500;

/// One invocation of a function. The host repeats it under the same id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Invocation(Sha256Digest);

impl Invocation {
    /// `id`: as the host sends it.
    pub fn of(id: &[u8]) -> Self {
        Self(Sha256Digest::of(id))
    }

    /// Adds the invocation to the detail of an audit record.
    pub fn sign(self, detail: &mut Map<String, Value>) {
        detail.insert(INVOCATION.to_owned(), self.0.to_string().into());
    }
}

/// Records that belong together. They are the same in every run of their request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RunKey {
    day: String,
    records: Sha256Digest,
}

impl RunKey {
    /// Takes records as the caller gives them, with names and texts. Returns `None` if no host repeats their request.
    pub fn of(records: &[AuditRecord]) -> Option<Self> {
        let first = records.first()?;
        first.detail[INVOCATION].as_str()?;
        let said: Vec<_> = records
            .iter()
            .map(|record| (&record.subject, &record.action, &record.detail))
            .collect();
        let said = serde_json::to_vec(&said).expect("a record has string keys only");
        Some(Self {
            day: day_of(first.at),
            records: Sha256Digest::of(&said),
        })
    }

    fn prefix(&self) -> String {
        format!("{RUNS}{}-{}/", self.day, self.records)
    }

    fn marker(&self, position: &AuditPosition) -> String {
        let AuditPosition { writer, number } = position;
        format!("{}{writer}/{number:012}", self.prefix())
    }
}

impl AuditLog {
    /// Returns the position of records that an earlier run of the same request wrote. `first`: the first one of them.
    /// `None` too where something else was done to the subject since: the order of the records must be that of the actions.
    pub(super) async fn written_before(
        &self,
        run: &RunKey,
        first: &AuditRecord,
    ) -> Result<Option<AuditPosition>, StoreError> {
        let began = first.at.checked_sub(REPEATED_WITHIN);
        let mut days = vec![day_of(began.unwrap_or(first.at)), run.day.clone()];
        days.dedup();
        for day in days {
            let run = RunKey { day, ..run.clone() };
            let prefix = run.prefix();
            for key in self.store.list(&prefix, None, MARKERS_READ).await? {
                let position = key.strip_prefix(&prefix).map(str::parse);
                let Some(Ok(position)) = position else {
                    continue;
                };
                let found = self.records(&position).await?;
                if let Some(stored) = found.iter().find(|record| is_same(record, first)) {
                    let is_newest = self.is_newest_of(stored, &position).await?;
                    return Ok(is_newest.then_some(position));
                }
            }
        }
        Ok(None)
    }

    /// Whether no other document has a record of the subject that is as new, as far as markers find it.
    async fn is_newest_of(
        &self,
        record: &AuditRecord,
        position: &AuditPosition,
    ) -> Result<bool, StoreError> {
        let subject = SubjectKey::of(&record.subject);
        for marked in self.newest_of(subject, MARKERS_READ).await? {
            if marked.position == *position {
                return Ok(true);
            }
            let found = self.records(&marked.position).await?;
            let is_later = |found: &AuditRecord| {
                SubjectKey::of(&found.subject) == subject && found.at >= record.at
            };
            // A marker may lack its document, and the record itself may be of an action without markers.
            if found.iter().any(is_later) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Removes markers of runs that no host repeats any more, a limited number at a time.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn forget_old_runs(&self) -> Result<(), StoreError> {
        let Ok(oldest) = self.clock.now().checked_sub(KEPT_FOR) else {
            return Ok(());
        };
        let oldest = format!("{RUNS}{}", day_of(oldest));
        let keys = self.store.list(RUNS, None, REMOVED_AT_ONCE).await?;
        for key in keys.iter().filter(|key| **key < oldest) {
            self.store.remove(key).await?;
        }
        Ok(())
    }
}

/// Writes the markers of a document that is about to be written.
pub(super) async fn mark(
    store: &dyn DocumentStore,
    position: &AuditPosition,
    runs: &[RunKey],
) -> Result<(), StoreError> {
    for run in runs {
        // A conflict is an earlier attempt of ours: no other process writes into this log.
        let marker = (run.marker(position), Bytes::from_static(b"{}"));
        store.put(&marker.0, marker.1, Precondition::Absent).await?;
    }
    Ok(())
}

/// Names and texts of a stored record are references, so they are not compared.
fn is_same(stored: &AuditRecord, record: &AuditRecord) -> bool {
    stored.action == record.action
        && stored.subject == record.subject
        && stored.detail[INVOCATION] == record.detail[INVOCATION]
}

fn day_of(at: Timestamp) -> String {
    at.to_zoned(TimeZone::UTC).strftime("%Y%m%d").to_string()
}

#[cfg(test)]
mod tests;
