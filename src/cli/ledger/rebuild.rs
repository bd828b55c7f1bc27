//! `ledger rebuild`: writes entries again from the receipts in the vaults. What the vaults have is compared with the audit
//! log first, so that a receipt that somebody changed does not become the truth.

mod report;

use std::collections::BTreeSet;

use recording_vault::app::App;
use recording_vault::error_chain::ErrorChain;
use recording_vault::export::destination::DestinationError;
use recording_vault::export::driver::import::{ErasureLookup as _, ErasureStatus};
use recording_vault::export::ledger::{LedgerError, RebuildSource, Rebuilt, SetAside};
use recording_vault::export::receipt::VaultName;
use recording_vault::export::receipt_document::{KeptReceipt, RECEIPT_READ_LIMIT};
use recording_vault::export::recheck::{Depth, Rechecked};
use recording_vault::recording::{DocumentId, FileNumber, RecordingChunk};
use recording_vault::store::document_store::StoreError;
use recording_vault::store::holds::tags;

use self::report::{NotRebuilt, RebuildReport};
use super::logged::{self, LoggedChunks, LoggedCopies};
use crate::cli::shell_user;
use crate::cli::vault_receipts::{ReceiptPlace, ReceiptsOfBoth};

/// What an entry can be rebuilt from.
struct Remains {
    receipts: ReceiptsOfBoth,
    logged: LoggedChunks,
}

/// Rebuilds these entries, or, if none is named, all that are not readable, and those that are missing and of which a vault
/// has receipts. Lists both vaults and reads the log once.
///
/// # Errors
/// When ledger, vault or log cannot be listed. What fails for one entry does not stop the others.
pub(super) async fn rebuild(app: &App, named: Vec<DocumentId>) -> anyhow::Result<RebuildReport> {
    // Before the entries: a chunk has its entry before its receipt.
    let receipts = ReceiptsOfBoth::list(app).await?;
    let (ids, is_for_all) = if named.is_empty() {
        (unreadable_or_missing(app, &receipts).await?, true)
    } else {
        (named, false)
    };
    let mut report = RebuildReport::default();
    if is_for_all {
        report.note_backup_not_listed(receipts.backup_not_listed.as_deref());
    }
    if ids.is_empty() {
        return Ok(report);
    }
    let logged = logged::copies_of(app.ledger.audit(), &ids).await?;
    let remains = Remains { receipts, logged };
    for id in ids {
        let logged = remains.logged.of(&id);
        let outcome = match rebuild_one(app, &id, &remains, &logged).await {
            Err(why @ (NotRebuilt::WithoutReceipt | NotRebuilt::NotHeld)) => {
                set_aside(app, &id, why, &remains, &logged).await
            }
            outcome => outcome,
        };
        report.add(id, outcome);
    }
    Ok(report)
}

async fn unreadable_or_missing(
    app: &App,
    receipts: &ReceiptsOfBoth,
) -> Result<Vec<DocumentId>, LedgerError> {
    let mut without_entry = receipts.documents();
    let mut after = None;
    loop {
        let (ids, next) = app.ledger.documents(after.as_deref()).await?;
        for id in ids {
            without_entry.remove(&id);
        }
        after = next;
        if after.is_none() {
            break;
        }
    }
    let unreadable: BTreeSet<DocumentId> = app.ledger.unreadable().await?.into_iter().collect();
    without_entry.extend(unreadable);
    Ok(without_entry.into_iter().collect())
}

