//! Identifiers as newtypes. `FromStr` is the only constructor: an id of such a type is valid.
//!
//! ACS's ids are base64, and one id is written with and without its padding, and in either alphabet. A type keeps the
//! text for the wire, once for all its clones; `Eq`, `Ord`, `Hash` and keys use [`canonical`].

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Longest id accepted. A real `serverCallId` has about 150 characters, a real `documentId` 44.
const MAX_ID_LENGTH: usize = 1024;
/// A `documentId` becomes part of a file name; 255 bytes is the limit of every common file system.
const MAX_DOCUMENT_ID_LENGTH: usize = 128;
/// How the ids of imported chunks begin. Those of ACS begin with a digit.
const IMPORTED: &str = "imported-";

/// Why a text is not an id of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidId {
    #[error("{kind} is empty")]
    Empty { kind: &'static str },
    #[error("{kind} has {length} characters, more than the {limit} allowed")]
    TooLong {
        kind: &'static str,
        length: usize,
        limit: usize,
    },
    #[error("{kind} contains the character {character:?}, which is not allowed")]
    Character { kind: &'static str, character: char },
}

fn check(
    kind: &'static str,
    text: &str,
    limit: usize,
    allowed: fn(char) -> bool,
) -> Result<(), InvalidId> {
    if text.is_empty() {
        return Err(InvalidId::Empty { kind });
    }
    if text.len() > limit {
        return Err(InvalidId::TooLong {
            kind,
            length: text.len(),
            limit,
        });
    }
    if matches!(text, "." | "..") {
        // A path segment of that name is another path.
        return Err(InvalidId::Character {
            kind,
            character: '.',
        });
    }
    match text.chars().find(|&character| !allowed(character)) {
        Some(character) => Err(InvalidId::Character { kind, character }),
        None => Ok(()),
    }
}

/// Returns the one form of an id: base64 in the URL alphabet, without padding. Text that is not base64 stays as it is.
pub fn canonical(id: &str) -> Cow<'_, str> {
    let body = id.trim_end_matches('=');
    let is_base64 = !body.is_empty()
        && id.len() - body.len() <= 2
        && body.len() % 4 != 1
        && body
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+/-_".contains(&byte));
    if !is_base64 {
        return Cow::Borrowed(id);
    }
    if body.contains(['+', '/']) {
        Cow::Owned(body.replace('+', "-").replace('/', "_"))
    } else {
        Cow::Borrowed(body)
    }
}

/// Returns the form in which two ids are compared of which a person or another system wrote one: that of [`canonical`], and a
/// UUID in small letters, because it has one meaning in either case. No key has this form.
pub fn comparable(id: &str) -> Cow<'_, str> {
    let has_capitals = id.bytes().any(|byte| byte.is_ascii_uppercase());
    if has_capitals && Uuid::try_parse(id).is_ok() {
        return Cow::Owned(id.to_ascii_lowercase());
    }
    canonical(id)
}

/// Whether a text is a part of an id, whatever the alphabet and the padding of both, and of a UUID in either case.
pub fn has_part(id: &str, part: &str) -> bool {
    let one_form = |text: &str| {
        text.trim_end_matches('=')
            .replace('+', "-")
            .replace('/', "_")
    };
    let wanted = one_form(part);
    if wanted.is_empty() {
        return id.contains(part);
    }
    if Uuid::try_parse(id).is_ok() {
        let wanted = wanted.to_ascii_lowercase();
        return id.to_ascii_lowercase().contains(&wanted);
    }
    one_form(id).contains(&wanted)
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $limit:expr, $allowed:expr) => {
        $(#[$doc])*
        #[derive(Clone, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// Returns the id as text, exactly as it was received.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// Returns the form that is compared, hashed and used in keys.
            pub fn key(&self) -> Cow<'_, str> {
                canonical(&self.0)
            }
        }

        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                self.key() == other.key()
            }
        }

        impl Eq for $name {}

        impl PartialOrd for $name {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }

        impl Ord for $name {
            fn cmp(&self, other: &Self) -> Ordering {
                self.key().cmp(&other.key())
            }
        }

        impl Hash for $name {
            fn hash<H: Hasher>(&self, state: &mut H) {
                self.key().hash(state);
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                check($kind, text, $limit, $allowed)?;
                Ok(Self(text.into()))
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;
            fn try_from(text: String) -> Result<Self, InvalidId> {
                check($kind, &text, $limit, $allowed)?;
                Ok(Self(text.into()))
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0.as_ref().to_owned()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", self.0)
            }
        }
    };
}

fn printable(character: char) -> bool {
    !character.is_control()
}

/// `0-eus-d12-<32 hex>` on the wire. Letters, digits, `-`, `_` only: it names ledger entries and files.
fn document_character(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '-' | '_')
}

id!(
    /// The storage object of one chunk at ACS, for example `0-eus-d12-801b3f3fc462fe8a01e6810cbff729b8`.
    /// It identifies a chunk: redelivered events carry the same one.
    DocumentId, "documentId", MAX_DOCUMENT_ID_LENGTH, document_character
);
id!(
    /// A recording at ACS: opaque, base64url of a JSON object in practice.
    RecordingId, "recordingId", MAX_ID_LENGTH, printable
);
id!(
    /// The call as Call Automation names it: opaque, base64 of a conversation URL in practice.
    ServerCallId, "serverCallId", MAX_ID_LENGTH, printable
);
id!(
    /// The call as the event's subject names it: a GUID in practice.
    CallId, "callId", MAX_ID_LENGTH, printable
);

impl DocumentId {
    /// An id for a chunk that no event announced and that an operator imports.
    ///
    /// # Errors
    /// When the name has characters that no document id has.
    pub fn of_import(name: &str) -> Result<Self, InvalidId> {
        format!("{IMPORTED}{name}").parse()
    }

