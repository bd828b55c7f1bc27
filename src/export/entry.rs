//! One durable record per chunk: what is known, its state, and the claim on it.

mod acknowledged;
mod begun_imports;
mod damage;
mod deadlines;
mod doubts;
mod further_file;
mod obstacle;
mod retrying;

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use self::begun_imports::BegunImport;
use super::intent::Intent;
use super::layout::{self, BlobName};
use super::receipt::VaultName;
use super::source::Validator;
use super::state::ChunkState;
use crate::clock::is_ahead;
use crate::error_chain::excerpt;
use crate::recording::{
    Acknowledgement, ChunkLocations, FileNumber, MediaKind, MetadataSummary, RecordingChunk,
};
use crate::store::audit::AuditPosition;
use crate::store::people::PersonHash;

pub use damage::Damage;
pub use deadlines::Risk;
pub use doubts::CutShort;
pub use further_file::{FurtherFile, FurtherState};
pub use obstacle::Obstacle;

/// Every claim lasts less than this: the chunks of a process that was killed wait for the end of its claims.
pub const CLAIMS_LAST_LESS_THAN: Duration = Duration::from_hours(1);
/// Failures kept as history. Older ones are dropped.
const FAILURES_KEPT: usize = 20;
/// Longest reason of a failure that is kept.
const REASON_BYTES: usize = 1000;
/// Positions in the audit log that are kept. Older ones are dropped.
const AUDITED_KEPT: usize = 100;

/// Ledger entry of one chunk.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own that is stored by its name"
)]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LedgerEntry {
    pub chunk: RecordingChunk,
    pub recorded_at: Timestamp,
    /// When ACS drops the file, by the most cautious reading; orders the sweep.
    pub expires_at: Timestamp,
    /// When ACS has dropped the file by any reading. A file that is missing then is lost; before, it may only be late.
    pub surely_gone_at: Timestamp,
    /// Folder in the vault, decided once: a later event must not move a half-done export.
    pub folder: String,
    /// Folders that were given up because another program writes there. They may hold files of an attempt.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) former_folders: Vec<String>,
    pub state: ChunkState,
    /// Failed attempts at the source since the last success.
    pub attempts: u32,
    /// How often it was opened: the number of its marker.
    #[serde(default)]
    pub(super) openings: u64,
    /// The kind of media that its file is named after, decided once, before the first byte is sent to a vault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_kind: Option<MediaKind>,
    /// Of which versions of its files blocks are staged, where the source names versions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) staged_versions: Vec<StagedVersion>,
    /// Its copy began while its file was still growing, so it may end before the file does.
    #[serde(default)]
    pub copied_unfinished: bool,
    /// What is about to be deleted, or was when its holder was interrupted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent: Option<Intent>,
    /// Who keeps its files at their source.
    #[serde(default)]
    pub source_keeper: SourceKeeper,
    /// How often it was claimed. Nothing of a chunk that was never claimed can be in the vault.
    #[serde(default)]
    pub claims: u32,
    /// Consecutive failures of the vault.
    #[serde(default)]
    pub vault_failures: u32,
    /// What prevents its copy until a person acts. It was reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub obstacle: Option<Obstacle>,
    /// What a verification found wrong with its copies. A new proof ends it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) damage: Option<Box<Damage>>,
    /// The backup vault may hold files of it.
    #[serde(default)]
    pub uses_backup: bool,
    /// When an operator accepted that the source may be deleted although its media is doubtful.
    #[serde(default)]
    pub anomaly_accepted_at: Option<Timestamp>,
    /// An operator's acknowledgement that it has no whole copy, with the reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acknowledged: Option<Acknowledgement>,
    /// An import recorded it: no event announced it, and whether ACS has a file of it is not known.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub recorded_for_import: bool,
    /// Where imports by hand began. An export from ACS uses none of these names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) begun_imports: Vec<BegunImport>,
    /// Its recording is unsolicited: it was not started through this app, and no start of its call was announced.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unsolicited: bool,
    /// Which of its locations an operator accepted as the right one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted_place: Option<FileNumber>,
    /// The place that an event named last when there was no room for another file. Nothing is exported from there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place_without_room: Option<ChunkLocations>,
    /// An event announced a longer form of its file when there was no room for another file.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub longer_without_room: bool,
    /// It was written again after it was lost or not readable: what else events announced of it is not known.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) rebuilt: bool,
    /// Other files that events announced for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub further: Vec<FurtherFile>,
    pub not_before: Option<Timestamp>,
    /// The highest risk that was reported.
    #[serde(default, alias = "toldRisk")]
    pub reported_risk: Option<Risk>,
    /// How often the time of later files began after a risk was reported.
    #[serde(default)]
    pub(crate) risk_period: u32,
    /// Its end without a copy was reported.
    #[serde(default, alias = "toldEnd")]
    pub reported_end: bool,
    pub failures: Vec<Failure>,
    /// What its metadata says, once it was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<MetadataSummary>,
    /// Personal data of its recording was deleted after its copy was removed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub people_dropped: bool,
    /// Participants that are being deleted from it, until their markers in the index are removed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) dropping: Vec<PersonHash>,
    /// Its participants, as keys of the index name them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) participant_hashes: Vec<PersonHash>,
    /// Positions in the audit log of records about it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub audited: Vec<AuditPosition>,
    pub(super) claim: Option<ClaimRecord>,
}

