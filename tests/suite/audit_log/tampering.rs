//! Whatever somebody changes in the log's files is found, and named.

use bytes::Bytes;
use recording_vault::store::audit::CheckpointRef;
use recording_vault::store::digest::Sha256Digest;
use recording_vault::store::document_store::{DocumentStore as _, Precondition};
use serde_json::{Value, json};

use super::{QUIET, World, append, checkpoint};

const DOCUMENTS: usize = 40;

/// Two logs, of which one is closed, and checkpoints over both.
pub(super) async fn filled() -> World {
    let world = World::new();
    let closed = world.log();
    append(&closed, "closed").await;
    checkpoint(&closed).await;
    world.clock.advance(QUIET);
    checkpoint(&closed).await;
    let log = world.log();
    for number in 0..DOCUMENTS {
        append(&log, &number.to_string()).await;
        if number % 10 == 9 {
            checkpoint(&log).await;
        }
    }
    assert_eq!(world.problems().await, Vec::<String>::new());
    world
}

/// The keys of the log that is open.
pub(super) async fn documents(world: &World) -> Vec<String> {
    let mut keys = world.keys("audit/2").await;
    keys.split_off(keys.len() - DOCUMENTS)
}

pub(super) async fn content(world: &World, key: &str) -> Bytes {
    let found = world.store.find(key).await.expect("the store works");
    found.expect("it is there").content
}

pub(super) async fn json_of(world: &World, key: &str) -> Value {
    serde_json::from_slice(&content(world, key).await).expect("it is JSON")
}

pub(super) async fn remove(world: &World, key: &str) {
    world.store.remove(key).await.expect("the store works");
}

pub(super) async fn replace(world: &World, key: &str, content: Bytes) {
    remove(world, key).await;
    let put = world.store.put(key, content, Precondition::Absent).await;
    put.expect("the store works");
}

/// As the attacker of a test wants it.
async fn edit(world: &World, key: &str, from: &str, to: &str) {
    let before = String::from_utf8_lossy(&content(world, key).await).into_owned();
    assert!(before.contains(from), "{before}");
    replace(world, key, before.replace(from, to).into()).await;
}

pub(super) fn assert_one(problems: &[String], part: &str) {
    assert!(
        problems.len() == 1 && problems[0].contains(part),
        "{part} in {problems:?}"
    );
}

#[tokio::test]
async fn an_edit_a_gap_and_a_reordering_are_found() {
    let world = filled().await;
    let keys = documents(&world).await;
    edit(&world, &keys[6], "recorded", "forgotten").await;
    assert_one(&world.problems().await, "document 7 is not the one that");

    let world = filled().await;
    let keys = documents(&world).await;
    remove(&world, &keys[6]).await;
    assert_one(&world.problems().await, "document 7 is missing");

    let world = filled().await;
    let keys = documents(&world).await;
    let (seventh, eighth) = (
        content(&world, &keys[6]).await,
        content(&world, &keys[7]).await,
    );
    replace(&world, &keys[6], eighth).await;
    replace(&world, &keys[7], seventh).await;
    assert!(!world.problems().await.is_empty());
}

#[tokio::test]
async fn a_cut_tail_and_a_log_that_is_gone_are_found() {
    let world = filled().await;
    for key in &documents(&world).await[29..] {
        remove(&world, key).await;
    }
    assert_one(&world.problems().await, "a checkpoint has its document 40");

    let world = filled().await;
    for key in documents(&world).await {
        remove(&world, &key).await;
    }
    assert_one(
        &world.problems().await,
        "is missing; a checkpoint has its document 40",
    );

    let world = filled().await;
    let first = world.keys("audit/2").await.swap_remove(0);
    remove(&world, &first).await;
    assert!(!world.problems().await.is_empty(), "also of a closed log");
}

#[tokio::test]
async fn an_edit_of_a_logs_last_document_is_found() {
    let world = filled().await;
    let last = documents(&world).await.pop().expect("it has documents");
    edit(&world, &last, "recorded", "forgotten").await;
    assert_one(
        &world.problems().await,
        "is not the one that a checkpoint has",
    );
}

