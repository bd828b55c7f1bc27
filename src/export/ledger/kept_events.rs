//! Events that are kept whole because they could not be processed in one delivery: the sweep continues with them.
//!
//! ```text
//! begun/<sha256>.json     processes that are working on a large event, or were when they ended
//! events/<sha256>.json    an event that continues after its delivery, from a chunk on; or one that was set aside
//! ```
//! It knows nothing of what is in an event.

use std::time::Duration;

use futures::{FutureExt as _, TryStreamExt as _};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::{ChunkLedger, LedgerError};
use crate::store::digest::Sha256Digest;
use crate::store::documents::{Decision, DocumentError, Keyed, Known};
use crate::store::listing::keys;

const BEGUN: &str = "begun/";
pub(super) const EVENTS: &str = "events/";

/// Interval at which a process renews its arrival while it works on an event.
pub const RENEW_EVERY: Duration = Duration::from_secs(1);
/// A process that has not renewed its arrival for this long has ended.
const GONE_AFTER: SignedDuration = SignedDuration::from_secs(3);
/// Arrivals of one event that are kept.
const ARRIVALS_KEPT: usize = 8;
/// Event Grid delivers an event for at most 24 hours.
const ARRIVALS_KEPT_FOR: SignedDuration = SignedDuration::from_hours(48);
/// At its third arrival an event is processed alone.
const LOST_BEFORE_ALONE: usize = 2;

/// A kept event is tried again this long after an attempt began, and twice as long after each further one.
const FIRST_DELAY: SignedDuration = SignedDuration::from_mins(15);
const LONGEST_DELAY: SignedDuration = SignedDuration::from_hours(6);

/// How an arriving large event is processed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    Ordinary,
    /// Two processes ended over it: nothing else is processed beside it.
    Alone,
    /// So did the one that processed it alone.
    SetAside,
}

/// Why an event is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum WhyKept {
    /// It announces more chunks than one delivery processes.
    Continued,
    /// Processes ended over it.
    SetAside,
}

/// A kept event, with its progress.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeptEvent {
    pub event: Value,
    pub why: WhyKept,
    pub kept_at: Timestamp,
    /// The position of the first chunk that is not recorded yet.
    pub next: usize,
    attempts: u32,
    not_before: Option<Timestamp>,
}

/// Processes that took an event.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Arrivals {
    arrivals: Vec<NotedArrival>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct NotedArrival {
    token: Uuid,
    process: Uuid,
    at_work_until: Timestamp,
    is_alone: bool,
}

impl Keyed for KeptEvent {
    /// Numbers of an event may be written in another form than they were read in, so it does not say its digest.
    fn key(&self) -> Option<String> {
        None
    }
}

impl Keyed for Arrivals {
    fn key(&self) -> Option<String> {
        None
    }
}

impl Arrivals {
    /// Decides how to process the next arrival, by the processes that ended over earlier ones. One that is working, or
    /// this process itself, did not end.
    fn decide(&self, process: Uuid, now: Timestamp) -> Arrival {
        let lost = self
            .arrivals
            .iter()
            .filter(|arrival| arrival.process != process && arrival.at_work_until <= now);
        match (lost.clone().any(|arrival| arrival.is_alone), lost.count()) {
            (true, _) => Arrival::SetAside,
            (false, lost) if lost >= LOST_BEFORE_ALONE => Arrival::Alone,
            (false, _) => Arrival::Ordinary,
        }
    }

    fn note(&mut self, arrival: NotedArrival) {
        if self.arrivals.len() >= ARRIVALS_KEPT {
            self.arrivals.remove(0);
        }
        self.arrivals.push(arrival);
    }
}

impl ChunkLedger {
    /// Notes that a process begins with a large event, and returns how to process it. `token` identifies this arrival.
    ///
    /// # Errors
    /// When the storage fails: the event must then be delivered again.
    pub async fn note_arrival(
        &self,
        event: Sha256Digest,
        process: Uuid,
        token: Uuid,
    ) -> Result<Arrival, LedgerError> {
        let now = self.clock.now();
        let decided = self
            .entries
            .decide(
                &begun_key(event),
                Known::Nothing,
                |known: Option<Arrivals>| {
                    let mut arrivals = known.unwrap_or_default();
                    let arrival = arrivals.decide(process, now);
                    let decision = if arrival == Arrival::SetAside {
                        Decision::Leave(arrival)
                    } else {
                        arrivals.note(NotedArrival {
                            token,
                            process,
                            at_work_until: at_work_until(now),
                            is_alone: false,
                        });
                        Decision::Write(arrivals, arrival)
                    };
                    futures::future::ready(Ok::<_, DocumentError>(decision)).boxed()
                },
            )
            .await?;
        Ok(decided.outcome)
    }

