//! Moves one chunk's two files into the vault, and proves them. The receipt beside them is written by `receipt_file`.

use std::sync::Arc;

use crate::clock::Clock;
use crate::error_chain::ErrorChain;
use crate::export::block::BlockPolicy;
use crate::export::destination::{DestinationError, ExportDestination, Protection};
use crate::export::entry::LedgerEntry;
use crate::export::fence::Fence;
use crate::export::layout;
use crate::export::receipt::{ExportReceipt, Import, MetadataLack, VaultName, VerifiedFile};
use crate::export::slots::Turn;
use crate::export::source::{ChunkPart, RecordingSource, SourceError};
use crate::export::transfer::error::TransferError;
use crate::export::transfer::examination;
use crate::export::transfer::file::{Transfer, TransferOutcome, Transferred};
use crate::export::transfer::metadata_check::metadata_anomaly as metadata_anomaly_of;
use crate::export::transfer::verify;
use crate::export::transfer::whole::read_if_whole;
use crate::export::vaults::Vaults;
use crate::media::PassingMedia;
use crate::recording::{
    ContentKind, FormatKind, MediaKind, MetadataSummary, Participant, RecordingMetadata,
};
use crate::store::audit::AuditLog;

/// Attempts after which the media is saved under a guessed name, even without its metadata.
const ATTEMPTS_BEFORE_GUESSING: u32 = 3;

/// Moves a chunk's metadata and media; knows nothing of claims and states.
pub struct ChunkExporter {
    /// Source of the newest checkpoint for receipts.
    pub audit: Arc<AuditLog>,
    pub source: Arc<dyn RecordingSource>,
    pub vaults: Vaults,
    pub clock: Arc<dyn Clock>,
    pub blocks: BlockPolicy,
    /// For files that an operator imports by hand.
    pub imported: Option<ImportedFiles>,
}

/// Files that an operator imports by hand.
#[derive(Debug, Clone)]
pub struct ImportedFiles {
    pub import: Import,
    pub has_metadata: bool,
}

/// One attempt at a chunk.
#[derive(Clone, Copy)]
pub struct Attempt<'a> {
    pub entry: &'a LedgerEntry,
    pub turn: &'a Turn,
    /// There was no earlier attempt.
    pub is_first: bool,
    /// Target vault.
    pub vault: VaultName,
    /// Checked before each write there.
    pub fence: Fence<'a>,
}

/// Outcome of an export without an error.
#[derive(Debug)]
pub enum ChunkExport {
    Proved(Box<Proved>),
    /// The turn ended. Staged blocks are kept.
    OutOfTime,
}

/// A chunk whose files are in the vault. Its receipt is not: `ChunkExporter::put_receipt` writes it.
#[derive(Debug)]
pub struct Proved {
    pub receipt: ExportReceipt,
    /// What its metadata says, if there is any.
    pub metadata: Option<MetadataSummary>,
}

impl ChunkExporter {
    /// Moves both files into the vault, and proves them.
    ///
    /// # Errors
    /// When one of the two files could not be moved or proved; the other may be in the vault already.
    pub async fn export(&self, attempt: Attempt<'_>) -> Result<ChunkExport, TransferError> {
        if let Some(kind) = attempt.entry.media_kind {
            let (metadata, media) = tokio::join!(
                self.export_metadata(attempt),
                self.export_media(attempt, kind)
            );
            return self.conclude(attempt, metadata, media?).await;
        }
        let metadata = self.export_metadata(attempt).await;
        if matches!(metadata, Ok(Copied::OutOfTime)) {
            return Ok(ChunkExport::OutOfTime);
        }
        let kind = match self.media_kind(attempt, &metadata).await? {
            MediaName::Known(kind) => kind,
            // Without metadata the file has no name yet, so its failure fails this attempt.
            MediaName::AfterMetadata => return metadata.map(|_| ChunkExport::OutOfTime),
        };
        // The name is durable before the first byte under it: a process that continues the export uses the same name.
        let number = attempt.entry.chunk.file_number;
        let kind = attempt.fence.name_media(number, kind).await?;
        let media = self.export_media(attempt, kind).await?;
        self.conclude(attempt, metadata, media).await
    }

