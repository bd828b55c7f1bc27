//! The completeness report of a day: every recording that began then, its chunks, its standing and what is missing.

mod collected;
mod text;

use std::borrow::Cow;
use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use self::collected::{Collected, Listing};
use super::day_context::DayContext;
use super::day_numbers::{DayNumbers, Judged};
use super::known::{KnownRecording, Reading, Registration};
use super::{Catalogue, CatalogueError};
use crate::control::state::RecordingState;
use crate::export::entry::recording_duration_ms;
use crate::export::receipt::VaultName;
use crate::export::{ChunkState, LedgerEntry};
use crate::media::MediaVerdict;
use crate::recording::{DocumentId, RecordedCall};
use crate::standing::{ChunkEntry, Counts, KnownChunk, OperatorStep, Standing, of_chunk};
use crate::store::digest::Sha256Digest;
use crate::store::index::Place;
use crate::store::reports_due;

pub use self::collected::NotListed;

const PAGE: usize = 500;

/// A day's recordings, which of their copies are proved, and what was not looked at.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CompletenessReport {
    /// `2026-03-02`, UTC.
    pub day: String,
    /// When it was begun: what came later may not be in it.
    pub made_at: Timestamp,
    /// Only in a report that is stored: how many recordings are not in `recordings`, because the list would be too long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_listed: Option<NotListed>,
    /// In the order of their start. All numbers of the report include those that are not listed.
    pub recordings: Vec<ReportedRecording>,
    pub chunk_count: usize,
    /// Chunks whose receipts in the ledger name the vault. No file is looked for now; see `checked_at`.
    pub chunks_in_vault: usize,
    /// Chunks whose receipts name the backup vault.
    pub chunks_in_backup: usize,
    /// Chunks in the customer's own storage, checked when they were announced.
    pub chunks_in_place: usize,
    /// Recordings that are not settled: running and waiting ones are among them.
    pub incomplete: usize,
    /// How many recordings there are of each standing.
    pub standings: Counts,
    /// Total duration, as far as it is known.
    pub minutes: f64,
    /// Chunks in the vault whose media disagrees with event or metadata.
    pub doubtful: usize,
    /// Chunks in the vault whose media could not be compared; that does not mean that it agrees.
    pub media_unknown: usize,
    /// When the last complete check began, which looks for the files; `None`: none has ended.
    pub checked_at: Option<Timestamp>,
    /// What else is wrong and concerns this day, or may concern it, a sentence each: findings of the last complete check,
    /// events that are not readable, copies that are not in the vault.
    pub findings: Vec<String>,
    /// What was not checked, a sentence each: the report says nothing of it.
    pub not_checked: Vec<String>,
}

/// What a report says of its day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DayOutcome {
    /// No recording is known. Whether there was one is not known: no event may have arrived.
    NoRecordings,
    /// Every recording is settled, nothing else is wrong, and that was checked.
    Complete,
    /// A recording is not settled.
    Incomplete,
    /// Every known recording is settled, and something else is wrong or was not checked.
    NotKnown,
}

/// One recording of the day.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReportedRecording {
    /// The name of its account, where that is not readable.
    pub recording_id: String,
    /// Which call, as its start or its event names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<RecordedCall>,
    pub call_id: Option<String>,
    pub server_call_id: Option<String>,
    /// Who was in the call, where that is known. Not stored: stored reports name no person.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub participants: Vec<String>,
    pub size_bytes: Option<u64>,
    pub state: RecordingState,
    pub standing: Standing,
    pub next_step: OperatorStep,
    /// When it gets worse by itself.
    pub deadline: Option<Timestamp>,
    pub started_at: Option<Timestamp>,
    pub ended_at: Option<Timestamp>,
    pub duration_ms: Option<u64>,
    pub chunks: Vec<ReportedChunk>,
    /// Unsolicited: it was not started through this app, and no event announced the start of its call.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unsolicited: bool,
    /// The register has no account of it: only its chunks are known.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unregistered: bool,
    /// Why it is not settled; empty when it is.
    pub problems: Vec<String>,
}

/// One chunk of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReportedChunk {
    pub index: u32,
    pub document_id: DocumentId,
    pub state: Cow<'static, str>,
    pub standing: Standing,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// The vault that its receipt names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vault: Option<VaultName>,
    /// Whether its media is what event and metadata report.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub media: Option<MediaVerdict>,
    /// What of its media is worth knowing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notices: Vec<String>,
}

/// Whether a day has anything to report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DayCoverage {
    Covered,
    /// It has not begun.
    Future,
    /// The first recording began on a later day.
    BeforeFirst(Date),
    /// There is no recording at all.
    NoRecordings,
}

