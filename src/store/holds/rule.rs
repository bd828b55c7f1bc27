//! Standing holds cover all recordings of a person, or that began in a period, including future ones. Pure: compares a
//! rule with the known facts about a recording, and knows no storage.
//!
//! A recording with unknown participants or an unknown start counts as held.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::recording::PersonKey;
use crate::store::digest::Sha256Digest;
use crate::store::index::Period;
use crate::store::people::PersonHash;

/// What a standing hold covers. A recording must meet all of its conditions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldRule {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    person: Option<HeldPerson>,
    /// When the recording began, at the earliest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    from: Option<Timestamp>,
    /// The recording began before this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    to: Option<Timestamp>,
}

/// A person whose recordings are held.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HeldPerson {
    /// As keys of the index name the person.
    name: PersonHash,
    /// Other ids that may be the same person, such as a phone number without its country.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    also: Vec<PersonHash>,
    /// As the audit log names the person: records of a hold are found by this after its release.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pseudonyms: Vec<String>,
    /// As the operator gave it; removed with the last case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<String>,
}

/// Invalid conditions of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRule {
    #[error("a standing hold needs a person or a period")]
    Empty,
    #[error("the period must end after it begins; swap its start and end")]
    EndsBeforeItBegins,
}

/// Known participants of a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KnownPeople<'a> {
    All(&'a [PersonHash]),
    /// There may be others.
    Some(&'a [PersonHash]),
}

/// Known start of a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KnownStart {
    At(Timestamp),
    NotAfter(Timestamp),
}

/// Whether a recording meets a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Match {
    Yes,
    No,
    Unknown,
}

impl Match {
    /// Whether the recording counts as held.
    pub fn holds(self) -> bool {
        match self {
            Self::Yes | Self::Unknown => true,
            Self::No => false,
        }
    }

    /// Whether a recording meets both conditions.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::No, _) | (_, Self::No) => Self::No,
            (Self::Yes, Self::Yes) => Self::Yes,
            (Self::Unknown, _) | (_, Self::Unknown) => Self::Unknown,
        }
    }

    fn of(is_met: bool) -> Self {
        if is_met { Self::Yes } else { Self::No }
    }
}

impl PartialEq for HeldPerson {
    /// Compares people, however their ids were written.
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for HeldPerson {}

impl HeldPerson {
    /// `id`: as the operator gave it.
    pub fn new(name: PersonHash, id: String) -> Self {
        Self {
            name,
            also: Vec::new(),
            pseudonyms: Vec::new(),
            id: Some(id),
        }
    }

    /// Adds the person's name in the audit log.
    #[must_use]
    pub fn recorded_as(self, pseudonym: String) -> Self {
        Self {
            pseudonyms: vec![pseudonym],
            ..self
        }
    }

    /// The person's name in the audit log, which is the same for every format of the id.
    pub fn pseudonym(&self) -> Option<&str> {
        self.pseudonyms.first().map(String::as_str)
    }

    /// Adds other ids that may be the same person.
    #[must_use]
    pub fn or(self, also: Vec<PersonHash>) -> Self {
        Self { also, ..self }
    }

    /// Every name of the person in keys of the index.
    pub fn names(&self) -> impl Iterator<Item = PersonHash> + Send {
        std::iter::once(self.name).chain(self.also.iter().copied())
    }

    fn is_among(&self, known: &[PersonHash]) -> bool {
        self.names().any(|name| known.contains(&name))
    }

    /// Whether one of the names was made with another key than one of these: then they may be of one person, and differ.
    fn has_other_key_than(&self, known: &[PersonHash]) -> bool {
        let mut names = self.names();
        names.any(|name| known.iter().any(|known| !name.has_key_of(*known)))
    }

    /// Whether both are given by the same id, and named with different keys.
    fn is_same_by_another_key(&self, other: &Self) -> bool {
        let is_same = |(one, other): (&str, &str)| PersonKey::of(one) == PersonKey::of(other);
        !self.name.has_key_of(other.name) && self.id().zip(other.id()).is_some_and(is_same)
    }

