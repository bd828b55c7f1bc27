//! A vault in which more is proved between two complete checks than one survey reads: it is called safe nevertheless, and
//! what is wrong in it is found.

use std::time::Duration;

use bytes::Bytes;
use recording_vault::catalogue::Catalogue;
use recording_vault::catalogue::check::{CheckStart, SliceOutcome};
use recording_vault::catalogue::survey::Survey;
use recording_vault::clock::Clock as _;
use recording_vault::control::entry::RegisteredRecording;
use recording_vault::export::Budget;
use recording_vault::recording::{RecordingChunk, RecordingId};
use recording_vault::standing::Standing;
use recording_vault::store::audit::Operator;
use recording_vault::store::digest::Sha256Digest;
use recording_vault::store::document_store::{DocumentStore as _, Precondition};
use recording_vault::store::index::{Index, Listed, recording_name};
use serde_json::{Value, json};

use crate::support::chunk;
use crate::support::pipeline::RETENTION;
use crate::support::simulation::{Durable, Plan, deliver};

const RECORDINGS: usize = 700;

fn name(id: &str) -> Sha256Digest {
    recording_name(&id.parse::<RecordingId>().expect("it is an id"))
}

/// A vault with one proved recording, `busy-0`, that has ended.
async fn vault() -> Durable {
    let chunk = RecordingChunk {
        recording_id: "busy-0".parse().ok(),
        ..chunk("doc-0", 0)
    };
    let durable = Durable::new(std::slice::from_ref(&chunk));
    assert!(
        deliver(
            &durable.instance(&Plan::calm()),
            std::slice::from_ref(&chunk)
        )
        .await
    );
    // Its media is no media.
    let ledger = durable.ledger();
    let accepted = ledger.accept(&chunk.document_id, &Operator::Shell);
    accepted.await.expect("the ledger works");
    let now = chunk.event_time.expect("a test's event has a time");
    let change = |account: &mut RegisteredRecording| {
        account.started_at = chunk.started_at;
        account.files.announced_at = Some(now);
        account.files.has_last = true;
        let documents = account.files.chunks.entry(0).or_default();
        documents.insert(chunk.document_id.clone());
        account.stop(now);
    };
    let register = durable.register(&Plan::calm());
    let changed = register.change(&chunk.filed_under(), now, change).await;
    changed.expect("the register works");
    // No more files are awaited.
    durable.clock.advance(Duration::from_mins(45));
    durable
}

async fn read(durable: &Durable, key: &str) -> String {
    let found = durable.store().find(key).await.expect("the store works");
    let content = found
        .unwrap_or_else(|| panic!("{key} is not there"))
        .content;
    String::from_utf8(content.to_vec()).expect("it is JSON")
}

async fn put(durable: &Durable, key: &str, content: String) {
    let store = durable.store();
    let put = store.put(key, Bytes::from(content), Precondition::Absent);
    put.await.expect("the store works");
}

/// Writes a copy of the recording's account and entry under another id, proved now; `change` changes the entry.
async fn proved(durable: &Durable, number: usize, change: impl FnOnce(&mut Value)) {
    let entry = read(durable, "chunks/doc-0.json").await;
    let account = read(durable, &format!("recordings/{}.json", name("busy-0"))).await;
    let (id, document) = (format!("busy-{number}"), format!("doc-{number}"));
    let other = |text: &str| text.replace("busy-0", &id).replace("doc-0", &document);
    let mut entry: Value = serde_json::from_str(&other(&entry)).expect("it is JSON");
    change(&mut entry);
    put(
        durable,
        &format!("chunks/{document}.json"),
        entry.to_string(),
    )
    .await;
    let key = format!("recordings/{}.json", name(&id));
    put(durable, &key, other(&account)).await;
    let now = recording_vault::clock::Clock::now(&*durable.clock);
    let document = document.parse().expect("it is an id");
    let marker = Listed::Proved.marker(now, &name(&id), Some(&document));
    let written = Index::new(durable.store()).put([marker], now).await;
    written.expect("the store works");
}

