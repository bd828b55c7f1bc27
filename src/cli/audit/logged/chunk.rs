//! The audit log's records of one chunk, and how its entry compares with them.

use jiff::Timestamp;
use recording_vault::export::ledger::{audited_proof, audited_state};
use recording_vault::export::{ChunkState, ExportReceipt};
use recording_vault::recording::FileNumber;
use recording_vault::recording::id::canonical;
use recording_vault::store::audit::{AuditAction, AuditPosition, AuditRecord, FollowedDocument};
use recording_vault::store::digest::Sha256Digest;
use serde_json::Value;

use crate::cli::audit::place::{Listed, RecordPlace, WrittenOrder};

/// Members of an announcement that never change.
pub const ANNOUNCED: [&str; 4] = ["recordingId", "callId", "serverCallId", "index"];

/// A short hash of what a record says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Fingerprint([u8; 16]);

/// The records of one chunk.
#[derive(Debug, Clone, Default)]
pub struct LoggedChunk {
    facts: Vec<Fact>,
    /// The announcements that created its entry.
    created: Vec<Announcement>,
    /// Later announcements.
    repeated: Vec<Announcement>,
    /// Proofs of its copies, by those who made them.
    proofs: Vec<Fingerprint>,
    /// Proofs from the receipts that its entry was rebuilt from.
    rebuilt_from: Vec<Fingerprint>,
    /// Names of other files that were exported.
    other_files: Vec<Fingerprint>,
    /// Content that was imported by hand.
    imported: Vec<Fingerprint>,
    accepted_places: Vec<Fingerprint>,
    is_accepted: bool,
    /// The records of its acknowledgements.
    acknowledgements: Vec<AuditRecord>,
    is_rebuilt: bool,
}

/// What the log has of a copy's proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoggedProof {
    Recorded,
    /// Only the rebuild of its entry has it, and the log has other proofs.
    OnlyRebuiltBesideOthers,
    /// Only the rebuild of its entry has it, and the log has no other proof.
    OnlyRebuilt,
    NotRecorded,
}

/// Something that the log says of a chunk, once or more often.
#[derive(Debug, Clone)]
struct Fact {
    what: Fingerprint,
    state: Option<LoggedState>,
    is_rebuild: bool,
    places: Vec<RecordPlace>,
}

/// A state that a chunk came into.
#[derive(Debug, Clone, Copy)]
struct LoggedState {
    name: Fingerprint,
    /// No other state follows it.
    is_final: bool,
}

/// The members of [`ANNOUNCED`]; `None` where the event lacked one.
#[derive(Debug, Clone, Copy)]
struct Announcement([Option<Fingerprint>; ANNOUNCED.len()]);

/// How an entry's state compares with the records of its chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StateCheck {
    /// No record has it.
    NotLogged,
    /// No later record has another state.
    Newest,
    /// A single later record has another state, which the entry does not list: a process may have ended between the record
    /// and its write.
    Unclear,
    /// Another record has another state, and it is not known which of them is later: clocks or checkpoints do not agree with
    /// the entry's list.
    OrderUnclear,
    /// Later records have states that the entry had: it was reset to an earlier one.
    Reset,
}

impl Fingerprint {
    fn of(text: &str) -> Self {
        let digest = Sha256Digest::of(text.as_bytes()).to_bytes();
        let (half, _) = digest.split_at(16);
        Self(half.try_into().expect("half of 32 bytes are 16"))
    }

    fn of_state(action: &AuditAction, detail: &Value) -> Self {
        Self::of(&format!("{action}\n{detail}"))
    }

    /// Of an id or a number; `None` for null. An id is the same in each spelling.
    fn of_member(value: &Value) -> Option<Self> {
        match value {
            Value::Null => None,
            Value::String(id) => Some(Self::of(&canonical(id))),
            Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                Some(Self::of(&value.to_string()))
            }
        }
    }
}

impl Announcement {
    fn of(detail: &Value) -> Self {
        Self(ANNOUNCED.map(|member| Fingerprint::of_member(&detail[member])))
    }
}