    fn has_names_of(&self, other: &Self) -> bool {
        let has = |name| self.names().any(|known| known == name);
        let is_recorded = |pseudonym| self.pseudonyms.contains(pseudonym);
        other.names().all(has) && other.pseudonyms.iter().all(is_recorded)
    }

    fn add_names_of(&mut self, other: &Self) {
        for name in other.names() {
            if !self.names().any(|known| known == name) {
                self.also.push(name);
            }
        }
        for pseudonym in &other.pseudonyms {
            if !self.pseudonyms.contains(pseudonym) {
                self.pseudonyms.push(pseudonym.clone());
            }
        }
    }

    /// The id as the operator gave it, until the hold was released.
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }
}

impl HoldRule {
    /// # Errors
    /// When no condition is given, or the period is empty.
    pub fn new(person: Option<HeldPerson>, period: Period) -> Result<Self, InvalidRule> {
        let Period { from, to } = period;
        if person.is_none() && from.is_none() && to.is_none() {
            return Err(InvalidRule::Empty);
        }
        if from.zip(to).is_some_and(|(from, to)| to <= from) {
            return Err(InvalidRule::EndsBeforeItBegins);
        }
        Ok(Self { person, from, to })
    }

    pub fn person(&self) -> Option<&HeldPerson> {
        self.person.as_ref()
    }

    pub fn period(&self) -> Period {
        Period {
            from: self.from,
            to: self.to,
        }
    }

    /// Compares the rule with the known facts about a recording.
    pub fn matches(&self, people: KnownPeople<'_>, start: KnownStart) -> Match {
        self.matches_people(people).and(self.matches_start(start))
    }

    fn matches_people(&self, people: KnownPeople<'_>) -> Match {
        let Some(person) = &self.person else {
            return Match::Yes;
        };
        match people {
            KnownPeople::All(known) | KnownPeople::Some(known) if person.is_among(known) => {
                Match::Yes
            }
            KnownPeople::All(known) if person.has_other_key_than(known) => Match::Unknown,
            KnownPeople::All(_) => Match::No,
            KnownPeople::Some(_) => Match::Unknown,
        }
    }

    fn matches_start(&self, start: KnownStart) -> Match {
        if self.from.is_none() && self.to.is_none() {
            return Match::Yes;
        }
        match start {
            KnownStart::At(at) => {
                let is_after = self.from.is_none_or(|from| from <= at);
                Match::of(is_after && self.to.is_none_or(|to| at < to))
            }
            KnownStart::NotAfter(latest) if self.from.is_some_and(|from| latest < from) => {
                Match::No
            }
            KnownStart::NotAfter(_) => Match::Unknown,
        }
    }

    /// Whether it has the same period, and a person who has a name of the other one: which name of a phone number in
    /// national form comes first depends on the country that was set.
    pub(super) fn is_given_as(&self, other: &Self) -> bool {
        let shares = |(one, other): (&HeldPerson, &HeldPerson)| {
            let mut names = one.names();
            names.any(|name| other.names().any(|known| known == name))
        };
        let people = self.person.as_ref().zip(other.person.as_ref());
        (self.from, self.to) == (other.from, other.to) && people.is_some_and(shares)
    }

    /// Whether it has the same period, and the same person, who is named with another key.
    pub(super) fn is_same_by_another_key(&self, other: &Self) -> bool {
        let people = self.person.as_ref().zip(other.person.as_ref());
        (self.from, self.to) == (other.from, other.to)
            && people.is_some_and(|(one, other)| one.is_same_by_another_key(other))
    }

    /// Whether it has every name of the person of an equal rule.
    pub(super) fn has_names_of(&self, other: &Self) -> bool {
        let has = |other| {
            let person = self.person.as_ref();
            person.is_some_and(|person| person.has_names_of(other))
        };
        other.person.as_ref().is_none_or(has)
    }

    /// Adds the names of the person of an equal rule. It never matches fewer recordings afterwards.
    pub(super) fn add_names_of(&mut self, other: &Self) {
        if let (Some(person), Some(other)) = (&mut self.person, &other.person) {
            person.add_names_of(other);
        }
    }

    /// Removes the person's id. The rule still matches the same recordings.
    pub(super) fn forget_names(&mut self) {
        if let Some(person) = &mut self.person {
            person.id = None;
        }
    }

