//! Starts whose outcome stayed unknown: they are given up, and what is stored about the people who asked for them stays
//! until a recording is erased that may be theirs.
//!
//! ```text
//! freed-starts/<seconds>-<sha256 of the call>        a start by a group, a room or a connection
//! starts-given-up/<seconds>-<sha256 of the call>     every start, for two days: its recording may run without an account
//! ```
//! Events name the recording of such a start by its server call id, so only the time connects the two. A marker is written
//! before its start is given up.

use std::ops::RangeInclusive;

use futures::TryStreamExt as _;
use jiff::{SignedDuration, Timestamp};

use super::document::{self, CallDocument, key_of};
use super::{CallRegister, Marked, PAGE, PendingStart, RESERVED_FOR, STARTING, sent_at};
use crate::clock::CLOCKS_DIFFER;
use crate::recording::{CallLocator, RecordedCall};
use crate::store::documents::DocumentError;
use crate::store::listing::keys;

const FREED: &str = "freed-starts/";
const GIVEN_UP: &str = "starts-given-up/";
/// As long as ACS may keep files of a recording that such a start began: an event may still announce it.
const GIVEN_UP_FOR: SignedDuration = SignedDuration::from_hours(48);
/// Starts that were given up and are counted; there may be more.
const COUNTED: usize = 1000;
/// A start is usually answered within this time. Were it shorter, a busy company would never see "safe": some start is
/// always under way. One that a clock sent in the future by more is not known to be under way.
const UNDER_WAY: SignedDuration = SignedDuration::from_secs(10);

impl CallRegister {
    /// Gives up a start, so that its call can be recorded again. Returns whether it was still open.
    ///
    /// # Errors
    /// When the storage fails or the register is unreadable.
    pub async fn give_up(&self, pending: &PendingStart) -> Result<bool, DocumentError> {
        let reservation = &pending.reservation;
        let call = &pending.start.request.call;
        let has_people = pending.start.consent.is_some() || pending.start.started_by.is_some();
        if has_people && !is_named_by_events(call) {
            self.mark(&marker(FREED, call, reservation.attempt.first_sent))
                .await?;
        }
        // Its recording may run without an account: this says so for as long as an event may announce it.
        let given_up = marker(GIVEN_UP, call, reservation.attempt.first_sent);
        self.mark(&given_up).await?;
        let is_open = |known: Option<&CallDocument>| {
            known.is_some_and(|document| document.is_open_by(&reservation.marker))
        };
        let was_open = is_open(self.documents.find(&reservation.key).await?.as_ref());
        let free = |known: Option<&CallDocument>| {
            known
                .filter(|known| is_open(Some(known)))
                .map(CallDocument::freed)
        };
        let left = self.documents.change(&reservation.key, free).await?;
        // Its outcome became known meanwhile.
        if left.is_some_and(|document| document.has_settled(reservation.attempt)) {
            self.unmark(&given_up).await?;
        }
        self.unmark(&reservation.marker).await?;
        Ok(was_open)
    }