    /// Renews an arrival: the process is still working on the event.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn renew_arrival(&self, event: Sha256Digest, token: Uuid) -> Result<(), LedgerError> {
        self.change_arrival(event, token, |_| {}).await
    }

    /// Notes that nothing else is processed beside an event now.
    ///
    /// # Errors
    /// When the storage fails: the event must then be delivered again.
    pub async fn mark_alone(&self, event: Sha256Digest, token: Uuid) -> Result<(), LedgerError> {
        self.change_arrival(event, token, |own| own.is_alone = true)
            .await
    }

    /// Changes an arrival, and renews it.
    async fn change_arrival(
        &self,
        event: Sha256Digest,
        token: Uuid,
        change: impl Fn(&mut NotedArrival) + Send + Sync,
    ) -> Result<(), LedgerError> {
        let until = at_work_until(self.clock.now());
        self.entries
            .change(&begun_key(event), |known: Option<&Arrivals>| {
                let mut arrivals = known?.clone();
                let own = arrivals
                    .arrivals
                    .iter_mut()
                    .find(|arrival| arrival.token == token)?;
                own.at_work_until = until;
                change(own);
                Some(arrivals)
            })
            .await?;
        Ok(())
    }

    /// Removes an arrival that the process did not end over, although the event is not processed.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn forget_arrival(
        &self,
        event: Sha256Digest,
        token: Uuid,
    ) -> Result<(), LedgerError> {
        self.entries
            .change(&begun_key(event), |known: Option<&Arrivals>| {
                let mut arrivals = known?.clone();
                let count = arrivals.arrivals.len();
                arrivals.arrivals.retain(|arrival| arrival.token != token);
                (arrivals.arrivals.len() < count).then_some(arrivals)
            })
            .await?;
        Ok(())
    }

    /// Removes all arrivals of an event that is processed or set aside.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn forget_arrivals(&self, event: Sha256Digest) -> Result<(), LedgerError> {
        Ok(self.store.remove(&begun_key(event)).await?)
    }

    /// Removes the arrivals of events that are no longer delivered.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn forget_old_arrivals(&self) -> Result<(), LedgerError> {
        let Ok(oldest) = self.clock.now().checked_sub(ARRIVALS_KEPT_FOR) else {
            return Ok(());
        };
        let mut begun = keys(&*self.store, BEGUN, None);
        while let Some(key) = begun.try_next().await? {
            let Some(found) = self.store.find(&key).await? else {
                continue;
            };
            // One that is not readable would keep its event from being processed.
            let arrivals: Arrivals = serde_json::from_slice(&found.content).unwrap_or_default();
            let is_old = |arrival: &NotedArrival| arrival.at_work_until < oldest;
            if arrivals.arrivals.iter().all(is_old) {
                // One that was changed meanwhile is in use.
                self.store.remove_unchanged(&key, &found.version).await?;
            }
        }
        Ok(())
    }

    /// Keeps an event for the sweep, which continues with it from this chunk.
    ///
    /// # Errors
    /// When the storage fails: the event must then not be acknowledged.
    pub async fn keep_event(
        &self,
        event: &Value,
        why: WhyKept,
        next: usize,
    ) -> Result<(), LedgerError> {
        let now = self.clock.now();
        self.entries
            .change(&event_key(digest_of(event)), |known: Option<&KeptEvent>| {
                Some(match known {
                    // An event that was set aside continues where its attempt ends.
                    Some(known) => KeptEvent {
                        why,
                        next: known.next.max(next),
                        ..known.clone()
                    },
                    None => KeptEvent {
                        event: event.clone(),
                        why,
                        kept_at: now,
                        next,
                        attempts: 0,
                        not_before: None,
                    },
                })
            })
            .await?;
        Ok(())
    }

    /// The events that are kept.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn kept_events(&self) -> Result<Vec<Sha256Digest>, LedgerError> {
        let names = self.names(EVENTS).await?.into_iter();
        Ok(names.filter_map(|name| name.try_into().ok()).collect())
    }

    /// Durably begins an attempt at a kept event, so that one that ends the process is not tried by each sweep. `None`
    /// when it is not due, or another process is working on it.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn begin_kept_event(
        &self,
        event: Sha256Digest,
    ) -> Result<Option<KeptEvent>, LedgerError> {
        let now = self.clock.now();
        let decided = self
            .entries
            .decide(
                &event_key(event),
                Known::Nothing,
                |known: Option<KeptEvent>| {
                    let is_due =
                        |kept: &KeptEvent| kept.not_before.is_none_or(|until| until <= now);
                    let decision = match known.filter(is_due) {
                        None => Decision::Leave(None),
                        Some(mut kept) => {
                            kept.attempts = kept.attempts.saturating_add(1);
                            kept.not_before = now.checked_add(delay_after(kept.attempts)).ok();
                            Decision::Write(kept.clone(), Some(kept))
                        }
                    };
                    futures::future::ready(Ok::<_, DocumentError>(decision)).boxed()
                },
            )
            .await?;
        Ok(decided.outcome)
    }

    /// Notes the progress of a kept event. The next sweep continues at once.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn advance_kept_event(
        &self,
        event: Sha256Digest,
        next: usize,
    ) -> Result<(), LedgerError> {
        self.entries
            .change(&event_key(event), |known: Option<&KeptEvent>| {
                let known = known?;
                Some(KeptEvent {
                    next: known.next.max(next),
                    attempts: 0,
                    not_before: None,
                    ..known.clone()
                })
            })
            .await?;
        Ok(())
    }

    /// Removes a kept event that is finished.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn finish_kept_event(&self, event: Sha256Digest) -> Result<(), LedgerError> {
        Ok(self.store.remove(&event_key(event)).await?)
    }
}

