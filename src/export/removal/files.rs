//! Removes files from a vault: reads their versions first, then removes each at that version. It knows no ledger and
//! no holds.
//!
//! Why that is safe: the versions are read after the intent is durable and before the holds are checked. A process that
//! finds a hold breaks the removals of others with a touch. A removal whose version was read before the touch has no
//! effect; one whose version is read after the touch checks the holds after that, and finds the hold.

use crate::export::destination::{
    BlobProperties, BlobVersion, DestinationError, ExportDestination as _, RemoveOutcome,
    ReplaceOutcome, TouchOutcome,
};
use crate::export::entry::{FurtherFile, LedgerEntry};
use crate::export::fence::{Fence, is_cut_off};
use crate::export::layout::{self, BlobName};
use crate::export::receipt::{ExportReceipt, VaultName, VerifiedFile};
use crate::export::receipt_document::RECEIPT_READ_LIMIT;
use crate::export::recheck::{Depth, Rechecked};
use crate::export::transfer::verify::{self, Mismatch};
use crate::export::transfer::whole::inspect_and_read;
use crate::export::vaults::Vaults;

/// A name that a file of a chunk may have in a vault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FilePlace {
    pub vault: VaultName,
    pub name: BlobName,
}

/// A file as seen, with the version that its removal names.
#[derive(Debug, Clone)]
pub(super) struct SeenFile {
    place: FilePlace,
    version: BlobVersion,
}

/// Progress of a removal.
pub(super) enum Act {
    Done,
    /// The claim has no time left for a request: these are next, after a renewal and another check of the holds.
    OutOfTime {
        rest: Vec<SeenFile>,
    },
    /// The claim ended under a removal. These removals may still take effect.
    CutOff {
        reason: String,
        sent: Vec<FilePlace>,
    },
    /// One file changed after it was seen, or the vault failed. These removals may still take effect.
    Stopped {
        reason: String,
        sent: Vec<FilePlace>,
    },
}

/// Outcome of clearing the backup vault.
pub(in crate::export) enum BackupCleared {
    Done,
    /// The copy at home is gone: the one in the backup vault may be the only one.
    LostAtHome(Mismatch),
}

/// Whether the files of a receipt exist.
pub(super) enum Proof {
    /// As they were proved, perhaps with another `ETag`.
    Holds(Box<ExportReceipt>),
    Broken,
}

/// Every place that may hold a file of a chunk, in the order of removal: the media first, because that is what a
/// protected vault refuses to remove; the receipts last, because they say what there was.
pub(super) fn places(entry: &LedgerEntry, receipt: Option<&ExportReceipt>) -> Vec<FilePlace> {
    let mut places = Vec::new();
    let further = entry.further.iter().filter_map(FurtherFile::receipt);
    for receipt in receipt.into_iter().chain(further) {
        places.extend(receipt.files().map(|file| FilePlace {
            vault: receipt.vault(),
            name: file.name().clone(),
        }));
    }
    let in_backup = receipt.is_some_and(|receipt| receipt.vault() == VaultName::Backup);
    let vaults: &[VaultName] = if entry.uses_backup || in_backup {
        &[VaultName::Home, VaultName::Backup]
    } else {
        &[VaultName::Home]
    };
    for vault in vaults {
        places.extend(all_in(*vault, entry));
    }
    let names = entry.chunks();
    let receipts: Vec<BlobName> = names
        .flat_map(|chunk| {
            let receipts = entry
                .folders()
                .map(|folder| layout::receipt(folder, &chunk));
            receipts.collect::<Vec<_>>()
        })
        .collect();
    let is_receipt = |place: &FilePlace| receipts.contains(&place.name);
    let (receipts, mut ordered): (Vec<_>, Vec<_>) = places.into_iter().partition(is_receipt);
    ordered.extend(receipts);
    let mut once: Vec<FilePlace> = Vec::with_capacity(ordered.len());
    for place in ordered {
        if !once.contains(&place) {
            once.push(place);
        }
    }
    once
}

/// Every place in one vault.
pub(super) fn all_in(vault: VaultName, entry: &LedgerEntry) -> Vec<FilePlace> {
    let mut places = Vec::new();
    for folder in entry.folders() {
        for chunk in entry.chunks() {
            let names = layout::all_names(folder, &chunk).into_iter();
            places.extend(names.map(|name| FilePlace { vault, name }));
        }
    }
    places
}

