//! Finds the logs that are open, and where each of them ends; closes those that are quiet. A log that cannot be read does not
//! stop the others. It writes no checkpoint.

use std::collections::{BTreeMap, BTreeSet};
use std::future::ready;
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;

use super::newest::Newest;
use super::search::{OfDamaged, last_after};
use crate::error_chain::ErrorChain;
use crate::store::audit::AuditLog;
use crate::store::audit::name::{LAST_NUMBER, LIVE, WriterName};
use crate::store::audit::record::{LiveMarker, LogContent, LogDocument, LogEnd, LogState};
use crate::store::digest::Sha256Digest;
use crate::store::document_store::{Precondition, PutOutcome, StoreError};
use crate::store::listing::keys;

/// A log without new records for this long is closed. Its writer can continue in another log.
const QUIET: Duration = Duration::from_mins(30);
const LOGS_AT_ONCE: usize = 8;

/// A log with a document that could not be read. The checkpoint has its last known end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnreadLog {
    pub log: WriterName,
    pub reason: String,
}

/// Where the open logs end.
#[derive(Debug, Default)]
pub(super) struct Surveyed {
    pub ends: BTreeMap<WriterName, LogEnd>,
    pub unread: Vec<UnreadLog>,
}

impl AuditLog {
    /// The ends of the logs that are open, and of those that were closed since.
    pub(super) async fn survey(&self, newest: Option<&Newest>) -> Result<Surveyed, StoreError> {
        let known = newest.map(|newest| &newest.ends);
        let open = known.into_iter().flatten();
        let open = open.filter(|(_, end)| end.state == LogState::Open);
        let mut writers: BTreeSet<WriterName> = open.map(|(writer, _)| writer.clone()).collect();
        writers.extend(self.live().await?);
        writers.extend(self.unmarked(&writers).await?);
        let looking = futures::stream::iter(writers).map(|writer| {
            let known = known.and_then(|ends| ends.get(&writer)).cloned();
            async move {
                let end = self.end_of(&writer, known.clone()).await;
                (writer, known, end)
            }
        });
        let mut looking = looking.buffer_unordered(LOGS_AT_ONCE);
        let mut surveyed = Surveyed::default();
        while let Some((writer, known, end)) = looking.next().await {
            let end = end.unwrap_or_else(|error| {
                surveyed.unread.push(UnreadLog {
                    log: writer.clone(),
                    reason: ErrorChain(&error).to_string(),
                });
                known
            });
            if let Some(end) = end {
                surveyed.ends.insert(writer, end);
            }
        }
        Ok(surveyed)
    }

    /// The logs that have a marker.
    pub(in crate::store::audit) async fn live(&self) -> Result<Vec<WriterName>, StoreError> {
        let name = |key: String| key.strip_prefix(LIVE)?.parse::<WriterName>().ok();
        let live = keys(&*self.store, LIVE, None);
        let live = live.try_filter_map(|key| ready(Ok(name(key))));
        live.try_collect().await
    }

    /// Where a log ends now; it is closed if it is quiet. `None`: nothing was written into it yet.
    async fn end_of(
        &self,
        writer: &WriterName,
        known: Option<LogEnd>,
    ) -> Result<Option<LogEnd>, StoreError> {
        let known = match known {
            Some(end) if end.state == LogState::Closed => {
                let reopened = self.reopened(writer, &end).await?;
                match reopened {
                    None => return Ok(Some(end)),
                    Some(open) => Some(open),
                }
            }
            known => known,
        };
        let from = known.as_ref().map_or(0, |end| end.number);
        let further = last_after(
            &*self.store,
            from,
            |number| writer.document(number),
            OfDamaged::Fails,
        )
        .await?;
        let end = further.map(|(number, content)| LogEnd::of(number, &content));
        let Some(end) = end.or(known) else {
            let began = self.began(writer).await?;
            return self.closed_if_quiet(writer, None, began).await;
        };
        let since = end.at;
        self.closed_if_quiet(writer, Some(end), since).await
    }

    /// A checkpoint may say of a log that it is closed although its document does not. Returns the end as the document has
    /// it; `None`: the log is closed.
    async fn reopened(
        &self,
        writer: &WriterName,
        end: &LogEnd,
    ) -> Result<Option<LogEnd>, StoreError> {
        let stored = self.store.find(&writer.document(end.number)).await?;
        Ok(match stored {
            // A check finds that it is missing. Whether it closed the log is unknown.
            None => None,
            Some(stored) => Some(LogEnd::of(end.number, &stored.content))
                .filter(|of_document| of_document.state == LogState::Open),
        })
    }

    /// When a log was begun into which nothing was written yet.
    async fn began(&self, writer: &WriterName) -> Result<Option<Timestamp>, StoreError> {
        let stored = self.store.find(&writer.live_marker()).await?;
        let marker =
            stored.and_then(|stored| serde_json::from_slice::<LiveMarker>(&stored.content).ok());
        Ok(marker.map(|marker| marker.began))
    }

    async fn closed_if_quiet(
        &self,
        writer: &WriterName,
        end: Option<LogEnd>,
        since: Option<Timestamp>,
    ) -> Result<Option<LogEnd>, StoreError> {
        let now = self.clock.now();
        // A time in the far future comes from a wrong clock. Closing a log too early costs its writer two requests.
        let is_quiet = since.is_none_or(|since| now.duration_since(since).unsigned_abs() >= QUIET);
        if !is_quiet
            || end
                .as_ref()
                .is_some_and(|end| end.state == LogState::Closed)
        {
            return Ok(end);
        }
        let number = end.as_ref().map_or(0, |end| end.number) + 1;
        if number > LAST_NUMBER {
            return Ok(end);
        }
        let document = LogDocument {
            writer: writer.clone(),
            sequence: number,
            previous: end.as_ref().map_or(Sha256Digest::ZERO, |end| end.sha256),
            at: now,
            content: LogContent::Closed { quiet_since: since },
        };
        let content = Bytes::from(serde_json::to_vec(&document).expect("it has string keys only"));
        let key = writer.document(number);
        match self
            .store
            .put(&key, content.clone(), Precondition::Absent)
            .await?
        {
            PutOutcome::Written(_) => Ok(Some(LogEnd::of(number, &content))),
            // Its writer, or another sweep, was first: the next sweep sees the result.
            PutOutcome::Conflict => Ok(end),
        }
    }
}
