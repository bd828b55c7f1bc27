//! One file of a document, as an event announced it: its location, and how it ended. Pure; it knows no vault.
//!
//! A document has one file in practice. Events that name another location for it, or a longer file, announce another
//! one, and each file has its own number.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::chunk::{
    ChunkEnd, ChunkLocations, RecordingChunk, end_of, longest, one_form, worse_end,
};
use super::file_number::FileNumber;
use super::media::{ContentKind, FormatKind, MediaKind};

/// A file of a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AnnouncedFile {
    #[serde(rename = "place")]
    pub number: FileNumber,
    pub locations: ChunkLocations,
    #[serde(default)]
    pub end_reason: Option<String>,
    #[serde(default)]
    pub duration_ms: Option<u64>,
    #[serde(default)]
    pub content: Option<ContentKind>,
    #[serde(default)]
    pub format: Option<FormatKind>,
    #[serde(default)]
    pub event_id: Option<String>,
    #[serde(default)]
    pub event_time: Option<Timestamp>,
}

impl AnnouncedFile {
    /// Returns the file that a chunk describes.
    pub fn of(chunk: &RecordingChunk) -> Self {
        Self {
            number: chunk.file_number,
            locations: chunk.locations.clone(),
            end_reason: chunk.end_reason.clone(),
            duration_ms: chunk.duration_ms,
            content: chunk.content,
            format: chunk.format,
            event_id: chunk.event_id.clone(),
            event_time: chunk.event_time,
        }
    }

    /// Makes a chunk describe this file.
    pub fn put_into(self, chunk: &mut RecordingChunk) {
        chunk.file_number = self.number;
        chunk.locations = self.locations;
        chunk.end_reason = self.end_reason;
        chunk.duration_ms = self.duration_ms;
        chunk.content = self.content;
        chunk.format = self.format;
        chunk.event_id = self.event_id;
        chunk.event_time = self.event_time;
    }

    /// Returns the progress of the file.
    pub fn end(&self) -> ChunkEnd {
        end_of(self.end_reason.as_deref())
    }

    /// What the event says about the file; metadata may know more.
    pub fn media_kind(&self) -> Option<MediaKind> {
        MediaKind::from_parts(self.content, self.format)
    }

    /// Adds what another event reports of the same file, of which no copy was begun: the worse end and the longer
    /// duration count.
    pub fn add_report(&mut self, newer: &Self) {
        self.duration_ms = longest(self.duration_ms, newer.duration_ms, newer.end());
        self.end_reason = worse_end(self.end_reason.take(), newer.end_reason.clone());
    }

    /// Whether `newer`, from the same place, is the same file: it is not longer, and has no other end.
    pub fn covers(&self, newer: &Self) -> bool {
        let is_longer = matches!((self.duration_ms, newer.duration_ms), (Some(known), Some(newer)) if newer > known);
        let ends_otherwise = match (&self.end_reason, &newer.end_reason) {
            (Some(known), Some(newer)) => one_form(known) != one_form(newer),
            (None, Some(_)) => newer.end() != ChunkEnd::Final,
            (Some(_) | None, None) => false,
        };
        !is_longer && !ends_otherwise
    }
}

impl RecordingChunk {
    /// Returns the same chunk with another of its files.
    #[must_use]
    pub fn with_file(&self, file: &AnnouncedFile) -> Self {
        let mut chunk = self.clone();
        file.clone().put_into(&mut chunk);
        chunk
    }

    /// Whether another description of the same file has the same end and duration.
    pub fn is_same_form(&self, other: &Self) -> bool {
        self.end_reason == other.end_reason && self.duration_ms == other.duration_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recording::chunk::tests::chunk;

    fn file(end_reason: Option<&str>, duration_ms: Option<u64>) -> AnnouncedFile {
        AnnouncedFile::of(&RecordingChunk {
            end_reason: end_reason.map(str::to_owned),
            duration_ms,
            ..chunk()
        })
    }

    #[rstest::rstest]
    #[case::the_same(file(Some("SessionEnded"), Some(5)), true)]
    #[case::another_case(file(Some("sessionended"), Some(5)), true)]
    #[case::another_spelling(file(Some(" session_ended"), Some(5)), true)]
    #[case::shorter(file(Some("SessionEnded"), Some(4)), true)]
    #[case::nothing_said(file(None, None), true)]
    #[case::longer(file(Some("SessionEnded"), Some(6)), false)]
    #[case::failed(file(Some("ChunkUploadFailure"), Some(5)), false)]
    #[case::longer_without_an_end(file(None, Some(6)), false)]
    fn a_file_that_is_longer_or_ends_otherwise_is_another(
        #[case] newer: AnnouncedFile,
        #[case] expected: bool,
    ) {
        assert_eq!(file(Some("SessionEnded"), Some(5)).covers(&newer), expected);
    }

    #[test]
    fn an_end_that_was_not_told_before_is_another_file_only_if_it_is_not_final() {
        let silent = file(None, None);
        assert!(silent.covers(&file(Some("SessionEnded"), Some(5))));
        assert!(!silent.covers(&file(Some("ChunkUploadFailure"), None)));
    }

    #[rstest::rstest]
    #[case::failed_later(Some("SessionEnded"), Some("ChunkUploadFailure"), ChunkEnd::Failed)]
    #[case::failed_before(Some("ChunkUploadFailure"), Some("SessionEnded"), ChunkEnd::Failed)]
    #[case::failed_while_growing(
        Some("ChunkUploadFailure"),
        Some("ChunkIsBeingRecorded"),
        ChunkEnd::Failed
    )]
    #[case::failed_after_growing(
        Some("ChunkIsBeingRecorded"),
        Some("ChunkUploadFailure"),
        ChunkEnd::Failed
    )]
    #[case::ended(Some("ChunkIsBeingRecorded"), Some("SessionEnded"), ChunkEnd::Final)]
    #[case::late(Some("SessionEnded"), Some("ChunkIsBeingRecorded"), ChunkEnd::Final)]
    #[case::silent(None, Some("ChunkUploadFailure"), ChunkEnd::Failed)]
    #[case::said_before(Some("ChunkUploadFailure"), None, ChunkEnd::Failed)]
    fn the_worst_end_and_the_longest_duration_of_a_file_count(
        #[case] first: Option<&str>,
        #[case] second: Option<&str>,
        #[case] expected: ChunkEnd,
    ) {
        let mut known = file(first, Some(5));
        known.add_report(&file(second, Some(6)));
        assert_eq!(known.end(), expected);
        let mut chunk = chunk().with_file(&file(first, Some(5)));
        let newer = chunk.with_file(&file(second, Some(6)));
        chunk.absorb(&newer);
        assert_eq!(chunk.end(), expected);
        let is_growth = file(second, None).end() == ChunkEnd::BeingRecorded;
        let duration_ms = Some(if is_growth { 5 } else { 6 });
        assert_eq!(known.duration_ms, duration_ms);
        assert_eq!(chunk.duration_ms, duration_ms);
        known.add_report(&file(second, Some(4)));
        assert_eq!(known.duration_ms, duration_ms, "a shorter one is no news");
    }

    #[test]
    fn a_chunk_tells_of_each_of_its_files() {
        let other = AnnouncedFile {
            number: FileNumber::try_from(2).unwrap(),
            ..file(Some("SessionEnded"), Some(7))
        };
        let with = chunk().with_file(&other);
        assert_eq!(AnnouncedFile::of(&with), other);
        assert_eq!(with.document_id, chunk().document_id);
    }
}
