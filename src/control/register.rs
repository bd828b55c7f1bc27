//! The register: every known recording, what was asked for, and its state. Kept in the ledger's storage.
//!
//! ```text
//! recordings/<sha256 of the recordingId>.json   a recording's account
//! running/<sha256 of the recordingId>           a marker while it runs, or while a request for it may not be in the audit log
//! awaiting/<deadline>-<sha256>                  a marker while its files are to be announced; in order of their deadlines
//! reports-due/<day>/<seconds>-<sha256>          a marker when a report of that day may have been made without it
//! ```
//! and in the index: under its start, its call's names, and while its files are missing. Markers are written before the
//! account, and removed after it: there may be one too many, which is removed, but never one too few. Those of `running/`
//! and `awaiting/` follow the rule of the index: the account that makes one true rewrites it first, and a removal names the
//! version that was read before the account made it untrue.
//! The register never decides whether a recording runs: it asks ACS.

mod awaited;
mod carried;
mod changing;
pub mod days;
mod listed;
pub mod running;
mod unrecorded;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::calls::CallRegister;
use super::entry::{Erased, RegisteredRecording};
use crate::recording::{PersonKey, RecordingId};
use crate::store::audit::AuditLog;
use crate::store::digest::Sha256Digest;
use crate::store::document_store::{DocumentStore, Precondition};
use crate::store::documents::{DocumentError, Documents, Keyed};
use crate::store::index::{Index, marker_content, recording_name};
use crate::store::outbox::{Notice, Outbox};
use crate::store::people::{People, PersonHash};
use awaited::AWAITING;
use carried::CarriedAccounts;

pub use awaited::{Awaited, AwaitedAccount};
pub use carried::FoundAccount;

const RUNNING: &str = "running/";
const ACCOUNTS: &str = "recordings/";
const PAGE: usize = 500;

/// Lists whose markers name accounts.
const LISTS: [&str; 4] = [AWAITING, "catalogue/all/", "catalogue/attention/", RUNNING];

/// A marker, and the recording that it names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedMarker {
    pub name: Sha256Digest,
    pub key: String,
}

impl NamedMarker {
    /// `None` for a key that names no recording.
    fn of(key: String) -> Option<Self> {
        let last = key.rsplit('/').next()?;
        let mut parts = last.split('-');
        let name = parts.find_map(|part| Sha256Digest::try_from(part.to_owned()).ok())?;
        Some(Self { name, key })
    }
}

/// Accounts of recordings.
#[derive(Clone)]
pub struct RecordingRegister {
    documents: Documents,
    people: Arc<People>,
    carried: Arc<CarriedAccounts>,
    missing_after: Duration,
    /// Notices for subscribers about missing files and days; `None` if there are no subscribers.
    outbox: Option<Outbox>,
    /// Where operations are recorded whose answers were lost.
    audit: Option<Arc<AuditLog>>,
}

/// Whether a change found the account that it changes, or opened it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccountOrigin {
    Known,
    Opened,
}

impl Keyed for RegisteredRecording {
    fn key(&self) -> Option<String> {
        Some(account_key(&name(&self.recording_id)))
    }
}

impl RecordingRegister {
    /// `missing_after`: files that are not announced this long after a recording's end are overdue.
    pub fn new(store: Arc<dyn DocumentStore>, missing_after: Duration) -> Self {
        Self {
            people: Arc::new(People::new(Arc::clone(&store))),
            documents: Documents { store },
            carried: Arc::default(),
            missing_after,
            outbox: None,
            audit: None,
        }
    }

    /// Returns the same register, with notices of changes for subscribers.
    #[must_use]
    pub fn with_outbox(self, outbox: Option<Outbox>) -> Self {
        Self { outbox, ..self }
    }

    /// Returns the same register, which records operations whose answers were lost.
    #[must_use]
    pub fn with_audit(self, audit: Arc<AuditLog>) -> Self {
        Self {
            audit: Some(audit),
            ..self
        }
    }

    /// Stores a notice, before the change that it reports is written.
    pub(crate) async fn keep_notice(
        &self,
        notice: Notice,
        now: Timestamp,
    ) -> Result<(), DocumentError> {
        match &self.outbox {
            Some(outbox) => Ok(outbox.keep(notice, now).await?),
            None => Ok(()),
        }
    }

