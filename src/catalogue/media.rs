//! The media of a chunk for playback: where it is, and parts of it as a stream.

use std::ops::Range;

use bytes::Bytes;
use futures::stream::BoxStream;
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::{Catalogue, CatalogueError};
use crate::export::destination::{BlobVersion, DestinationError};
use crate::export::entry::Damage;
use crate::export::layout::{self, BlobName};
use crate::export::receipt::{VaultName, VerifiedFile};
use crate::export::recheck::FoundFile;
use crate::export::{ChunkState, ExportReceipt};
use crate::recording::DocumentId;
use crate::store::digest::Sha256Digest;

/// Selects a file of a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    Media,
    /// As ACS wrote it.
    Metadata,
}

/// A proved file in a vault.
#[derive(Debug, Clone)]
pub struct ProvedFile {
    file: VerifiedFile,
    vault: VaultName,
}

/// What the last verification found wrong with the copies of a chunk.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct KnownDamage {
    #[schema(value_type = String, format = DateTime)]
    pub found_at: Timestamp,
    /// Each file that is missing or differs, with the difference.
    pub problem: String,
}

/// The state of a chunk's file.
#[derive(Debug, Clone)]
pub enum ChunkFile {
    Proved(ProvedFile),
    /// It was proved, and a verification found the chunk's copies damaged since: this file or another one of them.
    Damaged {
        file: ProvedFile,
        damage: KnownDamage,
    },
    /// The ledger does not have the chunk.
    Unknown,
    /// It is not in the vault yet.
    NotYet,
    /// It was deleted from the vault.
    Removed {
        reason: String,
    },
    /// There is no copy, and none is made unless an operator retries it.
    GivenUp {
        reason: String,
    },
    /// ACS dropped it before there was a copy.
    Lost {
        reason: String,
    },
    /// It is in the customer's own storage.
    InPlace {
        location: String,
    },
    /// There is a copy, without this file.
    None,
}

/// The files of a chunk that an archive packs.
pub(super) struct ProvedFiles {
    /// Media first.
    pub proved: Vec<ProvedFile>,
    /// Why some are missing.
    pub absent: Option<String>,
}

impl From<&Damage> for KnownDamage {
    fn from(damage: &Damage) -> Self {
        Self {
            found_at: damage.found_at,
            problem: damage.problem.clone(),
        }
    }
}

impl ProvedFile {
    /// The files of a copy: the media, and the metadata if there is any.
    pub(super) fn all_of(receipt: &ExportReceipt) -> impl Iterator<Item = Self> {
        receipt.files().map(|file| Self {
            file: file.clone(),
            vault: receipt.vault(),
        })
    }

    /// The last part of its name in the vault.
    pub fn file_name(&self) -> &str {
        self.file
            .name()
            .as_str()
            .rsplit('/')
            .next()
            .unwrap_or_default()
    }

    /// The vault that has it, and its name there.
    pub(super) fn place(&self) -> (VaultName, &BlobName) {
        (self.vault, self.file.name())
    }

    pub fn content_type(&self) -> &'static str {
        layout::content_type(self.file.name())
    }

    pub fn size_bytes(&self) -> u64 {
        self.file.size_bytes()
    }

    pub fn sha256(&self) -> Sha256Digest {
        self.file.sha256()
    }
}

impl Catalogue {
    /// Returns where a chunk's file is.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn media(
        &self,
        document_id: &DocumentId,
        which: FileKind,
    ) -> Result<ChunkFile, CatalogueError> {
        let Some(found) = self.ledger.find(document_id).await? else {
            return Ok(ChunkFile::Unknown);
        };
        let of = |receipt: &ExportReceipt| {
            let file = match which {
                FileKind::Media => Some(receipt.media()),
                FileKind::Metadata => receipt.metadata(),
            };
            let Some(file) = file.cloned() else {
                return ChunkFile::None;
            };
            let vault = receipt.vault();
            let file = ProvedFile { file, vault };
            match found.entry.open_damage().map(KnownDamage::from) {
                Some(damage) => ChunkFile::Damaged { file, damage },
                None => ChunkFile::Proved(file),
            }
        };
        Ok(match &found.entry.state {
            ChunkState::Pending => ChunkFile::NotYet,
            ChunkState::Exported { receipt }
            | ChunkState::SourceDeleted { receipt, .. }
            | ChunkState::SourceLeft { receipt, .. } => of(receipt),
            ChunkState::Removing { .. } => ChunkFile::Removed {
                reason: "its copy is being deleted from the vault".to_owned(),
            },
            ChunkState::Removed { reason, .. } => ChunkFile::Removed {
                reason: reason.clone(),
            },
            ChunkState::DeadLettered { reason, .. } => ChunkFile::GivenUp {
                reason: reason.clone(),
            },
            ChunkState::Expired { reason, .. } => ChunkFile::Lost {
                reason: reason.clone(),
            },
            ChunkState::InPlace { files, .. } => ChunkFile::InPlace {
                location: files.media.location.clone(),
            },
        })
    }

    /// Returns the media and the metadata of a chunk, as far as they were proved. Their content may have changed since.
    pub(super) async fn proved_files(
        &self,
        document_id: &DocumentId,
    ) -> Result<ProvedFiles, CatalogueError> {
        let mut files = ProvedFiles {
            proved: Vec::new(),
            absent: None,
        };
        for which in [FileKind::Media, FileKind::Metadata] {
            let absent = match self.media(document_id, which).await? {
                // An archive compares what it packs with the receipt.
                ChunkFile::Proved(file) | ChunkFile::Damaged { file, damage: _ } => {
                    files.proved.push(file);
                    continue;
                }
                // The copy has no metadata.
                ChunkFile::None => continue,
                ChunkFile::Unknown => "it is not in the ledger".to_owned(),
                ChunkFile::NotYet => "it is not in the vault yet".to_owned(),
                ChunkFile::Removed { reason } => format!("it was deleted from the vault: {reason}"),
                ChunkFile::GivenUp { reason } => format!("it was given up: {reason}"),
                ChunkFile::Lost { reason } => format!("it is lost: {reason}"),
                ChunkFile::InPlace { location } => {
                    format!("it is in your own storage, at {location}")
                }
            };
            files.absent = Some(absent);
            break;
        }
        Ok(files)
    }

    /// Looks whether the vault still has a file as it was proved; its content is not read.
    ///
    /// # Errors
    /// When the vault cannot be read.
    pub async fn look_at_file(&self, media: &ProvedFile) -> Result<FoundFile, DestinationError> {
        self.vaults.look_at(media.vault, &media.file).await
    }

    /// Returns the version and the size of a file as the vault has it now, whatever was proved; `None` when the vault does
    /// not have it.
    ///
    /// # Errors
    /// When the vault cannot be asked.
    pub async fn as_it_is(
        &self,
        media: &ProvedFile,
    ) -> Result<Option<(BlobVersion, u64)>, DestinationError> {
        let name = media.file.name();
        let described = self.vaults.get(media.vault, name)?.describe(name).await?;
        Ok(described.map(|described| (described.version, described.size_bytes)))
    }

    /// Returns a part of a file as a stream; `None` when the vault does not have it (any more), or has another version
    /// than this one.
    ///
    /// # Errors
    /// When the vault cannot be read.
    pub async fn stream(
        &self,
        media: &ProvedFile,
        version: Option<&BlobVersion>,
        range: Range<u64>,
    ) -> Result<Option<BoxStream<'static, Result<Bytes, DestinationError>>>, DestinationError> {
        self.vaults
            .get(media.vault, media.file.name())?
            .stream(media.file.name(), version, range)
            .await
    }
}