    async fn conclude(
        &self,
        attempt: Attempt<'_>,
        metadata: Result<Copied, TransferError>,
        media: TransferOutcome,
    ) -> Result<ChunkExport, TransferError> {
        let TransferOutcome::Verified(media) = media else {
            return Ok(ChunkExport::OutOfTime);
        };
        let (metadata, without) = match metadata {
            Ok(Copied::Verified(metadata)) => (Some(metadata), Without::nothing()),
            Ok(Copied::NotThere) => (None, Without::nothing()),
            Ok(Copied::OutOfTime) => return Ok(ChunkExport::OutOfTime),
            Err(error) => (None, self.without_metadata(attempt, error)?),
        };
        let vault = &attempt.fence.around(self.vault(attempt)?);
        let chunk = &attempt.entry.chunk;
        let (mut read, mut metadata_anomaly) = (None, without.anomaly());
        if let Some(metadata) = &metadata {
            let content = examination::metadata_content(vault, metadata).await?;
            read = Some(RecordingMetadata::parse(content.bytes()));
            metadata_anomaly = content
                .whole()
                .and_then(|it| metadata_anomaly_of(it, chunk));
        }
        let nothing = RecordingMetadata::default();
        let metadata_read = read.as_ref().unwrap_or(&nothing);
        let Attempt { entry, turn, .. } = attempt;
        let examined =
            examination::examine_media(vault, entry, turn, &media, metadata_read).await?;
        let metadata = metadata.map(|metadata| metadata.file);
        let receipt = ExportReceipt::new(
            media.file,
            metadata,
            attempt.vault,
            Some(examined),
            self.clock.now(),
        );
        let unprotected = missing_protection(vault, &receipt).await?;
        let imported = self.imported.as_ref().map(|files| files.import.clone());
        let receipt = receipt
            .with_doubts(metadata_anomaly, unprotected)
            .with_metadata_lack(without.lack)
            .with_import(imported);
        Ok(ChunkExport::Proved(Box::new(Proved {
            receipt,
            metadata: read.map(RecordingMetadata::summary),
        })))
    }

    /// What a copy says whose media is verified and whose metadata could not be copied: the media is what counts, and the
    /// source keeps both.
    ///
    /// # Errors
    /// The failure, if a later attempt may copy it.
    fn without_metadata(
        &self,
        attempt: Attempt<'_>,
        error: TransferError,
    ) -> Result<Without, TransferError> {
        let (entry, id) = (attempt.entry, &attempt.entry.chunk.document_id);
        let is_over = entry.is_surely_gone(self.clock.now());
        let because = match &error {
            TransferError::Source { source, .. } => match source {
                // The copy is doubtful, which is reported when it is durable.
                SourceError::Gone { .. } if is_over => return Ok(Without::gone()),
                SourceError::Refused(_) => Some("its location is not one of ACS's"),
                SourceError::Transient { .. }
                | SourceError::CredentialRefused { .. }
                | SourceError::RedirectRefused(_)
                    if is_over =>
                {
                    Some("ACS did not give it in time")
                }
                // One answer may name a total that no metadata has.
                SourceError::TooLarge { .. } if is_over => {
                    Some("it is larger than any that ACS writes")
                }
                SourceError::Gone { .. }
                | SourceError::TooLarge { .. }
                | SourceError::Transient { .. }
                | SourceError::CredentialRefused { .. }
                | SourceError::RedirectRefused(_) => None,
            },
            TransferError::Unproved(_) if is_over || !entry.has_another_name() => {
                Some("the vault has another file under its name")
            }
            TransferError::NotAsWritten(_) if is_over => {
                Some("the vault does not return what was written")
            }
            TransferError::Unproved(_)
            | TransferError::NotAsWritten(_)
            | TransferError::Destination(_)
            | TransferError::Ledger(_)
            | TransferError::ForeignBlocks(_)
            | TransferError::Vanished(_) => None,
        };
        // An operator who imports a file has to know that it was not taken.
        let Some(because) = because.filter(|_| self.imported.is_none()) else {
            return Err(error);
        };
        tracing::error!(document.id = %id, error = %ErrorChain(&error), "The metadata of chunk `{id}` is not archived: {because}. The source is kept");
        Ok(Without::not_copied(because))
    }

    async fn export_metadata(&self, attempt: Attempt<'_>) -> Result<Copied, TransferError> {
        let Attempt { entry, .. } = attempt;
        let locations = &entry.chunk.locations;
        if self
            .imported
            .as_ref()
            .is_some_and(|files| !files.has_metadata)
        {
            return Ok(Copied::NotThere);
        }
        // Events of 2021 carry no location at all; the source knows where that generation keeps both files.
        let name = layout::metadata(&entry.folder, &entry.chunk);
        if self.imported.is_none() && locations.metadata.is_none() && locations.content.is_some() {
            return self.metadata_from_before(attempt, &name).await;
        }
        match self
            .transfer(attempt, ChunkPart::Metadata, name, "application/json")
            .await?
        {
            TransferOutcome::Verified(metadata) => Ok(Copied::Verified(metadata)),
            TransferOutcome::OutOfTime => Ok(Copied::OutOfTime),
        }
    }

    /// Handles an unknown metadata location. An earlier copy still counts: no receipt says less than there is.
    async fn metadata_from_before(
        &self,
        attempt: Attempt<'_>,
        name: &layout::BlobName,
    ) -> Result<Copied, TransferError> {
        if attempt.is_first {
            return Ok(Copied::NotThere);
        }
        let vault = self.vault(attempt)?;
        let Some(found) = vault.inspect(name).await? else {
            return Ok(Copied::NotThere);
        };
        let found = read_if_whole(vault, name, found).await?;
        let file = verify::verify_committed_before(name, &found);
        let file = file.map_err(TransferError::Unproved)?;
        Ok(Copied::Verified(Box::new(Transferred {
            file,
            passing: PassingMedia::default(),
        })))
    }

