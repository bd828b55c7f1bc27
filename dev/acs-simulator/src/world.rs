//! What exists at the simulated service: calls, recordings, stored objects, subscriptions, and a log of all requests.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::faults::Faults;
use crate::media::Media;
use crate::metadata;
use crate::server::Options;

/// The simulated service's state, and how it was set up.
pub struct World {
    pub options: Options,
    /// Texts that a signature may name as its host: the doors' own authorities.
    pub authorities: Vec<String>,
    pub content_base: String,
    pub http: reqwest::Client,
    state: Mutex<State>,
}

#[derive(Default)]
pub struct State {
    pub calls: Vec<Call>,
    pub recordings: HashMap<String, Recording>,
    pub objects: BTreeMap<String, Object>,
    pub subscriptions: Vec<Subscription>,
    /// Answers to `Repeatability-Request-ID`s.
    pub repeatable: HashMap<String, Value>,
    pub faults: Faults,
    pub log: Vec<LogLine>,
}

/// A call that can be recorded.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Call {
    pub call_id: String,
    pub server_call_id: String,
    pub group_call_id: Option<String>,
    pub room_id: Option<String>,
    pub call_connection_id: Option<String>,
    pub participants: Vec<String>,
    /// The chunks its recording will have; one as long as the recording took, unless given.
    pub chunks: Vec<ChunkPlan>,
}

/// How a chunk will be: as long as the recording took, unless planned.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ChunkPlan {
    pub duration_ms: Option<u64>,
    /// Of an mp4 only, the others go by their duration. Alone it decides the duration too, at the service's data rate.
    pub size_bytes: Option<u64>,
    /// What the metadata says instead of the truth, pauses included.
    pub metadata_duration_ms: Option<u64>,
}

impl Default for Call {
    fn default() -> Self {
        let conversation = format!(
            "https://api.flightproxy.skype.com/api/v2/cp/conv-usea2-08.conv.skype.com/conv/{}?i=6&e=1",
            Uuid::new_v4().simple()
        );
        Self {
            call_id: Uuid::new_v4().to_string(),
            server_call_id: crate::auth::base64(conversation.as_bytes()),
            group_call_id: None,
            room_id: None,
            call_connection_id: Some(Uuid::new_v4().to_string()),
            participants: vec![
                format!("8:acs:{}_00000001", Uuid::new_v4()),
                "4:+15551230001".to_owned(),
            ],
            chunks: Vec::new(),
        }
    }
}

/// A running recording; a stopped one is gone, as at the service.
#[derive(Debug, Clone)]
pub struct Recording {
    pub call: Call,
    pub options: RecordingOptions,
    pub started_at: Timestamp,
    pub paused_at: Option<Timestamp>,
    /// Begin and length.
    pub pauses: Vec<(Timestamp, SignedDuration)>,
}

/// What a start asked for, defaults filled in.
#[derive(Debug, Clone)]
pub struct RecordingOptions {
    pub content: &'static str,
    pub channel: &'static str,
    pub format: &'static str,
}

/// A stored chunk.
#[derive(Debug, Clone)]
pub struct Object {
    pub recording_id: String,
    pub media: Media,
    pub metadata: Bytes,
    pub stored_at: Timestamp,
    pub deleted_at: Option<Timestamp>,
    /// Bytes of its media that were handed to connections.
    pub served_bytes: Arc<AtomicU64>,
}

/// An Event Grid subscription whose handshake succeeded.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Subscription {
    pub url: String,
    #[serde(default)]
    pub schema: EventSchema,
    /// How often every event is delivered; Event Grid promises at least once.
    #[serde(default = "once")]
    pub deliveries: u32,
}

fn once() -> u32 {
    1
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum EventSchema {
    #[default]
    EventGrid,
    CloudEvents,
    /// As of 2021: document ids, no locations.
    DocumentIds,
}

/// One request that was answered.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LogLine {
    pub at: Timestamp,
    pub method: String,
    pub path: String,
    pub range: Option<String>,
    pub status: u16,
}

impl World {
    pub fn new(options: Options, authorities: Vec<String>, content_base: String) -> Self {
        Self {
            options,
            authorities,
            content_base,
            http: reqwest::Client::new(),
            state: Mutex::default(),
        }
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder of this lock panics")
    }

    /// Ends a recording and stores its chunks; returns their document ids in order.
    pub fn store_chunks(
        &self,
        recording_id: &str,
        mut recording: Recording,
        now: Timestamp,
    ) -> StoredRecording {
        if let Some(paused_at) = recording.paused_at.take() {
            recording
                .pauses
                .push((paused_at, now.duration_since(paused_at)));
        }
        let mut plans = recording.call.chunks.clone();
        if plans.is_empty() {
            plans.push(ChunkPlan::default());
        }
        let count = plans.len();
        let mut starts_at = recording.started_at;
        let mut duration = SignedDuration::ZERO;
        let mut document_ids = Vec::new();
        for (index, plan) in plans.into_iter().enumerate() {
            let media = media_of(&recording, &plan, index, now);
            let pauses: &[_] = if index == 0 { &recording.pauses } else { &[] };
            let document_id = format!("0-eus-d{}-{}", index + 1, Uuid::new_v4().simple());
            let played =
                SignedDuration::from_millis(i64::try_from(media.duration_ms()).unwrap_or(i64::MAX));
            let lasts = pauses
                .iter()
                .fold(played, |sum, (_, length)| sum.saturating_add(*length));
            let claimed_ms = plan
                .metadata_duration_ms
                .map(|ms| i64::try_from(ms).unwrap_or(i64::MAX));
            let claimed = claimed_ms.map_or(lasts, SignedDuration::from_millis);
            let chunk = metadata::Chunk {
                document_id: &document_id,
                index,
                starts_at,
                duration: claimed,
                pauses,
            };
            let metadata = metadata::bytes(&chunk, &recording);
            starts_at = starts_at.saturating_add(lasts).unwrap_or(Timestamp::MAX);
            duration = duration.saturating_add(lasts);
            let object = Object {
                recording_id: recording_id.to_owned(),
                media,
                metadata,
                stored_at: now,
                deleted_at: None,
                served_bytes: Arc::default(),
            };
            self.state().objects.insert(document_id.clone(), object);
            document_ids.push(document_id);
        }
        debug_assert_eq!(document_ids.len(), count);
        StoredRecording {
            recording_id: recording_id.to_owned(),
            recording,
            document_ids,
            duration,
            ended_at: now,
        }
    }
}

