//! The number of a document's file: pure, and it knows neither events nor vaults.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Files of one document that are exported.
pub const MOST_FILES: u8 = 4;

/// Number of a file of its document: 1, or 2 to 4 for a file that a later event announced in addition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct FileNumber(u8);

/// A number that no file of a document has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a number from 1 to {MOST_FILES}")]
pub struct InvalidFileNumber;

impl FileNumber {
    pub const FIRST: Self = Self(1);

    pub fn is_first(&self) -> bool {
        *self == Self::FIRST
    }

    /// All numbers, in order.
    pub fn all() -> impl Iterator<Item = Self> {
        (1..=MOST_FILES).map(Self)
    }
}

impl Default for FileNumber {
    fn default() -> Self {
        Self::FIRST
    }
}

impl TryFrom<u8> for FileNumber {
    type Error = InvalidFileNumber;
    fn try_from(number: u8) -> Result<Self, InvalidFileNumber> {
        if (1..=MOST_FILES).contains(&number) {
            Ok(Self(number))
        } else {
            Err(InvalidFileNumber)
        }
    }
}

impl From<FileNumber> for u8 {
    fn from(number: FileNumber) -> u8 {
        number.0
    }
}

impl FromStr for FileNumber {
    type Err = InvalidFileNumber;
    fn from_str(text: &str) -> Result<Self, InvalidFileNumber> {
        let number: u8 = text.trim().parse().map_err(|_| InvalidFileNumber)?;
        number.try_into()
    }
}

impl fmt::Display for FileNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case("1", true)]
    #[case(" 4 ", true)]
    #[case("0", false)]
    #[case("5", false)]
    #[case("-1", false)]
    #[case("two", false)]
    fn a_document_has_up_to_four_files(#[case] text: &str, #[case] expected: bool) {
        assert_eq!(text.parse::<FileNumber>().is_ok(), expected);
    }
}
