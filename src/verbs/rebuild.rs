//! `recording-vault ledger rebuild`: writes entries anew that are not readable, from the receipts in the vault.

use std::fmt;

use serde::Serialize;

use crate::app::App;
use crate::export::layout::BlobName;
use crate::export::ledger::Rebuilt;
use crate::export::transfer::chunk::{KeptReceipt, RECEIPT_READ_LIMIT};
use crate::recording::DocumentId;

/// What became of each entry.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RebuildReport {
    /// The next sweep goes on with them.
    pub rebuilt: Vec<DocumentId>,
    /// They are readable: nothing was changed.
    pub readable: Vec<DocumentId>,
    /// The vault has no receipt of them; their events have to be replayed.
    pub without_receipt: Vec<DocumentId>,
    /// The vault does not hold what their receipt says; their events have to be replayed.
    pub not_held: Vec<DocumentId>,
}

impl fmt::Display for RebuildReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let groups: [(&[_], _); 4] = [
            (&self.rebuilt, "is rebuilt; the next sweep goes on with it"),
            (&self.readable, "is readable; nothing was changed"),
            (
                &self.without_receipt,
                "has no receipt in the vault: replay its event",
            ),
            (
                &self.not_held,
                "is not in the vault as its receipt says: replay its event",
            ),
        ];
        super::write_lines(f, &groups, "Every entry is readable.")
    }
}

/// Rebuilds these entries, or, if none is named, all that are not readable. Lists the whole vault once.
///
/// # Errors
/// When the ledger or the vault fails.
pub async fn run(app: &App, named: Vec<DocumentId>) -> anyhow::Result<RebuildReport> {
    let ledger = &app.ledger;
    let ids = if named.is_empty() {
        ledger.unreadable().await?
    } else {
        named
    };
    let mut report = RebuildReport::default();
    if ids.is_empty() {
        return Ok(report);
    }
    let receipts = super::receipts(app).await?;
    for id in ids {
        let Some(kept) = kept(app, receipts.get(id.as_str())).await? else {
            report.without_receipt.push(id);
            continue;
        };
        if !app.driver.still_holds(&kept.receipt).await? {
            report.not_held.push(id);
            continue;
        }
        match ledger.rebuild(&id, kept).await? {
            Rebuilt::Rebuilt => report.rebuilt.push(id),
            Rebuilt::Readable | Rebuilt::Changed => report.readable.push(id),
        }
    }
    Ok(report)
}

async fn kept(app: &App, name: Option<&BlobName>) -> anyhow::Result<Option<KeptReceipt>> {
    let Some(name) = name else { return Ok(None) };
    let content = app.vaults.home().read(name, 0..RECEIPT_READ_LIMIT).await?;
    Ok(serde_json::from_slice(&content).ok())
}
