//! Sends the last decision to ACS again, if a late request of ours may have undone it.

use tracing::warn;

use super::auditing::AuditDraft;
use super::requester::Requester;
use super::undone::Decision;
use super::{RecordingControl, address, best_effort};
use crate::error_chain::ErrorChain;
use crate::recording::RecordingId;
use crate::store::audit::AuditAction;

/// Times that ACS is asked while callers change their mind; the sweep asks again.
const MOST_ROUNDS: u32 = 3;

impl RecordingControl {
    /// Pauses or resumes a recording again, as long as that is the last decision. A decision that is made while ACS is
    /// asked is sent after it.
    pub(super) async fn send_again(&self, id: &RecordingId, decision: Decision) {
        let mut decision = decision;
        for _ in 0..MOST_ROUNDS {
            let now = self.clock.now();
            let noted = self
                .register
                .change(id, now, |account| account.sends_again(decision, now))
                .await;
            let Some(account) = best_effort("note a request that is sent again", id, noted) else {
                return;
            };
            if account.decision() != Some(decision) {
                return;
            }
            let sent = match decision {
                Decision::Pause => {
                    warn!(recording.id = %id, "A late resume may have ended a newer pause of recording `{id}`; pausing it again");
                    self.client.pause(address(id, Some(&account))).await
                }
                Decision::Resume => {
                    warn!(recording.id = %id, "A late pause may have paused recording `{id}` after it was resumed; resuming it again");
                    self.client.resume(address(id, Some(&account))).await
                }
            };
            match sent {
                Ok(()) => {
                    let draft = draft(decision);
                    let _reported = self.record(id, draft, &Requester::Sweep).await;
                }
                // A recording in the wrong state for this request is already in the decided state.
                Err(error) if error.is_wrong_state() => {}
                Err(error) => {
                    warn!(recording.id = %id, error = %ErrorChain(&error), "Could not ask ACS again to pause or resume recording `{id}`; the sweep tries again");
                    return;
                }
            }
            match self.known(id).await.and_then(|account| account.decision()) {
                Some(newer) if newer != decision => decision = newer,
                Some(_) | None => return,
            }
        }
    }
}

fn draft(decision: Decision) -> AuditDraft {
    let action = match decision {
        Decision::Pause => AuditAction::Paused,
        Decision::Resume => AuditAction::Resumed,
    };
    AuditDraft::new(action).with("reason", "a late request undid the last decision")
}
