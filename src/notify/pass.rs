//! One pass over the outbox. It must not know what a notice reports.
//!
//! The outbox is a ring: a pass begins after the notice that was tried last. So an event that the receiver never accepts
//! holds no other back. The position is kept in memory: a new process begins with the first notice.

use tracing::warn;

use super::{NotTaken, Notifier, SentReport};
use crate::export::Budget;
use crate::store::document_store::StoreError;

/// Notices that are read at a time.
const PAGE: usize = 100;
/// Events in a row that the receiver fails to process; more are not posted to it in this pass. Single events may fail at a
/// receiver that processes all others.
const MOST_FAILURES: usize = 3;

/// What became of a notice in a pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tried {
    Sent,
    /// It is not to be sent yet.
    NotSent,
    /// It was removed: its fact is not true.
    Dropped,
    /// The receiver rejected this event: it works.
    Refused,
    /// The receiver failed, perhaps because of this event.
    Failed,
    /// There was no answer. Each further event may take as long.
    Unavailable,
}

/// How a pass ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PassEnd {
    Complete,
    /// The budget is spent, or the receiver is down.
    Stopped,
}

/// A pass over the outbox.
pub(super) struct Pass<'a> {
    notifier: &'a Notifier,
    /// Moves on before each attempt.
    tried_last: &'a mut Option<String>,
    budget: Budget,
    report: SentReport,
    failures_in_a_row: usize,
}

impl From<NotTaken> for Tried {
    fn from(not_taken: NotTaken) -> Self {
        match not_taken {
            NotTaken::Unavailable(_) => Self::Unavailable,
            NotTaken::Answered(408 | 429 | 500..) => Self::Failed,
            NotTaken::Answered(_) => Self::Refused,
        }
    }
}

impl<'a> Pass<'a> {
    pub fn new(notifier: &'a Notifier, tried_last: &'a mut Option<String>, budget: Budget) -> Self {
        Self {
            notifier,
            tried_last,
            budget,
            report: SentReport::default(),
            failures_in_a_row: 0,
        }
    }

    /// Sends the waiting notices, each once.
    pub async fn run(mut self) -> Result<(SentReport, PassEnd), StoreError> {
        let start = self.tried_last.clone();
        let mut end = self.send_between(start.as_deref(), None).await?;
        if end == PassEnd::Complete && start.is_some() {
            end = self.send_between(None, start.as_deref()).await?;
        }
        Ok((self.report, end))
    }

    /// Sends the notices after the one with the id `after`, up to and with the one with the id `up_to`.
    async fn send_between(
        &mut self,
        after: Option<&str>,
        up_to: Option<&str>,
    ) -> Result<PassEnd, StoreError> {
        let mut after = after.map(str::to_owned);
        loop {
            if self.budget.is_spent() {
                return Ok(PassEnd::Stopped);
            }
            let page = self.notifier.outbox.waiting(after.as_deref(), PAGE).await?;
            let Some(last) = page.last() else {
                return Ok(PassEnd::Complete);
            };
            after = Some(last.id.clone());
            for outgoing in &page {
                if up_to.is_some_and(|up_to| outgoing.id.as_str() > up_to) {
                    return Ok(PassEnd::Complete);
                }
                if self.budget.is_spent() {
                    return Ok(PassEnd::Stopped);
                }
                *self.tried_last = Some(outgoing.id.clone());
                let tried = self.notifier.send_one(outgoing).await?;
                if self.count(tried) == PassEnd::Stopped {
                    return Ok(PassEnd::Stopped);
                }
            }
        }
    }

    /// Counts an attempt; returns whether the pass ends with it.
    fn count(&mut self, tried: Tried) -> PassEnd {
        match tried {
            Tried::Sent => self.report.sent += 1,
            Tried::Dropped => {}
            Tried::NotSent | Tried::Refused | Tried::Failed | Tried::Unavailable => {
                self.report.waiting += 1;
            }
        }
        match tried {
            Tried::Sent | Tried::Refused => self.failures_in_a_row = 0,
            Tried::NotSent | Tried::Dropped => {}
            Tried::Failed => self.failures_in_a_row += 1,
            Tried::Unavailable => return PassEnd::Stopped,
        }
        if self.failures_in_a_row < MOST_FAILURES {
            return PassEnd::Complete;
        }
        warn!(
            "The receiver failed to process {MOST_FAILURES} notifications in a row; the next sweep continues after them"
        );
        PassEnd::Stopped
    }
}
