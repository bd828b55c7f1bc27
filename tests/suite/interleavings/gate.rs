//! The gate that every request of one process passes: it names the requests, and disturbs the one that is chosen.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use futures::future::BoxFuture;

use super::disturbance::{Disturbance, Kind};
use super::facts::Facts;

/// A request that can be sent more than once, and arrive later than it was sent; it is told when it was sent.
pub type Call<T> = Arc<dyn Fn(u64) -> BoxFuture<'static, T> + Send + Sync>;

/// A request by its name, and which one of that name it is, from 1 on. Requests that run side by side come in any order, so
/// a number over all of them would not name the same request twice.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RequestId {
    pub name: String,
    pub occurrence: usize,
}

/// A request that is to be disturbed, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    pub request: RequestId,
    pub disturbance: Disturbance,
}

/// Why a process waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Halt {
    /// For a request.
    Waiting,
    /// It does nothing at all, its timers neither.
    Frozen,
    Killed(Disturbance),
}

/// All requests of one process.
pub struct Gate {
    facts: Arc<Facts>,
    party: &'static str,
    target: Option<Target>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    seen: Vec<(RequestId, Kind)>,
    counts: BTreeMap<String, usize>,
    halt: Option<Halt>,
    /// The halt was seen by whoever runs the parties.
    is_reported: bool,
    wakers: Vec<Waker>,
    late: Vec<BoxFuture<'static, ()>>,
}

impl Gate {
    pub fn new(facts: &Arc<Facts>, party: &'static str, target: Option<Target>) -> Arc<Self> {
        Arc::new(Self {
            facts: Arc::clone(facts),
            party,
            target,
            state: Mutex::default(),
        })
    }

    /// Every request so far, in the order in which they came.
    pub fn seen(&self) -> Vec<(RequestId, Kind)> {
        self.state().seen.clone()
    }

    /// Sends a request, or what becomes of it. `failure` is what the process hears when its answer is lost for good.
    pub async fn pass<T: Send + 'static>(
        &self,
        kind: Kind,
        name: String,
        failure: T,
        call: Call<T>,
    ) -> T {
        self.while_frozen().await;
        let disturbance = self.admit(kind, &name);
        let sent = self.facts.moment();
        self.facts.trace(self.party, &name, disturbance);
        let Some(disturbance) = disturbance else {
            return call(sent).await;
        };
        match disturbance {
            Disturbance::Held => {
                self.halt(Halt::Waiting).await;
                self.facts.trace(self.party, &name, None);
                call(sent).await
            }
            Disturbance::AnswerLate => {
                let answer = call(sent).await;
                self.halt(Halt::Waiting).await;
                answer
            }
            Disturbance::Repeated => {
                drop(call(sent).await);
                call(sent).await
            }
            Disturbance::RepeatedLate => {
                drop(call(sent).await);
                self.halt(Halt::Waiting).await;
                self.facts.trace(self.party, &name, None);
                call(sent).await
            }
            Disturbance::AnswerLost => {
                drop(call(sent).await);
                failure
            }
            Disturbance::AppliedAgainLate => {
                self.leave(&call, sent);
                call(sent).await
            }
            Disturbance::Killed | Disturbance::KilledLongAgo => {
                drop(call(sent).await);
                self.halt(Halt::Killed(disturbance)).await;
                std::future::pending().await
            }
            Disturbance::KilledInFlight => {
                self.leave(&call, sent);
                self.halt(Halt::Killed(disturbance)).await;
                std::future::pending().await
            }
            Disturbance::FrozenBefore => {
                self.halt(Halt::Frozen).await;
                self.facts.trace(self.party, &name, None);
                call(self.facts.moment()).await
            }
            Disturbance::FrozenAfter => {
                let answer = call(sent).await;
                self.halt(Halt::Frozen).await;
                answer
            }
        }
    }

    fn admit(&self, kind: Kind, name: &str) -> Option<Disturbance> {
        let mut state = self.state();
        let count = state.counts.entry(name.to_owned()).or_default();
        *count += 1;
        let request = RequestId {
            name: name.to_owned(),
            occurrence: *count,
        };
        let target = self
            .target
            .as_ref()
            .filter(|target| target.request == request);
        state.seen.push((request, kind));
        target.map(|target| target.disturbance)
    }

    /// Waits until whoever runs the parties lets this one go on.
    async fn halt(&self, halt: Halt) {
        {
            let mut state = self.state();
            (state.halt, state.is_reported) = (Some(halt), false);
            wake(&mut state);
        }
        std::future::poll_fn(|context| self.poll_until(context, |state| state.halt.is_none()))
            .await;
    }

    async fn while_frozen(&self) {
        let is_thawed = |state: &State| state.halt != Some(Halt::Frozen);
        std::future::poll_fn(|context| self.poll_until(context, is_thawed)).await;
    }

    fn poll_until(&self, context: &Context<'_>, is_over: impl Fn(&State) -> bool) -> Poll<()> {
        let mut state = self.state();
        if is_over(&state) {
            return Poll::Ready(());
        }
        state.wakers.push(context.waker().clone());
        Poll::Pending
    }

    /// Resolves when the process waits at its chosen request; once for each time it does.
    pub async fn halted(&self) -> Halt {
        std::future::poll_fn(|context| {
            let mut state = self.state();
            match state.halt.filter(|_| !state.is_reported) {
                Some(halt) => {
                    state.is_reported = true;
                    Poll::Ready(halt)
                }
                None => {
                    state.wakers.push(context.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await
    }

    /// The process goes on.
    pub fn release(&self) {
        let mut state = self.state();
        state.halt = None;
        wake(&mut state);
    }

    /// Requests that are still under way arrive.
    pub async fn deliver_late(&self) {
        let late = std::mem::take(&mut self.state().late);
        for request in late {
            self.facts.trace(self.party, "(the late request)", None);
            request.await;
        }
    }

    fn leave<T: Send + 'static>(&self, call: &Call<T>, sent: u64) {
        let request = call(sent);
        self.state().late.push(Box::pin(async move {
            drop(request.await);
        }));
    }

    fn is_frozen(&self) -> bool {
        self.state().halt == Some(Halt::Frozen)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder of this lock panics")
    }
}

fn wake(state: &mut State) {
    for waker in state.wakers.drain(..) {
        waker.wake();
    }
}

/// The work of a process, which stands still while its gate says so.
pub struct Freezable<'a, T> {
    pub work: BoxFuture<'a, T>,
    pub gate: Arc<Gate>,
}

impl<T> Future for Freezable<'_, T> {
    type Output = T;
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        if self.gate.is_frozen() {
            self.gate.state().wakers.push(context.waker().clone());
            return Poll::Pending;
        }
        self.work.as_mut().poll(context)
    }
}
