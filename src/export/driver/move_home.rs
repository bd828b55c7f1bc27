//! Brings a copy home that was made in the backup vault while the other was not available.

use std::ops::Range;

use async_trait::async_trait;
use futures::StreamExt as _;

use crate::export::destination::{DestinationError, ExportDestination};
use crate::export::layout;
use crate::export::receipt::{ExportReceipt, VaultName, VerifiedFile};
use crate::export::source::{
    ChunkPart, OpenedContent, RecordingSource, SourceDeletion, SourceError,
};
use crate::export::transfer::chunk::{Attempt, ChunkExporter};
use crate::export::transfer::error::TransferError;
use crate::export::transfer::file::{Transfer, TransferOutcome};
use crate::export::transfer::verify;
use crate::recording::{DeleteLocation, RecordingChunk};

/// The files of a receipt, read from the backup vault.
struct BackupSource<'a> {
    vault: &'a dyn ExportDestination,
    receipt: &'a ExportReceipt,
}

impl ChunkExporter {
    /// Copies both files into the home vault and proves them against the receipt. `None` when the turn was over before.
    ///
    /// Every step can be repeated: what is home already is found there.
    ///
    /// # Errors
    /// When one of the vaults fails, or what is home is not what the receipt says.
    pub async fn move_home(
        &self,
        attempt: Attempt<'_>,
        receipt: &ExportReceipt,
    ) -> Result<Option<ExportReceipt>, TransferError> {
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
        let Some(media) = self
            .copy_home(attempt, &source, ChunkPart::Media, receipt.media())
            .await?
        else {
            return Ok(None);
        };
        let metadata = match receipt.metadata() {
            Some(file) => match self
                .copy_home(attempt, &source, ChunkPart::Metadata, file)
                .await?
            {
                Some(file) => Some(file),
                None => return Ok(None),
            },
            None => None,
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
        self.put_receipt(&home, attempt.entry, &moved).await?;
        Ok(Some(moved))
    }

    async fn copy_home(
        &self,
        attempt: Attempt<'_>,
        source: &BackupSource<'_>,
        part: ChunkPart,
        file: &VerifiedFile,
    ) -> Result<Option<VerifiedFile>, TransferError> {
        let transfer = Transfer {
            source,
            destination: &attempt.fence.around(self.vaults.home()),
            chunk: &attempt.entry.chunk,
            part,
            name: file.name().clone(),
            content_type: layout::content_type(file.name()),
            blocks: self.blocks,
            turn: attempt.turn,
            is_first_attempt: attempt.is_first,
        };
        match transfer.run().await? {
            TransferOutcome::Verified(home) => verify::same_content(file, home.file)
                .map(Some)
                .map_err(TransferError::Unproved),
            TransferOutcome::OutOfTime => Ok(None),
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
