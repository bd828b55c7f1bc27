//! Settings of notifications: who receives them. Off unless one of the two receivers is set.

use std::str::FromStr;

use super::reader::Reader;
use crate::notify::webhook::{WebhookConfig, WebhookSecret};
use crate::storage_url::QueueUrl;

/// Who receives events.
#[derive(Debug, Clone)]
pub enum NotifyConfig {
    Webhook(WebhookConfig),
    Queue(QueueUrl),
}

impl Reader {
    pub(super) fn notify(&mut self) -> Option<NotifyConfig> {
        let url = self.https_url("NOTIFY_URL");
        let secret = self.parsed("NOTIFY_SECRET", WebhookSecret::from_str);
        let queue = self.parsed("NOTIFY_QUEUE_URL", QueueUrl::from_str);
        let (has_url, has_secret) = (self.is_given("NOTIFY_URL"), self.is_given("NOTIFY_SECRET"));
        if has_url && self.is_given("NOTIFY_QUEUE_URL") {
            self.problem(
                "NOTIFY_QUEUE_URL",
                "and NOTIFY_URL are both set; keep one of them",
            );
        }
        if has_url != has_secret {
            self.problem(
                "NOTIFY_SECRET",
                "and NOTIFY_URL belong together; set both or none. Make a secret: echo whsec_$(openssl rand -base64 32)",
            );
        }
        let webhook = url.zip(secret);
        webhook
            .map(|(url, secret)| NotifyConfig::Webhook(WebhookConfig { url, secret }))
            .or(queue.map(NotifyConfig::Queue))
    }
}
