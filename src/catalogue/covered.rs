//! What a hold covers, found with the index instead of by reading every entry.

use std::collections::BTreeSet;

use futures::{StreamExt as _, TryStreamExt as _};

use super::known::{KnownRecording, Reading};
use super::still_held::{KeptByOthers, OtherHolds};
use super::{AT_ONCE, Catalogue, CatalogueError};
use crate::export::ledger::LedgerError;
use crate::export::{ChunkState, LedgerEntry};
use crate::recording::{DocumentId, RecordingId};
use crate::standing::ChunkEntry;
use crate::store::digest::Sha256Digest;
use crate::store::holds::{Case, Held, HoldRule, Match};
use crate::store::index::{Listed, Period, Place, recording_name};

/// Open chunks that are listed at a time.
const PAGE: usize = 500;
/// Limit of recordings that are read for a standing hold.
const MOST_RECORDINGS: usize = 10_000;

/// The known chunks of what is held.
#[derive(Debug, Default)]
pub struct Covered {
    /// Recordings that the register knows.
    pub recordings: usize,
    /// Recordings that were started with this id, while their files have other ids: the hold does not cover them.
    pub named_otherwise: Vec<RecordingId>,
    pub entries: Vec<LedgerEntry>,
    /// Chunks that may match, and therefore count as held.
    pub uncertain: Vec<LedgerEntry>,
    /// Every case that holds any part of it.
    pub cases: Vec<Case>,
    /// Unreadable accounts and entries that may belong to it.
    pub unreadable: Vec<String>,
    /// There are more recordings than are read at a time.
    pub is_capped: bool,
    looked_at: BTreeSet<DocumentId>,
}

/// The recordings of a hold.
#[derive(Debug)]
pub struct HeldIds {
    /// They are known to match.
    pub recordings: Vec<RecordingId>,
    /// They may match, and therefore count as held: their participants or their start are not known.
    pub uncertain: Vec<RecordingId>,
    /// There are more recordings than are read at a time.
    pub is_capped: bool,
    /// Unreadable accounts and entries that may belong to it.
    pub unreadable: Vec<String>,
}

/// The chunks that the register has of a recording or call.
#[derive(Debug, Default)]
pub struct KnownDocuments {
    pub documents: BTreeSet<DocumentId>,
    /// Unreadable accounts, which may have more.
    pub unreadable: Vec<String>,
}

impl KnownDocuments {
    pub fn extend(&mut self, other: Self) {
        self.documents.extend(other.documents);
        self.unreadable.extend(other.unreadable);
    }
}

/// A chunk, compared with a hold.
enum Looked {
    Compared {
        entry: Box<LedgerEntry>,
        matches: Match,
    },
    Absent,
    Unreadable(DocumentId),
}

/// Recordings in a list of the index.
#[derive(Debug, Default)]
pub(super) struct RecordingsAt {
    pub found: Vec<KnownRecording>,
    /// Unreadable accounts.
    pub unreadable: Vec<String>,
    /// The list has more.
    pub is_capped: bool,
}

