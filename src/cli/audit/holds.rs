//! Compares the holds with their records in the audit log: what was held and never released must be held, and a person by
//! all names that its records have.

mod case;

use std::collections::{BTreeMap, BTreeSet};

use recording_vault::app::App;
use recording_vault::error_chain::ErrorChain;
use recording_vault::export::ledger::LedgerError;
use recording_vault::store::audit::{AuditAction, AuditRecord, FollowedDocument, SubjectKey};
use recording_vault::store::holds::{Hold, HoldContent, HoldRule, StoredHold};
use recording_vault::store::people::PersonHash;

use self::case::{LastSaid, LoggedCase};
use super::findings::Comparison;
use super::place::{RecordPlace, newer_document};
use super::read_log::ReadLog;

/// Documents of the log that are read for a hold that was changed during the check.
const READ_AT_MOST: usize = 20;

/// What the log says of each case of each hold.
#[derive(Debug, Default)]
pub struct LoggedHolds(BTreeMap<SubjectKey, LoggedSubject>);

#[derive(Debug)]
struct LoggedSubject {
    name: String,
    cases: BTreeMap<String, LoggedCase>,
    /// A hold has this subject.
    has_hold: bool,
}

/// What the log says of a case since it was read.
#[derive(Debug, Default)]
struct SaidSince {
    case: LoggedCase,
    /// A document that may say more could not be read.
    is_partial: bool,
}

/// What is read again for a hold.
struct Newer<'a> {
    app: &'a App,
    read: &'a ReadLog,
}

impl LoggedHolds {
    pub fn add(&mut self, document: &FollowedDocument, record: &AuditRecord) {
        if !matches!(record.action, AuditAction::Held | AuditAction::Released) {
            return;
        }
        let Some(tag) = record.detail["case"].as_str() else {
            return;
        };
        let begin = || LoggedSubject {
            name: record.subject.clone(),
            cases: BTreeMap::new(),
            has_hold: false,
        };
        let subject = self.0.entry(SubjectKey::of(&record.subject));
        let cases = &mut subject.or_insert_with(begin).cases;
        let case = cases.entry(tag.to_owned()).or_default();
        case.add_record(record, RecordPlace::of(document, record.at));
    }

    /// What the log says under all names of a hold.
    fn of(&mut self, hold: &Hold) -> BTreeMap<String, LoggedCase> {
        let mut cases: BTreeMap<String, LoggedCase> = BTreeMap::new();
        for subject in hold.held.audit_subjects() {
            let Some(logged) = self.0.get_mut(&SubjectKey::of(&subject)) else {
                continue;
            };
            logged.has_hold = true;
            for (tag, case) in &logged.cases {
                cases.entry(tag.clone()).or_default().merge(case.clone());
            }
        }
        cases
    }
}

/// # Errors
/// When the ledger fails.
pub async fn compare(
    app: &App,
    mut logged: LoggedHolds,
    read: &ReadLog,
    comparison: &mut Comparison,
) -> Result<(), LedgerError> {
    let newer = Newer { app, read };
    let mut not_read: Vec<StoredHold> = Vec::new();
    for stored in app.ledger.holds().stored().await? {
        let key = &stored.key;
        match &stored.content {
            HoldContent::Hold(hold) => {
                let cases = logged.of(hold);
                compare_names(&newer, hold, &cases, comparison).await?;
                compare_hold(&newer, hold, cases, comparison).await?;
            }
            HoldContent::NotRead(error) => {
                let reason = ErrorChain(error);
                comparison
                    .not_checked
                    .push(format!("the hold `{key}` could not be read: {reason}"));
                not_read.push(stored);
            }
            HoldContent::Unreadable { source } => comparison
                .problems
                .push(format!("the hold `{key}` is not readable: {source}")),
        }
    }
    // Holds without a document: none was ever written, or it was removed.
    let without_hold = logged.0.into_values().filter(|subject| !subject.has_hold);
    for LoggedSubject { name, cases, .. } in without_hold {
        if not_read.iter().any(|stored| stored.may_be_of(&name)) {
            continue;
        }
        for (tag, case) in cases {
            if case.last() == LastSaid::Held {
                not_in_force(&newer, (&name, &tag), case, comparison).await?;
            }
        }
    }
    Ok(())
}

