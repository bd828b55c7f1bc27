//! The pipeline on in-memory seams.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use recording_vault::clock::ManualClock;
use recording_vault::export::block::BlockPolicy;
use recording_vault::export::destination::ExportDestination;
use recording_vault::export::retention::{Retention, RetentionKeeps, RetentionPolicy};
use recording_vault::export::{
    Budget, ChunkLedger, ChunkState, DeletionPolicy, DriveOutcome, ExportDriver, ExportPolicy,
    ExportSweep, OnAnomaly, OnUnknownMedia, OnUnsolicited, Sources, SweepReport, Vaults,
};
use recording_vault::recording::{DocumentId, OnOtherObject, RecordingChunk};
use recording_vault::retry::RetryPolicy;
use recording_vault::store::document_store::DocumentStore;
use recording_vault::vault::memory::{MemoryDocumentStore, MemoryVault};

use super::fake_source::FakeSource;

pub const BLOCK: usize = 4096;
pub const CLAIM_TTL: Duration = Duration::from_mins(1);
pub const RETENTION: Duration = Duration::from_hours(24);

/// Four chunks at once, in blocks of 4 KiB, deleted at once.
pub fn policy() -> ExportPolicy {
    ExportPolicy {
        blocks: BlockPolicy {
            block_size_bytes: NonZeroUsize::new(BLOCK).expect("it is not zero"),
            blocks_in_flight: NonZeroUsize::new(2).expect("it is not zero"),
        },
        chunks_in_flight: 4,
        deletion: DeletionPolicy {
            delay: Duration::ZERO,
            anomalies: OnAnomaly::Delete,
            unknown_media: OnUnknownMedia::Delete,
            other_objects: OnOtherObject::Keep,
            unsolicited: OnUnsolicited::Delete,
        },
        attempts: RetryPolicy {
            first_delay: Duration::from_secs(10),
            longest_delay: Duration::from_mins(15),
            max_failures: 5,
        },
    }
}

/// One instance on a durable state that other instances may share.
pub struct Pipeline {
    pub source: Arc<FakeSource>,
    /// The customer's own storage.
    pub external: Arc<FakeSource>,
    pub vault: Arc<MemoryVault>,
    pub backup: Arc<MemoryVault>,
    pub store: Arc<MemoryDocumentStore>,
    pub clock: Arc<ManualClock>,
    pub driver: Arc<ExportDriver>,
    policy: ExportPolicy,
}

impl Pipeline {
    pub fn new() -> Self {
        Self::with_delete_delay(Duration::ZERO)
    }

    pub fn with_delete_delay(delete_delay: Duration) -> Self {
        Self::with_policy(ExportPolicy {
            deletion: DeletionPolicy {
                delay: delete_delay,
                ..policy().deletion
            },
            ..policy()
        })
    }

    /// With sources whose `deleteLocation` names another object deleted as well.
    pub fn that_deletes_other_objects() -> Self {
        let deletion = DeletionPolicy {
            other_objects: OnOtherObject::Delete,
            ..policy().deletion
        };
        Self::with_policy(ExportPolicy {
            deletion,
            ..policy()
        })
    }

    /// With media that is looked at: most tests have bytes that are no media.
    pub fn that_keeps_anomalies() -> Self {
        let deletion = DeletionPolicy {
            anomalies: OnAnomaly::Keep,
            ..policy().deletion
        };
        Self::with_policy(ExportPolicy {
            deletion,
            ..policy()
        })
    }

    /// The same with media of which nothing is known.
    pub fn that_keeps_unknown_media() -> Self {
        let deletion = DeletionPolicy {
            unknown_media: OnUnknownMedia::Keep,
            ..policy().deletion
        };
        Self::with_policy(ExportPolicy {
            deletion,
            ..policy()
        })
    }

    pub fn with_chunks_in_flight(chunks_in_flight: usize) -> Self {
        Self::with_policy(ExportPolicy {
            chunks_in_flight,
            ..policy()
        })
    }

    fn with_policy(policy: ExportPolicy) -> Self {
        let clock = ManualClock::starting_at("2026-03-02T10:03:00Z".parse().expect("it is a time"));
        Self::on(
            Arc::default(),
            [Arc::default(), Arc::default()],
            Arc::default(),
            Arc::new(clock),
            policy,
        )
    }

