//! The checkpoints that a proof takes along: which, and whether each continues the one before. Knows no records.
//!
//! ```text
//! one run:    41 ─ 42 ─ … ─ 997, the newest
//! two runs:   41 ─ … ─ 60, which has a timestamp      (gap)      50000 ─ … ─ 95000, the newest
//! ```
//! What a checkpoint before a gap proves is not tied to the newest checkpoint: a timestamp proves it, or nothing does.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use bytes::Bytes;
use futures::{Stream, StreamExt as _, TryStreamExt as _};

use super::name;
use super::reading::AT_ONCE;
use super::record::{ChainEnd, Checkpoint};
use super::{AuditLog, CheckpointRef, StoreError};
use crate::store::digest::Sha256Digest;

/// Limit of checkpoints in the run to the newest: those of a month with one each minute, about 45 MB. The runs before it
/// have as many together.
pub const MOST_CHECKPOINTS: u64 = 45_000;

/// The checkpoints of a proof: ranges of numbers, in order, with gaps between them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CheckpointRuns(Vec<RangeInclusive<u64>>);

/// Checkpoints between two runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckpointGap {
    /// The numbers that are left out.
    pub left_out: RangeInclusive<u64>,
    /// The checkpoint before them.
    pub last_before: u64,
}

/// A checkpoint of a proof, as it is stored.
#[derive(Debug)]
pub struct PackedCheckpoint {
    pub number: u64,
    /// `None`: it is missing.
    pub content: Option<Bytes>,
    /// Why the chain is broken here.
    pub problem: Option<String>,
}

impl CheckpointRuns {
    /// Takes all checkpoints from the first needed one to the newest if they are not too many. Otherwise each needed one
    /// is followed to the next stamped one.
    pub(super) fn of(needed: &BTreeSet<u64>, newest: u64, stamped: &BTreeSet<u64>) -> Self {
        let first = needed.first().copied().unwrap_or(newest).min(newest);
        let begin = newest.saturating_sub(MOST_CHECKPOINTS - 1).max(first);
        let of_newest = needed.range(begin..).next().copied().unwrap_or(newest);
        let of_newest = of_newest.min(newest);
        let mut runs: Vec<RangeInclusive<u64>> = Vec::new();
        let mut room = MOST_CHECKPOINTS;
        for number in needed.range(..of_newest).copied() {
            if runs.last().is_some_and(|run| run.contains(&number)) {
                continue;
            }
            let stamp = stamped.range(number..of_newest).next().copied();
            let stamp = stamp.filter(|stamp| stamp - number < room);
            let end = stamp.unwrap_or(number);
            room = room.saturating_sub(end - number + 1);
            runs.push(number..=end);
        }
        runs.push(of_newest..=newest);
        Self(joined(runs))
    }

    pub fn has(&self, number: u64) -> bool {
        self.0.iter().any(|run| run.contains(&number))
    }

    pub fn numbers(&self) -> impl Iterator<Item = u64> + Clone + use<> {
        self.0.clone().into_iter().flatten()
    }

    /// What is left out between the runs.
    pub fn gaps(&self) -> Vec<CheckpointGap> {
        let pairs = self.0.iter().zip(self.0.iter().skip(1));
        let gaps = pairs.map(|(run, next)| CheckpointGap {
            left_out: run.end() + 1..=next.start() - 1,
            last_before: *run.end(),
        });
        gaps.collect()
    }
}

/// Joins runs without a gap between them.
fn joined(runs: Vec<RangeInclusive<u64>>) -> Vec<RangeInclusive<u64>> {
    let mut joined: Vec<RangeInclusive<u64>> = Vec::new();
    for run in runs {
        match joined.last_mut() {
            Some(last) if *last.end() + 1 >= *run.start() => {
                *last = *last.start()..=(*run.end()).max(*last.end());
            }
            Some(_) | None => joined.push(run),
        }
    }
    joined
}

