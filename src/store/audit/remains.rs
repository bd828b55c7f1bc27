//! Whether a log says that there were recordings: an empty ledger beside it was not always empty.

use futures::{StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;

use super::action::AuditAction;
use super::name::AuditPosition;
use super::reading::{FoundDocument, ReadDocument};
use super::record::AuditRecord;
use super::subjects::SubjectKey;
use super::{AuditLog, StoreError};

/// Documents of one subject that are read.
const OF_SUBJECT: usize = 16;
/// Documents that are read. The log of a ledger that never had a recording is usually shorter.
const LOOKED_AT: usize = 64;

/// What a log says of recordings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Knowledge {
    OfRecordings,
    /// It has no record of one.
    None,
    /// No record of one was read, and not every record was.
    NotRead,
}

impl AuditLog {
    /// Whether a record from before `before` says that there was a chunk or a recording.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn knows_recordings(&self, before: Timestamp) -> Result<Knowledge, StoreError> {
        let mut documents = std::pin::pin!(self.contents().take(LOOKED_AT + 1));
        let mut knowledge = Knowledge::None;
        let mut read = 0;
        while let Some((key, document)) = documents.try_next().await? {
            read += 1;
            if read > LOOKED_AT {
                return Ok(Knowledge::NotRead);
            }
            if AuditPosition::of_key(&key).is_none() {
                continue;
            }
            let found = match document {
                ReadDocument::Content(content) => FoundDocument::of(Some(&content)),
                ReadDocument::Gone => FoundDocument::Missing,
                ReadDocument::Unreadable(error) if error.damaged().is_some() => {
                    FoundDocument::Unreadable
                }
                ReadDocument::Unreadable(error) => return Err(error),
            };
            match found {
                FoundDocument::Records(records) if knows_recordings(&records, before) => {
                    return Ok(Knowledge::OfRecordings);
                }
                FoundDocument::Records(_) | FoundDocument::Missing => {}
                FoundDocument::Unreadable => knowledge = Knowledge::NotRead,
            }
        }
        Ok(knowledge)
    }

    /// Whether a record of this subject, from before `before`, says that it existed: a hold may be older than what it holds.
    /// Where there are more than are read, and a document that cannot be read, it is assumed.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn knows_recording(
        &self,
        subject: SubjectKey,
        before: Timestamp,
    ) -> Result<bool, StoreError> {
        let marked = self.newest_of(subject, OF_SUBJECT).await?;
        for document in &marked {
            let says_so = match self.read(&document.position).await? {
                FoundDocument::Records(records) => records.iter().any(|record| {
                    record.at < before
                        && is_of_recording(&record.action)
                        && SubjectKey::of(&record.subject) == subject
                }),
                FoundDocument::Missing => false,
                FoundDocument::Unreadable => true,
            };
            if says_so {
                return Ok(true);
            }
        }
        Ok(marked.len() >= OF_SUBJECT)
    }
}

fn knows_recordings(records: &[AuditRecord], before: Timestamp) -> bool {
    let mut earlier = records.iter().filter(|record| record.at < before);
    earlier.any(|record| is_of_recording(&record.action))
}

/// Whether a recording, or a chunk of one, was known when this was recorded.
fn is_of_recording(action: &AuditAction) -> bool {
    match action {
        AuditAction::Recorded
        | AuditAction::AnnouncedAgain
        | AuditAction::Pending
        | AuditAction::Exported
        | AuditAction::OtherFileExported
        | AuditAction::DeletingSource
        | AuditAction::SourceDeleted
        | AuditAction::SourceWasGone
        | AuditAction::SourceLeft
        | AuditAction::InPlace
        | AuditAction::Expired
        | AuditAction::DeadLettered
        | AuditAction::Removing
        | AuditAction::Removed
        | AuditAction::RemovingLate
        | AuditAction::ClearingBackup
        | AuditAction::RecordedErased
        | AuditAction::Started
        | AuditAction::Paused
        | AuditAction::Resumed
        | AuditAction::Stopped
        | AuditAction::Retried
        | AuditAction::Accepted
        | AuditAction::Acknowledged
        | AuditAction::Imported
        | AuditAction::Rebuilt
        | AuditAction::EntrySetAside
        | AuditAction::EvidenceExported
        | AuditAction::Forgotten
        | AuditAction::Played
        | AuditAction::Downloaded
        | AuditAction::TicketIssued => true,
        // They need no recording, or concern what was only asked for.
        AuditAction::EventKept
        | AuditAction::EventErased
        | AuditAction::EventProcessed
        | AuditAction::CheckpointMissing
        | AuditAction::CheckpointLossAcknowledged
        | AuditAction::StartUnknown
        | AuditAction::Dismissed
        | AuditAction::PoisonExpired
        | AuditAction::Verified
        | AuditAction::Replayed
        | AuditAction::Held
        | AuditAction::Released
        | AuditAction::RetentionApplied
        | AuditAction::DeletesSources
        | AuditAction::Indexed
        | AuditAction::PersonSearched
        | AuditAction::PersonExported
        | AuditAction::PersonErasing
        | AuditAction::PersonErased
        | AuditAction::NameErasing
        | AuditAction::TextsErasing
        | AuditAction::AccessesDropped
        | AuditAction::Other(_) => false,
    }
}
