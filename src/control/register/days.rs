//! Recordings by the day (UTC) that they began, and the days whose reports must be made again.
//!
//! `days/<YYYYMMDD>/<sha256>` follows the account: it moves when the start becomes known. A change that a report of its day
//! may have missed leaves a marker `reports-due/<day>/<seconds>-<sha256>`, written before the account. Only a report that
//! began well after a marker removes it.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};

use super::{RecordingRegister, name};
use crate::control::day_summary::{DaySummary, summary_key};
use crate::control::entry::RegisteredRecording;
use crate::store::digest::Sha256Digest;
use crate::store::documents::DocumentError;
use crate::store::reports_due::{self, DUE, is_reported};
pub use crate::store::reports_due::{REPORTED_AFTER, day_of};

const PAGE: usize = 500;
/// A change usually needs far less time from its marker to its account; after longer the marker is written again.
pub(super) const MARKER_SURELY_SEEN: Duration = Duration::from_mins(1);
/// A change whose marker is older than this is in the account, or has written another marker.
const MARKER_IS_OLD: SignedDuration = SignedDuration::from_mins(2);

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
            days.filter(|day| is_reported(*day, now)).collect()
        };
        Self {
            days,
            name: name(&changed.recording_id),
        }
    }
}

impl RecordingRegister {
    /// Returns names of the accounts of recordings that began on a day (UTC), at most `limit` after `after`.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn of_day(
        &self,
        day: Timestamp,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>, DocumentError> {
        let prefix = day_key(day);
        let after = after.map(|name| format!("{prefix}{name}"));
        let keys = self
            .documents
            .store
            .list(&prefix, after.as_deref(), limit)
            .await?;
        Ok(keys
            .iter()
            .filter_map(|key| key.strip_prefix(&prefix))
            .map(str::to_owned)
            .collect())
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

    /// Returns the first day (UTC) with a recording.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn first_day(&self) -> Result<Option<Date>, DocumentError> {
        let keys = self.documents.store.list("days/", None, 1).await?;
        let day = keys.first().and_then(|key| {
            let day = key.strip_prefix("days/")?.split('/').next()?;
            Date::strptime("%Y%m%d", day).ok()
        });
        Ok(day)
    }

    /// Notes that the report of a day must be made.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn need_report(&self, day: Date) -> Result<(), DocumentError> {
        let marker = format!("{DUE}{day}/{:011}-daily", 0);
        self.put_marker(&marker, Timestamp::UNIX_EPOCH).await
    }

    /// Returns days whose reports must be made again, at most `limit`.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn due_days(&self, limit: usize) -> Result<Vec<DueDay>, DocumentError> {
        let mut due: Vec<DueDay> = Vec::new();
        let mut after: Option<String> = None;
        while due.len() < limit {
            let found = self.documents.store.list(DUE, after.as_deref(), 1).await?;
            let day = found.first().and_then(|key| {
                let rest = key.strip_prefix(DUE)?;
                rest.split('/').next()?.parse::<Date>().ok()
            });
            let Some(key) = found.first() else {
                return Ok(due);
            };
            let Some(day) = day else {
                // It is no marker.
                after = Some(key.clone());
                continue;
            };
            let prefix = format!("{DUE}{day}/");
            let markers = self.documents.store.list(&prefix, None, PAGE).await?;
            after = Some(format!("{prefix}~"));
            if markers.is_empty() {
                after = Some(key.clone());
                continue;
            }
            due.push(DueDay { day, markers });
        }
        Ok(due)
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

/// The marker of a recording in the list of a day.
pub fn marker(day: Timestamp, name: &Sha256Digest) -> String {
    format!("{}{name}", day_key(day))
}

pub(super) fn day_key(time: Timestamp) -> String {
    format!("days/{}/", day_of(time).strftime("%Y%m%d"))
}

pub(super) fn after(time: Timestamp, elapsed: Duration) -> Timestamp {
    time.checked_add(elapsed).unwrap_or(Timestamp::MAX)
}

/// Whether a report is the same for both.
fn is_reported_alike(known: &RegisteredRecording, changed: &RegisteredRecording) -> bool {
    let reported = |recording: &RegisteredRecording| {
        (
            recording.status.clone(),
            recording.started_at,
            recording.filed_at(),
            recording.open_pause().is_some(),
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
