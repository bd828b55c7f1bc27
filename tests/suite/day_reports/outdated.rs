//! Reports that a complete check, an acknowledgement or an erasure makes out of date: each is made again, and then rests.

use std::time::Duration;

use recording_vault::control::entry::{AcknowledgedProblems, Erased};
use recording_vault::recording::Acknowledgement;

use super::*;

/// A vault whose day is reported as complete.
async fn reported_as_complete() -> Durable {
    let durable = vault().await;
    need_report(&durable).await;
    assert_eq!(report_again(&durable).await, (0, 0));
    assert_eq!(notices(&durable).await.len(), 1);
    durable
}

/// A sweep some seconds later. Returns how many recordings of the day are not complete, and how many findings concern it.
async fn report_again(durable: &Durable) -> (usize, usize) {
    durable.clock.advance(Duration::from_secs(10));
    assert!(report_to_subscribers(durable, &Plan::calm()).await);
    let register = durable.register(&Plan::calm());
    let summary = register.day_summary(&DAY.to_string()).await;
    let summary = summary.expect("it is readable").expect("it is made");
    (summary.incomplete, summary.findings)
}

/// The report of the day in all its forms, and the markers that it is due.
async fn stored(durable: &Durable) -> Vec<(String, String)> {
    let mut documents = durable.documents().await;
    let (reports, due) = (format!("reports/{DAY}"), format!("reports-due/{DAY}/"));
    documents.retain(|(key, _)| key.starts_with(&reports) || key.starts_with(&due));
    documents
}

/// Another check and another sweep find the same, and write no report.
async fn assert_rests(durable: &Durable, expected: (usize, usize), count: usize) {
    let before = stored(durable).await;
    assert_eq!(before.len(), 3, "{before:?}");
    look_at_everything(durable).await;
    assert_eq!(report_again(durable).await, expected);
    assert_eq!(stored(durable).await, before);
    assert_eq!(notices(durable).await.len(), count);
}

#[tokio::test]
async fn a_check_that_finds_a_copy_gone_reports_its_day_to_subscribers_again_once() {
    let durable = reported_as_complete().await;
    remove_media(&durable).await;
    look_at_everything(&durable).await;
    let (incomplete, findings) = report_again(&durable).await;
    assert!(incomplete == 0 && findings > 0, "{findings}");
    assert_eq!(notices(&durable).await.len(), 2);
    assert_eq!(settled_report(&durable).await, (incomplete, findings));
    assert_rests(&durable, (incomplete, findings), 2).await;
}

/// Whether a check that found something has ended.
async fn has_findings(durable: &Durable) -> bool {
    let documents = durable.documents().await.into_iter();
    let mut checks = documents.filter(|(key, _)| key == "complete-check.json");
    checks.any(|(_, content)| content.contains("\"problem\""))
}

#[tokio::test]
async fn a_kill_while_a_check_ends_forgets_no_day() {
    let before = reported_as_complete().await;
    remove_media(&before).await;
    before.clock.advance(Duration::from_mins(1));
    for fault in [Fault::FailBefore, Fault::FailAfter] {
        let mut number = 0;
        loop {
            let durable = before.fork();
            let plan = Plan::at(number, fault);
            let budget = Budget::of(Duration::from_hours(1));
            let asked_at = durable.clock.now();
            let check = durable.catalogue(&plan);
            drop(check.check(CheckStart::Now { asked_at }, budget).await);
            if has_findings(&durable).await {
                // No other check is due: what the killed one left undone is all that is done.
                let again = catalogue(&durable).check(CheckStart::WhenDue, budget).await;
                again.expect("the ledger works");
            } else {
                look_at_everything(&durable).await;
            }
            assert!(report_again(&durable).await.1 > 0);
            let notices = notices(&durable).await;
            assert_eq!(notices.len(), 2, "{fault:?} at call {number}");
            if plan.calls() <= number {
                break;
            }
            number += 1;
        }
        assert!(number > 20, "a check asks {number} times");
    }
}

/// A recording of the day whose files never came, since so long ago that the report of the day has it.
async fn with_a_missing_recording() -> (Durable, RegisteredRecording) {
    let durable = reported_as_complete().await;
    let id: RecordingId = "missing".parse().expect("it is an id");
    let now = durable.clock.now();
    let change = |account: &mut RegisteredRecording| {
        account.started_at = "2026-03-02T13:00:00Z".parse().ok();
        account.stop(now);
        account.files.missing_since = Some(now);
    };
    let register = durable.register(&Plan::calm());
    let changed = register.change(&id, now, change);
    let account = changed.await.expect("the register works");
    assert_eq!(settled_report(&durable).await, (1, 0));
    assert_eq!(notices(&durable).await.len(), 2);
    (durable, account)
}

/// The report of the day when the markers of changes until now are old enough to be removed.
async fn settled_report(durable: &Durable) -> (usize, usize) {
    durable.clock.advance(Duration::from_mins(8));
    look_at_everything(durable).await;
    report_again(durable).await
}

#[tokio::test]
async fn an_acknowledgement_reports_its_day_to_subscribers_again_once() {
    let (durable, account) = with_a_missing_recording().await;
    let said = Acknowledgement {
        at: durable.clock.now(),
        by: None,
        reason: "nobody spoke".to_owned(),
    };
    let acknowledged = AcknowledgedProblems {
        said,
        problems: account.problems(),
    };
    let acknowledging = catalogue(&durable);
    let acknowledging = acknowledging.acknowledge(&account.recording_id, &acknowledged);
    acknowledging.await.expect("the register works");
    assert_eq!(report_again(&durable).await, (0, 0));
    assert_eq!(notices(&durable).await.len(), 3);
    assert_eq!(settled_report(&durable).await, (0, 0));
    assert_rests(&durable, (0, 0), 3).await;
}

#[tokio::test]
async fn an_erasure_reports_its_day_to_subscribers_again_once() {
    let (durable, account) = with_a_missing_recording().await;
    let erased = Erased {
        at: durable.clock.now(),
        reason: "on request".to_owned(),
    };
    let register = durable.register(&Plan::calm());
    let erasing = register.erase(&account.recording_id, &erased).await;
    erasing.expect("the register works");
    assert_eq!(report_again(&durable).await, (0, 0));
    assert_eq!(notices(&durable).await.len(), 3);
    assert_eq!(settled_report(&durable).await, (0, 0));
    assert_rests(&durable, (0, 0), 3).await;
}
