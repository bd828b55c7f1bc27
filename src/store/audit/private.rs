//! Stores names and free text of operators' records outside the hash chains, so that an erasure removes them without
//! breaking a chain.
//!
//! ```text
//! people/<keyed hash>.json                                 {"name"}           who acted; once erased for good:
//!                                                          {"record"}         the record of the name's erasure
//! audit-texts/<sha256 of the subject>/<salted hash>.json   {"salt", "text"}   what they wrote about it; where a file is from
//! audit-texts/erased/<sha256 of the subject>.json          {"record"}         the record of the last erasure of a subject's texts
//! ```
//! A record has `person:<keyed hash>` and `text:<salted hash>` in their places. Both are written before the record, so no
//! record refers to a document that never existed. A text is removed with its salt, so its hash does not allow guesses at
//! the text. The keyed hash of a name depends on how often the name was erased: what its owner does later is recorded under
//! another hash, and never names the erased records again.
//! It knows no chains.

mod erasing;
mod principal_ref;
mod references;
mod revealing;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};

use self::erasing::ErasureMark;
use self::references::{NAME_MEMBERS, PERSON, TEXT, name_key, text_key, text_members};
use super::record::AuditRecord;
use crate::store::digest::Sha256Digest;
use crate::store::document_store::{DocumentStore, Precondition, StoreError};
use crate::store::people::{OperatorHash, People};

pub use self::principal_ref::{InvalidReference, PrincipalRef};
pub(super) use self::revealing::{CheckedNames, PrivateCheck};

pub(super) const PEOPLE: &str = "people/";
pub(super) const TEXTS: &str = "audit-texts/";

/// After so many refused names the storage is not asked about further ones: it may fail for all.
const REFUSED_AT_ONCE: usize = 2;

/// Names and texts in the ledger's storage.
pub(super) struct PrivateTexts {
    store: Arc<dyn DocumentStore>,
    people: People,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeptName {
    name: String,
    /// How often the name was erased before.
    #[serde(default, skip_serializing_if = "is_zero")]
    erasures: u32,
}

#[derive(Serialize, Deserialize)]
struct KeptText {
    salt: String,
    text: String,
}

impl PrivateTexts {
    pub fn new(store: Arc<dyn DocumentStore>) -> Self {
        Self {
            people: People::new(Arc::clone(&store)),
            store,
        }
    }

    /// Returns the records as the log stores them, after it has stored their names and texts.
    pub async fn seal(&self, records: &[AuditRecord]) -> Result<Vec<AuditRecord>, StoreError> {
        let names: BTreeSet<&str> = records.iter().flat_map(names_in).collect();
        let mut references = BTreeMap::new();
        for name in names {
            let hash = self.keep_name(name).await?;
            references.insert(name, format!("{PERSON}{hash}"));
        }
        let mut sealed = Vec::with_capacity(records.len());
        for record in records {
            sealed.push(self.sealed(record.clone(), &references).await?);
        }
        Ok(sealed)
    }

    /// Stores the names of records one by one. A name that the storage refuses keeps back only its own records.
    pub async fn keep_names_of(&self, records: Vec<AuditRecord>) -> KeptNames {
        let mut kept = KeptNames::default();
        let mut is_stored: BTreeMap<String, bool> = BTreeMap::new();
        for record in records {
            let mut place = &mut kept.stored;
            for name in names_in(&record) {
                let refused = is_stored.values().filter(|is_stored| !**is_stored);
                if !is_stored.contains_key(name) && refused.count() < REFUSED_AT_ONCE {
                    let keeping = self.keep_name(name).await;
                    is_stored.insert(name.to_owned(), keeping.is_ok());
                    kept.error = keeping.err().or(kept.error);
                }
                match is_stored.get(name) {
                    Some(true) => {}
                    Some(false) => {
                        place = &mut kept.refused;
                        break;
                    }
                    None => {
                        place = &mut kept.untried;
                        break;
                    }
                }
            }
            place.push(record);
        }
        kept
    }

    async fn sealed(
        &self,
        mut record: AuditRecord,
        references: &BTreeMap<&str, String>,
    ) -> Result<AuditRecord, StoreError> {
        for member in NAME_MEMBERS {
            let name = record.detail[member].as_str();
            if let Some(reference) = name.and_then(|name| references.get(name)) {
                record.detail[member] = reference.as_str().into();
            }
        }
        for member in text_members(&record) {
            if let Some(text) = record.detail[*member].as_str() {
                let reference = self.keep_text(&record.subject, text).await?;
                record.detail[*member] = reference.into();
            }
        }
        Ok(record)
    }

    /// Stores a name unless it is stored. It is looked up each time: any process may have erased it meanwhile.
    async fn keep_name(&self, name: &str) -> Result<OperatorHash, StoreError> {
        let current = self.current_name(name).await?;
        if current.is_stored {
            return Ok(current.hash);
        }
        let kept = KeptName {
            name: name.to_owned(),
            erasures: current.erasures,
        };
        let content = serde_json::to_vec(&kept).expect("it has string keys only");
        let key = name_key(&current.hash.to_string());
        // A conflict is the same name, or its erasure of this moment, which covers this record too.
        self.store
            .put(&key, content.into(), Precondition::Absent)
            .await?;
        Ok(current.hash)
    }

    /// Finds the hash that a name has now: the first one that was not erased.
    async fn current_name(&self, name: &str) -> Result<CurrentName, StoreError> {
        let mut erasures = 0;
        loop {
            let hash = self.people.operator(name, erasures).await?;
            let stored = self.store.find(&name_key(&hash.to_string())).await?;
            match &stored {
                Some(stored) if ErasureMark::read(&stored.content).is_some() => erasures += 1,
                Some(_) | None => {
                    return Ok(CurrentName {
                        hash,
                        erasures,
                        is_stored: stored.is_some(),
                    });
                }
            }
        }
    }

    async fn keep_text(&self, subject: &str, text: &str) -> Result<String, StoreError> {
        let salt: [u8; 32] = rand::random();
        let kept = KeptText {
            salt: BASE64_STANDARD.encode(salt),
            text: text.to_owned(),
        };
        let hash = salted_hash(&salt, text);
        let content = serde_json::to_vec(&kept).expect("it has string keys only");
        let key = text_key(subject, &hash.to_string());
        self.store
            .put(&key, content.into(), Precondition::Absent)
            .await?;
        Ok(format!("{TEXT}{hash}"))
    }
}

/// Records by what became of the names in them.
#[derive(Default)]
pub(super) struct KeptNames {
    pub stored: Vec<AuditRecord>,
    pub refused: Vec<AuditRecord>,
    /// Other names were refused before, so that the storage was not asked about these.
    pub untried: Vec<AuditRecord>,
    /// The last refusal.
    pub error: Option<StoreError>,
}

/// The hash of a name in new records.
struct CurrentName {
    hash: OperatorHash,
    erasures: u32,
    is_stored: bool,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_zero(count: &u32) -> bool {
    *count == 0
}

fn salted_hash(salt: &[u8], text: &str) -> Sha256Digest {
    Sha256Digest::of(&[salt, text.as_bytes()].concat())
}

fn names_in(record: &AuditRecord) -> impl Iterator<Item = &str> {
    let names = NAME_MEMBERS.into_iter();
    names.filter_map(|member| record.detail[member].as_str())
}
