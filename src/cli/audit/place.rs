//! Where and when a record was written, in a few bytes, and which of two was written later.
//!
//! Clocks of processes may be wrong. So the order of two records is that of their common log, or of the checkpoints that
//! cover them first. Clocks decide only between records that one checkpoint covers first.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use jiff::Timestamp;
use recording_vault::clock::CLOCKS_DIFFER;
use recording_vault::store::audit::{AuditPosition, FollowedDocument};
use recording_vault::store::digest::Sha256Digest;

/// Positions that an entry keeps. Older ones are dropped.
pub const LISTED_AT_MOST: usize = 100;
/// A sweep reads one log after another, so the next checkpoint may cover what was written a moment before.
const CHECKPOINTS_DIFFER: u64 = 1;

/// A document of the log, and the time of a record in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordPlace {
    key: PlaceKey,
    /// The first checkpoint that covers it.
    checkpoint: u64,
    at_ms: i64,
}

/// A document of the log: a hash of the writer's name, and the number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct PlaceKey {
    writer: u64,
    number: u64,
}

/// The positions that an entry lists, in its order.
#[derive(Debug, Default)]
pub struct Listed {
    order: BTreeMap<PlaceKey, usize>,
    len: usize,
}

/// Whether a record was written before or after another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WrittenOrder {
    Before,
    After,
    /// The entry's list, checkpoints and clocks do not agree.
    Unclear,
}

impl PlaceKey {
    fn of(position: &AuditPosition) -> Self {
        let digest = Sha256Digest::of(position.writer.to_string().as_bytes()).to_bytes();
        let (first, _) = digest.split_at(8);
        Self {
            writer: u64::from_be_bytes(first.try_into().expect("it has eight bytes")),
            number: position.number,
        }
    }
}

/// A document that was written after the log was read.
pub fn newer_document(position: &AuditPosition) -> FollowedDocument {
    FollowedDocument {
        position: position.clone(),
        checkpoint: u64::MAX,
    }
}

impl RecordPlace {
    pub fn of(document: &FollowedDocument, at: Timestamp) -> Self {
        Self {
            key: PlaceKey::of(&document.position),
            checkpoint: document.checkpoint,
            at_ms: at.as_millisecond(),
        }
    }

    /// When its record was written, by the clock of its process.
    pub fn at(&self) -> Timestamp {
        Timestamp::from_millisecond(self.at_ms).unwrap_or(Timestamp::MAX)
    }

    pub fn is_at(&self, position: &AuditPosition) -> bool {
        self.key == PlaceKey::of(position)
    }

    /// Whether it was written later than another one: by the order of their log, else by the order of the checkpoints that
    /// cover them first, else by the clocks of their processes.
    pub fn is_after(&self, other: &Self) -> bool {
        if self.is_in_log_of(other) {
            return self.key.number > other.key.number;
        }
        let by_checkpoint = self.checkpoint.cmp(&other.checkpoint);
        by_checkpoint.then(self.at_ms.cmp(&other.at_ms)) == Ordering::Greater
    }

    /// Whether the order of the two depends on no clock, or checkpoints and clocks agree.
    pub fn is_order_certain(&self, other: &Self) -> bool {
        let by_checkpoint = self.checkpoint.cmp(&other.checkpoint);
        let is_agreed = by_checkpoint == self.at_ms.cmp(&other.at_ms);
        self.is_in_log_of(other) || (by_checkpoint != Ordering::Equal && is_agreed)
    }

    /// Whether clocks that differ could have exchanged the two.
    pub fn is_close_to(&self, other: &Self) -> bool {
        !self.is_in_log_of(other)
            && (self.at_ms - other.at_ms).abs() <= CLOCKS_DIFFER.as_secs() * 1000
    }

    fn is_in_log_of(&self, other: &Self) -> bool {
        self.key.writer == other.key.writer
    }

    fn is_covered_with(&self, other: &Self) -> bool {
        self.checkpoint.abs_diff(other.checkpoint) <= CHECKPOINTS_DIFFER
    }
}

impl WrittenOrder {
    fn of(is_after: bool) -> Self {
        if is_after { Self::After } else { Self::Before }
    }
}

impl Listed {
    pub fn of(positions: &[AuditPosition]) -> Self {
        let keys = positions.iter().map(PlaceKey::of);
        Self {
            order: keys.zip(0..).collect(),
            len: positions.len(),
        }
    }

    pub fn has(&self, place: &RecordPlace) -> bool {
        self.order.contains_key(&place.key)
    }

