//! Removes leftovers of events: old poison, old notes of calls and of large events, and answers and markers of
//! requests that no host repeats any more.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::Intake;
use crate::export::ledger::LedgerError;
use crate::store::answers::Answers;

/// How often a process looks through all poison.
const EVERY: SignedDuration = SignedDuration::from_hours(6);
/// Poison that one sweep looks at.
const LOOKED_AT: usize = 200;

/// Progress of this process.
#[derive(Debug, Default)]
pub(super) struct Housekeeping(Mutex<NextPass>);

#[derive(Debug, Default, Clone)]
struct NextPass {
    /// When the next pass begins.
    next_at: Option<Timestamp>,
    /// The poison after which this pass continues.
    after: Option<String>,
}

impl Housekeeping {
    fn place(&self) -> NextPass {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn note(&self, place: NextPass) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = place;
    }
}

impl Intake {
    /// Checks a part of the poison, if a pass is due.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn housekeep(&self, keep_poison_for: Duration) -> Result<(), LedgerError> {
        let (place, now) = (self.housekeeping.place(), self.clock.now());
        if place.next_at.is_some_and(|next_at| now < next_at) {
            return Ok(());
        }
        if place.after.is_none() {
            self.ledger.seen_calls().forget_old(now).await?;
            self.ledger.forget_old_arrivals().await?;
            let answers = Answers::new(self.ledger.store(), Arc::clone(&self.clock));
            answers.forget_old().await?;
            self.ledger.audit().forget_old_runs().await?;
        }
        let after = place.after.as_deref();
        let dropping = self
            .ledger
            .drop_old_poison(keep_poison_for, after, LOOKED_AT);
        let dropped = dropping.await?;
        let next_at = match &dropped.next {
            Some(_) => None,
            None => now.checked_add(EVERY).ok(),
        };
        self.housekeeping.note(NextPass {
            next_at,
            after: dropped.next,
        });
        Ok(())
    }
}
