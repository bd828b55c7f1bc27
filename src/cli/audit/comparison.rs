//! Compares the ledger and the vaults with the audit log: entries and receipts, holds, accounts, markers.
//!
//! The log is read before them: a record is written before its document. So a document may only be newer than the log as it
//! was read; then the records that it refers to are read once more.

mod copies;
mod earlier_receipts;
mod entry;
mod strays;

use std::collections::BTreeSet;

use futures::StreamExt as _;
use recording_vault::app::App;
use recording_vault::error_chain::ErrorChain;
use recording_vault::export::ledger::LedgerError;
use recording_vault::recording::DocumentId;
use recording_vault::store::audit::{ExpectedMarkers, MarkerCheck};
use recording_vault::store::document_store::StoreError;

use super::findings::{Comparison, EntryCheck};
use super::logged::{Logged, LoggedChunks};
use super::read_log::ReadLog;
use super::{accounts, events, holds};

/// Entries and receipts that are read together.
const AT_ONCE: usize = 16;
/// Markers that are listed together.
const PAGE: usize = 1000;

/// What fails is not checked, and the rest is.
///
/// # Errors
/// When the entries cannot be listed.
pub async fn compare(app: &App, logged: Logged) -> Result<Comparison, LedgerError> {
    let Logged {
        chunks,
        holds,
        accounts,
        events: logged_events,
        markers,
        lost,
        read,
    } = logged;
    let mut comparison = Comparison {
        is_log_partial: read.is_partial(),
        acknowledged: lost.acknowledged(),
        ..Comparison::default()
    };
    let known = compare_entries(app, (&chunks, &read), &mut comparison).await?;
    let absent = chunks.documents().filter(|id| !known.contains(*id));
    let done = compare_absent(app, &chunks, absent.collect(), &mut comparison).await;
    note_failure(done, "chunks without an entry", &mut comparison);
    strays::find(app, (&chunks, &read), &mut comparison).await;
    earlier_receipts::find(app, &mut comparison).await;
    let done = holds::compare(app, holds, &read, &mut comparison).await;
    note_failure(done, "holds", &mut comparison);
    let done = accounts::compare(app, &accounts, &mut comparison).await;
    note_failure(done, "accounts", &mut comparison);
    let done = events::compare(app, &logged_events, &mut comparison).await;
    note_failure(done, "events that could not be read", &mut comparison);
    let done = compare_markers(app, markers, &read, &mut comparison).await;
    note_failure(done, "markers of records", &mut comparison);
    let said = lost.into_sentences();
    comparison.problems.extend(said.open);
    comparison.known = said.known;
    for what in said.unfounded {
        comparison.unrecorded(what);
    }
    Ok(comparison)
}

async fn compare_markers(
    app: &App,
    expected: ExpectedMarkers,
    read: &ReadLog,
    comparison: &mut Comparison,
) -> Result<(), StoreError> {
    let audit = app.ledger.audit();
    let checking = audit.check_markers(expected, |writer| read.end_of(writer));
    let MarkerCheck {
        missing,
        removed,
        is_capped,
    } = checking.await?;
    if missing > 0 {
        let markers = if missing == 1 {
            "1 marker of records is"
        } else {
            &format!("{missing} markers of records are")
        };
        comparison.problems.push(format!(
            "{markers} missing under `audit-subjects/`, so that pages and evidence lack the records: run `recording-vault \
             ledger index`"
        ));
    }
    if is_capped {
        comparison.not_checked.push(
            "whether more documents were removed from the ends of their logs: markers under `audit-subjects/` name more of them than one check looks for".to_owned(),
        );
    }
    for position in removed {
        comparison.problems.push(format!(
            "document {position} of the log is missing, and a marker under `audit-subjects/` says that it was about to be written: \
             the end of its log was removed"
        ));
    }
    Ok(())
}

fn note_failure(
    done: Result<(), impl std::error::Error + 'static>,
    what: &str,
    comparison: &mut Comparison,
) {
    if let Err(error) = done {
        let reason = ErrorChain(&error);
        comparison.not_checked.push(format!("{what}: {reason}"));
    }
}

/// Compares all entries, and returns their ids.
async fn compare_entries(
    app: &App,
    (logged, read): (&LoggedChunks, &ReadLog),
    comparison: &mut Comparison,
) -> Result<BTreeSet<DocumentId>, LedgerError> {
    let mut known = BTreeSet::new();
    let mut after = None;
    loop {
        let (ids, next) = app.ledger.documents(after.as_deref()).await?;
        known.extend(ids.iter().cloned());
        let checks = futures::stream::iter(ids);
        let checks = checks.map(|id| async move { entry::check(app, (logged, read), &id).await });
        let mut checks = checks.buffered(AT_ONCE);
        while let Some(check) = checks.next().await {
            add(check, comparison);
        }
        after = next;
        if after.is_none() {
            return Ok(known);
        }
    }
}

fn add(check: EntryCheck, comparison: &mut Comparison) {
    comparison.entries += 1;
    comparison.receipts += check.receipts;
    comparison.problems.extend(check.problems);
    if check.is_log_partial {
        for what in check.unrecorded {
            comparison.maybe_unread(&what);
        }
    } else {
        comparison.problems.extend(check.unrecorded);
    }
    comparison.not_checked.extend(check.not_checked);
    comparison.claimed.extend(check.claimed);
    if let Some(recorded) = check.recorded {
        comparison.recorded(recorded);
    }
    for anchor in check.anchors {
        comparison.name(anchor);
    }
}

/// Reports chunks of the log that have no entry. One that was only announced may be waiting for its entry: its record and
/// its marker are written first, and Event Grid delivers its event again after a failure.
async fn compare_absent(
    app: &App,
    chunks: &LoggedChunks,
    absent: Vec<&DocumentId>,
    comparison: &mut Comparison,
) -> Result<(), LedgerError> {
    let mut marked = None;
    for id in absent {
        // It may have been written meanwhile.
        match is_missing(app, id).await {
            Ok(true) => {}
            Ok(false) => continue,
            Err(error) => {
                note_failure(Err(error), &format!("chunk {id}"), comparison);
                continue;
            }
        }
        if chunks.of(id).is_only_announced() {
            if marked.is_none() {
                marked = Some(marked_chunks(app).await?);
            }
            if marked.as_ref().is_some_and(|marked| marked.contains(id)) {
                comparison.not_checked.push(format!(
                    "chunk {id}: it was announced and has a marker, but no entry. Its event was not acknowledged, and is \
                     delivered again; otherwise its entry was removed"
                ));
                continue;
            }
        }
        comparison.problems.push(format!(
            "the log has chunk {id}, and the ledger has no entry of it"
        ));
    }
    Ok(())
}

/// The chunks that have a marker in the list of open ones.
async fn marked_chunks(app: &App) -> Result<BTreeSet<DocumentId>, LedgerError> {
    let mut marked = BTreeSet::new();
    let mut after = None;
    loop {
        let (open, next) = app.ledger.open_chunks(after.as_ref(), PAGE).await?;
        marked.extend(open.into_iter().map(|open| open.document_id));
        if next.is_none() {
            return Ok(marked);
        }
        after = next;
    }
}

async fn is_missing(app: &App, id: &DocumentId) -> Result<bool, LedgerError> {
    match app.ledger.find(id).await {
        Ok(found) => Ok(found.is_none()),
        Err(LedgerError::Corrupt { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}
