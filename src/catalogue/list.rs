//! Recordings in pages, newest first.
//!
//! The most selective condition decides which list of the index is read; the other conditions are checked row by row,
//! within a bound: a page may be short, or empty, and still have a next one.

use futures::{StreamExt as _, TryStreamExt as _};
use serde::Serialize;
use utoipa::ToSchema;

use super::known::{KnownRecording, Reading};
use super::row::Row;
use super::{AT_ONCE, Catalogue, CatalogueError};
use crate::recording::id::canonical;
use crate::recording::{FormatKind, RecordingId};
use crate::standing::{Rules, Standing};
use crate::store::holds::Scope;
use crate::store::index::{Attention, Index, Listed, Period, Place, recording_name};

/// Recordings that one page reads.
const LOOKED_AT: usize = 500;

/// The conditions of a list; `None` matches everything.
#[derive(Debug, Clone, Default)]
pub struct ListFilter {
    /// Range of its start.
    pub period: Period,
    /// Any of its call's names.
    pub call: Option<String>,
    pub participant: Option<String>,
    pub status: Option<Standing>,
    pub format: Option<FormatKind>,
    /// The id of a recording or call, or its beginning.
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
    /// Returns a page of recordings.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn list(&self, wanted: &ListFilter) -> Result<Page, CatalogueError> {
        if let Some(found) = self.by_whole_id(wanted).await? {
            return Ok(Page {
                recordings: vec![found],
                continuation: None,
            });
        }
        if let Some(page) = self.by_survey(wanted).await? {
            return Ok(page);
        }
        let index = self.ledger.index();
        let list = self.narrowest(&index, wanted).await?;
        let has_holds = self.ledger.holds().is_any().await?;
        let rules = self.rules();
        let (mut rows, mut looked_at, mut after) = (Vec::new(), 0, wanted.after.clone());
        loop {
            let limit = wanted.top.max(AT_ONCE).min(LOOKED_AT - looked_at);
            let places = index
                .places(&list, wanted.period, after.as_ref(), limit)
                .await?;
            let is_last = places.len() < limit;
            looked_at += places.len();
            let look = Look {
                list: &list,
                wanted,
                rules,
                has_holds,
            };
            let mut found = futures::stream::iter(places)
                .map(|place| async move { self.shown(place, look).await })
                .buffered(AT_ONCE);
            while let Some((place, row)) = found.try_next().await? {
                after = Some(place);
                rows.extend(row.filter(|row| wanted.fits(row)));
                if rows.len() == wanted.top {
                    return Ok(Page::of(rows, after));
                }
            }
            if is_last {
                return Ok(Page::of(rows, None));
            }
            if looked_at >= LOOKED_AT {
                return Ok(Page::of(rows, after));
            }
        }
    }

    /// Returns recordings of a standing that is not settled, from the same survey as the numbers of the summary.
    /// `None`: another list is more selective, or there are more than a survey reads.
    async fn by_survey(&self, wanted: &ListFilter) -> Result<Option<Page>, CatalogueError> {
        let is_surveyed =
            |standing: Standing| !standing.is_settled() || standing == Standing::Acknowledged;
        let is_narrowed = wanted.participant.is_some() || wanted.call.is_some();
        if is_narrowed || !wanted.status.is_some_and(is_surveyed) {
            return Ok(None);
        }
        let survey = self.survey(self.last_check().await?.as_ref()).await?;
        if survey.is_capped {
            return Ok(None);
        }
        let fitting = survey
            .recordings
            .into_iter()
            .filter(|one| match &one.reading {
                Reading::Known(recorded) => {
                    let at = recorded.account.filed_at();
                    wanted.has_time(at) && wanted.names(recorded)
                }
                Reading::Unreadable { .. } | Reading::Absent => wanted.is_for_any_name(),
            });
        let mut fitting: Vec<_> = fitting
            .filter(|one| wanted.status == Some(one.assessment.standing))
            .map(|one| (one.place(), one))
            .filter(|(place, _)| {
                let is_after = |after: &Place| place.to_string() > after.to_string();
                wanted.after.as_ref().is_none_or(is_after)
            })
            .collect();
        fitting.sort_by_key(|(place, _)| place.to_string());
        let is_more = fitting.len() > wanted.top;
        let (mut rows, mut last) = (Vec::new(), None);
        for (place, one) in fitting.into_iter().take(wanted.top) {
            let row = match one.reading {
                Reading::Known(recorded) => self.with_cases(*recorded).await?.row(survey.rules),
                Reading::Unreadable { .. } | Reading::Absent => one.row(survey.rules),
            };
            last = Some(place);
            rows.extend(Some(row).filter(|row| wanted.fits(row)));
        }
        Ok(Some(Page::of(rows, last.filter(|_| is_more))))
    }

    /// Returns the row at a place, unless its recording is shown at another place or does not exist (any more).
    async fn shown(
        &self,
        place: Place,
        look: Look<'_>,
    ) -> Result<(Place, Option<Row>), CatalogueError> {
        let Look {
            list,
            wanted,
            rules,
            has_holds,
        } = look;
        let row = match self.read(&place.recording).await? {
            Reading::Known(recorded) => {
                let is_here = recorded.shown_at(list).as_ref() == Some(&list.key(&place));
                match *recorded {
                    recorded if !is_here || !wanted.names(&recorded) => None,
                    recorded if has_holds => Some(self.with_cases(recorded).await?.row(rules)),
                    recorded => Some(recorded.row(rules)),
                }
            }
            Reading::Unreadable { key } => wanted
                .is_for_any_name()
                .then(|| Row::unreadable(&place.recording, &key)),
            Reading::Absent => None,
        };
        Ok((place, row))
    }

    pub(super) async fn with_cases(
        &self,
        mut recorded: KnownRecording,
    ) -> Result<KnownRecording, CatalogueError> {
        let holds = self.ledger.holds();
        let mut cases = holds.cases_of(recorded.holdable()).await?;
        for hold in holds.standing().await? {
            let is_covered = match &hold.scope {
                Scope::Matching(rule) => recorded.matches(rule).holds(),
                Scope::Everything => true,
            };
            if is_covered {
                cases.extend(hold.cases);
            }
        }
        recorded.cases = cases;
        Ok(recorded)
    }

    async fn by_whole_id(&self, wanted: &ListFilter) -> Result<Option<Row>, CatalogueError> {
        let id = wanted
            .id
            .as_deref()
            .and_then(|id| id.trim().parse::<RecordingId>().ok());
        let Some(id) = id else { return Ok(None) };
        let name = recording_name(&id);
        let recorded = match self.read(&name).await? {
            Reading::Known(recorded) => *recorded,
            Reading::Unreadable { key } => {
                let row = Row::unreadable(&name, &key);
                return Ok(wanted.fits(&row).then_some(row));
            }
            Reading::Absent => return Ok(None),
        };
        let recorded = self.with_cases(recorded).await?;
        let is_in_period = wanted.has_time(recorded.account.filed_at());
        let row = recorded.row(self.rules());
        Ok((is_in_period && wanted.names(&recorded) && wanted.fits(&row)).then_some(row))
    }

    /// Chooses the list of the index that has all matches and the fewest others.
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
        Ok(wanted.status.and_then(listed).unwrap_or(Listed::All))
    }
}

