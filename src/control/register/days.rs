//! Recordings by the day (UTC) that they began, and the days whose reports must be made again.
//!
//! The recordings of a day are a part of the list of all. A change that a report of its day may have missed leaves a marker `reports-due/<day>/<seconds>-<sha256>`, written before the account. Only a report that
//! began well after a marker removes it.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, Timestamp};

use super::{RecordingRegister, name};
use crate::control::day_summary::{DaySummary, summary_key};
use crate::control::entry::RegisteredRecording;
use crate::store::documents::DocumentError;
use crate::store::index::{Listed, Period, Place};
use crate::store::reports_due::{self, DUE, may_be_reported};
pub use crate::store::reports_due::{REPORTED_AFTER, day_of};

const PAGE: usize = 500;
/// Markers of a day that one report removes at most.
const MOST_MARKERS: usize = 100 * PAGE;
/// A change usually needs far less time from its marker to its account; after longer the marker is written again.
pub(super) const MARKER_SURELY_SEEN: Duration = Duration::from_mins(1);
/// A change whose marker is older than this is in the account, or has written another marker. The clock of the marker and
/// that of the report may differ by 5 minutes.
const MARKER_IS_OLD: SignedDuration = SignedDuration::from_mins(7);

/// Days whose report may lack a change.
#[derive(Debug, Default)]
pub(super) struct LateChange {
    days: BTreeSet<Date>,
    name: String,
}

/// A day whose report must be made again, and the markers that say so.
#[derive(Debug)]
pub struct DueDay {
    pub day: Date,
    markers: Vec<String>,
}

impl LateChange {
    /// Returns the day of a recording that its report may lack.
    pub fn unlisted(recording: &RegisteredRecording, now: Timestamp) -> Self {
        let day = day_of(recording.filed_at());
        Self {
            days: Some(day)
                .filter(|day| may_be_reported(*day, now))
                .into_iter()
                .collect(),
            name: name(&recording.recording_id),
        }
    }

    /// Returns the days whose reports may have been made before the change.
    pub fn of(
        known: Option<&RegisteredRecording>,
        changed: &RegisteredRecording,
        now: Timestamp,
    ) -> Self {
        let days = known
            .into_iter()
            .chain([changed])
            .map(|recording| day_of(recording.filed_at()));
        let days = if known.is_some_and(|known| is_reported_alike(known, changed)) {
            BTreeSet::new()
        } else {
            days.filter(|day| may_be_reported(*day, now)).collect()
        };
        Self {
            days,
            name: name(&changed.recording_id),
        }
    }
}

