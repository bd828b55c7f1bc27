//! The notices for a change of a chunk's entry. Pure; it must not know how they are sent.

use crate::export::entry::LedgerEntry;
use crate::export::state::ChunkState;
use crate::store::outbox::Notice;

/// The notices of a change that is about to be written.
pub(in crate::export) fn of_change(
    before: Option<&LedgerEntry>,
    after: &LedgerEntry,
) -> Vec<Notice> {
    let became = |is: fn(&LedgerEntry) -> bool| is(after) && !before.is_some_and(is);
    let (document_id, opening) = (after.chunk.document_id.clone(), after.openings);
    let mut notices = Vec::new();
    if became(is_exported) {
        let document_id = document_id.clone();
        notices.push(Notice::Exported {
            document_id,
            opening,
        });
    }
    if became(is_doubtful) {
        let document_id = document_id.clone();
        notices.push(Notice::Doubtful {
            document_id,
            opening,
        });
    }
    if became(is_lost) {
        let document_id = document_id.clone();
        notices.push(Notice::Lost {
            document_id,
            opening,
        });
    }
    let risk = after.reported_risk;
    if let Some(risk) = risk.filter(|_| before.is_none_or(|before| before.reported_risk != risk)) {
        notices.push(Notice::AtRisk {
            document_id,
            percent_elapsed: risk.percent(),
            period: after.risk_period,
        });
    }
    notices
}

fn is_exported(entry: &LedgerEntry) -> bool {
    entry.state.receipt().is_some() || matches!(entry.state, ChunkState::InPlace { .. })
}

fn is_doubtful(entry: &LedgerEntry) -> bool {
    entry.doubts_of_files().next().is_some()
}

fn is_lost(entry: &LedgerEntry) -> bool {
    matches!(entry.state, ChunkState::Expired { .. })
}
