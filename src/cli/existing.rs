//! Opens the application for verbs that only read. For a vault that does not exist, or was never used, they report
//! that, instead of "nothing is wrong", and create nothing.

use recording_vault::app::App;
use recording_vault::compose;
use recording_vault::config::Config;
use recording_vault::standing::verdict::StorageUse;

use super::output::complain;

/// # Errors
/// When there is nothing to read, or the storage cannot be read.
pub async fn open(config: Config) -> anyhow::Result<App> {
    let app = compose::app(config)?;
    match app.catalogue.storage_use().await? {
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
    Ok(app)
}
