//! What a process, or an operator, can do to the chunk.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use recording_vault::acs::{AcsCredential, AcsHttp, CallRecordingClient};
use recording_vault::catalogue::Catalogue;
use recording_vault::catalogue::erasing::Eraser;
use recording_vault::clock::SystemClock;
use recording_vault::control::register::RecordingRegister;
use recording_vault::control::{ControlPolicy, RecordingControl};
use recording_vault::error_chain::ErrorChain;
use recording_vault::export::ledger::{Accepted, Retried};
use recording_vault::export::retention::{Removal, Retention, RetentionPolicy};
use recording_vault::export::{
    Budget, ChunkLedger, ChunkState, DeletionPolicy, ExportDriver, ExportPolicy, ExportSweep,
    Vaults,
};
use recording_vault::store::DocumentError;
use recording_vault::store::document_store::DocumentStore;
use recording_vault::store::holds::{Case, Held, Released};

use super::event::Event;
use super::facts::Fact;
use super::gate::Gate;
use super::stores::{GatedSource, GatedStore, GatedVault};
use super::world::{World, document};
use crate::support::fake_source::PARTICIPANT;
use crate::support::pipeline::{self, CLAIM_TTL, RETENTION};

const BUDGET: Duration = Duration::from_hours(1);
pub const MISSING_AFTER: Duration = Duration::from_mins(30);

/// One thing that is done to the chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    Deliver(Event),
    Sweep,
    /// What `delete-source` does when the chunk is due.
    Drive,
    Retry,
    Accept,
    /// For the case `B-2`.
    AddHold,
    /// For the case `A-1`, which holds it in some scenarios from the beginning.
    ReleaseHold,
    ApplyRetention,
    /// One operator holds the recording, and then another one applies the retention.
    HoldAndApplyRetention,
    Erase,
}

/// Whether it was done. What was not done is done again when all is calm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Done {
    Done,
    /// There was nothing to do, as the process says.
    NothingToDo(String),
    Failed(String),
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Deliver(event) => write!(f, "Deliver{event:?}"),
            other => fmt::Debug::fmt(other, f),
        }
    }
}

/// A process on the world's state.
pub struct Process {
    world: World,
    ledger: ChunkLedger,
    driver: Arc<ExportDriver>,
    vaults: Vaults,
    store: Arc<dyn DocumentStore>,
}

impl Process {
    pub fn new(world: &World, gate: &Arc<Gate>) -> Self {
        let store: Arc<dyn DocumentStore> = Arc::new(GatedStore {
            inner: Arc::clone(&world.store),
            gate: Arc::clone(gate),
        });
        let vault = |inner: &Arc<_>, name| {
            Arc::new(GatedVault {
                world: world.clone(),
                inner: Arc::clone(inner),
                name,
                gate: Arc::clone(gate),
            })
        };
        let vaults = Vaults::new(
            vault(&world.home, "vault"),
            Some(vault(&world.backup, "backup")),
        );
        let source = Arc::new(GatedSource {
            world: world.clone(),
            gate: Arc::clone(gate),
        });
        let clock = Arc::clone(&world.clock);
        let ledger = ChunkLedger::new(Arc::clone(&store), clock.clone(), RETENTION, CLAIM_TTL);
        let policy = ExportPolicy {
            deletion: DeletionPolicy {
                delay: world.settings.delete_delay,
                anomalies: world.settings.anomalies,
                ..pipeline::policy().deletion
            },
            ..pipeline::policy()
        };
        let driver = Arc::new(ExportDriver::new(
            ledger.clone(),
            source.clone(),
            source,
            vaults.clone(),
            clock,
            policy,
        ));
        Self {
            world: world.clone(),
            ledger,
            driver,
            vaults,
            store,
        }
    }

    /// Carries an action out, and notes what it reports.
    pub async fn perform(&self, action: Action) -> Done {
        let done = match action {
            Action::Deliver(event) => self.deliver(event).await,
            Action::Sweep => self.sweep().await,
            Action::Drive => self
                .driver
                .drive(&document(), Budget::of(BUDGET))
                .await
                .map_or_else(failed, |_| Done::Done),
            Action::Retry => self.retry().await,
            Action::Accept => self.accept().await,
            Action::AddHold => self.add_hold("B-2").await,
            Action::ReleaseHold => self.release_hold("A-1").await,
            Action::ApplyRetention => self.apply_retention().await,
            Action::HoldAndApplyRetention => {
                self.add_hold("B-2").await;
                self.apply_retention().await
            }
            Action::Erase => self.erase().await,
        };
        self.world
            .facts
            .trace("", &format!("   {action}: {done:?}"), None);
        done
    }

    async fn deliver(&self, event: Event) -> Done {
        let taken = self.take_in(event).await;
        // What is not driven to its end now, a sweep goes on with.
        drop(self.driver.drive(&document(), Budget::of(BUDGET)).await);
        taken
    }

    /// Makes durable what an event says, and exports nothing yet.
    pub async fn take_in(&self, event: Event) -> Done {
        let registered = self.register_files(event).await;
        if let Err(error) = self.ledger.record(event.chunk()).await {
            return failed(error);
        }
        let is_acknowledged = registered.is_ok();
        if is_acknowledged {
            self.world.facts.note(Fact::Acknowledged(event));
        }
        registered.map_or_else(failed, |()| Done::Done)
    }

    /// The event tells the register which files the recording has.
    async fn register_files(&self, event: Event) -> Result<(), DocumentError> {
        if !self.world.settings.has_account {
            return Ok(());
        }
        let policy = ControlPolicy {
            requires_consent: false,
            missing_after: MISSING_AFTER,
        };
        let control = RecordingControl::new(
            client(),
            Arc::clone(&self.store),
            Arc::clone(&self.world.clock),
            policy,
        );
        control.announced(&event.update()).await
    }