async fn surveyed(catalogue: &Catalogue) -> Survey {
    let check = catalogue.last_check().await.expect("the store works");
    let survey = catalogue.survey(check.as_ref()).await;
    survey.expect("the store works")
}

/// Its recordings, and whether there are more.
fn parts_of(survey: Survey) -> (Vec<(Sha256Digest, Standing)>, bool) {
    let (recordings, limits) = survey.into_parts();
    let recordings = recordings
        .iter()
        .map(|one| (one.name, one.assessment.standing));
    (recordings.collect(), limits.is_capped)
}

#[tokio::test]
async fn what_is_proved_between_two_checks_is_read_in_windows_and_a_gap_in_it_is_still_found() {
    let durable = vault().await;
    let catalogue = durable.catalogue(&Plan::calm());
    let budget = || Budget::of(Duration::from_hours(1));
    let checked = catalogue.check(CheckStart::WhenDue, budget()).await;
    assert_eq!(checked.expect("the store works"), SliceOutcome::Finished);
    let survey = surveyed(&catalogue).await;
    assert_eq!(parts_of(survey), (Vec::new(), false));

    durable.clock.advance(Duration::from_mins(1));
    for number in 1..RECORDINGS {
        proved(&durable, number, |_| {}).await;
    }
    let survey = surveyed(&catalogue).await;
    assert_eq!(parts_of(survey), (Vec::new(), false));
    proved(&durable, RECORDINGS, |entry| {
        entry["chunk"]["durationMs"] = 3_600_000.into();
        entry["metadata"]["durationMs"] = 60_000.into();
    })
    .await;
    let short = vec![(name(&format!("busy-{RECORDINGS}")), Standing::Incomplete)];
    assert_eq!(parts_of(surveyed(&catalogue).await).0, short);

    // The slices of the sweeps read it, and surveys no longer do.
    for _ in 0..3 {
        durable.clock.advance(Duration::from_mins(11));
        let checked = catalogue.check(CheckStart::WhenDue, budget()).await;
        assert_eq!(checked.expect("the store works"), SliceOutcome::NotDue);
    }
    let check = catalogue.last_check().await.expect("the store works");
    let check = check.expect("one has ended");
    assert_eq!(check.proved.noteworthy, [short[0].0]);
    let index = Index::new(durable.store());
    let since = check.proved_unread(durable.clock.now());
    let unread = index.places(&Listed::Proved, since, None, 10);
    assert!(unread.await.expect("the store works").is_empty());
    let survey = surveyed(&catalogue).await;
    assert_eq!(parts_of(survey), (short, false));
}

/// The next windows of the check, which read what was proved before them.
async fn read_windows(durable: &Durable) {
    for _ in 0..3 {
        durable.clock.advance(Duration::from_mins(11));
        let budget = Budget::of(Duration::from_hours(1));
        let catalogue = durable.catalogue(&Plan::calm());
        let checked = catalogue.check(CheckStart::WhenDue, budget).await;
        assert_eq!(checked.expect("the store works"), SliceOutcome::NotDue);
    }
}

/// The standings that a survey finds, and how many recordings of the day are incomplete.
async fn known(durable: &Durable) -> (Vec<(Sha256Digest, Standing)>, usize) {
    let catalogue = durable.catalogue(&Plan::calm());
    let day = recording_vault::clock::Clock::now(&*durable.clock);
    let day = day.to_zoned(jiff::tz::TimeZone::UTC).date();
    let days = catalogue.days(day, day).await.expect("the store works");
    let found = parts_of(surveyed(&catalogue).await).0;
    (found, days.days[0].incomplete)
}