    /// Another instance on the same state: another process, or this one after a restart.
    pub fn another(&self) -> Self {
        let vaults = [Arc::clone(&self.vault), Arc::clone(&self.backup)];
        Self::on(
            Arc::clone(&self.source),
            vaults,
            Arc::clone(&self.store),
            Arc::clone(&self.clock),
            policy(),
        )
    }

    fn on(
        source: Arc<FakeSource>,
        [vault, backup]: [Arc<MemoryVault>; 2],
        store: Arc<MemoryDocumentStore>,
        clock: Arc<ManualClock>,
        policy: ExportPolicy,
    ) -> Self {
        let vaults = Vaults::new(vault.clone(), Some(backup.clone()));
        let ledger = ChunkLedger::new(store.clone(), clock.clone(), RETENTION, CLAIM_TTL);
        let external = Arc::new(FakeSource::external());
        let driver = Arc::new(ExportDriver::new(
            ledger,
            Sources {
                acs: source.clone(),
                external: external.clone(),
            },
            vaults,
            clock.clone(),
            policy,
        ));
        Self {
            source,
            external,
            vault,
            backup,
            store,
            clock,
            driver,
            policy,
        }
    }

    /// Another process on the same state, whose ledger requests go through this store.
    pub fn another_through(&self, store: Arc<dyn DocumentStore>) -> Arc<ExportDriver> {
        self.another_with(store, Some(self.backup.clone()))
    }

    /// Another process on the same state, whose settings do not name the backup vault.
    pub fn another_without_backup(&self) -> Arc<ExportDriver> {
        self.another_with(self.store.clone(), None)
    }

    fn another_with(
        &self,
        store: Arc<dyn DocumentStore>,
        backup: Option<Arc<dyn ExportDestination>>,
    ) -> Arc<ExportDriver> {
        let ledger = ChunkLedger::new(store, self.clock.clone(), RETENTION, CLAIM_TTL);
        Arc::new(ExportDriver::new(
            ledger,
            Sources {
                acs: self.source.clone(),
                external: self.external.clone(),
            },
            Vaults::new(self.vault.clone(), backup),
            self.clock.clone(),
            self.policy,
        ))
    }

    pub async fn record(&self, chunk: &RecordingChunk) {
        self.driver
            .ledger()
            .record(chunk.clone())
            .await
            .expect("the ledger works");
    }

    pub async fn drive(&self, id: &DocumentId) -> DriveOutcome {
        self.driver
            .drive(id, Budget::of(Duration::from_hours(1)))
            .await
            .expect("the ledger works")
    }

    pub async fn sweep(&self) -> SweepReport {
        let sweep = ExportSweep::new(Arc::clone(&self.driver));
        sweep
            .run(Budget::of(Duration::from_hours(1)))
            .await
            .expect("the ledger works")
    }

    /// The policy on this pipeline's vault.
    pub fn retention(&self, keep_for: Duration) -> Retention {
        let vaults = Vaults::new(self.vault.clone(), Some(self.backup.clone()));
        Retention::new(
            self.driver.ledger().clone(),
            vaults,
            self.clock.clone(),
            RetentionPolicy {
                keep_for,
                keeps: RetentionKeeps::People,
            },
        )
    }

    pub async fn state(&self, id: &DocumentId) -> ChunkState {
        let found = self
            .driver
            .ledger()
            .find(id)
            .await
            .expect("the ledger works");
        found.expect("the chunk is in the ledger").entry.state
    }

    /// Whether the vault has a chunk's media, byte for byte.
    pub fn has(&self, chunk: &RecordingChunk, media: &[u8]) -> bool {
        self.media(&chunk.document_id)
            .is_some_and(|found| found == media)
    }

    /// The committed media of a chunk.
    pub fn media(&self, id: &DocumentId) -> Option<Vec<u8>> {
        let files = self.vault.files();
        let media = files.iter().find(|(name, _)| {
            name.as_str().contains(id.as_str()) && !name.as_str().ends_with(".json")
        });
        media.map(|(_, content)| content.to_vec())
    }
}
