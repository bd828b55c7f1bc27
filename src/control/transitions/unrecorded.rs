//! Requests that an account drops before their own answers came: who records them. Pure.
//!
//! An event, or another request, may settle a request while the process that sent it waits for ACS's answer. That process
//! records the request with its answer. Only where it was killed, or the answer was lost, the sweep does.

use jiff::Timestamp;
use uuid::Uuid;

use super::{MOST_UNRECORDED, SETTLES};
use crate::clock::CLOCKS_DIFFER;
use crate::control::entry::RegisteredRecording;
use crate::control::intention::Intention;

impl RegisteredRecording {
    /// Returns what a change of `known` to this account dropped without an answer, and forgets what was answered.
    pub(in crate::control) fn dropped_since(&mut self, known: Option<&Self>) -> Vec<Intention> {
        let answered = std::mem::take(&mut self.answered);
        self.unrecorded
            .retain(|request| !answered.contains(&request.id));
        let is_kept = |id| {
            let mut kept = self.intentions.iter().chain(&self.unrecorded);
            kept.any(|kept| kept.id == id)
        };
        let known = known.into_iter().flat_map(|known| &known.intentions);
        let dropped = known.filter(|intention| {
            let id = intention.id;
            intention.asked_by.is_some() && !answered.contains(&id) && !is_kept(id)
        });
        dropped.cloned().collect()
    }

    /// Keeps requests until the sweep records them. Returns those for which there is no room.
    #[must_use]
    pub(in crate::control) fn keep_unrecorded(
        &mut self,
        requests: Vec<Intention>,
    ) -> Vec<Intention> {
        self.unrecorded.extend(requests);
        if self.erased.is_some() {
            self.forget_requesters();
        }
        let too_many = self.unrecorded.len().saturating_sub(MOST_UNRECORDED);
        self.unrecorded.drain(..too_many).collect()
    }

    /// Returns requests that no process can be about to record.
    pub(in crate::control) fn unrecorded_since_long(&self, now: Timestamp) -> Vec<Intention> {
        let is_long_ago = |request: &&Intention| {
            now.duration_since(request.at) >= SETTLES.saturating_add(CLOCKS_DIFFER)
        };
        let requests = self.unrecorded.iter().filter(is_long_ago);
        requests.cloned().collect()
    }

    /// Forgets a request that is in the audit log.
    pub(in crate::control) fn forget_unrecorded(&mut self, id: Uuid) {
        self.unrecorded.retain(|request| request.id != id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::SignedDuration;

    use crate::control::intention::IntendedAction;
    use crate::control::requester::{NAME_NOT_STORED, Requester};
    use crate::store::audit::Principal;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn stop() -> Intention {
        let by = Requester::Api {
            principal: Some(Principal::Claimed("ada".to_owned())),
            invocation: None,
        };
        Intention::new(NOW, IntendedAction::Stop).asked_by(by.asks(serde_json::Map::new()))
    }

    fn recording() -> RegisteredRecording {
        RegisteredRecording::unknown("r".parse().unwrap(), NOW)
    }

    #[test]
    fn what_was_dropped_without_an_answer_is_kept_until_no_process_can_record_it() {
        let (answered, lost) = (stop(), stop());
        let mut known = recording();
        known.intend(&answered);
        known.intend(&lost);
        let mut ended = known.clone();
        ended.withdraw(&answered);
        ended.stop(NOW);
        let dropped = ended.dropped_since(Some(&known));
        assert_eq!(dropped, std::slice::from_ref(&lost));
        assert!(ended.answered.is_empty());
        assert!(ended.keep_unrecorded(dropped).is_empty() && ended.is_swept());

        let after = |seconds| NOW + SignedDuration::from_secs(seconds);
        assert!(ended.unrecorded_since_long(after(359)).is_empty());
        let due = ended.unrecorded_since_long(after(360));
        assert_eq!(due, std::slice::from_ref(&lost));

        let before = ended.clone();
        ended.withdraw(&lost);
        assert!(ended.dropped_since(Some(&before)).is_empty());
        assert!(!ended.is_swept(), "its own process recorded it");
    }

    #[test]
    fn an_account_keeps_a_bounded_number_and_says_which_it_cannot_keep() {
        let requests: Vec<_> = (0..MOST_UNRECORDED + 2).map(|_| stop()).collect();
        let excess = recording().keep_unrecorded(requests.clone());
        assert_eq!(excess, requests[..2]);
    }

    #[test]
    fn an_erased_account_keeps_no_names() {
        let mut erased = recording();
        erased.erased = Some(crate::control::entry::Erased {
            at: NOW,
            reason: "asked".to_owned(),
        });
        assert!(erased.keep_unrecorded(vec![stop()]).is_empty());
        let detail = &erased.unrecorded[0].asked_by.as_ref().unwrap().detail;
        assert_eq!(detail.get("claimedBy"), None);
        assert_eq!(detail[NAME_NOT_STORED], true);
    }
}
