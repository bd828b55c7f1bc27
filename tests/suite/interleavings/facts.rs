//! What happened in a run, in the order in which it did: by it the checks know what must be true at the end.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};

use super::disturbance::Disturbance;
use super::event::Event;
use super::holds::HoldId;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    /// An event was taken in durably: it does not come again.
    Acknowledged(Event),
    /// `hold add` ended, and reported no chunk whose deletion had begun.
    Held(HoldId),
    /// A hold is durable.
    HoldWritten(AtHold),
    /// A release began: from now on nobody may rely on the hold.
    Released(HoldId),
    Accepted,
    /// Somebody began to remove the copy: by its policy, or on request.
    RemovalBegun,
    /// The copy was removed, as whoever did it says.
    Removed,
    /// `gdpr erase` said that it erased the recording.
    Erased,
    /// A DELETE that was sent at this moment took the file away at ACS.
    SourceDeleted {
        sent: u64,
    },
    /// A file that was there was removed from the home vault, by a request that was sent at this moment.
    CopyRemoved {
        name: String,
        sent: u64,
    },
    /// Something that must never happen did.
    Broken(String),
}

/// What there was to hold when a hold became durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AtHold {
    /// A copy, or what may become one.
    Recording,
    /// The copy was removed before, and nothing is left that says who was in it.
    Nothing,
}

/// Facts with their moments.
#[derive(Default)]
pub struct Facts {
    moments: AtomicU64,
    noted: Mutex<Vec<(u64, Fact)>>,
    trace: Mutex<Vec<String>>,
}

impl Facts {
    /// A moment later than every one before.
    pub fn moment(&self) -> u64 {
        self.moments.fetch_add(1, Ordering::Relaxed)
    }

    pub fn note(&self, fact: Fact) {
        let at = self.moment();
        lock(&self.noted).push((at, fact));
    }

    pub fn all(&self) -> Vec<(u64, Fact)> {
        lock(&self.noted).clone()
    }

    pub fn has(&self, fact: &Fact) -> bool {
        lock(&self.noted).iter().any(|(_, noted)| noted == fact)
    }

    /// Events that do not come again.
    pub fn acknowledged(&self) -> impl Iterator<Item = Event> {
        self.all().into_iter().filter_map(|(_, fact)| match fact {
            Fact::Acknowledged(event) => Some(event),
            Fact::Held(_)
            | Fact::HoldWritten(_)
            | Fact::Released(_)
            | Fact::Accepted
            | Fact::RemovalBegun
            | Fact::Removed
            | Fact::Erased
            | Fact::SourceDeleted { .. }
            | Fact::CopyRemoved { .. }
            | Fact::Broken(_) => None,
        })
    }

    /// A request as a line of the trace.
    pub fn trace(&self, party: &str, request: &str, disturbance: Option<Disturbance>) {
        let disturbed = disturbance.map(|how| format!("   <== {how}"));
        let line = format!("{party}  {request}{}", disturbed.unwrap_or_default());
        lock(&self.trace).push(line);
    }

    /// Every request of every party.
    pub fn traced(&self) -> Vec<String> {
        lock(&self.trace).clone()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no holder of this lock panics")
}
