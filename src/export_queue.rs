//! The queue that exports chunks where the timer would be the bottleneck: one message for each chunk. Off unless
//! `EXPORT_QUEUE_URL` is set. The ledger knows what is due, so a message that is lost or arrives twice does no harm.

use std::error::Error;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use azure_core::credentials::TokenCredential;
use azure_core::http::{ClientOptions, ExponentialRetryOptions, RetryOptions, StatusCode};
use azure_storage_queue::models::{QueueClientSendMessageOptions, QueueMessage};
use azure_storage_queue::{QueueClient, QueueClientOptions};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};

use crate::http_client;
use crate::recording::DocumentId;
use crate::storage_url::{InvalidStorageUrl, QueueUrl};
use crate::vault::azure::redacted;

/// The queue that `functions/ExportChunk/function.json` names.
pub const QUEUE_NAME: &str = "recording-vault-chunks";
/// Azure's limit for the delay of a message
/// (<https://learn.microsoft.com/rest/api/storageservices/put-message#uri-parameters>).
const LONGEST_DELAY: Duration = Duration::from_hours(7 * 24);

/// A queue that does not answer in this time is skipped: the chunk is exported at once instead.
const PATIENCE: Duration = Duration::from_secs(5);

/// Sends messages; the Functions host receives them.
pub struct ExportQueue {
    client: QueueClient,
}

/// The queue took no message.
#[derive(Debug, thiserror::Error)]
#[error("could not put a message into the export queue")]
pub struct NotSent(#[source] Box<dyn Error + Send + Sync>);

/// Content of a message: the chunk to drive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChunkMessage {
    pub document_id: DocumentId,
}

/// The URL of the export queue; with a SAS it is a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportQueueUrl(QueueUrl);

/// What is wrong with the URL of the export queue. Never repeats the URL: it may hold a SAS.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidExportQueueUrl {
    #[error(transparent)]
    Queue(#[from] InvalidStorageUrl),
    #[error(
        "is not the queue that the function ExportChunk reads; expected https://<account>.queue.core.windows.net/{QUEUE_NAME}, with or without a SAS"
    )]
    OtherQueue,
}

impl ExportQueueUrl {
    /// Whether it carries a SAS, so that no identity is needed.
    pub fn has_sas(&self) -> bool {
        self.0.has_sas()
    }

    pub fn url(&self) -> &QueueUrl {
        &self.0
    }
}

impl FromStr for ExportQueueUrl {
    type Err = InvalidExportQueueUrl;

    fn from_str(text: &str) -> Result<Self, InvalidExportQueueUrl> {
        let url: QueueUrl = text.parse()?;
        if url.name() != QUEUE_NAME {
            return Err(InvalidExportQueueUrl::OtherQueue);
        }
        Ok(Self(url))
    }
}

impl ExportQueue {
    /// Sets up; sends nothing. `identity` is used where the URL carries no SAS.
    ///
    /// # Errors
    /// When the client refuses the URL.
    pub fn new(
        url: &ExportQueueUrl,
        identity: Option<Arc<dyn TokenCredential>>,
    ) -> azure_core::Result<Self> {
        let credential = if url.has_sas() { None } else { identity };
        let retry = ExponentialRetryOptions {
            max_retries: 1,
            max_total_elapsed: azure_core::time::Duration::seconds(3),
            ..ExponentialRetryOptions::default()
        };
        let client_options = ClientOptions {
            retry: RetryOptions::exponential(retry),
            transport: Some(http_client::azure_transport()),
            ..ClientOptions::default()
        };
        let options = QueueClientOptions {
            client_options,
            ..QueueClientOptions::default()
        };
        Ok(Self {
            client: QueueClient::new(url.0.expose().clone(), credential, Some(options))?,
        })
    }

    /// Sends a message that drives a chunk after this delay. Creates the queue for the first message.
    ///
    /// # Errors
    /// When the queue does not take it.
    pub async fn send(&self, document_id: &DocumentId, after: Duration) -> Result<(), NotSent> {
        let sending = async {
            match self.put(document_id, after).await {
                Err(error) if error.http_status() == Some(StatusCode::NotFound) => {
                    self.client.create(None).await?;
                    self.put(document_id, after).await
                }
                sent => sent,
            }
        };
        match tokio::time::timeout(PATIENCE, sending).await {
            Ok(sent) => sent.map_err(|error| NotSent(redacted(&error))),
            Err(_) => Err(NotSent(
                format!("it did not answer within {PATIENCE:?}").into(),
            )),
        }
    }

    async fn put(&self, document_id: &DocumentId, after: Duration) -> azure_core::Result<()> {
        let message = ChunkMessage {
            document_id: document_id.clone(),
        };
        let text = serde_json::to_vec(&message).expect("a message has string keys only");
        // The host's queue trigger reads base64 by default.
        let message = QueueMessage {
            message_text: Some(BASE64_STANDARD.encode(text)),
        };
        let seconds = i32::try_from(after.min(LONGEST_DELAY).as_secs())
            .ok()
            .filter(|seconds| *seconds > 0);
        let options = QueueClientSendMessageOptions {
            visibility_timeout: seconds,
            ..QueueClientSendMessageOptions::default()
        };
        self.client
            .send_message(message.try_into()?, Some(options))
            .await
            .map(drop)
    }
}
