//! A recording in a row: how it stands, taken together from its account and the entries of its chunks. Pure.

use std::collections::BTreeSet;
use std::str::FromStr;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

use crate::control::entry::{RecordingStatus, RegisteredRecording};
use crate::export::{ChunkState, ExportReceipt, LedgerEntry, entry};
use crate::recording::media::ChannelKind;
use crate::recording::{ContentKind, DocumentId, FormatKind};
use crate::store::holds::{Case, Held};
use crate::store::index::{Attention, Listed};

/// A recording as register and ledger have it.
#[derive(Debug, Clone)]
pub struct KnownRecording {
    pub account: RegisteredRecording,
    /// In order of their index.
    pub chunks: Vec<KnownChunk>,
    /// What holds it.
    pub cases: Vec<Case>,
}

/// A chunk that an event announced.
#[derive(Debug, Clone)]
pub struct KnownChunk {
    pub index: u32,
    pub document_id: DocumentId,
    /// `None`: the ledger does not have it, or cannot be read.
    pub entry: Option<LedgerEntry>,
}

/// How a recording stands; the worst of its chunks counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum Status {
    /// ACS dropped a chunk before it was in the vault.
    Lost,
    /// A chunk was given up, or ACS could not start the recording.
    Failed,
    Active,
    Paused,
    /// It ended, and no event announced its files.
    Missing,
    /// Half of the time of a chunk that is not in the vault is over.
    AtRisk,
    Exporting,
    Waiting,
    /// Its copies were deleted from the vault, by policy or by request.
    Removed,
    /// All of it is in the vault, and proved.
    Verified,
}

impl Status {
    const ALL: [(&'static str, Self); 10] = [
        ("active", Self::Active),
        ("paused", Self::Paused),
        ("waiting", Self::Waiting),
        ("exporting", Self::Exporting),
        ("atRisk", Self::AtRisk),
        ("verified", Self::Verified),
        ("failed", Self::Failed),
        ("missing", Self::Missing),
        ("lost", Self::Lost),
        ("removed", Self::Removed),
    ];

    /// The list of the index that has all recordings of this status, and some besides.
    pub fn listed(self) -> Option<Listed> {
        match self {
            Self::Lost => Some(Listed::Attention(Attention::Lost)),
            Self::Failed => Some(Listed::Attention(Attention::Failed)),
            Self::Missing => Some(Listed::Attention(Attention::Missing)),
            Self::Active
            | Self::Paused
            | Self::AtRisk
            | Self::Exporting
            | Self::Waiting
            | Self::Removed
            | Self::Verified => None,
        }
    }
}

impl FromStr for Status {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL
            .iter()
            .find(|(name, _)| *name == text)
            .map(|(_, status)| *status);
        let names = || {
            Self::ALL
                .iter()
                .map(|(name, _)| *name)
                .collect::<Vec<_>>()
                .join(", ")
        };
        found.ok_or_else(|| format!("is `{text}`; expected one of {}", names()))
    }
}

/// A recording in a list.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    pub recording_id: String,
    pub call_id: Option<String>,
    pub server_call_id: Option<String>,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub started_at: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ended_at: Option<Timestamp>,
    pub duration_ms: Option<u64>,
    /// `audio` or `audioVideo`.
    #[schema(value_type = Option<String>)]
    pub content: Option<ContentKind>,
    /// `mixed` or `unmixed`.
    #[schema(value_type = Option<String>)]
    pub channels: Option<ChannelKind>,
    /// `mp4`, `mp3` or `wav`.
    #[schema(value_type = Option<String>)]
    pub format: Option<FormatKind>,
    pub status: Status,
    pub chunks: usize,
    pub size_bytes: Option<u64>,
    pub participants: usize,
    pub held: bool,
    /// The media of a chunk is not what is said of it.
    pub doubtful: bool,
    /// Nobody asked for it: it was not started through this app, and no event announced the start of its call.
    pub unsolicited: bool,
    /// Notices on its media, such as a silent channel.
    pub notices: usize,
    /// When ACS drops the next chunk that is not in the vault.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub next_deadline: Option<Timestamp>,
}

