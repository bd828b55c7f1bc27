//! Reports failures that only a person can end, once for each chunk.

use tracing::error;

use crate::export::entry::{LedgerEntry, Obstacle};
use crate::export::source::{ChunkPart, SourceError};
use crate::export::transfer::error::TransferError;

/// What a person has to remove before another attempt can succeed. `entry`: before the attempt.
pub(super) fn obstacle_of(error: &TransferError, entry: &LedgerEntry) -> Option<Obstacle> {
    match error {
        TransferError::Source { part, source } => match source {
            SourceError::RedirectRefused(_) => Some(Obstacle::RedirectRefused),
            SourceError::CredentialRefused { .. } => Some(Obstacle::CredentialRefused),
            // Without its metadata, the media still gets its copy.
            SourceError::TooLarge { .. } => {
                (*part == ChunkPart::Media).then_some(Obstacle::TooLarge)
            }
            SourceError::Refused(_) | SourceError::Gone { .. } | SourceError::Transient { .. } => {
                None
            }
        },
        TransferError::Unproved(_) | TransferError::ForeignBlocks(_) => {
            (!entry.has_another_name()).then_some(Obstacle::NamesTaken)
        }
        TransferError::NotAsWritten(_) => Some(Obstacle::NotAsWritten),
        TransferError::Destination(error) => error.is_refused.then_some(Obstacle::VaultRefuses),
        TransferError::Ledger(_) | TransferError::Vanished(_) => None,
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
        Obstacle::CredentialRefused => {
            error!(document.id = %id, chunk.index = index, error = %reason, "Chunk `{id}` cannot be copied: ACS refuses the credential");
        }
        Obstacle::VaultRefuses => {
            error!(document.id = %id, chunk.index = index, error = %reason, "Chunk `{id}` cannot be copied: the vault refuses writes");
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
    use crate::export::destination::DestinationError;
    use crate::export::entry::tests::entry;
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
    }

    #[test]
    fn a_refusal_is_an_obstacle_and_a_failure_of_a_moment_is_none() {
        let at = |part, source| TransferError::Source { part, source };
        let at_source = |source| at(ChunkPart::Media, source);
        let too_large = || SourceError::TooLarge {
            total_bytes: 2,
            limit_bytes: 1,
        };
        let in_vault = |is_refused| {
            TransferError::Destination(DestinationError {
                action: "write",
                name: "a/b".parse().unwrap(),
                is_refused,
                source: "503".into(),
            })
        };
        let refused = SourceError::CredentialRefused {
            what: "401".to_owned(),
            retry_after: None,
        };
        let cases = [
            (at_source(SourceError::transient("500")), None),
            (at_source(refused), Some(Obstacle::CredentialRefused)),
            (at_source(too_large()), Some(Obstacle::TooLarge)),
            (at(ChunkPart::Metadata, too_large()), None),
            (in_vault(false), None),
            (in_vault(true), Some(Obstacle::VaultRefuses)),
        ];
        for (error, expected) in cases {
            assert_eq!(obstacle_of(&error, &entry()), expected, "{error:?}");
        }
    }
}