impl Vaults {
    /// The files at these places, with their versions.
    pub(super) async fn see(
        &self,
        places: Vec<FilePlace>,
    ) -> Result<Vec<SeenFile>, DestinationError> {
        let mut seen = Vec::new();
        for place in places {
            let vault = self.get(place.vault, &place.name)?;
            if let Some(version) = vault.version(&place.name).await? {
                seen.push(SeenFile { place, version });
            }
        }
        Ok(seen)
    }

    /// Removes files one after the other, each at the version that was seen, while the claim has time left.
    pub(super) async fn remove_seen(&self, fence: Fence<'_>, files: Vec<SeenFile>) -> Act {
        for (number, file) in files.iter().enumerate() {
            let name = &file.place.name;
            let stopped = |reason, sent| Act::Stopped { reason, sent };
            if !fence.has_time() {
                return Act::OutOfTime {
                    rest: files[number..].to_vec(),
                };
            }
            let vault = match self.get(file.place.vault, name) {
                Ok(vault) => fence.around(vault),
                Err(error) => return stopped(reason_of(&error), Vec::new()),
            };
            match vault.remove(name, &file.version).await {
                Ok(RemoveOutcome::Removed) => {}
                Ok(RemoveOutcome::Changed) => {
                    return stopped(format!("`{name}` changed meanwhile"), Vec::new());
                }
                Err(error) => {
                    let (reason, sent) = (reason_of(&error), vec![file.place.clone()]);
                    return if is_cut_off(&error) {
                        Act::CutOff { reason, sent }
                    } else {
                        Act::Stopped { reason, sent }
                    };
                }
            }
        }
        Act::Done
    }

    /// Removes from the backup vault the files of a chunk that is proved at home. The copy at home is checked after
    /// the versions in the backup vault: files that another process writes there later are not removed.
    pub(in crate::export) async fn clear_backup(
        &self,
        fence: Fence<'_>,
        entry: &LedgerEntry,
        at_home: &ExportReceipt,
    ) -> Result<BackupCleared, DestinationError> {
        let places = all_in(VaultName::Backup, entry);
        let failed = |source| DestinationError {
            action: "clear",
            is_refused: false,
            name: layout::receipt(&entry.folder, &entry.chunk),
            source,
        };
        let mut seen = self.see(places.clone()).await?;
        loop {
            let checked = fence.check().await;
            checked.map_err(|error| failed(error.into()))?;
            match self.recheck(at_home, Depth::Described).await {
                Rechecked::Same(_) => {}
                Rechecked::Missing(mismatch) | Rechecked::Different(mismatch) => {
                    return Ok(BackupCleared::LostAtHome(mismatch));
                }
                Rechecked::NotChecked(error) => return Err(error),
            }
            // A file that was the document's own may have been in the backup vault, too.
            for further in entry.further.iter().filter_map(FurtherFile::receipt) {
                if further.vault() == VaultName::Backup {
                    return Err(failed("it holds the only copy of a further file".into()));
                }
                match self.recheck(further, Depth::Described).await {
                    Rechecked::Same(_) => {}
                    Rechecked::Missing(mismatch) | Rechecked::Different(mismatch) => {
                        return Err(failed(mismatch.into()));
                    }
                    Rechecked::NotChecked(error) => return Err(error),
                }
            }
            match self.remove_seen(fence, seen).await {
                Act::Done => {
                    self.discard_staged_at(fence, &places).await?;
                    return Ok(BackupCleared::Done);
                }
                Act::OutOfTime { rest } => seen = rest,
                Act::CutOff { reason, .. } | Act::Stopped { reason, .. } => {
                    return Err(failed(reason.into()));
                }
            }
        }
    }

    /// Discards what is staged at these places.
    pub(super) async fn discard_staged_at(
        &self,
        fence: Fence<'_>,
        places: &[FilePlace],
    ) -> Result<(), DestinationError> {
        for place in places {
            let vault = fence.around(self.get(place.vault, &place.name)?);
            vault.discard_staged(&place.name).await?;
        }
        Ok(())
    }

