//! The states of a chunk. What is to be done next is [`next_step`](super::driver::next_step)'s decision.
//!
//! ```text
//!  record ─▶ Pending ──transfer, verify──▶ Exported ──delete at ACS──▶ SourceDeleted ∎
//!              │ │                             │
//!              │ │                             └─ nothing to delete by, doubtful media, or deletion impossible ─▶ SourceLeft ∎
//!              │ └─ refused location, attempts spent ─▶ DeadLettered ∎ (an operator may retry)
//!              │ └─ (the customer's own storage) checked where it is ─▶ InPlace ∎
//!              └─ ACS answers 404/410 after its retention ─▶ Expired ∎ (a loss: logged as an error)
//!
//!  SourceDeleted, SourceLeft ──the operator applies the retention──▶ Removing ──its files deleted──▶ Removed ∎
//!              ▲                                                        │
//!              └── held, or the vault refuses: its files are all there ─┘
//! ```
//! A removed chunk stays removed, even if its event is delivered again while ACS still has it: the policy counts from
//! the recording, so a new copy would be past it at once. ACS drops its own file.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::receipt::ExportReceipt;
use crate::export::in_place::InPlace;

/// Facts, not activities: the claim says whether a process is working on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    tag = "name",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
pub enum ChunkState {
    Pending,
    /// In the vault and proved; still at ACS.
    Exported {
        receipt: ExportReceipt,
    },
    SourceDeleted {
        receipt: ExportReceipt,
        deleted_at: Timestamp,
    },
    /// In the vault and proved; nothing is deleted at ACS, which drops its own copy, if it has one, when its retention ends.
    SourceLeft {
        receipt: ExportReceipt,
        reason: String,
    },
    /// Its files are being deleted from the vault, by policy or on request: some, or all, may be gone. The next
    /// `retention apply` or `gdpr erase` continues; no drive does.
    Removing {
        /// `None`: there was no proved copy, only the remains of an unfinished export.
        receipt: Option<ExportReceipt>,
        source: SourceEnd,
        began_at: Timestamp,
    },
    /// Its files were deleted from the vault, by policy or on request. It is never exported again.
    Removed {
        /// The receipt of the copy, if there was one.
        receipt: Option<ExportReceipt>,
        /// `None`: unknown.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        source: Option<SourceEnd>,
        removed_at: Timestamp,
        reason: String,
    },
    /// In the customer's own storage, where ACS wrote it; checked there, not moved, never deleted.
    InPlace {
        files: InPlace,
        seen_at: Timestamp,
    },
    Expired {
        seen_at: Timestamp,
        reason: String,
    },
    DeadLettered {
        at: Timestamp,
        reason: String,
    },
}

/// State of the source when a removal began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum SourceEnd {
    Deleted {
        deleted_at: Timestamp,
    },
    Left {
        reason: String,
    },
    /// ACS had dropped it before there was a copy.
    Expired {
        seen_at: Timestamp,
        reason: String,
    },
    /// The export was given up.
    GivenUp {
        at: Timestamp,
        reason: String,
    },
    /// It was still to be exported.
    Open,
}

impl SourceEnd {
    /// Whether ACS may have the file, as long as its retention has not ended.
    pub fn may_be_at_acs(&self) -> bool {
        match self {
            Self::Left { .. } | Self::GivenUp { .. } | Self::Open => true,
            Self::Deleted { .. } | Self::Expired { .. } => false,
        }
    }

    /// The state before the removal. `None` if that state needs a copy and there is none.
    pub fn restored(self, receipt: Option<ExportReceipt>) -> Option<ChunkState> {
        Some(match self {
            Self::Deleted { deleted_at } => ChunkState::SourceDeleted {
                receipt: receipt?,
                deleted_at,
            },
            Self::Left { reason } => ChunkState::SourceLeft {
                receipt: receipt?,
                reason,
            },
            Self::Expired { seen_at, reason } => ChunkState::Expired { seen_at, reason },
            Self::GivenUp { at, reason } => ChunkState::DeadLettered { at, reason },
            Self::Open => ChunkState::Pending,
        })
    }
}

/// Initial data of a removal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removable {
    pub receipt: Option<ExportReceipt>,
    pub source: SourceEnd,
}

impl ChunkState {
    /// Whether it is settled: a settled chunk does not become due again by itself.
    pub fn is_settled(&self) -> bool {
        match self {
            Self::Pending | Self::Exported { .. } => false,
            Self::SourceDeleted { .. }
            | Self::SourceLeft { .. }
            | Self::Removing { .. }
            | Self::Removed { .. }
            | Self::InPlace { .. }
            | Self::Expired { .. }
            | Self::DeadLettered { .. } => true,
        }
    }

    /// Whether it ended without a copy, so that a human must know.
    pub fn is_loss(&self) -> bool {
        match self {
            Self::Expired { .. } | Self::DeadLettered { .. } => true,
            Self::Pending
            | Self::Exported { .. }
            | Self::SourceDeleted { .. }
            | Self::SourceLeft { .. }
            | Self::Removing { .. }
            | Self::Removed { .. }
            | Self::InPlace { .. } => false,
        }
    }

    /// The proof of a copy that is in the vault, where there is one.
    pub fn receipt(&self) -> Option<&ExportReceipt> {
        match self {
            Self::Exported { receipt }
            | Self::SourceDeleted { receipt, .. }
            | Self::SourceLeft { receipt, .. } => Some(receipt),
            Self::Pending
            | Self::Removing { .. }
            | Self::Removed { .. }
            | Self::InPlace { .. }
            | Self::Expired { .. }
            | Self::DeadLettered { .. } => None,
        }
    }