impl Catalogue {
    /// Reports on the recordings that began on a day (UTC).
    ///
    /// # Errors
    /// When the register or the ledger cannot be read.
    pub async fn report(&self, day: Date) -> Result<CompletenessReport, CatalogueError> {
        let context = self.day_context().await?;
        self.report_in(&context, day).await
    }

    /// Reports on the recordings that began on a day (UTC), where the context was read before.
    ///
    /// # Errors
    /// When the register or the ledger cannot be read.
    pub async fn report_in(
        &self,
        context: &DayContext,
        day: Date,
    ) -> Result<CompletenessReport, CatalogueError> {
        self.report_listing(context, day, Listing::All).await
    }

    /// Reports on a day for the ledger: the report names no person. If the list of its recordings would take more than
    /// `most_bytes` in JSON, it lists recordings that are not settled, as many as fit, and counts the others.
    pub(super) async fn report_to_store(
        &self,
        day: Date,
        most_bytes: usize,
    ) -> Result<CompletenessReport, CatalogueError> {
        let context = self.day_context().await?;
        let listing = Listing::Stored { most_bytes };
        self.report_listing(&context, day, listing).await
    }

    async fn report_listing(
        &self,
        context: &DayContext,
        day: Date,
        listing: Listing,
    ) -> Result<CompletenessReport, CatalogueError> {
        let mut numbers = DayNumbers::default();
        let (mut collected, mut listed) = (Collected::new(listing), BTreeSet::new());
        let mut after: Option<Place> = None;
        let is_unregistered = |name: &Sha256Digest| context.has_unregistered(name);
        loop {
            let (judged, next) = self
                .judged(&is_unregistered, day, after.as_ref(), PAGE)
                .await?;
            // A recording may have two markers while its start changes.
            for judged in judged.iter().filter(|judged| listed.insert(judged.name)) {
                numbers.add(judged);
                collected.add(reported(judged));
            }
            after = next;
            if after.is_none() {
                break;
            }
        }
        // The list of a day may lack one: it has no account, or its marker was lost.
        for judged in context.open_of(day) {
            if listed.contains(&judged.name) {
                continue;
            }
            numbers.add(judged);
            collected.add(reported(judged));
        }
        collected.sort();
        Ok(report_of(context, day, collected, numbers))
    }

    /// Whether a day has anything to report.
    ///
    /// # Errors
    /// When the register cannot be read.
    pub async fn coverage(&self, day: Date) -> Result<DayCoverage, CatalogueError> {
        let today = self.clock.now().to_zoned(TimeZone::UTC).date();
        if day > today {
            return Ok(DayCoverage::Future);
        }
        if self.register.has_recording_up_to(day).await? {
            return Ok(DayCoverage::Covered);
        }
        let uncovered = match self.register.first_day().await? {
            Some(first) => DayCoverage::BeforeFirst(first),
            None => DayCoverage::NoRecordings,
        };
        let context = self.day_context().await?;
        Ok(if context.open_of(day).next().is_some() {
            DayCoverage::Covered
        } else {
            uncovered
        })
    }
}

impl CompletenessReport {
    /// Returns what it says of its day.
    pub fn outcome(&self) -> DayOutcome {
        let is_known = self.findings.is_empty() && self.not_checked.is_empty();
        DayOutcome::of(self.recording_count(), self.incomplete, is_known)
    }

    /// Returns the number of recordings of its day, whether they are listed or not.
    pub fn recording_count(&self) -> usize {
        let not_listed = self.not_listed.map_or(0, NotListed::count);
        self.recordings.len().saturating_add(not_listed)
    }
}

impl DayOutcome {
    /// Returns what the numbers of a report say. `is_known`: nothing else is wrong, and all of it was checked.
    pub(super) fn of(recordings: usize, incomplete: usize, is_known: bool) -> Self {
        match (recordings, incomplete, is_known) {
            (0, ..) => Self::NoRecordings,
            (1.., 0, true) => Self::Complete,
            (1.., 0, false) => Self::NotKnown,
            (1.., 1.., _) => Self::Incomplete,
        }
    }
}

/// Whether all recordings of a day should have begun, and their files should have been announced or count as missing.
pub fn is_over(day: Date, now: Timestamp) -> bool {
    reports_due::is_reported(day, now)
}

/// What is not known yet of a day that is not over.
const NOT_OVER: &str = "the day is not over, or ended less than two hours ago (UTC): recordings may still begin, and files may still be announced";

