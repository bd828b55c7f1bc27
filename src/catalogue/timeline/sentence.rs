//! Records of the audit log as sentences about a recording. It reads nothing.

use super::subjects::Subject;
use crate::store::audit::{AuditAction, AuditRecord};

/// Describes in one sentence what was done. Takes a record with its names and texts.
pub(super) fn sentence(record: &AuditRecord, subject: Subject) -> String {
    let reason = record.detail["reason"].as_str();
    let reason = reason.map(|reason| format!(": {reason}"));
    let reason = reason.unwrap_or_default();
    match &record.action {
        AuditAction::Started
        | AuditAction::StartUnknown
        | AuditAction::Paused
        | AuditAction::Resumed
        | AuditAction::Stopped
        | AuditAction::Retried
        | AuditAction::Accepted
        | AuditAction::Acknowledged
        | AuditAction::Verified
        | AuditAction::Imported
        | AuditAction::Held
        | AuditAction::Released
        | AuditAction::EvidenceExported
        | AuditAction::Played
        | AuditAction::Downloaded
        | AuditAction::TicketIssued => {
            let who = record.who();
            format!("{} by {who}{reason}", act(record, subject))
        }
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
        | AuditAction::Dismissed
        | AuditAction::PoisonExpired
        | AuditAction::Replayed
        | AuditAction::RetentionApplied
        | AuditAction::DeletesSources
        | AuditAction::Rebuilt
        | AuditAction::Indexed
        | AuditAction::PersonSearched
        | AuditAction::PersonExported
        | AuditAction::PersonErasing
        | AuditAction::PersonErased
        | AuditAction::Forgotten
        | AuditAction::NameErasing
        | AuditAction::TextsErasing
        | AuditAction::AccessesDropped
        | AuditAction::Other(_) => format!("{}{reason}", step(&record.action, subject)),
    }
}

/// What somebody did, without who did it.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the caller gives each of the two functions its own actions, and names all of them"
)]
fn act(record: &AuditRecord, subject: Subject) -> String {
    let it = in_middle(subject);
    let case = record.detail["case"].as_str().unwrap_or("(unknown)");
    let rule = match subject {
        Subject::Rule => " (standing hold)",
        Subject::Call => " (with its call)",
        Subject::Chunk { .. } | Subject::Recording => "",
    };
    match &record.action {
        AuditAction::Started => "The recording was started".to_owned(),
        AuditAction::Paused => match record.detail["resumeAt"].as_str() {
            Some(until) => format!("The recording was paused until {until} at the latest"),
            None => "The recording was paused".to_owned(),
        },
        AuditAction::Resumed => "The recording was resumed".to_owned(),
        AuditAction::Stopped => "The recording was stopped".to_owned(),
        AuditAction::Retried => format!("Another export of {it} was requested"),
        AuditAction::Accepted => format!("The doubtful media of {it} was accepted"),
        AuditAction::Acknowledged => {
            format!("That {it} has no whole copy was acknowledged")
        }
        AuditAction::Verified => format!("The copy of {it} was compared with its receipt"),
        AuditAction::Imported => format!("A file was imported as the copy of {it}"),
        AuditAction::Held => {
            let requested = record.detail["wantedBy"].as_str();
            let requested = requested.map(|name| format!(" (requested by {name})"));
            let requested = requested.unwrap_or_default();
            format!("The recording was held for the case {case}{rule}{requested}")
        }
        AuditAction::Released => {
            format!("The recording was released from the case {case}{rule}")
        }
        AuditAction::EvidenceExported => "An evidence package was made".to_owned(),
        AuditAction::Played => format!("The media of {it} was played"),
        AuditAction::Downloaded if record.detail["file"] == "metadata" => {
            format!("The metadata of {it} was downloaded")
        }
        AuditAction::Downloaded => format!("The media of {it} was downloaded"),
        AuditAction::TicketIssued => format!("A ticket to play {it} was requested"),
        other => format!("{it}: {other}"),
    }
}

