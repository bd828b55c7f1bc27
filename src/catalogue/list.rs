//! Recordings in pages, newest first.
//!
//! The most selective condition decides which list of the index is read; the other conditions are checked row by row,
//! within a bound: a page may be short, or empty, and still have a next one.

use futures::{StreamExt as _, TryStreamExt as _};
use serde::Serialize;
use utoipa::ToSchema;

use super::known::{KnownRecording, Reading};
pub use super::list_filter::ListFilter;
use super::not_searched::{NotSearched, entries_of};
use super::people::RecordingsOf;
use super::person::Sought;
use super::row::Row;
use super::{AT_ONCE, Catalogue, CatalogueError};
use crate::recording::{DocumentId, RecordingId};
use crate::standing::{ChunkEntry, Rules, Standing};
use crate::store::audit::Operator;
use crate::store::holds::Scope;
use crate::store::index::{Attention, Index, Listed, Period, Place, recording_name};

/// Recordings that one page reads.
const LOOKED_AT: usize = 500;

/// A page of the list.
#[derive(Debug, Serialize, ToSchema)]
pub struct Page {
    pub recordings: Vec<Row>,
    /// Where the next page begins, if there may be one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub continuation: Option<String>,
    /// What the search could not look into.
    #[serde(rename = "notSearched", skip_serializing_if = "Option::is_none")]
    pub not_searched: Option<NotSearched>,
}

