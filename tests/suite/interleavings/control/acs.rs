//! ACS's recording operations in memory: what runs, what is paused, what ended. It knows no HTTP.

use std::sync::{Arc, Mutex, MutexGuard};

use jiff::{SignedDuration, Timestamp};
use recording_vault::clock::Clock;
use serde_json::{Value, json};

/// ACS reports a change of state this late: 12 s were seen after a start.
const LAG: SignedDuration = SignedDuration::from_secs(12);

/// An answer: status and body.
pub type Answer = (u16, Value);

/// A recording at ACS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcsRecording {
    pub id: String,
    /// `Repeatability-Request-ID` of the start that made it.
    pub request_id: String,
    pub state: AcsState,
    /// What it did before, and when that ended: `GET` reports it for a while.
    before: (AcsState, Timestamp),
}

impl AcsRecording {
    fn enter(&mut self, state: AcsState, now: Timestamp) {
        self.before = (self.reported(now), now);
        self.state = state;
    }

    /// The state that ACS reports.
    fn reported(&self, now: Timestamp) -> AcsState {
        let (before, changed_at) = self.before;
        if now.duration_since(changed_at) < LAG {
            before
        } else {
            self.state
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AcsState {
    Active,
    Paused,
    Ended,
}

/// What is done to a recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    Start { request_id: String },
    State { id: String },
    Pause { id: String },
    Resume { id: String },
    Stop { id: String },
}

/// All recordings, of one call.
pub struct Acs {
    recordings: Mutex<Vec<AcsRecording>>,
    clock: Arc<dyn Clock>,
}

impl Acs {
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            recordings: Mutex::default(),
            clock,
        }
    }

    pub fn recordings(&self) -> MutexGuard<'_, Vec<AcsRecording>> {
        let recordings = self.recordings.lock();
        recordings.expect("no holder of this lock panics")
    }

    /// The same recordings, of which the other knows nothing.
    pub fn copy(&self, clock: Arc<dyn Clock>) -> Self {
        Self {
            recordings: Mutex::new(self.recordings().clone()),
            clock,
        }
    }

    /// Carries an operation out.
    pub fn carry_out(&self, operation: &Operation) -> Answer {
        let (mut recordings, now) = (self.recordings(), self.clock.now());
        match operation {
            Operation::Start { request_id } => start(&mut recordings, request_id, now),
            Operation::State { id } => match running(&mut recordings, id) {
                Some(recording) if recording.reported(now) == AcsState::Active => {
                    state(id, "active")
                }
                Some(_) => state(id, "inactive"),
                None => unknown(),
            },
            Operation::Pause { id } => change(
                &mut recordings,
                id,
                (AcsState::Active, AcsState::Paused),
                now,
            ),
            Operation::Resume { id } => change(
                &mut recordings,
                id,
                (AcsState::Paused, AcsState::Active),
                now,
            ),
            Operation::Stop { id } => match running(&mut recordings, id) {
                Some(recording) => {
                    recording.enter(AcsState::Ended, now);
                    (204, Value::Null)
                }
                None => unknown(),
            },
        }
    }
}

fn start(recordings: &mut Vec<AcsRecording>, request_id: &str, now: Timestamp) -> Answer {
    let made = |id: &str| {
        (
            200,
            json!({"recordingId": id, "recordingState": "inactive"}),
        )
    };
    if let Some(known) = recordings
        .iter()
        .find(|known| known.request_id == request_id)
    {
        return made(&known.id);
    }
    if recordings
        .iter()
        .any(|known| known.state != AcsState::Ended)
    {
        return error(409, "8553");
    }
    let id = format!("recording-{}", recordings.len() + 1);
    let answer = made(&id);
    recordings.push(AcsRecording {
        id,
        request_id: request_id.to_owned(),
        state: AcsState::Active,
        // In its first seconds it is inactive.
        before: (AcsState::Paused, now),
    });
    answer
}

fn running<'a>(recordings: &'a mut [AcsRecording], id: &str) -> Option<&'a mut AcsRecording> {
    recordings
        .iter_mut()
        .find(|known| known.id == id && known.state != AcsState::Ended)
}

fn change(
    recordings: &mut [AcsRecording],
    id: &str,
    (from, to): (AcsState, AcsState),
    now: Timestamp,
) -> Answer {
    match running(recordings, id) {
        Some(recording) if recording.state == from => {
            recording.enter(to, now);
            (202, Value::Null)
        }
        Some(_) => error(409, "8573"),
        None => unknown(),
    }
}

fn state(id: &str, state: &str) -> Answer {
    (200, json!({"recordingId": id, "recordingState": state}))
}

fn unknown() -> Answer {
    error(404, "8522")
}

fn error(status: u16, code: &str) -> Answer {
    (
        status,
        json!({"error": {"code": code, "message": "as it happens"}}),
    )
}
