//! One process of recording control, and what callers ask of it.

use std::sync::Arc;
use std::time::Duration;

use recording_vault::control::requester::Requester;
use recording_vault::control::start::Start;
use recording_vault::control::state::RecordingState;
use recording_vault::control::{ControlError, ControlPolicy, RecordingControl};
use recording_vault::export::Budget;
use recording_vault::recording::RecordingId;
use serde_json::json;
use uuid::Uuid;

use super::line::Line;
use super::world::{ControlWorld, Told};
use crate::interleavings::action::Done;
use crate::interleavings::gate::Gate;
use crate::interleavings::process::{BUDGET, MISSING_AFTER};
use crate::interleavings::stores::GatedStore;

/// The first recording of the call.
pub const FIRST: &str = "recording-1";
const CALL: &str = "aHR0cHM6Ly9jb252LmV4YW1wbGUvYWJj";
/// How long a pause lasts that the guard is to end.
pub const PAUSE: Duration = Duration::from_mins(5);

const API: Requester = Requester::Api { principal: None };

/// What a caller, or the timer, asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    Start,
    /// The start of the disturbed process's caller, sent again.
    StartAgain,
    Pause,
    /// Until the guard ends it.
    PauseForAWhile,
    Resume,
    Stop,
    /// Resumed, and paused again without an end.
    ResumeAndPause,
    /// Resumed, and paused again until the guard ends it.
    ResumeAndPauseForAWhile,
    /// The timer's sweep: the guard of pauses.
    Guard,
    State,
}

/// A process, with the name of its caller.
pub struct ControlProcess {
    world: ControlWorld,
    control: RecordingControl,
    caller: &'static str,
}

impl ControlProcess {
    pub fn new(world: &ControlWorld, line: &Line, gate: &Arc<Gate>, caller: &'static str) -> Self {
        line.connect(gate, &world.acs);
        let store = Arc::new(GatedStore {
            inner: Arc::clone(&world.store),
            gate: Arc::clone(gate),
        });
        let policy = ControlPolicy {
            requires_consent: true,
            missing_after: MISSING_AFTER,
        };
        let clock = world.clock.clone();
        Self {
            world: world.clone(),
            control: RecordingControl::new(line.client.clone(), store, clock, policy),
            caller,
        }
    }

    /// Carries an order out, and notes what the caller is told.
    pub async fn perform(&self, order: Order) -> Done {
        let done = match order {
            Order::Start => self.start(self.caller).await,
            Order::StartAgain => self.start("A").await,
            Order::Pause => self.pause(None).await,
            Order::PauseForAWhile => self.pause(Some(PAUSE)).await,
            Order::Resume => self.resume().await,
            Order::Stop => self.stop().await,
            Order::ResumeAndPause => {
                self.resume().await;
                self.world.clock.advance(Duration::from_secs(5));
                self.pause(None).await
            }
            Order::ResumeAndPauseForAWhile => {
                self.resume().await;
                self.world.clock.advance(Duration::from_secs(5));
                self.pause(Some(PAUSE)).await
            }
            Order::Guard => self.guard().await,
            Order::State => {
                let state = self.control.state(&first()).await;
                state.map_or_else(failed, |_| Done::Done)
            }
        };
        let line = format!("   {} {order:?}: {done:?}", self.caller);
        self.world.facts.trace("", &line, None);
        done
    }

    async fn start(&self, caller: &'static str) -> Done {
        let body = json!({
            "serverCallId": CALL,
            "consent": {
                "basis": "consent", "givenBy": consent_of(caller),
                "givenAt": self.world.now().to_string(),
            },
        });
        let version = self.control.api_version();
        let start = Start::parse(body.to_string().as_bytes(), version);
        let start = start.expect("the start is right");
        let started = self.control.start(&start, request_id(caller), &API);
        match started.await {
            Ok(view) => {
                let id = view.recording_id.to_string();
                self.world.tell(Told::Started { caller, id });
                Done::Done
            }
            Err(error) => failed(error),
        }
    }

    async fn pause(&self, resume_after: Option<Duration>) -> Done {
        let until = resume_after.map(|after| self.world.now() + after);
        match self.control.pause(&first(), resume_after, &API).await {
            Ok(view) if view.state == RecordingState::Paused => {
                self.world.tell(Told::Paused { until });
                Done::Done
            }
            Ok(view) => Done::nothing(format!("it is {:?}", view.state)),
            Err(error) => failed(error),
        }
    }

    async fn resume(&self) -> Done {
        match self.control.resume(&first(), &API).await {
            Ok(view) if view.state == RecordingState::Active => {
                self.world.tell(Told::Resumed);
                Done::Done
            }
            Ok(view) => Done::nothing(format!("it is {:?}", view.state)),
            Err(error) => failed(error),
        }
    }

    async fn stop(&self) -> Done {
        match self.control.stop(&first(), &API).await {
            Ok(_) => {
                self.world.tell(Told::Stopped);
                Done::Done
            }
            Err(error) => failed(error),
        }
    }

    /// The timer's sweep.
    pub async fn guard(&self) -> Done {
        let swept = self.control.sweep(Budget::of(BUDGET)).await;
        swept.map_or_else(Done::failed, |_| Done::Done)
    }
}

fn failed(error: ControlError) -> Done {
    match error {
        ControlError::AlreadyInProgress { .. }
        | ControlError::StartUnknown { .. }
        | ControlError::NotStarted { .. } => Done::nothing(error.to_string()),
        other @ (ControlError::Invalid(_)
        | ControlError::ConsentRequired
        | ControlError::KeyReused { .. }
        | ControlError::Acs(_)
        | ControlError::Register(_)) => Done::failed(other),
    }
}

/// The evidence of a caller's start.
pub fn consent_of(caller: &str) -> String {
    format!("the participants, asked by {caller}")
}

/// `Idempotency-Key` of a caller's start.
pub fn request_id(caller: &str) -> Uuid {
    Uuid::new_v5(&Uuid::NAMESPACE_OID, caller.as_bytes())
}

fn first() -> RecordingId {
    FIRST.parse().expect("it is a recording's id")
}