impl Catalogue {
    /// Returns a page of recordings. A list of a person's recordings is in the audit log.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn list(
        &self,
        wanted: &ListFilter,
        operator: &Operator,
    ) -> Result<Page, CatalogueError> {
        if let Some(person) = &wanted.person {
            self.note_search(person, operator).await?;
        }
        self.list_page(wanted).await
    }

    /// Returns a page of recordings, for a caller that has recorded whose they are.
    pub(super) async fn list_page(&self, wanted: &ListFilter) -> Result<Page, CatalogueError> {
        let Some(person) = &wanted.person else {
            return self.listed(wanted, None).await;
        };
        let sought = self.sought(person).await?;
        if self.list_of_person(&sought).await?.is_some() {
            let mut page = self.listed(wanted, Some(&sought)).await?;
            let mut not_searched = self.not_searched(&sought, wanted).await?;
            let at_places = page.not_searched.take().unwrap_or_default();
            not_searched.add_unreadable(at_places.unreadable_names);
            page.not_searched = Some(not_searched);
            return Ok(page);
        }
        let RecordingsOf {
            found,
            not_searched,
        } = self.recordings_of(&sought, wanted).await?;
        let mut page = self.page_of(found, wanted).await?;
        page.not_searched = Some(not_searched);
        Ok(page)
    }

    /// Returns the one list of the index that has all recordings of a person; `None` if more lists, or files, have some.
    async fn list_of_person(&self, sought: &Sought) -> Result<Option<Listed>, CatalogueError> {
        let index = self.ledger.index();
        let is_used = async |list: &Listed| {
            let places = index.places(list, Period::default(), None, 1).await?;
            Ok::<_, CatalogueError>(!places.is_empty())
        };
        if is_used(&self.beyond_the_index().await?).await? {
            return Ok(None);
        }
        let lists: Vec<Listed> = sought.lists().collect();
        let mut used = Vec::new();
        for list in &lists {
            if is_used(list).await? {
                used.push(list.clone());
            }
        }
        Ok(match used.len() {
            0 => lists.into_iter().next(),
            1 => used.pop(),
            _ => None,
        })
    }

    async fn listed(
        &self,
        wanted: &ListFilter,
        sought: Option<&Sought>,
    ) -> Result<Page, CatalogueError> {
        if let Some(page) = self.by_whole_id(wanted, sought).await? {
            return Ok(page);
        }
        if let Some(page) = self.by_survey(wanted).await? {
            return Ok(page);
        }
        let index = self.ledger.index();
        let list = match sought {
            Some(sought) => self.list_of_person(sought).await?,
            None => Some(self.narrowest(&index, wanted).await?),
        };
        let list = list.unwrap_or(Listed::All);
        let look = Look {
            list: &list,
            wanted,
            sought,
            rules: self.rules(),
            has_holds: self.ledger.holds().is_any().await?,
        };
        let (mut page, mut looked_at, mut after) =
            (Page::of(Vec::new(), None), 0, wanted.after.clone());
        loop {
            let limit = wanted.top.max(AT_ONCE).min(LOOKED_AT - looked_at);
            let places = index
                .places(&list, wanted.period, after.as_ref(), limit)
                .await?;
            let is_last = places.len() < limit;
            looked_at += places.len();
            let mut found = futures::stream::iter(places)
                .map(|place| async move { self.shown(place, look).await })
                .buffered(AT_ONCE);
            while let Some(shown) = found.try_next().await? {
                after = Some(shown.place);
                let row = shown.row.filter(|row| wanted.fits(row));
                page.recordings.extend(row);
                page.add_unreadable(shown.not_searched);
                if page.recordings.len() == wanted.top {
                    return Ok(page.continued(after));
                }
            }
            if is_last {
                return Ok(page);
            }
            if looked_at >= LOOKED_AT {
                return Ok(page.continued(after));
            }
        }
    }

    /// Returns a page of recordings that were all read already.
    pub(super) async fn page_of(
        &self,
        found: Vec<KnownRecording>,
        wanted: &ListFilter,
    ) -> Result<Page, CatalogueError> {
        let rules = self.rules();
        let place_of = |recorded: &KnownRecording| {
            let account = &recorded.account;
            Place::of(account.filed_at(), recording_name(&account.recording_id))
        };
        let is_after = |place: &Place| {
            let after = wanted.after.as_ref();
            after.is_none_or(|after| place.to_string() > after.to_string())
        };
        let is_wanted = |recorded: &KnownRecording| {
            wanted.has_time(recorded.account.filed_at()) && wanted.has_ids_of(recorded)
        };
        let found = found.into_iter().filter(is_wanted);
        let mut fitting: Vec<(Place, KnownRecording)> = found
            .map(|recorded| (place_of(&recorded), recorded))
            .filter(|(place, _)| is_after(place))
            .collect();
        fitting.sort_by_key(|(place, _)| place.to_string());
        let mut shown: Vec<(Place, Row)> = Vec::new();
        for (place, recorded) in fitting {
            let row = self.with_cases(recorded).await?.row(rules);
            if wanted.fits(&row) {
                if shown.len() == wanted.top {
                    let last = shown.last().map(|(place, _)| place.clone());
                    let rows = shown.into_iter().map(|(_, row)| row);
                    return Ok(Page::of(rows.collect(), last));
                }
                shown.push((place, row));
            }
        }
        Ok(Page::of(
            shown.into_iter().map(|(_, row)| row).collect(),
            None,
        ))
    }

    /// Returns recordings of a standing that is not settled, from the same survey as the numbers of the summary.
    /// `None`: another list is more selective, or there are more than a survey reads.
    async fn by_survey(&self, wanted: &ListFilter) -> Result<Option<Page>, CatalogueError> {
        let is_surveyed =
            |standing: Standing| !standing.is_settled() || standing == Standing::Acknowledged;
        let is_narrowed = wanted.person.is_some() || wanted.call.is_some();
        if is_narrowed || !wanted.status.is_some_and(is_surveyed) {
            return Ok(None);
        }
        let survey = self.survey(self.last_check().await?.as_ref()).await?;
        let rules = survey.rules;
        let (surveyed, limits) = survey.into_parts();
        if limits.is_capped {
            return Ok(None);
        }
        let is_shown = wanted.is_for_any_name() && wanted.status == Some(Standing::Unknown);
        let mut unreadable = Vec::new();
        let fitting = surveyed.into_iter().filter(|one| match &one.reading {
            Reading::Known(recorded) => {
                let at = recorded.account.filed_at();
                wanted.has_time(at) && wanted.has_ids_of(recorded)
            }
            Reading::Unreadable { key } if !is_shown => {
                unreadable.push(format!("`{key}`"));
                false
            }
            Reading::Absent if !is_shown => {
                unreadable.push(format!("`recordings/{}.json`", one.name));
                false
            }
            Reading::Unreadable { .. } | Reading::Absent => true,
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
                Reading::Known(recorded) => self.with_cases(*recorded).await?.row(rules),
                Reading::Unreadable { .. } | Reading::Absent => one.row(rules),
            };
            last = Some(place);
            rows.extend(Some(row).filter(|row| wanted.fits(row)));
        }
        let mut page = Page::of(rows, last.filter(|_| is_more));
        page.add_unreadable(unreadable);
        page.add_unreadable(entries_of(&limits.chunks));
        Ok(Some(page))
    }

    /// Returns the row at a place, unless its recording is shown at another place or does not exist (any more).
    async fn shown(&self, place: Place, look: Look<'_>) -> Result<ShownPlace, CatalogueError> {
        let Look {
            list,
            wanted,
            sought,
            rules,
            has_holds,
        } = look;
        let (mut row, mut not_searched) = (None, None);
        // Only its marker says that it is what was asked for.
        let is_certain = match list {
            Listed::Call(_) | Listed::Participant(_) => true,
            Listed::All | Listed::Attention(_) | Listed::Proved | Listed::ParticipantsUnknown => {
                wanted.is_for_any_name()
            }
        };
        match self.read(&place.recording).await? {
            Reading::Known(recorded) => {
                let shown_at = recorded.shown_at(list);
                let is_here = shown_at.as_ref() == Some(&list.key(&place));
                let is_of_person = sought.is_none_or(|sought| sought.is_in(&recorded));
                let unreadable = recorded.unreadable_chunk(place.document.as_ref());
                let is_shown = is_here && is_of_person || sought.is_some() && unreadable.is_some();
                if !is_shown || !wanted.has_ids_of(&recorded) {
                    let is_elsewhere = !is_here && shown_at.is_some();
                    let unreadable = unreadable.filter(|_| !is_elsewhere);
                    not_searched = unreadable.map(|id| format!("the entry of chunk {id}"));
                } else if has_holds {
                    row = Some(self.with_cases(*recorded).await?.row(rules));
                } else {
                    row = Some(recorded.row(rules));
                }
            }
            Reading::Unreadable { key } => {
                row = Some(Row::unreadable(&place.recording, &key))
                    .filter(|row| is_certain && wanted.fits(row));
                not_searched = row.is_none().then(|| format!("`{key}`"));
            }
            Reading::Absent => {
                not_searched = self.without_account(&list.key(&place), &place).await?;
            }
        }
        Ok(ShownPlace {
            place,
            row,
            not_searched,
        })
    }

    /// Names what is known of a marker whose recording has no account in the register. `None`: it is about to be written.
    pub(super) async fn without_account(
        &self,
        marker: &str,
        place: &Place,
    ) -> Result<Option<String>, CatalogueError> {
        let entry = match &place.document {
            Some(id) => self.chunk_entry(id).await?,
            None => ChunkEntry::Absent,
        };
        Ok(match (entry, &place.document) {
            (ChunkEntry::Found(_) | ChunkEntry::Unreadable, Some(id)) => Some(without_account(id)),
            (_, _) if self.is_abandoned(marker).await? => Some(format!(
                "`{marker}`, whose recording has no account in the register"
            )),
            (_, _) => None,
        })
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

    async fn by_whole_id(
        &self,
        wanted: &ListFilter,
        sought: Option<&Sought>,
    ) -> Result<Option<Page>, CatalogueError> {
        let id = wanted
            .id
            .as_deref()
            .and_then(|id| id.trim().parse::<RecordingId>().ok());
        let Some(id) = id else { return Ok(None) };
        let name = recording_name(&id);
        let recorded = match self.read(&name).await? {
            Reading::Known(recorded) => *recorded,
            Reading::Unreadable { key } => {
                let row = Some(Row::unreadable(&name, &key)).filter(|row| wanted.fits(row));
                let unreadable = row.is_none().then(|| format!("`{key}`"));
                let mut page = Page::of(row.into_iter().collect(), None);
                page.add_unreadable(unreadable);
                return Ok(Some(page));
            }
            Reading::Absent => return Ok(None),
        };
        let recorded = self.with_cases(recorded).await?;
        let is_wanted = wanted.has_time(recorded.account.filed_at())
            && wanted.has_ids_of(&recorded)
            && sought.is_none_or(|sought| sought.is_in(&recorded));
        let row = recorded.row(self.rules());
        Ok((is_wanted && wanted.fits(&row)).then(|| Page::of(vec![row], None)))
    }

    /// Chooses the list of the index that has all matches and the fewest others.
    async fn narrowest(
        &self,
        index: &Index,
        wanted: &ListFilter,
    ) -> Result<Listed, CatalogueError> {
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

/// Names a chunk that no row shows.
pub(super) fn without_account(id: &DocumentId) -> String {
    format!("chunk {id}, whose recording has no account in the register")
}

/// What is shown at a place of a list.
struct ShownPlace {
    place: Place,
    row: Option<Row>,
    /// What is here and cannot be read.
    not_searched: Option<String>,
}

/// How the places of a list are read.
#[derive(Clone, Copy)]
struct Look<'a> {
    list: &'a Listed,
    wanted: &'a ListFilter,
    sought: Option<&'a Sought>,
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
    /// Names what may have been asked for, and cannot be read.
    pub(super) fn add_unreadable(&mut self, names: impl IntoIterator<Item = String>) {
        let mut not_searched = NotSearched::default();
        not_searched.add_unreadable(names);
        self.add_not_searched(not_searched);
    }

    /// Adds what a search could not look into, if there is anything.
    pub(super) fn add_not_searched(&mut self, not_searched: NotSearched) {
        if self.not_searched.is_some() || !not_searched.is_nothing() {
            self.not_searched
                .get_or_insert_default()
                .merge(not_searched);
        }
    }

    fn continued(self, next: Option<Place>) -> Self {
        Self {
            continuation: next.map(|place| place.to_string()),
            ..self
        }
    }

    pub(super) fn of(recordings: Vec<Row>, next: Option<Place>) -> Self {
        Self {
            recordings,
            continuation: next.map(|place| place.to_string()),
            not_searched: None,
        }
    }
}
