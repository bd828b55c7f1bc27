//! Erases a person's recordings from the vault, and the people in them from register and ledger.
//!
//! ```text
//! each recording: what is exported is driven to its end at ACS ─▶ copies removed, the retention's way ─▶ account erased
//!        └─ runs, held, not exported: named, and left                                                        │
//! all that are erased: unreadable events that name them removed ◀─────────────────────────────────────────────┘
//!        └─▶ each of them: texts about it removed ─▶ entries without people, their markers with them ─▶ account without people
//! ```
//! An erasure is final: once the account says so, no chunk of the recording is exported, whenever it is announced.
//! A recording of a person is found by the markers of its entries and its account, and what names the recording is found
//! by the recording. The markers are removed last, so a repeat finds what a kill left undone. Ids, times and digests stay:
//! without them the next event would bring the recording back.

mod preview;
mod recording;

use std::sync::Arc;

use futures::TryStreamExt as _;
use serde::Serialize;
use serde_json::json;

pub use self::preview::ErasurePreview;
use self::recording::{EmptiedRecording, Outcome};
use super::known::KnownRecording;
use super::list_filter::ListFilter;
use super::not_searched::NotSearched;
use super::people::RecordingsOf;
use super::person::{Person, Sought};
use super::{Catalogue, CatalogueError};
use crate::export::ExportDriver;
use crate::export::ledger::LedgerError;
use crate::export::removal::{MissingCopies, Removals};
use crate::recording::{DocumentId, RecordingId};
use crate::store::audit::{AuditAction, AuditRecord, FoundDocument, Operator, SubjectKey};
use crate::store::digest::Sha256Digest;
use crate::store::documents::DocumentError;
use crate::store::holds::{HeldPerson, HoldContent, HoldRule};
use crate::store::index::{Listed, Period, Place, recording_name};

/// Documents of the audit log that are read for earlier erasures of a person.
const ERASURES_READ: usize = 16;

/// Erases.
pub struct Eraser {
    catalogue: Catalogue,
    driver: Arc<ExportDriver>,
    removals: Removals,
    /// How long the deletion of one chunk at ACS may take.
    budget: std::time::Duration,
}

/// What was erased, and what was not.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Erasure {
    /// Recordings that no longer have any data of the person here.
    pub erased: Vec<String>,
    pub left: Vec<LeftRecording>,
    /// Chunks that ACS still has, and deletes when their retention ends; we cannot delete them there.
    pub at_acs: Vec<DocumentId>,
    /// Chunks that only an import recorded: whether ACS has a file of them is not known.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub perhaps_at_acs: Vec<DocumentId>,
    /// Chunks that events named under an erased recording and that belong to another one: they are left.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub of_others: Vec<DocumentId>,
    /// Unreadable events that named the person or an erased recording.
    #[serde(skip_serializing_if = "is_zero")]
    pub events: usize,
    /// Such events that also name a recording that is left.
    #[serde(skip_serializing_if = "is_zero")]
    pub events_left: usize,
    /// What may be of the person, and could not be looked into: it is left.
    #[serde(skip_serializing_if = "NotSearched::is_nothing")]
    pub not_searched: NotSearched,
    /// The person was an operator, or an earlier erasure found recordings of the person.
    #[serde(skip)]
    known_otherwise: bool,
}

impl Erasure {
    fn add(&mut self, id: &RecordingId, outcome: Outcome) {
        let recording_id = id.to_string();
        match outcome {
            Outcome::Done => self.erased.push(recording_id),
            Outcome::Left(reason) => self.left.push(LeftRecording {
                recording_id,
                reason,
            }),
        }
    }

    /// Whether nothing of the person is left that was found, and everything could be searched.
    pub fn is_complete(&self) -> bool {
        self.left.is_empty()
            && self.of_others.is_empty()
            && self.events_left == 0
            && self.not_searched.is_nothing()
    }

    /// Whether anything of the person is or was known. If not, the id may be wrong.
    pub fn is_of_someone(&self) -> bool {
        self.known_otherwise
            || !self.erased.is_empty()
            || !self.left.is_empty()
            || self.events + self.events_left > 0
    }
}

