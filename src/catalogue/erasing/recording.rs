//! Erases one recording: first its copies, what is announced of it meanwhile, and what its account says; then, when all
//! that is found by it is erased, the people in its entries and its account.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::Eraser;
use crate::catalogue::CatalogueError;
use crate::catalogue::known::KnownRecording;
use crate::catalogue::person::Sought;
use crate::control::entry::{Erased, RecordingStatus, RegisteredRecording};
use crate::control::telephony::forgetting::{self, Forgotten};
use crate::export::removal::{Ground, Removal};
use crate::export::{Budget, ChunkState, LedgerEntry, SourceEnd};
use crate::recording::{DocumentId, Participant, RecordingChunk, RecordingId};
use crate::standing::KnownChunk;
use crate::store::holds::{self, Held};

/// How the erasure of a recording, or of a part of it, ended.
pub(super) enum Outcome {
    Done,
    /// With the reason.
    Left(String),
}

/// What became of the copies of one recording.
pub(super) struct Emptying {
    /// `Done`: it has no copies, and its account says that it is erased. Its entries and its account still name people.
    pub outcome: Outcome,
    /// Chunks that ACS still has, and deletes when their retention ends.
    pub at_acs: Vec<DocumentId>,
    /// Chunks that only an import recorded: whether ACS has a file of them is not known.
    pub perhaps_at_acs: Vec<DocumentId>,
    /// Chunks that events named under this recording and that belong to another one: they stay as they are.
    pub of_others: Vec<DocumentId>,
}

/// A recording that has no copies. A repeat finds it by the people in its entries and its account.
pub(super) struct EmptiedRecording {
    account: RegisteredRecording,
    /// Its own chunks, with their indexes. Those whose entries name the person come last.
    documents: Vec<(u32, DocumentId)>,
    /// It and its call, by each name under which operators may have held them.
    held: Vec<Held>,
}

impl EmptiedRecording {
    pub fn id(&self) -> &RecordingId {
        &self.account.recording_id
    }

    /// Returns the ids by which events may name it.
    pub fn names(&self) -> impl Iterator<Item = String> {
        let documents = self.documents.iter().map(|(_, id)| id.to_string());
        documents.chain(std::iter::once(self.id().to_string()))
    }

    /// Returns the subjects of what operators wrote about it.
    pub fn subjects(&self) -> impl Iterator<Item = String> {
        let calls = self.account.call_names().map(|call| format!("call {call}"));
        let held = self.held.iter().map(ToString::to_string);
        self.names().chain(held).chain(calls)
    }
}

impl Eraser {
    /// Removes the copies of a recording, and ensures that it gets no others. The account becomes the one that says so.
    pub(super) async fn empty_recording(
        &self,
        recorded: &mut KnownRecording,
        reason: &str,
    ) -> Result<Emptying, CatalogueError> {
        let mut emptying = Emptying {
            outcome: Outcome::Done,
            at_acs: Vec::new(),
            perhaps_at_acs: Vec::new(),
            of_others: without_those_of_others(recorded),
        };
        if let Some(objection) = self.objection(recorded) {
            emptying.outcome = Outcome::Left(objection);
            return Ok(emptying);
        }
        for chunk in &recorded.chunks {
            if let Outcome::Left(problem) = self.settle(&chunk.document_id).await? {
                emptying.outcome = left(chunk.index, &problem);
                return Ok(emptying);
            }
            let id = &chunk.document_id;
            match self.left_at_acs(id).await? {
                LeftAtAcs::No => {}
                LeftAtAcs::Yes => emptying.at_acs.push(id.clone()),
                LeftAtAcs::NotKnown => emptying.perhaps_at_acs.push(id.clone()),
            }
        }
        emptying.outcome = self.erase_settled(recorded, reason).await?;
        Ok(emptying)
    }

    /// Returns why the copies of a recording cannot be deleted: the vault lacks one, or could not be asked.
    pub(super) async fn lacks_copy(&self, recorded: &KnownRecording) -> Option<String> {
        for entry in recorded.entries() {
            if let Err(reason) = self.removals.look_for_copy(entry).await {
                let index = entry.chunk.index;
                return Some(format!("chunk {index}: it cannot be deleted: {reason}"));
            }
        }
        None
    }