    /// Whether it is such an id: ACS does not know it.
    pub fn is_of_import(&self) -> bool {
        self.as_str().starts_with(IMPORTED)
    }
}

impl CallId {
    /// Whether it is a UUID, which has one meaning in capitals and in small letters.
    pub fn is_uuid(&self) -> bool {
        Uuid::try_parse(self.as_str()).is_ok()
    }

    /// The same UUID in small letters; `None` if it is no UUID or has no capitals.
    pub fn in_small_letters(&self) -> Option<Self> {
        let small = self.as_str().to_ascii_lowercase();
        (self.is_uuid() && small != self.as_str()).then(|| Self(small.into()))
    }

    /// The same UUID in capitals; `None` if it is no UUID or has no small letters.
    pub fn in_capitals(&self) -> Option<Self> {
        let capitals = self.as_str().to_ascii_uppercase();
        (self.is_uuid() && capitals != self.as_str()).then(|| Self(capitals.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_real_document_id_is_accepted() {
        let id: DocumentId = "0-eus-d12-801b3f3fc462fe8a01e6810cbff729b8"
            .parse()
            .unwrap();
        assert_eq!(id.as_str(), "0-eus-d12-801b3f3fc462fe8a01e6810cbff729b8");
    }

    #[rstest::rstest]
    #[case::empty("")]
    #[case::traversal("../../etc/passwd")]
    #[case::slash("a/b")]
    #[case::dots("..")]
    #[case::nul("a\0b")]
    #[case::space("a b")]
    #[case::unicode("å")]
    fn a_document_id_that_could_leave_its_folder_is_refused(#[case] text: &str) {
        assert!(text.parse::<DocumentId>().is_err());
    }

    #[test]
    fn an_id_that_is_a_step_in_a_path_is_refused() {
        assert!("..".parse::<RecordingId>().is_err() && ".".parse::<CallId>().is_err());
    }

    #[test]
    fn a_huge_id_is_refused_with_both_lengths_named() {
        let error = "a".repeat(5000).parse::<RecordingId>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "recordingId has 5000 characters, more than the 1024 allowed"
        );
    }

    #[test]
    fn a_stored_id_is_checked_again_when_it_is_read() {
        assert!(serde_json::from_str::<DocumentId>("\"../x\"").is_err());
    }

    #[rstest::rstest]
    #[case::padding("aHR0cHM6Ly9hcGk=", "aHR0cHM6Ly9hcGk")]
    #[case::two("aHR0cHM6Ly9hcA==", "aHR0cHM6Ly9hcA")]
    #[case::alphabets("a+b/cd", "a-b_cd")]
    #[case::both("a+b/c+d=", "a-b_c-d")]
    #[case::wrong_padding("aHR0cHM6Ly9hcA=", "aHR0cHM6Ly9hcA==")]
    fn an_id_is_one_id_however_its_base64_is_written(#[case] one: &str, #[case] other: &str) {
        let (one, other): (ServerCallId, ServerCallId) =
            (one.parse().unwrap(), other.parse().unwrap());
        assert_eq!(one, other);
        assert_eq!(one.cmp(&other), Ordering::Equal);
        assert_eq!(
            std::collections::HashSet::from([one.clone(), other.clone()]).len(),
            1
        );
        assert_ne!(
            one.as_str(),
            other.as_str(),
            "the texts are kept for the wire"
        );
    }

    #[rstest::rstest]
    #[case::whole("aHR0cHM6Ly9hcA", "aHR0cHM6Ly9hcA==", true)]
    #[case::padded_id("aHR0cHM6Ly9hcA==", "hcA", true)]
    #[case::other_alphabet("a-b_c-d", "b/c+d=", true)]
    #[case::own_alphabet("a+b/c+d=", "b_c", true)]
    #[case::letters("aHR0cHM6", "HR0CHM", false)]
    #[case::only_padding("abcd", "==", false)]
    #[case::capitals("7c62cca0-0000-4444-8888-00000000abcd", "7C62CCA0-0000", true)]
    #[case::small_letters("7C62CCA0-0000-4444-8888-00000000ABCD", "0000abcd", true)]
    #[case::another("7C62CCA0-0000-4444-8888-00000000ABCD", "0000abce", false)]
    fn a_part_of_an_id_is_found_however_both_are_written(
        #[case] id: &str,
        #[case] part: &str,
        #[case] expected: bool,
    ) {
        assert_eq!(has_part(id, part), expected);
    }

    #[rstest::rstest]
    #[case::case(
        "7C62CCA0-0000-4444-8888-00000000ABCD",
        "7c62cca0-0000-4444-8888-00000000abcd",
        true
    )]
    #[case::padding("aHR0cHM6Ly9hcGk=", "aHR0cHM6Ly9hcGk", true)]
    #[case::letters("aHR0cHM6", "ahr0chm6", false)]
    fn ids_of_two_sources_are_compared_in_one_form(
        #[case] one: &str,
        #[case] other: &str,
        #[case] expected: bool,
    ) {
        assert_eq!(comparable(one) == comparable(other), expected);
    }

    #[rstest::rstest]
    #[case::letters("aHR0cHM6", "ahr0chm6")]
    #[case::no_base64("call a+b", "call a-b")]
    #[case::length("a+bcd", "a-bcd")]
    #[case::only_padding("==", "=")]
    #[case::too_much_padding("abcd===", "abcd")]
    #[case::padding_inside("ab=cd", "abcd")]
    fn other_ids_stay_apart(#[case] one: &str, #[case] other: &str) {
        let (one, other): (CallId, CallId) = (one.parse().unwrap(), other.parse().unwrap());
        assert_ne!(one, other);
    }
}
