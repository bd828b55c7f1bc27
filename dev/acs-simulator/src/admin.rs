//! Routes by which a test or the demo sets up and inspects the simulator. No authorization: this is not part of ACS.
//!
//! | route | does |
//! |---|---|
//! | `POST /admin/calls` | establishes a call (`Call`, everything optional); answers with it |
//! | `POST /admin/calls/end` | `{"serverCallId"}`: the call has ended, and its recording stops |
//! | `POST /admin/event-subscriptions` | `{"url","schema"?,"deliveries"?}`: handshake, then events go there |
//! | `PUT /admin/faults` | `[{"plane","kind",…,"times"?,"chance"?:{"percent","seed"}}]`, replaces those before |
//! | `POST /admin/recordings` | makes a stopped recording at once (`{"call"?,"format"?,"announce"?}`); answers with its event |
//! | `GET /admin/objects` | every stored chunk with size, SHA-256 and when it was deleted |
//! | `GET /admin/objects/{id}` | one chunk: size and CRC-64 of its media and metadata, bytes of media served so far |
//! | `GET /admin/log` | every content request, in order |

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Json, Router, routing};
use bytes::Bytes;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::control::Operation;
use crate::events;
use crate::faults::Fault;
use crate::media::Media;
use crate::storing::store_chunks;
use crate::world::{Call, EventSchema, LogLine, Recording, RecordingOptions, Subscription, World};

const HASH_PIECE_BYTES: usize = 256 * 1024;

pub fn routes() -> Router<Arc<World>> {
    Router::new()
        .route("/admin/calls", routing::post(establish))
        .route("/admin/calls/end", routing::post(end_call))
        .route("/admin/event-subscriptions", routing::post(subscribe))
        .route("/admin/faults", routing::put(set_faults))
        .route("/admin/recordings", routing::post(make_recording))
        .route("/admin/objects", routing::get(objects))
        .route("/admin/objects/{id}", routing::get(object))
        .route("/admin/log", routing::get(log))
}

async fn establish(
    State(world): State<Arc<World>>,
    Json(call): Json<Call>,
) -> (StatusCode, Json<Call>) {
    world.state().calls.push(call.clone());
    (StatusCode::CREATED, Json(call))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct EndedCall {
    server_call_id: String,
}

async fn end_call(State(world): State<Arc<World>>, Json(ended): Json<EndedCall>) -> StatusCode {
    let ids: Vec<String> = {
        let mut state = world.state();
        state
            .calls
            .retain(|call| call.server_call_id != ended.server_call_id);
        let of_call = state
            .recordings
            .iter()
            .filter(|(_, recording)| recording.call.server_call_id == ended.server_call_id);
        of_call.map(|(id, _)| id.clone()).collect()
    };
    let operation = Operation::now(&world);
    let stopped = ids.iter().filter(|id| operation.stop(id).is_ok()).count();
    if stopped == ids.len() {
        StatusCode::NO_CONTENT
    } else {
        StatusCode::CONFLICT
    }
}

async fn subscribe(
    State(world): State<Arc<World>>,
    Json(subscription): Json<Subscription>,
) -> Response {
    match events::handshake(&world, &subscription).await {
        Ok(()) => {
            world.state().subscriptions.push(subscription.clone());
            (StatusCode::CREATED, Json(subscription)).into_response()
        }
        Err(reason) => (StatusCode::BAD_REQUEST, reason).into_response(),
    }
}

async fn set_faults(State(world): State<Arc<World>>, Json(faults): Json<Vec<Fault>>) -> StatusCode {
    world.state().faults.set(faults);
    StatusCode::NO_CONTENT
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct MadeRecording {
    call: Call,
    format: String,
    schema: EventSchema,
    announce: bool,
}

impl Default for MadeRecording {
    fn default() -> Self {
        Self {
            call: Call::default(),
            format: "wav".to_owned(),
            schema: EventSchema::default(),
            announce: false,
        }
    }
}

async fn make_recording(
    State(world): State<Arc<World>>,
    Json(wanted): Json<MadeRecording>,
) -> Json<Value> {
    let options = match wanted.format.as_str() {
        "mp4" => RecordingOptions {
            content: "audioVideo",
            channel: "mixed",
            format: "mp4",
        },
        "mp3" => RecordingOptions {
            content: "audio",
            channel: "mixed",
            format: "mp3",
        },
        _ => RecordingOptions {
            content: "audio",
            channel: "mixed",
            format: "wav",
        },
    };
    let now = Timestamp::now();
    let recording = Recording {
        call: wanted.call,
        options,
        started_at: now,
        paused_at: None,
        pauses: Vec::new(),
    };
    let stored = store_chunks(
        &world,
        &format!("made-{}", Uuid::new_v4().simple()),
        recording,
        now,
    );
    let event = events::event(&world, &stored, &Uuid::new_v4().to_string(), wanted.schema);
    if wanted.announce {
        events::announce(world, stored);
    }
    Json(event)
}

async fn objects(State(world): State<Arc<World>>) -> Json<Vec<Value>> {
    let objects = world.state().objects.clone();
    let described = tokio::task::spawn_blocking(move || {
        objects
            .iter()
            .map(|(id, object)| {
                json!({
                    "documentId": id, "recordingId": object.recording_id, "sizeBytes": object.media.len(),
                    "sha256": sha256(&object.media), "metadata": String::from_utf8_lossy(&object.metadata),
                    "storedAt": object.stored_at, "deletedAt": object.deleted_at,
                })
            })
            .collect()
    });
    Json(described.await.expect("hashing does not panic"))
}

/// Cheap also for many and large ones, unlike the SHA-256 of all.
async fn object(
    State(world): State<Arc<World>>,
    Path(id): Path<String>,
) -> Result<Json<Value>, StatusCode> {
    let object = world
        .state()
        .objects
        .get(&id)
        .cloned()
        .ok_or(StatusCode::NOT_FOUND)?;
    let served = object.served_bytes.load(Ordering::Relaxed);
    let described = tokio::task::spawn_blocking(move || {
        json!({
            "sizeBytes": object.media.len(), "crc64": crc64(&object.media), "servedBytes": served, "deletedAt": object.deleted_at,
            "metadataSizeBytes": object.metadata.len(), "metadataCrc64": crc64(&Media::Given(object.metadata.to_vec().into())),
        })
    });
    Ok(Json(described.await.expect("hashing does not panic")))
}

async fn log(State(world): State<Arc<World>>) -> Json<Vec<LogLine>> {
    Json(world.state().log.clone())
}

/// CRC-64/NVME in hexadecimal: Azure Storage's own checksum.
fn crc64(media: &Media) -> String {
    let mut digest = crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc64Nvme);
    pieces(media).for_each(|piece| digest.update(&piece));
    format!("{:016x}", digest.finalize())
}

fn sha256(media: &Media) -> String {
    let mut digest = Sha256::new();
    pieces(media).for_each(|piece| digest.update(&piece));
    hex::encode(digest.finalize())
}

fn pieces(media: &Media) -> impl Iterator<Item = Bytes> {
    (0..media.len())
        .step_by(HASH_PIECE_BYTES)
        .map(|offset| media.read(offset, HASH_PIECE_BYTES))
}
