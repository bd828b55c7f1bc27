//! Reservations of calls: who starts, who waits, and what a lost answer leaves.

use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::acs::wire::{StartRecordingOptions, StartRecordingRequest};
use crate::control::consent::Consent;
use crate::recording::CallLocator;
use crate::store::faulty_store::{Faults, FaultyStore, Request};
use crate::vault::memory::MemoryDocumentStore;
use jiff::SignedDuration;

fn calls() -> CallRegister {
    CallRegister::new(Arc::new(MemoryDocumentStore::default()))
}

fn start(call: &str) -> Start {
    let call = RecordedCall::Locator(CallLocator::ServerCall {
        server_call_id: call.parse().unwrap(),
    });
    let options = StartRecordingOptions {
        recording_state_callback_uri: Some("https://app.example/callbacks?code=SECRET".into()),
        pause_on_start: Some(true),
        ..StartRecordingOptions::default()
    };
    Start {
        request: StartRecordingRequest { call, options },
        consent: Some(Consent {
            basis: "consent".into(),
            given_by: "the caller".into(),
            given_at: Timestamp::UNIX_EPOCH,
            reference: None,
        }),
        started_by: Some("IVR 7".into()),
    }
}

fn not_begun() -> NotBegun {
    let (started, recorded) = (start("abc").request.call, start("other").request.call);
    NotBegun::by_another_call(&started, &recorded).unwrap()
}

fn at(second: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_secs(second)
}

fn attempt(request_id: u128, second: i64) -> StartAttempt {
    StartAttempt {
        request_id: Uuid::from_u128(request_id),
        first_sent: at(second),
    }
}

async fn reserve(calls: &CallRegister, attempt: StartAttempt) -> Reserved {
    calls.reserve(&start("abc"), attempt, None).await.unwrap()
}

async fn reserved(calls: &CallRegister, attempt: StartAttempt) -> Reservation {
    match reserve(calls, attempt).await {
        Reserved::Yes(reservation) => reservation,
        other @ (Reserved::AlreadyMade(_)
        | Reserved::Recorded(_)
        | Reserved::Pending(_)
        | Reserved::Expired(_)) => {
            panic!("{other:?}")
        }
    }
}

#[tokio::test]
async fn one_start_of_a_call_at_a_time() {
    let calls = calls();
    reserved(&calls, attempt(1, 0)).await;
    assert!(matches!(
        reserve(&calls, attempt(2, 1)).await,
        Reserved::Pending(_)
    ));
    let padded = calls.reserve(&start("abc=="), attempt(2, 1), None).await;
    assert!(matches!(padded, Ok(Reserved::Pending(_))));
    let other = calls.reserve(&start("other"), attempt(2, 1), None).await;
    assert!(matches!(other, Ok(Reserved::Yes(_))));
}

#[tokio::test]
async fn a_start_whose_outcome_is_unknown_is_kept_whole_but_for_its_secrets() {
    let calls = calls();
    reserved(&calls, attempt(1, 0)).await;
    let Reserved::Pending(pending) = reserve(&calls, attempt(2, 299)).await else {
        panic!("five minutes are not over");
    };
    assert_eq!(pending.reservation.attempt, attempt(1, 0));
    let mut expected = start("abc");
    expected.request.options.recording_state_callback_uri =
        Some("https://app.example/callbacks".into());
    assert_eq!(pending.start, expected);
    let stored = calls
        .documents
        .store
        .find(&key(&expected.request.call))
        .await;
    let stored = stored.unwrap().unwrap().content;
    assert!(!String::from_utf8_lossy(&stored).contains("SECRET"));
}

#[tokio::test]
async fn after_five_minutes_the_call_is_free_and_the_consent_of_the_lost_start_is_kept() {
    let calls = calls();
    reserved(&calls, attempt(1, 0)).await;
    let Reserved::Expired(lost) = reserve(&calls, attempt(2, 300)).await else {
        panic!("five minutes have passed");
    };
    assert!(calls.give_up(&lost).await.unwrap());
    let second = reserved(&calls, attempt(2, 300)).await;
    calls.started(&second, &"r".parse().unwrap()).await.unwrap();
    let call = start("abc").request.call;
    let document: CallDocument = calls.documents.find(&key(&call)).await.unwrap().unwrap();
    let freed = serde_json::to_value(document).unwrap()["freed"][0].clone();
    assert_eq!(freed["consent"]["givenBy"], "the caller");
    assert_eq!(freed["startedBy"], "IVR 7");
}

#[tokio::test]
async fn a_repetition_continues_with_its_first_time() {
    let calls = calls();
    let first = reserved(&calls, attempt(1, 0)).await;
    calls.refused(&first, &not_begun()).await.unwrap();
    let second = reserved(&calls, attempt(1, 9)).await;
    assert_eq!(second.attempt, attempt(1, 0));
    let again = reserved(&calls, attempt(1, 10)).await;
    assert_eq!(
        (again.attempt, again.origin),
        (attempt(1, 0), StartOrigin::Repeated)
    );
    let id = "r".parse().unwrap();
    calls.started(&second, &id).await.unwrap();
    assert!(
        matches!(reserve(&calls, attempt(1, 10)).await, Reserved::AlreadyMade(made) if made == id)
    );
    assert!(
        matches!(reserve(&calls, attempt(2, 10)).await, Reserved::Recorded(recorded) if recorded == id)
    );
}

#[tokio::test]
async fn a_start_that_was_refused_does_not_keep_others_waiting() {
    let calls = calls();
    let first = reserved(&calls, attempt(1, 0)).await;
    calls.refused(&first, &not_begun()).await.unwrap();
    reserved(&calls, attempt(2, 1)).await;
}

