//! `recording-vault audit verify`: checks the chains, compares entries and receipts with them, and says up to when the result
//! holds.

mod report;

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use recording_vault::app::App;
use recording_vault::error_chain::ErrorChain;
use recording_vault::store::audit::{AuditReport, CheckpointRef};
use timestamp_token::TrustAnchors;

use self::report::{FoundAnchor, VerifyReport};
use super::comparison::compare;
use super::findings::{Anchor, Comparison, FirstRecorded, LostAnchor};
use super::logged::Logged;
use super::read_log::ReadLog;
use super::stamps::{self, StampsReport};
use crate::cli::existing::{self, Traces};
use crate::cli::exit::Exit;
use crate::cli::output::{NoReport, Output};

/// A vault that began within this time need not have an anchor or a timestamp yet.
const FIRST_DAY: SignedDuration = SignedDuration::from_hours(24);
/// The timer sweeps each minute, so a checkpoint has a record within minutes.
const COVERED_WITHIN: SignedDuration = SignedDuration::from_hours(1);

/// # Errors
/// When the ledger cannot be listed.
pub async fn run(
    app: &App,
    noted: Option<CheckpointRef>,
    trusted: Option<&TrustAnchors>,
    output: Output,
) -> anyhow::Result<Exit> {
    let report = verify(app, noted, trusted).await?;
    if report.is_empty() {
        let none = "there is no audit log here, and nothing that one would cover";
        return Ok(output.decline(NoReport::NothingHere, none)?);
    }
    output.report(&report)?;
    Ok(if !report.log.problems.is_empty() {
        Exit::NeedsAttention
    } else if report.not_checked.is_empty() {
        Exit::Fine
    } else {
        Exit::NotDone
    })
}

async fn verify(
    app: &App,
    noted: Option<CheckpointRef>,
    trusted: Option<&TrustAnchors>,
) -> anyhow::Result<VerifyReport> {
    let mut logged = Logged::default();
    logged.accounts.begin(app.clock.now());
    let mut log = app
        .ledger
        .audit()
        .verify_each(|document, record| logged.add(document, &record))
        .await?;
    logged.read = ReadLog::of(&mut log);
    let Comparison {
        entries,
        receipts,
        problems,
        not_checked,
        mut anchors,
        lost_anchors,
        earliest,
        known,
        ..
    } = compare(app, logged).await?;
    let traces = existing::traces(app).await?;
    if log.has_no_chain()
        && let Some(beside) = beside(&traces, entries, receipts)
    {
        log.problems
            .push(format!("there is no audit log beside {beside}"));
    }
    log.problems.extend(problems);
    log.not_checked.extend(not_checked);
    let mut stamps = stamps::check(app, trusted, &log).await?;
    log.problems.append(&mut stamps.problems);
    log.not_checked.append(&mut stamps.unchecked);
    let lost_until = check_lost(app, lost_anchors, &mut anchors, &mut log).await;
    let noted = noted.map(|checkpoint| Anchor {
        checkpoint,
        named_by: "--noted".to_owned(),
    });
    let named = anchors.into_values().chain(noted);
    let anchor = newest_anchor(app, named, &mut log).await;
    check_last_sweep(app, &mut log).await?;
    let now = app.clock.now();
    log.problems.extend(begins_late(&log, earliest));
    if anchor.is_none() && stamps.newest.is_none() && !is_young(&log, now) {
        log.not_checked.push(
            "whether the whole log was written again: no receipt names a checkpoint that exists; compare with one that was noted elsewhere (`--noted`)".to_owned(),
        );
    }
    log.not_checked.extend(uncovered(&log, now));
    Ok(VerifyReport {
        not_checked: std::mem::take(&mut log.not_checked),
        known,
        log,
        entries,
        receipts,
        anchor,
        lost_until,
        stamps,
        traces,
    })
}

