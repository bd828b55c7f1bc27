//! What happens at the IO calls of one process: they fail, are answered twice, or are the last.

use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::sync::Notify;

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

    pub(super) async fn around<T, E, F: Future<Output = Result<T, E>>>(
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
