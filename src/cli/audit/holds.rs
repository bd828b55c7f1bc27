//! Compares the holds with their records in the audit log: what was held and never released must be held.

use std::collections::BTreeMap;

use recording_vault::app::App;
use recording_vault::export::ledger::LedgerError;
use recording_vault::store::audit::{AuditAction, AuditPosition, AuditRecord, SubjectKey};
use recording_vault::store::holds::{Hold, HoldContent, StoredHold};

use super::findings::Comparison;
use super::place::Place;

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

/// What the log says last of a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LastSaid {
    Nothing,
    Held,
    Released,
}

impl LoggedHolds {
    pub fn add(&mut self, position: &AuditPosition, record: &AuditRecord) {
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
        case.add(&record.action, Place::of(position, record.at));
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
    fn is_order_unclear(&self) -> bool {
        let both = self.held.as_ref().zip(self.released.as_ref());
        both.is_some_and(|(held, released)| held.is_close_to(released))
    }
}

/// # Errors
/// When the ledger fails.
pub async fn compare(
    app: &App,
    mut logged: LoggedHolds,
    comparison: &mut Comparison,
) -> Result<(), LedgerError> {
    for StoredHold { key, content } in app.ledger.holds().stored().await? {
        match content {
            HoldContent::Hold(hold) => {
                let cases = logged.take(&hold);
                compare_hold(app, &hold, cases, comparison).await?;
            }
            HoldContent::Misplaced => comparison.problems.push(format!(
                "the hold `{key}` is not stored under its own name, so that nothing finds it"
            )),
            HoldContent::Unreadable => comparison
                .problems
                .push(format!("the hold `{key}` is not readable")),
        }
    }
    // Holds without a document: none was ever written, or it was removed.
    for LoggedSubject { name, cases } in logged.0.into_values() {
        for (tag, case) in cases {
            if case.last() == LastSaid::Held {
                not_in_force(app, (&name, &tag), case, comparison).await?;
            }
        }
    }
    Ok(())
}

async fn compare_hold(
    app: &App,
    hold: &Hold,
    mut logged: BTreeMap<String, LoggedCase>,
    comparison: &mut Comparison,
) -> Result<(), LedgerError> {
    let subjects = hold.held.audit_subjects();
    let name = subjects.first().map_or("a hold", |name| name.as_str());
    for case in &hold.cases {
        let tag = case.tag.to_string();
        let case = logged.remove(&tag).unwrap_or_default();
        match case.last() {
            LastSaid::Held => {}
            LastSaid::Released if case.is_order_unclear() => {}
            LastSaid::Released => comparison.not_checked.push(format!(
                "{name} is held for the case `{tag}`, and the log says that it was released: the release ended before it took \
                 effect, or the hold was changed"
            )),
            LastSaid::Nothing => {
                let is_new = said_since(app, &subjects, &tag, None).await? == LastSaid::Held;
                if !is_new {
                    comparison.unrecorded(format!(
                        "{name} is held for the case `{tag}`, and no record says so"
                    ));
                }
            }
        }
    }
    for (tag, case) in logged {
        if case.last() == LastSaid::Held {
            not_in_force(app, (name, &tag), case, comparison).await?;
        }
    }
    Ok(())
}

/// Reports a case that the log says to hold something, and that does not, unless it was released during the check.
async fn not_in_force(
    app: &App,
    (name, tag): (&str, &str),
    case: LoggedCase,
    comparison: &mut Comparison,
) -> Result<(), LedgerError> {
    let subjects = [name.to_owned()];
    if said_since(app, &subjects, tag, case.held).await? == LastSaid::Released {
        return Ok(());
    }
    if case.is_order_unclear() {
        comparison.not_checked.push(format!(
            "{name} was held for the case `{tag}` and released at about the same time, by processes whose clocks may differ"
        ));
        return Ok(());
    }
    comparison.unrecorded(format!(
        "{name} was held for the case `{tag}`, and no hold says so: it was removed, or the process that added it ended before \
         it was in force; if the case is open, run `recording-vault hold add` again"
    ));
    Ok(())
}

/// What the newest documents of the log say last of a case, after a place.
async fn said_since(
    app: &App,
    subjects: &[String],
    tag: &str,
    after: Option<Place>,
) -> Result<LastSaid, LedgerError> {
    let audit = app.ledger.audit();
    let mut case = LoggedCase::default();
    for subject in subjects {
        let subject = SubjectKey::of(subject);
        for marked in audit.newest_of(subject, READ_AT_MOST).await? {
            let records = audit.records(&marked.position).await?;
            let of_case = records.iter().filter(|record| {
                matches!(record.action, AuditAction::Held | AuditAction::Released)
                    && SubjectKey::of(&record.subject) == subject
                    && record.detail["case"] == tag
            });
            for record in of_case {
                let place = Place::of(&marked.position, record.at);
                if after.is_none_or(|after| place.is_after(&after)) {
                    case.add(&record.action, place);
                }
            }
        }
    }
    Ok(case.last())
}
