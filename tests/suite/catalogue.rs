//! Recordings are found and shown at the cost of a page, not of the vault; and whatever was interrupted, none is left out.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use recording_vault::catalogue::Catalogue;
use recording_vault::catalogue::detail::RecordingLookup;
use recording_vault::catalogue::erasing::Eraser;
use recording_vault::catalogue::list::{ListFilter, Page};
use recording_vault::catalogue::person::Person;
use recording_vault::control::entry::RegisteredRecording;
use recording_vault::control::register::RecordingRegister;
use recording_vault::export::{ChunkLedger, ChunkState, Vaults};
use recording_vault::recording::{RecordingChunk, RecordingId};
use recording_vault::store::audit::{Actor, AuditAction, Operator};
use recording_vault::store::digest::Sha256Digest;
use recording_vault::store::document_store::{DocumentStore, Precondition};
use recording_vault::store::holds::{Case, Held};
use recording_vault::store::index::{Index, Listed};
use serde_json::json;

use crate::support::chunk;
use crate::support::counting::CountingStore;
use crate::support::fake_source::PARTICIPANT;
use crate::support::pipeline::{CLAIM_TTL, RETENTION};
use crate::support::simulation::{Durable, Fault, Plan, deliver};

/// A vault of so many recordings of one chunk each, as register and ledger wrote it.
#[expect(
    clippy::too_many_lines,
    reason = "one scenario, in the order in which it happens"
)]
async fn vault_of(recordings: usize) -> (Catalogue, Arc<CountingStore>) {
    let store = Arc::new(CountingStore::default());
    let clock = Arc::new(recording_vault::clock::ManualClock::starting_at(
        "2026-03-02T10:03:00Z".parse().expect("it is a time"),
    ));
    let ledger = ChunkLedger::new(store.clone(), clock.clone(), RETENTION, CLAIM_TTL);
    let register = RecordingRegister::new(store.clone(), Duration::from_mins(30));
    let first = RecordingChunk {
        recording_id: "recording-0".parse().ok(),
        ..chunk("doc-0", 0)
    };
    ledger
        .record(first.clone())
        .await
        .expect("the ledger works");
    let id = first.filed_under();
    let document = first.document_id.clone();
    register
        .change(&id, clock_now(), |account| {
            account.started_at = first.started_at;
            account
                .files
                .chunks
                .entry(0)
                .or_default()
                .insert(document.clone());
        })
        .await
        .expect("the register works");
    let read = async |key: String| {
        let stored = store
            .find(&key)
            .await
            .expect("the store works")
            .unwrap_or_else(|| panic!("{key} is not there"));
        String::from_utf8(stored.content.to_vec()).expect("it is JSON")
    };
    let name = |id: &str| Sha256Digest::of(id.as_bytes());
    let entry = read("chunks/doc-0.json".to_owned()).await;
    let account = read(format!("recordings/{}.json", name("recording-0"))).await;
    let index = Index::new(store.clone());
    let start = first.started_at.expect("a test's chunk has a start");
    let put = async |key: &str, content: String| {
        store
            .put(key, Bytes::from(content), Precondition::Absent)
            .await
            .expect("the store works");
    };
    for number in 1..recordings {
        let (id, doc) = (format!("recording-{number}"), format!("doc-{number}"));
        let other = |text: &str| text.replace("recording-0", &id).replace("doc-0", &doc);
        let began =
            start - jiff::SignedDuration::from_secs(i64::try_from(number).expect("it is small"));
        put(&format!("chunks/{doc}.json"), other(&entry)).await;
        let account = other(&account).replace(&start.to_string(), &began.to_string());
        put(&format!("recordings/{}.json", name(&id)), account).await;
        index
            .put([Listed::All.marker(began, &name(&id), None)], began)
            .await
            .expect("the store works");
    }
    let catalogue = Catalogue::new(
        ledger,
        register,
        Vaults::new(
            Arc::new(recording_vault::vault::memory::MemoryVault::default()),
            None,
        ),
        clock,
    );
    store.take_counts();
    (catalogue, store)
}

fn clock_now() -> jiff::Timestamp {
    "2026-03-02T10:03:00Z".parse().expect("it is a time")
}

