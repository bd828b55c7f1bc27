//! The account of the recording of an event: found before the event's chunks are recorded, and changed by the event.

use tracing::warn;

use super::{Delivery, Intake};
use crate::control::{Announcement, EventOrder, FoundAccount};
use crate::error_chain::ErrorChain;
use crate::recording::RecordingFileStatusUpdated;
use crate::store::documents::DocumentError;

/// The account of the recording of an event, before the event.
pub(super) enum EventAccount {
    Found(Box<FoundAccount>),
    /// It was not readable, at least at first.
    Unchangeable {
        announcement: Announcement,
        reason: String,
    },
}

impl EventAccount {
    pub fn announcement(&self) -> Announcement {
        match self {
            Self::Found(found) => found.announcement,
            Self::Unchangeable { announcement, .. } => *announcement,
        }
    }

    pub fn order(&self) -> EventOrder {
        match self {
            Self::Found(found) => found.order,
            Self::Unchangeable { .. } => EventOrder::Later,
        }
    }
}

impl Intake {
    /// Registers what an event announces. Returns what the account says then, or why it was not changed.
    pub(super) async fn register(
        &self,
        update: &RecordingFileStatusUpdated,
        account: EventAccount,
    ) -> Result<Announcement, String> {
        match account {
            EventAccount::Found(found) => {
                let registering = self.control.register_announced(update, *found);
                registering.await.map_err(|error| register_failed(&error))
            }
            EventAccount::Unchangeable { reason, .. } => Err(reason),
        }
    }
}

impl Delivery<'_> {
    /// The account of the recording of an event. `None`: whether the recording was erased is unknown, and Event Grid
    /// delivers again.
    pub(super) async fn find_account(
        &mut self,
        update: &RecordingFileStatusUpdated,
    ) -> Option<EventAccount> {
        match self.intake.control.find_announced(update).await {
            Ok(found) => Some(EventAccount::Found(Box::new(found))),
            Err(error) => {
                let reason = register_failed(&error);
                let announcement = self.look_up(update).await?;
                Some(EventAccount::Unchangeable {
                    announcement,
                    reason,
                })
            }
        }
    }

    /// Returns what the account of the recording of an event says. `None`: it cannot be read.
    pub(super) async fn look_up(
        &mut self,
        update: &RecordingFileStatusUpdated,
    ) -> Option<Announcement> {
        match self.intake.control.look_up_announced(update).await {
            Ok(announcement) => Some(announcement),
            // Nothing is exported before it is known whether the recording was erased.
            Err(error) => {
                let error = ErrorChain(&error);
                self.again
                    .get_or_insert(format!("the register failed: {error}"));
                warn!(%error, "Did not record the chunks of an event: it is unknown whether their recording was erased");
                None
            }
        }
    }
}

fn register_failed(error: &DocumentError) -> String {
    let error = ErrorChain(error);
    warn!(%error, "Could not register the files of a recording");
    format!("the register failed: {error}")
}
