//! What a hold covers, found by the index instead of by looking at every entry.

use futures::{StreamExt as _, TryStreamExt as _};

use super::row::KnownRecording;
use super::{AT_ONCE, Catalogue, CatalogueError};
use crate::export::LedgerEntry;
use crate::store::holds::{Case, Held};
use crate::store::index::{Listed, Period};

const PAGE: usize = 500;

/// Chunks that something held consists of, as far as they are known.
#[derive(Debug, Default)]
pub struct Covered {
    /// Recordings that the register knows.
    pub recordings: usize,
    pub entries: Vec<LedgerEntry>,
    /// Every case that holds any of it.
    pub cases: Vec<Case>,
}

impl Catalogue {
    /// What is known of something that is, or may be, held.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn covered_by(&self, held: &Held) -> Result<Covered, CatalogueError> {
        let recordings: Vec<KnownRecording> = match held {
            Held::RecordingId(id) => self.find(id).await?.into_iter().collect(),
            Held::CallId(id) => self.recordings_at(&Listed::Call(id.to_string())).await?,
        };
        let mut covered = Covered {
            recordings: recordings.len(),
            cases: self.ledger.holds().cases_of([held.clone()]).await?,
            ..Covered::default()
        };
        for recorded in recordings {
            let entries = recorded.entries().filter(|entry| held.covers(&entry.chunk));
            covered.entries.extend(entries.cloned());
            for case in recorded.cases {
                if !covered.cases.contains(&case) {
                    covered.cases.push(case);
                }
            }
        }
        Ok(covered)
    }

    /// All recordings of a list of the index, newest first, each once, with what holds them.
    pub(super) async fn recordings_at(
        &self,
        list: &Listed,
    ) -> Result<Vec<KnownRecording>, CatalogueError> {
        let index = self.ledger.index();
        let mut found = Vec::new();
        let mut after = None;
        loop {
            let places = index
                .places(list, Period::default(), after.as_ref(), PAGE)
                .await?;
            let is_last = places.len() < PAGE;
            after = places.last().cloned();
            let page = futures::stream::iter(places).map(|place| async move {
                let recorded = self.recorded(&place.recording).await?;
                // A recording may have several markers here; the first counts.
                match recorded
                    .filter(|known| known.shown_at(list).as_ref() == Some(&list.key(&place)))
                {
                    Some(recorded) => self.with_cases(recorded).await.map(Some),
                    None => Ok(None),
                }
            });
            let page: Vec<Option<KnownRecording>> = page.buffered(AT_ONCE).try_collect().await?;
            found.extend(page.into_iter().flatten());
            if is_last {
                return Ok(found);
            }
        }
    }
}
