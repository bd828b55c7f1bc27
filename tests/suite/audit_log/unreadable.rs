//! A document that cannot be read (archived, damaged, a folder of its name) stops only itself, and is named.

use recording_vault::store::audit::Checkpointed;

use super::tampering::{filled, replace};
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
    let swept = sweeping.sweep_logs(None).await.expect("the others can be read");
    assert!(
        matches!(swept.checkpointed, Checkpointed::Written(newest) if newest.number == 2),
        "{swept:?}"
    );
    let unread: Vec<_> = swept.unread.iter().map(|unread| &unread.log).collect();
    assert_eq!(unread, [&unreadable.writer]);
    let report = world.log().verify().await.expect("the store works");
    assert_eq!(report.problems, Vec::<String>::new());
    assert_eq!(report.records_after_newest, 1, "only the one");

    let again = sweeping.sweep_logs(None).await.expect("the others can be read");
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