    async fn export_media(
        &self,
        attempt: Attempt<'_>,
        kind: MediaKind,
    ) -> Result<TransferOutcome, TransferError> {
        let name = layout::media(&attempt.entry.folder, &attempt.entry.chunk, kind);
        self.transfer(attempt, ChunkPart::Media, name, kind.media_type())
            .await
    }

    /// The kind of media, by the metadata, else by the location.
    async fn media_kind(
        &self,
        attempt: Attempt<'_>,
        metadata: &Result<Copied, TransferError>,
    ) -> Result<MediaName, TransferError> {
        let Attempt { entry, .. } = attempt;
        let guess = guess_from_location(entry.chunk.locations.content.as_deref());
        match metadata {
            Ok(Copied::Verified(metadata)) => {
                let content = examination::metadata_content(self.vault(attempt)?, metadata).await?;
                let metadata = RecordingMetadata::parse(content.bytes());
                Ok(MediaName::Known(metadata.media_kind().unwrap_or(guess)))
            }
            Ok(Copied::NotThere | Copied::OutOfTime) => Ok(MediaName::Known(guess)),
            // The media has priority: a name that may be wrong is better than no copy.
            Err(error) if is_refused(error) || entry.attempts >= ATTEMPTS_BEFORE_GUESSING => {
                Ok(MediaName::Known(guess))
            }
            Err(_) => Ok(MediaName::AfterMetadata),
        }
    }

    async fn transfer(
        &self,
        attempt: Attempt<'_>,
        part: ChunkPart,
        name: layout::BlobName,
        content_type: &'static str,
    ) -> Result<TransferOutcome, TransferError> {
        let transfer = Transfer {
            source: &*self.source,
            destination: &attempt.fence.around(self.vault(attempt)?),
            chunk: &attempt.entry.chunk,
            part,
            staged_version: attempt.entry.staged_version(&name, attempt.vault),
            name,
            content_type,
            blocks: self.blocks,
            turn: attempt.turn,
            fence: attempt.fence,
            vault: attempt.vault,
            is_first_attempt: attempt.is_first,
        };
        transfer.run().await
    }

    fn vault(&self, attempt: Attempt<'_>) -> Result<&dyn ExportDestination, DestinationError> {
        self.vaults.get(
            attempt.vault,
            &layout::receipt(&attempt.entry.folder, &attempt.entry.chunk),
        )
    }
}

/// The protection that a file of a copy was made without.
///
/// # Errors
/// When the vault cannot be asked.
pub(in crate::export) async fn missing_protection(
    vault: &dyn ExportDestination,
    receipt: &ExportReceipt,
) -> Result<Vec<Protection>, DestinationError> {
    let mut missing = Vec::new();
    for file in receipt.files() {
        missing.extend(vault.missing_protection(file.name()).await?);
    }
    missing.sort_unstable();
    missing.dedup();
    Ok(missing)
}

/// What a metadata file of a vault says.
///
/// # Errors
/// When the vault cannot be read.
pub async fn summary_of(
    vault: &dyn ExportDestination,
    file: &VerifiedFile,
) -> Result<MetadataSummary, DestinationError> {
    examination::summary_of(vault, file).await
}

/// All people that a metadata file of a vault names.
///
/// # Errors
/// When the vault cannot be read.
pub async fn people_of(
    vault: &dyn ExportDestination,
    file: &VerifiedFile,
) -> Result<Vec<Participant>, DestinationError> {
    examination::people_of(vault, file).await
}

/// The kind of media that a file is named after.
enum MediaName {
    Known(MediaKind),
    /// Only the metadata contains it, and could not be copied yet.
    AfterMetadata,
}

/// Outcome for a chunk's metadata.
enum Copied {
    Verified(Box<Transferred>),
    NotThere,
    OutOfTime,
}

/// What a receipt without metadata says about that.
struct Without {
    lack: Option<MetadataLack>,
    because: Option<&'static str>,
}

impl Without {
    fn nothing() -> Self {
        Self {
            lack: None,
            because: None,
        }
    }

    fn gone() -> Self {
        Self {
            lack: Some(MetadataLack::Gone),
            because: None,
        }
    }

    fn not_copied(because: &'static str) -> Self {
        Self {
            lack: Some(MetadataLack::NotCopied),
            because: Some(because),
        }
    }

    fn anomaly(&self) -> Option<String> {
        self.because
            .map(|because| format!("its metadata is not in the vault: {because}"))
    }
}

fn is_refused(error: &TransferError) -> bool {
    matches!(
        error,
        TransferError::Source {
            source: SourceError::Refused(_),
            ..
        }
    )
}

/// `…/content/audio` or `…/content/video`: the last resort when neither event nor metadata says.
fn guess_from_location(content: Option<&str>) -> MediaKind {
    match content {
        Some(location) if location.ends_with("/audio") => MediaKind {
            content: ContentKind::Audio,
            format: FormatKind::Wav,
        },
        Some(_) | None => MediaKind::DEFAULT,
    }
}
