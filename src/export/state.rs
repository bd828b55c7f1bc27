//! Where a chunk stands, and what is to be done next. Pure.
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

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::entry::LedgerEntry;
use super::receipt::{ExportReceipt, VaultName};
use crate::export::in_place::InPlace;
use crate::recording::OnOtherObject;

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

/// When a source may be deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeletionPolicy {
    /// Pause between the proof and the deletion.
    pub delay: Duration,
    pub anomalies: OnAnomaly,
    pub other_objects: OnOtherObject,
}

impl DeletionPolicy {
    /// Whether doubts about its media, if there are any, keep the source from being deleted.
    pub fn spares_doubtful(self, entry: &LedgerEntry) -> bool {
        self.anomalies == OnAnomaly::Keep && entry.anomaly_accepted_at.is_none()
    }
}

/// What becomes of a source whose media is not what is said of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnAnomaly {
    /// It stays at ACS until somebody accepts it, or ACS drops it.
    Keep,
    Delete,
}

/// What is due for a chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NextStep {
    Export,
    /// The files lie in the customer's own storage: look at them there.
    Catalogue,
    /// The copy lies in the backup vault: bring it home.
    MoveHome {
        receipt: ExportReceipt,
    },
    /// The copy is at home, and something of it may lie in the backup vault still.
    ClearBackup {
        receipt: ExportReceipt,
    },
    /// By the event's `deleteLocation`, verbatim; the receipt is the right to use it.
    DeleteSource {
        receipt: ExportReceipt,
    },
    /// Not to be deleted by us: nothing to do but to say so.
    LeaveSource {
        receipt: ExportReceipt,
        reason: String,
    },
    Wait {
        until: Timestamp,
    },
    Nothing,
}

/// Decides what is due for `entry` at `now`.
pub fn next_step(entry: &LedgerEntry, deletion: DeletionPolicy, now: Timestamp) -> NextStep {
    if let Some(until) = entry
        .not_before
        .filter(|until| now < *until && !entry.state.is_settled())
    {
        return NextStep::Wait { until };
    }
    match &entry.state {
        ChunkState::Pending if entry.chunk.is_external() => NextStep::Catalogue,
        ChunkState::Pending => NextStep::Export,
        ChunkState::Exported { receipt } if receipt.vault() == VaultName::Backup => {
            NextStep::MoveHome {
                receipt: receipt.clone(),
            }
        }
        ChunkState::Exported { receipt } if entry.uses_backup => NextStep::ClearBackup {
            receipt: receipt.clone(),
        },
        ChunkState::Exported { receipt } => after_export(entry, receipt, deletion, now),
        ChunkState::SourceDeleted { .. }
        | ChunkState::SourceLeft { .. }
        | ChunkState::Removing { .. }
        | ChunkState::Removed { .. }
        | ChunkState::InPlace { .. }
        | ChunkState::Expired { .. }
        | ChunkState::DeadLettered { .. } => NextStep::Nothing,
    }
}

