//! `recording-vault report`: the completeness report of a day, made now.

use clap::Args;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use recording_vault::catalogue::report::DayOutcome;
use recording_vault::config::Config;

use super::argument;
use super::existing;
use super::exit::Exit;
use super::output::{NoReport, Output};

/// The arguments of `report`.
#[derive(Args)]
pub struct Report {
    /// The day, UTC, such as 2026-03-02; today by default
    #[arg(long, value_parser = argument::date)]
    day: Option<Date>,
}

impl Report {
    /// # Errors
    /// When there is no vault, or the ledger's storage cannot be read.
    pub async fn run(self, config: Config, output: Output) -> anyhow::Result<Exit> {
        let app = existing::open(config).await?;
        let today = app.clock.now().to_zoned(TimeZone::UTC).date();
        let day = self.day.unwrap_or(today);
        if day > today {
            let none = format!("No data of {day}: the day has not begun.");
            return Ok(output.decline(NoReport::NoData, none)?);
        }
        let report = app.catalogue.report(day).await?;
        output.report(&report)?;
        Ok(Exit::fine_if(report.outcome() == DayOutcome::Complete))
    }
}
