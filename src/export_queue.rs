//! The queue that takes over the driving where the timer would be the bottleneck: one message for each chunk. Off unless
//! `EXPORT_QUEUE_URL` is set. The ledger knows what is due all the same, so a message that is lost, or comes twice, harms nothing.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use azure_core::credentials::TokenCredential;
use azure_core::http::{ClientOptions, ExponentialRetryOptions, RetryOptions, StatusCode};
use azure_storage_queue::models::{QueueClientSendMessageOptions, QueueMessage};
use azure_storage_queue::{QueueClient, QueueClientOptions};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};

use crate::recording::DocumentId;
use crate::vault::azure::redacted;
use crate::vault::url::ContainerUrl;

/// The queue that `functions/ExportChunk/function.json` names.
pub const QUEUE_NAME: &str = "recording-vault-chunks";
/// Azure's limit for the delay of a message
/// (<https://learn.microsoft.com/rest/api/storageservices/put-message#uri-parameters>).
const LONGEST_DELAY: Duration = Duration::from_hours(7 * 24);

/// Where the queue is away, the chunk is exported at once instead: nobody waits for it longer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Sends messages; the Functions host receives them.
pub struct ExportQueue {
    client: QueueClient,
}

/// The queue took no message.
#[derive(Debug, thiserror::Error)]
#[error("could not put a message into the export queue")]
pub struct NotSent(#[source] Box<dyn Error + Send + Sync>);

/// What a message says: which chunk is to be driven.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChunkMessage {
    pub document_id: DocumentId,
}

impl ExportQueue {
    /// Sets up; sends nothing. `identity` is used where the URL carries no SAS.
    ///
    /// # Errors
    /// When the client refuses the URL.
    pub fn new(
        url: &ContainerUrl,
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
            ..ClientOptions::default()
        };
        let options = QueueClientOptions {
            client_options,
            ..QueueClientOptions::default()
        };
        Ok(Self {
            client: QueueClient::new(url.expose().clone(), credential, Some(options))?,
        })
    }

    /// Has a chunk driven after that long. The first message makes the queue.
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
        // The host's queue trigger reads base64 unless it is told otherwise.
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