/// The state that a record says a chunk came into.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "`AuditAction::is_of_chunk` says which actions are about a chunk"
)]
fn state_in(action: &AuditAction, detail: &Value) -> Option<LoggedState> {
    let state = |action: &AuditAction, detail: &Value, is_final| {
        let name = Fingerprint::of_state(action, detail);
        Some(LoggedState { name, is_final })
    };
    match action {
        // What is still to be exported claims nothing.
        AuditAction::Recorded | AuditAction::Pending => {
            state(&AuditAction::Pending, &Value::Null, false)
        }
        // A rebuild of an entry from its receipt counts as its export.
        AuditAction::Exported => state(action, detail, false),
        AuditAction::Rebuilt => state(&AuditAction::Exported, &detail["proof"], false),
        AuditAction::SourceDeleted
        | AuditAction::SourceLeft
        | AuditAction::InPlace
        | AuditAction::Expired
        | AuditAction::DeadLettered
        | AuditAction::Removing => state(action, detail, false),
        AuditAction::Removed => state(action, detail, true),
        AuditAction::RecordedErased => Some(LoggedState {
            name: erased(),
            // An event of another recording opens it again.
            is_final: false,
        }),
        // These have no state of a chunk.
        _ => None,
    }
}

/// The proofs that a record has: of one copy, or of each that an entry was rebuilt from.
pub fn proofs_in(detail: &Value) -> impl Iterator<Item = &Value> {
    let own = detail.get("proof").unwrap_or(detail);
    let further = detail["furtherProofs"].as_array().into_iter().flatten();
    let proofs = std::iter::once(own).chain(further);
    proofs.filter(|proof| proof["media"].is_string())
}

/// The state of a chunk of an erased recording, whatever chunk it is: it has no proof.
fn erased() -> Fingerprint {
    Fingerprint::of_state(&AuditAction::RecordedErased, &Value::Null)
}

