//! The Telephony channel of the Bot Framework: bots control recording by command activities.
//!
//! ```text
//! telephony/<sha256 of the conversation's id>.json   the conversation: its call, its recordings, its commands
//! telephony-open/<sha256>                            a marker while a command is not carried out, or its result not delivered
//! ```
//! A command is stored before it is answered, so that it survives a kill. Why an open conversation always has its marker:
//! the write that opens it follows a write of the marker, and is conditional. Who removes a marker reads it, then rewrites
//! the conversation, and removes that version of the marker: a writer that read the conversation before has a conflict, and
//! one that reads it later has written the marker again.

pub mod activity;
mod carry_out;
pub mod command;
pub mod conversation;
mod drive;
mod ending;
pub mod forgetting;
mod queued_command;
mod result;

use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt as _;
use serde_json::Value;
use tokio::sync::Semaphore;
use uuid::Uuid;

use super::RecordingControl;
use super::register::RecordingRegister;
use crate::bot::Bot;
use crate::export::Budget;
use crate::recording::RecordingId;
use crate::store::digest::Sha256Digest;
use crate::store::document_store::DocumentStore;
use crate::store::documents::{CONFLICTS_TOLERATED, DocumentError, Documents, Keyed, WriteOutcome};
use crate::store::index::Index;
use crate::store::listing::keys;
use activity::{Activity, ActivityKind, InvalidActivity};
use command::{Action, Command};
use conversation::{Conversation, NotTaken};
use drive::Part;
use queued_command::{Ids, QueuedCommand};

const OPEN: &str = "telephony-open/";
/// Conversations that are processed after their responses; further ones are left to the sweep.
const AT_ONCE: usize = 128;
/// Conversations that a sweep processes at once.
const SWEPT_AT_ONCE: usize = 8;
/// How long a response waits for its result while another invocation carries out the command.
const ANSWER_WITHIN: Duration = Duration::from_secs(25);
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// The most that fit into that time.
const LOOKS: u32 = 250;

/// Whether a process works on after a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterResponse {
    Continues,
    /// The platform freezes the process until the next request, as AWS Lambda does.
    IsFrozen,
}

/// Bots' conversations.
pub struct Telephony {
    control: Arc<RecordingControl>,
    documents: Documents,
    markers: Index,
    bot: Option<Bot>,
    at_work: Arc<Semaphore>,
}

/// An activity was accepted.
#[derive(Debug)]
pub struct Taken {
    pub activity_id: String,
    /// The `commandResult` that the bot requested in the response.
    pub result: Option<Value>,
}

