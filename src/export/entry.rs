//! One durable record per chunk: what is known, where it stands, who is at it.

mod further_file;

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::intent::Intent;
use super::layout;
use super::receipt::VaultName;
use super::state::ChunkState;
use crate::recording::{FileNumber, MediaKind, MetadataSummary, RecordingChunk};
use crate::store::people::PersonHash;

pub use further_file::{FurtherFile, FurtherState};

/// Failures kept as history; older ones make room.
const FAILURES_KEPT: usize = 20;
/// Places in the audit log that are remembered; older ones make room.
const AUDITED_KEPT: usize = 100;

/// The account of one chunk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LedgerEntry {
    pub chunk: RecordingChunk,
    pub recorded_at: Timestamp,
    /// When ACS drops the file, by the most cautious reading; orders the sweep.
    pub expires_at: Timestamp,
    /// When ACS has dropped the file by any reading: what is not there then is lost, before then it may only be late.
    pub surely_gone_at: Timestamp,
    /// Folder in the vault, decided once: a later event must not move a half-done export.
    pub folder: String,
    pub state: ChunkState,
    /// Failed attempts at the source since the last success.
    pub attempts: u32,
    /// How often it was opened: the number of its marker.
    #[serde(default)]
    pub(super) openings: u64,
    /// What its media is called after, decided once and before the first byte goes to a vault: a file has one name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_kind: Option<MediaKind>,
    /// Its copy was begun while its file still grew: it may end before the file does.
    #[serde(default)]
    pub copied_unfinished: bool,
    /// Its metadata is larger than what is copied.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub metadata_too_large: bool,
    /// What is about to be deleted, or was when its holder was cut off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent: Option<Intent>,
    /// How often it was claimed; nothing of a chunk that never was can be in the vault.
    #[serde(default)]
    pub claims: u32,
    /// Failures of the vault in a row.
    #[serde(default)]
    pub vault_failures: u32,
    /// Something of it may lie in the backup vault.
    #[serde(default)]
    pub uses_backup: bool,
    /// When somebody said that the source may be deleted although its media is doubtful.
    #[serde(default)]
    pub anomaly_accepted_at: Option<Timestamp>,
    /// Nobody asked for its recording: it was not started through this app, and no start of its call was announced.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unsolicited: bool,
    /// Which of its places an operator said is right.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted_place: Option<FileNumber>,
    /// Its other files, where events announced some.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub further: Vec<FurtherFile>,
    pub not_before: Option<Timestamp>,
    /// The highest risk that was reported.
    #[serde(default, rename = "toldRisk")]
    pub reported_risk: Option<Risk>,
    /// Its end without a copy was reported.
    #[serde(default, rename = "toldEnd")]
    pub reported_end: bool,
    pub failures: Vec<Failure>,
    /// What its metadata says, since it was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<MetadataSummary>,
    /// Its participants, as keys of the index name them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) participant_hashes: Vec<PersonHash>,
    /// Numbers of the audit log's documents that tell of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub audited: Vec<u64>,
    pub(super) claim: Option<ClaimRecord>,
}

/// One failed attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    pub at: Timestamp,
    pub reason: String,
}

/// How much of its time at ACS is over for a chunk that is not in the vault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Risk {
    Half,
    ThreeQuarters,
    NinetyPercent,
}

impl Risk {
    /// Of the time between its announcement and its deadline.
    pub fn share(self) -> f64 {
        match self {
            Self::Half => 0.5,
            Self::ThreeQuarters => 0.75,
            Self::NinetyPercent => 0.9,
        }
    }
}

/// Who may move the entry, and until when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ClaimRecord {
    pub token: Uuid,
    pub until: Timestamp,
}

impl LedgerEntry {
    /// The entry of a chunk seen for the first time.
    pub fn new(chunk: RecordingChunk, recorded_at: Timestamp, retention: Duration) -> Self {
        Self {
            expires_at: chunk.expires_at(recorded_at, retention),
            surely_gone_at: recorded_at.checked_add(retention).unwrap_or(Timestamp::MAX),
            folder: layout::folder(&chunk, recorded_at),
            chunk,
            recorded_at,
            state: ChunkState::Pending,
            attempts: 0,
            claims: 0,
            openings: 0,
            media_kind: None,
            copied_unfinished: false,
            metadata_too_large: false,
            intent: None,
            vault_failures: 0,
            uses_backup: false,
            anomaly_accepted_at: None,
            unsolicited: false,
            accepted_place: None,
            further: Vec::new(),
            not_before: None,
            reported_risk: None,
            reported_end: false,
            failures: Vec::new(),
            metadata: None,
            participant_hashes: Vec::new(),
            audited: Vec::new(),
            claim: None,
        }
    }

    /// Is due at once, with all its attempts before it.
    pub(in crate::export) fn begin_attempts_anew(&mut self) {
        self.attempts = 0;
        self.not_before = None;
    }

