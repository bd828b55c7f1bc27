//! How far the log was read, and which of its documents could not be read. It knows no records.

use std::collections::{BTreeMap, BTreeSet};

use recording_vault::export::LedgerEntry;
use recording_vault::store::audit::{AuditPosition, AuditReport, WriterName};

use super::place::LISTED_AT_MOST;

/// How far the log was read.
#[derive(Debug, Default)]
pub struct ReadLog {
    /// The last document of each log.
    ends: BTreeMap<WriterName, u64>,
    unread: BTreeSet<AuditPosition>,
}

impl ReadLog {
    pub fn of(report: &mut AuditReport) -> Self {
        Self {
            ends: std::mem::take(&mut report.ends),
            unread: report.unread.clone(),
        }
    }

    /// Whether documents could not be read.
    pub fn is_partial(&self) -> bool {
        !self.unread.is_empty()
    }

    pub fn is_unread(&self, position: &AuditPosition) -> bool {
        self.unread.contains(position)
    }

    /// The last document of a log; 0 if none was read.
    pub fn end_of(&self, writer: &WriterName) -> u64 {
        self.ends.get(writer).copied().unwrap_or_default()
    }

    /// Whether a document was written after the log was read.
    pub fn is_newer(&self, position: &AuditPosition) -> bool {
        let end = self.ends.get(&position.writer);
        end.is_none_or(|end| position.number > *end)
    }

    /// Whether a document that could not be read may have records that an entry refers to.
    pub fn lacks_records_of(&self, entry: &LedgerEntry) -> bool {
        let has_dropped_some = entry.audited.len() >= LISTED_AT_MOST;
        let is_listed = entry
            .audited
            .iter()
            .any(|position| self.is_unread(position));
        self.is_partial() && (is_listed || has_dropped_some)
    }
}