impl RecordingRegister {
    /// Returns the places of recordings that began on a day (UTC) in the list of all, newest first, at most `limit` after
    /// `after`.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn of_day(
        &self,
        day: Date,
        after: Option<&Place>,
        limit: usize,
    ) -> Result<Vec<Place>, DocumentError> {
        let index = self.index();
        let places = index.places(&Listed::All, period_of(day), after, limit);
        Ok(places.await?)
    }

    /// Returns the stored numbers of a day, if its report was made.
    ///
    /// # Errors
    /// When the storage fails or they are unreadable.
    pub async fn day_summary(&self, day: &str) -> Result<Option<DaySummary>, DocumentError> {
        self.documents.find(&summary_key(day)).await
    }

    /// Whether something of a day changed after its report.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn is_report_due(&self, day: &str) -> Result<bool, DocumentError> {
        let prefix = format!("{DUE}{day}/");
        let due = self.documents.store.list(&prefix, None, 1).await?;
        Ok(!due.is_empty())
    }

    /// Whether a recording began on this day (UTC) or earlier.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn has_recording_up_to(&self, day: Date) -> Result<bool, DocumentError> {
        let period = Period {
            from: None,
            ..period_of(day)
        };
        let index = self.index();
        let places = index.places(&Listed::All, period, None, 1);
        Ok(!places.await?.is_empty())
    }

    /// Returns the first day (UTC) with a recording. The list of all begins with the newest, so the day is searched for, with
    /// about 15 requests.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn first_day(&self) -> Result<Option<Date>, DocumentError> {
        let index = self.index();
        let newest = index.places(&Listed::All, Period::default(), None, 1);
        let Some(newest) = newest.await?.pop() else {
            return Ok(None);
        };
        // None began before `none_before`, and one did up to `last`.
        let (mut none_before, mut last) = (day_of(Timestamp::UNIX_EPOCH), day_of(newest.at()));
        while none_before < last {
            let days = none_before.until(last).map_or(0, |span| span.get_days());
            let middle = none_before
                .checked_add(Span::new().days(days / 2))
                .unwrap_or(none_before);
            if self.has_recording_up_to(middle).await? {
                last = middle;
            } else {
                none_before = middle.tomorrow().unwrap_or(last);
            }
        }
        Ok(Some(last))
    }

    /// Notes that the report of a day must be made.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn need_report(&self, day: Date) -> Result<(), DocumentError> {
        let marker = format!("{DUE}{day}/{:011}-daily", 0);
        self.put_marker(&marker, Timestamp::UNIX_EPOCH).await
    }

    /// Notes that the report of a day must be made with what a complete check found that ended then. Each check has a marker
    /// of its own: a report that was begun before the check ended does not remove it.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn need_report_after_check(
        &self,
        day: Date,
        finished_at: Timestamp,
    ) -> Result<(), DocumentError> {
        let finished_ms = finished_at.as_millisecond().max(0);
        let marker = reports_due::marker(day, finished_at, &format!("check-{finished_ms}"));
        self.put_marker(&marker, finished_at).await
    }

    /// Returns the first day after `after` whose report must be made again.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn next_due_day(&self, after: Option<Date>) -> Result<Option<DueDay>, DocumentError> {
        let mut after = after.map(|day| format!("{DUE}{day}/~"));
        loop {
            let found = self.documents.store.list(DUE, after.as_deref(), 1).await?;
            let day = found.first().and_then(|key| {
                let rest = key.strip_prefix(DUE)?;
                rest.split('/').next()?.parse::<Date>().ok()
            });
            let Some(key) = found.first() else {
                return Ok(None);
            };
            let Some(day) = day else {
                // It is no marker.
                after = Some(key.clone());
                continue;
            };
            let prefix = format!("{DUE}{day}/");
            let markers = self.documents.store.list(&prefix, None, PAGE).await?;
            if !markers.is_empty() {
                return Ok(Some(DueDay { day, markers }));
            }
            after = Some(key.clone());
        }
    }

    /// Adds the markers of a due day that were not listed yet. It is called before its report is begun.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn list_markers(&self, due: &mut DueDay) -> Result<(), DocumentError> {
        let prefix = format!("{DUE}{}/", due.day);
        while due.markers.len() < MOST_MARKERS && due.markers.len().is_multiple_of(PAGE) {
            let after = due.markers.last().map(String::as_str);
            let more = self.documents.store.list(&prefix, after, PAGE).await?;
            if more.is_empty() {
                break;
            }
            due.markers.extend(more);
        }
        Ok(())
    }

    /// Removes the markers of a day whose report was begun at `began`; recent ones stay, because their changes may not
    /// have been in the accounts yet.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn reported(&self, due: &DueDay, began: Timestamp) -> Result<(), DocumentError> {
        for marker in &due.markers {
            if is_old(marker, began) {
                self.documents.store.remove(marker).await?;
            }
        }
        Ok(())
    }

    pub(super) async fn mark_late(
        &self,
        late: &LateChange,
        now: Timestamp,
    ) -> Result<(), DocumentError> {
        for day in &late.days {
            let marker = reports_due::marker(*day, now, &late.name);
            self.put_marker(&marker, now).await?;
        }
        Ok(())
    }
}

/// The first and the last days of the calendar have no times.
fn start_of(day: Date) -> Timestamp {
    let nearest = if day < day_of(Timestamp::UNIX_EPOCH) {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    };
    let start = day.to_zoned(TimeZone::UTC);
    start.map_or(nearest, |start| start.timestamp())
}

fn period_of(day: Date) -> Period {
    Period {
        from: Some(start_of(day)),
        to: Some(day.tomorrow().map_or(Timestamp::MAX, start_of)),
    }
}

pub(super) fn after(time: Timestamp, elapsed: Duration) -> Timestamp {
    time.checked_add(elapsed).unwrap_or(Timestamp::MAX)
}

/// Whether a report is the same for both.
fn is_reported_alike(known: &RegisteredRecording, changed: &RegisteredRecording) -> bool {
    let reported = |recording: &RegisteredRecording| {
        // No report says by whom.
        let acknowledged = recording.acknowledged.clone();
        let acknowledged = acknowledged.map(|one| (one.said.reason, one.problems));
        (
            recording.status.clone(),
            recording.started_at,
            recording.filed_at(),
            recording.open_pause().is_some(),
            acknowledged,
            recording.erased.is_some(),
        )
    };
    reported(known) == reported(changed) && known.files == changed.files
}

