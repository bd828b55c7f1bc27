//! `recording-vault list`: chunks and their states, and events that could not be read.

use std::fmt::{self, Write as _};

use clap::{Args, ValueEnum};
use jiff::Timestamp;
use recording_vault::app::App;
use recording_vault::compose;
use recording_vault::config::Config;
use recording_vault::export::ledger::LedgerError;
use recording_vault::export::receipt::VaultName;
use recording_vault::export::{ChunkState, ExportReceipt, LedgerEntry};
use recording_vault::recording::{CallId, DocumentId, RecordingChunk, RecordingId, ServerCallId};
use serde::Serialize;
use serde_json::Value;

use super::exit::Exit;
use super::output::Output;
use super::table::Table;
use super::unreadable;

/// The arguments of `list`: which chunks to list.
#[derive(Args)]
pub struct List {
    /// Only chunks in this state
    #[arg(long, ignore_case = true)]
    state: Option<StateFilter>,
    /// Only chunks of a recording or call whose id contains this
    #[arg(long)]
    of: Option<String>,
    /// Only chunks that are not in the vault although half of their time at ACS is over
    #[arg(long)]
    at_risk: bool,
    /// Only chunks whose media contradicts its event or metadata
    #[arg(long)]
    doubtful: bool,
    /// Only chunks with notices, such as a silent channel
    #[arg(long)]
    notices: bool,
}

/// A state of a chunk, as `--state` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "camelCase")]
enum StateFilter {
    Pending,
    Exported,
    SourceDeleted,
    SourceLeft,
    Removing,
    Removed,
    InPlace,
    Expired,
    DeadLettered,
}

impl StateFilter {
    fn of(state: &ChunkState) -> Self {
        match state {
            ChunkState::Pending => Self::Pending,
            ChunkState::Exported { .. } => Self::Exported,
            ChunkState::SourceDeleted { .. } => Self::SourceDeleted,
            ChunkState::SourceLeft { .. } => Self::SourceLeft,
            ChunkState::Removing { .. } => Self::Removing,
            ChunkState::Removed { .. } => Self::Removed,
            ChunkState::InPlace { .. } => Self::InPlace,
            ChunkState::Expired { .. } => Self::Expired,
            ChunkState::DeadLettered { .. } => Self::DeadLettered,
        }
    }
}

impl List {
    /// # Errors
    /// When the ledger fails.
    pub async fn run(self, config: Config, output: Output) -> anyhow::Result<Exit> {
        let listing = self.listing(&compose::app(config)?).await?;
        output.report(&listing)?;
        Ok(unreadable::exit(Exit::Fine, &listing.unreadable))
    }

    /// Looks at every entry; at poison only if nothing narrows the list.
    async fn listing(&self, app: &App) -> Result<Listing, LedgerError> {
        let ledger = &app.ledger;
        let now = app.clock.now();
        let entries = ledger.entries(|entry| self.matches(entry, now)).await?;
        let mut listing = Listing {
            chunks: entries.found.into_iter().map(listed).collect(),
            unreadable: entries.unreadable,
            poison: Vec::new(),
        };
        if self.is_narrowed() {
            return Ok(listing);
        }
        for sha256 in ledger.poisoned().await? {
            let kept = ledger.poison(&sha256).await?;
            listing
                .poison
                .push(ListedPoison::read(sha256, kept.as_deref()));
        }
        Ok(listing)
    }

    fn is_narrowed(&self) -> bool {
        self.state.is_some() || self.of.is_some() || self.at_risk || self.doubtful || self.notices
    }

    fn matches(&self, entry: &LedgerEntry, now: Timestamp) -> bool {
        let anomaly = || entry.state.receipt().and_then(ExportReceipt::anomaly);
        let has_notices = || {
            entry
                .state
                .receipt()
                .is_some_and(|receipt| !receipt.notices().is_empty())
        };
        let is_in = |state: StateFilter| state == StateFilter::of(&entry.state);
        (!self.at_risk || entry.is_at_risk(now))
            && (!self.doubtful || anomaly().is_some())
            && (!self.notices || has_notices())
            && self.state.is_none_or(is_in)
            && (self.of.as_ref()).is_none_or(|part| is_of(&entry.chunk, part))
    }
}

