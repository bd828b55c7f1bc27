//! Processes stored events again: dead letters, poison, copies of deliveries. Idempotent, as every delivery is.

use serde_json::Value;

use super::{Operator, OperatorActions};
use crate::export::ledger::LedgerError;
use crate::intake::{Intake, Origin, events_in};
use crate::recording::{DocumentId, check_is_event};
use crate::store::audit::AuditAction;
use crate::store::digest::Sha256Digest;

/// Outcome of a document.
#[derive(Debug)]
pub enum Replayed {
    /// It holds no events that can be read.
    NoEvents,
    Taken(ReplayedEvents),
}

/// Outcome of the events of a document.
#[derive(Debug, Default)]
pub struct ReplayedEvents {
    /// Chunks that are now in the ledger.
    pub chunks: Vec<DocumentId>,
    /// The reason of each event or chunk that could not be read, and of each value that is no event.
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

/// The values of a document.
struct Sorted {
    events: Vec<Value>,
    /// Why each of the others is no event.
    others: Vec<String>,
}

impl Sorted {
    fn of(values: Vec<Value>) -> Self {
        let (mut events, mut others) = (Vec::new(), Vec::new());
        for value in values {
            match check_is_event(&value) {
                Ok(()) => events.push(value),
                Err(reason) => others.push(format!("not an event: {reason}")),
            }
        }
        Self { events, others }
    }
}

impl OperatorActions {
    /// Processes the events of a document. What is no event is named and not kept: the document may be any file, with
    /// secrets in it. The audit log names the document by its digest, because its name may name people.
    ///
    /// # Errors
    /// When the ledger fails. What was recorded before stays.
    pub async fn replay(
        &self,
        content: &[u8],
        intake: &Intake,
        operator: &Operator,
    ) -> Result<Replayed, LedgerError> {
        let Some(values) = events_in(content) else {
            return Ok(Replayed::NoEvents);
        };
        let sorted = Sorted::of(values);
        if !sorted.events.is_empty() {
            let subject = format!("document {}", Sha256Digest::of(content));
            self.note_replayed(&subject, operator).await?;
        }
        take(sorted, intake).await.map(Replayed::Taken)
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
        let subject = format!("poison:{sha256}");
        self.note_replayed(&subject, operator).await?;
        let replayed = match events_in(&kept) {
            None => Replayed::NoEvents,
            Some(values) => Replayed::Taken(take(Sorted::of(values), intake).await?),
        };
        if replayed.is_whole() {
            self.dismiss(sha256, "it was replayed, and read", operator)
                .await?;
        }
        Ok(ReplayedPoison::Known(replayed))
    }

    async fn note_replayed(&self, subject: &str, operator: &Operator) -> Result<(), LedgerError> {
        self.ledger
            .audit_operator(AuditAction::Replayed, subject, operator, Value::Null)
            .await
            .map(drop)
    }
}

async fn take(sorted: Sorted, intake: &Intake) -> Result<ReplayedEvents, LedgerError> {
    let Sorted { events, others } = sorted;
    let mut delivery = intake.begin(Origin::Replay);
    delivery.take_all(&events).await?;
    Ok(ReplayedEvents {
        chunks: delivery.recorded,
        unreadable: others.into_iter().chain(delivery.unreadable).collect(),
        again: delivery.again,
    })
}
