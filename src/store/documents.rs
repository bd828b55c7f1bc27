//! JSON documents in the ledger's storage, and the compare-and-swap loop for all changes to them.
//!
//! Each write leaves its id in the document (`recentWrites`), for two reasons. A client library retries requests by
//! itself, so a conflict may be our own write whose response was lost: we read again and find its id. And no two
//! versions of a document have the same content, so a version that is a hash of the content never comes back.

use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::document_store::{
    DocumentRemoval, DocumentStore, Precondition, PutOutcome, StoreError, Version,
};
use crate::error_chain::ErrorChain;

/// Conditional writes that are tried in a row while others write the same document.
pub const CONFLICTS_TOLERATED: u32 = 16;
/// More writes than others can make between a write of ours and our next read.
const WRITES_REMEMBERED: usize = 16;

/// A document that says under which key it is stored. One under another key is not believed: it counts as not readable.
pub trait Keyed {
    /// `None`: it does not say it.
    fn key(&self) -> Option<String>;
}

/// Why a document could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the ledger's `{key}` is not readable")]
    Corrupt {
        key: String,
        source: serde_json::Error,
    },
    #[error("the ledger's `{key}` has too many concurrent writers")]
    Contended { key: String },
}

impl DocumentError {
    /// Whether it is about one document, and says nothing of the others.
    pub fn is_of_one_document(&self) -> bool {
        match self {
            Self::Corrupt { .. } | Self::Contended { .. } => true,
            Self::Store(error) => error.damaged().is_some(),
        }
    }

    /// Whether the document is there and cannot be read.
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Corrupt { .. } => true,
            Self::Contended { .. } => false,
            Self::Store(error) => error.damaged().is_some(),
        }
    }
}

/// A document as it was read or written.
#[derive(Debug, Clone)]
pub struct Stored<T> {
    pub document: T,
    pub revision: Revision,
}

/// Which write of a document this is: what the next write is conditional on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revision {
    version: Version,
    recent_writes: Vec<String>,
}

/// Known state of a document before a change. It saves the first read; if it is outdated, the write conflicts.
#[derive(Debug, Clone)]
pub enum Known<T> {
    Nothing,
    /// There is probably no document.
    Absent,
    Read(Stored<T>),
}

impl<T> From<Option<Stored<T>>> for Known<T> {
    /// The result of a read.
    fn from(read: Option<Stored<T>>) -> Self {
        read.map_or(Self::Absent, Self::Read)
    }
}

/// What to do with a document.
#[derive(Debug)]
pub enum Decision<T, O> {
    Write(T, O),
    /// Nothing is written.
    Leave(O),
}

/// Outcome of a change.
#[derive(Debug)]
pub struct Decided<T, O> {
    pub outcome: O,
    /// The document after it, if there is one.
    pub stored: Option<Stored<T>>,
}

/// Outcome of one conditional write.
#[derive(Debug)]
pub enum WriteOutcome<T> {
    /// Written. Other writers may have changed the document since.
    Written(Stored<T>),
    /// Another writer was first; this is the current document.
    Conflict(Option<Stored<T>>),
}

#[derive(Clone)]
pub struct Documents {
    pub store: Arc<dyn DocumentStore>,
}

/// A document with the ids of its last writes.
#[derive(Serialize)]
struct Kept<'a, T> {
    #[serde(flatten)]
    document: &'a T,
    #[serde(rename = "recentWrites")]
    recent_writes: &'a [String],
}

#[derive(Deserialize)]
struct RecentWrites {
    #[serde(rename = "recentWrites", default)]
    ids: Vec<String>,
}

impl Revision {
    /// The revision of a document that is not readable. A write that replaces it is conditional on its version alone.
    pub fn of_unreadable(version: Version) -> Self {
        Self {
            version,
            recent_writes: Vec::new(),
        }
    }
}

