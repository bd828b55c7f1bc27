//! One process on the world's state, put together as the application is, and what it does by itself.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use recording_vault::acs::{AcsCredential, AcsHttp, CallRecordingClient};
use recording_vault::catalogue::Catalogue;
use recording_vault::clock::{Clock, SystemClock};
use recording_vault::control::entry::RegisteredRecording;
use recording_vault::control::register::RecordingRegister;
use recording_vault::control::{Announced, ControlPolicy, RecordingControl};
use recording_vault::export::driver::Sources;
use recording_vault::export::ledger::{
    Admission, Circumstances, Expected, LedgerError, Solicitation,
};
use recording_vault::export::slots::ClaimAhead;
use recording_vault::export::source::RecordingSource;
use recording_vault::export::{
    Budget, ChunkLedger, DeletionPolicy, ExportDriver, ExportPolicy, ExportSweep, Vaults,
};
use recording_vault::intake::{Intake, Origin};
use recording_vault::store::DocumentError;
use recording_vault::store::document_store::DocumentStore;
use serde_json::Value;

use super::action::Done;
use super::event::Event;
use super::facts::Fact;
use super::gate::Gate;
use super::stores::{GatedSource, GatedStore, GatedVault};
use super::watched_store::WatchedStore;
use super::world::{World, document};
use crate::support::pipeline::{self, CLAIM_TTL, RETENTION};

/// How long a sweep, a drive or an erasure may take.
pub const BUDGET: Duration = Duration::from_hours(1);
/// When files that no event announced are missing.
pub const MISSING_AFTER: Duration = Duration::from_mins(30);

/// A process; it has nothing of its own but its gate.
pub struct Process {
    pub world: World,
    pub ledger: ChunkLedger,
    pub driver: Arc<ExportDriver>,
    pub vaults: Vaults,
    source: Arc<dyn RecordingSource>,
    store: Arc<dyn DocumentStore>,
}

impl Process {
    pub fn new(world: &World, gate: &Arc<Gate>) -> Self {
        let store: Arc<dyn DocumentStore> = Arc::new(GatedStore {
            inner: Arc::new(WatchedStore(world.clone())),
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
        let source: Arc<dyn RecordingSource> = Arc::new(GatedSource {
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
            Sources {
                acs: source.clone(),
                external: Arc::clone(&source),
            },
            vaults.clone(),
            clock,
            policy,
        ));
        Self {
            world: world.clone(),
            ledger,
            driver,
            vaults,
            source,
            store,
        }
    }

    /// Takes an event in, and exports its chunk.
    pub async fn deliver(&self, event: Event) -> Done {
        let taken = if self.world.settings.registers_events {
            self.take_and_register(event).await
        } else {
            self.take_in(event, self.driver.slots().claim_ahead()).await
        };
        // What is not driven to its end now, a sweep goes on with.
        drop(self.drive().await);
        taken
    }

    /// Takes an event as the handler does: with the account of its recording.
    async fn take_and_register(&self, event: Event) -> Done {
        let control = Arc::new(self.control());
        let source: Arc<dyn RecordingSource> = Arc::clone(&self.source);
        let clock: Arc<dyn Clock> = self.world.clock.clone();
        let intake = Intake::new(&self.ledger, &control, &source, None, &clock)
            .claiming_for(Some(self.driver.slots()));
        let mut delivery = intake.begin(Origin::EventGrid);
        // On the heap, as in the handler.
        let recorded = Box::pin(delivery.record(&Value::Null, event.update())).await;
        match (recorded, delivery.again) {
            (Ok(()), None) => {
                self.world.facts.note(Fact::Acknowledged(event));
                Done::Done
            }
            // It comes again.
            (Ok(()), Some(reason)) => Done::Failed(reason),
            (Err(error), _) => Done::failed(error),
        }
    }

    /// Makes durable what an event says of its chunk, whose account is left out, and exports nothing yet.
    pub async fn take_in(&self, event: Event, ahead: Option<ClaimAhead>) -> Done {
        let circumstances = Circumstances {
            admission: Admission::Admitted,
            solicitation: Solicitation::Solicited,
            expected: Expected::Unknown,
        };
        let recording = self.ledger.record_as(event.chunk(), circumstances, ahead);
        match recording.await {
            Ok(_) => {
                self.world.facts.note(Fact::Acknowledged(event));
                Done::Done
            }
            Err(error) => Done::failed(error),
        }
    }

    /// Somebody started the recording here and stopped it before its files are announced, so that no event has to ask ACS
    /// whether it ended.
    pub async fn stop_recording(&self, started_by: &str) {
        let register = RecordingRegister::new(Arc::clone(&self.store), MISSING_AFTER);
        let (id, now) = (Event::Whole.chunk().filed_under(), self.world.clock.now());
        let stop = |account: &mut RegisteredRecording| {
            account.started_by = Some(started_by.to_owned());
            account.stop(now);
        };
        let stopped = register.change(&id, now, stop).await;
        stopped.expect("nothing is disturbed yet");
    }

    /// Tells the register which files the recording has.
    pub async fn register_files(&self, event: Event) -> Result<Announced, DocumentError> {
        self.control().announced(&event.update()).await
    }

    fn control(&self) -> RecordingControl {
        let policy = ControlPolicy {
            requires_consent: false,
            missing_after: MISSING_AFTER,
        };
        let (store, clock) = (Arc::clone(&self.store), Arc::clone(&self.world.clock));
        RecordingControl::new(client(), store, clock, policy)
    }

    /// Chunks that a sweep looks at.
    pub async fn sweep(&self) -> Result<u64, LedgerError> {
        let sweep = ExportSweep::new(Arc::clone(&self.driver));
        Ok(sweep.run(Budget::of(BUDGET)).await?.seen)
    }

    pub async fn drive(&self) -> Done {
        let driven = self.driver.drive(&document(), Budget::of(BUDGET)).await;
        driven.map_or_else(Done::failed, |_| Done::Done)
    }

    pub fn catalogue(&self) -> Catalogue {
        let register = RecordingRegister::new(Arc::clone(&self.store), MISSING_AFTER);
        let clock = Arc::clone(&self.world.clock);
        Catalogue::new(self.ledger.clone(), register, self.vaults.clone(), clock)
    }
}

/// A client of an ACS that is not there: what is announced asks nothing of it.
fn client() -> CallRecordingClient {
    static CLIENT: OnceLock<CallRecordingClient> = OnceLock::new();
    let client = CLIENT.get_or_init(|| {
        let endpoint = "http://127.0.0.1:1".parse();
        let key = AcsCredential::AccessKey("c2VjcmV0".parse().expect("it is base64"));
        let endpoint = endpoint.expect("it is an endpoint");
        let version = "2024-09-15".parse().expect("it is a version");
        let http = AcsHttp::new(endpoint, key, Arc::new(SystemClock));
        CallRecordingClient::new(http.expect("TLS is there"), version)
    });
    client.clone()
}
