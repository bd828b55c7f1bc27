//! A place in a list of the index, as a text that sorts newest first.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;

use crate::recording::DocumentId;
use crate::store::digest::Sha256Digest;

/// Times are counted back from here; what is later counts as then, what is before 1970 as 1970.
const LATEST_MS: i64 = 9_999_999_999_999;
pub(in crate::store) const DIGITS: usize = 13;
const SHA256_LENGTH: usize = 64;

/// A time in milliseconds, counted backwards: the newest is the smallest.
pub(in crate::store) fn back_ms(at: Timestamp) -> i64 {
    LATEST_MS - at.as_millisecond().clamp(0, LATEST_MS)
}

/// The nearest time that a list has: from 1970 to 2286.
pub fn listed_time(at: Timestamp) -> Timestamp {
    let latest = Timestamp::from_millisecond(LATEST_MS).unwrap_or(Timestamp::MAX);
    at.clamp(Timestamp::UNIX_EPOCH, latest)
}

/// A place in a list: a time, and what is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub(super) back_ms: i64,
    pub recording: Sha256Digest,
    pub document: Option<DocumentId>,
}

impl Place {
    /// The place of a recording in a list.
    pub fn of(at: Timestamp, recording: Sha256Digest) -> Self {
        Self {
            back_ms: back_ms(at),
            recording,
            document: None,
        }
    }

    /// Its time, to the millisecond.
    pub fn at(&self) -> Timestamp {
        Timestamp::from_millisecond(LATEST_MS - self.back_ms).unwrap_or(Timestamp::MAX)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:0DIGITS$}-{}", self.back_ms, self.recording)?;
        self.document
            .as_ref()
            .map_or(Ok(()), |document| write!(f, "-{document}"))
    }
}

impl FromStr for Place {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const PROBLEM: &str = "it is no place in a list";
        if !text.is_ascii() || text.len() < DIGITS + 1 + SHA256_LENGTH {
            return Err(PROBLEM);
        }
        let (digits, rest) = text.split_at(DIGITS);
        let (recording, document) = rest[1..].split_at(SHA256_LENGTH);
        let is_number = digits.bytes().all(|digit| digit.is_ascii_digit());
        let is_lower = recording.bytes().all(|digit| !digit.is_ascii_uppercase());
        let document = match document.strip_prefix('-') {
            Some(document) => Some(document.parse().map_err(|_| PROBLEM)?),
            None if document.is_empty() => None,
            None => return Err(PROBLEM),
        };
        if !is_number || !is_lower || !rest.starts_with('-') {
            return Err(PROBLEM);
        }
        Ok(Self {
            back_ms: digits.parse().map_err(|_| PROBLEM)?,
            recording: recording.to_owned().try_into().map_err(|_| PROBLEM)?,
            document,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::index::{Listed, recording_name};

    fn name(text: &str) -> Sha256Digest {
        recording_name(&text.parse().unwrap())
    }

    #[test]
    fn a_place_survives_its_text() {
        let place = Place {
            back_ms: 8_227_574_399_999,
            recording: name("r"),
            document: "0-eus-d1-a".parse().ok(),
        };
        assert_eq!(place.to_string().parse(), Ok(place.clone()));
        assert_eq!(Listed::All.place(&Listed::All.key(&place)), Some(place));
    }

    #[rstest::rstest]
    #[case("")]
    #[case("0000000000000-xyz")]
    #[case(
        "../../../../../../../../../../../../../../../../../../../../../../../../../../../../../etc/passwd"
    )]
    #[case("8227574399999-454349e422f05297191ead13e21d3db520e5abef52055e4964b82fb213f593a1-../x")]
    #[case("822757439999é-454349e422f05297191ead13e21d3db520e5abef52055e4964b82fb213f593a1")]
    fn another_text_is_no_place(#[case] text: &str) {
        assert!(text.parse::<Place>().is_err());
    }
}