#[tokio::test]
async fn a_call_whose_recording_ended_can_be_recorded_again() {
    let calls = calls();
    let first = reserved(&calls, attempt(1, 0)).await;
    let id: RecordingId = "r".parse().unwrap();
    calls.started(&first, &id).await.unwrap();
    let again = calls.reserve(&start("abc"), attempt(2, 5), Some(&id)).await;
    let Ok(Reserved::Yes(second)) = again else {
        panic!("{again:?}")
    };
    // The recording before is not forgotten by a start that ACS refuses.
    calls.refused(&second, &not_begun()).await.unwrap();
    assert!(
        matches!(reserve(&calls, attempt(2, 6)).await, Reserved::Recorded(recorded) if recorded == id)
    );
}

#[tokio::test]
async fn an_open_start_has_a_marker_and_a_settled_one_has_none() {
    let calls = calls();
    let marked = async || calls.marked(None).await.unwrap();
    let first = reserved(&calls, attempt(1, 0)).await;
    reserve(&calls, attempt(2, 1)).await;
    let markers = marked().await;
    assert_eq!(markers.len(), 1);
    assert!(matches!(
        calls.look(&markers[0], at(2)).await,
        Ok(Marked::Pending(_))
    ));
    calls.refused(&first, &not_begun()).await.unwrap();
    assert_eq!(marked().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_look_after_five_minutes_finds_a_start_to_be_given_up_once() {
    let calls = calls();
    reserved(&calls, attempt(1, 0)).await;
    let marker = calls.marked(None).await.unwrap().remove(0);
    let Marked::Expired(lost) = calls.look(&marker, at(300)).await.unwrap() else {
        panic!("its reservation has expired");
    };
    assert_eq!(lost.reservation.attempt, attempt(1, 0));
    assert!(calls.give_up(&lost).await.unwrap());
    assert!(!calls.give_up(&lost).await.unwrap(), "once");
    assert!(matches!(
        calls.look(&marker, at(301)).await,
        Ok(Marked::Elsewhere)
    ));
    reserved(&calls, attempt(2, 302)).await;
}

#[tokio::test]
async fn many_starts_that_were_given_up_hide_no_open_one_and_end_after_two_days() {
    let calls = calls();
    for second in 0..120 {
        let marker = format!("starts-given-up/{:011}-abc", at(second).as_second());
        calls.mark(&marker).await.unwrap();
    }
    assert!(!calls.has_open().await.unwrap());
    reserved(&calls, attempt(1, 200)).await;
    assert!(calls.has_open().await.unwrap());
    let unknown = async |second| calls.unknown(at(second)).await.unwrap();
    let (sent, has_more) = unknown(300).await;
    assert_eq!((sent.len(), has_more), (121, false));
    let two_days = 48 * 60 * 60;
    calls.forget_old_starts(at(two_days + 60)).await.unwrap();
    let (sent, _) = unknown(300).await;
    assert_eq!(sent.len(), 61);
}

#[tokio::test]
async fn a_start_that_was_settled_before_it_is_given_up_leaves_no_alarm() {
    let calls = calls();
    let reservation = reserved(&calls, attempt(1, 0)).await;
    let marker = calls.marked(None).await.unwrap().remove(0);
    let Marked::Expired(lost) = calls.look(&marker, at(300)).await.unwrap() else {
        panic!("its reservation has expired");
    };
    calls
        .started(&reservation, &"r".parse().unwrap())
        .await
        .unwrap();
    assert!(!calls.give_up(&lost).await.unwrap());
    assert_eq!(calls.unknown(at(301)).await.unwrap(), (Vec::new(), false));
}

#[tokio::test]
async fn the_same_start_after_five_minutes_gives_the_lost_one_up_and_begins_again() {
    let calls = calls();
    reserved(&calls, attempt(1, 0)).await;
    let Reserved::Expired(lost) = reserve(&calls, attempt(1, 300)).await else {
        panic!("ACS no longer recognizes its repetition");
    };
    calls.give_up(&lost).await.unwrap();
    let again = reserved(&calls, attempt(1, 301)).await;
    assert_eq!(
        (again.attempt, again.origin),
        (attempt(1, 301), StartOrigin::New)
    );
}

/// The answer to the write of a call is lost, and then the storage fails.
#[derive(Default)]
struct LosesTheReservation(AtomicBool);

impl Faults for LosesTheReservation {
    fn fails(&self, request: Request<'_>, key: &str) -> bool {
        if request == Request::PutAnswer && key.starts_with("calls/") {
            self.0.store(true, Ordering::SeqCst);
        }
        self.0.load(Ordering::SeqCst)
    }
}

#[tokio::test]
async fn a_reservation_whose_answer_is_lost_may_be_written() {
    let store = FaultyStore::new(LosesTheReservation::default());
    let calls = CallRegister::new(Arc::clone(&store) as Arc<dyn DocumentStore>);
    let lost = calls.reserve(&start("abc"), attempt(1, 0), None).await;
    assert!(
        matches!(lost, Err(ReserveError::MayBeWritten(_))),
        "{lost:?}"
    );
    let unread = calls.reserve(&start("abc"), attempt(2, 1), None).await;
    assert!(
        matches!(unread, Err(ReserveError::NotWritten(_))),
        "{unread:?}"
    );
    store.0.store(false, Ordering::SeqCst);
    let call = start("abc").request.call;
    assert_eq!(calls.last_start(&call).await.unwrap(), LastStart::Open);
}