/// Reports checkpoints that receipts name and that were acknowledged as lost. Returns when the last of them was: what was
/// logged before may have been replaced. One that exists again is an anchor like any other.
async fn check_lost(
    app: &App,
    lost: BTreeMap<CheckpointRef, LostAnchor>,
    anchors: &mut BTreeMap<CheckpointRef, Anchor>,
    log: &mut AuditReport,
) -> Option<Timestamp> {
    let mut lost_until = None;
    for (checkpoint, lost) in lost {
        let LostAnchor {
            anchor,
            acknowledged_at: at,
        } = lost;
        let found = app.ledger.audit().find_checkpoint(checkpoint.number).await;
        let is_lost = found.is_ok_and(|found| found.is_none_or(|(there, _)| there != checkpoint));
        if is_lost {
            log.not_checked.push(format!(
                "{} names checkpoint {checkpoint}, which was acknowledged as lost: what was logged before {at:.0} is proved by no \
                 receipt",
                anchor.named_by
            ));
            lost_until = lost_until.max(Some(at));
        } else {
            anchors.insert(checkpoint, anchor);
        }
    }
    lost_until
}

/// Compares each named checkpoint with the log, and returns the newest that the log has.
async fn newest_anchor(
    app: &App,
    named: impl Iterator<Item = Anchor>,
    log: &mut AuditReport,
) -> Option<FoundAnchor> {
    let mut newest: Option<FoundAnchor> = None;
    for named in named {
        if let Some(found) = check_anchor(app, named, log).await {
            let number = |found: &FoundAnchor| found.checkpoint.number;
            if newest.as_ref().map(number) <= Some(number(&found)) {
                newest = Some(found);
            }
        }
    }
    newest
}

/// What the ledger and the vault have although there is no audit log.
fn beside(traces: &Traces, entries: u64, receipts: u64) -> Option<String> {
    if entries == 0 && receipts == 0 && !traces.is_any() {
        return None;
    }
    let mut beside = format!("{entries} entries and {receipts} receipts");
    if let Some(others) = traces.sentence() {
        beside = format!("{beside}, and {others}");
    }
    Some(beside)
}

/// A log that began of late: no receipt needs to name a checkpoint yet.
fn is_young(log: &AuditReport, now: Timestamp) -> bool {
    began_at(log).is_some_and(|began| now.duration_since(began) < FIRST_DAY)
}

fn began_at(log: &AuditReport) -> Option<Timestamp> {
    [log.began_at, log.first_at].into_iter().flatten().min()
}

/// What the ledger has from long before the log began.
fn begins_late(log: &AuditReport, earliest: Option<FirstRecorded>) -> Option<String> {
    let (began, FirstRecorded { at, what }) = began_at(log).zip(earliest)?;
    (began.duration_since(at) > FIRST_DAY).then(|| {
        format!(
            "the log begins at {began:.0}, and {what} is of {at:.0}: the log was written again, or its beginning was removed"
        )
    })
}

/// Records that should be in a checkpoint by now.
fn uncovered(log: &AuditReport, now: Timestamp) -> Option<String> {
    let since = log.uncovered_since?;
    (now.duration_since(since) > COVERED_WITHIN).then(|| {
        format!(
            "{} records since {since:.0}: no checkpoint has them, so a removal would not be detected; see that the timer sweeps",
            log.records_after_newest
        )
    })
}

