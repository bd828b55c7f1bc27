//! Keeps the index consistent with the ledger's entries.

use std::collections::BTreeSet;

use bytes::Bytes;
use futures::FutureExt as _;

use super::writing::{Change, MarkerCheck};
use super::{ChunkLedger, LedgerError};
use super::{doomed, entry_key};
use crate::error_chain::ErrorChain;
use crate::export::entry::LedgerEntry;
use crate::export::state::ChunkState;
use crate::recording::{DocumentId, MetadataSummary, PersonKey};
use crate::store::audit::{AuditAction, AuditPosition};
use crate::store::document_store::{DocumentStore, Precondition, StoreError};
use crate::store::documents::{Decision, Known};
use crate::store::index::{Attention, Index, Listed, MarkedAhead, SeenMarker, recording_name};
use crate::store::people::{People, PersonHash};
use crate::store::reports_due::{self, day_of, may_be_reported};
use crate::store::seen_calls::SeenCalls;

/// Index entry for participants that are not indexed: a search for a person reads the metadata of these chunks.
pub const BEYOND_THE_INDEX: &str = "participants beyond the index";

impl LedgerEntry {
    /// The time under which it is indexed.
    pub fn filed_at(&self) -> jiff::Timestamp {
        self.chunk
            .plausible_start(self.recorded_at)
            .unwrap_or(self.recorded_at)
    }

    fn names_people(&self) -> bool {
        self.metadata.is_some() || !self.participant_hashes.is_empty()
    }

    /// Whether personal data of its recording was deleted, and none was added since.
    pub fn is_without_people(&self) -> bool {
        self.people_dropped && !self.names_people()
    }

    /// Whether the other entry has the same markers: most changes are of claims and attempts.
    fn is_filed_as(&self, other: &Self) -> bool {
        self.state == other.state
            && self.participant_hashes == other.participant_hashes
            && self.knows_participants() == other.knows_participants()
            && self.chunk == other.chunk
            && self.anomaly_accepted_at == other.anomaly_accepted_at
            && self.acknowledged == other.acknowledged
            && self.copied_unfinished == other.copied_unfinished
            && self.reported_end == other.reported_end
            && self.recorded_for_import == other.recorded_for_import
            && self.accepted_place == other.accepted_place
            && self.further == other.further
            && self.longer_without_room == other.longer_without_room
            // Whatever else they depend on.
            && self.markers_of_standing() == other.markers_of_standing()
    }

    /// Whether its metadata was read, and says who was in the call.
    pub fn knows_participants(&self) -> bool {
        let metadata = self.metadata.as_ref();
        metadata.is_some_and(|metadata| !metadata.participants.is_empty())
    }

    /// Whether it is in a vault, or in the customer's own storage, and its participants are unknown.
    fn is_without_participants(&self) -> bool {
        let is_copied = match &self.state {
            ChunkState::Exported { .. }
            | ChunkState::SourceDeleted { .. }
            | ChunkState::SourceLeft { .. }
            | ChunkState::InPlace { .. }
            // A removal may fail, or be stopped by a hold.
            | ChunkState::Removing { .. } => true,
            ChunkState::Pending
            | ChunkState::Removed { .. }
            | ChunkState::Expired { .. }
            | ChunkState::DeadLettered { .. } => false,
        };
        is_copied && !self.knows_participants()
    }

    /// The attention list that it is on. Time does not change it.
    fn attention(&self) -> Option<Attention> {
        let attention = match &self.state {
            ChunkState::DeadLettered { .. } => Attention::Failed,
            ChunkState::Pending if self.is_unfinished_import() => Attention::Failed,
            ChunkState::Expired { .. } => Attention::Lost,
            ChunkState::Exported { .. }
            | ChunkState::SourceDeleted { .. }
            | ChunkState::SourceLeft { .. }
            | ChunkState::InPlace { .. } => {
                if self.open_anomaly().is_some()
                    || self.disputed_places().is_some()
                    || self.open_damage().is_some()
                {
                    return Some(Attention::Doubtful);
                }
                self.cut_short()?;
                Attention::Incomplete
            }
            // It stays so where a kill or a hold came between.
            ChunkState::Removing { .. } => Attention::Incomplete,
            ChunkState::Pending | ChunkState::Removed { .. } => return None,
        };
        Some(match self.acknowledged {
            Some(_) => Attention::Acknowledged,
            None => attention,
        })
    }

