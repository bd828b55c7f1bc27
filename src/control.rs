//! Recording control: checks a caller's request, carries it out at ACS, and registers it. Knows no HTTP server.
//!
//! ACS decides what runs; the register knows what ACS does not report: who asked, on what ground, that `inactive` means
//! paused, and that ACS's `8522` means stopped.

mod acs_answers;
mod announced;
mod auditing;
pub mod auto_record;
pub mod callback;
pub mod calls;
pub mod consent;
pub mod day_summary;
pub mod entry;
mod error;
pub mod files;
pub mod intention;
pub mod missing;
mod noting;
pub mod observe;
pub mod pause;
mod recorded;
pub mod register;
mod registering;
pub mod requester;
mod sending_again;
pub mod sent;
pub mod start;
mod starting;
pub mod state;
pub mod steering;
pub mod sweep;
pub mod telephony;
pub mod transitions;
pub mod undone;
mod unregistered;
mod view;

use std::sync::Arc;
use std::time::Duration;

use tracing::warn;

use crate::acs::ApiVersion;
use crate::acs::client::CallRecordingClient;
use crate::acs::error::AcsErrorAnswer;
use crate::acs::operation::RecordingAddress;
use crate::clock::Clock;
use crate::error_chain::ErrorChain;
use crate::recording::RecordingId;
use crate::store::DocumentError;
use crate::store::audit::AuditLog;
use crate::store::document_store::DocumentStore;
use crate::store::outbox::Outbox;
use acs_answers::AcsAnswers;
use calls::CallRegister;
use entry::RegisteredRecording;
use register::RecordingRegister;
use register::running::{RunningCursor, RunningPage};
use unregistered::UnregisteredStarts;

pub use announced::{Announced, Announcement, BeforeEvent, EventOrder};
pub use error::ControlError;
pub use view::RecordingView;

/// Starts, pauses, resumes and stops recordings, and keeps track of them.
pub struct RecordingControl {
    client: CallRecordingClient,
    register: RecordingRegister,
    calls: CallRegister,
    audit: Arc<AuditLog>,
    clock: Arc<dyn Clock>,
    policy: ControlPolicy,
    acs_answers: AcsAnswers,
    unregistered: UnregisteredStarts,
}

/// Settings of recording control.
#[derive(Debug, Clone, Copy)]
pub struct ControlPolicy {
    pub requires_consent: bool,
    /// Files that are not announced this long after a recording's end are missing.
    pub missing_after: Duration,
}

impl RecordingControl {
    pub fn new(
        client: CallRecordingClient,
        store: Arc<dyn DocumentStore>,
        clock: Arc<dyn Clock>,
        policy: ControlPolicy,
    ) -> Self {
        let audit = Arc::new(AuditLog::new(Arc::clone(&store), Arc::clone(&clock)));
        let register = RecordingRegister::new(Arc::clone(&store), policy.missing_after);
        Self {
            client,
            register: register.with_audit(Arc::clone(&audit)),
            calls: CallRegister::new(store),
            audit,
            clock,
            policy,
            acs_answers: AcsAnswers::default(),
            unregistered: UnregisteredStarts::default(),
        }
    }

    /// Returns the same control, which writes into this audit log: that of the process.
    #[must_use]
    pub fn with_audit(self, audit: Arc<AuditLog>) -> Self {
        Self {
            register: self.register.with_audit(Arc::clone(&audit)),
            audit,
            ..self
        }
    }

    /// Returns the same control, with notices of changes for subscribers.
    #[must_use]
    pub fn with_outbox(self, outbox: Option<Outbox>) -> Self {
        Self {
            register: self.register.with_outbox(outbox),
            ..self
        }
    }

    pub fn api_version(&self) -> ApiVersion {
        self.client.api_version()
    }

    pub fn register(&self) -> &RecordingRegister {
        &self.register
    }

    /// Returns running recordings in a stable order, at most `limit` after `after`.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn running(
        &self,
        after: Option<&RunningCursor>,
        limit: usize,
    ) -> Result<RunningPage, DocumentError> {
        self.register.running(after, limit, self.clock.now()).await
    }

    /// Returns the client that controls recordings.
    pub fn acs(&self) -> &CallRecordingClient {
        &self.client
    }

    /// Returns what the register knows; nothing if it fails, because ACS is what decides.
    async fn known(&self, id: &RecordingId) -> Option<RegisteredRecording> {
        best_effort("look the recording up", id, self.register.find(id).await).flatten()
    }
}

/// Logs a failure of the register: the recording itself is more important.
fn best_effort<T>(what: &str, id: &RecordingId, result: Result<T, DocumentError>) -> Option<T> {
    result.inspect_err(|error| warn_of(what, id, error)).ok()
}

fn warn_of(what: &str, id: &RecordingId, error: &DocumentError) {
    warn!(recording.id = %id, error = %ErrorChain(error), "The register failed, and recording `{id}` continues without it: could not {what}");
}

fn address<'a>(
    id: &'a RecordingId,
    known: Option<&'a RegisteredRecording>,
) -> RecordingAddress<'a> {
    RecordingAddress {
        recording_id: id,
        conversation_id: known.and_then(RegisteredRecording::conversation_id),
    }
}

fn not_started(id: &RecordingId, acs: Option<Box<AcsErrorAnswer>>) -> ControlError {
    ControlError::NotStarted {
        recording_id: id.clone(),
        acs,
    }
}

fn ended(id: &RecordingId, acs: Option<Box<AcsErrorAnswer>>) -> ControlError {
    ControlError::Ended {
        recording_id: id.clone(),
        acs,
    }
}
