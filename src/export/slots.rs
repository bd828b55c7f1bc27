//! Limits how many chunks transfer concurrently in this process, and schedules them: nearest expiry first,
//! without starving any.
//!
//! A chunk that has worked for a [slice](SLICE) yields when another waits, and queues again behind all that had fewer
//! turns: a slow or huge file delays each of the others by a slice.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};
use tokio::time::Instant;

use super::budget::Budget;

/// How long a chunk may work while others wait.
pub const SLICE: Duration = Duration::from_secs(10);

/// Chunks that wait for the deletion of their sources at once. Each keeps its entry in memory, and its claim.
pub const YIELDING: usize = 256;

/// The slots of a process.
pub struct Slots {
    queue: Mutex<Queue>,
    waiting: watch::Sender<usize>,
    /// As many chunks may be claimed before they have a slot.
    ahead: Arc<Semaphore>,
    /// As many chunks may wait for the deletion of their sources.
    yielding: Semaphore,
}

/// The right to claim a chunk that has no slot yet, and is about to get one.
#[derive(Debug)]
pub struct ClaimAhead {
    /// Given back when it is dropped.
    _permit: OwnedSemaphorePermit,
}

struct Queue {
    free: usize,
    next_ticket: u64,
    waiting: BTreeMap<Ticket, oneshot::Sender<Slot>>,
}

/// Fewest turns first, then nearest expiry, then first come.
type Ticket = (u32, Timestamp, u64);

/// The right to transfer one chunk. When dropped, it is passed to the next in the queue.
pub struct Slot {
    slots: Arc<Slots>,
}

impl Slots {
    pub fn new(count: usize) -> Arc<Self> {
        let queue = Queue {
            free: count,
            next_ticket: 0,
            waiting: BTreeMap::new(),
        };
        Arc::new(Self {
            queue: Mutex::new(queue),
            waiting: watch::Sender::new(0),
            ahead: Arc::new(Semaphore::new(count)),
            yielding: Semaphore::new(YIELDING),
        })
    }

    /// The right to claim a chunk before it has a slot, if a slot is free now. As many have it at once as there are slots.
    pub fn claim_ahead(&self) -> Option<ClaimAhead> {
        if self.queue().free == 0 {
            return None;
        }
        let permit = Arc::clone(&self.ahead).try_acquire_owned().ok()?;
        Some(ClaimAhead { _permit: permit })
    }

    /// Takes a slot, if one is free.
    pub fn try_acquire(self: &Arc<Self>) -> Option<Slot> {
        let mut queue = self.queue();
        queue.free = queue.free.checked_sub(1)?;
        Some(Slot {
            slots: Arc::clone(self),
        })
    }

    /// Waits for a slot; `turns`: how many the chunk has had. Cancel-safe: when dropped, it leaves the queue.
    pub async fn acquire(self: &Arc<Self>, turns: u32, expires_at: Timestamp) -> Slot {
        let (ticket, receiver) = {
            let mut queue = self.queue();
            if queue.free > 0 {
                queue.free -= 1;
                return Slot {
                    slots: Arc::clone(self),
                };
            }
            let ticket = (turns, expires_at, queue.next_ticket);
            queue.next_ticket += 1;
            let (sender, receiver) = oneshot::channel();
            queue.waiting.insert(ticket, sender);
            self.publish_length(&queue);
            (ticket, receiver)
        };
        let _queued = Queued {
            slots: self,
            ticket,
        };
        receiver
            .await
            .expect("a sender leaves the queue with a slot, or with its receiver")
    }

    /// Whether a chunk waits for a slot.
    fn is_awaited(&self) -> bool {
        *self.waiting.borrow() > 0
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn publish_length(&self, queue: &Queue) {
        self.waiting.send_replace(queue.waiting.len());
    }

    fn release(self: &Arc<Self>) {
        let next = {
            let mut queue = self.queue();
            let next = queue.waiting.pop_first();
            match next {
                Some(_) => self.publish_length(&queue),
                None => queue.free += 1,
            }
            next
        };
        if let Some((_, sender)) = next {
            // A waiter that has given up meanwhile drops the slot, which is passed to the next.
            drop(sender.send(Slot {
                slots: Arc::clone(self),
            }));
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.slots.release();
    }
}

/// A place in the queue.
struct Queued<'a> {
    slots: &'a Slots,
    ticket: Ticket,
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        let mut queue = self.slots.queue();
        queue.waiting.remove(&self.ticket);
        self.slots.publish_length(&queue);
    }
}

