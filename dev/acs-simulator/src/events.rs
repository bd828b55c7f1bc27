//! Event Grid's part: the handshake, `RecordingFileStatusUpdated`, delivery at least once.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::storing::StoredRecording;
use crate::world::{EventSchema, Subscription, World};

/// How long Event Grid waits for an answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// Delays between deliveries, before scaling
/// (<https://learn.microsoft.com/azure/event-grid/delivery-and-retry>).
const REDELIVERY_SECONDS: [f64; 9] = [
    10.0, 30.0, 60.0, 300.0, 600.0, 1800.0, 3600.0, 10_800.0, 21_600.0,
];
const TOPIC: &str = "/subscriptions/00000000-aaaa-bbbb-cccc-000000000001/resourcegroups/rg-test/providers/microsoft.communication/communicationservices/acs-test";

/// Sends the validation event and checks its answer.
pub async fn handshake(world: &World, subscription: &Subscription) -> Result<(), String> {
    let code = Uuid::new_v4().to_string();
    let event = json!([{
        "id": Uuid::new_v4(), "topic": TOPIC, "subject": "", "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent",
        "data": {"validationCode": code, "validationUrl": "https://rp-eastus2.eventgrid.azure.net:553/eventsubscriptions/x/validate"},
        "eventTime": Timestamp::now().to_string(), "metadataVersion": "1", "dataVersion": "1",
    }]);
    let request = world
        .http
        .post(&subscription.url)
        .header("aeg-event-type", "SubscriptionValidation")
        .json(&event);
    let response = request
        .timeout(ANSWER_TIMEOUT)
        .send()
        .await
        .map_err(|error| error.to_string())?;
    let status = response.status();
    let answer: Value =
        serde_json::from_slice(&response.bytes().await.map_err(|error| error.to_string())?)
            .unwrap_or_default();
    if status.is_success() && answer["validationResponse"] == code.as_str() {
        return Ok(());
    }
    Err(format!(
        "the endpoint answered {status} without the validation code"
    ))
}

/// Delivers a stopped recording's event to every subscription, after the configured delay.
pub fn announce(world: Arc<World>, stored: StoredRecording) {
    let subscriptions = world.state().subscriptions.clone();
    let event_id = Uuid::new_v4().to_string();
    for subscription in subscriptions {
        let event = json!([event(&world, &stored, &event_id, subscription.schema)]);
        for _ in 0..subscription.deliveries {
            tokio::spawn(deliver(
                Arc::clone(&world),
                subscription.clone(),
                event.clone(),
            ));
        }
    }
}

async fn deliver(world: Arc<World>, subscription: Subscription, event: Value) {
    tokio::time::sleep(world.options.event_delay).await;
    let mut delays = REDELIVERY_SECONDS.iter();
    for delivery_count in 0_u32.. {
        let request = world
            .http
            .post(&subscription.url)
            .header("aeg-event-type", "Notification")
            .header("aeg-subscription-name", "SIMULATED")
            .header("aeg-delivery-count", delivery_count)
            .json(&event);
        let result = request.timeout(ANSWER_TIMEOUT).send().await;
        if result.is_ok_and(|response| matches!(response.status().as_u16(), 200..=204)) {
            return;
        }
        let Some(delay) = delays.next() else { return };
        tokio::time::sleep(Duration::from_secs_f64(
            delay * world.options.redelivery_scale,
        ))
        .await;
    }
}

/// The event of a stopped recording.
pub fn event(
    world: &World,
    stored: &StoredRecording,
    event_id: &str,
    schema: EventSchema,
) -> Value {
    let recording = &stored.recording;
    let last = stored.document_ids.len().saturating_sub(1);
    let part = if recording.options.content == "audio" {
        "audio"
    } else {
        "video"
    };
    let chunks: Vec<Value> = stored
        .document_ids
        .iter()
        .enumerate()
        .map(|(index, id)| {
            let end_reason = if index == last {
                "SessionEnded"
            } else {
                "ChunkMaximumSizeExceeded"
            };
            if schema == EventSchema::DocumentIds {
                return json!({"documentId": id, "index": index, "endReason": end_reason});
            }
            let object = format!("{}/v1/objects/{id}", world.content_base);
            json!({
                "documentId": id, "index": index, "endReason": end_reason,
                "contentLocation": format!("{object}/content/{part}"),
                "metadataLocation": format!("{object}/content/acsmetadata"),
                "deleteLocation": object,
            })
        })
        .collect();
    let data = json!({
        "recordingStorageInfo": {"recordingChunks": chunks},
        "recordingStartTime": recording.started_at.to_string(),
        "recordingDurationMs": i64::try_from(stored.duration.as_millis()).unwrap_or(i64::MAX),
        "recordingContentType": pascal_case(recording.options.content),
        "recordingChannelType": pascal_case(recording.options.channel),
        "recordingFormatType": pascal_case(recording.options.format),
        "sessionEndReason": "CallEnded",
    });
    // Subjects carry the server call id without its padding.
    let server_call_id = recording.call.server_call_id.trim_end_matches('=');
    let subject = format!(
        "/recording/call/{}/serverCallId/{server_call_id}/recordingId/{}",
        recording.call.call_id, stored.recording_id
    );
    let event_type = "Microsoft.Communication.RecordingFileStatusUpdated";
    let time = stored.ended_at.to_string();
    match schema {
        EventSchema::EventGrid | EventSchema::DocumentIds => json!({
            "id": event_id, "topic": TOPIC, "subject": subject, "data": data, "eventType": event_type,
            "dataVersion": "1.0", "metadataVersion": "1", "eventTime": time,
        }),
        EventSchema::CloudEvents => json!({
            "id": event_id, "source": TOPIC, "subject": subject, "data": data, "type": event_type, "specversion": "1.0", "time": time,
        }),
    }
}

/// Events write the kinds in Pascal case, REST does not.
fn pascal_case(text: &str) -> String {
    let mut characters = text.chars();
    characters
        .next()
        .map(|first| first.to_ascii_uppercase())
        .into_iter()
        .chain(characters)
        .collect()
}
