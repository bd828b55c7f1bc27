//! Intents: what is about to be deleted is recorded first.
//!
//! A deletion has three steps: the intent, durable and audited; then a check of the holds; then the request. So a hold
//! that is added meanwhile is either found by that check, or its adder finds the intent. It knows no ledger and no
//! vault.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::recording::{DeleteLocation, DocumentId};

/// The longest time that a request may live after the claim under which it was sent, including clock errors: the
/// client's own deadlines are seconds, a proxy's minutes.
pub(in crate::export) const REQUEST_LIVES: Duration = Duration::from_mins(15);

/// The files at ACS that are about to be deleted. A removal from the vault has its own state,
/// [`Removing`](super::state::ChunkState::Removing).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IntendedDeletion {
    /// The URL, as it is sent.
    pub at: String,
    /// The object that it names, where that is not the chunk's document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub other_object: Option<DocumentId>,
}

impl From<&DeleteLocation> for IntendedDeletion {
    fn from(location: &DeleteLocation) -> Self {
        Self {
            at: location.url().to_string(),
            other_object: location.other_object().cloned(),
        }
    }
}

/// Intent to delete something of a chunk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Intent {
    pub deletes: IntendedDeletion,
    pub began_at: Timestamp,
    /// A request of its owner may still arrive until then.
    acts_until: Timestamp,
    claim: Uuid,
    /// When an earlier holder began the same deletion, whose outcome is unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    in_doubt_since: Option<Timestamp>,
}

impl Intent {
    pub(super) fn new(deletes: IntendedDeletion, claim: Uuid, now: Timestamp) -> Self {
        Self {
            deletes,
            began_at: now,
            acts_until: now.checked_add(REQUEST_LIVES).unwrap_or(Timestamp::MAX),
            claim,
            in_doubt_since: None,
        }
    }

    /// Takes over from another intent, whose requests may still arrive.
    #[must_use]
    pub(super) fn after(mut self, previous: Option<&Self>) -> Self {
        if let Some(previous) = previous {
            self.acts_until = self.acts_until.max(previous.acts_until);
            self.in_doubt_since = if previous.claim == self.claim {
                previous.in_doubt_since
            } else {
                Some(previous.in_doubt_since.unwrap_or(previous.began_at))
            };
        }
        self
    }

    /// Extends the intent with the owner's claim, which lasts until then.
    pub(super) fn extend(&mut self, claim: Uuid, claimed_until: Timestamp) {
        if self.claim == claim {
            let acts_until = claimed_until
                .checked_add(REQUEST_LIVES)
                .unwrap_or(Timestamp::MAX);
            self.acts_until = self.acts_until.max(acts_until);
        }
    }

    /// Whether it belongs to the holder of this claim.
    pub(super) fn is_of(&self, claim: Uuid) -> bool {
        self.claim == claim
    }

    /// When a holder other than that of this claim began the deletion. Its outcome is unknown.
    pub(super) fn in_doubt_since(&self, claim: Uuid) -> Option<Timestamp> {
        if self.claim == claim {
            self.in_doubt_since
        } else {
            Some(self.in_doubt_since.unwrap_or(self.began_at))
        }
    }

    /// Until when the deletion may still take effect, whichever process checks the holds now.
    pub fn acts_until(&self) -> Timestamp {
        self.acts_until
    }

    /// Whether a request of its owner may still arrive. If so, nothing may be reported as "held, and still there".
    pub fn may_still_act(&self, now: Timestamp) -> bool {
        now < self.acts_until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deletion() -> IntendedDeletion {
        IntendedDeletion {
            at: "https://eus.asm.skype.com/v1/objects/a".to_owned(),
            other_object: None,
        }
    }

    #[test]
    fn an_intent_may_act_until_the_last_request_under_its_claim_is_dead() {
        let now: Timestamp = "2026-03-02T10:00:00Z".parse().unwrap();
        let minutes = |minutes| now + jiff::SignedDuration::from_mins(minutes);
        let claim = Uuid::from_u128(1);
        let mut intent = Intent::new(deletion(), claim, now);
        intent.extend(claim, minutes(1));
        assert!(intent.may_still_act(minutes(15)));
        assert!(!intent.may_still_act(minutes(16)));
        intent.extend(Uuid::from_u128(2), minutes(60));
        assert!(
            !intent.may_still_act(minutes(16)),
            "another claim's time is not the owner's"
        );
    }

    #[test]
    fn an_intent_that_takes_over_from_another_holder_keeps_the_doubt() {
        let now: Timestamp = "2026-03-02T10:00:00Z".parse().unwrap();
        let later = now + jiff::SignedDuration::from_hours(1);
        let (first, second) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let sent = Intent::new(deletion(), first, now);
        assert_eq!(sent.in_doubt_since(first), None, "it knows its own answers");
        assert_eq!(sent.in_doubt_since(second), Some(now));
        let again = Intent::new(deletion(), second, later).after(Some(&sent));
        assert_eq!(again.in_doubt_since(second), Some(now));
        let moved = Intent::new(deletion(), second, later).after(Some(&again));
        assert_eq!(moved.in_doubt_since(second), Some(now));
    }
}