/// A recording that is unchanged, or partly erased; a repeat continues its erasure.
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
        let removals = Removals::new(
            catalogue.ledger.clone(),
            catalogue.vaults.clone(),
            Arc::clone(&catalogue.clock),
        );
        Self {
            catalogue,
            driver,
            removals,
            budget,
        }
    }

    /// The same, which handles copies that the vault does not have in this way.
    #[must_use]
    pub fn with_missing(mut self, missing: MissingCopies) -> Self {
        self.removals = self.removals.with_missing(missing);
        self
    }

    /// Erases every recording of a person that may be erased.
    ///
    /// # Errors
    /// When the storage fails. A repeat continues what was begun.
    pub async fn erase(
        &self,
        person: &Person,
        reason: &str,
        operator: &Operator,
    ) -> Result<Erasure, CatalogueError> {
        let ledger = &self.catalogue.ledger;
        let subject = self.catalogue.pseudonym(person).await?;
        let sought = self.catalogue.sought(person).await?;
        let filter = ListFilter::default();
        let of_person = self.catalogue.recordings_of(&sought, &filter);
        let RecordingsOf {
            found,
            mut not_searched,
        } = of_person.await?;
        let ids = |recorded: &KnownRecording| recorded.account.recording_id.clone();
        let recordings: Vec<_> = found.iter().map(ids).collect();
        let detail = json!({"reason": reason, "recordings": recordings});
        ledger
            .audit_operator(AuditAction::PersonErasing, &subject, operator, detail)
            .await?;
        let known_otherwise = self.was_erased(&subject, &mut not_searched).await?;
        let mut erasure = Erasure {
            not_searched,
            known_otherwise,
            ..Erasure::default()
        };
        let emptied = self.empty(found, &sought, reason, &mut erasure).await?;
        // A plain word, such as `audio`, is in events that do not name the person.
        let persons = std::iter::once(person.id()).chain(sought.names());
        let persons = persons.filter(|_| person.is_id());
        let names = persons.map(str::to_owned);
        let names = names.chain(emptied.iter().flat_map(EmptiedRecording::names));
        self.erase_events(names.collect(), &mut erasure).await?;
        for one in &emptied {
            self.erase_texts(one).await?;
            let outcome = self.forget_people(one).await?;
            erasure.add(one.id(), outcome);
        }
        self.erase_hold_texts(&sought, &mut erasure).await?;
        self.erase_names(person, &sought, &mut erasure).await?;
        for list in sought.lists() {
            self.clear_markers(&list, &mut erasure).await?;
        }
        // The earlier record says who, why and what was found; this one says what of it is erased.
        let detail = json!({
            "erased": erasure.erased.len(), "left": erasure.left.len(), "events": erasure.events,
            "eventsLeft": erasure.events_left,
            "recordings": erasure.erased,
        });
        ledger
            .audit_operator(AuditAction::PersonErased, &subject, operator, detail)
            .await?;
        Ok(erasure)
    }

    /// Removes the copies of every recording that may be erased. The others are named in `erasure`.
    async fn empty(
        &self,
        found: Vec<KnownRecording>,
        sought: &Sought,
        reason: &str,
        erasure: &mut Erasure,
    ) -> Result<Vec<EmptiedRecording>, CatalogueError> {
        let mut emptied = Vec::new();
        for mut recorded in found {
            let emptying = Box::pin(self.empty_recording(&mut recorded, reason)).await?;
            erasure.at_acs.extend(emptying.at_acs);
            erasure.perhaps_at_acs.extend(emptying.perhaps_at_acs);
            erasure.of_others.extend(emptying.of_others);
            match emptying.outcome {
                Outcome::Done => emptied.push(self.emptied(recorded, sought).await?),
                Outcome::Left(_) => erasure.add(&recorded.account.recording_id, emptying.outcome),
            }
        }
        Ok(emptied)
    }

    /// Whether an earlier erasure found recordings of the person. What could not be read, and may say so, is named.
    async fn was_erased(
        &self,
        subject: &str,
        not_searched: &mut NotSearched,
    ) -> Result<bool, CatalogueError> {
        let audit = self.catalogue.ledger.audit();
        let marked = audit
            .newest_of(SubjectKey::of(subject), ERASURES_READ)
            .await?;
        let mut unreadable = Vec::new();
        for document in &marked {
            let records = match audit.read(&document.position).await? {
                FoundDocument::Records(records) => records,
                FoundDocument::Missing => continue,
                FoundDocument::Unreadable => {
                    let position = &document.position;
                    unreadable.push(format!("document {position} of the audit log"));
                    continue;
                }
            };
            let mut of_erasures = records.iter().filter(|record| {
                record.subject == subject && record.action == AuditAction::PersonErasing
            });
            let has_found = |record: &AuditRecord| {
                let recordings = record.detail["recordings"].as_array();
                recordings.is_some_and(|recordings| !recordings.is_empty())
            };
            if of_erasures.any(has_found) {
                return Ok(true);
            }
        }
        not_searched.add_unreadable(unreadable);
        not_searched.is_lower_bound |= marked.len() >= ERASURES_READ;
        Ok(false)
    }

    /// Erases the person's names from the audit log, as an operator's and in every spelling of the id.
    async fn erase_names(
        &self,
        person: &Person,
        sought: &Sought,
        erasure: &mut Erasure,
    ) -> Result<(), CatalogueError> {
        let audit = self.catalogue.ledger.audit();
        // The person may have been an operator too.
        erasure.known_otherwise |= audit.erase_name(person.id()).await?;
        let unreadable = audit.erase_names_of(|name| sought.is(name)).await?;
        let unreadable = unreadable.into_iter();
        let unreadable = unreadable.map(|key| format!("the name `{key}`"));
        erasure.not_searched.add_unreadable(unreadable);
        Ok(())
    }

    /// Erases unreadable events that name the person, a recording that is being erased, or one of its chunks.
    async fn erase_events(
        &self,
        names: Vec<String>,
        erasure: &mut Erasure,
    ) -> Result<(), CatalogueError> {
        let left = erasure.left.iter();
        let spared: Vec<String> = left.map(|left| left.recording_id.clone()).collect();
        let ledger = &self.catalogue.ledger;
        let events = ledger.erase_kept_events(&names, &spared).await?;
        (erasure.events, erasure.events_left) = (events.erased, events.left);
        Ok(())
    }

    /// Erases what operators wrote in the audit log about a recording, its chunks and its call.
    async fn erase_texts(&self, emptied: &EmptiedRecording) -> Result<(), CatalogueError> {
        let audit = self.catalogue.ledger.audit();
        for subject in emptied.subjects() {
            audit.erase_texts(&subject).await?;
        }
        Ok(())
    }

    /// Erases what operators wrote about holds on the person's recordings. Such a hold that is in force keeps its notes: its
    /// recordings are left too.
    async fn erase_hold_texts(
        &self,
        sought: &Sought,
        erasure: &mut Erasure,
    ) -> Result<(), CatalogueError> {
        let ledger = &self.catalogue.ledger;
        let is_persons = |rule: &HoldRule| {
            let names = rule.person().into_iter().flat_map(HeldPerson::names);
            names.into_iter().any(|name| sought.hashes.contains(&name))
        };
        for stored in ledger.holds().stored().await? {
            let may_be_persons = stored.is_standing();
            let hold = match stored.content {
                HoldContent::Hold(hold) => hold,
                HoldContent::Unreadable { .. } if may_be_persons => {
                    let unreadable = format!("the hold `{}`", stored.key);
                    erasure.not_searched.add_unreadable([unreadable]);
                    continue;
                }
                HoldContent::Unreadable { .. } => continue,
                HoldContent::NotRead(error) => return Err(error.into()),
            };
            let released = hold.held.rule().filter(|_| hold.cases.is_empty());
            let subjects = released.filter(|rule| is_persons(rule));
            for subject in subjects.into_iter().flat_map(HoldRule::audit_subjects) {
                ledger.audit().erase_texts(&subject).await?;
            }
        }
        Ok(())
    }

    /// Removes markers that a kill left of entries and accounts that no longer name the person. One that still names
    /// the person, or is unreadable, is left and reported: its marker is the only way to find it.
    async fn clear_markers(
        &self,
        list: &Listed,
        erasure: &mut Erasure,
    ) -> Result<(), CatalogueError> {
        let index = self.catalogue.ledger.index();
        let mut places = index.all_places(list, Period::default());
        while let Some(place) = places.try_next().await? {
            let key = list.key(&place);
            // The marker first, then the entry: a process that writes in between writes both again.
            let seen = index.seen([key.clone()]).await?;
            if !self.is_untrue(&place, &key).await? {
                report_left(&place, erasure);
                continue;
            }
            index.remove_seen(seen).await?;
        }
        Ok(())
    }

    /// Whether the entry of a marker no longer says what the marker says, and is not about to. `false` where that
    /// cannot be read.
    async fn is_untrue(&self, place: &Place, key: &str) -> Result<bool, CatalogueError> {
        let Some(document_id) = &place.document else {
            let register = &self.catalogue.register;
            return match register
                .fence_off_marker(&place.recording.to_string(), key)
                .await
            {
                Err(DocumentError::Corrupt { .. }) => Ok(false),
                fenced => Ok(fenced?),
            };
        };
        let ledger = &self.catalogue.ledger;
        match ledger.fence_off_marker(document_id, key).await {
            Err(LedgerError::Corrupt { .. }) => Ok(false),
            fenced => Ok(fenced?),
        }
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

fn report_left(place: &Place, erasure: &mut Erasure) {
    let chunk = match &place.document {
        Some(document_id) => format!("chunk {document_id} or its recording's account"),
        None => "its account".to_owned(),
    };
    let is_reported =
        |left: &LeftRecording| recording_name_of(&left.recording_id) == Some(place.recording);
    if !erasure.left.iter().any(is_reported) {
        let reason = format!("{chunk} is not readable; `ledger rebuild`, then run again");
        erasure.left.push(LeftRecording {
            recording_id: place.recording.to_string(),
            reason,
        });
    }
}

fn recording_name_of(recording_id: &str) -> Option<Sha256Digest> {
    recording_id.parse().ok().map(|id| recording_name(&id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_that_is_left_makes_an_erasure_incomplete() {
        assert!(Erasure::default().is_complete());
        let with_event = Erasure {
            events_left: 1,
            ..Erasure::default()
        };
        assert!(!with_event.is_complete());
    }
}
