//! `recording-vault report`: the completeness report of a day, made now.

use clap::Args;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use recording_vault::compose;
use recording_vault::config::Config;

use super::exit::Exit;
use super::output::Output;

/// The arguments of `report`.
#[derive(Args)]
pub struct Report {
    /// The day, UTC, such as 2026-03-02; today by default
    #[arg(long)]
    day: Option<Date>,
}

impl Report {
    /// # Errors
    /// When the ledger's storage cannot be read.
    pub async fn run(self, config: Config, output: Output) -> anyhow::Result<Exit> {
        let app = compose::app(config)?;
        let day = self.day.and_then(|day| day.to_zoned(TimeZone::UTC).ok());
        let time = day.map_or_else(|| app.clock.now(), |day| day.timestamp());
        let report = app.control.report(&app.ledger, time).await?;
        output.report(&report)?;
        Ok(Exit::fine_if(report.incomplete == 0))
    }
}
