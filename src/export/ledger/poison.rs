//! Events that could not be read, kept whole: `poison/<sha256>.json`. It does not know what is in an event.
//!
//! Their number is limited. Poison that is younger than ACS's retention is never dropped: without room
//! its delivery fails, and is retried. The content of older poison is dropped after `POISON_RETENTION`, because it may name
//! people. That there was such an event stays, `expired-poison/<sha256>.json`, until an operator dismisses it.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::{Value, json};

use super::{ChunkLedger, EXPIRED_POISON, LedgerError, POISON};
use crate::store::audit::{Actor, AuditAction};
use crate::store::digest::Sha256Digest;
use crate::store::document_store::Precondition;
use crate::store::listing::{self, Count};

/// Limit of kept events.
const MOST_POISON: usize = 10_000;
/// Characters of a reason that stay.
const NOTED_CHARS: usize = 300;
/// Other processes keep poison too: it is counted again after this time.
const COUNTED_FOR: SignedDuration = SignedDuration::from_mins(1);

/// A poison document. It borrows the event: a copy of a large one takes more memory than its request was given.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct KeptPoison<'a> {
    reason: &'a str,
    kept_at: Timestamp,
    sha256: Sha256Digest,
    event: &'a Value,
}

/// What is left of an event whose content was dropped.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PoisonNote {
    reason: String,
    kept_at: Timestamp,
    expired_at: Timestamp,
    sha256: String,
}

/// How many events are kept, as far as this process knows.
#[derive(Debug, Default)]
pub(super) struct PoisonRoom(Mutex<Option<Counted>>);

#[derive(Debug, Clone, Copy)]
struct Counted {
    at: Timestamp,
    count: usize,
}

