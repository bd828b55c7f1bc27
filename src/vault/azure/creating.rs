//! Creates blobs: from staged blocks, or in one piece; and replaces small documents. With the options that the settings ask
//! for, or without those that the storage refuses.

use std::sync::Arc;

use async_trait::async_trait;
use azure_core::http::policies::{Policy, PolicyResult};
use azure_core::http::{ClientMethodOptions, Context, Etag, Request, RequestContent};
use azure_core::time::OffsetDateTime;
use azure_storage_blob::models::{BlockBlobClientUploadOptions, BlockLookupList};
use bytes::Bytes;

use super::answers::{created, failed, is_changed, is_protected, may_be_unsupported};
use super::options::{AzureVaultOptions, BlobProtection, note_retained_from};
use super::redacted;
use super::vault::AzureVault;
use crate::error_chain::ErrorChain;
use crate::export::block::{Block, BlockId};
use crate::export::destination::{
    BlobProperties, BlobVersion, CommitOutcome, CreateOutcome, DestinationError, ReplaceOutcome,
};
use crate::export::layout::BlobName;

/// Content of a new blob.
pub(super) enum Content<'a> {
    Staged(BlockLookupList),
    InOnePiece(&'a Block),
    /// A small document, which no block identifies.
    Document(&'a Bytes),
}

/// A blob that is created, or replaces another.
struct NewBlob<'a> {
    name: &'a BlobName,
    properties: &'a BlobProperties,
    asked_for: &'a AzureVaultOptions,
}

impl NewBlob<'_> {
    /// What is asked for, then each weaker choice.
    fn options(&self) -> impl Iterator<Item = AzureVaultOptions> + use<> {
        std::iter::once(self.asked_for.clone()).chain(self.asked_for.weaker())
    }

    fn noted(&self, options: &AzureVaultOptions) -> BlobProperties {
        options.note_missing_protection(self.asked_for, self.properties)
    }

    /// Reports what the storage refused.
    fn report(&self, options: &AzureVaultOptions, refusal: Option<&azure_core::Error>) {
        let Some(refusal) = refusal else { return };
        let (name, without) = (self.name, options.lacking(self.asked_for));
        tracing::error!(blob = %name, error = %ErrorChain(&*redacted(refusal)), "`{name}` is kept without {without}: the storage refuses it");
    }
}

fn committed(created: &CreateOutcome) -> CommitOutcome {
    match created {
        CreateOutcome::AlreadyThere => CommitOutcome::AlreadyThere,
        CreateOutcome::Unconfirmed | CreateOutcome::Confirmed { .. } => CommitOutcome::Committed,
    }
}

