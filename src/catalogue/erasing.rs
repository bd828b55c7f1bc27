//! A person's recordings erased: from the vault, and who was in them from register and ledger.
//!
//! ```text
//! what is exported is driven to its end at ACS ─▶ copies removed, the retention's way ─▶ account without people
//!        └─ runs, held, not exported: named, and left                                  └─▶ entries without people, their
//!                                                                                          markers with them
//! ```
//! A person is found by the markers of entries: those go last, so a repeat finds whatever a kill has left undone. What stays
//! are ids, times and digests: without them the recording would come back with its next event.

use std::sync::Arc;

use serde::Serialize;
use serde_json::json;

use super::person::Person;
use super::row::{KnownChunk, KnownRecording};
use super::{Catalogue, CatalogueError};
use crate::control::entry::Erased;
use crate::export::ledger::LedgerError;
use crate::export::retention::{Removal, Retention, RetentionPolicy};
use crate::export::{Budget, ChunkState, ExportDriver, LedgerEntry};
use crate::recording::DocumentId;
use crate::store::audit::AuditAction;
use crate::store::digest::Sha256Digest;
use crate::store::holds;
use crate::store::index::{Listed, Period, Place, recording_name};

const PAGE: usize = 500;

/// Erases.
pub struct Eraser {
    catalogue: Catalogue,
    driver: Arc<ExportDriver>,
    removals: Retention,
    /// How long one chunk may be driven to its end at ACS.
    budget: std::time::Duration,
}

/// What was erased, and what was not.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Erasure {
    /// Recordings of which nothing of the person is left here.
    pub erased: Vec<String>,
    pub left: Vec<LeftRecording>,
    /// Chunks that ACS has still and drops by itself; we cannot delete them there.
    pub at_acs: Vec<DocumentId>,
}

/// A recording that is as it was, or partly erased; a repeat goes on with it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LeftRecording {
    pub recording_id: String,
    pub reason: String,
}

impl Eraser {
    pub fn new(
        catalogue: Catalogue,
        driver: Arc<ExportDriver>,
        budget: std::time::Duration,
    ) -> Self {
        // On request no policy counts.
        let policy = RetentionPolicy {
            keep_for: std::time::Duration::MAX,
        };
        let removals = Retention::new(
            catalogue.ledger.clone(),
            catalogue.vaults.clone(),
            Arc::clone(&catalogue.clock),
            policy,
        );
        Self {
            catalogue,
            driver,
            removals,
            budget,
        }
    }

    /// Erases every recording of a person that may be erased.
    ///
    /// # Errors
    /// When the storage fails. What was begun goes on with a repeat.
    pub async fn erase(&self, person: &Person, reason: &str) -> Result<Erasure, CatalogueError> {
        let (ledger, subject) = (
            &self.catalogue.ledger,
            self.catalogue.pseudonym(person).await?,
        );
        let found = self.catalogue.of_person(person).await?;
        let recordings: Vec<_> = found
            .iter()
            .map(|recorded| recorded.account.recording_id.clone())
            .collect();
        let detail = json!({"reason": reason, "recordings": recordings});
        ledger
            .audit_operator(AuditAction::PersonErasing, &subject, detail)
            .await?;
        let mut erasure = Erasure::default();
        for recorded in found {
            let recording_id = recorded.account.recording_id.to_string();
            match Box::pin(self.erase_recording(person, &recorded, reason, &mut erasure.at_acs))
                .await?
            {
                Ok(()) => erasure.erased.push(recording_id),
                Err(reason) => erasure.left.push(LeftRecording {
                    recording_id,
                    reason,
                }),
            }
        }
        self.clear_markers(&person.listed(), &mut erasure).await?;
        let detail =
            json!({"reason": reason, "erased": erasure.erased, "left": erasure.left.len()});
        ledger
            .audit_operator(AuditAction::PersonErased, &subject, detail)
            .await?;
        Ok(erasure)
    }

    /// `Err` says why it is left.
    async fn erase_recording(
        &self,
        person: &Person,
        recorded: &KnownRecording,
        reason: &str,
        at_acs: &mut Vec<DocumentId>,
    ) -> Result<Result<(), String>, CatalogueError> {
        if let Some(why) = self.objection(recorded) {
            return Ok(Err(why));
        }
        for chunk in &recorded.chunks {
            if let Err(why) = Box::pin(self.settle(&chunk.document_id)).await? {
                return Ok(Err(format!("chunk {}: {why}", chunk.index)));
            }
        }
        for chunk in &recorded.chunks {
            if let Err(why) = Box::pin(self.remove(&chunk.document_id, reason, at_acs)).await? {
                return Ok(Err(format!("chunk {}: {why}", chunk.index)));
            }
        }
        let erased = Erased {
            at: self.catalogue.clock.now(),
            reason: reason.to_owned(),
        };
        self.catalogue
            .register
            .erase(&recorded.account.recording_id, &erased)
            .await?;
        // Those that name the person last: by them a repeat finds the recording.
        let names_person = |chunk: &&KnownChunk| {
            chunk
                .entry
                .as_ref()
                .is_some_and(|entry| names(entry, person))
        };
        let (naming, others): (Vec<_>, Vec<_>) = recorded.chunks.iter().partition(names_person);
        for chunk in others.into_iter().chain(naming) {
            if !self
                .catalogue
                .ledger
                .forget_people(&chunk.document_id)
                .await?
            {
                return Ok(Err(format!(
                    "chunk {}: somebody is at work on it; run again",
                    chunk.index
                )));
            }
        }
        Ok(Ok(()))
    }