    /// Returns when the starts were sent that have no outcome that is known, and whether there are more: open ones
    /// that are not under way, and those that were given up lately. What cannot be read counts.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn unknown(&self, now: Timestamp) -> Result<(Vec<Timestamp>, bool), DocumentError> {
        let open = self.marked(None).await?;
        let mut has_more = open.len() >= PAGE;
        let mut unknown = Vec::new();
        for marker in open {
            let Some(sent) = sent_at(&marker, STARTING) else {
                unknown.push(now);
                continue;
            };
            if now.duration_since(sent).abs() < UNDER_WAY {
                continue;
            }
            match self.look(&marker, now).await {
                Ok(Marked::Pending(_) | Marked::Expired(_))
                | Err(DocumentError::Corrupt { .. }) => {
                    unknown.push(sent);
                }
                Ok(Marked::Settled | Marked::Elsewhere) => {}
                Err(error) => return Err(error),
            }
        }
        let mut given_up = keys(&*self.documents.store, GIVEN_UP, first_lately(now));
        while let Some(marker) = given_up.try_next().await? {
            if unknown.len() >= COUNTED {
                has_more = true;
                break;
            }
            unknown.push(sent_at(&marker, GIVEN_UP).unwrap_or(now));
        }
        Ok((unknown, has_more))
    }

    /// Removes markers of starts that were given up so long ago that no event announces their recordings any more.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn forget_old_starts(&self, now: Timestamp) -> Result<(), DocumentError> {
        let Some(end) = first_lately(now) else {
            return Ok(());
        };
        for marker in self.documents.store.list(GIVEN_UP, None, PAGE).await? {
            if marker >= end {
                break;
            }
            self.unmark(&marker).await?;
        }
        Ok(())
    }

    /// Removes what is stored about the people of starts that were given up, that name their call as no event does, and
    /// that may have begun a recording of this time.
    ///
    /// # Errors
    /// When the storage fails or the register is unreadable.
    pub async fn forget_given_up(&self, began: Timestamp) -> Result<(), DocumentError> {
        let sent = may_have_been_sent(began);
        let after = format!("{FREED}{:011}", sent.start().as_second().max(0));
        let end = format!("{FREED}{:011}", sent.end().as_second().max(0) + 1);
        let mut markers = keys(&*self.documents.store, FREED, Some(after));
        while let Some(marker) = markers.try_next().await? {
            if marker >= end {
                break;
            }
            self.forget_marked(&marker, &sent).await?;
        }
        Ok(())
    }

    async fn forget_marked(
        &self,
        marker: &str,
        sent: &RangeInclusive<Timestamp>,
    ) -> Result<(), DocumentError> {
        let Some(key) = marker.strip_prefix(FREED).and_then(key_of) else {
            return Ok(());
        };
        let forget = |known: Option<&CallDocument>| {
            let document = known?.without_freed_consent(sent);
            (known != Some(&document)).then_some(document)
        };
        let document = self.documents.change(&key, forget).await?;
        // A start that is about to be given up has its marker, and is still open.
        if document
            .is_none_or(|document| !document.has_open_start() && !document.has_freed_consent())
        {
            self.unmark(marker).await?;
        }
        Ok(())
    }
}

/// When a start was first sent that may have begun a recording of this time: it may have been sent again until it was
/// given up.
fn may_have_been_sent(began: Timestamp) -> RangeInclusive<Timestamp> {
    let reserved_for = SignedDuration::try_from(RESERVED_FOR).unwrap_or(SignedDuration::MAX);
    let first = began.checked_sub(reserved_for + CLOCKS_DIFFER);
    let last = began.checked_add(CLOCKS_DIFFER);
    first.unwrap_or(Timestamp::MIN)..=last.unwrap_or(Timestamp::MAX)
}

/// Whether events name the call like this start does: then its document is found by the recording's account.
fn is_named_by_events(call: &RecordedCall) -> bool {
    match call {
        RecordedCall::Locator(CallLocator::ServerCall { .. }) => true,
        RecordedCall::Locator(CallLocator::GroupCall { .. } | CallLocator::RoomCall { .. })
        | RecordedCall::Connection(_) => false,
    }
}

fn marker(prefix: &str, call: &RecordedCall, first_sent: Timestamp) -> String {
    let seconds = first_sent.as_second().max(0);
    format!("{prefix}{seconds:011}-{}", document::name(call))
}

