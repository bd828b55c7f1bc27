//! The customer's own storage that ACS writes into: read with our own identity, never with ACS's credentials.

use std::ops::Range;

use async_trait::async_trait;
use azure_core::http::StatusCode;
use azure_storage_blob::models::BlobClientGetPropertiesResultHeaders as _;
use azure_storage_blob::{BlobClient, BlobContainerClient};
use futures::{StreamExt as _, TryStreamExt as _};
use percent_encoding::percent_decode_str;
use url::{Position, Url};

use super::{AzureStorage, redacted, sequential_download, status};
use crate::export::receipt::ExportReceipt;
use crate::export::source::{
    ChunkPart, OpenedContent, RecordingSource, SourceDeletion, SourceError,
};
use crate::recording::{DeleteLocation, RecordingChunk};
use crate::storage_url::ContainerUrl;

/// Containers that may hold recordings; no request is sent anywhere else.
pub struct ExternalStorage {
    containers: Vec<(Url, BlobContainerClient)>,
}

impl ExternalStorage {
    /// # Errors
    /// When a client refuses its URL.
    pub fn new(storage: &AzureStorage, containers: &[ContainerUrl]) -> azure_core::Result<Self> {
        let clients = containers
            .iter()
            .map(|container| Ok((container.expose().clone(), storage.container(container)?)));
        Ok(Self {
            containers: clients.collect::<azure_core::Result<_>>()?,
        })
    }

    fn blob(&self, location: &str) -> Result<BlobClient, SourceError> {
        let refused = || {
            let host = Url::parse(location)
                .ok()
                .and_then(|url| url.host_str().map(str::to_owned))
                .unwrap_or_default();
            SourceError::Refused(format!(
                "a file at `{host}` is in no container of EXTERNAL_STORAGE"
            ))
        };
        let url = Url::parse(location).map_err(|_| refused())?;
        let found = self
            .containers
            .iter()
            .find_map(|(container, client)| Some((client, name_in(container, &url)?)));
        let (client, name) = found.ok_or_else(refused)?;
        Ok(client.blob_client(&name))
    }

    fn blob_of(&self, chunk: &RecordingChunk, part: ChunkPart) -> Result<BlobClient, SourceError> {
        let location = match part {
            ChunkPart::Media => &chunk.locations.content,
            ChunkPart::Metadata => &chunk.locations.metadata,
        };
        let location = location.as_deref();
        let named = || SourceError::Refused("the event names no location".to_owned());
        self.blob(location.ok_or_else(named)?)
    }
}

async fn length_of(blob: &BlobClient) -> Result<u64, SourceError> {
    let properties = blob.get_properties(None).await;
    let length = properties.and_then(|found| found.content_length());
    let length = length.map_err(|error| failure(&error))?;
    Ok(length.unwrap_or_default())
}

/// The blob's name, if the location is in the container.
fn name_in(container: &Url, location: &Url) -> Option<String> {
    let origin = |url: &Url| url[..Position::BeforePath].to_owned();
    let name = location
        .path()
        .strip_prefix(container.path().trim_end_matches('/'))?
        .strip_prefix('/')?;
    let name = percent_decode_str(name).decode_utf8().ok()?;
    (origin(container) == origin(location) && !name.is_empty()).then(|| name.into_owned())
}

fn failure(error: &azure_core::Error) -> SourceError {
    match status(error) {
        Some(StatusCode::NotFound) => SourceError::Gone { status: 404 },
        Some(_) | None => SourceError::Transient {
            what: "could not read a file in the external storage".to_owned(),
            retry_after: None,
            source: Some(redacted(error)),
        },
    }
}

#[async_trait]
impl RecordingSource for ExternalStorage {
    fn admits(&self, location: &str) -> bool {
        self.blob(location).is_ok()
    }

    async fn open(
        &self,
        chunk: &RecordingChunk,
        part: ChunkPart,
        _range: Range<u64>,
    ) -> Result<OpenedContent, SourceError> {
        let blob = self.blob_of(chunk, part)?;
        let total_bytes = length_of(&blob).await?;
        let body = blob
            .download(Some(sequential_download()))
            .await
            .map_err(|error| failure(&error))?
            .body;
        let stream = body.map_err(|error| failure(&error)).boxed();
        Ok(OpenedContent {
            offset: 0,
            end: total_bytes,
            total_bytes,
            validator: None,
            stream,
        })
    }

    async fn length(&self, chunk: &RecordingChunk, part: ChunkPart) -> Result<u64, SourceError> {
        length_of(&self.blob_of(chunk, part)?).await
    }

    async fn delete(
        &self,
        _location: &DeleteLocation,
        _receipt: &ExportReceipt,
    ) -> Result<SourceDeletion, SourceError> {
        Err(SourceError::Refused(
            "files in the customer's own storage are never deleted".to_owned(),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case(
        "https://a.blob.core.windows.net/calls/20260302/x%20y.wav",
        Some("20260302/x y.wav")
    )]
    #[case("https://a.blob.core.windows.net/calls/x.wav?sig=abc", Some("x.wav"))]
    #[case("https://b.blob.core.windows.net/calls/x.wav", None)]
    #[case("https://a.blob.core.windows.net/callsother/x.wav", None)]
    #[case("https://a.blob.core.windows.net/calls/", None)]
    #[case("https://a.blob.core.windows.net/calls/../other/x.wav", None)]
    #[case("http://a.blob.core.windows.net/calls/x.wav", None)]
    #[case("https://user@a.blob.core.windows.net/calls/x.wav", None)]
    #[case("https://a.blob.core.windows.net:8443/calls/x.wav", None)]
    fn a_file_is_in_the_container_or_is_none_of_ours(
        #[case] location: &str,
        #[case] expected: Option<&str>,
    ) {
        let container = Url::parse("https://a.blob.core.windows.net/calls").unwrap();
        assert_eq!(
            name_in(&container, &Url::parse(location).unwrap()).as_deref(),
            expected
        );
    }
}
