//! Reads records: of one place, or all.

use std::future::ready;

use futures::{Stream, TryStreamExt as _};

use super::name::{AUDIT, AuditPosition};
use super::private::{PEOPLE, TEXTS};
use super::record::{AuditRecord, LogContent, LogDocument};
use super::runs::RUNS;
use super::subjects::SUBJECTS;
use super::{AuditLog, StoreError};
use crate::store::listing::keys;

/// Documents read at once.
pub(super) const AT_ONCE: usize = 16;

/// A document of the log as a reader finds it.
#[derive(Debug)]
pub enum FoundDocument {
    /// It may have none: the one that closes a log has none.
    Records(Vec<AuditRecord>),
    Missing,
    Unreadable,
}

impl FoundDocument {
    pub(super) fn of(content: Option<&[u8]>) -> Self {
        let Some(content) = content else {
            return Self::Missing;
        };
        match serde_json::from_slice::<LogDocument>(content) {
            Ok(document) => Self::Records(match document.content {
                LogContent::Records(records) => records,
                LogContent::Closed { .. } => Vec::new(),
            }),
            Err(_) => Self::Unreadable,
        }
    }

    /// Its records; none if it is missing or not readable.
    pub fn into_records(self) -> Vec<AuditRecord> {
        match self {
            Self::Records(records) => records,
            Self::Missing | Self::Unreadable => Vec::new(),
        }
    }
}

/// What was found under a listed key.
pub(super) enum ReadDocument {
    Content(bytes::Bytes),
    /// It was removed after the listing.
    Gone,
    Unreadable(StoreError),
}

impl AuditLog {
    /// The records of one document; none if it is missing or not readable.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn records(&self, position: &AuditPosition) -> Result<Vec<AuditRecord>, StoreError> {
        let found = self.store.find(&position.key()).await?;
        let content = found.as_ref().map(|stored| &stored.content[..]);
        Ok(FoundDocument::of(content).into_records())
    }

    /// Reads one document.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn read(&self, position: &AuditPosition) -> Result<FoundDocument, StoreError> {
        let found = match self.store.find(&position.key()).await {
            Err(error) if error.damaged().is_some() => return Ok(FoundDocument::Unreadable),
            found => found?,
        };
        let content = found.as_ref().map(|stored| &stored.content[..]);
        Ok(FoundDocument::of(content))
    }

    /// All documents, log by log, each with its place. Foreign documents are left out.
    pub fn read_all(
        &self,
    ) -> impl Stream<Item = Result<(AuditPosition, FoundDocument), StoreError>> + Send {
        self.contents()
            .map_ok(|(key, document)| {
                let position = AuditPosition::of_key(&key)?;
                let found = match document {
                    ReadDocument::Content(content) => FoundDocument::of(Some(&content)),
                    ReadDocument::Gone => FoundDocument::Missing,
                    ReadDocument::Unreadable(_) => FoundDocument::Unreadable,
                };
                Some((position, found))
            })
            .try_filter_map(|document| ready(Ok(document)))
    }

    /// Whether anything of an audit log is stored, be it only a checkpoint, a marker or a name.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn has_traces(&self) -> Result<bool, StoreError> {
        for prefix in [AUDIT, SUBJECTS, RUNS, TEXTS, PEOPLE] {
            if !self.store.list(prefix, None, 1).await?.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// All records, log by log.
    #[cfg(test)]
    pub(super) async fn all_records(&self) -> Vec<AuditRecord> {
        use futures::StreamExt as _;
        let documents: Vec<_> = self.read_all().boxed().try_collect().await.unwrap();
        let records = documents
            .into_iter()
            .flat_map(|(_, document)| document.into_records());
        records.collect()
    }

    /// The keys of all documents of logs, in order, with their contents. Fails only if they cannot be listed.
    /// Includes the keys of foreign documents, except in the places of checkpoints and markers.
    pub(super) fn contents(
        &self,
    ) -> impl Stream<Item = Result<(String, ReadDocument), StoreError>> + Send {
        let keys =
            keys(&*self.store, AUDIT, None).try_take_while(|key| ready(Ok(!is_behind_logs(key))));
        let found = keys.map_ok(move |key| async move {
            let document = match self.store.find(&key).await {
                Ok(Some(stored)) => ReadDocument::Content(stored.content),
                Ok(None) => ReadDocument::Gone,
                Err(error) => ReadDocument::Unreadable(error),
            };
            Ok((key, document))
        });
        found.try_buffered(AT_ONCE)
    }
}

/// Whether a key comes after those of all logs, whose names begin with a digit. A foreign one may come before them.
fn is_behind_logs(key: &str) -> bool {
    let name = key.strip_prefix(AUDIT).unwrap_or(key);
    name.bytes().next().is_some_and(|first| first > b'9')
}

pub(super) fn records_in(content: &[u8]) -> Vec<AuditRecord> {
    FoundDocument::of(Some(content)).into_records()
}
