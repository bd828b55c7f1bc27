//! What every [`DocumentStore`] promises. Each test runs on memory, on a directory, and on a container of real Azurite.

use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt as _;
use recording_vault::store::document_store::{
    DocumentRemoval, DocumentStore, Precondition, PutOutcome, Version,
};
use recording_vault::store::listing::keys;
use recording_vault::vault::azure::AzureDocumentStore;
use recording_vault::vault::directory::DirectoryDocumentStore;
use recording_vault::vault::memory::MemoryDocumentStore;
use tempfile::TempDir;

use crate::support::azurite;

/// All implementations, empty. The containers are not made: a store makes its own.
struct Stores(
    Vec<(&'static str, Arc<dyn DocumentStore>)>,
    #[expect(dead_code, reason = "kept while the directory is used")] TempDir,
);

fn stores() -> Stores {
    let folder = tempfile::tempdir().expect("there is room for temporary files");
    let azure = AzureDocumentStore::new(azurite::client(&azurite::new_container_url()));
    let stores: Vec<(_, Arc<dyn DocumentStore>)> = vec![
        ("memory", Arc::new(MemoryDocumentStore::default())),
        (
            "directory",
            Arc::new(DirectoryDocumentStore::new(folder.path().join("ledger"))),
        ),
        ("azure", Arc::new(azure)),
    ];
    Stores(stores, folder)
}

async fn put(
    store: &dyn DocumentStore,
    key: &str,
    content: &'static str,
    condition: Precondition,
) -> PutOutcome {
    store
        .put(key, Bytes::from_static(content.as_bytes()), condition)
        .await
        .expect("the store works")
}

async fn content(store: &dyn DocumentStore, key: &str) -> Option<Bytes> {
    store
        .find(key)
        .await
        .expect("the store works")
        .map(|found| found.content)
}

async fn version(store: &dyn DocumentStore, key: &str) -> Version {
    store
        .find(key)
        .await
        .expect("the store works")
        .expect("the document is there")
        .version
}

#[tokio::test]
async fn an_empty_store_finds_and_lists_nothing() {
    for (name, store) in stores().0 {
        assert_eq!(content(&*store, "chunks/a.json").await, None, "{name}");
        assert!(
            store
                .list("chunks/", None, 10)
                .await
                .expect("the store works")
                .is_empty(),
            "{name}"
        );
        store
            .remove("chunks/a.json")
            .await
            .expect("removing what is not there is done");
    }
}

#[tokio::test]
async fn what_was_written_is_found() {
    for (name, store) in stores().0 {
        let written = put(&*store, "chunks/a.json", "one", Precondition::Absent).await;
        assert!(written.is_written(), "{name}");
        assert_eq!(
            content(&*store, "chunks/a.json").await.as_deref(),
            Some(&b"one"[..]),
            "{name}"
        );
    }
}

#[tokio::test]
async fn a_write_tells_the_version_that_the_next_one_is_conditional_on() {
    for (name, store) in stores().0 {
        let first = put(&*store, "a", "one", Precondition::Absent).await;
        let PutOutcome::Written(first) = first else {
            panic!("{name}: nobody else writes");
        };
        assert_eq!(first, version(&*store, "a").await, "{name}");
        let second = put(&*store, "a", "two", Precondition::Unchanged(first.clone())).await;
        let PutOutcome::Written(second) = second else {
            panic!("{name}: nobody else writes");
        };
        assert_ne!(first, second, "{name}");
        assert_eq!(second, version(&*store, "a").await, "{name}");
        let third = put(&*store, "a", "three", Precondition::Unchanged(second)).await;
        assert!(third.is_written(), "{name}");
    }
}

#[tokio::test]
async fn an_empty_document_is_a_document() {
    for (name, store) in stores().0 {
        let written = put(&*store, "open/a", "", Precondition::Absent).await;
        assert!(written.is_written(), "{name}");
        assert_eq!(
            content(&*store, "open/a").await,
            Some(Bytes::new()),
            "{name}"
        );
        assert_eq!(
            put(&*store, "open/a", "", Precondition::Absent).await,
            PutOutcome::Conflict,
            "{name}"
        );
    }
}

#[tokio::test]
async fn what_should_be_absent_is_not_overwritten() {
    for (name, store) in stores().0 {
        put(&*store, "a", "one", Precondition::Absent).await;
        assert_eq!(
            put(&*store, "a", "two", Precondition::Absent).await,
            PutOutcome::Conflict,
            "{name}"
        );
        assert_eq!(
            content(&*store, "a").await.as_deref(),
            Some(&b"one"[..]),
            "{name}"
        );
    }
}

#[tokio::test]
async fn a_stale_version_does_not_overwrite() {
    for (name, store) in stores().0 {
        put(&*store, "a", "one", Precondition::Absent).await;
        let stale = version(&*store, "a").await;
        let written = put(&*store, "a", "two", Precondition::Unchanged(stale.clone())).await;
        assert!(written.is_written(), "{name}");
        assert_eq!(
            put(&*store, "a", "three", Precondition::Unchanged(stale)).await,
            PutOutcome::Conflict,
            "{name}"
        );
        assert_eq!(
            content(&*store, "a").await.as_deref(),
            Some(&b"two"[..]),
            "{name}"
        );
    }
}

#[tokio::test]
async fn a_removed_document_is_not_unchanged() {
    for (name, store) in stores().0 {
        put(&*store, "a", "one", Precondition::Absent).await;
        let version = version(&*store, "a").await;
        store.remove("a").await.expect("the store works");
        assert_eq!(
            put(&*store, "a", "two", Precondition::Unchanged(version)).await,
            PutOutcome::Conflict,
            "{name}"
        );
        assert_eq!(content(&*store, "a").await, None, "{name}");
    }
}

#[tokio::test]
async fn of_writers_at_once_exactly_one_wins() {
    for (name, store) in stores().0 {
        put(&*store, "a", "start", Precondition::Absent).await;
        let version = version(&*store, "a").await;
        let writers = (0..8).map(|number| {
            let (store, version) = (Arc::clone(&store), version.clone());
            let content = Bytes::from(format!("writer {number}"));
            tokio::spawn(async move {
                store
                    .put("a", content, Precondition::Unchanged(version))
                    .await
                    .expect("the store works")
            })
        });
        let outcomes = futures::future::join_all(writers).await;
        let won = outcomes
            .into_iter()
            .filter(|outcome| matches!(outcome, Ok(PutOutcome::Written(_))))
            .count();
        assert_eq!(won, 1, "{name}");
    }
}

#[tokio::test]
async fn keys_are_listed_in_order_by_prefix_and_in_pages() {
    for (name, store) in stores().0 {
        for key in ["open/3", "open/1", "open/2", "opened/9", "chunks/1.json"] {
            put(&*store, key, "", Precondition::Absent).await;
        }
        assert_eq!(
            store
                .list("open/", None, 10)
                .await
                .expect("the store works"),
            ["open/1", "open/2", "open/3"],
            "{name}"
        );
        assert_eq!(
            store.list("open/", None, 2).await.expect("the store works"),
            ["open/1", "open/2"],
            "{name}"
        );
        assert_eq!(
            store
                .list("open/", Some("open/2"), 2)
                .await
                .expect("the store works"),
            ["open/3"],
            "{name}"
        );
    }
}

#[tokio::test]
async fn keys_in_folders_are_listed_in_the_order_of_their_whole_text_whatever_a_page_begins_after()
{
    let keys = [
        "a/1/x", "a/1-y", "a/10/b/c", "a/10/b0", "a/2", "a/2-/q", "a/20/~", "b/1",
    ];
    let mut sorted = keys;
    sorted.sort_unstable();
    for (name, store) in stores().0 {
        for key in keys {
            put(&*store, key, "", Precondition::Absent).await;
        }
        for prefix in ["", "a/", "a/1", "a/10/", "a/10/b", "a/3"] {
            let wanted: Vec<&str> = sorted
                .iter()
                .filter(|key| key.starts_with(prefix))
                .copied()
                .collect();
            for after in [
                "", "a", "a/1", "a/1-y", "a/10/b/~", "a/10/b0", "a/2~", "a/20/", "zz",
            ] {
                let expected: Vec<&str> =
                    wanted.iter().filter(|key| **key > after).copied().collect();
                for limit in [1, 2, 10] {
                    let found = store
                        .list(prefix, Some(after), limit)
                        .await
                        .expect("the store works");
                    assert_eq!(
                        found,
                        expected[..expected.len().min(limit)],
                        "{name}: `{prefix}` after `{after}`"
                    );
                }
            }
        }
    }
}

/// A page that is shorter than its limit is the last one: readers of lists rely on that.
#[tokio::test]
async fn foreign_names_and_empty_folders_shorten_no_page() {
    let folder = tempfile::tempdir().expect("there is room for temporary files");
    let url = azurite::container_url().await;
    std::fs::create_dir_all(folder.path().join("open/empty")).expect("there is room");
    for foreign in ["open/Report (1).csv", "open/a b", "open/\u{e4}"] {
        azurite::upload(&url, foreign, b"x").await;
        std::fs::write(folder.path().join(foreign), b"x").expect("there is room");
    }
    let stores: [(&str, Arc<dyn DocumentStore>); 2] = [
        (
            "directory",
            Arc::new(DirectoryDocumentStore::new(folder.path())),
        ),
        (
            "azure",
            Arc::new(AzureDocumentStore::new(azurite::client(&url))),
        ),
    ];
    for (which, store) in stores {
        for key in ["open/1", "open/b", "open/f/c"] {
            put(&*store, key, "", Precondition::Absent).await;
        }
        for limit in 1..=7 {
            let (mut seen, mut after) = (Vec::new(), None::<String>);
            loop {
                let page = store.list("open/", after.as_deref(), limit).await;
                let page = page.expect("the store works");
                let is_last = page.len() < limit;
                after = page.last().cloned().or(after);
                seen.extend(page);
                if is_last {
                    break;
                }
            }
            for own in ["open/1", "open/b", "open/f/c"] {
                assert!(
                    seen.iter().any(|key| key == own),
                    "{which}, {limit}: {seen:?}"
                );
            }
        }
        let all: Vec<String> = keys(&*store, "open/", None)
            .try_collect()
            .await
            .expect("the store works");
        assert!(all.is_sorted() && all.len() >= 3, "{which}: {all:?}");
    }
}

#[tokio::test]
async fn a_document_is_removed_only_at_the_version_that_was_read() {
    for (which, store) in stores().0 {
        let store = &*store;
        put(store, "a/b", "one", Precondition::Absent).await;
        let first = version(store, "a/b").await;
        put(store, "a/b", "two", Precondition::Unchanged(first.clone())).await;
        let remove = async |version: &Version| {
            let removed = store.remove_unchanged("a/b", version).await;
            removed.expect("the store works")
        };
        assert_eq!(remove(&first).await, DocumentRemoval::Changed, "{which}");
        assert_eq!(
            content(store, "a/b").await.expect("it is there"),
            "two",
            "{which}"
        );
        let second = version(store, "a/b").await;
        for _ in 0..2 {
            assert_eq!(remove(&second).await, DocumentRemoval::Removed, "{which}");
        }
        assert_eq!(content(store, "a/b").await, None, "{which}");
    }
}
