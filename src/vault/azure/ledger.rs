//! [`DocumentStore`] on a container: a blob a document, `ETag`s as versions.

use async_trait::async_trait;
use azure_core::http::{Etag, StatusCode};
use azure_storage_blob::BlobContainerClient;
use azure_storage_blob::models::BlockBlobClientUploadOptions;
use bytes::Bytes;

use super::{SEQUENTIAL, has_code, if_there, redacted, sequential_download, status};
use crate::store::document_store::{
    DocumentStore, Precondition, PutOutcome, StoreError, Version, Versioned,
};

/// The ledger's documents in a container, which is created when it is missing.
pub struct AzureDocumentStore {
    container: BlobContainerClient,
}

impl AzureDocumentStore {
    pub fn new(container: BlobContainerClient) -> Self {
        Self { container }
    }

    async fn upload(
        &self,
        key: &str,
        content: Bytes,
        condition: &Precondition,
    ) -> azure_core::Result<()> {
        let options = BlockBlobClientUploadOptions {
            blob_content_type: Some("application/json".to_owned()),
            parallel: SEQUENTIAL,
            ..BlockBlobClientUploadOptions::default()
        };
        let options = match condition {
            Precondition::Absent => options.if_not_exists(),
            Precondition::Unchanged(Version(etag)) => BlockBlobClientUploadOptions {
                if_match: Some(Etag::from(etag.clone())),
                ..options
            },
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
    move |error| StoreError {
        action,
        key: key.to_owned(),
        source: redacted(&error),
    }
}

/// A read of a ledger whose container is yet to be created finds nothing.
fn if_container<T>(result: azure_core::Result<Option<T>>) -> azure_core::Result<Option<T>> {
    match result {
        Err(error) if has_code(&error, "ContainerNotFound") => Ok(None),
        result => result,
    }
}

#[async_trait]
impl DocumentStore for AzureDocumentStore {
    async fn find(&self, key: &str) -> Result<Option<Versioned>, StoreError> {
        let failed = failed("read", key);
        let result = self
            .container
            .blob_client(key)
            .download(Some(sequential_download()))
            .await;
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

    async fn put(
        &self,
        key: &str,
        content: Bytes,
        condition: Precondition,
    ) -> Result<PutOutcome, StoreError> {
        let mut result = self.upload(key, content.clone(), &condition).await;
        if let Err(error) = &result
            && has_code(error, "ContainerNotFound")
        {
            self.create_container()
                .await
                .map_err(failed("create the container of", key))?;
            result = self.upload(key, content, &condition).await;
        }
        match result {
            Ok(()) => Ok(PutOutcome::Written),
            // 412 ConditionNotMet for a version that moved on; 409 BlobAlreadyExists for one that should be absent.
            Err(error) if status(&error) == Some(StatusCode::PreconditionFailed) => {
                Ok(PutOutcome::Conflict)
            }
            Err(error) if has_code(&error, "BlobAlreadyExists") => Ok(PutOutcome::Conflict),
            Err(error) => Err(failed("write", key)(error)),
        }
    }

    async fn remove(&self, key: &str) -> Result<(), StoreError> {
        let result = self.container.blob_client(key).delete(None).await;
        if_container(if_there(result))
            .map(drop)
            .map_err(failed("remove", key))
    }

    async fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>, StoreError> {
        let keys = super::names(&self.container, Some(prefix), after, limit)
            .await
            .map(Some);
        Ok(if_container(keys)
            .map_err(failed("list", prefix))?
            .unwrap_or_default())
    }
}
