//! A recording as register and ledger know it. Pure.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

use crate::control::entry::{RecordingStatus, RegisteredRecording};
use crate::export::{ChunkState, LedgerEntry, entry};
use crate::recording::chunk::is_believed_start;
use crate::recording::{CallLocator, DocumentId, RecordedCall};
use crate::standing::{
    Assessment, ChunkEntry, KnownChunk, OperatorStep, Rules, Standing, of_chunk, of_recording,
};
use crate::store::digest::Sha256Digest;
use crate::store::holds::{Case, Held, HoldRule, KnownPeople, KnownStart, Match, tags};
use crate::store::index::Listed;

/// What is found under a name of the index.
#[derive(Debug, Clone)]
pub enum Reading {
    Known(Box<KnownRecording>),
    /// Its account exists and is unreadable.
    Unreadable {
        key: String,
    },
    Absent,
}

/// Whether a recording has an account in the register.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registration {
    Registered,
    /// The ledger has chunks of it, and the register has no account.
    Unregistered,
}

/// A recording as register and ledger know it.
#[derive(Debug, Clone)]
pub struct KnownRecording {
    pub account: RegisteredRecording,
    pub registration: Registration,
    /// In order of their index.
    pub chunks: Vec<KnownChunk>,
    /// The cases that hold it.
    pub cases: Vec<HeldCase>,
}

/// A case that holds a recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldCase {
    pub case: Case,
    pub on: HoldTarget,
}

/// What a hold is on that covers a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum HoldTarget {
    /// The recording, by its own id.
    Recording,
    /// Another id, under which events name files of the recording.
    OtherRecording,
    /// The call, by any of its ids.
    Call,
    /// The recordings of a person, all or those of a period.
    Person,
    /// The recordings of a period.
    Period,
    /// Unknown: the hold is not readable, and counts for everything.
    Unreadable,
}

impl HoldTarget {
    /// Returns what a hold is on that covers this recording.
    pub(super) fn of(held: &Held, recorded: &KnownRecording) -> Self {
        match held {
            Held::RecordingId(id) if *id == recorded.account.recording_id => Self::Recording,
            Held::RecordingId(_) => Self::OtherRecording,
            Held::CallId(_) => Self::Call,
            Held::Matching(rule) => Self::of_rule(rule),
        }
    }

    pub(super) fn of_rule(rule: &HoldRule) -> Self {
        match rule.person() {
            Some(_) => Self::Person,
            None => Self::Period,
        }
    }
}

impl KnownRecording {
    pub fn entries(&self) -> impl Iterator<Item = &LedgerEntry> + Clone {
        self.chunks.iter().filter_map(|chunk| chunk.entry.found())
    }

    /// Returns every id by which a hold may cover it. Rules of standing holds are apart: see `matches`.
    pub fn holdable(&self) -> Vec<Held> {
        let mut held = vec![Held::RecordingId(self.account.recording_id.clone())];
        held.extend(self.account.call_id.iter().flat_map(Held::of_call));
        for one in self
            .entries()
            .flat_map(|entry| Held::covering(&entry.chunk))
        {
            if !held.contains(&one) {
                held.push(one);
            }
        }
        held
    }

    /// Returns the tags of the cases that hold it, once each, for a sentence.
    pub fn case_tags(&self) -> String {
        let cases: Vec<Case> = self.cases.iter().map(|held| held.case.clone()).collect();
        tags(&cases)
    }

    /// Whether a hold by this name covers its files, or those that are still to be announced. Of the names by which a call is
    /// recorded, events have the server call id only.
    pub fn is_covered_by_name(&self, held: &Held) -> bool {
        let started_by = match &self.account.call {
            Some(RecordedCall::Locator(CallLocator::ServerCall { server_call_id })) => {
                Some(server_call_id)
            }
            Some(RecordedCall::Locator(_) | RecordedCall::Connection(_)) | None => None,
        };
        let is_started_by = |held: &Held| match held {
            Held::CallId(id) => started_by.is_some_and(|call| call.key() == id.key()),
            Held::RecordingId(_) | Held::Matching(_) => false,
        };
        // The entry of a chunk that is not read may have any name.
        let may_have_more = self.chunks.is_empty()
            || self
                .chunks
                .iter()
                .any(|chunk| chunk.entry.found().is_none());
        self.holdable().contains(held) || (may_have_more && is_started_by(held))
    }

    /// Whether the rule of a standing hold matches it. An erased recording has nothing left to hold.
    pub fn matches(&self, rule: &HoldRule) -> Match {
        if self.account.erased.is_some() {
            return Match::No;
        }
        // The account may name people before any metadata does.
        if self.matches_unread(rule) == Match::Yes {
            return Match::Yes;
        }
        let mut is_unknown = false;
        for chunk in &self.chunks {
            match chunk.entry.found().map(|entry| entry.matches(rule)) {
                Some(Match::Yes) => return Match::Yes,
                Some(Match::No) => {}
                Some(Match::Unknown) => is_unknown = true,
                None => is_unknown |= self.matches_unread(rule).holds(),
            }
        }
        if self.chunks.is_empty() {
            return self.matches_unread(rule);
        }
        if is_unknown {
            Match::Unknown
        } else {
            Match::No
        }
    }

