//! Recordings in pages, newest first.
//!
//! The most selective condition decides which list of the index is read; the other conditions are checked row by row,
//! within a bound: a page may be short, or empty, and still have a next one.

use futures::{StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;

use super::continuation::Continuation;
use super::known::{HeldCase, HoldTarget, KnownRecording, Reading};
pub use super::list_filter::ListFilter;
use super::not_searched::{entries_of, unreadable_entries};
pub use super::page::Page;
use super::page::PlacedPage;
use super::person::Sought;
use super::row::Row;
use super::{AT_ONCE, Catalogue, CatalogueError};
use crate::recording::{DocumentId, RecordingId};
use crate::standing::{ChunkEntry, Rules, Standing};
use crate::store::audit::Operator;
use crate::store::holds::{Case, Scope};
use crate::store::index::{Attention, Index, Listed, Period, Place, recording_name};

/// Recordings that one page reads.
const LOOKED_AT: usize = 500;

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
        Ok(self.list_page(wanted).await?.into())
    }

    /// Returns a page of recordings, for a caller that has recorded whose they are.
    pub(super) async fn list_page(
        &self,
        wanted: &ListFilter,
    ) -> Result<PlacedPage, CatalogueError> {
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
        let of_person = self.recordings_of(&sought, wanted).await?;
        self.page_of(self.fitting_of(of_person, wanted), wanted)
            .await
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
    ) -> Result<PlacedPage, CatalogueError> {
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
            (PlacedPage::default(), 0, wanted.place().cloned());
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
                after = Some(shown.place.clone());
                page.rows.extend(shown.row.map(|row| (shown.place, row)));
                page.add_unreadable(shown.not_searched);
                if page.rows.len() == wanted.top {
                    page.next = after.map(Continuation::After);
                    return Ok(page);
                }
            }
            if is_last {
                return Ok(page);
            }
            if looked_at >= LOOKED_AT {
                page.next = after.map(Continuation::After);
                return Ok(page);
            }
        }
    }

    /// Returns recordings of a standing that is not settled, from the same survey as the numbers of the summary.
    /// `None`: another list is more selective, or there are more than a survey reads.
    async fn by_survey(&self, wanted: &ListFilter) -> Result<Option<PlacedPage>, CatalogueError> {
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
        // Of what is not readable, the format is unknown.
        let is_shown = wanted.is_for_any_name()
            && wanted.format.is_none()
            && wanted.status == Some(Standing::Unknown);
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
            .filter(|(place, _)| wanted.is_after(place))
            .collect();
        fitting.sort_by_key(|(place, _)| place.to_string());
        let is_more = fitting.len() > wanted.top;
        let mut page = PlacedPage::default();
        for (place, one) in fitting.into_iter().take(wanted.top) {
            page.next = is_more.then(|| Continuation::After(place.clone()));
            let row = match one.reading {
                Reading::Known(recorded) => {
                    let recorded = self.with_cases(*recorded).await?;
                    let (row, unreadable) = fitting_row(&recorded, wanted, rules);
                    page.add_unreadable(unreadable);
                    row
                }
                Reading::Unreadable { .. } | Reading::Absent => Some(one.row(rules)),
            };
            page.rows.extend(row.map(|row| (place, row)));
        }
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
        let (mut row, mut not_searched) = (None, Vec::new());
        // Only its marker says that it is what was asked for.
        let is_certain = match list {
            Listed::Call(_) | Listed::Participant(_) => wanted.names() == 1,
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
                    not_searched.extend(unreadable.map(|id| format!("the entry of chunk {id}")));
                } else if has_holds {
                    let recorded = self.with_cases(*recorded).await?;
                    (row, not_searched) = fitting_row(&recorded, wanted, rules);
                } else {
                    (row, not_searched) = fitting_row(&recorded, wanted, rules);
                }
            }
            Reading::Unreadable { key } => {
                row = Some(Row::unreadable(&place.recording, &key))
                    .filter(|row| is_certain && wanted.fits(row));
                not_searched.extend(row.is_none().then(|| format!("`{key}`")));
            }
            Reading::Absent => {
                let key = list.key(&place);
                not_searched.extend(self.without_account(&key, &place).await?);
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
        let mut cases = Vec::new();
        let mut add = |of_hold: Vec<Case>, on: HoldTarget| {
            let of_hold = of_hold.into_iter();
            cases.extend(of_hold.map(|case| HeldCase { case, on }));
        };
        for held in recorded.holdable() {
            let on = HoldTarget::of(&held, &recorded);
            let of_name = holds.cases_of([held]).await?;
            add(of_name, on);
        }
        for hold in holds.standing().await? {
            match &hold.scope {
                Scope::Matching(rule) if recorded.matches(rule).holds() => {
                    add(hold.cases, HoldTarget::of_rule(rule));
                }
                Scope::Matching(_) => {}
                Scope::Everything => add(hold.cases, HoldTarget::Unreadable),
            }
        }
        recorded.cases = cases;
        Ok(recorded)
    }

    async fn by_whole_id(
        &self,
        wanted: &ListFilter,
        sought: Option<&Sought>,
    ) -> Result<Option<PlacedPage>, CatalogueError> {
        let id = wanted
            .id
            .as_deref()
            .and_then(|id| id.trim().parse::<RecordingId>().ok());
        let Some(id) = id else { return Ok(None) };
        let name = recording_name(&id);
        let recorded = match self.read(&name).await? {
            Reading::Known(recorded) => *recorded,
            Reading::Unreadable { key } => {
                // Nothing but its id is known.
                let is_for_id = wanted.names() == 1 && wanted.period == Period::default();
                let row = Row::unreadable(&name, &key);
                let row = Some(row).filter(|row| is_for_id && wanted.fits(row));
                let unreadable = row.is_none().then(|| format!("`{key}`"));
                let place = Place::of(Timestamp::UNIX_EPOCH, name);
                let row = row.filter(|_| wanted.is_after(&place));
                let mut page = PlacedPage::complete(row.map(|row| (place, row)));
                page.add_unreadable(unreadable);
                return Ok(Some(page));
            }
            Reading::Absent => return Ok(None),
        };
        let recorded = self.with_cases(recorded).await?;
        let at = recorded.account.filed_at();
        let is_wanted = wanted.has_time(at)
            && wanted.has_ids_of(&recorded)
            && sought.is_none_or(|sought| sought.is_in(&recorded));
        let row = recorded.row(self.rules());
        if !is_wanted || !wanted.fits(&row) {
            return Ok(None);
        }
        let place = Place::of(at, name);
        let row = Some(row).filter(|_| wanted.is_after(&place));
        let row = row.map(|row| (place, row));
        Ok(Some(PlacedPage::complete(row)))
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
    not_searched: Vec<String>,
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

/// Returns the row of a recording if it matches. Of one that is left out because its format is not known, names the entries
/// that are not readable.
fn fitting_row(
    recorded: &KnownRecording,
    wanted: &ListFilter,
    rules: Rules,
) -> (Option<Row>, Vec<String>) {
    let row = recorded.row(rules);
    if wanted.fits(&row) {
        return (Some(row), Vec::new());
    }
    let unreadable = Some(recorded).filter(|_| wanted.lacks_format(&row));
    (None, unreadable.map(unreadable_entries).unwrap_or_default())
}