    async fn sweep(&self) -> Done {
        let sweep = ExportSweep::new(Arc::clone(&self.driver));
        sweep
            .run(Budget::of(BUDGET))
            .await
            .map_or_else(failed, |_| Done::Done)
    }

    /// Chunks that a sweep looks at.
    pub async fn sweep_quietly(&self) -> u64 {
        let sweep = ExportSweep::new(Arc::clone(&self.driver));
        let report = sweep.run(Budget::of(BUDGET)).await;
        report.expect("nothing is disturbed any more").seen
    }

    async fn retry(&self) -> Done {
        match self.ledger.retry(&document()).await {
            Ok(Retried::Opened) => {
                self.world.facts.note(Fact::Retried);
                Done::Done
            }
            Ok(other) => Done::NothingToDo(format!("{other:?}")),
            Err(error) => failed(error),
        }
    }

    async fn accept(&self) -> Done {
        match self.ledger.accept(&document()).await {
            Ok(Accepted::Accepted) => {
                self.world.facts.note(Fact::Accepted);
                Done::Done
            }
            Ok(other) => Done::NothingToDo(format!("{other:?}")),
            Err(error) => failed(error),
        }
    }

    /// Holds the recording for a case.
    pub async fn add_hold(&self, tag: &str) -> Done {
        let held = held();
        if let Err(error) = self.ledger.holds().add(&held, &self.case(tag)).await {
            return failed(error);
        }
        let covered = self.ledger.entries(|entry| held.covers(&entry.chunk)).await;
        let entries = match covered {
            Ok(entries) => entries,
            Err(error) => return failed(error),
        };
        let is_going = entries.iter().any(|entry| {
            matches!(
                entry.state,
                ChunkState::Removing { .. } | ChunkState::Removed { .. }
            )
        });
        if !is_going && tag == "B-2" {
            self.world.facts.note(Fact::Held);
        }
        Done::Done
    }

    /// Releases the recording from a case.
    pub async fn release_hold(&self, tag: &str) -> Done {
        if tag == "B-2" {
            self.world.facts.note(Fact::Released);
        }
        match self
            .ledger
            .holds()
            .release(&held(), &self.case(tag).tag)
            .await
        {
            Ok(Released::Released { .. }) => Done::Done,
            Ok(Released::NotHeld) => Done::NothingToDo("NotHeld".to_owned()),
            Err(error) => failed(error),
        }
    }

    async fn apply_retention(&self) -> Done {
        let policy = RetentionPolicy {
            keep_for: self.world.settings.keep_copies_for,
        };
        let retention = Retention::new(
            self.ledger.clone(),
            self.vaults.clone(),
            Arc::clone(&self.world.clock),
            policy,
        );
        self.world.facts.note(Fact::RemovalBegun);
        match retention.apply().await {
            Ok(removals) => match removals.into_iter().next() {
                Some((_, Removal::Removed)) => {
                    self.world.facts.note(Fact::Removed);
                    Done::Done
                }
                Some((_, Removal::Failed { reason, .. })) => Done::Failed(reason),
                Some((_, other)) => Done::NothingToDo(format!("{other:?}")),
                None => Done::NothingToDo("nothing is past its policy".to_owned()),
            },
            Err(error) => failed(error),
        }
    }

    async fn erase(&self) -> Done {
        let register = RecordingRegister::new(Arc::clone(&self.store), MISSING_AFTER);
        let catalogue = Catalogue::new(
            self.ledger.clone(),
            register,
            self.vaults.clone(),
            Arc::clone(&self.world.clock),
        );
        let eraser = Eraser::new(catalogue, Arc::clone(&self.driver), BUDGET);
        self.world.facts.note(Fact::RemovalBegun);
        let person = PARTICIPANT.parse().expect("it is a participant's id");
        match Box::pin(eraser.erase(&person, "on request")).await {
            Ok(erasure) if !erasure.left.is_empty() => Done::Failed(erasure.left[0].reason.clone()),
            Ok(erasure) => {
                if erasure.erased.is_empty() {
                    return Done::NothingToDo("the person is in no recording".to_owned());
                }
                self.world.facts.note(Fact::Removed);
                self.world.facts.note(Fact::Erased);
                Done::Done
            }
            Err(error) => failed(error),
        }
    }

    fn case(&self, tag: &str) -> Case {
        Case {
            tag: tag.parse().expect("it is a tag"),
            by: None,
            note: None,
            since: self.world.clock.now(),
        }
    }
}

/// A client of an ACS that is not there: what is announced asks nothing of it.
fn client() -> CallRecordingClient {
    static CLIENT: OnceLock<CallRecordingClient> = OnceLock::new();
    let client = CLIENT.get_or_init(|| {
        let endpoint = "https://contoso.communication.azure.com".parse();
        let key = AcsCredential::AccessKey("c2VjcmV0".parse().expect("it is base64"));
        let endpoint = endpoint.expect("it is an endpoint");
        let version = "2024-09-15".parse().expect("it is a version");
        let http = AcsHttp::new(endpoint, key, Arc::new(SystemClock));
        CallRecordingClient::new(http.expect("TLS is there"), version)
    });
    client.clone()
}

/// The recording of the chunk.
fn held() -> Held {
    Held::RecordingId(Event::Whole.chunk().filed_under())
}

fn failed(error: impl std::error::Error) -> Done {
    Done::Failed(ErrorChain(&error).to_string())
}
