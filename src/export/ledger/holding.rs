//! Determines which holds cover a chunk, by name and by the rules of standing holds. Every deletion calls this after its
//! intent is durable and before it acts. It decides nothing else.
//!
//! A chunk may not have all participants of its recording: the index has those of its other chunks, and those that were
//! known before its export. A person may be in many recordings, so the index is read only around the chunk's start.

use jiff::{SignedDuration, Timestamp};

use super::{BEYOND_THE_INDEX, ChunkLedger, LedgerError};
use crate::export::entry::LedgerEntry;
use crate::recording::PersonKey;
use crate::store::document_store::StoreError;
use crate::store::holds::{
    Case, Held, HoldRule, KnownPeople, KnownStart, Match, Scope, StandingHold,
};
use crate::store::index::{Listed, Period, recording_name};
use crate::store::people::PersonHash;

/// The longest time between index times of parts of one recording: a recording lasts up to a day, and Event Grid
/// delivers for another day.
const FILED_WITHIN: SignedDuration = SignedDuration::from_hours(4 * 24);
/// Index entries that one request reads, and the limit of requests for one check.
const PAGE: usize = 5000;
const PAGES: usize = 20;

impl LedgerEntry {
    /// Whether a rule matches the chunk, according to its own entry.
    pub fn matches(&self, rule: &HoldRule) -> Match {
        rule.matches(self.known_people(), self.known_start())
    }

    /// A metadata file without participants leaves them unknown.
    fn known_people(&self) -> KnownPeople<'_> {
        let names_all = self.metadata.as_ref().is_some_and(|metadata| {
            metadata.participants_omitted == 0 && !metadata.participants.is_empty()
        });
        // The metadata of another file of the document may name more participants.
        if names_all && self.further.is_empty() {
            KnownPeople::All(&self.participant_hashes)
        } else {
            KnownPeople::Some(&self.participant_hashes)
        }
    }

    fn known_start(&self) -> KnownStart {
        match self.chunk.plausible_start(self.recorded_at) {
            Some(at) => KnownStart::At(at),
            None => KnownStart::NotAfter(self.recorded_at),
        }
    }
}

impl ChunkLedger {
    /// The cases that hold a chunk: by its recording, by its call under either name, and by standing holds. One request
    /// while nothing was ever held.
    ///
    /// # Errors
    /// When the storage fails, or a hold on this recording or call is unreadable: then nothing may be deleted.
    pub async fn cases_on(&self, entry: &LedgerEntry) -> Result<Vec<Case>, LedgerError> {
        let holds = self.holds();
        if !holds.is_any().await? {
            return Ok(Vec::new());
        }
        let mut cases = holds.cases_by_name(&entry.chunk).await?;
        for hold in holds.standing().await? {
            if self.is_covered(&hold, entry).await? {
                cases.extend(hold.cases);
            }
        }
        Ok(cases)
    }

    /// Whether a hold covers a chunk, as far as that is known.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn is_held_by(&self, held: &Held, entry: &LedgerEntry) -> Result<Match, LedgerError> {
        match held {
            Held::Matching(rule) => self.match_recording(rule, entry).await,
            Held::RecordingId(_) | Held::CallId(_) if held.covers(&entry.chunk) => Ok(Match::Yes),
            Held::RecordingId(_) | Held::CallId(_) => Ok(Match::No),
        }
    }

    async fn is_covered(
        &self,
        hold: &StandingHold,
        entry: &LedgerEntry,
    ) -> Result<bool, LedgerError> {
        match &hold.scope {
            Scope::Everything => Ok(true),
            Scope::Matching(rule) => Ok(self.match_recording(rule, entry).await?.holds()),
        }
    }

    /// Whether a rule matches the recording of a chunk.
    async fn match_recording(
        &self,
        rule: &HoldRule,
        entry: &LedgerEntry,
    ) -> Result<Match, LedgerError> {
        let own = entry.matches(rule);
        let Some(person) = rule.person() else {
            return Ok(own);
        };
        // Who else is in the recording does not matter outside the period.
        let start = rule.matches(KnownPeople::Some(&[]), entry.known_start());
        if own == Match::Yes || start == Match::No {
            return Ok(own);
        }
        for name in person.names() {
            if self.names_recording(name, entry).await? {
                return Ok(rule.matches(KnownPeople::Some(&[name]), entry.known_start()));
            }
        }
        let beyond = self.people().hash(&PersonKey::of(BEYOND_THE_INDEX)).await?;
        let has_more = own == Match::No && self.names_recording(beyond, entry).await?;
        Ok(if has_more { Match::Unknown } else { own })
    }

    /// Whether the list of a person includes the recording of a chunk. A list that is too long to read counts as
    /// including it.
    async fn names_recording(
        &self,
        person: PersonHash,
        entry: &LedgerEntry,
    ) -> Result<bool, StoreError> {
        let (index, list) = (self.index(), Listed::Participant(person));
        let recording = recording_name(&entry.chunk.filed_under());
        let at = entry.filed_at();
        let period = Period {
            from: at.checked_sub(FILED_WITHIN).ok(),
            to: Some(at.checked_add(FILED_WITHIN).unwrap_or(Timestamp::MAX)),
        };
        let mut after = None;
        for _ in 0..PAGES {
            let places = index.places(&list, period, after.as_ref(), PAGE).await?;
            if places.iter().any(|place| place.recording == recording) {
                return Ok(true);
            }
            if places.len() < PAGE {
                return Ok(false);
            }
            after = places.into_iter().next_back();
        }
        Ok(true)
    }
}
