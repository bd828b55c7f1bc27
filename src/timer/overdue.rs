//! A sweep behind an event or a request, where the timer does not fire: it is switched off, or a host that was killed holds
//! its lease.
//!
//! ```text
//! answer of an event, or of a request with a key ─▶ look (once a minute) ─▶ last sweep too long ago ─▶ take it ─▶ sweep
//! ```

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tracing::{debug, warn};

use super::{SweepTrigger, run};
use crate::app::App;
use crate::error_chain::ErrorChain;
use crate::export::Budget;
use crate::export::ledger::OverdueSweep;

const LOOK_EVERY: Duration = Duration::from_mins(1);

/// Looks for an overdue sweep, and runs it.
pub struct SweepLookout {
    app: Arc<App>,
    /// When the process began, and when it looked last.
    looked: Mutex<Looked>,
}

struct Looked {
    began: Instant,
    last: Option<Instant>,
}

impl SweepLookout {
    pub fn new(app: &Arc<App>) -> Arc<Self> {
        let looked = Looked {
            began: Instant::now(),
            last: None,
        };
        Arc::new(Self {
            app: Arc::clone(app),
            looked: Mutex::new(looked),
        })
    }

    /// Looks behind the answer, if it is time. Returns at once.
    pub fn look(self: &Arc<Self>) {
        let Some(running_for) = self.begin_look() else {
            return;
        };
        let lookout = Arc::clone(self);
        tokio::spawn(async move {
            // The timer's process does not know them.
            let budget = Budget::of(LOOK_EVERY);
            lookout.app.control.register_late(budget).await;
            lookout.sweep_if_overdue(running_for).await;
        });
    }

    /// How long the process has run; `None` where it looked within the minute.
    fn begin_look(&self) -> Option<Duration> {
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if looked
            .last
            .is_some_and(|last| now.duration_since(last) < LOOK_EVERY)
        {
            return None;
        }
        looked.last = Some(now);
        Some(now.duration_since(looked.began))
    }

    async fn sweep_if_overdue(&self, running_for: Duration) {
        let taken = self
            .app
            .ledger
            .take_overdue_sweep(self.app.sweep_rhythm.overdue_after(), running_for)
            .await;
        match taken {
            Ok(OverdueSweep::Taken) => {
                warn!(
                    "No sweep ended in time; one runs behind a request. Check that the timer of ExportSweep fires."
                );
                Box::pin(run(&self.app, SweepTrigger::Request)).await;
            }
            Ok(OverdueSweep::NotOverdue | OverdueSweep::TakenByAnother) => {}
            Err(error) => {
                debug!(error = %ErrorChain(&error), "Could not look for an overdue sweep");
            }
        }
    }
}