    /// Returns the name of its document, which is the same for every format of the person's id.
    pub(super) fn digest(&self) -> Sha256Digest {
        let person = self.person.as_ref().map(|person| person.name.to_string());
        let time = |at: Option<Timestamp>| at.map(|at| at.to_string()).unwrap_or_default();
        let (from, to) = (time(self.from), time(self.to));
        let name = format!("rule:{}|{from}|{to}", person.unwrap_or_default());
        Sha256Digest::of(name.as_bytes())
    }

    /// Returns the subjects of the audit log's records of this rule.
    pub fn audit_subjects(&self) -> Vec<String> {
        match &self.person {
            None => vec![self.described(None)],
            Some(person) => {
                let pseudonyms = person.pseudonyms.iter();
                pseudonyms.map(|one| self.described(Some(one))).collect()
            }
        }
    }

    /// Describes the rule, with `person` in place of the id, because the audit log has a pseudonym.
    pub fn described(&self, person: Option<&str>) -> String {
        let person = self.person.as_ref().map(|_| {
            let person = person.unwrap_or("a person whose id was removed");
            format!("of {person}")
        });
        let from = self.from.map(|from| format!("from {from}"));
        let to = self.to.map(|to| format!("until {to}"));
        let conditions = [Some("recordings".to_owned()), person, from, to];
        let words: Vec<String> = conditions.into_iter().flatten().collect();
        words.join(" ")
    }
}

