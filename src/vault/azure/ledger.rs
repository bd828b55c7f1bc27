//! [`LedgerStore`] on a container: a blob a document, `ETag`s as versions.

use async_trait::async_trait;
use azure_core::http::{Etag, StatusCode};
use azure_storage_blob::BlobContainerClient;
use azure_storage_blob::models::{BlobContainerClientListBlobsOptions, BlockBlobClientUploadOptions};
use bytes::Bytes;
use futures::TryStreamExt as _;

use super::{SEQUENTIAL, has_code, if_there, redacted, sequential_download, status};
use crate::export::ledger_store::{LedgerStore, Precondition, PutOutcome, StoreError, Version, Versioned};

/// The most a page of a listing may hold.
const PAGE: usize = 5000;

/// The ledger's documents in a container, which is created when it is missing.
pub struct AzureLedgerStore {
    container: BlobContainerClient,
}

impl AzureLedgerStore {
    pub fn new(container: BlobContainerClient) -> Self {
        Self { container }
    }

    async fn upload(&self, key: &str, content: Bytes, condition: &Precondition) -> azure_core::Result<()> {
        let options = BlockBlobClientUploadOptions {
            blob_content_type: Some("application/json".to_owned()),
            parallel: SEQUENTIAL,
            ..BlockBlobClientUploadOptions::default()
        };
        let options = match condition {
            Precondition::Absent => options.if_not_exists(),
            Precondition::Unchanged(Version(etag)) => {
                BlockBlobClientUploadOptions { if_match: Some(Etag::from(etag.clone())), ..options }
            }
        };
        let blob = self.container.blob_client(key);
        blob.upload(content.into(), Some(options)).await.map(drop)
    }

    async fn create_container(&self) -> azure_core::Result<()> {
        match self.container.create(None).await {
            Ok(_) => Ok(()),
            Err(error) if has_code(&error, "ContainerAlreadyExists") => Ok(()),
            Err(error) => Err(error),
        }
    }
}

fn failed<'a>(action: &'static str, key: &'a str) -> impl Fn(azure_core::Error) -> StoreError + 'a {
    move |error| StoreError { action, key: key.to_owned(), source: redacted(&error) }
}

/// A read of a ledger whose container is yet to be created finds nothing.
fn if_container<T>(result: azure_core::Result<Option<T>>) -> azure_core::Result<Option<T>> {
    match result {
        Err(error) if has_code(&error, "ContainerNotFound") => Ok(None),
        result => result,
    }
}

#[async_trait]
impl LedgerStore for AzureLedgerStore {
    async fn find(&self, key: &str) -> Result<Option<Versioned>, StoreError> {
        let failed = failed("read", key);
        let result = self.container.blob_client(key).download(Some(sequential_download())).await;
        let Some(result) = if_container(if_there(result)).map_err(&failed)? else {
            return Ok(None);
        };
        let etag = result.properties.etag.clone().map(|etag| etag.to_string());
        let content = result.body.collect().await.map_err(&failed)?;
        let version = Version(etag.ok_or_else(|| StoreError {
            action: "read",
            key: key.to_owned(),
            source: "the storage named no ETag".into(),
        })?);
        Ok(Some(Versioned { content, version }))
    }

    async fn put(&self, key: &str, content: Bytes, condition: Precondition) -> Result<PutOutcome, StoreError> {
        let mut result = self.upload(key, content.clone(), &condition).await;
        if let Err(error) = &result
            && has_code(error, "ContainerNotFound")
        {
            self.create_container().await.map_err(failed("create the container of", key))?;
            result = self.upload(key, content, &condition).await;
        }
        match result {
            Ok(()) => Ok(PutOutcome::Written),
            // 412 ConditionNotMet for a version that moved on; 409 BlobAlreadyExists for one that should be absent.
            Err(error) if status(&error) == Some(StatusCode::PreconditionFailed) => Ok(PutOutcome::Conflict),
            Err(error) if has_code(&error, "BlobAlreadyExists") => Ok(PutOutcome::Conflict),
            Err(error) => Err(failed("write", key)(error)),
        }
    }

    async fn remove(&self, key: &str) -> Result<(), StoreError> {
        let result = self.container.blob_client(key).delete(None).await;
        if_container(if_there(result)).map(drop).map_err(failed("remove", key))
    }

    async fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<String>, StoreError> {
        let failed = failed("list", prefix);
        let options = BlobContainerClientListBlobsOptions {
            prefix: Some(prefix.to_owned()),
            // Begins at `after` itself, where the service knows this; an emulator that does not begins at the front.
            start_from: after.map(str::to_owned),
            maxresults: i32::try_from(limit.min(PAGE)).ok(),
            ..BlobContainerClientListBlobsOptions::default()
        };
        let mut pages = self.container.list_blobs(Some(options)).map_err(&failed)?.into_pages();
        let mut keys = Vec::new();
        while keys.len() < limit {
            let page = match if_container(pages.try_next().await).map_err(&failed)? {
                Some(page) => page.into_model().map_err(&failed)?,
                None => break,
            };
            let names = page.blob_items.into_iter().filter_map(|blob| blob.name);
            keys.extend(names.filter(|name| after.is_none_or(|after| name.as_str() > after)));
        }
        keys.truncate(limit);
        Ok(keys)
    }
}
