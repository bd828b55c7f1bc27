//! Names and texts of the audit log: what is erased, and what was changed or removed otherwise.

use std::sync::Mutex;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::references::{NAME_MEMBERS, name_key, text_key};
use super::*;
use crate::clock::ManualClock;
use crate::store::audit::record::Actor;
use crate::store::audit::{AuditAction, AuditLog};
use crate::store::faulty_store::{Faults, FaultyStore, Request};
use crate::vault::memory::MemoryDocumentStore;

fn log() -> (AuditLog, Arc<MemoryDocumentStore>) {
    let store = Arc::new(MemoryDocumentStore::default());
    let clock = Arc::new(ManualClock::starting_at(Timestamp::UNIX_EPOCH));
    (AuditLog::new(store.clone(), clock), store)
}

async fn append(log: &AuditLog, subject: &str, detail: Value) -> AuditRecord {
    let position = log
        .append(Actor::Operator, AuditAction::Acknowledged, subject, detail)
        .await
        .unwrap();
    let mut records = log.records(&position).await.unwrap();
    records.pop().unwrap()
}

#[tokio::test]
async fn the_log_has_neither_the_name_nor_the_text_and_a_reader_gets_both() {
    let (log, _) = log();
    let detail = json!({"by": "ada@desk", "reason": "Bert asked", "through": "shell"});
    let stored = append(&log, "chunk-a", detail.clone()).await;
    let text = stored.detail.to_string();
    assert!(
        !text.contains("ada@desk") && !text.contains("Bert"),
        "{text}"
    );
    assert!(AuditLog::names(
        &stored,
        &log.reference_to("Ada@desk").await.unwrap()
    ));
    assert_eq!(log.reveal(stored).await.unwrap().detail, detail);
}

#[tokio::test]
async fn what_is_erased_of_one_subject_or_operator_leaves_the_others() {
    let (log, _) = log();
    let by = |name: &str| json!({"by": name, "reason": "a reason"});
    let one = append(&log, "chunk-a", by("ada")).await;
    let other = append(&log, "chunk-b", by("bert")).await;
    log.erase_texts("chunk-a").await.unwrap();
    assert!(log.erase_name("ada").await.unwrap());
    assert!(!log.erase_name("ada").await.unwrap(), "it is erased");
    assert_eq!(
        log.reveal(one).await.unwrap().detail,
        json!({"by": "(erased)", "reason": "(erased)"})
    );
    assert_eq!(log.reveal(other).await.unwrap().detail, by("bert"));
    assert!(log.verify().await.unwrap().problems.is_empty());
}

#[tokio::test]
async fn the_same_text_twice_has_two_references() {
    let (log, _) = log();
    let detail = json!({"reason": "a reason"});
    let one = append(&log, "chunk-a", detail.clone()).await;
    let other = append(&log, "chunk-a", detail).await;
    assert_ne!(
        one.detail, other.detail,
        "a hash allows no guess at the text"
    );
}

#[tokio::test]
async fn what_an_operator_does_after_an_erasure_does_not_name_the_earlier_acts_again() {
    let (log, store) = log();
    let mut erased: Vec<AuditRecord> = Vec::new();
    for turn in 0..3 {
        let stored = append(&log, &format!("chunk-{turn}"), json!({"by": "Yoko"})).await;
        let reference = log.reference_to("yoko").await.unwrap();
        assert!(AuditLog::names(&stored, &reference));
        for earlier in &erased {
            assert!(!AuditLog::names(earlier, &reference), "{turn}");
            let shown = log.reveal(earlier.clone()).await.unwrap();
            assert_eq!(shown.detail["by"], "(erased)", "{turn}");
        }
        let shown = log.reveal(stored.clone()).await.unwrap();
        assert_eq!(shown.detail["by"], "Yoko", "{turn}");
        assert!(log.erase_name("yoko").await.unwrap());
        assert!(log.verify().await.unwrap().problems.is_empty());
        erased.push(stored);
    }
    for key in store.list("people/", None, 10).await.unwrap() {
        let kept = store.find(&key).await.unwrap().unwrap();
        let kept = String::from_utf8_lossy(&kept.content).to_lowercase();
        assert!(!kept.contains("yoko"), "{kept}");
    }
}

