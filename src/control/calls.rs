//! One call, one recording: who starts, or started, the recording of a call.
//!
//! `calls/<sha256 of the call>.json` in the ledger's storage. A start reserves its call before ACS is asked.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::consent::Consent;
use crate::acs::client::{StartAttempt, TOTAL_DEADLINE};
use crate::acs::wire::{CallLocator, RecordedCall};
use crate::recording::RecordingId;
use crate::recording::id::canonical;
use crate::store::digest::Sha256Digest;
use crate::store::document_store::DocumentStore;
use crate::store::documents::{DocumentError, Documents};

/// A start that has not come back after this long will not.
const START_LASTS: Duration = TOTAL_DEADLINE.saturating_mul(2);

/// The calls, each with its last recording.
#[derive(Clone)]
pub struct CallRegister {
    documents: Documents,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct CallSlot {
    call: RecordedCall,
    request_id: Uuid,
    first_sent: Timestamp,
    /// Until then nobody else starts.
    reserved_until: Timestamp,
    recording_id: Option<RecordingId>,
    /// Kept before ACS is asked, so that it is there even if nothing else of this start survives.
    consent: Option<Consent>,
}

/// The right to start the recording of a call.
#[derive(Debug)]
pub struct Reservation {
    key: String,
    /// With the time at which this start was first sent, perhaps by an earlier repetition.
    pub attempt: StartAttempt,
}

/// What stands in the way of a start, if anything.
#[derive(Debug)]
pub enum Reserved {
    Yes(Reservation),
    /// This very start was made before, and gave this recording.
    AlreadyMade(RecordingId),
    /// This is the call's last recording; whether it runs, somebody else knows.
    Recorded(RecordingId),
    /// Somebody is starting at this moment.
    UnderWay,
}

impl CallRegister {
    pub fn new(store: Arc<dyn DocumentStore>) -> Self {
        Self {
            documents: Documents { store },
        }
    }

    /// Reserves the start of a call's recording. `ended` is a recording of it that is known to be over.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn reserve(
        &self,
        call: &RecordedCall,
        attempt: StartAttempt,
        consent: Option<&Consent>,
        ended: Option<&RecordingId>,
    ) -> Result<Reserved, DocumentError> {
        let key = key(call);
        let now = attempt.first_sent;
        let is_free = |slot: &CallSlot| match &slot.recording_id {
            Some(id) => ended == Some(id),
            None => slot.request_id == attempt.request_id || now >= slot.reserved_until,
        };
        let reserve = |known: Option<&CallSlot>| {
            known.is_none_or(is_free).then(|| CallSlot {
                call: call.clone(),
                request_id: attempt.request_id,
                first_sent: known
                    .filter(|slot| slot.request_id == attempt.request_id)
                    .map_or(now, |slot| slot.first_sent),
                reserved_until: now.checked_add(START_LASTS).unwrap_or(Timestamp::MAX),
                recording_id: None,
                consent: consent.cloned(),
            })
        };
        let slot = self.documents.change(&key, reserve).await?;
        let is_ours = slot
            .as_ref()
            .is_some_and(|slot| slot.request_id == attempt.request_id);
        Ok(match slot {
            Some(CallSlot {
                recording_id: Some(id),
                ..
            }) if is_ours => Reserved::AlreadyMade(id),
            Some(CallSlot {
                recording_id: Some(id),
                ..
            }) => Reserved::Recorded(id),
            Some(CallSlot { first_sent, .. }) if is_ours => Reserved::Yes(Reservation {
                key,
                attempt: StartAttempt {
                    first_sent,
                    ..attempt
                },
            }),
            Some(_) | None => Reserved::UnderWay,
        })
    }

