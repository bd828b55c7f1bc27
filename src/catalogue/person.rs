//! A person, in every spelling of the id, and in the forms by which lists and accounts name them. Pure.

use super::known::KnownRecording;
use crate::recording::PersonKey;
use crate::recording::country::Country;
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

/// A phone number that may belong to any country, or to one of several. Its text names the person.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LacksCountry {
    #[error(
        "the country of the phone number `{id}` is not certain; write it as +49 30 …, or, if it is in national form, set DEFAULT_COUNTRY"
    )]
    WithoutDefault { id: String },
    #[error("the country of the phone number `{id}` is not certain; write it as +49 30 …")]
    WithDefault { id: String },
}

/// A person in the forms by which they are found.
#[derive(Debug, Clone)]
pub(super) struct Sought {
    pub keys: Vec<PersonKey>,
    /// Of the same keys.
    pub hashes: Vec<PersonHash>,
}

impl Person {
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Whether it can be nothing but a person's id: a raw id of Azure Communication Services, or a phone number.
    pub fn is_id(&self) -> bool {
        let is_digits =
            |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let is_raw = self
            .id
            .split_once(':')
            .is_some_and(|(kind, _)| is_digits(kind));
        let is_number = |text: &str| {
            text.bytes()
                .all(|byte| byte.is_ascii_digit() || b" ()-+".contains(&byte))
        };
        is_raw || self.id.strip_prefix('+').is_some_and(is_number)
    }

    /// Whether a text names the person, in another spelling too.
    pub fn is_named_in(&self, text: &str) -> bool {
        PersonKey::of(&self.id).is_named_in(text) || {
            let id = self.id.to_lowercase();
            text.to_lowercase().contains(&id)
        }
    }

    /// # Errors
    /// When it is a phone number of which the country is not certain: without `+`, and it can be read as several numbers, or as
    /// none that can exist.
    pub fn check_country(&self, default: Option<Country>) -> Result<(), LacksCountry> {
        if !PersonKey::lacks_country(&self.id, default) {
            return Ok(());
        }
        let id = self.id.clone();
        Err(match default {
            None => LacksCountry::WithoutDefault { id },
            Some(_) => LacksCountry::WithDefault { id },
        })
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
