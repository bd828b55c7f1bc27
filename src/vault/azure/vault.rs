//! [`ExportDestination`] on a container of block blobs.
//!
//! The service checks each block's CRC-64 on arrival and names every block in the committed list, so the list it
//! returns is its own statement of the blob's content. A blob in one piece is checked on arrival too; its `ETag` says
//! later that it is still that one.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use azure_core::error::ErrorKind;
use azure_core::http::Etag;
use azure_storage_blob::models::{
    BlobClientDeleteOptions, BlobClientDownloadOptions, BlobClientGetPropertiesResultHeaders as _,
    BlobClientSetMetadataOptions, BlockBlobClientStageBlockOptions, BlockListType, HttpRange,
};
use azure_storage_blob::{BlobContainerClient, BlockBlobClient};
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _};
use sha2::{Digest as _, Sha256};
use url::Position;

use super::answers::{failed, is_changed, is_protected};
use super::options::{
    AzureVaultOptions, BlobProtection, missing_protection, only_block, retained_from,
};
use super::{if_there, sequential_download};
use crate::clock::Clock;
use crate::export::block::{Block, BlockId, ID_LENGTH};
use crate::export::destination::{
    BlobProperties, BlobVersion, CommitOutcome, CommittedBlob, CreateOutcome, DescribedBlob,
    DestinationError, EarlierVersion, ExportDestination, ListedBlob, NameFilter, Protection,
    RemoveOutcome, ReplaceOutcome, StageOutcome, TouchOutcome, TriedExtra,
};
use crate::export::layout::BlobName;
use crate::store::digest::Sha256Digest;

/// Prefix of a blob's own metadata names on the wire.
const METADATA_HEADER: &str = "x-ms-meta-";
/// Consecutive attempts at a touch while others write the same blob.
const TOUCHES_TRIED: u32 = 4;

/// A vault in a container.
pub struct AzureVault {
    pub(super) container: BlobContainerClient,
    pub(super) options: AzureVaultOptions,
    pub(super) clock: Arc<dyn Clock>,
}

impl AzureVault {
    pub fn new(
        container: BlobContainerClient,
        options: AzureVaultOptions,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            container,
            options,
            clock,
        }
    }

    /// Whether blocks are staged under this name whose ids have another length than ours: a blob takes ids of one
    /// length only (<https://learn.microsoft.com/rest/api/storageservices/put-block>).
    async fn has_foreign_blocks(&self, name: &BlobName) -> Result<bool, DestinationError> {
        let staged = self.staged_ids(name).await?;
        Ok(staged.iter().any(|id| id.len() != ID_LENGTH))
    }

    /// The ids of all staged blocks, from any program.
    async fn staged_ids(&self, name: &BlobName) -> Result<Vec<Vec<u8>>, DestinationError> {
        let failed = failed("list the staged blocks of", name);
        let response = self
            .blob(name)
            .get_block_list(BlockListType::Uncommitted, None)
            .await;
        let Some(response) = if_there(response).map_err(&failed)? else {
            return Ok(Vec::new());
        };
        let list = response.into_model().map_err(&failed)?;
        let blocks = list.uncommitted_blocks.unwrap_or_default();
        Ok(blocks.into_iter().filter_map(|block| block.name).collect())
    }

    /// The SHA-256 of what the service holds, read from end to end.
    async fn read_back(&self, name: &BlobName) -> azure_core::Result<Sha256Digest> {
        let mut body = self
            .container
            .blob_client(name.as_str())
            .download(Some(sequential_download()))
            .await?
            .body;
        let mut digest = Sha256::new();
        while let Some(piece) = body.try_next().await? {
            digest.update(&piece);
        }
        Ok(Sha256Digest::from_bytes(digest.finalize().into()))
    }

    /// The properties of a committed blob.
    pub(super) async fn properties_of(
        &self,
        name: &BlobName,
    ) -> azure_core::Result<Option<Properties>> {
        let blob = self.container.blob_client(name.as_str());
        let Some(found) = if_there(blob.get_properties(None).await)? else {
            return Ok(None);
        };
        let headers = found.headers();
        let size_bytes = headers
            .get_optional_string(&"content-length".into())
            .and_then(|text| text.parse().ok());
        let etag = headers.get_optional_string(&"etag".into());
        let (Some(etag), Some(size_bytes)) = (etag, size_bytes) else {
            return Err(nameless("a blob's ETag or length"));
        };
        let metadata = headers.iter().filter_map(|(header, value)| {
            let name = header.as_str().strip_prefix(METADATA_HEADER)?;
            Some((name.to_owned(), value.as_str().to_owned()))
        });
        let metadata: HashMap<_, _> = metadata.collect();
        // What cannot be read protects nothing.
        let created = found.creation_time().ok().flatten();
        let created = created.or_else(|| found.last_modified().ok().flatten());
        let protection = BlobProtection {
            retained_until: found.immutability_policy_expires_on().ok().flatten(),
            retained_from: retained_from(&metadata).or(created),
            has_legal_hold: found.legal_hold().ok().flatten() == Some(true),
        };
        Ok(Some(Properties {
            version: BlobVersion(etag),
            size_bytes,
            metadata,
            protection,
        }))
    }

    pub(super) fn blob(&self, name: &BlobName) -> BlockBlobClient {
        self.container
            .blob_client(name.as_str())
            .block_blob_client()
    }
}

