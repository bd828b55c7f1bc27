//! Calls whose start was announced, and who started them: their recordings are not unsolicited, and are found by these people
//! before anything is exported. `calls-seen/<day>-<sha256 of the call>`.
//!
//! It knows no calls, only their ids, and no people, only how the index names them.

use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt as _;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::digest::Sha256Digest;
use super::document_store::{DocumentStore, Precondition, StoreError, Versioned};
use super::people::PersonHash;

const SEEN: &str = "calls-seen/";
const DAY: SignedDuration = SignedDuration::from_hours(24);
/// No recording is announced this long after its call began.
const KEPT_FOR: SignedDuration = SignedDuration::from_hours(30 * 24);
/// Notes that one cleanup removes.
const REMOVED_AT_ONCE: usize = 500;

/// Notes of announced calls.
#[derive(Clone)]
pub struct SeenCalls {
    store: Arc<dyn DocumentStore>,
}

/// An announced call.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenCall {
    /// Who started it, as far as its event names them.
    pub people: Vec<PersonHash>,
}

impl SeenCalls {
    pub fn new(store: Arc<dyn DocumentStore>) -> Self {
        Self { store }
    }

    /// Notes that the start of a call was announced. The first note of a call stays.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn note(&self, call: &str, at: Timestamp, seen: &SeenCall) -> Result<(), StoreError> {
        let content = if seen.people.is_empty() {
            Bytes::new()
        } else {
            serde_json::to_vec(seen)
                .expect("it has string keys only")
                .into()
        };
        let key = key_of(call, at);
        self.store.put(&key, content, Precondition::Absent).await?;
        Ok(())
    }

    /// Returns what was noted of these calls on the day of a recording's start, or the day before; `None` if nothing was.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn find(
        &self,
        calls: impl Iterator<Item = &str> + Send,
        recording_began_at: Timestamp,
    ) -> Result<Option<SeenCall>, StoreError> {
        let day_before = recording_began_at.checked_sub(DAY).ok();
        let keys: Vec<String> = calls
            .flat_map(|call| {
                let days = [Some(recording_began_at), day_before];
                days.into_iter().flatten().map(|at| key_of(call, at))
            })
            .collect();
        let looks: futures::stream::FuturesUnordered<_> =
            keys.iter().map(|key| self.store.find(key)).collect();
        let found: Vec<Option<Versioned>> = looks.try_collect().await?;
        let mut notes = found.into_iter().flatten().peekable();
        if notes.peek().is_none() {
            return Ok(None);
        }
        // A note without people is empty.
        let read = notes.filter_map(|note| serde_json::from_slice::<SeenCall>(&note.content).ok());
        let people = read.flat_map(|seen| seen.people).collect();
        Ok(Some(SeenCall { people }))
    }

    /// Removes notes that no recording needs any more, a limited number at a time.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn forget_old(&self, now: Timestamp) -> Result<(), StoreError> {
        let Ok(oldest) = now.checked_sub(KEPT_FOR) else {
            return Ok(());
        };
        let oldest = format!("{SEEN}{}", day_of(oldest));
        let keys = self.store.list(SEEN, None, REMOVED_AT_ONCE).await?;
        for key in keys.iter().filter(|key| **key < oldest) {
            self.store.remove(key).await?;
        }
        Ok(())
    }
}

fn key_of(call: &str, at: Timestamp) -> String {
    let call = Sha256Digest::of(call.as_bytes());
    format!("{SEEN}{}-{call}", day_of(at))
}

fn day_of(at: Timestamp) -> String {
    at.to_zoned(TimeZone::UTC).strftime("%Y%m%d").to_string()
}