/// How the places of a list are read.
#[derive(Clone, Copy)]
struct Look<'a> {
    list: &'a Listed,
    wanted: &'a ListFilter,
    rules: Rules,
    has_holds: bool,
}

/// Returns a list of the index that has every recording of this standing, and some others. `None`: all recordings.
fn listed(standing: Standing) -> Option<Listed> {
    match standing {
        Standing::Failed => Some(Listed::Attention(Attention::Failed)),
        Standing::Doubtful => Some(Listed::Attention(Attention::Doubtful)),
        Standing::Acknowledged => Some(Listed::Attention(Attention::Acknowledged)),
        // Time alone moves recordings into these standings.
        Standing::Lost
        | Standing::AtRisk
        | Standing::Unknown
        | Standing::Missing
        | Standing::Incomplete
        | Standing::BackupOnly
        | Standing::Active
        | Standing::Paused
        | Standing::AwaitingFiles
        | Standing::Exporting
        | Standing::Waiting
        | Standing::Verified
        | Standing::InPlace
        | Standing::Erased
        | Standing::Removed => None,
    }
}

impl Page {
    fn of(recordings: Vec<Row>, next: Option<Place>) -> Self {
        Self {
            recordings,
            continuation: next.map(|place| place.to_string()),
        }
    }
}

impl ListFilter {
    fn has_time(&self, at: jiff::Timestamp) -> bool {
        self.period.from.is_none_or(|from| from <= at) && self.period.to.is_none_or(|to| at < to)
    }

    /// Whether a recording without a name may match.
    fn is_for_any_name(&self) -> bool {
        self.call.is_none() && self.participant.is_none() && self.id.is_none()
    }

    /// Whether the names of a recording match.
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

    /// Whether a row that was found in another way matches.
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
