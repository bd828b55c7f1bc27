//! Days of more recordings than a stored report lists, and days whose reports fail.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::civil::{Date, date};
use serde_json::{Value, json};

use super::*;
use crate::clock::ManualClock;
use crate::control::entry::{Erased, RecordingStatus, RegisteredRecording};
use crate::control::register::RecordingRegister;
use crate::export::{ChunkLedger, Vaults};
use crate::store::document_store::{DocumentStore, Versioned};
use crate::store::faulty_store::{Faults, FaultyStore, Request};
use crate::store::outbox::{Notice, Outbox};
use crate::vault::memory::MemoryVault;

const BUSY: Date = date(2026, 3, 1);
const CALM: Date = date(2026, 3, 2);
/// Room for about ten recordings.
const MOST_BYTES: usize = 4000;

/// Writes of the report of the busy day may fail.
#[derive(Default)]
struct RefusesAReport(AtomicBool);

impl Faults for RefusesAReport {
    fn fails(&self, request: Request<'_>, key: &str) -> bool {
        let is_write = matches!(request, Request::Put(_));
        is_write && key == report_key(&BUSY.to_string()) && self.0.load(Ordering::SeqCst)
    }
}

/// An app on the night after the calm day. The report of the busy day before it is due too.
struct World {
    store: Arc<FaultyStore<RefusesAReport>>,
    clock: Arc<ManualClock>,
    register: RecordingRegister,
    catalogue: Catalogue,
}

impl World {
    async fn new() -> Self {
        let store = FaultyStore::new(RefusesAReport::default());
        let shared = Arc::clone(&store) as Arc<dyn DocumentStore>;
        let night = "2026-03-03T03:00:00Z".parse().unwrap();
        let clock = Arc::new(ManualClock::starting_at(night));
        let register = RecordingRegister::new(Arc::clone(&shared), Duration::from_mins(30));
        let register = register.with_outbox(Some(Outbox::new(Arc::clone(&shared))));
        let (retention, claim) = (Duration::from_hours(24), Duration::from_mins(5));
        let ledger = ChunkLedger::new(shared, clock.clone(), retention, claim);
        let vaults = Vaults::new(Arc::new(MemoryVault::default()), None);
        let catalogue = Catalogue::new(ledger, register.clone(), vaults, clock.clone());
        register.need_report(BUSY).await.unwrap();
        Self {
            store,
            clock,
            register,
            catalogue,
        }
    }

    /// Registers recordings of a day: some that are settled, because they were erased, and some that ACS could not start.
    async fn add(&self, day: Date, settled: usize, failed: usize) {
        let at: Timestamp = format!("{day}T09:00:00Z").parse().unwrap();
        for number in 0..settled + failed {
            let change = |account: &mut RegisteredRecording| {
                account.started_at = Some(at);
                if number < settled {
                    account.stop(at);
                    let reason = "on request".to_owned();
                    account.erase(Erased { at, reason });
                } else {
                    let reason = "no".to_owned();
                    account.status = RecordingStatus::Failed { at, reason };
                }
            };
            let id = format!("{day}-{number}").parse().unwrap();
            self.register.change(&id, at, change).await.unwrap();
        }
    }

    /// The reports of a sweep, a minute after the one before it.
    async fn sweep(&self) -> Result<(), CatalogueError> {
        self.clock.advance(Duration::from_mins(1));
        self.catalogue.report_days(MOST_BYTES).await
    }

    async fn content(&self, key: &str) -> String {
        let found = self.store.find(key).await.unwrap().unwrap();
        String::from_utf8(found.content.to_vec()).unwrap()
    }

    /// The report of the busy day.
    async fn report(&self) -> Value {
        let content = self.content(&report_key(&BUSY.to_string())).await;
        serde_json::from_str(&content).unwrap()
    }

    /// The numbers of a day: all recordings, and those that are not complete.
    async fn summary(&self, day: Date) -> Option<(usize, usize)> {
        let summary = self.register.day_summary(&day.to_string()).await.unwrap();
        summary.map(|summary| (summary.recordings, summary.incomplete))
    }

    /// The days that subscribers are notified of.
    async fn notices(&self) -> Vec<Date> {
        let outbox = Outbox::new(Arc::clone(&self.store) as Arc<dyn DocumentStore>);
        let waiting = outbox.waiting(None, 100).await.unwrap().into_iter();
        let days = waiting.filter_map(|outgoing| match outgoing.kept.notice {
            Notice::DayCompleted { day, .. } => Some(day),
            Notice::Exported { .. }
            | Notice::Doubtful { .. }
            | Notice::AtRisk { .. }
            | Notice::Lost { .. }
            | Notice::Missing { .. } => None,
        });
        let mut days: Vec<Date> = days.collect();
        days.sort_unstable();
        days
    }