    /// What keeps a recording from being touched at all.
    fn objection(&self, recorded: &KnownRecording) -> Option<String> {
        if !recorded.cases.is_empty() {
            return Some(format!("it is held for {}", holds::tags(&recorded.cases)));
        }
        if recorded.account.is_running() {
            return Some("it runs still; run again when it has ended and is exported".to_owned());
        }
        let now = self.catalogue.clock.now();
        recorded.chunks.iter().find_map(|chunk| {
            let index = chunk.index;
            match chunk.entry.as_ref().map(|entry| (entry, &entry.state)) {
                None => Some(format!("chunk {index} is not in the ledger, or not readable there")),
                Some((_, ChunkState::Pending)) => Some(format!("chunk {index} is not exported yet; run again when it is")),
                Some((_, ChunkState::InPlace { .. })) => {
                    Some(format!("chunk {index} lies in your own storage, where nothing is deleted from here"))
                }
                Some((entry, ChunkState::Expired { .. } | ChunkState::DeadLettered { .. })) if !entry.is_surely_gone(now) => {
                    Some(format!(
                        "chunk {index} is not exported, and ACS may have it until {}; run again then",
                        entry.surely_gone_at
                    ))
                }
                Some(_) => None,
            }
        })
    }

    /// What is proved and still at ACS is deleted there first, as it always is.
    async fn settle(&self, id: &DocumentId) -> Result<Result<(), String>, CatalogueError> {
        let is_exported = async || {
            let entry = self.catalogue.entry(id).await?;
            Ok::<_, CatalogueError>(entry.is_some_and(|entry| {
                matches!(
                    entry.state,
                    ChunkState::Exported { .. } | ChunkState::Pending
                )
            }))
        };
        if is_exported().await? {
            self.driver.drive(id, Budget::of(self.budget)).await?;
            if is_exported().await? {
                return Ok(Err(
                    "it is not deleted at ACS yet; run again when it is".to_owned()
                ));
            }
        }
        Ok(Ok(()))
    }

    async fn remove(
        &self,
        id: &DocumentId,
        reason: &str,
        at_acs: &mut Vec<DocumentId>,
    ) -> Result<Result<(), String>, CatalogueError> {
        let Some(entry) = self.catalogue.entry(id).await? else {
            return Ok(Ok(()));
        };
        if matches!(entry.state, ChunkState::Removed { .. }) {
            return Ok(Ok(()));
        }
        if matches!(entry.state, ChunkState::SourceLeft { .. })
            && !entry.is_surely_gone(self.catalogue.clock.now())
        {
            at_acs.push(id.clone());
        }
        Ok(match self.removals.erase(id, reason).await {
            Removal::Removed => Ok(()),
            Removal::Held { cases } => Err(format!("it is held for {}", holds::tags(&cases))),
            Removal::NotDue => Err("it was opened again at this moment; run again".to_owned()),
            Removal::Busy => Err("somebody is at work on it; run again".to_owned()),
            Removal::Failed { reason, .. } => Err(format!("the vault did not delete it: {reason}")),
        })
    }

    /// Markers that a kill left of entries that say nothing of the person any more. What says it still, or is not readable, is
    /// left, and told of: its marker is all that leads there.
    async fn clear_markers(
        &self,
        list: &Listed,
        erasure: &mut Erasure,
    ) -> Result<(), CatalogueError> {
        let index = self.catalogue.ledger.index();
        let mut after = None;
        loop {
            let places = index
                .places(list, Period::default(), after.as_ref(), PAGE)
                .await?;
            let is_last = places.len() < PAGE;
            after = places.last().cloned();
            for place in places {
                let key = list.key(&place);
                if self.names(&place, &key).await? != Some(false) {
                    tell_left(&place, erasure);
                    continue;
                }
                index.remove([key.clone()]).await?;
                // An export may have made it true in between, and found it there.
                if self.names(&place, &key).await? != Some(false) {
                    index.put([key]).await?;
                }
            }
            if is_last {
                return Ok(());
            }
        }
    }

    /// Whether what a marker leads to says what the marker says; `None` where that cannot be read.
    async fn names(&self, place: &Place, key: &str) -> Result<Option<bool>, CatalogueError> {
        let Some(document_id) = &place.document else {
            return Ok(Some(false));
        };
        match self.catalogue.ledger.find(document_id).await {
            Ok(found) => Ok(Some(
                found.is_some_and(|found| found.entry.markers().contains(key)),
            )),
            Err(LedgerError::Corrupt { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

fn tell_left(place: &Place, erasure: &mut Erasure) {
    let Some(document_id) = &place.document else {
        return;
    };
    let is_told =
        |left: &LeftRecording| recording_name_of(&left.recording_id) == Some(place.recording);
    if !erasure.left.iter().any(is_told) {
        let reason = format!(
            "chunk {document_id} or its recording's account is not readable; `ledger rebuild`, then run again"
        );
        erasure.left.push(LeftRecording {
            recording_id: place.recording.to_string(),
            reason,
        });
    }
}

fn names(entry: &LedgerEntry, person: &Person) -> bool {
    let participants = entry
        .metadata
        .iter()
        .flat_map(|metadata| &metadata.participants);
    participants
        .into_iter()
        .any(|participant| participant.id.eq_ignore_ascii_case(person.id()))
}

fn recording_name_of(recording_id: &str) -> Option<Sha256Digest> {
    recording_id.parse().ok().map(|id| recording_name(&id))
}
