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

/// Returns the key of this name. If instances generate it concurrently, all use the first.
///
/// # Errors
/// When the storage fails, or the document is not a key.
pub(crate) async fn key(store: &dyn DocumentStore, name: &str) -> Result<Key, StoreError> {
    if let Some(found) = find(store, name).await? {
        return Ok(found);
    }
    let made = Key(rand::random());
    let content = serde_json::to_vec(&KeptKey {
        key: BASE64_STANDARD.encode(made.0),
    })
    .expect("it has string keys only");
    if store
        .put(name, content.into(), Precondition::Absent)
        .await?
        .is_written()
    {
        return Ok(made);
    }
    find(store, name)
        .await?
        .ok_or_else(|| unreadable(name, "it vanished"))
}

async fn find(store: &dyn DocumentStore, name: &str) -> Result<Option<Key>, StoreError> {
    let Some(stored) = store.find(name).await? else {
        return Ok(None);
    };
    let kept = serde_json::from_slice::<KeptKey>(&stored.content).ok();
    let key = kept.and_then(|kept| BASE64_STANDARD.decode(kept.key).ok()?.try_into().ok());
    // Without its content: the document may still contain a key.
    key.map(|key| Some(Key(key))).ok_or_else(|| {
        unreadable(
            name,
            "it is no key of 32 bytes; remove it, and a new one is made",
        )
    })
}

fn unreadable(name: &str, why: &'static str) -> StoreError {
    StoreError {
        action: "use",
        key: name.to_owned(),
        source: why.into(),
    }
}
