//! Processes stored events again: dead letters, poison, copies of deliveries. Idempotent, as every delivery is.

use serde_json::Value;

use super::{Operator, OperatorActions};
use crate::export::ledger::LedgerError;
use crate::intake::{Intake, Origin, events_in};
use crate::recording::DocumentId;
use crate::store::audit::AuditAction;

/// Outcome of a document.
#[derive(Debug)]
pub enum Replayed {
    /// It holds no events: it is neither JSON nor base64 of JSON.
    NoEvents,
    Taken(ReplayedEvents),
}

/// Outcome of the events of a document.
#[derive(Debug, Default)]
pub struct ReplayedEvents {
    /// Chunks that are now in the ledger.
    pub chunks: Vec<DocumentId>,
    /// The reason of each event or chunk that could not be read.
    pub unreadable: Vec<String>,
    /// Why it must be replayed once more, although everything it announced is durable.
    pub again: Option<String>,
}

impl Replayed {
    /// Whether everything in it was read, and none of it must be replayed once more.
    fn is_whole(&self) -> bool {
        match self {
            Self::NoEvents => false,
            Self::Taken(events) => events.unreadable.is_empty() && events.again.is_none(),
        }
    }
}

/// Outcome of a poison event.
#[derive(Debug)]
pub enum ReplayedPoison {
    /// No event is stored under this name.
    Unknown,
    Known(Replayed),
}

impl OperatorActions {
    /// Processes the events of a document that was stored as `name`.
    ///
    /// # Errors
    /// When the ledger fails. What was recorded before stays.
    pub async fn replay(
        &self,
        name: &str,
        content: &[u8],
        intake: &Intake,
        operator: &Operator,
    ) -> Result<Replayed, LedgerError> {
        self.ledger
            .audit_operator(AuditAction::Replayed, name, operator, Value::Null)
            .await?;
        let Some(events) = events_in(content) else {
            return Ok(Replayed::NoEvents);
        };
        let mut delivery = intake.begin(Origin::Replay);
        delivery.take_all(&events).await?;
        Ok(Replayed::Taken(ReplayedEvents {
            chunks: delivery.recorded,
            unreadable: delivery.unreadable,
            again: delivery.again,
        }))
    }

    /// Processes an event again that was stored as poison.
    ///
    /// # Errors
    /// As [`OperatorActions::replay`].
    pub async fn replay_poison(
        &self,
        sha256: &str,
        intake: &Intake,
        operator: &Operator,
    ) -> Result<ReplayedPoison, LedgerError> {
        let Some(kept) = self.ledger.poison(sha256).await? else {
            return Ok(ReplayedPoison::Unknown);
        };
        let name = format!("poison:{sha256}");
        let replayed = self.replay(&name, &kept, intake, operator).await?;
        if replayed.is_whole() {
            self.dismiss(sha256, "it was replayed, and read", operator)
                .await?;
        }
        Ok(ReplayedPoison::Known(replayed))
    }
}
