//! The storages of the app by what they are for.

/// What a storage is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum StorageRole {
    Vault,
    Backup,
    Ledger,
    Audit,
}

impl StorageRole {
    /// Returns its name in the report; the check of the storage has it too.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Vault => "vault",
            Self::Backup => "backup vault",
            Self::Ledger => "ledger",
            Self::Audit => "audit log",
        }
    }

    /// Returns the setting that the storage comes from.
    pub(super) fn setting(self) -> &'static str {
        match self {
            Self::Vault => "VAULT_URL",
            Self::Backup => "BACKUP_VAULT_URL",
            Self::Ledger => "LEDGER_URL",
            Self::Audit => "AUDIT_URL",
        }
    }
}