impl Catalogue {
    /// Returns what is known about something that is, or may be, held.
    ///
    /// Where no account of it is found, or one is unreadable, and for standing holds, searches all open chunks.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn covered_by(&self, held: &Held) -> Result<Covered, CatalogueError> {
        let (covered, _) = Box::pin(self.covered_beside(held, OtherHolds::default())).await?;
        Ok(covered)
    }

    /// Returns what a hold covered that was released, and what other holds keep of it.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn covered_by_released(
        &self,
        held: &Held,
    ) -> Result<(Covered, KeptByOthers), CatalogueError> {
        let holds = self.ledger.holds();
        let (stored, standing) = (holds.stored().await?, holds.standing().await?);
        let others = OtherHolds::beside(held, stored, standing);
        let (covered, others) = Box::pin(self.covered_beside(held, others)).await?;
        let kept = others.counted(covered.is_capped, covered.unreadable.len());
        Ok((covered, kept))
    }

    /// Returns what a hold covers, or covered, and adds it to what is compared with other holds.
    async fn covered_beside(
        &self,
        held: &Held,
        mut others: OtherHolds,
    ) -> Result<(Covered, OtherHolds), CatalogueError> {
        let mut recordings = self.recordings_held(held).await?;
        let is_covered =
            |recorded: &KnownRecording| held.rule().is_some() || recorded.is_covered_by_name(held);
        let (found, named_otherwise): (Vec<_>, Vec<_>) =
            recordings.found.into_iter().partition(is_covered);
        recordings.found = found;
        let mut covered = Covered {
            recordings: recordings.found.len(),
            named_otherwise: named_otherwise
                .into_iter()
                .map(|recorded| recorded.account.recording_id)
                .collect(),
            cases: self.ledger.holds().cases_of([held.clone()]).await?,
            unreadable: recordings.unreadable,
            is_capped: recordings.is_capped,
            ..Covered::default()
        };
        let is_all_known =
            held.rule().is_none() && covered.recordings > 0 && covered.unreadable.is_empty();
        for recorded in recordings.found {
            let before = covered.lengths();
            for chunk in &recorded.chunks {
                covered.add(match &chunk.entry {
                    ChunkEntry::Found(entry) => {
                        self.compare(held, LedgerEntry::clone(entry)).await?
                    }
                    ChunkEntry::Absent | ChunkEntry::Unreadable => {
                        self.look_at(held, &chunk.document_id).await?
                    }
                });
            }
            others.add(held, &recorded, covered.since(before));
            for held in recorded.cases {
                if !covered.cases.contains(&held.case) {
                    covered.cases.push(held.case);
                }
            }
        }
        if !is_all_known {
            let before = covered.lengths();
            self.add_open(held, &mut covered).await?;
            for entry in covered.since(before) {
                others.add_unregistered(entry);
            }
        }
        Ok((covered, others))
    }

    /// Returns the chunks that the register has of a recording or call.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn documents_of(&self, held: &Held) -> Result<KnownDocuments, CatalogueError> {
        let recordings = self.recordings_held(held).await?;
        let chunks = recordings.found.into_iter().flat_map(|one| one.chunks);
        Ok(KnownDocuments {
            documents: chunks.map(|chunk| chunk.document_id).collect(),
            unreadable: recordings.unreadable,
        })
    }

    /// Returns the recordings of a hold that the register knows; those of a recording or call with all their cases.
    pub(super) async fn recordings_held(
        &self,
        held: &Held,
    ) -> Result<RecordingsAt, CatalogueError> {
        match held {
            Held::RecordingId(id) => {
                let recordings = self.recording_at(&recording_name(id), |_| true).await?;
                self.all_with_cases(recordings).await
            }
            Held::CallId(id) => self.recordings_at(&Listed::Call(id.to_string())).await,
            Held::Matching(rule) => self.recordings_matching(rule).await,
        }
    }

    /// Returns the ids of the recordings that match a hold, and of those that may match it.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn ids_held(&self, held: &Held) -> Result<HeldIds, CatalogueError> {
        let known = self.recordings_held(held).await?;
        // It looks at open chunks too: recordings of which nothing is in the vault yet.
        let covered = self.covered_by(held).await?;
        let mut ids = HeldIds {
            recordings: Vec::new(),
            uncertain: Vec::new(),
            is_capped: covered.is_capped,
            unreadable: covered.unreadable,
        };
        for recorded in known.found {
            let matches = held
                .rule()
                .is_none_or(|rule| recorded.matches(rule) == Match::Yes);
            let list = if matches {
                &mut ids.recordings
            } else {
                &mut ids.uncertain
            };
            list.push(recorded.account.recording_id);
        }
        for (entries, is_certain) in [(&covered.entries, true), (&covered.uncertain, false)] {
            for id in entries.iter().map(|entry| entry.chunk.filed_under()) {
                let list = if is_certain {
                    &mut ids.recordings
                } else {
                    &mut ids.uncertain
                };
                if !list.contains(&id) {
                    list.push(id);
                }
            }
        }
        ids.uncertain.retain(|id| !ids.recordings.contains(id));
        Ok(ids)
    }

    /// Returns the newest recordings that a rule matches or may match. Who is in a recording may be unknown: copies without
    /// readable metadata, and those with more participants than the index has, are read.
    async fn recordings_matching(&self, rule: &HoldRule) -> Result<RecordingsAt, CatalogueError> {
        let Some(person) = rule.person() else {
            return self.newest_at(&Listed::All, rule.period()).await;
        };
        let mut recordings = RecordingsAt::default();
        for name in person.names() {
            let list = Listed::Participant(name);
            let named = self.newest_at(&list, rule.period()).await?;
            recordings.unreadable.extend(named.unreadable);
            recordings.is_capped |= named.is_capped;
            for recorded in named.found {
                recordings.add(recorded);
            }
        }
        for list in [self.beyond_the_index().await?, Listed::ParticipantsUnknown] {
            let unknown = self.newest_at(&list, rule.period()).await?;
            recordings.unreadable.extend(unknown.unreadable);
            recordings.is_capped |= unknown.is_capped;
            for recorded in unknown.found {
                if recorded.matches(rule).holds() {
                    recordings.add(recorded);
                }
            }
        }
        recordings.unreadable.sort();
        recordings.unreadable.dedup();
        Ok(recordings)
    }

    /// Returns the recording of this name in the index, if it is wanted.
    async fn recording_at(
        &self,
        name: &Sha256Digest,
        is_wanted: impl Fn(&KnownRecording) -> bool + Send,
    ) -> Result<RecordingsAt, CatalogueError> {
        let mut recordings = RecordingsAt::default();
        match self.read(name).await? {
            Reading::Known(recorded) if is_wanted(&recorded) => {
                recordings.found.push(*recorded);
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
            let looking = futures::stream::iter(unknown)
                .map(|id| async move { self.look_at(held, &id).await });
            let mut looking = looking.buffered(AT_ONCE);
            while let Some(looked) = looking.try_next().await? {
                covered.add(looked);
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
        let recordings = self.recordings_within(list, Period::default(), usize::MAX);
        self.all_with_cases(recordings.await?).await
    }

    async fn all_with_cases(
        &self,
        recordings: RecordingsAt,
    ) -> Result<RecordingsAt, CatalogueError> {
        let found = futures::stream::iter(recordings.found)
            .map(|recorded| async move { self.with_cases(recorded).await });
        let found = found.buffered(AT_ONCE).try_collect().await?;
        Ok(RecordingsAt {
            found,
            ..recordings
        })
    }

    async fn newest_at(
        &self,
        list: &Listed,
        period: Period,
    ) -> Result<RecordingsAt, CatalogueError> {
        self.recordings_within(list, period, MOST_RECORDINGS).await
    }

    pub(super) async fn recordings_within(
        &self,
        list: &Listed,
        period: Period,
        most: usize,
    ) -> Result<RecordingsAt, CatalogueError> {
        let index = self.ledger.index();
        let places = index.all_places(list, period).map_err(CatalogueError::from);
        let reading = places.map_ok(|place| self.recording_at_place(list, place));
        let mut reading = reading.try_buffered(AT_ONCE);
        let mut recordings = RecordingsAt::default();
        while let Some(here) = reading.try_next().await? {
            recordings.append(here);
            if recordings.found.len() > most {
                recordings.found.truncate(most);
                recordings.is_capped = true;
                break;
            }
        }
        recordings.unreadable.dedup();
        Ok(recordings)
    }

    /// Compares a chunk with a hold.
    async fn look_at(&self, held: &Held, id: &DocumentId) -> Result<Looked, LedgerError> {
        let found = match self.ledger.find(id).await {
            Ok(Some(found)) => found,
            Ok(None) => return Ok(Looked::Absent),
            Err(LedgerError::Corrupt { document_id, .. }) => {
                return Ok(Looked::Unreadable(document_id));
            }
            Err(error) => return Err(error),
        };
        self.compare(held, found.entry).await
    }

    async fn compare(&self, held: &Held, entry: LedgerEntry) -> Result<Looked, LedgerError> {
        let matches = self.ledger.is_held_by(held, &entry).await?;
        let entry = Box::new(entry);
        Ok(Looked::Compared { entry, matches })
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
                    here.found.push(*recorded);
                } else if let Some(id) = recorded.unreadable_chunk(place.document.as_ref()) {
                    here.unreadable.push(format!("the entry of chunk {id}"));
                }
            }
            Reading::Unreadable { key } => here.unreadable.push(format!("`{key}`")),
            Reading::Absent => {
                let marker = list.key(&place);
                here.unreadable
                    .extend(self.without_account(&marker, &place).await?);
            }
        }
        Ok(here)
    }
}

