//! Finds open logs whose marker is gone: by the names of logs, since a log's name begins with the time of its beginning.
//!
//! ```text
//! first listing: since the oldest open log ─▶ later, once an hour: since two hours ago
//! ```
//! A listing skips from log to log, and is bounded for each sweep: the next sweep continues it.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::search::{OfDamaged, last_after};
use crate::store::audit::AuditLog;
use crate::store::audit::name::{AUDIT, WriterName};
use crate::store::audit::record::{LogEnd, LogState};
use crate::store::document_store::StoreError;

/// Between two listings of a process.
const LIST_EVERY: Duration = Duration::from_hours(1);
/// How far back a later listing looks: further than the clocks of processes differ.
const LOOK_BACK: SignedDuration = SignedDuration::from_hours(2);
/// Requests of one sweep for the listing.
const PAGES_AT_MOST: usize = 16;
/// Keys of one page. Where the service does not begin at a key, each page before it is read too.
const PAGE: usize = 100;
/// Closed logs that are remembered, so that they are not read again.
const REMEMBERED: usize = 4096;

/// How far this process has listed the names of logs.
#[derive(Debug, Default)]
pub(in crate::store::audit) struct LogListing {
    began_at: Option<tokio::time::Instant>,
    /// The key after which the next sweep continues.
    after: Option<String>,
    closed: BTreeSet<WriterName>,
}

/// Names of logs, and where the listing continues.
struct ListedLogs {
    names: BTreeSet<WriterName>,
    next: Option<String>,
}

impl AuditLog {
    /// Open logs that are not among the known ones. A log that is closed was in the survey of the sweep that closed it.
    pub(super) async fn unmarked(
        &self,
        known: &BTreeSet<WriterName>,
    ) -> Result<Vec<WriterName>, StoreError> {
        let Some(after) = self.listing_after(known.first()) else {
            return Ok(Vec::new());
        };
        let listed = self.list_logs(after).await?;
        let mut unmarked = Vec::new();
        for name in listed.names {
            if known.contains(&name) || self.listing().closed.contains(&name) {
                continue;
            }
            // One that cannot be read is reported with the other ends.
            let last = last_after(
                &*self.store,
                0,
                |number| name.document(number),
                OfDamaged::Fails,
            )
            .await;
            let is_closed = matches!(&last, Ok(Some((number, content)))
                if LogEnd::of(*number, content).state == LogState::Closed);
            if is_closed {
                let mut listing = self.listing();
                if listing.closed.len() == REMEMBERED {
                    listing.closed.pop_first();
                }
                listing.closed.insert(name);
            } else {
                unmarked.push(name);
            }
        }
        self.listing().after = listed.next;
        Ok(unmarked)
    }

    /// Where this sweep lists from; `None`: it is not time to list.
    fn listing_after(&self, oldest_open: Option<&WriterName>) -> Option<String> {
        let mut listing = self.listing();
        if let Some(after) = listing.after.take() {
            return Some(after);
        }
        let is_recent = |at: tokio::time::Instant| at.elapsed() < LIST_EVERY;
        if listing.began_at.is_some_and(is_recent) {
            return None;
        }
        let is_first = listing
            .began_at
            .replace(tokio::time::Instant::now())
            .is_none();
        let since = self.clock.now().checked_sub(LOOK_BACK);
        let recent = key_before(since.unwrap_or(Timestamp::MIN));
        Some(match oldest_open.filter(|_| is_first) {
            Some(oldest) => recent.min(format!("{AUDIT}{oldest}")),
            None => recent,
        })
    }

    async fn list_logs(&self, mut after: String) -> Result<ListedLogs, StoreError> {
        // The names of logs begin with the year. Other prefixes of the log are stored elsewhere, and would be listed too.
        let millennium = format!("{AUDIT}2");
        let mut names = BTreeSet::new();
        for _ in 0..PAGES_AT_MOST {
            let keys = self.store.list(&millennium, Some(&after), PAGE).await?;
            let of_logs = keys.iter().filter_map(|key| {
                let (name, _) = key.strip_prefix(AUDIT)?.split_once('/')?;
                name.parse::<WriterName>().ok()
            });
            names.extend(of_logs);
            let Some(last) = keys.last().filter(|_| keys.len() == PAGE) else {
                return Ok(ListedLogs { names, next: None });
            };
            // Skips the other documents of this log: their numbers come before `~`. A foreign key may have no folder there.
            let folder = last.rsplit_once('/').map(|(folder, _)| folder);
            let behind_log = folder.map(|folder| format!("{folder}/~"));
            let behind_log = behind_log.filter(|key| key.starts_with(&millennium) && key > last);
            after = behind_log.unwrap_or_else(|| last.clone());
        }
        let next = Some(after);
        Ok(ListedLogs { names, next })
    }

    fn listing(&self) -> std::sync::MutexGuard<'_, LogListing> {
        self.listing
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// The key before those of logs that began then or later.
fn key_before(time: Timestamp) -> String {
    format!("{AUDIT}{}", time.strftime("%Y%m%d%H%M%S"))
}