#[tokio::test]
async fn an_erased_name_that_is_put_back_under_its_old_hash_is_no_name_of_new_acts() {
    let (log, store) = log();
    let before = append(&log, "chunk-a", json!({"by": "ada"})).await;
    log.erase_name("ada").await.unwrap();
    let after = append(&log, "chunk-b", json!({"by": "ada"})).await;
    // The newer document in the older one's place.
    let newer = store.find(&key_of(&after, "by")).await.unwrap().unwrap();
    let newer = serde_json::from_slice(&newer.content).unwrap();
    replace(&store, &key_of(&before, "by"), &newer).await;
    let shown = log.reveal(before).await.unwrap();
    assert_eq!(shown.detail["by"], "(does not match the log)");
}

/// The key of the document that a member of a stored record refers to.
fn key_of(stored: &AuditRecord, member: &str) -> String {
    let reference = stored.detail[member].as_str().unwrap();
    let (_, hash) = reference.split_once(':').unwrap();
    if NAME_MEMBERS.contains(&member) {
        name_key(hash)
    } else {
        text_key(&stored.subject, hash)
    }
}

async fn replace(store: &MemoryDocumentStore, key: &str, content: &Value) {
    let condition = match store.find(key).await.unwrap() {
        Some(found) => Precondition::Unchanged(found.version),
        None => Precondition::Absent,
    };
    let content = content.to_string().into();
    store.put(key, content, condition).await.unwrap();
}

#[tokio::test]
async fn a_name_or_text_that_was_changed_is_not_shown_as_the_logs() {
    let (log, store) = log();
    let detail = json!({"by": "ada", "reason": "Bert asked"});
    let stored = append(&log, "chunk-a", detail).await;
    let text = store.find(&key_of(&stored, "reason")).await.unwrap();
    let mut text: Value = serde_json::from_slice(&text.unwrap().content).unwrap();
    text["text"] = "Carl asked".into();
    replace(&store, &key_of(&stored, "reason"), &text).await;
    let other_name = json!({"name": "eve"});
    for name in [other_name, json!("not a name")] {
        replace(&store, &key_of(&stored, "by"), &name).await;
        let different = "(does not match the log)";
        assert_eq!(
            log.reveal(stored.clone()).await.unwrap().detail,
            json!({"by": different, "reason": different})
        );
        let problems = log.verify().await.unwrap().problems;
        assert_eq!(problems.len(), 2, "{problems:?}");
        assert!(problems[0].contains("`by`") && problems[0].contains("does not match"));
        assert!(problems[1].contains("`reason`") && problems[1].contains("does not match"));
    }
}

/// One document cannot be read.
#[derive(Default)]
struct Unreadable(Mutex<String>);

impl Faults for Unreadable {
    fn fails(&self, request: Request<'_>, key: &str) -> bool {
        request == Request::Find && *self.0.lock().unwrap() == key
    }
}

#[tokio::test]
async fn a_text_that_cannot_be_read_hides_no_name_that_was_changed() {
    let store = FaultyStore::new(Unreadable::default());
    let clock = Arc::new(ManualClock::starting_at(Timestamp::UNIX_EPOCH));
    let log = AuditLog::new(store.clone(), clock);
    let detail = json!({"by": "ada", "reason": "Bert asked"});
    let stored = append(&log, "chunk-a", detail).await;
    append(&log, "chunk-b", json!({"by": "ada"})).await;
    let by = key_of(&stored, "by");
    store.remove(&by).await.unwrap();
    let forged = json!({"name": "eve"}).to_string().into();
    let put = store.put(&by, forged, Precondition::Absent).await;
    assert!(put.unwrap().is_written());
    let text = key_of(&stored, "reason");
    store.0.lock().unwrap().clone_from(&text);

    let report = log.verify().await.unwrap();
    let (problems, not_checked) = (report.problems, report.not_checked);
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].contains("`by`") && problems[0].contains("does not match"));
    assert_eq!(not_checked.len(), 1, "{not_checked:?}");
    let part = "names and texts of 1 document could not be checked";
    assert!(
        not_checked[0].contains(part) && not_checked[0].contains(&text),
        "{not_checked:?}"
    );
}

