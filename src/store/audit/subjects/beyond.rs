//! Finds documents that were cut off the end of their log: their markers are stored elsewhere, and are still there.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::MarkedDocument;
use crate::store::audit::name::{AuditPosition, WriterName};
use crate::store::audit::{AuditLog, StoreError};

/// A marker is written right before its document. One that is older has its document, or its log was closed meanwhile.
const DECIDED_AFTER: SignedDuration = SignedDuration::from_hours(1);
/// Documents that are looked for.
const LOOKED_FOR_AT_MOST: usize = 1000;

/// Documents that old markers name, after the ends of their logs.
#[derive(Debug)]
pub(super) struct BeyondEnds {
    /// Markers of this time and later ones decide nothing yet.
    decided_until: Timestamp,
    documents: BTreeSet<AuditPosition>,
    /// There are more than are looked for.
    pub is_capped: bool,
}

impl BeyondEnds {
    /// `now`: when the markers are read.
    pub fn at(now: Timestamp) -> Self {
        let decided_until = now.saturating_sub(DECIDED_AFTER);
        Self {
            decided_until: decided_until.unwrap_or(Timestamp::MIN),
            documents: BTreeSet::new(),
            is_capped: false,
        }
    }

    pub fn add(&mut self, marked: MarkedDocument, end: u64) {
        if marked.position.number <= end || marked.is_from(self.decided_until) {
            return;
        }
        if self.documents.len() < LOOKED_FOR_AT_MOST {
            self.documents.insert(marked.position);
        } else if !self.documents.contains(&marked.position) {
            self.is_capped = true;
        }
    }
}

impl AuditLog {
    /// Returns the documents among these that were removed. `end_of`: the last document of a log that was read.
    pub(super) async fn removed(
        &self,
        beyond: BeyondEnds,
        end_of: impl Fn(&WriterName) -> u64 + Send,
    ) -> Result<BTreeSet<AuditPosition>, StoreError> {
        let mut removed = BTreeSet::new();
        for position in beyond.documents {
            // A writer that ended before it wrote this document: the one that closes the log takes its number.
            let is_next = position.number == end_of(&position.writer) + 1;
            if is_next && self.is_live(&position.writer).await? {
                continue;
            }
            if self.store.find(&position.key()).await?.is_none() {
                removed.insert(position);
            }
        }
        Ok(removed)
    }

    async fn is_live(&self, writer: &WriterName) -> Result<bool, StoreError> {
        Ok(self.store.find(&writer.live_marker()).await?.is_some())
    }
}
