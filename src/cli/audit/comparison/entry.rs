//! Compares one entry of the ledger with the audit log, and with the receipts beside its copies.

use recording_vault::app::App;
use recording_vault::error_chain::ErrorChain;
use recording_vault::export::LedgerEntry;
use recording_vault::export::ledger::LedgerError;
use recording_vault::recording::DocumentId;

use super::copies;
use crate::cli::audit::findings::{EntryCheck, FirstRecorded};
use crate::cli::audit::logged::LoggedChunks;
use crate::cli::audit::logged::chunk::{LoggedChunk, StateCheck};
use crate::cli::audit::place::{Listed, newer_document};
use crate::cli::audit::read_log::ReadLog;
use crate::cli::audit::reasons::{self, Changed};

pub(super) async fn check(
    app: &App,
    (logged, read): (&LoggedChunks, &ReadLog),
    id: &DocumentId,
) -> EntryCheck {
    let mut check = EntryCheck::default();
    let entry = match app.ledger.find(id).await {
        Ok(Some(found)) => found.entry,
        Ok(None) => {
            let problem = format!("the entry of chunk {id} disappeared during the check");
            check.problems.push(problem);
            return check;
        }
        Err(LedgerError::Corrupt { source, .. }) => {
            check.problems.push(format!(
                "the entry of chunk {id} is not readable: {source}; run `recording-vault ledger rebuild {id}`"
            ));
            return check;
        }
        Err(error) => {
            let reason = ErrorChain(&error);
            check.not_checked.push(format!(
                "the entry of chunk {id} could not be read: {reason}"
            ));
            return check;
        }
    };
    let mut logged = logged.of(id);
    check.is_log_partial = read.lacks_records_of(&entry);
    read_newer(app, &entry, &mut logged, &mut check).await;
    if logged.dates_entry() {
        check.recorded = Some(FirstRecorded {
            at: entry.recorded_at,
            what: format!("the entry of chunk {id}"),
        });
    }
    check_state(app, &entry, &logged, &mut check).await;
    check_decisions(&entry, &logged, &mut check);
    check_acknowledgement(app, &entry, &logged, &mut check).await;
    check_ids(&entry, &logged, &mut check);
    copies::check(app, &entry, &logged, &mut check).await;
    check
}

/// Reads the documents that an entry lists and the log as it was read does not have.
async fn read_newer(
    app: &App,
    entry: &LedgerEntry,
    logged: &mut LoggedChunk,
    check: &mut EntryCheck,
) {
    let id = &entry.chunk.document_id;
    if entry.audited.is_empty() {
        check.problems.push(format!(
            "the entry of chunk {id} lists no record of the audit log"
        ));
    }
    for position in &entry.audited {
        if logged.has_place(position) {
            continue;
        }
        let records = match app.ledger.audit().records(position).await {
            Ok(records) => records,
            Err(error) => {
                check.is_log_partial = true;
                let reason = ErrorChain(&error);
                check.not_checked.push(format!(
                    "document {position} of the log, which the entry of chunk {id} lists, could not be read: {reason}"
                ));
                continue;
            }
        };
        let mut of_chunk = records
            .iter()
            .filter(|record| record.subject == id.as_str())
            .peekable();
        if of_chunk.peek().is_none() {
            check.problems.push(format!(
                "the entry of chunk {id} lists document {position} of the log, which is missing or has no record of it"
            ));
        }
        for record in of_chunk {
            logged.add(&newer_document(position), record);
        }
    }
}

