//! How two parties come together: one runs until its chosen request, and the other comes in between.

use std::sync::Arc;

use futures::future::{BoxFuture, Either, select};

use super::action::Done;
use super::disturbance::Disturbance;
use super::gate::{Freezable, Gate, Halt};

/// Runs a process; when it halts, `others` come. `wait_out` lets more time pass than a claim lasts. `None` when the process
/// was killed.
pub async fn play(
    gate: &Arc<Gate>,
    work: BoxFuture<'_, Done>,
    others: BoxFuture<'_, ()>,
    wait_out: BoxFuture<'_, ()>,
) -> Option<Done> {
    let mut work = Freezable {
        work,
        gate: Arc::clone(gate),
    };
    let halted = Box::pin(gate.halted());
    let halt = match select(&mut work, halted).await {
        Either::Left((done, _)) => {
            others.await;
            gate.deliver_late().await;
            return Some(done);
        }
        Either::Right((halt, _)) => halt,
    };
    match halt {
        Halt::Waiting => match select(&mut work, others).await {
            // What runs beside the disturbed request may end the process's work.
            Either::Left((done, others)) => {
                others.await;
                gate.deliver_late().await;
                return Some(done);
            }
            Either::Right(((), _)) => {}
        },
        Halt::Frozen => {
            wait_out.await;
            others.await;
        }
        Halt::Killed(how) => {
            drop(work);
            if how == Disturbance::KilledLongAgo {
                wait_out.await;
            }
            others.await;
            gate.deliver_late().await;
            return None;
        }
    }
    gate.release();
    let done = work.await;
    gate.deliver_late().await;
    Some(done)
}
