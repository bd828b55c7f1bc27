//! What a process, or an operator, can do to the chunk, and what comes of it.

use std::error::Error;
use std::fmt;

use recording_vault::error_chain::ErrorChain;

use super::event::Event;
use super::holds::{HeldBy, HoldId};
use super::process::Process;

/// One thing that is done to the chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    Deliver(Event),
    Sweep,
    /// What `delete-source` does when the chunk is due.
    Drive,
    Retry,
    Accept,
    /// For the second case.
    AddHold(HeldBy),
    /// For the first case, which holds it in some scenarios from the beginning.
    ReleaseHold(HeldBy),
    ApplyRetention,
    /// One operator holds the recording, and then another one applies the retention.
    HoldAndApplyRetention(HeldBy),
    Erase,
}

/// Whether it was done. What was not done is done again when all is calm.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::enum_variant_names,
    reason = "`Done::Done` beside what was not done"
)]
pub enum Done {
    Done,
    /// There was nothing to do, as the process says.
    NothingToDo(String),
    Failed(String),
}

impl Done {
    pub fn failed(error: impl Error) -> Self {
        Self::Failed(ErrorChain(&error).to_string())
    }

    pub fn nothing(what: impl fmt::Debug) -> Self {
        Self::NothingToDo(format!("{what:?}"))
    }
}

impl Action {
    /// The hold that is added or released.
    pub fn hold(self) -> Option<HoldId> {
        match self {
            Self::AddHold(by) | Self::HoldAndApplyRetention(by) => Some(by.second()),
            Self::ReleaseHold(by) => Some(by.first()),
            Self::Deliver(_)
            | Self::Sweep
            | Self::Drive
            | Self::Retry
            | Self::Accept
            | Self::ApplyRetention
            | Self::Erase => None,
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Deliver(event) => write!(f, "Deliver{event:?}"),
            Self::Sweep
            | Self::Drive
            | Self::Retry
            | Self::Accept
            | Self::AddHold(_)
            | Self::ReleaseHold(_)
            | Self::ApplyRetention
            | Self::HoldAndApplyRetention(_)
            | Self::Erase => fmt::Debug::fmt(self, f),
        }
    }
}

impl Process {
    /// Carries an action out, and notes what it reports.
    pub async fn perform(&self, action: Action) -> Done {
        let done = match action {
            Action::Deliver(event) => self.deliver(event).await,
            Action::Sweep => self.sweep().await.map_or_else(Done::failed, |_| Done::Done),
            Action::Drive => self.drive().await,
            Action::Retry => self.retry().await,
            Action::Accept => self.accept().await,
            Action::AddHold(by) => self.add_hold(by.second()).await,
            Action::ReleaseHold(by) => self.release_hold(by.first()).await,
            Action::ApplyRetention => self.apply_retention().await,
            Action::HoldAndApplyRetention(by) => {
                self.add_hold(by.second()).await;
                self.apply_retention().await
            }
            Action::Erase => self.erase().await,
        };
        self.world
            .facts
            .trace("", &format!("   {action}: {done:?}"), None);
        done
    }
}