impl AuditLog {
    /// Reads the checkpoints of a proof one after the other, and compares each with the one before, and the newest with
    /// its reference.
    pub fn packed_checkpoints(
        &self,
        runs: &CheckpointRuns,
        newest: CheckpointRef,
    ) -> impl Stream<Item = Result<PackedCheckpoint, StoreError>> + Send {
        let reading = futures::stream::iter(runs.numbers()).map(move |number| async move {
            let stored = self.store.find(&name::checkpoint(number)).await?;
            Ok::<_, StoreError>((number, stored.map(|stored| stored.content)))
        });
        let mut chain = CheckpointChain {
            newest,
            before: None,
        };
        reading
            .buffered(AT_ONCE)
            .map_ok(move |(number, content)| chain.follow(number, content))
    }
}

/// A chain of checkpoints while it is read.
struct CheckpointChain {
    newest: CheckpointRef,
    before: Option<ChainEnd>,
}

impl CheckpointChain {
    fn follow(&mut self, number: u64, content: Option<Bytes>) -> PackedCheckpoint {
        let problem = match &content {
            None => Some(format!(
                "checkpoint {number} is missing from the audit log, so nothing leads from the checkpoints before it to the newest one"
            )),
            Some(content) => self.problem_of(number, content),
        };
        self.before = content.as_ref().map(|content| ChainEnd {
            number,
            sha256: Sha256Digest::of(content),
        });
        PackedCheckpoint {
            number,
            content,
            problem,
        }
    }

    fn problem_of(&self, number: u64, content: &[u8]) -> Option<String> {
        let Ok(checkpoint) = serde_json::from_slice::<Checkpoint>(content) else {
            return Some(format!(
                "checkpoint {number} of the audit log is not readable"
            ));
        };
        if checkpoint.number != number {
            let says = checkpoint.number;
            return Some(format!(
                "checkpoint {number} of the audit log says that it is number {says}"
            ));
        }
        let before = self.before.filter(|before| before.number + 1 == number);
        if before.is_some_and(|before| before.sha256 != checkpoint.previous) {
            return Some(format!(
                "checkpoint {number} of the audit log does not continue checkpoint {}",
                number - 1
            ));
        }
        let is_other =
            number == self.newest.number && Sha256Digest::of(content) != self.newest.sha256;
        is_other.then(|| {
            format!("checkpoint {number} of the audit log is not the one that was written as number {number}")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(needed: &[u64], newest: u64, stamped: &[u64]) -> Vec<RangeInclusive<u64>> {
        let needed = needed.iter().copied().collect();
        CheckpointRuns::of(&needed, newest, &stamped.iter().copied().collect()).0
    }

    #[test]
    fn a_chain_leads_from_the_first_needed_checkpoint_to_the_newest() {
        assert_eq!(runs(&[41, 60], 43_000, &[]), [41..=43_000]);
        assert_eq!(runs(&[1], MOST_CHECKPOINTS, &[]), [1..=MOST_CHECKPOINTS]);
        assert_eq!(runs(&[7], 7, &[]), [7..=7]);
        assert_eq!(runs(&[], 7, &[]), [7..=7], "nothing is proved");
    }

    #[test]
    fn a_checkpoint_too_far_from_the_newest_is_followed_to_its_stamp() {
        assert_eq!(
            runs(&[10, 20, 90_000], 100_000, &[5, 30, 1500]),
            [10..=30, 90_000..=100_000]
        );
        assert_eq!(
            runs(&[10], 100_000, &[1500]),
            [10..=1500, 100_000..=100_000]
        );
        let without_stamp = CheckpointRuns(runs(&[10, 90_000], 100_000, &[]));
        assert_eq!(without_stamp.numbers().next(), Some(10));
        assert!(without_stamp.has(10) && !without_stamp.has(11));
        let gap = CheckpointGap {
            left_out: 11..=89_999,
            last_before: 10,
        };
        assert_eq!(without_stamp.gaps(), [gap]);
    }

    #[test]
    fn a_proof_never_has_more_checkpoints_than_two_runs() {
        let needed: Vec<u64> = (0..90).map(|day| 1 + day * 1440).collect();
        let stamped: Vec<u64> = (1..90).map(|day| day * 1440).collect();
        let runs = CheckpointRuns(runs(&needed, 90 * 1440, &stamped));
        let count = u64::try_from(runs.numbers().count()).unwrap();
        assert!(count <= 2 * MOST_CHECKPOINTS + 90, "{count}");
        assert!(needed.iter().all(|number| runs.has(*number)));
    }
}
