//! Whether the app runs by itself: is no function disabled, does the sweep run, do events arrive?

use jiff::{SignedDuration, Timestamp};
use timer_schedule::Schedule;

use super::limits::SETTING;
use super::{Check, Outcome, advice, within};
use crate::cli::shell_user;
use recording_vault::app::App;
use recording_vault::catalogue::CatalogueError;
use recording_vault::catalogue::list::ListFilter;
use recording_vault::catalogue::not_searched::NotSearched;
use recording_vault::catalogue::row::Row;
use recording_vault::counted::counted;
use recording_vault::error_chain::ErrorChain;
use recording_vault::export::ledger::{LastSweep, TimerState};
use recording_vault::standing::Standing;
use recording_vault::standing::verdict::is_ahead;

const SWEEP: &str = "last sweep";
const EVENTS: &str = "events";
/// A sweep may take `SWEEP_BUDGET`, and the host may be a little late.
const LATE_AFTER: SignedDuration = SignedDuration::from_mins(10);
/// What to do about a ledger that could not be read.
const AGAIN: &str =
    "run it again; if it fails again, `recording-vault status` names what is not readable";
/// What to do about the note of the last sweep.
const NOTE_AGAIN: &str = "run it again after the next sweep, which replaces a note that is not readable; if it fails again, look at the app's log";
/// What to do about a timer that does not fire.
const TIMER: &str = "check that the app runs, that ExportSweep is not disabled (`az functionapp function list --name <app> --resource-group <group>`), and the app's log";
/// Recordings that are searched for the last event.
const LOOKED_AT: usize = 20;

/// The functions that the app settings disable: the host reads these settings.
pub(super) fn disabled(variables: &[(String, String)]) -> Option<Check> {
    let of = |(name, value): &(String, String)| {
        let function = name
            .strip_prefix("AzureWebJobs.")?
            .strip_suffix(".Disabled")?;
        let is_disabled = ["true", "1"]
            .iter()
            .any(|on| value.trim().eq_ignore_ascii_case(on));
        is_disabled.then(|| function.to_owned())
    };
    let functions: Vec<String> = variables.iter().filter_map(of).collect();
    let first = functions.first()?;
    Some(Check::failed(
        "disabled functions",
        format!("the settings disable {}", functions.join(", ")),
        format!(
            "enable them: `az functionapp config appsettings delete --name <app> --resource-group <group> --setting-names AzureWebJobs.{first}.Disabled`"
        ),
    ))
}

/// How long ago the last sweep ended, and whether the next one of the timer is overdue.
pub(super) async fn last_sweep(app: &App, variables: &[(String, String)]) -> Check {
    let schedule = variables.iter().find(|(name, _)| name == SETTING);
    let schedule = schedule.and_then(|(_, text)| text.parse().ok());
    within(SWEEP, async {
        match app.ledger.readable_last_sweep().await {
            Ok(Some(sweep)) => {
                let check = of_sweep(&sweep, schedule.as_ref(), app.clock.now());
                match sweep
                    .audit_uncovered
                    .filter(|_| check.result != Outcome::Failed)
                {
                    Some(reason) => uncovered(&check.says, &reason),
                    None => check,
                }
            }
            Ok(None) => Check::not_checked(SWEEP, "no sweep has run on this ledger yet"),
            Err(error) => Check::failed(SWEEP, ErrorChain(&error).to_string(), NOTE_AGAIN),
        }
    })
    .await
}

/// A sweep that ran and left records of the audit log without a checkpoint.
fn uncovered(says: &str, reason: &str) -> Check {
    Check::failed(
        SWEEP,
        format!("{says}; no checkpoint covers the newest records of the audit log: {reason}"),
        "make what the reason names readable in the ledger's storage, or restore what is missing; the next sweep writes the checkpoint, and `recording-vault audit verify` checks the log",
    )
}

/// `schedule`: that of the timer, if it is known.
fn of_sweep(sweep: &LastSweep, schedule: Option<&Schedule>, now: Timestamp) -> Check {
    let at = sweep.at;
    if is_ahead(at, now) {
        let says = format!(
            "it ended at {at:.0}, which is in the future: when a sweep really ended is not known"
        );
        return Check::failed(SWEEP, says, advice::clock());
    }
    let says = format!("it ended {}", since(at, now));
    let is_overdue =
        |last| next(schedule, last).is_some_and(|next| now.duration_since(next) > LATE_AFTER);
    match sweep.timer_state(SignedDuration::ZERO) {
        TimerState::Fires | TimerState::Unknown if is_overdue(at) => {
            Check::failed(SWEEP, format!("{says}; the next one is overdue"), TIMER)
        }
        TimerState::Fires => Check::fine(SWEEP, says),
        TimerState::Unknown => Check::not_checked(
            SWEEP,
            format!(
                "{says}; an earlier version of the app noted it, which does not say whether the timer triggered it"
            ),
        ),
        TimerState::Late { last: None } => Check::failed(
            SWEEP,
            format!("{says}, and a request ran it; none that the timer triggered is known"),
            TIMER,
        ),
        TimerState::Late { last: Some(last) } => {
            let says = format!(
                "{says}, and a request ran it; the last one that the timer triggered ended {}",
                since(last, now)
            );
            if is_overdue(last) {
                Check::failed(SWEEP, format!("{says}: the next one is overdue"), TIMER)
            } else {
                // It may still run.
                Check::fine(SWEEP, format!("{says}, and the next one is not overdue"))
            }
        }
    }
}

