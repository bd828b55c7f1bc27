//! Reads what was proved since the last complete check, in slices: no marker says that the files of a recording are too
//! short. What was read is not read again by every survey, so a busy vault can be called safe too.
//!
//! ```text
//! check began ──read, by windows──▶ until ──read by each survey──▶ now
//! ```

use std::collections::BTreeSet;

use futures::{StreamExt as _, TryStreamExt as _};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{CheckRecord, NOTEWORTHY_KEPT};
use crate::catalogue::{AT_ONCE, Catalogue, CatalogueError};
use crate::export::Budget;
use crate::store::digest::Sha256Digest;
use crate::store::index::{Listed, Period, Place};

/// A marker says that a copy is proved this long, at most, before its entry does.
const PROVED_LATE: SignedDuration = SignedDuration::from_mins(10);
/// The time that one window covers at least: until then the surveys read what was proved.
const WINDOW: SignedDuration = SignedDuration::from_mins(10);
/// Places that are read at a time.
const PAGE: usize = 500;

/// What was proved since a check began, as far as it was read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ProvedSince {
    /// Everything that was proved before was read; `None`: nothing was.
    until: Option<Timestamp>,
    /// Recordings that were not settled when they were read, by their names in the index.
    pub noteworthy: Vec<Sha256Digest>,
    /// There were more of them than are kept.
    pub is_full: bool,
    window: Option<Window>,
}

/// The part that is being read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Window {
    to: Timestamp,
    /// The last place that was read.
    after: Option<String>,
}

impl CheckRecord {
    /// The time from which on no slice has read what was proved.
    pub fn proved_unread(&self) -> Period {
        let since = self.proved.until.unwrap_or(self.began_at);
        Period {
            from: since.checked_sub(PROVED_LATE).ok(),
            to: None,
        }
    }
}

impl Catalogue {
    /// Reads a slice of what was proved since the last check, if there is enough of it.
    pub(super) async fn read_proved(
        &self,
        last: &CheckRecord,
        budget: &Budget,
    ) -> Result<ProvedSince, CatalogueError> {
        let now = self.clock.now();
        let mut proved = last.proved.clone();
        let read_until = proved.until.unwrap_or(last.began_at);
        let mut window = match proved.window.take() {
            Some(window) => window,
            None if now.duration_since(read_until) < WINDOW => return Ok(proved),
            None => Window {
                to: now,
                after: None,
            },
        };
        let period = Period {
            to: Some(window.to),
            ..last.proved_unread()
        };
        while !budget.is_spent() {
            let after: Option<Place> = window.after.as_ref().and_then(|place| place.parse().ok());
            let index = self.ledger.index();
            let places = index.places(&Listed::Proved, period, after.as_ref(), PAGE);
            let places = places.await?;
            let is_last = places.len() < PAGE;
            window.after = places.last().map(ToString::to_string);
            self.note_unsettled(places, &mut proved).await?;
            if is_last {
                proved.until = Some(window.to);
                proved.noteworthy = self.still_unsettled(&proved.noteworthy).await?;
                return Ok(proved);
            }
        }
        proved.window = Some(window);
        Ok(proved)
    }

    async fn note_unsettled(
        &self,
        places: Vec<Place>,
        proved: &mut ProvedSince,
    ) -> Result<(), CatalogueError> {
        let names: BTreeSet<Sha256Digest> =
            places.into_iter().map(|place| place.recording).collect();
        let names: Vec<Sha256Digest> = names.into_iter().collect();
        for name in self.still_unsettled(&names).await? {
            if proved.noteworthy.contains(&name) {
                continue;
            }
            if proved.noteworthy.len() < NOTEWORTHY_KEPT {
                proved.noteworthy.push(name);
            } else {
                proved.is_full = true;
            }
        }
        Ok(())
    }

    async fn still_unsettled(
        &self,
        names: &[Sha256Digest],
    ) -> Result<Vec<Sha256Digest>, CatalogueError> {
        let rules = self.rules();
        let judging = futures::stream::iter(names.to_vec())
            .map(|name| async move { self.judge(name, rules).await });
        let mut judging = judging.buffered(AT_ONCE);
        let mut unsettled = Vec::new();
        while let Some(judged) = judging.try_next().await? {
            let open = judged.filter(|judged| !judged.standing().is_settled());
            unsettled.extend(open.map(|judged| judged.name));
        }
        Ok(unsettled)
    }
}
