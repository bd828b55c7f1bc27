//! How people are named in keys of the ledger's storage and in the audit log: by keyed hashes of one form of their ids. A plain
//! hash of a phone number could be reversed by trying all numbers.

use std::fmt;
use std::sync::Arc;

use hmac::Mac as _;
use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;

use super::digest::Sha256Digest;
use super::document_store::{DocumentStore, StoreError};
use super::keys::{self, Key};
use crate::recording::PersonKey;

const PERSON_KEY: &str = "keys/person.json";

/// A person as keys name them, however their id is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PersonHash(Sha256Digest);

impl fmt::Display for PersonHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Reference of the audit log to an operator's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct OperatorHash(Sha256Digest);

impl OperatorHash {
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Sha256Digest::from_bytes(bytes))
    }

    pub fn to_bytes(self) -> [u8; 32] {
        self.0.to_bytes()
    }
}

impl fmt::Display for OperatorHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Names people. The key is generated once and kept in the ledger's storage, so that all instances have the same.
pub struct People {
    store: Arc<dyn DocumentStore>,
    key: OnceCell<Key>,
}

impl People {
    pub fn new(store: Arc<dyn DocumentStore>) -> Self {
        Self {
            store,
            key: OnceCell::new(),
        }
    }

    /// The name of a participant in keys of the index.
    ///
    /// # Errors
    /// When the key cannot be read or created.
    pub async fn hash(&self, person: &PersonKey) -> Result<PersonHash, StoreError> {
        let digest = self.signed("index", person.as_str()).await?;
        Ok(PersonHash(Sha256Digest::from_bytes(digest)))
    }

    /// The name of a participant in the audit log, which outlives an erasure.
    ///
    /// # Errors
    /// When the key cannot be read or created.
    pub async fn pseudonym(&self, person: &PersonKey) -> Result<String, StoreError> {
        let digest = self.signed("person", person.as_str()).await?;
        Ok(format!("participant:{}", Sha256Digest::from_bytes(digest)))
    }

    /// Returns the audit log's reference to an operator. After each erasure of the name it is another one, so that a later
    /// act under the name does not name those of the erased records.
    ///
    /// # Errors
    /// When the key cannot be read or created.
    pub async fn operator(&self, name: &str, erasures: u32) -> Result<OperatorHash, StoreError> {
        let name = name.trim().to_lowercase();
        let digest = match erasures {
            0 => self.signed("operator", &name).await?,
            _ => self.signed(&format!("operator {erasures}"), &name).await?,
        };
        Ok(OperatorHash(Sha256Digest::from_bytes(digest)))
    }

    async fn signed(&self, purpose: &str, name: &str) -> Result<[u8; 32], StoreError> {
        let make = || keys::key(&*self.store, PERSON_KEY);
        let key = self.key.get_or_try_init(make).await?;
        let mac = key.mac(purpose, name);
        Ok(mac.finalize().into_bytes().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vault::memory::MemoryDocumentStore;

    #[tokio::test]
    async fn a_person_has_one_name_at_every_instance_and_another_in_another_ledger() {
        let store = Arc::new(MemoryDocumentStore::default());
        let (one, other) = (People::new(store.clone()), People::new(store));
        let anna = PersonKey::of("8:acs:Anna");
        let name = one.hash(&anna).await.unwrap();
        let spelled = PersonKey::of(" ANNA ");
        assert_eq!(other.hash(&spelled).await.unwrap(), name);
        let bert = PersonKey::of("8:acs:Bert");
        assert_ne!(one.hash(&bert).await.unwrap(), name);
        assert_ne!(
            one.pseudonym(&anna).await.unwrap(),
            format!("participant:{name}"),
            "the index does not tell the audit log's name"
        );
        let elsewhere = People::new(Arc::new(MemoryDocumentStore::default()));
        assert_ne!(elsewhere.hash(&anna).await.unwrap(), name);
    }
}
