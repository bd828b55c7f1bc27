//! A conversation of a bot: the call it is tied to, its recordings, and its commands in their order. Pure.
//!
//! ```text
//!  accept ─▶ Queued ──carry out──▶ Untold ──post to the bot──▶ Finished ∎
//!               │ (the first alone)   │ (any)                     ▲
//!               └─ wanted in the response, or by nobody ──────────┘
//! ```
//! Whoever is about to carry out or to tell something says so here first, with a time until which nobody else does.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::activity::{Activity, Addresses};
use super::command::{Action, Command, Outcome};
use crate::acs::wire::RecordedCall;
use crate::recording::RecordingId;
use crate::retry::RetryPolicy;

/// Commands that are kept so that a repetition finds its outcome.
const KEPT: usize = 64;
/// More commands than that do not wait.
const MOST_UNFINISHED: usize = 32;
/// A command that is carried out by a process that was killed is taken up after this long; ACS is asked for 20 s at most.
const CARRIED_OUT_WITHIN: Duration = Duration::from_mins(1);
/// The bot's endpoint is tried for about a day.
pub(super) const TELLING: RetryPolicy = RetryPolicy {
    first_delay: Duration::from_secs(2),
    longest_delay: Duration::from_mins(15),
    failures: 110,
};
/// Longer than a request to the bot may take: nobody else tells the same meanwhile.
const TOLD_WITHIN: Duration = crate::bot::TIMEOUT.saturating_mul(2);

/// What is kept of a conversation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Conversation {
    pub id: String,
    pub call: Option<RecordedCall>,
    /// Its recordings, the oldest first: a start after a stop makes another.
    pub sessions: Vec<RecordingId>,
    pub(super) commands: Vec<QueuedCommand>,
}

/// A command and how far it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct QueuedCommand {
    pub command_id: String,
    pub name: String,
    pub action: Action,
    /// The id of the activity that brought it.
    pub activity_id: String,
    /// The id of the activity with its result: the same whenever it is told, so that a bot knows a repetition.
    pub result_id: Uuid,
    pub received_at: Timestamp,
    pub addresses: Addresses,
    /// The result goes to the bot's endpoint.
    pub is_posted: bool,
    pub progress: Progress,
}

/// How far a command is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "camelCase")]
pub(super) enum Progress {
    Queued {
        tries: u32,
        not_before: Option<Timestamp>,
        by: Option<Uuid>,
    },
    Untold {
        outcome: Outcome,
        tries: u32,
        not_before: Option<Timestamp>,
        by: Option<Uuid>,
    },
    Finished {
        outcome: Outcome,
    },
}

/// What is to be done next.
#[derive(Debug, PartialEq)]
pub(super) enum Step {
    CarryOut {
        command: QueuedCommand,
        tries: u32,
    },
    Tell {
        command: QueuedCommand,
        outcome: Outcome,
        tries: u32,
    },
    /// Somebody is at it, or it is too early.
    Wait {
        until: Timestamp,
    },
    Nothing,
}