#[tokio::test]
async fn what_was_removed_without_an_erasure_is_missing() {
    let (log, store) = log();
    let detail = json!({"wantedBy": "ada", "reason": "Bert asked"});
    let stored = append(&log, "chunk-a", detail.clone()).await;
    append(&log, "chunk-b", detail).await;
    log.erase_texts("chunk-b").await.unwrap();
    for member in ["wantedBy", "reason"] {
        store.remove(&key_of(&stored, member)).await.unwrap();
    }
    // The mark of another subject's erasure, in the place of this one's.
    let marks = store.list("audit-texts/erased/", None, 10).await.unwrap();
    let mark = store.find(&marks[0]).await.unwrap().unwrap();
    let mark = serde_json::from_slice(&mark.content).unwrap();
    let digest = Sha256Digest::of(b"chunk-a");
    replace(&store, &format!("audit-texts/erased/{digest}.json"), &mark).await;

    assert_eq!(
        log.reveal(stored).await.unwrap().detail,
        json!({"wantedBy": "(missing)", "reason": "(missing)"})
    );
    let problems = log.verify().await.unwrap().problems;
    assert_eq!(problems.len(), 2, "each name once: {problems:?}");
    let is_missing = |problem: &String| problem.contains("no record says that it was erased");
    assert!(problems.iter().all(is_missing), "{problems:?}");
}

#[tokio::test]
async fn an_erasure_covers_no_text_that_was_written_later() {
    let store = Arc::new(MemoryDocumentStore::default());
    let clock = Arc::new(ManualClock::starting_at(Timestamp::UNIX_EPOCH));
    let log = AuditLog::new(store.clone(), clock.clone());
    let before = append(&log, "chunk-a", json!({"reason": "Bert asked"})).await;
    log.erase_texts("chunk-a").await.unwrap();
    clock.advance(std::time::Duration::from_hours(1));
    let after = append(&log, "chunk-a", json!({"reason": "Carl asked"})).await;
    store.remove(&key_of(&after, "reason")).await.unwrap();
    let shown = async |stored| log.reveal(stored).await.unwrap().detail["reason"].clone();
    assert_eq!(shown(before).await, "(erased)");
    assert_eq!(shown(after.clone()).await, "(missing)");
    // Erased once more, it is covered too.
    append(&log, "chunk-a", json!({"reason": "Dora asked"})).await;
    log.erase_texts("chunk-a").await.unwrap();
    assert_eq!(shown(after).await, "(erased)");
}

#[tokio::test]
async fn texts_about_an_id_are_erased_however_it_was_written() {
    let (log, store) = log();
    for kind in ["call", "recording"] {
        let spelling = |id: &str| format!("{kind} {id}");
        let one = append(&log, &spelling("ab+/cd=="), json!({"note": "Bert asked"})).await;
        let other = append(&log, &spelling("ab-_ce"), json!({"note": "Dora asked"})).await;
        log.erase_texts(&spelling("ab-_cd")).await.unwrap();
        let shown = async |record| log.reveal(record).await.unwrap().detail["note"].clone();
        assert_eq!(shown(one).await, "(erased)", "{kind}");
        assert_eq!(shown(other).await, "Dora asked", "{kind}");
    }
    let marks = store.list("audit-texts/erased/", None, 10).await.unwrap();
    assert_eq!(marks.len(), 2);
    assert!(log.verify().await.unwrap().problems.is_empty());
}

#[tokio::test]
async fn a_name_that_another_process_erased_is_stored_again() {
    let (log, store) = log();
    append(&log, "chunk-a", json!({"by": "ada"})).await;
    let clock = Arc::new(ManualClock::starting_at(Timestamp::UNIX_EPOCH));
    let other = AuditLog::new(store, clock);
    assert!(other.erase_name("ada").await.unwrap());
    let stored = append(&log, "chunk-b", json!({"by": "ada"})).await;
    assert_eq!(log.reveal(stored).await.unwrap().detail["by"], "ada");
}

#[tokio::test]
async fn an_erasure_of_a_name_includes_its_marked_form() {
    let (log, _) = log();
    let detail = json!({"claimedBy": "eve", "startedBy": "Eve (claimed)"});
    let stored = append(&log, "chunk-a", detail).await;
    assert!(log.erase_name(" eve").await.unwrap());
    assert_eq!(
        log.reveal(stored).await.unwrap().detail,
        json!({"claimedBy": "(erased)", "startedBy": "(erased)"})
    );
    assert!(log.verify().await.unwrap().problems.is_empty());
}
