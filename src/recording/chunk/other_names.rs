//! Other recordings and calls by which events named a chunk. One of the events is wrong, and nothing tells which.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::RecordingChunk;
use crate::recording::id::{CallId, RecordingId, ServerCallId};

/// How many contradictions of one chunk are kept.
const MOST_NAMES: usize = 8;

/// The recording and the call of a chunk, by an event that contradicts the first one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OtherNames {
    pub recording_id: Option<RecordingId>,
    pub call_id: Option<CallId>,
    pub server_call_id: Option<ServerCallId>,
}

/// What an event says of the recording and the call of a known chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NamedAs {
    /// The same as is known, or nothing.
    Known,
    /// Another recording or call, as an earlier event did.
    AnotherAgain,
    /// Another one, noted now.
    Another,
    /// Another one, for which there is no room.
    AnotherWithoutRoom,
}

impl RecordingChunk {
    /// Compares the recording and the call that `newer` names with the known ones, and notes a contradiction. A name that
    /// was not known yet is none, and neither is another server call id, which is only noted: ACS may have several for a call.
    pub fn note_other_names(&mut self, newer: &Self) -> NamedAs {
        let names = OtherNames {
            recording_id: newer.recording_id.clone(),
            call_id: newer.call_id.clone(),
            server_call_id: newer.server_call_id.clone(),
        };
        let contradicts = self.is_contradicted_by(&names);
        let is_noted = self.named_otherwise.contains(&names);
        let has_room = self.named_otherwise.len() < MOST_NAMES;
        let is_news = contradicts || {
            let (known, newer) = (&self.server_call_id, &newer.server_call_id);
            differ(known.as_ref(), newer.as_ref())
        };
        if is_news && !is_noted && has_room {
            self.named_otherwise.push(names);
        }
        match (contradicts, is_noted, has_room) {
            (false, _, _) => NamedAs::Known,
            (true, true, _) => NamedAs::AnotherAgain,
            (true, false, true) => NamedAs::Another,
            (true, false, false) => NamedAs::AnotherWithoutRoom,
        }
    }

    /// Whether events named it under different recordings or calls.
    pub fn is_named_differently(&self) -> bool {
        let mut others = self.named_otherwise.iter();
        others.any(|names| self.is_contradicted_by(names))
    }

    /// Returns what it says of its file, without the recording and the call.
    #[must_use]
    pub fn without_names(&self) -> Self {
        Self {
            recording_id: None,
            call_id: None,
            server_call_id: None,
            ..self.clone()
        }
    }

    fn is_contradicted_by(&self, names: &OtherNames) -> bool {
        differ(self.recording_id.as_ref(), names.recording_id.as_ref())
            || self
                .call_id
                .as_ref()
                .zip(names.call_id.as_ref())
                .is_some_and(|(known, newer)| !is_same_call(known, newer))
    }
}

fn differ<T: PartialEq>(known: Option<&T>, newer: Option<&T>) -> bool {
    known
        .zip(newer)
        .is_some_and(|(known, newer)| known != newer)
}

/// Whether two ids name the same call. A UUID has one meaning in either case.
fn is_same_call(one: &CallId, other: &CallId) -> bool {
    let uuid = |id: &CallId| id.as_str().parse::<Uuid>().ok();
    one == other
        || uuid(one)
            .zip(uuid(other))
            .is_some_and(|(one, other)| one == other)
}

#[cfg(test)]
mod tests {
    use super::super::tests::chunk;
    use super::*;

    fn of(recording: Option<&str>, call: Option<&str>) -> RecordingChunk {
        RecordingChunk {
            recording_id: recording.map(|id| id.parse().unwrap()),
            call_id: call.map(|id| id.parse().unwrap()),
            ..chunk()
        }
    }

    #[rstest::rstest]
    #[case::the_same(Some("cmVjQQ"), Some("a"), NamedAs::Known)]
    #[case::in_another_spelling(Some("cmVjQQ=="), Some("A"), NamedAs::Known)]
    #[case::nothing(None, None, NamedAs::Known)]
    #[case::another_recording(Some("cmVjQg"), Some("a"), NamedAs::Another)]
    #[case::another_call(None, Some("b"), NamedAs::Another)]
    fn another_recording_or_call_is_a_contradiction(
        #[case] recording: Option<&str>,
        #[case] call: Option<&str>,
        #[case] expected: NamedAs,
    ) {
        let call_id = "7c62cca0-0000-4444-8888-00000000000";
        let call = call.map(|last| match last {
            "A" => format!("{call_id}a").to_uppercase(),
            last => format!("{call_id}{last}"),
        });
        let mut known = of(Some("cmVjQQ"), Some(&format!("{call_id}a")));
        let newer = of(recording, call.as_deref());
        assert_eq!(known.note_other_names(&newer), expected);
        let is_another = expected == NamedAs::Another;
        assert_eq!(known.is_named_differently(), is_another);
        let again = if is_another {
            NamedAs::AnotherAgain
        } else {
            expected
        };
        assert_eq!(known.note_other_names(&newer), again);
    }

    #[test]
    fn another_server_call_id_is_noted_and_contradicts_nothing() {
        let mut known = of(Some("cmVjQQ"), None);
        known.server_call_id = "first".parse().ok();
        let mut newer = known.clone();
        newer.server_call_id = "second".parse().ok();
        assert_eq!(known.note_other_names(&newer), NamedAs::Known);
        assert_eq!(known.named_otherwise.len(), 1);
        assert!(!known.is_named_differently());
    }

    #[test]
    fn a_name_that_was_not_known_yet_contradicts_nothing() {
        let mut known = of(None, Some("call-a"));
        let newer = of(Some("cmVjQQ"), Some("call-a"));
        assert_eq!(known.note_other_names(&newer), NamedAs::Known);
    }

    #[test]
    fn contradictions_do_not_add_up_without_end() {
        let mut known = of(Some("cmVjQQ"), None);
        for number in 0..MOST_NAMES {
            let newer = of(Some(&format!("other{number}")), None);
            assert_eq!(known.note_other_names(&newer), NamedAs::Another);
        }
        let newer = of(Some("one-more"), None);
        assert_eq!(known.note_other_names(&newer), NamedAs::AnotherWithoutRoom);
        assert_eq!(known.named_otherwise.len(), MOST_NAMES);
    }
}