impl LoggedChunk {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "`AuditAction::is_of_chunk` says which actions are about a chunk"
    )]
    pub fn add(&mut self, document: &FollowedDocument, record: &AuditRecord) {
        let AuditRecord {
            at, action, detail, ..
        } = record;
        match action {
            AuditAction::Recorded | AuditAction::RecordedErased => {
                self.created.push(Announcement::of(detail));
            }
            AuditAction::AnnouncedAgain => self.repeated.push(Announcement::of(detail)),
            AuditAction::OtherFileExported => {
                self.other_files
                    .extend(Fingerprint::of_member(&detail["media"]));
            }
            AuditAction::Imported => {
                self.imported
                    .extend(Fingerprint::of_member(&detail["sha256"]));
            }
            AuditAction::Accepted => match Fingerprint::of_member(&detail["place"]) {
                Some(place) => self.accepted_places.push(place),
                None => self.is_accepted = true,
            },
            AuditAction::Acknowledged => self.acknowledgements.push(record.clone()),
            AuditAction::Rebuilt | AuditAction::EntrySetAside => self.is_rebuilt = true,
            _ => {}
        }
        let proofs = if *action == AuditAction::Rebuilt {
            &mut self.rebuilt_from
        } else {
            &mut self.proofs
        };
        for proof in proofs_in(detail) {
            let proof = Fingerprint::of(&proof.to_string());
            if !proofs.contains(&proof) {
                proofs.push(proof);
            }
        }
        self.add_fact(RecordPlace::of(document, *at), action, detail);
    }

    fn add_fact(&mut self, place: RecordPlace, action: &AuditAction, detail: &Value) {
        let what = Fingerprint::of_state(action, detail);
        match self.facts.iter_mut().find(|fact| fact.what == what) {
            Some(known) => known.places.push(place),
            None => self.facts.push(Fact {
                what,
                state: state_in(action, detail),
                is_rebuild: matches!(action, AuditAction::Rebuilt | AuditAction::EntrySetAside),
                places: vec![place],
            }),
        }
    }

    /// Whether a record says how its entry came into being.
    pub fn is_created(&self) -> bool {
        !self.created.is_empty() || self.is_rebuilt
    }

    /// Whether an entry has the time of its first record. A rebuilt one has that of its receipt, which may be from before a
    /// ledger that was lost, or that of what was left of the log.
    pub fn dates_entry(&self) -> bool {
        !self.is_rebuilt
    }

    /// Whether the log says nothing of it but that events announced it.
    pub fn is_only_announced(&self) -> bool {
        let pending = Fingerprint::of_state(&AuditAction::Pending, &Value::Null);
        let is_announcement = |fact: &Fact| {
            let state = fact.state.as_ref();
            state.is_none_or(|state| state.name == pending)
        };
        let is_acted_on = self.is_accepted || !self.acknowledgements.is_empty() || self.is_rebuilt;
        self.proofs.is_empty()
            && self.other_files.is_empty()
            && self.imported.is_empty()
            && self.accepted_places.is_empty()
            && !is_acted_on
            && self.facts.iter().all(is_announcement)
    }

    pub fn has_place(&self, position: &AuditPosition) -> bool {
        let mut places = self.facts.iter().flat_map(|fact| &fact.places);
        places.any(|place| place.is_at(position))
    }

    /// When it came into this state last; `None`: no record says so.
    pub fn entered_at(&self, state: &ChunkState) -> Option<Timestamp> {
        let (action, detail) = audited_state(state);
        let what = Fingerprint::of_state(&action, &detail);
        let facts = self.facts.iter().filter(|fact| fact.what == what);
        facts
            .flat_map(|fact| &fact.places)
            .map(RecordPlace::at)
            .max()
    }

    /// Compares the state of its entry with the newest one of the log, whatever the entry lists.
    pub fn check_state(&self, state: &ChunkState, listed: &Listed) -> StateCheck {
        let (action, detail) = audited_state(state);
        // A chunk that was announced after the erasure of its recording is noted as removed at once.
        let erased = matches!(state, ChunkState::Removed { receipt: None, .. }).then(erased);
        let names: Vec<Fingerprint> = std::iter::once(Fingerprint::of_state(&action, &detail))
            .chain(erased)
            .collect();
        let is_it = |state: &LoggedState| names.contains(&state.name);
        let mut of_state = Vec::new();
        let mut others = Vec::new();
        for fact in &self.facts {
            match &fact.state {
                Some(state) if is_it(state) => of_state.extend(&fact.places),
                Some(state) => others.push((fact, state.is_final)),
                None => {}
            }
        }
        if of_state.is_empty() {
            return StateCheck::NotLogged;
        }
        let is_ended = matches!(state, ChunkState::Removed { .. });
        let compare = |place: &RecordPlace, is_final: bool| {
            if is_final && !is_ended {
                return WrittenOrder::After;
            }
            let orders = of_state.iter().map(|known| listed.compare(place, known));
            let latest = |all: WrittenOrder, order| match (all, order) {
                (WrittenOrder::Before, _) | (_, WrittenOrder::Before) => WrittenOrder::Before,
                (WrittenOrder::Unclear, _) | (_, WrittenOrder::Unclear) => WrittenOrder::Unclear,
                (WrittenOrder::After, WrittenOrder::After) => WrittenOrder::After,
            };
            orders.fold(WrittenOrder::After, latest)
        };
        let (mut unlisted, mut is_unclear) = (0, false);
        for (fact, is_final) in others {
            let places = fact.places.iter();
            let (later, unclear): (Vec<_>, Vec<_>) = places
                .map(|place| (place, compare(place, is_final)))
                .filter(|(_, order)| *order != WrittenOrder::Before)
                .partition(|(_, order)| *order == WrittenOrder::After);
            if later.iter().any(|(place, _)| listed.has(place)) {
                return StateCheck::Reset;
            }
            unlisted += usize::from(!later.is_empty());
            is_unclear |= !unclear.is_empty();
        }
        match unlisted {
            0 if is_unclear => StateCheck::OrderUnclear,
            0 => StateCheck::Newest,
            1 => StateCheck::Unclear,
            _ => StateCheck::Reset,
        }
    }

    /// How many things the log says of it that its entry does not list, apart from those that the list has dropped, those
    /// before the entry was rebuilt, and states after the newest one that it lists: [`check_state`](Self::check_state) has
    /// them.
    pub fn count_unlisted(&self, listed: &Listed) -> usize {
        let places = || self.facts.iter().flat_map(|fact| &fact.places);
        let is_begin = |place: &&RecordPlace| listed.is_oldest_of_full(place);
        let rebuilds = self.facts.iter().filter(|fact| fact.is_rebuild);
        let rebuilds = rebuilds.flat_map(|fact| &fact.places);
        let begins: Vec<&RecordPlace> = places()
            .filter(is_begin)
            .chain(rebuilds.filter(|place| listed.has(place)))
            .collect();
        let newest = places().filter(|place| listed.has(place));
        let newest: Vec<&RecordPlace> = newest.collect();
        let is_within = |fact: &Fact, place: &RecordPlace| {
            let is_before_newest = || newest.iter().any(|listed| listed.is_after(place));
            begins.iter().all(|begin| place.is_after(begin))
                && (fact.state.is_none() || is_before_newest())
        };
        let unlisted = self.facts.iter().filter(|fact| {
            let mut places = fact.places.iter();
            !places.any(|place| listed.has(place))
                && fact.places.iter().any(|place| is_within(fact, place))
        });
        unlisted.count()
    }

    /// What the log has of the proof of a copy.
    pub fn proof_of(&self, receipt: &ExportReceipt) -> LoggedProof {
        let proof = Fingerprint::of(&audited_proof(receipt).to_string());
        if self.proofs.contains(&proof) {
            LoggedProof::Recorded
        } else if !self.rebuilt_from.contains(&proof) {
            LoggedProof::NotRecorded
        } else if self.proofs.is_empty() {
            LoggedProof::OnlyRebuilt
        } else {
            LoggedProof::OnlyRebuiltBesideOthers
        }
    }

    /// Whether a record has this proof of a copy, other than that of a rebuild.
    pub fn has_proof(&self, receipt: &ExportReceipt) -> bool {
        self.proof_of(receipt) == LoggedProof::Recorded
    }

    /// Whether the log has a proof of a copy, and not this one.
    pub fn contradicts(&self, receipt: &ExportReceipt) -> bool {
        !self.proofs.is_empty() && !self.has_proof(receipt)
    }

    /// Whether this copy was exported from ACS.
    pub fn is_exported(&self, receipt: &ExportReceipt) -> bool {
        let proof = audited_proof(receipt);
        let actions = [AuditAction::Exported, AuditAction::OtherFileExported];
        let exports = actions.map(|action| Fingerprint::of_state(&action, &proof));
        self.facts.iter().any(|fact| exports.contains(&fact.what))
    }

    /// Whether its export began again after it had ended.
    pub fn was_reopened(&self) -> bool {
        let pending = Fingerprint::of_state(&AuditAction::Pending, &Value::Null);
        self.facts.iter().any(|fact| fact.what == pending)
    }

    /// How many other files were exported under names that are not among these.
    pub fn count_missing_files<'a>(&self, names: impl Iterator<Item = &'a str>) -> usize {
        let names: Vec<Fingerprint> = names
            .filter_map(|name| Fingerprint::of_member(&name.into()))
            .collect();
        let mut missing: Vec<[u8; 16]> = self
            .other_files
            .iter()
            .filter(|name| !names.contains(name))
            .map(|name| name.0)
            .collect();
        missing.sort_unstable();
        missing.dedup();
        missing.len()
    }

    pub fn is_accepted(&self) -> bool {
        self.is_accepted
    }

    /// The records of its acknowledgements.
    pub fn acknowledgements(&self) -> &[AuditRecord] {
        &self.acknowledgements
    }

    pub fn is_accepted_place(&self, place: FileNumber) -> bool {
        let place = serde_json::to_value(place).ok();
        let place = place.as_ref().and_then(Fingerprint::of_member);
        place.is_some_and(|place| self.accepted_places.contains(&place))
    }

    /// Whether this content was imported by hand.
    pub fn is_imported(&self, sha256: Sha256Digest) -> bool {
        let content = Fingerprint::of_member(&sha256.to_string().into());
        content.is_some_and(|content| self.imported.contains(&content))
    }

    pub fn was_announced_again(&self) -> bool {
        !self.repeated.is_empty()
    }

    /// Members of [`ANNOUNCED`] that differ from the records of its announcements. `chunk`: as its entry has it.
    pub fn changed_members(&self, chunk: &Value) -> Vec<&'static str> {
        if self.created.is_empty() {
            return Vec::new();
        }
        let of_entry = Announcement::of(chunk);
        let is_changed = |at: usize| {
            let told = |by: &[Announcement]| -> Vec<Fingerprint> {
                by.iter().filter_map(|announced| announced.0[at]).collect()
            };
            let (first, later) = (told(&self.created), told(&self.repeated));
            let lacked_it = first.len() < self.created.len();
            match of_entry.0[at] {
                None => !lacked_it,
                Some(member) => {
                    !(first.contains(&member) || (lacked_it && later.contains(&member)))
                }
            }
        };
        let members = (0..).zip(ANNOUNCED);
        let changed = members.filter(|(at, _)| is_changed(*at));
        changed.map(|(_, member)| member).collect()
    }
}

#[cfg(test)]
mod tests;
