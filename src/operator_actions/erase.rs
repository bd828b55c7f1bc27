//! Erases a person's recordings.
//!
//! The record that is written before anything is erased has the requester, the door and the reason. An erasure takes
//! minutes and may be interrupted between two recordings, so a second record says that it ended, and with which
//! numbers. It says nothing else: the outcome of each chunk is in that chunk's own records.

use super::given::{self, InvalidText};
use super::{Operator, OperatorActions};
use crate::catalogue::CatalogueError;
use crate::catalogue::erasing::{Eraser, Erasure};
use crate::catalogue::person::Person;

/// A requested erasure.
#[derive(Debug, Clone)]
pub struct ErasureRequest {
    person: Person,
    reason: String,
}

/// Why a reason is rejected: the audit log outlives the erasure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidReason {
    #[error("the reason is empty")]
    Empty,
    #[error("the reason must not name the person: the audit log keeps it")]
    NamesPerson,
    #[error(
        "the reason must not have a phone number or the id of a person: the audit log keeps it"
    )]
    NamesAnother,
    #[error(
        "the reason must not have a line break or another control character, or one that changes the direction of text"
    )]
    Control,
}

impl ErasureRequest {
    /// # Errors
    /// When the reason is empty or names the person.
    pub fn new(person: Person, reason: &str) -> Result<Self, InvalidReason> {
        let reason = reason.trim();
        if reason.is_empty() {
            return Err(InvalidReason::Empty);
        }
        if person.is_named_in(reason) {
            return Err(InvalidReason::NamesPerson);
        }
        match given::check_kept(reason) {
            Ok(()) => {}
            Err(InvalidText::Control) => return Err(InvalidReason::Control),
            Err(_) => return Err(InvalidReason::NamesAnother),
        }
        Ok(Self {
            person,
            reason: reason.to_owned(),
        })
    }

    pub fn person(&self) -> &Person {
        &self.person
    }
}

impl OperatorActions {
    /// Erases every recording of a person that may be erased; names the others.
    ///
    /// # Errors
    /// When the storage fails. A repeat continues what was begun.
    pub async fn erase(
        &self,
        request: &ErasureRequest,
        eraser: &Eraser,
        operator: &Operator,
    ) -> Result<Erasure, CatalogueError> {
        let ErasureRequest { person, reason } = request;
        Box::pin(eraser.erase(person, reason, operator)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(reason: &str) -> Result<ErasureRequest, InvalidReason> {
        let person = "8:acs:Ada_1".parse().expect("it is a person's id");
        ErasureRequest::new(person, reason)
    }

    #[test]
    fn a_reason_that_names_the_person_is_refused_in_any_spelling() {
        let naming = ["asked by 8:acs:ada_1", "8:ACS:ADA_1", "for Ada_1 herself"];
        for reason in naming {
            assert_eq!(request(reason).unwrap_err(), InvalidReason::NamesPerson);
        }
        let phone: Person = "4:+493012345678".parse().expect("it is a person's id");
        for reason in ["+49 (0)30 1234-5678 called", "call from 030 12345678"] {
            let refused = ErasureRequest::new(phone.clone(), reason);
            assert_eq!(refused.unwrap_err(), InvalidReason::NamesPerson, "{reason}");
        }
        ErasureRequest::new(phone, "case 2026-0017 of 12 March").expect("it names nobody");
        let of_another = request("asked for by +1 555 123 0001");
        assert_eq!(of_another.unwrap_err(), InvalidReason::NamesAnother);
        assert_eq!(request(" \n").unwrap_err(), InvalidReason::Empty);
        let two_lines = request("case 7\n2026-03-02 the app: forged");
        assert_eq!(two_lines.unwrap_err(), InvalidReason::Control);
        assert_eq!(request(" case 7 ").unwrap().reason, "case 7");
    }
}