    /// Returns the account of a recording.
    ///
    /// # Errors
    /// When the storage fails or the account is unreadable.
    pub async fn find(
        &self,
        id: &RecordingId,
    ) -> Result<Option<RegisteredRecording>, DocumentError> {
        self.documents.find(&account_key(&name(id))).await
    }

    /// Changes the account of a recording; opens one if it does not exist yet.
    ///
    /// # Errors
    /// When the storage fails or the account is unreadable.
    pub async fn change(
        &self,
        id: &RecordingId,
        now: Timestamp,
        change: impl Fn(&mut RegisteredRecording) + Send + Sync,
    ) -> Result<RegisteredRecording, DocumentError> {
        self.change_knowing(id, now, |account, _| change(account))
            .await
    }

    /// Like [`change`](Self::change), for a change that depends on whether the account exists when it is written.
    ///
    /// # Errors
    /// As [`change`](Self::change).
    pub async fn change_knowing(
        &self,
        id: &RecordingId,
        now: Timestamp,
        change: impl Fn(&mut RegisteredRecording, AccountOrigin) + Send + Sync,
    ) -> Result<RegisteredRecording, DocumentError> {
        let read = self.read(id).await?;
        // On the heap: callers hold it within their own futures.
        Box::pin(self.change_found(id, read, now, change)).await
    }

    /// Returns how people are named in keys of the index.
    pub fn people(&self) -> &People {
        &self.people
    }

    async fn hashed(&self, people: &BTreeSet<PersonKey>) -> Result<Vec<PersonHash>, DocumentError> {
        let mut hashes = Vec::with_capacity(people.len());
        for person in people {
            hashes.push(self.people.hash(person).await?);
        }
        Ok(hashes)
    }

    /// Removes the people of an erased recording from its account and from the index: the last step of an erasure.
    ///
    /// # Errors
    /// When the storage fails or the account is unreadable.
    pub async fn clear_people(&self, id: &RecordingId) -> Result<(), DocumentError> {
        let Some(account) = self.find(id).await? else {
            return Ok(());
        };
        if account.people.is_empty() {
            return Ok(());
        }
        let forget = |account: &mut RegisteredRecording| account.people.clear();
        self.change(id, account.heard_at, forget).await.map(drop)
    }

    /// Makes pending writers of an account start again, unless the account has this marker: they write their markers again
    /// then. Returns whether the account does not have it.
    ///
    /// # Errors
    /// When the storage fails or the account is unreadable.
    pub async fn fence_off_marker(&self, name: &str, marker: &str) -> Result<bool, DocumentError> {
        let has_it = |account: &RegisteredRecording| account.markers().contains(marker);
        self.fence_off(name, has_it).await
    }

    /// Makes pending writers of an account start again, unless the account has a marker. Returns whether it does not.
    async fn fence_off(
        &self,
        name: &str,
        has_it: impl Fn(&RegisteredRecording) -> bool + Send + Sync,
    ) -> Result<bool, DocumentError> {
        let fence =
            |known: Option<&RegisteredRecording>| known.filter(|account| !has_it(account)).cloned();
        let account = self.documents.change(&account_key(name), fence).await?;
        Ok(account.is_none_or(|account| !has_it(&account)))
    }

    /// Removes a marker that its account does not have, unless a writer of the account relies on it.
    async fn remove_stale(
        &self,
        name: &str,
        marker: &str,
        has_it: impl Fn(&RegisteredRecording) -> bool + Send + Sync,
    ) -> Result<(), DocumentError> {
        let index = self.index();
        let seen = index.seen([marker.to_owned()]).await?;
        if self.fence_off(name, has_it).await? {
            index.remove_seen(seen).await?;
        }
        Ok(())
    }

