//! Imports a file by hand as the copy of a chunk that was given up, or of one that no event announced.
//!
//! An import has the same steps as an export: claim, transfer, proof, receipt. Its receipt is marked as imported, and
//! permits no deletion at ACS. Each import has its own folder, because the folder of earlier attempts may have blocks of
//! another file; an export from ACS that follows uses yet another one. The proof is in the audit log before the receipt
//! is in the vault: a kill between the two leaves no receipt that no record explains.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::json;

use super::ExportDriver;
use super::run::Run;
use crate::error_chain::ErrorChain;
use crate::export::budget::Budget;
use crate::export::entry::LedgerEntry;
use crate::export::fence::Fence;
use crate::export::ledger::{AfterUpdate, Claim, LedgerError, audited_proof};
use crate::export::receipt::{ExportReceipt, Import, VaultName};
use crate::export::slots::{Slots, Turn};
use crate::export::source::RecordingSource;
use crate::export::state::ChunkState;
use crate::export::transfer::chunk::{Attempt, ChunkExport, ChunkExporter, ImportedFiles, Proved};
use crate::export::transfer::error::TransferError;
use crate::recording::{DocumentId, FileNumber, MediaKind, RecordingId};
use crate::store::audit::{AuditAction, AuditPosition, Operator};

/// Files to be imported.
pub struct FilesToImport {
    /// Reads them.
    pub source: Arc<dyn RecordingSource>,
    /// Knows which recordings were erased on request.
    pub erasures: Arc<dyn ErasureLookup>,
    pub has_metadata: bool,
    /// The kind of media by the file's name, if known. The event has priority.
    pub kind: Option<MediaKind>,
    /// Where they come from: a file's name, or a URL without its query.
    pub from: String,
}

/// Looks up whether a recording was erased on request.
#[async_trait]
pub trait ErasureLookup: Send + Sync {
    async fn erasure_of(&self, recording: &RecordingId) -> ErasureStatus;
}

/// Whether a recording was erased on request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ErasureStatus {
    NotErased,
    Erased,
    /// The lookup failed.
    Unknown {
        reason: String,
    },
}

/// Outcome of an import.
#[derive(Debug)]
pub enum ImportOutcome {
    Imported(Box<ExportReceipt>),
    /// A copy is proved already, or its file is in the customer's own storage.
    AlreadyProved,
    /// Its export from ACS has not ended.
    StillExported,
    /// It was permanently deleted from the vault.
    Removed,
    /// The ledger has no such chunk.
    Unknown,
    /// Another process is working on it.
    Busy,
    /// The entry was not changed. The audit log may already have the import.
    Failed {
        reason: String,
    },
}

/// Whether a chunk may get a copy by hand.
enum Importable {
    Yes,
    No(ImportOutcome),
}

impl ExportDriver {
    /// Imports files as the copy of a chunk, unless a better one exists or may still come from ACS.
    ///
    /// Cancel-safe: completed steps are durable, and the claim expires.
    ///
    /// # Errors
    /// When the ledger fails. Repeating is harmless.
    pub async fn import(
        &self,
        document_id: &DocumentId,
        files: FilesToImport,
        operator: &Operator,
        budget: Budget,
    ) -> Result<ImportOutcome, LedgerError> {
        let Some(found) = self.ledger.find(document_id).await? else {
            return Ok(ImportOutcome::Unknown);
        };
        if let Importable::No(why) = importable(&found.entry) {
            return Ok(why);
        }
        let _counted = self.claimed.begin();
        let Some(claim) = self.ledger.claim(&found).await? else {
            return Ok(ImportOutcome::Busy);
        };
        let outcome = tokio::select! {
            biased;
            outcome = Box::pin(self.import_claimed(&claim, files, operator, budget)) => outcome,
            lost = self.ledger.keep_claimed(&claim) => Err(lost),
        };
        match outcome {
            Err(LedgerError::ClaimLost { .. }) => Ok(ImportOutcome::Busy),
            outcome => outcome,
        }
    }

    async fn import_claimed(
        &self,
        claim: &Claim,
        files: FilesToImport,
        operator: &Operator,
        budget: Budget,
    ) -> Result<ImportOutcome, LedgerError> {
        let kind = files.kind;
        let begin = |entry: &mut LedgerEntry| {
            if matches!(importable(entry), Importable::Yes) {
                // Before its first claim, a vault cannot have a file of it.
                if entry.claims > 1 {
                    entry.leave_folder(entry.chunk.file_number);
                }
                entry.note_begun_import();
                let kind = entry.media_kind.or(kind);
                entry.media_kind = Some(kind.unwrap_or(MediaKind::DEFAULT));
            }
        };
        let entry = self
            .ledger
            .update(claim, AfterUpdate::KeepClaim, begin)
            .await?;
        if let Importable::No(why) = importable_now(&entry, &files).await {
            self.release(claim).await?;
            return Ok(why);
        }
        let proved = match self.copy_imported(claim, &entry, &files, budget).await {
            Ok(ChunkExport::Proved(proved)) => *proved,
            Ok(ChunkExport::OutOfTime) => {
                self.release(claim).await?;
                let reason = "the import exceeded the time limit of one run".to_owned();
                return Ok(ImportOutcome::Failed { reason });
            }
            Err(TransferError::Ledger(error)) => return Err(error),
            Err(error) => {
                self.release(claim).await?;
                let reason = ErrorChain(&error).to_string();
                return Ok(ImportOutcome::Failed { reason });
            }
        };
        // It may have been erased during the copy. Its files in the vault are left to that erasure.
        if let Importable::No(why) = importable_now(&entry, &files).await {
            self.release(claim).await?;
            return Ok(why);
        }
        let id = &entry.chunk.document_id;
        let position = self
            .audit_import(id, &proved.receipt, &files.from, operator)
            .await?;
        let home = Fence::new(&self.ledger, claim).around(self.vaults().home());
        let writing = self.exporter.put_receipt(&home, &entry, &proved.receipt);
        let proved = match writing.await {
            Ok(receipt) => Proved { receipt, ..proved },
            Err(error) => {
                self.release(claim).await?;
                let reason = ErrorChain(&error).to_string();
                return Ok(ImportOutcome::Failed { reason });
            }
        };
        self.settle_imported(claim, proved, &position).await
    }

