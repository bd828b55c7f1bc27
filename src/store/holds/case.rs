//! Subjects of holds, and their cases. It knows no storage.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::rule::HoldRule;
use crate::recording::{CallId, RecordingChunk, RecordingId, ServerCallId};
use crate::store::digest::Sha256Digest;

/// A tag is a file number, not a text.
const MAX_TAG_LENGTH: usize = 128;

/// What is held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Held {
    RecordingId(RecordingId),
    /// The call as events name it (`callId`), or as Call Automation does (`serverCallId`).
    CallId(CallId),
    /// Every recording that a rule matches, also one that does not exist yet.
    Matching(HoldRule),
}

/// The name of a case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CaseTag(String);

/// Text that is not a valid case name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected 1 to {MAX_TAG_LENGTH} characters, none of them a control character")]
pub struct InvalidTag;

/// Why something is held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Case {
    pub tag: CaseTag,
    /// The operator who placed the hold, marked if the name is not verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Who requested the hold, as the operator wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested_by: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    pub since: Timestamp,
}

/// A hold as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    pub held: Held,
    pub cases: Vec<Case>,
    /// Released cases, which no longer hold it: a repeated release finds that it was already done.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub released: Vec<CaseTag>,
}

impl Held {
    /// The rule of a standing hold.
    pub fn rule(&self) -> Option<&HoldRule> {
        match self {
            Self::Matching(rule) => Some(rule),
            Self::RecordingId(_) | Self::CallId(_) => None,
        }
    }

    /// Returns the subjects of the audit log's records of this hold.
    pub fn audit_subjects(&self) -> Vec<String> {
        match self {
            Self::RecordingId(_) | Self::CallId(_) => vec![self.to_string()],
            Self::Matching(rule) => rule.audit_subjects(),
        }
    }

    /// Every name by which a chunk may be held, also those that a contradicting event gave it. Rules are separate.
    pub fn covering(chunk: &RecordingChunk) -> impl Iterator<Item = Self> + Send {
        // A hold by the name that stood for the recording stays in force when a later event names the recording.
        let recordings = chunk.filing_names().map(Self::RecordingId);
        let calls = held_calls(chunk.call_id.as_ref(), chunk.server_call_id.as_ref());
        let otherwise = chunk.named_otherwise.iter().flat_map(|names| {
            let recording = names.recording_id.clone().map(Self::RecordingId);
            let calls = held_calls(names.call_id.as_ref(), names.server_call_id.as_ref());
            recording.into_iter().chain(calls)
        });
        recordings.chain(calls).chain(otherwise)
    }

    /// Every name by which a call may be held.
    pub fn of_call(id: &CallId) -> impl Iterator<Item = Self> + Send + use<> {
        held_calls(Some(id), None)
    }

    /// Whether a chunk belongs to the recording or call that is held. A rule never covers by name.
    pub fn covers(&self, chunk: &RecordingChunk) -> bool {
        Self::covering(chunk).any(|held| held == *self)
    }

    /// The same subject in the one form under which it is held.
    #[must_use]
    pub fn in_one_form(self) -> Self {
        match self {
            Self::CallId(id) => Self::CallId(id.in_small_letters().unwrap_or(id)),
            Self::RecordingId(_) | Self::Matching(_) => self,
        }
    }

    /// Other forms in which an earlier version may have held the same id.
    pub(super) fn other_forms(&self) -> Vec<Self> {
        let call = match self {
            Self::CallId(id) => Some(id),
            Self::RecordingId(_) | Self::Matching(_) => None,
        };
        let capitals = call.and_then(CallId::in_capitals).map(Self::CallId);
        let as_given = call.cloned().map(Self::CallId);
        let others = [self.without_spaces(), as_given, capitals];
        let one_form = self.clone().in_one_form();
        let others = others.into_iter().flatten();
        others.filter(|other| *other != one_form).collect()
    }

    /// The same id without spaces around it, if it has any.
    fn without_spaces(&self) -> Option<Self> {
        let shortened = |id: &str| Some(id.trim().to_owned()).filter(|trimmed| trimmed != id);
        match self {
            Self::RecordingId(id) => {
                let id = shortened(id.as_str())?;
                RecordingId::try_from(id).ok().map(Self::RecordingId)
            }
            Self::CallId(id) => {
                let id = shortened(id.as_str())?;
                CallId::try_from(id).ok().map(Self::CallId)
            }
            Self::Matching(_) => None,
        }
    }