async fn compare_hold(
    newer: &Newer<'_>,
    hold: &Hold,
    mut logged: BTreeMap<String, LoggedCase>,
    comparison: &mut Comparison,
) -> Result<(), LedgerError> {
    let subjects = hold.held.audit_subjects();
    let name = subjects.first().map_or("a hold", |name| name.as_str());
    for case in &hold.cases {
        let tag = case.tag.to_string();
        let case = logged.remove(&tag).unwrap_or_default();
        let last = case.last();
        if last == LastSaid::Held || (last == LastSaid::Released && case.is_close()) {
            continue;
        }
        let since = newer.said_of(&subjects, &tag).await?;
        if since.case.held.is_some() {
            continue;
        }
        let released = format!(
            "{name} is held for the case `{tag}`, and the log says that it was released: the release ended before it took \
             effect, or the hold was changed"
        );
        let unrecorded = format!("{name} is held for the case `{tag}`, and no record says so");
        match last {
            LastSaid::Held => {}
            LastSaid::Released => comparison.not_checked.push(released),
            LastSaid::Nothing if since.is_partial => comparison.maybe_unread(&unrecorded),
            LastSaid::Nothing => comparison.problems.push(unrecorded),
        }
    }
    for (tag, case) in logged {
        if case.last() == LastSaid::Held {
            not_in_force(newer, (name, &tag), case, comparison).await?;
        }
    }
    Ok(())
}

/// Compares the names by which a hold in force finds recordings of a person with those of its records.
async fn compare_names(
    newer: &Newer<'_>,
    hold: &Hold,
    logged: &BTreeMap<String, LoggedCase>,
    comparison: &mut Comparison,
) -> Result<(), LedgerError> {
    let Some(person) = hold.held.rule().and_then(HoldRule::person) else {
        return Ok(());
    };
    let names: BTreeSet<PersonHash> = person.names().collect();
    let subjects = hold.held.audit_subjects();
    let name = subjects.first().map_or("a hold", |name| name.as_str());
    let cases = logged.values();
    let mut recorded: BTreeSet<PersonHash> = cases.flat_map(LoggedCase::names).collect();
    let (mut problems, mut is_partial) = (Vec::new(), false);
    for tag in hold.cases.iter().map(|case| case.tag.to_string()) {
        let mut case = logged.get(&tag).cloned().unwrap_or_default();
        if !case.is_held_by(&names) || !names.is_subset(&recorded) {
            let since = newer.said_of(&subjects, &tag).await?;
            is_partial |= since.is_partial;
            recorded.extend(since.case.names());
            case.merge(since.case);
        }
        if !case.is_held_by(&names) {
            problems.push(format!(
                "{name} is held for the case `{tag}`, and the hold lacks a name of the person that the log has: it was changed, \
                 or the process that added the name ended before it was in force; if the case is open, run `recording-vault \
                 hold add` again"
            ));
        }
    }
    if !hold.cases.is_empty() && !names.is_subset(&recorded) {
        problems.push(format!(
            "{name} is held by a name of the person that no record has: the hold was changed"
        ));
    }
    for problem in problems {
        if is_partial {
            comparison.maybe_unread(&problem);
        } else {
            comparison.problems.push(problem);
        }
    }
    Ok(())
}

/// Reports a case that the log says to hold something, and that does not, unless it was released during the check.
async fn not_in_force(
    newer: &Newer<'_>,
    (name, tag): (&str, &str),
    case: LoggedCase,
    comparison: &mut Comparison,
) -> Result<(), LedgerError> {
    let since = newer.said_of(&[name.to_owned()], tag).await?;
    if since.case.released.is_some() {
        return Ok(());
    }
    if case.is_order_unclear() {
        comparison.not_checked.push(format!(
            "{name} was held for the case `{tag}` and released at about the same time, by processes whose clocks may differ"
        ));
        return Ok(());
    }
    let problem = format!(
        "{name} was held for the case `{tag}`, and no hold says so: it was removed, or the process that added it ended before \
         it was in force; if the case is open, run `recording-vault hold add` again, if it is closed, `hold add` and then `hold \
         release`"
    );
    if since.is_partial {
        comparison.maybe_unread(&problem);
    } else {
        comparison.problems.push(problem);
    }
    Ok(())
}

impl Newer<'_> {
    /// What the log says of a case in documents that were written after it was read.
    async fn said_of(&self, subjects: &[String], tag: &str) -> Result<SaidSince, LedgerError> {
        let audit = self.app.ledger.audit();
        let mut since = SaidSince::default();
        for subject in subjects {
            let subject = SubjectKey::of(subject);
            let marked = audit.newest_of(subject, READ_AT_MOST).await?;
            since.is_partial |= marked.len() == READ_AT_MOST && self.read.is_partial();
            for position in marked.into_iter().map(|marked| marked.position) {
                since.is_partial |= self.read.is_unread(&position);
                if !self.read.is_newer(&position) {
                    continue;
                }
                let Ok(records) = audit.records(&position).await else {
                    since.is_partial = true;
                    continue;
                };
                let of_case = records.iter().filter(|record| {
                    matches!(record.action, AuditAction::Held | AuditAction::Released)
                        && SubjectKey::of(&record.subject) == subject
                        && record.detail["case"] == tag
                });
                for record in of_case {
                    let place = RecordPlace::of(&newer_document(&position), record.at);
                    since.case.add_record(record, place);
                }
            }
        }
        Ok(since)
    }
}
