//! The list of running recordings, page by page. One that has ended stays in it until each request for it is in the audit log.

use std::str::FromStr;

use futures::TryStreamExt as _;
use jiff::Timestamp;

use super::{RUNNING, RecordingRegister, account_key};
use crate::control::entry::RegisteredRecording;
use crate::error_chain::ErrorChain;
use crate::store::digest::Sha256Digest;
use crate::store::documents::DocumentError;
use crate::store::listing::keys;

/// A position in the list of running recordings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunningCursor(String);

impl RunningCursor {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RunningCursor {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Sha256Digest::try_from(text.to_owned()).map(|digest| Self(digest.to_string()))
    }
}

/// Recordings that run, and those that the sweep must look at for another reason.
#[derive(Debug, Default)]
pub struct RunningPage {
    pub recordings: Vec<RegisteredRecording>,
    /// Recordings that have ended while a request had no answer.
    pub unrecorded: Vec<RegisteredRecording>,
    /// Recordings in the list of running ones whose accounts are not readable or do not exist.
    pub unreadable: usize,
    /// Where the next page begins, if there may be one.
    pub next: Option<RunningCursor>,
}

impl RunningPage {
    /// Returns recordings with requests that no process can be about to record.
    pub fn unrecorded_since_long(
        &self,
        now: Timestamp,
    ) -> impl Iterator<Item = &RegisteredRecording> {
        let recordings = self.unrecorded.iter().chain(&self.recordings);
        recordings.filter(move |recording| !recording.unrecorded_since_long(now).is_empty())
    }
}

impl RecordingRegister {
    /// Returns running recordings in a stable order, at most `limit` after `after`, and where the next page begins.
    ///
    /// # Errors
    /// When the storage fails. An account that is not readable, or does not exist, is logged and counted.
    pub async fn running(
        &self,
        after: Option<&RunningCursor>,
        limit: usize,
        now: Timestamp,
    ) -> Result<RunningPage, DocumentError> {
        let after = after.map(|cursor| format!("{RUNNING}{}", cursor.0));
        let mut markers = keys(&*self.documents.store, RUNNING, after);
        let mut page = RunningPage::default();
        let mut looked_at = 0;
        while looked_at < limit {
            let Some(marker) = markers.try_next().await? else {
                page.next = None;
                return Ok(page);
            };
            let name = marker.strip_prefix(RUNNING).unwrap_or_default();
            let Ok(cursor) = name.parse::<RunningCursor>() else {
                continue;
            };
            let account = account_key(&cursor.0);
            match self.documents.find::<RegisteredRecording>(&account).await {
                Ok(Some(recording)) if recording.is_running() => page.recordings.push(recording),
                Ok(Some(recording)) if recording.is_swept() => page.unrecorded.push(recording),
                // A kill between the two writes left the marker behind.
                Ok(Some(_)) => {
                    self.remove_stale(&cursor.0, &marker, RegisteredRecording::is_swept)
                        .await?;
                }
                Ok(None) if self.index().is_abandoned(&marker, now).await? => {
                    tracing::error!(
                        key = account,
                        marker,
                        "The account of a recording that runs does not exist"
                    );
                    page.unreadable += 1;
                }
                // Its account is about to be written.
                Ok(None) => {}
                Err(error) if error.is_damage() => {
                    tracing::error!(key = account, error = %ErrorChain(&error), "An account in the register is not readable");
                    page.unreadable += 1;
                }
                Err(error) => return Err(error),
            }
            page.next = Some(cursor);
            looked_at += 1;
        }
        Ok(page)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::time::Duration;

    use bytes::Bytes;

    use crate::control::register::name;
    use crate::recording::RecordingId;
    use crate::store::document_store::{DocumentStore, Precondition};
    use crate::vault::memory::MemoryDocumentStore;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    async fn running_ids(register: &RecordingRegister, limit: usize) -> Vec<String> {
        let mut ids = Vec::new();
        let mut cursor = None;
        loop {
            let page = register.running(cursor.as_ref(), limit, NOW).await.unwrap();
            assert!(page.recordings.len() <= limit && page.unreadable == 0);
            let recordings = page.recordings.into_iter();
            ids.extend(recordings.map(|recording| recording.recording_id.to_string()));
            cursor = page.next;
            if cursor.is_none() {
                ids.sort();
                return ids;
            }
        }
    }

    #[tokio::test]
    async fn what_runs_is_listed_page_by_page_and_what_ended_is_not() {
        let register = RecordingRegister::new(
            Arc::new(MemoryDocumentStore::default()),
            Duration::from_mins(30),
        );
        for id in ["a", "b", "c", "d"] {
            register
                .change(&id.parse().unwrap(), NOW, |_| {})
                .await
                .unwrap();
        }
        register
            .change(&"b".parse().unwrap(), NOW, |recording| recording.stop(NOW))
            .await
            .unwrap();
        for limit in 1..=5 {
            assert_eq!(running_ids(&register, limit).await, ["a", "c", "d"]);
        }
    }

    #[tokio::test]
    async fn a_marker_that_a_kill_left_behind_is_cleared() {
        let store = Arc::new(MemoryDocumentStore::default());
        let register = RecordingRegister::new(
            Arc::clone(&store) as Arc<dyn DocumentStore>,
            Duration::from_mins(30),
        );
        let id: RecordingId = "a".parse().unwrap();
        register
            .change(&id, NOW, |recording| recording.stop(NOW))
            .await
            .unwrap();
        let marker = format!("{RUNNING}{}", name(&id));
        store
            .put(&marker, Bytes::new(), Precondition::Absent)
            .await
            .unwrap();
        assert!(running_ids(&register, 10).await.is_empty());
        assert!(store.list(RUNNING, None, 10).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn what_runs_and_cannot_be_read_is_counted() {
        let store = Arc::new(MemoryDocumentStore::default());
        let register = RecordingRegister::new(
            Arc::clone(&store) as Arc<dyn DocumentStore>,
            Duration::from_mins(30),
        );
        for id in ["a", "b", "c"] {
            let id = id.parse().unwrap();
            register.change(&id, NOW, |_| {}).await.unwrap();
        }
        let account = |id: &str| account_key(&name(&id.parse().unwrap()));
        let damaged = account("a");
        let version = store.find(&damaged).await.unwrap().unwrap().version;
        let garbage = Bytes::from_static(b"{");
        let written = store.put(&damaged, garbage, Precondition::Unchanged(version));
        assert!(written.await.unwrap().is_written());
        store.remove(&account("b")).await.unwrap();
        let unreadable = async |minutes| {
            let now = NOW + Duration::from_mins(minutes);
            let page = register.running(None, 10, now).await.unwrap();
            assert_eq!(page.recordings.len(), 1);
            page.unreadable
        };
        assert_eq!(
            unreadable(1).await,
            1,
            "an account may be about to be written"
        );
        assert_eq!(unreadable(6).await, 2);
    }
}
