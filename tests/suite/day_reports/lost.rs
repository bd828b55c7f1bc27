//! Days whose markers, numbers or reports were lost or are damaged, and receipts that were emptied.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use jiff::ToSpan as _;
use recording_vault::control::register::RecordingRegister;
use recording_vault::export::destination::{BlobProperties, CommitOutcome};
use recording_vault::store::document_store::{DamagedDocument, StoreError};

use super::*;
use crate::support::guarded_store::{Guard, GuardedStore, Kind};

async fn keys(durable: &Durable, prefix: &str) -> Vec<String> {
    let keys = durable.store().list(prefix, None, 1000).await;
    keys.expect("the store works")
}

/// Removes the markers of a list that name a recording.
async fn remove_markers(durable: &Durable, list: &str, id: &str) -> usize {
    let name = name(id).to_string();
    let mut markers = keys(durable, list).await;
    markers.retain(|key| key.contains(&name));
    for key in &markers {
        let removed = durable.store().remove(key).await;
        removed.expect("the store works");
    }
    markers.len()
}

async fn sweep(durable: &Durable) {
    let made = catalogue(durable).report_daily().await;
    made.expect("the store works");
}

async fn has_summary(durable: &Durable, day: Date) -> bool {
    let register = durable.register(&Plan::calm());
    let summary = register.day_summary(&day.to_string()).await;
    matches!(summary, Ok(Some(_)))
}

#[tokio::test]
async fn a_recording_that_the_list_of_all_lacks_is_in_the_report_while_it_is_not_settled() {
    let durable = vault().await;
    reported(&durable).await;
    put(&durable, "chunks/doc-0.json", "{").await;
    look_at_everything(&durable).await;
    assert_eq!(remove_markers(&durable, "catalogue/all/", "r-0").await, 1);
    let of_unreadable = report(&durable, DAY).await;
    assert_eq!(of_unreadable.outcome(), DayOutcome::Incomplete);
    assert_eq!(of_unreadable.recordings.len(), 2, "{of_unreadable}");
    let day = days(&durable).await.days.remove(0);
    assert_eq!((day.recordings, day.incomplete), (2, 1));
}

#[tokio::test]
async fn a_recording_that_runs_and_that_the_list_of_all_lacks_is_in_the_report() {
    let durable = vault().await;
    let register = durable.register(&Plan::calm());
    let start = |account: &mut RegisteredRecording| {
        account.started_at = "2026-03-02T23:50:00Z".parse().ok();
    };
    let id: RecordingId = "running".parse().expect("it is an id");
    let changed = register.change(&id, durable.clock.now(), start).await;
    changed.expect("the register works");
    reported_with(&durable, 1).await;
    assert_eq!(
        remove_markers(&durable, "catalogue/all/", "running").await,
        1
    );
    let with_running = report(&durable, DAY).await;
    assert_eq!(
        (with_running.recordings.len(), with_running.incomplete),
        (3, 1)
    );
    let day = days(&durable).await.days.remove(0);
    assert_eq!((day.recordings, day.incomplete), (3, 1));
}

/// The report of the day is stored.
async fn reported_with(durable: &Durable, incomplete: usize) {
    let register = durable.register(&Plan::calm());
    register.need_report(DAY).await.expect("the register works");
    sweep(durable).await;
    let summary = register.day_summary(&DAY.to_string()).await;
    let summary = summary.expect("it is readable").expect("it is made");
    assert_eq!(summary.incomplete, incomplete);
}

/// How many recordings the stored report of the day has.
async fn stored_recordings(durable: &Durable) -> usize {
    let register = durable.register(&Plan::calm());
    let summary = register.day_summary(&DAY.to_string()).await;
    summary
        .expect("it is readable")
        .expect("it is made")
        .recordings
}

#[tokio::test]
async fn the_complete_check_lists_recordings_again_whose_markers_were_lost() {
    let durable = vault().await;
    let before = keys(&durable, "catalogue/").await;
    assert_eq!(remove_markers(&durable, "catalogue/all/", "r-0").await, 1);
    assert!(remove_markers(&durable, "catalogue/call/", "r-0").await > 0);
    assert_eq!(report(&durable, DAY).await.recordings.len(), 1);
    reported(&durable).await;
    assert_eq!(stored_recordings(&durable).await, 1);
    look_at_everything(&durable).await;
    assert_eq!(keys(&durable, "catalogue/").await, before);
    sweep(&durable).await;
    assert_eq!(stored_recordings(&durable).await, 2);
    let report = report(&durable, DAY).await;
    assert_eq!(report.outcome(), DayOutcome::Complete, "{report}");
    assert_eq!(report.recordings.len(), 2);
}

#[tokio::test]
async fn a_damaged_report_or_its_numbers_are_made_again_and_hide_no_day() {
    for form in ["-summary.json", ".json", ".txt"] {
        let durable = vault().await;
        reported(&durable).await;
        let key = format!("reports/{DAY}{form}");
        put(&durable, &key, "{").await;
        let of_days = days(&durable).await;
        assert_eq!(of_days.days[0].recordings, 2, "{form}: {of_days:?}");
        if form != "-summary.json" {
            let register = durable.register(&Plan::calm());
            register.need_report(DAY).await.expect("the register works");
        }
        durable.clock.advance(Duration::from_secs(10));
        sweep(&durable).await;
        let healed = durable.store().find(&key).await;
        let healed = healed.expect("the store works").expect("it is there");
        assert!(healed.content.len() > 100, "{form}");
    }
}

/// Until it is removed, the report of the day is larger than any document that is read.
struct TooLarge {
    is_stored: AtomicBool,
}

