//! What each action of the audit log means: its words, and which records have it. A new action is added here and in
//! `action.rs`. It reads nothing.

use std::borrow::Cow;

use super::action::AuditAction;
use super::record::{Actor, AuditRecord};

/// What is known of an action.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Meaning {
    /// For a sentence whose subject is the thing that it was done to.
    phrase: Cow<'static, str>,
    /// Its records are about a chunk, and the chunk's ledger entry lists them.
    is_of_chunk: bool,
    /// Its records have markers, by which they are found.
    is_marked: bool,
    cause: Cause,
}

/// Why something is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    /// The app does it by itself, or its record is not about a recording.
    App,
    /// Somebody asked for it.
    AskedFor,
    /// Somebody looked at a recording, and nothing was done to it.
    Access,
}

impl Meaning {
    fn of(phrase: impl Into<Cow<'static, str>>) -> Self {
        Self {
            phrase: phrase.into(),
            is_of_chunk: false,
            is_marked: false,
            cause: Cause::App,
        }
    }

    fn of_chunk(phrase: &'static str) -> Self {
        Self {
            is_of_chunk: true,
            ..Self::of(phrase)
        }
    }

    fn marked(phrase: &'static str) -> Self {
        Self {
            is_marked: true,
            cause: Cause::AskedFor,
            ..Self::of(phrase)
        }
    }

    fn access(phrase: &'static str) -> Self {
        Self {
            cause: Cause::Access,
            ..Self::marked(phrase)
        }
    }

    fn asked_for(self) -> Self {
        Self {
            cause: Cause::AskedFor,
            ..self
        }
    }
}

impl AuditAction {
    #[expect(clippy::too_many_lines, reason = "one line for each action")]
    fn meaning(&self) -> Meaning {
        match self {
            Self::Recorded => Meaning::of_chunk("was announced"),
            Self::AnnouncedAgain => Meaning::of_chunk("was announced again, with something new"),
            Self::Pending => Meaning::of_chunk("waits for its export"),
            Self::Exported => Meaning::of_chunk("was exported and proved"),
            Self::OtherFileExported => {
                Meaning::of_chunk("had another file exported beside the first")
            }
            Self::DeletingSource => Meaning::of_chunk("is being deleted at ACS"),
            Self::SourceDeleted => Meaning::of_chunk("was deleted at ACS"),
            Self::SourceWasGone => Meaning::of("was already gone at ACS"),
            Self::SourceLeft => Meaning::of_chunk("was not deleted at ACS"),
            Self::InPlace => Meaning::of_chunk("was checked in your own storage"),
            Self::Expired => Meaning::of_chunk("is lost"),
            Self::DeadLettered => Meaning::of_chunk("was given up"),
            Self::Removing => Meaning::of_chunk("is being deleted from the vault"),
            Self::Removed => Meaning::of_chunk("was deleted from the vault"),
            Self::RemovingLate => {
                Meaning::of("arrived in the vault late, and is being deleted there")
            }
            Self::ClearingBackup => Meaning::of("is being deleted from the backup vault"),
            Self::RecordedErased => {
                Meaning::of_chunk("was announced and not exported: its recording was erased")
            }
            Self::Started => Meaning::marked("was started"),
            Self::StartUnknown => {
                Meaning::of("was asked to be recorded; whether ACS did is unknown").asked_for()
            }
            Self::Paused => Meaning::marked("was paused"),
            Self::Resumed => Meaning::marked("was resumed"),
            Self::Stopped => Meaning::marked("was stopped"),
            Self::Retried => Meaning::of_chunk("was opened again").asked_for(),
            Self::Accepted => Meaning::of_chunk("had its doubtful media accepted").asked_for(),
            Self::Acknowledged => Meaning {
                is_of_chunk: true,
                ..Meaning::marked("was acknowledged as lost")
            },
            // An operator may dismiss one that only the log has.
            Self::EventKept => Meaning {
                is_marked: true,
                ..Meaning::of("could not be read, and was kept")
            },
            Self::EventProcessed => Meaning::of("was processed after all"),
            // A process that has the event in its memory looks for it.
            Self::EventErased => Meaning {
                is_marked: true,
                ..Meaning::of("was erased with a person whom it named")
            },
            Self::Dismissed => Meaning::of("was dismissed"),
            Self::PoisonExpired => {
                Meaning::of("was not resolved in its time, and its content was removed")
            }
            Self::Verified => Meaning::access("was compared with its receipt"),
            Self::Replayed => Meaning::of("was processed again"),
            Self::Imported => Meaning::of_chunk("was imported by hand").asked_for(),
            Self::Held => Meaning::marked("was held for the case"),
            Self::Released => Meaning::marked("was released from the case"),
            Self::RetentionApplied => Meaning::of("had the retention policy applied"),
            Self::DeletesSources => Meaning::of("sources are being deleted at ACS"),
            Self::Rebuilt => Meaning::of_chunk("had its entry rebuilt from its receipt"),
            Self::EntrySetAside => Meaning::of_chunk(
                "had its unreadable entry set aside, until an event records it again",
            ),
            Self::Indexed => Meaning::of("was reindexed"),
            Self::PersonSearched => Meaning::of("was searched for"),
            Self::PersonExported => Meaning::of("was exported into an archive"),
            Self::EvidenceExported => Meaning::access("was packed as evidence"),
            // A later erasure finds it.
            Self::PersonErasing => Meaning {
                is_marked: true,
                ..Meaning::of("is being erased")
            },
            Self::PersonErased => Meaning::of("was erased"),
            Self::Forgotten => Meaning::of_chunk("had the people in its entry erased"),
            Self::NameErasing => Meaning::of("is being erased from the names of operators"),
            Self::TextsErasing => Meaning::of("is having the texts about it erased"),
            Self::CheckpointMissing => Meaning {
                is_marked: true,
                ..Meaning::of("was found to be missing")
            },
            Self::CheckpointLossAcknowledged => Meaning::marked("was acknowledged as lost"),
            Self::Played => Meaning::access("was played"),
            Self::Downloaded => Meaning::access("was downloaded"),
            Self::TicketIssued => Meaning::access("was given a ticket for playing"),
            Self::AccessesDropped => Meaning::of("has a gap: records were dropped"),
            Self::Other(word) => Meaning::of(format!("({word})")),
        }
    }