/// When the timer fires after a sweep; `None`: never. An unknown schedule is taken for a frequent one.
fn next(schedule: Option<&Schedule>, last: Timestamp) -> Option<Timestamp> {
    schedule.map_or(Some(last), |schedule| schedule.next(last))
}

/// `5 s ago, at 2026-03-02T10:00:10Z`
fn since(at: Timestamp, now: Timestamp) -> String {
    format!("{} ago, at {at:.0}", readable(now.duration_since(at)))
}

fn readable(age: SignedDuration) -> String {
    let seconds = age.as_secs().max(0);
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// Whether events announce the files of the newest recordings. The subscription itself is not visible from here.
pub(super) async fn events(app: &App) -> Check {
    within(EVENTS, async {
        match Box::pin(newest(app)).await {
            Ok(newest) => of_events(&newest),
            Err(error) => Check::failed(EVENTS, ErrorChain(&error).to_string(), AGAIN),
        }
    })
    .await
}

/// What is known of the files of a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Files {
    /// An event announced one at least.
    Announced { began: Option<Timestamp> },
    /// Imports recorded all that there are: no event announced them.
    Imported,
    /// No event announced any, and the time for it has passed.
    Overdue,
    /// There are none yet, and the time for it has not passed.
    NotDue,
    /// They cannot be read.
    Unknown,
}

/// The newest recordings, down to the first of which an event announced files. Those that no row shows come first.
async fn newest(app: &App) -> Result<Vec<Files>, CatalogueError> {
    // One recording in a page: what its page did not search is newer than the recording.
    let mut filter = ListFilter {
        top: 1,
        ..ListFilter::default()
    };
    let operator = shell_user::operator();
    let (mut shown, mut not_searched) = (Vec::new(), NotSearched::default());
    for _ in 0..LOOKED_AT {
        let page = app.catalogue.list(&filter, &operator).await?;
        not_searched.merge(page.not_searched.unwrap_or_default());
        for row in &page.recordings {
            shown.push(files(app, row).await?);
        }
        // A continuation that was just issued can be read.
        filter.after = page.continuation.and_then(|place| place.parse().ok());
        let is_announced = shown.last().is_some_and(Files::is_announced);
        if is_announced || filter.after.is_none() {
            break;
        }
    }
    let mut newest = vec![Files::Unknown; count(&not_searched)];
    newest.append(&mut shown);
    Ok(newest)
}

/// How many recordings no row shows, at least.
fn count(not_searched: &NotSearched) -> usize {
    if not_searched.is_nothing() {
        0
    } else {
        not_searched.unreadable.max(1)
    }
}

impl Files {
    fn is_announced(&self) -> bool {
        match self {
            Self::Announced { .. } => true,
            Self::Imported | Self::Overdue | Self::NotDue | Self::Unknown => false,
        }
    }
}

async fn files(app: &App, row: &Row) -> Result<Files, CatalogueError> {
    if row.chunks == 0 {
        return Ok(without_files(row.status));
    }
    let Ok(id) = row.recording_id.parse() else {
        return Ok(Files::Unknown);
    };
    let Some(recorded) = app.catalogue.find(&id).await? else {
        return Ok(Files::Unknown);
    };
    let began = row.started_at;
    let is_announced = recorded.entries().any(|entry| !entry.recorded_for_import);
    Ok(if is_announced {
        Files::Announced { began }
    } else if recorded.entries().count() < row.chunks {
        Files::Unknown
    } else {
        Files::Imported
    })
}

fn without_files(standing: Standing) -> Files {
    match standing {
        Standing::Missing | Standing::Lost => Files::Overdue,
        Standing::Unknown => Files::Unknown,
        Standing::Failed
        | Standing::AtRisk
        | Standing::Incomplete
        | Standing::Doubtful
        | Standing::BackupOnly
        | Standing::Active
        | Standing::Paused
        | Standing::AwaitingFiles
        | Standing::Exporting
        | Standing::Waiting
        | Standing::Acknowledged
        | Standing::Verified
        | Standing::InPlace
        | Standing::Erased
        | Standing::Removed => Files::NotDue,
    }
}

