//! Examines the media in the vault: is it what the event and the metadata report?

use std::ops::Range;

use bytes::Bytes;

use crate::export::destination::{DestinationError, ExportDestination};
use crate::export::receipt::VerifiedFile;
use crate::export::transfer::file::Transferred;
use crate::media::plausibility::{ReportedMedia, examine};
use crate::media::{MediaExamination, MediaNotice, MediaProbe};
use crate::recording::{MetadataSummary, Participant, RecordingChunk, RecordingMetadata};

/// Bytes of a metadata file that are parsed; the rest is only archived.
const METADATA_READ_LIMIT: u64 = 4 * 1024 * 1024;

/// Examines a chunk's media and compares it with what is reported for it.
///
/// # Errors
/// When the vault cannot be read.
pub(in crate::export) async fn examine_media(
    vault: &dyn ExportDestination,
    chunk: &RecordingChunk,
    media: &Transferred,
    metadata: &RecordingMetadata,
) -> Result<MediaExamination, DestinationError> {
    let size_bytes = media.file.size_bytes();
    let mut probe = MediaProbe::of_passing(size_bytes, &media.passing);
    while let Some(range) = probe.next_read() {
        probe.feed(&vault.read(media.file.name(), range).await?);
    }
    let sound = probe.hear(&media.passing);
    let found = probe.finish();
    let plausibility = examine(&found, size_bytes, &ReportedMedia::of(chunk, metadata));
    let zeros = media.passing.long_zeros();
    let notices = MediaNotice::of(&found, size_bytes, sound.as_ref(), &zeros, metadata);
    Ok(MediaExamination::of(&found, size_bytes, plausibility)
        .with_sound(sound, media.passing.zeros())
        .with_notices(notices))
}

/// The part of a metadata file that is read.
pub(in crate::export) struct MetadataContent {
    bytes: Bytes,
    is_whole: bool,
}

impl MetadataContent {
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The whole file; `None` if it is longer than what is read.
    pub fn whole(&self) -> Option<&[u8]> {
        self.is_whole.then_some(&*self.bytes)
    }
}

/// Reads a metadata file of the vault.
///
/// # Errors
/// When the vault cannot be read.
pub(in crate::export) async fn metadata_content(
    vault: &dyn ExportDestination,
    metadata: &Transferred,
) -> Result<MetadataContent, DestinationError> {
    let size_bytes = metadata.file.size_bytes();
    let range = 0..size_bytes.min(METADATA_READ_LIMIT);
    Ok(MetadataContent {
        bytes: read(vault, metadata, range).await?,
        is_whole: size_bytes <= METADATA_READ_LIMIT,
    })
}

/// What a previously proved metadata file says.
///
/// # Errors
/// When the vault cannot be read.
pub(in crate::export) async fn summary_of(
    vault: &dyn ExportDestination,
    file: &VerifiedFile,
) -> Result<MetadataSummary, DestinationError> {
    let content = vault
        .read(file.name(), 0..file.size_bytes().min(METADATA_READ_LIMIT))
        .await?;
    Ok(RecordingMetadata::parse(&content).summary())
}

/// All people that a previously proved metadata file names.
///
/// # Errors
/// When the vault cannot be read.
pub(in crate::export) async fn people_of(
    vault: &dyn ExportDestination,
    file: &VerifiedFile,
) -> Result<Vec<Participant>, DestinationError> {
    let content = vault
        .read(file.name(), 0..file.size_bytes().min(METADATA_READ_LIMIT))
        .await?;
    Ok(RecordingMetadata::parse(&content).participants)
}

/// Returns a part of a file: from the current transfer, or else from the vault.
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
