//! Looks into the media that is in the vault: is it what the event and the metadata say it is?

use std::ops::Range;

use bytes::Bytes;

use crate::export::destination::{DestinationError, ExportDestination};
use crate::export::receipt::VerifiedFile;
use crate::export::transfer::file::Transferred;
use crate::media::plausibility::{ReportedMedia, examine};
use crate::media::{MediaExamination, MediaNotice, MediaProbe};
use crate::recording::{MetadataSummary, Participant, RecordingChunk, RecordingMetadata};

/// More of a metadata file is archived, but not read.
const METADATA_READ_LIMIT: u64 = 4 * 1024 * 1024;

/// Looks into a chunk's media and compares it with what is reported of it.
///
/// # Errors
/// When the vault does not give what it holds.
pub(in crate::export) async fn examine_media(
    vault: &dyn ExportDestination,
    chunk: &RecordingChunk,
    media: &Transferred,
    metadata: &RecordingMetadata,
) -> Result<MediaExamination, DestinationError> {
    let size_bytes = media.file.size_bytes();
    let mut probe = MediaProbe::with_parts(size_bytes, media.passing.parts());
    while let Some(range) = probe.next_read() {
        probe.feed(&vault.read(media.file.name(), range).await?);
    }
    let sound = probe.hear(&media.passing);
    let found = probe.finish();
    let plausibility = examine(&found, size_bytes, &ReportedMedia::of(chunk, metadata));
    let notices = MediaNotice::of(&found, size_bytes, sound.as_ref(), metadata);
    Ok(MediaExamination::of(&found, size_bytes, plausibility)
        .with_sound(sound, media.passing.zeros())
        .with_notices(notices))
}

/// A metadata file of the vault, read leniently.
///
/// # Errors
/// When the vault does not give what it holds.
pub(in crate::export) async fn read_metadata(
    vault: &dyn ExportDestination,
    metadata: &Transferred,
) -> Result<RecordingMetadata, DestinationError> {
    let size_bytes = metadata.file.size_bytes().min(METADATA_READ_LIMIT);
    Ok(RecordingMetadata::parse(
        &read(vault, metadata, 0..size_bytes).await?,
    ))
}

/// What a metadata file that was proved before says.
///
/// # Errors
/// When the vault does not give what it holds.
pub(in crate::export) async fn summary_of(
    vault: &dyn ExportDestination,
    file: &VerifiedFile,
) -> Result<MetadataSummary, DestinationError> {
    let content = vault
        .read(file.name(), 0..file.size_bytes().min(METADATA_READ_LIMIT))
        .await?;
    Ok(RecordingMetadata::parse(&content).summary())
}

/// Everybody whom a metadata file that was proved before names.
///
/// # Errors
/// When the vault does not give what it holds.
pub(in crate::export) async fn people_of(
    vault: &dyn ExportDestination,
    file: &VerifiedFile,
) -> Result<Vec<Participant>, DestinationError> {
    let content = vault
        .read(file.name(), 0..file.size_bytes().min(METADATA_READ_LIMIT))
        .await?;
    Ok(RecordingMetadata::parse(&content).participants)
}

/// A part of a file: what passed by just now, or else what the vault holds.
async fn read(
    vault: &dyn ExportDestination,
    from: &Transferred,
    range: Range<u64>,
) -> Result<Bytes, DestinationError> {
    if let Some(kept) = from.passing.get(&range) {
        return Ok(Bytes::copy_from_slice(kept));
    }
    vault.read(from.file.name(), range).await
}
