//! The one way by which a chunk's files leave a vault.
//!
//! Under the chunk's claim:
//! ```text
//! Removing, durable and audited ─▶ files seen ─▶ claim renewed ─▶ holds ─▶ each file removed at its version ─▶ Removed, audited
//!                                                    ▲              │         ├─ half of the claim is over ─┐
//!                                                    └──────────────┼─────────┼────────────────────────────┘
//!                                        held, or not past its policy         refused: removals broken, files proved again
//!                                                                   └─────────┴─▶ all there ─▶ back to what it was
//!                                                                                 else, or unknown: it stays Removing
//! ```
//! Nothing counts as a copy that may be gone, and the next removal finishes what a kill interrupted. A hold that is added
//! meanwhile is found here, or its adder finds the chunk `Removing`. A process that was frozen in here while another took its
//! claim over removes nothing that was given back: see `removal/files.rs`.

mod cleared;
mod files;
mod policy;

use std::sync::Arc;

use jiff::SignedDuration;
use tracing::{error, info};

use self::files::{Act, Place, Proof, SeenFile};
use super::destination::DestinationError;
use super::entry::LedgerEntry;
use super::fence::Fence;
use super::layout;
use super::ledger::{
    AfterUpdate, ChunkLedger, Claim, Found, LedgerError, reopen_for_what_was_added,
};
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
    /// Nothing more is removed. `is_whole`: the copy is in the vault as it was; else parts of it may be gone.
    Held {
        cases: Vec<Case>,
        is_whole: bool,
    },
    /// There is nothing to remove, it is not past its policy, or it is being driven again.
    NotDue,
    /// Another process finished the removal while this one was cut off.
    FinishedByAnother,
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

/// What becomes of a chunk that is not removed, or not to the end.
enum Restored {
    /// All of it is in the vault: it is what it was.
    Whole(Box<ChunkState>),
    InPart,
    /// The vault could not be asked.
    Unknown {
        reason: String,
    },
}

/// How far the removal of seen files came.
enum Removed {
    All,
    Held(Vec<Case>),
    Stopped {
        reason: String,
        /// Removals that may still take effect.
        sent: Vec<Place>,
    },
}

