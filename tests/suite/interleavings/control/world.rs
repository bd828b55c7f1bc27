//! What outlives every process of recording control: the register's storage, ACS, the time, and the answers to callers.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::BoxFuture;
use jiff::Timestamp;
use recording_vault::clock::{Clock, ManualClock};
use recording_vault::control::entry::RegisteredRecording;
use recording_vault::control::register::RecordingRegister;
use recording_vault::store::document_store::{DocumentStore as _, Precondition};
use recording_vault::vault::memory::MemoryDocumentStore;
use serde_json::Value;

use super::acs::Acs;
use super::orders::Orders;
use crate::interleavings::facts::Facts;
use crate::interleavings::process::MISSING_AFTER;

const ALL: usize = 10_000;

/// An answer to a caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// A start of this caller gave this recording.
    Started {
        caller: &'static str,
        id: String,
    },
    /// A pause is in effect, until then at the latest.
    Paused {
        until: Option<Timestamp>,
    },
    Resumed,
    Stopped,
    /// An event with the recording's file was taken.
    Announced,
    /// The result of a bot's command.
    Answered {
        command: &'static str,
        result: Value,
    },
}

/// The time of day. Who waits lets it pass, and the others go on meanwhile.
pub struct SteppingClock(ManualClock);

impl SteppingClock {
    pub fn advance(&self, by: Duration) {
        self.0.advance(by);
    }
}

impl Clock for SteppingClock {
    fn now(&self) -> Timestamp {
        self.0.now()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            tokio::task::yield_now().await;
            self.0.advance(duration);
        })
    }
}

/// What all processes share.
#[derive(Clone)]
pub struct ControlWorld {
    pub store: Arc<MemoryDocumentStore>,
    pub acs: Arc<Acs>,
    pub clock: Arc<SteppingClock>,
    pub facts: Arc<Facts>,
    told: Arc<Mutex<Vec<Told>>>,
    /// Pauses, resumes and stops that were asked for.
    pub orders: Orders,
}

impl ControlWorld {
    pub fn new() -> Self {
        let began_at = "2026-03-02T10:03:00Z".parse().expect("it is a time");
        let clock = Arc::new(SteppingClock(ManualClock::starting_at(began_at)));
        Self {
            store: Arc::default(),
            acs: Arc::new(Acs::new(clock.clone())),
            clock,
            facts: Arc::default(),
            told: Arc::default(),
            orders: Orders::default(),
        }
    }

    /// The same world, in which other things happen from now on.
    pub async fn copy(&self) -> Self {
        let clock = Arc::new(SteppingClock(ManualClock::starting_at(self.now())));
        let facts = Arc::new(Facts::default());
        // What was ordered before came before.
        while facts.moment() <= self.orders.last() {}
        let store = Arc::new(MemoryDocumentStore::default());
        for key in self.keys("").await {
            let found = self.store.find(&key).await.expect("memory works");
            let content = found.expect("nobody removes it meanwhile").content;
            let put = store.put(&key, content, Precondition::Absent).await;
            put.expect("memory works");
        }
        Self {
            store,
            acs: Arc::new(self.acs.copy(clock.clone())),
            clock,
            facts,
            told: Arc::new(Mutex::new(self.told())),
            orders: self.orders.copy(),
        }
    }

    /// Every key of the storage with this prefix.
    pub async fn keys(&self, prefix: &str) -> Vec<String> {
        let keys = self.store.list(prefix, None, ALL).await;
        keys.expect("memory works")
    }

    /// A document of the storage as JSON.
    pub async fn document(&self, key: &str) -> Option<Value> {
        let found = self.store.find(key).await.expect("memory works")?;
        Some(serde_json::from_slice(&found.content).expect("documents are JSON"))
    }

    pub fn tell(&self, told: Told) {
        self.told
            .lock()
            .expect("no holder of this lock panics")
            .push(told);
    }

    /// In the order in which callers got them.
    pub fn told(&self) -> Vec<Told> {
        self.told
            .lock()
            .expect("no holder of this lock panics")
            .clone()
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The register, past every gate.
    pub async fn account(&self, id: &str) -> Option<RegisteredRecording> {
        let register = RecordingRegister::new(self.store.clone(), MISSING_AFTER);
        let id = id.parse().expect("it is a recording's id");
        register.find(&id).await.expect("the store works")
    }
}
