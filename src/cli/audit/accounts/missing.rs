//! Reports recordings of the audit log that have no account.

use std::collections::BTreeSet;

use jiff::SignedDuration;
use recording_vault::app::App;
use recording_vault::export::ledger::LedgerError;
use recording_vault::store::digest::Sha256Digest;

use super::{FirstChunk, LoggedAccounts, note_failure};
use crate::cli::audit::findings::Comparison;

/// Event Grid delivers an event again for this long, if the register failed.
const DELIVERED_AGAIN: SignedDuration = SignedDuration::from_hours(24);

pub(super) async fn report(
    app: &App,
    logged: &LoggedAccounts,
    known: &BTreeSet<Sha256Digest>,
    comparison: &mut Comparison,
) {
    for name in logged.started.keys().filter(|name| !known.contains(*name)) {
        let reported = report_started(app, name, comparison).await;
        note_failure(name, reported, comparison);
    }
    let announced = logged.announced.iter();
    for (name, chunk) in announced {
        if !known.contains(name) && !logged.started.contains_key(name) {
            let reported = report_announced(app, name, chunk, comparison).await;
            note_failure(name, reported, comparison);
        }
    }
}

async fn report_started(
    app: &App,
    name: &Sha256Digest,
    comparison: &mut Comparison,
) -> Result<(), LedgerError> {
    let register = app.control.register();
    // It may have been written meanwhile.
    if register.by_name(&name.to_string()).await?.is_some() {
        return Ok(());
    }
    let what = format!(
        "the recording of the account `recordings/{name}.json` was started, and the register has no account of it"
    );
    if register.has_unsettled_starts().await? {
        comparison.not_checked.push(format!(
            "{what}; a start is not settled yet, and may be its"
        ));
    } else {
        comparison.problems.push(what);
    }
    Ok(())
}

/// An event changes the account of its recording before the entries of its chunks. If the register fails, the event is
/// delivered again.
async fn report_announced(
    app: &App,
    name: &Sha256Digest,
    chunk: &FirstChunk,
    comparison: &mut Comparison,
) -> Result<(), LedgerError> {
    let id = &chunk.document_id;
    let has_entry = match app.ledger.find(id).await {
        Ok(found) => found.is_some(),
        Err(LedgerError::Corrupt { .. }) => true,
        Err(error) => return Err(error),
    };
    let register = app.control.register();
    // One that was only announced is reported as a chunk without an entry. The account may have been written meanwhile.
    if !has_entry || register.by_name(&name.to_string()).await?.is_some() {
        return Ok(());
    }
    let what = format!(
        "the log has chunk {id} of a recording, and the register has no account of it (`recordings/{name}.json`)"
    );
    let age = app.clock.now().duration_since(chunk.recorded_at);
    let retention = SignedDuration::try_from(app.ledger.source_retention());
    let retention = retention.unwrap_or(SignedDuration::MAX);
    if age < retention.saturating_add(DELIVERED_AGAIN) {
        comparison.not_checked.push(format!(
            "{what}: either its event was not acknowledged and will be delivered again, or the account was removed"
        ));
    } else {
        comparison.problems.push(what);
    }
    Ok(())
}
