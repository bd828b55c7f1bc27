//! Reads records: of one place, or all.

use futures::{Stream, TryStreamExt as _};

use super::name::{AUDIT, AuditPosition};
use super::record::{AuditRecord, LogContent, LogDocument};
use super::{AuditLog, StoreError};

/// Documents read at once.
pub(super) const AT_ONCE: usize = 16;
const PAGE: usize = 1000;

/// A document of the log as a reader finds it.
#[derive(Debug)]
pub enum ReadDocument {
    /// It may have none: the one that closes a log has none.
    Records(Vec<AuditRecord>),
    Missing,
    Unreadable,
}

impl ReadDocument {
    fn of(content: Option<&[u8]>) -> Self {
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
    fn into_records(self) -> Vec<AuditRecord> {
        match self {
            Self::Records(records) => records,
            Self::Missing | Self::Unreadable => Vec::new(),
        }
    }
}

impl AuditLog {
    /// The records of one document; none if it is missing or not readable.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn records(&self, position: &AuditPosition) -> Result<Vec<AuditRecord>, StoreError> {
        Ok(self.read(position).await?.into_records())
    }

    /// Reads one document.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn read(&self, position: &AuditPosition) -> Result<ReadDocument, StoreError> {
        let found = self.store.find(&position.key()).await?;
        let content = found.as_ref().map(|stored| &stored.content[..]);
        Ok(ReadDocument::of(content))
    }

    /// All documents, log by log, each with its place. Foreign documents are left out.
    pub fn read_all(
        &self,
    ) -> impl Stream<Item = Result<(AuditPosition, ReadDocument), StoreError>> + Send {
        self.contents()
            .map_ok(|(key, content)| {
                let position = AuditPosition::of_key(&key)?;
                Some((position, ReadDocument::of(content.as_deref())))
            })
            .try_filter_map(|document| std::future::ready(Ok(document)))
    }

    /// All records, log by log, with the place of each document. Unreadable documents are left out.
    pub fn documents(
        &self,
    ) -> impl Stream<Item = Result<(AuditPosition, Vec<AuditRecord>), StoreError>> + Send {
        self.read_all().try_filter_map(|(position, document)| {
            let records = match document {
                ReadDocument::Records(records) => Some(records),
                ReadDocument::Missing | ReadDocument::Unreadable => None,
            };
            std::future::ready(Ok(records.map(|records| (position, records))))
        })
    }

    /// The keys of all documents of logs, in order, with their contents; `None` if a document was removed meanwhile.
    /// Includes the keys of foreign documents, except in the places of checkpoints and markers.
    pub(super) fn contents(
        &self,
    ) -> impl Stream<Item = Result<(String, Option<bytes::Bytes>), StoreError>> + Send {
        let pages = futures::stream::try_unfold(Some(None::<String>), move |after| async move {
            let Some(after) = after else { return Ok(None) };
            let mut keys = self.store.list(AUDIT, after.as_deref(), PAGE).await?;
            let is_last = keys.len() < PAGE || keys.last().is_some_and(|key| !is_of_a_log(key));
            keys.retain(|key| is_of_a_log(key));
            let next = keys.last().cloned().filter(|_| !is_last).map(Some);
            Ok::<_, StoreError>(Some((
                futures::stream::iter(keys.into_iter().map(Ok)),
                next,
            )))
        });
        let found = pages.try_flatten().map_ok(move |key| async move {
            let stored = self.store.find(&key).await?;
            Ok((key, stored.map(|stored| stored.content)))
        });
        found.try_buffered(AT_ONCE)
    }
}

/// The names of logs begin with a digit, and so come before all others.
fn is_of_a_log(key: &str) -> bool {
    key.strip_prefix(AUDIT)
        .is_some_and(|name| name.starts_with(|first: char| first.is_ascii_digit()))
}

pub(super) fn records_in(content: &[u8]) -> Vec<AuditRecord> {
    ReadDocument::of(Some(content)).into_records()
}
