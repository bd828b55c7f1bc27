//! How people are named in keys of the ledger's storage and in the audit log: by keyed hashes of one form of their ids. A plain
//! hash of a phone number could be reversed by trying all numbers.
//!
//! A hash begins with four bytes that identify its key: hashes of two keys say nothing about whether they are of one person.
//! The key is made once. No other is made where the ledger has names of people, because a new key would separate them from
//! their holds and their recordings.

use std::fmt;
use std::sync::Arc;

use futures::TryStreamExt as _;
use hmac::Mac as _;
use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;

use super::digest::Sha256Digest;
use super::document_store::{DocumentStore, StoreError};
use super::keys::{Key, KeyDocument};
use super::listing::keys;
use crate::recording::PersonKey;

const PERSON_KEY: KeyDocument = KeyDocument {
    name: "keys/person.json",
    if_damaged: "it is no key of 32 bytes; restore an earlier version of it, because holds on people and searches need the \
                 same key",
};
const MISSING: &str = "it is missing, and the ledger has names that were made with it; restore it, because holds on people and \
                       searches need the same key";
/// Lists of the index, and documents, whose names contain hashes of people.
const NAMED_BY_HASH: [&str; 2] = [PARTICIPANTS, "people/"];
/// Lists of the recordings of a person.
const PARTICIPANTS: &str = "catalogue/participant/";
const STANDING_HOLDS: &str = "holds/standing/";
/// Bytes of a hash that identify its key.
const KEY_BYTES: usize = 4;

/// A person as keys name them, however their id is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PersonHash(Sha256Digest);

impl PersonHash {
    /// Whether both were made with the same key. Otherwise they may be of one person, and differ.
    pub fn has_key_of(self, other: Self) -> bool {
        key_part(self.0.to_bytes()) == key_part(other.0.to_bytes())
    }
}

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
    key: OnceCell<PersonKeyring>,
}

/// The key, and the bytes that its hashes begin with.
struct PersonKeyring {
    key: Key,
    identity: [u8; KEY_BYTES],
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

    /// Whether the ledger has names of people that were made with another key. They are not found by their ids.
    ///
    /// # Errors
    /// When the key or the storage cannot be read.
    pub async fn has_names_of_another_key(&self) -> Result<bool, StoreError> {
        for prefix in NAMED_BY_HASH {
            if self.has_another_key_below(prefix).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether lists of recordings by person were made with another key.
    ///
    /// # Errors
    /// When the key or the storage cannot be read.
    pub async fn has_lists_of_another_key(&self) -> Result<bool, StoreError> {
        self.has_another_key_below(PARTICIPANTS).await
    }

    async fn has_another_key_below(&self, prefix: &str) -> Result<bool, StoreError> {
        // Hashes are hex digits, listed in order: those of this key lie together.
        let own = format!("{prefix}{}", hex::encode(self.keyring().await?.identity));
        let first = self.store.list(prefix, None, 1).await?;
        let after_own = format!("{own}g");
        let next = self.store.list(prefix, Some(&after_own), 1).await?;
        Ok(first.iter().chain(&next).any(|key| !key.starts_with(&own)))
    }

    async fn signed(&self, purpose: &str, name: &str) -> Result<[u8; 32], StoreError> {
        let PersonKeyring { key, identity } = self.keyring().await?;
        let mut signed: [u8; 32] = key.mac(purpose, name).finalize().into_bytes().into();
        signed[..KEY_BYTES].copy_from_slice(identity);
        Ok(signed)
    }

    async fn keyring(&self) -> Result<&PersonKeyring, StoreError> {
        let load = || async {
            // On the heap: callers hold it within their own futures.
            let key = Box::pin(self.find_or_make_key()).await?;
            let identity = key.mac("identity", "").finalize().into_bytes().into();
            Ok(PersonKeyring {
                identity: key_part(identity),
                key,
            })
        };
        self.key.get_or_try_init(load).await
    }

    async fn find_or_make_key(&self) -> Result<Key, StoreError> {
        let store = &*self.store;
        if let Some(key) = PERSON_KEY.find(store).await? {
            return Ok(key);
        }
        if names_people(store).await? {
            // Another process may have made and used it since.
            let found = PERSON_KEY.find(store).await?;
            return found.ok_or_else(|| PERSON_KEY.unusable(MISSING));
        }
        PERSON_KEY.find_or_make(store).await
    }
}

fn key_part(hash: [u8; 32]) -> [u8; KEY_BYTES] {
    let [a, b, c, d, ..] = hash;
    [a, b, c, d]
}

/// Whether the ledger has names that were made with a key.
async fn names_people(store: &dyn DocumentStore) -> Result<bool, StoreError> {
    for prefix in NAMED_BY_HASH {
        if !store.list(prefix, None, 1).await?.is_empty() {
            return Ok(true);
        }
    }
    let mut holds = keys(store, STANDING_HOLDS, None);
    while let Some(key) = holds.try_next().await? {
        let found = store.find(&key).await?;
        if found.is_some_and(|hold| names_person(&hold.content)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether the document of a standing hold names a person. One that is not readable holds everything, and if it is readable
/// again, its names show that they are of another key.
fn names_person(hold: &[u8]) -> bool {
    let hold = serde_json::from_slice::<serde_json::Value>(hold);
    hold.is_ok_and(|hold| hold["held"]["matching"]["person"].is_object())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::document_store::Precondition;
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
    #[tokio::test]
    async fn hashes_of_one_key_are_told_from_those_of_another() {
        let [one, other] = [(); 2].map(|()| People::new(Arc::new(MemoryDocumentStore::default())));
        let (anna, bert) = (PersonKey::of("8:acs:Anna"), PersonKey::of("8:acs:Bert"));
        let annas = one.hash(&anna).await.unwrap();
        assert!(annas.has_key_of(one.hash(&bert).await.unwrap()));
        assert!(!annas.has_key_of(other.hash(&anna).await.unwrap()));
    }

    #[tokio::test]
    async fn a_missing_key_is_made_again_only_where_nothing_was_named_with_it() {
        let person = r#"{"held":{"matching":{"person":{"name":"00"}}},"cases":[]}"#;
        let period = r#"{"held":{"matching":{"from":"2026-03-02T00:00:00Z"}},"cases":[]}"#;
        for (key, content, is_made) in [
            ("catalogue/participant/00/1", "", false),
            ("people/00.json", "{}", false),
            ("holds/standing/00.json", person, false),
            ("holds/standing/00.json", "{", true),
            ("holds/standing/00.json", period, true),
            ("catalogue/all/1", "", true),
        ] {
            let store = Arc::new(MemoryDocumentStore::default());
            let put = store.put(key, content.into(), Precondition::Absent);
            put.await.unwrap();
            let people = People::new(store.clone());
            let made = people.hash(&PersonKey::of("8:acs:Anna")).await;
            assert_eq!(made.is_ok(), is_made, "{key} {content}");
            let stored = store.find(PERSON_KEY.name).await.unwrap();
            assert_eq!(stored.is_some(), is_made, "{key} {content}");
        }
    }
}
