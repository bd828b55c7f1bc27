//! Compares the vault's files with the ledger: files that are missing, and files without an entry.

use std::collections::{BTreeMap, BTreeSet};
use std::future::ready;

use futures::{StreamExt as _, TryStreamExt as _};

use super::{Finding, FindingKind, Period};
use recording_vault::app::App;
use recording_vault::catalogue::in_place::InPlaceSeen;
use recording_vault::export::destination::all_files;
use recording_vault::export::layout::{self, BlobName};
use recording_vault::export::ledger::LedgerError;
use recording_vault::export::receipt::{VaultName, VerifiedFile};
use recording_vault::export::{ChunkState, LedgerEntry};
use recording_vault::recording::DocumentId;

/// Files in the customer's own storage that are looked at concurrently.
const AT_ONCE: usize = 16;

/// Names in the folders of these days.
pub(super) async fn files(app: &App, period: Period) -> anyhow::Result<BTreeSet<BlobName>> {
    // The folder's own name sorts right before everything in it.
    let after: BlobName = period.first_folder().parse()?;
    let names = all_files(app.vaults.home(), Some(after)).map_ok(|blob| blob.name);
    // `0` comes right after `/`.
    let end = format!("{}0", period.last_folder());
    let names = names
        .try_take_while(|name| ready(Ok(name.as_str() < end.as_str())))
        .try_filter(|name| ready(period.has_folder(name.as_str())));
    Ok(names.try_collect().await?)
}

/// Compares in both directions.
pub(super) async fn compare(
    app: &App,
    entries: &[LedgerEntry],
    files: &BTreeSet<BlobName>,
) -> anyhow::Result<Vec<Finding>> {
    let mut findings: Vec<Finding> = entries
        .iter()
        .flat_map(|entry| missing(entry, files))
        .collect();
    let known: BTreeMap<&str, &ChunkState> = entries
        .iter()
        .map(|entry| (entry.chunk.document_id.as_str(), &entry.state))
        .collect();
    for name in files {
        let Some(document_id) = layout::document_of(name) else {
            let problem = "this product gives no file such a name".to_owned();
            findings.push(Finding::new(
                FindingKind::FileWithoutEntry,
                name.to_string(),
                problem,
            ));
            continue;
        };
        let found = match known.get(document_id.as_str()) {
            Some(state) => unaccounted(name, &document_id, Some(state)),
            // Its entry may be of another day.
            None => match app.ledger.find(&document_id).await {
                Ok(found) => unaccounted(
                    name,
                    &document_id,
                    found.map(|found| found.entry.state).as_ref(),
                ),
                Err(LedgerError::Corrupt { .. }) => {
                    let problem = format!(
                        "the ledger's entry is not readable; `ledger rebuild {document_id}` rewrites it"
                    );
                    Some(Finding::new(
                        FindingKind::FileWithoutEntry,
                        name.to_string(),
                        problem,
                    ))
                }
                Err(error) => return Err(error.into()),
            },
        };
        findings.extend(found);
    }
    Ok(findings)
}

/// Files of a copy that are missing. Copies in the backup vault are verified, not reconciled.
fn missing(entry: &LedgerEntry, files: &BTreeSet<BlobName>) -> Vec<Finding> {
    let at_home = entry
        .copies()
        .filter(|(_, receipt)| receipt.vault() == VaultName::Home);
    let names = at_home.flat_map(|(chunk, receipt)| {
        let kept_at = layout::receipt(entry.folder_of(chunk.file_number), &chunk);
        std::iter::once(receipt.media())
            .chain(receipt.metadata())
            .map(VerifiedFile::name)
            .cloned()
            .chain([kept_at])
            .collect::<Vec<_>>()
    });
    let found = names.filter(|name| !files.contains(name)).map(|name| {
        let problem = format!(
            "chunk {} is {}, and this file of it is not in the vault",
            entry.chunk.document_id,
            entry.state.name()
        );
        Finding::new(FindingKind::FileMissing, name.to_string(), problem)
    });
    found.collect()
}

/// What was found in the customer's own storage.
#[derive(Default)]
pub(super) struct InPlace {
    pub findings: Vec<Finding>,
    pub not_seen: usize,
}

/// Looks at files that are in the customer's own storage.
pub(super) async fn in_place(app: &App, entries: &[LedgerEntry]) -> InPlace {
    let looking = entries
        .iter()
        .map(|entry| app.catalogue.look_in_place(entry));
    let mut looking = futures::stream::iter(looking).buffered(AT_ONCE);
    let mut found = InPlace::default();
    while let Some(seen) = looking.next().await {
        match seen {
            Some(InPlaceSeen::Differs { location, problem }) => {
                let finding = Finding::new(FindingKind::FileMissing, location, problem);
                found.findings.push(finding);
            }
            Some(InPlaceSeen::NotSeen) => found.not_seen += 1,
            Some(InPlaceSeen::AsRead) | None => {}
        }
    }
    found
}

/// A file that the ledger does not account for.
fn unaccounted(
    name: &BlobName,
    document_id: &DocumentId,
    state: Option<&ChunkState>,
) -> Option<Finding> {
    let finding = |kind, problem: String| Some(Finding::new(kind, name.to_string(), problem));
    match state {
        None if name.as_str().contains("-receipt.") => finding(
            FindingKind::ReceiptWithoutEntry,
            format!(
                "the ledger has no entry of this chunk; `ledger rebuild {document_id}` writes it"
            ),
        ),
        None => finding(
            FindingKind::FileWithoutEntry,
            format!("the ledger has no entry of chunk {document_id}"),
        ),
        Some(ChunkState::Removed { .. }) => finding(
            FindingKind::FileLeft,
            format!(
                "the copy of chunk {document_id} was deleted by policy, and this file is there"
            ),
        ),
        Some(
            ChunkState::Pending
            | ChunkState::Exported { .. }
            | ChunkState::SourceDeleted { .. }
            | ChunkState::SourceLeft { .. }
            | ChunkState::Removing { .. }
            | ChunkState::InPlace { .. }
            | ChunkState::Expired { .. }
            | ChunkState::DeadLettered { .. },
        ) => None,
    }
}
