//! `recording-vault audit show`: the records of a recording, a document, a participant or an operator, as sentences.
//! Reads the whole log.

use std::collections::BTreeSet;
use std::fmt;

use futures::{StreamExt as _, TryStreamExt as _};
use recording_vault::app::App;
use recording_vault::catalogue::covered::KnownDocuments;
use recording_vault::catalogue::not_searched::PHONE_NUMBER;
use recording_vault::catalogue::person::Person;
use recording_vault::recording::id::canonical;
use recording_vault::recording::{CallId, DocumentId};
use recording_vault::store::audit::{
    AuditLog, AuditPosition, AuditRecord, CheckpointedDocuments, FoundDocument, LogGaps, SubjectKey,
};
use recording_vault::store::holds::Held;
use recording_vault::visible;
use serde::Serialize;
use serde_json::Value;

use crate::cli::exit::Exit;
use crate::cli::output::{NoReport, Output, complain, complain_in_lines};

/// Members that name what a record belongs to.
const BELONGS: [&str; 2] = ["recordingId", "callId"];

/// Markers of a subject that are compared with the log.
const MARKERS_READ: usize = 1000;
/// Entries that are read together.
const AT_ONCE: usize = 16;

/// What was found, oldest first.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct History {
    records: Vec<FoundRecord>,
    /// Documents of the log that are missing or not readable: they may have other records.
    not_read: u64,
}

/// A record, and where in the log it is.
#[derive(Debug, Serialize)]
struct FoundRecord {
    place: AuditPosition,
    #[serde(flatten)]
    record: AuditRecord,
}

/// The subjects of the records that are sought, in the one form of their ids.
struct Sought {
    /// As it was given, in that form.
    what: String,
    subjects: BTreeSet<String>,
}

/// # Errors
/// When the ledger fails.
pub async fn run(app: &App, what: &str, output: Output) -> anyhow::Result<Exit> {
    let history = find(app, what.trim()).await?;
    let is_found = !history.records.is_empty();
    if !is_found && history.not_read == 0 {
        let outcome = if app.catalogue.lacks_country(what) {
            NoReport::Unknown
        } else {
            NoReport::NotFound
        };
        return Ok(output.decline_in_lines(outcome, &none_of(app, what))?);
    }
    if is_found || output != Output::Text {
        output.report(&history)?;
    } else {
        complain_in_lines(&format!("{}\n", visible::joined(&none_of(app, what))));
    }
    if history.not_read > 0 {
        complain(&not_read(history.not_read));
        return Ok(Exit::NotDone);
    }
    Ok(Exit::Fine)
}

fn none_of(app: &App, what: &str) -> Vec<String> {
    let none = format!("the audit log has no record of {what}");
    let number = app.catalogue.lacks_country(what);
    let number = number.then(|| PHONE_NUMBER.to_owned());
    std::iter::once(none).chain(number).collect()
}

fn not_read(count: u64) -> String {
    let documents = if count == 1 { "document" } else { "documents" };
    format!(
        "{count} {documents} that the history needs could not be read, so records may be missing here; run `recording-vault audit verify`\n"
    )
}

async fn find(app: &App, what: &str) -> anyhow::Result<History> {
    let mut sought = Sought::of(app, what).await?;
    let audit = app.ledger.audit();
    let operator = audit.reference_to(what).await?;
    // The chunks of a recording or call: their first records name it.
    let mut log = audit.read_all().boxed();
    while let Some((_, document)) = log.try_next().await? {
        // What could not be read is counted below.
        if let FoundDocument::Records(records) = document {
            for record in &records {
                sought.add_belonging(record);
            }
        }
    }
    // Before the log is read: what is written meanwhile is not missed.
    let expected = Expected::of(app, &sought).await?;
    let (mut found, mut gaps) = (Vec::new(), LogGaps::default());
    let mut log = audit.read_all().boxed();
    while let Some((place, document)) = log.try_next().await? {
        let records = match document {
            FoundDocument::Records(records) => records,
            FoundDocument::Missing => continue,
            FoundDocument::Unreadable => {
                gaps.unread(&place);
                continue;
            }
        };
        gaps.read(&place);
        let wanted =
            |record: &AuditRecord| sought.has(record) || AuditLog::names(record, &operator);
        for record in records.into_iter().filter(wanted) {
            found.push(FoundRecord {
                place: place.clone(),
                record: audit.reveal(record).await?,
            });
        }
    }
    expected.add_to(&mut gaps);
    // Each process has a log of its own, and clocks that differ.
    found.sort_by_key(|found| found.record.at);
    Ok(History {
        records: found,
        not_read: gaps.count(),
    })
}

/// The documents that there must be.
struct Expected {
    checkpointed: CheckpointedDocuments,
    /// What the entries of the chunks name.
    listed: Vec<AuditPosition>,
    /// What markers name: a writer may have ended before it wrote the next document of its log.
    marked: Vec<AuditPosition>,
    /// Entries of chunks that are not readable. Each names the newest document with a record of its chunk.
    unread_entries: u64,
}

