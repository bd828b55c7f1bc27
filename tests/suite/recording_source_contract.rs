//! What every [`RecordingSource`] promises. Each test runs on the fake, and on [`AcsContent`] against the ACS simulator.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use acs_simulator::Simulator;
use futures::TryStreamExt as _;
use recording_vault::acs::{AcsContent, AcsCredential, AcsHttp, ContentGuard};
use recording_vault::clock::SystemClock;
use recording_vault::export::source::{ChunkPart, RecordingSource, SourceDeletion, SourceError};
use recording_vault::export::{DriveOutcome, ExportReceipt};
use recording_vault::recording::{DeleteLocation, IncomingEvent, OnOtherObject, RecordingChunk};
use serde_json::{Value, json};

use crate::support::fake_source::FakeSource;
use crate::support::pipeline::Pipeline;
use crate::support::{chunk, content};

struct Sources {
    all: Vec<(&'static str, Arc<dyn RecordingSource>, RecordingChunk)>,
    _simulator: Simulator,
}

async fn sources() -> Sources {
    let fake = FakeSource::default();
    let chunk = chunk("0-eus-d1-a", 0);
    fake.put(&chunk.document_id, content(200_000, 1));
    let simulator = Simulator::start(acs_simulator::Options::default())
        .await
        .expect("ports are free");
    let (acs, stored) = acs(&simulator).await;
    Sources {
        all: vec![
            ("fake", Arc::new(fake), chunk),
            ("acs", Arc::new(acs), stored),
        ],
        _simulator: simulator,
    }
}

async fn acs(simulator: &Simulator) -> (AcsContent, RecordingChunk) {
    let key = acs_simulator::Options::ACCESS_KEY
        .parse()
        .expect("it is a key");
    let endpoint = simulator.http_url().parse().expect("it is an endpoint");
    let http = AcsHttp::new(
        endpoint,
        AcsCredential::AccessKey(key),
        Arc::new(SystemClock),
    )
    .expect("there is TLS");
    let guard = ContentGuard::new(vec![simulator.http_url().parse().expect("it is a host")]);
    let made = reqwest::Client::new().post(format!("{}/admin/recordings", simulator.http_url()));
    let event: Value = made
        .json(&json!({}))
        .send()
        .await
        .expect("the simulator answers")
        .json()
        .await
        .expect("it is JSON");
    let IncomingEvent::RecordingFileStatusUpdated(mut event) =
        IncomingEvent::parse(&event).expect("an event")
    else {
        panic!()
    };
    (AcsContent::new(http, guard), event.chunks.remove(0))
}

/// A receipt for a chunk, made the only way there is: by exporting something.
async fn receipt(chunk: &RecordingChunk) -> ExportReceipt {
    let pipeline = Pipeline::with_delete_delay(Duration::from_hours(1));
    pipeline.source.put(&chunk.document_id, content(100, 1));
    pipeline.record(chunk).await;
    let outcome = pipeline.drive(&chunk.document_id).await;
    let DriveOutcome::Exported { receipt } = outcome else {
        panic!("{outcome:?}")
    };
    receipt
}

async fn bytes(
    source: &dyn RecordingSource,
    chunk: &RecordingChunk,
    part: ChunkPart,
    range: Range<u64>,
) -> (u64, Vec<u8>) {
    let opened = source
        .open(chunk, part, range.clone())
        .await
        .expect("the file is there");
    assert_eq!(
        (opened.offset, opened.end),
        (range.start, range.end.min(opened.total_bytes))
    );
    let bytes = opened.stream.try_fold(Vec::new(), async |mut all, piece| {
        all.extend_from_slice(&piece);
        Ok(all)
    });
    (
        opened.total_bytes,
        bytes.await.expect("the file can be read"),
    )
}

#[tokio::test]
async fn both_files_are_read_whole_with_their_length_announced() {
    for (name, source, chunk) in sources().await.all {
        for part in [ChunkPart::Media, ChunkPart::Metadata] {
            let (total, bytes) = bytes(&*source, &chunk, part, 0..u64::MAX).await;
            assert!(
                total > 0 && total == bytes.len() as u64,
                "{name}: {total} announced, {} read",
                bytes.len()
            );
        }
    }
}

#[tokio::test]
async fn a_file_is_read_from_any_offset_on() {
    for (name, source, chunk) in sources().await.all {
        let (total, whole) = bytes(&*source, &chunk, ChunkPart::Media, 0..u64::MAX).await;
        let (total_again, rest) = bytes(&*source, &chunk, ChunkPart::Media, 10_001..u64::MAX).await;
        assert_eq!(
            (total_again, &rest[..]),
            (total, &whole[10_001..]),
            "{name}"
        );
    }
}

#[tokio::test]
async fn a_part_of_a_file_is_that_part_and_no_more() {
    for (name, source, chunk) in sources().await.all {
        let (total, whole) = bytes(&*source, &chunk, ChunkPart::Media, 0..u64::MAX).await;
        let (total_again, part) = bytes(&*source, &chunk, ChunkPart::Media, 10_001..20_002).await;
        assert_eq!(
            (total_again, &part[..]),
            (total, &whole[10_001..20_002]),
            "{name}"
        );
        let (_, tail) = bytes(
            &*source,
            &chunk,
            ChunkPart::Media,
            total - 5..total + 1_000_000,
        )
        .await;
        assert_eq!(&tail[..], &whole[whole.len() - 5..], "{name}");
    }
}

#[tokio::test]
async fn what_is_deleted_is_gone_and_deleting_it_again_is_done() {
    for (name, source, chunk) in sources().await.all {
        let receipt = receipt(&chunk).await;
        let location =
            DeleteLocation::of(&chunk, OnOtherObject::Keep).expect("it is the chunk's own object");
        let deletion = source.delete(&location, &receipt).await;
        assert_eq!(
            deletion.expect("the chunk can be deleted"),
            SourceDeletion::Deleted,
            "{name}"
        );
        let opened = source.open(&chunk, ChunkPart::Media, 0..u64::MAX).await;
        assert!(
            matches!(opened.err(), Some(SourceError::Gone { status: 404 })),
            "{name}"
        );
        let deletion = source.delete(&location, &receipt).await;
        assert_eq!(
            deletion.expect("deleting what is gone is done"),
            SourceDeletion::WasGone,
            "{name}"
        );
    }
}
