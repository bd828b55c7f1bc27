//! A recording that an operator describes, because no event announced it. Pure.

use jiff::Timestamp;

use crate::recording::{CallId, DocumentId, MediaKind, RecordingChunk, RecordingId};
use crate::store::digest::Sha256Digest;

/// A recording of an imported file, as an operator describes it.
#[derive(Debug, Clone)]
pub struct NewRecording {
    pub recording_id: RecordingId,
    pub call_id: Option<CallId>,
    pub started_at: Option<Timestamp>,
    /// Position of the file within the recording, from 0.
    pub index: u32,
    /// The file is the last one of the recording.
    pub is_last: bool,
}

impl NewRecording {
    /// Returns the chunk of a file with this content: the same file of the same recording is always the same chunk.
    pub(super) fn chunk(&self, sha256: &Sha256Digest, kind: Option<MediaKind>) -> RecordingChunk {
        let name = format!("{}:{}:{sha256}", self.recording_id.key(), self.index);
        let digest = Sha256Digest::of(name.as_bytes()).to_string();
        let document_id =
            DocumentId::of_import(&digest[..32]).expect("hexadecimal digits are valid in an id");
        let recording_id = self.recording_id.clone();
        RecordingChunk {
            call_id: self.call_id.clone(),
            started_at: self.started_at,
            content: kind.map(|kind| kind.content),
            format: kind.map(|kind| kind.format),
            ..RecordingChunk::unannounced(document_id, self.index, recording_id)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_a_recording_has_one_document_id_and_others_have_another() {
        let recording = NewRecording {
            recording_id: "r".parse().unwrap(),
            call_id: None,
            started_at: None,
            index: 0,
            is_last: true,
        };
        let second = NewRecording {
            index: 1,
            ..recording.clone()
        };
        let (one, other) = (Sha256Digest::of(b"one"), Sha256Digest::of(b"other"));
        let id = |of: &NewRecording, sha256| of.chunk(sha256, None).document_id;
        assert_eq!(id(&recording, &one), id(&recording, &one));
        assert_ne!(id(&recording, &one), id(&recording, &other));
        assert_ne!(id(&recording, &one), id(&second, &one));
        assert!(id(&recording, &one).is_of_import());
    }
}
