//! What is due: the nearest deadline first, whatever else there is; and what was not read is not called "none".

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use recording_vault::catalogue::CatalogueError;
use recording_vault::catalogue::check::{CheckStart, SliceOutcome};
use recording_vault::catalogue::detail::RecordingLookup;
use recording_vault::catalogue::list::ListFilter;
use recording_vault::export::Budget;
use recording_vault::export::ledger::{LastSweep, TimerSweep};
use recording_vault::recording::RecordingChunk;
use recording_vault::standing::Standing;
use recording_vault::standing::verdict::{VerdictCode, VerdictKind};
use recording_vault::store::audit::Operator;
use recording_vault::store::digest::Sha256Digest;
use recording_vault::store::document_store::{DocumentStore as _, Precondition};
use recording_vault::store::index::{Attention, Index, Listed};
use serde_json::json;

use crate::support::chunk;
use crate::support::pipeline::RETENTION;
use crate::support::simulation::{Durable, Plan};

fn first_start() -> Timestamp {
    "2026-03-02T10:00:00Z".parse().expect("it is a time")
}

fn numbered(number: u32) -> RecordingChunk {
    RecordingChunk {
        recording_id: format!("recording-{number}").parse().ok(),
        started_at: Some(first_start() + SignedDuration::from_mins(number.into())),
        event_time: None,
        ..chunk(&format!("doc-{number}"), 0)
    }
}

/// Records so many chunks, one a minute: of the first, ACS drops the file first.
async fn waiting(count: u32) -> Durable {
    let durable = Durable::new(&[]);
    let ledger = durable.ledger();
    for number in 0..count {
        let recorded = ledger.record(numbered(number)).await;
        recorded.expect("the ledger works");
        durable.clock.advance(std::time::Duration::from_mins(1));
    }
    durable
}

/// Makes a document of the ledger unreadable.
async fn garble(durable: &Durable, key: &str) {
    let store = durable.store();
    let found = store.find(key).await.expect("the store works");
    let version = found.expect("the document is there").version;
    let garbage = Bytes::from_static(b"{");
    let written = store.put(key, garbage, Precondition::Unchanged(version));
    assert!(written.await.expect("the store works").is_written());
}

/// Markers of recordings that are lost, as many as a survey reads and more.
async fn many_lost(durable: &Durable) {
    let index = Index::new(durable.store());
    let lost = Listed::Attention(Attention::Lost);
    let at: Timestamp = "2026-03-01T10:00:00Z".parse().expect("it is a time");
    let markers = (0..600).map(|number: u32| {
        let name = Sha256Digest::of(format!("lost-{number}").as_bytes());
        lost.marker(at, &name, None)
    });
    let now = recording_vault::clock::Clock::now(&*durable.clock);
    index.put(markers, now).await.expect("the store works");
}

