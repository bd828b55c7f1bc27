//! The one way by which a chunk's files leave a vault.
//!
//! Under the chunk's claim:
//! ```text
//! Removing, durable and audited ─▶ files seen ─▶ holds ─▶ each file removed at its version ─▶ Removed, durable and audited
//!                                                  └─ held ──────────┴─ refused: removals broken, files proved again
//!                                                        ├─ all there ─▶ back to what it was
//!                                                        └─ else it stays Removing
//! ```
//! Nothing counts as a copy that may be gone, and the next removal finishes what a kill interrupted. A hold that is added
//! meanwhile is found here, or its adder finds the chunk `Removing`. A process that was frozen in here while another took its
//! claim over removes nothing that was given back: see [`files`].

mod cleared;
mod files;
mod policy;

use std::sync::Arc;

use jiff::SignedDuration;
use tracing::{error, info};

use self::files::{Act, Place, Proof};
use super::entry::LedgerEntry;
use super::fence::Fence;
use super::layout;
use super::ledger::{AfterUpdate, ChunkLedger, Claim, Found, LedgerError};
use super::receipt::ExportReceipt;
use super::state::{ChunkState, Removable};
use super::vaults::Vaults;
use crate::clock::Clock;
use crate::error_chain::ErrorChain;
use crate::recording::DocumentId;
use crate::store::holds::{self, Case};

pub(super) use files::BackupCleared;
pub use policy::RetentionPolicy;
pub(super) use policy::counted_from;

/// Removes files of chunks from the vaults.
#[derive(Clone)]
pub struct Removals {
    ledger: ChunkLedger,
    vaults: Vaults,
    clock: Arc<dyn Clock>,
}

/// On what ground files are removed.
#[derive(Debug, Clone, Copy)]
pub enum Ground<'a> {
    Policy(RetentionPolicy),
    /// Somebody's right, or an operator's decision. A chunk without a copy is removed only when ACS cannot have it any more.
    Request {
        reason: &'a str,
    },
    /// Its recording is erased: whatever is still to be exported is not.
    ErasedRecording {
        reason: &'a str,
    },
}

/// What became of one chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Removal {
    Removed,
    Held {
        cases: Vec<Case>,
    },
    /// There is nothing to remove, it is not past its policy, or it is being driven again.
    NotDue,
    /// Another process has its claim.
    Busy,
    /// It may be tried again. `is_whole`: the copy is in the vault as it was.
    Failed {
        reason: String,
        is_whole: bool,
    },
}

/// A removal whose intent is durable.
struct Begun {
    entry: LedgerEntry,
    before: Removable,
    places: Vec<Place>,
    /// Another removal began before this one, and may still act.
    is_taken_over: bool,
}

/// Removals that may still take effect when a chunk is to be given back.
enum MayAct {
    None,
    These(Vec<Place>),
}

impl Removals {
    pub fn new(ledger: ChunkLedger, vaults: Vaults, clock: Arc<dyn Clock>) -> Self {
        Self {
            ledger,
            vaults,
            clock,
        }
    }

