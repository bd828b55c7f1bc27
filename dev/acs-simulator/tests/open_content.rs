//! Content for programs without credentials, and its counters.

use std::error::Error;

use acs_simulator::{Options, Simulator};
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

type Outcome = Result<(), Box<dyn Error>>;

async fn media_url(simulator: &Simulator) -> Result<(String, String), Box<dyn Error>> {
    let wanted = json!({"format": "mp4", "call": {"chunks": [{"sizeBytes": 1_000_000}]}});
    let request = Client::new()
        .post(format!("{}/admin/recordings", simulator.http_url()))
        .json(&wanted);
    let event: Value = request.send().await?.json().await?;
    let chunk = &event["data"]["recordingStorageInfo"]["recordingChunks"][0];
    let text = |name: &str| {
        chunk[name]
            .as_str()
            .map(str::to_owned)
            .ok_or("the event names it")
    };
    Ok((text("documentId")?, text("contentLocation")?))
}

#[tokio::test]
async fn content_needs_credentials_unless_it_is_open() -> Outcome {
    for (open_content, expected) in [(false, StatusCode::UNAUTHORIZED), (true, StatusCode::OK)] {
        let simulator = Simulator::start(Options {
            open_content,
            ..Options::default()
        })
        .await?;
        let (_, url) = media_url(&simulator).await?;
        assert_eq!(reqwest::get(&url).await?.status(), expected);
    }
    Ok(())
}

#[tokio::test]
async fn every_served_byte_is_counted_also_the_second_time() -> Outcome {
    let simulator = Simulator::start(Options {
        open_content: true,
        ..Options::default()
    })
    .await?;
    let (id, url) = media_url(&simulator).await?;
    let whole = reqwest::get(&url).await?.bytes().await?;
    Client::new()
        .get(&url)
        .header("range", "bytes=999000-")
        .send()
        .await?
        .bytes()
        .await?;
    let object: Value = reqwest::get(format!("{}/admin/objects/{id}", simulator.http_url()))
        .await?
        .json()
        .await?;
    assert_eq!(object["servedBytes"], 1_001_000);
    let crc64 = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc64Nvme, &whole);
    assert_eq!(object["crc64"], format!("{crc64:016x}"));
    Ok(())
}
