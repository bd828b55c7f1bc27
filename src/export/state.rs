//! The states of a chunk. What is to be done next is [`next_step`](super::driver::next_step)'s decision.
//!
//! ```text
//!  record ─▶ Pending ──transfer, verify──▶ Exported ──delete at ACS──▶ SourceDeleted ∎
//!              │ │                             │
//!              │ │                             └─ nothing to delete by, doubtful media, or deletion impossible ─▶ SourceLeft ∎
//!              │ └─ refused location, attempts spent ─▶ DeadLettered ∎ (an operator may retry)
//!              │ └─ (the customer's own storage) looked at where it lies ─▶ InPlace ∎
//!              └─ ACS answers 404/410 after its retention ─▶ Expired ∎ (a loss: logged as an error)
//!
//!  SourceDeleted, SourceLeft ──the operator applies the retention──▶ Removing ──its files deleted──▶ Removed ∎
//!              ▲                                                        │
//!              └── held, or the vault refuses: its files are all there ─┘
//! ```
//! What is removed stays removed, also when its event comes again while ACS has it still: the policy counts from the
//! recording, so that a new copy would be past it at once. ACS drops its own by itself.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::receipt::ExportReceipt;
use crate::export::in_place::InPlace;

/// Facts, not activities: whether somebody is at work is told by the claim.
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
    /// In the vault and proved; ACS drops its own copy by itself when its retention ends.
    SourceLeft {
        receipt: ExportReceipt,
        reason: String,
    },
    /// Its copy is being deleted from the vault by policy: of its files some, or all, may be gone. The next
    /// `retention apply` goes on; no drive does.
    Removing {
        receipt: ExportReceipt,
        source: SourceEnd,
        began_at: Timestamp,
    },
    /// The copy was deleted from the vault by policy.
    Removed {
        /// What the copy was.
        receipt: ExportReceipt,
        removed_at: Timestamp,
        reason: String,
    },
    /// In the customer's own storage, where ACS wrote it; looked at there, not moved, never deleted.
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

/// How the source of a settled copy ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum SourceEnd {
    Deleted { deleted_at: Timestamp },
    Left { reason: String },
}

impl SourceEnd {
    /// The state of a chunk whose source ended so, and whose copy is in the vault.
    pub fn with_copy(self, receipt: ExportReceipt) -> ChunkState {
        match self {
            Self::Deleted { deleted_at } => ChunkState::SourceDeleted {
                receipt,
                deleted_at,
            },
            Self::Left { reason } => ChunkState::SourceLeft { receipt, reason },
        }
    }
}

impl ChunkState {
    /// A settled chunk is never due again by itself.
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

    /// What a retention policy may remove: a settled copy, or what is left of one.
    pub fn removable(&self) -> Option<(&ExportReceipt, SourceEnd)> {
        match self {
            Self::SourceDeleted {
                receipt,
                deleted_at,
            } => Some((
                receipt,
                SourceEnd::Deleted {
                    deleted_at: *deleted_at,
                },
            )),
            Self::SourceLeft { receipt, reason } => Some((
                receipt,
                SourceEnd::Left {
                    reason: reason.clone(),
                },
            )),
            Self::Removing {
                receipt, source, ..
            } => Some((receipt, source.clone())),
            Self::Pending
            | Self::Exported { .. }
            | Self::Removed { .. }
            | Self::InPlace { .. }
            | Self::Expired { .. }
            | Self::DeadLettered { .. } => None,
        }
    }

    /// The state's name as the ledger writes it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Exported { .. } => "exported",
            Self::SourceDeleted { .. } => "sourceDeleted",
            Self::SourceLeft { .. } => "sourceLeft",
            Self::Removing { .. } => "removing",
            Self::Removed { .. } => "removed",
            Self::InPlace { .. } => "inPlace",
            Self::Expired { .. } => "expired",
            Self::DeadLettered { .. } => "deadLettered",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::receipt::{VaultName, VerifiedFile};
    use crate::store::digest::Sha256Digest;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn receipt() -> ExportReceipt {
        let media = VerifiedFile::new(
            "a/b.wav".parse().unwrap(),
            1,
            Sha256Digest::of(b"a"),
            "e".into(),
        );
        ExportReceipt::new(
            media,
            None,
            VaultName::Home,
            None,
            at("2026-03-02T10:00:00Z"),
        )
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
            let (receipt, source) = state
                .removable()
                .map(|(receipt, source)| (receipt.clone(), source))
                .unwrap();
            assert_eq!(source.clone().with_copy(receipt.clone()), state);
            let removing = ChunkState::Removing {
                receipt: receipt.clone(),
                source,
                began_at: now,
            };
            assert!(removing.receipt().is_none() && removing.removable().is_some());
            let json = serde_json::to_vec(&removing).unwrap();
            assert_eq!(
                serde_json::from_slice::<ChunkState>(&json).unwrap(),
                removing
            );
            let removed = ChunkState::Removed {
                receipt,
                removed_at: now,
                reason: String::new(),
            };
            assert!(removed.receipt().is_none() && removed.removable().is_none());
        }
    }
}
