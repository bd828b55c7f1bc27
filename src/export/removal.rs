//! The only code that removes a chunk's files from a vault.
//!
//! Under the chunk's claim:
//! ```text
//! Removing, durable and audited ─▶ files seen ─▶ claim renewed ─▶ holds ─▶ each file removed at its version ─▶ Removed, audited
//!                                                    ▲              │         ├─ half of the claim is spent ┐
//!                                                    └──────────────┼─────────┼────────────────────────────┘
//!                                        held, or not past its policy         refused: removals broken, files proved again
//!                                                                   └─────────┴─▶ all there ─▶ back to what it was
//!                                                                                 else, or unknown: it stays Removing
//! ```
//! Before all this the vault must have the media of each copy: see `removal/missing.rs`.
//! A chunk whose files may be gone has no copy, and the next removal finishes what a kill interrupted. A hold that is
//! added meanwhile is found here, or its adder finds the chunk `Removing`. A process that was frozen during a removal
//! while another took over its claim removes nothing that was restored: see `removal/files.rs`.

mod cleared;
mod files;
mod missing;
mod outcome;
mod passes;
mod policy;

use std::sync::Arc;

use jiff::SignedDuration;
use tracing::warn;

use self::files::{FilePlace, Proof};
use self::passes::Removed;
use super::destination::DestinationError;
use super::entry::LedgerEntry;
use super::fence::Fence;
use super::layout::{self, BlobName};
use super::ledger::{
    AfterUpdate, ChunkLedger, Claim, Found, LedgerError, reopen_for_what_was_added,
};
use super::receipt::ExportReceipt;
use super::state::{ChunkState, Removable};
use super::vaults::Vaults;
use crate::clock::Clock;
use crate::error_chain::ErrorChain;
use crate::recording::{Acknowledgement, DocumentId};

pub(super) use files::BackupCleared;
pub use missing::MissingCopies;
pub use outcome::Removal;
pub(super) use policy::counted_from;
pub use policy::{RetentionKeeps, RetentionPolicy};

/// Removes files of chunks from the vaults.
#[derive(Clone)]
pub struct Removals {
    ledger: ChunkLedger,
    vaults: Vaults,
    clock: Arc<dyn Clock>,
    missing: MissingCopies,
}

/// Ground for a removal.
#[derive(Debug, Clone, Copy)]
pub enum Ground<'a> {
    Policy(RetentionPolicy),
    /// A person's right, or an operator's decision. A chunk without a copy is removed only once ACS cannot have it.
    Request {
        reason: &'a str,
    },
    /// Its recording is erased: a pending export is not carried out.
    ErasedRecording {
        reason: &'a str,
    },
}

/// A removal whose intent is durable.
struct Begun {
    entry: LedgerEntry,
    before: Removable,
    places: Vec<FilePlace>,
    /// Another removal began before this one, and may still take effect.
    is_taken_over: bool,
    /// An operator's word about the chunk as it was before.
    acknowledged: Option<Acknowledgement>,
}

