//! A process on in-memory seams that fails, and is killed, as planned; and an auditor at the source.

use std::future::Future;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};
use recording_vault::catalogue::Catalogue;
use recording_vault::clock::{Clock, ManualClock};
use recording_vault::control::register::RecordingRegister;
use recording_vault::export::block::BlockPolicy;
use recording_vault::export::block::{Block, BlockId};
use recording_vault::export::destination::{
    BlobProperties, BlobVersion, CommitOutcome, CommittedBlob, DestinationError, ExportDestination,
    ListedBlob, RemoveOutcome, ReplaceOutcome, StageOutcome, TouchOutcome,
};
use recording_vault::export::layout::BlobName;
use recording_vault::export::removal::Removals;
use recording_vault::export::retention::{Retention, RetentionKeeps, RetentionPolicy};
use recording_vault::export::source::{
    ChunkPart, OpenedContent, RecordingSource, SourceDeletion, SourceError,
};
use recording_vault::export::{
    Budget, ChunkLedger, ChunkState, DeletionPolicy, ExportDriver, ExportPolicy, ExportReceipt,
    ExportSweep, OnAnomaly, OnUnknownMedia, OnUnsolicited, Sources, Vaults,
};
use recording_vault::operator_actions::OperatorActions;
use recording_vault::recording::{
    DeleteLocation, DocumentId, OnOtherObject, PersonKey, RecordingChunk,
};
use recording_vault::retry::RetryPolicy;
use recording_vault::store::document_store::{
    DocumentRemoval, DocumentStore, Precondition, PutOutcome, StoreError, Version, Versioned,
};
use recording_vault::store::holds::Holds;
use recording_vault::store::index::Listed;
use recording_vault::vault::memory::{MemoryDocumentStore, MemoryVault};
use tokio::sync::Notify;

use super::content;
use super::fake_source::FakeSource;
use super::pipeline::{BLOCK, CLAIM_TTL, RETENTION};

/// Rounds after the fault, 20 minutes apart: well within the retention.
const ROUNDS: u32 = 30;
const BETWEEN_ROUNDS: Duration = Duration::from_mins(20);

/// What an IO call does instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    FailBefore,
    FailAfter,
    /// The answer is lost and the client library repeats the request by itself: the caller gets the answer to the second.
    AnswerLost,
    KillBefore,
    KillAfter,
    /// The process stands still before the call, or before it sees the answer, until it is thawed.
    FreezeBefore,
    FreezeAfter,
}

impl Fault {
    pub const ALL: [Self; 5] = [
        Self::FailBefore,
        Self::FailAfter,
        Self::AnswerLost,
        Self::KillBefore,
        Self::KillAfter,
    ];
}

/// What happens at the IO calls of one process.
pub struct Plan {
    calls: AtomicUsize,
    at: Option<(usize, Fault)>,
    noise: Option<Mutex<Noise>>,
    killed: Notify,
    thawed: Notify,
}

/// Calls that fail, and calls that take their time, at random.
struct Noise {
    random: SmallRng,
    failures_percent: u32,
}

impl Plan {
    /// Everything works.
    pub fn calm() -> Arc<Self> {
        Arc::new(Self {
            calls: AtomicUsize::new(0),
            at: None,
            noise: None,
            killed: Notify::new(),
            thawed: Notify::new(),
        })
    }

    /// One call does something else.
    pub fn at(number: usize, fault: Fault) -> Arc<Self> {
        Arc::new(Self {
            calls: AtomicUsize::new(0),
            at: Some((number, fault)),
            noise: None,
            killed: Notify::new(),
            thawed: Notify::new(),
        })
    }

    /// Calls fail at random, before or after they took effect, and give way to others; one may be the last.
    pub fn noisy(seed: u64, failures_percent: u32, killed_at: Option<(usize, Fault)>) -> Arc<Self> {
        let noise = Noise {
            random: SmallRng::seed_from_u64(seed),
            failures_percent,
        };
        Arc::new(Self {
            calls: AtomicUsize::new(0),
            at: killed_at,
            noise: Some(Mutex::new(noise)),
            killed: Notify::new(),
            thawed: Notify::new(),
        })
    }

