//! A process on in-memory seams that fails, and is killed, as planned; and what survives it.

mod auditor;
mod plan;
mod seams;

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use recording_vault::catalogue::Catalogue;
use recording_vault::clock::{Clock, ManualClock};
use recording_vault::control::register::RecordingRegister;
use recording_vault::export::block::BlockPolicy;
use recording_vault::export::layout::BlobName;
use recording_vault::export::ledger::{Admission, Circumstances, Expected, Solicitation};
use recording_vault::export::removal::Removals;
use recording_vault::export::retention::{Retention, RetentionKeeps, RetentionPolicy};
use recording_vault::export::{
    Budget, ChunkLedger, ChunkState, DeletionPolicy, ExportDriver, ExportPolicy, ExportSweep,
    OnAnomaly, OnUnknownMedia, OnUnsolicited, Sources, Vaults,
};
use recording_vault::operator_actions::OperatorActions;
use recording_vault::recording::{DocumentId, OnOtherObject, PersonKey, RecordingChunk};
use recording_vault::retry::RetryPolicy;
use recording_vault::store::document_store::{DocumentStore as _, Precondition};
use recording_vault::store::holds::Holds;
use recording_vault::store::index::Listed;
use recording_vault::vault::memory::{MemoryDocumentStore, MemoryVault};

use self::auditor::AuditedSource;
pub use self::plan::{Fault, Plan};
use self::seams::Planned;
pub use self::seams::planned;
use super::content;
use super::fake_source::FakeSource;
use super::pipeline::{BLOCK, CLAIM_TTL, RETENTION};

/// Rounds after the fault, 20 minutes apart: well within the retention.
const ROUNDS: u32 = 30;
const BETWEEN_ROUNDS: Duration = Duration::from_mins(20);

/// What survives a kill: the vault, the ledger, ACS, the time.
#[derive(Clone)]
pub struct Durable {
    pub source: Arc<FakeSource>,
    pub vault: Arc<MemoryVault>,
    pub backup: Arc<MemoryVault>,
    store: Arc<MemoryDocumentStore>,
    pub clock: Arc<ManualClock>,
}

impl Durable {
    pub fn new(chunks: &[RecordingChunk]) -> Self {
        let source = Arc::new(FakeSource::default());
        for chunk in chunks {
            source.put(&chunk.document_id, media_of(&chunk.document_id));
        }
        let clock = Arc::new(ManualClock::starting_at(
            "2026-03-02T10:03:00Z".parse().expect("it is a time"),
        ));
        Self {
            source,
            vault: Arc::default(),
            backup: Arc::default(),
            store: Arc::default(),
            clock,
        }
    }

    /// The same state once more: what happens to one does not happen to the other.
    pub fn fork(&self) -> Self {
        Self {
            source: Arc::new(self.source.fork()),
            vault: Arc::new(MemoryVault::clone(&self.vault)),
            backup: Arc::new(MemoryVault::clone(&self.backup)),
            store: Arc::new(MemoryDocumentStore::clone(&self.store)),
            clock: Arc::new(ManualClock::starting_at(self.clock.now())),
        }
    }

    /// Loses the entry of a chunk.
    pub async fn remove_entry(&self, id: &DocumentId) {
        let removing = self.store.remove(&format!("chunks/{id}.json")).await;
        removing.expect("the store works");
    }

    pub fn ledger(&self) -> ChunkLedger {
        ChunkLedger::new(self.store.clone(), self.clock.clone(), RETENTION, CLAIM_TTL)
    }

    /// An operator's process that applies a retention policy to this state.
    pub fn retention(&self, plan: &Arc<Plan>, keep_for: Duration) -> Retention {
        let keeps = RetentionKeeps::People;
        self.retention_by(plan, RetentionPolicy { keep_for, keeps })
    }

    /// The same, by any policy.
    pub fn retention_by(&self, plan: &Arc<Plan>, policy: RetentionPolicy) -> Retention {
        let store = Arc::new(Planned::new(&self.store, plan));
        let vault = Arc::new(Planned::new(&self.vault, plan));
        let ledger = ChunkLedger::new(store, self.clock.clone(), RETENTION, CLAIM_TTL);
        Retention::new(ledger, Vaults::new(vault, None), self.clock.clone(), policy)
    }

    /// A process that removes files of this state.
    pub fn removals(&self, plan: &Arc<Plan>) -> Removals {
        let store = planned(&self.store, plan);
        let vault = Arc::new(Planned::new(&self.vault, plan));
        let ledger = ChunkLedger::new(store, self.clock.clone(), RETENTION, CLAIM_TTL);
        Removals::new(ledger, Vaults::new(vault, None), self.clock.clone())
    }

