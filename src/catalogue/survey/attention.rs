//! The lists of what needs a person, or needed one.

use super::Candidates;
use crate::catalogue::{Catalogue, CatalogueError};
use crate::store::index::{Attention, Listed, Period, Place};

impl Catalogue {
    /// Returns the first places of each list of what needs, or needed, a person.
    pub(super) async fn attention(
        &self,
        limit: usize,
    ) -> Result<Vec<(Attention, Vec<Place>)>, CatalogueError> {
        let index = self.ledger.index();
        // Usually there are few.
        let few = index.all_attention(limit - 1).await?;
        let mut lists = Vec::new();
        for kind in Attention::ALL {
            let places = match &few {
                Some(few) => {
                    let own = few.iter().filter(|(of, _)| *of == kind);
                    own.map(|(_, place)| place.clone()).collect()
                }
                None => {
                    let list = Listed::Attention(kind);
                    index.places(&list, Period::default(), None, limit).await?
                }
            };
            lists.push((kind, places));
        }
        Ok(lists)
    }
}

impl Candidates {
    pub(super) fn add_attention(
        &mut self,
        lists: impl IntoIterator<Item = (Attention, Vec<Place>)>,
        limit: usize,
    ) {
        for (kind, places) in lists {
            self.add_places(&Listed::Attention(kind), places, limit);
        }
    }
}
