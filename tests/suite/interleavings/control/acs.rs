//! ACS's recording operations in memory: what runs, what is paused, what ended. It knows no HTTP.

use std::sync::{Mutex, MutexGuard};

use serde_json::{Value, json};

/// An answer: status and body.
pub type Answer = (u16, Value);

/// A recording at ACS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcsRecording {
    pub id: String,
    /// `Repeatability-Request-ID` of the start that made it.
    pub request_id: String,
    pub state: AcsState,
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
#[derive(Default)]
pub struct Acs(Mutex<Vec<AcsRecording>>);

impl Acs {
    pub fn recordings(&self) -> MutexGuard<'_, Vec<AcsRecording>> {
        self.0.lock().expect("no holder of this lock panics")
    }

    /// The same recordings, of which the other knows nothing.
    pub fn copy(&self) -> Self {
        Self(Mutex::new(self.recordings().clone()))
    }

    /// Carries an operation out.
    pub fn carry_out(&self, operation: &Operation) -> Answer {
        let mut recordings = self.recordings();
        match operation {
            Operation::Start { request_id } => start(&mut recordings, request_id),
            Operation::State { id } => match running(&mut recordings, id) {
                Some(recording) if recording.state == AcsState::Active => state(id, "active"),
                Some(_) => state(id, "inactive"),
                None => unknown(),
            },
            Operation::Pause { id } => {
                change(&mut recordings, id, AcsState::Active, AcsState::Paused)
            }
            Operation::Resume { id } => {
                change(&mut recordings, id, AcsState::Paused, AcsState::Active)
            }
            Operation::Stop { id } => match running(&mut recordings, id) {
                Some(recording) => {
                    recording.state = AcsState::Ended;
                    (204, Value::Null)
                }
                None => unknown(),
            },
        }
    }
}

fn start(recordings: &mut Vec<AcsRecording>, request_id: &str) -> Answer {
    let made = |id: &str| (200, json!({"recordingId": id, "recordingState": "active"}));
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
    });
    answer
}

fn running<'a>(recordings: &'a mut [AcsRecording], id: &str) -> Option<&'a mut AcsRecording> {
    recordings
        .iter_mut()
        .find(|known| known.id == id && known.state != AcsState::Ended)
}

fn change(recordings: &mut [AcsRecording], id: &str, from: AcsState, to: AcsState) -> Answer {
    match running(recordings, id) {
        Some(recording) if recording.state == from => {
            recording.state = to;
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
