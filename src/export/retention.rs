//! Retention of the vault's own copies: what is past its policy, and its removal. Nothing is removed by itself; an operator
//! applies the policy. What is held is never removed.
//!
//! A removal, under the chunk's claim:
//! ```text
//! Removing, durably ─▶ holds, once more ─▶ media, metadata, receipt deleted, in this order ─▶ Removed, durably
//!                            └─ held ──────────┴─ refused: all files there? ─▶ back to what it was; else it stays Removing
//! ```
//! So nothing ever counts as a copy that may be gone, and the next removal finishes what a kill interrupted. A hold that is
//! added at the same moment is either found here, or its adder finds the chunk `Removing`.

mod policy;

use std::sync::Arc;

use futures::StreamExt as _;
use jiff::{SignedDuration, Timestamp};
use tracing::{error, info};

use super::destination::{DestinationError, ExportDestination};
use super::entry::LedgerEntry;
use super::layout::{self, BlobName};
use super::ledger::{AfterUpdate, ChunkLedger, Claim, Found, LedgerError};
use super::receipt::{ExportReceipt, VaultName, VerifiedFile};
use super::state::{ChunkState, SourceEnd};
use super::vaults::Vaults;
use crate::clock::Clock;
use crate::error_chain::ErrorChain;
use crate::recording::DocumentId;
use crate::store::audit::AuditAction;
use crate::store::holds::{self, Case};
use policy::counted_from;

pub use policy::RetentionPolicy;

/// Chunks that are looked at or removed at once.
const AT_ONCE: usize = 8;
/// Applies a policy to the vault.
#[derive(Clone)]
pub struct Retention {
    ledger: ChunkLedger,
    vaults: Vaults,
    clock: Arc<dyn Clock>,
    policy: RetentionPolicy,
}

/// On what ground a copy is removed.
#[derive(Debug, Clone, Copy)]
enum Ground<'a> {
    Policy,
    /// Somebody's right, or an operator's decision, whatever the policy says.
    Request {
        reason: &'a str,
    },
}

/// A copy that is past its policy.
#[derive(Debug, Clone)]
pub struct PastPolicy {
    pub entry: LedgerEntry,
    pub counted_from: Timestamp,
    pub past_at: Timestamp,
    /// What keeps it all the same.
    pub cases: Vec<Case>,
}

/// What became of one copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Removal {
    Removed,
    Held {
        cases: Vec<Case>,
    },
    /// There is no copy, it is not past its policy, or it is being driven again.
    NotDue,
    /// Somebody else has its claim.
    Busy,
    /// It may be tried again. `is_whole`: the copy is in the vault as it was.
    Failed {
        reason: String,
        is_whole: bool,
    },
}

impl Retention {
    pub fn new(
        ledger: ChunkLedger,
        vaults: Vaults,
        clock: Arc<dyn Clock>,
        policy: RetentionPolicy,
    ) -> Self {
        Self {
            ledger,
            vaults,
            clock,
            policy,
        }
    }

