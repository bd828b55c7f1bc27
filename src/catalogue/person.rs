//! The recordings a person was in, by the index that is built from ACS's metadata. Chunks that are not exported yet are
//! unknown here.

use serde::Serialize;

use super::covered::RecordingsAt;
use super::known::KnownRecording;
use super::row::Row;
use super::{Catalogue, CatalogueError};
use crate::export::ledger::BEYOND_THE_INDEX;
use crate::export::transfer::chunk;
use crate::export::{ExportReceipt, LedgerEntry};
use crate::store::audit::AuditAction;
use crate::store::index::Listed;

/// A participant's id as it was given, and a substitute for places where it must not appear.
#[derive(Debug, Clone)]
pub struct Person {
    id: String,
}

/// A text that names no person.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a participant's id as ACS writes it, such as 8:acs:… or 4:+15551230001")]
pub struct NoPerson;

/// The recordings a person was in.
#[derive(Debug, Serialize)]
pub struct FoundRecordings {
    /// Newest first.
    pub recordings: Vec<Row>,
    /// Recordings that may be of this person and whose accounts are not readable.
    pub unreadable: usize,
}

impl Person {
    pub fn id(&self) -> &str {
        &self.id
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

impl Catalogue {
    /// Returns the recordings of a person. The search is recorded in the audit log.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn find_person(&self, person: &Person) -> Result<FoundRecordings, CatalogueError> {
        self.ledger
            .audit_operator(
                AuditAction::PersonSearched,
                &self.pseudonym(person).await?,
                serde_json::Value::Null,
            )
            .await?;
        let rules = self.rules();
        let (found, unreadable) = self.recordings_of(person).await?;
        Ok(FoundRecordings {
            recordings: found.iter().map(|recorded| recorded.row(rules)).collect(),
            unreadable,
        })
    }

    /// How a person is named in the audit log.
    pub(super) async fn pseudonym(&self, person: &Person) -> Result<String, CatalogueError> {
        Ok(self.ledger.people().pseudonym(&person.id).await?)
    }

    /// The list of a person's chunks.
    pub(super) async fn list_of(&self, person: &Person) -> Result<Listed, CatalogueError> {
        let name = self.ledger.people().hash(&person.id).await?;
        Ok(Listed::Participant(name))
    }

    pub(super) async fn of_person(
        &self,
        person: &Person,
    ) -> Result<Vec<KnownRecording>, CatalogueError> {
        Ok(self.recordings_of(person).await?.0)
    }

    /// The recordings of a person, newest first, and how many more are unreadable.
    async fn recordings_of(
        &self,
        person: &Person,
    ) -> Result<(Vec<KnownRecording>, usize), CatalogueError> {
        let list = self.list_of(person).await?;
        let RecordingsAt {
            mut found,
            mut unreadable,
            is_capped: _,
        } = self.recordings_at(&list).await?;
        let beyond = self.ledger.people().hash(BEYOND_THE_INDEX).await?;
        let beyond = Listed::Participant(beyond);
        let beyond = self.recordings_at(&beyond).await?;
        unreadable.extend(beyond.unreadable);
        for recorded in beyond.found {
            let id = &recorded.account.recording_id;
            let is_found = found.iter().any(|known| known.account.recording_id == *id);
            // A recording that is being erased is found until it is erased: its files may be gone already.
            let is_begun = recorded.account.erased.is_some();
            if !is_found && (is_begun || self.is_named_in_files(person, &recorded).await?) {
                found.push(recorded);
            }
        }
        found.sort_by_key(|recorded| std::cmp::Reverse(recorded.account.filed_at()));
        unreadable.sort();
        unreadable.dedup();
        Ok((found, unreadable.len()))
    }

    /// Whether the metadata files of a recording name a person, where the index does not have all of its participants.
    async fn is_named_in_files(
        &self,
        person: &Person,
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
            if people
                .iter()
                .any(|known| known.id.eq_ignore_ascii_case(&person.id))
            {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
