//! `recording-vault status`: whether everything is safe, and what is not known.

use std::time::Duration;

use clap::Args;
use recording_vault::catalogue::check::{CheckStart, SliceOutcome};
use recording_vault::compose;
use recording_vault::config::Config;
use recording_vault::export::Budget;
use recording_vault::standing::verdict::VerdictKind;

use super::exit::Exit;
use super::output::Output;

/// One slice of a check that an operator waits for: shorter than the time between two sweeps, which store slices too.
const SLICE: Duration = Duration::from_secs(20);

/// The arguments of `status`.
#[derive(Args)]
pub struct Status {
    /// Make a complete check first: read every recording, and list the whole vault
    #[arg(long)]
    check: bool,
}

impl Status {
    /// # Errors
    /// When the ledger or the vault cannot be read.
    pub async fn run(self, config: Config, output: Output) -> anyhow::Result<Exit> {
        let app = compose::app(config)?;
        let mut summary = app.catalogue.summary().await?;
        let is_used = summary.verdict.kind != VerdictKind::NoData;
        if self.check && is_used {
            let asked_at = app.clock.now();
            let start = CheckStart::Now { asked_at };
            while matches!(
                app.catalogue.check(start, Budget::of(SLICE)).await?,
                SliceOutcome::Unfinished | SliceOutcome::Superseded
            ) {}
            summary = app.catalogue.summary().await?;
        }
        output.report(&summary.verdict)?;
        Ok(match summary.verdict.kind {
            VerdictKind::Safe | VerdictKind::UnderWay => Exit::Fine,
            VerdictKind::NoData => Exit::NotDone,
            VerdictKind::Attention | VerdictKind::Unknown => Exit::NeedsAttention,
        })
    }
}