    async fn erase_settled(
        &self,
        recorded: &mut KnownRecording,
        reason: &str,
    ) -> Result<Outcome, CatalogueError> {
        let ground = match &recorded.account.erased {
            Some(_) => Ground::ErasedRecording { reason },
            None => Ground::Request { reason },
        };
        // Before the first is deleted: a recording that is left stays whole.
        if let Some(problem) = self.lacks_copy(recorded).await {
            return Ok(Outcome::Left(problem));
        }
        let id = &recorded.account.recording_id;
        for chunk in &recorded.chunks {
            let removing = self.remove(ground, id, &chunk.document_id);
            if let Outcome::Left(problem) = removing.await? {
                return Ok(left(chunk.index, &problem));
            }
        }
        // The account names the conversation until it is erased.
        if let Some(conversation) = &recorded.account.conversation {
            let forgetting = forgetting::forget(&self.catalogue.register, conversation, id);
            if let Forgotten::Left(reason) = Box::pin(forgetting).await? {
                return Ok(Outcome::Left(reason));
            }
        }
        let erased = Erased {
            at: self.catalogue.clock.now(),
            reason: reason.to_owned(),
        };
        self.catalogue.register.erase(id, &erased).await?;
        // From now on no new chunk is exported. The account has those that were announced until now.
        if let Some(account) = self.catalogue.register.find(id).await? {
            recorded.account = account;
        }
        self.close_announced(&recorded.account, reason).await
    }

    /// Ensures that no chunk of an erased recording is exported, whatever was announced meanwhile.
    async fn close_announced(
        &self,
        account: &RegisteredRecording,
        reason: &str,
    ) -> Result<Outcome, CatalogueError> {
        for (index, id) in account.files.documents() {
            let recording_id = account.recording_id.clone();
            let chunk = RecordingChunk::unannounced(id.clone(), index, recording_id);
            self.catalogue.ledger.record_erased(chunk).await?;
            let ground = Ground::ErasedRecording { reason };
            let removing = self.remove(ground, &account.recording_id, id);
            if let Outcome::Left(problem) = removing.await? {
                return Ok(left(index, &problem));
            }
        }
        Ok(Outcome::Done)
    }

    /// Collects what belongs to a recording whose copies are removed.
    pub(super) async fn emptied(
        &self,
        recorded: KnownRecording,
        sought: &Sought,
    ) -> Result<EmptiedRecording, CatalogueError> {
        let held = recorded.holdable();
        let KnownRecording {
            account, chunks, ..
        } = recorded;
        let own = chunks.iter();
        let mut own: BTreeSet<_> = own
            .map(|chunk| (chunk.index, chunk.document_id.clone()))
            .collect();
        for (index, id) in account.files.documents() {
            if !self.is_of_another(&account.recording_id, id).await? {
                own.insert((index, id.clone()));
            }
        }
        let names_person = |id: &DocumentId| {
            let mut chunks = chunks.iter().filter(|chunk| chunk.document_id == *id);
            chunks.any(|chunk| {
                let entry = chunk.entry.found();
                entry.is_some_and(|entry| names(entry, sought))
            })
        };
        let (naming, others): (Vec<_>, Vec<_>) =
            own.into_iter().partition(|(_, id)| names_person(id));
        Ok(EmptiedRecording {
            account,
            documents: others.into_iter().chain(naming).collect(),
            held,
        })
    }

    /// Removes people from the entries and the account: everything that is found by the recording is erased by now.
    pub(super) async fn forget_people(
        &self,
        emptied: &EmptiedRecording,
    ) -> Result<Outcome, CatalogueError> {
        for (index, id) in &emptied.documents {
            if !self.catalogue.ledger.forget_people(id).await? {
                return Ok(left(*index, "another process is working on it; run again"));
            }
        }
        // Last: a repeat finds the recording by the account, too.
        let id = &emptied.account.recording_id;
        self.catalogue.register.clear_people(id).await?;
        Ok(Outcome::Done)
    }

