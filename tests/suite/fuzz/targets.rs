//! What is fuzzed: every reader of what anybody may send. Each takes any bytes, and checks what must hold of what it read.

use recording_vault::acs::{ContentGuard, connection_string};
use recording_vault::config::Config;
use recording_vault::control::callback::StateCallback;
use recording_vault::control::start::Start;
use recording_vault::functions::invocation::Invocation;
use recording_vault::media::plausibility::{ReportedMedia, examine};
use recording_vault::media::{MAX_BYTES, MAX_READ_BYTES, MAX_READS};
use recording_vault::media::{
    MediaExamination, MediaProbe, MediaVerdict, PassingMedia, ProbedMedia,
};
use recording_vault::recording::lenient_json::{self, Bound};
use recording_vault::recording::{IncomingEvent, RecordingMetadata};
use serde_json::{Value, json};

/// A target by its name.
pub type Target = (&'static str, fn(&[u8]));

pub const TARGETS: [Target; 11] = [
    ("event", event),
    ("envelope", envelope),
    ("subject", subject),
    ("metadata", metadata),
    ("content_url", content_url),
    ("connection_string", connection_string),
    ("schedule", schedule),
    ("start_body", start_body),
    ("callback", callback),
    ("probe", probe),
    ("passing", passing),
];

pub fn event(bytes: &[u8]) {
    let read = lenient_json::read(bytes, Bound::ByLength);
    if let Ok(strict) = serde_json::from_slice::<Value>(bytes) {
        assert_eq!(read, Some(strict), "what is JSON is read as it is");
    }
    let Some(value) = read else { return };
    if let Ok(IncomingEvent::RecordingFileStatusUpdated(update)) = IncomingEvent::parse(&value) {
        for chunk in update.chunks {
            let id = chunk.document_id.as_str();
            assert!(
                id.chars()
                    .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_'),
                "{id:?} can be a file's name"
            );
        }
    }
}

pub fn envelope(bytes: &[u8]) {
    if let Ok(invocation) = Invocation::parse(bytes) {
        let _ = invocation.binding("event");
    }
}

pub fn subject(bytes: &[u8]) {
    let subject = String::from_utf8_lossy(bytes);
    let chunks = json!([{"documentId": "a"}]);
    let event = json!({"type": "Microsoft.Communication.RecordingFileStatusUpdated", "subject": subject,
        "data": {"recordingStorageInfo": {"recordingChunks": chunks}}});
    let parsed = IncomingEvent::parse(&event);
    assert!(
        matches!(parsed, Ok(IncomingEvent::RecordingFileStatusUpdated(_))),
        "no subject spoils an event: {parsed:?}"
    );
}

pub fn metadata(bytes: &[u8]) {
    let _ = RecordingMetadata::parse(bytes).media_kind();
}

pub fn content_url(bytes: &[u8]) {
    let location = String::from_utf8_lossy(bytes);
    if let Ok(admitted) = ContentGuard::default().admit(&location) {
        let url = admitted.url();
        let host = url.host_str().unwrap_or_default();
        let domains = [
            ".asm.skype.com",
            ".asyncgw.teams.microsoft.com",
            ".ams.gov.teams.microsoft.us",
        ];
        assert!(
            url.scheme() == "https" && domains.iter().any(|domain| host.ends_with(domain)),
            "{location:?} was admitted"
        );
        assert!(
            url.username().is_empty() && url.password().is_none(),
            "{location:?} was admitted"
        );
    }
}

pub fn connection_string(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let hint = "expected endpoint=https://<resource>.communication.azure.com/;accesskey=<base64>";
    if let Err(error) = connection_string::parse(&text)
        && let Some((_, key)) = text.split_once("accesskey=")
    {
        let key = key.split(';').next().unwrap_or_default();
        let is_telling = key.len() >= 8 && !hint.contains(key) && !key.contains('.');
        assert!(
            !(is_telling && error.to_string().contains(key)),
            "the error repeats the key: {error}"
        );
    }
}

pub fn schedule(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes).into_owned();
    let settings = [
        ("ACS_ENDPOINT", "https://a.b"),
        ("VAULT_URL", "file:///v"),
        ("EXPORT_SWEEP_SCHEDULE", &text),
    ];
    let _ = Config::read(settings.map(|(name, value)| (name.to_owned(), value.to_owned())));
}

