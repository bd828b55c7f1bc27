//! Where and when a record was written, in a few bytes, and which of two was written later.

use std::collections::BTreeMap;

use jiff::Timestamp;
use recording_vault::store::audit::AuditPosition;
use recording_vault::store::digest::Sha256Digest;

/// Clocks of processes differ by less than this.
const CLOCKS_DIFFER_MS: i64 = 5 * 60 * 1000;

/// A document of the log, and the time of a record in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    key: PlaceKey,
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

impl Place {
    pub fn of(position: &AuditPosition, at: Timestamp) -> Self {
        Self {
            key: PlaceKey::of(position),
            at_ms: at.as_millisecond(),
        }
    }

    pub fn is_at(&self, position: &AuditPosition) -> bool {
        self.key == PlaceKey::of(position)
    }

    /// Whether it was written later than another one: by the order of their log, else by the clocks of their processes.
    pub fn is_after(&self, other: &Self) -> bool {
        if self.key.writer == other.key.writer {
            self.key.number > other.key.number
        } else {
            self.at_ms > other.at_ms
        }
    }

    /// Whether clocks that differ could have exchanged the two.
    pub fn is_close_to(&self, other: &Self) -> bool {
        self.key.writer != other.key.writer && (self.at_ms - other.at_ms).abs() <= CLOCKS_DIFFER_MS
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

    pub fn has(&self, place: &Place) -> bool {
        self.order.contains_key(&place.key)
    }

    /// Whether it lists the one before the other.
    pub fn has_before(&self, one: &Place, other: &Place) -> bool {
        let order = |place: &Place| self.order.get(&place.key);
        order(one)
            .zip(order(other))
            .is_some_and(|(one, other)| one < other)
    }

    /// Whether this is the oldest one of a list that may have dropped older ones.
    pub fn is_oldest_of_full(&self, place: &Place, limit: usize) -> bool {
        self.len >= limit && self.order.get(&place.key) == Some(&0)
    }
}
