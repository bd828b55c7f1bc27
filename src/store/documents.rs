//! JSON documents of the register in the ledger's storage, read and written under a condition.

use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::document_store::{DocumentStore, Precondition, PutOutcome, StoreError, Version};

/// Conditional writes that are tried in a row while others write the same document.
const CONFLICTS_TOLERATED: u32 = 16;

/// Why the register could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the register's `{key}` is not readable")]
    Corrupt {
        key: String,
        source: serde_json::Error,
    },
    #[error("the register's `{key}` is written by too many at once")]
    Contended { key: String },
}

#[derive(Clone)]
pub struct Documents {
    pub store: Arc<dyn DocumentStore>,
}

impl Documents {
    pub async fn find<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, DocumentError> {
        Ok(self.read(key).await?.map(|(document, _)| document))
    }

    /// Replaces a document by what `change` makes of it; `None` leaves it as it is. Returns what stands there then.
    pub async fn change<T: DeserializeOwned + Serialize + Clone>(
        &self,
        key: &str,
        change: impl Fn(Option<&T>) -> Option<T> + Send,
    ) -> Result<Option<T>, DocumentError> {
        for _ in 0..CONFLICTS_TOLERATED {
            let (known, condition) = match self.read::<T>(key).await? {
                Some((document, version)) => (Some(document), Precondition::Unchanged(version)),
                None => (None, Precondition::Absent),
            };
            let Some(changed) = change(known.as_ref()) else {
                return Ok(known);
            };
            let content = serde_json::to_vec_pretty(&changed)
                .expect("the register's documents have string keys only");
            if self.store.put(key, Bytes::from(content), condition).await? == PutOutcome::Written {
                return Ok(Some(changed));
            }
        }
        Err(DocumentError::Contended {
            key: key.to_owned(),
        })
    }

    async fn read<T: DeserializeOwned>(
        &self,
        key: &str,
    ) -> Result<Option<(T, Version)>, DocumentError> {
        let Some(stored) = self.store.find(key).await? else {
            return Ok(None);
        };
        let document =
            serde_json::from_slice(&stored.content).map_err(|source| DocumentError::Corrupt {
                key: key.to_owned(),
                source,
            })?;
        Ok(Some((document, stored.version)))
    }
}
