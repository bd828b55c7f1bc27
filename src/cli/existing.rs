//! Opens the application for the verbs of a vault that exists. For one that does not exist, or was never used, they report
//! that, instead of "nothing is wrong", and create nothing. A verb that writes begins a ledger, and says so.

use recording_vault::app::App;
use recording_vault::compose;
use recording_vault::config::Config;
use recording_vault::counted::counted;
use recording_vault::standing::verdict::{LOG_NOT_READ, Remains, StorageUse};

use super::output::complain;
use super::vault_receipts::vault_receipts;

/// What a verb can work with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Needs {
    /// A ledger that was used.
    Ledger,
    /// A ledger, or traces of one: what was removed is for the verb to find.
    Records,
}

/// What a ledger has besides chunks.
#[derive(Debug, Default)]
pub struct Traces {
    /// Accounts of recordings; of many, only the first are counted.
    accounts: usize,
    has_holds: bool,
    /// Checkpoints, markers, timestamps or names of the audit log.
    of_audit_log: bool,
}

impl Traces {
    pub fn is_any(&self) -> bool {
        self.accounts > 0 || self.has_holds || self.of_audit_log
    }

    /// Names them.
    pub fn sentence(&self) -> Option<String> {
        let mut parts = Vec::new();
        if self.accounts > 0 {
            let (one, several) = ("account of a recording", "accounts of recordings");
            parts.push(counted(self.accounts, one, several));
        }
        if self.has_holds {
            parts.push("holds".to_owned());
        }
        if self.of_audit_log {
            parts.push("remains of an audit log".to_owned());
        }
        (!parts.is_empty()).then(|| parts.join(", "))
    }
}

/// Looks for what a ledger has besides chunks.
///
/// # Errors
/// When the ledger cannot be listed.
pub async fn traces(app: &App) -> anyhow::Result<Traces> {
    Ok(Traces {
        accounts: app.control.register().names(None).await?.0.len(),
        has_holds: app.ledger.holds().is_any().await?,
        of_audit_log: app.ledger.audit().has_traces().await?,
    })
}

/// # Errors
/// When there is nothing to read, or the storage cannot be read.
pub async fn open(config: Config) -> anyhow::Result<App> {
    open_with(config, Needs::Ledger).await
}

/// Opens the application for a verb that repairs a ledger with the receipts in the vault. An empty ledger beside other remains
/// of recordings needs `--yes`.
///
/// # Errors
/// As [`open`].
pub async fn open_to_repair(config: Config, is_confirmed: bool) -> anyhow::Result<App> {
    let app = compose::app(config)?;
    let storage = app.catalogue.storage_use().await?;
    if storage != StorageUse::LedgerEmpty(Remains::Vault) {
        check_confirmed(storage, is_confirmed)?;
    }
    Ok(app)
}

/// Like [`open`], for a verb that reads records which may be older than the first recording, or all that is left of a ledger.
///
/// # Errors
/// As [`open`].
pub async fn open_to_audit(config: Config) -> anyhow::Result<App> {
    open_with(config, Needs::Records).await
}

/// Opens the application for a verb that writes what sweeps and policies act on later: in a ledger that no app works with,
/// that would be without effect. A ledger that was never used is begun, and that is said. One that is empty beside remains of
/// recordings needs `--yes`: it may be the wrong one.
///
/// # Errors
/// When it is probably the wrong ledger, or the storage cannot be read.
pub async fn open_to_write(config: Config, is_confirmed: bool) -> anyhow::Result<App> {
    let app = compose::app(config)?;
    let storage = app.catalogue.storage_use().await?;
    match storage {
        StorageUse::Unused if has_anything(&app).await? => {}
        StorageUse::Unused => complain(
            "This ledger had no recording before: check LEDGER_URL if that is a surprise.\n",
        ),
        StorageUse::LogNotRead => complain(&format!("Warning: {LOG_NOT_READ}.\n")),
        StorageUse::Used
        | StorageUse::VaultEmpty
        | StorageUse::LedgerEmpty(_)
        | StorageUse::CopiesMissing { .. }
        | StorageUse::VaultUnreadable { .. } => check_confirmed(storage, is_confirmed)?,
    }
    Ok(app)
}

/// Whether a ledger without recordings has anything: traces, or events that could not be read.
async fn has_anything(app: &App) -> anyhow::Result<bool> {
    Ok(traces(app).await?.is_any() || app.ledger.count_poison(1).await?.count > 0)
}

async fn open_with(config: Config, needs: Needs) -> anyhow::Result<App> {
    let app = compose::app(config)?;
    let storage = app.catalogue.storage_use().await?;
    let is_enough = match needs {
        Needs::Ledger => false,
        Needs::Records => is_ledger_empty(&storage) && has_traces(&app, &storage).await?,
    };
    if !is_enough {
        check(storage)?;
    }
    Ok(app)
}

/// Like [`check`]; an empty ledger beside remains of recordings is enough if `--yes` says that it is the right one.
fn check_confirmed(storage: StorageUse, is_confirmed: bool) -> anyhow::Result<()> {
    let is_begun = is_ledger_empty(&storage) && storage != StorageUse::Unused;
    match check(storage) {
        Err(problem) if is_begun && is_confirmed => complain(&format!("Warning: {problem}.\n")),
        Err(problem) if is_begun => {
            anyhow::bail!("{problem}; if it is the right one, add --yes")
        }
        checked => checked?,
    }
    Ok(())
}

fn check(storage: StorageUse) -> anyhow::Result<()> {
    match storage {
        StorageUse::Used => {}
        StorageUse::Unused => anyhow::bail!(
            "nothing was ever stored at VAULT_URL or LEDGER_URL; if that is a surprise, check both settings"
        ),
        StorageUse::LedgerEmpty(remains) => {
            anyhow::bail!("there is no ledger here: {}", remains.problem())
        }
        StorageUse::LogNotRead => anyhow::bail!("there is no ledger here: {LOG_NOT_READ}"),
        StorageUse::VaultEmpty => {
            complain("The ledger has proofs of copies, but the vault is empty: check VAULT_URL.\n");
        }
        StorageUse::CopiesMissing { missing, looked_at } => complain(&format!(
            "Of {looked_at} copies looked for, the vault lacks {missing}: check VAULT_URL.\n"
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
        StorageUse::Unused | StorageUse::LedgerEmpty(_) | StorageUse::LogNotRead => true,
        StorageUse::VaultUnreadable {
            is_ledger_empty, ..
        } => *is_ledger_empty,
        StorageUse::Used | StorageUse::VaultEmpty | StorageUse::CopiesMissing { .. } => false,
    }
}

async fn has_traces(app: &App, storage: &StorageUse) -> anyhow::Result<bool> {
    if traces(app).await?.is_any() {
        return Ok(true);
    }
    // A receipt says that there was a ledger.
    Ok(*storage == StorageUse::LedgerEmpty(Remains::Vault)
        && !vault_receipts(app).await?.is_empty())
}