/// `newest` first. A file of an older recording says nothing of a subscription that was removed since.
fn of_events(newest: &[Files]) -> Check {
    let ask = "`az eventgrid system-topic event-subscription list --resource-group <group> --system-topic-name <topic>` lists the subscriptions; one for Microsoft.Communication.RecordingFileStatusUpdated must lead to this app";
    let overdue = newest.iter().filter(|files| **files == Files::Overdue);
    let overdue = overdue.count();
    let announced = newest.iter().find_map(|files| match files {
        Files::Announced { began } => Some(*began),
        Files::Imported | Files::Overdue | Files::NotDue | Files::Unknown => None,
    });
    let newer = newest.iter().take_while(|files| !files.is_announced());
    let unknown = newer.filter(|files| **files == Files::Unknown).count();
    if overdue > 0 {
        let recordings = counted(overdue, "recording", "recordings");
        let since = if announced.is_some() {
            ", all newer than the newest recording with files"
        } else {
            ""
        };
        let says = format!("no event announced the files of {recordings} in time{since}");
        return Check::failed(EVENTS, says, ask);
    }
    if let Some(began) = announced {
        let began = began.map_or_else(|| "an unknown time".to_owned(), |at| format!("{at:.0}"));
        let says = format!("files were announced of the recording that began at {began}");
        if unknown > 0 {
            let recordings = counted(unknown, "newer recording", "newer recordings");
            let says = format!(
                "{says}; the files of {recordings} are unknown or cannot be read, so one may be overdue: `recording-vault status` names what is not readable"
            );
            return Check::not_checked(EVENTS, says);
        }
        return Check::fine(EVENTS, format!("{says}; none of a newer one is overdue"));
    }
    let why = if newest.contains(&Files::Unknown) {
        "the files of the newest recordings cannot be read"
    } else if newest.contains(&Files::Imported) {
        "the only files of the newest recordings were imported"
    } else {
        "none has arrived yet, and none is overdue"
    };
    Check::not_checked(
        EVENTS,
        format!("{why}, so it is unknown whether there is a subscription: {ask}"),
    )
}

#[cfg(test)]
mod tests {
    use recording_vault::export::ledger::TimerSweep;

    use super::*;

    const ANNOUNCED: Files = Files::Announced {
        began: Some(Timestamp::constant(1_772_355_600, 0)),
    };

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    /// A sweep that ended at 10:00:10 after 5 s.
    fn swept(timer: TimerSweep) -> LastSweep {
        LastSweep {
            at: at("2026-03-02T10:00:10Z"),
            duration_ms: 5000,
            timer,
            audit_checkpoint: None,
            audit_uncovered: None,
            audit_stamp: None,
        }
    }

    fn by_timer() -> LastSweep {
        swept(TimerSweep::EndedAt(at("2026-03-02T10:00:10Z")))
    }

    fn schedule(text: Option<&str>) -> Option<Schedule> {
        text.map(|text| text.parse().unwrap())
    }

    #[rstest::rstest]
    #[case::on_time("2026-03-02T10:00:30Z", Some("0 * * * * *"), Outcome::Fine)]
    #[case::late("2026-03-02T10:20:00Z", Some("0 * * * * *"), Outcome::Failed)]
    #[case::hourly("2026-03-02T10:50:00Z", Some("0 0 * * * *"), Outcome::Fine)]
    #[case::unknown_schedule("2026-03-02T10:50:00Z", None, Outcome::Failed)]
    fn a_sweep_is_overdue_by_its_schedule(
        #[case] now: &str,
        #[case] text: Option<&str>,
        #[case] expected: Outcome,
    ) {
        let check = of_sweep(&by_timer(), schedule(text).as_ref(), at(now));
        assert_eq!(check.result, expected, "{}", check.says);
    }

    #[rstest::rstest]
    #[case::long_ago("2026-03-02T09:20:00Z", Some("0 * * * * *"), Outcome::Failed)]
    #[case::may_still_run("2026-03-02T09:54:00Z", Some("0 * * * * *"), Outcome::Fine)]
    #[case::minutes_ago("2026-03-02T09:48:00Z", Some("0 * * * * *"), Outcome::Failed)]
    #[case::unknown_schedule("2026-03-02T09:48:00Z", None, Outcome::Failed)]
    #[case::hourly_and_due("2026-03-02T08:00:10Z", Some("0 0 * * * *"), Outcome::Failed)]
    #[case::hourly_and_not_due("2026-03-02T09:40:00Z", Some("0 30 * * * *"), Outcome::Fine)]
    fn a_sweep_behind_a_request_does_not_hide_that_the_timer_is_overdue(
        #[case] last_by_timer: &str,
        #[case] text: Option<&str>,
        #[case] expected: Outcome,
    ) {
        let sweep = swept(TimerSweep::EndedAt(at(last_by_timer)));
        let now = at("2026-03-02T10:00:15Z");
        let check = of_sweep(&sweep, schedule(text).as_ref(), now);
        assert_eq!(check.result, expected, "{}", check.says);
        assert!(
            check.says.starts_with("it ended 5 s ago, at 2026-03-02T10:00:10Z, and a request ran it; the last one that the timer triggered ended "),
            "{}",
            check.says
        );
    }

