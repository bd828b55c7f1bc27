//! The seam to the storage that recordings are exported to.

use std::error::Error;
use std::fmt;
use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _};
use serde::{Deserialize, Serialize};

use super::block::{Block, BlockId};
use super::layout::BlobName;
use crate::error_chain::ErrorChain;
use crate::store::digest::Sha256Digest;

/// What is written beside the content of a committed blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobProperties {
    pub content_type: &'static str,
    /// Names are C# identifiers, as Blob Storage demands.
    pub metadata: Vec<(&'static str, String)>,
    /// Keys to find it by, where the vault has an index of them.
    pub tags: Vec<(&'static str, String)>,
}

impl BlobProperties {
    /// The only block that the metadata names.
    pub fn only_block(&self) -> Option<BlockId> {
        let mut members = self.metadata.iter();
        let (_, id) = members.find(|(name, _)| *name == BLOCK_METADATA)?;
        BlockId::from_hex(id)
    }
}

/// Protection of a file in the vault against deletion and replacement, where the settings ask for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Protection {
    Retention,
    LegalHold,
}

impl Protection {
    pub const ALL: [Self; 2] = [Self::Retention, Self::LegalHold];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Retention => "retention",
            Self::LegalHold => "legalHold",
        }
    }
}

impl fmt::Display for Protection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Retention => "the retention of VAULT_IMMUTABLE_FOR",
            Self::LegalHold => "the legal hold of VAULT_LEGAL_HOLD",
        })
    }
}

/// Metadata name on a blob in one piece: the id of its only block, in hex. A blob that was created from blocks has their
/// ids in its list.
pub const BLOCK_METADATA: &str = "block_id";

/// A committed blob as the vault describes it when asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommittedBlob {
    pub size_bytes: u64,
    pub etag: String,
    /// The committed block list, in order; ids that are not ours are `None`. Empty for a blob that was created in one
    /// piece.
    pub blocks: Vec<(Option<BlockId>, u64)>,
    /// The id of the only block that a blob without a block list names ([`BLOCK_METADATA`]). The storage has not compared
    /// it with the content: it identifies the content only together with `read_back`.
    pub named: Option<BlockId>,
    /// The digest of the content read back from the medium, where the vault does that itself (a directory).
    /// Blob Storage has checked every CRC-64 as it came: of each block, and of a blob in one piece.
    pub read_back: Option<Sha256Digest>,
}

/// A committed blob in a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedBlob {
    pub name: BlobName,
    pub size_bytes: u64,
}

/// Outcome of staging a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum StageOutcome {
    Staged,
    /// Another program has staged blocks under this name whose ids have another length: no block of ours can join them.
    ForeignBlocks,
}

/// Outcome of creating a blob in one piece.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum CreateOutcome {
    /// The vault stored the content, and its answer has the CRC-64 of what it stored: that of the block.
    Confirmed { etag: String },
    /// It was created; nothing in the answer identifies its content.
    Unconfirmed,
    /// A blob of that name already exists, or, for an emulator, blocks that are staged for it. Nothing was changed.
    AlreadyThere,
}

/// Something that the settings ask for besides the bytes of a file, tried on a probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TriedExtra {
    /// The setting that asks for it.
    pub setting: &'static str,
    pub outcome: ExtraOutcome,
}

/// What trying an extra found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExtraOutcome {
    Works,
    Refused {
        reason: String,
    },
    /// It was set, and could not be cleared again: the probe stays.
    LeftBehind {
        probe: BlobName,
        reason: String,
    },
}

/// Outcome of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommitOutcome {
    Committed,
    /// A blob of that name already exists. It was not changed.
    AlreadyThere,
}

/// The version of a committed blob. Each write changes it, and so does [`ExportDestination::touch`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobVersion(pub String);

/// What the vault reports for a committed blob in one short request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DescribedBlob {
    pub version: BlobVersion,
    pub size_bytes: u64,
    /// As [`CommittedBlob::etag`]; `None` where it takes reading the content.
    pub etag: Option<String>,
}

/// Accepts the names of some files.
pub type NameFilter = fn(&BlobName) -> bool;

