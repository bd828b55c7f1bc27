//! Time stamps of checkpoints: which authorities are trusted, and what a stamp proves.
//!
//! The first sweep of a day stamps the newest checkpoint. So a stamp's time, the day in its name and the checkpoint's own time
//! belong together, and each day with a checkpoint has a stamp since the first one.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::Context as _;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use recording_vault::app::App;
use recording_vault::error_chain::ErrorChain;
use recording_vault::store::audit::{AuditReport, CheckpointRef, CheckpointStamp};
use serde::Serialize;
use timestamp_token::TrustAnchors;

/// How far a stamp's time may be from what it belongs to.
const BELONGS_WITHIN: SignedDuration = SignedDuration::from_hours(48);
/// Days without a stamp that are named; the others are counted.
const DAYS_NAMED: usize = 5;

/// The outcome for all stamps.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StampsReport {
    /// Stamps that are valid.
    pub hold: u64,
    /// Stamps that were not checked, because no authority is trusted.
    pub not_checked: u64,
    /// The newest checkpoint with a valid stamp.
    pub newest: Option<StampedCheckpoint>,
    #[serde(skip)]
    pub problems: Vec<String>,
    /// What could not be checked, and why.
    #[serde(skip)]
    pub unchecked: Vec<String>,
}

/// A checkpoint that existed at a time, as an authority says.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct StampedCheckpoint {
    pub checkpoint: CheckpointRef,
    pub at: Timestamp,
}

/// Reads the certificates that are trusted.
///
/// # Errors
/// When the file is not readable, or has no certificate.
pub fn trusted(file: Option<PathBuf>) -> anyhow::Result<Option<TrustAnchors>> {
    let Some(file) = file else { return Ok(None) };
    let pem = std::fs::read(&file).with_context(|| format!("could not read {}", file.display()))?;
    let anchors = TrustAnchors::from_pem(&pem);
    Ok(Some(
        anchors.with_context(|| format!("{}", file.display()))?,
    ))
}

/// Checks all stamps, and that none is missing.
///
/// # Errors
/// When the ledger cannot be listed.
pub async fn check(
    app: &App,
    trusted: Option<&TrustAnchors>,
    log: &AuditReport,
) -> anyhow::Result<StampsReport> {
    let mut report = StampsReport::default();
    let (stamps, unread) = app.ledger.audit().stamps().await?;
    let unread = unread.iter();
    report.unchecked.extend(unread.map(|error| {
        let reason = ErrorChain(error);
        format!("a timestamp could not be read: {reason}")
    }));
    let days: BTreeSet<Date> = stamps.iter().filter_map(|stamp| stamp.day).collect();
    let mut stamped = BTreeSet::new();
    for stamp in stamps {
        let Some(trusted) = trusted else {
            report.not_checked += 1;
            continue;
        };
        match checked(app, &stamp, trusted).await {
            StampCheck::Holds(found) => {
                report.hold += 1;
                let is_first = stamped.insert(found.stamped.checkpoint.number);
                report.unchecked.extend(found.doubt.filter(|_| is_first));
                let number = |stamped: &StampedCheckpoint| stamped.checkpoint.number;
                if report.newest.as_ref().map(number) <= Some(number(&found.stamped)) {
                    report.newest = Some(found.stamped);
                }
            }
            StampCheck::Broken { reason } => {
                let name = &stamp.name;
                report
                    .problems
                    .push(format!("the timestamp `{name}` is not valid: {reason}"));
            }
            StampCheck::NotChecked { reason } => {
                let name = &stamp.name;
                report
                    .unchecked
                    .push(format!("the timestamp `{name}`: {reason}"));
            }
        }
    }
    if report.not_checked > 0 {
        report.unchecked.push(format!(
            "{} timestamps, because neither TIMESTAMP_CA nor --timestamp-ca is set",
            report.not_checked
        ));
    }
    let asks_for_stamps = app.timestamps.is_some() || trusted.is_some();
    let today = app.clock.now().to_zoned(TimeZone::UTC).date();
    report
        .unchecked
        .extend(missing_days(&days, log, asks_for_stamps.then_some(today)));
    Ok(report)
}

