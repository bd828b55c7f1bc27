//! Deletes personal data of recordings whose copies a retention policy removed. Ids, times and digests remain.
//!
//! ```text
//! no chunk has a copy, nothing holds it ─▶ account without people ─▶ entries without people, their markers with them
//! ```
//! The entries of removed copies are written last: they mark completion, so a repeat resumes after a kill.

use super::known::KnownRecording;
use super::{Catalogue, CatalogueError};
use crate::control::telephony::forgetting::{self, Forgotten};
use crate::export::ChunkState;
use crate::recording::DocumentId;

/// Outcome for the personal data of one recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PeopleDropped {
    Dropped,
    /// A copy of another chunk, which names the same people, is still kept.
    StillKept,
    /// With the reason. A repeat tries again.
    Left(String),
}

impl Catalogue {
    /// Deletes personal data of the recording of a removed chunk.
    ///
    /// # Errors
    /// When the storage fails. A repeat continues.
    pub async fn drop_people(&self, id: &DocumentId) -> Result<PeopleDropped, CatalogueError> {
        let Some(entry) = self.entry(id).await? else {
            return Ok(PeopleDropped::Left("its entry is not readable".to_owned()));
        };
        if entry.is_without_people() {
            return Ok(PeopleDropped::Dropped);
        }
        let recording_id = entry.chunk.filed_under();
        let recorded = match self.find_registered(&recording_id).await {
            Ok(Some(recorded)) => recorded,
            Ok(None) => return self.drop_from_entries(std::iter::once(id)).await,
            // Whether it is held, or has other copies, is unknown.
            Err(CatalogueError::Unreadable { key }) => {
                let reason = format!("the account `{key}` of its recording is not readable");
                return Ok(PeopleDropped::Left(reason));
            }
            Err(error) => return Err(error),
        };
        if !recorded.cases.is_empty() {
            let tags = recorded.case_tags();
            return Ok(PeopleDropped::Left(format!("it is held for {tags}")));
        }
        if !has_ended(&recorded) {
            return Ok(PeopleDropped::StillKept);
        }
        if let Some(account) = self.register.find(&recording_id).await? {
            if let Some(conversation) = &account.conversation {
                let forgetting = forgetting::forget(&self.register, conversation, &recording_id);
                if let Forgotten::Left(reason) = Box::pin(forgetting).await? {
                    return Ok(PeopleDropped::Left(reason));
                }
            }
            let now = self.clock.now();
            self.register.forget_people(&recording_id, now).await?;
        }
        let is_removed = |state: &ChunkState| matches!(state, ChunkState::Removed { .. });
        let entries = recorded.entries();
        let (removed, others): (Vec<_>, Vec<_>) = entries.partition(|one| is_removed(&one.state));
        let in_order = others.into_iter().chain(removed);
        self.drop_from_entries(in_order.map(|one| &one.chunk.document_id))
            .await
    }

    async fn drop_from_entries(
        &self,
        documents: impl Iterator<Item = &DocumentId> + Send,
    ) -> Result<PeopleDropped, CatalogueError> {
        for document_id in documents {
            if !self.ledger.drop_people(document_id).await? {
                let reason = format!("another process is working on chunk {document_id}");
                return Ok(PeopleDropped::Left(reason));
            }
        }
        Ok(PeopleDropped::Dropped)
    }
}

/// Whether no copy is kept, and no more chunks may arrive.
fn has_ended(recorded: &KnownRecording) -> bool {
    !recorded.account.is_running()
        && recorded.chunks.iter().all(|chunk| {
            chunk.entry.found().is_some_and(|entry| {
                matches!(
                    entry.state,
                    ChunkState::Removed { .. }
                        | ChunkState::Expired { .. }
                        | ChunkState::DeadLettered { .. }
                ) || entry.is_unfinished_import()
            })
        })
}
