//! What the report and the numbers of a day say while something is wrong or was not looked at: never that nothing is missing.

mod clocks;
mod lost;
mod outdated;

use std::time::Duration;

use bytes::Bytes;
use jiff::civil::{Date, date};
use recording_vault::catalogue::Catalogue;
use recording_vault::catalogue::check::{CheckStart, SliceOutcome};
use recording_vault::catalogue::days::Days;
use recording_vault::catalogue::list::ListFilter;
use recording_vault::catalogue::report::{CompletenessReport, DayOutcome};
use recording_vault::clock::Clock as _;
use recording_vault::control::entry::RegisteredRecording;
use recording_vault::export::destination::{ExportDestination as _, RemoveOutcome};
use recording_vault::export::ledger::{LastSweep, TimerSweep};
use recording_vault::export::{Budget, Vaults};
use recording_vault::recording::{RecordingChunk, RecordingId};
use recording_vault::store::audit::Operator;
use recording_vault::store::digest::Sha256Digest;
use recording_vault::store::document_store::{DocumentStore as _, Precondition};
use recording_vault::store::holds::{Case, Held};
use recording_vault::store::index::{Attention, Index, Listed, recording_name};
use recording_vault::store::outbox::{Notice, Outbox};
use serde_json::json;

use crate::support::chunk;
use crate::support::simulation::{Durable, Fault, Plan, deliver};

const DAY: Date = date(2026, 3, 2);

/// A vault with the proved recordings `r-0` and `r-1` of 2 March, two days later; everything was looked at.
async fn vault() -> Durable {
    let chunks: Vec<RecordingChunk> = (0..2)
        .map(|number| RecordingChunk {
            recording_id: format!("r-{number}").parse().ok(),
            call_id: "call-1".parse().ok(),
            ..chunk(&format!("doc-{number}"), 0)
        })
        .collect();
    let durable = Durable::new(&chunks);
    assert!(deliver(&durable.instance(&Plan::calm()), &chunks).await);
    for chunk in &chunks {
        // Its media is no media.
        let ledger = durable.ledger();
        let accepted = ledger.accept(&chunk.document_id, &Operator::Shell);
        accepted.await.expect("the ledger works");
        let now = chunk.event_time.expect("a test's event has a time");
        let change = |account: &mut RegisteredRecording| {
            account.started_at = chunk.started_at;
            account.call_id.clone_from(&chunk.call_id);
            account.files.announced_at = Some(now);
            account.files.has_last = true;
            let documents = account.files.chunks.entry(0).or_default();
            documents.insert(chunk.document_id.clone());
            account.stop(now);
        };
        let register = durable.register(&Plan::calm());
        let changed = register.change(&chunk.filed_under(), now, change).await;
        changed.expect("the register works");
    }
    durable.clock.advance(Duration::from_hours(47));
    look_at_everything(&durable).await;
    durable
}

/// A sweep ends, and a complete check.
async fn look_at_everything(durable: &Durable) {
    durable.clock.advance(Duration::from_mins(1));
    let sweep = LastSweep {
        at: durable.clock.now(),
        duration_ms: 1,
        timer: TimerSweep::EndedAt(durable.clock.now()),
        audit_checkpoint: None,
        audit_uncovered: None,
        audit_stamp: None,
    };
    let noted = durable.ledger().note_sweep(sweep).await;
    noted.expect("the store works");
    let asked_at = durable.clock.now();
    let budget = Budget::of(Duration::from_hours(1));
    let catalogue = catalogue(durable);
    let checked = catalogue.check(CheckStart::Now { asked_at }, budget).await;
    assert_eq!(checked.expect("the store works"), SliceOutcome::Finished);
}

fn catalogue(durable: &Durable) -> Catalogue {
    durable.catalogue(&Plan::calm())
}

async fn report(durable: &Durable, day: Date) -> CompletenessReport {
    let report = catalogue(durable).report(day).await;
    report.expect("the store works")
}

async fn days(durable: &Durable) -> Days {
    let days = catalogue(durable).days(DAY, DAY).await;
    days.expect("the store works")
}

async fn put(durable: &Durable, key: &str, content: &str) {
    let store = durable.store();
    store.remove(key).await.expect("the store works");
    let content = Bytes::from(content.to_owned());
    let put = store.put(key, content, Precondition::Absent).await;
    put.expect("the store works");
}

