//! The register: every recording we know of, what was asked for, and how it stands. Kept in the ledger's storage.
//!
//! ```text
//! recordings/<sha256 of the recordingId>.json   a recording's account
//! running/<sha256 of the recordingId>           a marker while it runs; the list of what is active
//! awaiting/<deadline>-<sha256>                  a marker while its files are to be announced; in order of their deadlines
//! days/<YYYYMMDD>/<sha256>                      a marker under the day it began
//! ```
//! and in the index: under its start, its call's names, and while its files are missing. Markers are written before the account, and those of `running/` removed after it is closed: one too many is cleared, one too
//! few there never is.
//! The register never decides whether a recording runs: ACS does, and is asked.

use std::collections::BTreeSet;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::calls::CallRegister;
use super::entry::{Erased, RecordingStatus, RegisteredRecording};
use super::report::{self, DaySummary};
use crate::error_chain::ErrorChain;
use crate::recording::RecordingId;
use crate::store::digest::Sha256Digest;
use crate::store::document_store::{DocumentStore, Precondition};
use crate::store::documents::{DocumentError, Documents};
use crate::store::index::{Count, Index, recording_name};

const RUNNING: &str = "running/";
const AWAITING: &str = "awaiting/";
const ACCOUNTS: &str = "recordings/";
const PAGE: usize = 500;

/// Accounts of recordings.
#[derive(Clone)]
pub struct RecordingRegister {
    documents: Documents,
    missing_after: Duration,
}

/// A recording whose files are overdue.
pub struct Awaited {
    pub recording: Option<RegisteredRecording>,
    pub marker: String,
}

impl RecordingRegister {
    /// `missing_after`: files that are not announced this long after a recording's end are overdue.
    pub fn new(store: Arc<dyn DocumentStore>, missing_after: Duration) -> Self {
        Self {
            documents: Documents { store },
            missing_after,
        }
    }

    /// The account of a recording.
    ///
    /// # Errors
    /// When the storage fails or the account is unreadable.
    pub async fn find(
        &self,
        id: &RecordingId,
    ) -> Result<Option<RegisteredRecording>, DocumentError> {
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
    ) -> Result<RegisteredRecording, DocumentError> {
        let name = name(id);
        let changed = |known: Option<&RegisteredRecording>| {
            let mut recording = known
                .cloned()
                .unwrap_or_else(|| RegisteredRecording::unknown(id.clone(), now));
            change(&mut recording);
            recording
        };
        let known: Option<RegisteredRecording> = self.documents.find(&account_key(&name)).await?;
        let was_running = known.as_ref().is_some_and(RegisteredRecording::is_running);
        let marker = format!("{RUNNING}{name}");
        // Markers first: what a kill leaves behind is a marker too many, never one too few.
        let expected = changed(known.as_ref());
        let index = self.index();
        let listed = known
            .as_ref()
            .map(RegisteredRecording::markers)
            .unwrap_or_default();
        index.put_new(&listed, &expected.markers()).await?;
        if !was_running && expected.is_running() {
            self.documents
                .store
                .put(&marker, Bytes::new(), Precondition::Absent)
                .await?;
        }
        self.mark(&name, &expected, known.is_none(), now).await?;
        let replace = |known: Option<&RegisteredRecording>| {
            Some(changed(known)).filter(|changed| known != Some(changed))
        };
        let recording = self.documents.change(&account_key(&name), replace).await?;
        let recording = recording.unwrap_or_else(|| changed(None));
        if recording != expected {
            self.mark(&name, &recording, known.is_none(), now).await?;
            index.put(recording.markers()).await?;
        }
        self.mark_running(id, &marker, &recording, was_running)
            .await?;
        self.unmark(listed, &recording).await?;
        Ok(recording)
    }

    /// What recordings are found by.
    pub fn index(&self) -> Index {
        Index::new(Arc::clone(&self.documents.store))
    }

    /// Removes the markers of what an account said before and says no more; what somebody made true again is put back.
    async fn unmark(
        &self,
        mut listed: BTreeSet<String>,
        recording: &RegisteredRecording,
    ) -> Result<(), DocumentError> {
        let now = recording.markers();
        listed.retain(|key| !now.contains(key));
        if listed.is_empty() {
            return Ok(());
        }
        self.index().remove(listed.iter().cloned()).await?;
        let again = self
            .find(&recording.recording_id)
            .await?
            .map(|recording| recording.markers())
            .unwrap_or_default();
        Ok(self
            .index()
            .put(listed.into_iter().filter(|key| again.contains(key)))
            .await?)
    }

    /// Takes out of an account, and of its call's, what is told of people.
    ///
    /// # Errors
    /// When the storage fails or the account is unreadable.
    pub async fn erase(&self, id: &RecordingId, erased: &Erased) -> Result<(), DocumentError> {
        let account = self
            .change(id, erased.at, |account| account.erase(erased.clone()))
            .await?;
        match &account.call {
            Some(call) => {
                CallRegister::new(Arc::clone(&self.documents.store))
                    .forget_consent(call, id)
                    .await
            }
            None => Ok(()),
        }
    }

    /// Writes all markers of an account: for registers from before there was an index.
    ///
    /// # Errors
    /// When the storage fails or the account is unreadable.
    pub async fn index_again(&self, recording: &RegisteredRecording) -> Result<(), DocumentError> {
        Ok(self.index().put(recording.markers()).await?)
    }

