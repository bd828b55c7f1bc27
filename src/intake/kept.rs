//! Continues events that are kept whole: those with more chunks than one delivery takes, and those that were set aside.

use serde_json::Value;
use tracing::{error, info, warn};

use super::event_problems::EventProblems;
use super::{CHUNKS_AT_ONCE, Delivery, Intake, Logging, Origin};
use crate::error_chain::ErrorChain;
use crate::export::Budget;
use crate::export::ledger::{KeptEvent, LedgerError, WhyKept};
use crate::recording::IncomingEvent;
use crate::store::digest::Sha256Digest;

impl Intake {
    /// Continues the kept events until the budget is spent. A failed one does not stop the others.
    ///
    /// # Errors
    /// When the list of kept events cannot be read.
    pub async fn continue_events(&self, budget: Budget) -> Result<(), LedgerError> {
        for event in self.ledger.kept_events().await? {
            if budget.is_spent() {
                break;
            }
            let continued = match self.ledger.begin_kept_event(event).await {
                Ok(Some(kept)) => self.continue_event(event, &kept, budget).await,
                Ok(None) => Ok(()),
                Err(error) => Err(error),
            };
            if let Err(error) = continued {
                warn!(event = %event, error = %ErrorChain(&error), "Could not continue with a kept event; a later sweep tries again");
            }
        }
        Ok(())
    }

    async fn continue_event(
        &self,
        event: Sha256Digest,
        kept: &KeptEvent,
        budget: Budget,
    ) -> Result<(), LedgerError> {
        match kept.why {
            WhyKept::Continued => {
                let _turn = self.turns.beside_others().await;
                let mut delivery = self.begin(Origin::Replay);
                Box::pin(delivery.continue_from(event, kept, budget)).await
            }
            WhyKept::SetAside => self.try_set_aside(event, kept).await,
        }
    }

    /// Tries a set-aside event on its own, while ACS may have its files.
    async fn try_set_aside(
        &self,
        event: Sha256Digest,
        kept: &KeptEvent,
    ) -> Result<(), LedgerError> {
        let until = kept.kept_at.checked_add(self.ledger.source_retention());
        if until.is_ok_and(|until| until < self.clock.now()) {
            let reason = "the process ended each time it was taken, and ACS has dropped its files";
            self.ledger.keep_poison(&kept.event, reason).await?;
            error!(event = %event, "An event that was set aside was not processed before ACS dropped its files; it is kept as poison");
            self.ledger.forget_arrivals(event).await?;
            return self.ledger.finish_kept_event(event).await;
        }
        let _turn = self.turns.alone().await;
        let mut delivery = self.begin(Origin::Replay);
        delivery.record_bare(&kept.event).await?;
        let chunk_count = delivery.process(&kept.event).await?;
        if let Some(why) = delivery.again.take() {
            // Some of its chunks may not be recorded: the kept event, its poison and its arrivals stay.
            warn!(event = %event, error = why, "A set-aside event is retried later");
            return Ok(());
        }
        if chunk_count <= CHUNKS_AT_ONCE {
            self.ledger.finish_kept_event(event).await?;
        }
        // If a part of it cannot be read, it stays poison for that reason.
        if delivery.unreadable.is_empty() {
            self.ledger.resolve_poison(event).await?;
        }
        self.ledger.forget_arrivals(event).await?;
        info!(event = %event, "Processed an event that was set aside");
        Ok(())
    }
}

impl Delivery<'_> {
    /// Records the chunks of an event that one delivery did not take.
    async fn continue_from(
        &mut self,
        event: Sha256Digest,
        kept: &KeptEvent,
        budget: Budget,
    ) -> Result<(), LedgerError> {
        let ledger = &self.intake.ledger;
        let mut update = match IncomingEvent::parse(&kept.event) {
            Ok(IncomingEvent::RecordingFileStatusUpdated(update)) => update,
            other => {
                let why = other
                    .err()
                    .map_or_else(String::new, |why| format!(": {why}"));
                let reason = format!("the rest of its chunks cannot be read{why}");
                self.keep_poison(&kept.event, &reason).await?;
                return ledger.finish_kept_event(event).await;
            }
        };
        let count = update.chunks.len();
        let Some(announcement) = self.look_up(&update).await else {
            return Ok(());
        };
        let origin = self.origin_of(announcement, &update).await;
        let (mut problems, mut failed) = (EventProblems::default(), None);
        let mut done = kept.next;
        for chunk in update.chunks.drain(..).skip(kept.next) {
            let id = chunk.document_id.clone();
            let recording = self.record_chunk(chunk.into(), origin, Logging::Together);
            match recording.await {
                Ok(recorded) => problems.add_conflict(&id, recorded),
                Err(error) => failed = Some(error),
            }
            done += 1;
            let is_spent = budget.is_spent();
            if is_spent || done.is_multiple_of(CHUNKS_AT_ONCE) {
                self.keep_problems(&kept.event, &mut problems).await?;
                // Never past a chunk that failed.
                if failed.is_none() {
                    ledger.advance_kept_event(event, done).await?;
                }
            }
            if is_spent && done < count {
                return failed.map_or(Ok(()), Err);
            }
        }
        self.keep_problems(&kept.event, &mut problems).await?;
        if let Some(error) = failed {
            return Err(error);
        }
        info!(
            chunks = count,
            "Recorded the rest of the chunks of one event"
        );
        ledger.finish_kept_event(event).await
    }

    /// Keeps an event as poison if some of its chunks conflict with what is known; does so before its progress is noted.
    async fn keep_problems(
        &mut self,
        event: &Value,
        problems: &mut EventProblems,
    ) -> Result<(), LedgerError> {
        match std::mem::take(problems).reason() {
            Some(reason) => self.keep_poison(event, &reason).await,
            None => Ok(()),
        }
    }
}