/// A version of a file that was replaced or removed since, and that the vault still has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EarlierVersion {
    pub name: BlobName,
    pub id: String,
}

/// Outcome of a conditional removal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum RemoveOutcome {
    /// No blob of that name exists, whether this request or an earlier one removed it.
    Removed,
    /// The blob has another version: it was not removed.
    Changed,
}

/// Outcome of a touch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum TouchOutcome {
    Touched,
    NotThere,
    /// An immutability policy or a legal hold refuses the touch, and would refuse a removal too.
    Protected,
}

/// Outcome of a conditional replacement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum ReplaceOutcome {
    Replaced,
    /// The blob has another version, or is gone: nothing was written.
    Changed,
    /// An immutability policy or a legal hold refuses it. A policy on a single version does not: the replaced content stays as an earlier version.
    Protected,
}

/// A request to the vault failed. It may or may not have taken effect. Retrying is safe.
#[derive(Debug, thiserror::Error)]
#[error("could not {action} `{name}` in the vault")]
pub struct DestinationError {
    pub action: &'static str,
    pub name: BlobName,
    /// The vault refuses such a request until a person acts: a missing right, a full disk, or no such container or folder.
    pub is_refused: bool,
    #[source]
    pub source: Box<dyn Error + Send + Sync>,
}

impl DestinationError {
    /// The reason on one line, without the request.
    pub fn reason(&self) -> String {
        let reason = ErrorChain(&*self.source).to_string();
        let lines = reason.lines().map(str::trim);
        lines.collect::<Vec<_>>().join(" ")
    }
}

/// Storage that files are exported to. Every implementation passes `tests/suite/export_destination_contract.rs`.
///
/// A large blob is created in two steps, as in Blob Storage: blocks are staged in any order and survive a kill of the
/// writer; a commit atomically creates the blob from the named ones, in order, and never replaces an existing blob.
/// A blob of one block is created in one.
#[async_trait]
pub trait ExportDestination: Send + Sync {
    /// Ids of the blocks staged for `name` and not committed, in any order. Foreign ids are left out.
    async fn staged_blocks(&self, name: &BlobName) -> Result<Vec<BlockId>, DestinationError>;

    /// Stages a block; its content is checked against the id's CRC-64. Staging it again replaces it.
    async fn stage(&self, name: &BlobName, block: Block) -> Result<StageOutcome, DestinationError>;

    /// Creates the blob `name` from `blocks`, in this order. Durable on return; other staged blocks are discarded.
    async fn commit(
        &self,
        name: &BlobName,
        blocks: &[BlockId],
        properties: &BlobProperties,
    ) -> Result<CommitOutcome, DestinationError>;

    /// Creates the blob `name` from its only block; its content is checked against the id's CRC-64. Durable on return.
    /// Blocks that are staged are discarded, unless they make the outcome [`CreateOutcome::AlreadyThere`].
    async fn create(
        &self,
        name: &BlobName,
        block: Block,
        properties: &BlobProperties,
    ) -> Result<CreateOutcome, DestinationError>;

    /// Describes the committed blob `name`, if it exists, from what the vault itself holds.
    async fn inspect(&self, name: &BlobName) -> Result<Option<CommittedBlob>, DestinationError>;

    /// Where it is: a URL without its query, which may be a secret, or a path. `None`: it has no such name.
    fn location(&self) -> Option<String> {
        None
    }

    /// Whether the settings ask for protection of its files.
    fn asks_for_protection(&self) -> bool {
        false
    }

    /// The protection that the settings ask for and that the committed blob `name` was made without, because the
    /// storage refused it. Empty for a vault that is asked for none.
    async fn missing_protection(
        &self,
        _name: &BlobName,
    ) -> Result<Vec<Protection>, DestinationError> {
        Ok(Vec::new())
    }

    /// Earlier versions of small documents whose names `is_wanted` accepts, where the vault keeps some.
    async fn earlier_versions(
        &self,
        _is_wanted: NameFilter,
    ) -> Result<Vec<EarlierVersion>, DestinationError> {
        Ok(Vec::new())
    }

