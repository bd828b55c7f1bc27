//! All entries in the ledger, in any state, for an operator.

use std::future::ready;
use std::sync::Arc;

use futures::TryStreamExt as _;

use super::{CHUNKS, ChunkLedger, LedgerEntry, LedgerError, document_of_entry};
use crate::recording::DocumentId;
use crate::store::holds::Holds;
use crate::store::listing::keys;

/// Ids of one page.
const PAGE: usize = 500;
/// Entries that are read concurrently when all are read.
const AT_ONCE: usize = 16;

/// Result of reading every entry.
#[derive(Debug)]
pub struct Entries<T = LedgerEntry> {
    pub found: Vec<T>,
    /// Chunks whose entries are not readable: whether they match is unknown.
    pub unreadable: Vec<DocumentId>,
}

impl ChunkLedger {
    /// The holds: in the same storage, so that a caller with access to the ledger has access to them.
    pub fn holds(&self) -> Holds {
        Holds::new(Arc::clone(&self.store))
    }

    /// Whether no chunk was ever recorded.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn is_without_entries(&self) -> Result<bool, LedgerError> {
        Ok(self.store.list(CHUNKS, None, 1).await?.is_empty())
    }

    /// A page of all document ids, and the id after which the next page begins.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn documents(
        &self,
        after: Option<&str>,
    ) -> Result<(Vec<DocumentId>, Option<String>), LedgerError> {
        let keys = self.store.list(CHUNKS, after, PAGE).await?;
        let next = keys.last().cloned().filter(|_| keys.len() == PAGE);
        let ids = keys.iter().filter_map(|key| document_of_entry(key));
        Ok((ids.collect(), next))
    }

    /// Entries that are `wanted`. Reads every entry.
    ///
    /// # Errors
    /// As [`select`](Self::select).
    pub async fn entries(
        &self,
        wanted: impl Fn(&LedgerEntry) -> bool + Send + Sync,
    ) -> Result<Entries, LedgerError> {
        self.select(|entry| wanted(&entry).then_some(entry)).await
    }

    /// What `select` keeps of the entries. Reads every entry, and holds no more of them in memory than that.
    ///
    /// # Errors
    /// When the storage fails. An entry that is not readable is logged and named.
    pub async fn select<T: Send>(
        &self,
        select: impl Fn(LedgerEntry) -> Option<T> + Send + Sync,
    ) -> Result<Entries<T>, LedgerError> {
        let keys = keys(&*self.store, CHUNKS, None);
        let ids = keys.try_filter_map(|key| ready(Ok(document_of_entry(&key))));
        let looking = ids.map_ok(|id| async move { Ok(self.find(&id).await) });
        let mut looking = looking.try_buffered(AT_ONCE);
        let mut entries = Entries {
            found: Vec::new(),
            unreadable: Vec::new(),
        };
        while let Some(found) = looking.try_next().await? {
            match found {
                Ok(found) => {
                    let selected = found.and_then(|found| select(found.entry));
                    entries.found.extend(selected);
                }
                Err(LedgerError::Corrupt {
                    document_id,
                    source,
                }) => {
                    tracing::error!(document.id = %document_id, error = %source, "An entry is not readable");
                    entries.unreadable.push(document_id);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(entries)
    }

    /// The part between `prefix` and `.json` of the keys that begin with `prefix`.
    pub(super) async fn names(&self, prefix: &str) -> Result<Vec<String>, LedgerError> {
        let name = |key: String| {
            let name = key.strip_prefix(prefix)?.strip_suffix(".json")?;
            Some(name.to_owned())
        };
        let keys = keys(&*self.store, prefix, None);
        let names = keys.try_filter_map(|key| ready(Ok(name(key))));
        Ok(names.try_collect().await?)
    }
}
