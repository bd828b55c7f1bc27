//! `ledger rebuild`: writes entries again from the receipts in the vault. What the vault has is compared with the audit log
//! first, so that a receipt that somebody changed does not become the truth.

use std::collections::BTreeMap;
use std::fmt;

use recording_vault::app::App;
use recording_vault::error_chain::ErrorChain;
use recording_vault::export::destination::DestinationError;
use recording_vault::export::layout::BlobName;
use recording_vault::export::ledger::{LedgerError, RebuildSource, Rebuilt};
use recording_vault::export::receipt_document::{KeptReceipt, RECEIPT_READ_LIMIT};
use recording_vault::export::recheck::{Depth, Rechecked};
use recording_vault::recording::{DocumentId, FileNumber};
use serde::Serialize;

use super::logged::{self, LoggedCopies};
use crate::cli::shell_user;
use crate::cli::vault_receipts::vault_receipts;

/// The outcome for each entry.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RebuildReport {
    /// What later events announced of them is not known: their sources are not deleted at ACS, and their copies are
    /// doubtful until an operator accepts them.
    rebuilt: Vec<DocumentId>,
    /// They are readable: nothing was changed.
    readable: Vec<DocumentId>,
    /// Another process wrote them meanwhile: nothing was changed.
    changed: Vec<DocumentId>,
    /// The vault has no receipt of them; their events have to be replayed.
    without_receipt: Vec<DocumentId>,
    /// Their copies are missing or differ from their receipts; their events have to be replayed.
    not_held: Vec<DocumentId>,
    /// The vault has several receipts of one of their files: nothing was changed.
    ambiguous: Vec<AmbiguousReceipts>,
    /// Their receipts are those of other chunks: nothing was changed.
    of_another: Vec<DocumentId>,
    /// The audit log has other proofs of their copies than their receipts: nothing was changed.
    contradicted: Vec<DocumentId>,
    /// Their receipts or copies could not be read: nothing was changed.
    not_checked: Vec<NotCheckedEntry>,
}

/// Receipts of which only one can be right.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct AmbiguousReceipts {
    document_id: DocumentId,
    receipts: Vec<BlobName>,
}

/// A chunk that could not be looked into.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct NotCheckedEntry {
    document_id: DocumentId,
    reason: String,
}

/// Why an entry is not rebuilt.
enum NotRebuilt {
    WithoutReceipt,
    Ambiguous(Vec<BlobName>),
    NotHeld,
    Contradicted,
    Failed(String),
}

impl From<DestinationError> for NotRebuilt {
    fn from(error: DestinationError) -> Self {
        Self::Failed(ErrorChain(&error).to_string())
    }
}

impl From<LedgerError> for NotRebuilt {
    fn from(error: LedgerError) -> Self {
        Self::Failed(ErrorChain(&error).to_string())
    }
}

impl RebuildReport {
    pub fn is_done(&self) -> bool {
        self.changed.is_empty()
            && self.without_receipt.is_empty()
            && self.not_held.is_empty()
            && self.ambiguous.is_empty()
            && self.of_another.is_empty()
            && self.contradicted.is_empty()
            && self.not_checked.is_empty()
    }

    fn add(&mut self, document_id: DocumentId, outcome: Result<Rebuilt, NotRebuilt>) {
        let group = match outcome {
            Ok(Rebuilt::Rebuilt) => &mut self.rebuilt,
            Ok(Rebuilt::Readable) => &mut self.readable,
            Ok(Rebuilt::Changed) => &mut self.changed,
            Ok(Rebuilt::OtherChunk) => &mut self.of_another,
            Err(NotRebuilt::WithoutReceipt) => &mut self.without_receipt,
            Err(NotRebuilt::NotHeld) => &mut self.not_held,
            Err(NotRebuilt::Contradicted) => &mut self.contradicted,
            Err(NotRebuilt::Ambiguous(receipts)) => {
                self.ambiguous.push(AmbiguousReceipts {
                    document_id,
                    receipts,
                });
                return;
            }
            Err(NotRebuilt::Failed(reason)) => {
                self.not_checked.push(NotCheckedEntry {
                    document_id,
                    reason,
                });
                return;
            }
        };
        group.push(document_id);
    }
}

impl fmt::Display for RebuildReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = |items: &[DocumentId], what: &str| -> Vec<String> {
            items.iter().map(|id| format!("{id} {what}")).collect()
        };
        let ambiguous = self.ambiguous.iter().map(|of| {
            let receipts: Vec<String> = of.receipts.iter().map(|name| format!("`{name}`")).collect();
            let (id, receipts) = (&of.document_id, receipts.join(", "));
            format!("{id} has several receipts in the vault: {receipts}; nothing was changed: move those away that are not its own")
        });
        let not_checked = self.not_checked.iter().map(|of| {
            let (id, reason) = (&of.document_id, &of.reason);
            format!("{id} was not checked, and nothing was changed: {reason}")
        });
        let mut all = lines(
            &self.rebuilt,
            "is rebuilt; whether events announced a longer form or another place of it is unknown, so its source is not deleted at ACS: replay its events, check its copy, then run `accept`",
        );
        all.extend(lines(&self.readable, "is readable; nothing was changed"));
        all.extend(lines(
            &self.changed,
            "was written by another process meanwhile; nothing was changed: repeat the command",
        ));
        all.extend(lines(
            &self.without_receipt,
            "has no receipt in the vault: replay its event",
        ));
        all.extend(lines(
            &self.not_held,
            "differs from its receipt, or is missing in the vault: replay its event",
        ));
        all.extend(ambiguous);
        all.extend(lines(
            &self.of_another,
            "has a receipt in the vault that is another chunk's; nothing was changed: restore its receipt, or replay its event",
        ));
        all.extend(lines(
            &self.contradicted,
            "has a receipt in the vault whose proof the audit log does not have; nothing was changed: compare the copy with `recording-vault audit show`, restore the receipt, or replay its event",
        ));
        all.extend(not_checked);
        f.write_str(&if all.is_empty() {
            "Every entry that exists is readable. Entries that are missing are rebuilt if you name them. Accounts of recordings were not looked at: `status --check` reads them.".to_owned()
        } else {
            all.join("\n")
        })
    }
}

