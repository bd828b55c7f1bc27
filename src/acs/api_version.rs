//! The version of ACS's REST API that the client uses, and its features.
//!
//! Taken from the models of the official SDKs 1.0.0 to 1.6.0; the versions of 2021 from public session records.

use std::fmt;
use std::str::FromStr;

/// Paths, answers and signature of a family of versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Generation {
    /// 2021-04: `/conversations/{conversationId}/recordings…`, `operationContext`, flat errors, `Date` signed.
    Conversations,
    /// 2021-11: `/calling/recordings/{recordingId}/:pause`, with a slash before the colon.
    SlashColon,
    /// Since 2022: `/calling/recordings/{recordingId}:pause`.
    Current,
}

/// A supported version.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ApiVersion(&'static Known);

#[derive(PartialEq, Eq)]
struct Known {
    name: &'static str,
    generation: Generation,
    /// Members of a start's body that this version adds to those of the version before it.
    adds: &'static [&'static str],
}

/// In order of release: a version also has the members of the versions above it in its generation.
static KNOWN: [Known; 11] = [
    known(
        "2021-04-15-preview1",
        Generation::Conversations,
        &["recordingStateCallbackUri"],
    ),
    known(
        "2021-11-15-preview",
        Generation::SlashColon,
        &["callLocator", "recordingStateCallbackUri"],
    ),
    known("2022-04-07-preview", Generation::Current, &FIRST_FIELDS),
    known("2023-01-15-preview", Generation::Current, &[]),
    known("2023-03-06", Generation::Current, &[]),
    known("2023-10-15", Generation::Current, &[]),
    known(
        "2024-04-15",
        Generation::Current,
        &["pauseOnStart", "externalStorage"],
    ),
    known("2024-09-15", Generation::Current, &[]),
    known("2025-05-15", Generation::Current, &[]),
    known("2025-06-15", Generation::Current, &["callConnectionId"]),
    known("2026-03-12", Generation::Current, &[]),
];
const FIRST_FIELDS: [&str; 7] = [
    "callLocator",
    "recordingStateCallbackUri",
    "recordingContentType",
    "recordingChannelType",
    "recordingFormatType",
    "audioChannelParticipantOrdering",
    "channelAffinity",
];

const fn known(name: &'static str, generation: Generation, adds: &'static [&'static str]) -> Known {
    Known {
        name,
        generation,
        adds,
    }
}

/// An unsupported version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("is `{given}`; expected one of {}", KNOWN.each_ref().map(|known| known.name).join(", "))]
pub struct UnknownVersion {
    given: String,
}

impl ApiVersion {
    /// The value of `api-version`.
    pub fn as_str(self) -> &'static str {
        self.0.name
    }

    pub fn generation(self) -> Generation {
        self.0.generation
    }

    /// Whether a start's body may have this member.
    pub fn takes(self, field: &str) -> bool {
        let until = KNOWN
            .iter()
            .position(|known| known == self.0)
            .unwrap_or_default();
        let same_family = KNOWN[..=until]
            .iter()
            .filter(|known| known.generation == self.0.generation);
        same_family
            .flat_map(|known| known.adds)
            .any(|added| *added == field)
    }

    /// Returns the first version of the current generation that has this member of a start's body.
    pub fn that_takes(field: &str) -> Option<&'static str> {
        let current = KNOWN
            .iter()
            .filter(|known| known.generation == Generation::Current);
        current
            .into_iter()
            .find(|known| known.adds.contains(&field))
            .map(|known| known.name)
    }
}

impl FromStr for ApiVersion {
    type Err = UnknownVersion;
    fn from_str(text: &str) -> Result<Self, UnknownVersion> {
        let known = KNOWN.iter().find(|known| known.name == text);
        known.map(Self).ok_or_else(|| UnknownVersion {
            given: text.to_owned(),
        })
    }
}

impl fmt::Debug for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case("2026-03-12", "callConnectionId", true)]
    #[case("2025-05-15", "callConnectionId", false)]
    #[case("2024-04-15", "externalStorage", true)]
    #[case("2023-10-15", "pauseOnStart", false)]
    #[case("2022-04-07-preview", "channelAffinity", true)]
    #[case("2021-11-15-preview", "recordingFormatType", false)]
    #[case("2021-04-15-preview1", "recordingStateCallbackUri", true)]
    #[case("2021-04-15-preview1", "callLocator", false)]
    fn a_version_takes_what_its_models_have(
        #[case] version: ApiVersion,
        #[case] field: &str,
        #[case] expected: bool,
    ) {
        assert_eq!(version.takes(field), expected);
    }

    #[test]
    fn an_unknown_version_names_those_that_are_known() {
        let error = "1999".parse::<ApiVersion>().unwrap_err().to_string();
        assert!(
            error.contains("is `1999`")
                && error.contains("2021-04-15-preview1, 2021-11-15-preview"),
            "{error}"
        );
    }
}
