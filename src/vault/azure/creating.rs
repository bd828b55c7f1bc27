//! Creates blobs: from staged blocks, or in one piece; with the options that the settings ask for, or without those that
//! the storage refuses.

use std::sync::Arc;

use async_trait::async_trait;
use azure_core::http::policies::{Policy, PolicyResult};
use azure_core::http::{ClientMethodOptions, Context, Request, RequestContent};
use azure_storage_blob::models::BlockLookupList;

use super::answers::{created, failed, may_be_unsupported};
use super::options::AzureVaultOptions;
use super::redacted;
use super::vault::AzureVault;
use crate::error_chain::ErrorChain;
use crate::export::block::{Block, BlockId};
use crate::export::destination::{BlobProperties, CommitOutcome, CreateOutcome, DestinationError};
use crate::export::layout::BlobName;

/// Content of a new blob.
pub(super) enum Content<'a> {
    Staged(BlockLookupList),
    InOnePiece(&'a Block),
}

impl AzureVault {
    /// Creates a blob of these blocks, which are staged.
    pub(super) async fn create_from_blocks(
        &self,
        name: &BlobName,
        blocks: &[BlockId],
        properties: &BlobProperties,
    ) -> Result<CommitOutcome, DestinationError> {
        let latest = blocks.iter().map(|id| id.to_bytes().to_vec()).collect();
        let content = Content::Staged(BlockLookupList {
            latest: Some(latest),
            ..BlockLookupList::default()
        });
        let creating = self.create_blob("commit", name, &content, properties);
        Ok(match creating.await? {
            CreateOutcome::AlreadyThere => CommitOutcome::AlreadyThere,
            CreateOutcome::Unconfirmed | CreateOutcome::Confirmed { .. } => {
                CommitOutcome::Committed
            }
        })
    }

    /// Creates a blob of its only block.
    pub(super) async fn create_in_one_piece(
        &self,
        name: &BlobName,
        block: &Block,
        properties: &BlobProperties,
    ) -> Result<CreateOutcome, DestinationError> {
        let content = Content::InOnePiece(block);
        self.create_blob("create", name, &content, properties).await
    }

    /// Creates a blob. What the storage refuses is left out, noted in the blob's metadata, and reported: a copy without
    /// one of them is better than none.
    async fn create_blob(
        &self,
        action: &'static str,
        name: &BlobName,
        content: &Content<'_>,
        properties: &BlobProperties,
    ) -> Result<CreateOutcome, DestinationError> {
        let mut refusal = None;
        for options in std::iter::once(self.options.clone()).chain(self.options.weaker()) {
            let noted = options.note_missing_protection(&self.options, properties);
            let error = match self.create_with(name, content, &noted, &options).await {
                Ok(outcome) => {
                    if let Some(refusal) = refusal {
                        let without = options.lacking(&self.options);
                        tracing::error!(blob = %name, error = %ErrorChain(&*redacted(&refusal)), "`{name}` is kept without {without}: the storage refuses it");
                    }
                    return Ok(outcome);
                }
                Err(error) => error,
            };
            if !may_be_unsupported(&error) {
                return Err(failed(action, name)(error));
            }
            refusal.get_or_insert(error);
        }
        let refusal = refusal.expect("a loop over at least one ends by a return or a refusal");
        Err(failed(action, name)(refusal))
    }

    /// Creates a blob with these options, unless one of that name exists.
    pub(super) async fn create_with(
        &self,
        name: &BlobName,
        content: &Content<'_>,
        properties: &BlobProperties,
        options: &AzureVaultOptions,
    ) -> azure_core::Result<CreateOutcome> {
        match content {
            Content::Staged(list) => {
                let content = RequestContent::try_from(list.clone())?;
                let options = options.commit(properties, self.now());
                let blob = self.blob(name);
                let committing = blob.commit_block_list(content, Some(options));
                let outcome = created(committing.await.map(drop))?;
                Ok(match outcome {
                    CommitOutcome::Committed => CreateOutcome::Unconfirmed,
                    CommitOutcome::AlreadyThere => CreateOutcome::AlreadyThere,
                })
            }
            Content::InOnePiece(block) => self.upload(name, block, properties, options).await,
        }
    }

    /// One request: the client cuts nothing into blocks that is not larger than its `partition_size`.
    ///
    /// The service computes the CRC-64 of what it stores, refuses what does not have the one that the request names, and
    /// names it in its answer (<https://learn.microsoft.com/rest/api/storageservices/put-blob>). An emulator may not.
    async fn upload(
        &self,
        name: &BlobName,
        block: &Block,
        properties: &BlobProperties,
        options: &AzureVaultOptions,
    ) -> azure_core::Result<CreateOutcome> {
        let crc64 = block.id.crc64().to_le_bytes();
        let mut upload = options.upload(properties, self.now());
        upload.partition_size = block.id.size_bytes().try_into().ok();
        upload.method_options = ClientMethodOptions {
            context: Context::new().with_value(ContentCrc64(crc64)),
        };
        let blob = self.blob(name);
        let uploading = blob.upload(block.content.clone().into(), Some(upload));
        let mut stored = None;
        let outcome = created(uploading.await.map(|result| stored = Some(result)))?;
        let etag = stored
            .filter(|stored| stored.content_crc64.as_deref() == Some(&crc64[..]))
            .and_then(|stored| stored.etag);
        Ok(match (outcome, etag) {
            (CommitOutcome::AlreadyThere, _) => CreateOutcome::AlreadyThere,
            // The settings ask for more than the service's word.
            (CommitOutcome::Committed, _) if options.read_back => CreateOutcome::Unconfirmed,
            (CommitOutcome::Committed, None) => CreateOutcome::Unconfirmed,
            (CommitOutcome::Committed, Some(etag)) => CreateOutcome::Confirmed {
                etag: etag.to_string(),
            },
        })
    }
}

/// The checksum of a request's content, in the context of the call.
struct ContentCrc64([u8; 8]);

/// Names the checksum of a content to the service: the client has no option for it where it uploads in one piece.
#[derive(Debug)]
pub(super) struct NameContentCrc64;

#[async_trait]
impl Policy for NameContentCrc64 {
    async fn send(
        &self,
        context: &Context,
        request: &mut Request,
        next: &[Arc<dyn Policy>],
    ) -> PolicyResult {
        if let Some(ContentCrc64(crc64)) = context.value() {
            let crc64 = azure_core::base64::encode(crc64);
            request.insert_header("x-ms-content-crc64", crc64);
        }
        let (first, rest) = next
            .split_first()
            .expect("a pipeline ends with its transport");
        first.send(context, request, rest).await
    }
}