/// Checks that an entry has the newest state of its chunk, and lists what the log says of it.
async fn check_state(app: &App, entry: &LedgerEntry, logged: &LoggedChunk, check: &mut EntryCheck) {
    let (id, state) = (&entry.chunk.document_id, entry.state.name());
    let listed = Listed::of(&entry.audited);
    let state_check = logged.check_state(&entry.state, &listed);
    let problem = match state_check {
        StateCheck::NotLogged => {
            check.unrecorded.push(format!(
                "the entry of chunk {id} is {state}, and no record says so"
            ));
            None
        }
        StateCheck::Reset => Some(format!(
            "the entry of chunk {id} is {state}, and the log has later states of it: it was reset to an earlier state"
        )),
        StateCheck::Newest | StateCheck::Unclear | StateCheck::OrderUnclear => None,
    };
    check.problems.extend(problem);
    let lacks_marker = match app.ledger.lacks_marker(id).await {
        Ok(lacks_marker) => lacks_marker,
        Err(error) => {
            let reason = ErrorChain(&error);
            check.not_checked.push(format!(
                "whether the entry of chunk {id} has its marker: {reason}"
            ));
            false
        }
    };
    if lacks_marker {
        check.problems.push(format!(
            "the entry of chunk {id} is {state}, and it has no marker: it was reset to an earlier state, or its marker was removed"
        ));
    } else if state_check == StateCheck::Unclear {
        check.not_checked.push(format!(
            "the entry of chunk {id} is {state}, and the log has a later state of it: it was reset, or that state was never \
             written"
        ));
    } else if state_check == StateCheck::OrderUnclear {
        check.not_checked.push(format!(
            "the entry of chunk {id} is {state}, and the log has another state of it that may be later: the clocks of \
             processes were wrong, a sweep could not read a log, or the entry was reset"
        ));
    }
    let unlisted = logged.count_unlisted(&listed);
    if unlisted > 0 {
        check.not_checked.push(format!(
            "the log says {unlisted} things of chunk {id} that its entry does not list: their process ended before it wrote \
             the entry, or they were removed from the list"
        ));
    }
}

/// Checks that what operators decided has its record.
fn check_decisions(entry: &LedgerEntry, logged: &LoggedChunk, check: &mut EntryCheck) {
    let id = &entry.chunk.document_id;
    let place = entry.accepted_place;
    let decisions = [
        (
            "that its copy was accepted",
            entry.anomaly_accepted_at.is_some() && !logged.is_accepted(),
        ),
        (
            "that one of its places was accepted",
            place.is_some_and(|place| !logged.is_accepted_place(place)),
        ),
        (
            "that its loss was acknowledged",
            entry.acknowledged.is_some() && logged.acknowledgements().is_empty(),
        ),
    ];
    let unrecorded = decisions.into_iter().filter(|(_, is_wrong)| *is_wrong);
    check
        .unrecorded
        .extend(unrecorded.map(|(what, _)| {
            format!("the entry of chunk {id} says {what}, and no record says so")
        }));
    for (_, receipt) in entry.copies() {
        let sha256 = receipt.media().sha256();
        let problem = match (receipt.imported(), logged.is_imported(sha256)) {
            (Some(_), false) => "was imported by hand, and no record says so",
            // An import may meet an export of the same content.
            (None, true) if logged.is_exported(receipt) => continue,
            (None, true) => "was exported, and a record says that it was imported by hand",
            (Some(_), true) | (None, false) => continue,
        };
        check.unrecorded.push(format!(
            "the entry of chunk {id} says that its copy {problem}"
        ));
    }
}

/// Checks that a loss was acknowledged by whom the log says, and for that reason.
async fn check_acknowledgement(
    app: &App,
    entry: &LedgerEntry,
    logged: &LoggedChunk,
    check: &mut EntryCheck,
) {
    let records = logged.acknowledgements();
    let Some(why) = entry.acknowledged.as_ref().filter(|_| !records.is_empty()) else {
        return;
    };
    let id = &entry.chunk.document_id;
    let what = match reasons::changed(app, why, records).await {
        Ok(Changed::Nothing) => return,
        Ok(Changed::Reason) => "reason",
        Ok(Changed::Operator) => "operator",
        Err(error) => {
            let reason = ErrorChain(&error);
            check.not_checked.push(format!(
                "why the loss of chunk {id} was acknowledged: {reason}"
            ));
            return;
        }
    };
    check.unrecorded.push(format!(
        "the entry of chunk {id} has another {what} of its acknowledgement than the log"
    ));
}

/// Checks that recording, call and index are those of the announcement.
fn check_ids(entry: &LedgerEntry, logged: &LoggedChunk, check: &mut EntryCheck) {
    let id = &entry.chunk.document_id;
    let chunk = serde_json::to_value(&entry.chunk).unwrap_or_default();
    for member in logged.changed_members(&chunk) {
        check.problems.push(format!(
            "the entry of chunk {id} has another {member} than the record of its announcement"
        ));
    }
}
