//! The end of a recording: its chunks become stored objects. Knows nothing of events.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use crate::media::Media;
use crate::metadata;
use crate::world::{ChunkPlan, Object, Recording, World};

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

/// Ends a recording and stores its chunks.
pub fn store_chunks(
    world: &World,
    recording_id: &str,
    mut recording: Recording,
    now: Timestamp,
) -> StoredRecording {
    if let Some(paused_at) = recording.paused_at.take() {
        let length = now.duration_since(paused_at);
        recording.pauses.push((paused_at, length));
    }
    let mut plans = recording.call.chunks.clone();
    if plans.is_empty() {
        plans.push(ChunkPlan::default());
    }
    let mut starts_at = recording.started_at;
    let mut duration = SignedDuration::ZERO;
    let mut document_ids = Vec::new();
    for (index, plan) in plans.into_iter().enumerate() {
        let media = media_of(&recording, &plan, index, now);
        let pauses: &[_] = if index == 0 { &recording.pauses } else { &[] };
        let document_id = format!("0-eus-d{}-{}", index + 1, Uuid::new_v4().simple());
        let played = milliseconds(media.duration_ms());
        let lasts = pauses
            .iter()
            .fold(played, |sum, (_, length)| sum.saturating_add(*length));
        let chunk = metadata::Chunk {
            document_id: &document_id,
            index,
            starts_at,
            duration: plan.metadata_duration_ms.map_or(lasts, milliseconds),
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
        world.state().objects.insert(document_id.clone(), object);
        document_ids.push(document_id);
    }
    StoredRecording {
        recording_id: recording_id.to_owned(),
        recording,
        document_ids,
        duration,
        ended_at: now,
    }
}

fn milliseconds(count: u64) -> SignedDuration {
    SignedDuration::from_millis(i64::try_from(count).unwrap_or(i64::MAX))
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

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::events;
    use crate::options::Options;
    use crate::world::{Call, EventSchema, RecordingOptions};

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

    /// Durations in the files, the metadata and the event of a recording, in milliseconds.
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
        let stored = store_chunks(&world, "r", recording, now);
        let event = events::event(&world, &stored, "e", EventSchema::EventGrid);
        let object = world.state().objects[&stored.document_ids[0]].clone();
        let metadata: Value = serde_json::from_slice(&object.metadata).unwrap();
        let (claimed, announced) = (
            &metadata["chunkDuration"],
            &event["data"]["recordingDurationMs"],
        );
        (
            object.media.duration_ms(),
            claimed.as_f64().unwrap(),
            announced.as_u64().unwrap(),
        )
    }

    #[test]
    fn file_metadata_and_event_have_the_same_duration() {
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
    fn a_planned_metadata_duration_changes_the_metadata_only() {
        let [wav, ..] = FORMATS;
        let planned = ChunkPlan {
            duration_ms: Some(9000),
            metadata_duration_ms: Some(90_000),
            ..ChunkPlan::default()
        };
        assert_eq!(durations(planned, wav, 0), (9000, 90_000.0, 9000));
    }
}