/// Before the markers of starts that were given up and whose recordings an event may still announce.
fn first_lately(now: Timestamp) -> Option<String> {
    let first = now.checked_sub(GIVEN_UP_FOR).ok()?;
    Some(format!("{GIVEN_UP}{:011}", first.as_second().max(0)))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::acs::client::StartAttempt;
    use crate::acs::wire::{StartRecordingOptions, StartRecordingRequest};
    use crate::control::consent::Consent;
    use crate::control::start::Start;
    use crate::vault::memory::MemoryDocumentStore;
    use uuid::Uuid;

    const MINUTE: i64 = 60;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_772_445_780 + second).unwrap()
    }

    fn start(room: &str, given_by: &str) -> Start {
        let call = RecordedCall::Locator(CallLocator::RoomCall {
            room_id: room.to_owned(),
        });
        let options = StartRecordingOptions::default();
        Start {
            request: StartRecordingRequest { call, options },
            consent: Some(Consent {
                basis: "consent".into(),
                given_by: given_by.into(),
                given_at: at(0),
                reference: None,
            }),
            started_by: None,
        }
    }

    async fn given_up(calls: &CallRegister, start: &Start, second: i64) {
        let attempt = |second| StartAttempt {
            request_id: Uuid::new_v4(),
            first_sent: at(second),
        };
        let reserved = calls.reserve(start, attempt(second), None).await.unwrap();
        assert!(matches!(reserved, super::super::Reserved::Yes(_)));
        let later = attempt(second + 5 * MINUTE);
        let reserved = calls.reserve(start, later, None).await.unwrap();
        let super::super::Reserved::Expired(pending) = reserved else {
            panic!("{reserved:?}");
        };
        assert!(calls.give_up(&pending).await.unwrap());
        assert!(!calls.give_up(&pending).await.unwrap(), "once");
    }

    async fn stored(calls: &CallRegister) -> String {
        let store = &calls.documents.store;
        let mut text = String::new();
        for key in store.list("", None, 100).await.unwrap() {
            let found = store.find(&key).await.unwrap().unwrap();
            text.push_str(&String::from_utf8_lossy(&found.content));
        }
        text
    }

    #[tokio::test]
    async fn the_consent_of_a_start_by_room_is_forgotten_with_the_recording_of_its_time() {
        let calls = CallRegister::new(Arc::new(MemoryDocumentStore::default()));
        given_up(&calls, &start("room-1", "Ada"), 0).await;
        given_up(&calls, &start("room-2", "Grace"), 30 * MINUTE).await;
        calls.forget_given_up(at(60 * MINUTE)).await.unwrap();
        let text = stored(&calls).await;
        assert!(text.contains("Ada") && text.contains("Grace"), "{text}");

        calls.forget_given_up(at(2 * MINUTE)).await.unwrap();
        let text = stored(&calls).await;
        assert!(!text.contains("Ada") && text.contains("Grace"), "{text}");
        let markers = calls.documents.store.list(FREED, None, 100).await.unwrap();
        assert_eq!(markers.len(), 1, "{markers:?}");
    }

    #[tokio::test]
    async fn a_call_that_was_given_up_can_be_recorded_again() {
        let calls = CallRegister::new(Arc::new(MemoryDocumentStore::default()));
        let start = start("room-1", "Ada");
        given_up(&calls, &start, 0).await;
        given_up(&calls, &start, 6 * MINUTE).await;
        assert!(!calls.has_open().await.unwrap());
        // Whether they began recordings stays unknown for two days.
        assert_eq!(calls.unknown(at(11 * MINUTE)).await.unwrap().0.len(), 2);
        assert_eq!(
            calls
                .unknown(at(3 * 24 * 60 * MINUTE))
                .await
                .unwrap()
                .0
                .len(),
            0
        );
    }

    #[tokio::test]
    async fn a_start_without_a_known_outcome_counts_when_it_is_no_longer_under_way() {
        let calls = CallRegister::new(Arc::new(MemoryDocumentStore::default()));
        let attempt = StartAttempt {
            request_id: Uuid::new_v4(),
            first_sent: at(0),
        };
        let reserved = calls.reserve(&start("room-1", "Ada"), attempt, None).await;
        assert!(matches!(reserved.unwrap(), super::super::Reserved::Yes(_)));
        let (unknown, _) = calls.unknown(at(1)).await.unwrap();
        assert!(unknown.is_empty());
        let (unknown, _) = calls.unknown(at(10)).await.unwrap();
        assert_eq!(unknown, [at(0)]);
    }

    #[tokio::test]
    async fn a_start_that_a_clock_ahead_sent_counts_at_once() {
        let calls = CallRegister::new(Arc::new(MemoryDocumentStore::default()));
        let attempt = StartAttempt {
            request_id: Uuid::new_v4(),
            first_sent: at(4 * MINUTE),
        };
        let reserved = calls.reserve(&start("room-1", "Ada"), attempt, None).await;
        assert!(matches!(reserved.unwrap(), super::super::Reserved::Yes(_)));
        let (unknown, _) = calls.unknown(at(0)).await.unwrap();
        assert_eq!(unknown, [at(4 * MINUTE)]);
        let (unknown, _) = calls.unknown(at(4 * MINUTE - 5)).await.unwrap();
        assert!(unknown.is_empty(), "{unknown:?}");
    }

    #[tokio::test]
    async fn a_marker_whose_time_is_not_readable_counts() {
        let calls = CallRegister::new(Arc::new(MemoryDocumentStore::default()));
        for marker in ["starting/99999999999999999999-a-b", "starting/x"] {
            calls.mark(marker).await.unwrap();
        }
        let (unknown, _) = calls.unknown(at(0)).await.unwrap();
        assert_eq!(unknown, [at(0), at(0)]);
    }
}