    /// IO calls so far.
    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }

    /// Resolves when the process is killed.
    pub async fn killed(&self) {
        self.killed.notified().await;
    }

    /// Resolves when the process stands still.
    pub async fn frozen(&self) {
        self.killed.notified().await;
    }

    /// Lets a process go on that stands still.
    pub fn thaw(&self) {
        self.thawed.notify_one();
    }

    async fn freeze(&self) {
        self.killed.notify_one();
        self.thawed.notified().await;
    }

    async fn around<T, E, F: Future<Output = Result<T, E>>>(
        &self,
        failure: E,
        call: impl Fn() -> F,
    ) -> Result<T, E> {
        let number = self.calls.fetch_add(1, Ordering::Relaxed);
        let planned = self
            .at
            .filter(|(at, _)| *at == number)
            .map(|(_, fault)| fault);
        let (random, turns) = self.draw();
        for _ in 0..turns {
            tokio::task::yield_now().await;
        }
        match planned.or(random) {
            None => call().await,
            Some(Fault::FailBefore) => Err(failure),
            Some(Fault::FailAfter) => call().await.and(Err(failure)),
            Some(Fault::AnswerLost) => {
                let _ = call().await;
                call().await
            }
            Some(Fault::KillBefore) => self.die().await,
            Some(Fault::KillAfter) => {
                let _ = call().await;
                self.die().await
            }
            Some(Fault::FreezeBefore) => {
                self.freeze().await;
                call().await
            }
            Some(Fault::FreezeAfter) => {
                let answer = call().await;
                self.freeze().await;
                answer
            }
        }
    }

    fn draw(&self) -> (Option<Fault>, u32) {
        let Some(noise) = &self.noise else {
            return (None, 0);
        };
        let mut noise = noise.lock().expect("no holder of this lock panics");
        let fails = noise.random.random_range(0..100) < noise.failures_percent;
        let fault = match noise.random.random_range(0..3) {
            0 => Fault::FailBefore,
            1 => Fault::FailAfter,
            _ => Fault::AnswerLost,
        };
        (fails.then_some(fault), noise.random.random_range(0..4))
    }

    /// The process ends here: nothing after this call happens.
    async fn die<T>(&self) -> T {
        self.killed.notify_one();
        std::future::pending().await
    }
}

/// A seam whose calls go by a plan.
struct Planned<T> {
    inner: Arc<T>,
    plan: Arc<Plan>,
}

#[async_trait]
impl DocumentStore for Planned<MemoryDocumentStore> {
    async fn find(&self, key: &str) -> Result<Option<Versioned>, StoreError> {
        self.plan
            .around(store_error(key), || self.inner.find(key))
            .await
    }
    async fn put(
        &self,
        key: &str,
        content: Bytes,
        condition: Precondition,
    ) -> Result<PutOutcome, StoreError> {
        self.plan
            .around(store_error(key), || {
                self.inner.put(key, content.clone(), condition.clone())
            })
            .await
    }
    async fn remove(&self, key: &str) -> Result<(), StoreError> {
        self.plan
            .around(store_error(key), || self.inner.remove(key))
            .await
    }
    async fn remove_unchanged(
        &self,
        key: &str,
        version: &Version,
    ) -> Result<DocumentRemoval, StoreError> {
        self.plan
            .around(store_error(key), || {
                self.inner.remove_unchanged(key, version)
            })
            .await
    }
    async fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>, StoreError> {
        self.plan
            .around(store_error(prefix), || {
                self.inner.list(prefix, after, limit)
            })
            .await
    }
}

/// A store whose calls go by a plan.
pub fn planned(inner: &Arc<MemoryDocumentStore>, plan: &Arc<Plan>) -> Arc<dyn DocumentStore> {
    Arc::new(Planned {
        inner: Arc::clone(inner),
        plan: Arc::clone(plan),
    })
}

fn store_error(key: &str) -> StoreError {
    StoreError {
        action: "reach",
        key: key.to_owned(),
        source: "as planned".into(),
    }
}