/// Chunks, and events that could not be read.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Listing {
    pub chunks: Vec<ListedChunk>,
    pub poison: Vec<ListedPoison>,
    /// Chunks whose entries are not readable.
    pub unreadable: Vec<DocumentId>,
}

/// A chunk in a line.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ListedChunk {
    pub document_id: DocumentId,
    pub state: &'static str,
    pub index: u32,
    pub recording_id: Option<String>,
    pub call_id: Option<String>,
    pub expires_at: Timestamp,
    /// Where the copy lies.
    pub file: Option<String>,
    /// The vault that has the copy.
    pub vault: Option<VaultName>,
    /// How its media contradicts its event or metadata.
    pub anomaly: Option<String>,
    /// What of its media is worth knowing.
    pub notices: Vec<String>,
    /// Nobody asked for its recording.
    pub unsolicited: bool,
    /// The last failure.
    pub reason: Option<String>,
}

/// An event that was kept because it could not be read; `replay poison:<sha256>` processes it again.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ListedPoison {
    pub sha256: String,
    pub kept_at: Option<String>,
    pub reason: Option<String>,
}

impl fmt::Display for Listing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.chunks.is_empty() && self.poison.is_empty() {
            if self.unreadable.is_empty() {
                return f.write_str("There is nothing to list.");
            }
            return unreadable::write(f, &self.unreadable);
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
            let notices = chunk
                .notices
                .iter()
                .fold(String::new(), |mut text, notice| {
                    // Writing into a text cannot fail.
                    let _ = write!(text, " (notice: {notice})");
                    text
                });
            let unsolicited = if chunk.unsolicited {
                " (unsolicited)"
            } else {
                ""
            };
            let note = format!("{what}{place}{doubt}{notices}{unsolicited}");
            if !note.is_empty() {
                table.note(note.trim_start());
            }
        }
        let mut events = Table::new(&["event that could not be read"]);
        for poison in &self.poison {
            events
                .row([format!("poison:{}", poison.sha256)])
                .note(poison.reason.as_deref().unwrap_or_default());
        }
        match (self.chunks.is_empty(), self.poison.is_empty()) {
            (false, true) => table.fmt(f),
            (true, _) => events.fmt(f),
            (false, false) => write!(f, "{table}\n\n{events}"),
        }?;
        if self.unreadable.is_empty() {
            return Ok(());
        }
        f.write_str("\n\n")?;
        unreadable::write(f, &self.unreadable)
    }
}

impl ListedPoison {
    fn read(sha256: String, kept: Option<&[u8]>) -> Self {
        let kept = kept.and_then(|kept| serde_json::from_slice::<Value>(kept).ok());
        let text = |name: &str| Some(kept.as_ref()?[name].as_str()?.to_owned());
        Self {
            kept_at: text("keptAt"),
            reason: text("reason"),
            sha256,
        }
    }
}

/// Whether the chunk is of a recording or call whose id contains `part`.
pub fn is_of(chunk: &RecordingChunk, part: &str) -> bool {
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
            Some("its deletion from the vault has begun and is not finished".to_owned()),
        ),
        ChunkState::Removed { reason, .. } => (None, Some(reason.clone())),
        ChunkState::InPlace { files, .. } => (Some(files.media.location.clone()), None),
        ChunkState::Expired { reason, .. } | ChunkState::DeadLettered { reason, .. } => {
            (None, Some(reason.clone()))
        }
    };
    ListedChunk {
        state: entry.state.name(),
        unsolicited: entry.unsolicited,
        index: entry.chunk.index,
        vault: entry.state.receipt().map(ExportReceipt::vault),
        anomaly: entry
            .state
            .receipt()
            .and_then(ExportReceipt::anomaly)
            .map(str::to_owned),
        notices: entry
            .state
            .receipt()
            .map(|receipt| receipt.notices().iter().map(ToString::to_string).collect())
            .unwrap_or_default(),
        recording_id: entry.chunk.recording_id.as_ref().map(ToString::to_string),
        call_id: entry.chunk.call_id.as_ref().map(ToString::to_string),
        expires_at: entry.expires_at,
        reason: end.or_else(|| entry.failures.last().map(|failure| failure.reason.clone())),
        file,
        document_id: entry.chunk.document_id,
    }
}
