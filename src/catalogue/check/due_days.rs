//! The days whose reports a finished check makes out of date: those whose findings changed since the previous check, or whose
//! reports have fewer. Findings without a known day, and those that a check does not keep, make no report due.
//!
//! They are stored together with the check, and removed after each has a marker: the next slice repeats what a kill left
//! undone. Only days with findings of the two checks are looked at, and a check keeps few findings.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use jiff::civil::Date;

use super::{CheckFinding, CheckRecord, CheckState};
use crate::catalogue::{Catalogue, CatalogueError};
use crate::store::reports_due::may_be_reported;

/// What a check found about the recordings of each day.
type FindingsByDay<'a> = BTreeMap<Date, BTreeSet<(&'a str, &'a str)>>;

impl Catalogue {
    /// Returns the days of which a finished check found something else than the last one before it, or more than their stored
    /// numbers say.
    pub(super) async fn days_reported_otherwise(
        &self,
        finished: &CheckRecord,
        last: Option<&CheckRecord>,
    ) -> Result<BTreeSet<Date>, CatalogueError> {
        let now = self.clock.now();
        let found = by_day(&finished.seen.findings);
        let known = last.map_or_else(BTreeMap::new, |last| by_day(&last.seen.findings));
        let days: BTreeSet<Date> = known.keys().chain(found.keys()).copied().collect();
        let mut due = BTreeSet::new();
        // The report of a day that has not ended is still to be made.
        for day in days.into_iter().filter(|day| may_be_reported(*day, now)) {
            let count = found.get(&day).map_or(0, BTreeSet::len);
            let is_known = known.get(&day) == found.get(&day);
            if !is_known || self.says_fewer_findings(day, count).await? {
                due.insert(day);
            }
        }
        Ok(due)
    }

    /// Whether the stored numbers of a day have fewer findings, or do not exist.
    async fn says_fewer_findings(&self, day: Date, count: usize) -> Result<bool, CatalogueError> {
        let kept = self.kept_summary(day).await?;
        Ok(kept.is_none_or(|kept| kept.findings < count))
    }

    /// Marks the due days of a stored state as due, and stores that this is done. Returns the state afterwards.
    pub(super) async fn mark_due_days(
        &self,
        state: CheckState,
    ) -> Result<CheckState, CatalogueError> {
        if state.due_days.is_empty() {
            return Ok(state);
        }
        let last = state.last.as_ref();
        let finished_at = last.map_or(Timestamp::UNIX_EPOCH, |last| last.finished_at);
        for day in &state.due_days {
            let marking = self.register.need_report_after_check(*day, finished_at);
            marking.await?;
        }
        let marked = CheckState {
            due_days: BTreeSet::new(),
            ..state.clone()
        };
        self.keep_check(Some(&state), &marked).await?;
        Ok(marked)
    }
}

fn by_day(findings: &[CheckFinding]) -> FindingsByDay<'_> {
    let mut by_day = FindingsByDay::new();
    for finding in findings {
        if let Some(day) = finding.day {
            let found = by_day.entry(day).or_default();
            found.insert((finding.subject.as_str(), finding.problem.as_str()));
        }
    }
    by_day
}