/// A recording that has ended, for its event.
#[derive(Debug, Clone)]
pub struct StoredRecording {
    pub recording_id: String,
    pub recording: Recording,
    pub document_ids: Vec<String>,
    /// The sum of its chunks, pauses included.
    pub duration: SignedDuration,
    pub ended_at: Timestamp,
}

fn media_of(recording: &Recording, plan: &ChunkPlan, index: usize, now: Timestamp) -> Media {
    let paused: SignedDuration = recording.pauses.iter().map(|(_, length)| *length).sum();
    let elapsed = now
        .duration_since(recording.started_at)
        .saturating_sub(paused);
    let elapsed_ms = u64::try_from(elapsed.as_millis())
        .unwrap_or_default()
        .max(1000);
    let duration_ms = plan.duration_ms.unwrap_or(elapsed_ms);
    let channels = if recording.options.channel == "unmixed" {
        recording.call.participants.len().clamp(1, 5)
    } else {
        1
    };
    match recording.options.format {
        "wav" => Media::wav(u16::try_from(channels).unwrap_or(1), duration_ms, index),
        "mp3" => Media::mp3(duration_ms),
        _ => match (plan.size_bytes, plan.duration_ms) {
            (Some(size_bytes), None) => Media::mp4_of_size(size_bytes),
            (size_bytes, _) => Media::mp4(size_bytes.unwrap_or_default(), duration_ms),
        },
    }
}

impl Recording {
    /// `active` or `inactive`: paused is inactive, and so are the first seconds.
    pub fn state(&self, now: Timestamp, activation: SignedDuration) -> &'static str {
        let begun = now.duration_since(self.started_at) >= activation;
        if begun && self.paused_at.is_none() {
            "active"
        } else {
            "inactive"
        }
    }
}

impl Object {
    pub fn is_gone(&self, now: Timestamp, retention: SignedDuration) -> bool {
        self.deleted_at.is_some() || now.duration_since(self.stored_at) >= retention
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events;

    const FORMATS: [RecordingOptions; 3] = [
        RecordingOptions {
            content: "audio",
            channel: "unmixed",
            format: "wav",
        },
        RecordingOptions {
            content: "audio",
            channel: "mixed",
            format: "mp3",
        },
        RecordingOptions {
            content: "audioVideo",
            channel: "mixed",
            format: "mp4",
        },
    ];

    /// What the files, the metadata and the event of a recording say, in milliseconds.
    fn durations(plan: ChunkPlan, options: RecordingOptions, paused_ms: i64) -> (u64, f64, u64) {
        let world = World::new(Options::default(), Vec::new(), String::new());
        let now = Timestamp::UNIX_EPOCH;
        let pauses = vec![(now, SignedDuration::from_millis(paused_ms))];
        let call = Call {
            chunks: vec![plan],
            ..Call::default()
        };
        let recording = Recording {
            call,
            options,
            started_at: now,
            paused_at: None,
            pauses,
        };
        let stored = world.store_chunks("r", recording, now);
        let event = events::event(&world, &stored, "e", EventSchema::EventGrid);
        let object = world.state().objects[&stored.document_ids[0]].clone();
        let metadata: Value = serde_json::from_slice(&object.metadata).unwrap();
        let (told, announced) = (
            &metadata["chunkDuration"],
            &event["data"]["recordingDurationMs"],
        );
        (
            object.media.duration_ms(),
            told.as_f64().unwrap(),
            announced.as_u64().unwrap(),
        )
    }

    #[test]
    fn file_metadata_and_event_tell_the_same_duration() {
        for options in FORMATS {
            let planned = ChunkPlan {
                duration_ms: Some(9000),
                ..ChunkPlan::default()
            };
            assert_eq!(
                durations(planned, options.clone(), 0),
                (9000, 9000.0, 9000),
                "{options:?}"
            );
            let planned = ChunkPlan {
                duration_ms: Some(9000),
                size_bytes: Some(50_000),
                ..ChunkPlan::default()
            };
            assert_eq!(
                durations(planned, options.clone(), 500),
                (9000, 9500.0, 9500),
                "{options:?}, paused"
            );
        }
    }

    #[test]
    fn an_mp4_of_a_planned_size_alone_plays_at_the_services_rate() {
        let [_, _, mp4] = FORMATS;
        let planned = ChunkPlan {
            size_bytes: Some(7_500_000),
            ..ChunkPlan::default()
        };
        assert_eq!(durations(planned, mp4, 0), (60_000, 60_000.0, 60_000));
    }

    #[test]
    fn only_the_metadata_lies() {
        let [wav, ..] = FORMATS;
        let planned = ChunkPlan {
            duration_ms: Some(9000),
            metadata_duration_ms: Some(90_000),
            ..ChunkPlan::default()
        };
        assert_eq!(durations(planned, wav, 0), (9000, 90_000.0, 9000));
    }
}
