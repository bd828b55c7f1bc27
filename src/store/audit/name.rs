//! Names and storage keys of logs, checkpoints and places in them. It reads and writes nothing.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use uuid::Uuid;

use crate::store::digest::Sha256Digest;

/// Everything of the audit log.
pub(super) const AUDIT: &str = "audit/";
pub(super) const CHECKPOINTS: &str = "audit/checkpoints/";
pub(super) const LIVE: &str = "audit/live/";
/// Where to begin to look for the newest checkpoint; may be behind.
pub(super) const NEWEST_CHECKPOINT: &str = "audit/newest-checkpoint.json";

/// Digits of a time in a log's name.
const TIME_DIGITS: usize = 14;
const RANDOM_DIGITS: usize = 32;
/// Digits of a number in a key.
const DIGITS_OF_KEY: usize = 12;
/// The largest number that a key can have.
pub(super) const LAST_NUMBER: u64 = 999_999_999_999;

/// A log of one process: when it began, and a random part. No two processes have the same.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct WriterName(String);

/// One document of one log.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AuditPosition {
    pub writer: WriterName,
    pub number: u64,
}

/// A checkpoint, and what it contains by its hash. Kept elsewhere, it proves later that nothing before it was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CheckpointRef {
    #[serde(deserialize_with = "number")]
    pub number: u64,
    pub sha256: Sha256Digest,
}

/// Text that is not a name in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected {0}")]
pub struct InvalidName(&'static str);

impl WriterName {
    /// A name that no other process has.
    pub(super) fn beginning_at(now: Timestamp) -> Self {
        let random = Uuid::new_v4().simple();
        Self(format!("{}-{random}", now.strftime("%Y%m%d%H%M%S")))
    }

    /// The key of a document of this log.
    pub(super) fn document(&self, number: u64) -> String {
        format!("{AUDIT}{self}/{number:012}.json")
    }

    /// The key of the marker that this log has while it is open.
    pub(super) fn live_marker(&self) -> String {
        format!("{LIVE}{self}")
    }
}

impl fmt::Display for WriterName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for WriterName {
    type Err = InvalidName;
    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let is_name = text.split_once('-').is_some_and(|(time, random)| {
            time.len() == TIME_DIGITS
                && time.bytes().all(|byte| byte.is_ascii_digit())
                && random.len() == RANDOM_DIGITS
                && random.bytes().all(|byte| byte.is_ascii_hexdigit())
        });
        if is_name {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidName("the name of a log, <time>-<random>"))
        }
    }
}

impl TryFrom<String> for WriterName {
    type Error = InvalidName;
    fn try_from(text: String) -> Result<Self, InvalidName> {
        text.parse()
    }
}

impl From<WriterName> for String {
    fn from(name: WriterName) -> Self {
        name.0
    }
}

impl AuditPosition {
    /// The key of the document in the log's storage.
    pub fn key(&self) -> String {
        self.writer.document(self.number)
    }

    /// The position of the document with this key; `None` for a checkpoint or a marker.
    pub(super) fn of_key(key: &str) -> Option<Self> {
        let (writer, number) = key
            .strip_prefix(AUDIT)?
            .strip_suffix(".json")?
            .split_once('/')?;
        Some(Self {
            writer: writer.parse().ok()?,
            number: number_of_key(number)?,
        })
    }
}

impl fmt::Display for AuditPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.writer, self.number)
    }
}

impl FromStr for AuditPosition {
    type Err = InvalidName;
    fn from_str(text: &str) -> Result<Self, InvalidName> {
        const EXPECTED: InvalidName = InvalidName("a place in the audit log, <log>/<number>");
        let (writer, number) = text.split_once('/').ok_or(EXPECTED)?;
        Ok(Self {
            writer: writer.parse()?,
            number: number_of_text(number).ok_or(EXPECTED)?,
        })
    }
}

impl TryFrom<String> for AuditPosition {
    type Error = InvalidName;
    fn try_from(text: String) -> Result<Self, InvalidName> {
        text.parse()
    }
}

impl From<AuditPosition> for String {
    fn from(position: AuditPosition) -> Self {
        position.to_string()
    }
}

impl CheckpointRef {
    /// The subject of its records.
    pub fn subject(self) -> String {
        format!("checkpoint {self}")
    }
}