    /// Compares two places. A list may have been edited, so it is believed only with checkpoints or clocks, or where clocks
    /// that differ could have exchanged the two.
    pub fn compare(&self, one: &RecordPlace, other: &RecordPlace) -> WrittenOrder {
        if one.is_in_log_of(other) {
            return WrittenOrder::of(one.is_after(other));
        }
        let order = |place: &RecordPlace| self.order.get(&place.key);
        let Some((in_list, other_in_list)) = order(one).zip(order(other)) else {
            return WrittenOrder::of(one.is_after(other));
        };
        let by_list = WrittenOrder::of(in_list > other_in_list);
        let by_clocks = WrittenOrder::of(one.at_ms > other.at_ms);
        let by_checkpoints = match one.checkpoint.cmp(&other.checkpoint) {
            Ordering::Less => Some(WrittenOrder::Before),
            Ordering::Greater => Some(WrittenOrder::After),
            Ordering::Equal => None,
        };
        let (is_close, is_covered) = (one.is_close_to(other), one.is_covered_with(other));
        let is_believed = by_checkpoints == Some(by_list)
            || (by_checkpoints.is_none() && by_clocks == by_list)
            || match by_list {
                WrittenOrder::After => by_clocks == by_list,
                WrittenOrder::Before => is_close && is_covered,
                WrittenOrder::Unclear => false,
            };
        let is_refuted = by_checkpoints == Some(by_clocks)
            && (by_list == WrittenOrder::After || (!is_close && !is_covered));
        match (is_believed, is_refuted) {
            (true, _) => by_list,
            (false, true) => by_clocks,
            (false, false) => WrittenOrder::Unclear,
        }
    }

    /// Whether this is the oldest one of a list that may have dropped older ones.
    pub fn is_oldest_of_full(&self, place: &RecordPlace) -> bool {
        self.len >= LISTED_AT_MOST && self.order.get(&place.key) == Some(&0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3600;

    fn position(writer: char) -> AuditPosition {
        let text = format!("20260302100000-{}/1", writer.to_string().repeat(32));
        text.parse().expect("it is a position")
    }

    fn place(writer: char, checkpoint: u64, second: i64) -> RecordPlace {
        let document = FollowedDocument {
            position: position(writer),
            checkpoint,
        };
        let at = Timestamp::from_second(second).expect("it is a time");
        RecordPlace::of(&document, at)
    }

    /// Compares `b` with `a`, each with its checkpoint and its time.
    fn order(list: &str, a: (u64, i64), b: (u64, i64)) -> WrittenOrder {
        let positions: Vec<_> = list.chars().map(position).collect();
        let (a, b) = (place('a', a.0, a.1), place('b', b.0, b.1));
        Listed::of(&positions).compare(&b, &a)
    }

    #[test]
    fn checkpoints_decide_where_the_clocks_of_two_processes_are_wrong() {
        // B was written later, by a clock that is an hour behind.
        assert_eq!(order("ab", (1, HOUR), (3, 0)), WrittenOrder::After);
        assert_eq!(order("", (1, HOUR), (3, 0)), WrittenOrder::After);
        // B was written first, by a clock that is an hour ahead.
        assert_eq!(order("ba", (3, 0), (1, HOUR)), WrittenOrder::Before);
        assert_eq!(order("", (3, 0), (1, HOUR)), WrittenOrder::Before);
    }

    #[test]
    fn clocks_decide_between_records_of_one_checkpoint_unless_the_list_differs() {
        assert_eq!(order("", (1, 0), (1, 1)), WrittenOrder::After);
        assert_eq!(order("ab", (1, 0), (1, 1)), WrittenOrder::After);
        assert_eq!(order("ba", (1, 0), (1, 1)), WrittenOrder::Before);
        assert_eq!(order("ba", (1, 0), (1, HOUR)), WrittenOrder::Unclear);
        assert_eq!(order("ab", (1, HOUR), (1, 0)), WrittenOrder::Unclear);
    }

    #[test]
    fn a_list_that_was_reordered_is_not_believed_against_checkpoints() {
        assert_eq!(order("ba", (1, 0), (3, HOUR)), WrittenOrder::After);
        assert_eq!(order("ba", (1, 0), (3, 60)), WrittenOrder::Unclear);
        assert_eq!(order("ba", (1, HOUR), (3, 0)), WrittenOrder::Unclear);
        assert_eq!(order("ab", (3, HOUR), (1, 0)), WrittenOrder::Before);
    }

    #[test]
    fn a_sweep_between_two_writes_may_cover_the_later_one_first() {
        assert_eq!(order("ba", (1, 60), (2, 59)), WrittenOrder::Before);
        assert_eq!(order("ba", (1, 60), (2, 61)), WrittenOrder::Before);
        assert_eq!(order("ba", (1, 0), (2, HOUR)), WrittenOrder::Unclear);
    }

    #[test]
    fn the_order_of_a_common_log_needs_neither_clocks_nor_checkpoints() {
        let text = |number: u64| format!("20260302100000-{}/{number}", "a".repeat(32));
        let of = |number, checkpoint, second| RecordPlace {
            key: PlaceKey::of(&text(number).parse().expect("it is a position")),
            ..place('a', checkpoint, second)
        };
        let (first, second) = (of(1, 3, HOUR), of(2, 1, 0));
        assert!(second.is_after(&first) && second.is_order_certain(&first));
        assert_eq!(
            Listed::default().compare(&first, &second),
            WrittenOrder::Before
        );
    }
}
