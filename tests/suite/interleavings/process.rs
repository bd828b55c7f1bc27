//! One process on the world's state, put together as the application is, and what it does by itself.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use recording_vault::acs::{AcsCredential, AcsHttp, CallRecordingClient};
use recording_vault::catalogue::Catalogue;
use recording_vault::clock::SystemClock;
use recording_vault::control::register::RecordingRegister;
use recording_vault::control::{
    Announced, Announcement, ControlPolicy, EventOrder, RecordingControl,
};
use recording_vault::export::driver::Sources;
use recording_vault::export::ledger::{
    Admission, Circumstances, Expected, LedgerError, Solicitation,
};
use recording_vault::export::slots::ClaimAhead;
use recording_vault::export::{
    Budget, ChunkLedger, DeletionPolicy, ExportDriver, ExportPolicy, ExportSweep, Vaults,
};
use recording_vault::store::DocumentError;
use recording_vault::store::document_store::DocumentStore;

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

/// What an event's recording is, where the register is left out.
pub const REGISTERED: Announced = Announced {
    announcement: Announcement::Registered,
    order: EventOrder::Later,
};

/// A process; it has nothing of its own but its gate.
pub struct Process {
    pub world: World,
    pub ledger: ChunkLedger,
    pub driver: Arc<ExportDriver>,
    pub vaults: Vaults,
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
            Sources {
                acs: source.clone(),
                external: source,
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
            store,
        }
    }

    /// Takes an event in, and exports its chunk.
    pub async fn deliver(&self, event: Event) -> Done {
        let registered = if self.world.settings.registers_events {
            self.register_files(event).await
        } else {
            Ok(REGISTERED)
        };
        let ahead = self.driver.slots().claim_ahead();
        let taken = self.take_in(event, registered, ahead).await;
        // What is not driven to its end now, a sweep goes on with.
        drop(self.drive().await);
        taken
    }

    /// Makes durable what an event says of its chunk, and exports nothing yet. One that the register did not take comes
    /// again.
    pub async fn take_in(
        &self,
        event: Event,
        registered: Result<Announced, DocumentError>,
        ahead: Option<ClaimAhead>,
    ) -> Done {
        let announcement = registered.as_ref().map(|announced| announced.announcement);
        let recorded = match announcement {
            Ok(Announcement::OfErasedRecording) => self.ledger.record_erased(event.chunk()).await,
            Ok(Announcement::Registered | Announcement::StartedPastUs) | Err(_) => {
                let is_first =
                    matches!(&registered, Ok(announced) if announced.order == EventOrder::First);
                let circumstances = Circumstances {
                    admission: Admission::Admitted,
                    solicitation: Solicitation::Solicited,
                    expected: if is_first {
                        Expected::New
                    } else {
                        Expected::Unknown
                    },
                };
                self.ledger
                    .record_as(event.chunk(), circumstances, ahead)
                    .await
            }
        };
        if let Err(error) = recorded {
            return Done::failed(error);
        }
        match registered {
            Ok(_) => {
                self.world.facts.note(Fact::Acknowledged(event));
                Done::Done
            }
            Err(error) => Done::failed(error),
        }
    }

    /// Somebody stopped the recording before its files are announced, so that no event has to ask ACS whether it ended.
    pub async fn stop_recording(&self) {
        let register = RecordingRegister::new(Arc::clone(&self.store), MISSING_AFTER);
        let (id, now) = (Event::Whole.chunk().filed_under(), self.world.clock.now());
        let stopped = register.change(&id, now, |account| account.stop(now)).await;
        stopped.expect("nothing is disturbed yet");
    }

    /// Tells the register which files the recording has.
    pub async fn register_files(&self, event: Event) -> Result<Announced, DocumentError> {
        let policy = ControlPolicy {
            requires_consent: false,
            missing_after: MISSING_AFTER,
        };
        let (store, clock) = (Arc::clone(&self.store), Arc::clone(&self.world.clock));
        let control = RecordingControl::new(client(), store, clock, policy);
        control.announced(&event.update()).await
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
