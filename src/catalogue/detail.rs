//! One recording with everything known about it.

mod cases;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::known::{KnownRecording, of_files};
use super::media::KnownDamage;
use super::row::Row;
use super::timeline::TimelineEvent;
use super::{Catalogue, CatalogueError};
use crate::control::consent::Consent;
use crate::control::entry::Pause;
use crate::control::telephony;
use crate::export::entry::Risk;
use crate::export::receipt::{VaultName, VerifiedFile};
use crate::export::{ChunkState, ExportReceipt, LedgerEntry, layout};
use crate::media::MediaExamination;
use crate::recording::{FileNumber, Participant, RecordingChunk, RecordingId};
use crate::standing::{ChunkEntry, KnownChunk, Rules, Standing, of_chunk};

pub use cases::{HoldOnRecording, ShownCase, shown_case};

/// A recording.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RecordingDetail {
    #[serde(flatten)]
    pub row: Row,
    /// `{"callLocator": …}` or `{"callConnectionId": …}`, as its start asked for it.
    #[schema(value_type = Option<Object>)]
    pub call: Option<Value>,
    /// As in the start.
    #[schema(value_type = Option<Object>)]
    pub options: Option<Value>,
    pub consent: Option<Consent>,
    pub pauses: Vec<Pause>,
    pub participant_list: Vec<ShownParticipant>,
    pub holds: Vec<HoldOnRecording>,
    /// The bot's conversation that it belongs to, with all its recordings.
    pub conversation: Option<ShownConversation>,
    pub chunk_list: Vec<ShownChunk>,
    /// From the audit log, oldest first.
    pub timeline: Vec<TimelineEvent>,
    /// What is not as it should be; empty when it is settled.
    pub problems: Vec<String>,
}

impl RecordingDetail {
    /// Returns why it is not whole, also what an operator acknowledged, a sentence each; empty if nothing of it is known to be
    /// missing or doubtful.
    pub fn reasons_not_whole(&self) -> Vec<String> {
        let mut reasons = self.row.reasons.clone();
        let others = self.problems.iter();
        let others = others.filter(|problem| !self.row.reasons.contains(problem));
        reasons.extend(others.cloned());
        if self.chunk_list.is_empty() {
            reasons.push("no event announced a file of this recording".to_owned());
        }
        reasons
    }
}

/// Somebody who was in the call.
#[derive(Debug, Serialize, ToSchema)]
pub struct ShownParticipant {
    pub id: String,
    pub channel: Option<u32>,
}

/// A bot's conversation.
#[derive(Debug, Serialize, ToSchema)]
pub struct ShownConversation {
    pub id: String,
    /// `recordingId`s, the oldest first.
    pub sessions: Vec<String>,
}

/// A pause within a chunk.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ShownPause {
    pub offset_ms: u64,
    pub duration_ms: u64,
}

/// Who is heard on a channel.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ShownChannel {
    pub channel: u32,
    pub participant_id: String,
}

/// A failed attempt.
#[derive(Debug, Serialize, ToSchema)]
pub struct ShownFailure {
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    pub reason: String,
}

/// A chunk of the recording.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ShownChunk {
    pub document_id: String,
    pub index: u32,
    /// The ledger's state; `unknown` without an entry, `unreadable` with one that is not readable.
    #[schema(example = "sourceDeleted")]
    pub state: &'static str,
    pub standing: Standing,
    pub size_bytes: Option<u64>,
    pub duration_ms: Option<u64>,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub started_at: Option<Timestamp>,
    pub content_type: Option<&'static str>,
    pub sha256: Option<String>,
    pub file: Option<String>,
    pub metadata_file: Option<String>,
    pub receipt_file: Option<String>,
    /// `home`, `backup` or `external`.
    pub vault: Option<&'static str>,
    /// The receipt, as it is stored with the file.
    #[schema(value_type = Option<Object>)]
    pub receipt: Option<Value>,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Timestamp>,
    #[schema(value_type = Option<String>)]
    pub risk: Option<Risk>,
    pub attempts: u32,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub next_try_at: Option<Timestamp>,
    pub claimed: bool,
    pub failures: Vec<ShownFailure>,
    pub doubts: Vec<String>,
    /// What a verification found wrong with its copies. Its files are not returned as proved ones then: a ticket plays the
    /// media as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub damage: Option<KnownDamage>,
    /// Result of the inspection of its media.
    pub examination: Option<MediaExamination>,
    pub pauses: Vec<ShownPause>,
    pub channels: Vec<ShownChannel>,
    /// Whether its media can be played here.
    pub playable: bool,
    /// Its files, where events announced more than one.
    pub places: Vec<ShownPlace>,
    /// Whether `accept` takes it: its copy is doubtful, or one of its places has to be chosen. A damaged copy is to be
    /// restored.
    pub awaits_acceptance: bool,
    /// How many places events name for it, where an operator has to choose one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub places_to_choose: Option<usize>,
}