    /// Whether a rule matches a part that only the account knows.
    fn matches_unread(&self, rule: &HoldRule) -> Match {
        let (started_at, known_at) = (self.account.started_at, self.account.opened_at);
        let known_at = known_at.unwrap_or(Timestamp::MAX);
        let start = match started_at.filter(|at| is_believed_start(*at, known_at)) {
            Some(at) => KnownStart::At(at),
            None => KnownStart::NotAfter(known_at),
        };
        rule.matches(KnownPeople::Some(&self.account.people), start)
    }

    /// Returns the one marker of a list at which it is shown, however many it has there.
    pub fn shown_at(&self, list: &Listed) -> Option<String> {
        let prefix = list.prefix();
        let mut markers: BTreeSet<String> = self.account.markers();
        markers.extend(self.entries().flat_map(LedgerEntry::markers));
        markers.into_iter().find(|key| key.starts_with(&prefix))
    }

    /// Returns the id of a chunk of it if its entry is not readable.
    pub fn unreadable_chunk<'a>(&self, id: Option<&'a DocumentId>) -> Option<&'a DocumentId> {
        let is_unreadable = |id: &&DocumentId| {
            let mut chunks = self.chunks.iter();
            chunks.any(|chunk| {
                chunk.document_id == **id && matches!(chunk.entry, ChunkEntry::Unreadable)
            })
        };
        id.filter(is_unreadable)
    }

    /// Who was in the call.
    pub fn participants(&self) -> BTreeSet<&str> {
        let metadata = self.entries().filter_map(|entry| entry.metadata.as_ref());
        metadata
            .flat_map(|metadata| &metadata.participants)
            .map(|participant| participant.id.as_str())
            .collect()
    }

    /// Returns its standing.
    pub fn assessment(&self, rules: Rules) -> Assessment {
        match self.registration {
            Registration::Registered => of_recording(&self.account, &self.chunks, rules),
            Registration::Unregistered => {
                let problem = "the ledger has chunks of it, and the register has no account of it";
                let unknown =
                    Assessment::because(Standing::Unknown, problem, OperatorStep::RestoreAccount);
                // An import writes the account after the entry, and a repeat of it writes both.
                let is_begun_import = self.entries().all(LedgerEntry::is_unfinished_import);
                let unknown = Some(unknown).filter(|_| !is_begun_import);
                let chunks = self.entries().map(|entry| of_chunk(entry, rules.now));
                Assessment::of_parts(unknown.into_iter().chain(chunks).collect())
            }
        }
    }

    /// The size of what is in the vault, or in the customer's own storage.
    pub fn size_bytes(&self) -> Option<u64> {
        let sizes = self.entries().filter_map(|entry| {
            if let ChunkState::InPlace { files, .. } = &entry.state {
                return Some(files.media.size_bytes);
            }
            entry
                .state
                .receipt()
                .map(|receipt| receipt.media().size_bytes())
        });
        sizes.reduce(u64::saturating_add)
    }

    pub fn started_at(&self) -> Option<Timestamp> {
        let first = self.entries().next();
        self.account
            .started_at
            .or_else(|| first.and_then(|entry| entry.chunk.started_at))
    }

    /// Returns when it ended: by its duration if that is known, else by when it was seen to end.
    pub fn ended_at(&self) -> Option<Timestamp> {
        let stopped_at = match &self.account.status {
            RecordingStatus::Stopped { at } | RecordingStatus::Failed { at, .. } => *at,
            RecordingStatus::Running => return None,
        };
        let by_duration = || {
            let duration_ms = entry::recording_duration_ms(self.entries())?;
            let duration = SignedDuration::from_millis(i64::try_from(duration_ms).ok()?);
            self.started_at()?.checked_add(duration).ok()
        };
        Some(by_duration().unwrap_or(stopped_at))
    }

    pub fn call_id(&self) -> Option<String> {
        let by_chunks = || {
            self.entries()
                .find_map(|entry| entry.chunk.call_id.as_ref().map(ToString::to_string))
        };
        let call_id = self.account.call_id.as_ref().map(ToString::to_string);
        call_id.or_else(by_chunks)
    }

    pub fn server_call_id(&self) -> Option<String> {
        let by_chunks = || {
            self.entries()
                .find_map(|entry| entry.chunk.server_call_id.as_ref().map(ToString::to_string))
        };
        let server_call_id = self.account.conversation_id().map(str::to_owned);
        server_call_id.or_else(by_chunks)
    }
}

/// Returns the name and the standing of a recording whose account is unreadable.
pub(super) fn unreadable(name: &Sha256Digest, key: &str) -> (String, Assessment) {
    let problem = format!("its account `{key}` in the ledger is not readable");
    (name.to_string(), Assessment::of_unreadable(problem))
}

/// Returns the standing of a recording that a marker names, and that has no account.
pub(super) fn unaccounted(name: &Sha256Digest, marker: &str) -> Assessment {
    Assessment::of_unreadable(format!(
        "`{marker}` in the ledger names it, and its account `recordings/{name}.json` does not exist"
    ))
}

/// Returns notices about a chunk that its standing does not include.
pub(super) fn of_files(index: u32, entry: &LedgerEntry) -> Vec<String> {
    let mut problems = Vec::new();
    if let Some(places) = entry.disputed_places() {
        problems.push(format!(
            "events name {places} places for chunk {index}; `accept --place` says which is right"
        ));
    }
    let omitted = entry
        .metadata
        .as_ref()
        .map_or(0, |metadata| metadata.participants_omitted);
    if omitted > 0 {
        problems.push(format!(
            "chunk {index} has {omitted} participants more than are listed; see its metadata file"
        ));
    }
    problems
}