impl KnownRecording {
    pub fn entries(&self) -> impl Iterator<Item = &LedgerEntry> + Clone {
        self.chunks.iter().filter_map(|chunk| chunk.entry.as_ref())
    }

    /// Everything by which it may be held.
    pub fn holdable(&self) -> Vec<Held> {
        let mut held = vec![Held::RecordingId(self.account.recording_id.clone())];
        held.extend(self.account.call_id.clone().map(Held::CallId));
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

    /// The one marker of a list at which it is shown, however many it has there.
    pub fn shown_at(&self, list: &Listed) -> Option<String> {
        let prefix = list.prefix();
        let mut markers: BTreeSet<String> = self.account.markers();
        markers.extend(self.entries().flat_map(LedgerEntry::markers));
        markers.into_iter().find(|key| key.starts_with(&prefix))
    }

    /// Who was in the call.
    pub fn participants(&self) -> BTreeSet<&str> {
        let metadata = self.entries().filter_map(|entry| entry.metadata.as_ref());
        metadata
            .flat_map(|metadata| &metadata.participants)
            .map(|participant| participant.id.as_str())
            .collect()
    }

    pub fn status(&self, now: Timestamp) -> Status {
        let any = |is: fn(&ChunkState) -> bool| self.entries().any(|entry| is(&entry.state));
        if any(|state| matches!(state, ChunkState::Expired { .. })) {
            return Status::Lost;
        }
        if any(|state| matches!(state, ChunkState::DeadLettered { .. })) {
            return Status::Failed;
        }
        match &self.account.status {
            RecordingStatus::Running if self.account.open_pause().is_some() => {
                return Status::Paused;
            }
            RecordingStatus::Running => return Status::Active,
            RecordingStatus::Failed { .. } => return Status::Failed,
            RecordingStatus::Stopped { .. } => {}
        }
        if self.account.is_missing() {
            return Status::Missing;
        }
        if self.entries().any(|entry| entry.is_at_risk(now)) {
            return Status::AtRisk;
        }
        let is_unexported = |chunk: &KnownChunk| {
            chunk
                .entry
                .as_ref()
                .is_none_or(|entry| matches!(entry.state, ChunkState::Pending))
        };
        if self
            .entries()
            .any(|entry| matches!(entry.state, ChunkState::Pending) && entry.is_claimed(now))
        {
            return Status::Exporting;
        }
        if self.chunks.is_empty() || self.chunks.iter().any(is_unexported) {
            return Status::Waiting;
        }
        let is_removed = |entry: &LedgerEntry| {
            matches!(
                entry.state,
                ChunkState::Removing { .. } | ChunkState::Removed { .. }
            )
        };
        if self.entries().all(is_removed) {
            Status::Removed
        } else {
            Status::Verified
        }
    }

    /// What of it lies in the vault, or in the customer's own storage.
    fn size_bytes(&self) -> Option<u64> {
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

    /// What is not as it should be, a sentence each.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = match &self.account.status {
            RecordingStatus::Running => Vec::new(),
            RecordingStatus::Failed { reason, .. } => {
                vec![format!("ACS could not start it: {reason}")]
            }
            RecordingStatus::Stopped { .. } if self.account.is_missing() => {
                vec!["it ended, and no event announced its files in time".to_owned()]
            }
            RecordingStatus::Stopped { .. } if self.account.files.announced_at.is_none() => {
                Vec::new()
            }
            RecordingStatus::Stopped { .. } => self.account.files.problems(),
        };
        for chunk in &self.chunks {
            let index = chunk.index;
            problems.extend(chunk.entry.iter().flat_map(|entry| of_files(index, entry)));
            match chunk.entry.as_ref().map(|entry| &entry.state) {
                None => problems.push(format!("chunk {index} is not in the ledger")),
                Some(ChunkState::Expired { reason, .. }) => {
                    problems.push(format!("chunk {index} is lost: {reason}"));
                }
                Some(ChunkState::DeadLettered { reason, .. }) => {
                    problems.push(format!("chunk {index} was given up: {reason}"));
                }
                Some(state) => problems.extend(
                    state
                        .receipt()
                        .and_then(ExportReceipt::anomaly)
                        .map(|what| format!("chunk {index} is doubtful: {what}")),
                ),
            }
        }
        problems
    }

