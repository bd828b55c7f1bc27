//! What the log says of one case of a hold.

use std::collections::BTreeSet;

use recording_vault::store::audit::{AuditAction, AuditRecord};
use recording_vault::store::people::PersonHash;

use crate::cli::audit::place::RecordPlace;

/// The records of a case.
#[derive(Debug, Default, Clone)]
pub struct LoggedCase {
    /// The newest of each kind.
    pub held: Option<RecordPlace>,
    pub released: Option<RecordPlace>,
    /// The names of the person in each record of a hold.
    names: Vec<(RecordPlace, BTreeSet<PersonHash>)>,
}

/// What the log says last of a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LastSaid {
    Nothing,
    Held,
    Released,
}

impl LoggedCase {
    pub fn add_record(&mut self, record: &AuditRecord, place: RecordPlace) {
        self.add(&record.action, place);
        if record.action == AuditAction::Held {
            let names = serde_json::from_value(record.detail["names"].clone());
            self.names.push((place, names.unwrap_or_default()));
        }
    }

    fn add(&mut self, action: &AuditAction, place: RecordPlace) {
        let said = if *action == AuditAction::Held {
            &mut self.held
        } else {
            &mut self.released
        };
        if said.is_none_or(|known| place.is_after(&known)) {
            *said = Some(place);
        }
    }

    pub fn merge(&mut self, other: Self) {
        self.names.extend(other.names);
        for (said, place) in [
            (AuditAction::Held, other.held),
            (AuditAction::Released, other.released),
        ] {
            if let Some(place) = place {
                self.add(&said, place);
            }
        }
    }

    pub fn last(&self) -> LastSaid {
        match (&self.held, &self.released) {
            (None, None) => LastSaid::Nothing,
            (Some(_), None) => LastSaid::Held,
            (None, Some(_)) => LastSaid::Released,
            (Some(held), Some(released)) if released.is_after(held) => LastSaid::Released,
            (Some(_), Some(_)) => LastSaid::Held,
        }
    }

    /// All names of the person that its records have.
    pub fn names(&self) -> impl Iterator<Item = PersonHash> + use<'_> {
        self.names
            .iter()
            .flat_map(|(_, names)| names.iter().copied())
    }

    /// Whether these are the names by which the case holds a person: those of all records since it was released, if there are
    /// such records for certain, else those of one of its records.
    pub fn is_held_by(&self, names: &BTreeSet<PersonHash>) -> bool {
        let is_later = |place: &RecordPlace| {
            let released = self.released.as_ref();
            released.is_none_or(|released| place.is_after(released) && !place.is_close_to(released))
        };
        let later: Vec<_> = self.names.iter().filter(|(at, _)| is_later(at)).collect();
        if later.is_empty() {
            let mut all = self.names.iter();
            return self.names.is_empty() || all.any(|(_, recorded)| recorded.is_subset(names));
        }
        later.iter().all(|(_, recorded)| recorded.is_subset(names))
    }

    /// Whether clocks that differ could have exchanged the two.
    pub fn is_close(&self) -> bool {
        let both = self.held.as_ref().zip(self.released.as_ref());
        both.is_some_and(|(held, released)| held.is_close_to(released))
    }

    /// Whether the order of the two depends on clocks.
    pub fn is_order_unclear(&self) -> bool {
        let both = self.held.as_ref().zip(self.released.as_ref());
        both.is_some_and(|(held, released)| !held.is_order_certain(released))
    }
}

#[cfg(test)]
mod tests {
    use recording_vault::store::audit::FollowedDocument;

    use super::*;

    /// A record of a log of its own.
    fn place(writer: char, checkpoint: u64, second: i64) -> RecordPlace {
        let text = format!("20260302100000-{}/1", writer.to_string().repeat(32));
        let document = FollowedDocument {
            position: text.parse().expect("it is a position"),
            checkpoint,
        };
        let at = jiff::Timestamp::from_second(second).expect("it is a time");
        RecordPlace::of(&document, at)
    }

    fn case(held: (u64, i64), released: (u64, i64)) -> (LastSaid, bool) {
        let mut case = LoggedCase::default();
        case.add(&AuditAction::Held, place('a', held.0, held.1));
        case.add(&AuditAction::Released, place('b', released.0, released.1));
        (case.last(), case.is_order_unclear())
    }

    #[test]
    fn a_hold_of_a_clock_that_is_ahead_was_released_by_the_order_of_checkpoints() {
        assert_eq!(case((1, 600), (3, 120)).0, LastSaid::Released);
        assert_eq!(case((3, 120), (1, 600)), (LastSaid::Held, true));
    }

    #[test]
    fn a_hold_is_surely_held_only_where_checkpoints_and_clocks_say_so() {
        assert_eq!(case((3, 600), (1, 0)), (LastSaid::Held, false));
        assert_eq!(case((1, 600), (1, 120)), (LastSaid::Held, true));
        assert_eq!(case((1, 121), (1, 120)), (LastSaid::Held, true));
    }
    fn names(names: &str) -> BTreeSet<PersonHash> {
        let hash = |name: char| serde_json::from_value(name.to_string().repeat(64).into());
        names.chars().map(|name| hash(name).unwrap()).collect()
    }

    fn held_as(case: &mut LoggedCase, of: &str, place: RecordPlace) {
        let record = AuditRecord {
            at: place.at(),
            actor: recording_vault::store::audit::Actor::Operator,
            action: AuditAction::Held,
            subject: "recordings of a".to_owned(),
            detail: serde_json::json!({"case": "A-1", "names": names(of)}),
        };
        case.add_record(&record, place);
    }

    #[test]
    fn a_person_is_held_by_all_names_that_were_recorded_since_the_release() {
        let mut case = LoggedCase::default();
        held_as(&mut case, "a", place('a', 1, 0));
        case.add(&AuditAction::Released, place('b', 2, 3600));
        held_as(&mut case, "bc", place('c', 3, 7200));
        held_as(&mut case, "d", place('d', 4, 9000));
        assert!(case.is_held_by(&names("bcd")));
        assert!(case.is_held_by(&names("bcde")));
        for fewer in ["bc", "bd", "a", ""] {
            assert!(!case.is_held_by(&names(fewer)), "{fewer}");
        }
    }

    #[test]
    fn where_clocks_may_have_exchanged_release_and_hold_one_of_the_records_has_its_names() {
        let mut case = LoggedCase::default();
        held_as(&mut case, "a", place('a', 1, 0));
        case.add(&AuditAction::Released, place('b', 2, 30));
        held_as(&mut case, "b", place('c', 3, 60));
        assert!(case.is_held_by(&names("a")) && case.is_held_by(&names("b")));
        assert!(!case.is_held_by(&names("c")));
    }
}