#[tokio::test]
async fn an_account_that_is_lost_after_its_chunk_was_proved_stays_unknown_until_it_is_back() {
    let durable = vault().await;
    let catalogue = durable.catalogue(&Plan::calm());
    let budget = Budget::of(Duration::from_hours(1));
    let checked = catalogue.check(CheckStart::WhenDue, budget).await;
    assert_eq!(checked.expect("the store works"), SliceOutcome::Finished);
    durable.clock.advance(Duration::from_mins(1));
    proved(&durable, 1, |_| {}).await;
    proved(&durable, 2, |entry| {
        entry["chunk"]["durationMs"] = 3_600_000.into();
        entry["metadata"]["durationMs"] = 60_000.into();
    })
    .await;
    let key = |id: &str| format!("recordings/{}.json", name(id));
    let (of_first, of_second) = (
        read(&durable, &key("busy-1")).await,
        read(&durable, &key("busy-2")).await,
    );

    // One is lost before a window reads it, the other after.
    let remove = async |id: &str| {
        let removed = durable.store().remove(&key(id)).await;
        removed.expect("the store works");
    };
    remove("busy-1").await;
    read_windows(&durable).await;
    remove("busy-2").await;
    for _ in 0..2 {
        read_windows(&durable).await;
        let (mut found, incomplete) = known(&durable).await;
        found.sort_by_key(|(found, _)| *found != name("busy-1"));
        let unknown = |id: &str| (name(id), Standing::Unknown);
        assert_eq!(found, [unknown("busy-1"), unknown("busy-2")]);
        assert!(incomplete >= 1, "{incomplete}");
    }

    put(&durable, &key("busy-1"), of_first).await;
    put(&durable, &key("busy-2"), of_second).await;
    read_windows(&durable).await;
    let (found, _) = known(&durable).await;
    assert_eq!(found, [(name("busy-2"), Standing::Incomplete)]);
}

#[tokio::test]
async fn chunks_that_only_wait_for_their_deletion_hide_no_other_chunk() {
    let durable = vault().await;
    let expires_at = recording_vault::clock::Clock::now(&*durable.clock) + RETENTION;
    for number in 1..RECORDINGS {
        proved(&durable, number, |entry| {
            let receipt = entry["state"]["receipt"].take();
            entry["state"] = json!({"name": "exported", "receipt": receipt});
            entry["expiresAt"] = expires_at.to_string().into();
        })
        .await;
        let marker = format!("open/{:011}-doc-{number}-1", expires_at.as_second());
        put(&durable, &marker, String::new()).await;
    }
    let catalogue = durable.catalogue(&Plan::calm());
    // Without a check, nothing says that all their accounts are there.
    let survey = surveyed(&catalogue).await;
    assert_eq!(parts_of(survey), (Vec::new(), true));
    let budget = Budget::of(Duration::from_hours(1));
    let checked = catalogue.check(CheckStart::WhenDue, budget).await;
    assert_eq!(checked.expect("the store works"), SliceOutcome::Finished);
    let survey = surveyed(&catalogue).await;
    assert_eq!(parts_of(survey), (Vec::new(), false));

    let register = durable.register(&Plan::calm());
    let now = recording_vault::clock::Clock::now(&*durable.clock);
    let start = |account: &mut RegisteredRecording| account.started_at = Some(now);
    let running = "running".parse().expect("it is an id");
    let started = register.change(&running, now, start).await;
    started.expect("the register works");
    // ACS drops its file last of all.
    durable.clock.advance(Duration::from_mins(1));
    let waiting = RecordingChunk {
        recording_id: "waiting".parse().ok(),
        event_time: None,
        ..chunk("doc-waiting", 0)
    };
    let recorded = durable.ledger().record(waiting).await;
    recorded.expect("the ledger works");
    let survey = surveyed(&catalogue).await;
    let found = vec![
        (name("waiting"), Standing::Unknown),
        (name("running"), Standing::Active),
    ];
    assert_eq!(parts_of(survey), (found, false));
    let until = expires_at + Duration::from_hours(1);
    let found = catalogue.deadlines(until).await.expect("the store works");
    let due: Vec<&str> = found
        .deadlines
        .iter()
        .map(|deadline| deadline.document_id.as_str())
        .collect();
    assert_eq!((due, found.is_capped), (vec!["doc-waiting"], false));
}
