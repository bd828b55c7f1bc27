//! `recording-vault report`: the completeness report of a day, made now.

use clap::Args;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use recording_vault::catalogue::report::DayCoverage;
use recording_vault::config::Config;

use super::argument;
use super::existing;
use super::exit::Exit;
use super::output::{Output, complain};

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
        if let Some(why) = no_data(app.catalogue.coverage(day).await?) {
            complain(&format!("No data of {day}: {why}.\n"));
            return Ok(Exit::NeedsAttention);
        }
        let report = app.catalogue.report(day).await?;
        if report.recordings.is_empty() {
            complain(&format!("No data of {day}: no recording began on it.\n"));
            return Ok(Exit::NeedsAttention);
        }
        output.report(&report)?;
        Ok(Exit::fine_if(report.incomplete == 0))
    }
}

/// Why there is no report of a day.
pub fn no_data(coverage: DayCoverage) -> Option<String> {
    match coverage {
        DayCoverage::Covered => None,
        DayCoverage::Future => Some("the day has not begun".to_owned()),
        DayCoverage::BeforeFirst(first) => Some(format!("the first recording is of {first}")),
        DayCoverage::NoRecordings => Some("there is no recording at all".to_owned()),
    }
}
