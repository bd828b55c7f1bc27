//! What a released hold covered, compared with the other holds in force: how much of it they still keep. Pure; it must not
//! know how either is found.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::known::KnownRecording;
use crate::export::{ChunkState, LedgerEntry};
use crate::recording::{CallId, RecordingId};
use crate::store::holds::{
    Case, Held, Hold, HoldContent, HoldRule, Scope, StandingHold, StoredHold,
};
use crate::store::index::Period;

/// How much of what a released hold covered is still held.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct StillHeld {
    /// Known recordings that the hold covered, without those of which nothing is left to hold.
    pub recordings: usize,
    /// Those that are still held: each known chunk that the hold covered. One that may match counts as held.
    pub held: usize,
    /// Those of which some chunks are still held, and others are not.
    pub partly_held: usize,
    /// The hold covered more recordings than were counted: whether the others are still held is unknown.
    pub is_capped: bool,
    /// Accounts and entries that the hold may have covered, and that are not readable: whether what they name is still held
    /// is unknown.
    pub unreadable: usize,
    /// Documents of holds that are not readable: what they cover is unknown, and is not deleted.
    pub unreadable_holds: usize,
}

/// What other holds keep of what a released hold covered.
#[derive(Debug)]
pub struct KeptByOthers {
    pub still_held: StillHeld,
    /// The cases that hold any part of it.
    pub cases: Vec<Case>,
}

/// Whether parts of a recording are held.
#[derive(Debug, Default)]
struct Parts {
    has_held: bool,
    has_free: bool,
}

/// The holds in force, and what they keep of the recordings that are added.
#[derive(Debug, Default)]
pub(super) struct OtherHolds {
    /// Cases on the same subject as the released hold. They keep everything that it covered.
    same: Vec<Case>,
    recordings: BTreeMap<RecordingId, Vec<Case>>,
    calls: BTreeMap<CallId, Vec<Case>>,
    standing: Vec<StandingHold>,
    unreadable: usize,
    parts: BTreeMap<RecordingId, Parts>,
    cases: Vec<Case>,
}

impl OtherHolds {
    /// The holds in force beside one that was released.
    pub fn beside(released: &Held, stored: Vec<StoredHold>, standing: Vec<StandingHold>) -> Self {
        let mut others = Self {
            standing,
            ..Self::default()
        };
        for document in stored {
            match document.content {
                HoldContent::Hold(hold) => others.add_by_name(hold),
                HoldContent::Unreadable { .. } | HoldContent::NotRead(_) => others.unreadable += 1,
            }
        }
        others.same = others.on(released).to_vec();
        others.cases.clone_from(&others.same);
        others
    }

    fn add_by_name(&mut self, hold: Hold) {
        match hold.held {
            Held::RecordingId(id) => {
                self.recordings.insert(id, hold.cases);
            }
            Held::CallId(id) => {
                self.calls.insert(id, hold.cases);
            }
            // It is among the standing ones, if it is in force.
            Held::Matching(_) => {}
        }
    }