/// Rebuilds these entries, or, if none is named, all that are not readable. Lists the whole vault and reads the log once.
///
/// # Errors
/// When ledger, vault or log cannot be listed. What fails for one entry does not stop the others.
pub(super) async fn rebuild(app: &App, named: Vec<DocumentId>) -> anyhow::Result<RebuildReport> {
    let ids = if named.is_empty() {
        app.ledger.unreadable().await?
    } else {
        named
    };
    let mut report = RebuildReport::default();
    if ids.is_empty() {
        return Ok(report);
    }
    let receipts = vault_receipts(app).await?;
    let logged = logged::copies_of(app.ledger.audit(), &ids).await?;
    let nothing = LoggedCopies::default();
    for id in ids {
        let logged = logged.get(id.as_str()).unwrap_or(&nothing);
        let outcome = rebuild_one(app, &id, &receipts, logged).await;
        report.add(id, outcome);
    }
    Ok(report)
}

async fn rebuild_one(
    app: &App,
    id: &DocumentId,
    receipts: &BTreeMap<String, Vec<BlobName>>,
    logged: &LoggedCopies,
) -> Result<Rebuilt, NotRebuilt> {
    // Files beside the document's own have their number behind its id.
    let (mut own, mut further) = (None, Vec::new());
    for number in FileNumber::all() {
        let name = match number {
            FileNumber::FIRST => id.to_string(),
            number => format!("{id}.{number}"),
        };
        let kept = match receipts.get(&name).map_or(&[][..], Vec::as_slice) {
            [] => continue,
            [name] => {
                let unreadable = || format!("its receipt `{name}` is not readable");
                let kept = kept(app, name).await?;
                kept.ok_or_else(|| NotRebuilt::Failed(unreadable()))?
            }
            several => {
                let held = only_held(app, id, several, logged).await?;
                held.ok_or_else(|| NotRebuilt::Ambiguous(several.to_vec()))?
            }
        };
        match number {
            FileNumber::FIRST => own = Some(kept),
            _ => further.push(kept),
        }
    }
    // A receipt of a further file says nothing of the document's own.
    let Some(own) = own else {
        return Err(NotRebuilt::WithoutReceipt);
    };
    let mut files = std::iter::once(&own).chain(&further);
    if files.clone().any(|kept| kept.chunk.document_id != *id) {
        return Ok(Rebuilt::OtherChunk);
    }
    if files.any(|kept| logged.contradicts(&kept.receipt)) {
        return Err(NotRebuilt::Contradicted);
    }
    match app.vaults.recheck(&own.receipt, Depth::Described).await {
        Rechecked::Same(_) => {}
        Rechecked::Missing(_) | Rechecked::Different(_) => return Err(NotRebuilt::NotHeld),
        Rechecked::NotChecked(error) => return Err(error.into()),
    }
    let source = RebuildSource {
        kept: own,
        further,
        previous: logged.last(),
    };
    let operator = shell_user::operator();
    Ok(app.ledger.rebuild(id, source, &operator).await?)
}

/// The receipt whose copy is still the proved one, if it is the only one of these that the log does not contradict: a chunk
/// that was exported again into another folder still has its earlier receipt in the first one.
async fn only_held(
    app: &App,
    id: &DocumentId,
    names: &[BlobName],
    logged: &LoggedCopies,
) -> Result<Option<KeptReceipt>, NotRebuilt> {
    let mut held = Vec::new();
    for name in names {
        let Some(kept) = kept(app, name).await? else {
            continue;
        };
        if kept.chunk.document_id != *id || logged.contradicts(&kept.receipt) {
            continue;
        }
        match app.vaults.recheck(&kept.receipt, Depth::Described).await {
            Rechecked::Same(_) => held.push(kept),
            Rechecked::Missing(_) | Rechecked::Different(_) => {}
            Rechecked::NotChecked(error) => return Err(error.into()),
        }
    }
    Ok(held.pop().filter(|_| held.is_empty()))
}

async fn kept(app: &App, name: &BlobName) -> Result<Option<KeptReceipt>, DestinationError> {
    let content = app.vaults.home().read(name, 0..RECEIPT_READ_LIMIT).await?;
    Ok(serde_json::from_slice(&content).ok())
}