    /// Writes down that the reserved start gave this recording.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn started(
        &self,
        reservation: &Reservation,
        id: &RecordingId,
    ) -> Result<(), DocumentError> {
        self.settle(reservation, |slot| CallSlot {
            recording_id: Some(id.clone()),
            ..slot.clone()
        })
        .await
    }

    /// Gives a reservation up after a start that failed, so that the next one need not wait. Its request id stays: a
    /// repetition of a start whose outcome is not known goes on with it.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn give_up(&self, reservation: &Reservation) -> Result<(), DocumentError> {
        self.settle(reservation, |slot| CallSlot {
            reserved_until: slot.first_sent,
            ..slot.clone()
        })
        .await
    }

    /// The last recording of a call.
    ///
    /// # Errors
    /// When the storage fails or the register is unreadable.
    pub async fn recording_of(
        &self,
        call: &RecordedCall,
    ) -> Result<Option<RecordingId>, DocumentError> {
        let slot: Option<CallSlot> = self.documents.find(&key(call)).await?;
        Ok(slot.and_then(|slot| slot.recording_id))
    }

    /// Takes out the consent that came with the start of this recording.
    ///
    /// # Errors
    /// When the storage fails or the register is unreadable.
    pub async fn forget_consent(
        &self,
        call: &RecordedCall,
        id: &RecordingId,
        ended_at: Option<Timestamp>,
    ) -> Result<(), DocumentError> {
        // The answer to its start may be lost: then the slot knows no recording, and the start was sent before this one ended.
        let is_its = |slot: &&CallSlot| {
            let is_of_recording = match &slot.recording_id {
                Some(recorded) => recorded == id,
                None => ended_at.is_some_and(|ended_at| slot.first_sent <= ended_at),
            };
            is_of_recording && slot.consent.is_some()
        };
        let forget = |slot: &CallSlot| CallSlot {
            consent: None,
            ..slot.clone()
        };
        self.documents
            .change(&key(call), |slot: Option<&CallSlot>| {
                slot.filter(is_its).map(forget)
            })
            .await?;
        Ok(())
    }

    /// Changes the slot if it is still this reservation's.
    async fn settle(
        &self,
        reservation: &Reservation,
        change: impl Fn(&CallSlot) -> CallSlot + Send + Sync,
    ) -> Result<(), DocumentError> {
        let is_ours = |slot: &&CallSlot| {
            slot.request_id == reservation.attempt.request_id && slot.recording_id.is_none()
        };
        self.documents
            .change(&reservation.key, |slot: Option<&CallSlot>| {
                slot.filter(is_ours).map(&change)
            })
            .await?;
        Ok(())
    }
}

fn key(call: &RecordedCall) -> String {
    let name = match call {
        RecordedCall::Locator(CallLocator::ServerCall { server_call_id }) => {
            format!("serverCall:{}", canonical(server_call_id))
        }
        RecordedCall::Locator(CallLocator::GroupCall { group_call_id }) => {
            format!("groupCall:{group_call_id}")
        }
        RecordedCall::Locator(CallLocator::RoomCall { room_id }) => format!("room:{room_id}"),
        RecordedCall::Connection(id) => format!("connection:{id}"),
    };
    format!("calls/{}.json", Sha256Digest::of(name.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vault::memory::MemoryDocumentStore;
    use jiff::SignedDuration;

    fn calls() -> CallRegister {
        CallRegister::new(Arc::new(MemoryDocumentStore::default()))
    }

    fn call(id: &str) -> RecordedCall {
        RecordedCall::Locator(CallLocator::ServerCall {
            server_call_id: id.to_owned(),
        })
    }

    fn attempt(request_id: u128, second: i64) -> StartAttempt {
        let first_sent = Timestamp::UNIX_EPOCH + SignedDuration::from_secs(second);
        StartAttempt {
            request_id: Uuid::from_u128(request_id),
            first_sent,
        }
    }

    async fn reserve(calls: &CallRegister, attempt: StartAttempt) -> Reserved {
        calls
            .reserve(&call("abc"), attempt, None, None)
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn one_start_of_a_call_at_a_time() {
        let calls = calls();
        assert!(matches!(
            reserve(&calls, attempt(1, 0)).await,
            Reserved::Yes(_)
        ));
        assert!(matches!(
            reserve(&calls, attempt(2, 1)).await,
            Reserved::UnderWay
        ));
        assert!(matches!(
            calls
                .reserve(&call("abc=="), attempt(2, 1), None, None)
                .await,
            Ok(Reserved::UnderWay)
        ));
        assert!(matches!(
            calls
                .reserve(&call("other"), attempt(2, 1), None, None)
                .await,
            Ok(Reserved::Yes(_))
        ));
        assert!(
            matches!(reserve(&calls, attempt(3, 41)).await, Reserved::Yes(_)),
            "the first has died"
        );
    }

    #[tokio::test]
    async fn a_repetition_goes_on_with_its_first_time() {
        let calls = calls();
        let Reserved::Yes(first) = reserve(&calls, attempt(1, 0)).await else {
            panic!()
        };
        calls.give_up(&first).await.unwrap();
        let Reserved::Yes(second) = reserve(&calls, attempt(1, 9)).await else {
            panic!()
        };
        assert_eq!(second.attempt, attempt(1, 0));
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
    async fn a_start_that_failed_does_not_keep_others_waiting() {
        let calls = calls();
        let Reserved::Yes(first) = reserve(&calls, attempt(1, 0)).await else {
            panic!()
        };
        calls.give_up(&first).await.unwrap();
        assert!(matches!(
            reserve(&calls, attempt(2, 1)).await,
            Reserved::Yes(_)
        ));
    }

    #[tokio::test]
    async fn a_call_whose_recording_ended_can_be_recorded_again() {
        let calls = calls();
        let Reserved::Yes(first) = reserve(&calls, attempt(1, 0)).await else {
            panic!()
        };
        let id = "r".parse().unwrap();
        calls.started(&first, &id).await.unwrap();
        let again = calls
            .reserve(&call("abc"), attempt(2, 5), None, Some(&id))
            .await
            .unwrap();
        assert!(matches!(again, Reserved::Yes(_)));
    }
}