impl Documents {
    /// The document under `key`, if there is one.
    ///
    /// # Errors
    /// When the storage fails or the document is unreadable.
    pub async fn find<T: DeserializeOwned + Keyed>(
        &self,
        key: &str,
    ) -> Result<Option<T>, DocumentError> {
        Ok(self.read(key).await?.map(|stored| stored.document))
    }

    /// Replaces a document by what `change` makes of it; `None` leaves it. Returns the document after the change.
    ///
    /// # Errors
    /// When the storage fails, the document is unreadable, or too many others write it.
    pub async fn change<T>(
        &self,
        key: &str,
        change: impl Fn(Option<&T>) -> Option<T> + Send,
    ) -> Result<Option<T>, DocumentError>
    where
        T: DeserializeOwned + Serialize + Keyed + Clone + Send + Sync,
    {
        self.change_known(key, Known::Nothing, change).await
    }

    /// Like [`change`](Self::change), for a document that is partly known already.
    ///
    /// # Errors
    /// As [`change`](Self::change).
    pub async fn change_known<T>(
        &self,
        key: &str,
        known: Known<T>,
        change: impl Fn(Option<&T>) -> Option<T> + Send,
    ) -> Result<Option<T>, DocumentError>
    where
        T: DeserializeOwned + Serialize + Keyed + Clone + Send + Sync,
    {
        let decided = self
            .decide(key, known, move |known: Option<T>| {
                let decision = match change(known.as_ref()) {
                    Some(changed) => Decision::Write(changed.clone(), Some(changed)),
                    None => Decision::Leave(known),
                };
                futures::future::ready(Ok::<_, DocumentError>(decision)).boxed()
            })
            .await?;
        Ok(decided.outcome)
    }

