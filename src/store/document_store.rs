//! The storage that the ledger needs: small documents, written only under a condition.

use std::error::Error;

use async_trait::async_trait;
use bytes::Bytes;

use crate::error_chain::ErrorChain;

/// The largest document that is read. A larger one was not written by this program, and reading it could exhaust the memory.
pub const MOST_DOCUMENT_BYTES: usize = 64 * 1024 * 1024;

/// Opaque version of a stored document; changes with every write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version(pub String);

/// A document as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Versioned {
    pub content: Bytes,
    pub version: Version,
}

/// Under which condition a write may take effect. There is no unconditional write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Precondition {
    /// The key has no document.
    Absent,
    /// The document still has the version that was read.
    Unchanged(Version),
}

/// Outcome of a conditional write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PutOutcome {
    /// The document has this version now.
    Written(Version),
    /// The condition does not hold: another writer was first. This request changed nothing, but a retry of it by the
    /// client library may have been the other writer.
    Conflict,
}

impl PutOutcome {
    pub fn is_written(&self) -> bool {
        matches!(self, Self::Written(_))
    }
}

/// Outcome of a conditional removal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DocumentRemoval {
    /// There is no such document, whether this request or an earlier one removed it.
    Removed,
    /// The document has another version: it was not removed.
    Changed,
}

/// What is known of the place where the documents are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StorePlace {
    /// The storage does not say.
    Unknown,
    /// It does not exist.
    Missing,
    Exists(PlacePolicy),
}

/// Whether a policy of the place keeps documents from being changed or deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlacePolicy {
    /// The storage does not say.
    NotShown,
    Nothing,
    /// An immutability policy or a legal hold.
    Immutable,
}

/// The storage did not do what was asked; it may or may not have taken effect.
#[derive(Debug, thiserror::Error)]
#[error("could not {action} `{key}` in the ledger")]
pub struct StoreError {
    pub action: &'static str,
    pub key: String,
    #[source]
    pub source: Box<dyn Error + Send + Sync>,
}

/// A document that exists, and that the storage cannot return. No retry changes that.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
pub struct DamagedDocument {
    pub damage: Damage,
    reason: String,
    /// For a write that replaces it, if the storage names it.
    pub version: Option<Version>,
}

/// Why the storage cannot return a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Damage {
    /// Larger than [`MOST_DOCUMENT_BYTES`]: this program did not write it.
    TooLarge,
    /// It is in a tier that cannot be read, until an operator moves it.
    Archived,
}

impl DamagedDocument {
    pub fn new(damage: Damage, reason: impl Into<String>) -> Self {
        Self {
            damage,
            reason: reason.into(),
            version: None,
        }
    }

    /// One that is too large, of this version.
    pub fn too_large(version: Option<Version>) -> Self {
        let reason = format!("it is larger than {MOST_DOCUMENT_BYTES} bytes");
        Self {
            version,
            ..Self::new(Damage::TooLarge, reason)
        }
    }
}

impl StoreError {
    /// The damage, if the document exists and cannot be returned. Any other failure may not be repeated.
    pub fn damaged(&self) -> Option<&DamagedDocument> {
        self.source.downcast_ref()
    }
}

/// What was found, for a reader that does without a damaged document. It is reported here.
///
/// # Errors
/// Any other failure of the storage.
pub fn unless_damaged(
    found: Result<Option<Versioned>, StoreError>,
) -> Result<Option<Versioned>, StoreError> {
    match found {
        Err(error) if error.damaged().is_some() => {
            tracing::error!(key = error.key, error = %ErrorChain(&error), "A document of the ledger is damaged");
            Ok(None)
        }
        found => found,
    }
}

/// A place for the ledger's documents. Every implementation passes `tests/suite/document_store_contract.rs`.
///
/// Keys are `/`-separated safe names. Written content is durable when `put` returns.
#[async_trait]
pub trait DocumentStore: Send + Sync {
    /// The document under `key`, if there is one. One above [`MOST_DOCUMENT_BYTES`], or in an archive, is a failure
    /// with a [`DamagedDocument`].
    async fn find(&self, key: &str) -> Result<Option<Versioned>, StoreError>;

    /// Writes `content` whole, or not at all.
    async fn put(
        &self,
        key: &str,
        content: Bytes,
        condition: Precondition,
    ) -> Result<PutOutcome, StoreError>;

    /// Removes the document under `key`; succeeds if it does not exist.
    async fn remove(&self, key: &str) -> Result<(), StoreError>;

    /// Removes the document under `key` if it has this version.
    async fn remove_unchanged(
        &self,
        key: &str,
        version: &Version,
    ) -> Result<DocumentRemoval, StoreError>;

    /// At most `limit` keys that begin with `prefix` and come after `after`, in ascending order. Fewer only if there are no
    /// more. [`super::listing::keys`] reads a list to its end.
    async fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>, StoreError>;

    /// Whether the place of the documents exists. A listing of a missing one is empty.
    async fn place(&self) -> Result<StorePlace, StoreError> {
        Ok(StorePlace::Unknown)
    }
}
