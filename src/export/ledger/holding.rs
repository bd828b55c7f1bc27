//! Determines which holds cover a chunk, by name and by the rules of standing holds. Every deletion calls this after its
//! intent is durable and before it acts. It decides nothing else.
//!
//! A chunk may not have all participants of its recording: the index has those of its other chunks, and those that were
//! known before its export. A person may be in very many recordings; then the index is read only around the times of the
//! chunk.

use futures::TryStreamExt as _;
use jiff::{SignedDuration, Timestamp};

use super::{BEYOND_THE_INDEX, ChunkLedger, LedgerError};
use crate::export::entry::LedgerEntry;
use crate::recording::PersonKey;
use crate::store::document_store::StoreError;
use crate::store::holds::{
    Case, Held, HoldRule, KnownPeople, KnownStart, Match, Scope, StandingHold,
};
use crate::store::index::{Listed, Period, Place, recording_name};
use crate::store::listing::PAGE;

/// The longest time between index times of parts of one recording: a recording lasts up to a day, and Event Grid
/// delivers for another day.
const FILED_WITHIN: SignedDuration = SignedDuration::from_hours(4 * 24);
/// The limit of places that are read for one check.
const PLACES: usize = 20 * PAGE;
/// The limit of places of a whole list: other chunks of a recording may be indexed at any time that an event claims.
const PLACES_OF_WHOLE_LIST: usize = 4 * PAGE;

/// Whether a list of the index includes a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Listing {
    Included,
    Absent,
    /// There is more in the list than was read.
    Unread,
}

impl LedgerEntry {
    /// Whether a rule matches the chunk, according to its own entry.
    pub fn matches(&self, rule: &HoldRule) -> Match {
        rule.matches(self.known_people(), self.known_start())
    }

    /// Whether the same holds cover this chunk and another reading of its entry.
    pub(in crate::export) fn is_held_as(&self, other: &Self) -> bool {
        Held::covering(&self.chunk).eq(Held::covering(&other.chunk))
            && self.known_start() == other.known_start()
            && self.filed_at() == other.filed_at()
            && self.known_people() == other.known_people()
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

    /// The start that its event claims is not believed if it is long before the event: the recording may have begun at any
    /// time before.
    fn known_start(&self) -> KnownStart {
        match self.chunk.believed_start(self.recorded_at) {
            Some(at) => KnownStart::At(at),
            None => KnownStart::NotAfter(self.recorded_at),
        }
    }

    /// The times within which the other chunks of its recording are indexed, unless their events claim others.
    fn indexed_within(&self) -> Vec<Period> {
        let around = |at: Timestamp| Period {
            from: at.checked_sub(FILED_WITHIN).ok(),
            to: Some(at.checked_add(FILED_WITHIN).unwrap_or(Timestamp::MAX)),
        };
        let (start, event) = (around(self.filed_at()), around(self.recorded_at));
        match (start.to, event.from) {
            (Some(to), Some(from)) if to >= from => vec![Period {
                from: start.from.min(event.from),
                to: start.to.max(event.to),
            }],
            _ => vec![start, event],
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
        if !self.is_anything_held().await? {
            return Ok(Vec::new());
        }
        self.cases_among_holds(entry).await
    }

    /// Whether anything was ever held.
    ///
    /// # Errors
    /// When the storage fails.
    pub(in crate::export) async fn is_anything_held(&self) -> Result<bool, LedgerError> {
        Ok(self.holds().is_any().await?)
    }

    /// Like [`cases_on`](Self::cases_on), where something was held.
    ///
    /// # Errors
    /// As [`cases_on`](Self::cases_on).
    pub(in crate::export) async fn cases_among_holds(
        &self,
        entry: &LedgerEntry,
    ) -> Result<Vec<Case>, LedgerError> {
        let holds = self.holds();
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
            if self
                .lists_recording(&Listed::Participant(name), entry)
                .await?
            {
                return Ok(rule.matches(KnownPeople::Some(&[name]), entry.known_start()));
            }
        }
        let beyond = self.people().hash(&PersonKey::of(BEYOND_THE_INDEX)).await?;
        // Another part of the recording may name the person, where its participants are unknown or more than the index has.
        // Names of another key do not say whom they name.
        let has_more = own == Match::No
            && (self
                .lists_recording(&Listed::Participant(beyond), entry)
                .await?
                || self
                    .lists_recording(&Listed::ParticipantsUnknown, entry)
                    .await?
                || self.people().has_lists_of_another_key().await?);
        Ok(if has_more { Match::Unknown } else { own })
    }

    /// Whether a list includes the recording of a chunk. One that is too long to read is read around the
    /// times of the chunk; if that is too long too, it counts as including it.
    async fn lists_recording(
        &self,
        list: &Listed,
        entry: &LedgerEntry,
    ) -> Result<bool, StoreError> {
        let whole = self.look_up(list, entry, Period::default(), PLACES_OF_WHOLE_LIST);
        match whole.await? {
            Listing::Included => return Ok(true),
            Listing::Absent => return Ok(false),
            Listing::Unread => {}
        }
        for period in entry.indexed_within() {
            let part = self.look_up(list, entry, period, PLACES).await?;
            if part != Listing::Absent {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Reads at most `most` places of a list.
    async fn look_up(
        &self,
        list: &Listed,
        entry: &LedgerEntry,
        period: Period,
        most: usize,
    ) -> Result<Listing, StoreError> {
        let recording = recording_name(&entry.chunk.filed_under());
        // Whether its own people are known, its entry says: a kill may have left an old marker.
        let is_outdated = |place: &Place| {
            matches!(list, Listed::ParticipantsUnknown)
                && place.document.as_ref() == Some(&entry.chunk.document_id)
        };
        let index = self.index();
        let mut places = index.all_places(list, period);
        for _ in 0..most {
            match places.try_next().await? {
                None => return Ok(Listing::Absent),
                Some(place) if place.recording == recording && !is_outdated(&place) => {
                    return Ok(Listing::Included);
                }
                Some(_) => {}
            }
        }
        Ok(Listing::Unread)
    }
}
