//! The problems of the chunks of one event: one sentence of bounded length, however many there are.

use crate::export::ledger::Recorded;
use crate::recording::{DocumentId, MOST_FILES, RecordingFileStatusUpdated};

/// Invalid chunks of one event that are named.
const NAMED: usize = 5;

/// The first problems of an event, and how many there are.
#[derive(Default)]
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

    /// Adds a chunk whose file could not be recorded, because of what is known of the chunk.
    pub fn add_conflict(&mut self, id: &DocumentId, recorded: Recorded) {
        match recorded {
            Recorded::NotAdmitted => self.add(|| {
                format!("chunk `{id}` is known already, and this event names another location for it, which is not one of ACS's")
            }),
            Recorded::TooManyFiles => self.add(|| {
                format!("chunk `{id}` has {MOST_FILES} files already, and this event announces another")
            }),
            Recorded::OfAnotherRecording => self.add(|| {
                format!("chunk `{id}` is known as one of another recording or call than this event names")
            }),
            Recorded::New
            | Recorded::AlreadyKnown
            | Recorded::OtherFile(_)
            | Recorded::Erased
            | Recorded::LeftToErasure => {}
        }
    }

    fn add(&mut self, problem: impl FnOnce() -> String) {
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