#[tokio::test(start_paused = true)]
async fn of_sixty_waiting_recordings_those_that_expire_first_are_due_first() {
    let durable = waiting(60).await;
    let catalogue = durable.catalogue(&Plan::calm());
    let due = catalogue.due(50).await.expect("the store works");
    let ids: Vec<String> = due
        .recordings
        .iter()
        .map(|row| row.recording_id.clone())
        .collect();
    let nearest: Vec<String> = (0..50)
        .map(|number| format!("recording-{number}"))
        .collect();
    assert_eq!(ids, nearest);
    assert_eq!((due.total, due.is_capped), (60, false));
    let deadlines: Vec<_> = due.recordings.iter().map(|row| row.next_deadline).collect();
    assert!(
        deadlines.is_sorted() && deadlines[0].is_some(),
        "{deadlines:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_near_deadline_is_not_hidden_by_more_problems_than_a_survey_reads() {
    let durable = waiting(1).await;
    many_lost(&durable).await;
    let catalogue = durable.catalogue(&Plan::calm());
    let due = catalogue.due(50).await.expect("the store works");
    assert_eq!(due.recordings.len(), 1, "{due:?}");
    assert_eq!(due.recordings[0].recording_id, "recording-0");
    assert!(due.is_capped);
    let tiles = catalogue.summary().await.expect("the store works").tiles;
    assert!(tiles.next_deadline.is_some());
    // Of what was not read, 0 is a lower bound too.
    assert_eq!(tiles.lost, 0);
    for standing in [
        Standing::Lost,
        Standing::Missing,
        Standing::Unknown,
        Standing::Waiting,
    ] {
        assert!(
            tiles.capped.contains(&standing.name()),
            "{standing}: {:?}",
            tiles.capped
        );
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_a_lower_bound_where_everything_was_read() {
    let durable = waiting(3).await;
    let tiles = durable.catalogue(&Plan::calm()).summary().await;
    assert!(tiles.expect("the store works").tiles.capped.is_empty());
}

#[tokio::test(start_paused = true)]
async fn open_chunks_with_unreadable_entries_are_counted_beside_the_deadlines() {
    let durable = waiting(3).await;
    garble(&durable, "chunks/doc-1.json").await;
    let catalogue = durable.catalogue(&Plan::calm());
    let until = "2026-03-09T00:00:00Z".parse().expect("it is a time");
    let found = catalogue.deadlines(until).await.expect("the store works");
    assert_eq!(
        (found.deadlines.len(), found.unreadable, found.is_capped),
        (2, 1, false)
    );
    let due = catalogue.due(50).await.expect("the store works");
    assert_eq!((due.total, due.unreadable_chunks), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn a_chunk_that_has_only_its_marker_is_on_the_way_and_needs_attention_after_five_minutes() {
    let durable = waiting(1).await;
    let catalogue = durable.catalogue(&Plan::calm());
    let removed = durable.store().remove("chunks/doc-0.json").await;
    removed.expect("the store works");
    let budget = Budget::of(std::time::Duration::from_hours(1));
    let checked = catalogue.check(CheckStart::WhenDue, budget).await;
    assert_eq!(checked.expect("the store works"), SliceOutcome::Finished);
    let sweep = LastSweep {
        at: recording_vault::clock::Clock::now(&*durable.clock),
        duration_ms: 1,
        timer: TimerSweep::EndedAt(recording_vault::clock::Clock::now(&*durable.clock)),
        audit_checkpoint: None,
        audit_uncovered: None,
        audit_stamp: None,
    };
    let noted = durable.ledger().note_sweep(sweep).await;
    noted.expect("the store works");
    let verdict = async || {
        let summary = catalogue.summary().await.expect("the store works");
        summary.verdict
    };

    let on_the_way = verdict().await;
    let said = "On the way: 1 chunk announced and not recorded yet.";
    assert!(on_the_way.details.iter().any(|text| text == said));
    assert_eq!(on_the_way.kind, VerdictKind::UnderWay, "{on_the_way:?}");
    assert!(catalogue.due(50).await.expect("the store works").is_capped);

    durable.clock.advance(std::time::Duration::from_mins(6));
    let missing = verdict().await;
    assert_eq!(missing.kind, VerdictKind::Attention);
    assert!(missing.codes.contains(&VerdictCode::UnreadableChunk));
    let said = "Entries missing or not readable: doc-0.";
    assert!(missing.details.iter().any(|text| text == said));
}

#[tokio::test(start_paused = true)]
async fn deadlines_beyond_the_horizon_cap_nothing_and_more_within_it_than_are_read_do() {
    let durable = waiting(501).await;
    let catalogue = durable.catalogue(&Plan::calm());
    let expiry = first_start() + SignedDuration::try_from(RETENTION).expect("it is short");
    let near = catalogue
        .deadlines(expiry + SignedDuration::from_mins(2))
        .await;
    assert!(!near.expect("the store works").is_capped);
    let far = catalogue
        .deadlines(expiry + SignedDuration::from_hours(24))
        .await;
    let far = far.expect("the store works");
    assert_eq!((far.deadlines.len(), far.is_capped), (501, false));

    let store = durable.store();
    // Markers without entries, of chunks that expired before.
    for number in 0..4500 {
        let key = format!("open/{number:011}-other-{number}-1");
        let written = store.put(&key, Bytes::new(), Precondition::Absent).await;
        assert!(written.expect("the store works").is_written());
    }
    let most = catalogue
        .deadlines(expiry + SignedDuration::from_hours(24))
        .await;
    let most = most.expect("the store works");
    assert_eq!(
        (most.deadlines.len(), most.unreadable, most.is_capped),
        (500, 4500, true)
    );
}

#[tokio::test(start_paused = true)]
async fn chunks_without_an_account_are_shown_as_a_recording_that_is_unknown() {
    let durable = waiting(1).await;
    let catalogue = durable.catalogue(&Plan::calm());
    let id = "recording-0".parse().expect("it is an id");
    let shown = catalogue.show(&id).await.expect("the store works");
    let RecordingLookup::Known(detail) = shown else {
        panic!("{shown:?}")
    };
    assert_eq!(detail.row.status, Standing::Unknown);
    assert_eq!(detail.chunk_list.len(), 1);
    assert!(
        detail.row.reasons[0].contains("no account"),
        "{:?}",
        detail.row.reasons
    );
    let other = "recording-1".parse().expect("it is an id");
    let shown = catalogue.show(&other).await.expect("the store works");
    assert!(matches!(shown, RecordingLookup::Unknown), "{shown:?}");
}

#[tokio::test(start_paused = true)]
async fn an_unreadable_account_is_an_error_by_its_id_and_by_the_name_that_lists_show() {
    let durable = waiting(1).await;
    let register = durable.register(&Plan::calm());
    let id = "recording-0".parse().expect("it is an id");
    let at = "2026-03-02T10:03:00Z".parse().expect("it is a time");
    let opened = register
        .change(&id, at, |account| account.started_at = Some(at))
        .await;
    opened.expect("the register works");
    let name = Sha256Digest::of(b"recording-0").to_string();
    garble(&durable, &format!("recordings/{name}.json")).await;
    let catalogue = durable.catalogue(&Plan::calm());
    let wanted = ListFilter {
        top: 10,
        status: Some(Standing::Unknown),
        ..ListFilter::default()
    };
    let listed = catalogue
        .list(&wanted, &Operator::Shell)
        .await
        .expect("the store works");
    let listed = listed.recordings[0]
        .recording_id
        .parse()
        .expect("it is an id");
    for id in [id, listed] {
        let shown = catalogue.show(&id).await;
        assert!(
            matches!(&shown, Err(CatalogueError::Unreadable { key }) if key.contains(&name)),
            "{shown:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_kept_event_that_is_not_readable_is_an_error_and_not_null() {
    let durable = waiting(0).await;
    let ledger = durable.ledger();
    let event = json!({"event": 1});
    ledger
        .keep_poison(&event, "no subject")
        .await
        .expect("the ledger works");
    let catalogue = durable.catalogue(&Plan::calm());
    let sha256 = Sha256Digest::of(event.to_string().as_bytes());
    let read = catalogue
        .poison_event(sha256)
        .await
        .expect("it is readable");
    assert_eq!(read, Some(event.to_string()));
    garble(&durable, &format!("poison/{sha256}.json")).await;
    let read = catalogue.poison_event(sha256).await;
    assert!(
        matches!(read, Err(CatalogueError::Unreadable { .. })),
        "{read:?}"
    );
    // It is listed, so that it can be dismissed.
    assert_eq!(catalogue.poison().await.expect("the store works").total, 1);
}

#[tokio::test(start_paused = true)]
async fn a_list_of_unreadable_events_says_how_many_there_are() {
    let durable = waiting(0).await;
    let ledger = durable.ledger();
    for number in 0..501 {
        let kept = ledger.keep_poison(&json!(number), "no event").await;
        kept.expect("the ledger works");
        if number == 499 {
            let listed = durable.catalogue(&Plan::calm()).poison().await;
            let listed = listed.expect("the store works");
            assert_eq!((listed.total, listed.is_capped), (500, false));
        }
    }
    let listed = durable.catalogue(&Plan::calm()).poison().await;
    let listed = listed.expect("the store works");
    assert_eq!(
        (listed.poison.len(), listed.total, listed.is_capped),
        (500, 501, true)
    );
    assert!(!listed.is_total_capped);
}
