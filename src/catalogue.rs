//! The catalogue: every recording, as the register and the ledger know it. Finds, shows and plays recordings. Its cost
//! grows with the question, never with the vault.
//!
//! ```text
//! index (newest first) ─▶ account in the register ─▶ entries in the ledger ─▶ a row, or one recording with all that is known
//! ```
//! It knows no HTTP. It reads again what it finds in the index: a marker that no longer matches is skipped.

pub mod archive;
pub mod check;
pub mod continuation;
pub mod covered;
pub mod day_context;
mod day_numbers;
pub mod days;
pub mod detail;
pub mod dropping;
pub mod due;
pub mod erasing;
pub mod evidence;
mod fitting;
pub mod in_place;
pub mod known;
pub mod label;
pub mod list;
pub mod list_filter;
mod lookup;
pub mod media;
pub mod nightly_report;
pub mod not_searched;
mod observed;
mod packing;
mod page;
pub mod people;
pub mod person;
pub mod poison;
pub mod rebuild;
pub mod report;
pub mod row;
pub mod search;
pub mod still_held;
pub mod summary;
pub mod survey;
pub mod tickets;
mod timeline;

use std::sync::Arc;

use futures::{StreamExt as _, TryStreamExt as _};

use crate::clock::Clock;
use crate::control::entry::{AcknowledgedProblems, RegisteredRecording};
use crate::control::register::{AccountOrigin, RecordingRegister};
use crate::error_chain::ErrorChain;
use crate::export::destination::DestinationError;
use crate::export::driver::import::{ErasureLookup, ErasureStatus};
use crate::export::ledger::LedgerError;
use crate::export::source::RecordingSource;
use crate::export::{ChunkLedger, LedgerEntry, Vaults};
use crate::recording::country::Country;
use crate::recording::{DocumentId, RecordingChunk, RecordingId};
use crate::standing::{ChunkEntry, KnownChunk, Rules};
use crate::store::digest::Sha256Digest;
use crate::store::document_store::StoreError;
use crate::store::documents::DocumentError;
use crate::sweep_rhythm::SweepRhythm;
use known::{KnownRecording, Reading, Registration};

/// Recordings, or chunks, that are read at a time.
const AT_ONCE: usize = 16;

/// The catalogue of all recordings.
#[derive(Clone)]
pub struct Catalogue {
    ledger: ChunkLedger,
    register: RecordingRegister,
    vaults: Vaults,
    clock: Arc<dyn Clock>,
    /// The customer's own storage, whose files the complete check looks at.
    external: Option<Arc<dyn RecordingSource>>,
    /// The country of phone numbers in national form.
    default_country: Option<Country>,
    /// How often sweeps end.
    sweep_rhythm: SweepRhythm,
}

/// Why the catalogue cannot answer.
#[derive(Debug, thiserror::Error)]
pub enum CatalogueError {
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error(transparent)]
    Register(#[from] DocumentError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Vault(#[from] DestinationError),
    /// What the document says is unknown, and a repeat does not change that.
    #[error("`{key}` in the ledger is not readable")]
    Unreadable { key: String },
    /// The audit log has records of the recording, so it had an account.
    #[error("`{key}` in the ledger does not exist, and the audit log has records of its recording")]
    AccountMissing { key: String },
    /// More recordings are not settled than one look reads, so whether one of them has an id is not known.
    #[error(
        "more recordings are not settled than are read at once, and none of those that were read has this id"
    )]
    NotAllRead,
}

