//! Where the next page of a list or a search begins. Pure.

use std::fmt;
use std::str::FromStr;

use crate::store::index::Place;

/// How a continuation begins that is among the ids of a search.
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
        if text == OF_IDS {
            return Ok(Self::OfIds(None));
        }
        let of_ids = text
            .strip_prefix(OF_IDS)
            .and_then(|rest| rest.strip_prefix('.'));
        match of_ids {
            Some(place) => place.parse().map(|place| Self::OfIds(Some(place))),
            None => text.parse().map(Self::After),
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
