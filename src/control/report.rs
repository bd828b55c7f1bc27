//! The completeness report of a day: every recording that began then, its chunks, and what is missing.

use std::borrow::Cow;
use std::fmt;

use futures::{StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::RecordingControl;
use super::entry::{RecordingStatus, RegisteredRecording};
use super::state::RecordingState;
use crate::acs::wire::RecordedCall;
use crate::error_chain::ErrorChain;
use crate::export::entry::recording_duration_ms;
use crate::export::ledger::{Found, LedgerError};
use crate::export::{ChunkLedger, ChunkState};
use crate::media::MediaVerdict;
use crate::recording::DocumentId;
use crate::store::document_store::StoreError;
use crate::store::documents::DocumentError;

const PAGE: usize = 500;
/// Accounts that are looked at together.
const AT_ONCE: usize = 16;

/// A day's recordings and whether all of it is in the vault.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CompletenessReport {
    /// `2026-03-02`, UTC.
    pub day: String,
    /// When it was begun: what came later may not be in it.
    pub made_at: Timestamp,
    pub recordings: Vec<ReportedRecording>,
    pub chunk_count: usize,
    pub chunks_in_vault: usize,
    /// Recordings with a problem.
    pub incomplete: usize,
    /// Total duration, as far as it is known.
    pub minutes: f64,
    /// Chunks in the vault whose media disagrees with event or metadata.
    pub doubtful: usize,
    /// Chunks in the vault whose media could not be compared; that is no agreement.
    pub media_unknown: usize,
}

/// One recording of the day.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReportedRecording {
    pub recording_id: String,
    /// Which call, where it is known.
    #[serde(skip)]
    pub call: Option<RecordedCall>,
    pub state: RecordingState,
    pub started_at: Option<Timestamp>,
    pub ended_at: Option<Timestamp>,
    pub duration_ms: Option<u64>,
    pub chunks: Vec<ReportedChunk>,
    /// Nobody asked for it: it was not started through this app, and no event announced the start of its call.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unsolicited: bool,
    /// Empty when nothing is missing.
    pub problems: Vec<String>,
}

/// One chunk of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReportedChunk {
    pub index: u32,
    pub document_id: DocumentId,
    pub state: Cow<'static, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Whether its media is what event and metadata report.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub media: Option<MediaVerdict>,
    /// What of its media is worth knowing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notices: Vec<String>,
    #[serde(skip)]
    problem: Option<String>,
}

/// Why a report could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    #[error(transparent)]
    Register(#[from] DocumentError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl fmt::Display for CompletenessReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            day,
            recordings,
            chunk_count,
            chunks_in_vault,
            incomplete,
            ..
        } = self;
        writeln!(
            f,
            "Recordings of {day}: {}, in {chunk_count} chunks, {chunks_in_vault} of them in the vault.",
            recordings.len()
        )?;
        if *incomplete == 0 {
            write!(f, "Nothing is missing.")?;
            return self.fmt_media(f);
        }
        write!(f, "{incomplete} are not complete:")?;
        for recording in recordings
            .iter()
            .filter(|recording| !recording.problems.is_empty())
        {
            write!(f, "\n  {} ({})", recording.recording_id, recording.state)?;
            recording
                .problems
                .iter()
                .try_for_each(|problem| write!(f, "\n    {problem}"))?;
        }
        self.fmt_media(f)
    }
}

impl CompletenessReport {
    /// What is to be said of the media of what is in the vault.
    fn fmt_media(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let chunks = |count: usize| match count {
            1 => "1 chunk".to_owned(),
            count => format!("{count} chunks"),
        };
        if self.doubtful > 0 {
            write!(
                f,
                "\nMedia that disagrees with its event or metadata: {}.",
                chunks(self.doubtful)
            )?;
        }
        if self.media_unknown > 0 {
            write!(
                f,
                "\nMedia that could not be checked: {}.",
                chunks(self.media_unknown)
            )?;
        }
        let unsolicited = self.recordings.iter();
        let unsolicited: Vec<&str> = unsolicited
            .filter(|recording| recording.unsolicited)
            .map(|recording| recording.recording_id.as_str())
            .collect();
        if !unsolicited.is_empty() {
            write!(
                f,
                "\nNot started through this app, and of no announced call: {}.",
                unsolicited.join(", ")
            )?;
        }
        for recording in &self.recordings {
            for chunk in &recording.chunks {
                for notice in &chunk.notices {
                    let (id, index) = (&recording.recording_id, chunk.index);
                    write!(f, "\nNotice on {id}, chunk {index}: {notice}.")?;
                }
            }
        }
        Ok(())
    }
}

