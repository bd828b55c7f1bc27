//! `--read-data-subset`: which copies are read, as restic picks packs: one of several groups, or a random share.

use std::collections::BTreeSet;
use std::str::FromStr;

use recording_vault::recording::DocumentId;
use recording_vault::store::digest::Sha256Digest;

/// Part of the copies. Pure: the same copies and the same seed give the same part.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ReadSubset {
    All,
    /// So many of a million.
    Share {
        millionths: u32,
    },
    /// Group `number`, from 1, of `of`: reading all groups one after the other reads everything once.
    Group {
        number: u32,
        of: u32,
    },
}

const MILLION: u32 = 1_000_000;
/// A thousandth of a per cent is as fine as it gets.
const PER_CENT: f64 = 10_000.0;

impl FromStr for ReadSubset {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const EXPECTED: &str = "expected `all`, a share such as `5%`, or a group such as `2/7`";
        if text == "all" {
            return Ok(Self::All);
        }
        if let Some(share) = text.strip_suffix('%') {
            let share: f64 = share.trim().parse().map_err(|_| EXPECTED)?;
            if !(share > 0.0 && share <= 100.0) {
                return Err("a share is more than 0% and at most 100%");
            }
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "it is between 0 and a million"
            )]
            return Ok(Self::Share {
                millionths: ((share * PER_CENT).round() as u32).max(1),
            });
        }
        let (number, of) = text.split_once('/').ok_or(EXPECTED)?;
        let (number, of) = (
            number.parse().map_err(|_| EXPECTED)?,
            of.parse().map_err(|_| EXPECTED)?,
        );
        if number == 0 || number > of {
            return Err("groups are counted from 1: `1/7` to `7/7`");
        }
        Ok(Self::Group { number, of })
    }
}

impl ReadSubset {
    /// Whether the seed makes a difference.
    pub fn is_random(self) -> bool {
        matches!(self, Self::Share { millionths } if millionths < MILLION)
    }

    /// The part of `documents` that is read; at least one of a share, unless there is none.
    pub fn choose<'a>(
        self,
        documents: impl Iterator<Item = &'a DocumentId>,
        seed: u64,
    ) -> BTreeSet<DocumentId> {
        match self {
            Self::All => documents.cloned().collect(),
            Self::Group { number, of } => {
                let is_in =
                    |id: &&DocumentId| hash(id.as_str()) % u64::from(of) == u64::from(number - 1);
                documents.filter(is_in).cloned().collect()
            }
            Self::Share { millionths } => {
                let mut shuffled: Vec<(u64, &DocumentId)> = documents
                    .map(|id| (hash(&format!("{seed} {id}")), id))
                    .collect();
                shuffled.sort_unstable();
                let count =
                    (shuffled.len() as u64 * u64::from(millionths)).div_ceil(u64::from(MILLION));
                shuffled
                    .into_iter()
                    .zip(0..count)
                    .map(|((_, id), _)| id.clone())
                    .collect()
            }
        }
    }
}

/// The same on every machine and in every version.
fn hash(text: &str) -> u64 {
    let digest = Sha256Digest::of(text.as_bytes()).to_bytes();
    digest
        .iter()
        .take(8)
        .fold(0, |hash, byte| hash << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn documents() -> Vec<DocumentId> {
        (0..200)
            .map(|number| format!("0-eus-d1-{number}").parse().unwrap())
            .collect()
    }

    fn chosen(subset: &str, seed: u64) -> BTreeSet<DocumentId> {
        subset
            .parse::<ReadSubset>()
            .unwrap()
            .choose(documents().iter(), seed)
    }

    #[test]
    fn the_groups_together_are_everything_and_none_is_in_two() {
        let groups: Vec<_> = (1..=7)
            .map(|number| chosen(&format!("{number}/7"), number))
            .collect();
        assert_eq!(groups.iter().map(BTreeSet::len).sum::<usize>(), 200);
        assert_eq!(
            groups.into_iter().flatten().collect::<BTreeSet<_>>().len(),
            200
        );
    }

    #[test]
    fn a_share_is_as_large_as_it_says_and_the_same_with_the_same_seed() {
        assert_eq!(chosen("5%", 1).len(), 10);
        assert_eq!(chosen("0.0001%", 1).len(), 1);
        assert_eq!(chosen("100%", 1).len(), 200);
        assert_eq!(chosen("5%", 1), chosen("5%", 1));
        assert_ne!(chosen("5%", 1), chosen("5%", 2));
        assert_eq!(chosen("all", 1).len(), 200);
    }

    #[rstest::rstest]
    #[case("")]
    #[case("0%")]
    #[case("101%")]
    #[case("NaN%")]
    #[case("-5%")]
    #[case("0/7")]
    #[case("8/7")]
    #[case("1/0")]
    #[case("some")]
    fn what_is_no_subset_is_refused(#[case] text: &str) {
        assert!(text.parse::<ReadSubset>().is_err());
    }
}
