//! [`ExportDestination`] on a container of block blobs.
//!
//! The service checks each block's CRC-64 as it comes and names every block in the committed list, so the list it gives
//! back is its own word on what the blob consists of.

use std::collections::HashMap;

use async_trait::async_trait;
use azure_core::http::{Etag, RequestContent, StatusCode};
use azure_storage_blob::models::{
    BlobClientDownloadOptions, BlockBlobClientCommitBlockListOptions, BlockBlobClientStageBlockOptions,
    BlockBlobClientUploadOptions, BlockListType, BlockLookupList, HttpRange,
};
use azure_storage_blob::{BlobContainerClient, BlockBlobClient};
use bytes::Bytes;

use super::{if_there, redacted, status};
use crate::export::block::{Block, BlockId};
use crate::export::destination::{BlobProperties, CommitOutcome, CommittedBlob, DestinationError, ExportDestination};
use crate::export::layout::BlobName;

/// A vault in a container.
pub struct AzureVault {
    container: BlobContainerClient,
}

impl AzureVault {
    pub fn new(container: BlobContainerClient) -> Self {
        Self { container }
    }

    fn blob(&self, name: &BlobName) -> BlockBlobClient {
        self.container.blob_client(name.as_str()).block_blob_client()
    }
}

fn failed<'a>(action: &'static str, name: &'a BlobName) -> impl Fn(azure_core::Error) -> DestinationError + 'a {
    move |error| DestinationError { action, name: name.clone(), source: redacted(&error) }
}

/// A conditional create that found something there: 409 `BlobAlreadyExists`, or 412 where a lease or policy is in the way.
fn created(result: azure_core::Result<()>) -> azure_core::Result<CommitOutcome> {
    match result {
        Ok(()) => Ok(CommitOutcome::Committed),
        Err(error) if super::has_code(&error, "BlobAlreadyExists") => Ok(CommitOutcome::AlreadyThere),
        Err(error) if status(&error) == Some(StatusCode::PreconditionFailed) => Ok(CommitOutcome::AlreadyThere),
        Err(error) => Err(error),
    }
}

fn metadata(properties: &BlobProperties) -> HashMap<String, String> {
    properties.metadata.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
}

#[async_trait]
impl ExportDestination for AzureVault {
    async fn staged_blocks(&self, name: &BlobName) -> Result<Vec<BlockId>, DestinationError> {
        let failed = failed("list the staged blocks of", name);
        let response = self.blob(name).get_block_list(BlockListType::Uncommitted, None).await;
        let Some(response) = if_there(response).map_err(&failed)? else {
            return Ok(Vec::new());
        };
        let list = response.into_model().map_err(&failed)?;
        let blocks = list.uncommitted_blocks.unwrap_or_default();
        Ok(blocks.iter().filter_map(|block| BlockId::from_bytes(block.name.as_deref()?)).collect())
    }

    async fn stage(&self, name: &BlobName, block: Block) -> Result<(), DestinationError> {
        let options = BlockBlobClientStageBlockOptions {
            transactional_content_crc64: Some(block.id.crc64().to_le_bytes().to_vec()),
            ..BlockBlobClientStageBlockOptions::default()
        };
        let size_bytes = block.content.len() as u64;
        let content = block.content.into();
        let result = self.blob(name).stage_block(&block.id.to_bytes(), size_bytes, content, Some(options)).await;
        result.map(drop).map_err(failed("stage a block of", name))
    }

    async fn commit(
        &self,
        name: &BlobName,
        blocks: &[BlockId],
        properties: &BlobProperties,
    ) -> Result<CommitOutcome, DestinationError> {
        let failed = failed("commit", name);
        let latest = blocks.iter().map(|id| id.to_bytes().to_vec()).collect();
        let list = BlockLookupList { latest: Some(latest), ..BlockLookupList::default() };
        let options = BlockBlobClientCommitBlockListOptions {
            if_none_match: Some(Etag::from("*")),
            blob_content_type: Some(properties.content_type.to_owned()),
            metadata: Some(metadata(properties)),
            ..BlockBlobClientCommitBlockListOptions::default()
        };
        let content = RequestContent::try_from(list).map_err(&failed)?;
        let result = self.blob(name).commit_block_list(content, Some(options)).await;
        created(result.map(drop)).map_err(&failed)
    }

    async fn inspect(&self, name: &BlobName) -> Result<Option<CommittedBlob>, DestinationError> {
        let failed = failed("inspect", name);
        let response = self.blob(name).get_block_list(BlockListType::Committed, None).await;
        let Some(response) = if_there(response).map_err(&failed)? else {
            return Ok(None);
        };
        let headers = response.headers();
        let etag = headers.get_optional_string(&"etag".into());
        let size = headers.get_optional_string(&"x-ms-blob-content-length".into()).and_then(|text| text.parse().ok());
        let (Some(etag), Some(size_bytes)) = (etag, size) else {
            return Ok(None);
        };
        let list = response.into_model().map_err(&failed)?.committed_blocks.unwrap_or_default();
        // No committed block: staged blocks only, which is no blob yet, or a blob somebody else put there in one piece.
        if list.is_empty() && !self.container.blob_client(name.as_str()).exists().await.map_err(&failed)? {
            return Ok(None);
        }
        let blocks = list
            .into_iter()
            .map(|block| {
                let id = block.name.as_deref().and_then(BlockId::from_bytes);
                (id, block.size.and_then(|size| u64::try_from(size).ok()).unwrap_or_default())
            })
            .collect();
        Ok(Some(CommittedBlob { size_bytes, etag, blocks, read_back: None }))
    }

    async fn read(&self, name: &BlobName, limit: usize) -> Result<Bytes, DestinationError> {
        let failed = failed("read", name);
        let options =
            BlobClientDownloadOptions { range: Some(HttpRange::new(0, limit as u64)), ..BlobClientDownloadOptions::default() };
        let result = self.container.blob_client(name.as_str()).download(Some(options)).await.map_err(&failed)?;
        result.body.collect().await.map_err(&failed)
    }

    async fn put(&self, name: &BlobName, content: Bytes, properties: &BlobProperties) -> Result<CommitOutcome, DestinationError> {
        let options = BlockBlobClientUploadOptions {
            blob_content_type: Some(properties.content_type.to_owned()),
            metadata: Some(metadata(properties)),
            ..BlockBlobClientUploadOptions::default()
        };
        let result = self.blob(name).upload(content.into(), Some(options.if_not_exists())).await;
        created(result.map(drop)).map_err(failed("write", name))
    }
}
