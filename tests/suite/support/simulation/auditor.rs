//! An auditor at the source: nothing is deleted there before its copy and its receipt are durable.

use std::ops::Range;

use async_trait::async_trait;
use recording_vault::export::source::{
    ChunkPart, OpenedContent, RecordingSource, SourceDeletion, SourceError,
};
use recording_vault::export::{ChunkState, ExportReceipt};
use recording_vault::recording::{DeleteLocation, RecordingChunk};

use super::seams::Planned;
use super::{Durable, media_of};
use crate::support::fake_source::FakeSource;

/// The source, which looks at every deletion with an auditor's eye.
pub(super) struct AuditedSource {
    pub planned: Planned<FakeSource>,
    pub durable: Durable,
}

#[async_trait]
impl RecordingSource for AuditedSource {
    fn admits(&self, location: &str) -> bool {
        self.planned.inner.admits(location)
    }

    async fn open(
        &self,
        chunk: &RecordingChunk,
        part: ChunkPart,
        range: Range<u64>,
    ) -> Result<OpenedContent, SourceError> {
        let failure = SourceError::transient("as planned");
        self.planned
            .plan
            .around(failure, || {
                self.planned.inner.open(chunk, part, range.clone())
            })
            .await
    }

    async fn delete(
        &self,
        location: &DeleteLocation,
        receipt: &ExportReceipt,
    ) -> Result<SourceDeletion, SourceError> {
        let id = location.document_id();
        let files = self.durable.vault.files();
        let copy = files.get(receipt.media().name());
        assert_eq!(
            copy.map(|copy| &copy[..]),
            Some(&media_of(id)[..]),
            "`{id}` is deleted before it is in the vault"
        );
        let found = self
            .durable
            .ledger()
            .find(id)
            .await
            .expect("the durable ledger works")
            .expect("the entry is there");
        // Another instance, by a clock that is ahead, may have taken over and deleted it already.
        let proved = match &found.entry.state {
            ChunkState::Exported { receipt: durable }
            | ChunkState::SourceDeleted {
                receipt: durable, ..
            } => durable.media().sha256() == receipt.media().sha256(),
            ChunkState::Pending
            | ChunkState::SourceLeft { .. }
            | ChunkState::Removing { .. }
            | ChunkState::Removed { .. }
            | ChunkState::InPlace { .. }
            | ChunkState::Expired { .. }
            | ChunkState::DeadLettered { .. } => false,
        };
        assert!(
            proved,
            "`{id}` is deleted before its receipt is durable: {:?}",
            found.entry.state
        );
        self.planned
            .plan
            .around(SourceError::transient("as planned"), || {
                self.planned.inner.delete(location, receipt)
            })
            .await
    }
}
