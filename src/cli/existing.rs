//! Opens the application for verbs that only read. For a vault that does not exist, or was never used, they report
//! that, instead of "nothing is wrong", and create nothing.

use futures::{StreamExt as _, TryStreamExt as _};
use recording_vault::app::App;
use recording_vault::compose;
use recording_vault::config::Config;
use recording_vault::standing::verdict::StorageUse;

use super::output::complain;

/// What a verb can work with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Needs {
    /// A ledger that was used.
    Ledger,
    /// A ledger or a vault: it writes the one by the other.
    Either,
    /// A ledger, an audit log or a hold.
    Records,
}

/// # Errors
/// When there is nothing to read, or the storage cannot be read.
pub async fn open(config: Config) -> anyhow::Result<App> {
    open_with(config, Needs::Ledger).await
}

/// Like [`open`], for a verb that repairs a ledger with the receipts in the vault.
///
/// # Errors
/// As [`open`].
pub async fn open_to_repair(config: Config) -> anyhow::Result<App> {
    open_with(config, Needs::Either).await
}

/// Like [`open`], for a verb that reads records which may be older than the first recording.
///
/// # Errors
/// As [`open`].
pub async fn open_to_audit(config: Config) -> anyhow::Result<App> {
    open_with(config, Needs::Records).await
}

async fn open_with(config: Config, needs: Needs) -> anyhow::Result<App> {
    let app = compose::app(config)?;
    let storage = app.catalogue.storage_use().await?;
    let is_enough = match needs {
        Needs::Ledger => false,
        Needs::Either => storage == StorageUse::LedgerEmpty,
        Needs::Records => is_ledger_empty(&storage) && has_records(&app).await?,
    };
    if !is_enough {
        check(storage)?;
    }
    Ok(app)
}

fn check(storage: StorageUse) -> anyhow::Result<()> {
    match storage {
        StorageUse::Used => {}
        StorageUse::Unused => anyhow::bail!(
            "there is no vault here: neither VAULT_URL nor LEDGER_URL leads to anything that was ever used"
        ),
        StorageUse::LedgerEmpty => {
            anyhow::bail!("there is no ledger here, though the vault has files: check LEDGER_URL")
        }
        StorageUse::VaultEmpty => {
            complain("The ledger has proofs of copies, but the vault is empty: check VAULT_URL.\n");
        }
        StorageUse::CopiesMissing { missing, looked_at } => complain(&format!(
            "{missing} of {looked_at} copies looked for are not in the vault: check VAULT_URL.\n"
        )),
        StorageUse::VaultUnreadable {
            reason,
            is_ledger_empty: true,
        } => anyhow::bail!(
            "there is no ledger here, and the vault cannot be read: {reason}; check LEDGER_URL and VAULT_URL"
        ),
        StorageUse::VaultUnreadable {
            reason,
            is_ledger_empty: false,
        } => complain(&format!("The vault cannot be read: {reason}.\n")),
    }
    Ok(())
}

fn is_ledger_empty(storage: &StorageUse) -> bool {
    match storage {
        StorageUse::Unused | StorageUse::LedgerEmpty => true,
        StorageUse::VaultUnreadable {
            is_ledger_empty, ..
        } => *is_ledger_empty,
        StorageUse::Used | StorageUse::VaultEmpty | StorageUse::CopiesMissing { .. } => false,
    }
}

async fn has_records(app: &App) -> anyhow::Result<bool> {
    let mut log = app.ledger.audit().documents().boxed();
    Ok(app.ledger.holds().is_any().await? || log.try_next().await?.is_some())
}
