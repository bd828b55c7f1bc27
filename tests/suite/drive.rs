//! The pipeline on in-memory seams: what a drive does when everything else misbehaves.

use std::time::Duration;

use recording_vault::clock::Clock as _;
use recording_vault::export::ledger::{Finding, OtherFile, Recorded, Retried};
use recording_vault::export::{ChunkState, DriveOutcome, ExportReceipt, ProofAge};
use recording_vault::recording::{ContentKind, DocumentId, FormatKind};
use recording_vault::store::audit::Operator;

use crate::support::fake_source::Fault;
use crate::support::pipeline::{BLOCK, CLAIM_TTL, Pipeline, RETENTION};
use crate::support::{chunk, content};

#[tokio::test]
async fn a_chunk_is_exported_proved_and_deleted_in_one_drive() {
    let pipeline = Pipeline::new();
    let chunk = chunk("a", 0);
    let media = content(3 * BLOCK + 17, 1);
    pipeline.source.put(&chunk.document_id, media.clone());
    pipeline.record(&chunk).await;

    let outcome = pipeline.drive(&chunk.document_id).await;

    let DriveOutcome::Settled {
        state: ChunkState::SourceDeleted { receipt, .. },
        proof: ProofAge::ThisDrive,
    } = outcome
    else {
        panic!("{outcome:?}")
    };
    assert_eq!(receipt.media().size_bytes(), media.len() as u64);
    assert_eq!(pipeline.media(&chunk.document_id), Some(media));
    assert_eq!(pipeline.source.model().deleted, [chunk.document_id]);
    assert_eq!(pipeline.vault.files().len(), 3, "media, metadata, receipt");
}

#[tokio::test]
async fn a_file_of_exactly_some_blocks_and_one_smaller_than_a_block_are_exported() {
    for length in [1, 63, 64, BLOCK, 2 * BLOCK] {
        let pipeline = Pipeline::new();
        let chunk = chunk("a", 0);
        pipeline.source.put(&chunk.document_id, content(length, 2));
        pipeline.record(&chunk).await;
        pipeline.drive(&chunk.document_id).await;
        assert_eq!(
            pipeline.media(&chunk.document_id),
            Some(content(length, 2)),
            "{length} bytes"
        );
    }
}

#[tokio::test]
async fn a_redelivered_event_does_not_export_twice() {
    let pipeline = Pipeline::new();
    let chunk = chunk("a", 0);
    pipeline.source.put(&chunk.document_id, content(100, 1));
    pipeline.record(&chunk).await;
    pipeline.drive(&chunk.document_id).await;

    pipeline.record(&chunk).await;
    let again = pipeline.drive(&chunk.document_id).await;

    assert!(
        matches!(
            again,
            DriveOutcome::Settled {
                proof: ProofAge::Earlier,
                ..
            }
        ),
        "{again:?}"
    );
    assert_eq!(pipeline.source.model().opened.len(), 1);
    assert_eq!(pipeline.source.model().deleted.len(), 1);
}