    /// Adds a recording, with the chunks of it that the released hold covered.
    pub fn add<'a>(
        &mut self,
        released: &Held,
        recorded: &KnownRecording,
        covered: impl Iterator<Item = &'a LedgerEntry>,
    ) {
        let id = &recorded.account.recording_id;
        let mut is_announced = recorded.entries().next().is_some();
        for entry in covered {
            is_announced = true;
            self.add_chunk(id, entry, Some(recorded));
        }
        let is_covered = || {
            released
                .rule()
                .is_none_or(|rule| recorded.matches(rule).holds())
        };
        if !is_announced && recorded.account.erased.is_none() && is_covered() {
            let cases = self.cases_before_its_chunks(recorded);
            self.note(id, cases);
        }
    }

    /// Adds a covered chunk that no account names.
    pub fn add_unregistered(&mut self, entry: &LedgerEntry) {
        self.add_chunk(&entry.chunk.filed_under(), entry, None);
    }

    /// Returns what was found. `is_capped`, `unreadable`: what the released hold covered, or may have covered, beside what
    /// was added.
    pub fn counted(self, is_capped: bool, unreadable: usize) -> KeptByOthers {
        let count = |is_counted: fn(&Parts) -> bool| {
            let parts = self.parts.values();
            parts.filter(|parts| is_counted(parts)).count()
        };
        let still_held = StillHeld {
            recordings: self.parts.len(),
            held: count(|parts| !parts.has_free),
            partly_held: count(|parts| parts.has_held && parts.has_free),
            is_capped,
            unreadable,
            unreadable_holds: self.unreadable,
        };
        KeptByOthers {
            still_held,
            cases: self.cases,
        }
    }

    fn add_chunk(
        &mut self,
        id: &RecordingId,
        entry: &LedgerEntry,
        recorded: Option<&KnownRecording>,
    ) {
        if !is_deleted(entry) {
            let cases = self.cases_on(entry, recorded);
            self.note(id, cases);
        }
    }

    fn note(&mut self, id: &RecordingId, cases: Vec<Case>) {
        let parts = self.parts.entry(id.clone()).or_default();
        parts.has_held |= !cases.is_empty();
        parts.has_free |= cases.is_empty();
        for case in cases {
            if !self.cases.contains(&case) {
                self.cases.push(case);
            }
        }
    }

    /// The cases on a subject.
    fn on(&self, held: &Held) -> &[Case] {
        let cases = match held {
            Held::RecordingId(id) => self.recordings.get(id),
            Held::CallId(id) => self.calls.get(id),
            Held::Matching(rule) => {
                let is_same = |hold: &&StandingHold| match &hold.scope {
                    Scope::Matching(other) => other == rule,
                    Scope::Everything => false,
                };
                self.standing
                    .iter()
                    .find(is_same)
                    .map(|standing| &standing.cases)
            }
        };
        cases.map(Vec::as_slice).unwrap_or_default()
    }

    fn cases_on(&self, entry: &LedgerEntry, recorded: Option<&KnownRecording>) -> Vec<Case> {
        let by_name = Held::covering(&entry.chunk).flat_map(|held| self.on(&held).to_vec());
        let by_rule = self.cases_by_rule(|rule| keeps(rule, entry, recorded));
        self.same
            .iter()
            .cloned()
            .chain(by_name)
            .chain(by_rule)
            .collect()
    }

    /// The cases that hold a recording of which no chunk is known.
    fn cases_before_its_chunks(&self, recorded: &KnownRecording) -> Vec<Case> {
        let names = recorded.holdable().into_iter();
        let by_name = names.flat_map(|held| self.on(&held).to_vec());
        let by_rule = self.cases_by_rule(|rule| recorded.matches(rule).holds());
        self.same
            .iter()
            .cloned()
            .chain(by_name)
            .chain(by_rule)
            .collect()
    }

    fn cases_by_rule(&self, applies: impl Fn(&HoldRule) -> bool) -> impl Iterator<Item = Case> {
        let in_force = self.standing.iter().filter(move |hold| match &hold.scope {
            Scope::Matching(rule) => applies(rule),
            Scope::Everything => true,
        });
        in_force.flat_map(|hold| hold.cases.iter().cloned())
    }
}

/// Whether a standing hold keeps a chunk. Another part of its recording may name the person.
fn keeps(rule: &HoldRule, entry: &LedgerEntry, recorded: Option<&KnownRecording>) -> bool {
    if entry.matches(rule).holds() {
        return true;
    }
    // Who else is in the recording does not matter outside the period.
    let period = HoldRule::new(None, rule.period()).ok();
    let is_within = period.is_none_or(|period| entry.matches(&period).holds());
    let person = HoldRule::new(rule.person().cloned(), Period::default()).ok();
    let names_person =
        |person: HoldRule| recorded.is_some_and(|recorded| recorded.matches(&person).holds());
    is_within && person.is_some_and(names_person)
}

