//! Checkpoints that earlier versions of receipts name, where the settings ask for protection of receipts: a receipt whose
//! version is protected can be overwritten, but what it said stays.

use recording_vault::app::App;
use recording_vault::error_chain::ErrorChain;
use recording_vault::export::destination::{EarlierVersion, ExportDestination};
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
        match vault.earlier_versions(is_receipt).await {
            Ok(versions) => {
                for version in versions {
                    check(vault, called, &version, comparison).await;
                }
            }
            Err(error) => {
                let reason = ErrorChain(&error);
                comparison.not_checked.push(format!(
                    "earlier versions of receipts in {called} could not be listed: {reason}"
                ));
            }
        }
    }
}

async fn check(
    vault: &dyn ExportDestination,
    called: &str,
    version: &EarlierVersion,
    comparison: &mut Comparison,
) {
    let EarlierVersion { name, id } = version;
    let what = format!("version {id} of the receipt `{name}` in {called}");
    let content = match vault.read_earlier(version).await {
        Ok(Some(content)) => content,
        Ok(None) => return,
        Err(error) => {
            let reason = ErrorChain(&error);
            let not_checked = format!("{what} could not be read: {reason}");
            comparison.not_checked.push(not_checked);
            return;
        }
    };
    let kept = serde_json::from_slice::<KeptReceipt>(&content).ok();
    let checkpoint = kept.and_then(|kept| kept.audit_checkpoint);
    if let Some(checkpoint) = checkpoint {
        comparison.name(Anchor {
            checkpoint,
            named_by: what,
        });
    }
}