/// Why an activity was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum TelephonyError {
    #[error(transparent)]
    Invalid(#[from] InvalidActivity),
    #[error("the conversation has no call")]
    UnknownConversation,
    #[error("the conversation has too many pending commands")]
    TooMany,
    /// It continues, and a repetition of the command finds its result later.
    #[error("the command is still being carried out")]
    UnderWay,
    #[error(transparent)]
    Register(#[from] DocumentError),
}

impl Telephony {
    pub fn new(
        control: Arc<RecordingControl>,
        store: Arc<dyn DocumentStore>,
        bot: Option<Bot>,
    ) -> Self {
        Self {
            control,
            markers: Index::new(Arc::clone(&store)),
            documents: Documents { store },
            bot,
            at_work: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }

    /// Accepts an activity that a bot sends to a conversation. A repeated command is not carried out again.
    ///
    /// # Errors
    /// When the activity is invalid or its conversation unknown, and when the register fails; nothing has begun then.
    pub async fn take(
        self: &Arc<Self>,
        conversation_id: &str,
        body: &[u8],
        after_response: AfterResponse,
    ) -> Result<Taken, TelephonyError> {
        let activity = Activity::parse(conversation_id, body, self.control.api_version())?;
        let command = match &activity.kind {
            ActivityKind::Command(command) => command.clone(),
            ActivityKind::End => {
                let id = activity
                    .id
                    .clone()
                    .unwrap_or_else(|| Uuid::new_v4().to_string());
                Command {
                    id: Some(id),
                    name: "endOfConversation".to_owned(),
                    action: Action::End,
                }
            }
            ActivityKind::Other => return self.tie(conversation_id, &activity).await,
        };
        let ids = Ids::of(&activity, &command);
        let Some(taken) = self
            .queue(conversation_id, &activity, &command, &ids)
            .await?
        else {
            // A bot leaves an unknown conversation.
            return Ok(Taken {
                activity_id: ids.activity,
                result: None,
            });
        };
        let activity_id = taken.activity_id.clone();
        let name = name(conversation_id);
        if activity.expects_replies && command.action != Action::End {
            let result = self.result(&name, &taken, &activity).await?;
            return Ok(Taken {
                activity_id,
                result: Some(result),
            });
        }
        match after_response {
            AfterResponse::Continues => self.go_on_behind(name),
            AfterResponse::IsFrozen => self.carry_out_before_response(&name).await,
        }
        Ok(Taken {
            activity_id,
            result: None,
        })
    }

    /// Continues interrupted commands, and posts results again that were not delivered.
    ///
    /// # Errors
    /// When the list of open conversations cannot be read.
    pub async fn sweep(&self, budget: Budget) -> Result<(), DocumentError> {
        let markers = keys(&*self.documents.store, OPEN, None);
        markers
            .try_take_while(|_| ready(Ok(!budget.is_spent())))
            .try_for_each_concurrent(SWEPT_AT_ONCE, |marker| async move {
                let name = marker.strip_prefix(OPEN).unwrap_or_default();
                // A later sweep does what is due later, and what this one could not finish.
                let _ = tokio::time::timeout_at(budget.deadline(), self.drive_logged(name)).await;
                Ok(())
            })
            .await?;
        Ok(())
    }

    /// An activity of another kind may still name the call of the conversation.
    async fn tie(
        &self,
        conversation_id: &str,
        activity: &Activity,
    ) -> Result<Taken, TelephonyError> {
        if let Some(call) = &activity.call {
            let tied = |known: Option<&Conversation>| {
                let mut conversation = known
                    .cloned()
                    .unwrap_or_else(|| Conversation::new(conversation_id));
                conversation.call = Some(call.clone());
                Some(conversation).filter(|conversation| known != Some(conversation))
            };
            self.documents
                .change(&key(&name(conversation_id)), tied)
                .await?;
        }
        let activity_id = activity
            .id
            .clone()
            .unwrap_or_else(|| Uuid::new_v4().to_string());
        Ok(Taken {
            activity_id,
            result: None,
        })
    }

    async fn queue(
        &self,
        conversation_id: &str,
        activity: &Activity,
        command: &Command,
        ids: &Ids,
    ) -> Result<Option<QueuedCommand>, TelephonyError> {
        let (name, now) = (name(conversation_id), self.control.clock.now());
        let is_posted =
            self.bot.is_some() && !activity.expects_replies && command.action != Action::End;
        let taking = |known: Option<&Conversation>| {
            let mut conversation = known
                .cloned()
                .unwrap_or_else(|| Conversation::new(conversation_id));
            let queued = QueuedCommand::new(activity, command, ids, is_posted, now);
            conversation
                .take(activity.call.as_ref(), queued)
                .map(|()| conversation)
        };
        let key = key(&name);
        for _ in 0..CONFLICTS_TOLERATED {
            let stored = self.documents.read::<Conversation>(&key).await?;
            let known = stored.as_ref().map(|stored| &stored.document);
            let conversation = match taking(known) {
                Ok(conversation) => conversation,
                Err(NotTaken::NoCall) if command.action == Action::End => return Ok(None),
                Err(NotTaken::NoCall) => return Err(TelephonyError::UnknownConversation),
                Err(NotTaken::TooMany) => return Err(TelephonyError::TooMany),
            };
            if conversation.is_open() {
                self.mark(&name).await?;
            }
            let find = |conversation: &Conversation| {
                let queued = conversation.find(&ids.command, &command.name);
                queued.cloned().map(Some).ok_or(TelephonyError::TooMany)
            };
            if known == Some(&conversation) {
                return find(&conversation);
            }
            let revision = stored.as_ref().map(|stored| &stored.revision);
            let written = self.documents.write(&key, revision, conversation).await?;
            if let WriteOutcome::Written(written) = written {
                if revision.is_none() {
                    // A sweep may have taken the marker for one that a kill left behind.
                    self.mark(&name).await?;
                }
                return find(&written.document);
            }
        }
        Err(DocumentError::Contended { key }.into())
    }

    /// Writes the marker of a conversation, whether there is one or not.
    async fn mark(&self, name: &str) -> Result<(), DocumentError> {
        let now = self.control.clock.now();
        Ok(self.markers.put([marker(name)], now).await?)
    }

    /// Waits until the command's outcome is known. Another process may carry it out.
    async fn result(
        &self,
        name: &str,
        queued: &QueuedCommand,
        activity: &Activity,
    ) -> Result<Value, TelephonyError> {
        let waiting = async {
            for _ in 0..LOOKS {
                self.drive(name, Part::Commands).await?;
                let conversation: Option<Conversation> = self.documents.find(&key(name)).await?;
                let found = conversation.as_ref().and_then(|conversation| {
                    let known = conversation.find(&queued.command_id, &queued.name)?;
                    let known = QueuedCommand {
                        addresses: activity.addresses.clone(),
                        ..known.clone()
                    };
                    known
                        .outcome()
                        .map(|outcome| result::result(&conversation.id, &known, outcome))
                });
                if let Some(result) = found {
                    return Ok(result);
                }
                self.control.clock.sleep(LOOK_EVERY).await;
            }
            Err(TelephonyError::UnderWay)
        };
        tokio::time::timeout(ANSWER_WITHIN, Box::pin(waiting))
            .await
            .unwrap_or(Err(TelephonyError::UnderWay))
    }
}

/// Returns the recordings of a bot's conversation, oldest first.
///
/// # Errors
/// When the storage fails or the conversation is unreadable.
pub async fn recordings_of(
    register: &RecordingRegister,
    conversation_id: &str,
) -> Result<Vec<RecordingId>, DocumentError> {
    let documents = register.documents();
    let conversation: Option<Conversation> = documents.find(&key(&name(conversation_id))).await?;
    Ok(conversation
        .map(|conversation| conversation.sessions)
        .unwrap_or_default())
}

/// Returns a name for documents of a conversation, whatever characters its id has.
fn name(conversation_id: &str) -> String {
    Sha256Digest::of(conversation_id.as_bytes()).to_string()
}

impl Keyed for Conversation {
    fn key(&self) -> Option<String> {
        Some(key(&name(&self.id)))
    }
}

fn key(name: &str) -> String {
    format!("telephony/{name}.json")
}

fn marker(name: &str) -> String {
    format!("{OPEN}{name}")
}
