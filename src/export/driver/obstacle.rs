//! Reports failures that only a person can end, once for each chunk.

use tracing::error;

use crate::export::entry::{LedgerEntry, Obstacle};
use crate::export::source::SourceError;
use crate::export::transfer::error::TransferError;

/// What a person has to remove before another attempt can succeed. `entry`: before the attempt.
pub(super) fn obstacle_of(error: &TransferError, entry: &LedgerEntry) -> Option<Obstacle> {
    match error {
        TransferError::Source { source, .. } => match source {
            SourceError::RedirectRefused(_) => Some(Obstacle::RedirectRefused),
            SourceError::TooLarge { .. } => Some(Obstacle::TooLarge),
            SourceError::Refused(_) | SourceError::Gone { .. } | SourceError::Transient { .. } => {
                None
            }
        },
        TransferError::Unproved(_) | TransferError::ForeignBlocks(_) => {
            (!entry.has_another_name()).then_some(Obstacle::NamesTaken)
        }
        TransferError::NotAsWritten(_) => Some(Obstacle::NotAsWritten),
        TransferError::Destination(_) | TransferError::Ledger(_) | TransferError::Vanished(_) => {
            None
        }
    }
}

/// Reports an obstacle that the entry does not have yet. Before it is noted there, so that a kill repeats the report.
pub(super) fn report_obstacle(entry: &LedgerEntry, obstacle: Option<Obstacle>, reason: &str) {
    let Some(obstacle) = obstacle.filter(|found| entry.obstacle != Some(*found)) else {
        return;
    };
    let (id, index) = (&entry.chunk.document_id, entry.chunk.index);
    match obstacle {
        Obstacle::RedirectRefused => {
            error!(document.id = %id, chunk.index = index, error = %reason, "Chunk `{id}` cannot be copied: ACS redirects to a host that is not in ACS_CONTENT_HOSTS");
        }
        Obstacle::TooLarge => {
            error!(document.id = %id, chunk.index = index, error = %reason, "Chunk `{id}` cannot be copied: its file is larger than any that is copied");
        }
        Obstacle::NamesTaken => {
            error!(document.id = %id, chunk.index = index, error = %reason, "Chunk `{id}` cannot be copied: other files have all its names in the vault");
        }
        Obstacle::NotAsWritten => {
            error!(document.id = %id, chunk.index = index, error = %reason, "The copy of chunk `{id}` is not what was written to the vault");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::entry::tests::entry;
    use crate::export::source::ChunkPart;
    use crate::export::transfer::verify::Mismatch;

    #[test]
    fn a_name_that_is_taken_is_no_obstacle_while_another_is_free() {
        let mut entry = entry();
        let mismatch = Mismatch::Missing {
            name: "a/b".parse().unwrap(),
        };
        let taken = TransferError::Unproved(mismatch.clone());
        assert_eq!(obstacle_of(&taken, &entry), None);
        while entry.has_another_name() {
            entry.leave_folder(entry.chunk.file_number);
        }
        assert_eq!(obstacle_of(&taken, &entry), Some(Obstacle::NamesTaken));
        let written = TransferError::NotAsWritten(mismatch);
        assert_eq!(obstacle_of(&written, &entry), Some(Obstacle::NotAsWritten));
        let transient = TransferError::Source {
            part: ChunkPart::Media,
            source: SourceError::transient("500"),
        };
        assert_eq!(obstacle_of(&transient, &entry), None);
    }
}
