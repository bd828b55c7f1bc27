//! Waits for claims whose holders died. A holder renews its claim after each third of its length, so one that has less
//! than half left is no longer renewed. Without the wait a killed export rests until the sweep after its claim expires.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;

use crate::export::budget::Budget;
use crate::export::ledger::{ChunkLedger, LedgerError};
use crate::recording::DocumentId;

/// Claims that kept a sweep from chunks.
#[derive(Debug, Default)]
pub struct StaleClaims {
    watched: HashMap<DocumentId, Watched>,
}

/// State of one watched claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Watched {
    /// It ends at this time, unless it is renewed before.
    Until(Timestamp),
    /// Its holder renewed it, so it is working.
    Renewed,
    /// It was awaited to its end once.
    Awaited,
}

/// Whether to check the chunks again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterWait {
    LookAgain,
    Done,
}

impl StaleClaims {
    /// Waits until the first of the claims on these chunks has expired, while there is time. A claim that is renewed
    /// meanwhile is no longer awaited.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn wait(
        &mut self,
        ledger: &ChunkLedger,
        busy: &[DocumentId],
        budget: Budget,
    ) -> Result<AfterWait, LedgerError> {
        loop {
            let mut next: Option<Duration> = None;
            for id in busy {
                let Some(left) = ledger.claim_left(id).await? else {
                    self.watched.remove(id);
                    return Ok(AfterWait::LookAgain);
                };
                if let Some(wait) =
                    self.wait_for(id, left.until, left.remaining, ledger.claim_ttl())
                {
                    next = Some(next.map_or(wait, |other| other.min(wait)));
                }
            }
            let Some(wait) = next.filter(|wait| *wait < budget.remaining()) else {
                return Ok(AfterWait::Done);
            };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = budget.spent() => return Ok(AfterWait::Done),
            }
        }
    }

    /// How long to wait before the claim is checked again; `None` if waiting gains nothing.
    fn wait_for(
        &mut self,
        id: &DocumentId,
        until: Timestamp,
        remaining: Duration,
        length: Duration,
    ) -> Option<Duration> {
        let before = self.watched.get(id).copied();
        let (watched, wait) = match before {
            Some(Watched::Renewed | Watched::Awaited) => return None,
            Some(Watched::Until(seen)) if seen != until => (Watched::Renewed, None),
            // It was renewed neither within its first half nor after.
            Some(Watched::Until(_)) if remaining <= length / 2 => {
                (Watched::Awaited, Some(remaining))
            }
            Some(Watched::Until(_)) | None => {
                let to_its_half = remaining.saturating_sub(length / 2);
                (Watched::Until(until), Some(to_its_half))
            }
        };
        self.watched.insert(id.clone(), watched);
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LENGTH: Duration = Duration::from_mins(1);

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_claim_that_is_not_renewed_is_waited_for_to_its_end_once() {
        let mut claims = StaleClaims::default();
        let id: DocumentId = "a".parse().unwrap();
        let mut wait =
            |until, left| claims.wait_for(&id, at(until), Duration::from_secs(left), LENGTH);
        assert_eq!(wait(60, 50), Some(Duration::from_secs(20)), "to its half");
        assert_eq!(wait(60, 30), Some(Duration::from_secs(30)), "to its end");
        assert_eq!(wait(60, 0), None);
    }

    #[test]
    fn a_claim_that_is_renewed_is_waited_for_no_longer() {
        let mut claims = StaleClaims::default();
        let id: DocumentId = "a".parse().unwrap();
        let mut wait =
            |until, left| claims.wait_for(&id, at(until), Duration::from_secs(left), LENGTH);
        assert_eq!(wait(60, 45), Some(Duration::from_secs(15)));
        assert_eq!(wait(80, 50), None);
        assert_eq!(wait(100, 50), None);
    }
}
