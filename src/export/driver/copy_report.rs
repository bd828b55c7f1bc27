//! Reports and counts copies that are proved, and chunks that are settled. It decides nothing.

use tracing::{error, info};

use crate::export::entry::LedgerEntry;
use crate::export::receipt::{ExportReceipt, VaultName};
use crate::export::state::ChunkState;
use crate::metrics;

/// Reports and counts the copy of a chunk.
pub(super) fn report_exported(entry: &LedgerEntry, receipt: &ExportReceipt) {
    count_exported(entry, receipt);
    let id = &entry.chunk.document_id;
    info!(
        document.id = %id, chunk.index = entry.chunk.index, blob = %receipt.media().name(),
        size_bytes = receipt.media().size_bytes(), sha256 = %receipt.media().sha256(), "Exported chunk `{id}`"
    );
    if entry.copied_unfinished {
        error!(document.id = %id, chunk.index = entry.chunk.index, blob = %receipt.media().name(), "Chunk `{id}` was copied while it was still recorded: the copy may end before the recording does, and its source is not deleted");
    }
    report_doubt(entry, receipt);
}

/// Reports a copy that is not what the event and the metadata report, or that lacks the metadata.
pub(super) fn report_doubt(entry: &LedgerEntry, receipt: &ExportReceipt) {
    let id = &entry.chunk.document_id;
    let doubts: Vec<&str> = receipt.doubts().collect();
    if !doubts.is_empty() {
        let doubts = doubts.join("; ");
        error!(document.id = %id, chunk.index = entry.chunk.index, blob = %receipt.media().name(), error = doubts, "Chunk `{id}` is in the vault, but its copy is doubtful: look at it");
    }
}

fn count_exported(entry: &LedgerEntry, receipt: &ExportReceipt) {
    let vault = match receipt.vault() {
        VaultName::Home => "home",
        VaultName::Backup => "backup",
    };
    metrics::CHUNKS_EXPORTED.increment(&[vault]);
    let announced_at = entry.chunk.event_time.unwrap_or(entry.recorded_at);
    metrics::EXPORT_DELAY.record(
        receipt
            .verified_at()
            .duration_since(announced_at)
            .as_secs_f64()
            .max(0.0),
        &[],
    );
    count_copy(receipt);
}

/// Counts a proved file of a chunk, and what was found in it.
pub(super) fn count_copy(receipt: &ExportReceipt) {
    metrics::EXPORT_PROVED.add(receipt.media().size_bytes(), &[]);
    if receipt.doubts().next().is_some() {
        metrics::CHUNKS_DOUBTFUL.increment(&[]);
    }
    if !receipt.notices().is_empty() {
        metrics::CHUNKS_NOTICED.increment(&[]);
    }
}

/// Counts a chunk by the state in which it is settled.
pub(super) fn count_settled(state: &ChunkState) {
    let counter = match state {
        ChunkState::SourceDeleted { .. } => &metrics::CHUNKS_DELETED,
        ChunkState::SourceLeft { .. } => &metrics::CHUNKS_LEFT,
        ChunkState::InPlace { .. } => &metrics::CHUNKS_IN_PLACE,
        ChunkState::Expired { .. } => &metrics::CHUNKS_EXPIRED,
        ChunkState::DeadLettered { .. } => &metrics::CHUNKS_DEAD_LETTERED,
        ChunkState::Pending
        | ChunkState::Exported { .. }
        | ChunkState::Removing { .. }
        | ChunkState::Removed { .. } => return,
    };
    counter.increment(&[]);
}
