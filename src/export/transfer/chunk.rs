//! One chunk's two files into the vault, and the receipt beside them.

use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::clock::Clock;
use crate::error_chain::ErrorChain;
use crate::export::block::BlockPolicy;
use crate::export::destination::{
    BlobProperties, CommitOutcome, DestinationError, ExportDestination, ReplaceOutcome,
};
use crate::export::entry::LedgerEntry;
use crate::export::layout;
use crate::export::receipt::{ExportReceipt, VaultName, VerifiedFile};
use crate::export::slots::Turn;
use crate::export::source::{ChunkPart, RecordingSource, SourceError};
use crate::export::transfer::error::TransferError;
use crate::export::transfer::examination;
use crate::export::transfer::file::{Transfer, TransferOutcome, Transferred};
use crate::export::vaults::Vaults;
use crate::recording::{
    ContentKind, FormatKind, MediaKind, MetadataSummary, RecordingChunk, RecordingMetadata,
};

/// A receipt has a few thousand bytes, and what its event said besides.
pub const RECEIPT_READ_LIMIT: u64 = 4 * 1024 * 1024;

/// Then the media is saved under a guessed name, whatever its metadata does.
const ATTEMPTS_BEFORE_GUESSING: u32 = 3;

/// Moves a chunk's metadata and media; knows nothing of claims and states.
pub struct ChunkExporter {
    pub source: Arc<dyn RecordingSource>,
    pub vaults: Vaults,
    pub clock: Arc<dyn Clock>,
    pub blocks: BlockPolicy,
}

/// One try at a chunk.
#[derive(Clone, Copy)]
pub struct Attempt<'a> {
    pub entry: &'a LedgerEntry,
    pub turn: &'a Turn,
    /// Nobody has ever tried before.
    pub is_first: bool,
    /// Where to.
    pub vault: VaultName,
}

/// A chunk that is in the vault.
#[derive(Debug)]
pub struct Proved {
    pub receipt: ExportReceipt,
    /// What its metadata says, where there is some.
    pub metadata: Option<MetadataSummary>,
}

impl ChunkExporter {
    /// Both files into the vault, and the receipt beside them. `None` when the turn was over before.
    ///
    /// # Errors
    /// When one of the two files could not be moved or proved; the other may be in the vault already.
    pub async fn export(&self, attempt: Attempt<'_>) -> Result<Option<Proved>, TransferError> {
        if let Some(kind) = attempt.entry.chunk.media_kind() {
            let (metadata, media) = tokio::join!(
                self.export_metadata(attempt),
                self.export_media(attempt, kind)
            );
            return self.conclude(attempt, metadata, media?).await;
        }
        let metadata = self.export_metadata(attempt).await;
        if matches!(metadata, Ok(Copied::OutOfTime)) {
            return Ok(None);
        }
        let Some(kind) = self.media_kind(attempt, &metadata).await? else {
            // Without metadata the file has no name yet; its failure is the failure of this attempt.
            return metadata.map(|_| None);
        };
        let media = self.export_media(attempt, kind).await?;
        self.conclude(attempt, metadata, media).await
    }

    async fn conclude(
        &self,
        attempt: Attempt<'_>,
        metadata: Result<Copied, TransferError>,
        media: TransferOutcome,
    ) -> Result<Option<Proved>, TransferError> {
        let TransferOutcome::Verified(media) = media else {
            return Ok(None);
        };
        let metadata = match metadata {
            Ok(Copied::Verified(metadata)) => Some(metadata),
            Ok(Copied::NotThere) => None,
            Ok(Copied::OutOfTime) => return Ok(None),
            // The media is safe; ACS has dropped the metadata for good.
            Err(error) if is_gone(&error) && attempt.entry.is_surely_gone(self.clock.now()) => None,
            Err(error) => return Err(error),
        };
        let vault = self.vault(attempt)?;
        let told = match &metadata {
            Some(metadata) => Some(examination::read_metadata(vault, metadata).await?),
            None => None,
        };
        let nothing = RecordingMetadata::default();
        let anomaly = examination::anomaly(
            vault,
            &attempt.entry.chunk,
            &media,
            told.as_ref().unwrap_or(&nothing),
        )
        .await?;
        let metadata = metadata.map(|metadata| metadata.file);
        let receipt = ExportReceipt::new(
            media.file,
            metadata,
            attempt.vault,
            anomaly,
            self.clock.now(),
        );
        self.put_receipt(vault, attempt.entry, &receipt).await?;
        Ok(Some(Proved {
            receipt,
            metadata: told.map(RecordingMetadata::summary),
        }))
    }

