//! Checks whether a metadata file belongs to its chunk. Pure. `media::plausibility` checks what it says of media.
//!
//! Its bytes are archived in any case, but a source whose metadata may exist only at ACS is not deleted.

use serde_json::{Map, Value};
use uuid::Uuid;

use crate::recording::RecordingChunk;
use crate::recording::metadata::{has_a_member, without_byte_order_mark};

/// Characters of a foreign id that a message repeats.
const REPEATED_CHARS: usize = 100;

/// The anomaly of a metadata file in one sentence, if there is one. Missing members are no anomaly.
pub(super) fn metadata_anomaly(content: &[u8], chunk: &RecordingChunk) -> Option<String> {
    let content = without_byte_order_mark(content);
    let is_markup = content.trim_ascii_start().first() == Some(&b'<');
    if is_markup {
        return Some("its metadata is a web page or another markup, not JSON".to_owned());
    }
    let members = match serde_json::from_slice(content) {
        Ok(Value::Object(members)) => members,
        Ok(_) => return Some("its metadata is JSON, but not an object".to_owned()),
        Err(error) if error.is_eof() => {
            let size_bytes = content.len();
            return Some(format!("its metadata is cut off after {size_bytes} bytes"));
        }
        Err(error) => return Some(format!("its metadata is not JSON: {error}")),
    };
    foreign_object(&members)
        .or_else(|| foreign_document(&members, chunk))
        .or_else(|| foreign_index(&members, chunk))
        .or_else(|| foreign_call(&members, chunk))
}

/// An object without any member of a metadata file is another answer, such as an error of the front end.
fn foreign_object(members: &Map<String, Value>) -> Option<String> {
    let is_foreign = !members.is_empty() && !has_a_member(members);
    is_foreign.then(|| "its metadata is JSON without any member of a metadata file".to_owned())
}

fn foreign_document(members: &Map<String, Value>, chunk: &RecordingChunk) -> Option<String> {
    if chunk.document_id.is_of_import() {
        // ACS has another id for the file. The import refuses metadata of a chunk that the ledger has.
        return None;
    }
    let id = member(members, "chunkDocumentId")?.as_str()?.trim();
    let is_ours = id.parse().is_ok_and(|id| chunk.document_id == id);
    (!is_ours && !id.is_empty())
        .then(|| format!("its metadata is that of chunk `{}`", repeated(id)))
}

fn foreign_index(members: &Map<String, Value>, chunk: &RecordingChunk) -> Option<String> {
    let index = match member(members, "chunkIndex")? {
        Value::Number(index) => index.as_f64()?,
        Value::String(index) => index.trim().parse().ok()?,
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return None,
    };
    let is_ours = (index - f64::from(chunk.index)).abs() < 0.5;
    let source = if chunk.document_id.is_of_import() {
        "import"
    } else {
        "event"
    };
    (!is_ours).then(|| {
        let ours = chunk.index;
        format!("its metadata is that of chunk number {index}, and its {source} says {ours}")
    })
}

/// Compares only ids of the usual form: other generations name calls in other ways.
fn foreign_call(members: &Map<String, Value>, chunk: &RecordingChunk) -> Option<String> {
    let theirs: Uuid = member(members, "callId")?.as_str()?.trim().parse().ok()?;
    let ours: Uuid = chunk.call_id.as_ref()?.to_string().parse().ok()?;
    (theirs != ours).then(|| format!("its metadata is of call `{theirs}`"))
}

/// A member, ignoring the case of its name; `null` counts as absent.
fn member<'a>(members: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    let found = members
        .iter()
        .find(|(key, _)| key.eq_ignore_ascii_case(name));
    found
        .map(|(_, value)| value)
        .filter(|value| !value.is_null())
}