/// Why an activity is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotTaken {
    /// Nothing says which call it is.
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

    /// Takes a command; one that is there already is not taken twice.
    pub(super) fn take(
        &mut self,
        activity: &Activity,
        command: &Command,
        ids: &Ids,
        is_posted: bool,
        now: Timestamp,
    ) -> Result<(), NotTaken> {
        self.call = activity.call.clone().or(self.call.take());
        if self.call.is_none() && command.action != Action::Unsupported {
            return Err(NotTaken::NoCall);
        }
        if self.find(&ids.command, &command.name).is_some() {
            return Ok(());
        }
        if self
            .commands
            .iter()
            .filter(|command| !command.is_finished())
            .count()
            >= MOST_UNFINISHED
        {
            return Err(NotTaken::TooMany);
        }
        self.commands.push(QueuedCommand {
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
            },
        });
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

    /// The next step: commands one after the other in their order, and then results.
    pub(super) fn next(&self, now: Timestamp) -> Step {
        let first_queued = self
            .commands
            .iter()
            .find(|command| matches!(command.progress, Progress::Queued { .. }));
        let untold = self
            .commands
            .iter()
            .filter(|command| matches!(command.progress, Progress::Untold { .. }));
        let mut wait: Option<Timestamp> = None;
        for command in first_queued.into_iter().chain(untold) {
            let (not_before, step) = command.step();
            match not_before.filter(|not_before| now < *not_before) {
                None => return step,
                Some(until) => wait = Some(wait.map_or(until, |earlier| earlier.min(until))),
            }
        }
        wait.map_or(Step::Nothing, |until| Step::Wait { until })
    }

    /// Somebody begins a step; whoever comes meanwhile leaves it alone.
    pub(super) fn begin(&mut self, command: &QueuedCommand, by: Uuid, now: Timestamp) {
        let later = |after: Duration| Some(now.checked_add(after).unwrap_or(Timestamp::MAX));
        let Some(known) = self
            .known(command)
            .filter(|known| known.progress == command.progress)
        else {
            return;
        };
        known.progress = match known.progress.clone() {
            Progress::Queued { tries, .. } => Progress::Queued {
                tries: tries.saturating_add(1),
                not_before: later(CARRIED_OUT_WITHIN),
                by: Some(by),
            },
            Progress::Untold { outcome, tries, .. } => Progress::Untold {
                outcome,
                tries: tries.saturating_add(1),
                not_before: later(TOLD_WITHIN),
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

    /// A command was carried out.
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
            known.progress = Progress::Untold {
                outcome,
                tries: 0,
                not_before: None,
                by: None,
            };
        } else {
            known.finish(outcome);
        }
    }

    /// A step did not succeed; it is due again at that time.
    pub(super) fn postpone(&mut self, command: &QueuedCommand, by: Uuid, until: Timestamp) {
        let Some(known) = self.known(command).filter(|known| known.is_begun_by(by)) else {
            return;
        };
        match &mut known.progress {
            Progress::Queued { not_before, .. } | Progress::Untold { not_before, .. } => {
                *not_before = Some(until)
            }
            Progress::Finished { .. } => {}
        }
    }

    /// The bot knows, or is not told any more.
    pub(super) fn told(&mut self, command: &QueuedCommand, by: Uuid, outcome: Outcome) {
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

impl QueuedCommand {
    /// What came of it, once that is known.
    pub(super) fn outcome(&self) -> Option<&Outcome> {
        match &self.progress {
            Progress::Queued { .. } => None,
            Progress::Untold { outcome, .. } | Progress::Finished { outcome } => Some(outcome),
        }
    }

    /// What is to be done with it, and not before when.
    fn step(&self) -> (Option<Timestamp>, Step) {
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
            Progress::Untold {
                outcome,
                tries,
                not_before,
                ..
            } => (
                *not_before,
                Step::Tell {
                    command: command(),
                    outcome: outcome.clone(),
                    tries: *tries,
                },
            ),
            Progress::Finished { .. } => (None, Step::Nothing),
        }
    }

    fn is_finished(&self) -> bool {
        matches!(self.progress, Progress::Finished { .. })
    }

    fn is_begun_by(&self, by: Uuid) -> bool {
        match &self.progress {
            Progress::Queued { by: begun, .. } | Progress::Untold { by: begun, .. } => {
                *begun == Some(by)
            }
            Progress::Finished { .. } => false,
        }
    }

    /// People stand in the addresses and in a start's consent; they are kept no longer than they are needed.
    fn finish(&mut self, outcome: Outcome) {
        self.addresses = Addresses::default();
        if let Action::Start { options } = &mut self.action {
            options.clear();
        }
        self.progress = Progress::Finished { outcome };
    }
}

/// Ids of a new command: the bot's own where it gave them.
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

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::SignedDuration;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn after(seconds: i64) -> Timestamp {
        NOW + SignedDuration::from_secs(seconds)
    }

    fn done(id: &str) -> Outcome {
        Outcome::Done {
            recording_id: id.parse().unwrap(),
            recording_state: "active".to_owned(),
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
        conversation.take(
            &activity,
            &command,
            &Ids::of(&activity, &command),
            true,
            NOW,
        )
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
    fn commands_are_carried_out_in_their_order_and_before_anything_is_told() {
        let mut conversation = conversation_with(&[start(), Action::Pause]);
        assert_eq!(
            carried_out_next(&mut conversation, NOW, done("r")).action,
            start()
        );
        assert_eq!(
            carried_out_next(&mut conversation, NOW, done("r")).action,
            Action::Pause
        );
        let Step::Tell {
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
    fn what_somebody_has_begun_nobody_else_does_until_that_one_must_be_dead() {
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
    fn a_bot_that_cannot_be_told_is_told_again_and_keeps_no_command_waiting() {
        let mut conversation = conversation_with(&[Action::Pause]);
        carried_out_next(&mut conversation, NOW, done("r"));
        let Step::Tell { command, .. } = conversation.next(NOW) else {
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
        conversation.told(&known, by, done("r"));
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
        let taken = Conversation::new("c").take(
            &activity,
            &command,
            &Ids::of(&activity, &command),
            true,
            NOW,
        );
        assert_eq!(taken, Err(NotTaken::NoCall));
    }
}
