//! Compares a list of calls with register and ledger: each call must have a recording, of whatever day. A chunk of another day
//! than the period's is looked for in the vault by its receipt.

use std::collections::BTreeSet;

use futures::{StreamExt as _, stream};
use recording_vault::app::App;
use recording_vault::catalogue::report::{CompletenessReport, ReportedRecording};
use recording_vault::error_chain::ErrorChain;
use recording_vault::export::recheck::{Depth, Rechecked};
use recording_vault::export::{ChunkState, ExportReceipt, LedgerEntry};
use recording_vault::recording::id::comparable;
use recording_vault::recording::{CallId, ServerCallId};
use recording_vault::standing::of_chunk;

use super::calls::ExpectedCall;
use super::{AT_ONCE, Finding, FindingKind};

/// The names of an entry's call.
pub(super) fn names_of(entry: &LedgerEntry) -> impl Iterator<Item = &str> {
    let chunk = &entry.chunk;
    let names = [
        chunk.call_id.as_ref().map(CallId::as_str),
        chunk.server_call_id.as_ref().map(ServerCallId::as_str),
    ];
    names.into_iter().flatten()
}

/// Calls of which nothing is known, or nothing that has or may still get a copy.
pub(super) fn without_recording(
    app: &App,
    calls: &[ExpectedCall],
    reports: &[CompletenessReport],
    entries: &[LedgerEntry],
) -> Vec<Finding> {
    let now = app.clock.now();
    let recordings = reports.iter().flat_map(|report| &report.recordings);
    let accounts = recordings.filter_map(|recording| {
        let name = comparable(recording.call.as_ref()?.id());
        Some((name, is_recorded(recording)))
    });
    // What is not settled is a finding of its own.
    let chunks = entries.iter().flat_map(|entry| {
        let is_recorded = has_copy(entry) || !of_chunk(entry, now).standing.is_settled();
        names_of(entry).map(move |name| (comparable(name), is_recorded))
    });
    let known = accounts.chain(chunks);
    let (recorded, without_copy): (Vec<_>, Vec<_>) =
        known.partition(|(_, is_recorded)| *is_recorded);
    let names = |known: Vec<(_, bool)>| -> BTreeSet<_> {
        known.into_iter().map(|(name, _)| name).collect()
    };
    let (recorded, without_copy) = (names(recorded), names(without_copy));
    let missing = calls
        .iter()
        .filter(|call| !call.names().any(|name| recorded.contains(&name)));
    let found = missing.map(|call| {
        let problem = if call.names().any(|name| without_copy.contains(&name)) {
            "no copy is left of what is known of this call: it was deleted, or its loss was acknowledged"
        } else {
            "no recording of these days, and no chunk at all, names this call"
        };
        Finding::new(FindingKind::CallWithoutRecording, call.to_string(), problem)
    });
    found.collect()
}

/// Whether a recording has a copy, by its report, or is a finding of its own.
fn is_recorded(recording: &ReportedRecording) -> bool {
    let mut chunks = recording.chunks.iter();
    !recording.standing.is_settled() || chunks.any(|chunk| chunk.file.is_some())
}

fn has_copy(entry: &LedgerEntry) -> bool {
    entry.state.receipt().is_some() || matches!(entry.state, ChunkState::InPlace { .. })
}

/// What was found of copies that the list names and whose folders were not listed.
#[derive(Default)]
pub(super) struct LookedAt {
    pub findings: Vec<Finding>,
    /// A sentence for each that could not be looked at.
    pub not_checked: Vec<String>,
}

/// Looks at the copies of these chunks in the vaults.
pub(super) async fn look_at_copies(app: &App, entries: &[&LedgerEntry]) -> LookedAt {
    let copies = entries.iter().flat_map(|entry| {
        let id = &entry.chunk.document_id;
        entry.copies().map(move |(_, receipt)| (id, receipt))
    });
    let copies: Vec<_> = copies.collect();
    let looking = stream::iter(copies).map(|(id, receipt): (_, &ExportReceipt)| async move {
        let seen = app.vaults.recheck(receipt, Depth::Described).await;
        (id, receipt, seen)
    });
    let mut looking = looking.buffered(AT_ONCE);
    let mut looked_at = LookedAt::default();
    while let Some((id, receipt, seen)) = looking.next().await {
        match seen {
            Rechecked::Same(_) => {}
            Rechecked::Missing(mismatch) | Rechecked::Different(mismatch) => {
                let problem = format!("chunk {id}: {mismatch}");
                let name = receipt.media().name().to_string();
                let finding = Finding::new(FindingKind::FileMissing, name, problem);
                looked_at.findings.push(finding);
            }
            Rechecked::NotChecked(error) => {
                let why = ErrorChain(&error);
                let sentence = format!("the copy of chunk {id}, which the list names: {why}");
                looked_at.not_checked.push(sentence);
            }
        }
    }
    looked_at
}
