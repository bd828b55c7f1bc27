//! Fakes, fixtures and the world a test runs in.

pub mod audit;
pub mod audited_vault;
pub mod azurite;
pub mod collector;
pub mod command;
pub mod counting;
pub mod failing_store;
pub mod fake_acs;
pub mod fake_source;
pub mod gate;
pub mod guarded_store;
pub mod held_store;
pub mod identity;
pub mod issuer;
pub mod open_metrics;
pub mod pipeline;
pub mod request_log;
pub mod simulation;
pub mod small_disk;
pub mod touching_vault;
pub mod two_places;
pub mod world;

use std::time::Duration;

use recording_vault::recording::{ChunkLocations, FileNumber, RecordingChunk};

/// After this long an awaited condition is a failure.
pub const PATIENCE: Duration = Duration::from_mins(3);
const LOOK_EVERY: Duration = Duration::from_millis(25);

/// Waits until `look` gives something.
pub async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    let looking = async {
        loop {
            ticks.tick().await;
            if let Some(found) = look().await {
                return found;
            }
        }
    };
    tokio::time::timeout(PATIENCE, looking)
        .await
        .unwrap_or_else(|_| panic!("{what}: not within {PATIENCE:?}"))
}

/// A chunk with locations the built-in allow-list admits.
pub fn chunk(id: &str, index: u32) -> RecordingChunk {
    let object = format!("https://us-storage.asm.skype.com/v1/objects/{id}");
    RecordingChunk {
        document_id: id.parse().expect("a test's document id is valid"),
        file_number: FileNumber::FIRST,
        index,
        call_id: "7c62cca0-0000-4444-8888-000000000001".parse().ok(),
        server_call_id: None,
        recording_id: "eyJQbGF0Zm9ybSI6IjEifQ".parse().ok(),
        named_otherwise: Vec::new(),
        started_at: "2026-03-02T10:00:00Z".parse().ok(),
        duration_ms: Some(60_000),
        content: "audio".parse().ok(),
        format: "wav".parse().ok(),
        end_reason: None,
        locations: ChunkLocations {
            content: Some(format!("{object}/content/audio")),
            metadata: Some(format!("{object}/content/acsmetadata")),
            delete: Some(object),
        },
        storage_type: None,
        event_id: None,
        event_time: "2026-03-02T10:02:00Z".parse().ok(),
        other: serde_json::Map::new(),
    }
}

/// Bytes that differ everywhere, `seed` apart.
pub fn content(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    })
    .take(length)
    .collect()
}
