//! Reads the names and texts that stored records refer to, and compares each with its hash in the chain. It changes
//! nothing.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use jiff::Timestamp;
use serde_json::Value;

use super::erasing::ErasureMark;
use super::references::{NAME_MEMBERS, PERSON, Reference};
use super::{KeptName, KeptText, PrivateTexts, salted_hash};
use crate::clock::CLOCKS_DIFFER;
use crate::store::audit::AuditLog;
use crate::store::audit::record::AuditRecord;
use crate::store::document_store::StoreError;

/// Shown in place of a name or text that an erasure removed.
const ERASED: &str = "(erased)";
/// Shown in place of one that is gone, and no record says that it was erased.
const MISSING: &str = "(missing)";
/// Shown in place of one that was changed.
const DIFFERENT: &str = "(does not match the log)";
/// Names that one check remembers; when there are more, all are forgotten.
const REMEMBERED_AT_MOST: usize = 1000;

/// What a reference leads to.
enum Found {
    Kept(String),
    Erased,
    Missing,
    Different,
}

/// What a check of the names and texts of one document found.
#[derive(Debug, Default)]
pub(in crate::store::audit) struct PrivateCheck {
    /// A sentence for each that was changed, or removed without an erasure.
    pub problems: Vec<String>,
    /// The first failure, if some could not be read.
    pub not_checked: Option<StoreError>,
}

/// Names whose check need not be repeated or reported again.
#[derive(Default)]
pub(in crate::store::audit) struct CheckedNames(Mutex<BTreeSet<String>>);

impl CheckedNames {
    fn has(&self, hash: &str) -> bool {
        self.names().contains(hash)
    }

    /// Returns whether it is new.
    fn add(&self, hash: &str) -> bool {
        let mut names = self.names();
        if names.len() >= REMEMBERED_AT_MOST {
            names.clear();
        }
        names.insert(hash.to_owned())
    }

    fn names(&self) -> std::sync::MutexGuard<'_, BTreeSet<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AuditLog {
    /// Returns a record with the names and texts that it refers to: `(erased)` in place of erased ones, `(missing)` or
    /// `(does not match the log)` in place of those that were removed or changed otherwise.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn reveal(&self, mut record: AuditRecord) -> Result<AuditRecord, StoreError> {
        let mut revealed = Vec::new();
        for (member, reference) in Reference::all_in(&record) {
            let text = match self.look_up(reference, record.at).await? {
                Found::Kept(text) => text,
                Found::Erased => ERASED.to_owned(),
                Found::Missing => MISSING.to_owned(),
                Found::Different => DIFFERENT.to_owned(),
            };
            revealed.push((member, text));
        }
        for (member, text) in revealed {
            record.detail[member] = Value::from(text);
        }
        Ok(record)
    }

    /// Returns the reference to an operator of this name in stored records since the name was last erased.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn reference_to(&self, operator_name: &str) -> Result<String, StoreError> {
        let current = self.private.current_name(operator_name).await?;
        Ok(format!("{PERSON}{}", current.hash))
    }

    /// Whether a text is one that [`reveal`](Self::reveal) shows in place of another.
    pub fn is_placeholder(text: &str) -> bool {
        [ERASED, MISSING, DIFFERENT].contains(&text)
    }

    /// Whether a stored record names an operator by this reference.
    pub fn names(record: &AuditRecord, reference: &str) -> bool {
        NAME_MEMBERS
            .iter()
            .any(|member| record.detail[*member] == reference)
    }

    /// Checks the names and texts of records. One that cannot be read stops no other.
    pub(in crate::store::audit) async fn check_private(
        &self,
        place: &str,
        records: &[AuditRecord],
        checked: &CheckedNames,
    ) -> PrivateCheck {
        let mut check = PrivateCheck::default();
        for record in records {
            for (member, reference) in Reference::all_in(record) {
                let name = match reference {
                    Reference::Name(hash) => Some(hash),
                    Reference::Text { .. } => None,
                };
                if name.is_some_and(|hash| checked.has(hash)) {
                    continue;
                }
                let problem = match self.look_up(reference, record.at).await {
                    // Whether the erasure covers the next record too depends on its time.
                    Ok(Found::Erased) => continue,
                    Ok(Found::Kept(_)) => None,
                    Ok(Found::Missing) => Some("is missing, and no record says that it was erased"),
                    Ok(Found::Different) => Some("does not match the log"),
                    Err(error) => {
                        check.not_checked.get_or_insert(error);
                        continue;
                    }
                };
                if name.is_some_and(|hash| !checked.add(hash)) {
                    continue;
                }
                let problem = problem
                    .map(|problem| format!("the text of `{member}` in document {place} {problem}"));
                check.problems.extend(problem);
            }
        }
        check
    }

    async fn look_up(
        &self,
        reference: Reference<'_>,
        recorded_at: Timestamp,
    ) -> Result<Found, StoreError> {
        let stored = self.private.store.find(&reference.key()).await?;
        let stored = stored.filter(|stored| ErasureMark::read(&stored.content).is_none());
        if let Some(stored) = stored {
            let kept = self.private.kept(reference, &stored.content).await?;
            return Ok(kept.map_or(Found::Different, Found::Kept));
        }
        Ok(if self.is_erased(reference, recorded_at).await? {
            Found::Erased
        } else {
            Found::Missing
        })
    }

    /// Whether the chain has a record that says that it was erased, not before it was recorded.
    async fn is_erased(
        &self,
        reference: Reference<'_>,
        recorded_at: Timestamp,
    ) -> Result<bool, StoreError> {
        let mark = reference.erasing().mark;
        let mark = self.private.store.find(&mark).await?;
        let mark = mark.and_then(|mark| ErasureMark::read(&mark.content));
        let Some(mark) = mark else {
            return Ok(false);
        };
        let records = self.records(&mark.record).await?;
        Ok(records.iter().any(|record| {
            reference.is_erased_by(record) && recorded_at.duration_since(record.at) <= CLOCKS_DIFFER
        }))
    }
}

impl PrivateTexts {
    /// Returns the name or text in a document, if it is the one that the chain has the hash of.
    pub(super) async fn kept(
        &self,
        reference: Reference<'_>,
        content: &[u8],
    ) -> Result<Option<String>, StoreError> {
        Ok(match reference {
            Reference::Name(hash) => match serde_json::from_slice::<KeptName>(content) {
                Ok(kept) => {
                    let expected = self.people.operator(&kept.name, kept.erasures).await?;
                    (expected.to_string() == hash).then_some(kept.name)
                }
                Err(_) => None,
            },
            Reference::Text { hash, .. } => text_with_hash(content, hash),
        })
    }
}

fn text_with_hash(content: &[u8], hash: &str) -> Option<String> {
    let kept: KeptText = serde_json::from_slice(content).ok()?;
    let salt = BASE64_STANDARD.decode(&kept.salt).ok()?;
    (salted_hash(&salt, &kept.text).to_string() == hash).then_some(kept.text)
}
