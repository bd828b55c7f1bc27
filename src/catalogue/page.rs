//! Pages of a list: rows with their places, and the union of two lists. Pure.

use std::collections::BTreeSet;

use serde::Serialize;
use utoipa::ToSchema;

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
    /// In the order of their places: newest first.
    pub rows: Vec<(Place, Row)>,
    /// The last place that was looked at; `None`: the list has no more.
    pub next: Option<Place>,
    /// What the search could not look into.
    pub not_searched: Option<NotSearched>,
}

impl From<PlacedPage> for Page {
    fn from(page: PlacedPage) -> Self {
        let rows = page.rows.into_iter();
        Self {
            recordings: rows.map(|(_, row)| row).collect(),
            continuation: page.next.map(|place| place.to_string()),
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

    /// Returns the page of two lists together. Both pages begin after the same place, and no recording is in both lists.
    /// What comes after the end of the shorter page is left to the next one, so that the order stays.
    pub fn union(self, other: Self, top: usize) -> Self {
        let ends = self.next.into_iter().chain(other.next);
        let mut next = ends.min_by_key(ToString::to_string);
        let mut rows = self.rows;
        rows.extend(other.rows);
        if let Some(end) = next.as_ref().map(ToString::to_string) {
            rows.retain(|(place, _)| place.to_string() <= end);
        }
        rows.sort_by_key(|(place, _)| place.to_string());
        if rows.len() > top {
            rows.truncate(top);
            next = rows.last().map(|(place, _)| place.clone());
        }
        let mut page = Self {
            rows,
            next,
            not_searched: self.not_searched,
        };
        if let Some(not_searched) = other.not_searched {
            page.not_searched
                .get_or_insert_default()
                .merge(not_searched);
        }
        page
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::standing::Assessment;
    use crate::store::index::recording_name;

    /// A place at so many minutes before a time.
    fn place(id: &str, minutes_ago: i64) -> Place {
        let at: jiff::Timestamp = "2026-03-02T10:00:00Z".parse().unwrap();
        let at = at - jiff::SignedDuration::from_mins(minutes_ago);
        Place::of(at, recording_name(&id.parse().unwrap()))
    }

    fn page(rows: &[(&str, i64)], next: Option<i64>) -> PlacedPage {
        let rows = rows.iter().map(|(id, minutes_ago)| {
            let unknown = Assessment::of_unreadable(String::new());
            let row = Row::unknown((*id).to_owned(), unknown);
            (place(id, *minutes_ago), row)
        });
        PlacedPage {
            rows: rows.collect(),
            next: next.map(|minutes_ago| place("end", minutes_ago)),
            not_searched: None,
        }
    }

    #[rstest::rstest]
    #[case::both_end(page(&[("a", 1), ("c", 3)], None), page(&[("b", 2)], None), "a b c", None)]
    #[case::one_goes_on(page(&[("a", 1), ("c", 9)], None), page(&[], Some(5)), "a", Some(5))]
    #[case::both_go_on(page(&[("a", 1)], Some(2)), page(&[("b", 4)], Some(5)), "a", Some(2))]
    #[case::nothing(page(&[], None), page(&[], None), "", None)]
    fn a_union_has_both_lists_in_order_up_to_where_both_were_read(
        #[case] one: PlacedPage,
        #[case] other: PlacedPage,
        #[case] expected: &str,
        #[case] next: Option<i64>,
    ) {
        let union = one.union(other, 10);
        let ids = union.rows.iter().map(|(_, row)| row.recording_id.as_str());
        assert_eq!(ids.collect::<Vec<_>>().join(" "), expected);
        assert_eq!(
            union.next,
            next.map(|minutes_ago| place("end", minutes_ago))
        );
    }

    #[test]
    fn a_union_has_no_more_than_a_page_and_continues_after_its_last_row() {
        let union = page(&[("a", 1), ("c", 3)], Some(3)).union(page(&[("b", 2)], None), 2);
        let ids = union.rows.iter().map(|(_, row)| row.recording_id.as_str());
        assert_eq!(ids.collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(union.next, Some(place("b", 2)));
    }
}
