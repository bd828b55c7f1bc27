//! Adds the files of chunks to a package: media, metadata and receipts, as they are in the vault. Knows no audit log.

use std::io::Write;

use bytes::Bytes;

use super::EvidenceError;
use super::copies::ProvedCopy;
use super::package::{PLAIN, Package};
use crate::catalogue::Catalogue;
use crate::catalogue::media::ProvedFile;
use crate::catalogue::packing::{Content, PackedContent};
use crate::export::layout::{self, BlobName};
use crate::export::receipt::{MetadataLack, VaultName};
use crate::export::receipt_document::{KeptReceipt, RECEIPT_READ_LIMIT, ReceiptDocument};
use crate::export::{ExportReceipt, LedgerEntry};
use crate::recording::RecordingChunk;
use crate::standing::KnownChunk;

/// A copy of one of a document's files.
struct PackedCopy<'a> {
    entry: &'a LedgerEntry,
    chunk: &'a RecordingChunk,
    receipt: &'a ExportReceipt,
}

/// A file of the vault.
enum FromVault {
    Found(Content),
    /// With the reason.
    Absent(String),
}

/// A receipt in a package, and whether it is the ledger's.
enum ReceiptComparison {
    Same(Box<KeptReceipt>),
    Differs(Box<KeptReceipt>),
    Unreadable,
}