    #[rstest::rstest]
    #[case::none_of_the_timer(TimerSweep::Unseen, "2026-03-02T10:00:15Z", Outcome::Failed)]
    #[case::of_an_earlier_version(
        TimerSweep::NotNoted,
        "2026-03-02T10:00:15Z",
        Outcome::NotChecked
    )]
    #[case::of_an_earlier_version_long_ago(
        TimerSweep::NotNoted,
        "2026-03-02T10:20:00Z",
        Outcome::Failed
    )]
    fn a_timer_that_is_not_known_to_fire_is_not_called_fine(
        #[case] timer: TimerSweep,
        #[case] now: &str,
        #[case] expected: Outcome,
    ) {
        let each_minute = schedule(Some("0 * * * * *"));
        let check = of_sweep(&swept(timer), each_minute.as_ref(), at(now));
        assert_eq!(check.result, expected, "{}", check.says);
    }

    #[test]
    fn a_sweep_that_ended_in_the_future_is_not_called_fine() {
        let sweep = |now: &str| of_sweep(&by_timer(), None, at(now));
        assert_eq!(sweep("2026-03-02T09:58:00Z").result, Outcome::Fine);
        let check = sweep("2026-03-02T09:50:00Z");
        assert_eq!(check.result, Outcome::Failed);
        assert!(check.says.contains("in the future"), "{}", check.says);
    }

    #[rstest::rstest]
    #[case::announced(&[ANNOUNCED], Outcome::Fine, "began at 2026-03-01T09:00:00Z")]
    #[case::running(&[Files::NotDue, ANNOUNCED], Outcome::Fine, "none of a newer one is overdue")]
    #[case::subscription_removed(&[Files::Overdue, Files::NotDue, Files::Overdue, ANNOUNCED], Outcome::Failed, "the files of 2 recordings in time, all newer")]
    #[case::import_since(&[Files::Imported, Files::Overdue], Outcome::Failed, "1 recording in time")]
    #[case::imports_only(&[Files::NotDue, Files::Imported], Outcome::NotChecked, "were imported")]
    #[case::unreadable(&[Files::Imported, Files::Unknown], Outcome::NotChecked, "cannot be read")]
    #[case::newer_unreadable(&[Files::Unknown, ANNOUNCED], Outcome::NotChecked, "the files of 1 newer recording are unknown or cannot be read")]
    #[case::older_unreadable(&[ANNOUNCED, Files::Unknown], Outcome::Fine, "none of a newer one is overdue")]
    #[case::overdue_beside_unreadable(&[Files::Unknown, Files::Overdue, ANNOUNCED], Outcome::Failed, "1 recording in time")]
    #[case::first_call(&[Files::NotDue], Outcome::NotChecked, "none is overdue")]
    #[case::new(&[], Outcome::NotChecked, "none has arrived")]
    fn files_of_an_old_recording_do_not_hide_that_newer_ones_are_overdue(
        #[case] newest: &[Files],
        #[case] result: Outcome,
        #[case] says: &str,
    ) {
        let check = of_events(newest);
        assert_eq!(check.result, result, "{}", check.says);
        assert!(check.says.contains(says), "{}", check.says);
    }

    #[test]
    fn a_sweep_that_left_records_without_a_checkpoint_has_failed() {
        let check = uncovered("it ended 10 s ago", "log 1 cannot be read");
        assert_eq!(check.result, Outcome::Failed);
        assert!(
            check.says.contains("log 1 cannot be read"),
            "{}",
            check.says
        );
    }

    #[test]
    fn functions_that_settings_disable_are_named() {
        let of = |name: &str, value: &str| disabled(&[(name.to_owned(), value.to_owned())]);
        let check = of("AzureWebJobs.ExportSweep.Disabled", "true").unwrap();
        assert_eq!(check.result, Outcome::Failed);
        assert_eq!(check.says, "the settings disable ExportSweep");
        assert!(of("AzureWebJobs.ExportSweep.Disabled", "1").is_some());
        assert!(of("AzureWebJobs.ExportSweep.Disabled", "false").is_none());
        assert!(of("AzureWebJobsStorage", "true").is_none());
    }
}