/// One part of a scan through all poison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoisonDropped {
    pub count: usize,
    /// Key after which the next part begins; `None` when all was scanned.
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
    /// Keeps an event that could not be read, whole and once; not again after it was dismissed.
    ///
    /// # Errors
    /// When the storage fails, or there is no room: the event must then not be acknowledged.
    pub async fn keep_poison(&self, event: &Value, reason: &str) -> Result<(), LedgerError> {
        let sha256 = Sha256Digest::of(event.to_string().as_bytes());
        if self.is_dismissed(sha256).await? {
            return Ok(());
        }
        let key = format!("{POISON}{sha256}.json");
        // A repeat of the same event needs neither room nor a record.
        if self.store.find(&key).await?.is_some() {
            return Ok(());
        }
        if !self.has_room_for_poison().await? {
            return Err(LedgerError::PoisonFull { most: MOST_POISON });
        }
        // Before the host hears that the event was taken: without the record, its removal would show nowhere.
        let subject = format!("poison:{sha256}");
        let kept = AuditAction::EventKept;
        self.audit
            .append(Actor::Handler, kept, &subject, Value::Null)
            .await?;
        let kept = KeptPoison {
            reason,
            kept_at: self.clock.now(),
            sha256,
            event,
        };
        let content = serde_json::to_vec(&kept).expect("it has string keys only");
        let content = Bytes::from(content);
        // A conflict means that the same event is already kept.
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
        let kept = listing::keys(&*self.store, POISON, None);
        let Count { count, .. } = Count::up_to(MOST_POISON, kept).await?;
        self.poison_room.set(Some(Counted { at: now, count }));
        Ok(count < MOST_POISON)
    }

    /// An event that was kept and has its content, by its SHA-256.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn poison(&self, sha256: &str) -> Result<Option<Bytes>, LedgerError> {
        self.kept_below(POISON, sha256).await
    }

    /// An event that was kept, or the note of one whose content was dropped.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn poison_or_note(&self, sha256: &str) -> Result<Option<Bytes>, LedgerError> {
        match self.kept_below(POISON, sha256).await? {
            Some(kept) => Ok(Some(kept)),
            None => self.kept_below(EXPIRED_POISON, sha256).await,
        }
    }

    async fn kept_below(&self, prefix: &str, sha256: &str) -> Result<Option<Bytes>, LedgerError> {
        let Ok(sha256) = Sha256Digest::try_from(sha256.to_owned()) else {
            return Ok(None);
        };
        let found = self.store.find(&format!("{prefix}{sha256}.json")).await?;
        Ok(found.map(|stored| stored.content))
    }

    /// SHA-256s of all events that were kept, with and without their content.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn poisoned(&self) -> Result<Vec<String>, LedgerError> {
        let mut names = self.names(POISON).await?;
        names.extend(self.names(EXPIRED_POISON).await?);
        names.sort_unstable();
        // A process may have ended between the note and the removal of the content.
        names.dedup();
        Ok(names)
    }

    /// How many events were kept, with and without their content, counted up to `cap`.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn count_poison(&self, cap: usize) -> Result<Count, LedgerError> {
        let kept = listing::keys(&*self.store, POISON, None);
        let expired = listing::keys(&*self.store, EXPIRED_POISON, None);
        Ok(Count::up_to(cap, kept.chain(expired).boxed()).await?)
    }

    /// SHA-256s of events that were kept, with and without their content, at most `limit`.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn some_poisoned(&self, limit: usize) -> Result<Vec<String>, LedgerError> {
        let mut names: Vec<String> = Vec::new();
        for prefix in [POISON, EXPIRED_POISON] {
            let limit = limit - names.len();
            if limit == 0 {
                break;
            }
            let keys = self.store.list(prefix, None, limit).await?;
            let found = keys.iter().filter_map(|key| {
                Some(key.strip_prefix(prefix)?.strip_suffix(".json")?.to_owned())
            });
            let found: Vec<String> = found.filter(|name| !names.contains(name)).collect();
            names.extend(found);
        }
        Ok(names)
    }

    /// The poison is counted again before the next event is kept.
    pub(super) fn recount_poison(&self) {
        self.poison_room.set(None);
    }

    /// Removes a kept event that has since been processed or erased, and the note of it.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn remove_poison(&self, sha256: &str) -> Result<(), LedgerError> {
        self.recount_poison();
        for prefix in [POISON, EXPIRED_POISON] {
            self.store.remove(&format!("{prefix}{sha256}.json")).await?;
        }
        Ok(())
    }

    /// Drops the content of events that are older than `keep_for` and than ACS's retention. Checks at most `limit` of them.
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
            let is_old = |at: &Timestamp| at.checked_add(keep_for).is_ok_and(|until| until <= now);
            if let Some(kept_at) = kept_at.filter(is_old) {
                let name = key.trim_start_matches(POISON).trim_end_matches(".json");
                let reason = kept.as_ref().and_then(|kept| kept["reason"].as_str());
                self.note_expired(name, kept_at, reason.unwrap_or_default())
                    .await?;
                self.store.remove_unchanged(key, &stored.version).await?;
                self.poison_room.set(None);
                tracing::warn!(
                    event = name,
                    "Removed the content of an event from poison that is older than POISON_RETENTION and was neither replayed nor dismissed; it needs attention until it is dismissed"
                );
                count += 1;
            }
        }
        let next = keys.last().cloned().filter(|_| keys.len() == limit);
        Ok(PoisonDropped { count, next })
    }

    /// Keeps what is left of an event whose content is about to be dropped.
    async fn note_expired(
        &self,
        name: &str,
        kept_at: Timestamp,
        reason: &str,
    ) -> Result<(), LedgerError> {
        let subject = format!("poison:{name}");
        let detail = json!({"keptAt": kept_at});
        self.audit
            .append(Actor::Handler, AuditAction::PoisonExpired, &subject, detail)
            .await?;
        let reason: String = reason.chars().take(NOTED_CHARS).collect();
        let note = PoisonNote {
            reason: format!("its content was removed after POISON_RETENTION; {reason}"),
            kept_at,
            expired_at: self.clock.now(),
            sha256: name.to_owned(),
        };
        let content = serde_json::to_vec(&note).expect("it has string keys only");
        let key = format!("{EXPIRED_POISON}{name}.json");
        // A conflict means that it is noted already.
        let put = self.store.put(&key, content.into(), Precondition::Absent);
        put.await?;
        // An erasure that removed the content before has not seen this note.
        let content = self.store.find(&format!("{POISON}{name}.json")).await?;
        if content.is_none() && self.is_last_erased(&subject).await? {
            self.store.remove(&key).await?;
        }
        Ok(())
    }
}
