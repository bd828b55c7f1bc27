//! Tests of the holds in the ledger's storage.

use super::*;
use crate::recording::chunk::tests::chunk;
use crate::store::digest::Sha256Digest;
use crate::store::document_store::Precondition;
use crate::store::index::Period;
use crate::store::people::PersonHash;
use crate::vault::memory::MemoryDocumentStore;
use bytes::Bytes;
use jiff::Timestamp;

fn holds() -> (Holds, Arc<MemoryDocumentStore>) {
    let store = Arc::new(MemoryDocumentStore::default());
    (Holds::new(store.clone()), store)
}

fn recording(id: &str) -> Held {
    Held::RecordingId(id.parse().unwrap())
}

fn call(id: &str) -> Held {
    Held::CallId(id.parse().unwrap())
}

fn case(tag: &str) -> Case {
    Case {
        tag: tag.parse().unwrap(),
        by: None,
        requested_by: None,
        note: None,
        since: Timestamp::UNIX_EPOCH,
    }
}

fn unaudited<'a>() -> BoxFuture<'a, Result<(), StoreError>> {
    futures::future::ready(Ok(())).boxed()
}

#[tokio::test]
async fn a_chunk_that_names_no_recording_is_held_by_what_it_is_filed_under() {
    let (holds, _) = holds();
    let chunk = RecordingChunk {
        recording_id: None,
        ..known()
    };
    holds
        .add(&Held::RecordingId(chunk.filed_under()), &case("a"))
        .await
        .unwrap();
    assert_eq!(holds.cases_by_name(&chunk).await.unwrap().len(), 1);
    assert_eq!(chunk.filed_under().as_str(), "call c");
}

fn known() -> RecordingChunk {
    RecordingChunk {
        recording_id: "r".parse().ok(),
        call_id: "c".parse().ok(),
        server_call_id: "s".parse().ok(),
        ..chunk()
    }
}

#[tokio::test]
async fn a_chunk_is_held_by_its_recording_and_by_either_name_of_its_call() {
    for held in [recording("r"), call("c"), call("s")] {
        let (holds, _) = holds();
        assert!(holds.cases_by_name(&known()).await.unwrap().is_empty());
        assert_eq!(holds.add(&held, &case("A-1")).await.unwrap(), Added::Added);
        assert_eq!(
            holds.cases_by_name(&known()).await.unwrap(),
            [case("A-1")],
            "{held}"
        );
        assert!(held.covers(&known()));
    }
}

#[tokio::test]
async fn what_is_of_another_recording_and_another_call_is_not_held() {
    let (holds, _) = holds();
    // A call of the recording's name is not the recording.
    for held in [recording("c"), call("r"), recording("other"), call("other")] {
        holds.add(&held, &case("A-1")).await.unwrap();
        assert!(!held.covers(&known()));
    }
    assert!(holds.cases_by_name(&known()).await.unwrap().is_empty());
    assert!(
        holds.cases_by_name(&chunk()).await.unwrap().is_empty(),
        "a chunk of which nothing is known"
    );
}

#[tokio::test]
async fn it_is_held_until_the_last_case_is_released() {
    let (holds, _) = holds();
    for tag in ["A-1", "B-2"] {
        holds.add(&recording("r"), &case(tag)).await.unwrap();
    }
    let release = async |tag: &str| {
        holds
            .release(&recording("r"), &tag.parse().unwrap(), unaudited)
            .await
            .unwrap()
    };
    assert_eq!(release("A-1").await, ReleaseOutcome::Released);
    assert_eq!(release("A-1").await, ReleaseOutcome::ReleasedBefore);
    assert_eq!(release("C-3").await, ReleaseOutcome::NeverHeld);
    assert_eq!(holds.cases_by_name(&known()).await.unwrap(), [case("B-2")]);
    assert_eq!(release("B-2").await, ReleaseOutcome::Released);
    assert!(
        holds.cases_by_name(&known()).await.unwrap().is_empty()
            && holds.all().await.unwrap().holds.is_empty()
    );
}

