//! Recordings in pages, newest first.
//!
//! What narrows the search most decides which list of the index is read; the other wishes are looked at row by row, within a
//! bound: a page may be short, or empty, and have a next one all the same.

use futures::{StreamExt as _, TryStreamExt as _};
use serde::Serialize;
use utoipa::ToSchema;

use super::row::{KnownRecording, Row, Status};
use super::{AT_ONCE, Catalogue, CatalogueError};
use crate::recording::id::canonical;
use crate::recording::{FormatKind, RecordingId};
use crate::store::index::{Index, Listed, Period, Place, recording_name};

/// Recordings that one page looks at.
const LOOKED_AT: usize = 500;

/// What is wanted; what is `None` does not matter.
#[derive(Debug, Clone, Default)]
pub struct ListFilter {
    /// By when it started.
    pub period: Period,
    /// Any of its call's names.
    pub call: Option<String>,
    pub participant: Option<String>,
    pub status: Option<Status>,
    pub format: Option<FormatKind>,
    /// The id of a recording or call, or how it begins.
    pub id: Option<String>,
    pub top: usize,
    pub after: Option<Place>,
}

/// A page of the list.
#[derive(Debug, Serialize, ToSchema)]
pub struct Page {
    pub recordings: Vec<Row>,
    /// Where the next page begins, if there may be one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub continuation: Option<String>,
}

impl Catalogue {
    /// A page of recordings.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn list(&self, wanted: &ListFilter) -> Result<Page, CatalogueError> {
        let index = self.ledger.index();
        if let Some(found) = self.by_whole_id(wanted).await? {
            return Ok(Page {
                recordings: vec![found],
                continuation: None,
            });
        }
        let list = self.narrowest(&index, wanted).await?;
        let has_holds = self.ledger.holds().is_any().await?;
        let now = self.clock.now();
        let (mut rows, mut looked_at, mut after) = (Vec::new(), 0, wanted.after.clone());
        loop {
            let limit = wanted.top.max(AT_ONCE).min(LOOKED_AT - looked_at);
            let places = index
                .places(&list, wanted.period, after.as_ref(), limit)
                .await?;
            let is_last = places.len() < limit;
            looked_at += places.len();
            let mut found = futures::stream::iter(places)
                .map(|place| async { self.shown(&list, place, wanted, has_holds).await })
                .buffered(AT_ONCE);
            while let Some((place, recorded)) = found.try_next().await? {
                after = Some(place);
                rows.extend(
                    recorded
                        .map(|recorded| recorded.row(now))
                        .filter(|row| wanted.fits(row)),
                );
                if rows.len() == wanted.top {
                    return Ok(Page {
                        recordings: rows,
                        continuation: after.map(|place| place.to_string()),
                    });
                }
            }
            if is_last {
                return Ok(Page {
                    recordings: rows,
                    continuation: None,
                });
            }
            if looked_at >= LOOKED_AT {
                return Ok(Page {
                    recordings: rows,
                    continuation: after.map(|place| place.to_string()),
                });
            }
        }
    }

    /// The recording at a place, unless it is shown at another, or is none (any more).
    async fn shown(
        &self,
        list: &Listed,
        place: Place,
        wanted: &ListFilter,
        has_holds: bool,
    ) -> Result<(Place, Option<KnownRecording>), CatalogueError> {
        let recorded = self.recorded(&place.recording).await?;
        let recorded =
            recorded.filter(|recorded| recorded.shown_at(list).as_ref() == Some(&list.key(&place)));
        let recorded = recorded.filter(|recorded| wanted.names(recorded));
        match recorded {
            Some(recorded) if has_holds => Ok((place, Some(self.with_cases(recorded).await?))),
            recorded => Ok((place, recorded)),
        }
    }

    pub(super) async fn with_cases(
        &self,
        mut recorded: KnownRecording,
    ) -> Result<KnownRecording, CatalogueError> {
        recorded.cases = self.ledger.holds().cases_of(recorded.holdable()).await?;
        Ok(recorded)
    }

    async fn by_whole_id(&self, wanted: &ListFilter) -> Result<Option<Row>, CatalogueError> {
        let id = wanted
            .id
            .as_deref()
            .and_then(|id| id.trim().parse::<RecordingId>().ok());
        let Some(id) = id else { return Ok(None) };
        let Some(recorded) = self.recorded(&recording_name(&id)).await? else {
            return Ok(None);
        };
        let recorded = self.with_cases(recorded).await?;
        let started_at = recorded.account.filed_at();
        let is_in_period = wanted.period.from.is_none_or(|from| from <= started_at)
            && wanted.period.to.is_none_or(|to| started_at < to);
        let row = recorded.row(self.clock.now());
        Ok((is_in_period && wanted.names(&recorded) && wanted.fits(&row)).then_some(row))
    }

    /// The list of the index that has all that is wanted, and the least besides.
    async fn narrowest(
        &self,
        index: &Index,
        wanted: &ListFilter,
    ) -> Result<Listed, CatalogueError> {
        if let Some(participant) = &wanted.participant {
            let name = self.ledger.people().hash(participant).await?;
            return Ok(Listed::Participant(name));
        }
        if let Some(call) = &wanted.call {
            return Ok(Listed::Call(call.clone()));
        }
        if let Some(id) = &wanted.id {
            let call = Listed::Call(id.clone());
            if !index
                .places(&call, Period::default(), None, 1)
                .await?
                .is_empty()
            {
                return Ok(call);
            }
        }
        Ok(wanted
            .status
            .and_then(Status::listed)
            .unwrap_or(Listed::All))
    }
}

impl ListFilter {
    /// Whether the names of a recording are those wanted.
    fn names(&self, recorded: &KnownRecording) -> bool {
        let is_call = |wanted: &String| {
            let wanted = comparable(wanted);
            recorded
                .account
                .call_names()
                .any(|name| comparable(name) == wanted)
        };
        let has = |wanted: &String| {
            let wanted = wanted.trim().to_lowercase();
            recorded
                .participants()
                .into_iter()
                .any(|id| id.trim().to_lowercase() == wanted)
        };
        let begins = |wanted: &String| {
            let wanted = comparable(wanted);
            let ids = std::iter::once(recorded.account.recording_id.as_str())
                .chain(recorded.account.call_names());
            ids.into_iter()
                .any(|id| comparable(id).starts_with(&wanted))
        };
        self.call.as_ref().is_none_or(is_call)
            && self.participant.as_ref().is_none_or(has)
            && self.id.as_ref().is_none_or(begins)
    }

    /// Whether a row that was found otherwise is among those wanted.
    pub(super) fn admits(&self, row: &Row) -> bool {
        let started_at = row.started_at;
        let is_in_period = (self.period.from)
            .is_none_or(|from| started_at.is_some_and(|at| from <= at))
            && (self.period.to).is_none_or(|to| started_at.is_some_and(|at| at < to));
        let is_call = |wanted: &String| {
            let names = [row.call_id.as_ref(), row.server_call_id.as_ref()];
            let mut names = names.into_iter().flatten();
            names.any(|name| comparable(name) == comparable(wanted))
        };
        is_in_period && self.call.as_ref().is_none_or(is_call) && self.fits(row)
    }

    fn fits(&self, row: &Row) -> bool {
        self.status.is_none_or(|status| row.status == status)
            && self.format.is_none_or(|format| row.format == Some(format))
    }
}

fn comparable(id: &str) -> String {
    canonical(id.trim()).to_lowercase()
}