    /// Keys of the markers of participants that are being deleted from it.
    fn dropping_markers(&self) -> impl Iterator<Item = String> {
        let recording = recording_name(&self.chunk.filed_under());
        let at = self.filed_at();
        let names = self.dropping.iter();
        names.map(move |name| {
            let list = Listed::Participant(*name);
            list.marker(at, &recording, Some(&self.chunk.document_id))
        })
    }

    /// The keys of all its markers.
    pub fn markers(&self) -> BTreeSet<String> {
        let recording = recording_name(&self.chunk.filed_under());
        let (at, document) = (self.filed_at(), &self.chunk.document_id);
        // Per chunk: with one marker per recording, unmarking a chunk would unmark the others.
        let participants = self.participant_hashes.iter();
        let participants = participants
            .map(|name| Listed::Participant(*name).marker(at, &recording, Some(document)));
        participants.chain(self.markers_of_standing()).collect()
    }

    /// The keys of its markers except those of its participants, of which there may be many.
    fn markers_of_standing(&self) -> BTreeSet<String> {
        let recording = recording_name(&self.chunk.filed_under());
        let (at, document) = (self.filed_at(), &self.chunk.document_id);
        let attention = self.attention();
        let attention =
            attention.map(|kind| Listed::Attention(kind).marker(at, &recording, Some(document)));
        let mut markers: BTreeSet<String> = attention.into_iter().collect();
        let unknown = self.is_without_participants();
        let unknown = unknown.then_some(Listed::ParticipantsUnknown);
        markers.extend(unknown.map(|list| list.marker(at, &recording, Some(document))));
        markers.extend(doomed::marker(self));
        let proved_at = self
            .state
            .receipt()
            .map(crate::export::ExportReceipt::verified_at);
        markers.extend(proved_at.map(|at| Listed::Proved.marker(at, &recording, Some(document))));
        markers
    }
}

impl ChunkLedger {
    /// The index by which recordings are found.
    pub fn index(&self) -> Index {
        Index::new(std::sync::Arc::clone(&self.store))
    }

    /// The document store of the ledger, for other data in the same storage.
    pub fn store(&self) -> std::sync::Arc<dyn DocumentStore> {
        std::sync::Arc::clone(&self.store)
    }

    /// The calls whose start was announced.
    pub fn seen_calls(&self) -> SeenCalls {
        SeenCalls::new(self.store())
    }

    /// How people are named in keys and in the audit log.
    pub fn people(&self) -> &People {
        &self.people
    }

    /// Writes the markers that an entry is about to need and did not need before. Returns them, and those that it will
    /// no longer need, as they are before that write.
    pub(super) async fn mark_new(
        &self,
        before: Option<&LedgerEntry>,
        after: &LedgerEntry,
    ) -> Result<MarkedAhead, StoreError> {
        if before.is_some_and(|before| before.is_filed_as(after)) {
            return Ok(MarkedAhead::default());
        }
        self.mark_day(before, after).await?;
        let known = before.map(LedgerEntry::markers).unwrap_or_default();
        let markers = after.markers();
        let now = self.clock.now();
        let new = self.index().put_new(&known, &markers, now).await?;
        let stale = known.difference(&markers).cloned();
        let stale = self.index().seen(stale).await?;
        Ok(MarkedAhead { new, stale })
    }

    /// Notes that the report of its day lacks this change, if the chunk had ended before, or is new, and the report may have
    /// been made.
    async fn mark_day(
        &self,
        before: Option<&LedgerEntry>,
        after: &LedgerEntry,
    ) -> Result<(), StoreError> {
        if before.is_some_and(|before| before.state == ChunkState::Pending) {
            return Ok(());
        }
        let (day, now) = (day_of(after.filed_at()), self.clock.now());
        if !may_be_reported(day, now) {
            return Ok(());
        }
        let name = recording_name(&after.chunk.filed_under()).to_string();
        let marker = reports_due::marker(day, now, &name);
        let put = self.store.put(&marker, Bytes::new(), Precondition::Absent);
        put.await.map(drop)
    }

