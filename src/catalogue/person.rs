//! The recordings a person was in, by the index: of participants that ACS's metadata names, and of people that an account
//! names before anything is exported. What the search could not look into is counted beside what it found.

use serde::Serialize;

use super::covered::RecordingsAt;
use super::known::KnownRecording;
use super::list::ListFilter;
use super::not_searched::NotSearched;
use super::row::Row;
use super::{Catalogue, CatalogueError};
use crate::export::ledger::BEYOND_THE_INDEX;
use crate::export::transfer::chunk;
use crate::export::{ExportReceipt, LedgerEntry};
use crate::recording::PersonKey;
use crate::recording::country::Country;
use crate::store::audit::AuditAction;
use crate::store::index::Listed;
use crate::store::people::PersonHash;

/// A person's id as it was given: in any spelling.
#[derive(Debug, Clone)]
pub struct Person {
    id: String,
}

/// A text that names no person.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a person's id or phone number, such as 8:acs:… or +1 555 123 0001")]
pub struct NoPerson;

/// A person in the forms by which they are found.
#[derive(Debug, Clone)]
pub(super) struct Sought {
    keys: Vec<PersonKey>,
    /// Of the same keys.
    hashes: Vec<PersonHash>,
}

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

impl Person {
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Whether a text names the person, in another spelling too.
    pub fn is_named_in(&self, text: &str) -> bool {
        PersonKey::of(&self.id).is_named_in(text) || {
            let id = self.id.to_lowercase();
            text.to_lowercase().contains(&id)
        }
    }

    /// Whether it is a phone number in national form, which names nobody without a country.
    pub fn lacks_country(&self, default: Option<Country>) -> bool {
        let keys = PersonKey::searched(&self.id, default);
        keys.iter().all(PersonKey::is_national)
    }
}

impl std::str::FromStr for Person {
    type Err = NoPerson;
    fn from_str(text: &str) -> Result<Self, NoPerson> {
        let id = text.trim();
        let is_fine = !id.is_empty() && !id.chars().any(char::is_control);
        if is_fine {
            Ok(Self { id: id.to_owned() })
        } else {
            Err(NoPerson)
        }
    }
}

impl Sought {
    /// Whether this id is the person's.
    pub fn is(&self, id: &str) -> bool {
        self.keys.contains(&PersonKey::of(id))
    }

    /// Whether the account or the metadata of a recording names the person.
    pub fn is_in(&self, recorded: &KnownRecording) -> bool {
        let is_hashed = |hash: &PersonHash| self.hashes.contains(hash);
        let mut participants = recorded.participants().into_iter();
        recorded.account.people.iter().any(is_hashed) || participants.any(|id| self.is(id))
    }

    /// The lists of the index that have the person's recordings.
    pub fn lists(&self) -> impl Iterator<Item = Listed> {
        self.hashes.iter().map(|hash| Listed::Participant(*hash))
    }

    /// Every form of the person's id by which texts are searched.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(PersonKey::as_str)
    }
}

impl Catalogue {
    /// Returns the recordings of a person. The search is recorded in the audit log.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn find_person(&self, person: &Person) -> Result<FoundRecordings, CatalogueError> {
        let RecordingsOf {
            found,
            not_searched,
        } = self.searched(person, &ListFilter::default()).await?;
        let rules = self.rules();
        Ok(FoundRecordings {
            recordings: found.iter().map(|recorded| recorded.row(rules)).collect(),
            unreadable: not_searched.unreadable,
            not_searched,
        })
    }

    /// Finds the recordings of a person, and records the search in the audit log.
    pub(super) async fn searched(
        &self,
        person: &Person,
        filter: &ListFilter,
    ) -> Result<RecordingsOf, CatalogueError> {
        self.ledger
            .audit_operator(
                AuditAction::PersonSearched,
                &self.pseudonym(person).await?,
                serde_json::Value::Null,
            )
            .await?;
        self.recordings_of(&self.sought(person).await?, filter)
            .await
    }

    /// How the audit log names a person.
    pub(super) async fn pseudonym(&self, person: &Person) -> Result<String, CatalogueError> {
        let names = self.pseudonyms(person).await?;
        Ok(names.into_iter().next().unwrap_or_default())
    }

    /// How the audit log may name a person, whatever the spelling of the id was; the most likely first.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn pseudonyms(&self, person: &Person) -> Result<Vec<String>, CatalogueError> {
        let mut names = Vec::new();
        for key in PersonKey::searched(&person.id, self.default_country) {
            names.push(self.ledger.people().pseudonym(&key).await?);
        }
        Ok(names)
    }

    /// Whether a person's id is a phone number that `DEFAULT_COUNTRY` would have to complete.
    pub fn lacks_country(&self, person: &Person) -> bool {
        person.lacks_country(self.default_country)
    }

    pub(super) async fn sought(&self, person: &Person) -> Result<Sought, CatalogueError> {
        let keys = PersonKey::searched(&person.id, self.default_country);
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
        } = at;
        unreadable.extend(beyond.unreadable);
        for recorded in beyond.found {
            // A recording that is being erased is found until it is erased: its files may be gone already.
            let is_begun = recorded.account.erased.is_some();
            if is_begun || self.is_named_in_files(sought, &recorded).await? {
                found.push(recorded);
            }
        }
        let key = |recorded: &KnownRecording| {
            let id = recorded.account.recording_id.key().into_owned();
            (std::cmp::Reverse(recorded.account.filed_at()), id)
        };
        found.sort_by_key(key);
        found.dedup_by_key(|recorded| recorded.account.recording_id.key().into_owned());
        let mut not_searched = self.not_searched(sought, filter).await?;
        not_searched.add_unreadable(unreadable);
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
