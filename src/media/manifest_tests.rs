//! Every media file of the fixtures gets the verdict that its manifest expects.

use std::time::Duration;

use serde_json::{Value, json};

use super::plausibility::{Plausibility, ReportedMedia, examine};
use super::samples::probe;
use super::{Container, ProbedMedia};
use crate::recording::{RecordingChunk, RecordingMetadata};

fn folder() -> String {
    format!("{}/tests/fixtures/media", env!("CARGO_MANIFEST_DIR"))
}

fn manifest() -> Vec<Value> {
    let manifest = std::fs::read(format!("{}/manifest.json", folder())).unwrap();
    serde_json::from_slice(&manifest).unwrap()
}

/// The metadata file that an entry describes.
fn metadata(reported: &Value) -> RecordingMetadata {
    let unmixed = reported["channelType"] == "unmixed";
    let channels = reported["channels"].as_u64().unwrap_or_default();
    let participants: Vec<Value> = (0..if unmixed { channels } else { 0 })
        .map(|channel| json!({"participantId": format!("8:acs:{channel}"), "channel": channel}))
        .collect();
    let file = json!({
        "chunkDuration": reported["chunkDurationMs"], "participants": participants,
        "recordingInfo": {"format": reported["format"], "contentType": reported["contentType"],
            "channelType": reported["channelType"], "audioConfiguration": {"channels": reported["channels"]}},
    });
    RecordingMetadata::parse(file.to_string().as_bytes())
}

fn chunk() -> RecordingChunk {
    serde_json::from_value(json!({"documentId": "d", "index": 0, "callId": null, "serverCallId": null,
        "recordingId": null, "startedAt": null, "durationMs": null, "content": null, "format": null, "endReason": null,
        "locations": {"content": null, "metadata": null, "delete": null}, "eventId": null, "eventTime": null}))
    .unwrap()
}

fn verdict(entry: &Value, reported: &Value) -> (Plausibility, ProbedMedia) {
    let file = std::fs::read(format!("{}/{}", folder(), entry["file"].as_str().unwrap())).unwrap();
    let probed = probe(&file);
    let reported = ReportedMedia::of(&chunk(), &metadata(reported));
    (examine(&probed, file.len() as u64, &reported), probed)
}

#[test]
fn every_media_file_gets_the_verdict_that_is_expected() {
    let mut wrong = Vec::new();
    for entry in manifest() {
        let (verdict, probed) = verdict(&entry, &entry["told"]);
        let fits = match entry["expected"].as_str().unwrap() {
            "agrees" => verdict == Plausibility::Agrees,
            "disagrees" => matches!(verdict, Plausibility::Disagrees(_)),
            // There is no way to tell; agreement is fine if it is true.
            _ => !matches!(verdict, Plausibility::Disagrees(_)),
        };
        if !fits {
            wrong.push(format!("{}: {verdict:?}, {probed:?}", entry["file"]));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_good_file_is_not_doubted_where_nothing_is_reported() {
    for entry in manifest() {
        if entry["expected"] != "disagrees" {
            let (verdict, _) = verdict(&entry, &json!({}));
            assert!(
                matches!(verdict, Plausibility::Unknown(_)),
                "{}: {verdict:?}",
                entry["file"]
            );
        }
    }
}

#[test]
fn what_is_found_in_a_good_file_is_true() {
    for entry in manifest() {
        if entry["expected"] != "agrees" {
            continue;
        }
        let (_, probed) = verdict(&entry, &entry["told"]);
        let (file, truth) = (&entry["file"], &entry["truth"]);
        let container = match truth["container"].as_str().unwrap() {
            "mp4" => Container::Mp4,
            "mp3" => Container::Mp3,
            _ => Container::Wav,
        };
        assert_eq!(probed.container, container, "{file}");
        let plays = Duration::from_millis(truth["duration_ms"].as_u64().unwrap());
        let found = probed.duration().unwrap();
        assert!(
            found.abs_diff(plays) <= Duration::from_millis(100),
            "{file}: {found:?}, not {plays:?}"
        );
        assert_eq!(
            probed.channels().map(u64::from),
            truth["channels"].as_u64(),
            "{file}"
        );
    }
}
