//! The problems of the chunks of one event: one sentence of bounded length, however many there are.

use crate::recording::RecordingFileStatusUpdated;

/// Invalid chunks of one event that are named.
const NAMED: usize = 5;

/// The first problems of an event, and how many there are.
pub(super) struct EventProblems {
    named: Vec<String>,
    count: usize,
}

impl EventProblems {
    /// With the chunks that could not be read.
    pub fn of(update: &RecordingFileStatusUpdated) -> Self {
        let named = update.refused.iter().take(NAMED).map(|refused| {
            format!(
                "chunk {} of the event: {}",
                refused.position, refused.reason
            )
        });
        Self {
            named: named.collect(),
            count: update.refused_count,
        }
    }

    pub fn add(&mut self, problem: impl FnOnce() -> String) {
        self.count += 1;
        if self.named.len() < NAMED {
            self.named.push(problem());
        }
    }

    /// The whole sentence; `None` if there is no problem.
    pub fn reason(&self) -> Option<String> {
        let named = self.named.join("; ");
        match (self.named.is_empty(), self.count - self.named.len()) {
            (true, _) => None,
            (false, 0) => Some(named),
            (false, more) => Some(format!("{named}; and {more} more")),
        }
    }
}
