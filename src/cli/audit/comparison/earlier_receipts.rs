//! Checkpoints that earlier versions of receipts name, where the settings ask for protection of receipts: a receipt whose
//! version is protected can be overwritten, but what it said stays.

use recording_vault::app::App;
use recording_vault::error_chain::ErrorChain;
use recording_vault::export::destination::{DestinationError, ExportDestination};
use recording_vault::export::receipt_document::KeptReceipt;

use crate::cli::audit::findings::{Anchor, Comparison};
use crate::cli::vault_receipts::is_receipt;

/// What cannot be read is not checked.
pub(super) async fn find(app: &App, comparison: &mut Comparison) {
    let home = ("the vault", app.vaults.home());
    let backup = app
        .vaults
        .backup()
        .map(|backup| ("the backup vault", backup));
    for (called, vault) in std::iter::once(home).chain(backup) {
        if !vault.asks_for_protection() {
            continue;
        }
        if let Err(error) = find_in(vault, called, comparison).await {
            let reason = ErrorChain(&error);
            comparison.not_checked.push(format!(
                "earlier versions of receipts in {called} could not be read: {reason}"
            ));
        }
    }
}

async fn find_in(
    vault: &dyn ExportDestination,
    called: &str,
    comparison: &mut Comparison,
) -> Result<(), DestinationError> {
    for version in vault.earlier_versions(is_receipt).await? {
        let Some(content) = vault.read_earlier(&version).await? else {
            continue;
        };
        let kept = serde_json::from_slice::<KeptReceipt>(&content).ok();
        let Some(checkpoint) = kept.and_then(|kept| kept.audit_checkpoint) else {
            continue;
        };
        let (name, id) = (&version.name, &version.id);
        let named_by = format!("version {id} of the receipt `{name}` in {called}");
        comparison.name(Anchor {
            checkpoint,
            named_by,
        });
    }
    Ok(())
}
