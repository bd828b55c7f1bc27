//! Processes a conversation: carries out its commands one after the other, and posts their results to the bot.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tracing::{error, info, warn};
use uuid::Uuid;

use super::carry_out::Attempt;
use super::command::Outcome;
use super::conversation::Conversation;
use super::queued_command::{DELIVERY, QueuedCommand, Step};
use super::{ANSWER_WITHIN, Telephony, key, marker, name, result};
use crate::error_chain::ErrorChain;
use crate::store::documents::{DocumentError, WriteOutcome};

/// Steps that are due later than this are left to the sweep.
const STAY_FOR: Duration = Duration::from_secs(30);

/// Which steps of a conversation are processed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// Its commands alone: a response must wait neither for the bot's endpoint nor for a recording that could not be
    /// stopped before.
    Commands,
    All,
}

impl Telephony {
    /// Continues after the response, as long as a step is due soon.
    pub(super) fn go_on_behind(self: &Arc<Self>, name: String) {
        let Ok(permit) = Arc::clone(&self.at_work).try_acquire_owned() else {
            return info!("A bot's command is left to the sweep: too many at once");
        };
        let telephony = Arc::clone(self);
        tokio::spawn(async move {
            while let Some(until) = telephony.drive_logged(&name).await {
                let wait = Duration::try_from(until.duration_since(telephony.control.clock.now()))
                    .unwrap_or_default();
                if wait > STAY_FOR {
                    break;
                }
                tokio::time::sleep(wait).await;
            }
            drop(permit);
        });
    }

