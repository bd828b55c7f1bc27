//! A survey of all recordings that are not settled: found with the lists of what is open or needs a person, read, and
//! classified. Its cost grows with the number of unsettled recordings, never with the size of the vault.

mod attention;
mod open_chunks;

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;

pub(super) use self::open_chunks::OPEN_CHUNKS_READ;
pub use self::open_chunks::UnreadChunks;
use super::check::{self, CheckRecord};
use super::known::{self, KnownRecording, Reading, Registration};
use super::row::Row;
use super::{AT_ONCE, Catalogue, CatalogueError};
use crate::control::entry::RegisteredRecording;
use crate::control::register::NamedMarker;
use crate::recording::DocumentId;
use crate::standing::{self, Assessment, Counts, KnownChunk, Rules, Standing};
use crate::store::digest::Sha256Digest;
use crate::store::index::{Attention, Listed, Place, recording_name};

/// Recordings, and markers of a list, that one survey reads.
const LOOKED_AT: usize = 500;
/// Places of what was proved recently, and read by no slice of the check, that one survey reads.
const PROVED_LOOKED_AT: usize = 5000;

/// Recordings that are not settled, or were not when their markers were written. Its recordings are read only together with
/// its limits.
#[derive(Debug)]
pub struct Survey {
    pub rules: Rules,
    recordings: Vec<Surveyed>,
    limits: SurveyLimits,
}

/// What a survey could not read: its recordings may not be all.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "without its limits, a survey says more than is known"]
pub struct SurveyLimits {
    /// There are more recordings that were not read.
    pub is_capped: bool,
    /// Open chunks that belong to no surveyed recording, because their entries were not found or are not readable.
    pub chunks: UnreadChunks,
}

/// A recording of the survey.
#[derive(Debug)]
pub struct Surveyed {
    pub name: Sha256Digest,
    pub reading: Reading,
    pub assessment: Assessment,
}

/// Names of recordings that may not be settled, most urgent first, with the chunks that led to them.
#[derive(Debug, Default)]
pub(super) struct Candidates {
    order: Vec<Sha256Digest>,
    leads: BTreeMap<Sha256Digest, Leads>,
    /// Those with open chunks, earliest expiry first.
    open: Vec<Sha256Digest>,
    pub is_capped: bool,
    /// Some recordings were left out of which each open chunk that was read is settled.
    pub lacks_settled: bool,
    /// Recordings of which a settled chunk is open, with that chunk.
    settled: Vec<(Sha256Digest, DocumentId)>,
    chunks: UnreadChunks,
}

/// What led to a recording.
#[derive(Debug, Default)]
struct Leads {
    documents: BTreeSet<DocumentId>,
    markers: BTreeSet<String>,
    /// It had an account when a check read it. Accounts are never removed, so without one it is lost.
    had_account: bool,
}

impl Candidates {
    fn add(&mut self, name: Sha256Digest, document: Option<DocumentId>) {
        self.leads_to(name).documents.extend(document);
    }

    fn leads_to(&mut self, name: Sha256Digest) -> &mut Leads {
        self.leads.entry(name).or_insert_with(|| {
            self.order.push(name);
            Leads::default()
        })
    }

    /// Adds a recording that had an account when a check read it.
    fn add_checked(&mut self, name: Sha256Digest) {
        self.leads_to(name).had_account = true;
    }

    fn add_marker(&mut self, marker: NamedMarker) {
        self.leads_to(marker.name).markers.insert(marker.key);
    }

    /// Adds the places of a list, of which at most `limit` were read.
    pub fn add_places(&mut self, list: &Listed, places: Vec<Place>, limit: usize) {
        self.is_capped |= places.len() >= limit;
        for place in places {
            let leads = self.leads_to(place.recording);
            leads.markers.insert(list.key(&place));
            leads.documents.extend(place.document);
        }
    }

    /// Keeps the most urgent ones. Half of the room is for those whose chunks expire first, so that no number of other
    /// problems hides a near deadline.
    pub fn keep(&mut self, limit: usize) {
        if self.order.len() <= limit {
            return;
        }
        self.is_capped = true;
        let nearest: BTreeSet<Sha256Digest> = self.open.iter().take(limit / 2).copied().collect();
        let mut room = limit - nearest.len();
        self.order.retain(|name| {
            if nearest.contains(name) {
                return true;
            }
            let has_room = room > 0;
            room = room.saturating_sub(1);
            has_room
        });
    }
}

