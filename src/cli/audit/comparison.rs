//! Compares the ledger's entries and the vault's receipts with their records in the audit log.
//!
//! The log is read before the entries: a record is written before its entry. So an entry may only be newer than the log as it
//! was read; then the records that it refers to are read once more.

use std::collections::{BTreeMap, BTreeSet};

use futures::StreamExt as _;
use recording_vault::app::App;
use recording_vault::error_chain::ErrorChain;
use recording_vault::export::layout::{self, BlobName};
use recording_vault::export::ledger::{LedgerError, audited_state};
use recording_vault::export::recheck;
use recording_vault::export::{ChunkState, ExportReceipt, LedgerEntry};
use recording_vault::recording::DocumentId;
use recording_vault::store::audit::{AuditAction, CheckpointRef};
use serde_json::Value;

use super::logged::{Fingerprint, Freshness, LoggedChunks};
use crate::cli::vault_receipts::vault_receipts;

/// Entries and receipts that are read together.
const AT_ONCE: usize = 16;

/// What the comparison found.
#[derive(Debug, Default)]
pub struct Comparison {
    pub entries: u64,
    pub receipts: u64,
    pub problems: Vec<String>,
    /// What could not be checked, and why.
    pub not_checked: Vec<String>,
    /// The checkpoints that receipts name, each with one of the receipts.
    pub anchors: BTreeMap<u64, Anchor>,
}

/// A checkpoint that is named outside of the log.
#[derive(Debug, Clone)]
pub struct Anchor {
    pub checkpoint: CheckpointRef,
    pub named_by: String,
}

/// Findings of one entry.
struct EntryCheck {
    problems: Vec<String>,
    not_checked: Vec<String>,
    anchors: Vec<Anchor>,
    receipts: u64,
}

/// # Errors
/// When the ledger fails.
pub async fn compare(app: &App, logged: &LoggedChunks) -> Result<Comparison, LedgerError> {
    let mut comparison = Comparison::default();
    let mut known = BTreeSet::new();
    let mut after = None;
    loop {
        let (ids, next) = app.ledger.documents(after.as_deref()).await?;
        known.extend(ids.iter().cloned());
        let looking =
            futures::stream::iter(ids).map(|id| async move { check_entry(app, logged, &id).await });
        let mut looking = looking.buffered(AT_ONCE);
        while let Some(check) = looking.next().await {
            comparison.add(check?);
        }
        after = next;
        if after.is_none() {
            break;
        }
    }
    for id in logged.documents().filter(|id| !known.contains(*id)) {
        // It may have been written meanwhile.
        if is_missing(app, id).await? {
            comparison.problems.push(format!(
                "the log has chunk {id}, and the ledger has no entry of it"
            ));
        }
    }
    comparison.look_for_strays(app, &known).await?;
    Ok(comparison)
}

impl Comparison {
    fn add(&mut self, check: EntryCheck) {
        self.entries += 1;
        self.receipts += check.receipts;
        self.problems.extend(check.problems);
        self.not_checked.extend(check.not_checked);
        for anchor in check.anchors {
            self.name(anchor);
        }
    }

    /// Two receipts that name different checkpoints of one number cannot both be right.
    fn name(&mut self, anchor: Anchor) {
        let number = anchor.checkpoint.number;
        match self.anchors.get(&number) {
            Some(there) if there.checkpoint != anchor.checkpoint => {
                self.problems.push(format!(
                    "{} and {} name different checkpoints {number}",
                    there.named_by, anchor.named_by
                ));
            }
            Some(_) => {}
            None => {
                self.anchors.insert(number, anchor);
            }
        }
    }

    /// Receipts in the vault whose chunks the ledger does not have.
    async fn look_for_strays(
        &mut self,
        app: &App,
        known: &BTreeSet<DocumentId>,
    ) -> Result<(), LedgerError> {
        let receipts = match vault_receipts(app).await {
            Ok(receipts) => receipts,
            Err(error) => {
                let reason = ErrorChain(&error);
                self.not_checked
                    .push(format!("the vault could not be listed: {reason}"));
                return Ok(());
            }
        };
        for (id, name) in receipts {
            let Some(id) = document_of(&id, known) else {
                continue;
            };
            if known.contains(&id) || !is_missing(app, &id).await? {
                continue;
            }
            self.receipts += 1;
            self.problems.push(format!(
                "the vault has a receipt of chunk {id}, and the ledger has no entry of it"
            ));
            // It proves as much about the log as the others.
            let kept = recheck::kept_receipt(app.vaults.home(), &name).await;
            let checkpoint = kept.ok().flatten().and_then(|kept| kept.audit_checkpoint);
            if let Some(checkpoint) = checkpoint {
                let named_by = format!("the receipt of chunk {id}");
                self.name(Anchor {
                    checkpoint,
                    named_by,
                });
            }
        }
        Ok(())
    }
}

