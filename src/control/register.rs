//! The register: every known recording, what was asked for, and its state. Kept in the ledger's storage.
//!
//! ```text
//! recordings/<sha256 of the recordingId>.json   a recording's account
//! running/<sha256 of the recordingId>           a marker while it runs; the list of what is active
//! awaiting/<deadline>-<sha256>                  a marker while its files are to be announced; in order of their deadlines
//! days/<YYYYMMDD>/<sha256>                      a marker under the day it began
//! reports-due/<day>/<seconds>-<sha256>          a marker when a report of that day may have been made without it
//! ```
//! and in the index: under its start, its call's names, and while its files are missing. Markers are written before the
//! account, and those of `running/` removed after it is closed: there may be one too many, which is removed, but never
//! one too few.
//! The register never decides whether a recording runs: it asks ACS.

pub mod days;
pub mod running;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use jiff::Timestamp;

use super::calls::CallRegister;
use super::entry::{Erased, RecordingStatus, RegisteredRecording};
use crate::error_chain::ErrorChain;
use crate::recording::{PersonKey, RecordingId};
use crate::store::document_store::{DocumentStore, Precondition};
use crate::store::documents::{DocumentError, Documents, Stored};
use crate::store::index::{Index, SeenMarker, recording_name};
use crate::store::outbox::{Notice, Outbox};
use crate::store::people::{People, PersonHash};
use days::LateChange;

const RUNNING: &str = "running/";
const AWAITING: &str = "awaiting/";
const ACCOUNTS: &str = "recordings/";
const PAGE: usize = 500;

/// Accounts of recordings.
#[derive(Clone)]
pub struct RecordingRegister {
    documents: Documents,
    people: Arc<People>,
    missing_after: Duration,
    /// Notices for subscribers about missing files and days; `None` if there are no subscribers.
    outbox: Option<Outbox>,
}

/// A recording whose files are overdue.
pub struct Awaited {
    pub account: AwaitedAccount,
    pub marker: String,
}

/// Whether a change found the account that it changes, or opened it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccountOrigin {
    Known,
    Opened,
}

/// The account of a recording whose files are overdue.
pub enum AwaitedAccount {
    Readable(Box<RegisteredRecording>),
    Gone,
    /// Its marker is the only trace of it, and stays.
    Unreadable,
}

impl RecordingRegister {
    /// `missing_after`: files that are not announced this long after a recording's end are overdue.
    pub fn new(store: Arc<dyn DocumentStore>, missing_after: Duration) -> Self {
        Self {
            people: Arc::new(People::new(Arc::clone(&store))),
            documents: Documents { store },
            missing_after,
            outbox: None,
        }
    }