impl Catalogue {
    pub fn new(
        ledger: ChunkLedger,
        register: RecordingRegister,
        vaults: Vaults,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            ledger,
            register,
            vaults,
            clock,
            external: None,
            default_country: None,
            sweep_rhythm: SweepRhythm::default(),
        }
    }

    /// Returns the same catalogue, for a timer of another rhythm.
    #[must_use]
    pub fn with_sweep_rhythm(self, sweep_rhythm: SweepRhythm) -> Self {
        Self {
            sweep_rhythm,
            ..self
        }
    }

    /// Returns the same catalogue, whose complete check looks at the files in the customer's own storage.
    #[must_use]
    pub fn with_external(self, external: Arc<dyn RecordingSource>) -> Self {
        Self {
            external: Some(external),
            ..self
        }
    }

    /// Returns the same catalogue, which reads phone numbers in national form as those of a country.
    #[must_use]
    pub fn with_default_country(self, default_country: Option<Country>) -> Self {
        Self {
            default_country,
            ..self
        }
    }

    /// The time and the limits by which recordings are classified now.
    pub fn rules(&self) -> Rules {
        Rules {
            now: self.clock.now(),
            missing_after: self.register.missing_after(),
            source_retention: self.ledger.source_retention(),
        }
    }

    /// Writes an operator's acknowledgement into a recording's account.
    ///
    /// # Errors
    /// When the storage fails or the account is unreadable.
    pub async fn acknowledge(
        &self,
        id: &RecordingId,
        acknowledged: &AcknowledgedProblems,
    ) -> Result<(), CatalogueError> {
        let change = |account: &mut RegisteredRecording| {
            account.acknowledged = Some(acknowledged.clone());
        };
        self.register.change(id, self.clock.now(), change).await?;
        Ok(())
    }

    /// Registers a file that an operator imports by hand, with its recording if that is unknown. `false`: the recording
    /// was erased on request, and nothing was registered.
    ///
    /// # Errors
    /// When the storage fails or the account is unreadable.
    pub async fn register_imported(
        &self,
        chunk: &RecordingChunk,
        is_last: bool,
    ) -> Result<bool, CatalogueError> {
        let (id, now) = (chunk.filed_under(), self.clock.now());
        let change = |account: &mut RegisteredRecording, origin: AccountOrigin| {
            // An erasure is final, and a recording that is known ends by its own events.
            if account.erased.is_some() {
                return;
            }
            let is_new = origin == AccountOrigin::Opened;
            account.call_id = account.call_id.take().or_else(|| chunk.call_id.clone());
            account.started_at = account.started_at.or(chunk.started_at);
            let files = &mut account.files;
            let documents = files.chunks.entry(chunk.index).or_default();
            documents.insert(chunk.document_id.clone());
            // An import announces nothing: a recording whose event is still awaited stays awaited, until that is reported.
            if is_new || files.missing_since.is_some() {
                files.announced_at = files.announced_at.or(Some(now));
            }
            files.has_last |= is_last || is_new;
            if is_new {
                account.stop(now);
            }
        };
        let account = self.register.change_knowing(&id, now, change).await?;
        Ok(account.erased.is_none())
    }

    /// Whether a recording was erased on request.
    ///
    /// # Errors
    /// When the storage fails or the account is unreadable.
    pub async fn is_erased(&self, id: &RecordingId) -> Result<bool, CatalogueError> {
        let account = self.register.find(id).await?;
        Ok(account.is_some_and(|account| account.erased.is_some()))
    }

    /// Returns a recording by its name in the index; `None` if the register has no account of it.
    ///
    /// # Errors
    /// When the storage fails or the account is unreadable.
    async fn recorded(
        &self,
        name: &Sha256Digest,
    ) -> Result<Option<KnownRecording>, CatalogueError> {
        match self.read(name).await? {
            Reading::Known(recorded) => Ok(Some(*recorded)),
            Reading::Unreadable { key } => Err(CatalogueError::Unreadable { key }),
            Reading::Absent => Ok(None),
        }
    }

    /// Reads what register and ledger have under a name of the index.
    async fn read(&self, name: &Sha256Digest) -> Result<Reading, CatalogueError> {
        let account = match self.register.by_name(&name.to_string()).await {
            Ok(Some(account)) => account,
            Ok(None) => return Ok(Reading::Absent),
            Err(DocumentError::Corrupt { key, source }) => {
                tracing::error!(key, error = %ErrorChain(&source), "A recording cannot be shown: its account is not readable");
                return Ok(Reading::Unreadable { key });
            }
            Err(error) => return Err(error.into()),
        };
        let documents: Vec<_> = account
            .files
            .documents()
            .map(|(index, id)| (index, id.clone()))
            .collect();
        let chunks = self.chunks(documents).await?;
        Ok(Reading::Known(Box::new(KnownRecording {
            account,
            registration: Registration::Registered,
            chunks,
            cases: Vec::new(),
        })))
    }

    async fn chunks(
        &self,
        documents: Vec<(u32, DocumentId)>,
    ) -> Result<Vec<KnownChunk>, CatalogueError> {
        let chunks = futures::stream::iter(documents).map(|(index, document_id)| async move {
            let entry = self.chunk_entry(&document_id).await?;
            Ok::<_, CatalogueError>(KnownChunk {
                index,
                document_id,
                entry,
            })
        });
        chunks.buffered(AT_ONCE).try_collect().await
    }

    /// Returns the entry of a chunk. An unreadable entry is reported and counts as none.
    async fn entry(&self, document_id: &DocumentId) -> Result<Option<LedgerEntry>, LedgerError> {
        Ok(match self.chunk_entry(document_id).await? {
            ChunkEntry::Found(entry) => Some(*entry),
            ChunkEntry::Absent | ChunkEntry::Unreadable => None,
        })
    }

    async fn chunk_entry(&self, document_id: &DocumentId) -> Result<ChunkEntry, LedgerError> {
        match self.ledger.find(document_id).await {
            Err(error @ LedgerError::Corrupt { .. }) => {
                tracing::error!(document.id = %document_id, error = %ErrorChain(&error), "A chunk cannot be shown");
                Ok(ChunkEntry::Unreadable)
            }
            Err(error) => Err(error),
            Ok(Some(found)) => Ok(ChunkEntry::Found(Box::new(found.entry))),
            Ok(None) => Ok(ChunkEntry::Absent),
        }
    }
}

#[async_trait::async_trait]
impl ErasureLookup for Catalogue {
    async fn erasure_of(&self, recording: &RecordingId) -> ErasureStatus {
        match self.is_erased(recording).await {
            Ok(true) => ErasureStatus::Erased,
            Ok(false) => ErasureStatus::NotErased,
            Err(error) => ErasureStatus::Unknown {
                reason: ErrorChain(&error).to_string(),
            },
        }
    }
}
