//! Reports that a process made whose clock was ahead: they are no last word.

use std::sync::Arc;

use recording_vault::clock::ManualClock;

use super::*;

/// A process whose clock is ahead.
fn ahead(durable: &Durable, by: Duration) -> Catalogue {
    let clock = ManualClock::starting_at(durable.clock.now());
    clock.advance(by);
    let vaults = Vaults::new(durable.vault.clone(), None);
    let register = durable.register(&Plan::calm());
    Catalogue::new(durable.ledger(), register, vaults, Arc::new(clock))
}

/// Registers another recording, whose files were all announced and exported.
async fn begins(durable: &Durable, id: &str, at: &str) {
    let register = durable.register(&Plan::calm());
    let now = durable.clock.now();
    let change = |account: &mut RegisteredRecording| {
        account.started_at = at.parse().ok();
        account.files.announced_at = Some(now);
        account.files.has_last = true;
        let documents = account.files.chunks.entry(0).or_default();
        documents.insert("doc-0".parse().expect("it is an id"));
        account.stop(now);
    };
    let id = id.parse().expect("it is an id");
    let changed = register.change(&id, now, change).await;
    changed.expect("the register works");
}

async fn stored(durable: &Durable) -> (usize, usize) {
    let register = durable.register(&Plan::calm());
    let summary = register.day_summary(&DAY.to_string()).await;
    let summary = summary.expect("it is readable").expect("it is made");
    let key = format!("reports/{DAY}.json");
    let report = durable.store().find(&key).await;
    let report = report.expect("the store works").expect("it is made");
    let report: serde_json::Value =
        serde_json::from_slice(&report.content).expect("a report is JSON");
    let recordings = report["recordings"].as_array().expect("it is a list");
    (recordings.len(), summary.recordings)
}

#[tokio::test]
async fn a_change_after_the_report_of_a_clock_that_was_ahead_is_in_the_next_one() {
    for by in [Duration::from_hours(2), Duration::from_hours(24)] {
        let durable = vault().await;
        let register = durable.register(&Plan::calm());
        register.need_report(DAY).await.expect("the register works");
        let made = ahead(&durable, by).report_daily().await;
        made.expect("the store works");
        assert_eq!(stored(&durable).await, (2, 2));
        begins(&durable, "late", "2026-03-02T13:00:00Z").await;
        assert_eq!(days(&durable).await.days[0].recordings, 3, "{by:?}");
        durable.clock.advance(Duration::from_mins(1));
        let made = catalogue(&durable).report_daily().await;
        made.expect("the store works");
        assert_eq!(stored(&durable).await, (3, 3), "{by:?}");
    }
}

#[tokio::test]
async fn a_report_of_a_day_that_is_not_over_does_not_last() {
    let durable = Durable::new(&[]);
    let noon = "2026-03-02T12:00:00Z".parse().expect("it is a time");
    assert!(durable.clock.now() < noon, "{}", durable.clock.now());
    let by = Duration::from_hours(24);
    let made = ahead(&durable, by).report_daily().await;
    made.expect("the store works");
    assert_eq!(stored(&durable).await, (0, 0));
    begins(&durable, "late", "2026-03-02T13:00:00Z").await;
    assert_eq!(days(&durable).await.days[0].recordings, 1);
    let made = catalogue(&durable).report_daily().await;
    made.expect("the store works");
    assert_eq!(stored(&durable).await, (1, 1));
    let summary = durable.register(&Plan::calm());
    let summary = summary.day_summary(&DAY.to_string()).await;
    let summary = summary.expect("it is readable").expect("it is made");
    assert!(summary.made_at <= durable.clock.now(), "{summary:?}");
}

#[tokio::test]
async fn a_change_just_before_a_day_is_reported_marks_its_report() {
    let durable = Durable::new(&[]);
    let before: jiff::Timestamp = "2026-03-03T01:58:00Z".parse().expect("it is a time");
    let until = before.duration_since(durable.clock.now());
    let until = Duration::try_from(until).expect("it is later");
    durable.clock.advance(until);
    begins(&durable, "late", "2026-03-02T23:00:00Z").await;
    let store = durable.store();
    let due = store.list("reports-due/2026-03-02/", None, 10).await;
    assert_eq!(due.expect("the store works").len(), 1);
}