/// A file of a document, where events announced more than one.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ShownPlace {
    /// What `accept` takes.
    #[schema(value_type = u8)]
    pub place: FileNumber,
    /// Whether its file represents the document.
    pub chosen: bool,
    pub location: Option<String>,
    /// As in `state`; or, of a file beside the document's, `pending`, `proved`, `missing` or `refused`.
    pub state: &'static str,
    pub file: Option<String>,
    pub size_bytes: Option<u64>,
    pub sha256: Option<String>,
    /// Why it is not in the vault.
    pub problem: Option<String>,
}

/// What is known of a recording by its id.
#[derive(Debug)]
pub enum RecordingLookup {
    Known(Box<RecordingDetail>),
    /// It was erased on request.
    Erased,
    Unknown,
}

impl Catalogue {
    /// One recording.
    ///
    /// # Errors
    /// When the storage fails or its account is unreadable.
    pub async fn show(&self, id: &RecordingId) -> Result<RecordingLookup, CatalogueError> {
        let Some(recorded) = self.find(id).await? else {
            return Ok(RecordingLookup::Unknown);
        };
        if recorded.account.erased.is_some() {
            return Ok(RecordingLookup::Erased);
        }
        Ok(RecordingLookup::Known(Box::new(
            self.detail_of(&recorded).await?,
        )))
    }

    pub(super) async fn detail_of(
        &self,
        recorded: &KnownRecording,
    ) -> Result<RecordingDetail, CatalogueError> {
        let timeline = self.timeline(recorded).await?;
        let conversation = self.conversation(recorded).await?;
        Ok(detail(recorded, conversation, timeline, self.rules()))
    }

    async fn conversation(
        &self,
        recorded: &KnownRecording,
    ) -> Result<Option<ShownConversation>, CatalogueError> {
        let Some(id) = recorded.account.conversation.clone() else {
            return Ok(None);
        };
        let sessions = telephony::recordings_of(&self.register, &id)
            .await?
            .iter()
            .map(ToString::to_string)
            .collect();
        Ok(Some(ShownConversation { id, sessions }))
    }
}

fn detail(
    recorded: &KnownRecording,
    conversation: Option<ShownConversation>,
    timeline: Vec<TimelineEvent>,
    rules: Rules,
) -> RecordingDetail {
    let account = &recorded.account;
    let json = |value: Result<Value, serde_json::Error>| {
        value
            .ok()
            .filter(|value| value.as_object().is_some_and(|members| !members.is_empty()))
    };
    let row = recorded.row(rules);
    let mut problems = if row.status.is_settled() {
        Vec::new()
    } else {
        row.reasons.clone()
    };
    for chunk in &recorded.chunks {
        let entry = chunk.entry.found();
        problems.extend(
            entry
                .into_iter()
                .flat_map(|entry| of_files(chunk.index, entry)),
        );
    }
    RecordingDetail {
        row,
        call: json(serde_json::to_value(account.call.as_ref())),
        options: json(serde_json::to_value(&account.options)),
        consent: account.consent.clone(),
        pauses: account.pauses.clone(),
        participant_list: participants(recorded),
        holds: recorded.cases.iter().map(Into::into).collect(),
        conversation,
        chunk_list: recorded
            .chunks
            .iter()
            .map(|chunk| shown_chunk(chunk, rules.now))
            .collect(),
        timeline,
        problems,
    }
}

/// Lists each participant once, with the channel from the first chunk that has one.
fn participants(recorded: &KnownRecording) -> Vec<ShownParticipant> {
    let mut all: Vec<ShownParticipant> = Vec::new();
    let reported = recorded
        .entries()
        .filter_map(|entry| entry.metadata.as_ref())
        .flat_map(|metadata| &metadata.participants);
    for Participant { id, channel } in reported {
        match all
            .iter_mut()
            .find(|known| known.id.eq_ignore_ascii_case(id))
        {
            Some(known) => known.channel = known.channel.or(*channel),
            None => all.push(ShownParticipant {
                id: id.clone(),
                channel: *channel,
            }),
        }
    }
    all
}

fn shown_chunk(chunk: &KnownChunk, now: Timestamp) -> ShownChunk {
    let state = match &chunk.entry {
        ChunkEntry::Unreadable => "unreadable",
        ChunkEntry::Found(_) | ChunkEntry::Absent => "unknown",
    };
    let unknown = ShownChunk {
        state,
        ..unknown_chunk(chunk.index, chunk.document_id.to_string())
    };
    let Some(entry) = chunk.entry.found() else {
        return unknown;
    };
    let failures = entry.failures.iter().map(|failure| ShownFailure {
        at: failure.at,
        reason: failure.reason.clone(),
    });
    let shown = ShownChunk {
        state: entry.state.name(),
        standing: of_chunk(entry, now).standing,
        started_at: entry.chunk.started_at,
        content_type: content_type(entry),
        expires_at: Some(entry.expires_at),
        risk: entry.risk(now),
        attempts: entry.attempts,
        next_try_at: entry
            .not_before
            .filter(|at| *at > now && !entry.state.is_settled()),
        claimed: entry.is_claimed(now),
        failures: failures.collect(),
        damage: entry.open_damage().map(KnownDamage::from),
        places: places(entry),
        awaits_acceptance: entry.awaits_acceptance(),
        places_to_choose: entry.disputed_places(),
        ..unknown
    };
    with_metadata(with_files(shown, entry), entry)
}