impl RecordingControl {
    /// Reports on the recordings that began on the day (UTC) of `day`.
    ///
    /// # Errors
    /// When the register or the ledger cannot be read.
    pub async fn report(
        &self,
        ledger: &ChunkLedger,
        day: Timestamp,
    ) -> Result<CompletenessReport, ReportError> {
        let made_at = self.clock.now();
        let mut recordings = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let names = self.register.of_day(day, after.as_deref(), PAGE).await?;
            after = names.last().cloned();
            let is_last = names.len() < PAGE;
            let page = futures::stream::iter(names).map(|name| async move {
                match self.register.by_name(&name).await {
                    Ok(Some(account)) => {
                        Ok::<_, ReportError>(Some(reported(ledger, account).await?))
                    }
                    Ok(None) => Ok(None),
                    // It must not keep the others from being reported.
                    Err(error @ DocumentError::Corrupt { .. }) => {
                        Ok(Some(unreadable(&name, &error)))
                    }
                    Err(error) => Err(error.into()),
                }
            });
            recordings.extend(
                page.buffered(AT_ONCE)
                    .try_collect::<Vec<_>>()
                    .await?
                    .into_iter()
                    .flatten(),
            );
            if is_last {
                break;
            }
        }
        let chunks = || recordings.iter().flat_map(|recording| &recording.chunks);
        let with = |verdict| {
            chunks()
                .filter(|chunk| chunk.media == Some(verdict))
                .count()
        };
        Ok(CompletenessReport {
            day: name_of(day),
            made_at,
            chunk_count: chunks().count(),
            doubtful: with(MediaVerdict::Disagrees),
            media_unknown: with(MediaVerdict::Unknown),
            chunks_in_vault: chunks().filter(|chunk| chunk.sha256.is_some()).count(),
            incomplete: recordings
                .iter()
                .filter(|recording| !recording.problems.is_empty())
                .count(),
            minutes: recordings
                .iter()
                .filter_map(|recording| recording.duration_ms)
                .map(minutes)
                .sum(),
            recordings,
        })
    }
}

fn unreadable(name: &str, error: &DocumentError) -> ReportedRecording {
    ReportedRecording {
        recording_id: name.to_owned(),
        call: None,
        state: RecordingState::Unknown,
        started_at: None,
        ended_at: None,
        duration_ms: None,
        chunks: Vec::new(),
        unsolicited: false,
        problems: vec![ErrorChain(error).to_string()],
    }
}

async fn reported(
    ledger: &ChunkLedger,
    account: RegisteredRecording,
) -> Result<ReportedRecording, LedgerError> {
    let (mut chunks, mut entries) = (Vec::new(), Vec::new());
    for (index, document_id) in account.files.documents() {
        let found = ledger.find(document_id).await?;
        entries.extend(found.as_ref().map(|found| found.entry.clone()));
        chunks.push(reported_chunk(index, document_id, found));
    }
    let mut problems = Vec::new();
    let ended_at = match &account.status {
        RecordingStatus::Running => {
            problems.push("it still runs".to_owned());
            None
        }
        RecordingStatus::Stopped { at } => {
            problems.extend(account.files.problems());
            Some(*at)
        }
        RecordingStatus::Failed { at, reason } => {
            problems.push(format!("ACS could not start it: {reason}"));
            Some(*at)
        }
    };
    problems.extend(chunks.iter().filter_map(|chunk| chunk.problem.clone()));
    Ok(ReportedRecording {
        state: account.state(),
        started_at: account.started_at,
        ended_at,
        duration_ms: recording_duration_ms(entries.iter()),
        recording_id: account.recording_id.to_string(),
        call: account.call,
        chunks,
        unsolicited: entries.iter().any(|entry| entry.unsolicited),
        problems,
    })
}

fn reported_chunk(index: u32, document_id: &DocumentId, found: Option<Found>) -> ReportedChunk {
    let state = found
        .as_ref()
        .map_or("unknown", |found| found.entry.state.name());
    let mut chunk = ReportedChunk {
        index,
        document_id: document_id.clone(),
        state: Cow::Borrowed(state),
        file: None,
        size_bytes: None,
        sha256: None,
        media: None,
        notices: Vec::new(),
        problem: None,
    };
    match found.map(|found| found.entry.state) {
        Some(
            ChunkState::Exported { receipt }
            | ChunkState::SourceDeleted { receipt, .. }
            | ChunkState::SourceLeft { receipt, .. },
        ) => {
            chunk.file = Some(receipt.media().name().to_string());
            chunk.size_bytes = Some(receipt.media().size_bytes());
            chunk.sha256 = Some(receipt.media().sha256().to_string());
            chunk.media = Some(receipt.media_verdict());
            chunk.notices = receipt.notices().iter().map(ToString::to_string).collect();
        }
        Some(ChunkState::InPlace { files, .. }) => {
            chunk.file = Some(files.media.location);
            chunk.size_bytes = Some(files.media.size_bytes);
            chunk.sha256 = Some(files.media.sha256.to_string());
        }
        // Nothing is missing: it was in the vault, for as long as the policy says.
        Some(ChunkState::Removing { .. } | ChunkState::Removed { .. }) => {}
        Some(ChunkState::Pending) => {
            chunk.problem = Some(format!(
                "chunk {index} ({document_id}) is not in the vault yet"
            ));
        }
        Some(ChunkState::Expired { reason, .. }) => {
            chunk.problem = Some(format!("chunk {index} ({document_id}) is lost: {reason}"));
        }
        Some(ChunkState::DeadLettered { reason, .. }) => {
            chunk.problem = Some(format!(
                "chunk {index} ({document_id}) was given up: {reason}"
            ));
        }
        None => {
            chunk.problem = Some(format!(
                "chunk {index} ({document_id}) is not in the ledger"
            ));
        }
    }
    chunk
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a recording lasts no 2^53 milliseconds"
)]
fn minutes(duration_ms: u64) -> f64 {
    duration_ms as f64 / 60_000.0
}

/// Name of a day (UTC): `2026-03-02`.
fn name_of(day: Timestamp) -> String {
    day.to_zoned(TimeZone::UTC).date().to_string()
}
