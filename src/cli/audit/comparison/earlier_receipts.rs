//! Checkpoints that earlier versions of receipts name: a receipt whose version is protected can be overwritten, but what it
//! said stays. The settings of today do not say which versions a storage has: they may be protected by an earlier setting, or
//! by a policy of the container.

use futures::StreamExt as _;
use recording_vault::app::App;
use recording_vault::error_chain::ErrorChain;
use recording_vault::export::destination::{EarlierVersion, ExportDestination};
use recording_vault::export::receipt_document::KeptReceipt;

use crate::cli::audit::findings::{Anchor, Comparison};
use crate::cli::vault_receipts::is_receipt;

/// Versions that are read together: where recordings were removed, there may be many.
const AT_ONCE: usize = 16;

/// What an earlier version of a receipt says of the log.
enum EarlierReceipt {
    Names(Anchor),
    /// It names no checkpoint, is no receipt, or was removed after the listing.
    NamesNothing,
    NotRead(String),
}

/// Lists each vault once more, with its versions. What cannot be read is not checked.
pub(super) async fn find(app: &App, comparison: &mut Comparison) {
    let home = ("the vault", app.vaults.home());
    let backup = app
        .vaults
        .backup()
        .map(|backup| ("the backup vault", backup));
    for (called, vault) in std::iter::once(home).chain(backup) {
        match vault.earlier_versions(is_receipt).await {
            Ok(versions) => check_all(vault, called, versions, comparison).await,
            Err(error) => {
                let reason = ErrorChain(&error);
                comparison.not_checked.push(format!(
                    "earlier versions of receipts in {called} could not be listed: {reason}"
                ));
            }
        }
    }
}

async fn check_all(
    vault: &dyn ExportDestination,
    called: &str,
    versions: Vec<EarlierVersion>,
    comparison: &mut Comparison,
) {
    let receipts = futures::stream::iter(versions);
    let receipts = receipts.map(|version| async move { read(vault, called, &version).await });
    let mut receipts = receipts.buffered(AT_ONCE);
    while let Some(receipt) = receipts.next().await {
        match receipt {
            EarlierReceipt::Names(anchor) => comparison.name(anchor),
            EarlierReceipt::NamesNothing => {}
            EarlierReceipt::NotRead(why) => comparison.not_checked.push(why),
        }
    }
}

async fn read(
    vault: &dyn ExportDestination,
    called: &str,
    version: &EarlierVersion,
) -> EarlierReceipt {
    let EarlierVersion { name, id } = version;
    let what = format!("version {id} of the receipt `{name}` in {called}");
    let content = match vault.read_earlier(version).await {
        Ok(Some(content)) => content,
        Ok(None) => return EarlierReceipt::NamesNothing,
        Err(error) => {
            let reason = ErrorChain(&error);
            return EarlierReceipt::NotRead(format!("{what} could not be read: {reason}"));
        }
    };
    let kept = serde_json::from_slice::<KeptReceipt>(&content).ok();
    let checkpoint = kept.and_then(|kept| kept.audit_checkpoint);
    checkpoint.map_or(EarlierReceipt::NamesNothing, |checkpoint| {
        EarlierReceipt::Names(Anchor {
            checkpoint,
            named_by: what,
        })
    })
}