#[async_trait]
impl ExportDestination for Planned<MemoryVault> {
    async fn staged_blocks(&self, name: &BlobName) -> Result<Vec<BlockId>, DestinationError> {
        self.plan
            .around(vault_error(name), || self.inner.staged_blocks(name))
            .await
    }
    async fn stage(&self, name: &BlobName, block: Block) -> Result<StageOutcome, DestinationError> {
        self.plan
            .around(vault_error(name), || self.inner.stage(name, block.clone()))
            .await
    }
    async fn commit(
        &self,
        name: &BlobName,
        blocks: &[BlockId],
        properties: &BlobProperties,
    ) -> Result<CommitOutcome, DestinationError> {
        self.plan
            .around(vault_error(name), || {
                self.inner.commit(name, blocks, properties)
            })
            .await
    }
    async fn inspect(&self, name: &BlobName) -> Result<Option<CommittedBlob>, DestinationError> {
        self.plan
            .around(vault_error(name), || self.inner.inspect(name))
            .await
    }
    async fn read(&self, name: &BlobName, range: Range<u64>) -> Result<Bytes, DestinationError> {
        self.plan
            .around(vault_error(name), || self.inner.read(name, range.clone()))
            .await
    }
    async fn stream(
        &self,
        name: &BlobName,
        range: Range<u64>,
    ) -> Result<Option<BoxStream<'static, Result<Bytes, DestinationError>>>, DestinationError> {
        self.plan
            .around(vault_error(name), || self.inner.stream(name, range.clone()))
            .await
    }
    async fn list(
        &self,
        after: Option<&BlobName>,
        limit: usize,
    ) -> Result<Vec<ListedBlob>, DestinationError> {
        self.inner.list(after, limit).await
    }
    async fn version(&self, name: &BlobName) -> Result<Option<BlobVersion>, DestinationError> {
        self.plan
            .around(vault_error(name), || self.inner.version(name))
            .await
    }
    async fn replace(
        &self,
        name: &BlobName,
        version: &BlobVersion,
        content: Bytes,
        properties: &BlobProperties,
    ) -> Result<ReplaceOutcome, DestinationError> {
        let replacing = || {
            self.inner
                .replace(name, version, content.clone(), properties)
        };
        self.plan.around(vault_error(name), replacing).await
    }
    async fn remove(
        &self,
        name: &BlobName,
        version: &BlobVersion,
    ) -> Result<RemoveOutcome, DestinationError> {
        self.plan
            .around(vault_error(name), || self.inner.remove(name, version))
            .await
    }
    async fn touch(&self, name: &BlobName) -> Result<TouchOutcome, DestinationError> {
        self.plan
            .around(vault_error(name), || self.inner.touch(name))
            .await
    }
    async fn discard_staged(&self, name: &BlobName) -> Result<(), DestinationError> {
        self.plan
            .around(vault_error(name), || self.inner.discard_staged(name))
            .await
    }
    async fn put(
        &self,
        name: &BlobName,
        content: Bytes,
        properties: &BlobProperties,
    ) -> Result<CommitOutcome, DestinationError> {
        self.plan
            .around(vault_error(name), || {
                self.inner.put(name, content.clone(), properties)
            })
            .await
    }
}

fn vault_error(name: &BlobName) -> DestinationError {
    DestinationError {
        action: "reach",
        name: name.clone(),
        source: "as planned".into(),
    }
}

/// The source, which looks at every deletion with an auditor's eye.
struct AuditedSource {
    planned: Planned<FakeSource>,
    durable: Durable,
}

#[async_trait]
impl RecordingSource for AuditedSource {
    fn admits(&self, location: &str) -> bool {
        self.planned.inner.admits(location)
    }

    async fn open(
        &self,
        chunk: &RecordingChunk,
        part: ChunkPart,
        range: Range<u64>,
    ) -> Result<OpenedContent, SourceError> {
        let failure = SourceError::transient("as planned");
        self.planned
            .plan
            .around(failure, || {
                self.planned.inner.open(chunk, part, range.clone())
            })
            .await
    }

