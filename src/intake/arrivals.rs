//! Handles events that crash the process each time: notes large ones before they are taken; an event over which
//! processes ended is taken alone, and then set aside. It knows no event types.
//!
//! ```text
//! arrival 1, 2   beside others
//! arrival 3      alone, its chunks first: ids and places only
//! arrival 4      kept as poison; the sweep tries it until its source expires
//! ```
//! Only arrivals over which a process ended count, so a small event, or one that was only in flight beside it, is never set
//! aside.

use std::future::Future;
use std::io;

use serde_json::Value;
use tokio::sync::{Semaphore, SemaphorePermit};
use uuid::Uuid;

use crate::error_chain::ErrorChain;
use crate::export::ChunkLedger;
use crate::export::ledger::{LedgerError, RENEW_EVERY};
use crate::store::digest::Sha256Digest;

/// Events above this size are noted: smaller ones take a few megabytes at most.
const NOTED_ABOVE_BYTES: usize = 64 << 10;
/// Events that are taken at once; one that is taken alone takes all of these.
const TURNS: u32 = 1 << 16;

/// The turns in which events are taken.
pub(super) struct Turns(Semaphore);

/// An arrival that is noted in the ledger. If it is dropped early, the process still runs, and the arrival does not
/// count.
pub(super) struct NotedArrival {
    ledger: ChunkLedger,
    event: Sha256Digest,
    token: Uuid,
    is_over: bool,
}

impl Turns {
    pub fn new() -> Self {
        Self(Semaphore::new(TURNS as usize))
    }

    pub async fn beside_others(&self) -> SemaphorePermit<'_> {
        self.of(1).await
    }

    /// Waits until no other event is being taken, and blocks new ones.
    pub async fn alone(&self) -> SemaphorePermit<'_> {
        self.of(TURNS).await
    }

    async fn of(&self, turns: u32) -> SemaphorePermit<'_> {
        let permit = self.0.acquire_many(turns).await;
        permit.expect("the semaphore is never closed")
    }
}

impl NotedArrival {
    pub fn new(ledger: &ChunkLedger, event: Sha256Digest, token: Uuid) -> Self {
        Self {
            ledger: ledger.clone(),
            event,
            token,
            is_over: false,
        }
    }

    /// Renews the note while `taking` runs, to show that the process still works on the event.
    pub async fn during<T>(&self, taking: impl Future<Output = T>) -> T {
        let renewing = async {
            loop {
                tokio::time::sleep(RENEW_EVERY).await;
                let renewed = self.ledger.renew_arrival(self.event, self.token);
                if let Err(error) = renewed.await {
                    tracing::debug!(error = %ErrorChain(&error), "Could not renew the note of a large event");
                }
            }
        };
        tokio::select! {
            biased;
            taken = taking => taken,
            () = renewing => unreachable!("renewing never ends"),
        }
    }

    /// The event is taken, or set aside.
    pub async fn end(mut self) -> Result<(), LedgerError> {
        self.is_over = true;
        self.ledger.forget_arrivals(self.event).await
    }
}

impl Drop for NotedArrival {
    fn drop(&mut self) {
        let (false, Ok(runtime)) = (self.is_over, tokio::runtime::Handle::try_current()) else {
            return;
        };
        let (ledger, event, token) = (self.ledger.clone(), self.event, self.token);
        // Not awaited: if it fails, the arrival counts, and the event is handled more carefully than necessary.
        runtime.spawn(async move {
            if let Err(error) = ledger.forget_arrival(event, token).await {
                tracing::debug!(error = %ErrorChain(&error), "Could not take back the note of a large event");
            }
        });
    }
}

/// The key of the note of an event; `None` for a small event.
pub(super) fn digest_of_large(event: &Value) -> Option<Sha256Digest> {
    let mut length = Length(0);
    // It counts, and cannot fail.
    let _ = serde_json::to_writer(&mut length, event);
    (length.0 > NOTED_ABOVE_BYTES).then(|| crate::export::ledger::digest_of(event))
}

struct Length(usize);

impl io::Write for Length {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