async fn is_missing(app: &App, id: &DocumentId) -> Result<bool, LedgerError> {
    match app.ledger.find(id).await {
        Ok(found) => Ok(found.is_none()),
        Err(LedgerError::Corrupt { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

async fn check_entry(
    app: &App,
    logged: &LoggedChunks,
    id: &DocumentId,
) -> Result<EntryCheck, LedgerError> {
    let mut check = EntryCheck {
        problems: Vec::new(),
        not_checked: Vec::new(),
        anchors: Vec::new(),
        receipts: 0,
    };
    let entry = match app.ledger.find(id).await {
        Ok(Some(found)) => found.entry,
        Ok(None) => {
            let problem = format!("the entry of chunk {id} disappeared during the check");
            check.problems.push(problem);
            return Ok(check);
        }
        Err(LedgerError::Corrupt { .. }) => {
            check.problems.push(format!(
                "the entry of chunk {id} is not readable: run `recording-vault ledger rebuild {id}`"
            ));
            return Ok(check);
        }
        Err(error) => {
            let reason = ErrorChain(&error);
            check.not_checked.push(format!(
                "the entry of chunk {id} could not be read: {reason}"
            ));
            return Ok(check);
        }
    };
    if entry.chunk.document_id != *id {
        let is = &entry.chunk.document_id;
        check
            .problems
            .push(format!("the entry of chunk {id} is that of chunk {is}"));
        return Ok(check);
    }
    match look_in_log(app, logged, &entry).await {
        LoggedState::Recorded => {}
        LoggedState::Unrecorded => check.problems.push(format!(
            "the entry of chunk {id} is {}, and no record says so",
            entry.state.name()
        )),
        LoggedState::Unread { reason } => check.not_checked.push(format!(
            "whether a record says that chunk {id} is {}: {reason}",
            entry.state.name()
        )),
    }
    check_freshness(app, logged, &entry, &mut check).await?;
    check_receipts(app, &entry, &mut check).await;
    Ok(check)
}

/// Checks that an entry was not reset to an earlier state of its chunk: the log has no later states, and an open entry
/// has a marker.
async fn check_freshness(
    app: &App,
    logged: &LoggedChunks,
    entry: &LedgerEntry,
    check: &mut EntryCheck,
) -> Result<(), LedgerError> {
    let (id, state) = (&entry.chunk.document_id, entry.state.name());
    let problem = match logged.freshness(id, &entry.audited) {
        Freshness::PutBack => Some(format!(
            "the entry of chunk {id} is {state}, and the log has later states of it: it was reset to an earlier state"
        )),
        _ if app.ledger.lacks_marker(id).await? => Some(format!(
            "the entry of chunk {id} is {state}, and it has no marker: it was reset to an earlier state, or its marker was removed"
        )),
        Freshness::Unclear if !entry.is_open() => {
            check.not_checked.push(format!(
                "the entry of chunk {id} is {state}, and the log has a later state of it: it was reset, or that \
                 state was never written"
            ));
            None
        }
        Freshness::Unclear | Freshness::Newest => None,
    };
    check.problems.extend(problem);
    Ok(())
}

/// Whether a record says what an entry says.
enum LoggedState {
    Recorded,
    Unrecorded,
    /// A document that the entry names could not be read.
    Unread {
        reason: String,
    },
}

/// Whether the log agrees with the entry.
async fn look_in_log(app: &App, logged: &LoggedChunks, entry: &LedgerEntry) -> LoggedState {
    let id = &entry.chunk.document_id;
    // What is still to be exported claims nothing.
    let state = (entry.state != ChunkState::Pending).then(|| {
        let (action, detail) = audited_state(&entry.state);
        Fingerprint::of(&action, &detail)
    });
    // A chunk that was announced after the erasure of its recording is noted as removed at once.
    let erased = matches!(&entry.state, ChunkState::Removed { receipt: None, .. })
        .then(|| Fingerprint::of(&AuditAction::RecordedErased, &Value::Null));
    let says = |logged: &LoggedChunks| match state {
        None => logged.has(id),
        Some(state) => {
            let mut states = std::iter::once(state).chain(erased);
            states.any(|state| logged.has_state(id, state))
        }
    };
    if says(logged) {
        return LoggedState::Recorded;
    }
    let mut outcome = LoggedState::Unrecorded;
    let mut newer = LoggedChunks::default();
    for position in entry.audited.iter().rev() {
        let records = match app.ledger.audit().records(position).await {
            Ok(records) => records,
            Err(error) => {
                let reason = ErrorChain(&error).to_string();
                outcome = LoggedState::Unread { reason };
                continue;
            }
        };
        for record in records
            .iter()
            .filter(|record| record.subject == id.as_str())
        {
            newer.add(position, record);
        }
        if says(&newer) {
            return LoggedState::Recorded;
        }
    }
    outcome
}

/// The receipts beside an entry's copies are those of the entry: of the document's own file, and of further ones.
async fn check_receipts(app: &App, entry: &LedgerEntry, check: &mut EntryCheck) {
    if is_leaving(&entry.state) {
        return;
    }
    for (chunk, receipt) in entry.copies() {
        let name = layout::receipt(entry.folder_of(chunk.file_number), &chunk);
        check_receipt(app, (&chunk.document_id, &name), receipt, check).await;
    }
}

async fn check_receipt(
    app: &App,
    (id, name): (&DocumentId, &BlobName),
    receipt: &ExportReceipt,
    check: &mut EntryCheck,
) {
    let reading = async {
        let vault = app.vaults.get(receipt.vault(), name)?;
        recheck::kept_receipt(vault, name).await
    };
    let kept = match reading.await {
        Ok(Some(kept)) => kept,
        Ok(None) => {
            check.problems.push(missing_receipt(id, name));
            return;
        }
        Err(error) => {
            let reason = ErrorChain(&error);
            let not_checked = format!("the receipt of chunk {id} could not be read: {reason}");
            check.not_checked.push(not_checked);
            return;
        }
    };
    check.receipts += 1;
    if kept.chunk.document_id != *id {
        let of = &kept.chunk.document_id;
        let problem = format!("the receipt of chunk {id}, `{name}`, is that of {of}");
        check.problems.push(problem);
    } else if !is_same_proof(&kept.receipt, receipt) {
        let problem = format!(
            "the receipt of chunk {id}, `{name}`, has another name or digest than its entry"
        );
        check.problems.push(problem);
    }
    let anchor = kept.audit_checkpoint.map(|checkpoint| Anchor {
        checkpoint,
        named_by: format!("the receipt of chunk {id}"),
    });
    check.anchors.extend(anchor);
}

fn missing_receipt(id: &DocumentId, name: &BlobName) -> String {
    format!("the receipt of chunk {id}, `{name}`, is missing or not readable")
}

/// Whether its copies are deleted, or being deleted.
fn is_leaving(state: &ChunkState) -> bool {
    match state {
        ChunkState::Removing { .. } | ChunkState::Removed { .. } => true,
        ChunkState::Pending
        | ChunkState::Exported { .. }
        | ChunkState::SourceDeleted { .. }
        | ChunkState::SourceLeft { .. }
        | ChunkState::InPlace { .. }
        | ChunkState::Expired { .. }
        | ChunkState::DeadLettered { .. } => false,
    }
}

/// The document of a receipt's name: a further file of it has a number behind the id.
fn document_of(id: &str, known: &BTreeSet<DocumentId>) -> Option<DocumentId> {
    let whole = id.parse::<DocumentId>().ok();
    if whole.as_ref().is_some_and(|id| known.contains(id)) {
        return whole;
    }
    let of_further = id.rsplit_once('.').and_then(|(id, number)| {
        number.parse::<u32>().ok()?;
        id.parse::<DocumentId>().ok()
    });
    of_further.filter(|id| known.contains(id)).or(whole)
}

fn is_same_proof(kept: &ExportReceipt, of_entry: &ExportReceipt) -> bool {
    let proof = |receipt: &ExportReceipt| {
        let media = receipt.media();
        let metadata = receipt
            .metadata()
            .map(|file| (file.name().clone(), file.sha256()));
        (
            media.name().clone(),
            media.size_bytes(),
            media.sha256(),
            metadata,
        )
    };
    proof(kept) == proof(of_entry)
}
