//! Finds the ids in an event's subject by their markers: every generation of events has another number of segments.
//!
//! An id may contain slashes itself (a server call id is base64): it ends at the next marker, not at the next slash.

use super::id::{CallId, RecordingId, ServerCallId};

const FILE_MARKERS: [&str; 3] = ["call", "serverCallId", "recordingId"];
/// What may follow the id in the subjects of call events.
const CALL_MARKERS: [&str; 5] = [
    "call",
    "startedBy",
    "endedBy",
    "participant",
    "participants",
];

/// `/recording/call/{callId}/serverCallId/{serverCallId}/recordingId/{recordingId}`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct SubjectIds {
    pub call_id: Option<CallId>,
    pub server_call_id: Option<ServerCallId>,
    pub recording_id: Option<RecordingId>,
}

impl SubjectIds {
    pub(super) fn parse(subject: &str) -> Self {
        let after = |marker| value_after(subject, marker, &FILE_MARKERS);
        Self {
            call_id: after("call").and_then(|text| text.parse().ok()),
            server_call_id: after("serverCallId").and_then(|text| text.parse().ok()),
            recording_id: after("recordingId").and_then(|text| text.parse().ok()),
        }
    }
}

/// `call/{serverCallId}/startedBy/{rawId}`.
pub(super) fn server_call_id(subject: &str) -> Option<&str> {
    value_after(subject, "call", &CALL_MARKERS)
}

/// Who started the call: the raw id of the same subject.
pub(super) fn started_by(subject: &str) -> Option<&str> {
    value_after(subject, "startedBy", &CALL_MARKERS)
}

/// Returns the text between `marker` and the next of the other `markers`, or the end.
fn value_after<'a>(subject: &'a str, marker: &str, markers: &[&str]) -> Option<&'a str> {
    let mut start = None;
    let mut offset = 0;
    // Each marker occurs once: a repetition of its spelling belongs to an id.
    let mut ahead: Vec<&str> = markers.to_vec();
    for segment in subject.split('/') {
        let next = offset + segment.len() + 1;
        if let Some(at) = ahead
            .iter()
            .position(|marker| segment.eq_ignore_ascii_case(marker))
        {
            let found = ahead.swap_remove(at);
            match start {
                None if found.eq_ignore_ascii_case(marker) => start = Some(next),
                Some(start) => return non_empty(&subject[start..offset]),
                None => {}
            }
        }
        offset = next;
    }
    non_empty(subject.get(start?..)?)
}

fn non_empty(value: &str) -> Option<&str> {
    let value = value.trim_end_matches('/');
    (!value.is_empty()).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(subject: &str) -> [Option<String>; 3] {
        let ids = SubjectIds::parse(subject);
        [
            ids.call_id.map(String::from),
            ids.server_call_id.map(String::from),
            ids.recording_id.map(String::from),
        ]
    }

    #[rstest::rstest]
    #[case::of_2021("/recording/call/c", ["c", "", ""])]
    #[case::of_2022("/recording/call/c/recordingId/r", ["c", "", "r"])]
    #[case::of_today("/recording/call/c/serverCallId/s/recordingId/r", ["c", "s", "r"])]
    #[case::own_storage("/recording/call/c/serverCallId/s", ["c", "s", ""])]
    #[case::another_case("/Recording/Call/c/servercallid/s/RECORDINGID/r", ["c", "s", "r"])]
    #[case::slashes("/recording/call/c/serverCallId/aHR0/Ly9h/cGk=/recordingId/r/x", ["c", "aHR0/Ly9h/cGk=", "r/x"])]
    #[case::two_slashes("/recording/call/c/serverCallId/a//b/recordingId/r", ["c", "a//b", "r"])]
    #[case::a_slash_at_the_end("/recording/call/c/recordingId/r/", ["c", "", "r"])]
    #[case::a_marker_as_an_id("/recording/call/c/serverCallId/call/recordingId/r", ["c", "call", "r"])]
    #[case::empty_values("/recording/call//serverCallId/", ["", "", ""])]
    #[case::nothing("", ["", "", ""])]
    fn ids_end_at_the_next_marker(#[case] subject: &str, #[case] expected: [&str; 3]) {
        let expected = expected.map(|id| (!id.is_empty()).then(|| id.to_owned()));
        assert_eq!(ids(subject), expected);
    }

    #[rstest::rstest]
    #[case("call/abc/startedBy/8:acs:x", Some("abc"))]
    #[case("/call/a/b+c/d==/startedBy/8:acs:x", Some("a/b+c/d=="))]
    #[case("call/abc", Some("abc"))]
    #[case("call/abc/endedBy/4:+1", Some("abc"))]
    #[case("calls/abc", None)]
    fn a_calls_id_ends_before_who_started_it(#[case] subject: &str, #[case] id: Option<&str>) {
        assert_eq!(server_call_id(subject), id);
    }
}