    /// Every copy that is past its policy, oldest first, with what holds it. Looks at every entry there is.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn plan(&self) -> Result<Vec<PastPolicy>, LedgerError> {
        let now = self.clock.now();
        let holds = self.ledger.holds();
        let mut past = Vec::new();
        for entry in self
            .ledger
            .entries(|entry| self.policy.concerns(entry, now))
            .await?
        {
            let cases = holds.on(&entry.chunk).await?;
            past.push(PastPolicy {
                counted_from: counted_from(&entry),
                past_at: self.policy.past_at(&entry),
                cases,
                entry,
            });
        }
        past.sort_by_key(|copy| copy.past_at);
        Ok(past)
    }

    /// Removes every copy that is past its policy and not held. One that cannot be removed does not stop the others.
    ///
    /// # Errors
    /// When the ledger cannot be listed.
    pub async fn apply(&self) -> Result<Vec<(DocumentId, Removal)>, LedgerError> {
        let now = self.clock.now();
        let mut past = self
            .ledger
            .entries(|entry| self.policy.concerns(entry, now))
            .await?;
        past.sort_by_key(|entry| self.policy.past_at(entry));
        self.ledger
            .audit_operator(
                AuditAction::RetentionApplied,
                "vault",
                serde_json::json!({"pastPolicy": past.len()}),
            )
            .await?;
        let removals = futures::stream::iter(past).map(|entry| async move {
            let id = entry.chunk.document_id;
            let removal = self.remove(&id).await;
            (id, removal)
        });
        Ok(removals.buffered(AT_ONCE).collect().await)
    }

    /// Removes one copy, if it is past its policy and not held: the one way by which a copy leaves the vault.
    ///
    /// Cancel-safe: what was begun is durable, and the claim runs out.
    pub async fn remove(&self, id: &DocumentId) -> Removal {
        self.remove_on(Ground::Policy, id).await
    }

    /// The same on request, whatever the policy says: a settled copy that is not held. A chunk that ended without a copy, and
    /// that ACS cannot have any more, has whatever was left of it removed.
    pub async fn erase(&self, id: &DocumentId, reason: &str) -> Removal {
        self.remove_on(Ground::Request { reason }, id).await
    }

    async fn remove_on(&self, ground: Ground<'_>, id: &DocumentId) -> Removal {
        let removal = self.try_remove(ground, id).await.unwrap_or_else(|error| {
            // What was done is known to the next removal, not to this one.
            Removal::Failed {
                reason: ErrorChain(&error).to_string(),
                is_whole: false,
            }
        });
        match &removal {
            Removal::Removed => {
                info!(document.id = %id, "Deleted the copy of chunk `{id}` from the vault")
            }
            Removal::Held { cases } => {
                info!(document.id = %id, "The copy of chunk `{id}` is held for {}", holds::tags(cases))
            }
            Removal::NotDue | Removal::Busy => {}
            Removal::Failed { reason, .. } => {
                error!(document.id = %id, error = reason, "The copy of chunk `{id}` could not be deleted from the vault");
            }
        }
        removal
    }

    async fn try_remove(
        &self,
        ground: Ground<'_>,
        id: &DocumentId,
    ) -> Result<Removal, LedgerError> {
        let Some(found) = self.ledger.find(id).await? else {
            return Ok(Removal::NotDue);
        };
        let is_due = match ground {
            Ground::Policy => self.policy.concerns(&found.entry, self.clock.now()),
            Ground::Request { .. } => {
                found.entry.state.removable().is_some() || self.is_over(&found.entry)
            }
        };
        if !is_due {
            return Ok(Removal::NotDue);
        }
        let cases = self.ledger.holds().on(&found.entry.chunk).await?;
        let has_begun = matches!(found.entry.state, ChunkState::Removing { .. });
        if !cases.is_empty() && !has_begun {
            return Ok(Removal::Held { cases });
        }
        let Some(claim) = self.ledger.claim(&found).await? else {
            return Ok(Removal::Busy);
        };
        tokio::select! {
            biased;
            removal = self.carry_out(&claim, found, ground) => removal,
            lost = self.ledger.keep_claimed(&claim) => Err(lost),
        }
    }

    /// It ended without a copy, and ACS cannot have it any more.
    fn is_over(&self, entry: &LedgerEntry) -> bool {
        let has_ended = matches!(
            entry.state,
            ChunkState::Expired { .. } | ChunkState::DeadLettered { .. }
        );
        has_ended && entry.is_surely_gone(self.clock.now())
    }

    async fn carry_out(
        &self,
        claim: &Claim,
        found: Found,
        ground: Ground<'_>,
    ) -> Result<Removal, LedgerError> {
        let entry = found.entry;
        let Some((receipt, source)) = entry
            .state
            .removable()
            .map(|(receipt, source)| (receipt.clone(), source))
        else {
            return self.clear(claim, &entry).await;
        };
        let now = self.clock.now();
        let removing = ChunkState::Removing {
            receipt: receipt.clone(),
            source: source.clone(),
            began_at: now,
        };
        let begin = |current: &mut LedgerEntry| {
            // An event may have opened it again since it was found.
            if current.state == entry.state {
                current.state = removing.clone();
            }
        };
        let entry = self
            .ledger
            .update(claim, AfterUpdate::KeepClaim, begin)
            .await?;
        if entry.state != removing {
            self.ledger
                .update(claim, AfterUpdate::Release, |_| {})
                .await?;
            return Ok(Removal::NotDue);
        }
        let cases = self.ledger.holds().on(&entry.chunk).await?;
        if !cases.is_empty() {
            self.give_back(claim, &receipt, &source).await?;
            return Ok(Removal::Held { cases });
        }
        // The policy may have become a longer one since a removal was begun.
        let is_past = matches!(ground, Ground::Request { .. }) || self.policy.is_past(&entry, now);
        if !is_past && self.give_back(claim, &receipt, &source).await? {
            return Ok(Removal::NotDue);
        }
        let deleted = async {
            self.delete_files(&entry, &receipt).await?;
            match ground {
                Ground::Policy => Ok(()),
                Ground::Request { .. } => self.clear_backup(&entry).await,
            }
        };
        if let Err(error) = deleted.await {
            let reason = ErrorChain(&error).to_string();
            return Ok(Removal::Failed {
                reason,
                is_whole: self.give_back(claim, &receipt, &source).await?,
            });
        }
        let reason = match ground {
            Ground::Policy => format!(
                "deleted from the vault by policy: it was kept for {:#} from {} on",
                SignedDuration::try_from(self.policy.keep_for).unwrap_or(SignedDuration::MAX),
                counted_from(&entry)
            ),
            Ground::Request { reason } => format!("erased from the vault on request: {reason}"),
        };
        let removed = ChunkState::Removed {
            receipt,
            removed_at: self.clock.now(),
            reason,
        };
        self.ledger
            .update(claim, AfterUpdate::Release, |entry| {
                entry.state = removed.clone()
            })
            .await?;
        Ok(Removal::Removed)
    }

    /// The media first: it is what a vault that refuses is refusing, and then nothing is gone. The receipt last: it tells what
    /// there was for as long as anything of it is left.
    async fn delete_files(
        &self,
        entry: &LedgerEntry,
        receipt: &ExportReceipt,
    ) -> Result<(), DestinationError> {
        let proof = layout::receipt(&entry.folder, &entry.chunk);
        let files = std::iter::once(receipt.media())
            .chain(receipt.metadata())
            .map(VerifiedFile::name);
        for name in files.chain([&proof]) {
            remove(self.vaults.get(receipt.vault(), name)?, name).await?;
        }
        Ok(())
    }

    /// Removes what a chunk without a proof may have left. Held, it is left alone.
    async fn clear(&self, claim: &Claim, entry: &LedgerEntry) -> Result<Removal, LedgerError> {
        let cases = self.ledger.holds().on(&entry.chunk).await?;
        let cleared = async {
            if cases.is_empty() {
                for name in layout::all_names(&entry.folder, &entry.chunk) {
                    remove(self.vaults.home(), &name).await?;
                }
                self.clear_backup(entry).await?;
            }
            Ok::<_, DestinationError>(())
        };
        let cleared = cleared.await;
        self.ledger
            .update(claim, AfterUpdate::Release, |_| {})
            .await?;
        Ok(match cleared {
            Ok(()) if cases.is_empty() => Removal::Removed,
            Ok(()) => Removal::Held { cases },
            Err(error) => Removal::Failed {
                reason: ErrorChain(&error).to_string(),
                is_whole: false,
            },
        })
    }

    /// Removes from the backup vault what may lie there of a chunk.
    async fn clear_backup(&self, entry: &LedgerEntry) -> Result<(), DestinationError> {
        if entry.uses_backup {
            for name in layout::all_names(&entry.folder, &entry.chunk) {
                remove(self.vaults.get(VaultName::Backup, &name)?, &name).await?;
            }
        }
        Ok(())
    }

    /// Makes it a copy again if both files are in the vault as they were proved. Whether they are, and it is.
    async fn give_back(
        &self,
        claim: &Claim,
        receipt: &ExportReceipt,
        source: &SourceEnd,
    ) -> Result<bool, LedgerError> {
        let is_whole = matches!(self.vaults.still_hold(receipt).await, Ok(true));
        let give_back = |entry: &mut LedgerEntry| {
            if is_whole {
                entry.state = source.clone().with_copy(receipt.clone());
            }
        };
        self.ledger
            .update(claim, AfterUpdate::Release, give_back)
            .await?;
        Ok(is_whole)
    }
}

async fn remove(vault: &dyn ExportDestination, name: &BlobName) -> Result<(), DestinationError> {
    if let Some(version) = vault.version(name).await? {
        vault.remove(name, &version).await?;
    }
    Ok(())
}