/// What the last sweep names is stored in the ledger itself: it must be right, but proves nothing.
async fn check_last_sweep(app: &App, log: &mut AuditReport) -> anyhow::Result<()> {
    let sweep = match app.ledger.readable_last_sweep().await {
        Ok(sweep) => sweep,
        Err(error) => {
            let reason = ErrorChain(&error);
            log.not_checked.push(format!(
                "the checkpoint that the last sweep names: {reason}"
            ));
            return Ok(());
        }
    };
    let Some(sweep) = sweep else { return Ok(()) };
    if let Some(reason) = sweep.audit_uncovered {
        log.not_checked.push(format!(
            "records that the last sweep could not cover by a checkpoint: {reason}"
        ));
    }
    if let Some(checkpoint) = sweep.audit_checkpoint {
        let named = Anchor {
            checkpoint,
            named_by: "the last sweep".to_owned(),
        };
        check_anchor(app, named, log).await;
    }
    let Some(stamp) = sweep.audit_stamp else {
        return Ok(());
    };
    match app.ledger.audit().has_stamp(&stamp).await {
        Ok(true) => {}
        Ok(false) => log.problems.push(format!(
            "the timestamp `{stamp}`, which the last sweep names, is missing"
        )),
        Err(error) => {
            let reason = ErrorChain(&error);
            log.not_checked
                .push(format!("the timestamp `{stamp}`: {reason}"));
        }
    }
    Ok(())
}

/// Whether a checkpoint that is named elsewhere exists. Adds what is wrong to the report.
async fn check_anchor(app: &App, named: Anchor, log: &mut AuditReport) -> Option<FoundAnchor> {
    let Anchor {
        checkpoint,
        named_by,
    } = named;
    let number = checkpoint.number;
    match app.ledger.audit().find_checkpoint(number).await {
        Ok(Some((there, at))) if there == checkpoint => Some(FoundAnchor {
            checkpoint,
            at,
            named_by,
        }),
        Ok(Some(_)) => {
            log.problems.push(format!(
                "checkpoint {number} is not the one that {named_by} names"
            ));
            None
        }
        Ok(None) => {
            log.problems.push(format!(
                "checkpoint {number} is missing, and {named_by} names it"
            ));
            None
        }
        Err(error) => {
            let reason = ErrorChain(&error);
            log.not_checked.push(format!(
                "checkpoint {number}, which {named_by} names: {reason}"
            ));
            None
        }
    }
}

impl VerifyReport {
    /// Nothing was found, not even remains of a log.
    fn is_empty(&self) -> bool {
        self.entries == 0
            && self.receipts == 0
            && self.log.is_empty()
            && self.stamps.is_empty()
            && self.not_checked.is_empty()
            && !self.traces.is_any()
    }
}

impl StampsReport {
    fn is_empty(&self) -> bool {
        self.hold == 0 && self.not_checked == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_log_needs_an_anchor_after_its_first_day() {
        let now = at("2026-03-02T12:00:00Z");
        let began = |text: &str| AuditReport {
            began_at: Some(at(text)),
            ..AuditReport::default()
        };
        assert!(is_young(&began("2026-03-02T09:00:00Z"), now));
        assert!(!is_young(&began("2026-03-01T09:00:00Z"), now));
    }

    #[test]
    fn a_log_that_begins_after_what_the_ledger_has_was_written_again() {
        let log = AuditReport {
            began_at: Some(at("2026-03-02T09:00:00Z")),
            ..AuditReport::default()
        };
        let recorded = |text: &str| FirstRecorded {
            at: at(text),
            what: "the entry of chunk a".to_owned(),
        };
        assert_eq!(begins_late(&log, None), None);
        let same_day = recorded("2026-03-02T08:00:00Z");
        assert_eq!(begins_late(&log, Some(same_day)), None);
        let late = begins_late(&log, Some(recorded("2026-01-02T08:00:00Z")));
        let begins = "the log begins at 2026-03-02T09:00:00Z, and the entry of chunk a is of";
        assert!(late.is_some_and(|late| late.starts_with(begins)));
    }

    #[test]
    fn a_record_without_a_checkpoint_is_not_checked_after_an_hour() {
        let now = at("2026-03-02T12:00:00Z");
        let since = |text: &str| AuditReport {
            records_after_newest: 3,
            uncovered_since: Some(at(text)),
            ..AuditReport::default()
        };
        assert_eq!(uncovered(&since("2026-03-02T11:59:00Z"), now), None);
        let late = uncovered(&since("2026-03-02T10:00:00Z"), now);
        assert!(late.is_some_and(|text| text.starts_with("3 records since")));
    }
}
