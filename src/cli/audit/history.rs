//! `recording-vault audit show`: the records of a recording, a document, a participant or an operator, as sentences.
//! Reads the whole log.

use std::collections::BTreeSet;
use std::fmt;

use futures::{StreamExt as _, TryStreamExt as _};
use recording_vault::app::App;
use recording_vault::catalogue::person::Person;
use recording_vault::store::audit::{AuditAction, AuditLog, AuditPosition, AuditRecord};
use serde::Serialize;
use serde_json::Value;

use crate::cli::exit::Exit;
use crate::cli::output::{Output, complain};

/// Members that name what a record belongs to.
const BELONGS: [&str; 2] = ["recordingId", "callId"];

/// What was found, oldest first.
#[derive(Debug, Serialize)]
struct History {
    records: Vec<FoundRecord>,
}

/// A record, and where in the log it is.
#[derive(Debug, Serialize)]
struct FoundRecord {
    place: AuditPosition,
    #[serde(flatten)]
    record: AuditRecord,
}

/// # Errors
/// When the ledger fails.
pub async fn run(app: &App, what: &str, output: Output) -> anyhow::Result<Exit> {
    let records = find(app, what.trim()).await?;
    if records.is_empty() {
        complain(&format!("the audit log has no record of {what}\n"));
        return Ok(Exit::NeedsAttention);
    }
    output.report(&History { records })?;
    Ok(Exit::Fine)
}

async fn find(app: &App, what: &str) -> anyhow::Result<Vec<FoundRecord>> {
    let mut subjects = subjects_named(app, what).await?;
    let audit = app.ledger.audit();
    let operator = audit.reference_to(what).await?;
    // The chunks of a recording or call: their first records name it.
    let mut log = audit.documents().boxed();
    while let Some((_, records)) = log.try_next().await? {
        let belonging = records
            .into_iter()
            .filter(|record| BELONGS.iter().any(|name| record.detail[*name] == what));
        subjects.extend(belonging.map(|record| record.subject));
    }
    let mut found = Vec::new();
    let mut log = audit.documents().boxed();
    while let Some((place, records)) = log.try_next().await? {
        let wanted = |record: &AuditRecord| {
            subjects.contains(&record.subject) || AuditLog::names(record, &operator)
        };
        for record in records.into_iter().filter(wanted) {
            found.push(FoundRecord {
                place: place.clone(),
                record: audit.reveal(record).await?,
            });
        }
    }
    // Each process has a log of its own, and clocks that differ.
    found.sort_by_key(|found| found.record.at);
    Ok(found)
}

/// The subjects under which the log has records of this name.
async fn subjects_named(app: &App, what: &str) -> anyhow::Result<BTreeSet<String>> {
    let mut subjects = BTreeSet::from([
        what.to_owned(),
        format!("recording {what}"),
        format!("call {what}"),
        format!("poison:{what}"),
    ]);
    // It may be a person, in any spelling.
    if let Ok(person) = what.parse::<Person>() {
        subjects.extend(app.catalogue.pseudonyms(&person).await?);
    }
    Ok(subjects)
}

impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.records.iter().map(ToString::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

impl fmt::Display for FoundRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let AuditRecord {
            at,
            actor: _,
            action,
            subject,
            detail,
        } = &self.record;
        let at = at.strftime("%Y-%m-%d %H:%M:%S UTC");
        write!(
            f,
            "{at}  {}: {subject} {}",
            self.record.who(),
            phrase(action, detail)
        )?;
        let reason = detail["reason"].as_str();
        let case = detail["case"].as_str().map(|case| format!("case {case}"));
        let wanted_by = detail["wantedBy"].as_str();
        let wanted_by = wanted_by.map(|name| format!("requested by {name}"));
        for said in reason
            .into_iter()
            .chain(case.as_deref())
            .chain(wanted_by.as_deref())
        {
            write!(f, "; {said}")?;
        }
        if let Some(media) = proved(detail) {
            write!(f, "; {media}")?;
        }
        Ok(())
    }
}

/// The copy that a record names.
fn proved(detail: &Value) -> Option<String> {
    let proof = detail.get("proof").filter(|proof| !proof.is_null());
    let proof = proof.unwrap_or(detail);
    let (media, sha256) = (proof["media"].as_str()?, proof["sha256"].as_str()?);
    Some(format!("`{media}`, SHA-256 {sha256}"))
}

