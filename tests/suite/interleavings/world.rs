//! What outlives every process: ledger, vaults, ACS and the time. It watches what is deleted.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use recording_vault::clock::Clock;
use recording_vault::export::destination::{
    BlobVersion, DestinationError, ExportDestination as _, RemoveOutcome,
};
use recording_vault::export::layout::BlobName;
use recording_vault::export::source::{RecordingSource as _, SourceDeletion, SourceError};
use recording_vault::export::{ChunkLedger, ExportReceipt, LedgerEntry, OnAnomaly};
use recording_vault::recording::{DeleteLocation, DocumentId};
use recording_vault::store::digest::Sha256Digest;
use recording_vault::vault::memory::{MemoryDocumentStore, MemoryVault};
use tokio::time::Instant;

use super::event::DOCUMENT;
use super::facts::{Fact, Facts};
use crate::support::content;
use crate::support::fake_source::FakeSource;
use crate::support::pipeline::{BLOCK, CLAIM_TTL, RETENTION};

/// In two blocks; the metadata is created in one piece.
const MEDIA_BYTES: usize = BLOCK + 100;

/// The wall clock, in step with tokio's.
#[derive(Debug, Clone, Copy)]
pub struct VirtualClock {
    began: Instant,
    began_at: Timestamp,
}

impl VirtualClock {
    pub fn starting_at(began_at: Timestamp) -> Self {
        Self {
            began: Instant::now(),
            began_at,
        }
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        let passed = SignedDuration::try_from(self.began.elapsed()).unwrap_or(SignedDuration::MAX);
        self.began_at.checked_add(passed).unwrap_or(Timestamp::MAX)
    }
}

/// How all processes of a run are configured.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    pub delete_delay: Duration,
    pub anomalies: OnAnomaly,
    pub keep_copies_for: Duration,
    /// Events are told to the register, too: that takes requests that few scenarios are about.
    pub registers_events: bool,
}

/// What all processes share.
#[derive(Clone)]
pub struct World {
    pub store: Arc<MemoryDocumentStore>,
    pub home: Arc<MemoryVault>,
    pub backup: Arc<MemoryVault>,
    pub source: Arc<FakeSource>,
    pub clock: Arc<dyn Clock>,
    pub facts: Arc<Facts>,
    pub settings: Settings,
}

impl World {
    pub fn new(settings: Settings) -> Self {
        let source = Arc::new(FakeSource::default());
        source.put(&document(), media());
        let began_at = "2026-03-02T10:03:00Z".parse().expect("it is a time");
        Self {
            store: Arc::default(),
            home: Arc::default(),
            backup: Arc::default(),
            source,
            clock: Arc::new(VirtualClock::starting_at(began_at)),
            facts: Arc::default(),
            settings,
        }
    }

    /// The ledger, past every gate.
    pub fn ledger(&self) -> ChunkLedger {
        ChunkLedger::new(
            self.store.clone(),
            Arc::clone(&self.clock),
            RETENTION,
            CLAIM_TTL,
        )
    }

    /// The chunk's entry.
    pub async fn entry(&self) -> Option<LedgerEntry> {
        let found = self.ledger().find(&document()).await;
        found.expect("the ledger works").map(|found| found.entry)
    }

    /// Takes the file away at ACS, and notes whether that was right at this moment.
    pub async fn deleting(
        &self,
        location: &DeleteLocation,
        receipt: &ExportReceipt,
        sent: u64,
    ) -> Result<SourceDeletion, SourceError> {
        if !self.source.has(location.document_id()) {
            return Ok(SourceDeletion::WasGone);
        }
        let entry = self.entry().await;
        let proved = entry.as_ref().and_then(|entry| entry.state.receipt());
        let is_durable = proved.is_some_and(|durable| {
            durable.media().sha256() == receipt.media().sha256()
                && durable
                    .metadata()
                    .map(recording_vault::export::receipt::VerifiedFile::sha256)
                    == receipt
                        .metadata()
                        .map(recording_vault::export::receipt::VerifiedFile::sha256)
        });
        if !is_durable {
            let state = entry.map_or("absent", |entry| entry.state.name());
            self.facts.note(Fact::Broken(format!(
                "deleted at ACS while the receipt was not durable; the entry is {state}"
            )));
        }
        let digests: Vec<_> = self
            .home
            .files()
            .values()
            .map(|file| Sha256Digest::of(file))
            .collect();
        let files = std::iter::once(receipt.media()).chain(receipt.metadata());
        for file in files.filter(|file| !digests.contains(&file.sha256())) {
            self.facts.note(Fact::Broken(format!(
                "deleted at ACS while {} was not in the home vault",
                file.name()
            )));
        }
        let deletion = self.source.delete(location, receipt).await?;
        self.facts.note(Fact::SourceDeleted { sent });
        Ok(deletion)
    }

    /// Removes a file from a vault, and notes it where it is the home vault.
    pub async fn removing(
        &self,
        vault: &Arc<MemoryVault>,
        name: &BlobName,
        version: &BlobVersion,
        sent: u64,
    ) -> Result<RemoveOutcome, DestinationError> {
        let was_there = Arc::ptr_eq(vault, &self.home) && vault.files().contains_key(name);
        let outcome = vault.remove(name, version).await?;
        if was_there && !vault.files().contains_key(name) {
            self.facts.note(Fact::CopyRemoved {
                name: name.to_string(),
                sent,
            });
        }
        Ok(outcome)
    }
}

pub fn document() -> DocumentId {
    DOCUMENT.parse().expect("it is a document id")
}

/// The chunk's media, as ACS has it.
pub fn media() -> Vec<u8> {
    content(MEDIA_BYTES, 7)
}