#[tokio::test]
async fn a_refused_location_is_dead_lettered_with_its_reason() {
    let pipeline = Pipeline::new();
    let chunk = chunk("a", 0);
    pipeline.source.put(&chunk.document_id, content(100, 1));
    pipeline.source.with_faults([Fault::Refused]);
    pipeline.record(&chunk).await;
    pipeline.drive(&chunk.document_id).await;
    let state = pipeline.state(&chunk.document_id).await;
    let ChunkState::DeadLettered { reason, .. } = state else {
        panic!("{state:?}")
    };
    assert!(reason.contains("a foreign host"), "{reason}");
    assert!(pipeline.source.model().deleted.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_chunk_that_always_fails_is_tried_as_long_as_acs_may_have_it_and_then_dead_lettered() {
    let pipeline = Pipeline::new();
    let chunk = chunk("a", 0);
    pipeline.source.put(&chunk.document_id, content(100, 1));
    pipeline
        .source
        .with_faults(std::iter::repeat_n(Fault::Transient, 10_000));
    pipeline.record(&chunk).await;
    let mut attempts = 0;
    while pipeline.clock.now() < "2026-03-03T10:03:00Z".parse().expect("it is a time") {
        attempts += u32::from(matches!(
            pipeline.drive(&chunk.document_id).await,
            DriveOutcome::Failed { .. }
        ));
        assert!(
            matches!(
                pipeline.state(&chunk.document_id).await,
                ChunkState::Pending
            ),
            "after {attempts} attempts"
        );
        pipeline.clock.advance(Duration::from_mins(10));
    }
    pipeline.clock.advance(Duration::from_mins(20));
    pipeline.drive(&chunk.document_id).await;
    assert!(matches!(
        pipeline.state(&chunk.document_id).await,
        ChunkState::DeadLettered { .. }
    ));
    assert!(attempts > 50, "tried {attempts} times over a day");
    assert_eq!(
        pipeline.sweep().await.seen,
        0,
        "a dead-lettered chunk is not swept"
    );
}

#[tokio::test(start_paused = true)]
async fn no_wait_is_so_long_that_it_would_outlast_the_source() {
    let pipeline = Pipeline::new();
    let chunk = chunk("a", 0);
    pipeline.source.put(&chunk.document_id, content(100, 1));
    pipeline.record(&chunk).await;
    // ACS drops it at 10:01 of the next day.
    pipeline.clock.advance(Duration::from_mins(23 * 60 + 38));
    pipeline
        .source
        .with_faults(std::iter::repeat_n(Fault::Transient, 20));
    let DriveOutcome::Failed { until, .. } = pipeline.drive(&chunk.document_id).await else {
        panic!()
    };
    assert!(
        until < "2026-03-03T09:52:00Z".parse().expect("it is a time"),
        "{until}"
    );
}

#[tokio::test]
async fn a_dead_letter_gets_another_chance_when_its_event_is_repeated_or_an_operator_asks() {
    let pipeline = Pipeline::new();
    let chunk = chunk("a", 0);
    pipeline.source.put(&chunk.document_id, content(100, 1));
    for again in ["event", "operator"] {
        pipeline.source.with_faults([Fault::Refused]);
        pipeline.record(&chunk).await;
        pipeline.drive(&chunk.document_id).await;
        assert!(
            matches!(
                pipeline.state(&chunk.document_id).await,
                ChunkState::DeadLettered { .. }
            ),
            "{again}"
        );
        if again == "operator" {
            pipeline
                .driver
                .ledger()
                .retry(&chunk.document_id, &Operator::Shell)
                .await
                .expect("the ledger works");
        } else {
            pipeline.record(&chunk).await;
        }
        assert!(
            matches!(
                pipeline.state(&chunk.document_id).await,
                ChunkState::Pending
            ),
            "{again}"
        );
    }
    assert_eq!(pipeline.sweep().await.deleted, 1);
    let retried = pipeline
        .driver
        .ledger()
        .retry(&chunk.document_id, &Operator::Shell)
        .await
        .expect("the ledger works");
    assert_eq!(retried, Retried::Doubtful, "its bytes are no media");
}

#[tokio::test]
async fn an_event_that_names_another_place_for_a_known_document_does_not_move_it() {
    let pipeline = Pipeline::new();
    let mut wrong = chunk("a", 0);
    wrong.locations.delete = None;
    wrong.locations.content =
        Some("https://us-storage.asm.skype.com/v1/objects/other/content/video".into());
    pipeline.source.put(&wrong.document_id, content(100, 9));
    pipeline.record(&wrong).await;
    pipeline.drive(&wrong.document_id).await;
    let recorded = pipeline
        .driver
        .ledger()
        .record(chunk("a", 0))
        .await
        .expect("the ledger works");
    assert_eq!(recorded, Recorded::OtherFile(OtherFile::Elsewhere));
    assert_eq!(
        pipeline.sweep().await.deleted,
        0,
        "what was not read is not deleted"
    );
}

#[tokio::test]
async fn metadata_that_no_event_named_is_not_deleted_with_the_media() {
    let pipeline = Pipeline::new();
    let mut chunk = chunk("a", 0);
    chunk.locations.metadata = None;
    pipeline.source.put(&chunk.document_id, content(100, 1));
    pipeline.record(&chunk).await;
    pipeline.drive(&chunk.document_id).await;
    assert!(matches!(
        pipeline.state(&chunk.document_id).await,
        ChunkState::SourceLeft { .. }
    ));
    assert!(pipeline.source.model().deleted.is_empty());
}

#[tokio::test]
async fn metadata_that_a_later_event_names_is_exported_before_its_source_is_deleted() {
    let pipeline = Pipeline::new();
    let mut first = chunk("a", 0);
    first.locations.metadata = None;
    pipeline.source.put(&first.document_id, content(100, 1));
    pipeline.record(&first).await;
    pipeline.drive(&first.document_id).await;
    assert!(matches!(
        pipeline.state(&first.document_id).await,
        ChunkState::SourceLeft { .. }
    ));
    pipeline.record(&chunk("a", 0)).await;
    let outcome = pipeline.drive(&first.document_id).await;
    let DriveOutcome::Settled {
        state: ChunkState::SourceDeleted { receipt, .. },
        ..
    } = outcome
    else {
        panic!("{outcome:?}")
    };
    assert!(receipt.metadata().is_some());
    assert_eq!(
        pipeline.vault.files().len(),
        3,
        "media, metadata, and the one receipt that names both"
    );
}

#[tokio::test(start_paused = true)]
async fn media_of_an_unknown_kind_is_saved_even_if_its_metadata_never_comes() {
    let pipeline = Pipeline::new();
    let mut bare = chunk("a", 0);
    (bare.content, bare.format) = (None, None);
    pipeline.source.put(&bare.document_id, content(100, 1));
    pipeline.source.model().metadata_faults =
        std::iter::repeat_n(Fault::Transient, 10_000).collect();
    pipeline.record(&bare).await;
    for _ in 0..8 {
        pipeline.drive(&bare.document_id).await;
        pipeline.clock.advance(Duration::from_mins(20));
    }
    assert_eq!(pipeline.media(&bare.document_id), Some(content(100, 1)));
    assert_eq!(pipeline.source.model().opened.len(), 1, "it is read once");
    assert!(pipeline.source.model().deleted.is_empty());
}

#[tokio::test]
async fn a_copy_that_left_the_vault_before_the_deletion_is_made_again() {
    let pipeline = Pipeline::with_delete_delay(Duration::from_hours(1));
    let chunk = chunk("a", 0);
    pipeline.source.put(&chunk.document_id, content(100, 1));
    pipeline.record(&chunk).await;
    pipeline.drive(&chunk.document_id).await;
    pipeline.vault.lose_everything();
    pipeline.clock.advance(Duration::from_hours(1));
    assert!(matches!(
        pipeline.drive(&chunk.document_id).await,
        DriveOutcome::Failed { .. }
    ));
    assert!(pipeline.source.model().deleted.is_empty());
    pipeline.clock.advance(Duration::from_mins(1));
    assert!(matches!(
        pipeline.drive(&chunk.document_id).await,
        DriveOutcome::Exported { .. }
    ));
    assert_eq!(pipeline.media(&chunk.document_id), Some(content(100, 1)));
}

/// Notes what a verification found of the copy.
async fn verified(pipeline: &Pipeline, id: &DocumentId, finding: Finding) {
    let found = pipeline.driver.ledger().find(id).await.expect("it works");
    let entry = found.expect("it is recorded").entry;
    let receipts: Vec<ExportReceipt> = entry.state.receipt().into_iter().cloned().collect();
    let ledger = pipeline.driver.ledger();
    let noting = ledger.note_verified(id, &receipts, &finding, &Operator::Shell);
    noting.await.expect("it works");
}

#[tokio::test]
async fn a_copy_that_a_verification_found_missing_is_made_again_while_acs_has_its_file() {
    let pipeline = Pipeline::with_delete_delay(RETENTION * 2);
    let chunk = chunk("a", 0);
    let id = &chunk.document_id;
    pipeline.source.put(id, content(100, 1));
    pipeline.record(&chunk).await;
    pipeline.drive(id).await;
    pipeline.vault.lose_everything();
    let finding = Finding::Different {
        has_read: false,
        problem: "it is missing".to_owned(),
    };
    verified(&pipeline, id, finding).await;
    let outcome = pipeline.drive(id).await;
    assert!(
        matches!(outcome, DriveOutcome::Failed { .. }),
        "{outcome:?}"
    );
    pipeline.clock.advance(Duration::from_mins(1));
    let outcome = pipeline.drive(id).await;
    assert!(
        matches!(outcome, DriveOutcome::Exported { .. }),
        "{outcome:?}"
    );
    assert_eq!(pipeline.media(id), Some(content(100, 1)));
    let found = pipeline.driver.ledger().find(id).await.expect("it works");
    let entry = found.expect("it is recorded").entry;
    assert!(entry.open_damage().is_none(), "{entry:?}");
}

/// ACS may have what the copy lost, although nothing would delete it there.
#[tokio::test]
async fn a_lost_copy_whose_source_was_left_is_made_again_by_a_retry() {
    let pipeline = Pipeline::new();
    let mut left = chunk("a", 0);
    left.locations.delete = None;
    let id = &left.document_id;
    pipeline.source.put(id, content(100, 1));
    pipeline.record(&left).await;
    pipeline.drive(id).await;
    let state = pipeline.state(id).await;
    assert!(matches!(state, ChunkState::SourceLeft { .. }), "{state:?}");
    pipeline.vault.lose_everything();
    let finding = Finding::Different {
        has_read: false,
        problem: "it is missing".to_owned(),
    };
    verified(&pipeline, id, finding).await;
    let retry = async || {
        let retrying = pipeline.driver.ledger().retry(id, &Operator::Shell);
        retrying.await.expect("the ledger works")
    };
    assert_eq!(retry().await, Retried::Opened);
    pipeline.drive(id).await;
    pipeline.clock.advance(Duration::from_mins(1));
    pipeline.drive(id).await;
    assert_eq!(pipeline.media(id), Some(content(100, 1)));

    pipeline.vault.lose_everything();
    let finding = Finding::Different {
        has_read: false,
        problem: "it is missing".to_owned(),
    };
    pipeline.clock.advance(2 * RETENTION);
    verified(&pipeline, id, finding).await;
    assert_eq!(retry().await, Retried::Doubtful, "it is never called safe");
}

#[tokio::test]
async fn a_source_whose_copy_was_found_damaged_by_reading_stays_until_a_reading_finds_it_good() {
    let delay = Duration::from_hours(1);
    let pipeline = Pipeline::with_delete_delay(delay);
    let chunk = chunk("a", 0);
    let id = &chunk.document_id;
    pipeline.source.put(id, content(100, 1));
    pipeline.record(&chunk).await;
    pipeline.drive(id).await;
    let finding = Finding::Different {
        has_read: true,
        problem: "it has another SHA-256".to_owned(),
    };
    verified(&pipeline, id, finding).await;
    pipeline.clock.advance(delay);
    for finding in [None, Some(Finding::Same { has_read: false })] {
        if let Some(finding) = finding {
            verified(&pipeline, id, finding).await;
        }
        let outcome = pipeline.drive(id).await;
        assert!(
            matches!(outcome, DriveOutcome::Waiting { .. }),
            "{outcome:?}"
        );
        assert!(pipeline.source.model().deleted.is_empty());
        pipeline.clock.advance(Duration::from_mins(20));
    }
    verified(&pipeline, id, Finding::Same { has_read: true }).await;
    pipeline.drive(id).await;
    assert_eq!(pipeline.source.model().deleted, std::slice::from_ref(id));
}

#[tokio::test]
async fn a_file_that_is_gone_after_its_retention_is_expired() {
    let pipeline = Pipeline::new();
    let chunk = chunk("never-stored", 0);
    pipeline.record(&chunk).await;
    // By its event it may be gone two minutes earlier; that is for order, not for giving up.
    pipeline
        .clock
        .advance(RETENTION.saturating_sub(Duration::from_secs(1)));
    assert!(matches!(
        pipeline.drive(&chunk.document_id).await,
        DriveOutcome::Failed { .. }
    ));
    pipeline.clock.advance(Duration::from_mins(20));
    pipeline.drive(&chunk.document_id).await;
    assert!(matches!(
        pipeline.state(&chunk.document_id).await,
        ChunkState::Expired { .. }
    ));
}

#[tokio::test(start_paused = true)]
async fn a_killed_instance_leaves_its_claim_to_run_out() {
    let pipeline = Pipeline::new();
    let chunk = chunk("a", 0);
    pipeline.source.put(&chunk.document_id, content(100, 9));
    pipeline.source.with_faults([Fault::Stall]);
    pipeline.record(&chunk).await;
    // Dropped while it reads: what a kill leaves behind.
    let killed =
        tokio::time::timeout(Duration::from_secs(1), pipeline.drive(&chunk.document_id)).await;
    assert!(killed.is_err());

    let other = pipeline.another();
    assert_eq!(other.drive(&chunk.document_id).await, DriveOutcome::Busy);
    pipeline.clock.advance(CLAIM_TTL);
    other.drive(&chunk.document_id).await;
    assert_eq!(other.media(&chunk.document_id), Some(content(100, 9)));
}

#[tokio::test]
async fn instances_at_once_export_and_delete_once() {
    let pipeline = Pipeline::new();
    let chunk = chunk("a", 0);
    pipeline
        .source
        .put(&chunk.document_id, content(20 * BLOCK, 10));
    pipeline.record(&chunk).await;
    let others: Vec<Pipeline> = (0..8).map(|_| pipeline.another()).collect();
    let outcomes =
        futures::future::join_all(others.iter().map(|other| other.drive(&chunk.document_id))).await;
    let exported = outcomes
        .iter()
        .filter(|outcome| {
            matches!(
                outcome,
                DriveOutcome::Settled {
                    proof: ProofAge::ThisDrive,
                    ..
                }
            )
        })
        .count();
    assert_eq!(exported, 1, "{outcomes:?}");
    assert_eq!(pipeline.source.model().deleted.len(), 1);
}

#[tokio::test]
async fn an_event_without_kinds_takes_them_from_the_metadata() {
    let pipeline = Pipeline::new();
    let mut bare = chunk("a", 0);
    (bare.content, bare.format) = (None, None);
    pipeline.source.put(&bare.document_id, content(100, 1));
    pipeline.record(&bare).await;
    pipeline.drive(&bare.document_id).await;
    let names: Vec<String> = pipeline
        .vault
        .files()
        .keys()
        .map(ToString::to_string)
        .collect();
    assert!(
        names
            .iter()
            .any(|name| name.ends_with("0000-audiomp3.a.mp3")),
        "{names:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn the_media_is_saved_even_while_its_metadata_fails() {
    let pipeline = Pipeline::new();
    let chunk = chunk("a", 0);
    assert_eq!(
        (chunk.content, chunk.format),
        (Some(ContentKind::Audio), Some(FormatKind::Wav))
    );
    pipeline.source.put(&chunk.document_id, content(100, 1));
    pipeline.source.model().metadata_faults = std::iter::repeat_n(Fault::Transient, 4).collect();
    pipeline.record(&chunk).await;
    assert!(matches!(
        pipeline.drive(&chunk.document_id).await,
        DriveOutcome::Failed { .. }
    ));
    assert_eq!(pipeline.media(&chunk.document_id), Some(content(100, 1)));
    assert!(
        pipeline.source.model().deleted.is_empty(),
        "nothing is deleted before both files are proved"
    );

    pipeline.clock.advance(Duration::from_mins(1));
    assert_eq!(pipeline.sweep().await.deleted, 1);
    assert_eq!(
        pipeline.source.model().opened.len(),
        1,
        "the media is not read again"
    );
}

#[tokio::test]
async fn the_sweep_takes_the_nearest_expiry_first() {
    let pipeline = Pipeline::new();
    for (id, ended) in [
        ("late", "2026-03-02T12:00:00Z"),
        ("early", "2026-03-02T08:00:00Z"),
        ("middle", "2026-03-02T10:00:00Z"),
    ] {
        let mut chunk = chunk(id, 0);
        (chunk.started_at, chunk.event_time) = (ended.parse().ok(), None);
        chunk.duration_ms = Some(0);
        pipeline.record(&chunk).await;
    }
    let (open, _) = pipeline
        .driver
        .ledger()
        .open_chunks(None, 10)
        .await
        .expect("the ledger works");
    // `late` ends after it was recorded: the time of recording is the more cautious one.
    assert_eq!(
        open.iter()
            .map(|chunk| chunk.document_id.as_str())
            .collect::<Vec<_>>(),
        ["early", "middle", "late"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_file_that_counted_as_lost_is_exported_when_an_event_announces_it_again() {
    let pipeline = Pipeline::new();
    let chunk = chunk("a", 0);
    let id = &chunk.document_id;
    pipeline.record(&chunk).await;
    pipeline.clock.advance(RETENTION);
    pipeline.drive(id).await;
    let state = pipeline.state(id).await;
    assert!(matches!(state, ChunkState::Expired { .. }), "{state:?}");
    pipeline.source.put(id, content(100, 1));
    pipeline.record(&chunk).await;
    pipeline.sweep().await;
    let state = pipeline.state(id).await;
    assert!(
        matches!(state, ChunkState::SourceDeleted { .. }),
        "{state:?}"
    );
}
