//! What exists at the simulated service: calls, recordings, stored objects, subscriptions, and a log of all requests.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::faults::Faults;
use crate::media::Media;
use crate::options::Options;

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
    /// A wrong duration that the metadata reports, pauses included.
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
            server_call_id: BASE64_STANDARD.encode(conversation),
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
    /// Bytes of its media that were passed to connections.
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