    /// The participants of an entry that is about to be written, as keys of the index name them.
    pub(super) async fn participant_hashes(
        &self,
        before: Option<&LedgerEntry>,
        after: &LedgerEntry,
    ) -> Result<Vec<PersonHash>, StoreError> {
        if let Some(before) = before.filter(|before| before.metadata == after.metadata)
            && (before.metadata.is_none() || !before.participant_hashes.is_empty())
        {
            return Ok(after.participant_hashes.clone());
        }
        let metadata = after.metadata.iter();
        let mut hashes = Vec::new();
        for participant in metadata.flat_map(|metadata| &metadata.participants) {
            hashes.push(self.people.hash(&PersonKey::of(&participant.id)).await?);
        }
        let metadata = after.metadata.as_ref();
        if metadata.is_some_and(|metadata| metadata.participants_omitted > 0) {
            hashes.push(self.people.hash(&PersonKey::of(BEYOND_THE_INDEX)).await?);
        }
        Ok(hashes)
    }

    /// Makes pending writers of an entry start again, unless the entry has this marker: they write their markers again
    /// then. Returns whether the entry does not have it.
    ///
    /// # Errors
    /// When the storage fails or the entry is unreadable.
    pub async fn fence_off_marker(
        &self,
        document_id: &DocumentId,
        marker: &str,
    ) -> Result<bool, LedgerError> {
        let key = entry_key(document_id);
        let fenced = self
            .entries
            .decide(&key, Known::Nothing, |found: Option<LedgerEntry>| {
                let decided = match found {
                    None => Decision::Leave(true),
                    Some(entry) if entry.markers().contains(marker) => Decision::Leave(false),
                    Some(entry) => Decision::Write(entry, true),
                };
                futures::future::ready(Ok::<_, LedgerError>(decided)).boxed()
            });
        Ok(fenced.await?.outcome)
    }

    /// Removes markers that were written for a write that did not happen. A marker that the entry needs by now stays,
    /// and so does one that another writer has rewritten. One that cannot be removed is surplus: readers skip it.
    pub(super) async fn take_back(&self, document_id: &DocumentId, markers: Vec<SeenMarker>) {
        for marker in markers {
            let taken = match self.fence_off_marker(document_id, marker.key()).await {
                Ok(true) => self
                    .index()
                    .remove_seen([marker])
                    .await
                    .map_err(LedgerError::from),
                Ok(false) => Ok(()),
                Err(error) => Err(error),
            };
            if let Err(error) = taken {
                tracing::debug!(document.id = %document_id, error = %ErrorChain(&error), "Could not remove a marker of the index");
            }
        }
    }

    /// Adds what an entry from before the index lacks, and writes all its markers.
    ///
    /// # Errors
    /// When the storage fails or the entry is unreadable.
    pub async fn complete(
        &self,
        document_id: &DocumentId,
        metadata: Option<&MetadataSummary>,
        audited: &[AuditPosition],
    ) -> Result<(), LedgerError> {
        let changed = self
            .change(document_id, None, |found| {
                let decided = match found {
                    Some(entry) => completed(&entry, metadata, audited),
                    None => Change::Leave(None),
                };
                futures::future::ready(Ok(decided)).boxed()
            })
            .await?;
        if let Some(entry) = changed.outcome {
            let now = self.clock.now();
            self.index().put(entry.markers(), now).await?;
        }
        Ok(())
    }

    /// Removes personal data from an entry, and from what was kept of its unreadable contents: participants, and texts
    /// that may name them. Its last markers are removed too, so this comes after every step that has to find it. What
    /// operators wrote about it in the audit log is erased before. An entry that is claimed or has a copy is left: `false`.
    ///
    /// # Errors
    /// When the storage fails or the entry is unreadable.
    pub async fn forget_people(&self, document_id: &DocumentId) -> Result<bool, LedgerError> {
        let without_reason = |entry: &mut LedgerEntry, _: &LedgerEntry| {
            if let Some(acknowledged) = &mut entry.acknowledged {
                acknowledged.by = None;
                "erased".clone_into(&mut acknowledged.reason);
            }
        };
        let changed = self
            .change(document_id, None, |found| {
                self.decide_forgotten(found, without_reason).boxed()
            })
            .await?;
        Ok(changed.outcome)
    }

