//! [`DocumentStore`] on a container: one blob per document, `ETag`s as versions.

use async_trait::async_trait;
use azure_core::http::{Etag, StatusCode};
use azure_storage_blob::BlobContainerClient;
use azure_storage_blob::models::{
    BlobClientDeleteOptions, BlobContainerClientGetPropertiesResultHeaders as _,
    BlockBlobClientUploadOptions,
};
use bytes::{Bytes, BytesMut};
use futures::TryStreamExt as _;

use super::{SEQUENTIAL, has_code, if_there, redacted, sequential_download, status};
use crate::store::document_store::{
    Damage, DamagedDocument, DocumentRemoval, DocumentStore, MOST_DOCUMENT_BYTES, PlacePolicy,
    Precondition, PutOutcome, StoreError, StorePlace, Version, Versioned,
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
    ) -> azure_core::Result<Option<String>> {
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
        let written = blob.upload(content.into(), Some(options)).await?;
        Ok(written.etag.map(|etag| etag.to_string()))
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

/// A failure to read a document: one in the archive tier is damaged.
fn not_read(key: &str, error: &azure_core::Error) -> StoreError {
    let is_archived = ["BlobArchived", "BlobBeingRehydrated"]
        .iter()
        .any(|code| has_code(error, code));
    let source = redacted(error);
    StoreError {
        action: "read",
        key: key.to_owned(),
        source: if is_archived {
            Box::new(DamagedDocument::new(Damage::Archived, source.to_string()))
        } else {
            source
        },
    }
}

fn version(key: &str, action: &'static str, etag: Option<String>) -> Result<Version, StoreError> {
    etag.map(Version).ok_or_else(|| StoreError {
        action,
        key: key.to_owned(),
        source: "the storage named no ETag".into(),
    })
}

/// A HEAD has no body: its error code is in a header.
fn is_missing_container(error: &azure_core::Error) -> bool {
    has_code(error, "ContainerNotFound") || status(error) == Some(StatusCode::NotFound)
}

/// Treats a missing container as an empty ledger.
fn if_container<T>(result: azure_core::Result<Option<T>>) -> azure_core::Result<Option<T>> {
    match result {
        Err(error) if has_code(&error, "ContainerNotFound") => Ok(None),
        result => result,
    }
}

#[async_trait]
impl DocumentStore for AzureDocumentStore {
    async fn find(&self, key: &str) -> Result<Option<Versioned>, StoreError> {
        let failed = |error: azure_core::Error| not_read(key, &error);
        let result = self
            .container
            .blob_client(key)
            .download(Some(sequential_download()))
            .await;
        let Some(result) = if_container(if_there(result)).map_err(&failed)? else {
            return Ok(None);
        };
        let etag = result.properties.etag.clone().map(|etag| etag.to_string());
        let mut content = BytesMut::new();
        let mut body = result.body;
        while let Some(part) = body.try_next().await.map_err(&failed)? {
            if content.len() + part.len() > MOST_DOCUMENT_BYTES {
                return Err(StoreError {
                    action: "read",
                    key: key.to_owned(),
                    source: Box::new(DamagedDocument::too_large(etag.map(Version))),
                });
            }
            content.extend_from_slice(&part);
        }
        let content = content.freeze();
        let version = version(key, "read", etag)?;
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
            Ok(etag) => Ok(PutOutcome::Written(version(key, "write", etag)?)),
            // 412 is also the answer to a write that lacks a lease: only these two codes say that the version is
            // another one.
            Err(error)
                if ["ConditionNotMet", "BlobAlreadyExists"]
                    .iter()
                    .any(|code| has_code(&error, code)) =>
            {
                Ok(PutOutcome::Conflict)
            }
            Err(error) => Err(failed("write", key)(error)),
        }
    }

    async fn remove(&self, key: &str) -> Result<(), StoreError> {
        let result = self.container.blob_client(key).delete(None).await;
        if_container(if_there(result))
            .map(drop)
            .map_err(failed("remove", key))
    }

    async fn remove_unchanged(
        &self,
        key: &str,
        version: &Version,
    ) -> Result<DocumentRemoval, StoreError> {
        let options = BlobClientDeleteOptions {
            if_match: Some(Etag::from(version.0.clone())),
            ..BlobClientDeleteOptions::default()
        };
        let blob = self.container.blob_client(key);
        match if_container(if_there(blob.delete(Some(options)).await)) {
            Ok(_) => Ok(DocumentRemoval::Removed),
            // The repetition of a removal that took effect may get this response too.
            Err(error) if has_code(&error, "ConditionNotMet") => Ok(match self.find(key).await? {
                Some(_) => DocumentRemoval::Changed,
                None => DocumentRemoval::Removed,
            }),
            Err(error) => Err(failed("remove", key)(error)),
        }
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

    async fn place(&self) -> Result<StorePlace, StoreError> {
        let failed = failed("look at the container of", "");
        let found = match self.container.get_properties(None).await {
            Ok(found) => found,
            Err(error) if is_missing_container(&error) => return Ok(StorePlace::Missing),
            Err(error) => return Err(failed(error)),
        };
        let policy = found.has_immutability_policy().map_err(&failed)?;
        let hold = found.has_legal_hold().map_err(&failed)?;
        Ok(StorePlace::Exists(match (policy, hold) {
            (Some(true), _) | (_, Some(true)) => PlacePolicy::Immutable,
            (Some(false), _) => PlacePolicy::Nothing,
            (None, _) => PlacePolicy::NotShown,
        }))
    }
}
