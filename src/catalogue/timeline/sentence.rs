//! Records of the audit log as sentences about a recording. It reads nothing.

use super::subjects::Subject;
use crate::store::audit::AuditRecord;

/// Describes in one sentence what was done, by whom if somebody asked for it, and why. Takes a record with its names and texts.
pub(super) fn sentence(record: &AuditRecord, subject: Subject) -> String {
    let (name, through) = match subject {
        Subject::Chunk { index } => (format!("Chunk {index}"), ""),
        Subject::Recording => ("The recording".to_owned(), ""),
        Subject::Call => ("The recording".to_owned(), " (with its call)"),
        Subject::Rule => ("The recording".to_owned(), " (standing hold)"),
    };
    let who = record.is_asked_for().then(|| record.who());
    let who = who.map(|who| format!(" by {who}")).unwrap_or_default();
    let reason = record.reason().map(|reason| format!(": {reason}"));
    let reason = reason.unwrap_or_default();
    format!("{}{through}{who}{reason}", record.said_of(&name))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::store::audit::{Actor, AuditAction};

    #[rstest::rstest]
    #[case(AuditAction::Verified, json!({"through": "api", "by": "ada"}), "Chunk 2 was compared with its receipt by ada through the API")]
    #[case(AuditAction::Played, json!({"through": "ticket"}), "Chunk 2 was played by the holder of a ticket")]
    #[case(AuditAction::Played, json!({"through": "ticket", "claimedBy": "ada"}), "Chunk 2 was played by the holder of a ticket of ada (claimed)")]
    #[case(AuditAction::Downloaded, json!({"through": "api", "file": "metadata"}), "Chunk 2 was downloaded (its metadata) by a caller of the API who gave no name")]
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
