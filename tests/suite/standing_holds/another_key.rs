//! The key of people's names is gone, or another one is in its place: what was held stays held.

use super::*;
use recording_vault::store::document_store::PutOutcome;

const KEY: &str = "keys/person.json";

/// Restarts the app, whose processes remember the key.
fn restarted(pipeline: &Pipeline) -> Pipeline {
    pipeline.another()
}

async fn remove_key(pipeline: &Pipeline) {
    let removed = pipeline.store.remove(KEY).await;
    removed.expect("the store works");
}

async fn replace_key(pipeline: &Pipeline) {
    remove_key(pipeline).await;
    let key = r#"{"key":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="}"#;
    let put = pipeline.store.put(KEY, key.into(), Precondition::Absent);
    let put = put.await.expect("the store works");
    assert!(matches!(put, PutOutcome::Written(_)), "{put:?}");
}

#[tokio::test]
async fn a_missing_key_is_not_replaced_and_no_source_is_deleted_for_that() {
    let (annas, later) = (chunk_of("r-1", "a"), chunk_of("r-2", "b"));
    let pipeline = recorded(&[(&annas, &[ANNA]), (&later, &[ANNA, BERT])]).await;
    let anna = person(&pipeline, ANNA).await;
    hold(&pipeline.driver.ledger().holds(), &anna).await;
    assert!(is_kept_at_acs(&pipeline, &annas).await);
    let key = pipeline.store.find(KEY).await.expect("the store works");
    remove_key(&pipeline).await;

    let pipeline = restarted(&pipeline);
    let driven = pipeline.driver.drive(&later.document_id, budget()).await;
    assert!(driven.is_err(), "{driven:?}");
    pipeline.clock.advance(Duration::from_mins(15));
    let driven = pipeline.driver.drive(&annas.document_id, budget()).await;
    assert!(pipeline.source.model().deleted.is_empty(), "{driven:?}");
    let found = pipeline.store.find(KEY).await.expect("the store works");
    assert!(found.is_none(), "a new key was made");

    let key = key.expect("there was a key").content;
    let restored = pipeline.store.put(KEY, key, Precondition::Absent).await;
    assert!(restored.expect("the store works").is_written());
    let pipeline = restarted(&pipeline);
    pipeline.clock.advance(CLAIM_TTL + Duration::from_mins(15));
    assert!(is_kept_at_acs(&pipeline, &later).await);
}

#[tokio::test]
async fn a_hold_on_a_person_keeps_what_was_recorded_with_another_key() {
    let (earlier, later, berts) = (
        chunk_of("r-1", "a"),
        chunk_of("r-2", "b"),
        chunk_of("r-3", "c"),
    );
    let all: [(&RecordingChunk, &[&str]); 3] =
        [(&earlier, &[ANNA]), (&later, &[ANNA]), (&berts, &[BERT])];
    let pipeline = recorded_in(Pipeline::with_delete_delay(Duration::from_hours(1)), &all).await;
    pipeline.drive(&earlier.document_id).await;
    let anna = person(&pipeline, ANNA).await;
    hold(&pipeline.driver.ledger().holds(), &anna).await;
    replace_key(&pipeline).await;

    // The names in these recordings and the name in the hold have different keys.
    let pipeline = restarted(&pipeline);
    assert!(is_kept_at_acs(&pipeline, &later).await);
    assert!(is_kept_at_acs(&pipeline, &berts).await);

    // A hold of the present key, and a recording of the earlier one.
    release(&pipeline.driver.ledger().holds(), &anna).await;
    let anna = person(&pipeline, ANNA).await;
    hold(&pipeline.driver.ledger().holds(), &anna).await;
    pipeline.clock.advance(Duration::from_hours(2));
    assert!(is_kept_at_acs(&pipeline, &earlier).await);
    assert!(is_kept_at_acs(&pipeline, &later).await);
    // Another part of its recording may have been named with the earlier key.
    assert!(is_kept_at_acs(&pipeline, &berts).await);
    release(&pipeline.driver.ledger().holds(), &anna).await;
    pipeline.clock.advance(Duration::from_hours(2));
    assert!(!is_kept_at_acs(&pipeline, &berts).await);
}