    /// The register of a process on this state.
    pub fn register(&self, plan: &Arc<Plan>) -> RecordingRegister {
        let store = Arc::new(Planned::new(&self.store, plan));
        RecordingRegister::new(store, Duration::from_mins(30))
    }

    /// The catalogue of a process on this state.
    pub fn catalogue(&self, plan: &Arc<Plan>) -> Catalogue {
        let store = Arc::new(Planned::new(&self.store, plan));
        let vault = Arc::new(Planned::new(&self.vault, plan));
        let ledger = ChunkLedger::new(store, self.clock.clone(), RETENTION, CLAIM_TTL);
        Catalogue::new(
            ledger,
            self.register(plan),
            Vaults::new(vault, None),
            self.clock.clone(),
        )
    }

    /// An operator's process on this state.
    pub fn actions(&self, plan: &Arc<Plan>) -> OperatorActions {
        let store = planned(&self.store, plan);
        let vault = Arc::new(Planned::new(&self.vault, plan));
        let ledger = ChunkLedger::new(store, self.clock.clone(), RETENTION, CLAIM_TTL);
        let clock: Arc<dyn Clock> = self.clock.clone();
        let vaults = Vaults::new(vault, None);
        OperatorActions::new(&ledger, &self.catalogue(plan), &vaults, &clock)
    }

    /// Whether the index has every one of these.
    pub async fn has_markers(&self, markers: impl IntoIterator<Item = String>) -> bool {
        for key in markers {
            if self
                .store
                .find(&key)
                .await
                .expect("the store works")
                .is_none()
            {
                return false;
            }
        }
        true
    }

    /// As it was before there was an index: without markers, and entries that say nothing of metadata and audit log.
    pub async fn forget_index(&self) {
        for key in self
            .store
            .list("catalogue/", None, 10_000)
            .await
            .expect("the store works")
        {
            self.store.remove(&key).await.expect("the store works");
        }
        for key in self
            .store
            .list("chunks/", None, 10_000)
            .await
            .expect("the store works")
        {
            let stored = self
                .store
                .find(&key)
                .await
                .expect("the store works")
                .expect("it is there");
            let mut entry: serde_json::Value =
                serde_json::from_slice(&stored.content).expect("it is JSON");
            let members = entry.as_object_mut().expect("an entry is an object");
            members.remove("metadata");
            members.remove("participantHashes");
            members.remove("audited");
            let condition = Precondition::Unchanged(stored.version);
            self.store
                .put(&key, entry.to_string().into(), condition)
                .await
                .expect("the store works");
        }
    }

    /// The ledger's storage.
    pub fn store(&self) -> Arc<MemoryDocumentStore> {
        Arc::clone(&self.store)
    }

    /// Every document but the audit log, as text.
    pub async fn documents(&self) -> Vec<(String, String)> {
        let keys = self.store.list("", None, 10_000).await;
        let mut documents = Vec::new();
        for key in keys.expect("the store works") {
            if key.starts_with("audit") {
                continue;
            }
            let found = self.store.find(&key).await.expect("the store works");
            let content = found.expect("it is there").content;
            documents.push((key, String::from_utf8_lossy(&content).into_owned()));
        }
        documents
    }

    /// What the index has of a participant.
    pub async fn markers_of(&self, participant: &str) -> Vec<String> {
        let ledger = self.ledger();
        let name = ledger.people().hash(&PersonKey::of(participant)).await;
        let prefix = Listed::Participant(name.expect("the store works")).prefix();
        self.store
            .list(&prefix, None, 100)
            .await
            .expect("the store works")
    }

    /// An operator's process that holds and releases.
    pub fn holds(&self, plan: &Arc<Plan>) -> Holds {
        Holds::new(Arc::new(Planned::new(&self.store, plan)))
    }

    /// Whether the vault has a chunk's media, byte for byte.
    pub fn is_whole(&self, id: &DocumentId) -> bool {
        self.media(id) == Some(media_of(id))
    }

    /// A process on this state.
    pub fn instance(&self, plan: &Arc<Plan>) -> Arc<ExportDriver> {
        self.instance_with_clock(plan, self.clock.clone())
    }