fn after_export(
    entry: &LedgerEntry,
    receipt: &ExportReceipt,
    deletion: DeletionPolicy,
    now: Timestamp,
) -> NextStep {
    if entry.chunk.locations.delete.is_none() {
        let reason = format!(
            "the event named no deleteLocation; ACS drops it by itself at {}",
            entry.expires_at
        );
        return NextStep::LeaveSource {
            receipt: receipt.clone(),
            reason,
        };
    }
    if let Some(anomaly) = receipt
        .anomaly()
        .filter(|_| deletion.spares_doubtful(entry))
    {
        if now < entry.surely_gone_at {
            return NextStep::Wait {
                until: entry.surely_gone_at,
            };
        }
        return NextStep::LeaveSource {
            receipt: receipt.clone(),
            reason: format!("its media is doubtful: {anomaly}"),
        };
    }
    let due_at = receipt
        .verified_at()
        .checked_add(deletion.delay)
        .unwrap_or(Timestamp::MAX);
    if now < due_at {
        NextStep::Wait { until: due_at }
    } else {
        NextStep::DeleteSource {
            receipt: receipt.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::entry::tests::entry;
    use crate::export::receipt::VerifiedFile;
    use crate::media::plausibility::Plausibility;
    use crate::media::{MediaExamination, MediaProbe};
    use crate::store::digest::Sha256Digest;

    const HOUR: DeletionPolicy = DeletionPolicy {
        delay: Duration::from_hours(1),
        anomalies: OnAnomaly::Keep,
        other_objects: OnOtherObject::Keep,
    };

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

    fn doubtful() -> LedgerEntry {
        let media = receipt().media().clone();
        let examination = Some(MediaExamination::of(
            &MediaProbe::new(0).finish(),
            0,
            Plausibility::Disagrees("the file is a web page".to_owned()),
        ));
        let receipt = ExportReceipt::new(
            media,
            None,
            VaultName::Home,
            examination,
            at("2026-03-02T10:00:00Z"),
        );
        LedgerEntry {
            state: ChunkState::Exported { receipt },
            ..exported()
        }
    }

    #[test]
    fn a_doubtful_source_stays_until_somebody_accepts_it_or_it_is_gone() {
        let mut entry = doubtful();
        let later = at("2026-03-02T12:00:00Z");
        assert_eq!(
            next_step(&entry, HOUR, later),
            NextStep::Wait {
                until: entry.surely_gone_at
            }
        );
        let step = next_step(&entry, HOUR, entry.surely_gone_at);
        assert!(
            matches!(&step, NextStep::LeaveSource { reason, .. } if reason.contains("a web page")),
            "{step:?}"
        );
        let careless = DeletionPolicy {
            anomalies: OnAnomaly::Delete,
            ..HOUR
        };
        assert!(matches!(
            next_step(&entry, careless, later),
            NextStep::DeleteSource { .. }
        ));
        entry.anomaly_accepted_at = Some(later);
        assert!(matches!(
            next_step(&entry, HOUR, later),
            NextStep::DeleteSource { .. }
        ));
    }

    #[test]
    fn a_copy_in_the_backup_vault_is_moved_home_before_its_source_is_deleted() {
        let mut entry = exported();
        let media = receipt().media().clone();
        let receipt = ExportReceipt::new(
            media,
            None,
            VaultName::Backup,
            None,
            at("2026-03-02T10:00:00Z"),
        );
        entry.state = ChunkState::Exported {
            receipt: receipt.clone(),
        };
        assert_eq!(
            next_step(&entry, HOUR, at("2026-03-02T12:00:00Z")),
            NextStep::MoveHome { receipt }
        );
    }

    fn exported() -> LedgerEntry {
        let mut entry = entry();
        entry.chunk.locations.delete = Some("https://us-storage.asm.skype.com/v1/objects/x".into());
        entry.state = ChunkState::Exported { receipt: receipt() };
        entry
    }

    #[test]
    fn a_pending_chunk_is_exported_unless_it_backs_off() {
        let mut entry = entry();
        let now = at("2026-03-02T10:00:00Z");
        assert_eq!(next_step(&entry, HOUR, now), NextStep::Export);
        entry.not_before = Some(at("2026-03-02T10:00:01Z"));
        assert_eq!(
            next_step(&entry, HOUR, now),
            NextStep::Wait {
                until: at("2026-03-02T10:00:01Z")
            }
        );
    }

    #[test]
    fn deletion_waits_for_its_delay() {
        let due = at("2026-03-02T11:00:00Z");
        assert_eq!(
            next_step(&exported(), HOUR, at("2026-03-02T10:59:59Z")),
            NextStep::Wait { until: due }
        );
        assert_eq!(
            next_step(&exported(), HOUR, due),
            NextStep::DeleteSource { receipt: receipt() }
        );
    }

    #[test]
    fn without_a_delete_location_the_source_is_left() {
        let mut entry = exported();
        entry.chunk.locations.delete = None;
        let step = next_step(&entry, HOUR, at("2026-03-02T10:00:00Z"));
        assert!(matches!(step, NextStep::LeaveSource { .. }), "{step:?}");
    }

    #[test]
    fn nothing_is_due_for_a_settled_chunk() {
        let now = at("2026-03-02T10:00:00Z");
        let states = [
            ChunkState::SourceDeleted {
                receipt: receipt(),
                deleted_at: now,
            },
            ChunkState::SourceLeft {
                receipt: receipt(),
                reason: String::new(),
            },
            ChunkState::Removing {
                receipt: receipt(),
                source: SourceEnd::Deleted { deleted_at: now },
                began_at: now,
            },
            ChunkState::Removed {
                receipt: receipt(),
                removed_at: now,
                reason: String::new(),
            },
            ChunkState::Expired {
                seen_at: now,
                reason: String::new(),
            },
            ChunkState::DeadLettered {
                at: now,
                reason: String::new(),
            },
        ];
        for state in states {
            assert!(state.is_settled());
            assert_eq!(
                next_step(
                    &LedgerEntry {
                        state,
                        ..exported()
                    },
                    HOUR,
                    now
                ),
                NextStep::Nothing
            );
        }
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
