//! Pauses, resumes and stops that callers were told of, with the time from question to answer.

use std::sync::{Arc, Mutex};

use jiff::Timestamp;

use super::acs::AcsState;

/// What an order does to the recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    Pause { until: Option<Timestamp> },
    Resume,
    Stop,
}

/// An order whose caller was told that it is carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CarriedOut {
    pub effect: Effect,
    pub asked: u64,
    pub told: u64,
}

/// The orders of one run.
#[derive(Clone, Default)]
pub struct Orders(Arc<Mutex<Vec<CarriedOut>>>);

impl Orders {
    /// The same orders, to which others are added.
    pub fn copy(&self) -> Self {
        Self(Arc::new(Mutex::new(self.all())))
    }

    /// The moment of the last answer.
    pub fn last(&self) -> u64 {
        let told = self.all().into_iter().map(|order| order.told);
        told.max().unwrap_or_default()
    }

    fn all(&self) -> Vec<CarriedOut> {
        let orders = self.0.lock();
        orders.expect("no holder of this lock panics").clone()
    }

    pub fn note(&self, order: CarriedOut) {
        self.0
            .lock()
            .expect("no holder of this lock panics")
            .push(order);
    }

    /// The states in which the recording may be: each order is carried out at one moment between question and answer, so
    /// of orders that overlap any may be the last, and one that was asked for after the answer to another comes after it.
    /// Empty: nobody was told of an order.
    pub fn possible_states(&self, now: Timestamp) -> Vec<AcsState> {
        let orders = self.all();
        let is_last = |order: &&CarriedOut| orders.iter().all(|other| other.asked < order.told);
        let last = orders.iter().filter(is_last);
        last.flat_map(|order| match order.effect {
            Effect::Resume => vec![AcsState::Active],
            Effect::Stop => vec![AcsState::Ended],
            Effect::Pause { until } => {
                let has_an_end = until.is_some_and(|until| until <= now);
                match (
                    has_an_end,
                    is_within_a_pause_that_ended(&orders, order, now),
                ) {
                    (true, _) => vec![AcsState::Active],
                    (false, true) => vec![AcsState::Active, AcsState::Paused],
                    (false, false) => vec![AcsState::Paused],
                }
            }
        })
        .collect()
    }
}

/// Whether another pause, whose end has come, may have been open when this one was asked for: both are then one pause.
fn is_within_a_pause_that_ended(orders: &[CarriedOut], order: &CarriedOut, now: Timestamp) -> bool {
    let has_ended = |other: &&CarriedOut| match other.effect {
        Effect::Pause { until } => until.is_some_and(|until| until <= now),
        Effect::Resume | Effect::Stop => false,
    };
    let is_resumed_between = |other: &CarriedOut| {
        orders.iter().any(|between| {
            between.effect == Effect::Resume
                && other.told < between.asked
                && between.told < order.asked
        })
    };
    orders
        .iter()
        .filter(has_ended)
        .any(|other| other.asked < order.told && !is_resumed_between(other))
}