    /// Removes what lies in the vaults of one chunk, if the ground suffices and nothing holds it.
    ///
    /// Cancel-safe: what was begun is durable, and the claim runs out.
    pub async fn remove(&self, ground: Ground<'_>, id: &DocumentId) -> Removal {
        let removal = match self.try_remove(ground, id).await {
            Ok(removal) => removal,
            Err(LedgerError::ClaimLost { .. }) => Removal::Busy,
            // What was done is known to the next removal, not to this one.
            Err(error) => Removal::Failed {
                reason: ErrorChain(&error).to_string(),
                is_whole: false,
            },
        };
        match &removal {
            Removal::Removed => {
                info!(document.id = %id, "Deleted the files of chunk `{id}` from the vault");
            }
            Removal::Held { cases } => {
                info!(document.id = %id, "Chunk `{id}` is held for {}", holds::tags(cases));
            }
            Removal::NotDue | Removal::Busy => {}
            Removal::Failed { reason, .. } => {
                error!(document.id = %id, error = reason, "The files of chunk `{id}` could not be deleted from the vault");
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
        if !self.suffices(ground, &found.entry) {
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

    fn suffices(&self, ground: Ground<'_>, entry: &LedgerEntry) -> bool {
        let now = self.clock.now();
        let has_ended = matches!(
            entry.state,
            ChunkState::Expired { .. } | ChunkState::DeadLettered { .. }
        );
        match ground {
            Ground::Policy(policy) => policy.concerns(entry, now),
            Ground::Request { .. } => {
                entry.state.is_removable_copy() || (has_ended && entry.is_surely_gone(now))
            }
            Ground::ErasedRecording { .. } => entry.state.removable().is_some(),
        }
    }

    async fn carry_out(
        &self,
        claim: &Claim,
        found: Found,
        ground: Ground<'_>,
    ) -> Result<Removal, LedgerError> {
        let Some(begun) = self.begin(claim, found.entry).await? else {
            self.ledger
                .update(claim, AfterUpdate::Release, |_| {})
                .await?;
            return Ok(Removal::NotDue);
        };
        // The versions first, then the holds: see `files`.
        let seen = match self.vaults.see(begun.places.clone()).await {
            Ok(seen) => seen,
            Err(error) => {
                let reason = ErrorChain(&error).to_string();
                return self.fail(claim, &begun, reason, Vec::new()).await;
            }
        };
        let cases = self.ledger.holds().on(&begun.entry.chunk).await?;
        if !cases.is_empty() {
            self.give_back(claim, &begun, MayAct::None).await?;
            return Ok(Removal::Held { cases });
        }
        // The policy may have become a longer one since a removal began.
        let is_still_due = match ground {
            Ground::Policy(policy) => policy.is_past(&begun.entry, self.clock.now()),
            Ground::Request { .. } | Ground::ErasedRecording { .. } => true,
        };
        if !is_still_due && self.give_back(claim, &begun, MayAct::None).await? {
            return Ok(Removal::NotDue);
        }
        let fence = Fence::new(&self.ledger, claim);
        if let Act::Stopped { reason, sent } = self.vaults.remove_seen(fence, &seen).await {
            return self.fail(claim, &begun, reason, sent).await;
        }
        if let Err(error) = self.vaults.discard_staged_at(&begun.places).await {
            let reason = ErrorChain(&error).to_string();
            return self.fail(claim, &begun, reason, Vec::new()).await;
        }
        self.record(claim, begun, ground).await
    }

    /// Makes the intent durable. `None`: the chunk changed meanwhile, and is not to be removed as it is.
    async fn begin(&self, claim: &Claim, found: LedgerEntry) -> Result<Option<Begun>, LedgerError> {
        let Some(before) = found.state.removable() else {
            return Ok(None);
        };
        let removing = ChunkState::Removing {
            receipt: before.receipt.clone(),
            source: before.source.clone(),
            began_at: self.clock.now(),
        };
        let begin = |current: &mut LedgerEntry| {
            // An event may have opened it again since it was found.
            if current.state == found.state {
                current.state = removing.clone();
            }
        };
        let entry = self
            .ledger
            .update(claim, AfterUpdate::KeepClaim, begin)
            .await?;
        Ok((entry.state == removing).then(|| Begun {
            places: files::places(&entry, before.receipt.as_ref()),
            entry,
            before,
            is_taken_over: matches!(found.state, ChunkState::Removing { .. }),
        }))
    }

    async fn record(
        &self,
        claim: &Claim,
        begun: Begun,
        ground: Ground<'_>,
    ) -> Result<Removal, LedgerError> {
        // Requests of an export that lost its claim may still arrive: the places are looked at once more.
        self.ledger.note_cleared(claim.document_id()).await?;
        let reason = match ground {
            Ground::Policy(policy) => format!(
                "deleted from the vault by policy: it was kept for {:#} from {} on",
                SignedDuration::try_from(policy.keep_for).unwrap_or(SignedDuration::MAX),
                counted_from(&begun.entry)
            ),
            Ground::Request { reason } | Ground::ErasedRecording { reason } => {
                format!("erased from the vault on request: {reason}")
            }
        };
        let removed = ChunkState::Removed {
            receipt: begun.before.receipt,
            removed_at: self.clock.now(),
            reason,
        };
        let record = |entry: &mut LedgerEntry| {
            entry.state = removed.clone();
            entry.uses_backup = false;
        };
        self.ledger
            .update(claim, AfterUpdate::Release, record)
            .await?;
        Ok(Removal::Removed)
    }

    async fn fail(
        &self,
        claim: &Claim,
        begun: &Begun,
        reason: String,
        sent: Vec<Place>,
    ) -> Result<Removal, LedgerError> {
        let may_act = if sent.is_empty() {
            MayAct::None
        } else {
            MayAct::These(sent)
        };
        let is_whole = self.give_back(claim, begun, may_act).await?;
        Ok(Removal::Failed { reason, is_whole })
    }

    /// Makes the chunk what it was before, if all of it is in the vault. Returns whether it is.
    async fn give_back(
        &self,
        claim: &Claim,
        begun: &Begun,
        may_act: MayAct,
    ) -> Result<bool, LedgerError> {
        let broken: &[Place] = match &may_act {
            _ if begun.is_taken_over => &begun.places,
            MayAct::None => &[],
            MayAct::These(places) => places,
        };
        let restored = self.restored(begun, broken).await;
        let give_back = |entry: &mut LedgerEntry| {
            if let Some(state) = &restored {
                entry.state = state.clone();
            }
        };
        self.ledger
            .update(claim, AfterUpdate::Release, give_back)
            .await?;
        Ok(restored.is_some())
    }

    /// The state to give back. `None`: the files are not there as they were, or that is unknown.
    async fn restored(&self, begun: &Begun, broken: &[Place]) -> Option<ChunkState> {
        self.vaults.break_removals(broken).await.ok()?;
        let receipt = match &begun.before.receipt {
            None => None,
            Some(receipt) => match self.vaults.prove_again(receipt).await.ok()? {
                Proof::Broken => return None,
                Proof::Holds(again) => {
                    if *again != *receipt {
                        self.rewrite_receipt(&begun.entry, &again).await;
                    }
                    Some(*again)
                }
            },
        };
        begun.before.source.clone().restored(receipt)
    }

    /// Writes the new `ETag`s into the receipt beside the files. Where that fails the ledger still has them, and the receipt
    /// still names the content.
    async fn rewrite_receipt(&self, entry: &LedgerEntry, receipt: &ExportReceipt) {
        let name = layout::receipt(&entry.folder, &entry.chunk);
        if let Err(error) = self.vaults.rewrite_receipt(&name, receipt).await {
            let id = &entry.chunk.document_id;
            error!(document.id = %id, blob = %name, error = %ErrorChain(&error), "The receipt beside chunk `{id}` names an earlier ETag");
        }
    }
}
