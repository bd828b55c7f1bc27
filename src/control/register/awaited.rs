//! Recordings that ended and whose files no event has announced yet, in the order of their deadlines.

use std::future::ready;

use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _};
use jiff::{SignedDuration, Timestamp};

use super::{RecordingRegister, account_key, name};
use crate::control::entry::{RecordingStatus, RegisteredRecording};
use crate::error_chain::ErrorChain;
use crate::store::documents::DocumentError;
use crate::store::listing::keys;

pub(super) const AWAITING: &str = "awaiting/";
/// How long a marker without an account is kept: its account may be about to be written.
const WITHOUT_ACCOUNT: SignedDuration = SignedDuration::from_hours(24);

/// A recording whose files are overdue.
pub struct Awaited {
    pub account: AwaitedAccount,
    pub marker: String,
}

/// The account of a recording whose files are overdue.
pub enum AwaitedAccount {
    Readable(Box<RegisteredRecording>),
    Gone,
    /// Its marker is the only trace of it, and stays.
    Unreadable,
}

/// In seconds.
fn deadline_in(marker: &str) -> Option<i64> {
    let (deadline, _) = marker.strip_prefix(AWAITING)?.split_once('-')?;
    deadline.parse().ok()
}

/// Whether no process can still be about to write the account of this marker.
fn is_long_overdue(marker: &str, now: Timestamp) -> bool {
    let overdue = deadline_in(marker).map(|deadline| now.as_second().saturating_sub(deadline));
    overdue.is_none_or(|seconds| seconds > WITHOUT_ACCOUNT.as_secs())
}

impl RecordingRegister {
    /// Writes the marker of an account that is about to be written, again if the account had another or none.
    pub(super) async fn mark_awaited(
        &self,
        name: &str,
        known: Option<&RegisteredRecording>,
        changed: &RegisteredRecording,
        now: Timestamp,
    ) -> Result<(), DocumentError> {
        let marker = |account| self.marker_of_awaited(name, account);
        match marker(changed) {
            Some(own) if known.and_then(marker).as_ref() == Some(&own) => {
                self.put_marker(&own, now).await
            }
            Some(own) => Ok(self.index().put([own], now).await?),
            None => Ok(()),
        }
    }

    /// Whether its files should have been announced by now. A marker may be of an earlier end, or of another
    /// `MISSING_AFTER`.
    pub fn is_overdue(&self, account: &RegisteredRecording, now: Timestamp) -> bool {
        self.announced_by(account)
            .is_some_and(|deadline| deadline <= now)
    }

    /// By when its files should be announced; `None` if they are not awaited.
    fn announced_by(&self, account: &RegisteredRecording) -> Option<Timestamp> {
        let RecordingStatus::Stopped { at } = &account.status else {
            return None;
        };
        let deadline = || at.checked_add(self.missing_after).unwrap_or(Timestamp::MAX);
        account.is_awaited().then(deadline)
    }

    fn marker_of_awaited(&self, name: &str, account: &RegisteredRecording) -> Option<String> {
        let deadline = self.announced_by(account)?.as_second().max(0);
        Some(format!("{AWAITING}{deadline:011}-{name}"))
    }

    /// Returns recordings whose files should have been announced by now, the longest overdue first.
    pub fn overdue(&self, now: Timestamp) -> BoxStream<'_, Result<Awaited, DocumentError>> {
        let is_overdue = move |marker: &String| {
            // A key that is no marker is passed over.
            deadline_in(marker).is_none_or(|deadline| deadline <= now.as_second())
        };
        keys(&*self.documents.store, AWAITING, None)
            .try_take_while(move |marker| ready(Ok(is_overdue(marker))))
            .map_err(DocumentError::from)
            .try_filter_map(|marker| self.awaited(marker))
            .boxed()
    }

    async fn awaited(&self, marker: String) -> Result<Option<Awaited>, DocumentError> {
        let parts = marker
            .strip_prefix(AWAITING)
            .and_then(|rest| rest.split_once('-'));
        let Some((_, name)) = parts else {
            return Ok(None);
        };
        let account = match self.documents.find(&account_key(name)).await {
            Err(error) if error.is_damage() => {
                tracing::error!(marker, error = %ErrorChain(&error), "Could not check whether a recording's files were announced: its account is not readable");
                AwaitedAccount::Unreadable
            }
            found => match found? {
                Some(recording) => AwaitedAccount::Readable(Box::new(recording)),
                None => AwaitedAccount::Gone,
            },
        };
        Ok(Some(Awaited { account, marker }))
    }

    /// Removes the marker of a recording whose files are not awaited, as its account was when it was found.
    ///
    /// # Errors
    /// When the storage fails, or the account is not readable any more.
    pub async fn no_longer_awaited(
        &self,
        awaited: &Awaited,
        now: Timestamp,
    ) -> Result<(), DocumentError> {
        let marker = &awaited.marker;
        match &awaited.account {
            // It ended, and files that were announced or missing are never awaited again.
            AwaitedAccount::Readable(account)
                if matches!(account.status, RecordingStatus::Stopped { .. })
                    && !account.is_awaited() =>
            {
                Ok(self.documents.store.remove(marker).await?)
            }
            // Its end may be about to be written, or it has another deadline now.
            AwaitedAccount::Readable(account) => {
                let name = name(&account.recording_id);
                self.mark_awaited(&name, None, account, now).await?;
                let is_its_own = |account: &RegisteredRecording| {
                    self.marker_of_awaited(&name, account).as_ref() == Some(marker)
                };
                self.remove_stale(&name, marker, is_its_own).await
            }
            AwaitedAccount::Gone if is_long_overdue(marker, now) => {
                Ok(self.documents.store.remove(marker).await?)
            }
            AwaitedAccount::Gone | AwaitedAccount::Unreadable => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::time::Duration;

    use crate::recording::RecordingId;
    use crate::vault::memory::MemoryDocumentStore;

    fn minute(minutes: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_mins(minutes)
    }

    #[tokio::test]
    async fn another_missing_after_moves_the_deadlines_of_what_is_awaited() {
        let store = Arc::new(MemoryDocumentStore::default());
        let register = |minutes| {
            let store: Arc<MemoryDocumentStore> = Arc::clone(&store);
            RecordingRegister::new(store, Duration::from_mins(minutes))
        };
        let id: RecordingId = "a".parse().unwrap();
        let first = register(30);
        let stopped = first.change(&id, minute(0), |account| account.stop(minute(0)));
        let stopped = stopped.await.unwrap();
        assert!(register(10).is_overdue(&stopped, minute(10)));
        let later = register(60);
        for (now, is_overdue) in [(30, false), (60, true)] {
            let found: Vec<Awaited> = later.overdue(minute(now)).try_collect().await.unwrap();
            assert_eq!(found.len(), 1, "after {now} minutes");
            assert_eq!(later.is_overdue(&stopped, minute(now)), is_overdue);
            let kept = later.no_longer_awaited(&found[0], minute(now));
            kept.await.unwrap();
        }
    }
}
