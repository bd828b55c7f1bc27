//! Whether a log says that there were recordings: an empty ledger beside it was not always empty.

use std::future::ready;

use futures::{StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;

use super::action::AuditAction;
use super::reading::FoundDocument;
use super::subjects::SubjectKey;
use super::{AuditLog, StoreError};

/// Documents of one subject that are read.
const OF_SUBJECT: usize = 16;
/// Documents that are read. The log of a ledger that never had a recording is shorter.
const LOOKED_AT: usize = 64;

impl AuditLog {
    /// Whether a record from before `before` says that there was a chunk or a recording. A document that cannot be read, and one document more
    /// than are read, may say so: then it is assumed.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn knows_recordings(&self, before: Timestamp) -> Result<bool, StoreError> {
        let documents = self.read_all().take(LOOKED_AT);
        let knowing = documents.try_filter(|(_, found)| ready(knows_recordings(found, before)));
        let mut knowing = std::pin::pin!(knowing);
        if knowing.try_next().await?.is_some() {
            return Ok(true);
        }
        let one_more = self.read_all().skip(LOOKED_AT);
        let mut one_more = std::pin::pin!(one_more);
        Ok(one_more.try_next().await?.is_some())
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

fn knows_recordings(document: &FoundDocument, before: Timestamp) -> bool {
    match document {
        FoundDocument::Records(records) => records
            .iter()
            .any(|record| record.at < before && is_of_recording(&record.action)),
        FoundDocument::Missing => false,
        FoundDocument::Unreadable => true,
    }
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
