//! Previews an erasure: which recordings it would erase, and which it would leave. Changes nothing.

use serde::Serialize;

use super::recording::without_those_of_others;
use super::{Eraser, LeftRecording};
use crate::catalogue::CatalogueError;
use crate::catalogue::known::KnownRecording;
use crate::catalogue::list_filter::ListFilter;
use crate::catalogue::people::{FoundRecordings, RecordingsOf};
use crate::catalogue::person::Person;
use crate::control::telephony::forgetting;
use crate::export::ChunkState;
use crate::export::driver::objection::Objection;
use crate::export::driver::preview::{Preview, WhyKept};
use crate::recording::DocumentId;
use crate::store::audit::Operator;

/// What an erasure that began now would do. Whether ACS deletes a source is known only afterwards, and what only events name
/// is not looked at.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ErasurePreview {
    #[serde(flatten)]
    pub found: FoundRecordings,
    /// Recordings that it would leave.
    pub left: Vec<LeftRecording>,
    /// Chunks that events named under these recordings and that belong to others: it would leave them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub of_others: Vec<DocumentId>,
    /// The person was an operator, or an earlier erasure found recordings of the person.
    #[serde(skip)]
    known_otherwise: bool,
}

impl ErasurePreview {
    /// Whether anything of the person is or was known. If not, the id may be wrong.
    pub fn is_of_someone(&self) -> bool {
        self.known_otherwise || !self.found.recordings.is_empty()
    }

    /// Whether it would erase everything of the person, and all was searched.
    pub fn is_whole(&self) -> bool {
        self.is_of_someone()
            && self.left.is_empty()
            && self.of_others.is_empty()
            && self.found.not_searched.is_nothing()
    }
}

impl Eraser {
    /// Returns what an erasure would do. The search is recorded in the audit log.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn preview(
        &self,
        person: &Person,
        operator: &Operator,
    ) -> Result<ErasurePreview, CatalogueError> {
        let catalogue = &self.catalogue;
        catalogue.note_search(person, operator).await?;
        let sought = catalogue.sought(person).await?;
        let filter = ListFilter::default();
        let of_person = catalogue.recordings_of(&sought, &filter);
        let RecordingsOf {
            found,
            mut not_searched,
        } = of_person.await?;
        let subject = catalogue.pseudonym(person).await?;
        let was_erased = self.was_erased(&subject, &mut not_searched).await?;
        // The person may have been an operator too.
        let audit = catalogue.ledger.audit();
        let known_otherwise = was_erased || audit.has_name(person.id()).await?;
        let rules = catalogue.rules();
        let recordings = found.iter().map(|recorded| recorded.row(rules)).collect();
        let (mut left, mut of_others) = (Vec::new(), Vec::new());
        for mut recorded in found {
            of_others.extend(without_those_of_others(&mut recorded));
            if let Some(reason) = self.would_leave(&recorded).await? {
                left.push(LeftRecording {
                    recording_id: recorded.account.recording_id.to_string(),
                    reason,
                });
            }
        }
        Ok(ErasurePreview {
            found: FoundRecordings {
                recordings,
                unreadable: not_searched.unreadable,
                not_searched,
            },
            left,
            of_others,
            known_otherwise,
        })
    }

    /// Returns why an erasure would leave a recording: by the recording itself, because a chunk of it does not end at ACS at
    /// once, or because its bot is at work.
    async fn would_leave(
        &self,
        recorded: &KnownRecording,
    ) -> Result<Option<String>, CatalogueError> {
        if let Some(objection) = self.objection(recorded) {
            return Ok(Some(objection));
        }
        let is_exported = |state: &ChunkState| matches!(state, ChunkState::Exported { .. });
        let (exported, now) = (recorded.entries(), self.catalogue.clock.now());
        for entry in exported.filter(|entry| is_exported(&entry.state)) {
            if let Preview::Keeps { why } = self.driver.preview(entry).await?
                && !ends_at_once(&why, entry.is_surely_gone(now))
            {
                let index = entry.chunk.index;
                return Ok(Some(format!("chunk {index}: its source stays: {why}")));
            }
        }
        if let Some(problem) = self.lacks_copy(recorded).await {
            return Ok(Some(problem));
        }
        match &recorded.account.conversation {
            Some(conversation) => {
                let register = &self.catalogue.register;
                Ok(forgetting::objection(register, conversation).await?)
            }
            None => Ok(None),
        }
    }
}

/// Whether the chunk ends without its source being deleted: it is left at ACS. In every other case something comes first,
/// such as an export of the copy, and an erasure leaves the recording until then.
fn ends_at_once(why: &WhyKept, is_surely_gone: bool) -> bool {
    match why {
        WhyKept::Objection(
            Objection::OtherNotInVault { .. } | Objection::OtherNotChecked { .. },
        ) => is_surely_gone,
        WhyKept::Objection(Objection::Damaged | Objection::OtherFilePending) => false,
        WhyKept::Objection(_) | WhyKept::Ended(_) => true,
        WhyKept::NotProved
        | WhyKept::MetadataNotInVault
        | WhyKept::FurtherNotInVault
        | WhyKept::InOwnStorage
        | WhyKept::InBackupVault
        | WhyKept::Claimed
        | WhyKept::Held(_)
        | WhyKept::Waits { .. }
        | WhyKept::CopyLost(_)
        | WhyKept::CopyNotChecked(_) => false,
    }
}