/// Whether its copy is deleted, or is being deleted: no hold keeps it.
fn is_deleted(entry: &LedgerEntry) -> bool {
    matches!(
        entry.state,
        ChunkState::Removing { .. } | ChunkState::Removed { .. }
    )
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::catalogue::known::Registration;
    use crate::control::entry::RegisteredRecording;
    use crate::export::entry::tests::entry;
    use crate::standing::{ChunkEntry, KnownChunk};

    fn recording(id: &str) -> Held {
        Held::RecordingId(id.parse().unwrap())
    }

    fn call(id: &str) -> Held {
        Held::CallId(id.parse().unwrap())
    }

    /// All recordings that began in a year or later.
    fn since(year: &str) -> HoldRule {
        let from = Some(format!("{year}-01-01T00:00:00Z").parse().unwrap());
        HoldRule::new(None, Period { from, to: None }).unwrap()
    }

    fn case(tag: &str) -> Case {
        Case {
            tag: tag.parse().unwrap(),
            by: None,
            requested_by: None,
            note: None,
            since: Timestamp::UNIX_EPOCH,
        }
    }

    fn hold(what: Held, tag: &str) -> StoredHold {
        let hold = Hold {
            held: what,
            cases: vec![case(tag)],
            released: Vec::new(),
        };
        StoredHold {
            key: String::new(),
            content: HoldContent::Hold(hold),
        }
    }

    fn standing(rule: HoldRule, tag: &str) -> StandingHold {
        StandingHold {
            scope: Scope::Matching(rule),
            cases: vec![case(tag)],
        }
    }

    /// A chunk of recording `id`, in a call of this id.
    fn chunk(id: &str, call: &str) -> LedgerEntry {
        let mut entry = entry();
        entry.chunk.recording_id = Some(id.parse().unwrap());
        entry.chunk.call_id = Some(call.parse().unwrap());
        entry
    }

    fn recorded(id: &str, entries: &[LedgerEntry]) -> KnownRecording {
        let chunks = entries.iter().map(|entry| KnownChunk {
            index: 0,
            document_id: entry.chunk.document_id.clone(),
            entry: ChunkEntry::Found(Box::new(entry.clone())),
        });
        KnownRecording {
            account: RegisteredRecording::unknown(id.parse().unwrap(), entry().recorded_at),
            registration: Registration::Registered,
            chunks: chunks.collect(),
            cases: Vec::new(),
        }
    }

    /// What is kept of recordings that a released hold covered, each with its chunks.
    fn kept(
        released: &Held,
        mut others: OtherHolds,
        covered: &[(&str, Vec<LedgerEntry>)],
    ) -> (StillHeld, Vec<String>) {
        for (id, entries) in covered {
            others.add(released, &recorded(id, entries), entries.iter());
        }
        let KeptByOthers { still_held, cases } = others.counted(false, 0);
        let tags = cases.iter().map(|case| case.tag.to_string());
        (still_held, tags.collect())
    }

    fn counts(recordings: usize, held: usize, partly_held: usize) -> StillHeld {
        StillHeld {
            recordings,
            held,
            partly_held,
            ..StillHeld::default()
        }
    }

    #[test]
    fn of_two_recordings_of_a_call_one_is_held_by_its_id() {
        let released = call("call");
        let others = OtherHolds::beside(&released, vec![hold(recording("one"), "Y-1")], vec![]);
        let (one, two) = (vec![chunk("one", "call")], vec![chunk("two", "call")]);
        let kept = kept(&released, others, &[("one", one), ("two", two)]);
        assert_eq!(kept, (counts(2, 1, 0), vec!["Y-1".to_owned()]));
    }

    #[test]
    fn a_recording_of_which_one_chunk_is_held_is_held_in_part() {
        let released = recording("one");
        let others = OtherHolds::beside(&released, vec![hold(call("b"), "Y-1")], vec![]);
        let chunks = vec![chunk("one", "a"), chunk("one", "b")];
        let kept = kept(&released, others, &[("one", chunks)]);
        assert_eq!(kept, (counts(1, 0, 1), vec!["Y-1".to_owned()]));
    }

    #[test]
    fn another_case_on_the_same_subject_keeps_all_of_it() {
        for released in [recording("one"), call("a"), Held::Matching(since("2020"))] {
            let stored = vec![hold(released.clone(), "B-2")];
            let rules = released.rule().map(|rule| standing(rule.clone(), "B-2"));
            let others = OtherHolds::beside(&released, stored, rules.into_iter().collect());
            let chunks = vec![chunk("one", "a")];
            let kept = kept(&released, others, &[("one", chunks), ("two", vec![])]);
            assert_eq!(kept, (counts(2, 2, 0), vec!["B-2".to_owned()]));
        }
    }

    #[rstest::rstest]
    #[case::may_have_begun_in_it("2020", 1)]
    #[case::was_known_before_it("2027", 0)]
    fn a_period_keeps_what_may_have_begun_in_it(#[case] year: &str, #[case] held: usize) {
        let released = recording("one");
        let rules = vec![standing(since(year), "Z-2")];
        let others = OtherHolds::beside(&released, vec![], rules);
        let (still_held, _) = kept(&released, others, &[("one", vec![chunk("one", "a")])]);
        assert_eq!(still_held, counts(1, held, 0));
    }

    #[test]
    fn a_recording_whose_copies_are_deleted_is_not_counted() {
        let mut removed = chunk("one", "a");
        removed.state = ChunkState::Removed {
            receipt: None,
            source: None,
            removed_at: removed.recorded_at,
            reason: "retention".to_owned(),
        };
        let released = call("a");
        let stored = vec![hold(recording("one"), "Y-1")];
        let others = OtherHolds::beside(&released, stored, vec![]);
        let kept = kept(&released, others, &[("one", vec![removed])]);
        assert_eq!(kept, (counts(0, 0, 0), vec![]));
    }

    #[test]
    fn what_is_not_known_is_counted_too() {
        let released = call("a");
        let unreadable = StoredHold {
            key: "holds/x.json".to_owned(),
            content: HoldContent::Unreadable {
                source: serde_json::from_str::<u8>("x").unwrap_err(),
            },
        };
        let mut others = OtherHolds::beside(&released, vec![unreadable], vec![]);
        others.add_unregistered(&chunk("one", "a"));
        let still_held = others.counted(true, 2).still_held;
        let expected = StillHeld {
            is_capped: true,
            unreadable: 2,
            unreadable_holds: 1,
            ..counts(1, 0, 0)
        };
        assert_eq!(still_held, expected);
    }
}
