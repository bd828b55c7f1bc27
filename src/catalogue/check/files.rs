//! The complete check of the vault: lists its files, and compares them with the receipts in the ledger.

use std::collections::BTreeMap;

use super::Seen;
use crate::catalogue::{Catalogue, CatalogueError};
use crate::export::destination::ListedBlob;
use crate::export::layout::{self, BlobName};
use crate::export::receipt::{VaultName, VerifiedFile};
use crate::export::{ChunkState, LedgerEntry};
use crate::recording::DocumentId;
use crate::standing::ChunkEntry;

/// Files that are listed at a time.
const PAGE: usize = 2000;

impl Catalogue {
    /// Checks a page of the vault's files. Returns after which name the next page begins.
    pub(super) async fn check_files(
        &self,
        after: Option<&BlobName>,
        seen: &mut Seen,
    ) -> Result<Option<BlobName>, CatalogueError> {
        let mut listed = self.vaults.home().list(after, PAGE).await?;
        // Files that are not ours are skipped, so a page may be short and still have a next one.
        if listed.len() == PAGE {
            // The files of a chunk are adjacent; those of the last chunk may continue on the next page.
            let last = listed
                .last()
                .and_then(|blob| layout::document_of(&blob.name));
            let whole = listed
                .iter()
                .rposition(|blob| layout::document_of(&blob.name) != last);
            if let Some(whole) = whole {
                listed.truncate(whole + 1);
            }
        }
        let next = listed.last().map(|blob| blob.name.clone());
        seen.files += listed.len();
        let mut by_chunk: BTreeMap<DocumentId, Vec<ListedBlob>> = BTreeMap::new();
        for blob in listed {
            // A file with another name is not ours.
            if let Some(id) = layout::document_of(&blob.name) {
                by_chunk.entry(id).or_default().push(blob);
            }
        }
        for (id, files) in by_chunk {
            self.check_files_of(&id, &files, seen).await?;
        }
        Ok(next)
    }

    async fn check_files_of(
        &self,
        id: &DocumentId,
        files: &[ListedBlob],
        seen: &mut Seen,
    ) -> Result<(), CatalogueError> {
        let entry = match self.chunk_entry(id).await? {
            ChunkEntry::Found(entry) => entry,
            // The check of the chunks has reported it.
            ChunkEntry::Unreadable => return Ok(()),
            ChunkEntry::Absent => {
                let subject = files
                    .first()
                    .map_or_else(String::new, |file| file.name.to_string());
                let problem = format!(
                    "the ledger has no entry of chunk {id}; `ledger rebuild {id}` writes it"
                );
                seen.find(subject, problem);
                return Ok(());
            }
        };
        // Until they are checked once more, the sweep deletes files that came back.
        if matches!(entry.state, ChunkState::Removed { .. })
            && !self.ledger.is_cleared_unchecked(id).await?
        {
            for file in files {
                let problem = format!(
                    "chunk {id} was removed, and this file of it is in the vault; delete it, unless it is held"
                );
                seen.find(file.name.to_string(), problem);
            }
        }
        for (name, size) in expected(&entry) {
            let found = files.iter().find(|file| file.name == name);
            match (found, size) {
                (Some(found), _) => {
                    if let Some(problem) = size.problem_of(found.size_bytes) {
                        seen.find(name.to_string(), problem);
                    }
                }
                // It may have been written after the list was read.
                (None, _) if self.vaults.home().version(&name).await?.is_some() => {}
                (None, _) if !self.is_expected(id, &name).await? => {}
                (None, _) => seen.find(
                    name.to_string(),
                    format!("this file of chunk {id} is not in the vault"),
                ),
            }
        }
        Ok(())
    }
}

impl Catalogue {
    /// Whether the ledger still has a receipt of this file at home: it may have been removed since its entry was read.
    pub(in crate::catalogue) async fn is_expected(
        &self,
        id: &DocumentId,
        name: &BlobName,
    ) -> Result<bool, CatalogueError> {
        let entry = self.entry(id).await?;
        Ok(entry.is_some_and(|entry| expected(&entry).iter().any(|(known, _)| known == name)))
    }
}

/// The size that a file must have.
#[derive(Debug, Clone, Copy)]
enum ExpectedSize {
    /// By its receipt.
    Exactly(u64),
    /// A receipt names its media and the SHA-256 of it, and more that the ledger does not know.
    ReceiptOver(u64),
}

impl ExpectedSize {
    fn of_receipt(media: &VerifiedFile) -> Self {
        let named = media.name().as_str().len() + media.sha256().to_string().len();
        Self::ReceiptOver(u64::try_from(named).unwrap_or(u64::MAX))
    }

    fn problem_of(self, size_bytes: u64) -> Option<String> {
        match self {
            Self::Exactly(proved) => (size_bytes != proved).then(|| {
                format!("it has {size_bytes} bytes in the vault, and {proved} were proved")
            }),
            Self::ReceiptOver(least) => (size_bytes <= least).then(|| {
                format!("it has {size_bytes} bytes in the vault, which is too few for a receipt")
            }),
        }
    }
}

/// Returns the files of a chunk that the vault at home must have, with their sizes as far as they are known.
fn expected(entry: &LedgerEntry) -> Vec<(BlobName, ExpectedSize)> {
    let proved = |file: &VerifiedFile| {
        let size = ExpectedSize::Exactly(file.size_bytes());
        (file.name().clone(), size)
    };
    let mut files = Vec::new();
    for (chunk, receipt) in entry.copies() {
        if receipt.vault() == VaultName::Home {
            files.push(proved(receipt.media()));
            files.extend(receipt.metadata().map(proved));
            files.push((
                layout::receipt(entry.folder_of(chunk.file_number), &chunk),
                ExpectedSize::of_receipt(receipt.media()),
            ));
        }
    }
    files
}