    /// The proof of a copy that was deleted from the vault, or is being deleted.
    pub fn removed_receipt(&self) -> Option<&ExportReceipt> {
        match self {
            Self::Removing { receipt, .. } | Self::Removed { receipt, .. } => receipt.as_ref(),
            Self::Pending
            | Self::Exported { .. }
            | Self::SourceDeleted { .. }
            | Self::SourceLeft { .. }
            | Self::InPlace { .. }
            | Self::Expired { .. }
            | Self::DeadLettered { .. } => None,
        }
    }

    /// Whether a retention policy may remove it: a settled copy, or what is left of one.
    pub fn is_removable_copy(&self) -> bool {
        match self {
            Self::SourceDeleted { .. } | Self::SourceLeft { .. } | Self::Removing { .. } => true,
            Self::Pending
            | Self::Exported { .. }
            | Self::Removed { .. }
            | Self::InPlace { .. }
            | Self::Expired { .. }
            | Self::DeadLettered { .. } => false,
        }
    }

    /// Data that its removal begins with, or began with. `None`: it cannot be removed from this state.
    pub fn removable(&self) -> Option<Removable> {
        let removable = |receipt: Option<&ExportReceipt>, source| Removable {
            receipt: receipt.cloned(),
            source,
        };
        Some(match self.clone() {
            Self::SourceDeleted {
                receipt,
                deleted_at,
            } => removable(Some(&receipt), SourceEnd::Deleted { deleted_at }),
            Self::SourceLeft { receipt, reason } => {
                removable(Some(&receipt), SourceEnd::Left { reason })
            }
            Self::Removing {
                receipt, source, ..
            } => removable(receipt.as_ref(), source),
            Self::Expired { seen_at, reason } => {
                removable(None, SourceEnd::Expired { seen_at, reason })
            }
            Self::DeadLettered { at, reason } => removable(None, SourceEnd::GivenUp { at, reason }),
            Self::Pending => removable(None, SourceEnd::Open),
            Self::Exported { .. } | Self::Removed { .. } | Self::InPlace { .. } => return None,
        })
    }

    /// The state without its data.
    pub fn kind(&self) -> StateKind {
        match self {
            Self::Pending => StateKind::Pending,
            Self::Exported { .. } => StateKind::Exported,
            Self::SourceDeleted { .. } => StateKind::SourceDeleted,
            Self::SourceLeft { .. } => StateKind::SourceLeft,
            Self::Removing { .. } => StateKind::Removing,
            Self::Removed { .. } => StateKind::Removed,
            Self::InPlace { .. } => StateKind::InPlace,
            Self::Expired { .. } => StateKind::Expired,
            Self::DeadLettered { .. } => StateKind::DeadLettered,
        }
    }

    /// The state's name as the ledger writes it.
    pub fn name(&self) -> &'static str {
        self.kind().as_str()
    }
}

/// A state without its data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum StateKind {
    Pending,
    Exported,
    SourceDeleted,
    SourceLeft,
    Removing,
    Removed,
    InPlace,
    Expired,
    DeadLettered,
}

impl StateKind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Exported => "exported",
            Self::SourceDeleted => "sourceDeleted",
            Self::SourceLeft => "sourceLeft",
            Self::Removing => "removing",
            Self::Removed => "removed",
            Self::InPlace => "inPlace",
            Self::Expired => "expired",
            Self::DeadLettered => "deadLettered",
        }
    }
}

impl fmt::Display for StateKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::export::receipt::tests::receipt;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn what_is_removed_or_being_removed_counts_as_no_copy_and_goes_back_to_what_it_was() {
        let now = at("2026-03-02T10:00:00Z");
        let settled = [
            ChunkState::SourceDeleted {
                receipt: receipt(),
                deleted_at: now,
            },
            ChunkState::SourceLeft {
                receipt: receipt(),
                reason: "r".to_owned(),
            },
        ];
        for state in settled {
            let Removable { receipt, source } = state.removable().unwrap();
            assert_eq!(source.clone().restored(receipt.clone()), Some(state));
            assert_eq!(source.clone().restored(None), None, "it needs its copy");
            let removing = ChunkState::Removing {
                receipt: receipt.clone(),
                source,
                began_at: now,
            };
            assert!(removing.receipt().is_none() && removing.is_removable_copy());
            let json = serde_json::to_vec(&removing).unwrap();
            assert_eq!(
                serde_json::from_slice::<ChunkState>(&json).unwrap(),
                removing
            );
            let removed = ChunkState::Removed {
                receipt,
                source: None,
                removed_at: now,
                reason: String::new(),
            };
            assert!(removed.receipt().is_none() && removed.removable().is_none());
        }
    }

    #[test]
    fn a_chunk_without_a_copy_goes_back_to_how_it_ended() {
        let (now, reason) = (at("2026-03-02T10:00:00Z"), "r".to_owned());
        let ended = [
            ChunkState::Pending,
            ChunkState::Expired {
                seen_at: now,
                reason: reason.clone(),
            },
            ChunkState::DeadLettered { at: now, reason },
        ];
        for state in ended {
            let Removable { receipt, source } = state.removable().unwrap();
            assert_eq!((receipt, source.restored(None)), (None, Some(state)));
        }
    }
}
