//! Bring-your-own storage: files that ACS wrote into the customer's own container, on Azurite.

use recording_vault::store::digest::Sha256Digest;
use serde_json::{Value, json};

use crate::support::azurite;
use crate::support::command::{self, text};
use crate::support::content;
use crate::support::world::World;

const FOLDER: &str = "20260302/7c62cca0/eyJQbGF0-1";

fn event(media: &str, metadata: Option<&str>) -> Value {
    let chunk = json!({"documentId": "0-eus-d1-own", "index": 0, "contentLocation": media, "metadataLocation": metadata});
    json!({"id": "e", "eventType": "Microsoft.Communication.RecordingFileStatusUpdated",
        "subject": "/recording/call/c/serverCallId/s", "eventTime": jiff::Timestamp::now().to_string(),
        "data": {"storageType": "AzureBlob", "recordingId": "own", "recordingStorageInfo": {"recordingChunks": [chunk]},
            "sessionEndReason": "CallEnded"}})
}

async fn upload(container: &str, name: &str, content: Vec<u8>) -> String {
    let client = azurite::client(container);
    client
        .blob_client(name)
        .block_blob_client()
        .upload(bytes::Bytes::from(content).into(), None)
        .await
        .expect("Azurite takes the blob");
    format!("{}/{name}", container.split('?').next().unwrap_or_default())
}

#[tokio::test]
async fn files_in_the_customers_own_storage_are_catalogued_where_they_lie() {
    let container = azurite::container_url().await;
    let world = World::with(&[("EXTERNAL_STORAGE", &container)]).await;
    let media = content(300_000, 5);
    let sha256 = Sha256Digest::of(&media).to_string();
    let media_url = upload(
        &container,
        &format!("{FOLDER}/0000-audiowav.own 1.wav"),
        media,
    )
    .await
    .replace(' ', "%20");
    let metadata_url = upload(
        &container,
        &format!("{FOLDER}/0000-acsmetadata.own.json"),
        b"{}".to_vec(),
    )
    .await;
    let (status, answer) = world.event(&event(&media_url, Some(&metadata_url))).await;
    assert_eq!(status, 200, "{answer}");
    let state = world.ledger_entry("0-eus-d1-own")["state"].clone();
    assert_eq!(
        (&state["name"], &state["files"]["media"]["sha256"]),
        (&json!("inPlace"), &json!(sha256)),
        "{state} {answer}"
    );
    assert_eq!(state["files"]["media"]["sizeBytes"], 300_000, "{state}");
    // It is where it was, and nothing of it went through ACS or into the vault.
    let still_there = azurite::client(&container)
        .blob_client(&format!("{FOLDER}/0000-audiowav.own 1.wav"))
        .exists()
        .await;
    assert!(still_there.expect("Azurite answers"));
    assert!(world.content_log().await.is_empty() && world.vault_files().is_empty());
    assert_eq!(world.sweep().await["seen"], 0);
}

#[tokio::test]
async fn the_complete_check_finds_a_file_that_left_the_customers_storage() {
    let container = azurite::container_url().await;
    let world = World::with(&[("EXTERNAL_STORAGE", &container)]).await;
    let name = format!("{FOLDER}/0000-audiowav.own.wav");
    let media_url = upload(&container, &name, content(300_000, 5)).await;
    world.event(&event(&media_url, None)).await;
    let checked = async || {
        let status = command::run(world.settings(), &["status", "--check"]).await;
        text(&status)
    };
    let before = checked().await;
    assert!(!before.contains("your own storage"), "{before}");
    upload(&container, &name, content(1000, 5)).await;
    let shorter = checked().await;
    assert!(
        shorter.contains("your own storage has 1000 bytes of this file")
            && shorter.contains("it had 300000 before"),
        "{shorter}"
    );
    let blob = azurite::client(&container).blob_client(&name);
    blob.delete(None).await.expect("Azurite removes it");
    let gone = checked().await;
    assert!(
        gone.contains("your own storage no longer has this file"),
        "{gone}"
    );
}

#[tokio::test]
async fn a_file_that_is_not_there_yet_is_looked_for_again() {
    let container = azurite::container_url().await;
    let world = World::with(&[("EXTERNAL_STORAGE", &container)]).await;
    let base = container.split('?').next().unwrap_or_default();
    world
        .event(&event(&format!("{base}/{FOLDER}/late.wav"), None))
        .await;
    let entry = world.ledger_entry("0-eus-d1-own");
    assert_eq!(
        (&entry["state"]["name"], &entry["attempts"]),
        (&json!("pending"), &json!(1)),
        "{entry}"
    );
}

#[tokio::test]
async fn a_file_in_somebody_elses_storage_is_refused_without_a_request() {
    let world = World::new().await;
    for location in [
        "https://evil.blob.core.windows.net/calls/x.wav",
        "http://127.0.0.1:1/devstoreaccount1/calls/x.wav",
    ] {
        world.forget_ledger();
        world.event(&event(location, None)).await;
        let state = world.ledger_entry("0-eus-d1-own")["state"].clone();
        assert_eq!(state["name"], "deadLettered", "{state}");
        assert!(
            state["reason"]
                .as_str()
                .is_some_and(|reason| reason.contains("EXTERNAL_STORAGE")),
            "{state}"
        );
    }
}