impl Restored {
    fn is_whole(&self) -> bool {
        matches!(self, Self::Whole(_))
    }
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
        let removal = match Box::pin(self.try_remove(ground, id)).await {
            Ok(removal) => removal,
            Err(LedgerError::ClaimLost { .. }) => Removal::Busy,
            // What was done is known to the next removal, not to this one.
            Err(error) => Removal::Failed {
                reason: ErrorChain(&error).to_string(),
                is_whole: false,
            },
        };
        let is_cut_off = matches!(removal, Removal::Busy | Removal::Failed { .. });
        let removal = if is_cut_off && self.is_removed(id).await {
            Removal::FinishedByAnother
        } else {
            removal
        };
        report(id, &removal);
        removal
    }

    /// Whether the ledger says that the chunk is removed. Who lost its claim looks here for what its successor did.
    async fn is_removed(&self, id: &DocumentId) -> bool {
        let found = self.ledger.find(id).await;
        let is_removed = |found: Found| matches!(found.entry.state, ChunkState::Removed { .. });
        found.is_ok_and(|found| found.is_some_and(is_removed))
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
            return Ok(Removal::Held {
                cases,
                is_whole: true,
            });
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
        // The policy may have become a longer one since a removal began.
        let is_still_due = match ground {
            Ground::Policy(policy) => policy.is_past(&begun.entry, self.clock.now()),
            Ground::Request { .. } | Ground::ErasedRecording { .. } => true,
        };
        if !is_still_due {
            return self.keep(claim, &begun).await;
        }
        // The versions first, then the holds: see `files`.
        let seen = match self.vaults.see(begun.places.clone()).await {
            Ok(seen) => seen,
            Err(error) => {
                let reason = ErrorChain(&error).to_string();
                return self.fail(claim, &begun, reason, &[]).await;
            }
        };
        match self.remove_unless_held(claim, &begun.entry, seen).await? {
            Removed::All => {}
            Removed::Held(cases) => {
                let is_whole = self.give_back(claim, &begun, &[]).await?.is_whole();
                return Ok(Removal::Held { cases, is_whole });
            }
            Removed::Stopped { reason, sent } => {
                return self.fail(claim, &begun, reason, &sent).await;
            }
        }
        let fence = Fence::new(&self.ledger, claim);
        if let Err(error) = self.vaults.discard_staged_at(fence, &begun.places).await {
            let reason = ErrorChain(&error).to_string();
            return self.fail(claim, &begun, reason, &[]).await;
        }
        self.record(claim, begun, ground).await
    }

    /// Removes what was seen. Before each stretch of removals the claim is renewed if need be, and then the holds are looked at:
    /// between that look and a removal nothing waits but removals.
    async fn remove_unless_held(
        &self,
        claim: &Claim,
        entry: &LedgerEntry,
        mut seen: Vec<SeenFile>,
    ) -> Result<Removed, LedgerError> {
        let fence = Fence::new(&self.ledger, claim);
        loop {
            self.ledger.ensure_time(claim).await?;
            let cases = self.ledger.holds().on(&entry.chunk).await?;
            if !cases.is_empty() {
                return Ok(Removed::Held(cases));
            }
            match self.vaults.remove_seen(fence, seen).await {
                Act::Done => return Ok(Removed::All),
                Act::OutOfTime { rest } => seen = rest,
                Act::Stopped { reason, sent } => return Ok(Removed::Stopped { reason, sent }),
            }
        }
    }

    /// A removal began under a shorter policy than today's. Nothing more is removed, whatever the vault says.
    async fn keep(&self, claim: &Claim, begun: &Begun) -> Result<Removal, LedgerError> {
        const KEPT: &str = "a removal began under an earlier policy, and today's keeps it longer";
        let reason = match self.give_back(claim, begun, &[]).await? {
            Restored::Whole(_) => return Ok(Removal::NotDue),
            Restored::InPart => format!("{KEPT}; parts of it are deleted"),
            Restored::Unknown { reason } => {
                format!("{KEPT}; whether all of it is in the vault is unknown: {reason}")
            }
        };
        Ok(Removal::Failed {
            reason,
            is_whole: false,
        })
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

    /// `sent`: removals that may still take effect.
    async fn fail(
        &self,
        claim: &Claim,
        begun: &Begun,
        reason: String,
        sent: &[Place],
    ) -> Result<Removal, LedgerError> {
        let is_whole = self.give_back(claim, begun, sent).await?.is_whole();
        Ok(Removal::Failed { reason, is_whole })
    }

    /// Makes the chunk what it was before, if all of it is in the vault; what an event has added meanwhile is still to be done.
    async fn give_back(
        &self,
        claim: &Claim,
        begun: &Begun,
        sent: &[Place],
    ) -> Result<Restored, LedgerError> {
        let broken = if begun.is_taken_over {
            &begun.places
        } else {
            sent
        };
        // Who lost the claim touches nothing: its new holder has given back, or proved, what is there.
        self.ledger.ensure_time(claim).await?;
        let restored = self.restored(claim, begun, broken).await;
        let now = self.clock.now();
        let give_back = |entry: &mut LedgerEntry| {
            let Restored::Whole(state) = &restored else {
                return;
            };
            entry.state = (**state).clone();
            let may_have_more =
                begun.is_taken_over || entry.chunk.locations != begun.entry.chunk.locations;
            if may_have_more && !entry.is_surely_gone(now) {
                reopen_for_what_was_added(entry);
            }
        };
        self.ledger
            .update(claim, AfterUpdate::Release, give_back)
            .await?;
        Ok(restored)
    }

    async fn restored(&self, claim: &Claim, begun: &Begun, broken: &[Place]) -> Restored {
        let fence = Fence::new(&self.ledger, claim);
        let unknown = |error: DestinationError| Restored::Unknown {
            reason: ErrorChain(&error).to_string(),
        };
        if let Err(error) = self.vaults.break_removals(fence, broken).await {
            return unknown(error);
        }
        let receipt = match &begun.before.receipt {
            None => None,
            Some(receipt) => match self.vaults.prove_again(receipt).await {
                Err(error) => return unknown(error),
                Ok(Proof::Broken) => return Restored::InPart,
                Ok(Proof::Holds(again)) => {
                    if *again != *receipt {
                        self.rewrite_receipt(fence, &begun.entry, &again).await;
                    }
                    Some(*again)
                }
            },
        };
        let restored = begun.before.source.clone().restored(receipt);
        restored.map_or(Restored::InPart, |state| Restored::Whole(Box::new(state)))
    }

    /// Writes the new `ETag`s into the receipt beside the files. Where that fails the ledger still has them, and the receipt
    /// still names the content.
    async fn rewrite_receipt(
        &self,
        fence: Fence<'_>,
        entry: &LedgerEntry,
        receipt: &ExportReceipt,
    ) {
        let name = layout::receipt(&entry.folder, &entry.chunk);
        if let Err(error) = self.vaults.rewrite_receipt(fence, &name, receipt).await {
            let id = &entry.chunk.document_id;
            error!(document.id = %id, blob = %name, error = %ErrorChain(&error), "The receipt beside chunk `{id}` names an earlier ETag");
        }
    }
}

/// Logs what became of a removal.
fn report(id: &DocumentId, removal: &Removal) {
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
        Removal::Failed { reason, .. } => {
            error!(document.id = %id, error = reason, "The files of chunk `{id}` could not be deleted from the vault");
        }
    }
}
