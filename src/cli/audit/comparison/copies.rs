//! Compares the copies that an entry claims with the audit log, and with the receipts beside them: each member of a receipt,
//! except for times and versions of files.

use recording_vault::app::App;
use recording_vault::error_chain::ErrorChain;
use recording_vault::export::layout::{self, BlobName};
use recording_vault::export::receipt_document::KeptReceipt;
use recording_vault::export::recheck;
use recording_vault::export::{ChunkState, ExportReceipt, LedgerEntry};
use recording_vault::recording::{DocumentId, RecordingChunk};
use serde_json::{Map, Value};

use crate::cli::audit::findings::{Anchor, ClaimedReceipt, EntryCheck};
use crate::cli::audit::logged::chunk::{LoggedChunk, LoggedProof};

/// Members of a chunk that a later event replaces.
const REPLACED: [&str; 2] = ["endReason", "durationMs"];
/// Unknown members of a chunk's event.
const OTHER: &str = "other";
/// Member of a proof that only an entry has.
const OF_ENTRY: &str = "hasEarlierFile";
/// Members of a proof that change where its files are proved again.
const OF_ONE_PROOF: [&str; 2] = ["verifiedAt", "etag"];

/// A copy that an entry claims.
struct ClaimedCopy<'a> {
    entry: &'a LedgerEntry,
    logged: &'a LoggedChunk,
    chunk: RecordingChunk,
    receipt: &'a ExportReceipt,
    name: BlobName,
}

pub(super) async fn check(
    app: &App,
    entry: &LedgerEntry,
    logged: &LoggedChunk,
    check: &mut EntryCheck,
) {
    if is_leaving(&entry.state) {
        return;
    }
    check_further_files(entry, logged, check);
    let id = &entry.chunk.document_id;
    for (chunk, receipt) in entry.copies() {
        let name = layout::receipt(entry.folder_of(chunk.file_number), &chunk);
        check
            .claimed
            .push(ClaimedReceipt::of(receipt.vault(), &name));
        check_proof(id, logged.proof_of(receipt), receipt, check);
        let copy = ClaimedCopy {
            entry,
            logged,
            chunk,
            receipt,
            name,
        };
        check_receipt(app, &copy, check).await;
    }
}

/// Checks that a record has the proof of a copy. That of a rebuild has what the vault had, and proves nothing about who wrote that.
fn check_proof(
    id: &DocumentId,
    logged: LoggedProof,
    receipt: &ExportReceipt,
    check: &mut EntryCheck,
) {
    let name = receipt.media().name();
    match logged {
        LoggedProof::Recorded => {}
        LoggedProof::NotRecorded => check.unrecorded.push(format!(
            "the entry of chunk {id} claims the copy `{name}`, and no record has its proof"
        )),
        LoggedProof::OnlyRebuiltBesideOthers => check.unrecorded.push(format!(
            "the entry of chunk {id} was rebuilt from a receipt of the copy `{name}`, and the log has another proof of it: the \
             receipt was changed"
        )),
        LoggedProof::OnlyRebuilt => check.not_checked.push(format!(
            "the copy `{name}` of chunk {id}: its entry was rebuilt from its receipt, and no other record has its proof"
        )),
    }
}

/// Checks that each other file that was exported has its copy. The record of an export is written before the entry.
fn check_further_files(entry: &LedgerEntry, logged: &LoggedChunk, check: &mut EntryCheck) {
    let id = &entry.chunk.document_id;
    let claimed: Vec<BlobName> = entry
        .copies()
        .map(|(_, receipt)| receipt.media().name().clone())
        .collect();
    let pending = entry.further.iter().filter(|further| further.is_pending());
    let pending: Vec<BlobName> = pending
        .flat_map(|further| {
            let chunk = entry.chunk.with_file(&further.file);
            layout::all_names(entry.folder_of(further.file.number), &chunk)
        })
        .collect();
    let missing = logged.count_missing_files(claimed.iter().map(BlobName::as_str));
    let names = claimed.iter().chain(&pending).map(BlobName::as_str);
    let lost = logged.count_missing_files(names);
    // The document's own file may have been another one, and have to be exported again.
    let may_be_own = usize::from(entry.state.receipt().is_none());
    if lost > may_be_own {
        check.problems.push(format!(
            "the log says that another file of chunk {id} was exported, and its entry has no copy of it"
        ));
    } else if lost < missing {
        check.not_checked.push(format!(
            "the log says that another file of chunk {id} was exported, and its entry says that this is still to be done: the \
             process ended before it wrote the entry, or the entry was changed back"
        ));
    }
}