    async fn copy_imported(
        &self,
        claim: &Claim,
        entry: &LedgerEntry,
        files: &FilesToImport,
        budget: Budget,
    ) -> Result<ChunkExport, TransferError> {
        let import = Import {
            at: self.clock.now(),
            from: files.from.clone(),
        };
        let exporter = ChunkExporter {
            audit: self.ledger.audit_log(),
            source: Arc::clone(&files.source),
            vaults: self.vaults().clone(),
            clock: Arc::clone(&self.clock),
            blocks: self.policy.blocks,
            imported: Some(ImportedFiles {
                import,
                has_metadata: files.has_metadata,
            }),
        };
        // No other transfer of this process waits for this slot.
        let slot = Slots::new(1).acquire(0, entry.expires_at).await;
        let turn = Turn::new(slot, budget);
        let attempt = Attempt {
            entry,
            turn: &turn,
            is_first: true,
            vault: VaultName::Home,
            fence: Fence::new(&self.ledger, claim),
        };
        exporter.export(attempt).await
    }

    /// Records the copy, unless an event has opened the chunk meanwhile.
    async fn settle_imported(
        &self,
        claim: &Claim,
        proved: Proved,
        position: &AuditPosition,
    ) -> Result<ImportOutcome, LedgerError> {
        let Proved { receipt, metadata } = proved;
        let id = claim.document_id();
        let state = ChunkState::SourceLeft {
            receipt: receipt.clone(),
            // It is in a record without private text, and a file's name may name people.
            reason: "imported by hand; an import deletes nothing at ACS".to_owned(),
        };
        let settle = |entry: &mut LedgerEntry| {
            if matches!(importable(entry), Importable::No(_)) {
                return;
            }
            entry.state = state.clone();
            entry.metadata = metadata.clone().or_else(|| entry.metadata.take());
            entry.acknowledged = None;
            entry.copied_unfinished = false;
            entry.begin_attempts_anew();
            entry.note_audited(position.clone());
        };
        let entry = self
            .ledger
            .update(claim, AfterUpdate::Release, settle)
            .await?;
        if entry.state != state {
            return Ok(ImportOutcome::StillExported);
        }
        tracing::info!(document.id = %id, blob = %receipt.media().name(), size_bytes = receipt.media().size_bytes(), "Imported chunk `{id}` by hand");
        Ok(ImportOutcome::Imported(Box::new(receipt)))
    }

    /// Moves a file out of a folder in which an import began, before it is exported from ACS: an export takes what it
    /// finds under its names for the file at ACS.
    pub(super) async fn leave_begun_import(
        &self,
        run: &mut Run<'_>,
        number: FileNumber,
    ) -> Result<(), LedgerError> {
        if !run.entry.is_where_import_began(number) {
            return Ok(());
        }
        let leave = |entry: &mut LedgerEntry| entry.leave_begun_import(number);
        run.entry = self
            .ledger
            .update(run.claim, AfterUpdate::KeepClaim, leave)
            .await?;
        run.is_first = false;
        let (id, folder) = (&run.entry.chunk.document_id, run.entry.folder_of(number));
        tracing::info!(document.id = %id, "An import of chunk `{id}` began and did not end; its export from ACS uses the folder `{folder}`");
        Ok(())
    }

    async fn audit_import(
        &self,
        id: &DocumentId,
        receipt: &ExportReceipt,
        from: &str,
        operator: &Operator,
    ) -> Result<AuditPosition, LedgerError> {
        let detail = json!({
            "from": from,
            "sizeBytes": receipt.media().size_bytes(),
            "sha256": receipt.media().sha256(),
            "proof": audited_proof(receipt),
        });
        self.ledger
            .audit_operator(AuditAction::Imported, id.as_str(), operator, detail)
            .await
    }
}

/// Like [`importable`], and asks whether its recording was erased.
async fn importable_now(entry: &LedgerEntry, files: &FilesToImport) -> Importable {
    if let Importable::No(why) = importable(entry) {
        return Importable::No(why);
    }
    let recording = entry.chunk.filed_under();
    match files.erasures.erasure_of(&recording).await {
        ErasureStatus::NotErased => Importable::Yes,
        ErasureStatus::Erased => Importable::No(ImportOutcome::Removed),
        ErasureStatus::Unknown { reason } => Importable::No(ImportOutcome::Failed {
            reason: format!("could not check whether its recording was erased: {reason}"),
        }),
    }
}

fn importable(entry: &LedgerEntry) -> Importable {
    Importable::No(match &entry.state {
        ChunkState::Expired { .. } | ChunkState::DeadLettered { .. } => return Importable::Yes,
        // Its locations do not decide: events of 2021 name none, and their chunks are exported by their id.
        ChunkState::Pending if entry.recorded_for_import => return Importable::Yes,
        ChunkState::Pending => ImportOutcome::StillExported,
        ChunkState::Exported { .. }
        | ChunkState::SourceDeleted { .. }
        | ChunkState::SourceLeft { .. }
        | ChunkState::InPlace { .. } => ImportOutcome::AlreadyProved,
        ChunkState::Removing { .. } | ChunkState::Removed { .. } => ImportOutcome::Removed,
    })
}
