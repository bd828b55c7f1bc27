//! Which copies `verify` checks: those of the ledger, and those with a receipt in the vault and no entry.

use std::collections::{BTreeMap, BTreeSet};

use recording_vault::app::App;
use recording_vault::export::layout::{self, BlobName};
use recording_vault::export::recheck::{self, Depth};
use recording_vault::export::{ChunkState, LedgerEntry};
use recording_vault::operator_actions::verify::ProvedCopy;
use recording_vault::recording::{DocumentId, RecordingChunk};

use super::ProblemCopy;
use crate::cli::list::is_of;
use crate::cli::vault_receipts::{decisive_receipt, vault_receipts};

/// One copy to check.
pub struct Copy {
    pub document_id: DocumentId,
    pub proved: ProvedCopy,
    pub depth: Depth,
    /// An earlier verification found the chunk's copies damaged.
    pub was_damaged: bool,
}

/// Copies to check, and chunks that have none.
#[derive(Default)]
pub struct Selection {
    pub copies: Vec<Copy>,
    pub wrong: Vec<ProblemCopy>,
    /// Chunks that are named, and that the ledger does not know.
    pub unknown: Vec<DocumentId>,
    /// Chunks that are named, and that have no copy.
    pub without_copy: Vec<ProblemCopy>,
    /// Chunks whose entries are not readable, and that have no receipt in the vault either.
    pub not_checked: Vec<ProblemCopy>,
}

/// The copies of the named chunks; of all chunks whose recording or call contains `of`, if none is named.
///
/// # Errors
/// When the ledger cannot be read or the vault cannot be listed.
pub async fn select(
    app: &App,
    named: &[DocumentId],
    of: Option<&str>,
) -> anyhow::Result<Selection> {
    if named.is_empty() {
        all(app, of).await
    } else {
        these(app, named).await
    }
}

async fn these(app: &App, named: &[DocumentId]) -> anyhow::Result<Selection> {
    let mut selection = Selection::default();
    for id in named {
        let Some(found) = app.ledger.find(id).await? else {
            selection.unknown.push(id.clone());
            continue;
        };
        if found.entry.state.receipt().is_none() {
            let why = why_none(&found.entry.state);
            selection.without_copy.push(without_copy(id, why));
        }
        selection.copies.extend(copies_of(&found.entry));
    }
    Ok(selection)
}

/// Why a chunk has no copy in a vault.
fn why_none(state: &ChunkState) -> String {
    match state {
        ChunkState::Removed {
            removed_at, reason, ..
        } => {
            let at = removed_at.strftime("%Y-%m-%dT%H:%M:%SZ");
            format!("it has no copy since {at}: {reason}")
        }
        ChunkState::InPlace { .. } => "it is in your own storage, and not in a vault".to_owned(),
        ChunkState::Pending
        | ChunkState::Exported { .. }
        | ChunkState::SourceDeleted { .. }
        | ChunkState::SourceLeft { .. }
        | ChunkState::Removing { .. }
        | ChunkState::Expired { .. }
        | ChunkState::DeadLettered { .. } => {
            format!("it has no copy: it is {}", state.name())
        }
    }
}

async fn all(app: &App, of: Option<&str>) -> anyhow::Result<Selection> {
    let is_selected = |chunk: &RecordingChunk| of.is_none_or(|part| is_of(chunk, part));
    let mut receipts = vault_receipts(app).await?;
    let entries = app.ledger.entries(|entry| {
        is_selected(&entry.chunk) || receipts.contains_key(entry.chunk.document_id.as_str())
    });
    let (mut known, mut copies) = (BTreeSet::new(), Vec::new());
    let entries = entries.await?;
    let without_receipt = |id: &&DocumentId| !receipts.contains_key(id.as_str());
    let not_checked = entries.unreadable.iter().filter(without_receipt);
    let not_checked: Vec<ProblemCopy> = not_checked
        .map(|id| without_copy(id, "its ledger entry is not readable".to_owned()))
        .collect();
    for entry in entries.found {
        known.insert(entry.chunk.document_id.to_string());
        // A chunk whose state has no copy has nothing to verify.
        if is_selected(&entry.chunk) {
            copies.extend(copies_of(&entry));
        }
    }
    // Receipts of further files have their own names, and the id of their document.
    receipts.retain(|_, names| {
        let document = names.first().and_then(layout::document_of);
        document.is_none_or(|document| !known.contains(document.as_str()))
    });
    let mut selection = unknown_to_the_ledger(app, receipts, is_selected).await?;
    copies.append(&mut selection.copies);
    Ok(Selection {
        copies,
        wrong: selection.wrong,
        not_checked,
        ..Selection::default()
    })
}

/// The copies of receipts in the vault that have no entry: one of each file.
async fn unknown_to_the_ledger(
    app: &App,
    receipts: BTreeMap<String, Vec<BlobName>>,
    is_selected: impl Fn(&RecordingChunk) -> bool,
) -> anyhow::Result<Selection> {
    let (mut copies, mut wrong) = (Vec::new(), Vec::new());
    for names in receipts.into_values() {
        let Some(id) = names.first().and_then(layout::document_of) else {
            continue;
        };
        let mut of_file = Vec::new();
        for name in names {
            match recheck::kept_receipt(app.vaults.home(), &name).await? {
                Some(kept) if kept.chunk.document_id != id => {
                    let of = &kept.chunk.document_id;
                    wrong.push(without_copy(
                        &id,
                        format!("the receipt `{name}` is that of {of}"),
                    ));
                }
                Some(kept) if is_selected(&kept.chunk) => of_file.push((name, kept)),
                Some(_) => {}
                None => {
                    wrong.push(without_copy(
                        &id,
                        format!("the receipt `{name}` is not readable"),
                    ));
                }
            }
        }
        let decisive = decisive_receipt(app, of_file).await;
        copies.extend(decisive.map(|(kept_at, kept)| Copy {
            document_id: id,
            proved: ProvedCopy {
                receipt: kept.receipt,
                kept_at,
            },
            depth: Depth::Described,
            was_damaged: false,
        }));
    }
    Ok(Selection {
        copies,
        wrong,
        ..Selection::default()
    })
}

/// The copies of a chunk: that of the document's own file, and those of its further files.
fn copies_of(entry: &LedgerEntry) -> impl Iterator<Item = Copy> {
    ProvedCopy::all_of(entry).into_iter().map(|proved| Copy {
        document_id: entry.chunk.document_id.clone(),
        proved,
        depth: Depth::Described,
        was_damaged: entry.open_damage().is_some(),
    })
}

fn without_copy(id: &DocumentId, problem: String) -> ProblemCopy {
    ProblemCopy {
        document_id: id.clone(),
        problems: vec![problem],
    }
}