/// The digest under which an event is kept.
pub fn digest_of(event: &Value) -> Sha256Digest {
    Sha256Digest::of(event.to_string().as_bytes())
}

fn begun_key(event: Sha256Digest) -> String {
    format!("{BEGUN}{event}.json")
}

fn event_key(event: Sha256Digest) -> String {
    format!("{EVENTS}{event}.json")
}

fn at_work_until(now: Timestamp) -> Timestamp {
    now.checked_add(GONE_AFTER).unwrap_or(Timestamp::MAX)
}

fn delay_after(attempts: u32) -> SignedDuration {
    let doublings = attempts.saturating_sub(1).min(16);
    FIRST_DELAY
        .checked_mul(1 << doublings)
        .unwrap_or(LONGEST_DELAY)
        .min(LONGEST_DELAY)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn arrival(process: Uuid, until: &str, is_alone: bool) -> NotedArrival {
        NotedArrival {
            token: Uuid::new_v4(),
            process,
            at_work_until: at(until),
            is_alone,
        }
    }

    #[test]
    fn only_processes_that_ended_count_against_an_event() {
        let (me, other) = (Uuid::new_v4(), Uuid::new_v4());
        let (before, after) = ("2026-03-02T10:00:00Z", "2026-03-02T10:00:09Z");
        let now = at("2026-03-02T10:00:05Z");
        let lost = || arrival(other, before, false);
        let cases = [
            (vec![], Arrival::Ordinary),
            (vec![lost()], Arrival::Ordinary),
            (vec![lost(), lost()], Arrival::Alone),
            (
                vec![lost(), arrival(other, after, false)],
                Arrival::Ordinary,
            ),
            (vec![lost(), arrival(me, before, false)], Arrival::Ordinary),
            (
                vec![lost(), lost(), arrival(other, after, true)],
                Arrival::Alone,
            ),
            (
                vec![lost(), lost(), arrival(other, before, true)],
                Arrival::SetAside,
            ),
        ];
        for (arrivals, expected) in cases {
            let arrivals = Arrivals { arrivals };
            assert_eq!(arrivals.decide(me, now), expected, "{arrivals:?}");
        }
    }

    #[test]
    fn an_event_that_ends_processes_is_tried_ever_less_often() {
        let minutes = |attempts| delay_after(attempts).as_secs() / 60;
        assert_eq!(
            [minutes(1), minutes(2), minutes(4), minutes(40)],
            [15, 30, 120, 360]
        );
    }
}
