//! How recordings stand: asked at ACS, read together with the register, and kept true by the sweep.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::entry::{PauseEnd, RecordingStatus, RegisteredRecording};
use super::state::RecordingState;
use super::sweep::ASK_EVERY;
use super::{ControlError, RecordingControl, RecordingView, address, best_effort};
use crate::acs::wire::StateAtAcs;
use crate::recording::RecordingId;

/// ACS reports a change of state some seconds late (12 s were recorded after a start); what it says before is the past.
const SETTLES: SignedDuration = SignedDuration::from_secs(60);
/// A pause that is to last longer is none that the guard would end in time.
const LONGEST_PAUSE: Duration = Duration::from_hours(24);

impl RecordingControl {
    /// How a recording stands, by ACS and the register together.
    ///
    /// # Errors
    /// When ACS refuses; 404 only for a recording that the register does not know either.
    pub async fn state(&self, id: &RecordingId) -> Result<RecordingView, ControlError> {
        let known = self.known(id).await;
        let answer = match self.client.state(address(id, known.as_ref())).await {
            Ok(answer) => answer,
            Err(error) if error.is_not_found() && known.is_some() => {
                let now = self.clock.now();
                let account = self
                    .register
                    .change(id, now, |account| account.stop(now))
                    .await?;
                return Ok(RecordingView::of(account));
            }
            Err(error) => return Err(error.into()),
        };
        let at_acs = answer.recording_state;
        let Some(known) = known else {
            return Ok(RecordingView {
                recording_id: id.clone(),
                state: match at_acs {
                    StateAtAcs::Active => RecordingState::Active,
                    StateAtAcs::Inactive => RecordingState::Inactive,
                    StateAtAcs::Unknown => RecordingState::Unknown,
                },
                recording_kind: answer.recording_kind,
                account: None,
            });
        };
        let now = self.clock.now();
        let account = if is_news(&known, at_acs, now) {
            let changed = self
                .register
                .change(id, now, |account| observe(account, at_acs, now))
                .await;
            best_effort("register a recording's state", changed).unwrap_or(known)
        } else {
            known
        };
        let state = match (account.state(), at_acs) {
            (RecordingState::Active, StateAtAcs::Inactive) => RecordingState::Inactive,
            (state, _) => state,
        };
        let recording_kind = answer
            .recording_kind
            .or_else(|| account.recording_kind.clone());
        Ok(RecordingView {
            recording_kind,
            ..RecordingView::in_state(id, state, Some(account))
        })
    }
}

/// Whether it began so long ago that `inactive` can only mean paused.
pub(super) fn has_begun(account: &RegisteredRecording, now: Timestamp) -> bool {
    account
        .started_at
        .is_some_and(|started_at| now.duration_since(started_at) >= SETTLES)
}

/// Whether an answer of ACS changes the account.
fn is_news(account: &RegisteredRecording, at_acs: StateAtAcs, now: Timestamp) -> bool {
    let mut observed = account.clone();
    observe(&mut observed, at_acs, now);
    observed.heard_at = account.heard_at;
    observed != *account || now.duration_since(account.heard_at) >= ASK_EVERY
}

/// Takes over what ACS says, unless it may still be speaking of what was before the last change.
fn observe(account: &mut RegisteredRecording, at_acs: StateAtAcs, now: Timestamp) {
    account.heard_at = now;
    let changed_at = match (&account.status, account.pauses.last()) {
        (RecordingStatus::Stopped { at } | RecordingStatus::Failed { at, .. }, _) => Some(*at),
        (RecordingStatus::Running, Some(pause)) => Some(pause.ended_at.unwrap_or(pause.started_at)),
        (RecordingStatus::Running, None) => account.started_at,
    };
    let has_settled = changed_at.is_none_or(|changed_at| now.duration_since(changed_at) >= SETTLES);
    match at_acs {
        StateAtAcs::Active if has_settled => account.resume(now, PauseEnd::Observed),
        // A recording that runs and is `inactive` for long is paused, by whomever.
        StateAtAcs::Inactive if has_settled && account.is_running() => account.pause(now, None),
        StateAtAcs::Active | StateAtAcs::Inactive | StateAtAcs::Unknown => {}
    }
}

/// How long a pause may last, from a caller's text: `90s`, `5m`, `PT5M`.
///
/// # Errors
/// With what would be right.
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

    fn at(second: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_secs(second)
    }

    fn running_since(second: i64) -> RegisteredRecording {
        let id = "r".parse().unwrap();
        RegisteredRecording {
            started_at: Some(at(second)),
            ..RegisteredRecording::unknown(id, at(second))
        }
    }

    fn observed(
        mut account: RegisteredRecording,
        at_acs: StateAtAcs,
        second: i64,
    ) -> RecordingState {
        observe(&mut account, at_acs, at(second));
        account.state()
    }

    #[test]
    fn what_acs_says_directly_after_a_change_is_the_past() {
        let mut paused = running_since(0);
        paused.pause(at(100), None);
        assert_eq!(
            observed(paused.clone(), StateAtAcs::Active, 110),
            RecordingState::Paused
        );
        assert_eq!(
            observed(paused, StateAtAcs::Active, 161),
            RecordingState::Active
        );
        assert_eq!(
            observed(running_since(0), StateAtAcs::Inactive, 12),
            RecordingState::Active
        );
    }

    #[test]
    fn a_recording_that_somebody_else_paused_is_paused() {
        assert_eq!(
            observed(running_since(0), StateAtAcs::Inactive, 90),
            RecordingState::Paused
        );
        let mut stopped = running_since(0);
        stopped.stop(at(100));
        assert_eq!(
            observed(stopped, StateAtAcs::Inactive, 1000),
            RecordingState::Stopped
        );
    }

    #[test]
    fn a_recording_closed_by_mistake_is_open_again_when_acs_says_so() {
        let mut stopped = running_since(0);
        stopped.stop(at(100));
        assert_eq!(
            observed(stopped.clone(), StateAtAcs::Active, 101),
            RecordingState::Stopped
        );
        assert_eq!(
            observed(stopped, StateAtAcs::Active, 200),
            RecordingState::Active
        );
    }

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
