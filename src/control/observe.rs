//! How recordings stand: asked at ACS, read together with the register, and kept true by the sweep.

use std::time::Duration;

use futures::StreamExt as _;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use tracing::{error, info};

use super::entry::{PauseEnd, RecordingStatus, RegisteredRecording};
use super::{ControlError, RecordingControl, RecordingView, address, best_effort, view};
use crate::acs::wire::{CallLocator, RecordedCall};
use crate::error_chain::ErrorChain;
use crate::export::Budget;
use crate::recording::RecordingId;
use crate::store::documents::DocumentError;

/// ACS reports a change of state some seconds late (12 s were recorded after a start); what it says before is the past.
const SETTLES: SignedDuration = SignedDuration::from_secs(60);
/// A running recording is asked for this often, so that one that ended by itself does not stay in the list.
const ASK_EVERY: SignedDuration = SignedDuration::from_mins(5);
const PAGE: usize = 100;
/// Recordings that are looked after at once.
const AT_ONCE: usize = 8;
/// A pause that is to last longer is none that the guard would end in time.
const LONGEST_PAUSE: Duration = Duration::from_hours(24);

/// What the sweep did for running recordings.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordingsReport {
    pub running: u64,
    /// Forgotten pauses that were ended.
    pub resumed: u64,
    /// Recordings that had ended without a word.
    pub closed: u64,
    pub failed: u64,
}

/// What became of one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Looked {
    Fine,
    Resumed,
    Closed,
    Failed,
}

impl RecordingsReport {
    fn count(&mut self, looked: Looked) {
        self.running += 1;
        match looked {
            Looked::Fine => {}
            Looked::Resumed => self.resumed += 1,
            Looked::Closed => self.closed += 1,
            Looked::Failed => self.failed += 1,
        }
    }
}

/// Its pause is over, and nobody has ended it.
fn is_due(recording: &RegisteredRecording, now: Timestamp) -> bool {
    recording
        .open_pause()
        .and_then(|pause| pause.resume_at)
        .is_some_and(|resume_at| resume_at <= now)
}

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
                return Ok(view(id, account.state_name(), Some(account)));
            }
            Err(error) => return Err(error.into()),
        };
        let at_acs = answer.recording_state.unwrap_or_default();
        let Some(known) = known else {
            return Ok(RecordingView {
                recording_id: id.clone(),
                state: at_acs,
                recording_kind: answer.recording_kind,
                account: None,
            });
        };
        let now = self.clock.now();
        let account = if is_news(&known, &at_acs, now) {
            let changed = self
                .register
                .change(id, now, |account| observe(account, &at_acs, now))
                .await;
            best_effort("register a recording's state", changed).unwrap_or(known)
        } else {
            known
        };
        let is_starting = account.state_name() == "active" && at_acs == "inactive";
        let state = if is_starting {
            "inactive"
        } else {
            account.state_name()
        };
        let recording_kind = answer
            .recording_kind
            .or_else(|| account.recording_kind.clone());
        Ok(RecordingView {
            recording_kind,
            ..view(id, state, Some(account))
        })
    }

    /// Ends pauses whose time is over, and asks for recordings not heard of for a while.
    ///
    /// # Errors
    /// When the list of running recordings cannot be read.
    pub async fn sweep(&self, budget: Budget) -> Result<RecordingsReport, DocumentError> {
        let mut report = RecordingsReport::default();
        let mut cursor = None;
        loop {
            let (page, next) = self.register.running(cursor.as_ref(), PAGE).await?;
            // Forgotten pauses first: what is not recorded meanwhile is lost.
            let (due, rest): (Vec<_>, Vec<_>) = page
                .into_iter()
                .partition(|recording| is_due(recording, self.clock.now()));
            let looks = futures::stream::iter(due.into_iter().chain(rest))
                .take_while(|_| std::future::ready(!budget.is_spent()))
                .map(|recording| async move { self.look_after(&recording).await })
                .buffer_unordered(AT_ONCE);
            for looked in looks.collect::<Vec<_>>().await {
                report.count(looked);
            }
            cursor = next;
            if cursor.is_none() || budget.is_spent() {
                return Ok(report);
            }
        }
    }

    async fn look_after(&self, recording: &RegisteredRecording) -> Looked {
        let (id, now) = (&recording.recording_id, self.clock.now());
        let is_due = is_due(recording, now);
        let result = if is_due {
            self.resume(id, PauseEnd::Guard).await
        } else if now.duration_since(recording.heard_at) >= ASK_EVERY {
            self.state(id).await
        } else {
            return Looked::Fine;
        };
        match result {
            Ok(_) if is_due => Looked::Resumed,
            Ok(view)
                if view
                    .account
                    .as_ref()
                    .is_some_and(|account| !account.is_running()) =>
            {
                Looked::Closed
            }
            Ok(_) => Looked::Fine,
            Err(ControlError::NotStarted { .. }) => Looked::Closed,
            Err(error) => {
                error!(recording.id = %id, error = %ErrorChain(&error), "Recording `{id}` could not be looked after");
                Looked::Failed
            }
        }
    }

    /// The call is over, and with it its recording.
    ///
    /// # Errors
    /// When the register fails.
    pub async fn call_ended(
        &self,
        server_call_id: &str,
        at: Timestamp,
    ) -> Result<Option<RecordingId>, DocumentError> {
        let call = RecordedCall::Locator(CallLocator::ServerCall {
            server_call_id: server_call_id.to_owned(),
        });
        let Some(id) = self.calls.recording_of(&call).await? else {
            return Ok(None);
        };
        self.register
            .change(&id, self.clock.now(), |account| account.stop(at))
            .await?;
        info!(recording.id = %id, "The call of recording `{id}` ended");
        Ok(Some(id))
    }
}