fn ids(page: &Page) -> Vec<&str> {
    page.recordings
        .iter()
        .map(|row| row.recording_id.as_str())
        .collect()
}

#[tokio::test]
async fn a_page_costs_the_same_among_a_hundred_thousand_recordings_as_among_a_thousand() {
    let mut costs = Vec::new();
    for recordings in [1000, 100_000] {
        let (catalogue, store) = vault_of(recordings).await;
        let first = catalogue
            .list(
                &ListFilter {
                    top: 50,
                    ..ListFilter::default()
                },
                &Operator::Shell,
            )
            .await
            .expect("the store works");
        assert_eq!(
            (first.recordings.len(), ids(&first)[0]),
            (50, "recording-0")
        );
        let after = first
            .continuation
            .map(|text| text.parse().expect("a place survives its text"));
        let second = catalogue
            .list(
                &ListFilter {
                    top: 50,
                    after,
                    ..ListFilter::default()
                },
                &Operator::Shell,
            )
            .await
            .expect("the store works");
        assert_eq!(ids(&second)[0], "recording-50");
        let of_pages = store.take_counts();
        catalogue.summary().await.expect("the store works");
        costs.push((of_pages, store.take_counts()));
    }
    assert_eq!(costs[0].0, costs[1].0);
    assert!(costs[0].0.finds <= 2 * (50 * 2) + 40, "{costs:?}");
    assert_eq!(costs[0].1.finds, costs[1].1.finds, "{costs:?}");
}

#[tokio::test]
async fn a_page_that_finds_nothing_ends_and_says_where_to_continue() {
    let (catalogue, store) = vault_of(3000).await;
    let wanted = ListFilter {
        top: 10,
        format: "mp4".parse().ok(),
        ..ListFilter::default()
    };
    let page = catalogue
        .list(&wanted, &Operator::Shell)
        .await
        .expect("the store works");
    assert!(page.recordings.is_empty() && page.continuation.is_some());
    assert!(
        store.take_counts().finds <= 2 * 520,
        "it looks at 500 recordings"
    );
}

const FAULTS: [Fault; 4] = [
    Fault::FailBefore,
    Fault::FailAfter,
    Fault::KillBefore,
    Fault::KillAfter,
];

/// What a process does to an account of the register, with a fault at call `number`; whether it got that far.
async fn registered(number: usize, fault: Fault) -> bool {
    let durable = Durable::new(&[]);
    let id: RecordingId = "r".parse().expect("it is an id");
    let plan = Plan::at(number, fault);
    let register = durable.register(&plan);
    let work = async {
        register
            .change(&id, clock_now(), |account| {
                account.call_id = "call-1".parse().ok();
            })
            .await?;
        // Its start becomes known later, and it is listed elsewhere then.
        register
            .change(&id, clock_now(), |account| {
                account.started_at = "2026-03-02T10:00:00Z".parse().ok();
            })
            .await?;
        register
            .change(&id, clock_now(), |account| account.stop(clock_now()))
            .await?;
        register
            .change(&id, clock_now(), |account| {
                account.files.missing_since = Some(clock_now());
            })
            .await
    };
    tokio::select! {
        _ = work => {}
        () = plan.killed() => {}
    }
    let calm = Plan::calm();
    if let Some(account) = durable
        .register(&calm)
        .find(&id)
        .await
        .expect("the register works")
    {
        assert!(
            durable.has_markers(account.markers()).await,
            "{fault:?} at call {number}: {account:?}"
        );
        let page = durable
            .catalogue(&calm)
            .list(
                &ListFilter {
                    top: 10,
                    ..ListFilter::default()
                },
                &Operator::Shell,
            )
            .await
            .expect("the store works");
        assert_eq!(
            ids(&page),
            ["r"],
            "{fault:?} at call {number}: it is listed once"
        );
    }
    plan.calls() > number
}

#[tokio::test(start_paused = true)]
async fn no_fault_at_any_call_leaves_a_recording_out_of_the_list_or_in_it_twice() {
    for fault in FAULTS {
        let mut number = 0;
        while registered(number, fault).await {
            number += 1;
        }
        assert!(
            number > 20,
            "the register makes {number} calls: is it the whole way?"
        );
    }
}