pub fn start_body(bytes: &[u8]) {
    for version in ["2026-03-12", "2021-04-15-preview1"] {
        let version = version.parse().expect("the version is known");
        if let Err(error) = Start::parse(bytes, version) {
            assert!(!error.message.is_empty());
        }
    }
}

pub fn callback(bytes: &[u8]) {
    if let Ok(value) = serde_json::from_slice::<Value>(bytes) {
        let _ = StateCallback::parse(&value);
    }
}

/// The bytes as a file of their own length, and as the beginning of one whose rest does not come.
pub fn probe(bytes: &[u8]) {
    let length = bytes.len() as u64;
    for total in [length, length.saturating_mul(3), u64::MAX] {
        examine_all(&looked_at(bytes, MediaProbe::new(total), total), total);
    }
}

/// The bytes as a file that passes by in blocks, of which one is left out.
pub fn passing(bytes: &[u8]) {
    let Some((first, file)) = bytes.split_first() else {
        return;
    };
    let (block_bytes, left_out) = (64 * (usize::from(*first) + 1), usize::from(*first % 7));
    let total = file.len() as u64;
    let mut passing = PassingMedia::default();
    for (number, block) in file.chunks(block_bytes).enumerate() {
        if number == 0 || number != left_out {
            passing.pass(total, (number * block_bytes) as u64, &block.to_vec().into());
        }
    }
    for (start, part) in passing.parts() {
        let start = usize::try_from(*start).unwrap_or(usize::MAX);
        assert_eq!(
            file.get(start..start + part.len()),
            Some(&part[..]),
            "a part at {start} is not of the file"
        );
    }
    let probe = MediaProbe::of_passing(total, &passing);
    if let Some(sound) = probe.hear(&passing) {
        assert!(
            sound.channels.iter().all(|one| one.waveform.len() <= 2048),
            "{sound:?} is too much"
        );
    }
    examine_all(&looked_at(file, probe, total), total);
}

fn looked_at(bytes: &[u8], mut probe: MediaProbe, total: u64) -> ProbedMedia {
    let (mut reads, mut read_bytes) = (0, 0);
    while let Some(range) = probe.next_read() {
        reads += 1;
        assert!(reads <= MAX_READS, "the probe does not end");
        assert!(
            range.start < range.end && range.end <= total,
            "{range:?} of {total}"
        );
        assert!(
            range.end - range.start <= MAX_READ_BYTES,
            "{range:?} is too much at once"
        );
        let place = |offset: u64| {
            usize::try_from(offset)
                .unwrap_or(usize::MAX)
                .min(bytes.len())
        };
        let brought = &bytes[place(range.start)..place(range.end)];
        read_bytes += brought.len() as u64;
        assert!(read_bytes <= MAX_BYTES, "{read_bytes} bytes are too many");
        probe.feed(brought);
    }
    probe.finish()
}

fn examine_all(probed: &ProbedMedia, total: u64) {
    let metadata = RecordingMetadata::parse(
        br#"{"chunkDuration": 2000.0, "recordingInfo": {"format": "wav", "channelType": "unmixed",
            "audioConfiguration": {"channels": 2}}}"#,
    );
    let chunk = json!({"documentId": "a", "index": 0, "callId": null, "serverCallId": null, "recordingId": null,
        "startedAt": null, "durationMs": null, "content": "audioVideo", "format": null, "endReason": null,
        "locations": {"content": null, "metadata": null, "delete": null}, "eventId": null, "eventTime": null});
    let chunk = serde_json::from_value(chunk).expect("a chunk is read");
    for reported in [
        ReportedMedia::of(&chunk, &metadata),
        ReportedMedia::default(),
    ] {
        let plausibility = examine(probed, total, &reported);
        let kept = MediaExamination::of(probed, total, plausibility);
        assert!(
            kept.verdict != MediaVerdict::Agrees || probed.flaw.is_none(),
            "{probed:?} agrees"
        );
    }
}
