//! Changes accounts: writes what an account refers to first, then the account, and cleans up after it.

use std::time::Instant;

use jiff::Timestamp;

use super::carried::FoundAccount;
use super::days::{self, LateChange};
use super::{AccountOrigin, RUNNING, RecordingRegister, account_key, name};
use crate::control::entry::RegisteredRecording;
use crate::recording::RecordingId;
use crate::store::documents::{CONFLICTS_TOLERATED, DocumentError, Stored, WriteOutcome};
use crate::store::index::SeenMarker;
use crate::store::outbox::Notice;

/// What one attempt at a change begins with.
struct Basis {
    found: FoundAccount,
    /// Index markers of an attempt before it.
    ahead: Vec<SeenMarker>,
}

/// Outcome of one attempt at a change.
enum Tried {
    Changed(Box<RegisteredRecording>),
    /// Another process had changed the account.
    Again(Box<Basis>),
}

/// Outcome of the write of an account.
enum Written {
    Done,
    /// Another process had changed the account. This is the current one.
    Outdated(Box<FoundAccount>),
}

impl RecordingRegister {
    /// Returns the account as this process last wrote it, or else reads it, for [`change_found`](Self::change_found).
    ///
    /// # Errors
    /// As [`find`](Self::find).
    pub async fn carried_or_read(&self, id: &RecordingId) -> Result<FoundAccount, DocumentError> {
        match self.carried.take(&name(id)) {
            Some(carried) => Ok(FoundAccount::Carried(carried)),
            None => self.read(id).await,
        }
    }

    pub(super) async fn read(&self, id: &RecordingId) -> Result<FoundAccount, DocumentError> {
        let read = self.documents.read(&account_key(&name(id))).await?;
        Ok(FoundAccount::Read(read))
    }

    /// Like [`change_knowing`](Self::change_knowing), and begins with an account that was found before. One that another
    /// process has changed since is read again: the change begins again with it.
    ///
    /// # Errors
    /// As [`change`](Self::change).
    pub async fn change_found(
        &self,
        id: &RecordingId,
        found: FoundAccount,
        now: Timestamp,
        change: impl Fn(&mut RegisteredRecording, AccountOrigin) + Send + Sync,
    ) -> Result<RegisteredRecording, DocumentError> {
        let mut found = found;
        // Without a write there is no conflict that says that it is outdated.
        if let FoundAccount::Carried(Stored { document, .. }) = &found {
            let mut unchanged = changed(id, now, Some(document), &change);
            unchanged.answered.clear();
            if unchanged == *document {
                found = self.read(id).await?;
            }
        }
        let mut basis = Basis {
            found,
            ahead: Vec::new(),
        };
        for _ in 0..CONFLICTS_TOLERATED {
            match self.try_change(id, basis, now, &change).await? {
                Tried::Changed(recording) => return Ok(*recording),
                Tried::Again(current) => basis = *current,
            }
        }
        let key = account_key(&name(id));
        Err(DocumentError::Contended { key })
    }

    async fn try_change(
        &self,
        id: &RecordingId,
        Basis { found, mut ahead }: Basis,
        now: Timestamp,
        change: &(impl Fn(&mut RegisteredRecording, AccountOrigin) + Send + Sync),
    ) -> Result<Tried, DocumentError> {
        let name = name(id);
        let changed = |known: Option<&RegisteredRecording>| changed(id, now, known, change);
        let began = Instant::now();
        let known = found.account().cloned();
        // Markers first: a kill may leave one marker too many, never one too few.
        let named = self.hashed(&changed(known.as_ref()).named_people()).await?;
        let changed = |known: Option<&RegisteredRecording>| {
            let mut recording = changed(known);
            recording.add_people(&named);
            recording
        };
        let mut expected = changed(known.as_ref());
        let dropped = expected.dropped_since(known.as_ref());
        let unrecorded = self.not_recorded(id, dropped).await;
        let excess = expected.keep_unrecorded(unrecorded);
        let index = self.index();
        let listed = known.as_ref().map(RegisteredRecording::markers);
        let (listed, expected_keys) = (listed.unwrap_or_default(), expected.markers());
        ahead.extend(index.put_new(&listed, &expected_keys, now).await?);
        let running = format!("{RUNNING}{name}");
        let was_swept = known.as_ref().is_some_and(RegisteredRecording::is_swept);
        let ended = (was_swept && !expected.is_swept()).then(|| running.clone());
        let stale = listed.difference(&expected_keys).cloned().chain(ended);
        let stale = index.seen(stale).await?;
        let late = self.mark_ahead(id, known.as_ref(), &expected, now).await?;
        self.record_lost_answers(id, &excess).await?;
        if let Written::Outdated(found) = self.write_account(&name, found, &expected).await? {
            let found = *found;
            return Ok(Tried::Again(Box::new(Basis { found, ahead })));
        }
        if began.elapsed() > days::MARKER_SURELY_SEEN {
            self.mark_late(&late, days::after(now, began.elapsed()))
                .await?;
        }
        if expected.is_swept() {
            self.put_marker(&running, now).await?;
        }
        if expected.erased.is_none() {
            // Another writer may be about to write an account to which these markers belong. An erasure is final.
            ahead.clear();
        }
        let is_stale = |marker: &SeenMarker| !expected_keys.contains(marker.key());
        index
            .remove_seen(stale.into_iter().chain(ahead).filter(is_stale))
            .await?;
        Ok(Tried::Changed(Box::new(expected)))
    }

    /// Writes markers and notices that must exist before the changed account, besides those of the index.
    async fn mark_ahead(
        &self,
        id: &RecordingId,
        known: Option<&RegisteredRecording>,
        expected: &RegisteredRecording,
        now: Timestamp,
    ) -> Result<LateChange, DocumentError> {
        let name = name(id);
        let was_swept = known.is_some_and(RegisteredRecording::is_swept);
        if !was_swept && expected.is_swept() {
            let running = format!("{RUNNING}{name}");
            self.index().put([running], now).await?;
        }
        self.mark_awaited(&name, known, expected, now).await?;
        let was_missing = known.is_some_and(RegisteredRecording::is_missing);
        if expected.is_missing() && !was_missing {
            let recording_id = id.clone();
            self.keep_notice(Notice::Missing { recording_id }, now)
                .await?;
        }
        let late = LateChange::of(known, expected, now);
        self.mark_late(&late, now).await?;
        Ok(late)
    }

    /// Writes the changed account if it differs from the found one, and carries what was written.
    async fn write_account(
        &self,
        name: &str,
        found: FoundAccount,
        changed: &RegisteredRecording,
    ) -> Result<Written, DocumentError> {
        if found.account() == Some(changed) {
            return Ok(Written::Done);
        }
        let (key, revision) = (account_key(name), found.revision());
        let writing = self.documents.write(&key, revision, changed.clone());
        Ok(match writing.await? {
            WriteOutcome::Written(stored) => {
                self.carried.keep(name, stored);
                Written::Done
            }
            WriteOutcome::Conflict(current) => {
                Written::Outdated(Box::new(FoundAccount::Read(current)))
            }
        })
    }
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
