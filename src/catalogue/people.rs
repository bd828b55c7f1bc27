//! The recordings a person was in, by the index: of participants that ACS's metadata names, and of people that an account
//! names before anything is exported. What the search could not look into is counted beside what it found.

use serde::Serialize;
use serde_json::Value;

use super::covered::RecordingsAt;
use super::known::KnownRecording;
use super::list_filter::ListFilter;
use super::not_searched::{BesideSearch, NotSearched, copied_again};
use super::person::{LacksCountry, Person, Sought};
use super::row::Row;
use super::{Catalogue, CatalogueError};
use crate::export::ledger::BEYOND_THE_INDEX;
use crate::export::transfer::chunk;
use crate::export::{ExportReceipt, LedgerEntry};
use crate::recording::PersonKey;
use crate::store::audit::{AuditAction, Operator};
use crate::store::holds::HeldPerson;
use crate::store::index::Listed;
use crate::store::people::PersonHash;

/// The recordings of a person.
#[derive(Debug, Default)]
pub(super) struct RecordingsOf {
    /// Newest first.
    pub found: Vec<KnownRecording>,
    pub not_searched: NotSearched,
}

/// The recordings a person was in.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FoundRecordings {
    /// Newest first.
    pub recordings: Vec<Row>,
    /// Recordings that may be of this person and are not readable.
    pub unreadable: usize,
    /// Everything that may be of this person and could not be looked into.
    pub not_searched: NotSearched,
}