    async fn documents(&self) -> Vec<(String, Option<Versioned>)> {
        let mut documents = Vec::new();
        for key in self.store.list("", None, 10_000).await.unwrap() {
            let found = self.store.find(&key).await.unwrap();
            documents.push((key, found));
        }
        documents
    }
}

#[tokio::test]
async fn a_day_of_more_recordings_than_a_report_lists_gets_its_numbers_and_blocks_no_other_day() {
    let world = World::new().await;
    world.add(BUSY, 40, 2).await;
    world.add(CALM, 1, 0).await;
    world.sweep().await.unwrap();

    let report = world.report().await;
    assert_eq!(report["notListed"], json!({"settled": 40, "incomplete": 0}));
    let listed = report["recordings"].as_array().unwrap();
    let is_failed = |recording: &Value| recording["standing"] == "failed";
    assert!(
        listed.len() == 2 && listed.iter().all(is_failed),
        "{report}"
    );
    assert_eq!(report["standings"], json!({"erased": 40, "failed": 2}));
    assert_eq!(world.summary(BUSY).await, Some((42, 2)));
    assert_eq!(world.summary(CALM).await, Some((1, 0)));
    assert_eq!(world.notices().await, [BUSY, CALM]);
    let text = world.content("reports/2026-03-01.txt").await;
    for part in [
        "Recordings of 2026-03-01: 42,",
        "\n2 recordings are not complete:\n",
        "This report does not list 40 recordings (40 settled, 0 not complete) or",
    ] {
        assert!(text.contains(part), "{text}");
    }

    let before = world.documents().await;
    world.sweep().await.unwrap();
    assert_eq!(world.documents().await, before, "the second sweep rests");
}

#[tokio::test]
async fn a_report_says_how_many_recordings_that_are_not_settled_it_does_not_list() {
    let world = World::new().await;
    world.add(BUSY, 3, 40).await;
    world.sweep().await.unwrap();

    let report = world.report().await;
    let listed = report["recordings"].as_array().unwrap().len();
    assert!((1..40).contains(&listed), "{listed}");
    let left_out = 40 - listed;
    assert_eq!(
        report["notListed"],
        json!({"settled": 3, "incomplete": left_out})
    );
    assert_eq!(world.summary(BUSY).await, Some((43, 40)));
    let text = world.content("reports/2026-03-01.txt").await;
    let more = format!("\n  and {left_out} more recordings that this report does not list\n");
    assert!(text.contains(&more), "{text}");
}

#[tokio::test]
async fn a_report_that_lists_all_says_nothing_else_and_is_indented() {
    let world = World::new().await;
    world.add(BUSY, 2, 0).await;
    world.sweep().await.unwrap();
    let content = world.content("reports/2026-03-01.json").await;
    assert!(content.starts_with("{\n  \"day\""), "{content}");
    let report = world.report().await;
    assert_eq!(report.get("notListed"), None);
    assert_eq!(report["recordings"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_day_whose_report_fails_keeps_no_later_day_from_its_report() {
    let world = World::new().await;
    world.add(BUSY, 1, 0).await;
    world.add(CALM, 1, 0).await;
    world.store.0.store(true, Ordering::SeqCst);
    let swept = world.sweep().await;
    assert!(matches!(swept, Err(CatalogueError::Store(_))), "{swept:?}");
    assert_eq!(world.summary(BUSY).await, None);
    assert_eq!(world.summary(CALM).await, Some((1, 0)));

    world.store.0.store(false, Ordering::SeqCst);
    world.sweep().await.unwrap();
    assert_eq!(world.summary(BUSY).await, Some((1, 0)));
    assert_eq!(world.notices().await, [BUSY, CALM]);
    let before = world.documents().await;
    world.sweep().await.unwrap();
    assert_eq!(world.documents().await, before, "the next sweep rests");
}

#[test]
fn a_report_of_any_number_of_recordings_rests_for_some_hours_at_most() {
    let now: Timestamp = "2026-03-05T00:00:00Z".parse().unwrap();
    let rests = |recordings: usize, age: SignedDuration| {
        let known = DaySummary {
            day: BUSY.to_string(),
            recordings,
            minutes: 0.0,
            incomplete: 0,
            findings: 0,
            not_checked: 0,
            made_at: now - age,
            report_sha256: Sha256Digest::of(b""),
        };
        is_resting(&known, now)
    };
    assert!(rests(600, SignedDuration::from_mins(9)));
    assert!(!rests(600, SignedDuration::from_mins(11)));
    assert!(rests(500_000, SignedDuration::from_hours(5)));
    assert!(!rests(500_000, SignedDuration::from_hours(7)));
}
