//! What a hold covers, found with the index instead of by reading every entry.

use futures::{StreamExt as _, TryStreamExt as _};

use super::known::{KnownRecording, Reading};
use super::{AT_ONCE, Catalogue, CatalogueError};
use crate::export::LedgerEntry;
use crate::export::ledger::{Found, LedgerError};
use crate::recording::DocumentId;
use crate::standing::ChunkEntry;
use crate::store::digest::Sha256Digest;
use crate::store::holds::{Case, Held};
use crate::store::index::{Listed, Period, Place, recording_name};

const PAGE: usize = 500;

/// The known chunks of what is held.
#[derive(Debug, Default)]
pub struct Covered {
    /// Recordings that the register knows.
    pub recordings: usize,
    pub entries: Vec<LedgerEntry>,
    /// Every case that holds any part of it.
    pub cases: Vec<Case>,
    /// Unreadable accounts and entries that may belong to it.
    pub unreadable: Vec<String>,
}

/// Recordings in a list of the index.
#[derive(Debug, Default)]
pub(super) struct RecordingsAt {
    pub found: Vec<KnownRecording>,
    /// Unreadable accounts.
    pub unreadable: Vec<String>,
}

impl Catalogue {
    /// Returns what is known about something that is, or may be, held.
    ///
    /// Where no account of it is found, or one is unreadable, searches all open chunks.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn covered_by(&self, held: &Held) -> Result<Covered, CatalogueError> {
        let recordings = match held {
            Held::RecordingId(id) => self.recording_at(&recording_name(id), |_| true).await?,
            Held::CallId(id) => self.recordings_at(&Listed::Call(id.to_string())).await?,
        };
        let mut covered = Covered {
            recordings: recordings.found.len(),
            cases: self.ledger.holds().cases_of([held.clone()]).await?,
            unreadable: recordings.unreadable,
            ..Covered::default()
        };
        let is_all_known = covered.recordings > 0 && covered.unreadable.is_empty();
        for recorded in recordings.found {
            for chunk in recorded.chunks {
                match chunk.entry {
                    ChunkEntry::Found(entry) => covered.add(held, *entry),
                    ChunkEntry::Absent | ChunkEntry::Unreadable => {
                        covered.add_found(held, self.ledger.find(&chunk.document_id).await)?;
                    }
                }
            }
            for case in recorded.cases {
                if !covered.cases.contains(&case) {
                    covered.cases.push(case);
                }
            }
        }
        if !is_all_known {
            self.add_open(held, &mut covered).await?;
        }
        Ok(covered)
    }

    /// Returns the recording of this name in the index, if it is wanted, with the cases that hold it.
    async fn recording_at(
        &self,
        name: &Sha256Digest,
        is_wanted: impl Fn(&KnownRecording) -> bool + Send,
    ) -> Result<RecordingsAt, CatalogueError> {
        let mut recordings = RecordingsAt::default();
        match self.read(name).await? {
            Reading::Known(recorded) if is_wanted(&recorded) => {
                recordings.found.push(self.with_cases(*recorded).await?);
            }
            Reading::Known(_) | Reading::Absent => {}
            Reading::Unreadable { key } => recordings.unreadable.push(format!("`{key}`")),
        }
        Ok(recordings)
    }

    /// Adds chunks that the ledger has and no readable account names: an event recorded them, and the register failed.
    async fn add_open(&self, held: &Held, covered: &mut Covered) -> Result<(), CatalogueError> {
        let mut after = None;
        loop {
            let (open, next) = self.ledger.open_chunks(after.as_ref(), PAGE).await?;
            let unknown = open.into_iter().map(|marker| marker.document_id);
            let unknown: Vec<DocumentId> = unknown.filter(|id| !covered.has(id)).collect();
            let looking =
                futures::stream::iter(unknown).map(|id| async move { self.ledger.find(&id).await });
            let mut looking = looking.buffered(AT_ONCE);
            while let Some(found) = looking.next().await {
                covered.add_found(held, found)?;
            }
            if next.is_none() {
                return Ok(());
            }
            after = next;
        }
    }

    /// Returns all recordings of a list of the index, newest first, each once, with the cases that hold them.
    pub(super) async fn recordings_at(
        &self,
        list: &Listed,
    ) -> Result<RecordingsAt, CatalogueError> {
        let index = self.ledger.index();
        let mut recordings = RecordingsAt::default();
        let mut after = None;
        loop {
            let places = index
                .places(list, Period::default(), after.as_ref(), PAGE)
                .await?;
            let is_last = places.len() < PAGE;
            after = places.last().cloned();
            let page = futures::stream::iter(places)
                .map(|place| async move { self.recording_at_place(list, place).await });
            let page: Vec<RecordingsAt> = page.buffered(AT_ONCE).try_collect().await?;
            for here in page {
                recordings.append(here);
            }
            if is_last {
                recordings.unreadable.dedup();
                return Ok(recordings);
            }
        }
    }
}

impl Catalogue {
    /// Returns the recording at a place, if this is the one place of the list at which it is shown.
    async fn recording_at_place(
        &self,
        list: &Listed,
        place: Place,
    ) -> Result<RecordingsAt, CatalogueError> {
        let mut here = RecordingsAt::default();
        match self.read(&place.recording).await? {
            Reading::Known(recorded) => {
                // A recording may have several markers here; the first counts.
                if recorded.shown_at(list).as_ref() == Some(&list.key(&place)) {
                    here.found.push(self.with_cases(*recorded).await?);
                } else if let Some(id) = recorded.unreadable_chunk(place.document.as_ref()) {
                    here.unreadable.push(format!("the entry of chunk {id}"));
                }
            }
            Reading::Unreadable { key } => here.unreadable.push(format!("`{key}`")),
            Reading::Absent => here.unreadable.extend(self.without_account(&place).await?),
        }
        Ok(here)
    }
}

impl RecordingsAt {
    pub fn append(&mut self, other: Self) {
        self.found.extend(other.found);
        self.unreadable.extend(other.unreadable);
    }
}

impl Covered {
    fn add(&mut self, held: &Held, entry: LedgerEntry) {
        if held.covers(&entry.chunk) {
            self.entries.push(entry);
        }
    }

    fn add_found(
        &mut self,
        held: &Held,
        found: Result<Option<Found>, LedgerError>,
    ) -> Result<(), LedgerError> {
        match found {
            Ok(found) => found
                .into_iter()
                .for_each(|found| self.add(held, found.entry)),
            Err(LedgerError::Corrupt { document_id, .. }) => {
                let name = format!("the entry of chunk {document_id}");
                if !self.unreadable.contains(&name) {
                    self.unreadable.push(name);
                }
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn has(&self, id: &DocumentId) -> bool {
        self.entries
            .iter()
            .any(|entry| entry.chunk.document_id == *id)
    }
}