impl fmt::Display for HoldRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let person = self.person.as_ref().and_then(HeldPerson::id);
        f.write_str(&self.described(person))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn person(name: &str) -> HeldPerson {
        HeldPerson::new(hash(name), name.to_owned())
    }

    fn hash(name: &str) -> PersonHash {
        hash_of_key(0, name)
    }

    fn hash_of_key(key: u8, name: &str) -> PersonHash {
        let mut bytes = Sha256Digest::of(name.as_bytes()).to_bytes();
        bytes[..4].fill(key);
        let digest = serde_json::to_value(Sha256Digest::from_bytes(bytes)).unwrap();
        serde_json::from_value(digest).unwrap()
    }

    #[test]
    fn a_person_is_not_excluded_where_the_participants_are_named_with_another_key() {
        let of_old_key = HeldPerson::new(hash_of_key(1, "anna"), "anna".to_owned());
        let rule = HoldRule::new(Some(of_old_key), march()).unwrap();
        let within = KnownStart::At(at("2026-03-02T10:00:00Z"));
        let people = [hash("bert")];
        assert_eq!(
            rule.matches(KnownPeople::All(&people), within),
            Match::Unknown
        );
        let outside = KnownStart::At(at("2026-04-02T10:00:00Z"));
        assert_eq!(rule.matches(KnownPeople::All(&people), outside), Match::No);
        let present = HoldRule::new(Some(person("anna")), march()).unwrap();
        assert!(present.is_same_by_another_key(&rule));
        assert!(!present.is_same_by_another_key(&present));
        let bert = HoldRule::new(Some(person("bert")), march()).unwrap();
        assert!(!bert.is_same_by_another_key(&rule));
    }

    #[test]
    fn a_rule_is_found_by_a_name_that_its_person_has_although_another_one_comes_first() {
        let given = |name: &str, also: &[&str], period| {
            let also = also.iter().map(|name| hash(name)).collect();
            HoldRule::new(Some(person(name).or(also)), period).unwrap()
        };
        let (german, period) = (given("+4930123", &["030123"], march()), march());
        assert!(german.is_given_as(&given("030123", &[], period)));
        assert!(german.is_given_as(&given("+4330123", &["030123"], period)));
        assert!(!german.is_given_as(&given("+4330123", &[], period)));
        assert!(!german.is_given_as(&given("030123", &[], Period::default())));
        let without_person = HoldRule::new(None, march()).unwrap();
        assert!(!without_person.is_given_as(&without_person));
    }

    #[test]
    fn a_released_rule_still_leads_to_its_records_in_the_audit_log() {
        let recorded = |pseudonym: &str| person("anna").recorded_as(pseudonym.to_owned());
        let mut rule = HoldRule::new(Some(recorded("participant:1")), march()).unwrap();
        let other = HoldRule::new(Some(recorded("participant:2")), march()).unwrap();
        assert!(!rule.has_names_of(&other));
        rule.add_names_of(&other);
        rule.forget_names();
        assert!(rule.has_names_of(&other));
        let period = "from 2026-03-01T00:00:00Z until 2026-04-01T00:00:00Z";
        assert_eq!(
            rule.audit_subjects(),
            [1, 2].map(|number| format!("recordings of participant:{number} {period}"))
        );
    }

    fn march() -> Period {
        Period {
            from: Some(at("2026-03-01T00:00:00Z")),
            to: Some(at("2026-04-01T00:00:00Z")),
        }
    }

    #[test]
    fn a_person_is_matched_where_named_and_not_excluded_where_participants_are_unknown() {
        let rule = HoldRule::new(Some(person("anna")), Period::default()).unwrap();
        let (anna, bert) = ([hash("anna"), hash("bert")], [hash("bert")]);
        let start = KnownStart::At(at("2026-03-02T10:00:00Z"));
        let matches = |people| rule.matches(people, start);
        assert_eq!(matches(KnownPeople::All(&anna)), Match::Yes);
        assert_eq!(matches(KnownPeople::Some(&anna)), Match::Yes);
        assert_eq!(matches(KnownPeople::All(&bert)), Match::No);
        assert_eq!(matches(KnownPeople::Some(&bert)), Match::Unknown);
        assert_eq!(matches(KnownPeople::Some(&[])), Match::Unknown);
    }

    #[rstest::rstest]
    #[case("2026-02-28T23:59:59Z", Match::No, Match::No)]
    #[case("2026-03-01T00:00:00Z", Match::Yes, Match::Unknown)]
    #[case("2026-03-31T23:59:59Z", Match::Yes, Match::Unknown)]
    #[case("2026-04-01T00:00:00Z", Match::No, Match::Unknown)]
    fn a_period_has_its_first_moment_and_not_its_last_and_an_unknown_start_is_not_excluded(
        #[case] time: &str,
        #[case] if_known: Match,
        #[case] if_not_after: Match,
    ) {
        let rule = HoldRule::new(None, march()).unwrap();
        let people = KnownPeople::Some(&[]);
        assert_eq!(rule.matches(people, KnownStart::At(at(time))), if_known);
        let not_after = KnownStart::NotAfter(at(time));
        assert_eq!(rule.matches(people, not_after), if_not_after);
    }

    #[test]
    fn a_person_in_a_period_has_to_meet_both() {
        let rule = HoldRule::new(Some(person("anna")), march()).unwrap();
        let anna = [hash("anna")];
        let people = KnownPeople::All(&anna);
        let before = KnownStart::At(at("2026-02-01T00:00:00Z"));
        assert_eq!(rule.matches(people, before), Match::No);
        assert_eq!(rule.matches(KnownPeople::Some(&[]), before), Match::No);
        let within = KnownStart::At(at("2026-03-02T00:00:00Z"));
        assert_eq!(rule.matches(people, within), Match::Yes);
        assert_eq!(rule.matches(KnownPeople::All(&[]), within), Match::No);
    }

    #[test]
    fn a_rule_without_a_condition_or_with_an_empty_period_is_refused() {
        assert_eq!(
            HoldRule::new(None, Period::default()),
            Err(InvalidRule::Empty)
        );
        let Period { from, to } = march();
        let backwards = Period { from: to, to: from };
        let refused = HoldRule::new(Some(person("anna")), backwards);
        assert_eq!(refused, Err(InvalidRule::EndsBeforeItBegins));
    }

    #[test]
    fn a_rule_without_its_persons_id_is_the_same_rule() {
        let rule = HoldRule::new(Some(person("anna")), march()).unwrap();
        let mut nameless = rule.clone();
        nameless.forget_names();
        assert_eq!(nameless, rule);
        assert_eq!(nameless.digest(), rule.digest());
        assert!(!serde_json::to_string(&nameless).unwrap().contains("anna"));
        assert!(!nameless.to_string().contains("anna"));
    }
}
