//! The register: every recording we know of, what was asked for, and how it stands. Kept in the ledger's storage.
//!
//! ```text
//! recordings/<sha256 of the recordingId>.json   a recording's account
//! running/<sha256 of the recordingId>           a marker while it runs; the list of what is active
//! ```
//! The marker is written before the account and removed after it is closed, so a running recording always has its marker.
//! The register never decides whether a recording runs: ACS does, and is asked.

use std::str::FromStr;
use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;

use super::documents::{Documents, RegisterError};
use super::entry::RegisteredRecording;
use crate::export::digest::Sha256Digest;
use crate::export::ledger_store::{LedgerStore, Precondition};
use crate::recording::RecordingId;
use crate::telemetry::ErrorChain;

const RUNNING: &str = "running/";

/// Accounts of recordings.
#[derive(Clone)]
pub struct RecordingRegister {
    documents: Documents,
}

impl RecordingRegister {
    pub fn new(store: Arc<dyn LedgerStore>) -> Self {
        Self { documents: Documents { store } }
    }

    /// The account of a recording.
    ///
    /// # Errors
    /// When the storage fails or the account is unreadable.
    pub async fn find(&self, id: &RecordingId) -> Result<Option<RegisteredRecording>, RegisterError> {
        self.documents.find(&account_key(&name(id))).await
    }

    /// Changes the account of a recording; one that is not there yet is opened.
    ///
    /// # Errors
    /// When the storage fails or the account is unreadable.
    pub async fn change(
        &self,
        id: &RecordingId,
        now: Timestamp,
        change: impl Fn(&mut RegisteredRecording) + Send + Sync,
    ) -> Result<RegisteredRecording, RegisterError> {
        let name = name(id);
        let changed = |known: Option<&RegisteredRecording>| {
            let mut recording = known.cloned().unwrap_or_else(|| RegisteredRecording::unknown(id.clone(), now));
            change(&mut recording);
            recording
        };
        let marker = format!("{RUNNING}{name}");
        self.documents.store.put(&marker, Bytes::new(), Precondition::Absent).await?;
        let recording = self.documents.change(&account_key(&name), |known| Some(changed(known))).await?;
        let recording = recording.unwrap_or_else(|| changed(None));
        if !recording.is_running() {
            self.documents.store.remove(&marker).await?;
            // Somebody may have found it running again in between.
            if self.find(id).await?.is_some_and(|recording| recording.is_running()) {
                self.documents.store.put(&marker, Bytes::new(), Precondition::Absent).await?;
            }
        }
        Ok(recording)
    }

    /// Recordings that run, always in the same order, at most `limit` after `after`; and where the next page begins.
    ///
    /// # Errors
    /// When the storage fails. An account that is unreadable is logged and left out.
    pub async fn running(
        &self,
        after: Option<&RunningCursor>,
        limit: usize,
    ) -> Result<(Vec<RegisteredRecording>, Option<RunningCursor>), RegisterError> {
        let after = after.map(|cursor| format!("{RUNNING}{}", cursor.0));
        let markers = self.documents.store.list(RUNNING, after.as_deref(), limit).await?;
        let is_full = markers.len() == limit;
        let mut running = Vec::with_capacity(markers.len());
        let mut next = None;
        for marker in markers {
            let Ok(cursor) = marker.strip_prefix(RUNNING).unwrap_or_default().parse::<RunningCursor>() else { continue };
            match self.documents.find::<RegisteredRecording>(&account_key(&cursor.0)).await {
                Ok(Some(recording)) if recording.is_running() => running.push(recording),
                // A kill between the two writes left the marker behind.
                Ok(Some(_)) => self.documents.store.remove(&marker).await?,
                // Its account is about to be written.
                Ok(None) => {}
                Err(RegisterError::Corrupt { key, source }) => {
                    tracing::error!(key, error = %ErrorChain(&source), "An account in the register is not readable");
                }
                Err(error) => return Err(error),
            }
            next = Some(cursor);
        }
        Ok((running, next.filter(|_| is_full)))
    }
}

/// A place in the list of running recordings.
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

/// A name for documents of this recording, whatever characters its id has.
fn name(id: &RecordingId) -> String {
    Sha256Digest::of(id.as_str().as_bytes()).to_string()
}

fn account_key(name: &str) -> String {
    format!("recordings/{name}.json")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vault::memory::MemoryLedgerStore;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    async fn running_ids(register: &RecordingRegister, limit: usize) -> Vec<String> {
        let mut ids = Vec::new();
        let mut cursor = None;
        loop {
            let (page, next) = register.running(cursor.as_ref(), limit).await.unwrap();
            assert!(page.len() <= limit);
            ids.extend(page.into_iter().map(|recording| recording.recording_id.to_string()));
            cursor = next;
            if cursor.is_none() {
                ids.sort();
                return ids;
            }
        }
    }

    #[tokio::test]
    async fn what_runs_is_listed_page_by_page_and_what_ended_is_not() {
        let register = RecordingRegister::new(Arc::new(MemoryLedgerStore::default()));
        for id in ["a", "b", "c", "d"] {
            register.change(&id.parse().unwrap(), NOW, |_| {}).await.unwrap();
        }
        register.change(&"b".parse().unwrap(), NOW, |recording| recording.stop(NOW)).await.unwrap();
        for limit in 1..=5 {
            assert_eq!(running_ids(&register, limit).await, ["a", "c", "d"]);
        }
    }

    #[tokio::test]
    async fn a_marker_that_a_kill_left_behind_is_cleared() {
        let store = Arc::new(MemoryLedgerStore::default());
        let register = RecordingRegister::new(Arc::clone(&store) as Arc<dyn LedgerStore>);
        let id: RecordingId = "a".parse().unwrap();
        register.change(&id, NOW, |recording| recording.stop(NOW)).await.unwrap();
        let marker = format!("{RUNNING}{}", name(&id));
        store.put(&marker, Bytes::new(), Precondition::Absent).await.unwrap();
        assert!(running_ids(&register, 10).await.is_empty());
        assert!(store.list(RUNNING, None, 10).await.unwrap().is_empty());
    }
}
