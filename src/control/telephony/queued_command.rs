//! A command of a conversation and its progress. Pure.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::activity::{Activity, Addresses};
use super::command::{Action, Command, Outcome};
use crate::recording::RecordingId;
use crate::retry::RetryPolicy;

/// A command of a killed process is continued after this long; ACS is asked for 20 s at most.
pub(super) const CARRIED_OUT_WITHIN: Duration = Duration::from_mins(1);
/// Delivery to the bot's endpoint is tried for about a day.
pub(super) const DELIVERY: RetryPolicy = RetryPolicy {
    first_delay: Duration::from_secs(2),
    longest_delay: Duration::from_mins(15),
    max_failures: 110,
};
/// Longer than a request to the bot may take: no other instance posts the same result meanwhile.
pub(super) const DELIVERED_WITHIN: Duration = crate::bot::TIMEOUT.saturating_mul(2);

/// A command and its progress.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct QueuedCommand {
    pub command_id: String,
    pub name: String,
    pub action: Action,
    /// The id of the activity that brought it.
    pub activity_id: String,
    /// The id of the activity with its result: the same in every delivery, so that a bot knows a repetition.
    pub result_id: Uuid,
    pub received_at: Timestamp,
    pub addresses: Addresses,
    /// The result goes to the bot's endpoint.
    pub is_posted: bool,
    pub progress: Progress,
}

/// Progress of a command.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "camelCase")]
pub(super) enum Progress {
    Queued {
        tries: u32,
        not_before: Option<Timestamp>,
        by: Option<Uuid>,
        /// The recording that an [`Action::End`] found and could not stop yet. It no longer holds other commands back.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        unstopped: Option<RecordingId>,
    },
    #[serde(alias = "untold")]
    Undelivered {
        outcome: Outcome,
        tries: u32,
        not_before: Option<Timestamp>,
        by: Option<Uuid>,
    },
    Finished {
        outcome: Outcome,
    },
}

/// The next step.
#[derive(Debug, PartialEq)]
pub(super) enum Step {
    CarryOut {
        command: QueuedCommand,
        tries: u32,
    },
    Deliver {
        command: QueuedCommand,
        outcome: Outcome,
        tries: u32,
    },
    /// Another process has begun it, or it is not due yet.
    Wait {
        until: Timestamp,
    },
    Nothing,
}

/// Returns the ids of a new command: the bot's own where it gave them.
#[derive(Debug, Clone)]
pub(super) struct Ids {
    pub activity: String,
    pub command: String,
    pub result: Uuid,
}

impl Ids {
    pub(super) fn of(activity: &Activity, command: &Command) -> Self {
        let new = || Uuid::new_v4().to_string();
        Self {
            activity: activity.id.clone().unwrap_or_else(new),
            command: command.id.clone().unwrap_or_else(new),
            result: Uuid::new_v4(),
        }
    }
}

impl QueuedCommand {
    /// Creates a command that has not begun. `is_posted`: its result goes to the bot's endpoint.
    pub(super) fn new(
        activity: &Activity,
        command: &Command,
        ids: &Ids,
        is_posted: bool,
        now: Timestamp,
    ) -> Self {
        Self {
            command_id: ids.command.clone(),
            name: command.name.clone(),
            action: command.action.clone(),
            activity_id: ids.activity.clone(),
            result_id: ids.result,
            received_at: now,
            addresses: activity.addresses.clone(),
            is_posted,
            progress: Progress::Queued {
                tries: 0,
                not_before: None,
                by: None,
                unstopped: None,
            },
        }
    }

    /// The same command, which was carried out before with an outcome that is not final: it may have taken effect.
    pub(super) fn repeated(self) -> Self {
        Self {
            progress: Progress::Queued {
                tries: 1,
                not_before: None,
                by: None,
                unstopped: None,
            },
            ..self
        }
    }

    /// Returns the recording that it found and could not stop yet.
    pub(super) fn unstopped(&self) -> Option<&RecordingId> {
        match &self.progress {
            Progress::Queued { unstopped, .. } => unstopped.as_ref(),
            Progress::Undelivered { .. } | Progress::Finished { .. } => None,
        }
    }

    /// Returns its outcome, once that is known.
    pub(super) fn outcome(&self) -> Option<&Outcome> {
        match &self.progress {
            Progress::Queued { .. } => None,
            Progress::Undelivered { outcome, .. } | Progress::Finished { outcome } => Some(outcome),
        }
    }

    /// Returns its next step, and the earliest time for it.
    pub(super) fn step(&self) -> (Option<Timestamp>, Step) {
        let command = || self.clone();
        match &self.progress {
            Progress::Queued {
                tries, not_before, ..
            } => (
                *not_before,
                Step::CarryOut {
                    command: command(),
                    tries: *tries,
                },
            ),
            Progress::Undelivered {
                outcome,
                tries,
                not_before,
                ..
            } => (
                *not_before,
                Step::Deliver {
                    command: command(),
                    outcome: outcome.clone(),
                    tries: *tries,
                },
            ),
            Progress::Finished { .. } => (None, Step::Nothing),
        }
    }

    pub(super) fn is_finished(&self) -> bool {
        matches!(self.progress, Progress::Finished { .. })
    }

    pub(super) fn is_begun_by(&self, by: Uuid) -> bool {
        match &self.progress {
            Progress::Queued { by: begun, .. } | Progress::Undelivered { by: begun, .. } => {
                *begun == Some(by)
            }
            Progress::Finished { .. } => false,
        }
    }

    /// Keeps only the outcome: addresses and a start's consent name people, and are no longer needed.
    pub(super) fn finish(&mut self, outcome: Outcome) {
        self.addresses = Addresses::default();
        if let Action::Start { options } = &mut self.action {
            options.clear();
        }
        self.progress = Progress::Finished { outcome };
    }
}
