//! The metadata file beside each chunk: the recorded service's fields, spelling, line ends and number forms.

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::world::Recording;

pub struct Chunk<'a> {
    pub document_id: &'a str,
    pub index: usize,
    pub starts_at: Timestamp,
    /// Pauses included.
    pub duration: SignedDuration,
    pub pauses: &'a [(Timestamp, SignedDuration)],
}

/// CRLF, two blanks of indent, no byte order mark, durations as floats: as recorded from the service.
pub fn bytes(chunk: &Chunk<'_>, recording: &Recording) -> Bytes {
    let options = &recording.options;
    let participants: Vec<Value> = recording
        .call
        .participants
        .iter()
        .enumerate()
        .map(|(channel, id)| match options.channel {
            "unmixed" if channel < 5 => json!({"participantId": id, "channel": channel}),
            _ => json!({"participantId": id}),
        })
        .collect();
    let channels = if options.channel == "unmixed" {
        participants.len().clamp(1, 5)
    } else {
        1
    };
    let bit_rate = match options.format {
        "wav" => 256_000 * channels,
        "mp3" => 48_000,
        _ => 128_000,
    };
    let mut info = json!({
        "contentType": options.content, "channelType": options.channel, "format": options.format,
        "audioConfiguration": {"sampleRate": 16000, "bitRate": bit_rate, "channels": channels},
    });
    if options.content == "audioVideo" {
        info["videoConfiguration"] = json!({"longerSideLength": 1920, "shorterSideLength": 1080, "framerate": 16, "bitRate": 1_000_000});
    }
    let document = json!({
        "resourceId": "29bd5ea9-e0fc-4d00-8f6f-339b1f0ee2e2",
        "callId": recording.call.call_id,
        "chunkDocumentId": chunk.document_id,
        "chunkIndex": chunk.index,
        "chunkStartTime": chunk.starts_at.to_string(),
        "chunkDuration": chunk.duration.as_secs_f64() * 1000.0,
        "pauseResumeIntervals": chunk.pauses.iter().map(|(start, length)| {
            json!({"startTime": start.to_string(), "duration": length.as_secs_f64() * 1000.0})
        }).collect::<Vec<_>>(),
        "recordingInfo": info,
        "participants": participants,
    });
    let text = serde_json::to_string_pretty(&document).expect("a JSON value can be written");
    Bytes::from(text.replace('\n', "\r\n"))
}