/// The account of chunks, as events announced them, with what is told of people.
pub(crate) async fn announced(durable: &Durable, chunks: &[RecordingChunk]) {
    let register = durable.register(&Plan::calm());
    for chunk in chunks {
        let (index, document) = (chunk.index, chunk.document_id.clone());
        let change = |account: &mut RegisteredRecording| {
            account.started_at = chunk.started_at;
            account.started_by = Some("Anna".to_owned());
            account.files.announced_at = Some(clock_now());
            account.files.has_last = true;
            account
                .files
                .chunks
                .entry(index)
                .or_default()
                .insert(document.clone());
            account.stop(clock_now());
        };
        register
            .change(&chunk.filed_under(), clock_now(), change)
            .await
            .expect("the register works");
    }
}

pub fn of_recording(recording: &str, id: &str, index: u32) -> RecordingChunk {
    RecordingChunk {
        recording_id: recording.parse().ok(),
        ..chunk(id, index)
    }
}

fn eraser(durable: &Durable, plan: &Arc<Plan>) -> Eraser {
    Eraser::new(
        durable.catalogue(plan),
        durable.instance(plan),
        Duration::from_hours(1),
    )
}

const WRITTEN: &str = "Anna asked for it";

/// What operators and events say about a recording, and where nothing but its id leads.
async fn write_about(durable: &Durable, recording: &str) {
    let ledger = durable.ledger();
    let detail = json!({"reason": WRITTEN});
    let (by, verified) = (Actor::Operator, AuditAction::Verified);
    let writing = ledger.audit().append(by, verified, recording, detail);
    writing.await.expect("the ledger works");
    let event = json!({"subject": format!("/recordingId/{recording}/")});
    let kept = ledger.keep_poison(&event, "it is odd").await;
    kept.expect("there is room");
}

/// Whether the audit log has a text of [`write_about`].
async fn is_written(durable: &Durable) -> bool {
    let store = durable.store();
    let keys = store.list("audit-texts/", None, 1000).await;
    for key in keys.expect("the store works") {
        let found = store.find(&key).await.expect("the store works");
        let content = found.expect("it is there").content;
        if String::from_utf8_lossy(&content).contains(WRITTEN) {
            return true;
        }
    }
    false
}

/// The unreadable content that a rebuilt entry had.
async fn keep_corrupt(durable: &Durable, id: &str) {
    let content = Bytes::from(format!("{{ {PARTICIPANT}"));
    let key = format!("corrupt/{id}-1772445780000");
    let store = durable.store();
    let kept = store.put(&key, content, Precondition::Absent).await;
    kept.expect("the store works");
}

/// Three chunks of a person, and one that is held.
struct AboutAPerson {
    durable: Durable,
    mine: [RecordingChunk; 3],
    held: RecordingChunk,
}

impl AboutAPerson {
    async fn new() -> Self {
        let mine = [
            of_recording("mine", "a", 0),
            of_recording("mine", "bb", 1),
            of_recording("also-mine", "dddd", 0),
        ];
        let held = of_recording("held", "ccc", 0);
        let [first, second, third] = mine.clone();
        let all = [first, second, third, held.clone()];
        let durable = Durable::new(&all);
        announced(&durable, &all).await;
        deliver(&durable.instance(&Plan::calm()), &all).await;
        for recording in ["mine", "also-mine"] {
            write_about(&durable, recording).await;
        }
        assert!(is_written(&durable).await);
        for chunk in &all {
            keep_corrupt(&durable, chunk.document_id.as_str()).await;
        }
        let case = Case {
            tag: "A-1".parse().expect("it is a tag"),
            by: None,
            requested_by: None,
            note: None,
            since: clock_now(),
        };
        let holding = Held::RecordingId(held.filed_under());
        durable
            .holds(&Plan::calm())
            .add(&holding, &case)
            .await
            .expect("the ledger works");
        Self {
            durable,
            mine,
            held,
        }
    }