    /// A process on another machine, whose clock may be wrong.
    pub fn instance_with_clock(
        &self,
        plan: &Arc<Plan>,
        clock: Arc<dyn Clock>,
    ) -> Arc<ExportDriver> {
        let store = Arc::new(Planned::new(&self.store, plan));
        let vault = Arc::new(Planned::new(&self.vault, plan));
        let planned = Planned::new(&self.source, plan);
        let policy = ExportPolicy {
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
                max_failures: 50,
            },
        };
        let ledger = ChunkLedger::new(store, Arc::clone(&clock), RETENTION, CLAIM_TTL);
        let source = Arc::new(AuditedSource {
            planned,
            durable: self.clone(),
        });
        let backup = Arc::new(Planned::new(&self.backup, plan));
        Arc::new(ExportDriver::new(
            ledger,
            Sources {
                acs: source.clone(),
                external: source,
            },
            Vaults::new(vault, Some(backup)),
            clock,
            policy,
        ))
    }

    /// A new process, after whatever happened: what was not acknowledged comes again, sweeps go on; then every chunk is in
    /// the vault byte for byte and deleted at the source, and nothing is left to do.
    pub async fn settle(
        &self,
        chunks: &[RecordingChunk],
        unacknowledged: &[RecordingChunk],
        what: &str,
    ) {
        let restarted = self.instance(&Plan::calm());
        assert!(
            deliver(&restarted, unacknowledged).await,
            "Event Grid delivers again, and the ledger works"
        );
        for _ in 0..ROUNDS {
            self.clock.advance(BETWEEN_ROUNDS);
            let report = ExportSweep::new(Arc::clone(&restarted))
                .run(budget())
                .await
                .expect("the ledger works");
            if report.seen == 0 {
                break;
            }
        }
        for chunk in chunks {
            let id = &chunk.document_id;
            assert_eq!(
                self.media(id),
                Some(media_of(id)),
                "`{id}` is in the vault byte for byte; {what}"
            );
            let found = self
                .ledger()
                .find(id)
                .await
                .expect("the ledger works")
                .expect("the entry is there");
            assert_eq!(self.media_names(id), 1, "`{id}` has one name; {what}");
            let is_settled = matches!(found.entry.state, ChunkState::SourceDeleted { .. });
            assert!(
                is_settled,
                "`{id}` is stuck at {:?}; {what}",
                found.entry.state
            );
            assert!(
                found.entry.metadata.is_some(),
                "what the metadata of `{id}` says is not kept; {what}"
            );
            assert!(
                self.has_markers(found.entry.markers()).await,
                "`{id}` is not found by all its markers; {what}"
            );
        }
        let (open, _) = self
            .ledger()
            .open_chunks(None, 10)
            .await
            .expect("the ledger works");
        assert!(open.is_empty(), "markers are left of {open:?}; {what}");
        assert!(
            self.backup.files().is_empty(),
            "something is left in the backup vault; {what}"
        );
    }

    /// Under how many names a chunk's media is in the vault.
    fn media_names(&self, id: &DocumentId) -> usize {
        let of_chunk = format!(".{id}.");
        let files = self.vault.files();
        let names = files.keys().map(BlobName::as_str);
        names
            .filter(|name| name.contains(&of_chunk) && !name.ends_with(".json"))
            .count()
    }

    fn media(&self, id: &DocumentId) -> Option<Vec<u8>> {
        let marker = format!("audiowav.{id}.");
        let files = self.vault.files();
        files
            .iter()
            .find(|(name, _)| name.as_str().contains(&marker))
            .map(|(_, content)| content.to_vec())
    }
}

pub fn media_of(id: &DocumentId) -> Vec<u8> {
    content(2 * BLOCK + 100, id.as_str().len() as u64)
}

pub fn budget() -> Budget {
    Budget::of(Duration::from_hours(1))
}

/// What the Event Grid function does with one delivery; whether it would be acknowledged.
pub async fn deliver(driver: &ExportDriver, chunks: &[RecordingChunk]) -> bool {
    let circumstances = Circumstances {
        admission: Admission::Admitted,
        solicitation: Solicitation::Solicited,
        expected: Expected::Unknown,
    };
    for chunk in chunks {
        let recorded =
            driver
                .ledger()
                .record_as(chunk.clone(), circumstances, driver.slots().claim_ahead());
        if recorded.await.is_err() {
            let ids = chunks.iter().map(|chunk| chunk.document_id.clone());
            driver.give_back(&ids.collect::<Vec<_>>()).await;
            return false;
        }
    }
    let moving = chunks
        .iter()
        .map(|chunk| driver.drive(&chunk.document_id, budget()));
    futures::future::join_all(moving).await;
    true
}
