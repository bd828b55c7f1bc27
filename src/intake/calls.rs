//! Events of calls: the policy may record a call that starts; the end of a call is a reason to query ACS.

use tracing::{error, warn};

use super::{Delivery, LATEST_START, Origin};
use crate::control::ControlError;
use crate::error_chain::ErrorChain;
use crate::recording::call_event::{CallEnded, CallStarted};
use crate::recording::{PersonKey, ServerCallId};
use crate::store::people::PersonHash;
use crate::store::seen_calls::SeenCall;
use crate::store::{DocumentError, StoreError};

impl Delivery<'_> {
    /// Notes that the start of a call was announced, and by whom it was started: its recordings are not unsolicited, and
    /// are found by these people.
    pub(super) async fn note_call(&mut self, call: &CallStarted) {
        let at = call.event_time.unwrap_or_else(|| self.intake.clock.now());
        let noting = async {
            let people = self.hashed(&call.people).await?;
            let seen_calls = self.intake.ledger.seen_calls();
            let key = call.server_call_id.key();
            seen_calls.note(&key, at, &SeenCall { people }).await
        };
        let noting: Result<(), StoreError> = noting.await;
        if let Err(error) = noting {
            warn!(error = %ErrorChain(&error), "Could not note that the start of a call was announced");
            self.again.get_or_insert(format!(
                "the start of a call was not noted: {}",
                ErrorChain(&error)
            ));
        }
    }

    /// Notes people whom an event of a call names in the account of its recording, if there is one already.
    pub(super) async fn note_people(&self, server_call_id: &ServerCallId, people: &[String]) {
        let noting = async {
            let people = self.hashed(people).await?;
            let control = &self.intake.control;
            let noted = control.note_people(server_call_id, &people);
            noted.await
        };
        let noting: Result<(), DocumentError> = noting.await;
        if let Err(error) = noting {
            warn!(error = %ErrorChain(&error), "Could not note the people of a call");
        }
    }

    async fn hashed(&self, people: &[String]) -> Result<Vec<PersonHash>, StoreError> {
        let mut hashes = Vec::with_capacity(people.len());
        for id in people {
            let person = PersonKey::of(id);
            hashes.push(self.intake.ledger.people().hash(&person).await?);
        }
        Ok(hashes)
    }

    /// Starts the recording of a call. If a later start may succeed, Event Grid must deliver again: a call that is not
    /// recorded is a loss too.
    pub(super) async fn auto_record(&mut self, call: &CallStarted) {
        if let Some(text) = self.is_past(call) {
            self.report(text);
            return;
        }
        let started = match &self.intake.auto_record {
            Some(policy) => self.intake.control.auto_record(policy, call).await,
            None => None,
        };
        let text = match started {
            None => "The policy records nothing of this call".to_owned(),
            Some(Ok(view)) => format!("Recording {} of the call", view.recording_id),
            Some(Err(ControlError::AlreadyInProgress { .. })) => {
                "The call is being recorded already".to_owned()
            }
            Some(Err(error)) => {
                let text = format!("the call could not be recorded: {}", ErrorChain(&error));
                error!(error = %ErrorChain(&error), "Could not start the recording of a call that the policy records");
                if error.may_succeed_later() {
                    self.again.get_or_insert(text.clone());
                }
                text
            }
        };
        self.report(text);
    }

    /// Why a call is not recorded although the policy might: a recording must not start long after its call did.
    fn is_past(&self, call: &CallStarted) -> Option<String> {
        let policy = self.intake.auto_record.as_ref()?;
        if self.origin == Origin::Replay {
            return Some("A replayed event starts no recording".to_owned());
        }
        let age = self.intake.clock.now().duration_since(call.event_time?);
        if age <= LATEST_START || !policy.records(call) {
            return None;
        }
        error!(
            age_s = age.as_secs(),
            "A call that the policy records was announced more than an hour late; it is not recorded"
        );
        Some("The call was announced more than an hour late, and is not recorded".to_owned())
    }

    pub(super) async fn close(&mut self, call: &CallEnded) {
        let at = call.ended_at.unwrap_or_else(|| self.intake.clock.now());
        match self
            .intake
            .control
            .call_ended(&call.server_call_id, at)
            .await
        {
            Ok(Some(id)) => self.report(format!("The call of recording {id} ended")),
            Ok(None) => self.report("A call ended that this app did not record".to_owned()),
            // The sweep asks ACS about running recordings, and closes it then.
            Err(error) => {
                warn!(error = %ErrorChain(&error), "Could not register the end of a call");
            }
        }
    }
}
