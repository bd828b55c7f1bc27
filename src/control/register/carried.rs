//! Accounts of ended recordings as this process last wrote them, so that the first event of their files need not read
//! them. Between the two nothing else usually changes them.
//!
//! An outdated account causes a conflict and nothing else, because all writes are conditional. It knows no storage.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::control::entry::RegisteredRecording;
use crate::store::documents::{Revision, Stored};

/// Capacity. When it is full, the oldest account is evicted.
const KEPT_AT_MOST: usize = 256;
/// ACS announces the files of a recording within minutes of its end. Longer ago, another process has probably changed it.
const KEPT_FOR: Duration = Duration::from_mins(10);

/// An account that a change begins with.
pub enum FoundAccount {
    /// As this process last wrote it. Others may have changed it since.
    Carried(Stored<RegisteredRecording>),
    /// As it was just read; `None` if there is none.
    Read(Option<Stored<RegisteredRecording>>),
}

impl FoundAccount {
    pub fn account(&self) -> Option<&RegisteredRecording> {
        match self {
            Self::Carried(stored) => Some(&stored.document),
            Self::Read(stored) => stored.as_ref().map(|stored| &stored.document),
        }
    }

    /// What a change replaces; `None` where there is no account.
    pub(super) fn revision(&self) -> Option<&Revision> {
        match self {
            Self::Carried(stored) => Some(&stored.revision),
            Self::Read(stored) => stored.as_ref().map(|stored| &stored.revision),
        }
    }
}

struct Kept {
    name: String,
    stored: Stored<RegisteredRecording>,
    since: Instant,
}

#[derive(Default)]
pub(super) struct CarriedAccounts(Mutex<VecDeque<Kept>>);

impl CarriedAccounts {
    /// Keeps the newest version of an account in place of an older one, if its files are still to be announced.
    pub fn keep(&self, name: &str, stored: Stored<RegisteredRecording>) {
        let mut kept = self.kept();
        kept.retain(|kept| kept.name != name);
        if !stored.document.is_awaited() {
            return;
        }
        if kept.len() >= KEPT_AT_MOST {
            kept.pop_front();
        }
        kept.push_back(Kept {
            name: name.to_owned(),
            stored,
            since: Instant::now(),
        });
    }

    pub fn take(&self, name: &str) -> Option<Stored<RegisteredRecording>> {
        let mut kept = self.kept();
        kept.retain(|kept| kept.since.elapsed() < KEPT_FOR);
        let at = kept.iter().position(|kept| kept.name == name)?;
        kept.remove(at).map(|kept| kept.stored)
    }

    fn kept(&self) -> MutexGuard<'_, VecDeque<Kept>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