/// The version of a file whose blocks are staged in a vault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StagedVersion {
    pub name: BlobName,
    pub vault: VaultName,
    pub validator: Validator,
    /// Blocks of another version may be staged too, so none of them is reused.
    #[serde(default)]
    pub is_mixed: bool,
}

/// Who keeps the files of a chunk at their source.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SourceKeeper {
    #[default]
    AsReported,
    /// ACS: its event speaks of the customer's own storage, but names a place at ACS, which could not write there.
    Acs,
}

/// One failed attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    pub at: Timestamp,
    pub reason: String,
}

/// Who may move the entry, and until when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ClaimRecord {
    pub token: Uuid,
    pub until: Timestamp,
}

impl LedgerEntry {
    /// Creates the entry of a chunk seen for the first time.
    pub fn new(chunk: RecordingChunk, recorded_at: Timestamp, retention: Duration) -> Self {
        Self {
            expires_at: chunk.expires_at(recorded_at, retention),
            surely_gone_at: recorded_at.checked_add(retention).unwrap_or(Timestamp::MAX),
            folder: layout::folder(&chunk, recorded_at),
            former_folders: Vec::new(),
            chunk,
            recorded_at,
            state: ChunkState::Pending,
            attempts: 0,
            claims: 0,
            source_keeper: SourceKeeper::default(),
            openings: 0,
            media_kind: None,
            staged_versions: Vec::new(),
            copied_unfinished: false,
            intent: None,
            vault_failures: 0,
            obstacle: None,
            damage: None,
            uses_backup: false,
            anomaly_accepted_at: None,
            acknowledged: None,
            recorded_for_import: false,
            begun_imports: Vec::new(),
            unsolicited: false,
            accepted_place: None,
            place_without_room: None,
            longer_without_room: false,
            rebuilt: false,
            further: Vec::new(),
            not_before: None,
            reported_risk: None,
            risk_period: 0,
            reported_end: false,
            failures: Vec::new(),
            metadata: None,
            people_dropped: false,
            dropping: Vec::new(),
            participant_hashes: Vec::new(),
            audited: Vec::new(),
            claim: None,
        }
    }

    /// The version of a file whose blocks are staged in this vault, as far as it is known.
    pub(super) fn staged_version(
        &self,
        name: &BlobName,
        vault: VaultName,
    ) -> Option<&StagedVersion> {
        let mut versions = self.staged_versions.iter();
        versions.find(|version| version.name == *name && version.vault == vault)
    }

    pub(super) fn set_staged_version(&mut self, version: StagedVersion) {
        let is_same_file =
            |other: &StagedVersion| other.name == version.name && other.vault == version.vault;
        self.staged_versions.retain(|other| !is_same_file(other));
        self.staged_versions.push(version);
    }

    /// Makes it due at once, with all its attempts available again.
    pub(in crate::export) fn begin_attempts_anew(&mut self) {
        self.attempts = 0;
        self.not_before = None;
        self.obstacle = None;
    }

    /// Opens it for another export: it was given up, or there is more to copy.
    pub(super) fn try_again(&mut self) {
        self.reported_end = false;
        self.acknowledged = None;
        self.state = ChunkState::Pending;
        self.begin_attempts_anew();
    }

    /// Notes the position of an audit record about it.
    pub fn note_audited(&mut self, position: AuditPosition) {
        if self.audited.len() >= AUDITED_KEPT {
            self.audited.remove(0);
        }
        self.audited.push(position);
    }

    /// Adds a failure to the history. Of a long reason, the beginning is kept.
    pub fn note_failure(&mut self, at: Timestamp, reason: &str) {
        let reason = excerpt(reason, REASON_BYTES);
        if self.failures.len() >= FAILURES_KEPT {
            self.failures.remove(0);
        }
        self.failures.push(Failure { at, reason });
    }

    /// Whether its files are in the customer's own storage. The location decides, not what the event calls it.
    pub fn is_external(&self) -> bool {
        self.source_keeper == SourceKeeper::AsReported && self.chunk.is_external()
    }

    /// Whether an import recorded it and did not finish.
    pub fn is_unfinished_import(&self) -> bool {
        self.recorded_for_import && self.state == ChunkState::Pending
    }

    /// Whether ACS has dropped the file by any reading. A file that is missing before then may only be late.
    pub fn is_surely_gone(&self, now: Timestamp) -> bool {
        now >= self.surely_gone_at
    }

    /// Whether ACS has dropped the file for good. ACS never drops a file in the customer's own storage.
    pub fn is_doomed(&self, now: Timestamp) -> bool {
        !self.is_external() && self.is_surely_gone(now)
    }

