//! `recording-vault list` and `show`: which chunks are where, and what was refused.

use std::fmt;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::table::Table;
use crate::app::App;
use crate::export::ledger::LedgerError;
use crate::export::receipt::VaultName;
use crate::export::{ChunkState, ExportReceipt, LedgerEntry};
use crate::recording::{CallId, DocumentId, RecordingChunk, RecordingId, ServerCallId};

/// What to list.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// `pending`, `exported`, `sourceDeleted`, `sourceLeft`, `removing`, `removed`, `inPlace`, `expired`, `deadLettered`.
    pub state: Option<String>,
    /// Part of the id of a recording or a call.
    pub of: Option<String>,
    /// Only what is not in the vault although half of its time is over.
    pub at_risk: bool,
    /// Only what is in the vault, but may not be what was recorded.
    pub doubtful: bool,
}

/// Chunks, and events that could not be read.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Listing {
    pub chunks: Vec<ListedChunk>,
    pub poison: Vec<ListedPoison>,
}

/// A chunk in a line.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ListedChunk {
    pub document_id: DocumentId,
    pub state: &'static str,
    pub index: u32,
    pub recording_id: Option<String>,
    pub call_id: Option<String>,
    pub expires_at: Timestamp,
    /// Where the copy lies.
    pub file: Option<String>,
    /// In which vault, where there is a copy.
    pub vault: Option<VaultName>,
    /// How its media is not what is said of it.
    pub anomaly: Option<String>,
    /// What went wrong last.
    pub reason: Option<String>,
}

/// An event that was kept because it could not be read; `replay poison:<sha256>` feeds it in again.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ListedPoison {
    pub sha256: String,
    pub kept_at: Option<String>,
    pub reason: Option<String>,
}

impl fmt::Display for Listing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.chunks.is_empty() && self.poison.is_empty() {
            return f.write_str("There is nothing to list.");
        }
        let mut table = Table::new(&["chunk", "state", "index", "expires at ACS"]);
        for chunk in &self.chunks {
            let expires = chunk.expires_at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
            table.row([
                chunk.document_id.as_str(),
                chunk.state,
                &chunk.index.to_string(),
                &expires,
            ]);
            let what = chunk
                .file
                .as_deref()
                .or(chunk.reason.as_deref())
                .unwrap_or_default();
            let place = match chunk.vault {
                Some(VaultName::Backup) => " (in the backup vault)",
                Some(VaultName::Home) | None => "",
            };
            let doubt = chunk
                .anomaly
                .as_ref()
                .map(|anomaly| format!(" (doubtful: {anomaly})"))
                .unwrap_or_default();
            if !what.is_empty() {
                table.note(format!("{what}{place}{doubt}"));
            }
        }
        let mut unreadable = Table::new(&["event that could not be read"]);
        for poison in &self.poison {
            unreadable
                .row([format!("poison:{}", poison.sha256)])
                .note(poison.reason.as_deref().unwrap_or_default());
        }
        match (self.chunks.is_empty(), self.poison.is_empty()) {
            (false, true) => table.fmt(f),
            (true, _) => unreadable.fmt(f),
            (false, false) => write!(f, "{table}\n\n{unreadable}"),
        }
    }
}

/// Lists chunks of the ledger, and, unless something else is asked for, poison. Looks at every entry.
///
/// # Errors
/// When the ledger fails.
pub async fn run(app: &App, wanted: &Wanted) -> Result<Listing, LedgerError> {
    let ledger = &app.ledger;
    let entries = ledger
        .entries(|entry| wanted.has(entry, app.clock.now()))
        .await?;
    let mut listing = Listing {
        chunks: entries.into_iter().map(listed).collect(),
        poison: Vec::new(),
    };
    if wanted.state.is_none() && wanted.of.is_none() && !wanted.at_risk && !wanted.doubtful {
        for sha256 in ledger.poisoned().await? {
            let kept = ledger
                .poison(&sha256)
                .await?
                .and_then(|kept| serde_json::from_slice::<Value>(&kept).ok());
            let text = |name: &str| {
                kept.as_ref()
                    .and_then(|kept| kept[name].as_str())
                    .map(str::to_owned)
            };
            listing.poison.push(ListedPoison {
                kept_at: text("keptAt"),
                reason: text("reason"),
                sha256,
            });
        }
    }
    Ok(listing)
}

impl Wanted {
    fn has(&self, entry: &LedgerEntry, now: Timestamp) -> bool {
        if self.at_risk && !entry.is_at_risk(now) {
            return false;
        }
        if self.doubtful
            && entry
                .state
                .receipt()
                .and_then(ExportReceipt::anomaly)
                .is_none()
        {
            return false;
        }
        self.state
            .as_ref()
            .is_none_or(|state| entry.state.name().eq_ignore_ascii_case(state))
            && self
                .of
                .as_ref()
                .is_none_or(|part| is_of(&entry.chunk, part))
    }
}

/// Whether the chunk is of a recording or call whose id contains `part`.
pub(super) fn is_of(chunk: &RecordingChunk, part: &str) -> bool {
    let ids = [
        chunk.recording_id.as_ref().map(RecordingId::as_str),
        chunk.call_id.as_ref().map(CallId::as_str),
        chunk.server_call_id.as_ref().map(ServerCallId::as_str),
    ];
    ids.into_iter().flatten().any(|id| id.contains(part))
}

fn listed(entry: LedgerEntry) -> ListedChunk {
    let (file, end) = match &entry.state {
        ChunkState::Pending => (None, None),
        ChunkState::Exported { receipt } | ChunkState::SourceDeleted { receipt, .. } => {
            (Some(receipt.media().name().to_string()), None)
        }
        ChunkState::SourceLeft { receipt, reason } => (
            Some(receipt.media().name().to_string()),
            Some(reason.clone()),
        ),
        ChunkState::Removing { .. } => (
            None,
            Some(
                "its deletion from the vault, by policy, has begun and is not finished".to_owned(),
            ),
        ),
        ChunkState::Removed { reason, .. } => (None, Some(reason.clone())),
        ChunkState::InPlace { files, .. } => (Some(files.media.location.clone()), None),
        ChunkState::Expired { reason, .. } | ChunkState::DeadLettered { reason, .. } => {
            (None, Some(reason.clone()))
        }
    };
    ListedChunk {
        state: entry.state.name(),
        index: entry.chunk.index,
        vault: entry.state.receipt().map(ExportReceipt::vault),
        anomaly: entry
            .state
            .receipt()
            .and_then(ExportReceipt::anomaly)
            .map(str::to_owned),
        recording_id: entry.chunk.recording_id.as_ref().map(ToString::to_string),
        call_id: entry.chunk.call_id.as_ref().map(ToString::to_string),
        expires_at: entry.expires_at,
        reason: end.or_else(|| entry.failures.last().map(|failure| failure.reason.clone())),
        file,
        document_id: entry.chunk.document_id,
    }
}

/// All that the ledger knows of a chunk.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct Shown(Value);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#}", self.0)
    }
}

/// The ledger's entry of a chunk.
///
/// # Errors
/// When the ledger fails.
pub async fn show(app: &App, document_id: &DocumentId) -> Result<Option<Shown>, LedgerError> {
    let found = app.ledger.find(document_id).await?;
    Ok(found.map(|found| {
        Shown(serde_json::to_value(&found.entry).expect("an entry has string keys only"))
    }))
}
