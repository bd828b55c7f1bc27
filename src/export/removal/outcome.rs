//! The outcome of the removal of one chunk, and its line in the log.

use tracing::{error, info};

use crate::recording::DocumentId;
use crate::store::holds::{self, Case};

/// Outcome of the removal of one chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Removal {
    Removed,
    /// Nothing more is removed. `is_whole`: the copy is in the vault as it was. Otherwise parts of it may be gone.
    Held {
        cases: Vec<Case>,
        is_whole: bool,
    },
    /// It has nothing to remove, is not past its policy, or is being driven again.
    NotDue,
    /// Another process finished the removal while this one was interrupted.
    FinishedByAnother,
    /// Another process holds its claim.
    Busy,
    /// Nothing was changed: the vault lacks a proved file, or could not be asked.
    NotBegun {
        reason: String,
    },
    /// It may be retried. `is_whole`: the copy is in the vault as it was.
    Failed {
        reason: String,
        is_whole: bool,
    },
}

/// Logs the outcome of a removal.
pub(super) fn report(id: &DocumentId, removal: &Removal) {
    match removal {
        Removal::Removed => {
            info!(document.id = %id, "Deleted the files of chunk `{id}` from the vault");
        }
        Removal::Held {
            cases,
            is_whole: true,
        } => {
            info!(document.id = %id, "Chunk `{id}` is held for {}", holds::tags(cases));
        }
        Removal::Held {
            cases,
            is_whole: false,
        } => {
            error!(document.id = %id, "Chunk `{id}` is held for {}, but a removal began before, and parts of its copy may be deleted", holds::tags(cases));
        }
        Removal::FinishedByAnother => {
            info!(document.id = %id, "Another process deleted the files of chunk `{id}` from the vault");
        }
        Removal::NotDue | Removal::Busy => {}
        Removal::Failed { reason, .. } | Removal::NotBegun { reason } => {
            error!(document.id = %id, error = reason, "The files of chunk `{id}` could not be deleted from the vault");
        }
    }
}
