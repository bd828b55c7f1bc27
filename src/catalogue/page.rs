//! Pages of a list: rows with their places. Pure.

use std::collections::BTreeSet;

use serde::Serialize;
use utoipa::ToSchema;

use super::continuation::Continuation;
use super::not_searched::NotSearched;
use super::row::Row;
use crate::store::digest::Sha256Digest;
use crate::store::index::Place;

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

/// A page whose rows have their places.
#[derive(Debug, Default)]
pub(super) struct PlacedPage {
    /// Newest first; of a search, what begins with the text as an id comes last.
    pub rows: Vec<(Place, Row)>,
    /// `None`: the list has no more.
    pub next: Option<Continuation>,
    /// What the search could not look into.
    pub not_searched: Option<NotSearched>,
}

impl From<PlacedPage> for Page {
    fn from(page: PlacedPage) -> Self {
        let rows = page.rows.into_iter();
        Self {
            recordings: rows.map(|(_, row)| row).collect(),
            continuation: page.next.map(|next| next.to_string()),
            not_searched: page.not_searched,
        }
    }
}

impl PlacedPage {
    /// Returns a page after which the list has no more.
    pub fn complete(rows: impl IntoIterator<Item = (Place, Row)>) -> Self {
        Self {
            rows: rows.into_iter().collect(),
            ..Self::default()
        }
    }

    /// Names what may have been asked for, and cannot be read.
    pub fn add_unreadable(&mut self, names: impl IntoIterator<Item = String>) {
        let mut not_searched = NotSearched::default();
        not_searched.add_unreadable(names);
        self.add_not_searched(not_searched);
    }

    /// Adds what a search could not look into, if there is anything.
    pub fn add_not_searched(&mut self, not_searched: NotSearched) {
        if self.not_searched.is_some() || !not_searched.is_nothing() {
            self.not_searched
                .get_or_insert_default()
                .merge(not_searched);
        }
    }

    /// Returns the same page without some recordings.
    pub fn without(mut self, recordings: &BTreeSet<Sha256Digest>) -> Self {
        self.rows
            .retain(|(place, _)| !recordings.contains(&place.recording));
        self
    }

    /// Adds a page of another list. Its rows come after those of this one, which has no more.
    pub fn append(&mut self, other: Self) {
        self.rows.extend(other.rows);
        self.next = other.next;
        if let Some(not_searched) = other.not_searched {
            self.not_searched
                .get_or_insert_default()
                .merge(not_searched);
        }
    }
}
