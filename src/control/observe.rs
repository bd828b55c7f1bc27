//! The state of recordings: read from ACS and the register together. Asks ACS for no change.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::entry::RegisteredRecording;
use super::state::RecordingState;
use super::sweep::ASK_EVERY;
use super::undone::Decision;
use super::{ControlError, RecordingControl, RecordingView, address, best_effort, warn_of};
use crate::acs::AcsError;
use crate::acs::wire::StateAtAcs;
use crate::recording::RecordingId;
use crate::store::DocumentError;

/// The guard does not end a longer pause in time.
const LONGEST_PAUSE: Duration = Duration::from_hours(24);

/// A recording as ACS and the register know it.
#[derive(Debug)]
pub(super) struct Look {
    pub view: RecordingView,
    /// The last decision, if a late request of ours undid it at ACS.
    pub undone: Option<Decision>,
}

impl RecordingControl {
    /// Returns a recording's state, from ACS and the register together.
    ///
    /// # Errors
    /// When ACS refuses, with 404 only for a recording that the register does not know either; where it could not be read,
    /// with its error.
    pub async fn state(&self, id: &RecordingId) -> Result<RecordingView, ControlError> {
        Ok(self.look(id).await?.view)
    }

    /// # Errors
    /// As [`RecordingControl::state`].
    pub(super) async fn look(&self, id: &RecordingId) -> Result<Look, ControlError> {
        let (known, unread) = match self.register.find(id).await {
            Ok(known) => (known, None),
            // ACS may know it.
            Err(error) => (None, Some(error)),
        };
        let asked_at = self.clock.now();
        let answer = match self.client.state(address(id, known.as_ref())).await {
            Ok(answer) => answer,
            Err(error) if error.is_not_found() && known.is_some() => {
                let now = self.clock.now();
                let account = self
                    .register
                    .change(id, now, |account| account.stop(now))
                    .await?;
                return Ok(Look::settled(RecordingView::of(account)));
            }
            Err(error) => return Err(unknown(error, unread)),
        };
        if let Some(unread) = &unread {
            warn_of("look the recording up", id, unread);
        }
        let at_acs = answer.recording_state;
        let Some(known) = known else {
            return Ok(Look::settled(RecordingView {
                recording_id: id.clone(),
                state: match at_acs {
                    StateAtAcs::Active => RecordingState::Active,
                    StateAtAcs::Inactive => RecordingState::Inactive,
                    StateAtAcs::Unknown => RecordingState::Unknown,
                },
                recording_kind: answer.recording_kind,
                account: None,
            }));
        };
        let account = if is_news(&known, at_acs, asked_at) {
            let changed = self
                .register
                .change(id, asked_at, |account| account.observe(at_acs, asked_at))
                .await;
            best_effort("note its state", id, changed).unwrap_or(known)
        } else {
            known
        };
        let undone = account.undone(at_acs, asked_at);
        let is_overdue = undone.is_none() && account.has_settled(asked_at);
        let state = shown_state(account.state(), at_acs, is_overdue);
        let recording_kind = answer
            .recording_kind
            .or_else(|| account.recording_kind.clone());
        let view = RecordingView {
            recording_kind,
            ..RecordingView::in_state(id, state, Some(account))
        };
        Ok(Look { view, undone })
    }
}

/// The state of a recording by its account and ACS. `is_overdue`: ACS should have reported the account's state by now, and
/// is not asked for it again.
fn shown_state(known: RecordingState, at_acs: StateAtAcs, is_overdue: bool) -> RecordingState {
    match (known, at_acs) {
        (RecordingState::Active, StateAtAcs::Inactive) => RecordingState::Inactive,
        // Others may have resumed it, or this clock is fast and ACS does not report the pause yet.
        (RecordingState::Paused, StateAtAcs::Active) if is_overdue => RecordingState::Unknown,
        (known, _) => known,
    }
}

impl Look {
    fn settled(view: RecordingView) -> Self {
        Self { view, undone: None }
    }
}

/// Why nothing is known of a recording. ACS forgets what has ended: where the register could not be read, nothing says that
/// there was no such recording.
fn unknown(error: AcsError, unread: Option<DocumentError>) -> ControlError {
    let says_nothing = error.is_not_found() || matches!(error, AcsError::NoConversation(_));
    match unread {
        Some(unread) if says_nothing => unread.into(),
        Some(_) | None => error.into(),
    }
}

/// Whether an answer of ACS changes the account.
fn is_news(account: &RegisteredRecording, at_acs: StateAtAcs, asked_at: Timestamp) -> bool {
    let mut observed = account.clone();
    observed.observe(at_acs, asked_at);
    observed.heard_at = account.heard_at;
    observed != *account
        || asked_at.duration_since(account.heard_at) >= ASK_EVERY
        || account.is_to_be_checked(asked_at)
}

/// Parses how long a pause may last: `90s`, `5m`, `PT5M`.
///
/// # Errors
/// With what is expected.
pub fn resume_after(text: &str) -> Result<Duration, String> {
    let duration = text
        .parse::<SignedDuration>()
        .ok()
        .and_then(|duration| Duration::try_from(duration).ok());
    match duration {
        Some(duration) if !duration.is_zero() && duration <= LONGEST_PAUSE => Ok(duration),
        Some(_) | None => Err(format!(
            "`resumeAfter` is `{text}`; expected a duration such as 90s or 5m, 24h at most."
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case("90s", Some(90))]
    #[case("5m", Some(300))]
    #[case("PT5M", Some(300))]
    #[case("0s", None)]
    #[case("90000h", None)]
    #[case("-5s", None)]
    #[case("soon", None)]
    fn a_pauses_end_is_a_duration(#[case] text: &str, #[case] seconds: Option<u64>) {
        assert_eq!(resume_after(text).ok(), seconds.map(Duration::from_secs));
    }
}
