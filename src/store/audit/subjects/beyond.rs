//! Finds documents that were cut off the end of their log: their markers are stored elsewhere, and are still there.

use std::collections::BTreeSet;

use jiff::SignedDuration;

use super::MarkedDocument;
use crate::store::audit::name::{AuditPosition, WriterName};
use crate::store::audit::{AuditLog, StoreError};
use crate::store::index::back_ms;

/// A marker is written right before its document. One that is older has its document, or its log was closed meanwhile.
const DECIDED_AFTER: SignedDuration = SignedDuration::from_hours(1);
/// Documents that are looked for.
const LOOKED_FOR_AT_MOST: usize = 1000;

/// Documents that markers name, after the ends of their logs.
#[derive(Debug, Default)]
pub(super) struct BeyondEnds(BTreeSet<MarkedDocument>);

impl BeyondEnds {
    pub fn add(&mut self, marked: MarkedDocument, end: u64) {
        if marked.position.number > end && self.0.len() < LOOKED_FOR_AT_MOST {
            self.0.insert(marked);
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
        let since = self.clock.now().saturating_sub(DECIDED_AFTER);
        let since = back_ms(since.unwrap_or(jiff::Timestamp::MIN));
        let mut removed = BTreeSet::new();
        let old = beyond.0.into_iter().filter(|marked| marked.back_ms > since);
        for MarkedDocument { position, .. } in old {
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
