//! Reads what was proved since the last complete check, in slices: no marker says that the files of a recording are too
//! short. What was read is not read again by every survey, so a busy vault can be called safe too.
//!
//! ```text
//! check began ──read, by windows──▶ until ──read by each survey──▶ now
//! ```

use std::collections::BTreeSet;
use std::mem;

use futures::{StreamExt as _, TryStreamExt as _};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{CheckRecord, NOTEWORTHY_KEPT};
use crate::catalogue::{AT_ONCE, Catalogue, CatalogueError};
use crate::clock::is_ahead;
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
    /// Places of what was proved and has no account in the register. No other list names it.
    unaccounted: Vec<String>,
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

/// Recordings by what their accounts say now.
#[derive(Debug, Default)]
struct LookedAt {
    unsettled: Vec<Sha256Digest>,
    /// They have no account.
    absent: Vec<Sha256Digest>,
}

impl ProvedSince {
    /// Returns the places of what was proved and had no account in the register when it was read.
    pub fn unaccounted(&self) -> Vec<Place> {
        let places = self.unaccounted.iter();
        places.filter_map(|place| place.parse().ok()).collect()
    }

    fn note(&mut self, name: Sha256Digest) {
        if self.noteworthy.contains(&name) {
            return;
        }
        if self.noteworthy.len() < NOTEWORTHY_KEPT {
            self.noteworthy.push(name);
        } else {
            self.is_full = true;
        }
    }

    fn note_unaccounted(&mut self, place: &Place) {
        let place = place.to_string();
        if self.unaccounted.contains(&place) {
            return;
        }
        if self.unaccounted.len() < NOTEWORTHY_KEPT {
            self.unaccounted.push(place);
        } else {
            self.is_full = true;
        }
    }
}

impl CheckRecord {
    /// Until when slices have read what was proved. A time in the future is of a clock that was ahead, and says nothing.
    fn proved_until(&self, now: Timestamp) -> Timestamp {
        let until = self.proved.until.filter(|until| !is_ahead(*until, now));
        until.unwrap_or(self.began_at)
    }

    /// The time from which on no slice has read what was proved.
    pub fn proved_unread(&self, now: Timestamp) -> Period {
        let since = self.proved_until(now);
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
        let read_until = last.proved_until(now);
        let window = proved.window.take();
        let mut window = match window.filter(|window| !is_ahead(window.to, now)) {
            Some(window) => window,
            None if now.duration_since(read_until) < WINDOW => return Ok(proved),
            None => Window {
                to: now,
                after: None,
            },
        };
        let period = Period {
            to: Some(window.to),
            ..last.proved_unread(now)
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
                self.keep_unsettled(&mut proved).await?;
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
        let names: BTreeSet<Sha256Digest> = places.iter().map(|place| place.recording).collect();
        let looked_at = self.looked_at_again(names).await?;
        for name in looked_at.unsettled {
            proved.note(name);
        }
        let of_absent = |place: &Place| looked_at.absent.contains(&place.recording);
        let places = places.into_iter().filter(of_absent).collect();
        for place in self.lost_accounts(places).await? {
            proved.note_unaccounted(&place);
        }
        Ok(())
    }

    /// Reads again what was not settled, and keeps what still is not. What had an account and lost it is not settled.
    async fn keep_unsettled(&self, proved: &mut ProvedSince) -> Result<(), CatalogueError> {
        let (noteworthy, places) = (mem::take(&mut proved.noteworthy), proved.unaccounted());
        let looked_at = self.looked_at_again(noteworthy).await?;
        for name in looked_at.unsettled.into_iter().chain(looked_at.absent) {
            proved.note(name);
        }
        proved.unaccounted.clear();
        self.note_unsettled(places, proved).await
    }

    async fn looked_at_again(
        &self,
        names: impl IntoIterator<Item = Sha256Digest>,
    ) -> Result<LookedAt, CatalogueError> {
        let rules = self.rules();
        let names: Vec<Sha256Digest> = names.into_iter().collect();
        let judging = futures::stream::iter(names).map(|name| async move {
            Ok::<_, CatalogueError>((name, self.judge(name, rules).await?))
        });
        let judged: Vec<_> = judging.buffered(AT_ONCE).try_collect().await?;
        let mut looked_at = LookedAt::default();
        for (name, judged) in judged {
            match judged {
                Some(judged) if judged.standing().is_settled() => {}
                Some(_) => looked_at.unsettled.push(name),
                None => looked_at.absent.push(name),
            }
        }
        Ok(looked_at)
    }

    /// Returns the places that lead to a recording without an account.
    async fn lost_accounts(&self, places: Vec<Place>) -> Result<Vec<Place>, CatalogueError> {
        let looking = futures::stream::iter(places).map(|place| async move {
            Ok::<_, CatalogueError>((self.lacks_account(&place).await?, place))
        });
        let looked: Vec<(bool, Place)> = looking.buffered(AT_ONCE).try_collect().await?;
        let lacking = looked.into_iter().filter(|(lacks, _)| *lacks);
        Ok(lacking.map(|(_, place)| place).collect())
    }
}