    /// What is held is there, and nothing else of the person is.
    async fn check_erased(&self, durable: &Durable, what: &str) {
        let Self { mine, held, .. } = self;
        assert!(
            durable.is_whole(&held.document_id),
            "what is held is there; {what}"
        );
        assert_eq!(durable.vault.files().len(), 3, "nothing else is; {what}");
        assert_eq!(durable.markers_of(PARTICIPANT).await.len(), 1, "{what}");
        let poisoned = durable.ledger().poisoned().await;
        let poisoned = poisoned.expect("the ledger works");
        assert!(poisoned.is_empty(), "{what}: {poisoned:?}");
        assert!(!is_written(durable).await, "{what}");
        let corrupt = durable.store().list("corrupt/", None, 10).await;
        let corrupt = corrupt.expect("the store works");
        assert!(
            matches!(&corrupt[..], [key] if key.starts_with("corrupt/ccc-")),
            "{what}: {corrupt:?}"
        );
        for chunk in mine {
            let entry = durable
                .ledger()
                .find(&chunk.document_id)
                .await
                .expect("the ledger works")
                .expect("it is there")
                .entry;
            assert!(
                matches!(entry.state, ChunkState::Removed { .. }),
                "{what}: {:?}",
                entry.state
            );
            let text = serde_json::to_string(&entry).expect("it is JSON");
            assert!(!text.contains(PARTICIPANT), "{what}: {text}");
        }
        let register = durable.register(&Plan::calm());
        let account_of = async |chunk: &RecordingChunk| {
            let found = register.find(&chunk.filed_under()).await;
            found.expect("the register works").expect("it is there")
        };
        let account = account_of(&mine[0]).await;
        assert!(
            account.erased.is_some() && account.started_by.is_none(),
            "{what}: {account:?}"
        );
        let kept = account_of(held).await;
        assert!(
            kept.erased.is_none() && kept.started_by.is_some(),
            "{what}: {kept:?}"
        );
    }
}

/// The recordings of a person are erased, with a fault at call `number`, and erased again; whether it got that far.
async fn erased(before: &AboutAPerson, number: usize, fault: Fault) -> bool {
    let durable = before.durable.fork();
    let person: Person = PARTICIPANT
        .to_uppercase()
        .parse()
        .expect("it is a participant");
    let plan = Plan::at(number, fault);
    let first = eraser(&durable, &plan);
    tokio::select! {
        _ = first.erase(&person, "her request", &Operator::Shell) => {}
        () = plan.killed() => {}
    }
    let what = format!("{fault:?} at call {number}");
    durable.clock.advance(2 * CLAIM_TTL);
    let calm = Plan::calm();
    let again = eraser(&durable, &calm)
        .erase(&person, "her request", &Operator::Shell)
        .await
        .expect("the ledger works");
    assert_eq!(again.left.len(), 1, "{what}: {again:?}");
    assert!(
        again.left[0].reason.contains("held for `A-1`"),
        "{what}: {again:?}"
    );
    before.check_erased(&durable, &what).await;
    plan.calls() > number
}

#[tokio::test(start_paused = true)]
async fn no_fault_at_any_call_leaves_anything_of_a_person_who_is_erased_again_or_touches_what_is_held()
 {
    let before = AboutAPerson::new().await;
    for fault in FAULTS {
        let mut number = 0;
        while erased(&before, number, fault).await {
            number += 1;
        }
        assert!(
            number > 60,
            "an erasure makes {number} calls: is it the whole way?"
        );
    }
}

#[tokio::test]
async fn what_is_not_exported_or_still_runs_is_named_and_left() {
    let chunks = [of_recording("half", "a", 0), of_recording("half", "bb", 1)];
    let durable = Durable::new(&chunks);
    announced(&durable, &chunks).await;
    let driver = durable.instance(&Plan::calm());
    deliver(&driver, &chunks[..1]).await;
    let person: Person = PARTICIPANT.parse().expect("it is a participant");
    let erase = async || {
        eraser(&durable, &Plan::calm())
            .erase(&person, "her request", &Operator::Shell)
            .await
            .expect("the ledger works")
    };
    let left = erase().await.left;
    assert!(
        left.len() == 1 && left[0].reason.contains("chunk 1 is not in the ledger"),
        "{left:?}"
    );
    driver
        .ledger()
        .record(chunks[1].clone())
        .await
        .expect("the ledger works");
    let left = erase().await.left;
    assert!(
        left.len() == 1 && left[0].reason.contains("chunk 1 is not exported yet"),
        "{left:?}"
    );
    assert!(
        durable.is_whole(&chunks[0].document_id),
        "nothing of it is touched"
    );
    deliver(&driver, &chunks).await;
    let done = erase().await;
    assert!(done.left.is_empty() && done.erased == ["half"], "{done:?}");
    assert!(durable.vault.files().is_empty());
    // Its event comes again: nothing of it comes back.
    deliver(&driver, &chunks).await;
    assert!(durable.vault.files().is_empty());
    assert!(durable.markers_of(PARTICIPANT).await.is_empty());
}