/// Days with checkpoints and no stamp: since the first stamp, or, where stamps are asked for and there is none, all before
/// today.
fn missing_days(
    stamped: &BTreeSet<Date>,
    log: &AuditReport,
    asked_for_today: Option<Date>,
) -> Option<String> {
    let days = &log.checkpoint_days;
    let Some(first) = stamped.first() else {
        let today = asked_for_today?;
        return days.first().filter(|first| **first < today).map(|first| {
            format!("when checkpoints since {first} existed: there is no timestamp, although TIMESTAMP_URL or a trusted authority is set")
        });
    };
    let missing: Vec<&Date> = days
        .range(*first..)
        .filter(|day| !stamped.contains(day))
        .collect();
    if missing.is_empty() {
        return None;
    }
    let named: Vec<String> = missing
        .iter()
        .take(DAYS_NAMED)
        .map(ToString::to_string)
        .collect();
    let more = match missing.len().saturating_sub(DAYS_NAMED) {
        0 => String::new(),
        more => format!(" and {more} more days"),
    };
    Some(format!(
        "when checkpoints of {}{more} existed: there is no timestamp of these days; the authority did not answer, or timestamps were removed",
        named.join(", ")
    ))
}

enum StampCheck {
    Holds(HoldingStamp),
    Broken { reason: String },
    NotChecked { reason: String },
}

/// A stamp that is valid.
struct HoldingStamp {
    stamped: StampedCheckpoint,
    /// Why it proves less than others.
    doubt: Option<String>,
}

async fn checked(app: &App, stamp: &CheckpointStamp, trusted: &TrustAnchors) -> StampCheck {
    match try_check(app, stamp, trusted).await {
        Ok(check) => check,
        Err(error) => StampCheck::NotChecked {
            reason: format!("{error:#}"),
        },
    }
}

async fn try_check(
    app: &App,
    stamp: &CheckpointStamp,
    trusted: &TrustAnchors,
) -> anyhow::Result<StampCheck> {
    let broken = |reason: String| Ok(StampCheck::Broken { reason });
    let audit = app.ledger.audit();
    let (Some(number), Some(day)) = (stamp.number, stamp.day) else {
        return broken("its name has no day and checkpoint".to_owned());
    };
    let Some((checkpoint, written_at)) = audit.find_checkpoint(number).await? else {
        return broken(format!("checkpoint {number} is missing"));
    };
    let sha256 = checkpoint.sha256.to_bytes();
    let since_1970 = match timestamp_token::verify(&stamp.token, sha256, trusted) {
        Ok(since_1970) => since_1970,
        Err(error) => return broken(error.to_string()),
    };
    let at = SignedDuration::try_from(since_1970)
        .ok()
        .and_then(|since| Timestamp::UNIX_EPOCH.checked_add(since).ok());
    let Some(at) = at else {
        return broken("its time is none".to_owned());
    };
    let next = audit.find_checkpoint(number.saturating_add(1)).await?;
    let times = StampTimes {
        at,
        day,
        written_at,
        next_written_at: next.and_then(|(_, at)| at),
    };
    Ok(match times.check() {
        Err(reason) => StampCheck::Broken { reason },
        Ok(doubt) => StampCheck::Holds(HoldingStamp {
            stamped: StampedCheckpoint { checkpoint, at },
            doubt: doubt.map(|doubt| format!("the timestamp `{}`: {doubt}", stamp.name)),
        }),
    })
}

/// The times that belong to a stamp.
struct StampTimes {
    /// When the authority made it.
    at: Timestamp,
    /// The day in its name.
    day: Date,
    /// When the checkpoint was written, by its own account.
    written_at: Option<Timestamp>,
    /// When the next checkpoint was written, which was not there yet.
    next_written_at: Option<Timestamp>,
}