async fn rebuild_one(
    app: &App,
    id: &DocumentId,
    Remains {
        receipts,
        logged: log,
    }: &Remains,
    logged: &LoggedCopies,
) -> Result<Rebuilt, NotRebuilt> {
    // Files beside the document's own have their number behind its id.
    let (mut own, mut further) = (None, Vec::new());
    for number in FileNumber::all() {
        let is_own = number == FileNumber::FIRST;
        let name = if is_own {
            id.to_string()
        } else {
            format!("{id}.{number}")
        };
        let kept = match receipts.of(&name) {
            [] => continue,
            [place] => {
                let kept = kept(app, place).await?;
                kept.ok_or_else(|| NotRebuilt::Failed(unreadable_receipt(place, is_own)))?
            }
            several => {
                let held = only_held(app, id, several, logged).await?;
                held.ok_or_else(|| NotRebuilt::Ambiguous(several.to_vec()))?
            }
        };
        if is_own {
            own = Some(kept);
        } else {
            further.push(kept);
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
    // The vault may have it again, such as from a version or a backup. An entry with a copy would hide that it was deleted.
    check_not_removed(app, &own.chunk, log, logged).await?;
    if files.clone().any(|kept| logged.contradicts(&kept.receipt)) {
        return Err(NotRebuilt::Contradicted);
    }
    if let Some(unread) = log.unread()
        && files.any(|kept| !logged.has(&kept.receipt))
    {
        return Err(NotRebuilt::Failed(format!(
            "{unread}, and may contradict its receipt: make the documents readable that `recording-vault audit verify` names"
        )));
    }
    check_held(app, &own).await?;
    let source = RebuildSource {
        kept: own,
        further,
        previous: logged.last(),
    };
    let operator = shell_user::operator();
    Ok(app.ledger.rebuild(id, source, &operator).await?)
}

/// # Errors
/// When its copy was removed, or its removal was begun, or that is not known.
async fn check_not_removed(
    app: &App,
    chunk: &RecordingChunk,
    log: &LoggedChunks,
    logged: &LoggedCopies,
) -> Result<(), NotRebuilt> {
    if logged.is_removed() || is_erased(app, chunk).await? {
        return Err(removed(app, log, Some(chunk)).await?);
    }
    if logged.is_removal_begun() {
        return Err(NotRebuilt::RemovalBegun);
    }
    Ok(())
}

/// # Errors
/// When the copy of a receipt is missing or not as it was proved, or that is not known.
async fn check_held(app: &App, own: &KeptReceipt) -> Result<(), NotRebuilt> {
    match app.vaults.recheck(&own.receipt, Depth::Described).await {
        Rechecked::Same(_) => Ok(()),
        Rechecked::Missing(_) | Rechecked::Different(_) => Err(NotRebuilt::NotHeld),
        Rechecked::NotChecked(error) => Err(error.into()),
    }
}

/// What to do about a chunk that was removed. Nothing that the vaults have of it again may be deleted if it is or may be held,
/// or if the log may say that it was recorded again.
async fn removed(
    app: &App,
    log: &LoggedChunks,
    chunk: Option<&RecordingChunk>,
) -> Result<NotRebuilt, NotRebuilt> {
    if let Some(unread) = log.unread() {
        let reason = format!("{unread}, and may say that it was recorded again");
        return Ok(NotRebuilt::RemovedInDoubt(reason));
    }
    let holds = app.ledger.holds();
    let failed = |error: StoreError| NotRebuilt::Failed(ErrorChain(&error).to_string());
    let Some(chunk) = chunk else {
        // No receipt names its recording.
        let is_any = holds.all().await.map_err(failed)?;
        let is_none = is_any.holds.is_empty() && is_any.unreadable.is_empty();
        let reason = "no receipt names its recording, and there are holds".to_owned();
        return Ok(if is_none {
            NotRebuilt::Removed
        } else {
            NotRebuilt::RemovedInDoubt(reason)
        });
    };
    let cases = match holds.cases_by_name(chunk).await {
        Ok(cases) => cases,
        Err(error) => {
            let reason = format!("whether it is held is not known: {}", ErrorChain(&error));
            return Ok(NotRebuilt::RemovedInDoubt(reason));
        }
    };
    if !cases.is_empty() {
        let reason = format!("it is held for {}", tags(&cases));
        return Ok(NotRebuilt::RemovedInDoubt(reason));
    }
    if holds.standing().await.map_err(failed)?.is_empty() {
        return Ok(NotRebuilt::Removed);
    }
    let reason = "a hold of a person or a period may cover it".to_owned();
    Ok(NotRebuilt::RemovedInDoubt(reason))
}

/// Whether the recording of a chunk was erased, whatever could be read of the log.
async fn is_erased(app: &App, chunk: &RecordingChunk) -> Result<bool, NotRebuilt> {
    match app.catalogue.erasure_of(&chunk.filed_under()).await {
        ErasureStatus::Erased => Ok(true),
        ErasureStatus::NotErased => Ok(false),
        ErasureStatus::Unknown { reason } => Err(NotRebuilt::Failed(format!(
            "whether its recording was erased is not known: {reason}"
        ))),
    }
}

/// Makes a replay record a chunk again whose entry is not readable, after no vault had a receipt of it whose copy is there.
/// `why` is the answer if there is no entry.
async fn set_aside(
    app: &App,
    id: &DocumentId,
    why: NotRebuilt,
    remains: &Remains,
    logged: &LoggedCopies,
) -> Result<Rebuilt, NotRebuilt> {
    if let Some(reason) = &remains.receipts.backup_not_listed {
        let reason =
            format!("the backup vault, which may have its copy, could not be listed: {reason}");
        return Err(NotRebuilt::Failed(reason));
    }
    if logged.is_in_backup() && !app.vaults.has_backup() {
        let reason = "the audit log says that its copy is in the backup vault, and BACKUP_VAULT_URL is not set";
        return Err(NotRebuilt::Failed(reason.to_owned()));
    }
    if logged.is_removed() {
        return Err(removed(app, &remains.logged, None).await?);
    }
    if logged.is_removal_begun() {
        return Err(NotRebuilt::RemovalBegun);
    }
    let before = logged.before_set_aside();
    let operator = shell_user::operator();
    match app.ledger.set_aside(id, before, &operator).await? {
        SetAside::Done => Err(NotRebuilt::AwaitingEvent),
        SetAside::NoEntry => Err(why),
        SetAside::Readable => Ok(Rebuilt::Readable),
        SetAside::Changed => Ok(Rebuilt::Changed),
    }
}

/// The receipt whose copy is still the proved one, if it is the only one of its vault that the log does not contradict: a
/// chunk that was exported again into another folder still has its earlier receipt in the first one. That at home counts
/// more than that in the backup vault.
async fn only_held(
    app: &App,
    id: &DocumentId,
    places: &[ReceiptPlace],
    logged: &LoggedCopies,
) -> Result<Option<KeptReceipt>, NotRebuilt> {
    for vault in [VaultName::Home, VaultName::Backup] {
        let mut held = Vec::new();
        for place in places.iter().filter(|place| place.vault == vault) {
            let Some(kept) = kept(app, place).await? else {
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
        if let Some(kept) = held.pop() {
            return Ok(Some(kept).filter(|_| held.is_empty()));
        }
    }
    Ok(None)
}

async fn kept(app: &App, place: &ReceiptPlace) -> Result<Option<KeptReceipt>, DestinationError> {
    let vault = app.vaults.get(place.vault, &place.name)?;
    let content = vault.read(&place.name, 0..RECEIPT_READ_LIMIT).await?;
    Ok(serde_json::from_slice(&content).ok())
}

/// What to do about a receipt that is not readable.
fn unreadable_receipt(place: &ReceiptPlace, is_own: bool) -> String {
    if is_own {
        format!(
            "its receipt {place} is not readable: restore an earlier version of it; if there is none, move it away, run this again, \
             and replay the events of the chunk"
        )
    } else {
        format!(
            "the receipt {place} of another file of it is not readable: restore an earlier version of it; if there is none, move it \
             away, run this again, and replay the events of the chunk"
        )
    }
}