#[async_trait]
impl Guard for TooLarge {
    async fn pass(&self, kind: Kind, key: &str) -> Result<(), StoreError> {
        if key != format!("reports/{DAY}.json") {
            return Ok(());
        }
        if kind == Kind::Remove {
            self.is_stored.store(false, Ordering::SeqCst);
        }
        if kind == Kind::Find && self.is_stored.load(Ordering::SeqCst) {
            return Err(StoreError {
                action: "read",
                key: key.to_owned(),
                source: Box::new(DamagedDocument::too_large(None)),
            });
        }
        Ok(())
    }
}

#[tokio::test]
async fn a_report_that_is_too_large_to_be_read_is_made_again() {
    let durable = vault().await;
    put(&durable, &format!("reports/{DAY}.json"), "{}").await;
    let register = durable.register(&Plan::calm());
    register.need_report(DAY).await.expect("the register works");
    let guard = TooLarge {
        is_stored: AtomicBool::new(true),
    };
    let store = GuardedStore::new(&durable.store(), guard);
    let register = RecordingRegister::new(store, Duration::from_mins(30));
    let vaults = Vaults::new(durable.vault.clone(), None);
    let clock = durable.clock.clone();
    let catalogue = Catalogue::new(durable.ledger(), register, vaults, clock);
    let made = catalogue.report_daily().await;
    made.expect("the store works");
    assert_eq!(stored_recordings(&durable).await, 2);
    let due = keys(&durable, &format!("reports-due/{DAY}/")).await;
    assert_eq!(due, Vec::<String>::new());
}

#[tokio::test]
async fn days_whose_reports_were_damaged_keep_no_other_from_its_report() {
    let durable = vault().await;
    let damaged: Vec<Date> = date(2026, 2, 1).series(1.day()).take(9).collect();
    let register = durable.register(&Plan::calm());
    for day in &damaged {
        put(&durable, &format!("reports/{day}-summary.json"), "{").await;
        register
            .need_report(*day)
            .await
            .expect("the register works");
    }
    register.need_report(DAY).await.expect("the register works");
    for _ in 0..2 {
        durable.clock.advance(Duration::from_mins(1));
        sweep(&durable).await;
    }
    for day in damaged.into_iter().chain([DAY]) {
        assert!(has_summary(&durable, day).await, "{day}");
    }
}

#[tokio::test]
async fn days_on_which_no_sweep_ran_get_their_reports_oldest_first() {
    let durable = vault().await;
    sweep(&durable).await;
    let last = date(2026, 3, 3);
    assert!(has_summary(&durable, last).await);
    durable.clock.advance(Duration::from_hours(20 * 24));
    sweep(&durable).await;
    let skipped: Vec<Date> = last.series(1.day()).skip(1).take(19).collect();
    let mut made = Vec::new();
    for day in &skipped {
        made.push(has_summary(&durable, *day).await);
    }
    let count = made.iter().filter(|is_made| **is_made).count();
    assert!((1..19).contains(&count), "{made:?}");
    assert!(made[..count].iter().all(|is_made| *is_made), "{made:?}");
    for _ in 0..3 {
        durable.clock.advance(Duration::from_mins(1));
        sweep(&durable).await;
    }
    for day in skipped {
        assert!(has_summary(&durable, day).await, "{day}");
    }
    assert!(has_summary(&durable, date(2026, 3, 23)).await);
}

#[tokio::test]
async fn a_kill_while_skipped_days_are_noted_skips_none() {
    let before = vault().await;
    sweep(&before).await;
    before.clock.advance(Duration::from_hours(3 * 24));
    for fault in [Fault::FailBefore, Fault::FailAfter] {
        let mut number = 0;
        loop {
            let durable = before.fork();
            let plan = Plan::at(number, fault);
            drop(durable.catalogue(&plan).report_daily().await);
            // The next sweep is on another day.
            for hours in [24, 1] {
                durable.clock.advance(Duration::from_hours(hours));
                sweep(&durable).await;
            }
            for day in [4, 5, 6, 7] {
                let day = date(2026, 3, day);
                assert!(
                    has_summary(&durable, day).await,
                    "{fault:?} at {number}: {day}"
                );
            }
            if plan.calls() <= number {
                break;
            }
            number += 1;
        }
        assert!(number > 5, "the register is asked {number} times");
    }
}

#[tokio::test]
async fn the_complete_check_finds_a_receipt_that_was_emptied() {
    for content in [Bytes::new(), Bytes::from_static(b"{}")] {
        let durable = vault().await;
        let mut files = durable.vault.files().into_keys();
        let receipt = files.find(|name| name.as_str().contains("-receipt.doc-0."));
        let receipt = receipt.expect("it is there");
        let version = durable.vault.version(&receipt).await;
        let version = version.expect("the vault works").expect("it is there");
        let removed = durable.vault.remove(&receipt, &version).await;
        assert_eq!(removed.expect("the vault works"), RemoveOutcome::Removed);
        let properties = BlobProperties {
            content_type: "application/json",
            metadata: Vec::new(),
            tags: Vec::new(),
        };
        let put = durable.vault.put(&receipt, content, &properties).await;
        assert_eq!(put.expect("the vault works"), CommitOutcome::Committed);
        look_at_everything(&durable).await;
        let check = catalogue(&durable).last_check().await;
        let check = check.expect("the store works").expect("one has ended");
        let subjects: Vec<&str> = check
            .seen
            .findings
            .iter()
            .map(|finding| finding.subject.as_str())
            .collect();
        assert_eq!(subjects, [receipt.as_str()]);
    }
}
