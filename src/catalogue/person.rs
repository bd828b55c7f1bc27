//! The recordings a person was in, by the index that is kept from ACS's metadata. What is not exported yet is not known here.

use hmac::Mac as _;
use serde::Serialize;

use super::row::{KnownRecording, Row};
use super::{Catalogue, CatalogueError, keys};
use crate::store::audit::AuditAction;
use crate::store::index::Listed;

const PERSON_KEY: &str = "keys/person.json";

/// A participant's id as it was given, and how it is named where it must not stand.
#[derive(Debug, Clone)]
pub struct Person {
    id: String,
}

/// A text that names nobody.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a participant's id as ACS writes it, such as 8:acs:… or 4:+15551230001")]
pub struct NoPerson;

/// The recordings a person was in.
#[derive(Debug, Serialize)]
pub struct FoundRecordings {
    /// Newest first.
    pub recordings: Vec<Row>,
}

impl Person {
    pub fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn listed(&self) -> Listed {
        Listed::Participant(self.id.clone())
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
    /// The recordings of a person. That somebody looked is written down.
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
        let now = self.clock.now();
        let recordings = self
            .of_person(person)
            .await?
            .iter()
            .map(|recorded| recorded.row(now))
            .collect();
        Ok(FoundRecordings { recordings })
    }

    /// How a person is named in the audit log, which outlives what is erased. A plain hash of a phone number would tell it to
    /// whoever tries them all.
    pub(super) async fn pseudonym(&self, person: &Person) -> Result<String, CatalogueError> {
        let key = keys::key(&*self.ledger.store(), PERSON_KEY).await?;
        let signature = key
            .mac("person", &person.id.to_lowercase())
            .finalize()
            .into_bytes();
        Ok(format!("participant:{}", hex::encode(signature)))
    }

    pub(super) async fn of_person(
        &self,
        person: &Person,
    ) -> Result<Vec<KnownRecording>, CatalogueError> {
        self.recordings_at(&person.listed()).await
    }
}