    /// Returns why a recording must not be erased at all.
    pub(super) fn objection(&self, recorded: &KnownRecording) -> Option<String> {
        if !recorded.cases.is_empty() {
            return Some(format!("it is held for {}", recorded.case_tags()));
        }
        if recorded.account.is_running() {
            return Some("it is still running; run again when it has ended and is exported".into());
        }
        // An erasure that was begun is finished: nothing more of it is exported.
        if recorded.account.erased.is_some() {
            return None;
        }
        let of_chunk = recorded
            .chunks
            .iter()
            .find_map(|chunk| self.chunk_objection(chunk));
        of_chunk.or_else(|| self.incompleteness(recorded))
    }

    fn chunk_objection(&self, chunk: &KnownChunk) -> Option<String> {
        let index = chunk.index;
        let Some(entry) = chunk.entry.found() else {
            return Some(format!(
                "chunk {index} is not in the ledger, or not readable there"
            ));
        };
        match &entry.state {
            ChunkState::Pending if entry.is_unfinished_import() => None,
            ChunkState::Pending => Some(format!(
                "chunk {index} is not exported yet; run again when it is"
            )),
            ChunkState::InPlace { .. } => Some(format!(
                "chunk {index} is in your own storage, where nothing is deleted from here"
            )),
            ChunkState::Expired { .. } | ChunkState::DeadLettered { .. } if entry.is_external() => {
                Some(format!(
                    "chunk {index} is in your own storage, where nothing is deleted from here"
                ))
            }
            ChunkState::Expired { .. } | ChunkState::DeadLettered { .. }
                if !entry.is_surely_gone(self.catalogue.clock.now()) =>
            {
                Some(format!(
                    "chunk {index} is not exported, and ACS may have it until {}; run again then",
                    entry.surely_gone_at
                ))
            }
            ChunkState::Expired { .. }
            | ChunkState::DeadLettered { .. }
            | ChunkState::Exported { .. }
            | ChunkState::SourceDeleted { .. }
            | ChunkState::SourceLeft { .. }
            | ChunkState::Removing { .. }
            | ChunkState::Removed { .. } => None,
        }
    }

    /// Returns what is missing while files may still be announced; after ACS's retention none can follow.
    fn incompleteness(&self, recorded: &KnownRecording) -> Option<String> {
        let now = self.catalogue.clock.now();
        let until = self.announced_until(recorded)?;
        let problems = recorded.account.files.problems();
        if now >= until || problems.is_empty() {
            return None;
        }
        Some(format!(
            "it is not complete: {}; run again when it is, or after {until}",
            problems.join(", ")
        ))
    }

    /// Returns until when ACS may announce files of a recording that has ended. `None`: it never began.
    fn announced_until(&self, recorded: &KnownRecording) -> Option<Timestamp> {
        let dropped = |at: Timestamp| {
            let retention = self.catalogue.ledger.source_retention();
            at.checked_add(retention).unwrap_or(Timestamp::MAX)
        };
        let by_end = match &recorded.account.status {
            RecordingStatus::Stopped { at } => Some(dropped(*at)),
            RecordingStatus::Running | RecordingStatus::Failed { .. } => None,
        };
        let by_files = recorded.entries().map(|entry| entry.surely_gone_at);
        by_files.chain(by_end).max()
    }

    /// Deletes at ACS what is proved and still there, as every export does.
    async fn settle(&self, id: &DocumentId) -> Result<Outcome, CatalogueError> {
        let is_exported = async || {
            let entry = self.catalogue.entry(id).await?;
            let is_exported =
                |entry: LedgerEntry| matches!(entry.state, ChunkState::Exported { .. });
            Ok::<_, CatalogueError>(entry.is_some_and(is_exported))
        };
        if !is_exported().await? {
            return Ok(Outcome::Done);
        }
        Box::pin(self.driver.drive(id, Budget::of(self.budget))).await?;
        Ok(if is_exported().await? {
            Outcome::Left("it is not deleted at ACS yet; run again when it is".to_owned())
        } else {
            Outcome::Done
        })
    }