fn name(id: &str) -> Sha256Digest {
    recording_name(&id.parse::<RecordingId>().expect("it is an id"))
}

/// The report of the day is stored, and nothing is wrong in it.
async fn reported(durable: &Durable) {
    let register = durable.register(&Plan::calm());
    register.need_report(DAY).await.expect("the register works");
    let made = catalogue(durable).report_daily().await;
    made.expect("the store works");
    let summary = register.day_summary(&DAY.to_string()).await;
    let summary = summary.expect("it is readable").expect("it is made");
    assert_eq!(
        (summary.incomplete, summary.findings, summary.not_checked),
        (0, 0, 0)
    );
}

#[tokio::test]
async fn a_day_of_which_everything_was_looked_at_is_complete_and_says_by_what() {
    let durable = vault().await;
    let report = report(&durable, DAY).await;
    assert_eq!(report.outcome(), DayOutcome::Complete, "{report}");
    let text = report.to_string();
    for part in [
        "2, in 2 chunks.\nIn the vault: 2 chunks, by their receipts in the ledger.\n",
        "The complete check that began at 2026-03-04T",
        "\nNothing is missing.",
    ] {
        assert!(text.contains(part), "{text}");
    }
    let days = days(&durable).await;
    assert_eq!((days.days[0].incomplete, days.days[0].findings), (0, 0));
    assert!(days.not_checked.is_empty(), "{:?}", days.not_checked);
}

#[tokio::test]
async fn a_recording_whose_account_is_lost_is_unknown_at_once_and_listed_once() {
    let durable = vault().await;
    let key = format!("recordings/{}.json", name("r-0"));
    let removed = durable.store().remove(&key).await;
    removed.expect("the store works");
    let report = report(&durable, DAY).await;
    assert_eq!(report.outcome(), DayOutcome::Incomplete, "{report}");
    assert_eq!((report.recordings.len(), report.incomplete), (2, 1));
    let days = days(&durable).await;
    assert_eq!((days.days[0].recordings, days.days[0].incomplete), (2, 1));
}

/// The copy of the first recording is deleted by another program.
async fn remove_media(durable: &Durable) {
    let media = durable.vault.files().into_keys();
    let media =
        media.filter(|name| name.as_str().contains("doc-0") && !name.as_str().ends_with("json"));
    for name in media {
        let version = durable.vault.version(&name).await;
        let version = version.expect("the vault works").expect("it is there");
        let removed = durable.vault.remove(&name, &version).await;
        assert_eq!(removed.expect("the vault works"), RemoveOutcome::Removed);
    }
}

#[tokio::test]
async fn a_copy_that_is_gone_concerns_its_day_and_no_other() {
    let durable = vault().await;
    reported(&durable).await;
    remove_media(&durable).await;
    look_at_everything(&durable).await;

    let report = report(&durable, DAY).await;
    assert_eq!(report.incomplete, 0);
    assert_eq!(report.outcome(), DayOutcome::NotKnown, "{report}");
    let text = report.to_string();
    assert!(
        text.contains("Whether anything is missing is not known.\nFound: ")
            && text.contains("the copy of chunk doc-0 is not in the vault"),
        "{text}"
    );
    let catalogue = catalogue(&durable);
    let days = catalogue.days(DAY, date(2026, 3, 3)).await;
    let days = days.expect("the store works").days;
    assert!(days[0].findings > 0, "{days:?}");
    assert_eq!(days[1].findings, 0, "{days:?}");
}

#[tokio::test]
async fn an_entry_that_became_unreadable_after_the_report_makes_its_day_incomplete() {
    let durable = vault().await;
    reported(&durable).await;
    put(&durable, "chunks/doc-0.json", "{").await;
    look_at_everything(&durable).await;
    let days = days(&durable).await;
    assert_eq!(days.days[0].incomplete, 1, "{days:?}");
    let report = report(&durable, DAY).await;
    assert_eq!(report.outcome(), DayOutcome::Incomplete, "{report}");
}