impl fmt::Display for CheckpointRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.number, self.sha256)
    }
}

impl FromStr for CheckpointRef {
    type Err = InvalidName;
    fn from_str(text: &str) -> Result<Self, InvalidName> {
        const EXPECTED: InvalidName =
            InvalidName("<number>:<sha256> of a checkpoint, as `audit verify` prints it");
        let (number, sha256) = text.trim().split_once(':').ok_or(EXPECTED)?;
        let sha256 = Sha256Digest::try_from(sha256.to_owned()).map_err(|_| EXPECTED)?;
        Ok(Self {
            number: number_of_text(number).ok_or(EXPECTED)?,
            sha256,
        })
    }
}

/// The key of a checkpoint.
pub(super) fn checkpoint(number: u64) -> String {
    format!("{CHECKPOINTS}{number:012}.json")
}

/// The number of the checkpoint under this key.
pub(super) fn checkpoint_of_key(key: &str) -> Option<u64> {
    number_of_key(key.strip_prefix(CHECKPOINTS)?.strip_suffix(".json")?)
}

/// A number exactly as keys have it.
pub(super) fn number_of_key(text: &str) -> Option<u64> {
    number_of_text(text).filter(|_| text.len() == DIGITS_OF_KEY)
}

fn number_of_text(text: &str) -> Option<u64> {
    let is_whole = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|_| is_whole);
    number.filter(|number| is_number(*number))
}

/// Whether a key can have this number. The first one is 1.
fn is_number(number: u64) -> bool {
    (1..=LAST_NUMBER).contains(&number)
}

/// Reads a number that a key can have: what is computed from it does not overflow.
pub(super) fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let number = u64::deserialize(deserializer)?;
    if is_number(number) {
        Ok(number)
    } else {
        Err(D::Error::custom(
            "expected a number from 1 on, of at most 12 digits",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_survives_its_text_form_and_its_key() {
        let now = "2026-03-02T10:00:00Z".parse().unwrap();
        let position = AuditPosition {
            writer: WriterName::beginning_at(now),
            number: 7,
        };
        assert!(position.writer.to_string().starts_with("20260302100000-"));
        assert_eq!(position.to_string().parse(), Ok(position.clone()));
        assert_eq!(
            AuditPosition::of_key(&position.key()),
            Some(position.clone())
        );
        for key in [
            &checkpoint(7),
            &position.writer.live_marker(),
            NEWEST_CHECKPOINT,
            "audit/000000000001.json",
            "audit/",
        ] {
            assert_eq!(AuditPosition::of_key(key), None, "{key}");
        }
        for number in [
            "000000000000",
            "0",
            "1",
            "00000000000+5",
            "+00000000005",
            "18446744073709551615",
        ] {
            let key = format!("{AUDIT}{}/{number}.json", position.writer);
            assert_eq!(AuditPosition::of_key(&key), None, "{key}");
            let key = format!("{CHECKPOINTS}{number}.json");
            assert_eq!(checkpoint_of_key(&key), None, "{key}");
        }
    }

    #[test]
    fn a_noted_checkpoint_survives_its_text_form() {
        let noted = CheckpointRef {
            number: 12,
            sha256: Sha256Digest::of(b"a"),
        };
        assert_eq!(noted.to_string().parse(), Ok(noted));
        for wrong in ["", "12", "12:", "x:00", "12:abc"] {
            assert!(wrong.parse::<CheckpointRef>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_number_that_no_key_can_have_is_no_name() {
        let (sha256, writer) = (Sha256Digest::of(b"a"), "a".repeat(32));
        let is_name = |number: &str| {
            let document = format!(r#"{{"number": {number}, "sha256": "{sha256}"}}"#);
            let all = [
                serde_json::from_str::<CheckpointRef>(&document).is_ok(),
                format!("{number}:{sha256}")
                    .parse::<CheckpointRef>()
                    .is_ok(),
                format!("20260302100000-{writer}/{number}")
                    .parse::<AuditPosition>()
                    .is_ok(),
            ];
            assert!(all == [all[0]; 3], "{number}: {all:?}");
            all[0]
        };
        for number in ["1", "999999999999"] {
            assert!(is_name(number), "{number}");
        }
        for number in ["0", "1000000000000", "18446744073709551615"] {
            assert!(!is_name(number), "{number}");
        }
    }
}
