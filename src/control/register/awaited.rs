//! Recordings that ended and whose files no event has announced yet, in the order of their deadlines.

use jiff::Timestamp;

use super::{RecordingRegister, account_key};
use crate::control::entry::{RecordingStatus, RegisteredRecording};
use crate::error_chain::ErrorChain;
use crate::store::documents::DocumentError;

pub(super) const AWAITING: &str = "awaiting/";

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

impl RecordingRegister {
    pub(super) async fn mark_awaited(
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
}