/// One turn of a chunk, limited by a slice and the budget.
pub struct Turn {
    budget: Budget,
    slice_ends: Mutex<Instant>,
    /// Only the budget ends it, because what was read would be lost.
    is_patient: AtomicBool,
    slot: Slot,
}

impl Turn {
    /// Starts a turn now.
    pub fn new(slot: Slot, budget: Budget) -> Self {
        Self {
            budget,
            slice_ends: Mutex::new(Instant::now() + SLICE),
            is_patient: AtomicBool::new(false),
            slot,
        }
    }

    /// Starts another slice: the work of this one was lost.
    pub fn begin_again(&self) {
        *self
            .slice_ends
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Instant::now() + SLICE;
    }

    /// Lets only the budget end it from now on: a file without ranges, length or a lasting version must be read from its
    /// beginning every time.
    pub fn be_patient(&self) {
        self.is_patient.store(true, Ordering::Relaxed);
    }

    fn slice_ends(&self) -> Instant {
        *self
            .slice_ends
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub fn budget(&self) -> Budget {
        self.budget
    }

    /// Ends the turn for the chunks that wait for their export, and waits until none does: a [slice](SLICE) at most, not
    /// past the budget, and not where [many](YIELDING) wait so. Returns the next turn, or `None` where the time was over
    /// before it came.
    pub async fn let_exports_pass(self, turns: u32, expires_at: Timestamp) -> Option<Self> {
        let slots = Arc::clone(&self.slot.slots);
        if !slots.is_awaited() {
            return Some(self);
        }
        let Ok(_yielding) = slots.yielding.try_acquire() else {
            return Some(self);
        };
        let budget = self.budget;
        drop(self);
        tokio::select! {
            biased;
            slot = slots.acquire(turns, expires_at) => Some(Self::new(slot, budget)),
            () = tokio::time::sleep(SLICE) => None,
            () = budget.spent() => None,
        }
    }

    pub fn is_over(&self) -> bool {
        let slice_is_over = || Instant::now() >= self.slice_ends() && self.slot.slots.is_awaited();
        self.budget.is_spent() || (!self.is_patient.load(Ordering::Relaxed) && slice_is_over())
    }

    /// Resolves when the budget is spent, or the slice is and another waits.
    pub async fn over(&self) {
        let mut waiting = self.slot.slots.waiting.subscribe();
        let yielding = async {
            while Instant::now() < self.slice_ends() {
                tokio::time::sleep_until(self.slice_ends()).await;
            }
            // Fails only when the sender is dropped, and the slot keeps it.
            let _ = waiting.wait_for(|waiting| *waiting > 0).await;
            if self.is_patient.load(Ordering::Relaxed) {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            () = self.budget.spent() => {}
            () = yielding => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt as _;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[tokio::test]
    async fn the_nearest_expiry_is_next_and_then_who_came_first() {
        let slots = Slots::new(1);
        let held = slots.acquire(0, at(0)).await;
        let mut late = Box::pin(slots.acquire(0, at(300)));
        let mut early = Box::pin(slots.acquire(0, at(100)));
        let mut early_too = Box::pin(slots.acquire(0, at(100)));
        assert!(late.as_mut().now_or_never().is_none());
        assert!(
            early.as_mut().now_or_never().is_none() && early_too.as_mut().now_or_never().is_none()
        );
        drop(held);
        assert!(
            late.as_mut().now_or_never().is_none() && early_too.as_mut().now_or_never().is_none()
        );
        let held = early.as_mut().now_or_never().unwrap();
        drop(held);
        let held = early_too.as_mut().now_or_never().unwrap();
        drop(held);
        assert!(late.as_mut().now_or_never().is_some());
    }

    #[tokio::test]
    async fn who_had_a_turn_comes_after_who_had_none() {
        let slots = Slots::new(1);
        let held = slots.acquire(0, at(0)).await;
        let mut again = Box::pin(slots.acquire(1, at(100)));
        let mut newcomer = Box::pin(slots.acquire(0, at(300)));
        assert!(
            again.as_mut().now_or_never().is_none() && newcomer.as_mut().now_or_never().is_none()
        );
        drop(held);
        assert!(
            again.as_mut().now_or_never().is_none() && newcomer.as_mut().now_or_never().is_some()
        );
    }

    #[tokio::test]
    async fn who_gives_up_waiting_keeps_no_slot() {
        let slots = Slots::new(1);
        let held = slots.acquire(0, at(0)).await;
        let mut quitter = Box::pin(slots.acquire(0, at(1)));
        assert!(quitter.as_mut().now_or_never().is_none());
        let mut granted = Box::pin(slots.acquire(0, at(2)));
        assert!(granted.as_mut().now_or_never().is_none());
        drop(quitter);
        drop(held);
        drop(granted);
        assert!(
            slots.acquire(0, at(3)).now_or_never().is_some(),
            "given to one who has gone, it comes back"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_turn_ends_after_its_slice_only_when_another_waits() {
        let slots = Slots::new(1);
        let turn = Turn::new(
            slots.acquire(0, at(0)).await,
            Budget::of(Duration::from_hours(1)),
        );
        tokio::time::advance(SLICE * 2).await;
        assert!(
            !turn.is_over() && turn.over().now_or_never().is_none(),
            "nobody waits"
        );
        let mut waiting = Box::pin(slots.acquire(0, at(1)));
        assert!(waiting.as_mut().now_or_never().is_none());
        turn.over().await;
        assert!(turn.is_over());
        drop(waiting);
        assert!(!turn.is_over());
    }

    #[tokio::test(start_paused = true)]
    async fn a_deletion_lets_exports_pass_and_gets_a_turn_after_them() {
        let slots = Slots::new(1);
        let budget = Budget::of(Duration::from_hours(1));
        let turn = Turn::new(slots.acquire(0, at(0)).await, budget);
        let turn = turn.let_exports_pass(1, at(0)).now_or_never();
        let turn = turn.flatten().expect("nobody waits");
        let mut export = Box::pin(slots.acquire(0, at(300)));
        assert!(export.as_mut().now_or_never().is_none());
        let mut deletion = Box::pin(turn.let_exports_pass(1, at(0)));
        assert!(deletion.as_mut().now_or_never().is_none());
        let exported = export.as_mut().now_or_never().expect("it passed");
        assert!(deletion.as_mut().now_or_never().is_none());
        drop(exported);
        assert!(deletion.await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_deletion_waits_a_slice_at_most_and_not_past_its_budget() {
        for budget in [SLICE * 10, SLICE / 2] {
            let slots = Slots::new(1);
            let turn = Turn::new(slots.acquire(0, at(0)).await, Budget::of(budget));
            let mut export = Box::pin(slots.acquire(0, at(300)));
            assert!(export.as_mut().now_or_never().is_none());
            let began = Instant::now();
            let passing = turn.let_exports_pass(1, at(0));
            let (_exporting, next) = tokio::join!(export, passing);
            assert!(next.is_none() && began.elapsed() == SLICE.min(budget));
        }
    }

    #[tokio::test]
    async fn only_so_many_deletions_wait() {
        let slots = Slots::new(YIELDING + 1);
        let budget = Budget::of(Duration::from_hours(1));
        let mut turns = Vec::new();
        for _ in 0..=YIELDING {
            turns.push(Turn::new(slots.acquire(0, at(0)).await, budget));
        }
        let mut exports: Vec<_> = (0..YIELDING + 2)
            .map(|_| Box::pin(slots.acquire(0, at(300))))
            .collect();
        for export in &mut exports {
            assert!(export.as_mut().now_or_never().is_none());
        }
        let mut passing: Vec<_> = turns
            .into_iter()
            .map(|turn| Box::pin(turn.let_exports_pass(1, at(0))))
            .collect();
        let last = passing.pop().expect("there is one");
        for deletion in &mut passing {
            assert!(deletion.as_mut().now_or_never().is_none());
        }
        assert!(last.now_or_never().flatten().is_some(), "it keeps its turn");
    }

    #[tokio::test(start_paused = true)]
    async fn a_turn_ends_with_its_budget() {
        let slots = Slots::new(1);
        let turn = Turn::new(
            slots.acquire(0, at(0)).await,
            Budget::of(Duration::from_secs(1)),
        );
        turn.over().await;
        assert!(turn.is_over() && turn.budget().remaining().is_zero());
    }
}
