//! A document that cannot be read (archived, damaged, a folder of its name) stops only itself, and is named.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use recording_vault::store::audit::{Actor, AuditAction, Checkpointed};
use recording_vault::store::document_store::{
    DocumentRemoval, DocumentStore, Precondition, PutOutcome, StoreError, Version, Versioned,
};
use recording_vault::vault::memory::MemoryDocumentStore;
use serde_json::json;

use super::tampering::{assert_one, filled, remove, replace};
use super::{World, append, checkpoint, try_append};
use crate::support::failing_store::FailingStore;

#[tokio::test]
async fn a_document_that_cannot_be_read_does_not_stop_the_checkpoints_of_other_logs() {
    let world = World::new();
    let (one, other) = (world.log(), world.log());
    append(&one, "a").await;
    append(&other, "b").await;
    checkpoint(&one).await;
    let unreadable = append(&one, "c").await;
    append(&other, "d").await;
    let part: &'static str = unreadable.key().leak();
    let sweeping = world.log_on(FailingStore::of(&world.store, part));
    let swept = sweeping
        .sweep_logs(None)
        .await
        .expect("the others can be read");
    assert!(
        matches!(swept.checkpointed, Checkpointed::Written(newest) if newest.number == 2),
        "{swept:?}"
    );
    let unread: Vec<_> = swept.unread.iter().map(|unread| &unread.log).collect();
    assert_eq!(unread, [&unreadable.writer]);
    let report = world.log().verify().await.expect("the store works");
    assert_eq!(report.problems, Vec::<String>::new());
    assert_eq!(report.records_after_newest, 1, "only the one");

    let again = sweeping
        .sweep_logs(None)
        .await
        .expect("the others can be read");
    assert!(matches!(again.checkpointed, Checkpointed::NothingNew(_)));
    assert_eq!(again.unread.len(), 1, "it is reported until it is readable");
    let later = world.log().sweep_logs(None).await.expect("the store works");
    assert_eq!(later.unread, []);
    let report = world.log().verify().await.expect("the store works");
    assert_eq!(report.records_after_newest, 0);
}

#[tokio::test]
async fn a_check_names_what_it_could_not_read_and_checks_the_rest() {
    for part in [
        "/000000000007.json",
        "checkpoints/000000000003.json",
        "newest-checkpoint",
    ] {
        let world = filled().await;
        let log = world.log_on(FailingStore::of(&world.store, part));
        let report = log.verify().await.expect("the others can be read");
        assert_eq!(report.problems, Vec::<String>::new(), "{part}");
        assert_eq!(
            report.not_checked.len(),
            1,
            "{part}: {:?}",
            report.not_checked
        );
        assert!(report.records >= 40, "{part}: {}", report.records);
    }
    // Other faults are still found.
    let world = filled().await;
    let keys = super::tampering::documents(&world).await;
    replace(&world, &keys[20], "{}".into()).await;
    let log = world.log_on(FailingStore::of(&world.store, "/000000000007.json"));
    let report = log.verify().await.expect("the others can be read");
    assert!(!report.problems.is_empty());
}

#[tokio::test]
async fn a_writer_whose_next_document_can_never_be_written_begins_another_log() {
    let world = World::new();
    let log = world.log_on(FailingStore::of(&world.store, "/000000000002.json"));
    let first = append(&log, "a").await;
    let mut attempts = 0;
    let second = loop {
        match try_append(&log, "b").await {
            Ok(position) => break position,
            Err(_) => attempts += 1,
        }
        assert!(attempts < 10, "it never begins another log");
    };
    assert_ne!(second.writer, first.writer);
    assert_eq!(world.problems().await, Vec::<String>::new());
}

#[tokio::test]
async fn what_is_missing_before_a_document_that_cannot_be_read_is_found() {
    let world = filled().await;
    for key in &super::tampering::documents(&world).await[4..6] {
        remove(&world, key).await;
    }
    let log = world.log_on(FailingStore::of(&world.store, "/000000000007.json"));
    let report = log.verify().await.expect("the others can be read");
    assert_one(&report.problems, "documents 5 to 6 are missing");

    let world = filled().await;
    remove(&world, "audit/checkpoints/000000000004.json").await;
    let log = world.log_on(FailingStore::of(
        &world.store,
        "checkpoints/000000000005.json",
    ));
    let report = log.verify().await.expect("the others can be read");
    assert_one(&report.problems, "checkpoint 4 is missing");
}

#[tokio::test]
async fn keys_that_no_writer_has_are_problems_and_no_documents() {
    for name in ["000000000000", "18446744073709551615", "1"] {
        let world = filled().await;
        let last = super::tampering::documents(&world).await.pop();
        let last = last.expect("there are documents");
        let (folder, _) = last.rsplit_once('/').expect("it is in a folder");
        for key in [
            format!("{folder}/{name}.json"),
            format!("audit/checkpoints/{name}.json"),
        ] {
            replace(&world, &key, "{}".into()).await;
            let problems = world.problems().await;
            assert!(
                problems.iter().any(|problem| problem.contains(&key)),
                "{problems:?}"
            );
            remove(&world, &key).await;
        }
    }
}

/// A store that waits a moment before each answer, and refuses the names of people.
struct RefusedNames(Arc<MemoryDocumentStore>);

impl RefusedNames {
    async fn check(&self, key: &str) -> Result<(), StoreError> {
        tokio::task::yield_now().await;
        if key.starts_with("people/") {
            return Err(StoreError {
                action: "read",
                key: key.to_owned(),
                source: "it is refused".into(),
            });
        }
        Ok(())
    }
}

#[async_trait]
impl DocumentStore for RefusedNames {
    async fn find(&self, key: &str) -> Result<Option<Versioned>, StoreError> {
        self.check(key).await?;
        self.0.find(key).await
    }

    async fn put(
        &self,
        key: &str,
        content: Bytes,
        condition: Precondition,
    ) -> Result<PutOutcome, StoreError> {
        self.check(key).await?;
        self.0.put(key, content, condition).await
    }

    async fn remove(&self, key: &str) -> Result<(), StoreError> {
        self.0.remove(key).await
    }

    async fn remove_unchanged(
        &self,
        key: &str,
        version: &Version,
    ) -> Result<DocumentRemoval, StoreError> {
        self.0.remove_unchanged(key, version).await
    }

    async fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>, StoreError> {
        self.0.list(prefix, after, limit).await
    }
}

#[tokio::test]
async fn a_name_that_is_refused_keeps_back_no_records_of_others() {
    let world = World::new();
    let log = world.log_on(Arc::new(RefusedNames(world.store.clone())));
    append(&log, "first").await;
    let of_eve = || {
        let detail = json!({"by": "eve"});
        log.append(Actor::Operator, AuditAction::Retried, "e", detail)
    };
    // The first one is being written while the others come, so that they are one batch.
    let (begun, one, refused, other) = tokio::join!(
        try_append(&log, "begun"),
        try_append(&log, "one"),
        of_eve(),
        try_append(&log, "other"),
    );
    assert!(refused.is_err(), "{refused:?}");
    begun.expect("it is written");
    let (one, other) = (one.expect("it is written"), other.expect("it is written"));
    assert_eq!(one, other, "they are in one document");
}
