//! `recording-vault ledger`: rebuilds unreadable entries from the receipts in the vault, and the index from all
//! entries.

use std::fmt;

use clap::Subcommand;
use recording_vault::app::App;
use recording_vault::catalogue::rebuild::IndexReport;
use recording_vault::config::Config;
use recording_vault::counted::counted;
use recording_vault::export::layout::BlobName;
use recording_vault::export::ledger::Rebuilt;
use recording_vault::export::receipt_document::{KeptReceipt, RECEIPT_READ_LIMIT};
use recording_vault::export::recheck::{Depth, Rechecked};
use recording_vault::recording::{DocumentId, FileNumber};
use serde::Serialize;

use super::existing;
use super::exit::Exit;
use super::output::{Output, write_groups};
use super::vault_receipts::{decisive_receipt, vault_receipts};

/// The verbs of `ledger`.
#[derive(Subcommand)]
pub enum Ledger {
    /// Rewrite the index, by which recordings are found, from all accounts and entries
    Index,
    /// Rewrite entries from the receipts in the vault: those named, or all that are not readable
    Rebuild { documents: Vec<DocumentId> },
}

impl Ledger {
    /// # Errors
    /// When the ledger or the vault fails.
    pub async fn run(self, config: Config, output: Output) -> anyhow::Result<Exit> {
        let app = existing::open_to_repair(config).await?;
        match self {
            Self::Index => {
                let report = IndexedReport(app.catalogue.index_everything().await?);
                output.report(&report)?;
                Ok(Exit::fine_if(report.0.problems.is_empty()))
            }
            Self::Rebuild { documents } => {
                let report = rebuild(&app, documents).await?;
                output.report(&report)?;
                Ok(Exit::fine_if(
                    report.changed.is_empty()
                        && report.without_receipt.is_empty()
                        && report.not_held.is_empty(),
                ))
            }
        }
    }
}

/// What was indexed.
#[derive(Debug, Serialize)]
#[serde(transparent)]
struct IndexedReport(IndexReport);

impl fmt::Display for IndexedReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let IndexReport {
            recordings,
            chunks,
            metadata_read,
            problems,
        } = &self.0;
        let recordings = counted(*recordings, "recording", "recordings");
        let chunks = counted(*chunks, "chunk", "chunks");
        write!(
            f,
            "Indexed {recordings} and {chunks}; the metadata of {metadata_read} was read from the vault"
        )?;
        problems
            .iter()
            .try_for_each(|problem| write!(f, "\n{problem}"))
    }
}

/// The outcome for each entry.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct RebuildReport {
    /// What later events announced of them is not known: their sources are not deleted at ACS, and their copies are
    /// doubtful until an operator accepts them.
    pub rebuilt: Vec<DocumentId>,
    /// They are readable: nothing was changed.
    pub readable: Vec<DocumentId>,
    /// Another process wrote them meanwhile: nothing was changed.
    pub changed: Vec<DocumentId>,
    /// The vault has no receipt of them; their events have to be replayed.
    pub without_receipt: Vec<DocumentId>,
    /// Their copies are missing or differ from their receipts; their events have to be replayed.
    pub not_held: Vec<DocumentId>,
}

impl fmt::Display for RebuildReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let groups: [(&[_], _); 5] = [
            (
                &self.rebuilt,
                "is rebuilt; whether events announced a longer form or another place of it is unknown, so its source is not deleted at ACS: replay its events, check its copy, then run `accept`",
            ),
            (&self.readable, "is readable; nothing was changed"),
            (
                &self.changed,
                "was written by another process meanwhile; nothing was changed: repeat the command",
            ),
            (
                &self.without_receipt,
                "has no receipt in the vault: replay its event",
            ),
            (
                &self.not_held,
                "differs from its receipt, or is missing in the vault: replay its event",
            ),
        ];
        write_groups(f, &groups, "Every entry is readable.")
    }
}

/// Rebuilds these entries, or, if none is named, all that are not readable. Lists the whole vault once.
async fn rebuild(app: &App, named: Vec<DocumentId>) -> anyhow::Result<RebuildReport> {
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
    let receipts = vault_receipts(app).await?;
    for id in ids {
        // Files beside the document's own have their number behind its id.
        let mut files = Vec::new();
        for number in FileNumber::all() {
            let name = match number {
                FileNumber::FIRST => id.to_string(),
                number => format!("{id}.{number}"),
            };
            let names = receipts.get(&name).map_or(&[][..], Vec::as_slice);
            files.extend(kept(app, names).await?);
        }
        if files.is_empty() {
            report.without_receipt.push(id);
            continue;
        }
        let kept = files.remove(0);
        match app.vaults.recheck(&kept.receipt, Depth::Described).await {
            Rechecked::Same => {}
            Rechecked::Missing(_) | Rechecked::Different(_) => {
                report.not_held.push(id);
                continue;
            }
            Rechecked::NotChecked(error) => return Err(error.into()),
        }
        match ledger.rebuild_with(&id, kept, files).await? {
            Rebuilt::Rebuilt => report.rebuilt.push(id),
            Rebuilt::Readable => report.readable.push(id),
            Rebuilt::Changed => report.changed.push(id),
        }
    }
    Ok(report)
}

/// The receipt of one file to rebuild from, of all that the vault has under these names.
async fn kept(app: &App, names: &[BlobName]) -> anyhow::Result<Option<KeptReceipt>> {
    let mut receipts = Vec::new();
    for name in names {
        let content = app.vaults.home().read(name, 0..RECEIPT_READ_LIMIT).await?;
        receipts.extend(serde_json::from_slice(&content).map(|kept| (name.clone(), kept)));
    }
    let decisive = decisive_receipt(app, receipts).await;
    Ok(decisive.map(|(_, kept)| kept))
}