    /// Whether no automatic work is left: it is settled, and an end without a copy has been reported.
    pub(super) fn is_done(&self) -> bool {
        !self.is_open() && (self.reported_end || !self.state.is_loss())
    }

    /// Whether a process holds it. A claim that lasts longer than any may was written by a clock that was ahead: its holder
    /// cannot be waited for, and its writes fail once another has it.
    pub fn is_claimed(&self, now: Timestamp) -> bool {
        self.claim.as_ref().is_some_and(|claim| {
            let longest = now.checked_add(CLAIMS_LAST_LESS_THAN);
            let longest = longest.unwrap_or(Timestamp::MAX);
            now < claim.until && !is_ahead(claim.until, longest)
        })
    }

    /// Whether a process is working on it, or ended before it released it.
    pub fn is_worked_on(&self) -> bool {
        self.claim.is_some()
    }

    /// Takes the entry away from its holder, who then finds that the claim is lost.
    pub(super) fn give_up_claim(&mut self) {
        self.claim = None;
    }

    pub(in crate::export) fn is_claimed_by(&self, token: Uuid) -> bool {
        self.claim
            .as_ref()
            .is_some_and(|claim| claim.token == token)
    }
}

/// Duration of a recording: from its events, else from the metadata of all its chunks.
pub fn recording_duration_ms<'a>(
    entries: impl Iterator<Item = &'a LedgerEntry> + Clone,
) -> Option<u64> {
    let reported = entries.clone().find_map(|entry| entry.chunk.duration_ms);
    let of_chunks = || {
        let durations = entries.map(|entry| entry.metadata.as_ref()?.duration_ms);
        durations
            .sum::<Option<u64>>()
            .filter(|duration_ms| *duration_ms > 0)
    };
    reported.or_else(of_chunks)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::recording::chunk::tests::chunk;

    pub(crate) fn entry() -> LedgerEntry {
        LedgerEntry::new(
            chunk(),
            "2026-03-02T09:00:00Z".parse().unwrap(),
            Duration::from_hours(24),
        )
    }

    pub(crate) fn claimed_until(until: Timestamp) -> LedgerEntry {
        let token = Uuid::nil();
        LedgerEntry {
            claim: Some(ClaimRecord { token, until }),
            ..entry()
        }
    }

    #[test]
    fn a_claim_of_a_clock_that_was_ahead_is_none() {
        let now: Timestamp = "2026-03-02T10:00:00Z".parse().unwrap();
        let lasting = |minutes| claimed_until(now + Duration::from_mins(minutes)).is_claimed(now);
        assert!(lasting(1) && lasting(65) && !lasting(66) && !lasting(24 * 60));
        assert!(!claimed_until(now).is_claimed(now));
        assert!(!claimed_until(Timestamp::MAX).is_claimed(now));
    }

    #[test]
    fn the_history_of_failures_is_bounded_and_keeps_the_newest() {
        let mut entry = entry();
        for number in 0..100 {
            entry.note_failure(entry.recorded_at, &number.to_string());
        }
        assert_eq!(entry.failures.len(), FAILURES_KEPT);
        assert_eq!(entry.failures.last().unwrap().reason, "99");
    }

    #[test]
    fn failures_of_any_length_leave_an_entry_small() {
        let mut entry = entry();
        let page = "<p class=\"é\">\u{1}\n</p>".repeat(100_000);
        for _ in 0..FAILURES_KEPT {
            entry.note_failure(entry.recorded_at, &page);
        }
        let size_bytes = serde_json::to_vec(&entry).unwrap().len();
        assert!(size_bytes < 64 << 10, "{size_bytes}");
    }

    #[test]
    fn a_folder_that_is_left_is_remembered_and_never_taken_again() {
        let mut entry = entry();
        let first = entry.folder.clone();
        entry.leave_folder(entry.chunk.file_number);
        entry.leave_folder(entry.chunk.file_number);
        let expected = [format!("{first}-3"), first.clone(), format!("{first}-2")];
        assert!(entry.folders().eq(expected.iter().map(String::as_str)));
        let json = serde_json::to_vec(&entry).unwrap();
        assert_eq!(serde_json::from_slice::<LedgerEntry>(&json).unwrap(), entry);
    }

    #[test]
    fn a_file_that_acs_keeps_is_doomed_whatever_its_event_calls_its_storage() {
        let mut entry = entry();
        let at = "https://customer.blob.core.windows.net/recordings/a.wav";
        entry.chunk.locations.content = Some(at.to_owned());
        assert!(entry.chunk.is_external());
        let gone = entry.surely_gone_at;
        assert!(!entry.is_doomed(gone), "nobody drops it");
        entry.source_keeper = SourceKeeper::Acs;
        assert!(entry.is_doomed(gone));
    }

    #[test]
    fn an_entry_survives_its_json() {
        let entry = entry();
        let json = serde_json::to_vec(&entry).unwrap();
        assert_eq!(serde_json::from_slice::<LedgerEntry>(&json).unwrap(), entry);
    }
}