impl Survey {
    /// Returns its recordings, and what it could not read.
    pub fn into_parts(self) -> (Vec<Surveyed>, SurveyLimits) {
        (self.recordings, self.limits)
    }

    pub fn limits(&self) -> &SurveyLimits {
        &self.limits
    }

    /// Number of recordings by standing: those that are not settled, and those that were acknowledged.
    pub fn counts(&self) -> Counts {
        standing::count(self.recordings.iter().map(|one| one.assessment.standing))
    }

    /// Returns the nearest deadline.
    pub fn first_deadline(&self) -> Option<Timestamp> {
        let deadlines = self.recordings.iter();
        deadlines.filter_map(|one| one.assessment.deadline).min()
    }
}

impl Surveyed {
    /// Whether the register has an account of it, readable or not.
    fn has_account(&self) -> bool {
        match &self.reading {
            Reading::Known(recorded) => recorded.registration == Registration::Registered,
            Reading::Unreadable { .. } => true,
            Reading::Absent => false,
        }
    }

    /// The chunks of it that were read.
    fn documents(&self) -> impl Iterator<Item = &DocumentId> {
        let chunks = match &self.reading {
            Reading::Known(recorded) => recorded.chunks.as_slice(),
            Reading::Unreadable { .. } | Reading::Absent => &[],
        };
        chunks.iter().map(|chunk| &chunk.document_id)
    }

    /// Its row in a list.
    pub fn row(&self, rules: Rules) -> Row {
        match &self.reading {
            Reading::Known(recorded) => recorded.row(rules),
            Reading::Unreadable { key } => Row::unreadable(&self.name, key),
            Reading::Absent => Row::unknown(self.name.to_string(), self.assessment.clone()),
        }
    }

    /// Returns its place in the list of all recordings.
    pub fn place(&self) -> Place {
        let at = match &self.reading {
            Reading::Known(recorded) => recorded.account.filed_at(),
            Reading::Unreadable { .. } | Reading::Absent => Timestamp::UNIX_EPOCH,
        };
        Place::of(at, self.name)
    }
}

