//! Pages of a list: rows with their places, and where the next page begins. Pure.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::Serialize;
use utoipa::ToSchema;

use super::not_searched::NotSearched;
use super::row::Row;
use crate::store::digest::Sha256Digest;
use crate::store::index::Place;

/// How the continuation of a search begins that goes on among ids.
const OF_IDS: &str = "ids";

/// Where a page begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Continuation {
    /// After a place of the list; of a search, among what a case or a person names.
    After(Place),
    /// Among the ids that begin with what is searched: after a place, or with the first.
    OfIds(Option<Place>),
}

impl Continuation {
    /// The place after which the page begins.
    pub(super) fn place(&self) -> Option<&Place> {
        match self {
            Self::After(place) => Some(place),
            Self::OfIds(place) => place.as_ref(),
        }
    }
}

impl fmt::Display for Continuation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::After(place) => write!(f, "{place}"),
            Self::OfIds(None) => f.write_str(OF_IDS),
            Self::OfIds(Some(place)) => write!(f, "{OF_IDS}.{place}"),
        }
    }
}

impl FromStr for Continuation {
    type Err = <Place as FromStr>::Err;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let Some(of_ids) = text.strip_prefix(OF_IDS) else {
            return text.parse().map(Self::After);
        };
        let place = of_ids.strip_prefix('.').map(str::parse).transpose()?;
        if place.is_none() && !of_ids.is_empty() {
            return of_ids.parse().map(Self::After);
        }
        Ok(Self::OfIds(place))
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::index::recording_name;

    #[rstest::rstest]
    #[case::of_a_list(Continuation::After(place()))]
    #[case::first_id(Continuation::OfIds(None))]
    #[case::of_ids(Continuation::OfIds(Some(place())))]
    fn a_continuation_is_read_as_it_was_given(#[case] continuation: Continuation) {
        let text = continuation.to_string();
        assert_eq!(text.parse::<Continuation>().unwrap(), continuation);
    }

    #[rstest::rstest]
    #[case("")]
    #[case("ids.")]
    #[case("idsx")]
    #[case("x")]
    fn another_text_is_no_continuation(#[case] text: &str) {
        assert!(text.parse::<Continuation>().is_err());
    }

    fn place() -> Place {
        let at = "2026-03-02T10:00:00Z".parse().unwrap();
        Place::of(at, recording_name(&"a".parse().unwrap()))
    }
}