impl Catalogue {
    /// Appends a chunk's media, metadata and receipt, and those of its other places. Returns what the packed receipts
    /// name.
    pub(super) async fn append_chunk_of<W: Write + Send + 'static>(
        &self,
        mut package: Package<W>,
        folder: &str,
        chunk: &KnownChunk,
    ) -> Result<(Package<W>, Vec<ProvedCopy>), EvidenceError> {
        let files = Box::pin(self.proved_files(&chunk.document_id)).await?;
        if let Some(reason) = files.absent {
            package.problem(format!("chunk {}: {reason}", chunk.document_id));
        }
        for file in files.proved {
            package = Box::pin(self.append_proved(package, folder, file)).await?;
        }
        let Some(entry) = chunk.entry.found() else {
            return Ok((package, Vec::new()));
        };
        for problem in missing_metadata(entry) {
            package.problem(problem);
        }
        let mut copies = Vec::new();
        if let Some(receipt) = entry.state.receipt() {
            let copy = PackedCopy {
                entry,
                chunk: &entry.chunk,
                receipt,
            };
            let of_receipt;
            (package, of_receipt) = Box::pin(self.append_receipt(package, folder, copy)).await?;
            copies.extend(of_receipt);
        }
        let of_others;
        (package, of_others) = Box::pin(self.append_further_of(package, folder, entry)).await?;
        copies.extend(of_others);
        Ok((package, copies))
    }

    /// Appends the files of a document's other places.
    async fn append_further_of<W: Write + Send + 'static>(
        &self,
        mut package: Package<W>,
        folder: &str,
        entry: &LedgerEntry,
    ) -> Result<(Package<W>, Vec<ProvedCopy>), EvidenceError> {
        let id = &entry.chunk.document_id;
        for further in &entry.further {
            let place = further.file.number;
            match (further.receipt(), further.problem()) {
                (Some(_), _) => {}
                (None, Some(reason)) => package.problem(format!(
                    "chunk {id}: the file of place {place} is not in the vault: {reason}"
                )),
                (None, None) => package.problem(format!(
                    "chunk {id}: the file of place {place} is not in the vault yet"
                )),
            }
        }
        let further = entry.copies();
        let further = further.filter(|(of, _)| of.file_number != entry.chunk.file_number);
        let mut copies = Vec::new();
        for (of, receipt) in further {
            for file in ProvedFile::all_of(receipt) {
                package = Box::pin(self.append_proved(package, folder, file)).await?;
            }
            let copy = PackedCopy {
                entry,
                chunk: &of,
                receipt,
            };
            let of_receipt;
            (package, of_receipt) = Box::pin(self.append_receipt(package, folder, copy)).await?;
            copies.extend(of_receipt);
        }
        Ok((package, copies))
    }

    /// Appends a file that a receipt proves.
    async fn append_proved<W: Write + Send + 'static>(
        &self,
        mut package: Package<W>,
        folder: &str,
        file: ProvedFile,
    ) -> Result<Package<W>, EvidenceError> {
        let name = format!("{folder}/{}", file.file_name());
        let (proved, proved_bytes) = (file.sha256(), file.size_bytes());
        let content = match Box::pin(self.open_in_vault(file.place())).await? {
            FromVault::Found(content) => content,
            FromVault::Absent(reason) => {
                package.problem(format!(
                    "{name} with SHA-256 {proved} is not in this package: {reason}"
                ));
                return Ok(package);
            }
        };
        let appending = package.append(name.clone(), PLAIN, content);
        let (mut package, packed) = Box::pin(appending).await?;
        if (packed.sha256, packed.size_bytes) != (proved, proved_bytes) {
            let PackedContent { size_bytes, sha256 } = packed;
            package.problem(format!(
                "{name} has {size_bytes} bytes and SHA-256 {sha256}, its receipt has {proved_bytes} bytes and SHA-256 {proved}"
            ));
        }
        Ok(package)
    }

    /// Opens a file as long as it is in the vault, whatever is known of it.
    async fn open_in_vault(
        &self,
        (vault, file): (VaultName, &BlobName),
    ) -> Result<FromVault, EvidenceError> {
        let absent = || FromVault::Absent("it is no longer in the vault".to_owned());
        let vault = match self.vaults.get(vault, file) {
            Ok(vault) => vault,
            Err(error) => return Ok(FromVault::Absent(error.reason())),
        };
        let Some(found) = vault.describe(file).await? else {
            return Ok(absent());
        };
        let size_bytes = found.size_bytes;
        // No range is valid in an empty blob.
        if size_bytes == 0 {
            return Ok(FromVault::Found(Content::of(Bytes::new())));
        }
        let stream = vault
            .stream(file, Some(&found.version), 0..size_bytes)
            .await?;
        Ok(stream.map_or_else(absent, |stream| {
            FromVault::Found(Content { size_bytes, stream })
        }))
    }

    /// Appends the receipt as it is in the vault, or the ledger's if it is missing there. Returns what it names.
    async fn append_receipt<W: Write + Send + 'static>(
        &self,
        mut package: Package<W>,
        folder: &str,
        copy: PackedCopy<'_>,
    ) -> Result<(Package<W>, Vec<ProvedCopy>), EvidenceError> {
        let PackedCopy {
            entry,
            chunk,
            receipt,
        } = copy;
        let in_vault = layout::receipt(entry.folder_of(chunk.file_number), chunk);
        let name = layout::receipt(folder, chunk).to_string();
        let place = (receipt.vault(), &in_vault);
        let named = match Box::pin(self.open_in_vault(place)).await? {
            FromVault::Found(content) => {
                let appending = package.append(name.clone(), PLAIN, content);
                (package, _) = Box::pin(appending).await?;
                match Box::pin(self.compare_receipt(receipt, &in_vault)).await? {
                    ReceiptComparison::Same(kept) => kept.receipt,
                    ReceiptComparison::Differs(kept) => {
                        package.problem(format!(
                            "{name} names other files, sizes or digests than the ledger's receipt"
                        ));
                        kept.receipt
                    }
                    ReceiptComparison::Unreadable => {
                        package.problem(format!("{name} is not a readable receipt"));
                        return Ok((package, Vec::new()));
                    }
                }
            }
            FromVault::Absent(reason) => {
                package.problem(format!(
                    "{in_vault} is not in the vault ({reason}); the package has the ledger's copy"
                ));
                let document = ReceiptDocument {
                    receipt,
                    chunk,
                    recorded_at: entry.recorded_at,
                    audit_checkpoint: None,
                };
                let appending = package.append_bytes(name, document.to_bytes());
                package = Box::pin(appending).await?;
                receipt.clone()
            }
        };
        Ok((
            package,
            ProvedCopy::all_of(folder, &chunk.document_id, &named),
        ))
    }

    /// Compares the receipt in the vault with the ledger's, by what both prove.
    async fn compare_receipt(
        &self,
        receipt: &ExportReceipt,
        in_vault: &BlobName,
    ) -> Result<ReceiptComparison, EvidenceError> {
        let vault = self.vaults.get(receipt.vault(), in_vault)?;
        let found = vault.inspect(in_vault).await?;
        let is_read =
            found.is_some_and(|found| (1..=RECEIPT_READ_LIMIT).contains(&found.size_bytes));
        if !is_read {
            return Ok(ReceiptComparison::Unreadable);
        }
        let content = vault.read(in_vault, 0..RECEIPT_READ_LIMIT).await?;
        let Ok(kept) = serde_json::from_slice::<KeptReceipt>(&content) else {
            return Ok(ReceiptComparison::Unreadable);
        };
        let proofs = |receipt: &ExportReceipt| -> Vec<_> {
            let files = receipt.files();
            files
                .map(|file| (file.name().clone(), file.size_bytes(), file.sha256()))
                .collect()
        };
        let is_same = proofs(&kept.receipt) == proofs(receipt);
        let kept = Box::new(kept);
        Ok(if is_same {
            ReceiptComparison::Same(kept)
        } else {
            ReceiptComparison::Differs(kept)
        })
    }
}

/// A sentence for each copy without its metadata, also if an operator accepted that.
fn missing_metadata(entry: &LedgerEntry) -> Vec<String> {
    let id = &entry.chunk.document_id;
    let problems = entry.copies().filter_map(|(of, receipt)| {
        if receipt.metadata().is_some() {
            return None;
        }
        let why = match receipt.metadata_lack() {
            Some(MetadataLack::Gone) => "ACS no longer had it when its retention ended",
            Some(MetadataLack::NotCopied) => "it could not be copied",
            None if of.locations.metadata.is_some() => {
                "an event announced it, and it was not copied"
            }
            None => return None,
        };
        let whose = if of.file_number == entry.chunk.file_number {
            "its metadata".to_owned()
        } else {
            format!("the metadata of place {}", of.file_number)
        };
        Some(format!(
            "chunk {id}: {whose} is missing from the vault: {why}"
        ))
    });
    problems.collect()
}