    /// Opens it for another export: it was given up, or more is to be copied than there is.
    pub(super) fn try_again(&mut self) {
        self.reported_end = false;
        self.state = ChunkState::Pending;
        self.begin_attempts_anew();
    }

    /// Remembers where in the audit log it is told of.
    pub fn note_audited(&mut self, number: u64) {
        if self.audited.len() >= AUDITED_KEPT {
            self.audited.remove(0);
        }
        self.audited.push(number);
    }

    /// Writes a failure into the history.
    pub fn note_failure(&mut self, at: Timestamp, reason: String) {
        if self.failures.len() >= FAILURES_KEPT {
            self.failures.remove(0);
        }
        self.failures.push(Failure { at, reason });
    }

    /// ACS has dropped the file by any reading; one that is not there before may only be late.
    pub fn is_surely_gone(&self, now: Timestamp) -> bool {
        now >= self.surely_gone_at
    }

    /// Nothing is to be done for it by itself: it is settled, and an end without a copy is reported.
    pub(super) fn is_done(&self) -> bool {
        !self.is_open() && (self.reported_end || !self.state.is_loss())
    }

    /// Half of its time is over, and it is not in the vault.
    pub fn is_at_risk(&self, now: Timestamp) -> bool {
        self.risk(now).is_some()
    }

    /// In the vault, or at an end: no deadline threatens it any more.
    pub fn is_safe(&self) -> bool {
        match &self.state {
            ChunkState::Pending => self.chunk.is_external(),
            ChunkState::Exported { receipt } => receipt.vault() == VaultName::Home,
            ChunkState::SourceDeleted { .. }
            | ChunkState::SourceLeft { .. }
            | ChunkState::InPlace { .. }
            | ChunkState::Removing { .. }
            | ChunkState::Removed { .. }
            | ChunkState::Expired { .. }
            | ChunkState::DeadLettered { .. } => true,
        }
    }

    /// How far its time is over, while it is not in the vault.
    pub fn risk(&self, now: Timestamp) -> Option<Risk> {
        if self.is_safe() {
            return None;
        }
        let kept = self
            .expires_at
            .duration_since(self.recorded_at)
            .as_secs_f64();
        let left = self.expires_at.duration_since(now).as_secs_f64();
        // A chunk that was announced after its deadline has no time left at all.
        let over = if kept > 0.0 { 1.0 - left / kept } else { 1.0 };
        [Risk::NinetyPercent, Risk::ThreeQuarters, Risk::Half]
            .into_iter()
            .find(|risk| over >= risk.share())
    }

    pub fn is_claimed(&self, now: Timestamp) -> bool {
        self.claim.as_ref().is_some_and(|claim| now < claim.until)
    }

    pub(super) fn is_claimed_by(&self, token: Uuid) -> bool {
        self.claim
            .as_ref()
            .is_some_and(|claim| claim.token == token)
    }
}

/// How long a recording is: as its events say, else as the metadata of all its chunks does.
pub fn recording_duration_ms<'a>(
    entries: impl Iterator<Item = &'a LedgerEntry> + Clone,
) -> Option<u64> {
    let told = entries.clone().find_map(|entry| entry.chunk.duration_ms);
    let of_chunks = || {
        let durations = entries.map(|entry| entry.metadata.as_ref()?.duration_ms);
        durations
            .sum::<Option<u64>>()
            .filter(|duration_ms| *duration_ms > 0)
    };
    told.or_else(of_chunks)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::recording::chunk::tests::chunk;

    pub(crate) fn entry() -> LedgerEntry {
        LedgerEntry::new(
            chunk(),
            "2026-03-02T09:00:00Z".parse().unwrap(),
            Duration::from_hours(24),
        )
    }

    #[test]
    fn the_history_of_failures_is_bounded_and_keeps_the_newest() {
        let mut entry = entry();
        for number in 0..100 {
            entry.note_failure(entry.recorded_at, number.to_string());
        }
        assert_eq!(entry.failures.len(), FAILURES_KEPT);
        assert_eq!(entry.failures.last().unwrap().reason, "99");
    }

    #[rstest::rstest]
    #[case("2026-03-02T12:00:00Z", None)]
    #[case("2026-03-02T21:31:00Z", Some(Risk::Half))]
    #[case("2026-03-03T04:00:00Z", Some(Risk::ThreeQuarters))]
    #[case("2026-03-03T08:00:00Z", Some(Risk::NinetyPercent))]
    #[case("2026-03-05T00:00:00Z", Some(Risk::NinetyPercent))]
    fn the_risk_grows_while_a_chunk_is_not_in_the_vault(
        #[case] now: Timestamp,
        #[case] expected: Option<Risk>,
    ) {
        assert_eq!(entry().risk(now), expected);
    }

    #[test]
    fn an_entry_survives_its_json() {
        let entry = entry();
        let json = serde_json::to_vec(&entry).unwrap();
        assert_eq!(serde_json::from_slice::<LedgerEntry>(&json).unwrap(), entry);
    }
}
