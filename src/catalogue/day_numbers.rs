//! Reads and classifies the recordings of a day (UTC), for `report`, the nightly report, the page and the API.

use futures::{StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use jiff::civil::Date;

use super::known::{self, Reading};
use super::{AT_ONCE, Catalogue, CatalogueError};
use crate::control::register::days::day_of;
use crate::export::entry;
use crate::recording::DocumentId;
use crate::standing::{Assessment, Rules, Standing};
use crate::store::digest::Sha256Digest;
use crate::store::index::{Listed, Place};

const MS_PER_MINUTE: f64 = 60_000.0;

/// A recording of a day.
#[derive(Debug)]
pub(super) struct Judged {
    pub name: Sha256Digest,
    pub reading: Reading,
    pub assessment: Assessment,
    /// The time of this classification.
    pub now: Timestamp,
}

/// The numbers of a day.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct DayNumbers {
    pub recordings: usize,
    pub minutes: f64,
    /// Recordings that are not settled, including running and waiting ones.
    pub incomplete: usize,
}

impl DayNumbers {
    pub fn add(&mut self, judged: &Judged) {
        self.recordings += 1;
        self.minutes += judged.minutes();
        self.incomplete += usize::from(!judged.assessment.standing.is_settled());
    }
}

impl Judged {
    /// Returns its length, as far as it is known.
    #[expect(
        clippy::cast_precision_loss,
        reason = "a recording lasts no 2^53 milliseconds"
    )]
    pub fn minutes(&self) -> f64 {
        let Reading::Known(recorded) = &self.reading else {
            return 0.0;
        };
        entry::recording_duration_ms(recorded.entries())
            .map_or(0.0, |duration_ms| duration_ms as f64 / MS_PER_MINUTE)
    }

    /// Whether it began on a day (UTC), as far as its account or its chunks say.
    pub fn is_of(&self, day: Date) -> bool {
        match &self.reading {
            Reading::Known(recorded) => day_of(recorded.account.filed_at()) == day,
            Reading::Unreadable { .. } | Reading::Absent => false,
        }
    }

    /// Returns its day (UTC) if it has a chunk.
    pub fn day_with(&self, id: &DocumentId) -> Option<Date> {
        let Reading::Known(recorded) = &self.reading else {
            return None;
        };
        let mut chunks = recorded.chunks.iter();
        let has_it = chunks.any(|chunk| chunk.document_id == *id);
        has_it.then(|| day_of(recorded.account.filed_at()))
    }

    pub fn standing(&self) -> Standing {
        self.assessment.standing
    }
}

impl Catalogue {
    /// Returns recordings that began on a day, at most `limit` after `after`, and where the next page begins. One whose
    /// account was lost is unknown, unless the caller knows it by its chunks, as unregistered.
    pub(super) async fn judged(
        &self,
        is_unregistered: &(dyn Fn(&Sha256Digest) -> bool + Sync),
        day: Date,
        after: Option<&Place>,
        limit: usize,
    ) -> Result<(Vec<Judged>, Option<Place>), CatalogueError> {
        let rules = self.rules();
        let places = self.register.of_day(day, after, limit).await?;
        let next = places.last().filter(|_| places.len() == limit).cloned();
        let judging = futures::stream::iter(places).map(|place| async move {
            match self.judge(place.recording, rules).await? {
                None if is_unregistered(&place.recording) => Ok(None),
                None => self.unaccounted(&place, rules).await,
                judged => Ok(judged),
            }
        });
        let judged: Vec<Option<Judged>> = judging.buffered(AT_ONCE).try_collect().await?;
        Ok((judged.into_iter().flatten().collect(), next))
    }

    /// Returns a recording that is in the list of all, and that has no account. `None`: it is about to be written.
    async fn unaccounted(
        &self,
        place: &Place,
        rules: Rules,
    ) -> Result<Option<Judged>, CatalogueError> {
        let (name, marker) = (place.recording, Listed::All.key(place));
        if !self.is_abandoned(&marker).await? {
            return Ok(None);
        }
        Ok(Some(Judged {
            assessment: known::unaccounted(&name, &marker),
            name,
            reading: Reading::Absent,
            now: rules.now,
        }))
    }

    /// Returns a recording in its current state. `None`: no recording has this name.
    pub(super) async fn judge(
        &self,
        name: Sha256Digest,
        rules: Rules,
    ) -> Result<Option<Judged>, CatalogueError> {
        let reading = self.read(&name).await?;
        let assessment = match &reading {
            Reading::Known(recorded) => recorded.assessment(rules),
            Reading::Unreadable { key } => known::unreadable(&name, key).1,
            Reading::Absent => return Ok(None),
        };
        Ok(Some(Judged {
            name,
            reading,
            assessment,
            now: rules.now,
        }))
    }
}
