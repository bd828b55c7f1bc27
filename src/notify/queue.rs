//! A Storage queue as the receiver: each message is a CloudEvent as JSON, in base64, as queue triggers of Functions read it.

use std::sync::Arc;
use std::time::Duration;

use azure_core::credentials::TokenCredential;
use azure_core::http::{ClientOptions, StatusCode};
use azure_storage_queue::models::QueueMessage;
use azure_storage_queue::{QueueClient, QueueClientOptions};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::{CloudEvent, NotTaken};
use crate::http_client;
use crate::storage_url::QueueUrl;
use crate::vault::azure::redacted;

/// Includes the client's own retries.
const DEADLINE: Duration = Duration::from_secs(20);

/// Puts events into a queue.
pub struct NotifyQueue {
    client: QueueClient,
}

impl NotifyQueue {
    /// Sets up; sends nothing. `identity` is used where the URL carries no SAS.
    ///
    /// # Errors
    /// When the client refuses the URL.
    pub fn new(
        url: &QueueUrl,
        identity: Option<Arc<dyn TokenCredential>>,
    ) -> azure_core::Result<Self> {
        let credential = if url.has_sas() { None } else { identity };
        let client_options = ClientOptions {
            transport: Some(http_client::azure_transport()),
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

    /// Puts an event into the queue; creates the queue for the first one.
    ///
    /// # Errors
    /// When the queue does not take it.
    pub async fn send(&self, event: &CloudEvent) -> Result<(), NotTaken> {
        let sending = async {
            match self.put(event).await {
                Err(error) if error.http_status() == Some(StatusCode::NotFound) => {
                    self.client.create(None).await?;
                    self.put(event).await
                }
                sent => sent,
            }
        };
        match tokio::time::timeout(DEADLINE, sending).await {
            Ok(sent) => sent.map_err(|error| NotTaken::Unavailable(redacted(&error))),
            Err(_) => Err(NotTaken::Unavailable(
                format!("it did not answer within {DEADLINE:?}").into(),
            )),
        }
    }

    async fn put(&self, event: &CloudEvent) -> azure_core::Result<()> {
        let text = serde_json::to_vec(event).expect("an event has string keys only");
        let message = QueueMessage {
            message_text: Some(BASE64_STANDARD.encode(text)),
        };
        self.client
            .send_message(message.try_into()?, None)
            .await
            .map(drop)
    }
}
