//! Receipts in the vaults that no entry claims. Lists both vaults, and reads each such receipt: it proves as much about the
//! log as the others.

use jiff::{SignedDuration, Timestamp};
use recording_vault::app::App;
use recording_vault::error_chain::ErrorChain;
use recording_vault::export::destination::{DestinationError, ExportDestination};
use recording_vault::export::layout::{self, BlobName};
use recording_vault::export::ledger::LedgerError;
use recording_vault::export::receipt::VaultName;
use recording_vault::export::receipt_document::KeptReceipt;
use recording_vault::export::recheck;
use recording_vault::export::{ChunkState, ExportReceipt, LedgerEntry};
use recording_vault::recording::DocumentId;

use super::copies::is_leaving;
use crate::cli::audit::findings::{Anchor, ClaimedReceipt, Comparison};
use crate::cli::audit::logged::LoggedChunks;
use crate::cli::audit::logged::chunk::LoggedChunk;
use crate::cli::audit::read_log::ReadLog;
use crate::cli::vault_receipts::receipt_names;

/// After a removal, late requests and the sweep that looks for what they wrote have ended.
const LATE_WRITES: SignedDuration = SignedDuration::from_hours(1);

/// A receipt that no entry claims.
struct Stray<'a> {
    vault: VaultName,
    destination: &'a dyn ExportDestination,
    name: BlobName,
    id: DocumentId,
}

/// What was found under the name of a stray.
enum StrayContent {
    Receipt(Box<KeptReceipt>),
    /// It is no receipt.
    Damaged,
    /// It was removed after the listing.
    Gone,
    NotRead,
}

impl StrayContent {
    fn receipt(&self) -> Option<&KeptReceipt> {
        match self {
            Self::Receipt(kept) => Some(kept),
            Self::Damaged | Self::Gone | Self::NotRead => None,
        }
    }
}

pub(super) async fn find(
    app: &App,
    (logged, read): (&LoggedChunks, &ReadLog),
    comparison: &mut Comparison,
) {
    let home = (VaultName::Home, app.vaults.home());
    let backup = app
        .vaults
        .backup()
        .map(|backup| (VaultName::Backup, backup));
    for (vault, destination) in std::iter::once(home).chain(backup) {
        let names = match receipt_names(destination).await {
            Ok(names) => names,
            Err(error) => {
                let (vault, reason) = (called(vault), ErrorChain(&error));
                comparison
                    .not_checked
                    .push(format!("{vault} could not be listed: {reason}"));
                continue;
            }
        };
        for name in names {
            let is_claimed = comparison
                .claimed
                .contains(&ClaimedReceipt::of(vault, &name));
            let Some(id) = layout::document_of(&name).filter(|_| !is_claimed) else {
                continue;
            };
            let stray = Stray {
                vault,
                destination,
                name,
                id,
            };
            let logged = logged.of(&stray.id);
            stray.check(app, (&logged, read), comparison).await;
        }
    }
}

