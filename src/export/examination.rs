//! Looks into the media that is in the vault: is it what the event and the metadata say it is?

use super::destination::{DestinationError, ExportDestination};
use super::receipt::VerifiedFile;
use crate::recording::{MediaProbe, RecordingChunk, RecordingMetadata, Truth, examine};

/// More of a metadata file is archived, but not read.
pub(super) const METADATA_READ_LIMIT: u64 = 4 * 1024 * 1024;

/// One sentence on what disagrees; `None` when nothing does, or nothing can be compared.
///
/// # Errors
/// When the vault does not give what it holds.
pub(super) async fn anomaly(
    vault: &dyn ExportDestination,
    chunk: &RecordingChunk,
    media: &VerifiedFile,
    metadata: Option<&VerifiedFile>,
) -> Result<Option<String>, DestinationError> {
    let metadata = match metadata {
        Some(file) => read_metadata(vault, file).await?,
        None => RecordingMetadata::default(),
    };
    let mut probe = MediaProbe::new(media.size_bytes());
    while let Some(range) = probe.next_read() {
        probe.feed(&vault.read(media.name(), range).await?);
    }
    let expected = chunk.media_kind().map(|kind| kind.format);
    Ok(match examine(&probe.finish(), media.size_bytes(), expected, &metadata) {
        Truth::Disagrees(what) => Some(what),
        Truth::Agrees | Truth::Unknown => None,
    })
}

/// A metadata file of the vault, read leniently.
///
/// # Errors
/// When the vault does not give what it holds.
pub(super) async fn read_metadata(
    vault: &dyn ExportDestination,
    file: &VerifiedFile,
) -> Result<RecordingMetadata, DestinationError> {
    Ok(RecordingMetadata::parse(&vault.read(file.name(), 0..METADATA_READ_LIMIT).await?))
}
