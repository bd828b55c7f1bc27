//! Answers to requests that the host may send again: the second run gives the first answer, and does nothing.
//!
//! ```text
//! answers/<YYYYMMDD>-<sha256 of invocation and request>.json
//! ```
//! An answer is stored after the request was carried out. If a process is killed in between, the request runs twice: the
//! second run finds what was done, and its audit record. Knows neither HTTP nor what was requested.

use std::sync::Arc;

use bytes::Bytes;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::digest::Sha256Digest;
use super::document_store::{DocumentStore, Precondition, PutOutcome, StoreError};
use crate::clock::Clock;

const ANSWERS: &str = "answers/";
const DAY: SignedDuration = SignedDuration::from_hours(24);
/// Answers that one cleanup removes.
const REMOVED_AT_ONCE: usize = 500;

/// The answers of this ledger.
#[derive(Clone)]
pub struct Answers {
    store: Arc<dyn DocumentStore>,
    clock: Arc<dyn Clock>,
}

/// An answer as it was given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GivenAnswer {
    pub status: u16,
    pub content_type: Option<String>,
    pub body: String,
}

impl Answers {
    pub fn new(store: Arc<dyn DocumentStore>, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock }
    }

    /// Returns the answer that this request of this invocation was given, today or the day before.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn find(
        &self,
        invocation: &str,
        request: &str,
    ) -> Result<Option<GivenAnswer>, StoreError> {
        let now = self.clock.now();
        let before = now.checked_sub(DAY).unwrap_or(Timestamp::MIN);
        for at in [now, before] {
            let found = self.store.find(&key(at, invocation, request)).await?;
            // An unreadable one is ignored: the request is carried out again.
            let given = found.and_then(|found| serde_json::from_slice(&found.content).ok());
            if given.is_some() {
                return Ok(given);
            }
        }
        Ok(None)
    }

    /// Stores the answer to a request of an invocation. The first one stays.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn keep(
        &self,
        invocation: &str,
        request: &str,
        answer: &GivenAnswer,
    ) -> Result<(), StoreError> {
        let content = serde_json::to_vec(answer).expect("an answer has string keys only");
        let key = key(self.clock.now(), invocation, request);
        let put = self.store.put(&key, content.into(), Precondition::Absent);
        let (PutOutcome::Written(_) | PutOutcome::Conflict) = put.await?;
        Ok(())
    }

    /// Removes answers that no host asks for any more, a limited number at a time.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn forget_old(&self) -> Result<(), StoreError> {
        let Ok(oldest) = self.clock.now().checked_sub(DAY) else {
            return Ok(());
        };
        let oldest = format!("{ANSWERS}{}", day_of(oldest));
        let keys = self.store.list(ANSWERS, None, REMOVED_AT_ONCE).await?;
        for key in keys.iter().filter(|key| **key < oldest) {
            self.store.remove(key).await?;
        }
        Ok(())
    }
}

fn key(at: Timestamp, invocation: &str, request: &str) -> String {
    let name = Sha256Digest::of(&Bytes::from(format!("{invocation}\n{request}")));
    format!("{ANSWERS}{}-{name}.json", day_of(at))
}

fn day_of(at: Timestamp) -> String {
    at.to_zoned(TimeZone::UTC).strftime("%Y%m%d").to_string()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::ManualClock;
    use crate::vault::memory::MemoryDocumentStore;

    fn answer(body: &str) -> GivenAnswer {
        GivenAnswer {
            status: 200,
            content_type: Some("application/json".to_owned()),
            body: body.to_owned(),
        }
    }

    #[tokio::test]
    async fn an_answer_is_given_again_until_the_next_day_has_passed() {
        let noon = "2026-03-02T23:59:00Z".parse().unwrap();
        let clock = Arc::new(ManualClock::starting_at(noon));
        let answers = Answers::new(Arc::new(MemoryDocumentStore::default()), clock.clone());
        answers
            .keep("1", "POST /a", &answer("first"))
            .await
            .unwrap();
        answers
            .keep("1", "POST /a", &answer("second"))
            .await
            .unwrap();
        let given = async |invocation, request| answers.find(invocation, request).await.unwrap();
        assert_eq!(given("1", "POST /a").await, Some(answer("first")));
        assert_eq!(given("2", "POST /a").await, None);
        assert_eq!(given("1", "POST /b").await, None);

        clock.advance(Duration::from_hours(1));
        answers.forget_old().await.unwrap();
        assert_eq!(given("1", "POST /a").await, Some(answer("first")));
        clock.advance(Duration::from_hours(24));
        answers.forget_old().await.unwrap();
        let left = answers.store.list(ANSWERS, None, 10).await.unwrap();
        assert!(left.is_empty(), "{left:?}");
    }
}