    /// Whether blocks are staged at one of these places.
    pub(super) async fn has_staged_at(
        &self,
        places: &[FilePlace],
    ) -> Result<bool, DestinationError> {
        for place in places {
            let vault = self.get(place.vault, &place.name)?;
            if !vault.staged_blocks(&place.name).await?.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Invalidates removals of these files that were decided before. A protected file needs no touch: its removal is
    /// refused as well.
    pub(super) async fn break_removals(
        &self,
        fence: Fence<'_>,
        places: &[FilePlace],
    ) -> Result<(), DestinationError> {
        for place in places {
            let vault = fence.around(self.get(place.vault, &place.name)?);
            match vault.touch(&place.name).await? {
                TouchOutcome::Touched | TouchOutcome::NotThere | TouchOutcome::Protected => {}
            }
        }
        Ok(())
    }

    /// Checks the files of a receipt by their content.
    pub(super) async fn prove_again(
        &self,
        receipt: &ExportReceipt,
    ) -> Result<Proof, DestinationError> {
        let Some(media) = self.file_again(receipt, receipt.media()).await? else {
            return Ok(Proof::Broken);
        };
        let metadata = match receipt.metadata() {
            None => None,
            Some(file) => match self.file_again(receipt, file).await? {
                None => return Ok(Proof::Broken),
                found => found,
            },
        };
        Ok(Proof::Holds(Box::new(receipt.with_files(media, metadata))))
    }

    /// Replaces the stored receipt in one conditional write. The rest of that document stays.
    pub(super) async fn rewrite_receipt(
        &self,
        fence: Fence<'_>,
        name: &BlobName,
        receipt: &ExportReceipt,
    ) -> Result<(), DestinationError> {
        let vault = fence.around(self.get(receipt.vault(), name)?);
        let unreadable = |source: serde_json::Error| DestinationError {
            action: "rewrite",
            is_refused: false,
            name: name.clone(),
            source: source.into(),
        };
        let Some(version) = vault.version(name).await? else {
            return Ok(());
        };
        let content = vault.read(name, 0..RECEIPT_READ_LIMIT).await?;
        let mut document: serde_json::Value =
            serde_json::from_slice(&content).map_err(unreadable)?;
        document["receipt"] = serde_json::to_value(receipt).map_err(unreadable)?;
        let content = serde_json::to_vec_pretty(&document).map_err(unreadable)?;
        let properties = BlobProperties {
            content_type: layout::content_type(name),
            metadata: Vec::new(),
            tags: Vec::new(),
        };
        let replacing = vault.replace(name, &version, content.into(), &properties);
        match replacing.await? {
            // A receipt that changed meanwhile belongs to a later proof.
            ReplaceOutcome::Replaced | ReplaceOutcome::Changed => Ok(()),
            ReplaceOutcome::Protected => Err(DestinationError {
                action: "rewrite",
                is_refused: false,
                name: name.clone(),
                source: "a policy of the vault protects it".into(),
            }),
        }
    }

    async fn file_again(
        &self,
        receipt: &ExportReceipt,
        file: &VerifiedFile,
    ) -> Result<Option<VerifiedFile>, DestinationError> {
        let vault = self.get(receipt.vault(), file.name())?;
        let found = inspect_and_read(vault, file.name(), file.size_bytes()).await?;
        Ok(found.and_then(|found| verify::prove_again(file, &found).ok()))
    }
}

fn reason_of(error: &DestinationError) -> String {
    crate::error_chain::ErrorChain(error).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::entry::tests::entry;
    use crate::store::digest::Sha256Digest;

    fn file(name: &str) -> VerifiedFile {
        let digest = Sha256Digest::of(b"a");
        VerifiedFile::new(name.parse().unwrap(), 1, digest, "e".into())
    }

    #[test]
    fn the_media_goes_first_and_the_receipts_go_last() {
        let mut entry = entry();
        entry.uses_backup = true;
        let media = layout::all_names(&entry.folder, &entry.chunk).remove(3);
        let metadata = layout::metadata(&entry.folder, &entry.chunk);
        let receipt = ExportReceipt::new(
            file(media.as_str()),
            Some(file(metadata.as_str())),
            VaultName::Home,
            None,
            entry.recorded_at,
        );
        let places = places(&entry, Some(&receipt));
        assert_eq!(places.len(), 12, "every name in both vaults, once");
        assert_eq!((&places[0].name, &places[1].name), (&media, &metadata));
        let proof = layout::receipt(&entry.folder, &entry.chunk);
        assert!(places[10..].iter().all(|place| place.name == proof));
    }
}
