//! Recordings that were read already: those that match every condition of a filter, and pages of them.

use std::collections::BTreeSet;

use super::continuation::Continuation;
use super::known::KnownRecording;
use super::list_filter::ListFilter;
use super::not_searched::{NotSearched, unreadable_entries};
use super::page::PlacedPage;
use super::people::RecordingsOf;
use super::{Catalogue, CatalogueError};
use crate::recording::RecordingId;
use crate::store::digest::Sha256Digest;
use crate::store::index::{Place, recording_name};

/// Recordings that match every condition of a filter.
#[derive(Debug, Default)]
pub(super) struct Fitting {
    /// Newest first.
    recordings: Vec<(Place, KnownRecording)>,
    /// What may match too, and could not be looked into.
    not_searched: Option<NotSearched>,
}

impl Fitting {
    /// Returns the names of the recordings in the index.
    pub fn names(&self) -> BTreeSet<Sha256Digest> {
        let recordings = self.recordings.iter();
        recordings.map(|(place, _)| place.recording).collect()
    }
}

impl Catalogue {
    /// Returns those of recordings that match every condition of a filter, also that of a person.
    pub(super) async fn fitting(
        &self,
        mut found: Vec<KnownRecording>,
        wanted: &ListFilter,
    ) -> Result<Fitting, CatalogueError> {
        let Some(person) = &wanted.person else {
            return Ok(self.fitting_beside_person(found, wanted));
        };
        if found.is_empty() {
            return Ok(Fitting::default());
        }
        // Of some recordings, only their files name the person.
        let sought = self.sought(person).await?;
        let of_person = Box::pin(self.recordings_of(&sought, wanted)).await?;
        let ids = of_person.found.iter();
        let ids: BTreeSet<&RecordingId> = ids.map(|one| &one.account.recording_id).collect();
        found.retain(|recorded| ids.contains(&recorded.account.recording_id));
        let of_person = RecordingsOf { found, ..of_person };
        Ok(self.fitting_of(of_person, wanted))
    }

    /// Returns those recordings of the filter's person that match its other conditions.
    pub(super) fn fitting_of(&self, of_person: RecordingsOf, wanted: &ListFilter) -> Fitting {
        let RecordingsOf {
            found,
            mut not_searched,
        } = of_person;
        let mut fitting = self.fitting_beside_person(found, wanted);
        if let Some(beside) = fitting.not_searched.take() {
            not_searched.merge(beside);
        }
        fitting.not_searched = Some(not_searched);
        fitting
    }

    /// Returns those of recordings that match the conditions of a filter beside that of a person.
    fn fitting_beside_person(&self, found: Vec<KnownRecording>, wanted: &ListFilter) -> Fitting {
        let rules = self.rules();
        let (mut fitting, mut unreadable) = (Fitting::default(), Vec::new());
        for recorded in found {
            let at = recorded.account.filed_at();
            if !wanted.has_time(at) || !wanted.has_ids_of(&recorded) {
                continue;
            }
            let row = recorded.row(rules);
            if wanted.fits(&row) {
                let name = recording_name(&recorded.account.recording_id);
                fitting.recordings.push((Place::of(at, name), recorded));
            } else if wanted.lacks_format(&row) {
                unreadable.extend(unreadable_entries(&recorded));
            }
        }
        if !unreadable.is_empty() {
            let not_searched = fitting.not_searched.get_or_insert_default();
            not_searched.add_unreadable(unreadable);
        }
        fitting
            .recordings
            .sort_by_key(|(place, _)| place.to_string());
        fitting
    }

    /// Returns the page of recordings that match a filter which begins after the filter's place.
    pub(super) async fn page_of(
        &self,
        fitting: Fitting,
        wanted: &ListFilter,
    ) -> Result<PlacedPage, CatalogueError> {
        let rules = self.rules();
        let mut page = PlacedPage {
            not_searched: fitting.not_searched,
            ..PlacedPage::default()
        };
        let recordings = fitting.recordings.into_iter();
        for (place, recorded) in recordings.filter(|(place, _)| wanted.is_after(place)) {
            if page.rows.len() == wanted.top {
                let last = page.rows.last();
                page.next = last.map(|(place, _)| Continuation::After(place.clone()));
                return Ok(page);
            }
            let row = self.with_cases(recorded).await?.row(rules);
            page.rows.push((place, row));
        }
        Ok(page)
    }
}