#[tokio::test]
async fn a_day_is_not_complete_while_an_event_is_not_readable_or_more_is_open_than_was_read() {
    let durable = vault().await;
    reported(&durable).await;
    let event = json!({"id": "e"});
    let kept = durable.ledger();
    let kept = kept.keep_poison(&event, "it has no type").await;
    kept.expect("the ledger works");
    let with_poison = report(&durable, DAY).await;
    assert_eq!(with_poison.findings, ["1 event that could not be read"]);
    assert_eq!(with_poison.outcome(), DayOutcome::NotKnown);
    assert_eq!(
        days(&durable).await.not_checked,
        ["1 event that could not be read"]
    );

    let durable = vault().await;
    reported(&durable).await;
    let now = durable.clock.now();
    let list = Listed::Attention(Attention::Failed);
    let markers = (0..500).map(|number| list.marker(now, &name(&format!("other-{number}")), None));
    let written = Index::new(durable.store()).put(markers, now).await;
    written.expect("the store works");
    let capped = report(&durable, DAY).await;
    assert_eq!(
        capped.not_checked,
        ["there are more recordings that are not settled than were looked at"]
    );
    assert_eq!(capped.outcome(), DayOutcome::NotKnown);
    assert!(days(&durable).await.days[0].is_capped);
}

#[tokio::test]
async fn without_a_recent_check_a_day_is_not_called_complete() {
    let durable = vault().await;
    durable.clock.advance(Duration::from_hours(27));
    let report = report(&durable, DAY).await;
    assert_eq!(report.outcome(), DayOutcome::NotKnown);
    let text = report.not_checked.join("\n");
    assert!(
        text.contains("the last complete check is of") && text.contains("the last sweep ended"),
        "{text}"
    );
}

#[tokio::test]
async fn an_empty_day_has_one_answer_for_an_operator_and_in_the_ledger() {
    let durable = vault().await;
    let empty = date(2026, 3, 3);
    let made = catalogue(&durable).report_daily().await;
    made.expect("the store works");
    let stored = durable.store().find(&format!("reports/{empty}.txt")).await;
    let stored = stored.expect("the store works").expect("it is made");
    let stored = String::from_utf8_lossy(&stored.content).into_owned();
    let report = report(&durable, empty).await;
    assert_eq!(report.outcome(), DayOutcome::NoRecordings);
    let text = report.to_string();
    assert_eq!(
        text,
        "No data of 2026-03-03: no recording is known to have begun on it."
    );
    assert!(stored.starts_with(&text), "{stored}");
}

/// What a search for the case finds, and what it could not look into.
async fn found(durable: &Durable) -> (usize, Vec<String>) {
    let filter = ListFilter {
        top: 10,
        ..ListFilter::default()
    };
    let page = catalogue(durable)
        .search("a-17", filter, &Operator::Shell)
        .await;
    let page = page.expect("the store works");
    let not_searched = page.not_searched.unwrap_or_default();
    let names = not_searched.unreadable_names.into_iter();
    (page.recordings.len(), names.collect())
}

#[tokio::test]
async fn a_search_for_a_case_names_the_accounts_entries_and_holds_that_it_could_not_read() {
    let durable = vault().await;
    let case = Case {
        tag: "A-17".parse().expect("it is a tag"),
        by: None,
        requested_by: None,
        note: None,
        since: durable.clock.now(),
    };
    let call = Held::CallId("call-1".parse().expect("it is an id"));
    let added = durable.holds(&Plan::calm());
    added.add(&call, &case).await.expect("the ledger works");
    assert_eq!(found(&durable).await, (2, Vec::new()));

    let key = format!("recordings/{}.json", name("r-0"));
    put(&durable, &key, "{").await;
    assert_eq!(found(&durable).await, (1, vec![format!("`{key}`")]));

    let documents = durable.documents().await.into_iter();
    let mut holds = documents.filter(|(key, _)| key.starts_with("holds/"));
    let hold = holds.next().expect("it is there").0;
    put(&durable, &hold, "{").await;
    assert_eq!(
        found(&durable).await,
        (0, vec![format!("`{key}`"), format!("the hold `{hold}`")])
    );
}