#[tokio::test]
async fn a_changed_a_missing_and_a_cut_checkpoint_are_found() {
    let world = filled().await;
    let keys = world.keys("audit/checkpoints/").await;
    edit(
        &world,
        &keys[2],
        "\"state\":\"open\"",
        "\"state\":\"closed\"",
    )
    .await;
    let problems = world.problems().await;
    for part in [
        "checkpoint 3 is not the one that",
        "checkpoint 3 says that the log is closed",
    ] {
        let says = |problem: &String| problem.contains(part);
        assert!(problems.iter().any(says), "{part} in {problems:?}");
    }

    let world = filled().await;
    let keys = world.keys("audit/checkpoints/").await;
    remove(&world, &keys[2]).await;
    assert_one(&world.problems().await, "checkpoint 3 is missing");

    let world = filled().await;
    let keys = world.keys("audit/checkpoints/").await;
    remove(&world, keys.last().expect("there is one")).await;
    assert_one(&world.problems().await, "there was a checkpoint 6");
}

#[tokio::test]
async fn a_log_that_was_rewritten_as_a_whole_shows_by_a_noted_checkpoint() {
    let world = filled().await;
    let noted = world.log().verify().await.expect("the store works").newest;
    let noted: CheckpointRef = noted.expect("there is a checkpoint");
    for key in world.keys("audit/").await {
        remove(&world, &key).await;
    }
    let forged = world.log();
    for number in 0..DOCUMENTS {
        append(&forged, &number.to_string()).await;
        checkpoint(&forged).await;
    }
    assert_eq!(
        world.problems().await,
        Vec::<String>::new(),
        "by itself it is whole"
    );
    let found = forged.find_checkpoint(noted.number).await;
    let (found, _) = found.expect("the store works").expect("there is one");
    assert_ne!(found, noted);
}

#[tokio::test]
async fn a_log_that_was_rewritten_from_a_document_on_is_found_though_a_forged_checkpoint_has_it() {
    let world = filled().await;
    let keys = documents(&world).await;
    edit(&world, &keys[2], "recorded", "retried").await;
    let mut previous = Sha256Digest::of(&content(&world, &keys[2]).await);
    for key in &keys[3..] {
        let mut document = json_of(&world, key).await;
        document["previous"] = json!(previous);
        let rewritten = Bytes::from(document.to_string());
        previous = Sha256Digest::of(&rewritten);
        replace(&world, key, rewritten).await;
    }
    let last = world.keys("audit/checkpoints/").await.pop();
    let last = last.expect("there is one");
    let mut checkpoint = json_of(&world, &last).await;
    let number = checkpoint["number"].as_u64().expect("it has a number");
    checkpoint["previous"] = json!(Sha256Digest::of(&content(&world, &last).await));
    checkpoint["number"] = json!(number + 1);
    for (_, end) in checkpoint["ends"].as_object_mut().expect("it has ends") {
        if end["number"] == DOCUMENTS {
            end["sha256"] = json!(previous);
        }
    }
    let next = last.replace(&format!("{number:012}"), &format!("{:012}", number + 1));
    replace(&world, &next, checkpoint.to_string().into()).await;

    let problems = world.problems().await;
    let has = |part: &str| problems.iter().filter(|it| it.contains(part)).count();
    assert_eq!(has("has another document 40"), 1, "{problems:?}");
    let changed = has("is not the one that a checkpoint has");
    assert_eq!(changed, 4, "10, 20, 30 and 40: {problems:?}");
    assert_eq!(problems.len(), 5, "{problems:?}");
}

#[tokio::test]
async fn a_document_and_a_checkpoint_that_are_not_readable_are_named_and_stop_nothing_else() {
    let world = filled().await;
    let log = world.log();
    append(&log, "before").await;
    let keys = documents(&world).await;
    let broken = Bytes::from_static(b"{\"writer\": ");
    let last = world.keys("audit/2").await.pop().expect("it has documents");
    replace(&world, &last, broken.clone()).await;
    append(&log, "after").await;
    checkpoint(&world.log()).await;
    assert!(keys.len() == DOCUMENTS);
    let problems = world.problems().await;
    assert!(
        problems
            .iter()
            .any(|problem| problem.contains("is not readable")),
        "{problems:?}"
    );

    let world = filled().await;
    let keys = world.keys("audit/checkpoints/").await;
    replace(&world, keys.last().expect("there is one"), broken).await;
    let log = world.log();
    let place = append(&log, "after").await;
    checkpoint(&log).await;
    assert_one(&world.problems().await, "checkpoint 6 is not readable");
    let cut = world.keys(&format!("audit/{}", place.writer)).await;
    remove(&world, &cut[0]).await;
    assert_eq!(
        world.problems().await.len(),
        2,
        "the next checkpoint guards what came after"
    );
}
