//! A conversation of a bot: its call, its recordings, and its commands in order. Pure.
//!
//! ```text
//!  accept ─▶ Queued ──carry out──▶ Undelivered ──post to the bot──▶ Finished ∎
//!               │ (the first alone)   │ (any)                     ▲
//!               └─ wanted in the response, or not at all ──────────┘
//! ```
//! A command whose outcome is not final is accepted once more when the bot sends it again.
//! Before an instance carries out a command, or posts a result, it notes that here, with a time until which no other
//! instance does the same.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::command::{Action, Outcome};
use super::queued_command::{CARRIED_OUT_WITHIN, DELIVERED_WITHIN, Progress, QueuedCommand, Step};
use crate::recording::{RecordedCall, RecordingId};

/// Stored commands, so that a repetition finds its outcome.
const KEPT: usize = 64;
/// The most commands that wait.
const MOST_UNFINISHED: usize = 32;
/// The stored document of a conversation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Conversation {
    pub id: String,
    pub call: Option<RecordedCall>,
    /// Its recordings, oldest first: a start after a stop makes another.
    pub sessions: Vec<RecordingId>,
    pub(super) commands: Vec<QueuedCommand>,
}

/// Why an activity is rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotTaken {
    /// Its call is unknown.
    NoCall,
    TooMany,
}

