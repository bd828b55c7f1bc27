//! `recording-vault report`: is anything missing of a day?

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::app::App;
use crate::control::report::{CompletenessReport, ReportError};

/// The report of a day (UTC), made now; of today unless another is given.
///
/// # Errors
/// When the ledger's storage cannot be read.
pub async fn run(app: &App, day: Option<Date>) -> Result<CompletenessReport, ReportError> {
    let time = day
        .and_then(|day| day.to_zoned(TimeZone::UTC).ok())
        .map(|day| day.timestamp());
    let time: Timestamp = time.unwrap_or_else(|| app.clock.now());
    app.control.report(&app.ledger, time).await
}
