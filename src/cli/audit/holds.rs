//! Compares the holds with their records in the audit log: what was held and never released must be held.

use std::collections::BTreeMap;

use recording_vault::app::App;
use recording_vault::error_chain::ErrorChain;
use recording_vault::export::ledger::LedgerError;
use recording_vault::store::audit::{AuditAction, AuditRecord, FollowedDocument, SubjectKey};
use recording_vault::store::holds::{Hold, HoldContent, StoredHold};

use super::findings::Comparison;
use super::place::{Place, newer_document};
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
}

/// The newest records of a case.
#[derive(Debug, Default, Clone, Copy)]
struct LoggedCase {
    held: Option<Place>,
    released: Option<Place>,
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

/// What the log says last of a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LastSaid {
    Nothing,
    Held,
    Released,
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
        };
        let subject = self.0.entry(SubjectKey::of(&record.subject));
        let cases = &mut subject.or_insert_with(begin).cases;
        let case = cases.entry(tag.to_owned()).or_default();
        case.add(&record.action, Place::of(document, record.at));
    }

    /// Takes what the log says under all names of a hold.
    fn take(&mut self, hold: &Hold) -> BTreeMap<String, LoggedCase> {
        let mut cases: BTreeMap<String, LoggedCase> = BTreeMap::new();
        for subject in hold.held.audit_subjects() {
            let logged = self.0.remove(&SubjectKey::of(&subject));
            for (tag, case) in logged.into_iter().flat_map(|logged| logged.cases) {
                cases.entry(tag).or_default().merge(case);
            }
        }
        cases
    }
}

impl LoggedCase {
    fn add(&mut self, action: &AuditAction, place: Place) {
        let said = if *action == AuditAction::Held {
            &mut self.held
        } else {
            &mut self.released
        };
        if said.is_none_or(|known| place.is_after(&known)) {
            *said = Some(place);
        }
    }

    fn merge(&mut self, other: Self) {
        for (said, place) in [
            (AuditAction::Held, other.held),
            (AuditAction::Released, other.released),
        ] {
            if let Some(place) = place {
                self.add(&said, place);
            }
        }
    }

    fn last(&self) -> LastSaid {
        match (&self.held, &self.released) {
            (None, None) => LastSaid::Nothing,
            (Some(_), None) => LastSaid::Held,
            (None, Some(_)) => LastSaid::Released,
            (Some(held), Some(released)) if released.is_after(held) => LastSaid::Released,
            (Some(_), Some(_)) => LastSaid::Held,
        }
    }

    /// Whether clocks that differ could have exchanged the two.
    fn is_close(&self) -> bool {
        let both = self.held.as_ref().zip(self.released.as_ref());
        both.is_some_and(|(held, released)| held.is_close_to(released))
    }

    /// Whether the order of the two depends on clocks.
    fn is_order_unclear(&self) -> bool {
        let both = self.held.as_ref().zip(self.released.as_ref());
        both.is_some_and(|(held, released)| !held.is_order_certain(released))
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
                let cases = logged.take(hold);
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
    for LoggedSubject { name, cases } in logged.0.into_values() {
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
                    let place = Place::of(&newer_document(&position), record.at);
                    since.case.add(&record.action, place);
                }
            }
        }
        Ok(since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A record of a log of its own.
    fn place(writer: char, checkpoint: u64, second: i64) -> Place {
        let text = format!("20260302100000-{}/1", writer.to_string().repeat(32));
        let document = FollowedDocument {
            position: text.parse().expect("it is a position"),
            checkpoint,
        };
        let at = jiff::Timestamp::from_second(second).expect("it is a time");
        Place::of(&document, at)
    }

    fn case(held: (u64, i64), released: (u64, i64)) -> (LastSaid, bool) {
        let mut case = LoggedCase::default();
        case.add(&AuditAction::Held, place('a', held.0, held.1));
        case.add(&AuditAction::Released, place('b', released.0, released.1));
        (case.last(), case.is_order_unclear())
    }

    #[test]
    fn a_hold_of_a_clock_that_is_ahead_was_released_by_the_order_of_checkpoints() {
        assert_eq!(case((1, 600), (3, 120)).0, LastSaid::Released);
        assert_eq!(case((3, 120), (1, 600)), (LastSaid::Held, true));
    }

    #[test]
    fn a_hold_is_surely_held_only_where_checkpoints_and_clocks_say_so() {
        assert_eq!(case((3, 600), (1, 0)), (LastSaid::Held, false));
        assert_eq!(case((1, 600), (1, 120)), (LastSaid::Held, true));
        assert_eq!(case((1, 121), (1, 120)), (LastSaid::Held, true));
    }
}
