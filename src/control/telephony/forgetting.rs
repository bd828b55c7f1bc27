//! Removes recordings from the conversations of bots when their people are erased. A conversation's id may name people, so
//! the document goes with its last recording.

use super::conversation::Conversation;
use super::{key, name};
use crate::control::register::RecordingRegister;
use crate::recording::RecordingId;
use crate::store::document_store::DocumentRemoval;
use crate::store::documents::{
    CONFLICTS_TOLERATED, DocumentError, Documents, Stored, WriteOutcome,
};

/// Outcome for the conversation of a recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Forgotten {
    /// It no longer knows the recording.
    Done,
    /// With the reason. It is unchanged.
    Left(String),
}

/// Returns why a conversation would not forget a recording now. Changes nothing.
///
/// # Errors
/// When the storage fails.
pub async fn objection(
    register: &RecordingRegister,
    conversation_id: &str,
) -> Result<Option<String>, DocumentError> {
    let key = key(&name(conversation_id));
    match register.documents().read::<Conversation>(&key).await {
        Ok(Some(stored)) => Ok(objection_of(&stored.document)),
        Ok(None) => Ok(None),
        Err(DocumentError::Corrupt { key, .. }) => Ok(Some(unreadable(&key))),
        Err(error) => Err(error),
    }
}

fn objection_of(conversation: &Conversation) -> Option<String> {
    conversation.is_open().then(|| {
        "a command of its bot has not ended, or its result is not delivered; run again later"
            .to_owned()
    })
}

fn unreadable(key: &str) -> String {
    format!("the conversation of its bot, `{key}`, is not readable")
}

/// Removes a recording from a conversation, and the conversation with its last recording.
///
/// # Errors
/// When the storage fails. Repeating is harmless.
pub async fn forget(
    register: &RecordingRegister,
    conversation_id: &str,
    recording_id: &RecordingId,
) -> Result<Forgotten, DocumentError> {
    let (documents, key) = (register.documents(), key(&name(conversation_id)));
    for _ in 0..CONFLICTS_TOLERATED {
        let stored = match documents.read::<Conversation>(&key).await {
            Ok(Some(stored)) => stored,
            Ok(None) => return Ok(Forgotten::Done),
            Err(DocumentError::Corrupt { key, .. }) => {
                return Ok(Forgotten::Left(unreadable(&key)));
            }
            Err(error) => return Err(error),
        };
        if let Some(reason) = objection_of(&stored.document) {
            return Ok(Forgotten::Left(reason));
        }
        if forget_in(documents, &key, stored, recording_id).await? {
            return Ok(Forgotten::Done);
        }
    }
    Err(DocumentError::Contended { key })
}

/// Returns whether it is done: not if another process changed the conversation.
async fn forget_in(
    documents: &Documents,
    key: &str,
    stored: Stored<Conversation>,
    recording_id: &RecordingId,
) -> Result<bool, DocumentError> {
    let Stored {
        mut document,
        revision,
    } = stored;
    document.sessions.retain(|session| session != recording_id);
    if document.sessions.is_empty() {
        let removal = documents.remove_unchanged(key, &revision).await?;
        return Ok(removal == DocumentRemoval::Removed);
    }
    let written = documents.write(key, Some(&revision), document).await?;
    Ok(matches!(written, WriteOutcome::Written(_)))
}
