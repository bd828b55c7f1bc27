//! Ends the recording of a bot that leaves. No bot waits for the result, and a call that the bot has handed over continues
//! without it. So the app retries the stop for a day, until the recording has surely ended.

use std::time::Duration;

use tracing::{error, warn};

use super::carry_out::{Attempt, Session, bot, is_over};
use super::command::{Action, Outcome, not_started};
use super::conversation::Conversation;
use super::queued_command::QueuedCommand;
use crate::control::calls::LastStart;
use crate::control::starting::start_unknown;
use crate::control::{ControlError, RecordingControl};
use crate::error_chain::ErrorChain;
use crate::recording::RecordingId;
use crate::retry::RetryPolicy;

/// About a day.
const ENDING: RetryPolicy = RetryPolicy {
    first_delay: Duration::from_secs(2),
    longest_delay: Duration::from_mins(15),
    max_failures: 110,
};
/// Failures in a row, within about a minute, after which somebody should stop the recording by hand.
const REPORTED_AT: u32 = 6;
/// Longest delay while it is not known which recording to end: other commands of the conversation wait for it.
const WAITS_FOR_RECORDING: Duration = Duration::from_mins(1);

impl RecordingControl {
    /// Ends the recording of a conversation, once. Later attempts are for the recording that the first one found: the
    /// conversation may have begun another since.
    pub(super) async fn end(
        &self,
        conversation: &Conversation,
        command: &QueuedCommand,
        tries: u32,
    ) -> Attempt {
        let sessions = match command.unstopped() {
            Some(id) => vec![Session {
                recording_id: id.clone(),
                is_own: true,
                started_at: None,
            }],
            None => match self.sessions(conversation).await {
                Ok(sessions) => sessions,
                Err(error) => return end_later(None, error.into(), tries),
            },
        };
        // While the outcome of the bot's start was unknown, others may have begun a recording of the call.
        let is_later = |session: &Session| {
            let is_after = session
                .started_at
                .is_some_and(|at| at > command.received_at);
            tries > 0 && !session.is_own && is_after
        };
        for session in sessions.into_iter().filter(|session| !is_later(session)) {
            let by = bot(conversation);
            match self
                .change_session(&session, &Action::End, tries, &by)
                .await
            {
                Ok(view) => return Attempt::Done(view.into()),
                Err(error) if self.has_surely_ended(&session.recording_id, &error).await => {}
                Err(error) => return end_later(Some(session.recording_id), error, tries),
            }
        }
        if command.unstopped().is_some() {
            return Attempt::Done(not_started());
        }
        match self.last_start(conversation).await {
            Ok(LastStart::Known) => Attempt::Done(not_started()),
            Ok(LastStart::Open) => end_later(None, start_unknown(None), tries),
            // That start has an error of its own in the log.
            Ok(LastStart::GivenUp) => Attempt::Done(Outcome::of_failure(start_unknown(None), None)),
            Err(error) => end_later(None, error.into(), tries),
        }
    }

    /// Whether a stop was refused because the recording has ended, or never ran.
    async fn has_surely_ended(&self, id: &RecordingId, error: &ControlError) -> bool {
        if let ControlError::NotStarted { .. } = error {
            // A recording in another state refuses the stop as well, for example while it starts.
            let account = self.known(id).await;
            account.is_some_and(|account| !account.is_running())
        } else {
            is_over(error)
        }
    }
}

fn end_later(unstopped: Option<RecordingId>, error: ControlError, tries: u32) -> Attempt {
    let failures = tries.saturating_add(1);
    let recording_id = unstopped.as_ref().map(tracing::field::display);
    let Some(delay) = ENDING.delay(failures, None, rand::random()) else {
        if unstopped.is_some() {
            error!(recording.id = recording_id, error = %ErrorChain(&error), "A bot left, and its recording could not be stopped for a day; the app no longer tries");
        } else {
            error!(error = %ErrorChain(&error), "A bot left, and it is not known which recording to stop; the app no longer tries");
        }
        return Attempt::Done(Outcome::of_failure(error, unstopped.as_ref()));
    };
    if failures == REPORTED_AT {
        error!(recording.id = recording_id, error = %ErrorChain(&error), "A bot left, and its recording cannot be stopped; the app retries for a day");
    } else {
        warn!(recording.id = recording_id, error = %ErrorChain(&error), "Could not stop the recording of a bot that left; the app tries again");
    }
    let delay = match &unstopped {
        Some(_) => delay,
        None => delay.min(WAITS_FOR_RECORDING),
    };
    Attempt::TryAgain { delay, unstopped }
}
