//! A known document cannot be moved by an event: what is announced elsewhere, or is longer than what is in the vault, is
//! exported beside the first file.

mod copies;
mod forms;

use std::time::Duration;

use acs_simulator::media::Media;
use recording_vault::clock::Clock;
use recording_vault::export::entry::FurtherState;
use recording_vault::export::ledger::{
    Accepted, Admission, AfterUpdate, Circumstances, Expected, LedgerError, OtherFile,
    PlaceAccepted, Recorded, Solicitation,
};
use recording_vault::export::{ChunkState, LedgerEntry, Vaults};
use recording_vault::media::MediaNotice;
use recording_vault::operator_actions::Operator;
use recording_vault::recording::{DocumentId, FileNumber, RecordingChunk};

use crate::support::fake_source::Fault;
use crate::support::pipeline::{Pipeline, RETENTION};
use crate::support::{chunk, content};

/// The chunk `a` as an event announces it that names the object of another.
fn forged(object: &str) -> RecordingChunk {
    RecordingChunk {
        locations: chunk(object, 0).locations,
        ..chunk("a", 0)
    }
}

fn lasting(duration_ms: u64) -> RecordingChunk {
    RecordingChunk {
        duration_ms: Some(duration_ms),
        ..chunk("a", 0)
    }
}

fn place(number: u8) -> FileNumber {
    number.try_into().expect("a test's number is valid")
}

async fn entry(pipeline: &Pipeline, id: &DocumentId) -> LedgerEntry {
    let found = pipeline.driver.ledger().find(id).await;
    let found = found.expect("the ledger works");
    found.expect("the chunk is in the ledger").entry
}

async fn record(pipeline: &Pipeline, chunk: &RecordingChunk) -> Recorded {
    let recorded = pipeline.driver.ledger().record(chunk.clone()).await;
    recorded.expect("the ledger works")
}

async fn accept(pipeline: &Pipeline, id: &DocumentId, number: u8) -> PlaceAccepted {
    let accepted = pipeline
        .driver
        .ledger()
        .accept_place(id, place(number), &Operator::Shell);
    accepted.await.expect("the ledger works")
}

/// The media of this chunk under the name of its n-th file.
fn media(pipeline: &Pipeline, number: u8) -> Option<Vec<u8>> {
    let name = match number {
        1 => ".a.wav".to_owned(),
        more => format!(".a.{more}.wav"),
    };
    let files = pipeline.vault.files();
    let found = files
        .iter()
        .find(|(file, _)| file.as_str().ends_with(&name));
    found.map(|(_, content)| content.to_vec())
}