    /// The content of an earlier version of a small document; `None` if the vault has it no longer.
    async fn read_earlier(
        &self,
        _version: &EarlierVersion,
    ) -> Result<Option<Bytes>, DestinationError> {
        Ok(None)
    }

    /// Tries each of the extras that the settings ask for on a probe whose name begins with `probe`, and clears it
    /// again. A vault that is asked for none tries none.
    async fn try_extras(&self, _probe: &BlobName) -> Vec<TriedExtra> {
        Vec::new()
    }

    /// A part of a committed blob, in bytes; a range that ends beyond it is clipped.
    async fn read(&self, name: &BlobName, range: Range<u64>) -> Result<Bytes, DestinationError>;

    /// Like [`read`](Self::read), but as a stream that buffers little; `None` if there is no such blob, or it has another
    /// version than this one.
    async fn stream(
        &self,
        name: &BlobName,
        version: Option<&BlobVersion>,
        range: Range<u64>,
    ) -> Result<Option<BoxStream<'static, Result<Bytes, DestinationError>>>, DestinationError>;

    /// Writes a small document, unless one of that name exists. It gets the protection of the media.
    async fn put(
        &self,
        name: &BlobName,
        content: Bytes,
        properties: &BlobProperties,
    ) -> Result<CommitOutcome, DestinationError>;

    /// Like [`put`](Self::put), but without protection: for a document that is removed again at once.
    async fn put_unprotected(
        &self,
        name: &BlobName,
        content: Bytes,
        properties: &BlobProperties,
    ) -> Result<CommitOutcome, DestinationError> {
        self.put(name, content, properties).await
    }

    /// At most `limit` committed blobs whose names come after `after`, in ascending order. Fewer only if there are no more:
    /// files that are not [`BlobName`]s are passed over. [`all_files`] reads the list to its end.
    async fn list(
        &self,
        after: Option<&BlobName>,
        limit: usize,
    ) -> Result<Vec<ListedBlob>, DestinationError>;

    /// Describes the committed blob `name`, if it exists, without its blocks and its content.
    async fn describe(&self, name: &BlobName) -> Result<Option<DescribedBlob>, DestinationError>;

    /// The version of the committed blob `name`, if there is one.
    async fn version(&self, name: &BlobName) -> Result<Option<BlobVersion>, DestinationError> {
        let found = self.describe(name).await?;
        Ok(found.map(|found| found.version))
    }

    /// Replaces a small document that has this version, in one write. The new one gets the protection of the media.
    async fn replace(
        &self,
        name: &BlobName,
        version: &BlobVersion,
        content: Bytes,
        properties: &BlobProperties,
    ) -> Result<ReplaceOutcome, DestinationError>;

    /// Removes the committed blob if it has this version. There is no unconditional removal, because a request that was
    /// decided long ago may arrive late.
    async fn remove(
        &self,
        name: &BlobName,
        version: &BlobVersion,
    ) -> Result<RemoveOutcome, DestinationError>;

    /// Gives the committed blob a new version and changes nothing else. Removals that were decided before have no
    /// effect from then on.
    async fn touch(&self, name: &BlobName) -> Result<TouchOutcome, DestinationError>;

    /// Discards what is staged for `name`, where the vault would keep it without limit. Blob Storage drops it by
    /// itself within a week.
    async fn discard_staged(&self, name: &BlobName) -> Result<(), DestinationError>;
}

/// Names that one request lists: as many as Blob Storage returns at once.
const PAGE: usize = 5000;

/// All committed blobs whose names come after `after`, in ascending order. They are listed as they are needed.
pub fn all_files(
    vault: &dyn ExportDestination,
    after: Option<BlobName>,
) -> BoxStream<'_, Result<ListedBlob, DestinationError>> {
    let pages = futures::stream::try_unfold(Some(after), move |next| async move {
        let Some(after) = next else {
            return Ok(None);
        };
        let listed = vault.list(after.as_ref(), PAGE).await?;
        let last = listed.last().map(|blob| Some(blob.name.clone()));
        let next = last.filter(|_| listed.len() == PAGE);
        let listed = futures::stream::iter(listed.into_iter().map(Ok));
        Ok::<_, DestinationError>(Some((listed, next)))
    });
    pages.try_flatten().boxed()
}
