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

pub mod running;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::calls::CallRegister;
use super::day_summary::{DaySummary, summary_key};
use super::entry::{Erased, RecordingStatus, RegisteredRecording};
use crate::error_chain::ErrorChain;
use crate::recording::RecordingId;
use crate::store::document_store::{DocumentStore, Precondition};
use crate::store::documents::{DocumentError, Documents};
use crate::store::index::{Index, SeenMarker, recording_name};

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
            // Erased is final, whatever a late write brings.
            if let Some(erased) = known.and_then(|known| known.erased.clone()) {
                recording.erase(erased);
            }
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
        let expected_markers = expected.markers();
        index.put_new(&listed, &expected_markers).await?;
        let stale = listed.difference(&expected_markers).cloned();
        let stale = index.seen(stale).await?;
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
        let now_listed = recording.markers();
        let is_stale = |marker: &SeenMarker| !now_listed.contains(marker.key());
        index
            .remove_seen(stale.into_iter().filter(is_stale))
            .await?;
        Ok(recording)
    }

    /// What recordings are found by.
    pub fn index(&self) -> Index {
        Index::new(Arc::clone(&self.documents.store))
    }

    /// Removes personal data from an account, and from its call's document.
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
                    .forget_consent(call, id, account.ended_at())
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
                    tracing::error!(key, error = %ErrorChain(&source), "Could not check whether a recording's files were announced: its account is not readable");
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
        self.documents.find(&summary_key(day)).await
    }

    /// The documents of the storage that the register is kept in.
    pub(super) fn documents(&self) -> &Documents {
        &self.documents
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
