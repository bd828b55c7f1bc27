//! Moves a copy home that was made in the backup vault while the home vault was not available.

use std::ops::Range;

use async_trait::async_trait;
use futures::StreamExt as _;

use crate::export::destination::{DestinationError, ExportDestination};
use crate::export::layout;
use crate::export::receipt::{ExportReceipt, VaultName, VerifiedFile};
use crate::export::source::{
    ChunkPart, OpenedContent, RecordingSource, SourceDeletion, SourceError,
};
use crate::export::transfer::chunk::{Attempt, ChunkExporter, missing_protection};
use crate::export::transfer::error::TransferError;
use crate::export::transfer::file::{Transfer, TransferOutcome};
use crate::export::transfer::verify;
use crate::recording::{DeleteLocation, MediaKind, RecordingChunk};

/// The files of a receipt, read from the backup vault.
struct BackupSource<'a> {
    vault: &'a dyn ExportDestination,
    receipt: &'a ExportReceipt,
}

/// Outcome of a move home without an error.
pub enum MovedHome {
    /// All of it is at home, with a proof of its own.
    Proved(Box<ExportReceipt>),
    /// The turn ended. Staged blocks are kept.
    OutOfTime,
}

/// Outcome of moving one file home.
enum FileHome {
    Proved(VerifiedFile),
    OutOfTime,
}

impl ChunkExporter {
    /// Copies both files into the home vault and proves them against the receipt.
    ///
    /// Every step can be repeated: files that are already home are found there.
    ///
    /// # Errors
    /// When one of the vaults fails, or what is home is not what the receipt says.
    pub async fn move_home(
        &self,
        attempt: Attempt<'_>,
        receipt: &ExportReceipt,
    ) -> Result<MovedHome, TransferError> {
        let unreachable = |error| TransferError::Source {
            part: ChunkPart::Media,
            source: failure(error),
        };
        let backup = self
            .vaults
            .get(VaultName::Backup, receipt.media().name())
            .map_err(unreachable)?;
        let source = BackupSource {
            vault: backup,
            receipt,
        };
        let copying = self.copy_home(attempt, &source, ChunkPart::Media, receipt.media());
        let FileHome::Proved(media) = copying.await? else {
            return Ok(MovedHome::OutOfTime);
        };
        let metadata = match receipt.metadata() {
            None => None,
            Some(file) => {
                let copying = self.copy_home(attempt, &source, ChunkPart::Metadata, file);
                let FileHome::Proved(metadata) = copying.await? else {
                    return Ok(MovedHome::OutOfTime);
                };
                Some(metadata)
            }
        };
        let examination = receipt.examination().cloned();
        let moved = ExportReceipt::new(
            media,
            metadata,
            VaultName::Home,
            examination,
            self.clock.now(),
        );
        let home = attempt.fence.around(self.vaults.home());
        let unprotected = missing_protection(&home, &moved).await?;
        let metadata_anomaly = receipt.metadata_anomaly().map(str::to_owned);
        let moved = moved.with_doubts(metadata_anomaly, unprotected);
        let moved = moved.with_metadata_lack(receipt.metadata_lack());
        let moved = moved.with_import(receipt.imported().cloned());
        let moved = self.put_receipt(&home, attempt.entry, &moved).await?;
        Ok(MovedHome::Proved(Box::new(moved)))
    }

    async fn copy_home(
        &self,
        attempt: Attempt<'_>,
        source: &BackupSource<'_>,
        part: ChunkPart,
        file: &VerifiedFile,
    ) -> Result<FileHome, TransferError> {
        let (folder, chunk) = (&attempt.entry.folder, &attempt.entry.chunk);
        // Its name in the backup vault may be taken at home.
        let name = match part {
            ChunkPart::Media => {
                let kind = layout::media_kind(file.name()).unwrap_or(MediaKind::DEFAULT);
                layout::media(folder, chunk, kind)
            }
            ChunkPart::Metadata => layout::metadata(folder, chunk),
        };
        let home = &attempt.fence.around(self.vaults.home());
        let was_there = home.inspect(&name).await?.is_some();
        let not_same = |mismatch| {
            if was_there {
                TransferError::Unproved(mismatch)
            } else {
                // The backup vault has another content than it had: another name does not help.
                TransferError::NotAsWritten(mismatch)
            }
        };
        let transfer = Transfer {
            source,
            destination: home,
            chunk: &attempt.entry.chunk,
            part,
            name,
            content_type: layout::content_type(file.name()),
            blocks: self.blocks,
            turn: attempt.turn,
            fence: attempt.fence,
            vault: VaultName::Home,
            // The backup vault names no versions, and its files do not change.
            staged_version: None,
            is_first_attempt: attempt.is_first,
        };
        match transfer.run().await? {
            TransferOutcome::Verified(copied) => verify::same_content(file, copied.file)
                .map(FileHome::Proved)
                .map_err(not_same),
            TransferOutcome::OutOfTime => Ok(FileHome::OutOfTime),
        }
    }
}

fn failure(error: DestinationError) -> SourceError {
    let what = "could not read it from the backup vault".to_owned();
    SourceError::Transient {
        what,
        retry_after: None,
        source: Some(error.into()),
    }
}

#[async_trait]
impl RecordingSource for BackupSource<'_> {
    fn admits(&self, _location: &str) -> bool {
        false
    }

    async fn open(
        &self,
        _chunk: &RecordingChunk,
        part: ChunkPart,
        range: Range<u64>,
    ) -> Result<OpenedContent, SourceError> {
        let file = match part {
            ChunkPart::Media => Some(self.receipt.media()),
            ChunkPart::Metadata => self.receipt.metadata(),
        };
        let file =
            file.ok_or_else(|| SourceError::Refused("the receipt names no metadata".to_owned()))?;
        let total_bytes = file.size_bytes();
        let range = range.start..range.end.min(total_bytes);
        let content = self
            .vault
            .read(file.name(), range.clone())
            .await
            .map_err(failure)?;
        let stream = futures::stream::iter([Ok(content)]).boxed();
        Ok(OpenedContent {
            offset: range.start,
            end: range.end,
            total_bytes,
            validator: None,
            stream,
        })
    }

    async fn delete(
        &self,
        _location: &DeleteLocation,
        _receipt: &ExportReceipt,
    ) -> Result<SourceDeletion, SourceError> {
        Err(SourceError::Refused(
            "nothing is deleted at ACS from here".to_owned(),
        ))
    }
}
