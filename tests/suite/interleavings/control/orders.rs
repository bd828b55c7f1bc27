//! Pauses, resumes and stops that callers ask for, with the moments of question and answer.

use std::sync::{Arc, Mutex, MutexGuard};

use jiff::Timestamp;

use super::acs::AcsState;

/// What an order does to the recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    Pause { until: Option<Timestamp> },
    Resume,
    Stop,
}

/// An order, with the moments of question and answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ordered {
    effect: Effect,
    asked: u64,
    /// When it was answered as carried out. `None`: without an answer, it may be carried out or not.
    told: Option<u64>,
}

/// The orders of one run.
#[derive(Clone, Default)]
pub struct Orders(Arc<Mutex<Vec<Ordered>>>);

/// An order that is not answered yet.
#[derive(Debug, Clone, Copy)]
pub struct Asked(usize);

impl Orders {
    /// The same orders, to which others are added.
    pub fn copy(&self) -> Self {
        Self(Arc::new(Mutex::new(self.all())))
    }

    /// The last moment of all.
    pub fn last(&self) -> u64 {
        let moments = self.all().into_iter();
        let moments = moments.map(|order| order.told.unwrap_or(order.asked));
        moments.max().unwrap_or_default()
    }

    pub fn ask(&self, effect: Effect, asked: u64) -> Asked {
        let mut orders = self.lock();
        let told = None;
        orders.push(Ordered {
            effect,
            asked,
            told,
        });
        Asked(orders.len() - 1)
    }

    pub fn tell(&self, Asked(number): Asked, told: u64) {
        self.lock()[number].told = Some(told);
    }

    /// The states in which the recording may be: each order is carried out at one moment between question and answer, so
    /// of orders that overlap any may be the last, and one that was asked for after the answer to another comes after it.
    /// Empty: no order was answered.
    pub fn possible_states(&self, now: Timestamp) -> Vec<AcsState> {
        let orders = self.all();
        let is_last = |told: u64| {
            let mut others = orders.iter().filter(|other| other.told.is_some());
            others.all(|other| other.asked < told)
        };
        let last = orders
            .iter()
            .filter(|order| order.told.is_some_and(is_last));
        let states = last.flat_map(|order| match order.effect {
            Effect::Resume => vec![AcsState::Active],
            Effect::Stop => vec![AcsState::Ended],
            Effect::Pause { until } if until.is_some_and(|until| until <= now) => {
                vec![AcsState::Active]
            }
            Effect::Pause { .. } if is_within_a_pause_that_ended(&orders, order, now) => {
                vec![AcsState::Active, AcsState::Paused]
            }
            Effect::Pause { .. } => vec![AcsState::Paused],
        });
        let mut states: Vec<AcsState> = states.collect();
        // An end is final, whether or not its caller was told of it.
        let is_stopped = orders.iter().any(|order| order.effect == Effect::Stop);
        if is_stopped && !states.is_empty() {
            states.push(AcsState::Ended);
        }
        states
    }

    fn all(&self) -> Vec<Ordered> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Ordered>> {
        self.0.lock().expect("no holder of this lock panics")
    }
}

/// Whether another pause, whose end has come, may have been open when this one was carried out: both are then one pause.
fn is_within_a_pause_that_ended(orders: &[Ordered], order: &Ordered, now: Timestamp) -> bool {
    let has_ended = |other: &&Ordered| match other.effect {
        Effect::Pause { until } => until.is_some_and(|until| until <= now),
        Effect::Resume | Effect::Stop => false,
    };
    let is_resumed_between = |other: &Ordered| {
        orders.iter().any(|between| {
            between.effect == Effect::Resume
                && other.told.is_some_and(|told| told < between.asked)
                && between.told.is_some_and(|told| told < order.asked)
        })
    };
    let mut ended = orders.iter().filter(has_ended);
    ended.any(|other| {
        order.told.is_some_and(|told| other.asked < told) && !is_resumed_between(other)
    })
}
