//! What prevents the copy of a chunk until a person acts. It knows no vault and no source.

use serde::{Deserialize, Serialize};

/// Why further attempts fail until a person acts. They continue: the cause may also end by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "camelCase")]
pub enum Obstacle {
    #[error(
        "ACS redirects to a host that is not allowed; if it is one of ACS's, add it to ACS_CONTENT_HOSTS"
    )]
    RedirectRefused,
    #[error(
        "ACS refuses the credential; check ACS_ACCESS_KEY or the identity's role on the ACS resource"
    )]
    CredentialRefused,
    #[error(
        "the vault refuses writes; check VAULT_URL, its free space and the rights of the identity there"
    )]
    VaultRefuses,
    #[error("its file is larger than any that is copied; download it from ACS by hand")]
    TooLarge,
    #[error("other files have all its names in the vault; move them away")]
    NamesTaken,
    #[error("the vault does not return what was written; check its storage")]
    NotAsWritten,
}