/// Adds where its files are.
fn with_files(shown: ShownChunk, entry: &LedgerEntry) -> ShownChunk {
    if let ChunkState::InPlace { files, .. } = &entry.state {
        let metadata = files.metadata.as_ref();
        return ShownChunk {
            size_bytes: Some(files.media.size_bytes),
            sha256: Some(files.media.sha256.to_string()),
            file: Some(files.media.location.clone()),
            metadata_file: metadata.map(|file| file.location.clone()),
            vault: Some("external"),
            ..shown
        };
    }
    if let Some(receipt) = entry.state.removed_receipt() {
        // The copy is gone; what it was stays known.
        return ShownChunk {
            size_bytes: Some(receipt.media().size_bytes()),
            sha256: Some(receipt.media().sha256().to_string()),
            ..shown
        };
    }
    let Some(receipt) = entry.state.receipt() else {
        return shown;
    };
    let (media, metadata) = (receipt.media(), receipt.metadata());
    ShownChunk {
        size_bytes: Some(media.size_bytes()),
        sha256: Some(media.sha256().to_string()),
        file: Some(media.name().to_string()),
        metadata_file: metadata.map(|file| file.name().to_string()),
        receipt_file: Some(layout::receipt(&entry.folder, &entry.chunk).to_string()),
        vault: Some(match receipt.vault() {
            VaultName::Home => "home",
            VaultName::Backup => "backup",
        }),
        receipt: Some(
            json!({"receipt": receipt, "chunk": entry.chunk, "recordedAt": entry.recorded_at}),
        ),
        doubts: entry.doubts().map(str::to_owned).collect(),
        examination: receipt.examination().cloned(),
        playable: true,
        ..shown
    }
}

/// Adds what its metadata says.
fn with_metadata(shown: ShownChunk, entry: &LedgerEntry) -> ShownChunk {
    let Some(metadata) = &entry.metadata else {
        return shown;
    };
    let pauses = metadata.pauses.iter().map(|pause| ShownPause {
        offset_ms: pause.offset_ms,
        duration_ms: pause.duration_ms,
    });
    let channels = metadata.participants.iter().filter_map(|participant| {
        Some(ShownChannel {
            channel: participant.channel?,
            participant_id: participant.id.clone(),
        })
    });
    ShownChunk {
        duration_ms: metadata.duration_ms,
        pauses: pauses.collect(),
        channels: channels.collect(),
        ..shown
    }
}

/// Returns the files of a document, the one that represents it first; none if it has only one.
fn places(entry: &LedgerEntry) -> Vec<ShownPlace> {
    if entry.further.is_empty() {
        return Vec::new();
    }
    let shown = |chunk: &RecordingChunk, state, receipt: Option<&ExportReceipt>| {
        let media = receipt.map(ExportReceipt::media);
        ShownPlace {
            place: chunk.file_number,
            chosen: chunk.file_number == entry.chunk.file_number,
            location: chunk.locations.content.clone(),
            state,
            file: media.map(|file| file.name().to_string()),
            size_bytes: media.map(VerifiedFile::size_bytes),
            sha256: media.map(|file| file.sha256().to_string()),
            problem: None,
        }
    };
    let own = shown(&entry.chunk, entry.state.name(), entry.state.receipt());
    let further = entry.further.iter().map(|further| {
        let chunk = entry.chunk.with_file(&further.file);
        ShownPlace {
            problem: further.problem().map(str::to_owned),
            ..shown(&chunk, further.state.name(), further.receipt())
        }
    });
    std::iter::once(own).chain(further).collect()
}

fn content_type(entry: &LedgerEntry) -> Option<&'static str> {
    let by_name = entry
        .state
        .receipt()
        .map(|receipt| layout::content_type(receipt.media().name()));
    by_name.or_else(|| {
        entry
            .chunk
            .media_kind()
            .map(crate::recording::MediaKind::media_type)
    })
}

/// A chunk of which only its event is known.
fn unknown_chunk(index: u32, document_id: String) -> ShownChunk {
    ShownChunk {
        document_id,
        index,
        state: "unknown",
        standing: Standing::Unknown,
        size_bytes: None,
        duration_ms: None,
        started_at: None,
        content_type: None,
        sha256: None,
        file: None,
        metadata_file: None,
        receipt_file: None,
        vault: None,
        receipt: None,
        expires_at: None,
        risk: None,
        attempts: 0,
        next_try_at: None,
        claimed: false,
        failures: Vec::new(),
        doubts: Vec::new(),
        damage: None,
        examination: None,
        pauses: Vec::new(),
        channels: Vec::new(),
        playable: false,
        places: Vec::new(),
        awaits_acceptance: false,
        places_to_choose: None,
    }
}
