//! Stores what ACS is about to be asked for, so that a kill or a lost answer leaves a trace. Asks ACS only whether a
//! recording exists that the register does not know.

use tokio::time::Instant;
use tracing::warn;

use super::entry::RegisteredRecording;
use super::intention::{Intention, Noted};
use super::pause::Pause;
use super::transitions::SETTLES;
use super::{ControlError, RecordingControl, address, not_started};
use crate::error_chain::ErrorChain;
use crate::recording::RecordingId;
use crate::store::DocumentError;

/// A recording that is about to be changed at ACS.
pub(super) struct Target {
    pub account: Option<RegisteredRecording>,
    pub noted: Noted,
    /// Before ACS was asked.
    pub noted_at: Instant,
}

impl Target {
    pub fn new(account: Option<RegisteredRecording>, noted: Noted) -> Self {
        Self {
            account,
            noted,
            noted_at: Instant::now(),
        }
    }

    /// Returns the pause that was open in the account before.
    pub fn open_pause(&self) -> Option<&Pause> {
        self.account.as_ref()?.open_pause()
    }

    /// Whether its account has the intention, so that a sweep finds out what became of it.
    pub fn is_noted(&self) -> bool {
        matches!(self.noted, Noted::Written(_))
    }

    /// Whether its last pause ended so recently that ACS may still report it.
    pub fn was_just_resumed(&self) -> bool {
        let last = self
            .account
            .as_ref()
            .and_then(|account| account.pauses.last());
        let ended_at = last.and_then(|pause| pause.ended_at);
        ended_at.is_some_and(|at| self.noted.intention().at.duration_since(at) < SETTLES)
    }
}

impl RecordingControl {
    /// Stores an intention before ACS is asked. If the register fails, ACS is asked anyway, unless the guard must end
    /// the pause.
    pub(super) async fn intend(
        &self,
        id: &RecordingId,
        intention: Intention,
    ) -> Result<Target, ControlError> {
        if intention.resume_at().is_none() {
            let known = self.find_or_adopt(id).await?;
            return Ok(self.note(id, known, intention).await);
        }
        let known = self.register.find(id).await?;
        let known = match known {
            Some(known) => known,
            None => self.adopt(id).await?,
        };
        let was_running = known.is_running();
        let target = self.try_note(id, known, intention).await?;
        let is_written = matches!(target.noted, Noted::Written(_));
        if was_running && !is_written {
            return Err(not_started(id, None));
        }
        Ok(target)
    }

    pub(super) async fn note(
        &self,
        id: &RecordingId,
        known: Option<RegisteredRecording>,
        intention: Intention,
    ) -> Target {
        let noted = match &known {
            Some(known) => self.try_note(id, known.clone(), intention.clone()).await,
            None => {
                return Target::new(None, Noted::NotWritten(intention));
            }
        };
        let noted = noted.inspect_err(|error| {
            warn!(recording.id = %id, error = %ErrorChain(error), "Could not store an intention; ACS is asked anyway");
        });
        noted.unwrap_or_else(|_| Target::new(known, Noted::NotWritten(intention)))
    }

    /// An ended recording takes no intention; ACS's answer about it still counts.
    async fn try_note(
        &self,
        id: &RecordingId,
        known: RegisteredRecording,
        intention: Intention,
    ) -> Result<Target, DocumentError> {
        if !known.is_running() {
            return Ok(Target::new(Some(known), Noted::NotWritten(intention)));
        }
        let account = self
            .register
            .change(id, intention.at, |account| account.intend(&intention))
            .await?;
        let noted = match account.intended(intention.id) {
            Some(written) => Noted::Written(written.clone()),
            None => Noted::NotWritten(intention),
        };
        Ok(Target::new(Some(account), noted))
    }

    /// Returns what the register knows. Asks ACS about a recording that the register does not know, so that an
    /// intention has an account; `None` if the register or ACS fails.
    pub(super) async fn find_or_adopt(
        &self,
        id: &RecordingId,
    ) -> Result<Option<RegisteredRecording>, ControlError> {
        match self.register.find(id).await {
            Ok(Some(known)) => Ok(Some(known)),
            Ok(None) => match self.adopt(id).await {
                Ok(account) => Ok(Some(account)),
                Err(ControlError::Acs(error)) if error.is_not_found() => Err(error.into()),
                Err(error) => {
                    warn!(recording.id = %id, error = %ErrorChain(&error), "Could not open an account for recording `{id}`");
                    Ok(None)
                }
            },
            Err(error) => {
                warn!(recording.id = %id, error = %ErrorChain(&error), "Could not look recording `{id}` up in the register");
                Ok(None)
            }
        }
    }

    /// Opens an account for a recording that ACS knows and the register does not.
    async fn adopt(&self, id: &RecordingId) -> Result<RegisteredRecording, ControlError> {
        self.client.state(address(id, None)).await?;
        Ok(self.register.change(id, self.clock.now(), |_| {}).await?)
    }
}
