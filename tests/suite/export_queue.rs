//! The queue that takes over the driving, in real Azurite: its messages, and what `ExportChunk` does with them.

use azure_storage_queue::QueueClient;
use azure_storage_queue::models::QueueClientReceiveMessagesOptions;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use recording_vault::export_queue::QUEUE_NAME;
use serde_json::{Value, json};

use crate::support::azurite;
use crate::support::world::{World, document_ids};

/// The tests share one queue, as its name is fixed: they run one after the other, and each begins with an empty one.
static ONE_AT_A_TIME: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

async fn empty_queue() -> QueueClient {
    let url = azurite::queue_url(QUEUE_NAME).parse().expect("it is a URL");
    let queue = QueueClient::new(url, None, None).expect("the URL has a SAS");
    if queue.exists().await.expect("Azurite answers") {
        queue.clear(None).await.expect("Azurite clears");
    }
    queue
}

/// The texts of all messages that are visible.
pub(crate) async fn received(queue: &QueueClient) -> Vec<Value> {
    let options = QueueClientReceiveMessagesOptions {
        number_of_messages: Some(32),
        ..Default::default()
    };
    let messages = queue
        .receive_messages(Some(options))
        .await
        .expect("Azurite gives")
        .into_model()
        .expect("it is XML");
    let texts = messages
        .items
        .unwrap_or_default()
        .into_iter()
        .filter_map(|message| message.message_text);
    texts
        .map(|text| {
            serde_json::from_slice(&BASE64_STANDARD.decode(text).expect("it is base64"))
                .expect("it is JSON")
        })
        .collect()
}

/// As the host passes a message on: its text as a JSON string.
async fn invoked(world: &World, text: &str) -> (u16, Value) {
    let metadata = json!({"DequeueCount": "1", "Id": "\"5f0d2ab9\"", "PopReceipt": "\"AgAAAA\""});
    let envelope = json!({"Data": {"message": serde_json::to_string(text).expect("it is text")}, "Metadata": metadata});
    world.envelope("ExportChunk", envelope.to_string()).await
}

#[tokio::test]
async fn an_event_puts_a_message_for_each_chunk_and_the_message_exports_it() {
    let _alone = ONE_AT_A_TIME.lock().await;
    let queue = empty_queue().await;
    let world = World::with(&[("EXPORT_QUEUE_URL", &azurite::queue_url(QUEUE_NAME))]).await;
    let event = world.recording(json!({"format": "wav", "chunks": 2})).await;
    let documents = document_ids(&event);
    assert_eq!(world.event(&event).await.0, 200);
    assert_eq!(
        world.vault_files().len(),
        0,
        "the message drives, not the event"
    );
    let messages = received(&queue).await;
    let expected: Vec<_> = documents
        .iter()
        .map(|id| json!({"documentId": id}))
        .collect();
    assert_eq!(messages, expected);
    for message in messages {
        let (status, answer) = invoked(&world, &message.to_string()).await;
        assert_eq!(status, 200, "{answer}");
        assert!(
            answer["ReturnValue"]["report"][0]
                .as_str()
                .is_some_and(|log| log.contains("deleted at ACS")),
            "{answer}"
        );
    }
    for id in &documents {
        assert_eq!(world.ledger_entry(id)["state"]["name"], "sourceDeleted");
    }
    // The same message again finds nothing to do.
    assert_eq!(
        invoked(&world, &json!({"documentId": documents[0]}).to_string())
            .await
            .0,
        200
    );
    assert_eq!(received(&queue).await, Vec::<Value>::new());
}

#[tokio::test]
async fn what_is_not_done_comes_back_as_a_message_when_it_is_due() {
    let _alone = ONE_AT_A_TIME.lock().await;
    let queue = empty_queue().await;
    let settings = [
        ("EXPORT_QUEUE_URL", azurite::queue_url(QUEUE_NAME)),
        ("DELETE_DELAY", "1h".to_owned()),
    ];
    let world = World::with(
        &settings
            .each_ref()
            .map(|(name, value)| (*name, value.as_str())),
    )
    .await;
    let event = world.recording(json!({"format": "wav"})).await;
    world.event(&event).await;
    let message = received(&queue).await.remove(0);
    queue.clear(None).await.expect("Azurite clears");
    assert_eq!(invoked(&world, &message.to_string()).await.0, 200);
    assert_eq!(
        received(&queue).await,
        Vec::<Value>::new(),
        "it is not visible for an hour"
    );
    let properties = queue.get_properties(None).await.expect("Azurite answers");
    let count = properties
        .headers()
        .get_str(&"x-ms-approximate-messages-count".into())
        .expect("it counts")
        .to_owned();
    assert_eq!(count, "1");
}

#[tokio::test]
async fn without_its_queue_an_event_exports_by_itself() {
    let sas = azurite::queue_url("x");
    let sas = sas.split_once('?').expect("it has a SAS").1;
    let world = World::with(&[(
        "EXPORT_QUEUE_URL",
        &format!("http://127.0.0.1:1/{QUEUE_NAME}?{sas}"),
    )])
    .await;
    let event = world.recording(json!({"format": "wav"})).await;
    assert_eq!(world.event(&event).await.0, 200);
    assert_eq!(
        world.ledger_entry(&document_ids(&event)[0])["state"]["name"],
        "sourceDeleted"
    );
    let signature = sas.rsplit_once("sig=").expect("it has a signature").1;
    assert!(world.console().contains("took no message") && !world.console().contains(signature));
}

#[tokio::test]
async fn a_message_that_names_no_chunk_is_kept_and_one_of_an_unknown_chunk_ends() {
    let world = World::new().await;
    let (status, answer) = invoked(&world, "what is this?").await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(world.poison().len(), 1);
    let (status, answer) = invoked(
        &world,
        &json!({"documentId": "0-unknown-d1-0123456789"}).to_string(),
    )
    .await;
    assert_eq!(
        (status, answer["ReturnValue"]["report"][0].as_str()),
        (
            200,
            Some("Chunk 0-unknown-d1-0123456789 is not in the ledger")
        )
    );
}
