//! What is fuzzed: every reader of what anybody may send. Each takes any bytes, and checks what must hold of what it read.

use recording_vault::acs::{ContentGuard, connection_string};
use recording_vault::config::Config;
use recording_vault::control::callback::StateCallback;
use recording_vault::control::start::Start;
use recording_vault::functions::invocation::Invocation;
use recording_vault::media::MediaProbe;
use recording_vault::media::plausibility::examine;
use recording_vault::media::{MAX_READ_BYTES, MAX_READS};
use recording_vault::recording::{FormatKind, IncomingEvent, RecordingMetadata};
use serde_json::{Value, json};

/// A target by its name.
pub type Target = (&'static str, fn(&[u8]));

pub const TARGETS: [Target; 10] = [
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
];

pub fn event(bytes: &[u8]) {
    let Ok(value) = serde_json::from_slice::<Value>(bytes) else {
        return;
    };
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
        let mut probe = MediaProbe::new(total);
        let mut reads = 0;
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
            probe.feed(&bytes[place(range.start)..place(range.end)]);
        }
        let probed = probe.finish();
        let metadata = RecordingMetadata::parse(
            br#"{"chunkDuration": 2000.0, "recordingInfo": {"format": "wav"}}"#,
        );
        let _ = examine(&probed, total, Some(FormatKind::Mp4), &metadata);
        let _ = examine(&probed, total, None, &RecordingMetadata::default());
    }
}