    /// Removes a chunk of this recording, unless it belongs to another one.
    async fn remove(
        &self,
        ground: Ground<'_>,
        recording: &RecordingId,
        id: &DocumentId,
    ) -> Result<Outcome, CatalogueError> {
        let Some(entry) = self.catalogue.entry(id).await? else {
            return Ok(Outcome::Done);
        };
        if matches!(entry.state, ChunkState::Removed { .. }) || !entry.chunk.is_of(recording) {
            return Ok(Outcome::Done);
        }
        let removal = Box::pin(self.removals.remove(ground, id)).await;
        Ok(match removal {
            Removal::Removed | Removal::FinishedByAnother => Outcome::Done,
            Removal::Held { cases, is_whole } => {
                let tags = holds::tags(&cases);
                Outcome::Left(if is_whole {
                    format!("it is held for {tags}")
                } else {
                    format!("it is held for {tags}, and parts of it may be deleted already")
                })
            }
            Removal::NotDue => Outcome::Left("it was opened again meanwhile; run again".to_owned()),
            Removal::Busy => {
                Outcome::Left("another process is working on it; run again".to_owned())
            }
            Removal::NotBegun { reason } => {
                Outcome::Left(format!("it cannot be deleted: {reason}"))
            }
            Removal::Failed { reason, .. } => {
                Outcome::Left(format!("the vault did not delete it: {reason}"))
            }
        })
    }

    /// Whether a chunk that the account of a recording lists belongs to another one: any event may name any chunk.
    async fn is_of_another(
        &self,
        recording: &RecordingId,
        id: &DocumentId,
    ) -> Result<bool, CatalogueError> {
        let entry = self.catalogue.entry(id).await?;
        Ok(entry.is_some_and(|entry| !entry.chunk.is_of(recording)))
    }

    async fn left_at_acs(&self, id: &DocumentId) -> Result<LeftAtAcs, CatalogueError> {
        let now = self.catalogue.clock.now();
        let entry = self.catalogue.entry(id).await?;
        Ok(match entry {
            Some(entry) if is_left(&entry.state) && !entry.is_surely_gone(now) => {
                if entry.recorded_for_import {
                    LeftAtAcs::NotKnown
                } else {
                    LeftAtAcs::Yes
                }
            }
            Some(_) | None => LeftAtAcs::No,
        })
    }
}

/// Whether ACS has the file of a chunk that cannot be deleted there.
enum LeftAtAcs {
    No,
    Yes,
    NotKnown,
}

/// Whether ACS has the source of a chunk in this state, unless its retention has ended.
fn is_left(state: &ChunkState) -> bool {
    match state {
        ChunkState::SourceLeft { .. } => true,
        ChunkState::Removing { source, .. } => source.may_be_at_acs(),
        ChunkState::Removed { source, .. } => source.as_ref().is_none_or(SourceEnd::may_be_at_acs),
        ChunkState::Pending
        | ChunkState::Exported { .. }
        | ChunkState::SourceDeleted { .. }
        | ChunkState::InPlace { .. }
        | ChunkState::Expired { .. }
        | ChunkState::DeadLettered { .. } => false,
    }
}

/// Takes out the chunks that belong to another recording.
pub(super) fn without_those_of_others(recorded: &mut KnownRecording) -> Vec<DocumentId> {
    let id = recorded.account.recording_id.clone();
    let is_own = |chunk: &KnownChunk| {
        let entry = chunk.entry.found();
        entry.is_none_or(|entry| entry.chunk.is_of(&id))
    };
    let chunks = std::mem::take(&mut recorded.chunks);
    let (own, others): (Vec<_>, Vec<_>) = chunks.into_iter().partition(is_own);
    recorded.chunks = own;
    others.into_iter().map(|chunk| chunk.document_id).collect()
}

fn left(index: u32, problem: &str) -> Outcome {
    Outcome::Left(format!("chunk {index}: {problem}"))
}

fn names(entry: &LedgerEntry, sought: &Sought) -> bool {
    entry.metadata.as_ref().is_some_and(|metadata| {
        let is_person = |known: &Participant| sought.is(&known.id);
        metadata.participants_omitted > 0 || metadata.participants.iter().any(is_person)
    })
}