async fn check_receipt(app: &App, copy: &ClaimedCopy<'_>, check: &mut EntryCheck) {
    let (id, name) = (&copy.chunk.document_id, &copy.name);
    let reading = async {
        let vault = app.vaults.get(copy.receipt.vault(), name)?;
        recheck::kept_receipt(vault, name).await
    };
    let kept = match reading.await {
        Ok(Some(kept)) => kept,
        Ok(None) => {
            let problem =
                format!("the receipt of chunk {id}, `{name}`, is missing or not readable");
            check.problems.push(problem);
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
    if kept.chunk.document_id == *id {
        copy.compare(&kept, check);
    } else {
        let of = &kept.chunk.document_id;
        let problem = format!("the receipt of chunk {id}, `{name}`, is that of {of}");
        check.problems.push(problem);
    }
    let anchor = kept.audit_checkpoint.map(|checkpoint| Anchor {
        checkpoint,
        named_by: format!("the receipt of chunk {id}"),
    });
    check.anchors.extend(anchor);
}

impl ClaimedCopy<'_> {
    fn compare(&self, kept: &KeptReceipt, check: &mut EntryCheck) {
        let (id, name) = (&self.chunk.document_id, &self.name);
        let mut of_proof = self.changed_members_of_proof(kept);
        if let Some(why) = self.may_be_of_another_proof(&kept.receipt)
            && !of_proof.is_empty()
        {
            let members = of_proof.join("`, `");
            check.not_checked.push(format!(
                "the receipt of chunk {id}, `{name}`, has another `{members}` than its entry: {why}, or the receipt was changed"
            ));
            of_proof.clear();
        }
        let changed = of_proof.into_iter().chain(self.changed_members(kept));
        check.problems.extend(changed.map(|member| {
            format!("the receipt of chunk {id}, `{name}`, has another `{member}` than its entry")
        }));
    }

    /// Why the receipt may be of another proof of this copy than the entry's, without tampering.
    fn may_be_of_another_proof(&self, kept: &ExportReceipt) -> Option<&'static str> {
        let content = |receipt: &ExportReceipt| {
            let media = receipt.media();
            (media.name().clone(), media.size_bytes(), media.sha256())
        };
        let is_same_media = content(kept) == content(self.receipt);
        let has_more = kept.metadata().is_some() && self.receipt.metadata().is_none();
        if self.receipt.has_earlier_file() && (is_same_media || self.logged.has_proof(kept)) {
            Some("it is of an earlier proof, because a policy of the vault protects it")
        } else if is_same_media && self.entry.is_worked_on() {
            Some("a process is exporting it, or ended before it wrote the entry")
        } else if is_same_media && has_more {
            Some("a process ended before it wrote the entry, and then ACS had dropped the metadata")
        } else {
            None
        }
    }

    fn changed_members_of_proof(&self, kept: &KeptReceipt) -> Vec<String> {
        let (of_receipt, of_entry) = (proof(&kept.receipt), proof(self.receipt));
        changed("receipt", &of_receipt, &of_entry, &|_, _, _| false)
    }

    /// Members outside of the proof that are not those of the entry.
    fn changed_members(&self, kept: &KeptReceipt) -> Vec<String> {
        let (of_receipt, of_entry) = (members(&kept.chunk), members(&self.chunk));
        let was_announced_again = self.logged.was_announced_again();
        let may_differ = |member: &str, kept: &Value, of_entry: &Value| {
            let is_replaced = REPLACED.contains(&member)
                || kept.is_null()
                || (member == OTHER && has_other(of_entry, kept));
            was_announced_again && is_replaced
        };
        let mut changed = changed("chunk", &of_receipt, &of_entry, &may_differ);
        if kept.recorded_at != self.entry.recorded_at {
            changed.push("recordedAt".to_owned());
        }
        changed
    }
}

/// Whether an entry has all unknown members that a receipt has: a later event adds some.
fn has_other(of_entry: &Value, kept: &Value) -> bool {
    let mut kept = kept.as_object().into_iter().flatten();
    kept.all(|(name, value)| of_entry.get(name) == Some(value))
}

/// Names of the members that differ, down to the innermost ones.
fn changed(
    path: &str,
    kept: &Map<String, Value>,
    of_entry: &Map<String, Value>,
    may_differ: &dyn Fn(&str, &Value, &Value) -> bool,
) -> Vec<String> {
    let mut names: Vec<&String> = kept.keys().chain(of_entry.keys()).collect();
    names.sort_unstable();
    names.dedup();
    let mut found = Vec::new();
    for name in names {
        let kept = kept.get(name).unwrap_or(&Value::Null);
        let of_entry = of_entry.get(name).unwrap_or(&Value::Null);
        if kept == of_entry || may_differ(name, kept, of_entry) {
            continue;
        }
        let path = format!("{path}.{name}");
        match (kept, of_entry) {
            (Value::Object(kept), Value::Object(of_entry)) if name != OTHER => {
                found.extend(changed(&path, kept, of_entry, may_differ));
            }
            _ => found.push(path),
        }
    }
    found
}

fn members(chunk: &RecordingChunk) -> Map<String, Value> {
    object(serde_json::to_value(chunk).unwrap_or_default())
}

/// What does not change where a copy is proved again.
fn proof(receipt: &ExportReceipt) -> Map<String, Value> {
    let mut proof = object(serde_json::to_value(receipt).unwrap_or_default());
    proof.retain(|name, _| !OF_ONE_PROOF.contains(&name.as_str()) && name != OF_ENTRY);
    for file in proof.values_mut().filter_map(Value::as_object_mut) {
        file.retain(|name, _| !OF_ONE_PROOF.contains(&name.as_str()));
    }
    proof
}

fn object(value: Value) -> Map<String, Value> {
    if let Value::Object(members) = value {
        members
    } else {
        Map::new()
    }
}

/// Whether its copies are deleted, or being deleted.
pub(super) fn is_leaving(state: &ChunkState) -> bool {
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
