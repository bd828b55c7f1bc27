//! The parts of notifications, put together from the settings: an outbox, and who receives what is in it.

use std::sync::Arc;

use super::{BuildError, NewIdentity};
use crate::clock::Clock;
use crate::config::NotifyConfig;
use crate::control::RecordingControl;
use crate::export::ChunkLedger;
use crate::notify::queue::NotifyQueue;
use crate::notify::webhook::Webhook;
use crate::notify::{Notifier, Receiver, Sending};
use crate::store::DocumentStore;
use crate::store::outbox::Outbox;

/// Where notices are kept and who receives them; both `None` where nobody is notified.
pub(super) struct Notifications {
    outbox: Option<Outbox>,
    receiver: Option<Receiver>,
    /// The `source` of every event.
    source: String,
}

impl Notifications {
    pub(super) fn new(
        config: Option<NotifyConfig>,
        source: String,
        store: &Arc<dyn DocumentStore>,
        new_identity: NewIdentity<'_>,
    ) -> Result<Self, BuildError> {
        Ok(Self {
            outbox: config.is_some().then(|| Outbox::new(Arc::clone(store))),
            receiver: receiver(config, new_identity)?,
            source,
        })
    }

    /// Where ledger and register keep notices.
    pub(super) fn outbox(&self) -> Option<Outbox> {
        self.outbox.clone()
    }

    pub(super) fn notifier(
        self,
        ledger: &ChunkLedger,
        control: &RecordingControl,
        clock: &Arc<dyn Clock>,
    ) -> Option<Arc<Notifier>> {
        let sending = Sending {
            outbox: self.outbox?,
            receiver: self.receiver?,
            source: self.source,
        };
        let register = control.register().clone();
        let notifier = Notifier::new(ledger.clone(), register, sending, Arc::clone(clock));
        Some(Arc::new(notifier))
    }
}

fn receiver(
    config: Option<NotifyConfig>,
    new_identity: NewIdentity<'_>,
) -> Result<Option<Receiver>, BuildError> {
    Ok(match config {
        None => None,
        Some(NotifyConfig::Webhook(config)) => {
            let webhook = Webhook::new(config).map_err(BuildError::Http)?;
            Some(Receiver::Webhook(webhook))
        }
        Some(NotifyConfig::Queue(url)) => {
            let identity = (!url.has_sas()).then(new_identity).transpose()?;
            let queue = NotifyQueue::new(&url, identity)
                .map_err(|error| BuildError::NotifyQueue(Box::new(error)))?;
            Some(Receiver::Queue(queue))
        }
    })
}
