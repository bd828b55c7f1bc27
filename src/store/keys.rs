//! Keys that the app generates once and keeps in the ledger's storage, so that all instances have the same.

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use super::document_store::{DocumentStore, Precondition, StoreError};

/// A key. Has no `Display`, and its `Debug` is redacted.
pub(crate) struct Key([u8; 32]);

#[derive(Serialize, Deserialize)]
struct KeptKey {
    key: String,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

impl Key {
    /// Signs `text` for a purpose. The signature is invalid for any other purpose.
    pub(crate) fn mac(&self, purpose: &str, text: &str) -> Hmac<Sha256> {
        let mut mac = Hmac::new_from_slice(&self.0).expect("HMAC takes a key of any length");
        mac.update(purpose.as_bytes());
        mac.update(b"\n");
        mac.update(text.as_bytes());
        mac
    }
}

/// A key in the storage.
pub(crate) struct KeyDocument {
    pub name: &'static str,
    /// What to do if the document is no key.
    pub if_damaged: &'static str,
}

impl KeyDocument {
    /// Returns the key, and makes it where there is none. If instances make it concurrently, all use the first.
    ///
    /// # Errors
    /// When the storage fails, or the document is not a key.
    pub async fn find_or_make(&self, store: &dyn DocumentStore) -> Result<Key, StoreError> {
        if let Some(found) = self.find(store).await? {
            return Ok(found);
        }
        let made = Key(rand::random());
        let content = serde_json::to_vec(&KeptKey {
            key: BASE64_STANDARD.encode(made.0),
        })
        .expect("it has string keys only");
        let put = store.put(self.name, content.into(), Precondition::Absent);
        if put.await?.is_written() {
            return Ok(made);
        }
        let found = self.find(store).await?;
        found.ok_or_else(|| self.unusable("it vanished"))
    }

    /// Returns the key, if there is one.
    ///
    /// # Errors
    /// As [`find_or_make`](Self::find_or_make).
    pub async fn find(&self, store: &dyn DocumentStore) -> Result<Option<Key>, StoreError> {
        let Some(stored) = store.find(self.name).await? else {
            return Ok(None);
        };
        let kept = serde_json::from_slice::<KeptKey>(&stored.content).ok();
        let key = kept.and_then(|kept| BASE64_STANDARD.decode(kept.key).ok()?.try_into().ok());
        // Without its content: the document may still contain a key.
        let damaged = || self.unusable(self.if_damaged);
        key.map(|key| Some(Key(key))).ok_or_else(damaged)
    }

    pub fn unusable(&self, why: &'static str) -> StoreError {
        StoreError {
            action: "use",
            key: self.name.to_owned(),
            source: why.into(),
        }
    }
}
