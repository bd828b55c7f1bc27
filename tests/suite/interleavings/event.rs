//! The events of the one chunk that every run is about.

use recording_vault::recording::{RecordingChunk, RecordingFileStatusUpdated};

use crate::support::chunk;

/// What an event of the chunk says. ACS announces a chunk more than once, and not always all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// Where the media and the metadata are, and what to delete.
    Whole,
    /// Where the media is, and no more.
    Bare,
    /// All but where the metadata is.
    WithoutMetadata,
    /// All but what to delete.
    WithoutDelete,
}

impl Event {
    pub fn names_metadata(self) -> bool {
        matches!(self, Self::Whole | Self::WithoutDelete)
    }

    pub fn names_delete(self) -> bool {
        matches!(self, Self::Whole | Self::WithoutMetadata)
    }

    /// The whole event, as it is taken in.
    pub fn update(self) -> RecordingFileStatusUpdated {
        let chunk = self.chunk();
        RecordingFileStatusUpdated {
            event_id: chunk.event_id.clone(),
            event_time: chunk.event_time,
            recording_id: chunk.recording_id.clone(),
            server_call_id: chunk.server_call_id.clone(),
            started_at: chunk.started_at,
            is_last: true,
            chunks: vec![chunk],
            refused: Vec::new(),
            refused_count: 0,
        }
    }

    pub fn chunk(self) -> RecordingChunk {
        let mut chunk = chunk(DOCUMENT, 0);
        if !self.names_metadata() {
            chunk.locations.metadata = None;
        }
        if !self.names_delete() {
            chunk.locations.delete = None;
        }
        chunk
    }
}

/// The chunk's document.
pub const DOCUMENT: &str = "chunk-a";