    /// The compare-and-swap loop: decides on the current document, and writes; after a conflict it decides again.
    ///
    /// # Errors
    /// When the storage or a decision fails, the document is unreadable, or too many others write it. After a failed write
    /// the change may have taken effect.
    pub async fn decide<'a, T, O, E>(
        &self,
        key: &str,
        known: Known<T>,
        mut decide: impl FnMut(Option<T>) -> BoxFuture<'a, Result<Decision<T, O>, E>> + Send,
    ) -> Result<Decided<T, O>, E>
    where
        T: DeserializeOwned + Serialize + Keyed + Clone + Send + Sync,
        O: Send,
        E: From<DocumentError> + Send,
    {
        let mut stored = match known {
            Known::Nothing => self.read(key).await?,
            Known::Absent => None,
            Known::Read(known) => Some(known),
        };
        for _ in 0..CONFLICTS_TOLERATED {
            let document = stored.as_ref().map(|stored| stored.document.clone());
            let (changed, outcome) = match decide(document).await? {
                Decision::Write(changed, outcome) => (changed, outcome),
                Decision::Leave(outcome) => return Ok(Decided { outcome, stored }),
            };
            let revision = stored.map(|stored| stored.revision);
            match self.write(key, revision.as_ref(), changed).await? {
                WriteOutcome::Written(stored) => {
                    return Ok(Decided {
                        outcome,
                        stored: Some(stored),
                    });
                }
                WriteOutcome::Conflict(current) => stored = current,
            }
        }
        Err(DocumentError::Contended {
            key: key.to_owned(),
        }
        .into())
    }

    /// One conditional write: `revision` is what is replaced; `None` means that there is no document.
    ///
    /// # Errors
    /// When the storage fails, and a look afterwards does not find the write.
    pub async fn write<T>(
        &self,
        key: &str,
        revision: Option<&Revision>,
        document: T,
    ) -> Result<WriteOutcome<T>, DocumentError>
    where
        T: DeserializeOwned + Serialize + Keyed + Send + Sync,
    {
        let id = Uuid::new_v4().simple().to_string();
        let recent_writes = remembered(revision, &id);
        let kept = Kept {
            document: &document,
            recent_writes: &recent_writes,
        };
        let content = Bytes::from(
            serde_json::to_vec_pretty(&kept).expect("the ledger's documents have string keys only"),
        );
        let condition = revision.map_or(Precondition::Absent, |revision| {
            Precondition::Unchanged(revision.version.clone())
        });
        let failure = match self.store.put(key, content, condition).await {
            Ok(PutOutcome::Written(version)) => {
                return Ok(WriteOutcome::Written(Stored {
                    document,
                    revision: Revision {
                        version,
                        recent_writes,
                    },
                }));
            }
            Ok(PutOutcome::Conflict) => None,
            Err(error) => Some(error),
        };
        let found = self.read::<T>(key).await;
        match (found, failure) {
            (Ok(Some(found)), _) if found.revision.recent_writes.contains(&id) => {
                Ok(WriteOutcome::Written(found))
            }
            (_, Some(failure)) => Err(failure.into()),
            (found, None) => Ok(WriteOutcome::Conflict(found?)),
        }
    }

    /// Removes a document unless it was changed since it was read.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn remove_unchanged(
        &self,
        key: &str,
        revision: &Revision,
    ) -> Result<DocumentRemoval, DocumentError> {
        Ok(self.store.remove_unchanged(key, &revision.version).await?)
    }

    /// Removes a document that is not readable, if it still is not: for one that can be made again.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn remove_unreadable<T: DeserializeOwned + Keyed>(
        &self,
        key: &str,
    ) -> Result<(), DocumentError> {
        let found = match self.store.find(key).await {
            Err(error) if error.damaged().is_some() => return Ok(self.store.remove(key).await?),
            found => found?,
        };
        let Some(found) = found else { return Ok(()) };
        if !is_readable::<T>(key, &found.content) {
            self.store.remove_unchanged(key, &found.version).await?;
        }
        Ok(())
    }

    /// The document under `key` with its revision, if there is one.
    ///
    /// # Errors
    /// When the storage fails or the document is unreadable, or that of another key.
    pub async fn read<T: DeserializeOwned + Keyed>(
        &self,
        key: &str,
    ) -> Result<Option<Stored<T>>, DocumentError> {
        let stored = match self.store.find(key).await {
            Err(error) if error.damaged().is_some() => {
                return Err(DocumentError::Corrupt {
                    key: key.to_owned(),
                    source: serde_json::Error::custom(ErrorChain(&error)),
                });
            }
            found => found?,
        };
        let Some(stored) = stored else {
            return Ok(None);
        };
        let (document, recent_writes) = parsed(key, &stored.content)?;
        Ok(Some(Stored {
            document,
            revision: Revision {
                version: stored.version,
                recent_writes,
            },
        }))
    }
}

/// Whether `content` is a readable document of this key.
pub fn is_readable<T: DeserializeOwned + Keyed>(key: &str, content: &[u8]) -> bool {
    parsed::<T>(key, content).is_ok()
}

/// The document of this key, with the ids of its last writes.
fn parsed<T: DeserializeOwned + Keyed>(
    key: &str,
    content: &[u8],
) -> Result<(T, Vec<String>), DocumentError> {
    let corrupt = |source| DocumentError::Corrupt {
        key: key.to_owned(),
        source,
    };
    let document: T = serde_json::from_slice(content).map_err(corrupt)?;
    if let Some(own) = document.key()
        && own != key
    {
        let reason = format!("it is the document of `{own}`");
        return Err(corrupt(serde_json::Error::custom(reason)));
    }
    let recent: RecentWrites = serde_json::from_slice(content).map_err(corrupt)?;
    Ok((document, recent.ids))
}

fn remembered(revision: Option<&Revision>, id: &str) -> Vec<String> {
    let before = revision.map_or(&[][..], |revision| &revision.recent_writes);
    let kept = before.len().saturating_sub(WRITES_REMEMBERED - 1);
    before[kept..]
        .iter()
        .cloned()
        .chain([id.to_owned()])
        .collect()
}