/// What the storage says of a committed blob.
pub(super) struct Properties {
    version: BlobVersion,
    size_bytes: u64,
    metadata: HashMap<String, String>,
    pub(super) protection: BlobProtection,
}

fn nameless(what: &str) -> azure_core::Error {
    let message = format!("the storage did not name {what}");
    azure_core::Error::with_message(ErrorKind::DataConversion, message)
}

#[async_trait]
impl ExportDestination for AzureVault {
    async fn staged_blocks(&self, name: &BlobName) -> Result<Vec<BlockId>, DestinationError> {
        let staged = self.staged_ids(name).await?;
        Ok(staged
            .iter()
            .filter_map(|id| BlockId::from_bytes(id))
            .collect())
    }

    async fn stage(&self, name: &BlobName, block: Block) -> Result<StageOutcome, DestinationError> {
        let options = BlockBlobClientStageBlockOptions {
            transactional_content_crc64: Some(block.id.crc64().to_le_bytes().to_vec()),
            ..BlockBlobClientStageBlockOptions::default()
        };
        let size_bytes = block.content.len() as u64;
        let content = block.content.into();
        let result = self
            .blob(name)
            .stage_block(&block.id.to_bytes(), size_bytes, content, Some(options))
            .await;
        match result {
            Ok(_) => Ok(StageOutcome::Staged),
            Err(error) => {
                let is_in_doubt = super::has_code(&error, "InvalidBlobOrBlock");
                if is_in_doubt && self.has_foreign_blocks(name).await? {
                    return Ok(StageOutcome::ForeignBlocks);
                }
                Err(failed("stage a block of", name)(error))
            }
        }
    }

    async fn commit(
        &self,
        name: &BlobName,
        blocks: &[BlockId],
        properties: &BlobProperties,
    ) -> Result<CommitOutcome, DestinationError> {
        self.create_from_blocks(name, blocks, properties).await
    }

    async fn create(
        &self,
        name: &BlobName,
        block: Block,
        properties: &BlobProperties,
    ) -> Result<CreateOutcome, DestinationError> {
        self.create_in_one_piece(name, &block, properties).await
    }

