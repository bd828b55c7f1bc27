//! What ends `serve`: a signal, or the death of its host.

use std::time::Duration;

use recording_vault::config::is_under_core_tools;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::host_watch::HostWatch;

/// `func` prints its list of functions meanwhile; without the wait our lines scroll away above it.
const LAST_WORD_AFTER: Duration = Duration::from_secs(2);

/// Where the process runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Surroundings {
    /// Ctrl-C at the terminal reaches host and handler; the host ends the handler.
    Terminal,
    Platform,
}

/// Why `serve` ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// A signal with this number.
    Signal(u8),
    HostGone,
}

/// All causes that may end it.
pub struct Endings {
    surroundings: Surroundings,
    terminate: Signal,
    interrupt: Signal,
    host: HostWatch,
}

impl Surroundings {
    pub fn of(variables: &[(String, String)]) -> Self {
        let is_terminal = is_under_core_tools(|name| {
            let mut variables = variables.iter();
            variables.find_map(|(given, value)| (given == name).then_some(value.as_str()))
        });
        if is_terminal {
            Self::Terminal
        } else {
            Self::Platform
        }
    }

    /// Waits until the screen no longer scrolls.
    #[expect(
        clippy::disallowed_methods,
        reason = "nothing else runs any more: the process is about to end"
    )]
    pub fn let_it_be_read(self) {
        match self {
            Self::Terminal => std::thread::sleep(LAST_WORD_AFTER),
            Self::Platform => {}
        }
    }
}

impl Endings {
    /// # Errors
    /// When signals cannot be received.
    pub fn new(surroundings: Surroundings, host: HostWatch) -> std::io::Result<Self> {
        Ok(Self {
            surroundings,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            host,
        })
    }

    /// Waits for the first of them.
    pub async fn first(mut self) -> Ending {
        tokio::select! {
            _ = self.terminate.recv() => Ending::Signal(15),
            () = interrupted(&mut self.interrupt, self.surroundings) => Ending::Signal(2),
            () = self.host.gone() => Ending::HostGone,
        }
    }
}

/// At a terminal the host handles the first Ctrl-C: it waits for calls in flight and then kills the handler. We handle
/// the second.
async fn interrupted(interrupt: &mut Signal, surroundings: Surroundings) {
    interrupt.recv().await;
    if surroundings == Surroundings::Terminal {
        interrupt.recv().await;
    }
}
