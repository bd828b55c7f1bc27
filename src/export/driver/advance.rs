//! The steps of one drive, one after another. Each is decided on the entry as last written.

use super::backup::Exported;
use super::move_home::MovedHome;
use super::next_step::{NextStep, next_step};
use super::run::{Run, Step};
use super::{DriveOutcome, ExportDriver, ProofAge};
use crate::export::entry::LedgerEntry;
use crate::export::ledger::{Claim, LedgerError};
use crate::export::receipt::{ExportReceipt, VaultName};
use crate::export::slots::Turn;
use crate::export::state::ChunkState;

impl ExportDriver {
    pub(super) async fn advance(
        &self,
        claim: &Claim,
        entry: LedgerEntry,
        turn: Turn,
    ) -> Result<DriveOutcome, LedgerError> {
        let mut run = Run::new(claim, entry, turn);
        loop {
            let step = next_step(&run.entry, self.policy.deletion, self.clock.now());
            match Box::pin(self.take(&mut run, step)).await? {
                Step::Next => {}
                Step::Done(outcome) => return Ok(*outcome),
            }
        }
    }

    async fn take(&self, run: &mut Run<'_>, step: NextStep) -> Result<Step, LedgerError> {
        match step {
            NextStep::Export => self.export_step(run).await,
            NextStep::ExportFurther { number } => self.export_further(run, number).await,
            NextStep::MoveHome { receipt } => self.move_home_step(run, &receipt).await,
            NextStep::ClearBackup { receipt } => self.clear_backup(run, &receipt).await,
            NextStep::Catalogue => self.look_in_place(run).await,
            NextStep::ReplaceDamaged { receipt } => self.replace_damaged(run, &receipt).await,
            NextStep::DeleteSource { receipt } => {
                self.let_exports_pass(run).await;
                self.delete_source(run, receipt).await
            }
            NextStep::LeaveSource { receipt, objection } => {
                let reason = objection.to_string();
                let left = ChunkState::SourceLeft { receipt, reason };
                self.settle(run, left).await
            }
            NextStep::Wait { until } => {
                self.release(run.claim).await?;
                Ok(Step::done(match (run.proof, &run.entry.state) {
                    (ProofAge::ThisDrive, ChunkState::Exported { receipt }) => {
                        DriveOutcome::Exported {
                            receipt: receipt.clone(),
                        }
                    }
                    (ProofAge::ThisDrive | ProofAge::Earlier, _) => DriveOutcome::Waiting { until },
                }))
            }
            NextStep::Nothing => {
                self.release(run.claim).await?;
                Ok(Step::done(DriveOutcome::Settled {
                    state: run.entry.state.clone(),
                    proof: run.proof,
                }))
            }
        }
    }

    async fn export_step(&self, run: &mut Run<'_>) -> Result<Step, LedgerError> {
        if let Some(over) = self.out_of_budget(run).await? {
            return Ok(over);
        }
        let number = run.entry.chunk.file_number;
        self.leave_begun_import(run, number).await?;
        match self.export(run).await? {
            Exported::Proved { proved, receipt } => {
                self.settle_exported(run, *proved, receipt).await
            }
            // Another chunk's turn, or the end of the budget.
            Exported::OutOfTime { vault } => {
                run.end_turn();
                (run.is_first, run.vault) = (false, vault);
                Ok(Step::Next)
            }
            Exported::Failed(error) => self.settle_failed_export(run, error).await,
        }
    }

    async fn move_home_step(
        &self,
        run: &mut Run<'_>,
        receipt: &ExportReceipt,
    ) -> Result<Step, LedgerError> {
        if let Some(over) = self.out_of_budget(run).await? {
            return Ok(over);
        }
        // A move that was interrupted may have begun.
        run.is_first = false;
        let moved = match run.attempt(&self.ledger, VaultName::Home) {
            Some(attempt) => self.exporter.move_home(attempt, receipt).await,
            None => return Ok(Step::Next),
        };
        match moved {
            Ok(MovedHome::Proved(moved)) => {
                run.entry = self.settle_moved(run.claim, *moved).await?;
                Ok(Step::Next)
            }
            Ok(MovedHome::OutOfTime) => {
                run.end_turn();
                Ok(Step::Next)
            }
            Err(error) => self.settle_failed_move(run, receipt, error).await,
        }
    }
}