    /// Returns the same register, with notices of changes for subscribers.
    #[must_use]
    pub fn with_outbox(self, outbox: Option<Outbox>) -> Self {
        Self { outbox, ..self }
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
        let name = name(id);
        let changed = |known: Option<&RegisteredRecording>| changed(id, now, known, &change);
        let began = Instant::now();
        let key = account_key(&name);
        let read: Option<Stored<RegisteredRecording>> = self.documents.read(&key).await?;
        let known = read.as_ref().map(|stored| stored.document.clone());
        // Markers first: a kill may leave one marker too many, never one too few.
        let named = self.hashed(&changed(known.as_ref()).named_people()).await?;
        let changed = |known: Option<&RegisteredRecording>| {
            let mut recording = changed(known);
            recording.add_people(&named);
            recording
        };
        let expected = changed(known.as_ref());
        let index = self.index();
        let listed = known.as_ref().map(keys).unwrap_or_default();
        let expected_keys = keys(&expected);
        index.put_new(&listed, &expected_keys).await?;
        let stale = listed.difference(&expected_keys).cloned();
        let stale = index.seen(stale).await?;
        let was_running = known.as_ref().is_some_and(RegisteredRecording::is_running);
        let running = format!("{RUNNING}{name}");
        if !was_running && expected.is_running() {
            self.put_marker(&running).await?;
        }
        self.mark_awaited(&name, &expected).await?;
        let was_missing = known.as_ref().is_some_and(RegisteredRecording::is_missing);
        if expected.is_missing() && !was_missing {
            let recording_id = id.clone();
            self.keep_notice(Notice::Missing { recording_id }, now)
                .await?;
        }
        let late = LateChange::of(known.as_ref(), &expected, now);
        self.mark_late(&late, now).await?;
        let replace = |known: Option<&RegisteredRecording>| {
            Some(changed(known)).filter(|changed| known != Some(changed))
        };
        let changing = self.documents.change_known(&key, read.into(), replace);
        let recording = changing.await?;
        let recording = recording.unwrap_or_else(|| changed(None));
        if recording != expected {
            self.mark_awaited(&name, &recording).await?;
            index.put(keys(&recording)).await?;
        }
        if began.elapsed() > days::MARKER_SURELY_SEEN {
            self.mark_late(&late, days::after(now, began.elapsed()))
                .await?;
        }
        self.mark_running(id, &running, &recording, was_running)
            .await?;
        let now_listed = keys(&recording);
        let is_stale = |marker: &SeenMarker| !now_listed.contains(marker.key());
        index
            .remove_seen(stale.into_iter().filter(is_stale))
            .await?;
        Ok(recording)
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
        let has_it = |account: &RegisteredRecording| keys(account).contains(marker);
        let fence =
            |known: Option<&RegisteredRecording>| known.filter(|account| !has_it(account)).cloned();
        let account = self.documents.change(&account_key(name), fence).await?;
        Ok(account.is_none_or(|account| !has_it(&account)))
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

    /// Writes all markers of an account: for registers from before there was an index.
    ///
    /// # Errors
    /// When the storage fails or the account is unreadable.
    pub async fn index_again(&self, recording: &RegisteredRecording) -> Result<(), DocumentError> {
        Ok(self.index().put(keys(recording)).await?)
    }

    /// Corrects the marker of a running recording, whatever other processes did meanwhile.
    async fn mark_running(
        &self,
        id: &RecordingId,
        marker: &str,
        recording: &RegisteredRecording,
        was_running: bool,
    ) -> Result<(), DocumentError> {
        if recording.is_running() {
            self.put_marker(marker).await?;
        } else if was_running {
            self.documents.store.remove(marker).await?;
            // Another process may have found it running again meanwhile.
            let now = self.find(id).await?;
            if now.is_some_and(|recording| recording.is_running()) {
                self.put_marker(marker).await?;
            }
        }
        Ok(())
    }

    async fn mark_awaited(
        &self,
        name: &str,
        recording: &RegisteredRecording,
    ) -> Result<(), DocumentError> {
        if let (true, RecordingStatus::Stopped { at }) = (recording.is_awaited(), &recording.status)
        {
            let deadline = at.checked_add(self.missing_after);
            let deadline = deadline.unwrap_or(Timestamp::MAX).as_second().max(0);
            self.put_marker(&format!("{AWAITING}{deadline:011}-{name}"))
                .await?;
        }
        Ok(())
    }

    async fn put_marker(&self, key: &str) -> Result<(), DocumentError> {
        let put = self
            .documents
            .store
            .put(key, Bytes::new(), Precondition::Absent);
        put.await?;
        Ok(())
    }

    /// Returns recordings whose files should have been announced by now, at most `limit`, after that marker.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn overdue(
        &self,
        now: Timestamp,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Awaited>, DocumentError> {
        let mut overdue = Vec::new();
        for marker in self.documents.store.list(AWAITING, after, limit).await? {
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
            let account = match self.documents.find(&account_key(name)).await {
                Err(DocumentError::Corrupt { key, source }) => {
                    tracing::error!(key, error = %ErrorChain(&source), "Could not check whether a recording's files were announced: its account is not readable");
                    AwaitedAccount::Unreadable
                }
                found => match found? {
                    Some(recording) => AwaitedAccount::Readable(Box::new(recording)),
                    None => AwaitedAccount::Gone,
                },
            };
            overdue.push(Awaited { account, marker });
        }
        Ok(overdue)
    }

    /// # Errors
    /// When the storage fails.
    pub async fn no_longer_awaited(&self, marker: &str) -> Result<(), DocumentError> {
        Ok(self.documents.store.remove(marker).await?)
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
        let calls = CallRegister::new(Arc::clone(&self.documents.store));
        Ok(!calls.marked(None).await?.is_empty())
    }

    /// Returns names of recordings with more to come, at most `limit` each: running ones, and those that await files.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn unfinished_names(&self, limit: usize) -> Result<Vec<String>, DocumentError> {
        let store = &self.documents.store;
        let running = store.list(RUNNING, None, limit).await?;
        let awaited = store.list(AWAITING, None, limit).await?;
        let running = running.iter().filter_map(|key| key.strip_prefix(RUNNING));
        let awaited = awaited
            .iter()
            .filter_map(|key| key.strip_prefix(AWAITING)?.split_once('-'))
            .map(|(_, name)| name);
        Ok(running.chain(awaited).map(str::to_owned).collect())
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

/// Returns all keys that an account is found by: its day, and its places in the index.
fn keys(recording: &RegisteredRecording) -> BTreeSet<String> {
    let mut keys = recording.markers();
    let name = recording_name(&recording.recording_id);
    keys.insert(format!("{}{name}", days::day_key(recording.filed_at())));
    keys
}

/// Returns the account after a change: of the known one, or of the one that is opened with it.
fn changed(
    id: &RecordingId,
    now: Timestamp,
    known: Option<&RegisteredRecording>,
    change: &impl Fn(&mut RegisteredRecording, AccountOrigin),
) -> RegisteredRecording {
    let (mut recording, origin) = match known {
        Some(known) => (known.clone(), AccountOrigin::Known),
        None => (
            RegisteredRecording::unknown(id.clone(), now),
            AccountOrigin::Opened,
        ),
    };
    change(&mut recording, origin);
    // An erasure is final, whatever a late write brings.
    if let Some(erased) = known.and_then(|known| known.erased.clone()) {
        recording.erase(erased);
    }
    recording
}

fn account_key(name: &str) -> String {
    format!("{ACCOUNTS}{name}.json")
}