impl Conversation {
    pub fn new(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            call: None,
            sessions: Vec::new(),
            commands: Vec::new(),
        }
    }

    /// Takes a command, and the call that its activity names. A command that is already stored is not taken twice, unless
    /// its outcome is not final.
    pub(super) fn take(
        &mut self,
        call: Option<&RecordedCall>,
        command: QueuedCommand,
    ) -> Result<(), NotTaken> {
        self.call = call.cloned().or(self.call.take());
        if self.call.is_none() && command.action != Action::Unsupported {
            return Err(NotTaken::NoCall);
        }
        let is_same = |known: &QueuedCommand| {
            known.command_id == command.command_id && known.name == command.name
        };
        let known = self.commands.iter().position(is_same);
        let command = match known.map(|known| (known, self.commands[known].outcome())) {
            None => command,
            Some((known, Some(outcome))) if !outcome.is_final() => {
                self.commands.remove(known);
                command.repeated()
            }
            Some((_, Some(_) | None)) => return Ok(()),
        };
        if self
            .commands
            .iter()
            .filter(|command| !command.is_finished())
            .count()
            >= MOST_UNFINISHED
        {
            return Err(NotTaken::TooMany);
        }
        self.commands.push(command);
        while self.commands.len() > KEPT {
            let Some(oldest) = self.commands.iter().position(QueuedCommand::is_finished) else {
                break;
            };
            self.commands.remove(oldest);
        }
        Ok(())
    }

    pub(super) fn find(&self, command_id: &str, name: &str) -> Option<&QueuedCommand> {
        self.commands
            .iter()
            .find(|command| command.command_id == command_id && command.name == name)
    }

    /// Whether anything is left to do.
    pub(super) fn is_open(&self) -> bool {
        self.commands.iter().any(|command| !command.is_finished())
    }

    /// Returns the next step for a command alone.
    pub(super) fn next_command(&self, now: Timestamp) -> Step {
        let Some((not_before, step)) = self.first_queued().map(QueuedCommand::step) else {
            return Step::Nothing;
        };
        match not_before.filter(|not_before| now < *not_before) {
            None => step,
            Some(until) => Step::Wait { until },
        }
    }

    fn first_queued(&self) -> Option<&QueuedCommand> {
        self.commands.iter().find(|command| {
            matches!(command.progress, Progress::Queued { .. }) && command.unstopped().is_none()
        })
    }

    /// Returns the next step: commands one after the other in their order, then recordings that could not be stopped,
    /// then results.
    pub(super) fn next(&self, now: Timestamp) -> Step {
        let unstopped = self
            .commands
            .iter()
            .filter(|command| command.unstopped().is_some());
        let undelivered = self
            .commands
            .iter()
            .filter(|command| matches!(command.progress, Progress::Undelivered { .. }));
        let mut wait: Option<Timestamp> = None;
        let first_queued = self.first_queued().into_iter();
        for command in first_queued.chain(unstopped).chain(undelivered) {
            let (not_before, step) = command.step();
            match not_before.filter(|not_before| now < *not_before) {
                None => return step,
                Some(until) => wait = Some(wait.map_or(until, |earlier| earlier.min(until))),
            }
        }
        wait.map_or(Step::Nothing, |until| Step::Wait { until })
    }

    /// Begins a step, unless it has begun or ended since it was read.
    pub(super) fn begin(&mut self, command: &QueuedCommand, by: Uuid, now: Timestamp) {
        let later = |after: Duration| Some(now.checked_add(after).unwrap_or(Timestamp::MAX));
        let Some(known) = self
            .known(command)
            .filter(|known| known.progress == command.progress)
        else {
            return;
        };
        known.progress = match known.progress.clone() {
            Progress::Queued {
                tries, unstopped, ..
            } => Progress::Queued {
                tries: tries.saturating_add(1),
                not_before: later(CARRIED_OUT_WITHIN),
                by: Some(by),
                unstopped,
            },
            Progress::Undelivered { outcome, tries, .. } => Progress::Undelivered {
                outcome,
                tries: tries.saturating_add(1),
                not_before: later(DELIVERED_WITHIN),
                by: Some(by),
            },
            finished @ Progress::Finished { .. } => finished,
        };
    }

    /// Whether the step that `by` began is still its own.
    pub(super) fn is_begun(&self, command: &QueuedCommand, by: Uuid) -> bool {
        self.find(&command.command_id, &command.name)
            .is_some_and(|known| known.is_begun_by(by))
    }

    /// Stores the outcome of a command.
    pub(super) fn carried_out(&mut self, command: &QueuedCommand, by: Uuid, outcome: Outcome) {
        if let (Action::Start { .. }, Outcome::Done { recording_id, .. }) =
            (&command.action, &outcome)
            && !self.sessions.contains(recording_id)
        {
            self.sessions.push(recording_id.clone());
        }
        let Some(known) = self.known(command).filter(|known| known.is_begun_by(by)) else {
            return;
        };
        if known.is_posted {
            known.progress = Progress::Undelivered {
                outcome,
                tries: 0,
                not_before: None,
                by: None,
            };
        } else {
            known.finish(outcome);
        }
    }

    /// Schedules a failed attempt again, at that time; `unstopped` is the recording that it could not stop.
    pub(super) fn try_again(
        &mut self,
        command: &QueuedCommand,
        by: Uuid,
        until: Timestamp,
        unstopped: Option<&RecordingId>,
    ) {
        self.postpone(command, by, until);
        let known = self.known(command).filter(|known| known.is_begun_by(by));
        if let Some(QueuedCommand {
            progress: Progress::Queued {
                unstopped: kept, ..
            },
            ..
        }) = known
        {
            *kept = unstopped.cloned();
        }
    }

    /// Schedules a failed step again, at that time.
    pub(super) fn postpone(&mut self, command: &QueuedCommand, by: Uuid, until: Timestamp) {
        let Some(known) = self.known(command).filter(|known| known.is_begun_by(by)) else {
            return;
        };
        match &mut known.progress {
            Progress::Queued { not_before, .. } | Progress::Undelivered { not_before, .. } => {
                *not_before = Some(until);
            }
            Progress::Finished { .. } => {}
        }
    }

    /// Notes that the bot has the result, or that delivery was given up.
    pub(super) fn delivered(&mut self, command: &QueuedCommand, by: Uuid, outcome: Outcome) {
        if let Some(known) = self.known(command).filter(|known| known.is_begun_by(by)) {
            known.finish(outcome);
        }
    }

    fn known(&mut self, command: &QueuedCommand) -> Option<&mut QueuedCommand> {
        self.commands
            .iter_mut()
            .find(|known| known.command_id == command.command_id && known.name == command.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::state::RecordingState;
    use crate::control::telephony::activity::{Activity, Addresses};
    use crate::control::telephony::command::Command;
    use crate::control::telephony::queued_command::Ids;
    use jiff::SignedDuration;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn after(seconds: i64) -> Timestamp {
        NOW + SignedDuration::from_secs(seconds)
    }

    fn done(id: &str) -> Outcome {
        Outcome::Done {
            recording_id: id.parse().unwrap(),
            recording_state: RecordingState::Active,
        }
    }

    fn conversation_with(actions: &[Action]) -> Conversation {
        let mut conversation = Conversation::new("c");
        for (number, action) in actions.iter().enumerate() {
            assert_eq!(take(&mut conversation, &number.to_string(), action), Ok(()));
        }
        conversation
    }

    fn take(conversation: &mut Conversation, id: &str, action: &Action) -> Result<(), NotTaken> {
        let command = Command {
            id: Some(id.to_owned()),
            name: "name".to_owned(),
            action: action.clone(),
        };
        let call = Some(RecordedCall::Connection("call".to_owned()));
        let kind = crate::control::telephony::activity::ActivityKind::Command(command.clone());
        let activity = Activity {
            id: None,
            kind,
            call,
            expects_replies: false,
            addresses: Addresses::default(),
        };
        let ids = Ids::of(&activity, &command);
        let queued = QueuedCommand::new(&activity, &command, &ids, true, NOW);
        conversation.take(activity.call.as_ref(), queued)
    }

    #[test]
    fn a_result_that_is_due_ends_no_wait_for_a_command() {
        let mut conversation = conversation_with(&[Action::Pause, Action::Resume]);
        carried_out_next(&mut conversation, NOW, done("r"));
        let Step::CarryOut { command, .. } = conversation.next_command(NOW) else {
            panic!("{:?}", conversation.next_command(NOW))
        };
        let by = Uuid::new_v4();
        conversation.begin(&command, by, NOW);
        conversation.try_again(&command, by, after(2), None);
        assert!(matches!(conversation.next(NOW), Step::Deliver { .. }));
        let wait = Step::Wait { until: after(2) };
        assert_eq!(conversation.next_command(NOW), wait);
        assert!(matches!(
            conversation.next_command(after(2)),
            Step::CarryOut { .. }
        ));
    }

    fn carried_out_next(
        conversation: &mut Conversation,
        now: Timestamp,
        outcome: Outcome,
    ) -> QueuedCommand {
        let Step::CarryOut { command, .. } = conversation.next(now) else {
            panic!("{:?}", conversation.next(now))
        };
        let by = Uuid::new_v4();
        conversation.begin(&command, by, now);
        conversation.carried_out(&command, by, outcome);
        command
    }

    fn start() -> Action {
        Action::Start {
            options: serde_json::Map::new(),
        }
    }

    #[test]
    fn commands_are_carried_out_in_order_and_before_any_result_is_posted() {
        let mut conversation = conversation_with(&[start(), Action::Pause]);
        assert_eq!(
            carried_out_next(&mut conversation, NOW, done("r")).action,
            start()
        );
        assert_eq!(
            carried_out_next(&mut conversation, NOW, done("r")).action,
            Action::Pause
        );
        let Step::Deliver {
            command,
            outcome,
            tries: 0,
        } = conversation.next(NOW)
        else {
            panic!()
        };
        assert_eq!((command.action, outcome), (start(), done("r")));
        assert_eq!(conversation.sessions, ["r".parse().unwrap()]);
    }

    #[test]
    fn a_step_that_one_instance_began_is_left_alone_until_its_time_has_passed() {
        let mut conversation = conversation_with(&[start(), Action::Stop]);
        let Step::CarryOut { command, tries: 0 } = conversation.next(NOW) else {
            panic!()
        };
        let (first, second) = (Uuid::new_v4(), Uuid::new_v4());
        conversation.begin(&command, first, NOW);
        conversation.begin(&command, second, NOW);
        assert!(conversation.is_begun(&command, first) && !conversation.is_begun(&command, second));
        assert_eq!(
            conversation.next(after(59)),
            Step::Wait { until: after(60) }
        );
        let Step::CarryOut { command, tries: 1 } = conversation.next(after(60)) else {
            panic!()
        };
        conversation.begin(&command, second, after(60));
        conversation.carried_out(&command, first, done("r1"));
        assert!(
            conversation.find("0", "name").unwrap().outcome().is_none(),
            "the first one is too late"
        );
        conversation.carried_out(&command, second, done("r1"));
        assert_eq!(
            conversation.find("0", "name").unwrap().outcome(),
            Some(&done("r1"))
        );
    }

    #[test]
    fn an_unreachable_bot_is_tried_again_and_keeps_no_command_waiting() {
        let mut conversation = conversation_with(&[Action::Pause]);
        carried_out_next(&mut conversation, NOW, done("r"));
        let Step::Deliver { command, .. } = conversation.next(NOW) else {
            panic!()
        };
        let by = Uuid::new_v4();
        conversation.begin(&command, by, NOW);
        conversation.postpone(&command, by, after(2));
        assert_eq!(conversation.next(NOW), Step::Wait { until: after(2) });
        take(&mut conversation, "later", &Action::Resume).unwrap();
        assert!(matches!(conversation.next(NOW), Step::CarryOut { .. }));
        let Step::Wait { .. } = Conversation {
            commands: vec![conversation.commands[0].clone()],
            ..Conversation::new("c")
        }
        .next(NOW) else {
            panic!()
        };
        let known = conversation.commands[0].clone();
        conversation.delivered(&known, by, done("r"));
        assert_eq!(conversation.commands[0].addresses, Addresses::default());
        assert!(conversation.commands[0].is_finished());
    }

    #[test]
    fn the_same_command_again_is_not_taken_again_and_finished_ones_make_room() {
        let mut conversation = conversation_with(&[Action::Pause]);
        take(&mut conversation, "0", &Action::Pause).unwrap();
        assert_eq!(conversation.commands.len(), 1);
        for number in 1..MOST_UNFINISHED {
            take(&mut conversation, &number.to_string(), &Action::Pause).unwrap();
        }
        assert_eq!(
            take(&mut conversation, "one more", &Action::Pause),
            Err(NotTaken::TooMany)
        );
        for command in &mut conversation.commands {
            command.finish(done("r"));
        }
        for number in 0..MOST_UNFINISHED {
            take(&mut conversation, &format!("new {number}"), &Action::Pause).unwrap();
        }
        assert_eq!(conversation.commands.len(), KEPT);
        conversation.commands[KEPT - 1].finish(done("r"));
        take(&mut conversation, "last", &Action::Pause).unwrap();
        assert_eq!(
            (conversation.commands.len(), conversation.find("0", "name")),
            (KEPT, None)
        );
    }

    #[test]
    fn without_a_call_nothing_is_taken() {
        let command = Command {
            id: None,
            name: "name".to_owned(),
            action: start(),
        };
        let kind = crate::control::telephony::activity::ActivityKind::Command(command.clone());
        let activity = Activity {
            id: None,
            kind,
            call: None,
            expects_replies: false,
            addresses: Addresses::default(),
        };
        let ids = Ids::of(&activity, &command);
        let queued = QueuedCommand::new(&activity, &command, &ids, true, NOW);
        let taken = Conversation::new("c").take(activity.call.as_ref(), queued);
        assert_eq!(taken, Err(NotTaken::NoCall));
    }
}