#[tokio::test(start_paused = true)]
async fn a_genuine_event_after_a_forged_one_is_exported_beside_it_and_stands_for_the_document() {
    let pipeline = Pipeline::new();
    let (wrong, right) = (content(900, 1), content(1900, 2));
    let genuine = chunk("a", 0);
    let id = &genuine.document_id;
    pipeline.source.put_at(&forged("other"), wrong.clone());
    pipeline.source.put_at(&genuine, right.clone());
    pipeline.record(&forged("other")).await;
    pipeline.drive(id).await;
    let recorded = record(&pipeline, &genuine).await;
    assert_eq!(recorded, Recorded::OtherFile(OtherFile::Elsewhere));
    pipeline.sweep().await;

    assert_eq!(media(&pipeline, 1), Some(wrong));
    assert_eq!(media(&pipeline, 2), Some(right));
    let entry = entry(&pipeline, id).await;
    assert_eq!(entry.chunk.locations, genuine.locations);
    assert_eq!(entry.further[0].file.locations, forged("other").locations);
    assert!(pipeline.source.model().deleted.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_forged_event_after_a_genuine_one_leaves_it_and_its_place_as_they_are() {
    let pipeline = Pipeline::with_delete_delay(Duration::from_hours(1));
    let genuine = chunk("a", 0);
    let id = &genuine.document_id;
    pipeline.source.put_at(&genuine, content(1900, 2));
    pipeline.source.put_at(&forged("other"), content(900, 1));
    pipeline.record(&genuine).await;
    pipeline.drive(id).await;
    record(&pipeline, &forged("other")).await;
    pipeline.clock.advance(Duration::from_hours(2));
    pipeline.sweep().await;

    assert_eq!(media(&pipeline, 1), Some(content(1900, 2)));
    assert_eq!(media(&pipeline, 2), Some(content(900, 1)));
    let before = entry(&pipeline, id).await;
    assert_eq!(before.chunk.locations, genuine.locations);
    assert!(pipeline.source.model().deleted.is_empty());

    assert_eq!(
        pipeline
            .driver
            .ledger()
            .accept(id, &Operator::Shell)
            .await
            .unwrap(),
        Accepted::SeveralPlaces
    );
    pipeline.sweep().await;
    assert!(pipeline.source.model().deleted.is_empty());

    assert_eq!(accept(&pipeline, id, 1).await, PlaceAccepted::Accepted);
    assert_eq!(
        accept(&pipeline, id, 1).await,
        PlaceAccepted::AlreadyAccepted
    );
    pipeline.sweep().await;
    assert_eq!(pipeline.source.model().deleted, std::slice::from_ref(id));
    assert_eq!(media(&pipeline, 2), Some(content(900, 1)), "it stays");
}

#[tokio::test(start_paused = true)]
async fn the_documents_own_object_is_read_first_while_no_other_was_read() {
    let pipeline = Pipeline::new();
    let genuine = chunk("a", 0);
    pipeline.source.put_at(&genuine, content(1900, 2));
    pipeline.source.put_at(&forged("other"), content(900, 1));
    pipeline.record(&forged("other")).await;
    pipeline.record(&genuine).await;
    pipeline.sweep().await;
    assert_eq!(media(&pipeline, 1), Some(content(1900, 2)));
    assert_eq!(media(&pipeline, 2), Some(content(900, 1)));
    assert!(pipeline.source.model().deleted.is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_nobody_accepts_stays_at_acs_until_it_drops_it() {
    let pipeline = Pipeline::new();
    let genuine = chunk("a", 0);
    let id = &genuine.document_id;
    pipeline.source.put_at(&genuine, content(1900, 2));
    pipeline.source.put_at(&forged("other"), content(900, 1));
    pipeline.record(&genuine).await;
    record(&pipeline, &forged("other")).await;
    pipeline.sweep().await;
    pipeline.clock.advance(RETENTION + Duration::from_mins(1));
    pipeline.sweep().await;
    let state = pipeline.state(id).await;
    assert!(
        matches!(&state, ChunkState::SourceLeft { reason, .. } if reason.contains("2 places")),
        "{state:?}"
    );
    assert!(pipeline.source.model().deleted.is_empty());
    assert_eq!(pipeline.sweep().await.seen, 0, "nothing is open");
}

#[tokio::test(start_paused = true)]
async fn a_place_is_accepted_only_where_there_is_a_choice_and_a_copy() {
    let pipeline = Pipeline::with_delete_delay(Duration::from_hours(1));
    let genuine = chunk("a", 0);
    let id = &genuine.document_id;
    pipeline.source.put_at(&genuine, content(1900, 2));
    pipeline.record(&genuine).await;
    pipeline.drive(id).await;
    assert_eq!(accept(&pipeline, id, 1).await, PlaceAccepted::OnePlace);
    assert_eq!(accept(&pipeline, id, 2).await, PlaceAccepted::NoSuchPlace);
    let unknown = chunk("b", 0).document_id;
    assert_eq!(accept(&pipeline, &unknown, 1).await, PlaceAccepted::Unknown);
    record(&pipeline, &forged("other")).await;
    assert_eq!(accept(&pipeline, id, 2).await, PlaceAccepted::NotInVault);
    assert_eq!(accept(&pipeline, id, 4).await, PlaceAccepted::NoSuchPlace);
    assert_eq!(entry(&pipeline, id).await.accepted_place, None);
}

#[tokio::test(start_paused = true)]
async fn a_place_is_not_accepted_while_a_drive_works_on_another() {
    let pipeline = Pipeline::new();
    let genuine = chunk("a", 0);
    let id = &genuine.document_id;
    pipeline.source.put_at(&genuine, content(1900, 2));
    pipeline.source.put_at(&forged("other"), content(900, 1));
    pipeline.record(&genuine).await;
    record(&pipeline, &forged("other")).await;
    pipeline.sweep().await;
    let ledger = pipeline.driver.ledger();
    let found = ledger.find(id).await.expect("the ledger works");
    let claim = ledger.claim(&found.expect("it is there")).await;
    let claim = claim.expect("the ledger works").expect("nobody has it");
    let before = entry(&pipeline, id).await;
    assert_eq!(accept(&pipeline, id, 2).await, PlaceAccepted::BeingExported);
    assert_eq!(entry(&pipeline, id).await, before);

    // Its holder is gone, or so it seems: what it still does under its claim does not count.
    pipeline.clock.advance(Duration::from_hours(1));
    assert_eq!(accept(&pipeline, id, 2).await, PlaceAccepted::Accepted);
    let written = ledger.update(&claim, AfterUpdate::Release, |entry| {
        entry.state = before.state.clone();
    });
    assert!(matches!(written.await, Err(LedgerError::ClaimLost { .. })));
    let chosen = entry(&pipeline, id).await;
    let receipt = chosen.state.receipt().expect("it is in the vault");
    assert!(receipt.media().name().as_str().ends_with(".a.2.wav"));
}

#[tokio::test(start_paused = true)]
async fn the_file_of_an_accepted_place_stands_for_the_document() {
    let pipeline = Pipeline::with_delete_delay(Duration::from_hours(1));
    // Both name the document's object, on two hosts.
    let first = chunk("a", 0);
    let mut second = chunk("a", 0);
    second.locations.content =
        Some("https://eu-storage.asm.skype.com/v1/objects/a/content/audio".to_owned());
    let id = &first.document_id;
    pipeline.source.put_at(&first, content(900, 1));
    pipeline.source.put_at(&second, content(1900, 2));
    pipeline.record(&first).await;
    pipeline.drive(id).await;
    record(&pipeline, &second).await;
    pipeline.drive(id).await;
    assert_eq!(accept(&pipeline, id, 2).await, PlaceAccepted::Accepted);
    let chosen = entry(&pipeline, id).await;
    assert_eq!(chosen.chunk.locations, second.locations);
    let receipt = chosen.state.receipt().expect("it is in the vault");
    assert!(receipt.media().name().as_str().ends_with(".a.2.wav"));
    pipeline.clock.advance(Duration::from_hours(2));
    pipeline.sweep().await;
    assert_eq!(pipeline.source.model().deleted, std::slice::from_ref(id));
    assert!(matches!(
        pipeline.state(id).await,
        ChunkState::SourceDeleted { .. }
    ));
    assert_eq!(media(&pipeline, 1), Some(content(900, 1)));
}

#[tokio::test(start_paused = true)]
async fn the_place_of_a_dead_letter_is_not_replaced_and_another_place_saves_the_recording() {
    let pipeline = Pipeline::new();
    let first = forged("gone");
    let genuine = chunk("a", 0);
    let id = &genuine.document_id;
    pipeline.source.put_at(&genuine, content(1900, 2));
    pipeline.source.with_faults([Fault::Refused]);
    pipeline.source.put_at(&first, content(900, 1));
    pipeline.record(&first).await;
    pipeline.drive(id).await;
    let state = pipeline.state(id).await;
    assert!(
        matches!(state, ChunkState::DeadLettered { .. }),
        "{state:?}"
    );

    record(&pipeline, &genuine).await;
    let known = entry(&pipeline, id).await;
    assert_eq!(known.chunk.locations, first.locations);
    pipeline.sweep().await;
    let saved = entry(&pipeline, id).await;
    assert_eq!(saved.chunk.locations, genuine.locations);
    assert!(saved.state.receipt().is_some(), "{:?}", saved.state);
    assert_eq!(media(&pipeline, 2), Some(content(1900, 2)));
    assert_eq!(saved.further[0].file.locations, first.locations);
}

#[tokio::test(start_paused = true)]
async fn a_first_place_without_a_file_is_no_loss_while_another_has_it() {
    let pipeline = Pipeline::new();
    let genuine = chunk("a", 0);
    let id = &genuine.document_id;
    pipeline.record(&forged("nothing")).await;
    pipeline.drive(id).await;
    pipeline.source.put_at(&genuine, content(1900, 2));
    record(&pipeline, &genuine).await;
    pipeline.sweep().await;
    pipeline.clock.advance(RETENTION + Duration::from_mins(1));
    pipeline.sweep().await;
    let entry = entry(&pipeline, id).await;
    assert!(entry.state.receipt().is_some(), "{:?}", entry.state);
    assert_eq!(entry.chunk.locations, genuine.locations);
    assert!(matches!(
        entry.further[0].state,
        FurtherState::Missing { .. }
    ));
}

#[tokio::test(start_paused = true)]
async fn a_document_has_four_places_at_most_and_none_that_is_not_admitted() {
    let pipeline = Pipeline::new();
    let genuine = chunk("a", 0);
    let id = &genuine.document_id;
    pipeline.source.put_at(&genuine, content(1900, 2));
    pipeline.record(&genuine).await;
    let ledger = pipeline.driver.ledger();
    let circumstances = Circumstances {
        expected: Expected::Unknown,
        admission: Admission::Refused,
        solicitation: Solicitation::Solicited,
    };
    let refused = ledger.record_as(forged("evil"), circumstances, None).await;
    assert_eq!(refused.expect("the ledger works"), Recorded::NotAdmitted);
    assert!(entry(&pipeline, id).await.further.is_empty());
    for object in ["b", "c", "d"] {
        let recorded = record(&pipeline, &forged(object)).await;
        assert_eq!(recorded, Recorded::OtherFile(OtherFile::Elsewhere));
        let again = record(&pipeline, &forged(object)).await;
        assert_eq!(again, Recorded::AlreadyKnown);
    }
    let before = entry(&pipeline, id).await;
    assert_eq!(
        record(&pipeline, &forged("e")).await,
        Recorded::TooManyFiles
    );
    let after = entry(&pipeline, id).await;
    assert_eq!(after.further, before.further);
    assert_eq!(after.disputed_places(), Some(5));
    assert_eq!(record(&pipeline, &genuine).await, Recorded::AlreadyKnown);
}

#[tokio::test(start_paused = true)]
async fn a_place_without_room_spares_the_source_until_a_place_is_accepted() {
    let pipeline = Pipeline::with_delete_delay(Duration::from_hours(1));
    let id = &lasting(1000).document_id;
    pipeline.source.put(id, content(900, 1));
    pipeline.record(&lasting(1000)).await;
    pipeline.drive(id).await;
    for duration_ms in [2000, 3000, 4000] {
        record(&pipeline, &lasting(duration_ms)).await;
        pipeline.drive(id).await;
    }
    let recorded = record(&pipeline, &forged("other")).await;
    assert_eq!(recorded, Recorded::TooManyFiles);
    pipeline.clock.advance(Duration::from_hours(2));
    pipeline.sweep().await;
    assert!(pipeline.source.model().deleted.is_empty());

    assert_eq!(accept(&pipeline, id, 1).await, PlaceAccepted::Accepted);
    let again = record(&pipeline, &forged("other")).await;
    assert_eq!(again, Recorded::TooManyFiles);
    pipeline.sweep().await;
    assert_eq!(pipeline.source.model().deleted, std::slice::from_ref(id));
}

#[tokio::test(start_paused = true)]
async fn a_longer_file_is_exported_beside_a_deleted_one_at_most_three_times() {
    let pipeline = Pipeline::new();
    let id = &lasting(1000).document_id;
    pipeline.source.put(id, content(900, 1));
    pipeline.record(&lasting(1000)).await;
    pipeline.drive(id).await;
    let settled = pipeline.state(id).await;
    assert!(matches!(settled, ChunkState::SourceDeleted { .. }));
    for (number, seed) in [(2, 2), (3, 3), (4, 4)] {
        let longer = lasting(1000 * u64::from(number));
        pipeline.source.put(id, content(1900, seed));
        let recorded = record(&pipeline, &longer).await;
        assert_eq!(recorded, Recorded::OtherFile(OtherFile::Longer));
        pipeline.sweep().await;
        assert_eq!(media(&pipeline, number), Some(content(1900, seed)));
        assert_eq!(record(&pipeline, &longer).await, Recorded::AlreadyKnown);
    }
    assert_eq!(
        record(&pipeline, &lasting(9000)).await,
        Recorded::TooManyFiles
    );
    assert_eq!(
        record(&pipeline, &lasting(1000)).await,
        Recorded::AlreadyKnown
    );
    assert_eq!(
        pipeline.state(id).await,
        settled,
        "the first is what it was"
    );
    assert_eq!(media(&pipeline, 1), Some(content(900, 1)));
}

#[tokio::test(start_paused = true)]
async fn the_notices_on_every_file_are_notices_on_the_document() {
    let pipeline = Pipeline::new();
    let wav = |duration_ms: u64| {
        let wav = Media::wav(1, duration_ms, 1);
        wav.read(0, usize::try_from(wav.len()).expect("it fits"))
    };
    let id = &lasting(1000).document_id;
    pipeline.source.put(id, wav(1000));
    pipeline.record(&lasting(1000)).await;
    pipeline.drive(id).await;
    assert_eq!(entry(&pipeline, id).await.notices().count(), 0);
    let mut silent = wav(2000).to_vec();
    silent[44..].fill(0);
    pipeline.source.put(id, silent);
    record(&pipeline, &lasting(2000)).await;
    pipeline.sweep().await;
    let entry = entry(&pipeline, id).await;
    let notices: Vec<_> = entry.notices().collect();
    assert_eq!(notices, [&MediaNotice::SilentRecording]);
}

#[tokio::test(start_paused = true)]
async fn a_longer_file_that_is_gone_is_no_loss() {
    let pipeline = Pipeline::new();
    let id = &lasting(1000).document_id;
    pipeline.source.put(id, content(900, 1));
    pipeline.record(&lasting(1000)).await;
    pipeline.drive(id).await;
    let settled = pipeline.state(id).await;
    record(&pipeline, &lasting(2000)).await;
    pipeline.sweep().await;
    let entry = entry(&pipeline, id).await;
    assert_eq!(entry.state, settled);
    assert!(matches!(
        entry.further[0].state,
        FurtherState::Missing { .. }
    ));
    assert_eq!(pipeline.sweep().await.seen, 0, "nothing is open");
}

#[tokio::test(start_paused = true)]
async fn a_source_is_not_deleted_while_a_longer_form_of_it_is_still_to_be_exported() {
    let pipeline = Pipeline::with_delete_delay(Duration::from_hours(1));
    let id = &lasting(1000).document_id;
    pipeline.source.put(id, content(900, 1));
    pipeline.record(&lasting(1000)).await;
    pipeline.drive(id).await;
    pipeline.source.put(id, content(1900, 2));
    record(&pipeline, &lasting(2000)).await;
    pipeline.source.with_faults([Fault::Gone]);
    pipeline.clock.advance(Duration::from_hours(2));
    pipeline.sweep().await;
    assert!(pipeline.source.model().deleted.is_empty());
    pipeline.clock.advance(Duration::from_mins(30));
    pipeline.sweep().await;
    assert_eq!(media(&pipeline, 2), Some(content(1900, 2)));
    assert_eq!(pipeline.source.model().deleted, std::slice::from_ref(id));
}

#[tokio::test(start_paused = true)]
async fn a_removal_takes_every_file_of_a_document_and_none_comes_back() {
    let pipeline = Pipeline::new();
    let id = &lasting(1000).document_id;
    pipeline.source.put(id, content(900, 1));
    pipeline.record(&lasting(1000)).await;
    pipeline.drive(id).await;
    pipeline.source.put(id, content(1900, 2));
    record(&pipeline, &lasting(2000)).await;
    pipeline.sweep().await;
    assert!(media(&pipeline, 2).is_some());
    pipeline.clock.advance(Duration::from_hours(48));
    let retention = pipeline.retention(Duration::from_hours(24));
    retention
        .apply(&Operator::Shell)
        .await
        .expect("the ledger works");
    assert_eq!(pipeline.vault.files().len(), 0);
    record(&pipeline, &lasting(3000)).await;
    record(&pipeline, &forged("other")).await;
    pipeline.sweep().await;
    assert_eq!(pipeline.vault.files().len(), 0);
}
