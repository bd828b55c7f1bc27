//! When a copy is past the retention. Pure.

use std::str::FromStr;
use std::time::Duration;

use jiff::Timestamp;

use crate::export::entry::LedgerEntry;
use crate::export::state::ChunkState;

/// How long a copy stays in the vault, and what the ledger keeps about its recording afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetentionPolicy {
    pub keep_for: Duration,
    pub keeps: RetentionKeeps,
}

/// What the ledger keeps about a recording whose copies were removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RetentionKeeps {
    /// Everything, including personal data.
    #[default]
    People,
    /// Ids, times and digests; neither the participants nor the caller who started it.
    Digests,
}

/// The value of a setting that is neither `people` nor `digests`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("is `{0}`; expected people or digests")]
pub struct InvalidKeeps(String);

impl FromStr for RetentionKeeps {
    type Err = InvalidKeeps;

    fn from_str(text: &str) -> Result<Self, InvalidKeeps> {
        match text {
            "people" => Ok(Self::People),
            "digests" => Ok(Self::Digests),
            other => Err(InvalidKeeps(other.to_owned())),
        }
    }
}

impl RetentionPolicy {
    /// When a chunk's copy is past this policy: counted from the start of the recording if that is plausible,
    /// else from the arrival of its event.
    pub fn past_at(self, entry: &LedgerEntry) -> Timestamp {
        counted_from(entry)
            .checked_add(self.keep_for)
            .unwrap_or(Timestamp::MAX)
    }

    pub(in crate::export) fn is_past(self, entry: &LedgerEntry, now: Timestamp) -> bool {
        now >= self.past_at(entry)
    }

    /// Whether a removal has to check it: copies past the policy, and those whose removal has begun.
    pub(in crate::export) fn concerns(self, entry: &LedgerEntry, now: Timestamp) -> bool {
        let has_begun = matches!(entry.state, ChunkState::Removing { .. });
        has_begun || (entry.state.is_removable_copy() && self.is_past(entry, now))
    }

    /// Whether its copy is past this policy by the start that its event or an operator gave, and not by the one that is
    /// believed.
    pub(in crate::export) fn counts_later(self, entry: &LedgerEntry, now: Timestamp) -> bool {
        let is_past = |started_at: Timestamp| {
            let past_at = started_at.checked_add(self.keep_for);
            past_at.is_ok_and(|past_at| now >= past_at)
        };
        entry.state.is_removable_copy()
            && !self.is_past(entry, now)
            && entry.chunk.started_at.is_some_and(is_past)
    }

    /// Whether its copy was removed, and the recording's personal data must still be deleted.
    pub(in crate::export) fn drops_people_of(self, entry: &LedgerEntry, now: Timestamp) -> bool {
        self.keeps == RetentionKeeps::Digests
            && matches!(entry.state, ChunkState::Removed { .. })
            && !entry.is_without_people()
            && self.is_past(entry, now)
    }
}

/// Start of the retention: the start of the recording if that is plausible, else the arrival of its event.
pub(in crate::export) fn counted_from(entry: &LedgerEntry) -> Timestamp {
    // A start long before must not make a new copy look old.
    let started_at = entry.chunk.believed_start(entry.recorded_at);
    started_at.map_or(entry.recorded_at, |at| at.min(entry.recorded_at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::entry::tests::entry;
    use crate::export::receipt::tests::receipt;
    use crate::export::state::SourceEnd;
    use jiff::SignedDuration;

    const YEAR: RetentionPolicy = RetentionPolicy {
        keep_for: Duration::from_hours(8760),
        keeps: RetentionKeeps::People,
    };

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn started(started_at: Option<&str>) -> LedgerEntry {
        let mut entry = entry();
        assert_eq!(entry.recorded_at, at("2026-03-02T09:00:00Z"));
        entry.chunk.started_at = started_at.map(at);
        entry
    }

    #[rstest::rstest]
    #[case::from_the_start_of_the_recording(Some("2026-03-01T20:00:00Z"), "2027-03-01T20:00:00Z")]
    #[case::else_from_when_its_event_came(None, "2027-03-02T09:00:00Z")]
    #[case::not_from_a_start_that_is_no_time(Some("0001-01-01T00:00:00Z"), "2027-03-02T09:00:00Z")]
    #[case::not_from_a_start_in_the_future(Some("2999-01-01T00:00:00Z"), "2027-03-02T09:00:00Z")]
    fn a_policy_counts(#[case] started_at: Option<&str>, #[case] past_at: &str) {
        let entry = started(started_at);
        assert_eq!(YEAR.past_at(&entry), at(past_at));
        assert!(YEAR.is_past(&entry, at(past_at)));
        assert!(!YEAR.is_past(&entry, at(past_at) - SignedDuration::from_nanos(1)));
    }

    #[test]
    fn a_policy_beyond_all_time_is_never_past() {
        let forever = RetentionPolicy {
            keep_for: Duration::MAX,
            ..YEAR
        };
        assert!(!forever.is_past(&started(None), at("9999-01-01T00:00:00Z")));
    }

    #[test]
    fn people_are_dropped_of_removed_copies_only_and_only_where_the_policy_keeps_digests() {
        let digests = RetentionPolicy {
            keeps: "digests".parse().unwrap(),
            ..YEAR
        };
        let late = at("2030-01-01T00:00:00Z");
        let removed = LedgerEntry {
            state: ChunkState::Removed {
                receipt: Some(receipt()),
                source: None,
                removed_at: late,
                reason: String::new(),
            },
            ..started(None)
        };
        assert!(digests.drops_people_of(&removed, late));
        assert!(!YEAR.drops_people_of(&removed, late));
        assert!(!digests.drops_people_of(&removed, at("2026-03-03T00:00:00Z")));
        assert!(
            !digests.drops_people_of(&started(None), late),
            "it has a copy"
        );
        let dropped = LedgerEntry {
            people_dropped: true,
            ..removed
        };
        assert!(!digests.drops_people_of(&dropped, late), "it is done");
        assert!("none".parse::<RetentionKeeps>().is_err());
    }

    #[test]
    fn only_settled_copies_are_concerned() {
        let (soon, late) = (at("2026-03-03T00:00:00Z"), at("2030-01-01T00:00:00Z"));
        let concerned = |state: ChunkState, now| {
            YEAR.concerns(
                &LedgerEntry {
                    state,
                    ..started(None)
                },
                now,
            )
        };
        let (receipt, reason) = (receipt(), String::new());
        let deleted = ChunkState::SourceDeleted {
            receipt: receipt.clone(),
            deleted_at: soon,
        };
        assert!(!concerned(deleted.clone(), soon) && concerned(deleted, late));
        assert!(concerned(
            ChunkState::SourceLeft {
                receipt: receipt.clone(),
                reason: reason.clone()
            },
            late
        ));
        for state in [
            ChunkState::Pending,
            ChunkState::Exported {
                receipt: receipt.clone(),
            },
            ChunkState::Removed {
                receipt: Some(receipt.clone()),
                source: None,
                removed_at: soon,
                reason: reason.clone(),
            },
            ChunkState::Expired {
                seen_at: soon,
                reason: reason.clone(),
            },
            ChunkState::DeadLettered { at: soon, reason },
        ] {
            assert!(!concerned(state.clone(), late), "{state:?}");
        }
        let source = SourceEnd::Deleted { deleted_at: soon };
        assert!(
            concerned(
                ChunkState::Removing {
                    receipt: Some(receipt),
                    source,
                    began_at: soon
                },
                soon
            ),
            "what was begun is finished"
        );
    }
}