    /// Whatever others did meanwhile: what runs has its marker, what does not run has none.
    async fn mark_running(
        &self,
        id: &RecordingId,
        marker: &str,
        recording: &RegisteredRecording,
        was_running: bool,
    ) -> Result<(), DocumentError> {
        let store = &self.documents.store;
        if recording.is_running() {
            store
                .put(marker, Bytes::new(), Precondition::Absent)
                .await?;
        } else if was_running {
            store.remove(marker).await?;
            // Somebody may have found it running again in between.
            if self
                .find(id)
                .await?
                .is_some_and(|recording| recording.is_running())
            {
                store
                    .put(marker, Bytes::new(), Precondition::Absent)
                    .await?;
            }
        }
        Ok(())
    }

    async fn mark(
        &self,
        name: &str,
        recording: &RegisteredRecording,
        is_new: bool,
        now: Timestamp,
    ) -> Result<(), DocumentError> {
        let store = &self.documents.store;
        if is_new {
            let day = day_key(recording.started_at.unwrap_or(now));
            store
                .put(&format!("{day}{name}"), Bytes::new(), Precondition::Absent)
                .await?;
        }
        if let (true, RecordingStatus::Stopped { at }) = (recording.is_awaited(), &recording.status)
        {
            let deadline = at
                .checked_add(self.missing_after)
                .unwrap_or(Timestamp::MAX)
                .as_second()
                .max(0);
            store
                .put(
                    &format!("{AWAITING}{deadline:011}-{name}"),
                    Bytes::new(),
                    Precondition::Absent,
                )
                .await?;
        }
        Ok(())
    }

    /// Recordings whose files were to be announced by now, at most `limit`.
    ///
    /// # Errors
    /// When the storage fails or an account is unreadable.
    pub async fn overdue(
        &self,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<Awaited>, DocumentError> {
        let mut overdue = Vec::new();
        for marker in self.documents.store.list(AWAITING, None, limit).await? {
            let parts = marker
                .strip_prefix(AWAITING)
                .and_then(|rest| rest.split_once('-'));
            let Some((deadline, name)) = parts else {
                continue;
            };
            if deadline
                .parse()
                .is_ok_and(|deadline: i64| deadline > now.as_second())
            {
                break;
            }
            let recording = match self.documents.find(&account_key(name)).await {
                Err(DocumentError::Corrupt { key, source }) => {
                    tracing::error!(key, error = %ErrorChain(&source), "Whether a recording's files came cannot be told: its account is not readable");
                    None
                }
                found => found?,
            };
            overdue.push(Awaited { recording, marker });
        }
        Ok(overdue)
    }

    /// # Errors
    /// When the storage fails.
    pub async fn no_longer_awaited(&self, marker: &str) -> Result<(), DocumentError> {
        Ok(self.documents.store.remove(marker).await?)
    }

    /// Names of the accounts of recordings that began on a day (UTC), at most `limit` after `after`.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn of_day(
        &self,
        day: Timestamp,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>, DocumentError> {
        let prefix = day_key(day);
        let after = after.map(|name| format!("{prefix}{name}"));
        let keys = self
            .documents
            .store
            .list(&prefix, after.as_deref(), limit)
            .await?;
        Ok(keys
            .iter()
            .filter_map(|key| key.strip_prefix(&prefix))
            .map(str::to_owned)
            .collect())
    }

    /// The account of that name.
    ///
    /// # Errors
    /// When the storage fails or the account is unreadable.
    pub async fn by_name(&self, name: &str) -> Result<Option<RegisteredRecording>, DocumentError> {
        self.documents.find(&account_key(name)).await
    }

    /// How many recordings run, counted up to `cap`.
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

    /// A page of the names of all accounts, and after which the next begins.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn names(
        &self,
        after: Option<&str>,
    ) -> Result<(Vec<String>, Option<String>), DocumentError> {
        let keys = self.documents.store.list(ACCOUNTS, after, PAGE).await?;
        let next = keys.last().cloned().filter(|_| keys.len() == PAGE);
        let names = keys
            .iter()
            .filter_map(|key| key.strip_prefix(ACCOUNTS)?.strip_suffix(".json"));
        Ok((names.map(str::to_owned).collect(), next))
    }

    /// What was kept of a day, if its report was made.
    ///
    /// # Errors
    /// When the storage fails or it is unreadable.
    pub async fn day_summary(&self, day: &str) -> Result<Option<DaySummary>, DocumentError> {
        self.documents.find(&report::summary_key(day)).await
    }

    /// The recordings of a bot's conversation, the oldest first.
    ///
    /// # Errors
    /// When the storage fails or the conversation is unreadable.
    pub async fn sessions(&self, conversation_id: &str) -> Result<Vec<RecordingId>, DocumentError> {
        super::telephony::sessions(&self.documents, conversation_id).await
    }

    /// Keeps a document of the register's once; `false` when there is one of that key.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn keep(&self, key: &str, content: String) -> Result<bool, DocumentError> {
        Ok(self
            .documents
            .store
            .put(key, content.into(), Precondition::Absent)
            .await?
            .is_written())
    }

    /// Whether there is a document of that key.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn has(&self, key: &str) -> Result<bool, DocumentError> {
        Ok(self.documents.store.find(key).await?.is_some())
    }

    /// Recordings that run, always in the same order, at most `limit` after `after`; and where the next page begins.
    ///
    /// # Errors
    /// When the storage fails. An account that is unreadable is logged and left out.
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
                Ok(Some(ended)) => {
                    self.mark_running(&ended.recording_id, &marker, &ended, true)
                        .await?
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

fn name(id: &RecordingId) -> String {
    recording_name(id).to_string()
}

fn day_key(time: Timestamp) -> String {
    format!("days/{}/", time.to_zoned(TimeZone::UTC).strftime("%Y%m%d"))
}

fn account_key(name: &str) -> String {
    format!("{ACCOUNTS}{name}.json")
}

#[cfg(test)]
mod tests {
    use super::*;
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