fn unconfirmed(outcome: CommitOutcome) -> CreateOutcome {
    match outcome {
        CommitOutcome::Committed => CreateOutcome::Unconfirmed,
        CommitOutcome::AlreadyThere => CreateOutcome::AlreadyThere,
    }
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
        let new = NewBlob {
            name,
            properties,
            asked_for: &self.options,
        };
        let created = self.create_blob("commit", new, &content).await?;
        Ok(committed(&created))
    }

    /// Creates a blob of its only block.
    pub(super) async fn create_in_one_piece(
        &self,
        name: &BlobName,
        block: &Block,
        properties: &BlobProperties,
    ) -> Result<CreateOutcome, DestinationError> {
        let new = NewBlob {
            name,
            properties,
            asked_for: &self.options,
        };
        self.create_blob("create", new, &Content::InOnePiece(block))
            .await
    }

    /// Creates a small document, with what these options ask for.
    pub(super) async fn create_document(
        &self,
        name: &BlobName,
        content: &Bytes,
        properties: &BlobProperties,
        asked_for: &AzureVaultOptions,
    ) -> Result<CommitOutcome, DestinationError> {
        let new = NewBlob {
            name,
            properties,
            asked_for,
        };
        let content = Content::Document(content);
        let created = self.create_blob("write", new, &content).await?;
        Ok(committed(&created))
    }

    /// Creates a blob. What the storage refuses is left out, noted in the blob's metadata, and reported: a copy without
    /// one of them is better than none.
    async fn create_blob(
        &self,
        action: &'static str,
        new: NewBlob<'_>,
        content: &Content<'_>,
    ) -> Result<CreateOutcome, DestinationError> {
        let mut refusal = None;
        for options in new.options() {
            let noted = new.noted(&options);
            let creating = self.create_with(new.name, content, &noted, &options);
            let error = match creating.await {
                Ok(outcome) => {
                    new.report(&options, refusal.as_ref());
                    return Ok(outcome);
                }
                Err(error) => error,
            };
            if !may_be_unsupported(&error) {
                return Err(failed(action, new.name)(error));
            }
            refusal.get_or_insert(error);
        }
        let refusal = refusal.expect("a loop over at least one ends by a return or a refusal");
        Err(failed(action, new.name)(refusal))
    }

    /// Replaces a small document that has this version. What the storage refuses is left out, as where it was created.
    pub(super) async fn replace_document(
        &self,
        name: &BlobName,
        version: &BlobVersion,
        content: &Bytes,
        properties: &BlobProperties,
    ) -> Result<ReplaceOutcome, DestinationError> {
        let new = NewBlob {
            name,
            properties,
            asked_for: &self.options.of_document(),
        };
        let earlier = self.earlier_retention(name).await?;
        let retained_until = earlier.and_then(|earlier| earlier.retained_until);
        let retained_from = earlier.and_then(|earlier| earlier.retained_from);
        let mut refusal = None;
        for options in new.options() {
            let mut noted = new.noted(&options);
            if let Some(from) = retained_from.filter(|_| options.immutable_for.is_some()) {
                note_retained_from(from, &mut noted);
            }
            let mut upload = BlockBlobClientUploadOptions {
                if_none_match: None,
                if_match: Some(Etag::from(version.0.clone())),
                ..options.upload(&noted, self.now())
            };
            let expiry = &mut upload.immutability_policy_expiry;
            *expiry = expiry.and(retained_until.or(*expiry));
            let blob = self.blob(name);
            let error = match blob.upload(content.clone().into(), Some(upload)).await {
                Ok(_) => {
                    new.report(&options, refusal.as_ref());
                    return Ok(ReplaceOutcome::Replaced);
                }
                Err(error) if is_changed(&error) => return Ok(ReplaceOutcome::Changed),
                Err(error) if is_protected(&error) => return Ok(ReplaceOutcome::Protected),
                Err(error) => error,
            };
            if !may_be_unsupported(&error) {
                return Err(failed("replace", name)(error));
            }
            refusal.get_or_insert(error);
        }
        let refusal = refusal.expect("a loop over at least one ends by a return or a refusal");
        Err(failed("replace", name)(refusal))
    }

    /// The retention of a document that is replaced, unless it has ended. The next version keeps it: a receipt that outlived
    /// its media could not be removed with it.
    async fn earlier_retention(
        &self,
        name: &BlobName,
    ) -> Result<Option<BlobProtection>, DestinationError> {
        if self.options.immutable_for.is_none() {
            return Ok(None);
        }
        let found = self.properties_of(name).await;
        let found = found.map_err(failed("inspect", name))?;
        let lasts = |until: OffsetDateTime| until > self.now();
        let earlier = found.map(|found| found.protection);
        Ok(earlier.filter(|earlier| earlier.retained_until.is_some_and(lasts)))
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
                Ok(unconfirmed(outcome))
            }
            Content::InOnePiece(block) => self.upload(name, block, properties, options).await,
            Content::Document(content) => {
                let upload = options.upload(properties, self.now());
                let blob = self.blob(name);
                let uploading = blob.upload((*content).clone().into(), Some(upload));
                let outcome = created(uploading.await.map(drop))?;
                Ok(unconfirmed(outcome))
            }
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