#[tokio::test]
async fn an_archive_has_every_file_as_it_is_in_the_vault() {
    let chunks = [of_recording("mine", "a", 0), of_recording("mine", "bb", 1)];
    let durable = Durable::new(&chunks);
    announced(&durable, &chunks).await;
    deliver(&durable.instance(&Plan::calm()), &chunks[..1]).await;
    let person: Person = PARTICIPANT.parse().expect("it is a participant");
    let catalogue = durable.catalogue(&Plan::calm());
    let (manifest, written) = catalogue
        .archive(&person, &Operator::Shell, Vec::new())
        .await
        .expect("all can be read");
    assert_eq!(
        (manifest.recordings.len(), manifest.missing.len()),
        (1, 1),
        "{manifest:?}"
    );
    let mut tar = tar::Archive::new(&written[..]);
    let mut found = std::collections::BTreeMap::new();
    for entry in tar.entries().expect("it is a tar") {
        let mut entry = entry.expect("it is a tar");
        let mut content = Vec::new();
        std::io::Read::read_to_end(&mut entry, &mut content).expect("it is whole");
        found.insert(
            entry.path().expect("it has a name").display().to_string(),
            content,
        );
    }
    for file in &manifest.files {
        let content = found
            .get(&file.name)
            .unwrap_or_else(|| panic!("{} is not in the archive", file.name));
        assert_eq!(
            (content.len() as u64, Sha256Digest::of(content)),
            (file.size_bytes, file.sha256),
            "{}",
            file.name
        );
    }
    assert_eq!(found.len(), manifest.files.len() + 1, "and the manifest");
    for (name, content) in durable.vault.files() {
        let last = name.as_str().rsplit('/').next().expect("it has a name");
        if !last.contains("receipt") {
            assert!(found[&format!("0001/{last}")] == content, "{name}");
        }
    }
    let audit = String::from_utf8_lossy(&found["0001/audit.json"]).into_owned();
    assert!(
        audit.contains("exported") && !audit.contains(PARTICIPANT),
        "{audit}"
    );
}

#[tokio::test]
async fn a_vault_from_before_the_index_is_indexed_and_a_repeat_changes_nothing() {
    let chunks = [of_recording("mine", "a", 0), of_recording("other", "bb", 0)];
    let durable = Durable::new(&chunks);
    announced(&durable, &chunks).await;
    deliver(&durable.instance(&Plan::calm()), &chunks).await;
    durable.forget_index().await;
    let catalogue = durable.catalogue(&Plan::calm());
    let wanted = ListFilter {
        top: 10,
        ..ListFilter::default()
    };
    assert!(
        catalogue
            .list(&wanted, &Operator::Shell)
            .await
            .expect("the store works")
            .recordings
            .is_empty()
    );
    for metadata_read in [2, 0] {
        let report = catalogue
            .index_everything(&Operator::Shell)
            .await
            .expect("the store works");
        assert_eq!(
            (report.recordings, report.chunks, report.metadata_read),
            (2, 2, metadata_read),
            "{report:?}"
        );
        assert!(report.problems.is_empty(), "{report:?}");
    }
    assert_eq!(
        catalogue
            .list(&wanted, &Operator::Shell)
            .await
            .expect("the store works")
            .recordings
            .len(),
        2
    );
    assert_eq!(durable.markers_of(PARTICIPANT).await.len(), 2);
    let shown = catalogue
        .show(&"mine".parse().expect("it is an id"))
        .await
        .expect("the store works");
    let RecordingLookup::Known(detail) = shown else {
        panic!("{shown:?}")
    };
    assert!(
        detail.timeline.iter().any(|one| one.what == "exported"),
        "{:?}",
        detail.timeline
    );
}