#[tokio::test]
async fn a_day_is_not_called_complete_before_it_has_ended() {
    let durable = vault().await;
    let over = report(&durable, DAY).await;
    assert_eq!(over.outcome(), DayOutcome::Complete, "{over}");
    assert!(days(&durable).await.days[0].is_over);

    // The same recording a day and a half earlier: on the day itself.
    let chunks = [chunk("doc-0", 0)];
    let durable = Durable::new(&chunks);
    assert!(deliver(&durable.instance(&Plan::calm()), &chunks).await);
    let ledger = durable.ledger();
    let accepted = ledger.accept(&chunks[0].document_id, &Operator::Shell);
    accepted.await.expect("the ledger works");
    let change = |account: &mut RegisteredRecording| {
        account.started_at = chunks[0].started_at;
        account.files.has_last = true;
        let documents = account.files.chunks.entry(0).or_default();
        documents.insert(chunks[0].document_id.clone());
        account.stop(durable.clock.now());
    };
    let register = durable.register(&Plan::calm());
    let now = durable.clock.now();
    let changed = register.change(&chunks[0].filed_under(), now, change).await;
    changed.expect("the register works");
    durable.clock.advance(Duration::from_mins(45));
    look_at_everything(&durable).await;
    let early = report(&durable, DAY).await;
    assert_eq!(early.incomplete, 0, "{early}");
    assert_eq!(early.outcome(), DayOutcome::NotKnown, "{early}");
    assert!(
        early.not_checked[0].contains("the day is not over"),
        "{early}"
    );
    assert!(!days(&durable).await.days[0].is_over);
}

/// The first report of the day is due.
async fn need_report(durable: &Durable) {
    let needed = durable.register(&Plan::calm()).need_report(DAY).await;
    needed.expect("the store works");
}

/// The reports of a process that keeps notices for subscribers; whether they could be made.
async fn report_to_subscribers(durable: &Durable, plan: &std::sync::Arc<Plan>) -> bool {
    let outbox = Outbox::new(durable.store());
    let register = durable.register(plan).with_outbox(Some(outbox));
    let vaults = Vaults::new(durable.vault.clone(), None);
    let catalogue = Catalogue::new(durable.ledger(), register, vaults, durable.clock.clone());
    catalogue.report_daily().await.is_ok()
}

/// The ids of the notices of the day.
async fn notices(durable: &Durable) -> Vec<String> {
    let waiting = Outbox::new(durable.store()).waiting(None, 100).await;
    let mut waiting = waiting.expect("the store works");
    waiting.retain(
        |outgoing| matches!(outgoing.kept.notice, Notice::DayCompleted { day, .. } if day == DAY),
    );
    waiting.into_iter().map(|outgoing| outgoing.id).collect()
}

#[tokio::test]
async fn subscribers_get_a_day_again_when_it_gets_worse_or_better_and_not_otherwise() {
    let durable = vault().await;
    let entry = durable.store().find("chunks/doc-0.json").await;
    let entry = entry.expect("the store works").expect("it is exported");
    let entry = String::from_utf8_lossy(&entry.content).into_owned();
    need_report(&durable).await;
    for (content, expected) in [
        (&*entry, 1),
        (&*entry, 1),
        ("{", 2),
        ("{", 2),
        (&*entry, 3),
        ("{", 4),
    ] {
        put(&durable, "chunks/doc-0.json", content).await;
        look_at_everything(&durable).await;
        durable.clock.advance(Duration::from_secs(10));
        assert!(report_to_subscribers(&durable, &Plan::calm()).await);
        assert_eq!(notices(&durable).await.len(), expected, "{content}");
    }
}

#[tokio::test]
async fn a_kill_or_a_failure_while_a_day_is_reported_again_doubles_no_notice_and_drops_none() {
    let before = vault().await;
    need_report(&before).await;
    assert!(report_to_subscribers(&before, &Plan::calm()).await);
    put(&before, "chunks/doc-0.json", "{").await;
    look_at_everything(&before).await;
    for fault in [Fault::FailBefore, Fault::FailAfter] {
        let mut number = 0;
        loop {
            let durable = before.fork();
            let plan = Plan::at(number, fault);
            report_to_subscribers(&durable, &plan).await;
            durable.clock.advance(Duration::from_mins(1));
            assert!(report_to_subscribers(&durable, &Plan::calm()).await);
            let notices = notices(&durable).await;
            assert_eq!(notices.len(), 2, "{fault:?} at call {number}");
            if plan.calls() <= number {
                break;
            }
            number += 1;
        }
        assert!(number > 5, "the register is asked {number} times");
    }
}
