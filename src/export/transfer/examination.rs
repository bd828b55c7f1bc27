//! Looks into the media that is in the vault: is it what the event and the metadata say it is?

use std::ops::Range;

use bytes::Bytes;

use crate::export::destination::{DestinationError, ExportDestination};
use crate::export::receipt::VerifiedFile;
use crate::export::transfer::file::Transferred;
use crate::media::MediaProbe;
use crate::media::plausibility::{Plausibility, examine};
use crate::recording::{MetadataSummary, RecordingChunk, RecordingMetadata};

/// More of a metadata file is archived, but not read.
const METADATA_READ_LIMIT: u64 = 4 * 1024 * 1024;

/// One sentence on what disagrees; `None` when nothing does, or nothing can be compared.
///
/// # Errors
/// When the vault does not give what it holds.
pub(in crate::export) async fn anomaly(
    vault: &dyn ExportDestination,
    chunk: &RecordingChunk,
    media: &Transferred,
    metadata: &RecordingMetadata,
) -> Result<Option<String>, DestinationError> {
    let size_bytes = media.file.size_bytes();
    let mut probe = MediaProbe::new(size_bytes);
    while let Some(range) = probe.next_read() {
        probe.feed(&read(vault, media, range).await?);
    }
    let expected = chunk.media_kind().map(|kind| kind.format);
    Ok(
        match examine(&probe.finish(), size_bytes, expected, metadata) {
            Plausibility::Disagrees(what) => Some(what),
            Plausibility::Agrees | Plausibility::Unknown => None,
        },
    )
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

/// A part of a file: its beginning has just been read, the rest is in the vault.
async fn read(
    vault: &dyn ExportDestination,
    from: &Transferred,
    range: Range<u64>,
) -> Result<Bytes, DestinationError> {
    if let Some(head) = &from.head
        && let (Ok(start), Ok(end)) = (usize::try_from(range.start), usize::try_from(range.end))
        && start <= end
        && end <= head.len()
    {
        return Ok(head.slice(start..end));
    }
    vault.read(from.file.name(), range).await
}