#[tokio::test]
async fn a_hold_by_the_name_a_recording_was_filed_under_outlasts_the_event_that_names_it() {
    let announced = RecordingChunk {
        recording_id: None,
        call_id: None,
        ..known()
    };
    let with_call = RecordingChunk {
        recording_id: None,
        ..known()
    };
    for before in [announced, with_call] {
        let (holds, _) = holds();
        let held = Held::RecordingId(before.filed_under());
        holds.add(&held, &case("A-1")).await.unwrap();
        let mut after = before;
        after.absorb(&known());
        assert_eq!(after.filed_under().as_str(), "r");
        assert_eq!(
            holds.cases_by_name(&after).await.unwrap(),
            [case("A-1")],
            "{held}"
        );
    }
}

#[tokio::test]
async fn a_release_leaves_a_hold_that_was_added_after_another_release() {
    let (holds, _) = holds();
    let (held, tag) = (recording("r"), "A-1".parse().unwrap());
    holds.add(&held, &case("A-1")).await.unwrap();
    let newer = Case {
        since: Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_secs(1),
        ..case("A-1")
    };
    let mut audits = 0;
    // While the first release is audited, another one takes effect, and the case is added again.
    let released = holds.release(&held, &tag, || {
        audits += 1;
        async {
            holds.release(&held, &tag, unaudited).await?;
            holds.add(&held, &newer).await.map(drop)
        }
        .boxed()
    });
    assert_eq!(released.await.unwrap(), ReleaseOutcome::ReleasedBefore);
    assert_eq!(
        holds.cases_by_name(&known()).await.unwrap(),
        std::slice::from_ref(&newer)
    );
    assert_eq!(audits, 1);
}

#[tokio::test]
async fn a_release_of_what_is_not_held_is_not_audited() {
    let (holds, _) = holds();
    let (held, tag) = (recording("r"), "A-1".parse().unwrap());
    let audit = || panic!("nothing is released");
    let released = holds.release(&held, &tag, audit).await.unwrap();
    assert_eq!(released, ReleaseOutcome::NeverHeld);
}

#[tokio::test]
async fn a_case_that_is_added_again_stays_as_it_was_said_first() {
    let (holds, _) = holds();
    let first = Case {
        by: Some("legal".to_owned()),
        requested_by: None,
        ..case("A-1")
    };
    holds.add(&call("c"), &first).await.unwrap();
    assert_eq!(
        holds.add(&call("c"), &case("A-1")).await.unwrap(),
        Added::AlreadyHeld
    );
    assert_eq!(
        holds.all().await.unwrap().holds,
        [Hold {
            held: call("c"),
            cases: vec![first],
            released: Vec::new(),
        }]
    );
}

#[tokio::test]
async fn of_cases_added_at_once_none_is_lost() {
    let (holds, _) = holds();
    let cases: Vec<Case> = (0..8).map(|number| case(&number.to_string())).collect();
    let held = recording("r");
    let added = futures::future::join_all(cases.iter().map(|case| holds.add(&held, case))).await;
    assert!(
        added
            .into_iter()
            .all(|added| added.unwrap() == Added::Added)
    );
    assert_eq!(
        holds.cases_by_name(&known()).await.unwrap().len(),
        cases.len()
    );
}

#[tokio::test]
async fn a_hold_that_is_not_readable_is_an_error_and_not_no_hold() {
    let (holds, store) = holds();
    store
        .put(
            &key(&recording("r")),
            Bytes::from_static(b"{"),
            Precondition::Absent,
        )
        .await
        .unwrap();
    assert!(holds.cases_by_name(&known()).await.is_err());
}

fn year() -> Held {
    let period = Period {
        from: Some("2026-01-01T00:00:00Z".parse().unwrap()),
        to: Some("2027-01-01T00:00:00Z".parse().unwrap()),
    };
    Held::Matching(HoldRule::new(None, period).unwrap())
}