    /// Whether its records are about a chunk, and listed by the chunk's ledger entry.
    pub fn is_of_chunk(&self) -> bool {
        self.meaning().is_of_chunk
    }

    /// Whether its records have markers. A ledger entry has the positions of all others that are about its chunk.
    pub fn is_marked(&self) -> bool {
        self.meaning().is_marked
    }

    /// Whether somebody looked at a recording, and nothing was done to it.
    pub fn is_access(&self) -> bool {
        self.meaning().cause == Cause::Access
    }
}

impl AuditRecord {
    /// Says what was done to a subject, such as `Chunk 2`; without who did it and the reason. Takes a record with its names
    /// and texts.
    pub fn said_of(&self, subject: &str) -> String {
        let phrase = if self.is_of_import() {
            Cow::Borrowed("was recorded for an import by hand")
        } else {
            self.action.meaning().phrase
        };
        let is_metadata = self.member("file") == Some("metadata");
        let object = if matches!(self.action, AuditAction::Held | AuditAction::Released) {
            format!(" {}", self.member("case").unwrap_or("(unknown)"))
        } else if self.action == AuditAction::Downloaded && is_metadata {
            " (its metadata)".to_owned()
        } else if self.action == AuditAction::AccessesDropped {
            format!(" ({})", self.detail["count"])
        } else {
            String::new()
        };
        let until = self.member("resumeAt");
        let until = until.map(|until| format!(" until {until} at the latest"));
        let requested = self.member("wantedBy");
        let requested = requested.map(|name| format!(" (requested by {name})"));
        let (until, requested) = (until.unwrap_or_default(), requested.unwrap_or_default());
        let said = format!("{phrase}{object}{until}{requested}");
        // Whether ACS did it is not known.
        match (self.member("answer"), said.strip_prefix("was ")) {
            (Some("lost"), Some(done)) => {
                format!("{subject} may have been {done} (no answer of ACS is known)")
            }
            (_, _) => format!("{subject} {said}"),
        }
    }

    /// Whether somebody asked for it.
    pub fn is_asked_for(&self) -> bool {
        self.action.meaning().cause != Cause::App || self.is_of_import()
    }

    /// Whether an operator recorded a chunk that no event announced.
    fn is_of_import(&self) -> bool {
        self.action == AuditAction::Recorded && self.actor == Actor::Operator
    }

    /// Returns the reason that its operator or the app gave, or the operator's note.
    pub fn reason(&self) -> Option<&str> {
        self.member("reason").or_else(|| self.member("note"))
    }

    fn member(&self, name: &str) -> Option<&str> {
        self.detail[name].as_str()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::store::audit::Actor;

    #[rstest::rstest]
    #[case(AuditAction::Exported, Value::Null, "Chunk 2 was exported and proved")]
    #[case(
        AuditAction::Recorded,
        Value::Null,
        "Chunk 2 was recorded for an import by hand"
    )]
    #[case(AuditAction::Held, json!({"case": "A-1", "wantedBy": "legal"}), "Chunk 2 was held for the case A-1 (requested by legal)")]
    #[case(AuditAction::Released, json!({}), "Chunk 2 was released from the case (unknown)")]
    #[case(AuditAction::Paused, json!({"resumeAt": "10:00"}), "Chunk 2 was paused until 10:00 at the latest")]
    #[case(AuditAction::Stopped, json!({"answer": "lost"}), "Chunk 2 may have been stopped (no answer of ACS is known)")]
    #[case(AuditAction::Downloaded, json!({"file": "metadata"}), "Chunk 2 was downloaded (its metadata)")]
    #[case(AuditAction::AccessesDropped, json!({"count": 7}), "Chunk 2 has a gap: records were dropped (7)")]
    #[case(AuditAction::Other("moved".to_owned()), Value::Null, "Chunk 2 (moved)")]
    fn a_record_says_what_was_done_to_its_subject(
        #[case] action: AuditAction,
        #[case] detail: Value,
        #[case] expected: &str,
    ) {
        let record = AuditRecord {
            at: "2026-03-02T10:00:00Z".parse().unwrap(),
            actor: Actor::Operator,
            action,
            subject: "s".to_owned(),
            detail,
        };
        assert_eq!(record.said_of("Chunk 2"), expected);
    }
}