/// State of a chunk whose removal was not completed.
enum Restored {
    /// All of it is in the vault: its former state is restored.
    Whole(Box<ChunkState>),
    InPart,
    /// The vault could not be read.
    Unknown {
        reason: String,
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
            missing: MissingCopies::Left,
        }
    }

    /// The same, which handles copies that the vault does not have in this way.
    #[must_use]
    pub fn with_missing(mut self, missing: MissingCopies) -> Self {
        self.missing = missing;
        self
    }

    /// Removes the files of one chunk from the vaults, if the ground suffices and nothing holds it.
    ///
    /// Cancel-safe: what was begun is durable, and the claim expires.
    pub async fn remove(&self, ground: Ground<'_>, id: &DocumentId) -> Removal {
        let removal = match Box::pin(self.try_remove(ground, id)).await {
            Ok(removal) => removal,
            Err(LedgerError::ClaimLost { .. }) => Removal::Busy,
            // The next removal knows what was done; this one does not.
            Err(error) => Removal::Failed {
                reason: ErrorChain(&error).to_string(),
                is_whole: false,
            },
        };
        let is_unfinished = matches!(removal, Removal::Busy | Removal::Failed { .. });
        let removal = if is_unfinished && self.is_removed(id).await {
            Removal::FinishedByAnother
        } else {
            removal
        };
        outcome::report(id, &removal);
        removal
    }

    /// Whether the ledger says that the chunk is removed. A process that lost its claim checks its successor's result.
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
        let cases = self.ledger.cases_on(&found.entry).await?;
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
                entry.state.is_removable_copy()
                    || (has_ended && entry.is_surely_gone(now))
                    || entry.is_unfinished_import()
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
        let said_missing = match self.look_for_copy(&found.entry).await {
            Ok(said_missing) => said_missing,
            Err(reason) => {
                self.release(claim).await?;
                return Ok(Removal::NotBegun { reason });
            }
        };
        let Some(begun) = self.begin(claim, found.entry).await? else {
            self.release(claim).await?;
            return Ok(Removal::NotDue);
        };
        // The policy may have become longer since a removal began.
        let is_still_due = match ground {
            Ground::Policy(policy) => policy.is_past(&begun.entry, self.clock.now()),
            Ground::Request { .. } | Ground::ErasedRecording { .. } => true,
        };
        if !is_still_due {
            return self.keep(claim, &begun).await;
        }
        let removing = self.remove_unless_held(claim, &begun.places);
        match removing.await? {
            Removed::All => self.record(claim, begun, ground, said_missing).await,
            Removed::Held { cases, sent } => {
                let is_whole = self.give_back(claim, &begun, &sent).await?.is_whole();
                Ok(Removal::Held { cases, is_whole })
            }
            Removed::Stopped { reason, sent } => self.fail(claim, &begun, reason, &sent).await,
        }
    }

    async fn release(&self, claim: &Claim) -> Result<(), LedgerError> {
        let releasing = self.ledger.update(claim, AfterUpdate::Release, |_| {});
        releasing.await.map(|_| ())
    }

    /// Ends a removal that began under a shorter policy than today's. Nothing more is removed, whatever the vault says.
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

    /// Makes the intent durable. `None`: the chunk changed meanwhile, and must not be removed in its new state.
    async fn begin(&self, claim: &Claim, found: LedgerEntry) -> Result<Option<Begun>, LedgerError> {
        let Some(before) = found.state.removable() else {
            return Ok(None);
        };
        let removing = ChunkState::Removing {
            receipt: before.receipt.clone(),
            source: before.source.clone(),
            began_at: self.clock.now(),
        };
        let is_taken_over = matches!(found.state, ChunkState::Removing { .. });
        let begin = |current: &mut LedgerEntry| {
            // An event may have opened it again since it was read.
            if current.state == found.state {
                current.state = removing.clone();
                if !is_taken_over {
                    // It is about what was lost before, not about this deletion.
                    current.acknowledged = None;
                }
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
            is_taken_over,
            acknowledged: found.acknowledged.filter(|_| !is_taken_over),
        }))
    }

    async fn record(
        &self,
        claim: &Claim,
        begun: Begun,
        ground: Ground<'_>,
        said_missing: Option<BlobName>,
    ) -> Result<Removal, LedgerError> {
        // Requests of an export that lost its claim may still arrive: the places are checked once more later.
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
        let reason = match said_missing {
            Some(name) => format!(
                "{reason}; the vault did not have `{name}`, which was deleted in another way, as the operator says"
            ),
            None => reason,
        };
        let removed = ChunkState::Removed {
            receipt: begun.before.receipt,
            source: Some(begun.before.source),
            removed_at: self.clock.now(),
            reason,
        };
        let record = |entry: &mut LedgerEntry| {
            entry.state = removed.clone();
            entry.acknowledged.clone_from(&begun.acknowledged);
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
        sent: &[FilePlace],
    ) -> Result<Removal, LedgerError> {
        let is_whole = self.give_back(claim, begun, sent).await?.is_whole();
        Ok(Removal::Failed { reason, is_whole })
    }

    /// Restores the chunk's former state, if all of it is in the vault. Work that an event has added meanwhile is still
    /// to be done.
    async fn give_back(
        &self,
        claim: &Claim,
        begun: &Begun,
        sent: &[FilePlace],
    ) -> Result<Restored, LedgerError> {
        let broken = if begun.is_taken_over {
            &begun.places
        } else {
            sent
        };
        // A process that lost the claim touches nothing: the new holder has restored or proved the files.
        self.ledger.ensure_time(claim).await?;
        let restored = self.restored(claim, begun, broken).await;
        let now = self.clock.now();
        let give_back = |entry: &mut LedgerEntry| {
            let Restored::Whole(state) = &restored else {
                return;
            };
            entry.state = (**state).clone();
            // What was said meanwhile is about the deletion.
            entry.acknowledged.clone_from(&begun.acknowledged);
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

    async fn restored(&self, claim: &Claim, begun: &Begun, broken: &[FilePlace]) -> Restored {
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

    /// Writes the new `ETag`s into the receipt beside the files. If that fails, the ledger still has them, and the
    /// receipt still names the content.
    async fn rewrite_receipt(
        &self,
        fence: Fence<'_>,
        entry: &LedgerEntry,
        receipt: &ExportReceipt,
    ) {
        let name = layout::receipt(&entry.folder, &entry.chunk);
        if let Err(error) = self.vaults.rewrite_receipt(fence, &name, receipt).await {
            let id = &entry.chunk.document_id;
            warn!(document.id = %id, blob = %name, error = %ErrorChain(&error), "The receipt beside chunk `{id}` names an earlier ETag");
        }
    }
}