/// Whether it began so long ago that `inactive` can only mean paused.
pub(super) fn has_begun(account: &RegisteredRecording, now: Timestamp) -> bool {
    account
        .started_at
        .is_some_and(|started_at| now.duration_since(started_at) >= SETTLES)
}

/// Whether an answer of ACS changes the account.
fn is_news(account: &RegisteredRecording, at_acs: &str, now: Timestamp) -> bool {
    let mut observed = account.clone();
    observe(&mut observed, at_acs, now);
    observed.heard_at = account.heard_at;
    observed != *account || now.duration_since(account.heard_at) >= ASK_EVERY
}

/// Takes over what ACS says, unless it may still be speaking of what was before the last change.
fn observe(account: &mut RegisteredRecording, at_acs: &str, now: Timestamp) {
    account.heard_at = now;
    let changed_at = match (&account.status, account.pauses.last()) {
        (RecordingStatus::Stopped { at } | RecordingStatus::Failed { at, .. }, _) => Some(*at),
        (RecordingStatus::Running, Some(pause)) => Some(pause.ended_at.unwrap_or(pause.started_at)),
        (RecordingStatus::Running, None) => account.started_at,
    };
    let has_settled = changed_at.is_none_or(|changed_at| now.duration_since(changed_at) >= SETTLES);
    match at_acs {
        "active" if has_settled => account.resume(now, PauseEnd::Observed),
        // A recording that runs and is `inactive` for long is paused, by whomever.
        "inactive" if has_settled && account.is_running() => account.pause(now, None),
        _ => {}
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

    fn observed(mut account: RegisteredRecording, at_acs: &str, second: i64) -> &'static str {
        observe(&mut account, at_acs, at(second));
        account.state_name()
    }

    #[test]
    fn what_acs_says_directly_after_a_change_is_the_past() {
        let mut paused = running_since(0);
        paused.pause(at(100), None);
        assert_eq!(observed(paused.clone(), "active", 110), "paused");
        assert_eq!(observed(paused, "active", 161), "active");
        assert_eq!(observed(running_since(0), "inactive", 12), "active");
    }

    #[test]
    fn a_recording_that_somebody_else_paused_is_paused() {
        assert_eq!(observed(running_since(0), "inactive", 90), "paused");
        let mut stopped = running_since(0);
        stopped.stop(at(100));
        assert_eq!(observed(stopped, "inactive", 1000), "stopped");
    }

    #[test]
    fn a_recording_closed_by_mistake_is_open_again_when_acs_says_so() {
        let mut stopped = running_since(0);
        stopped.stop(at(100));
        assert_eq!(observed(stopped.clone(), "active", 101), "stopped");
        assert_eq!(observed(stopped, "active", 200), "active");
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
