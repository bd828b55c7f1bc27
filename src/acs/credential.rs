//! The credential for ACS: an access key or a Microsoft Entra token.

use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard};

use azure_core::credentials::TokenCredential;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

/// Scope of tokens for ACS; the second slash belongs there (Python SDK 1.6.0, `_shared/auth_policy_utils.py`).
pub const TOKEN_SCOPE: &str = "https://communication.azure.com//.default";

/// The resource's access key. It has no `Display` and does not show itself in `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct AccessKey(Vec<u8>);

/// What is wrong with an access key. Never repeats it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAccessKey {
    #[error("is empty")]
    Empty,
    #[error("is not base64; copy it again from the resource's Keys page")]
    NotBase64,
}

impl AccessKey {
    /// The key's bytes, for the signature only.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl FromStr for AccessKey {
    type Err = InvalidAccessKey;
    fn from_str(text: &str) -> Result<Self, InvalidAccessKey> {
        let key = BASE64_STANDARD
            .decode(text.trim())
            .map_err(|_| InvalidAccessKey::NotBase64)?;
        if key.is_empty() {
            Err(InvalidAccessKey::Empty)
        } else {
            Ok(Self(key))
        }
    }
}

impl fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessKey(…)")
    }
}

/// A Microsoft Entra credential that can be replaced: the libraries keep a token until it expires, even a refused
/// one.
#[derive(Clone)]
pub struct EntraCredential {
    make: Arc<MakeCredential>,
    current: Arc<Mutex<Arc<dyn TokenCredential>>>,
}

type MakeCredential = dyn Fn() -> azure_core::Result<Arc<dyn TokenCredential>> + Send + Sync;

impl EntraCredential {
    /// Creates the first credential; requests no token.
    ///
    /// # Errors
    /// As `make`.
    pub fn new(
        make: impl Fn() -> azure_core::Result<Arc<dyn TokenCredential>> + Send + Sync + 'static,
    ) -> azure_core::Result<Self> {
        let current = Arc::new(Mutex::new(make()?));
        Ok(Self {
            make: Arc::new(make),
            current,
        })
    }

    /// Returns the current credential.
    pub(super) fn current(&self) -> Arc<dyn TokenCredential> {
        Arc::clone(&self.lock())
    }

    /// Returns a credential without the refused token. If many requests are refused at once, the first one creates it.
    ///
    /// # Errors
    /// When none can be created.
    pub(super) fn renewed(
        &self,
        refused: &Arc<dyn TokenCredential>,
    ) -> azure_core::Result<Arc<dyn TokenCredential>> {
        let mut current = self.lock();
        if Arc::ptr_eq(&current, refused) {
            *current = (self.make)()?;
        }
        Ok(Arc::clone(&current))
    }

    fn lock(&self) -> MutexGuard<'_, Arc<dyn TokenCredential>> {
        self.current
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// The ways to sign in at ACS.
#[derive(Clone)]
pub enum AcsCredential {
    /// HMAC-SHA256 over method, path, date, host and body.
    AccessKey(AccessKey),
    /// A managed identity's bearer token.
    Entra(EntraCredential),
}

impl fmt::Debug for AcsCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AccessKey(key) => key.fmt(f),
            Self::Entra(_) => f.write_str("Entra"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_does_not_show_itself() {
        let key: AccessKey = "c2VjcmV0".parse().unwrap();
        let shown = format!("{key:?} {:?}", AcsCredential::AccessKey(key.clone()));
        assert_eq!(shown, "AccessKey(…) AccessKey(…)");
    }
}