    async fn inspect(&self, name: &BlobName) -> Result<Option<CommittedBlob>, DestinationError> {
        let failed = failed("inspect", name);
        let response = self
            .blob(name)
            .get_block_list(BlockListType::Committed, None)
            .await;
        let Some(response) = if_there(response).map_err(&failed)? else {
            return Ok(None);
        };
        let headers = response.headers();
        let etag = headers.get_optional_string(&"etag".into());
        let size_bytes = headers
            .get_optional_string(&"x-ms-blob-content-length".into())
            .and_then(|text| text.parse().ok());
        let list = response
            .into_model()
            .map_err(&failed)?
            .committed_blocks
            .unwrap_or_default();
        let mut named = None;
        let (etag, size_bytes) = if list.is_empty() {
            // Only staged blocks, which are no blob yet, or a blob in one piece, of which the list may not even have the
            // ETag (<https://learn.microsoft.com/rest/api/storageservices/get-block-list>).
            let Some(found) = self.properties_of(name).await.map_err(&failed)? else {
                return Ok(None);
            };
            named = only_block(&found.metadata);
            (found.version.0, found.size_bytes)
        } else {
            let (Some(etag), Some(size_bytes)) = (etag, size_bytes) else {
                return Err(failed(nameless(
                    "the ETag or the length of a list of blocks",
                )));
            };
            (etag, size_bytes)
        };
        let blocks = list
            .into_iter()
            .map(|block| {
                let id = block.name.as_deref().and_then(BlockId::from_bytes);
                let size_bytes = block.size.and_then(|size| u64::try_from(size).ok());
                (id, size_bytes.unwrap_or_default())
            })
            .collect();
        let read_back = if self.options.read_back {
            Some(self.read_back(name).await.map_err(&failed)?)
        } else {
            None
        };
        Ok(Some(CommittedBlob {
            size_bytes,
            etag,
            blocks,
            named,
            read_back,
        }))
    }

    async fn earlier_versions(
        &self,
        is_wanted: NameFilter,
    ) -> Result<Vec<EarlierVersion>, DestinationError> {
        self.list_earlier(is_wanted).await
    }

    async fn read_earlier(
        &self,
        version: &EarlierVersion,
    ) -> Result<Option<Bytes>, DestinationError> {
        self.download_earlier(version).await
    }

    async fn try_extras(&self, probe: &BlobName) -> Vec<TriedExtra> {
        self.try_each_extra(probe).await
    }

    fn location(&self) -> Option<String> {
        let url = self.container.url();
        Some(url[..Position::AfterPath].to_owned())
    }

    fn asks_for_protection(&self) -> bool {
        self.options.asks_for_protection()
    }

    /// Compares what the settings ask for with the blob's own properties: another process may have created it. A note in
    /// its metadata only adds to that.
    async fn missing_protection(
        &self,
        name: &BlobName,
    ) -> Result<Vec<Protection>, DestinationError> {
        if !self.options.asks_for_protection() {
            return Ok(Vec::new());
        }
        let found = self.properties_of(name).await;
        let Some(found) = found.map_err(failed("inspect", name))? else {
            return Ok(Vec::new());
        };
        let lacks = |missing: &Protection| {
            let is_noted = missing_protection(&found.metadata).contains(missing);
            is_noted || self.options.lacks(*missing, found.protection, self.now())
        };
        Ok(Protection::ALL.into_iter().filter(lacks).collect())
    }

    async fn read(&self, name: &BlobName, range: Range<u64>) -> Result<Bytes, DestinationError> {
        let failed = failed("read", name);
        let range = HttpRange::new(range.start, range.end.saturating_sub(range.start));
        let options = BlobClientDownloadOptions {
            range: Some(range),
            ..sequential_download()
        };
        let result = self
            .container
            .blob_client(name.as_str())
            .download(Some(options))
            .await
            .map_err(&failed)?;
        result.body.collect().await.map_err(&failed)
    }