impl Catalogue {
    /// Returns the recordings of a person. The search is recorded in the audit log.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn find_person(
        &self,
        person: &Person,
        operator: &Operator,
    ) -> Result<FoundRecordings, CatalogueError> {
        self.note_search(person, operator).await?;
        let sought = self.sought(person).await?;
        let RecordingsOf {
            found,
            not_searched,
        } = self.recordings_of(&sought, &ListFilter::default()).await?;
        let rules = self.rules();
        Ok(FoundRecordings {
            recordings: found.iter().map(|recorded| recorded.row(rules)).collect(),
            unreadable: not_searched.unreadable,
            not_searched,
        })
    }

    /// Records in the audit log that a person is searched for, and who does it. A page in a browser asks again and again:
    /// of the API, the same search within ten minutes is one record, written a moment later.
    pub(super) async fn note_search(
        &self,
        person: &Person,
        operator: &Operator,
    ) -> Result<(), CatalogueError> {
        let (action, subject) = (AuditAction::PersonSearched, self.pseudonym(person).await?);
        match operator {
            Operator::Shell | Operator::ShellUser(_) => {
                let recording = self
                    .ledger
                    .audit_operator(action, &subject, operator, Value::Null);
                recording.await?;
            }
            Operator::Api { .. } => {
                let log = self.ledger.audit_log();
                log.note_access(action, &subject, operator.sign(Value::Null));
            }
        }
        Ok(())
    }

    /// How the audit log names a person, whatever the spelling of the id is.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn pseudonym(&self, person: &Person) -> Result<String, CatalogueError> {
        let names = self.pseudonyms(person).await?;
        Ok(names.into_iter().next().unwrap_or_default())
    }

    /// How the audit log may name a person, whatever the spelling of the id was; the most likely first.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn pseudonyms(&self, person: &Person) -> Result<Vec<String>, CatalogueError> {
        let mut names = Vec::new();
        for key in PersonKey::searched(person.id(), self.default_country) {
            names.push(self.ledger.people().pseudonym(&key).await?);
        }
        Ok(names)
    }

    /// How lists name a person, by every form that the id may have: the most likely first, and at least one.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn names_of(&self, person: &Person) -> Result<Vec<PersonHash>, CatalogueError> {
        Ok(self.sought(person).await?.hashes)
    }

    /// Whether a held person was named with another key than the present one.
    ///
    /// # Errors
    /// When the key of people's names cannot be read.
    pub async fn is_of_another_key(&self, person: &HeldPerson) -> Result<bool, CatalogueError> {
        let present = self.ledger.people();
        let present = present.hash(&PersonKey::of(BEYOND_THE_INDEX)).await?;
        Ok(person.names().any(|name| !name.has_key_of(present)))
    }

    /// # Errors
    /// When a person's id is a phone number that `DEFAULT_COUNTRY` would have to complete: nobody is known by it, and a
    /// hold on it would hold nothing.
    pub fn check_country(&self, person: &Person) -> Result<(), LacksCountry> {
        person.check_country(self.default_country)
    }

    /// Whether a text may be a phone number of any country: then nobody is known by it.
    pub fn lacks_country(&self, text: &str) -> bool {
        let person = text.parse::<Person>();
        person.is_ok_and(|person| self.check_country(&person).is_err())
    }

    pub(super) async fn sought(&self, person: &Person) -> Result<Sought, CatalogueError> {
        let keys = PersonKey::searched(person.id(), self.default_country);
        let mut hashes = Vec::with_capacity(keys.len());
        for key in &keys {
            hashes.push(self.ledger.people().hash(key).await?);
        }
        Ok(Sought { keys, hashes })
    }

    /// The recordings of a person, newest first, and what could not be looked into.
    pub(super) async fn recordings_of(
        &self,
        sought: &Sought,
        filter: &ListFilter,
    ) -> Result<RecordingsOf, CatalogueError> {
        let mut at = RecordingsAt::default();
        for list in sought.lists() {
            at.append(self.recordings_at(&list).await?);
        }
        let beyond = self.recordings_at(&self.beyond_the_index().await?).await?;
        let RecordingsAt {
            mut found,
            mut unreadable,
            is_capped: _,
        } = at;
        unreadable.extend(beyond.unreadable);
        for recorded in beyond.found {
            // A recording that is being erased is found until it is erased: its files may be gone already.
            let is_begun = recorded.account.erased.is_some();
            if is_begun || self.is_named_in_files(sought, &recorded).await? {
                found.push(recorded);
            }
        }
        let BesideSearch {
            mut not_searched,
            erased_with_copy,
        } = self.beside_search(sought, filter).await?;
        not_searched.add_unreadable(unreadable);
        for recorded in erased_with_copy {
            match self.is_named_in_files(sought, &recorded).await {
                Ok(true) => found.push(self.with_cases(recorded).await?),
                Ok(false) if has_all_metadata(&recorded) => {}
                // Its files may be gone, as they were when it was erased.
                Ok(false) | Err(CatalogueError::Vault(_)) => {
                    not_searched.add_unreadable([copied_again(&recorded)]);
                }
                Err(error) => return Err(error),
            }
        }
        let key = |recorded: &KnownRecording| {
            let id = recorded.account.recording_id.key().into_owned();
            (std::cmp::Reverse(recorded.account.filed_at()), id)
        };
        found.sort_by_key(key);
        found.dedup_by_key(|recorded| recorded.account.recording_id.key().into_owned());
        Ok(RecordingsOf {
            found,
            not_searched,
        })
    }

    /// The list of recordings with more participants than are indexed.
    pub(super) async fn beyond_the_index(&self) -> Result<Listed, CatalogueError> {
        let key = PersonKey::of(BEYOND_THE_INDEX);
        Ok(Listed::Participant(self.ledger.people().hash(&key).await?))
    }

    /// Whether the metadata files of a recording name a person, where the index does not have all of its participants.
    async fn is_named_in_files(
        &self,
        sought: &Sought,
        recorded: &KnownRecording,
    ) -> Result<bool, CatalogueError> {
        let copies = recorded.entries().flat_map(LedgerEntry::copies);
        let receipts: Vec<ExportReceipt> = copies.map(|(_, receipt)| receipt.clone()).collect();
        for receipt in receipts {
            let Some(file) = receipt.metadata() else {
                continue;
            };
            let vault = self.vaults.get(receipt.vault(), file.name())?;
            let people = chunk::people_of(vault, file).await?;
            if people.iter().any(|known| sought.is(&known.id)) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Whether there is a metadata file beside each copy.
fn has_all_metadata(recorded: &KnownRecording) -> bool {
    let mut copies = recorded.entries().flat_map(LedgerEntry::copies);
    copies.all(|(_, receipt)| receipt.metadata().is_some())
}