impl RecordingsAt {
    pub fn append(&mut self, other: Self) {
        self.found.extend(other.found);
        self.unreadable.extend(other.unreadable);
        self.is_capped |= other.is_capped;
    }

    /// Adds a recording, once.
    fn add(&mut self, recorded: KnownRecording) {
        let id = &recorded.account.recording_id;
        let mut found = self.found.iter();
        if !found.any(|known| known.account.recording_id == *id) {
            self.found.push(recorded);
        }
    }
}

impl Covered {
    fn has(&self, id: &DocumentId) -> bool {
        self.looked_at.contains(id)
    }

    /// How many entries it has, and how many that may match.
    fn lengths(&self) -> (usize, usize) {
        (self.entries.len(), self.uncertain.len())
    }

    /// The chunks that were added since.
    fn since(&self, (entries, uncertain): (usize, usize)) -> impl Iterator<Item = &LedgerEntry> {
        let entries = self.entries[entries..].iter();
        entries.chain(&self.uncertain[uncertain..])
    }

    fn add(&mut self, looked: Looked) {
        let (entry, matches) = match looked {
            Looked::Absent => return,
            Looked::Unreadable(id) => {
                if self.looked_at.insert(id.clone()) {
                    self.unreadable.push(format!("the entry of chunk {id}"));
                }
                return;
            }
            Looked::Compared { entry, matches } => (*entry, matches),
        };
        if !self.looked_at.insert(entry.chunk.document_id.clone()) {
            return;
        }
        let is_removed = matches!(entry.state, ChunkState::Removed { .. });
        match matches {
            Match::Yes => self.entries.push(entry),
            // Nothing is left to hold, and its participants may have been erased.
            Match::Unknown if is_removed => {}
            Match::Unknown => self.uncertain.push(entry),
            Match::No => {}
        }
    }
}