    /// Carries out the commands before the response, as far as there is time. The sweep of another process continues.
    pub(super) async fn carry_out_before_response(&self, name: &str) {
        let commands = async {
            while let Some(until) = self.drive(name, Part::Commands).await? {
                let wait = Duration::try_from(until.duration_since(self.control.clock.now()));
                self.control.clock.sleep(wait.unwrap_or_default()).await;
            }
            Ok::<_, DocumentError>(())
        };
        match tokio::time::timeout(ANSWER_WITHIN, Box::pin(commands)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                error!(error = %ErrorChain(&error), "Could not carry out a bot's commands; the next sweep continues them");
            }
            Err(_) => {
                warn!(
                    "A bot's command is not carried out within its request; the sweep continues it"
                );
            }
        }
    }

    pub(super) async fn drive_logged(&self, name: &str) -> Option<Timestamp> {
        let driven = self.drive(name, Part::All).await;
        driven.unwrap_or_else(|error| {
            error!(error = %ErrorChain(&error), "Could not carry out a bot's commands; the next sweep continues them");
            None
        })
    }

    /// Does the due steps of a conversation; returns when the next step is due.
    pub(super) async fn drive(
        &self,
        name: &str,
        part: Part,
    ) -> Result<Option<Timestamp>, DocumentError> {
        loop {
            let conversation: Option<Conversation> = self.documents.find(&key(name)).await?;
            let now = self.control.clock.now();
            let step = conversation
                .as_ref()
                .map_or(Step::Nothing, |conversation| match part {
                    Part::Commands => conversation.next_command(now),
                    Part::All => conversation.next(now),
                });
            match (conversation, step) {
                (Some(_), Step::CarryOut { command, tries }) => {
                    self.carry_out(name, &command, tries).await?;
                }
                (
                    Some(conversation),
                    Step::Deliver {
                        command,
                        outcome,
                        tries,
                    },
                ) => {
                    self.deliver(&conversation, &command, outcome, tries)
                        .await?;
                }
                (_, Step::Wait { until }) => return Ok(Some(until)),
                (_, Step::CarryOut { .. } | Step::Deliver { .. } | Step::Nothing) => {
                    self.close(name).await?;
                    return Ok(None);
                }
            }
        }
    }

    async fn carry_out(
        &self,
        name: &str,
        command: &QueuedCommand,
        tries: u32,
    ) -> Result<(), DocumentError> {
        let by = Uuid::new_v4();
        let begun = self
            .change(name, |conversation| {
                conversation.begin(command, by, self.control.clock.now());
            })
            .await?;
        let Some(conversation) = begun.filter(|conversation| conversation.is_begun(command, by))
        else {
            return Ok(());
        };
        match Box::pin(self.control.carry_out(&conversation, command, tries)).await {
            Attempt::Done(outcome) => {
                self.change(name, |conversation| {
                    conversation.carried_out(command, by, outcome.clone());
                })
                .await?;
            }
            Attempt::TryAgain { delay, unstopped } => {
                let until = self.control.clock.now().checked_add(delay);
                let until = until.unwrap_or(Timestamp::MAX);
                self.change(name, |conversation| {
                    conversation.try_again(command, by, until, unstopped.as_ref());
                })
                .await?;
            }
        }
        Ok(())
    }

    async fn deliver(
        &self,
        conversation: &Conversation,
        command: &QueuedCommand,
        outcome: Outcome,
        tries: u32,
    ) -> Result<(), DocumentError> {
        let (name, by) = (name(&conversation.id), Uuid::new_v4());
        let begun = self
            .change(&name, |conversation| {
                conversation.begin(command, by, self.control.clock.now());
            })
            .await?;
        if !begun.is_some_and(|conversation| conversation.is_begun(command, by)) {
            return Ok(());
        }
        let posted = match &self.bot {
            Some(bot) => {
                bot.post(&result::result(&conversation.id, command, &outcome))
                    .await
            }
            // TELEPHONY_BOT_URL has been removed since.
            None => Ok(()),
        };
        let again = DELIVERY.delay(tries.saturating_add(1), None, rand::random());
        match (posted, again) {
            (Ok(()), _) => {}
            (Err(error), Some(delay)) => {
                warn!(error = %ErrorChain(&error), "The bot at TELEPHONY_BOT_URL did not accept a result; it is posted again later");
                let until = self
                    .control
                    .clock
                    .now()
                    .checked_add(delay)
                    .unwrap_or(Timestamp::MAX);
                self.change(&name, |conversation| {
                    conversation.postpone(command, by, until);
                })
                .await?;
                return Ok(());
            }
            (Err(error), None) => {
                error!(error = %ErrorChain(&error), "The bot at TELEPHONY_BOT_URL accepted no result for a day; delivery is given up");
            }
        }
        self.change(&name, |conversation| {
            conversation.delivered(command, by, outcome.clone());
        })
        .await?;
        Ok(())
    }

    /// Removes the marker of a conversation that has nothing to be done.
    async fn close(&self, name: &str) -> Result<(), DocumentError> {
        let (marker, key) = (marker(name), key(name));
        let seen = self.markers.seen([marker.clone()]).await?;
        if seen.is_empty() {
            return Ok(());
        }
        match self.documents.read::<Conversation>(&key).await? {
            Some(stored) if stored.document.is_open() => return Ok(()),
            // From now on, the write of who has not seen this removal conflicts.
            Some(stored) => {
                let revision = Some(&stored.revision);
                let written = self
                    .documents
                    .write(&key, revision, stored.document.clone());
                if let WriteOutcome::Conflict(_) = written.await? {
                    return Ok(());
                }
            }
            None => {
                let now = self.control.clock.now();
                if !self.markers.is_abandoned(&marker, now).await? {
                    return Ok(());
                }
            }
        }
        Ok(self.markers.remove_seen(seen).await?)
    }

    async fn change(
        &self,
        name: &str,
        change: impl Fn(&mut Conversation) + Send + Sync,
    ) -> Result<Option<Conversation>, DocumentError> {
        let changed = |known: Option<&Conversation>| {
            let mut conversation = known?.clone();
            change(&mut conversation);
            Some(conversation).filter(|conversation| known != Some(conversation))
        };
        self.documents.change(&key(name), changed).await
    }
}