    /// Returns the index that recordings are found by.
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
        self.forget_consent(id, &account).await
    }

    /// Removes personal data from a recording's account.
    ///
    /// # Errors
    /// When the storage fails or the account is unreadable.
    pub async fn forget_people(
        &self,
        id: &RecordingId,
        now: Timestamp,
    ) -> Result<(), DocumentError> {
        let forget = |account: &mut RegisteredRecording| {
            account.forget_people();
            account.people.clear();
        };
        let account = self.change(id, now, forget).await?;
        self.forget_consent(id, &account).await
    }

    async fn forget_consent(
        &self,
        id: &RecordingId,
        account: &RegisteredRecording,
    ) -> Result<(), DocumentError> {
        let calls = CallRegister::new(Arc::clone(&self.documents.store));
        if let Some(call) = &account.call {
            calls.forget_consent(call, id, account.ended_at()).await?;
        }
        // No start of ours is known to have begun it: one whose answer was lost may have.
        if let (None, Some(began)) = (account.registered_at, account.started_at) {
            calls.forget_given_up(began).await?;
        }
        Ok(())
    }

    /// Writes all markers of an account again, for `ledger index`.
    ///
    /// # Errors
    /// When the storage fails or the account is unreadable.
    pub async fn index_again(
        &self,
        recording: &RegisteredRecording,
        now: Timestamp,
    ) -> Result<(), DocumentError> {
        Ok(self.index().put(recording.markers(), now).await?)
    }

    /// Writes a marker, unless there is one.
    async fn put_marker(&self, key: &str, now: Timestamp) -> Result<(), DocumentError> {
        let content = marker_content(now);
        let put = self.documents.store.put(key, content, Precondition::Absent);
        put.await?;
        Ok(())
    }

    /// Returns the account of that name.
    ///
    /// # Errors
    /// When the storage fails or the account is unreadable.
    pub async fn by_name(&self, name: &str) -> Result<Option<RegisteredRecording>, DocumentError> {
        self.documents.find(&account_key(name)).await
    }

    /// Returns a page of the names of all accounts, and after which name the next page begins.
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

    /// Whether the outcome of a start is not settled yet: its account may still be to come.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn has_unsettled_starts(&self) -> Result<bool, DocumentError> {
        self.calls().has_open().await
    }

    /// Returns when the starts were sent that may have begun a recording without an account, because ACS did not say what
    /// became of them, and whether there are more.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn unknown_starts(
        &self,
        now: Timestamp,
    ) -> Result<(Vec<Timestamp>, bool), DocumentError> {
        self.calls().unknown(now).await
    }

    fn calls(&self) -> CallRegister {
        CallRegister::new(Arc::clone(&self.documents.store))
    }

    /// Returns names of recordings with more to come, with their markers, at most `limit` each: running ones, and those
    /// that await files.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn unfinished(&self, limit: usize) -> Result<Vec<NamedMarker>, DocumentError> {
        let store = &self.documents.store;
        let running = store.list(RUNNING, None, limit).await?;
        let awaited = store.list(AWAITING, None, limit).await?;
        let named = running.into_iter().chain(awaited).map(NamedMarker::of);
        Ok(named.flatten().collect())
    }

    /// Returns a page of the markers that name a recording by its state or day, and after which key the next page begins.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn markers(
        &self,
        after: Option<&str>,
    ) -> Result<(Vec<NamedMarker>, Option<String>), DocumentError> {
        let is_in = |list: &&&str| after.is_some_and(|after| after.starts_with(**list));
        let position = LISTS.iter().position(|list| is_in(&list)).unwrap_or(0);
        let store = &self.documents.store;
        let keys = store.list(LISTS[position], after, PAGE).await?;
        let next = match keys.last() {
            Some(last) if keys.len() == PAGE => Some(last.clone()),
            // It comes before every key of its list.
            Some(_) | None => LISTS.get(position + 1).map(|list| (*list).to_owned()),
        };
        let named = keys.into_iter().filter_map(NamedMarker::of);
        Ok((named.collect(), next))
    }

    /// Whether there is an account of that name, readable or not.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn has_account(&self, name: &Sha256Digest) -> Result<bool, DocumentError> {
        let key = account_key(&name.to_string());
        match self.documents.store.find(&key).await {
            Err(error) if error.damaged().is_some() => Ok(true),
            found => Ok(found?.is_some()),
        }
    }

    /// Files that are not announced this long after a recording's end are missing.
    pub fn missing_after(&self) -> Duration {
        self.missing_after
    }

    /// Returns the documents of the register's storage.
    pub(crate) fn documents(&self) -> &Documents {
        &self.documents
    }
}

fn name(id: &RecordingId) -> String {
    recording_name(id).to_string()
}

fn account_key(name: &str) -> String {
    format!("{ACCOUNTS}{name}.json")
}