    async fn stream(
        &self,
        name: &BlobName,
        version: Option<&BlobVersion>,
        range: Range<u64>,
    ) -> Result<Option<BoxStream<'static, Result<Bytes, DestinationError>>>, DestinationError> {
        let range = HttpRange::new(range.start, range.end.saturating_sub(range.start));
        let options = BlobClientDownloadOptions {
            range: Some(range),
            if_match: version.map(|version| Etag::from(version.0.clone())),
            ..sequential_download()
        };
        let result = self
            .container
            .blob_client(name.as_str())
            .download(Some(options))
            .await;
        let result = match if_there(result) {
            Ok(Some(result)) => result,
            Ok(None) => return Ok(None),
            Err(error) if is_changed(&error) => return Ok(None),
            Err(error) => return Err(failed("read", name)(error)),
        };
        let name = name.clone();
        Ok(Some(
            result
                .body
                .map_err(move |error| failed("read", &name)(error))
                .boxed(),
        ))
    }

    async fn put(
        &self,
        name: &BlobName,
        content: Bytes,
        properties: &BlobProperties,
    ) -> Result<CommitOutcome, DestinationError> {
        let protection = self.options.of_document();
        self.create_document(name, &content, properties, &protection)
            .await
    }

    async fn put_unprotected(
        &self,
        name: &BlobName,
        content: Bytes,
        properties: &BlobProperties,
    ) -> Result<CommitOutcome, DestinationError> {
        let plain = self.options.plain();
        self.create_document(name, &content, properties, &plain)
            .await
    }

    async fn list(
        &self,
        after: Option<&BlobName>,
        limit: usize,
    ) -> Result<Vec<ListedBlob>, DestinationError> {
        let everything = "everything".parse().expect("it is a safe name");
        let failed = failed("list", &everything);
        let after = after.map(BlobName::as_str);
        let own = |name: String, size_bytes| {
            let name = name.parse().ok()?;
            Some(ListedBlob { name, size_bytes })
        };
        let listed = super::listed(&self.container, None, after, limit, own).await;
        listed.map_err(&failed)
    }

    async fn describe(&self, name: &BlobName) -> Result<Option<DescribedBlob>, DestinationError> {
        let result = self.properties_of(name).await;
        let found = result.map_err(failed("inspect", name))?;
        Ok(found.map(|found| DescribedBlob {
            etag: Some(found.version.0.clone()),
            version: found.version,
            size_bytes: found.size_bytes,
        }))
    }

    async fn replace(
        &self,
        name: &BlobName,
        version: &BlobVersion,
        content: Bytes,
        properties: &BlobProperties,
    ) -> Result<ReplaceOutcome, DestinationError> {
        self.replace_document(name, version, &content, properties)
            .await
    }

    async fn remove(
        &self,
        name: &BlobName,
        version: &BlobVersion,
    ) -> Result<RemoveOutcome, DestinationError> {
        let options = BlobClientDeleteOptions {
            if_match: Some(Etag::from(version.0.clone())),
            ..BlobClientDeleteOptions::default()
        };
        let blob = self.container.blob_client(name.as_str());
        match if_there(blob.delete(Some(options)).await) {
            Ok(_) => Ok(RemoveOutcome::Removed),
            // The repetition of a removal that took effect may get this response too.
            Err(error) if is_changed(&error) => Ok(match self.version(name).await? {
                Some(_) => RemoveOutcome::Changed,
                None => RemoveOutcome::Removed,
            }),
            Err(error) => Err(failed("remove", name)(error)),
        }
    }

    /// Setting the metadata that the blob has changes its `ETag` and nothing else
    /// (<https://learn.microsoft.com/rest/api/storageservices/set-blob-metadata>).
    async fn touch(&self, name: &BlobName) -> Result<TouchOutcome, DestinationError> {
        let failed = failed("touch", name);
        let blob = self.container.blob_client(name.as_str());
        for _ in 0..TOUCHES_TRIED {
            let found = self.properties_of(name).await.map_err(&failed)?;
            let Some(Properties {
                version, metadata, ..
            }) = found
            else {
                return Ok(TouchOutcome::NotThere);
            };
            let options = BlobClientSetMetadataOptions {
                if_match: Some(Etag::from(version.0)),
                ..BlobClientSetMetadataOptions::default()
            };
            match if_there(blob.set_metadata(&metadata, Some(options)).await) {
                Ok(Some(_)) => return Ok(TouchOutcome::Touched),
                Ok(None) => return Ok(TouchOutcome::NotThere),
                Err(error) if is_protected(&error) => return Ok(TouchOutcome::Protected),
                // Another write happened in between; whether it was a repetition of this one is unknown.
                Err(error) if is_changed(&error) => {}
                Err(error) => return Err(failed(error)),
            }
        }
        Err(DestinationError {
            action: "touch",
            is_refused: false,
            name: name.clone(),
            source: "it has too many concurrent writers".into(),
        })
    }

    async fn discard_staged(&self, _name: &BlobName) -> Result<(), DestinationError> {
        Ok(())
    }
}
