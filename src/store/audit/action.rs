//! Actions in the audit log. The stored words must not change: old logs are read for years.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An action, as the log stores it in camel case: `sourceDeleted`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum AuditAction {
    // What the handler does to a chunk.
    Recorded,
    AnnouncedAgain,
    Pending,
    Exported,
    /// Another file of a known document, beside its own.
    OtherFileExported,
    DeletingSource,
    SourceDeleted,
    /// ACS no longer had the source when it was to be deleted.
    SourceWasGone,
    SourceLeft,
    InPlace,
    Expired,
    DeadLettered,
    Removing,
    Removed,
    /// Files that arrived in a vault after their chunk was removed.
    RemovingLate,
    /// The second copy, of a chunk that is proved at home.
    ClearingBackup,
    /// A chunk of an erased recording, which is not exported.
    RecordedErased,
    /// An event that cannot be read is about to be kept.
    EventKept,
    /// An event that was kept named a person who is erased.
    EventErased,
    /// An event that was kept could be read, and was processed.
    EventProcessed,
    // What callers, bots and the handler have done to a recording at ACS.
    Started,
    /// Whether a start began a recording stayed unknown.
    StartUnknown,
    Paused,
    Resumed,
    Stopped,
    // What operators do.
    Retried,
    Accepted,
    /// An operator acknowledged a loss.
    Acknowledged,
    /// An event that could not be read, and by which nothing is lost.
    Dismissed,
    /// The content of an event that could not be read and was not resolved was removed after its time.
    PoisonExpired,
    Verified,
    Replayed,
    /// A file was imported by hand as the copy of a chunk.
    Imported,
    Held,
    Released,
    RetentionApplied,
    DeletesSources,
    Rebuilt,
    /// The entry of a chunk was not readable, and an event records the chunk again.
    EntrySetAside,
    Indexed,
    PersonSearched,
    PersonExported,
    /// An evidence package with a recording's files was made.
    EvidenceExported,
    PersonErasing,
    PersonErased,
    /// The people in an entry were erased.
    Forgotten,
    /// The name of an operator is being erased from the audit log.
    NameErasing,
    /// The texts that operators wrote about a subject are being erased from the audit log.
    TextsErasing,
    /// A checkpoint of the audit log that was named elsewhere is missing.
    CheckpointMissing,
    /// An operator acknowledged that a checkpoint is missing.
    CheckpointLossAcknowledged,
    // Who looked.
    Played,
    Downloaded,
    TicketIssued,
    /// A number of records of access could not be written.
    AccessesDropped,
    /// A word of another version.
    #[serde(untagged)]
    Other(String),
}

impl fmt::Display for AuditAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match serde_json::to_value(self) {
            Ok(serde_json::Value::String(word)) => f.write_str(&word),
            Ok(_) | Err(_) => Err(fmt::Error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::too_many_lines, reason = "one line for each action")]
    fn the_words_of_the_log_stay() {
        let words = [
            (AuditAction::Recorded, "recorded"),
            (AuditAction::AnnouncedAgain, "announcedAgain"),
            (AuditAction::Pending, "pending"),
            (AuditAction::Exported, "exported"),
            (AuditAction::OtherFileExported, "otherFileExported"),
            (AuditAction::DeletingSource, "deletingSource"),
            (AuditAction::SourceDeleted, "sourceDeleted"),
            (AuditAction::SourceWasGone, "sourceWasGone"),
            (AuditAction::SourceLeft, "sourceLeft"),
            (AuditAction::InPlace, "inPlace"),
            (AuditAction::Expired, "expired"),
            (AuditAction::DeadLettered, "deadLettered"),
            (AuditAction::Removing, "removing"),
            (AuditAction::Removed, "removed"),
            (AuditAction::RemovingLate, "removingLate"),
            (AuditAction::ClearingBackup, "clearingBackup"),
            (AuditAction::RecordedErased, "recordedErased"),
            (AuditAction::Started, "started"),
            (AuditAction::StartUnknown, "startUnknown"),
            (AuditAction::Paused, "paused"),
            (AuditAction::Resumed, "resumed"),
            (AuditAction::Stopped, "stopped"),
            (AuditAction::Retried, "retried"),
            (AuditAction::Accepted, "accepted"),
            (AuditAction::Acknowledged, "acknowledged"),
            (AuditAction::Dismissed, "dismissed"),
            (AuditAction::PoisonExpired, "poisonExpired"),
            (AuditAction::Verified, "verified"),
            (AuditAction::Replayed, "replayed"),
            (AuditAction::Imported, "imported"),
            (AuditAction::Held, "held"),
            (AuditAction::Released, "released"),
            (AuditAction::RetentionApplied, "retentionApplied"),
            (AuditAction::DeletesSources, "deletesSources"),
            (AuditAction::Rebuilt, "rebuilt"),
            (AuditAction::EntrySetAside, "entrySetAside"),
            (AuditAction::Indexed, "indexed"),
            (AuditAction::PersonSearched, "personSearched"),
            (AuditAction::PersonExported, "personExported"),
            (AuditAction::EvidenceExported, "evidenceExported"),
            (AuditAction::PersonErasing, "personErasing"),
            (AuditAction::PersonErased, "personErased"),
            (AuditAction::Forgotten, "forgotten"),
            (AuditAction::NameErasing, "nameErasing"),
            (AuditAction::TextsErasing, "textsErasing"),
            (AuditAction::CheckpointMissing, "checkpointMissing"),
            (AuditAction::EventKept, "eventKept"),
            (AuditAction::EventErased, "eventErased"),
            (AuditAction::EventProcessed, "eventProcessed"),
            (
                AuditAction::CheckpointLossAcknowledged,
                "checkpointLossAcknowledged",
            ),
            (AuditAction::Played, "played"),
            (AuditAction::Downloaded, "downloaded"),
            (AuditAction::TicketIssued, "ticketIssued"),
            (AuditAction::AccessesDropped, "accessesDropped"),
            (AuditAction::Other("requested".into()), "requested"),
        ];
        for (action, word) in words {
            assert_eq!(action.to_string(), word);
            let read: AuditAction = serde_json::from_value(word.into()).unwrap();
            assert_eq!(read, action);
        }
    }
}