#[tokio::test]
async fn a_standing_hold_is_in_force_until_its_last_case_is_released() {
    let (holds, _) = holds();
    let Held::Matching(rule) = year() else {
        panic!("it is a rule")
    };
    holds.add(&year(), &case("A-1")).await.unwrap();
    let standing = StandingHold {
        scope: Scope::Matching(rule),
        cases: vec![case("A-1")],
    };
    assert_eq!(holds.standing().await.unwrap(), [standing]);
    assert!(holds.cases_by_name(&known()).await.unwrap().is_empty());
    let (held, tag) = (year(), case("A-1").tag);
    let released = holds.release(&held, &tag, unaudited);
    assert_eq!(released.await.unwrap(), ReleaseOutcome::Released);
    assert!(holds.standing().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_standing_hold_that_is_not_readable_holds_everything_and_is_listed() {
    let (holds, store) = holds();
    let garbled = Bytes::from_static(b"{");
    let key = key(&year());
    let put = store.put(&key, garbled, Precondition::Absent);
    put.await.unwrap();
    holds.add(&recording("r"), &case("A-1")).await.unwrap();
    let standing = holds.standing().await.unwrap();
    assert_eq!(standing.len(), 1);
    assert_eq!(standing[0].scope, Scope::Everything);
    assert!(!standing[0].cases.is_empty());
    let all = holds.all().await.unwrap();
    assert_eq!((all.holds.len(), all.unreadable), (1, vec![key]));
    assert_eq!(holds.count(10).await.unwrap().count, 2);
}

fn hash(name: &str) -> PersonHash {
    let digest = serde_json::to_value(Sha256Digest::of(name.as_bytes())).unwrap();
    serde_json::from_value(digest).unwrap()
}

/// A person whose id is read in several ways.
fn person(name: &str, also: &[&str]) -> Held {
    let also = also.iter().map(|name| hash(name)).collect();
    let person = HeldPerson::new(hash(name), name.to_owned()).or(also);
    Held::Matching(HoldRule::new(Some(person), Period::default()).unwrap())
}

async fn names_held(holds: &Holds) -> Vec<PersonHash> {
    let all = holds.all().await.unwrap().holds;
    let [hold] = &all[..] else {
        panic!("it is one document: {all:?}")
    };
    let person = hold.held.rule().and_then(HoldRule::person);
    person.unwrap().names().collect()
}

#[tokio::test]
async fn a_second_case_on_a_person_never_holds_fewer_names_than_the_first() {
    let (national, international) = (person("+4930", &["030"]), person("+4930", &[]));
    for (first, second) in [
        (&national, &international),
        (&international, &national),
        (&person("+4930", &["0049"]), &national),
    ] {
        for tag in ["B-2", "A-1"] {
            let (holds, _) = holds();
            holds.add(first, &case("A-1")).await.unwrap();
            holds.add(second, &case(tag)).await.unwrap();
            let held = names_held(&holds).await;
            for asked in [first, second] {
                let asked = asked.rule().and_then(HoldRule::person).unwrap();
                assert!(asked.names().all(|name| held.contains(&name)), "{tag}");
            }
        }
    }
}

#[tokio::test]
async fn a_case_that_adds_a_name_of_a_person_is_the_same_case() {
    let (holds, _) = holds();
    let (before, after) = (person("+4930", &[]), person("+4930", &["030"]));
    holds.add(&before, &case("A-1")).await.unwrap();
    let tag = case("A-1").tag;
    assert!(holds.is_held_for(&before, &tag).await.unwrap());
    assert!(!holds.is_held_for(&after, &tag).await.unwrap());
    let again = Case {
        by: Some("legal".to_owned()),
        requested_by: None,
        ..case("A-1")
    };
    let added = holds.add(&after, &again).await.unwrap();
    assert_eq!(added, Added::AlreadyHeld);
    assert!(holds.is_held_for(&after, &tag).await.unwrap());
    assert_eq!(holds.all().await.unwrap().holds[0].cases, [case("A-1")]);
}

#[tokio::test]
async fn names_of_a_person_end_with_the_last_case() {
    let (holds, _) = holds();
    let held = person("+4930", &["030"]);
    holds.add(&held, &case("A-1")).await.unwrap();
    let tag = case("A-1").tag;
    holds.release(&held, &tag, unaudited).await.unwrap();
    let international = person("+4930", &[]);
    holds.add(&international, &case("B-2")).await.unwrap();
    assert_eq!(names_held(&holds).await, [hash("+4930")]);
}
