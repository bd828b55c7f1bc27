//! Recordings by their ids: from the register, or from their chunks in the ledger. What is not readable is an error, not "none".

use jiff::Timestamp;
use tokio::sync::OnceCell;

use super::known::KnownRecording;
use super::survey::Candidates;
use super::{Catalogue, CatalogueError};
use crate::recording::RecordingId;
use crate::store::audit::SubjectKey;
use crate::store::digest::Sha256Digest;
use crate::store::index::{FOLLOWS_WITHIN, recording_name};

/// What may lead to recordings that the register does not have. Reading it takes many requests, so it is read when an id first
/// needs it, and the ids after that share it. A recording that is recorded only then is not among them: it is new.
#[derive(Default)]
pub(super) struct UnregisteredLeads(OnceCell<Candidates>);

impl Catalogue {
    /// Returns a recording with the cases that hold it: from the register, or, if the register has no account of it, from
    /// the chunks of it in the ledger that are not settled or were found by a check. `None`: neither has it, and the audit
    /// log says nothing of it.
    ///
    /// # Errors
    /// When the storage fails, the account is unreadable or lost, or not all that may have the id was read.
    pub async fn find(&self, id: &RecordingId) -> Result<Option<KnownRecording>, CatalogueError> {
        self.find_with(&UnregisteredLeads::default(), id).await
    }

    /// As `find`, for one of several ids, which share what may lead to them.
    ///
    /// # Errors
    /// As [`Catalogue::find`].
    pub(super) async fn find_with(
        &self,
        leads: &UnregisteredLeads,
        id: &RecordingId,
    ) -> Result<Option<KnownRecording>, CatalogueError> {
        if let Some(recorded) = self.find_registered(id).await? {
            return Ok(Some(recorded));
        }
        // Lists show a recording with an unreadable account under its name in the index: the account has its id.
        if let Ok(name) = Sha256Digest::try_from(id.to_string())
            && let Some(recorded) = self.recorded(&name).await?
        {
            return self.with_cases(recorded).await.map(Some);
        }
        let reading = || Box::pin(self.unregistered_candidates());
        let candidates = leads.0.get_or_try_init(reading).await?;
        let name = recording_name(id);
        match Box::pin(self.unregistered_among(candidates, &name)).await? {
            Some(recorded) => self.with_cases(recorded).await.map(Some),
            None => self.not_lost(id).await.map(|()| None),
        }
    }

    /// Checks that the audit log has no record of a recording that was not found. It has records of those that were started
    /// or handled here; of one that was not, only the next complete check finds that its account is lost.
    async fn not_lost(&self, id: &RecordingId) -> Result<(), CatalogueError> {
        // A record precedes the account.
        let before = self.clock.now().checked_sub(FOLLOWS_WITHIN);
        let before = before.unwrap_or(Timestamp::MIN);
        let subject = SubjectKey::of(&format!("recording {id}"));
        if self.ledger.audit().knows_recording(subject, before).await? {
            let key = format!("recordings/{}.json", recording_name(id));
            return Err(CatalogueError::AccountMissing { key });
        }
        Ok(())
    }

    /// Returns a recording of the register with the cases that hold it.
    ///
    /// # Errors
    /// When the storage fails or the account is unreadable.
    pub(crate) async fn find_registered(
        &self,
        id: &RecordingId,
    ) -> Result<Option<KnownRecording>, CatalogueError> {
        match self.recorded(&recording_name(id)).await? {
            Some(recorded) => self.with_cases(recorded).await.map(Some),
            None => Ok(None),
        }
    }
}