/// What the app did.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the caller gives each of the two functions its own actions, and names all of them"
)]
fn step(action: &AuditAction, subject: Subject) -> String {
    let it = in_middle(subject);
    let begin = match subject {
        Subject::Chunk { index } => format!("Chunk {index}"),
        Subject::Recording | Subject::Call | Subject::Rule => "The recording".to_owned(),
    };
    match action {
        AuditAction::Recorded => format!("{begin} was announced"),
        AuditAction::AnnouncedAgain => format!("{begin} was announced again, with something new"),
        AuditAction::Pending => format!("{begin} waits for its export"),
        AuditAction::Exported => format!("{begin} was exported and proved"),
        AuditAction::OtherFileExported => {
            format!("Another file of {it} was exported beside the first")
        }
        AuditAction::DeletingSource => format!("{begin} is being deleted at ACS"),
        AuditAction::SourceDeleted => format!("{begin} was deleted at ACS"),
        AuditAction::SourceWasGone => format!("{begin} was already gone at ACS"),
        AuditAction::SourceLeft => {
            format!("{begin} was left at ACS, which deletes it when its retention ends")
        }
        AuditAction::InPlace => format!("{begin} was checked in your own storage"),
        AuditAction::Expired => format!("{begin} is lost"),
        AuditAction::DeadLettered => format!("{begin} was given up"),
        AuditAction::Removing => format!("The copy of {it} is being deleted from the vault"),
        AuditAction::RemovingLate => {
            format!("Files of {it} that arrived late are being deleted from the vault")
        }
        AuditAction::ClearingBackup => {
            format!("The second copy of {it} is being deleted from the backup vault")
        }
        AuditAction::RecordedErased => {
            format!("{begin} was announced and not exported: its recording was erased")
        }
        AuditAction::Removed => format!("The copy of {it} was deleted from the vault"),
        AuditAction::Rebuilt => format!("The entry of {it} was rebuilt from its receipt"),
        other => format!("{begin}: {other}"),
    }
}

fn in_middle(subject: Subject) -> String {
    match subject {
        Subject::Chunk { index } => format!("chunk {index}"),
        Subject::Recording | Subject::Call | Subject::Rule => "the recording".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::store::audit::Actor;

    #[rstest::rstest]
    #[case(AuditAction::Verified, json!({"through": "api", "by": "ada"}), "The copy of chunk 2 was compared with its receipt by ada through the API")]
    #[case(AuditAction::Played, json!({"through": "ticket"}), "The media of chunk 2 was played by the holder of a ticket")]
    #[case(AuditAction::Played, json!({"through": "ticket", "claimedBy": "ada"}), "The media of chunk 2 was played by the holder of a ticket of ada (claimed)")]
    #[case(AuditAction::Downloaded, json!({"through": "api", "file": "metadata"}), "The metadata of chunk 2 was downloaded by a caller of the API who gave no name")]
    #[case(AuditAction::Expired, json!({"reason": "ACS dropped it"}), "Chunk 2 is lost: ACS dropped it")]
    fn a_record_of_a_chunk_is_a_sentence_with_who_did_it(
        #[case] action: AuditAction,
        #[case] detail: Value,
        #[case] expected: &str,
    ) {
        let record = record(action, detail);
        assert_eq!(sentence(&record, Subject::Chunk { index: 2 }), expected);
    }

    #[rstest::rstest]
    #[case(Subject::Recording, AuditAction::Held, json!({"case": "A-1", "through": "shell", "wantedBy": "legal"}), "The recording was held for the case A-1 (requested by legal) by a person at the shell")]
    #[case(Subject::Rule, AuditAction::Released, json!({"case": "A-1", "through": "api", "by": "ada"}), "The recording was released from the case A-1 (standing hold) by ada through the API")]
    #[case(Subject::Recording, AuditAction::Paused, json!({"through": "api", "claimedBy": "ada"}), "The recording was paused by ada (claimed) through the API")]
    fn a_record_of_a_recording_is_a_sentence_with_who_did_it(
        #[case] subject: Subject,
        #[case] action: AuditAction,
        #[case] detail: Value,
        #[case] expected: &str,
    ) {
        assert_eq!(sentence(&record(action, detail), subject), expected);
    }

    fn record(action: AuditAction, detail: Value) -> AuditRecord {
        AuditRecord {
            at: "2026-03-02T10:00:00Z".parse().unwrap(),
            actor: Actor::Operator,
            action,
            subject: "s".to_owned(),
            detail,
        }
    }
}
