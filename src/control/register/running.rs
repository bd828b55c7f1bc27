//! The list of running recordings, page by page.

use std::str::FromStr;

use super::{RUNNING, RecordingRegister, account_key};
use crate::control::entry::RegisteredRecording;
use crate::error_chain::ErrorChain;
use crate::store::digest::Sha256Digest;
use crate::store::documents::DocumentError;
use crate::store::index::Count;

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

impl RecordingRegister {
    /// Counts running recordings, up to `cap`.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn count_running(&self, cap: usize) -> Result<Count, DocumentError> {
        let count = self
            .documents
            .store
            .list(RUNNING, None, cap + 1)
            .await?
            .len();
        Ok(Count {
            count: count.min(cap),
            is_capped: count > cap,
        })
    }

    /// Returns running recordings in a stable order, at most `limit` after `after`, and where the next page begins.
    ///
    /// # Errors
    /// When the storage fails. An unreadable account is logged and skipped.
    pub async fn running(
        &self,
        after: Option<&RunningCursor>,
        limit: usize,
    ) -> Result<(Vec<RegisteredRecording>, Option<RunningCursor>), DocumentError> {
        let after = after.map(|cursor| format!("{RUNNING}{}", cursor.0));
        let markers = self
            .documents
            .store
            .list(RUNNING, after.as_deref(), limit)
            .await?;
        let is_full = markers.len() == limit;
        let mut running = Vec::with_capacity(markers.len());
        let mut next = None;
        for marker in markers {
            let Ok(cursor) = marker
                .strip_prefix(RUNNING)
                .unwrap_or_default()
                .parse::<RunningCursor>()
            else {
                continue;
            };
            match self
                .documents
                .find::<RegisteredRecording>(&account_key(&cursor.0))
                .await
            {
                Ok(Some(recording)) if recording.is_running() => running.push(recording),
                // A kill between the two writes left the marker behind.
                Ok(Some(_)) => {
                    self.remove_stale(&cursor.0, &marker, RegisteredRecording::is_running)
                        .await?;
                }
                // Its account is about to be written.
                Ok(None) => {}
                Err(DocumentError::Corrupt { key, source }) => {
                    tracing::error!(key, error = %ErrorChain(&source), "An account in the register is not readable");
                }
                Err(error) => return Err(error),
            }
            next = Some(cursor);
        }
        Ok((running, next.filter(|_| is_full)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::time::Duration;

    use bytes::Bytes;
    use jiff::Timestamp;

    use crate::control::register::name;
    use crate::recording::RecordingId;
    use crate::store::document_store::{DocumentStore, Precondition};
    use crate::vault::memory::MemoryDocumentStore;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    async fn running_ids(register: &RecordingRegister, limit: usize) -> Vec<String> {
        let mut ids = Vec::new();
        let mut cursor = None;
        loop {
            let (page, next) = register.running(cursor.as_ref(), limit).await.unwrap();
            assert!(page.len() <= limit);
            ids.extend(
                page.into_iter()
                    .map(|recording| recording.recording_id.to_string()),
            );
            cursor = next;
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
}