fn report_of(
    context: &DayContext,
    day: Date,
    collected: Collected,
    numbers: DayNumbers,
) -> CompletenessReport {
    let chunks = collected.chunks;
    let findings = context.findings_of(day).iter();
    CompletenessReport {
        day: day.to_string(),
        made_at: context.as_of(),
        not_listed: collected.not_listed(),
        chunk_count: chunks.all,
        doubtful: chunks.doubtful,
        media_unknown: chunks.media_unknown,
        chunks_in_vault: chunks.in_vault,
        chunks_in_backup: chunks.in_backup,
        chunks_in_place: chunks.in_place,
        incomplete: numbers.incomplete,
        standings: collected.standings,
        minutes: numbers.minutes,
        checked_at: context.checked_at(),
        findings: findings
            .chain(context.findings_of_any_day())
            .cloned()
            .collect(),
        not_checked: context
            .not_checked()
            .cloned()
            .chain(context.unknown_starts_of(day))
            .chain((!is_over(day, context.as_of())).then(|| NOT_OVER.to_owned()))
            .collect(),
        recordings: collected.recordings,
    }
}

fn reported(judged: &Judged) -> ReportedRecording {
    match &judged.reading {
        Reading::Known(recorded) => of_known(recorded, judged),
        Reading::Unreadable { .. } | Reading::Absent => of_unreadable(judged),
    }
}

fn of_known(recorded: &KnownRecording, judged: &Judged) -> ReportedRecording {
    let (account, assessment) = (&recorded.account, &judged.assessment);
    ReportedRecording {
        recording_id: account.recording_id.to_string(),
        call: account.call.clone(),
        call_id: recorded.call_id(),
        server_call_id: recorded.server_call_id(),
        participants: recorded
            .participants()
            .into_iter()
            .map(str::to_owned)
            .collect(),
        size_bytes: recorded.size_bytes(),
        state: account.state(),
        standing: judged.standing(),
        next_step: assessment.next_step,
        deadline: assessment.deadline,
        started_at: recorded.started_at(),
        ended_at: account.ended_at(),
        duration_ms: recording_duration_ms(recorded.entries()),
        chunks: recorded
            .chunks
            .iter()
            .map(|chunk| reported_chunk(chunk, judged))
            .collect(),
        unsolicited: recorded.entries().any(|entry| entry.unsolicited),
        unregistered: recorded.registration == Registration::Unregistered,
        problems: problems(judged),
    }
}

fn of_unreadable(judged: &Judged) -> ReportedRecording {
    ReportedRecording {
        recording_id: judged.name.to_string(),
        call: None,
        call_id: None,
        server_call_id: None,
        participants: Vec::new(),
        size_bytes: None,
        state: RecordingState::Unknown,
        standing: judged.standing(),
        next_step: judged.assessment.next_step,
        deadline: None,
        started_at: None,
        ended_at: None,
        duration_ms: None,
        chunks: Vec::new(),
        unsolicited: false,
        unregistered: false,
        problems: problems(judged),
    }
}

fn problems(judged: &Judged) -> Vec<String> {
    if judged.standing().is_settled() {
        Vec::new()
    } else {
        judged.assessment.reasons.clone()
    }
}

fn reported_chunk(chunk: &KnownChunk, judged: &Judged) -> ReportedChunk {
    let plain = |state: &'static str, standing| ReportedChunk {
        index: chunk.index,
        document_id: chunk.document_id.clone(),
        state: Cow::Borrowed(state),
        standing,
        file: None,
        size_bytes: None,
        sha256: None,
        vault: None,
        media: None,
        notices: Vec::new(),
    };
    match &chunk.entry {
        ChunkEntry::Absent => plain("unknown", Standing::Unknown),
        ChunkEntry::Unreadable => plain("unreadable", Standing::Unknown),
        ChunkEntry::Found(entry) => {
            let standing = of_chunk(entry, judged.now).standing;
            with_copy(plain(entry.state.name(), standing), entry)
        }
    }
}

/// Adds its copy in a vault, or in the customer's own storage.
fn with_copy(chunk: ReportedChunk, entry: &LedgerEntry) -> ReportedChunk {
    if let ChunkState::InPlace { files, .. } = &entry.state {
        return ReportedChunk {
            file: Some(files.media.location.clone()),
            size_bytes: Some(files.media.size_bytes),
            sha256: Some(files.media.sha256.to_string()),
            ..chunk
        };
    }
    let Some(receipt) = entry.state.receipt() else {
        return chunk;
    };
    ReportedChunk {
        file: Some(receipt.media().name().to_string()),
        size_bytes: Some(receipt.media().size_bytes()),
        sha256: Some(receipt.media().sha256().to_string()),
        vault: Some(receipt.vault()),
        media: Some(receipt.media_verdict()),
        notices: entry.notices().map(ToString::to_string).collect(),
        ..chunk
    }
}