impl StampTimes {
    /// What is wrong, or what the stamp does not prove.
    fn check(&self) -> Result<Option<String>, String> {
        let at = self.at;
        let is_near = |time: Timestamp| at.duration_since(time).abs() <= BELONGS_WITHIN;
        let of_day = self.day.to_zoned(TimeZone::UTC).map(|day| day.timestamp());
        if !of_day.is_ok_and(is_near) {
            return Err(format!(
                "it was made at {at}, and its name says {}",
                self.day
            ));
        }
        let Some(written_at) = self.written_at else {
            return Ok(None);
        };
        if is_near(written_at) {
            return Ok(None);
        }
        if at < written_at {
            return Err(format!(
                "it was made at {at}, and its checkpoint says that it was written later, at {written_at}"
            ));
        }
        // A ledger in which nothing happens has its newest checkpoint stamped each day.
        match self.next_written_at {
            Some(next) if !is_near(next) && next < at => Err(format!(
                "it was made at {at}, and the checkpoint after it says that it was written before, at {next}"
            )),
            Some(_) => Ok(None),
            None => Ok(Some(format!(
                "it was made at {at}, long after its checkpoint ({written_at}); it does not prove that the log is older"
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn times(made: &str, day: &str, written: &str, next: Option<&str>) -> StampTimes {
        StampTimes {
            at: at(made),
            day: day.parse().unwrap(),
            written_at: Some(at(written)),
            next_written_at: next.map(at),
        }
    }

    #[test]
    fn a_stamp_of_another_time_than_its_day_and_its_checkpoint_is_not_valid() {
        let (made, day) = ("2026-03-03T00:01:00Z", "2026-03-03");
        let fine = times(
            made,
            day,
            "2026-03-02T23:59:00Z",
            Some("2026-03-03T00:02:00Z"),
        );
        assert_eq!(fine.check(), Ok(None));
        let renamed = times(made, "2026-02-03", "2026-02-02T23:59:00Z", None);
        assert!(renamed.check().is_err(), "the day in its name");
        let before = times(made, day, "2026-03-20T00:00:00Z", None);
        assert!(before.check().is_err(), "older than its checkpoint");
        let late = times(
            made,
            day,
            "2026-02-02T23:59:00Z",
            Some("2026-02-03T00:00:00Z"),
        );
        assert!(late.check().is_err(), "made for a log that was rewritten");
    }

    #[test]
    fn the_first_stamp_after_a_quiet_time_holds_and_proves_only_its_own_time() {
        let (made, day) = ("2026-03-03T00:01:00Z", "2026-03-03");
        let quiet = times(
            made,
            day,
            "2026-02-02T23:59:00Z",
            Some("2026-03-03T09:00:00Z"),
        );
        assert_eq!(quiet.check(), Ok(None));
        let newest = times(made, day, "2026-02-02T23:59:00Z", None);
        assert!(matches!(newest.check(), Ok(Some(_))));
    }

    #[test]
    fn days_with_checkpoints_and_without_a_stamp_are_named_since_the_first_stamp() {
        let date = |text: &str| text.parse::<Date>().unwrap();
        let log = AuditReport {
            checkpoint_days: (1..=9).map(|day| Date::constant(2026, 3, day)).collect(),
            ..AuditReport::default()
        };
        let none = BTreeSet::new();
        assert_eq!(missing_days(&none, &log, None), None);
        let today = date("2026-03-09");
        assert!(missing_days(&none, &log, Some(today)).is_some());
        assert_eq!(missing_days(&none, &log, Some(date("2026-03-01"))), None);
        let stamped = (3..=9).map(|day| Date::constant(2026, 3, day)).collect();
        assert_eq!(missing_days(&stamped, &log, Some(today)), None);
        let stamped = BTreeSet::from([date("2026-03-03"), date("2026-03-09")]);
        let missing = missing_days(&stamped, &log, None).unwrap();
        assert!(missing.contains("2026-03-04, 2026-03-05"), "{missing}");
        assert!(!missing.contains("2026-03-09"), "{missing}");
    }
}
