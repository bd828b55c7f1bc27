//! A document for which events name two places.

use serde_json::{Value, json};

use super::world::{World, document_ids};

/// Delivers two events that name different places for a document. Returns the first of them, and the document's id.
pub async fn two_places(world: &World) -> (Value, String) {
    let call = |length: u32| json!({"call": {"chunks": [{"durationMs": length}]}});
    let event = world.recording(call(1000)).await;
    let other = world.recording(call(2000)).await;
    world.event(&event).await;
    let mut moved = event.clone();
    moved["id"] = "7d0c3f3e-3c4b-4f7a-9f0e-000000000001".into();
    for location in ["contentLocation", "metadataLocation"] {
        let at = format!("/data/recordingStorageInfo/recordingChunks/0/{location}");
        let place = moved.pointer_mut(&at).expect("an event has a place");
        *place = other.pointer(&at).expect("an event has a place").clone();
    }
    world.event(&moved).await;
    world.sweep().await;
    let document = document_ids(&event).remove(0);
    (event, document)
}