impl Stray<'_> {
    async fn check(
        &self,
        app: &App,
        (logged, read): (&LoggedChunk, &ReadLog),
        comparison: &mut Comparison,
    ) {
        let Self {
            vault, name, id, ..
        } = self;
        let vault_name = called(*vault);
        let stray = match self.read().await {
            Ok(StrayContent::Gone) => return,
            Ok(content) => content,
            Err(error) => {
                let reason = ErrorChain(&error);
                comparison.not_checked.push(format!(
                    "the receipt `{name}` in {vault_name} could not be read: {reason}"
                ));
                StrayContent::NotRead
            }
        };
        comparison.receipts += 1;
        let kept = stray.receipt();
        let checkpoint = kept.and_then(|kept| kept.audit_checkpoint);
        if let Some(checkpoint) = checkpoint {
            let named_by = format!("the receipt of chunk {id} in {vault_name}");
            comparison.name(Anchor {
                checkpoint,
                named_by,
            });
        }
        let problem = match app.ledger.find(id).await {
            Ok(None) => format!(
                "{vault_name} has a receipt of chunk {id}, and the ledger has no entry of it"
            ),
            Ok(Some(found)) => {
                let logged = (logged, read);
                self.check_entry(app, (&found.entry, &stray), logged, comparison)
                    .await;
                return;
            }
            // The entry is reported with the others. What it would be rebuilt from must be what the log says.
            Err(LedgerError::Corrupt { .. }) => match kept {
                Some(kept) if logged.contradicts(&kept.receipt) => self.contradicted(vault_name),
                Some(_) | None => return,
            },
            Err(error) => {
                let reason = ErrorChain(&error);
                comparison.not_checked.push(format!(
                    "the receipt `{name}` in {vault_name}: the entry of its chunk could not be read: {reason}"
                ));
                return;
            }
        };
        comparison.problems.push(problem);
    }

    async fn check_entry(
        &self,
        app: &App,
        (entry, stray): (&LedgerEntry, &StrayContent),
        (logged, read): (&LoggedChunk, &ReadLog),
        comparison: &mut Comparison,
    ) {
        if let ChunkState::Removed { removed_at, .. } = &entry.state {
            let removed_at = logged.entered_at(&entry.state).unwrap_or(*removed_at);
            self.check_removed(app, removed_at, comparison).await;
            return;
        }
        let receipt = stray.receipt().map(|kept| &kept.receipt);
        let is_not_read = matches!(stray, StrayContent::NotRead);
        if is_not_read || self.is_explained(entry, logged, receipt) {
            return;
        }
        let Self {
            vault, name, id, ..
        } = self;
        let problem = format!(
            "{} has a receipt of chunk {id}, `{name}`, which its entry does not claim",
            called(*vault)
        );
        if read.lacks_records_of(entry) {
            comparison.maybe_unread(&problem);
        } else {
            comparison.problems.push(problem);
        }
    }

    /// Checks a receipt of a copy that was deleted. An export that lost its claim may have written it a little later.
    async fn check_removed(&self, app: &App, removed_at: Timestamp, comparison: &mut Comparison) {
        let Self { name, id, .. } = self;
        if may_be_late(removed_at, app.clock.now()) {
            return;
        }
        let what = format!(
            "{} has a receipt of chunk {id}, `{name}`, and its copy was deleted at {removed_at:.0}",
            called(self.vault)
        );
        match app.ledger.is_cleared_unchecked(id).await {
            Ok(false) => comparison.problems.push(format!(
                "{what}: its files were restored, or some were not deleted; run `recording-vault reconcile`"
            )),
            Ok(true) => comparison.not_checked.push(format!(
                "{what}: a sweep still has to delete what was written afterwards, and a hold or a policy of the vault may prevent that"
            )),
            Err(error) => {
                let reason = ErrorChain(&error);
                comparison.not_checked.push(format!(
                    "{what}: whether a sweep still has to delete it: {reason}"
                ));
            }
        }
    }

    fn contradicted(&self, vault_name: &str) -> String {
        let Self { name, id, .. } = self;
        format!(
            "the entry of chunk {id} is not readable, and no record has the proof of its receipt `{name}` in {vault_name}: the \
             receipt was changed"
        )
    }

    async fn read(&self) -> Result<StrayContent, DestinationError> {
        let kept = recheck::kept_receipt(self.destination, &self.name).await?;
        Ok(match kept {
            Some(kept) => StrayContent::Receipt(Box::new(kept)),
            None if self.destination.inspect(&self.name).await?.is_none() => StrayContent::Gone,
            None => StrayContent::Damaged,
        })
    }

    /// Whether a receipt that its entry does not claim may be there.
    fn is_explained(
        &self,
        entry: &LedgerEntry,
        logged: &LoggedChunk,
        receipt: Option<&ExportReceipt>,
    ) -> bool {
        // Written meanwhile, about to be, or about to be removed.
        let is_claimed_now = entry.copies().any(|(chunk, receipt)| {
            let name = layout::receipt(entry.folder_of(chunk.file_number), &chunk);
            receipt.vault() == self.vault && name == self.name
        });
        if is_claimed_now || entry.is_open() || is_leaving(&entry.state) {
            return true;
        }
        let is_proof_logged = receipt.is_some_and(|receipt| logged.has_proof(receipt));
        // The process that imported it may have ended before it wrote the entry.
        let is_import = receipt.is_some_and(|receipt| receipt.imported().is_some());
        match &entry.state {
            // Of a copy that was made before: in the backup vault, or one that the vault has lost.
            ChunkState::Exported { .. }
            | ChunkState::SourceDeleted { .. }
            | ChunkState::SourceLeft { .. } => is_proof_logged,
            ChunkState::Pending
            | ChunkState::InPlace { .. }
            | ChunkState::Expired { .. }
            | ChunkState::DeadLettered { .. } => {
                is_proof_logged && (is_import || logged.was_reopened())
            }
            ChunkState::Removing { .. } | ChunkState::Removed { .. } => true,
        }
    }
}

/// Whether a receipt may have been written, or be about to be deleted, since its copy was deleted.
fn may_be_late(removed_at: Timestamp, now: Timestamp) -> bool {
    now.duration_since(removed_at) < LATE_WRITES
}

fn called(vault: VaultName) -> &'static str {
    match vault {
        VaultName::Home => "the vault",
        VaultName::Backup => "the backup vault",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receipt_may_be_there_for_an_hour_after_its_copy_was_deleted() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let removed_at = at("2026-03-02T10:00:00Z");
        assert!(may_be_late(removed_at, at("2026-03-02T09:55:00Z")));
        assert!(may_be_late(removed_at, at("2026-03-02T10:59:59Z")));
        assert!(!may_be_late(removed_at, at("2026-03-02T11:00:00Z")));
    }
}
