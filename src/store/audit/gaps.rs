//! Documents of the log that a reader of the whole log did not get: those that are not readable, gaps within a log, logs that
//! end too early, and logs that are gone. It reads nothing.

use std::collections::BTreeMap;

use super::name::{AuditPosition, WriterName};

/// Documents that are missing or not readable.
#[derive(Debug, Default)]
pub struct LogGaps {
    /// The last document of each log that was read or counted.
    last: BTreeMap<WriterName, u64>,
    count: u64,
    first: Option<AuditPosition>,
}

impl LogGaps {
    /// Notes a document that was read. Those of a log come in the order of their numbers.
    pub fn read(&mut self, place: &AuditPosition) {
        if place.number > 0 {
            self.expect(&AuditPosition {
                number: place.number - 1,
                ..place.clone()
            });
        }
        self.pass(place);
    }

    /// Notes a document that could not be read.
    pub fn unread(&mut self, place: &AuditPosition) {
        self.expect(place);
        self.pass(place);
    }

    /// Notes that there must be this document. Once the log was read, those that come after the last one are missing.
    pub fn expect(&mut self, place: &AuditPosition) {
        let last = self.last_of(place);
        let missing = place.number.saturating_sub(last);
        if missing == 0 {
            return;
        }
        self.first.get_or_insert_with(|| AuditPosition {
            number: last + 1,
            ..place.clone()
        });
        self.add(missing);
        self.pass(place);
    }

    /// Adds documents that belong to no log.
    pub fn add(&mut self, count: u64) {
        self.count = self.count.saturating_add(count);
    }

    /// The last document of the log of this one; 0 if there is none.
    pub fn last_of(&self, place: &AuditPosition) -> u64 {
        self.last.get(&place.writer).copied().unwrap_or_default()
    }

    pub fn count(&self) -> u64 {
        self.count
    }

    /// Which documents are missing or not readable, for a sentence; `None`: none.
    pub fn what(&self) -> Option<String> {
        let documents = if self.count == 1 {
            "document"
        } else {
            "documents"
        };
        let from = self
            .first
            .as_ref()
            .map(|first| format!(", from {first} on,"));
        (self.count > 0).then(|| {
            format!(
                "{} {documents} of the audit log{}",
                self.count,
                from.unwrap_or_default()
            )
        })
    }

    fn pass(&mut self, place: &AuditPosition) {
        self.last.insert(place.writer.clone(), place.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(writer: char, number: u64) -> AuditPosition {
        let text = format!("20260302100000-{}/{number}", writer.to_string().repeat(32));
        text.parse().expect("it is a position")
    }

    #[test]
    fn a_gap_a_cut_and_a_missing_log_are_counted_once() {
        let mut gaps = LogGaps::default();
        for number in [1, 2, 4] {
            gaps.read(&place('a', number));
        }
        assert_eq!(gaps.count(), 1);
        gaps.unread(&place('a', 5));
        assert_eq!(gaps.count(), 2);
        for number in [5, 7, 6] {
            gaps.expect(&place('a', number));
        }
        assert_eq!(gaps.count(), 4);
        gaps.expect(&place('b', 2));
        let what = format!("6 documents of the audit log, from {} on,", place('a', 3));
        assert_eq!(gaps.what(), Some(what));
    }

    #[test]
    fn numbers_that_a_document_invents_are_not_added_beyond_the_largest_one() {
        let mut gaps = LogGaps::default();
        for writer in ['a', 'b'] {
            gaps.expect(&AuditPosition {
                number: u64::MAX,
                ..place(writer, 1)
            });
        }
        assert_eq!(gaps.count(), u64::MAX);
    }
}