impl Catalogue {
    /// Reads everything that is not settled.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn survey(&self, check: Option<&CheckRecord>) -> Result<Survey, CatalogueError> {
        let rules = self.rules();
        let mut candidates = self.open_candidates(check, LOOKED_AT).await?;
        candidates.keep(LOOKED_AT);
        if let Some(check) = check {
            self.add_proved_since(check, &mut candidates).await?;
        }
        let is_capped = candidates.is_capped;
        let is_noteworthy = |one: &Surveyed| {
            let standing = one.assessment.standing;
            !standing.is_settled() || standing == Standing::Acknowledged
        };
        let reading = self.read_candidates(candidates, rules, is_noteworthy);
        let (recordings, chunks) = reading.await?;
        Ok(Survey {
            rules,
            limits: SurveyLimits { is_capped, chunks },
            recordings,
        })
    }

    /// Reads candidates. Returns what is known of those to `keep`, and the open chunks without a readable entry that belong
    /// to none. Of the others, nothing stays in memory.
    pub(super) async fn read_candidates(
        &self,
        candidates: Candidates,
        rules: Rules,
        keep: impl Fn(&Surveyed) -> bool,
    ) -> Result<(Vec<Surveyed>, UnreadChunks), CatalogueError> {
        let Candidates {
            order,
            mut leads,
            open: _,
            is_capped: _,
            lacks_settled: _,
            settled: _,
            mut chunks,
        } = candidates;
        let named: Vec<(Sha256Digest, Leads)> = order
            .into_iter()
            .map(|name| (name, leads.remove(&name).unwrap_or_default()))
            .collect();
        let reading = futures::stream::iter(named)
            .map(|(name, leads)| async move { self.surveyed(name, &leads, rules).await });
        let mut reading = reading.buffered(AT_ONCE);
        let mut kept = Vec::new();
        while let Some(one) = reading.try_next().await? {
            let Some(one) = one else { continue };
            chunks.leave_out(&one.documents().collect());
            if keep(&one) {
                kept.push(one);
            }
        }
        drop(reading);
        Ok((kept, chunks))
    }

    /// Names what may not be settled by the lists of the ledger, reading at most `limit` places of each.
    pub(super) async fn open_candidates(
        &self,
        check: Option<&CheckRecord>,
        limit: usize,
    ) -> Result<Candidates, CatalogueError> {
        let mut candidates = Candidates::default();
        let needs_person = |(kind, _): &(Attention, _)| *kind != Attention::Acknowledged;
        let before = self.attention(limit).await?;
        candidates.add_attention(before.into_iter().filter(needs_person), limit);
        self.add_open_chunks(&mut candidates, limit).await?;
        let unfinished = self.register.unfinished(limit).await?;
        candidates.is_capped |= unfinished.len() >= limit;
        for marker in unfinished {
            candidates.add_marker(marker);
        }
        // What came to need a person meanwhile may have left a list before that was read.
        let (after, acknowledged): (Vec<_>, Vec<_>) = self
            .attention(limit)
            .await?
            .into_iter()
            .partition(needs_person);
        candidates.add_attention(after, limit);
        for marker in check.iter().flat_map(|check| &check.seen.unaccounted) {
            candidates.add_marker(marker.clone());
        }
        // What a check found and no marker names.
        for name in check.iter().flat_map(|check| &check.seen.noteworthy) {
            candidates.add_checked(*name);
        }
        if let Some(check) = check {
            self.add_unregistered(check, &mut candidates).await?;
        }
        candidates.is_capped |= check.is_some_and(|check| check.seen.has_more_than_noteworthy());
        candidates.is_capped |= candidates.order.len() > limit;
        // Last: of those that need no person, some may be left out.
        candidates.add_attention(acknowledged, limit);
        candidates.lacks_settled = candidates.add_settled(limit);
        // A check reads their accounts.
        candidates.is_capped |= candidates.lacks_settled && check.is_none();
        Ok(candidates)
    }

    /// Adds what was proved since the last check began and no slice of it has found to be settled: no marker says that the
    /// files of a recording are too short.
    async fn add_proved_since(
        &self,
        check: &CheckRecord,
        candidates: &mut Candidates,
    ) -> Result<(), CatalogueError> {
        for name in &check.proved.noteworthy {
            candidates.add_checked(*name);
        }
        let unaccounted = check.proved.unaccounted();
        candidates.add_places(&Listed::Proved, unaccounted, usize::MAX);
        candidates.is_capped |= check.proved.is_full;
        let index = self.ledger.index();
        let since = check.proved_unread(self.clock.now());
        let places = index.places(&Listed::Proved, since, None, PROVED_LOOKED_AT);
        candidates.add_places(&Listed::Proved, places.await?, PROVED_LOOKED_AT);
        Ok(())
    }

    /// Adds recordings that the register did not have when a check looked for them.
    async fn add_unregistered(
        &self,
        check: &CheckRecord,
        candidates: &mut Candidates,
    ) -> Result<(), CatalogueError> {
        let ids = check.seen.unregistered.clone();
        let entries = futures::stream::iter(ids)
            .map(|id| async move { Ok::<_, CatalogueError>((self.entry(&id).await?, id)) });
        let entries: Vec<_> = entries.buffered(AT_ONCE).try_collect().await?;
        for (entry, id) in entries {
            if let Some(entry) = entry {
                candidates.add(recording_name(&entry.chunk.filed_under()), Some(id));
            }
        }
        Ok(())
    }

    /// Reads a candidate. `None`: neither register nor ledger ever had anything of it, or it is about to be written.
    async fn surveyed(
        &self,
        name: Sha256Digest,
        leads: &Leads,
        rules: Rules,
    ) -> Result<Option<Surveyed>, CatalogueError> {
        let reading = match self.read(&name).await? {
            Reading::Absent => match self.unregistered(&name, &leads.documents).await? {
                Some(recorded) => Reading::Known(Box::new(recorded)),
                None => Reading::Absent,
            },
            Reading::Known(recorded) => {
                let adding = self.with_unlisted(recorded, &leads.documents);
                Reading::Known(Box::pin(adding).await?)
            }
            unreadable @ Reading::Unreadable { .. } => unreadable,
        };
        let assessment = match &reading {
            Reading::Known(recorded) => recorded.assessment(rules),
            Reading::Unreadable { key } => known::unreadable(&name, key).1,
            Reading::Absent => match self.abandoned(&leads.markers).await? {
                Some(marker) => known::unaccounted(&name, marker),
                None if leads.had_account => known::unaccounted(&name, check::KEY),
                None => return Ok(None),
            },
        };
        Ok(Some(Surveyed {
            name,
            reading,
            assessment,
        }))
    }

    /// Adds the chunks of a recording that its account does not list yet: they are recorded before the account is written.
    async fn with_unlisted(
        &self,
        mut recorded: Box<KnownRecording>,
        documents: &BTreeSet<DocumentId>,
    ) -> Result<Box<KnownRecording>, CatalogueError> {
        let is_listed = |id: &DocumentId| {
            let mut chunks = recorded.chunks.iter();
            chunks.any(|chunk| chunk.document_id == *id)
        };
        let unlisted: Vec<_> = documents
            .iter()
            .filter(|id| !is_listed(id))
            .map(|id| (0, id.clone()))
            .collect();
        if unlisted.is_empty() || recorded.account.erased.is_some() {
            return Ok(recorded);
        }
        let id = &recorded.account.recording_id;
        let of_recording = |mut chunk: KnownChunk| {
            let entry = chunk.entry.found().filter(|entry| entry.chunk.is_of(id))?;
            chunk.index = entry.chunk.index;
            Some(chunk)
        };
        let chunks = self.chunks(unlisted).await?;
        let chunks: Vec<_> = chunks.into_iter().filter_map(of_recording).collect();
        recorded.chunks.extend(chunks);
        recorded.chunks.sort_by_key(|chunk| chunk.index);
        Ok(recorded)
    }

    /// Whether a place of what was proved leads to a recording without an account.
    pub(super) async fn lacks_account(&self, place: &Place) -> Result<bool, CatalogueError> {
        let mut candidates = Candidates::default();
        candidates.add_places(&Listed::Proved, vec![place.clone()], usize::MAX);
        let lacks_account = |one: &Surveyed| !one.has_account();
        let reading = self.read_candidates(candidates, self.rules(), lacks_account);
        Ok(!reading.await?.0.is_empty())
    }

    /// Returns a marker that is so old that the account that it names should exist.
    async fn abandoned<'a>(
        &self,
        markers: &'a BTreeSet<String>,
    ) -> Result<Option<&'a str>, CatalogueError> {
        for marker in markers {
            if self.is_abandoned(marker).await? {
                return Ok(Some(marker));
            }
        }
        Ok(None)
    }

    /// Whether a marker is so old that what it names should exist.
    pub(super) async fn is_abandoned(&self, marker: &str) -> Result<bool, CatalogueError> {
        let index = self.ledger.index();
        Ok(index.is_abandoned(marker, self.clock.now()).await?)
    }

    /// Names the recordings that a survey would read: one that the register does not have may be among them.
    ///
    /// # Errors
    /// When the storage fails.
    pub(super) async fn unregistered_candidates(&self) -> Result<Candidates, CatalogueError> {
        let check = self.last_check().await?;
        let mut candidates = self.open_candidates(check.as_ref(), LOOKED_AT).await?;
        if let Some(check) = &check {
            self.add_proved_since(check, &mut candidates).await?;
        }
        Ok(candidates)
    }

    /// Returns a recording that the register does not have, from those chunks of it that led to the candidates.
    ///
    /// # Errors
    /// When the storage fails, or there are more candidates than a survey reads: it may be one of them.
    pub(super) async fn unregistered_among(
        &self,
        candidates: &Candidates,
        name: &Sha256Digest,
    ) -> Result<Option<KnownRecording>, CatalogueError> {
        match candidates.leads.get(name) {
            Some(leads) => self.unregistered(name, &leads.documents).await,
            None if candidates.is_capped => Err(CatalogueError::NotAllRead),
            None => Ok(None),
        }
    }

    /// Builds a recording that the register does not have from its chunks in the ledger.
    async fn unregistered(
        &self,
        name: &Sha256Digest,
        documents: &BTreeSet<DocumentId>,
    ) -> Result<Option<KnownRecording>, CatalogueError> {
        let documents = documents.iter().map(|id| (0, id.clone())).collect();
        let mut chunks = self.chunks(documents).await?;
        chunks.retain(|chunk| {
            let entry = chunk.entry.found();
            entry.is_some_and(|entry| recording_name(&entry.chunk.filed_under()) == *name)
        });
        for chunk in &mut chunks {
            chunk.index = chunk.entry.found().map_or(0, |entry| entry.chunk.index);
        }
        let Some(entry) = chunks.iter().find_map(|chunk| chunk.entry.found()) else {
            return Ok(None);
        };
        let mut account = RegisteredRecording::unknown(entry.chunk.filed_under(), entry.filed_at());
        account.started_at = entry.chunk.started_at;
        Ok(Some(KnownRecording {
            account,
            registration: Registration::Unregistered,
            chunks,
            cases: Vec::new(),
        }))
    }
}
