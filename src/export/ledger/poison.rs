//! Events that could not be read, kept whole: `poison/<sha256>.json`. It knows nothing of what is in an event.
//!
//! There is room for a stated number of them. Poison that is younger than ACS keeps its files is never dropped: without room
//! its delivery fails, and comes again. Older poison is dropped after `POISON_RETENTION`.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::{ChunkLedger, LedgerError};
use crate::store::digest::Sha256Digest;
use crate::store::document_store::Precondition;
use crate::store::index::Count;

const POISON: &str = "poison/";
/// Events that are kept.
const MOST_POISON: usize = 10_000;
/// Other processes keep poison too: it is counted again after this time.
const COUNTED_FOR: SignedDuration = SignedDuration::from_mins(1);

/// How many events are kept, as far as this process knows.
#[derive(Debug, Default)]
pub(super) struct PoisonRoom(Mutex<Option<Counted>>);

#[derive(Debug, Clone, Copy)]
struct Counted {
    at: Timestamp,
    count: usize,
}

/// A part of a look through all poison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoisonDropped {
    pub count: usize,
    /// After which the next part begins; `None` when all was looked at.
    pub next: Option<String>,
}

impl PoisonRoom {
    fn known(&self, now: Timestamp) -> Option<usize> {
        let counted = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counted
            .filter(|counted| now.duration_since(counted.at) < COUNTED_FOR)
            .map(|counted| counted.count)
    }

    fn set(&self, counted: Option<Counted>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = counted;
    }

    fn add_one(&self) {
        let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(counted) = counted.as_mut() {
            counted.count += 1;
        }
    }
}

impl ChunkLedger {
    /// Keeps an event that could not be read, whole, once.
    ///
    /// # Errors
    /// When the storage fails, or there is no room: the event must then not be acknowledged.
    pub async fn keep_poison(&self, event: &Value, reason: &str) -> Result<(), LedgerError> {
        let text = event.to_string();
        let sha256 = Sha256Digest::of(text.as_bytes());
        let key = format!("{POISON}{sha256}.json");
        if !self.has_room_for_poison().await? {
            // The same event again needs none.
            return match self.store.find(&key).await? {
                Some(_) => Ok(()),
                None => Err(LedgerError::PoisonFull { most: MOST_POISON }),
            };
        }
        let kept = serde_json::json!({
            "reason": reason, "keptAt": self.clock.now().to_string(), "sha256": sha256.to_string(), "event": event,
        });
        // A conflict means that the same event is kept already.
        let content = Bytes::from(kept.to_string());
        let outcome = self.store.put(&key, content, Precondition::Absent).await?;
        if outcome.is_written() {
            self.poison_room.add_one();
        }
        Ok(())
    }

    async fn has_room_for_poison(&self) -> Result<bool, LedgerError> {
        let now = self.clock.now();
        if let Some(count) = self.poison_room.known(now) {
            return Ok(count < MOST_POISON);
        }
        let count = self.count_poison(MOST_POISON).await?.count;
        self.poison_room.set(Some(Counted { at: now, count }));
        Ok(count < MOST_POISON)
    }

    /// An event that was kept, by its SHA-256.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn poison(&self, sha256: &str) -> Result<Option<Bytes>, LedgerError> {
        let Ok(sha256) = Sha256Digest::try_from(sha256.to_owned()) else {
            return Ok(None);
        };
        Ok(self
            .store
            .find(&format!("{POISON}{sha256}.json"))
            .await?
            .map(|stored| stored.content))
    }

    /// SHA-256s of all events that were kept.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn poisoned(&self) -> Result<Vec<String>, LedgerError> {
        self.names(POISON).await
    }

    /// How many events were kept, counted up to `cap`.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn count_poison(&self, cap: usize) -> Result<Count, LedgerError> {
        let (mut count, mut after): (usize, Option<String>) = (0, None);
        while count <= cap {
            let limit = (cap + 1 - count).min(super::inventory::PAGE);
            let keys = self.store.list(POISON, after.as_deref(), limit).await?;
            count += keys.len();
            after = keys.last().cloned();
            if keys.len() < limit {
                break;
            }
        }
        Ok(Count {
            count: count.min(cap),
            is_capped: count > cap,
        })
    }

    /// SHA-256s of events that were kept, at most `limit`.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn some_poisoned(&self, limit: usize) -> Result<Vec<String>, LedgerError> {
        let keys = self.store.list(POISON, None, limit).await?;
        Ok(keys
            .iter()
            .filter_map(|key| Some(key.strip_prefix(POISON)?.strip_suffix(".json")?.to_owned()))
            .collect())
    }

    /// Removes an event that was kept: it is taken since, or erased.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn remove_poison(&self, sha256: &str) -> Result<(), LedgerError> {
        self.poison_room.set(None);
        let removed = self.store.remove(&format!("{POISON}{sha256}.json"));
        Ok(removed.await?)
    }

    /// Drops events that are older than `keep_for`, and older than ACS keeps a file; looks at `limit` of them.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn drop_old_poison(
        &self,
        keep_for: Duration,
        after: Option<&str>,
        limit: usize,
    ) -> Result<PoisonDropped, LedgerError> {
        let keep_for = keep_for.max(self.retention);
        let now = self.clock.now();
        let keys = self.store.list(POISON, after, limit).await?;
        let mut count = 0;
        for key in &keys {
            let Some(stored) = self.store.find(key).await? else {
                continue;
            };
            let kept: Option<Value> = serde_json::from_slice(&stored.content).ok();
            let kept_at = kept.as_ref().and_then(|kept| kept["keptAt"].as_str());
            let kept_at: Option<Timestamp> = kept_at.and_then(|at| at.parse().ok());
            let is_old = |at: &Timestamp| {
                at.checked_add(keep_for).is_ok_and(|until| until <= now)
            };
            if kept_at.is_some_and(|at| is_old(&at)) {
                self.store.remove_unchanged(key, &stored.version).await?;
                self.poison_room.set(None);
                count += 1;
            }
        }
        let next = keys.last().cloned().filter(|_| keys.len() == limit);
        Ok(PoisonDropped { count, next })
    }
}