    /// Does the same after a retention policy removed the copies of its recording. The entry records completion after all
    /// markers of its participants are removed.
    ///
    /// # Errors
    /// When the storage fails or the entry is unreadable. A repeat continues.
    pub async fn drop_people(&self, document_id: &DocumentId) -> Result<bool, LedgerError> {
        let keep_hashes = |entry: &mut LedgerEntry, before: &LedgerEntry| {
            // An interrupted repeat still has the markers of those that it dropped before.
            for hash in &before.participant_hashes {
                if !entry.dropping.contains(hash) {
                    entry.dropping.push(*hash);
                }
            }
        };
        let forgotten = self
            .change(document_id, None, |found| {
                self.decide_forgotten(found, keep_hashes).boxed()
            })
            .await?;
        if !forgotten.outcome {
            return Ok(false);
        }
        let Some(found) = self.find(document_id).await? else {
            return Ok(true);
        };
        // A kill after the write above may have left them.
        let index = self.index();
        let seen = index.seen(found.entry.dropping_markers()).await?;
        index.remove_seen(seen).await?;
        let dropped = self
            .change(document_id, None, |found| {
                futures::future::ready(Ok(self.decide_dropped(found))).boxed()
            })
            .await?;
        Ok(dropped.outcome)
    }

    fn decide_dropped(&self, found: Option<LedgerEntry>) -> Change<bool> {
        let Some(mut entry) = found else {
            return Change::Leave(true);
        };
        if entry.is_claimed(self.clock.now()) {
            return Change::Leave(false);
        }
        // It got metadata again meanwhile.
        if entry.names_people() {
            return Change::Leave(false);
        }
        entry.dropping = Vec::new();
        entry.people_dropped = true;
        Change::Write {
            entry: Box::new(entry),
            outcome: true,
            marker: MarkerCheck::Skip,
        }
    }

    async fn decide_forgotten(
        &self,
        found: Option<LedgerEntry>,
        note: fn(&mut LedgerEntry, &LedgerEntry),
    ) -> Result<Change<bool>, LedgerError> {
        let Some(before) = found else {
            return Ok(Change::Leave(true));
        };
        let has_ended = match &before.state {
            ChunkState::Removed { .. }
            | ChunkState::Expired { .. }
            | ChunkState::DeadLettered { .. } => true,
            ChunkState::Pending => before.is_unfinished_import(),
            ChunkState::Exported { .. }
            | ChunkState::SourceDeleted { .. }
            | ChunkState::SourceLeft { .. }
            | ChunkState::Removing { .. }
            | ChunkState::InPlace { .. } => false,
        };
        if !has_ended || before.is_claimed(self.clock.now()) {
            return Ok(Change::Leave(false));
        }
        // Before the entry is written: a repeat may not find it afterwards.
        let id = &before.chunk.document_id;
        self.remove_corrupt(id).await?;
        let mut entry = before.clone();
        entry.metadata = None;
        entry.failures = Vec::new();
        entry.chunk.other = serde_json::Map::new();
        if let ChunkState::Removed {
            receipt: Some(receipt),
            ..
        } = &mut entry.state
        {
            receipt.forget_origin();
        }
        for further in &mut entry.further {
            further.forget_origin();
        }
        note(&mut entry, &before);
        if entry == before {
            return Ok(Change::Leave(true));
        }
        let number = self
            .audit_step(AuditAction::Forgotten, id, serde_json::Value::Null)
            .await?;
        entry.note_audited(number);
        Ok(Change::Write {
            entry: Box::new(entry),
            outcome: true,
            marker: MarkerCheck::Skip,
        })
    }
}

/// Adds what an entry from before the index lacks.
fn completed(
    before: &LedgerEntry,
    metadata: Option<&MetadataSummary>,
    audited: &[AuditPosition],
) -> Change<Option<LedgerEntry>> {
    let mut entry = before.clone();
    // A chunk that no longer has a copy may have been erased meanwhile.
    let read = metadata.filter(|_| entry.state.receipt().is_some());
    entry.metadata = entry.metadata.take().or_else(|| read.cloned());
    if entry.audited.is_empty() {
        for position in audited {
            entry.note_audited(position.clone());
        }
    }
    if entry == *before {
        return Change::Leave(Some(entry));
    }
    Change::Write {
        entry: Box::new(entry.clone()),
        outcome: Some(entry),
        marker: MarkerCheck::Skip,
    }
}