    async fn delete(
        &self,
        location: &DeleteLocation,
        receipt: &ExportReceipt,
    ) -> Result<SourceDeletion, SourceError> {
        let id = location.document_id();
        assert_eq!(
            self.durable.media(id).as_deref(),
            Some(&media_of(id)[..]),
            "`{id}` is deleted before it is in the vault"
        );
        let found = self
            .durable
            .ledger()
            .find(id)
            .await
            .expect("the durable ledger works")
            .expect("the entry is there");
        // Another instance, by a clock that is ahead, may have taken over and deleted it already.
        let proved = match &found.entry.state {
            ChunkState::Exported { receipt: durable }
            | ChunkState::SourceDeleted {
                receipt: durable, ..
            } => durable.media().sha256() == receipt.media().sha256(),
            ChunkState::Pending
            | ChunkState::SourceLeft { .. }
            | ChunkState::Removing { .. }
            | ChunkState::Removed { .. }
            | ChunkState::InPlace { .. }
            | ChunkState::Expired { .. }
            | ChunkState::DeadLettered { .. } => false,
        };
        assert!(
            proved,
            "`{id}` is deleted before its receipt is durable: {:?}",
            found.entry.state
        );
        self.planned
            .plan
            .around(SourceError::transient("as planned"), || {
                self.planned.inner.delete(location, receipt)
            })
            .await
    }
}

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
        let store = Arc::new(Planned {
            inner: Arc::clone(&self.store),
            plan: Arc::clone(plan),
        });
        let vault = Arc::new(Planned {
            inner: Arc::clone(&self.vault),
            plan: Arc::clone(plan),
        });
        let ledger = ChunkLedger::new(store, self.clock.clone(), RETENTION, CLAIM_TTL);
        Retention::new(ledger, Vaults::new(vault, None), self.clock.clone(), policy)
    }

    /// A process that removes files of this state.
    pub fn removals(&self, plan: &Arc<Plan>) -> Removals {
        let store = planned(&self.store, plan);
        let vault = Arc::new(Planned {
            inner: Arc::clone(&self.vault),
            plan: Arc::clone(plan),
        });
        let ledger = ChunkLedger::new(store, self.clock.clone(), RETENTION, CLAIM_TTL);
        Removals::new(ledger, Vaults::new(vault, None), self.clock.clone())
    }

    /// The register of a process on this state.
    pub fn register(&self, plan: &Arc<Plan>) -> RecordingRegister {
        let store = Arc::new(Planned {
            inner: Arc::clone(&self.store),
            plan: Arc::clone(plan),
        });
        RecordingRegister::new(store, Duration::from_mins(30))
    }

    /// The catalogue of a process on this state.
    pub fn catalogue(&self, plan: &Arc<Plan>) -> Catalogue {
        let store = Arc::new(Planned {
            inner: Arc::clone(&self.store),
            plan: Arc::clone(plan),
        });
        let vault = Arc::new(Planned {
            inner: Arc::clone(&self.vault),
            plan: Arc::clone(plan),
        });
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
        let vault = Arc::new(Planned {
            inner: Arc::clone(&self.vault),
            plan: Arc::clone(plan),
        });
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
        Holds::new(Arc::new(Planned {
            inner: Arc::clone(&self.store),
            plan: Arc::clone(plan),
        }))
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
        let store = Arc::new(Planned {
            inner: Arc::clone(&self.store),
            plan: Arc::clone(plan),
        });
        let vault = Arc::new(Planned {
            inner: Arc::clone(&self.vault),
            plan: Arc::clone(plan),
        });
        let planned = Planned {
            inner: Arc::clone(&self.source),
            plan: Arc::clone(plan),
        };
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
                failures: 50,
            },
        };
        let ledger = ChunkLedger::new(store, Arc::clone(&clock), RETENTION, CLAIM_TTL);
        let source = Arc::new(AuditedSource {
            planned,
            durable: self.clone(),
        });
        let backup = Arc::new(Planned {
            inner: Arc::clone(&self.backup),
            plan: Arc::clone(plan),
        });
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
    for chunk in chunks {
        if driver.ledger().record(chunk.clone()).await.is_err() {
            return false;
        }
    }
    let moving = chunks
        .iter()
        .map(|chunk| driver.drive(&chunk.document_id, budget()));
    futures::future::join_all(moving).await;
    true
}