    fn has_names_of(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Matching(rule), Self::Matching(other)) => rule.has_names_of(other),
            (Self::RecordingId(_) | Self::CallId(_) | Self::Matching(_), _) => true,
        }
    }

    fn add_names_of(&mut self, other: &Self) {
        if let (Self::Matching(rule), Self::Matching(other)) = (self, other) {
            rule.add_names_of(other);
        }
    }

    /// The name of the document that keeps its cases.
    pub(super) fn digest(&self) -> Sha256Digest {
        let name = match self {
            Self::RecordingId(id) => format!("recording:{}", id.key()),
            Self::CallId(id) => format!("call:{}", id.key()),
            Self::Matching(rule) => return rule.digest(),
        };
        Sha256Digest::of(name.as_bytes())
    }
}

/// Every name by which a call may be held.
fn held_calls(
    call: Option<&CallId>,
    server_call: Option<&ServerCallId>,
) -> impl Iterator<Item = Held> + Send + use<> {
    let server_call = server_call.and_then(|id| CallId::try_from(String::from(id.clone())).ok());
    let small = call.and_then(CallId::in_small_letters);
    [call.cloned(), small, server_call]
        .into_iter()
        .flatten()
        .map(Held::CallId)
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RecordingId(id) => write!(f, "recording {id}"),
            Self::CallId(id) => write!(f, "call {id}"),
            Self::Matching(rule) => write!(f, "{rule}"),
        }
    }
}

impl Hold {
    /// Whether a case holds it, under every name that `held` has.
    pub(super) fn is_held_for(&self, held: &Held, tag: &CaseTag) -> bool {
        self.has_case(tag) && self.held.has_names_of(held)
    }

    /// Adds a case. The first record of a case stays. All names of a person stay until no case holds it: they may be those
    /// by which another case holds recordings.
    pub(super) fn add(&mut self, held: &Held, case: &Case) {
        if self.cases.is_empty() {
            // The id of a person was removed with the last case.
            self.held.clone_from(held);
        } else {
            self.held.add_names_of(held);
        }
        if !self.has_case(&case.tag) {
            self.cases.push(case.clone());
        }
        self.released.retain(|tag| *tag != case.tag);
    }

    fn has_case(&self, tag: &CaseTag) -> bool {
        self.cases.iter().any(|case| case.tag == *tag)
    }

    /// Removes personal data when no case holds it any more.
    pub(super) fn forget_if_released(&mut self) {
        if let (Held::Matching(rule), true) = (&mut self.held, self.cases.is_empty()) {
            rule.forget_names();
        }
    }
}

impl Case {
    /// Case of a standing hold whose document is not readable. What it covers is unknown, so it holds everything.
    pub(super) fn of_unreadable(key: &str) -> Self {
        let name = key.rsplit('/').next().unwrap_or(key);
        let short: String = name.chars().take(12).collect();
        Self {
            tag: CaseTag(format!("unreadable hold {short}")),
            by: None,
            requested_by: None,
            note: Some(format!(
                "`{key}` in the ledger is not readable; everything counts as held until it is readable"
            )),
            since: Timestamp::UNIX_EPOCH,
        }
    }
}

impl FromStr for CaseTag {
    type Err = InvalidTag;
    fn from_str(text: &str) -> Result<Self, InvalidTag> {
        let tag = text.trim();
        let is_fine = !tag.is_empty()
            && tag.chars().count() <= MAX_TAG_LENGTH
            && !tag.chars().any(char::is_control);
        if is_fine {
            Ok(Self(tag.to_owned()))
        } else {
            Err(InvalidTag)
        }
    }
}

impl TryFrom<String> for CaseTag {
    type Error = InvalidTag;
    fn try_from(text: String) -> Result<Self, InvalidTag> {
        text.parse()
    }
}

impl From<CaseTag> for String {
    fn from(tag: CaseTag) -> Self {
        tag.0
    }
}

impl fmt::Display for CaseTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The tags of cases, once each, for a sentence.
pub fn tags(cases: &[Case]) -> String {
    let tags: BTreeSet<&str> = cases.iter().map(|case| case.tag.0.as_str()).collect();
    let quoted: Vec<String> = tags.into_iter().map(|tag| format!("`{tag}`")).collect();
    quoted.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(tag: &str) -> Case {
        Case {
            tag: tag.parse().unwrap(),
            by: None,
            requested_by: None,
            note: None,
            since: Timestamp::UNIX_EPOCH,
        }
    }

    #[rstest::rstest]
    #[case("")]
    #[case("  ")]
    #[case("a\nb")]
    fn a_text_that_names_no_case_is_refused(#[case] text: &str) {
        assert_eq!(text.parse::<CaseTag>(), Err(InvalidTag));
    }

    #[test]
    fn tags_are_named_once_each() {
        assert_eq!(tags(&[case("B"), case("A"), case("B")]), "`A`, `B`");
    }
}