fn is_old(marker: &str, began: Timestamp) -> bool {
    let seconds = marker
        .rsplit('/')
        .next()
        .and_then(|rest| rest.split('-').next());
    let written_at = seconds
        .and_then(|seconds| seconds.parse().ok())
        .and_then(|seconds| Timestamp::from_second(seconds).ok());
    written_at.is_none_or(|written_at| began.duration_since(written_at) >= MARKER_IS_OLD)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use crate::control::entry::{AcknowledgedProblems, Erased};
    use crate::recording::Acknowledgement;
    use crate::store::index::recording_name;
    use crate::vault::memory::MemoryDocumentStore;

    /// A register of recordings that began at these times, which are also their ids.
    async fn register_of(times: &[&str]) -> RecordingRegister {
        let store = Arc::new(MemoryDocumentStore::default());
        let register = RecordingRegister::new(store, Duration::from_mins(30));
        for time in times {
            let (id, began) = (time.parse().unwrap(), time.parse().unwrap());
            let changing = register.change(&id, began, |account| account.started_at = Some(began));
            changing.await.unwrap();
        }
        register
    }

    #[tokio::test]
    async fn a_day_has_what_began_from_its_midnight_to_the_next_page_by_page() {
        let of_day = [
            "2026-03-02T00:00:00Z",
            "2026-03-02T09:00:00Z",
            "2026-03-02T09:00:00.001Z",
            "2026-03-02T23:59:59.999Z",
        ];
        let others = ["2026-03-01T23:59:59.999Z", "2026-03-03T00:00:00Z"];
        let register = register_of(&[&of_day[..], &others].concat()).await;
        let names = of_day.map(|id| recording_name(&id.parse().unwrap()));
        let day: Date = "2026-03-02".parse().unwrap();
        for limit in 1..=5 {
            let (mut found, mut after) = (Vec::new(), None);
            loop {
                let page = register.of_day(day, after.as_ref(), limit).await.unwrap();
                found.extend(page.iter().map(|place| place.recording));
                after = page.last().filter(|_| page.len() == limit).cloned();
                if after.is_none() {
                    break;
                }
            }
            found.reverse();
            assert_eq!(found, names, "in pages of {limit}, newest first");
        }
    }

    #[tokio::test]
    async fn a_day_before_every_recording_has_none() {
        let register = register_of(&["2026-03-02T09:00:00Z", "0001-01-01T00:00:00Z"]).await;
        for day in ["1969-12-31", "1969-12-30", "0001-01-01", "-009999-01-01"] {
            let day: Date = day.parse().unwrap();
            let of_day = register.of_day(day, None, 10).await.unwrap();
            assert!(of_day.is_empty(), "{day}: {of_day:?}");
            assert!(!register.has_recording_up_to(day).await.unwrap(), "{day}");
        }
        assert!(register.has_recording_up_to(Date::MAX).await.unwrap());
        let last = register.of_day(Date::MAX, None, 10).await.unwrap();
        assert!(last.is_empty(), "{last:?}");
    }

    #[tokio::test]
    async fn an_acknowledgement_and_an_erasure_make_the_report_of_their_day_due() {
        let (id, day) = ("2026-03-02T09:00:00Z", "2026-03-02");
        let now: Timestamp = "2026-03-09T09:00:00Z".parse().unwrap();
        let acknowledge = |account: &mut RegisteredRecording| {
            let said = Acknowledgement {
                at: now,
                by: None,
                reason: "it was a test".to_owned(),
            };
            account.acknowledged = Some(AcknowledgedProblems {
                said,
                problems: Vec::new(),
            });
        };
        let erase = |account: &mut RegisteredRecording| {
            let reason = "on request".to_owned();
            account.erase(Erased { at: now, reason });
        };
        let both: [&(dyn Fn(&mut RegisteredRecording) + Send + Sync); 2] = [&acknowledge, &erase];
        for change in both {
            let register = register_of(&[id]).await;
            assert!(!register.is_report_due(day).await.unwrap());
            let changed = register.change(&id.parse().unwrap(), now, change).await;
            changed.unwrap();
            assert!(register.is_report_due(day).await.unwrap());
        }
    }

    #[rstest::rstest]
    #[case(&[], None)]
    #[case(&["2026-03-02T00:00:00Z"], Some("2026-03-02"))]
    #[case(&["2026-03-02T23:59:59.999Z", "2026-03-03T00:00:00Z"], Some("2026-03-02"))]
    #[case(&["2026-11-28T10:00:00Z", "2021-01-31T10:00:00Z", "2026-03-02T10:00:00Z"], Some("2021-01-31"))]
    // Times that no clock shows come from events.
    #[case(&["0001-01-01T00:00:00Z", "2026-03-02T10:00:00Z"], Some("1970-01-01"))]
    #[case(&["9999-01-01T00:00:00Z"], Some("2286-11-20"))]
    #[tokio::test]
    async fn the_first_day_is_found(#[case] times: &[&str], #[case] first: Option<&str>) {
        let register = register_of(times).await;
        let first: Option<Date> = first.map(|day| day.parse().unwrap());
        assert_eq!(register.first_day().await.unwrap(), first);
        if let Some(first) = first {
            assert!(register.has_recording_up_to(first).await.unwrap());
            let of_first = register.of_day(first, None, 10).await.unwrap();
            assert!(!of_first.is_empty());
            let before = first.yesterday().unwrap();
            assert!(!register.has_recording_up_to(before).await.unwrap());
        }
    }
}