    fn started_at(&self) -> Option<Timestamp> {
        let first = self.entries().next();
        self.account
            .started_at
            .or_else(|| first.and_then(|entry| entry.chunk.started_at))
    }

    /// By its duration where that is known, else when it was seen to end.
    fn ended_at(&self) -> Option<Timestamp> {
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

    fn call_id(&self) -> Option<String> {
        let by_chunks = || {
            self.entries()
                .find_map(|entry| entry.chunk.call_id.as_ref().map(ToString::to_string))
        };
        let call_id = self.account.call_id.as_ref().map(ToString::to_string);
        call_id.or_else(by_chunks)
    }

    fn server_call_id(&self) -> Option<String> {
        let by_chunks = || {
            self.entries()
                .find_map(|entry| entry.chunk.server_call_id.as_ref().map(ToString::to_string))
        };
        let server_call_id = self.account.conversation_id().map(str::to_owned);
        server_call_id.or_else(by_chunks)
    }

    fn is_doubtful(&self) -> bool {
        self.entries().any(|entry| {
            let receipt = entry.state.receipt();
            receipt.and_then(ExportReceipt::anomaly).is_some()
        })
    }

    fn notices(&self) -> usize {
        let receipts = self.entries().filter_map(|entry| entry.state.receipt());
        receipts.map(|receipt| receipt.notices().len()).sum()
    }

    /// When ACS drops the next chunk that is not in the vault.
    fn next_deadline(&self) -> Option<Timestamp> {
        self.entries()
            .filter(|entry| !entry.is_safe())
            .map(|entry| entry.expires_at)
            .min()
    }

    /// The row of a list.
    pub fn row(&self, now: Timestamp) -> Row {
        let options = &self.account.options;
        let first = self.entries().next();
        let kind = first.and_then(|entry| entry.chunk.media_kind());
        let metadata = self.entries().find_map(|entry| entry.metadata.as_ref());
        Row {
            recording_id: self.account.recording_id.to_string(),
            call_id: self.call_id(),
            server_call_id: self.server_call_id(),
            started_at: self.started_at(),
            ended_at: self.ended_at(),
            duration_ms: entry::recording_duration_ms(self.entries()),
            content: options
                .recording_content_type
                .or(kind.map(|kind| kind.content))
                .or(metadata.and_then(|metadata| metadata.content)),
            channels: options
                .recording_channel_type
                .or(metadata.and_then(|metadata| metadata.channels)),
            format: kind
                .map(|kind| kind.format)
                .or(metadata.and_then(|metadata| metadata.format))
                .or(options.recording_format_type),
            status: self.status(now),
            chunks: self.chunks.len(),
            size_bytes: self.size_bytes(),
            participants: self.participants().len(),
            held: !self.cases.is_empty(),
            unsolicited: self.entries().any(|entry| entry.unsolicited),
            doubtful: self.is_doubtful(),
            notices: self.notices(),
            next_deadline: self.next_deadline(),
        }
    }
}

/// What is to be known of a chunk besides its state.
fn of_files(index: u32, entry: &LedgerEntry) -> Vec<String> {
    let mut problems = Vec::new();
    if let Some(places) = entry.disputed_places() {
        problems.push(format!(
            "events name {places} places for chunk {index}; `accept --place` says which is right"
        ));
    }
    if entry.metadata_too_large {
        problems.push(format!(
            "the metadata of chunk {index} is larger than any that ACS writes, and is not archived"
        ));
    }
    let omitted = entry
        .metadata
        .as_ref()
        .map_or(0, |metadata| metadata.participants_omitted);
    if omitted > 0 {
        problems.push(format!(
            "chunk {index} has {omitted} participants more than are listed; its metadata file names them"
        ));
    }
    problems
}