/// What was done, for a sentence whose subject is the thing that it was done to.
fn phrase(action: &AuditAction, detail: &Value) -> String {
    let phrase = match action {
        AuditAction::Recorded => "was announced",
        AuditAction::AnnouncedAgain => "was announced again, with something new",
        AuditAction::Pending => "waits for its export",
        AuditAction::Exported => "was exported and proved",
        AuditAction::OtherFileExported => "had another file exported beside the first",
        AuditAction::DeletingSource => "is being deleted at ACS",
        AuditAction::SourceDeleted => "was deleted at ACS",
        AuditAction::SourceWasGone => "was already gone at ACS",
        AuditAction::SourceLeft => "was left at ACS, which drops it by itself",
        AuditAction::InPlace => "was checked in your own storage",
        AuditAction::Expired => "is lost",
        AuditAction::DeadLettered => "was given up",
        AuditAction::Removing => "is being deleted from the vault",
        AuditAction::Removed => "was deleted from the vault",
        AuditAction::RemovingLate => "arrived in the vault late, and is being deleted there",
        AuditAction::ClearingBackup => "is being deleted from the backup vault",
        AuditAction::RecordedErased => "was announced and not exported: its recording was erased",
        AuditAction::Started => "was started at ACS",
        AuditAction::StartUnknown => "was asked to be recorded; whether ACS did is unknown",
        AuditAction::Paused => "was paused at ACS",
        AuditAction::Resumed => "was resumed at ACS",
        AuditAction::Stopped => "was stopped at ACS",
        AuditAction::Retried => "was opened again",
        AuditAction::Accepted => "was accepted, although its media is doubtful",
        AuditAction::Acknowledged => "was acknowledged as lost",
        AuditAction::Dismissed => "was dismissed",
        AuditAction::Verified => "was compared with its receipt",
        AuditAction::Replayed => "was processed again",
        AuditAction::Imported => "was imported by hand",
        AuditAction::Held => "was held",
        AuditAction::Released => "was released",
        AuditAction::RetentionApplied => "had the retention policy applied",
        AuditAction::DeletesSources => "sources are being deleted at ACS",
        AuditAction::Rebuilt => "had its entry rebuilt from its receipt",
        AuditAction::Indexed => "was reindexed",
        AuditAction::PersonSearched => "was searched for",
        AuditAction::PersonExported => "was exported into an archive",
        AuditAction::EvidenceExported => "was packed as evidence",
        AuditAction::PersonErasing => "is being erased",
        AuditAction::PersonErased => "was erased",
        AuditAction::Forgotten => "had the people in its entry erased",
        AuditAction::NameErasing => "is being erased from the names of operators",
        AuditAction::TextsErasing => "is having the texts about it erased",
        AuditAction::Played => "was played",
        AuditAction::Downloaded => "was downloaded",
        AuditAction::TicketIssued => "got a ticket, by which it can be played for an hour",
        AuditAction::AccessesDropped => return dropped(detail),
        AuditAction::Other(word) => return format!("({word})"),
    };
    phrase.to_owned()
}

fn dropped(detail: &Value) -> String {
    format!("has a gap: {} records were dropped", detail["count"])
}

#[cfg(test)]
mod tests {
    use super::*;
    use recording_vault::store::audit::Actor;
    use serde_json::json;

    fn line(actor: Actor, action: AuditAction, detail: Value) -> String {
        let place = format!("20260302100000-{}/7", "a".repeat(32));
        let record = AuditRecord {
            at: "2026-03-02T10:00:00Z".parse().unwrap(),
            actor,
            action,
            subject: "recording r".to_owned(),
            detail,
        };
        FoundRecord {
            place: place.parse().unwrap(),
            record,
        }
        .to_string()
    }

    #[test]
    fn a_record_is_a_sentence_with_time_actor_and_reason() {
        assert_eq!(
            line(
                Actor::Operator,
                AuditAction::Held,
                json!({"case": "A-1", "by": "ada", "wantedBy": "legal", "through": "api", "reason": "lawsuit"})
            ),
            "2026-03-02 10:00:00 UTC  ada through the API: recording r was held; lawsuit; case A-1; requested by legal"
        );
        assert_eq!(
            line(Actor::Handler, AuditAction::Recorded, Value::Null),
            "2026-03-02 10:00:00 UTC  the app: recording r was announced"
        );
        assert_eq!(
            line(
                Actor::Operator,
                AuditAction::Retried,
                json!({"through": "shell"})
            ),
            "2026-03-02 10:00:00 UTC  a person at the shell: recording r was opened again"
        );
    }
}
