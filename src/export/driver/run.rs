//! State that one drive carries from step to step.

use jiff::Timestamp;
use tokio::time::Instant;

use super::{DriveOutcome, ExportDriver, ProofAge};
use crate::export::budget::Budget;
use crate::export::entry::LedgerEntry;
use crate::export::fence::Fence;
use crate::export::intent::Intent;
use crate::export::ledger::{ChunkLedger, Claim, LedgerError};
use crate::export::receipt::VaultName;
use crate::export::slots::Turn;
use crate::export::transfer::chunk::Attempt;

/// One drive of a chunk, under its claim.
pub(super) struct Run<'a> {
    pub claim: &'a Claim,
    /// The entry as last written. Every step is decided on it.
    pub entry: LedgerEntry,
    pub proof: ProofAge,
    /// It was never claimed before: nothing of it can be in a vault.
    pub is_first: bool,
    /// The vault that an export tries first.
    pub vault: VaultName,
    pub began: Instant,
    /// A deletion at ACS that another holder began may still take effect until then.
    pub others_act_until: Option<Timestamp>,
    turns: Turns,
}

/// State in which a step left the drive.
pub(super) enum Step {
    /// The next step is decided again.
    Next,
    Done(Box<DriveOutcome>),
}

/// Whether the vault has the receipt of a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReceiptFile {
    /// It is written right before the entry.
    ToWrite,
    InVault,
}

struct Turns {
    budget: Budget,
    taken: u32,
    current: Option<Turn>,
}

impl<'a> Run<'a> {
    pub fn new(claim: &'a Claim, entry: LedgerEntry, turn: Turn) -> Self {
        let receipt = entry.state.receipt();
        let is_at_home = receipt.is_some_and(|receipt| receipt.vault() == VaultName::Home);
        let uses_backup_first = entry.uses_backup && entry.vault_failures > 0 && !is_at_home;
        Self {
            claim,
            proof: ProofAge::Earlier,
            is_first: entry.claims <= 1,
            others_act_until: entry
                .intent
                .as_ref()
                .filter(|intent| !intent.is_of(claim.token()))
                .map(Intent::acts_until),
            vault: if uses_backup_first {
                VaultName::Backup
            } else {
                VaultName::Home
            },
            began: Instant::now(),
            turns: Turns {
                budget: turn.budget(),
                taken: 1,
                current: Some(turn),
            },
            entry,
        }
    }

    pub fn budget(&self) -> Budget {
        self.turns.budget
    }

    /// An attempt in the current turn; `None` when the budget is spent.
    pub fn attempt(&self, ledger: &'a ChunkLedger, vault: VaultName) -> Option<Attempt<'_>> {
        let turn = self.turns.current.as_ref()?;
        Some(Attempt {
            entry: &self.entry,
            turn,
            is_first: self.is_first,
            vault,
            fence: Fence::new(ledger, self.claim),
        })
    }

    /// Starts another slice: the work of this one was lost.
    pub fn begin_turn_again(&self) {
        if let Some(turn) = &self.turns.current {
            turn.begin_again();
        }
    }

    /// Ends the turn before the work was done. The next one continues from what this one wrote to the ledger, such as
    /// the version of the staged blocks.
    pub fn end_turn(&mut self) {
        self.turns.current = None;
        if let Some(entry) = self.claim.entry() {
            self.entry = entry;
        }
    }
}

impl Step {
    pub fn done(outcome: DriveOutcome) -> Self {
        Self::Done(Box::new(outcome))
    }
}

impl ExportDriver {
    /// Lets other chunks have their export before this one has its deletion: only a copy is urgent. Small requests need no
    /// turn, so the deletion follows also where none came.
    pub(super) async fn let_exports_pass(&self, run: &mut Run<'_>) {
        let turns = &mut run.turns;
        let Some(turn) = turns.current.take() else {
            return;
        };
        let next = turn.let_exports_pass(turns.taken, run.entry.expires_at);
        turns.current = next.await;
    }

    /// Waits for a turn, unless one is running. `Some` when no time is left: the claim has been released.
    pub(super) async fn out_of_budget(
        &self,
        run: &mut Run<'_>,
    ) -> Result<Option<Step>, LedgerError> {
        let turns = &mut run.turns;
        if turns.current.is_none() {
            let waiting = self.slots.acquire(turns.taken, run.entry.expires_at);
            tokio::select! {
                biased;
                slot = waiting => {
                    turns.current = Some(Turn::new(slot, turns.budget));
                    turns.taken += 1;
                }
                () = turns.budget.spent() => {}
            }
        }
        if turns.current.is_some() && !turns.budget.is_spent() {
            return Ok(None);
        }
        self.release(run.claim).await?;
        Ok(Some(Step::done(DriveOutcome::OutOfBudget)))
    }
}
