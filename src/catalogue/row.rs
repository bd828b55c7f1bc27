//! A recording in a row of a list. Pure.

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::known::{self, KnownRecording};
use crate::export::entry;
use crate::recording::media::ChannelKind;
use crate::recording::{ContentKind, FormatKind};
use crate::standing::{Assessment, OperatorStep, Rules, Standing};
use crate::store::digest::Sha256Digest;

/// Participants that a row names.
const PARTICIPANTS_IN_A_ROW: usize = 3;

/// A recording in a list.
#[expect(
    clippy::struct_excessive_bools,
    reason = "a row of JSON: each answers a question of its own"
)]
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
    pub status: Standing,
    /// The reasons of its standing, a sentence each.
    pub reasons: Vec<String>,
    /// What a person does next.
    pub next_step: OperatorStep,
    /// The same in a sentence; `null` where there is nothing to do.
    pub advice: Option<&'static str>,
    pub chunks: usize,
    pub size_bytes: Option<u64>,
    /// Participants that are named; see `hasMetadata` and `peopleDropped` where it is 0.
    pub participants: usize,
    /// Whether metadata of ACS was read for it; without metadata its participants are unknown.
    pub has_metadata: bool,
    /// Retention or an erasure deleted the names of its participants.
    pub people_dropped: bool,
    /// The first participants; the recording's detail has all of them.
    pub participant_ids: Vec<String>,
    /// The caller who requested the recording.
    pub started_by: Option<String>,
    pub held: bool,
    /// The media of a chunk contradicts its event or metadata.
    pub doubtful: bool,
    /// Unsolicited: it was not started through this app, and no event announced the start of its call.
    pub unsolicited: bool,
    /// Notices on its media, such as a silent channel.
    pub notices: usize,
    /// When it gets worse by itself: ACS drops a file, or its files are missing.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub next_deadline: Option<Timestamp>,
}

impl KnownRecording {
    fn is_doubtful(&self) -> bool {
        self.entries().any(|entry| entry.doubts().next().is_some())
    }

    fn notices(&self) -> usize {
        self.entries().map(|entry| entry.notices().count()).sum()
    }

    /// The row of a list.
    pub fn row(&self, rules: Rules) -> Row {
        let Assessment {
            standing,
            reasons,
            deadline,
            next_step,
        } = self.assessment(rules);
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
            status: standing,
            reasons,
            next_step,
            advice: next_step.advice(),
            chunks: self.chunks.len(),
            size_bytes: self.size_bytes(),
            participants: self.participants().len(),
            has_metadata: metadata.is_some(),
            people_dropped: self.entries().any(|entry| entry.people_dropped),
            participant_ids: self
                .participants()
                .into_iter()
                .take(PARTICIPANTS_IN_A_ROW)
                .map(str::to_owned)
                .collect(),
            started_by: self.account.started_by.clone(),
            held: !self.cases.is_empty(),
            unsolicited: self.entries().any(|entry| entry.unsolicited),
            doubtful: self.is_doubtful(),
            notices: self.notices(),
            next_deadline: deadline,
        }
    }
}

impl Row {
    /// Returns the row of a recording whose account is unreadable.
    pub(super) fn unreadable(name: &Sha256Digest, key: &str) -> Self {
        let (recording_id, assessment) = known::unreadable(name, key);
        Self::unknown(recording_id, assessment)
    }

    /// Returns the row of a recording of which nothing but its name is known.
    pub(super) fn unknown(recording_id: String, assessment: Assessment) -> Self {
        Self {
            recording_id,
            call_id: None,
            server_call_id: None,
            started_at: None,
            ended_at: None,
            duration_ms: None,
            content: None,
            channels: None,
            format: None,
            status: assessment.standing,
            reasons: assessment.reasons,
            next_step: assessment.next_step,
            advice: assessment.next_step.advice(),
            chunks: 0,
            size_bytes: None,
            participants: 0,
            has_metadata: false,
            people_dropped: false,
            participant_ids: Vec::new(),
            started_by: None,
            held: false,
            doubtful: false,
            unsolicited: false,
            notices: 0,
            next_deadline: None,
        }
    }
}