impl Expected {
    async fn of(app: &App, sought: &Sought) -> anyhow::Result<Self> {
        let audit = app.ledger.audit();
        let checkpointed = audit.checkpointed_documents().await?;
        let mut marked = Vec::new();
        for subject in &sought.subjects {
            let of_subject = audit
                .newest_of(SubjectKey::of(subject), MARKERS_READ)
                .await?;
            marked.extend(of_subject.into_iter().map(|marked| marked.position));
        }
        let (mut listed, mut unread_entries) = (Vec::new(), 0);
        let known = sought.known_documents(app).await?;
        unread_entries += u64::try_from(known.unreadable.len()).unwrap_or(u64::MAX);
        let mut documents = sought.documents();
        documents.extend(known.documents);
        let entries = futures::stream::iter(documents);
        let entries = entries.map(|id| async move { app.ledger.find(&id).await });
        let mut entries = entries.buffered(AT_ONCE);
        while let Some(found) = entries.next().await {
            match found {
                Ok(found) => listed.extend(found.into_iter().flat_map(|found| found.entry.audited)),
                Err(_) => unread_entries += 1,
            }
        }
        Ok(Self {
            checkpointed,
            listed,
            marked,
            unread_entries,
        })
    }

    /// Adds what is missing, after the log was read.
    fn add_to(self, gaps: &mut LogGaps) {
        gaps.add(self.unread_entries);
        let marked = self.marked.into_iter();
        let marked: Vec<AuditPosition> = marked
            .filter(|position| position.number > gaps.last_of(position) + 1)
            .collect();
        self.checkpointed.add_to(gaps);
        for position in self.listed.iter().chain(&marked) {
            gaps.expect(position);
        }
    }
}

impl Sought {
    async fn of(app: &App, what: &str) -> anyhow::Result<Self> {
        // It may be a person, in any spelling.
        let person = what.parse::<Person>();
        let what = form_of(what);
        let kinds = ["", "recording ", "call ", "poison:"];
        let mut subjects: BTreeSet<String> =
            kinds.iter().map(|kind| format!("{kind}{what}")).collect();
        if let Ok(person) = person {
            let pseudonyms = app.catalogue.pseudonyms(&person).await?;
            subjects.extend(pseudonyms.iter().map(|subject| one_form(subject)));
        }
        Ok(Self { what, subjects })
    }

    /// Adds the subject of a record that names what is sought.
    fn add_belonging(&mut self, record: &AuditRecord) {
        let is_it = |name: &&str| {
            let id = record.detail[*name].as_str();
            id.is_some_and(|id| form_of(id) == self.what)
        };
        if BELONGS.iter().any(is_it) {
            self.subjects.insert(one_form(&record.subject));
        }
    }

    /// The chunks among the subjects: what was given, and the chunks of a recording or call.
    fn documents(&self) -> BTreeSet<DocumentId> {
        let documents = self.subjects.iter();
        let documents = documents.filter_map(|subject| subject.parse().ok());
        documents.collect()
    }

    /// The chunks that the register has of a recording or call: the log may lack every record of one.
    async fn known_documents(&self, app: &App) -> anyhow::Result<KnownDocuments> {
        let recording = self.what.parse().ok().map(Held::RecordingId);
        let call = self.what.parse().ok().map(Held::CallId);
        let mut known = KnownDocuments::default();
        for held in recording.into_iter().chain(call) {
            known.extend(app.catalogue.documents_of(&held).await?);
        }
        Ok(known)
    }

    fn has(&self, record: &AuditRecord) -> bool {
        self.subjects.contains(&one_form(&record.subject))
    }
}

/// A subject with its id in the one form that is compared.
fn one_form(subject: &str) -> String {
    for kind in ["recording ", "call "] {
        if let Some(id) = subject.strip_prefix(kind) {
            return format!("{kind}{}", form_of(id));
        }
    }
    form_of(subject)
}

/// An id in the one form that is compared: a UUID in small letters.
fn form_of(id: &str) -> String {
    let call: Option<CallId> = id.parse().ok();
    let small = call.and_then(|call| call.in_small_letters());
    small.map_or_else(|| canonical(id).into_owned(), String::from)
}

impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.records.iter().map(ToString::to_string).collect();
        visible::write_lines(f, &lines)
    }
}

impl fmt::Display for FoundRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let record = &self.record;
        let at = record.at.strftime("%Y-%m-%d %H:%M:%S UTC");
        let (who, said) = (record.who(), record.said_of(&record.subject));
        let reason = record.reason().map(|reason| format!(": {reason}"));
        let media = proved(&record.detail).map(|media| format!("; {media}"));
        let line = format!(
            "{at}  {who}: {said}{}{}",
            reason.unwrap_or_default(),
            media.unwrap_or_default()
        );
        // A note must not look like another record.
        f.write_str(&visible::one_line(&line))
    }
}

/// The copy that a record names.
fn proved(detail: &Value) -> Option<String> {
    let proof = detail.get("proof").filter(|proof| !proof.is_null());
    let proof = proof.unwrap_or(detail);
    let (media, sha256) = (proof["media"].as_str()?, proof["sha256"].as_str()?);
    Some(format!("`{media}`, SHA-256 {sha256}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use recording_vault::store::audit::{Actor, AuditAction};
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
    fn a_text_of_a_record_begins_no_line() {
        let note = "ok\n2026-03-02 10:00:01 UTC  the app: recording r was deleted at ACS";
        let detail = json!({"case": "A-1", "by": "ada\u{1b}[2J", "note": note});
        let line = line(Actor::Operator, AuditAction::Held, detail);
        assert!(!line.contains('\n') && !line.contains('\u{1b}'), "{line}");
    }

    #[test]
    fn a_record_is_a_sentence_with_time_actor_and_reason() {
        assert_eq!(
            line(
                Actor::Operator,
                AuditAction::Held,
                json!({"case": "A-1", "by": "ada", "wantedBy": "legal", "through": "api", "reason": "lawsuit"})
            ),
            "2026-03-02 10:00:00 UTC  ada through the API: recording r was held for the case A-1 (requested by legal): lawsuit"
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
