//! What there is before a run begins, what the disturbed process does, and who may come in between.

use std::time::Duration;

use recording_vault::export::OnAnomaly;

use super::action::Action;
use super::event::Event;
use super::gate::Gate;
use super::holds::{HeldBy, HoldId};
use super::process::Process;
use super::world::{Settings, World, document};
use crate::support::fake_source::{Fault, PARTICIPANT};

const YEAR: Duration = Duration::from_hours(365 * 24);
const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);

/// Where the chunk is before the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Before {
    Unknown,
    /// No event announced it, and the account of its recording names the person who started it.
    Started,
    /// In the ledger, and not exported.
    Recorded(Event),
    /// Exported, and its source deleted or left, as the event allows.
    Settled(Event),
    /// Exported an hour ago: its source may be deleted now.
    DueForDeletion,
    /// Given up: ACS's location was refused once.
    DeadLettered,
    /// Exported, its media is doubtful, and its source waits to be accepted.
    Doubtful,
    /// Settled, and past its policy.
    PastPolicy,
    /// In the backup vault; the home vault is available again.
    InBackup,
}

/// A scenario of the enumeration.
#[derive(Debug, Clone, Copy)]
pub struct Scenario {
    pub name: &'static str,
    pub before: Before,
    /// The recording is held before the run, for the first case.
    pub held: Option<HeldBy>,
    pub action: Action,
    pub others: &'static [Action],
}

impl Scenario {
    fn settings(&self) -> Settings {
        let is_delayed = self.before == Before::DueForDeletion;
        Settings {
            delete_delay: if is_delayed { HOUR } else { Duration::ZERO },
            anomalies: if self.before == Before::Doubtful {
                OnAnomaly::Keep
            } else {
                OnAnomaly::Delete
            },
            keep_copies_for: YEAR,
            registers_events: self.concerns_people() || self.concerns_standing_holds(),
        }
    }

    /// Somebody may ask to be erased.
    pub fn concerns_people(&self) -> bool {
        self.action == Action::Erase || self.others.contains(&Action::Erase)
    }

    /// Holds find the recording by its participants or its start, which the register knows.
    fn concerns_standing_holds(&self) -> bool {
        let others = self.others.iter().filter_map(|other| other.hold());
        let holds = self.holds().chain(others);
        holds.map(|hold| hold.by).any(|by| by != HeldBy::Recording)
    }

    /// The holds of the scenario itself.
    pub fn holds(&self) -> impl Iterator<Item = HoldId> + use<> {
        let before = self.held.map(HeldBy::first);
        before.into_iter().chain(self.action.hold())
    }

    /// The world as the run finds it.
    pub async fn prepare(&self) -> World {
        let world = World::new(self.settings());
        let calm = Gate::new(&world.facts, "-", None);
        let process = Process::new(&world, &calm);
        let is_of_person = self.before == Before::Started;
        let started_by = if is_of_person { PARTICIPANT } else { "api" };
        process.stop_recording(started_by).await;
        if !matches!(self.before, Before::Unknown | Before::Started) {
            let registered = process.register_files(Event::Bare).await;
            registered.expect("nothing is disturbed yet");
        }
        match self.before {
            Before::Unknown | Before::Started => {}
            Before::Recorded(event) => {
                drop(process.take_in(event, None).await);
            }
            Before::Settled(event) => drop(process.perform(Action::Deliver(event)).await),
            Before::DueForDeletion => {
                process.perform(Action::Deliver(Event::Whole)).await;
                tokio::time::sleep(HOUR).await;
            }
            Before::DeadLettered => {
                world.source.with_faults([Fault::Refused]);
                process.perform(Action::Deliver(Event::Whole)).await;
            }
            Before::Doubtful => drop(process.perform(Action::Deliver(Event::Whole)).await),
            Before::PastPolicy => {
                process.perform(Action::Deliver(Event::Whole)).await;
                tokio::time::sleep(YEAR).await;
            }
            Before::InBackup => {
                world.home.set_unavailable(true);
                process.perform(Action::Deliver(Event::Whole)).await;
                tokio::time::sleep(MINUTE).await;
                process.perform(Action::Drive).await;
                world.home.set_unavailable(false);
                tokio::time::sleep(MINUTE).await;
            }
        }
        if let Some(by) = self.held {
            process.add_hold(by.first()).await;
        }
        self.assert_prepared(&world).await;
        world
    }

    async fn assert_prepared(&self, world: &World) {
        let entry = world.entry().await;
        let state = entry.as_ref().map_or("unknown", |entry| entry.state.name());
        let expected = match self.before {
            Before::Unknown | Before::Started => "unknown",
            Before::Recorded(_) => "pending",
            Before::Settled(event) if event.names_metadata() && event.names_delete() => {
                "sourceDeleted"
            }
            Before::Settled(_) => "sourceLeft",
            Before::DueForDeletion | Before::Doubtful | Before::InBackup => "exported",
            Before::DeadLettered => "deadLettered",
            Before::PastPolicy => "sourceDeleted",
        };
        assert_eq!(
            state,
            expected,
            "`{}` of {} is prepared",
            document(),
            self.name
        );
    }
}