fn repeated(id: &str) -> String {
    id.chars()
        .filter(|character| !character.is_control())
        .take(REPEATED_CHARS)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::entry::tests::entry;
    use crate::recording::DocumentId;

    fn chunk() -> RecordingChunk {
        RecordingChunk {
            document_id: "0-eus-d12-801b3f3fc462fe8a01e6810cbff729b8"
                .parse()
                .unwrap(),
            index: 2,
            call_id: "7C62CCA0-0000-4444-8888-000000000001".parse().ok(),
            ..entry().chunk
        }
    }

    #[rstest::rstest]
    #[case::empty_object("{}")]
    #[case::same(
        r#"{"chunkDocumentId": "0-eus-d12-801b3f3fc462fe8a01e6810cbff729b8", "chunkIndex": 2, "callId": "7c62cca0-0000-4444-8888-000000000001"}"#
    )]
    #[case::other_spellings(r#"{"ChunkIndex": "2.0", "chunkDocumentId": null, "CallId": ""}"#)]
    #[case::odd_values(r#"{"chunkIndex": [], "callId": "dummyCallId", "chunkDocumentId": 7}"#)]
    #[case::one_known_member(r#"{"version": "1", "Participants": []}"#)]
    #[case::byte_order_mark("\u{feff}\r\n {\"chunkIndex\": 2}")]
    fn metadata_that_says_nothing_else_is_the_chunks_own(#[case] content: &str) {
        assert_eq!(metadata_anomaly(content.as_bytes(), &chunk()), None);
    }

    #[rstest::rstest]
    #[case::page("\n<!DOCTYPE html><html>", "web page")]
    #[case::xml("<?xml version=\"1.0\"?><Error/>", "web page")]
    #[case::empty("", "cut off after 0 bytes")]
    #[case::truncated(r#"{"chunkIndex": 2, "participants": [{"participant"#, "cut off after")]
    #[case::text("upstream connect error", "not JSON")]
    #[case::two_files("{} {}", "not JSON")]
    #[case::list("[1]", "not an object")]
    #[case::error(r#"{"error": {"code": "8522"}}"#, "without any member")]
    #[case::problem(
        r#"{"type": "about:blank", "title": "Busy", "status": 503}"#,
        "without any member"
    )]
    #[case::document(
        r#"{"chunkDocumentId": "0-eus-d12-ffffffffffffffffffffffffffffffff"}"#,
        "of chunk `0-eus-d12-f"
    )]
    #[case::index(r#"{"CHUNKINDEX": "3"}"#, "chunk number 3, and its event says 2")]
    #[case::call(
        r#"{"callId": "7c62cca0-0000-4444-8888-000000000002"}"#,
        "of call `7c62cca0"
    )]
    fn metadata_of_something_else_is_named(#[case] content: &str, #[case] expected: &str) {
        let anomaly = metadata_anomaly(content.as_bytes(), &chunk()).unwrap();
        assert!(anomaly.contains(expected), "{anomaly}");
    }

    #[test]
    fn metadata_of_acs_belongs_to_a_chunk_with_the_id_of_an_import_unless_index_or_call_differ() {
        let imported = RecordingChunk {
            document_id: DocumentId::of_import("1").unwrap(),
            ..chunk()
        };
        let anomaly = |content: &str| metadata_anomaly(content.as_bytes(), &imported);
        let own =
            r#"{"chunkDocumentId": "0-eus-d12-ffffffffffffffffffffffffffffffff", "chunkIndex": 2}"#;
        assert_eq!(anomaly(own), None);
        let other = anomaly(&own.replace('2', "3")).unwrap();
        assert!(
            other.contains("chunk number 3, and its import says 2"),
            "{other}"
        );
        let call = r#"{"callId": "7c62cca0-0000-4444-8888-000000000002"}"#;
        assert!(anomaly(call).is_some());
    }

    #[test]
    fn a_foreign_id_is_repeated_in_part_and_on_one_line() {
        let content = format!(r#"{{"chunkDocumentId": "a\n{}"}}"#, "x".repeat(10_000));
        let anomaly = metadata_anomaly(content.as_bytes(), &chunk()).unwrap();
        assert!(anomaly.len() < 200 && !anomaly.contains('\n'), "{anomaly}");
    }
}