    async fn export_metadata(&self, attempt: Attempt<'_>) -> Result<Copied, TransferError> {
        let Attempt { entry, .. } = attempt;
        let locations = &entry.chunk.locations;
        // Events of 2021 carry no location at all; the source knows where that generation keeps both files.
        if locations.metadata.is_none() && locations.content.is_some() {
            return Ok(Copied::NotThere);
        }
        let name = layout::metadata(&entry.folder, &entry.chunk);
        match self
            .transfer(attempt, ChunkPart::Metadata, name, "application/json")
            .await?
        {
            TransferOutcome::Verified(metadata) => Ok(Copied::Verified(metadata)),
            TransferOutcome::OutOfTime => Ok(Copied::OutOfTime),
        }
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

    /// What the file is: by the event, else by the metadata, else by the location. `None`: wait for the metadata.
    async fn media_kind(
        &self,
        attempt: Attempt<'_>,
        metadata: &Result<Copied, TransferError>,
    ) -> Result<Option<MediaKind>, TransferError> {
        let Attempt { entry, .. } = attempt;
        let guess = guess_from_location(entry.chunk.locations.content.as_deref());
        let guessed = layout::media(&entry.folder, &entry.chunk, guess);
        let vault = self.vault(attempt)?;
        if !attempt.is_first && vault.inspect(&guessed).await?.is_some() {
            // An attempt before this one had to guess; a file has one name.
            return Ok(Some(guess));
        }
        match metadata {
            Ok(Copied::Verified(metadata)) => {
                let metadata = examination::read_metadata(vault, metadata).await?;
                Ok(Some(metadata.media_kind().unwrap_or(guess)))
            }
            Ok(Copied::NotThere | Copied::OutOfTime) => Ok(Some(guess)),
            // The media comes first: a name that may be wrong is better than no copy.
            Err(error) if is_refused(error) || entry.attempts >= ATTEMPTS_BEFORE_GUESSING => {
                Ok(Some(guess))
            }
            Err(_) => Ok(None),
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
            destination: self.vault(attempt)?,
            chunk: &attempt.entry.chunk,
            part,
            name,
            content_type,
            blocks: self.blocks,
            turn: attempt.turn,
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

    /// One that is there already is from a run that was killed before it reached the ledger, and proves the same media; or it
    /// is of a copy that the vault has lost, and gives way.
    pub(in crate::export) async fn put_receipt(
        &self,
        vault: &dyn ExportDestination,
        entry: &LedgerEntry,
        receipt: &ExportReceipt,
    ) -> Result<(), TransferError> {
        let name = layout::receipt(&entry.folder, &entry.chunk);
        let document = ReceiptDocument {
            receipt,
            chunk: &entry.chunk,
            recorded_at: entry.recorded_at,
        };
        let content = Bytes::from(
            serde_json::to_vec_pretty(&document).expect("a receipt has string keys only"),
        );
        let properties = BlobProperties {
            content_type: "application/json",
            metadata: Vec::new(),
            tags: Vec::new(),
        };
        if vault.put(&name, content.clone(), &properties).await? == CommitOutcome::Committed {
            return Ok(());
        }
        let Some(version) = vault.version(&name).await? else {
            return Err(TransferError::Vanished(name));
        };
        let there = vault.read(&name, 0..RECEIPT_READ_LIMIT).await?;
        let there = serde_json::from_slice::<KeptReceipt>(&there).ok();
        if there.is_some_and(|there| {
            there.receipt.media() == receipt.media()
                && (receipt.metadata().is_none() || there.receipt.metadata() == receipt.metadata())
        }) {
            return Ok(());
        }
        let replaced = vault.replace(&name, &version, content, &properties).await;
        match replaced {
            Ok(ReplaceOutcome::Replaced) => Ok(()),
            Ok(ReplaceOutcome::Changed) => Err(TransferError::Vanished(name)),
            Err(error) => {
                // A container's policy may forbid it: the ledger decides, and the copy must not wait for it forever.
                let id = &entry.chunk.document_id;
                tracing::error!(document.id = %id, blob = %name, error = %ErrorChain(&error), "The receipt beside chunk `{id}` is of an earlier proof and cannot be replaced");
                Ok(())
            }
        }
    }

    /// Whether the vault still has both files as they were proved.
    ///
    /// # Errors
    /// When the vault cannot be asked.
    pub async fn still_holds(&self, receipt: &ExportReceipt) -> Result<bool, DestinationError> {
        self.vaults.still_hold(receipt).await
    }
}

/// What a metadata file of a vault says.
///
/// # Errors
/// When the vault does not give what it holds.
pub async fn summary_of(
    vault: &dyn ExportDestination,
    file: &VerifiedFile,
) -> Result<MetadataSummary, DestinationError> {
    examination::summary_of(vault, file).await
}

/// The receipt as it lies beside the files.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ReceiptDocument<'a> {
    receipt: &'a ExportReceipt,
    chunk: &'a RecordingChunk,
    recorded_at: Timestamp,
}

/// A receipt as it is read back from the vault.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeptReceipt {
    pub receipt: ExportReceipt,
    pub chunk: RecordingChunk,
    pub recorded_at: Timestamp,
}

/// What became of a chunk's metadata.
enum Copied {
    Verified(Transferred),
    NotThere,
    OutOfTime,
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

fn is_gone(error: &TransferError) -> bool {
    matches!(
        error,
        TransferError::Source {
            source: SourceError::Gone { .. },
            ..
        }
    )
}

/// `…/content/audio` or `…/content/video`: all that is left when neither event nor metadata tells.
fn guess_from_location(content: Option<&str>) -> MediaKind {
    match content {
        Some(location) if location.ends_with("/audio") => MediaKind {
            content: ContentKind::Audio,
            format: FormatKind::Wav,
        },
        Some(_) | None => MediaKind::DEFAULT,
    }
}
