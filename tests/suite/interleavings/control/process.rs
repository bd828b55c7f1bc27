//! One process of recording control, and what callers ask of it.

use std::sync::Arc;
use std::time::Duration;

use recording_vault::catalogue::Catalogue;
use recording_vault::clock::Clock;
use recording_vault::control::requester::Requester;
use recording_vault::control::start::Start;
use recording_vault::control::state::RecordingState;
use recording_vault::control::telephony::{AfterResponse, Telephony};
use recording_vault::control::{ControlError, ControlPolicy, RecordingControl};
use recording_vault::export::{Budget, ChunkLedger, Vaults};
use recording_vault::recording::{IncomingEvent, RecordingId};
use recording_vault::store::document_store::DocumentStore;
use recording_vault::vault::memory::MemoryVault;
use serde_json::json;
use uuid::Uuid;

use super::line::Line;
use super::orders::{Asked, Effect};
use super::world::{ControlWorld, Told};
use crate::interleavings::action::Done;
use crate::interleavings::gate::Gate;
use crate::interleavings::process::{BUDGET, MISSING_AFTER};
use crate::interleavings::stores::GatedStore;
use crate::support::pipeline::{CLAIM_TTL, RETENTION};

/// The first recording of the call.
pub const FIRST: &str = "recording-1";
const CALL: &str = "aHR0cHM6Ly9jb252LmV4YW1wbGUvYWJj";
const GROUP: &str = "b5c6fd4b-7ae3-4b52-a5c2-7b5f7a3f7d41";
/// The recording's file.
pub const DOCUMENT: &str = "0-weu-d1-0123456789abcdef";
/// How long a pause lasts that the guard is to end.
pub const PAUSE: Duration = Duration::from_mins(5);

const API: Requester = Requester::Api {
    principal: None,
    invocation: None,
};

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
    /// The timer's sweep: the guard of pauses, starts and bots' commands whose outcome is unknown.
    Guard,
    State,
    /// The start of the call by the name of its group: ACS alone knows that it is the same call.
    StartOfGroup,
    /// A bot's commands; the same order again is the same command again.
    BotStart,
    BotPause,
    BotResume,
    BotStop,
    /// The timer's report of the day before.
    MakeReport,
    /// An event with the recording's file.
    Announce,
}

impl Order {
    pub fn is_of_a_bot(self) -> bool {
        self.command().is_some()
    }

    /// The last part of a bot's command.
    fn command(self) -> Option<&'static str> {
        match self {
            Self::BotStart => Some("start"),
            Self::BotPause => Some("pause"),
            Self::BotResume => Some("resume"),
            Self::BotStop => Some("stop"),
            Self::Start
            | Self::StartAgain
            | Self::StartOfGroup
            | Self::Pause
            | Self::PauseForAWhile
            | Self::Resume
            | Self::Stop
            | Self::ResumeAndPause
            | Self::ResumeAndPauseForAWhile
            | Self::Guard
            | Self::State
            | Self::MakeReport
            | Self::Announce => None,
        }
    }
}

/// A process, with the name of its caller.
pub struct ControlProcess {
    world: ControlWorld,
    control: Arc<RecordingControl>,
    telephony: Arc<Telephony>,
    catalogue: Catalogue,
    caller: &'static str,
}

impl ControlProcess {
    pub fn new(world: &ControlWorld, line: &Line, gate: &Arc<Gate>, caller: &'static str) -> Self {
        line.connect(gate, &world.acs);
        let store: Arc<dyn DocumentStore> = Arc::new(GatedStore {
            inner: world.store.clone(),
            gate: Arc::clone(gate),
        });
        let policy = ControlPolicy {
            requires_consent: true,
            missing_after: MISSING_AFTER,
        };
        let clock: Arc<dyn Clock> = world.clock.clone();
        let control = RecordingControl::new(
            line.client.clone(),
            Arc::clone(&store),
            Arc::clone(&clock),
            policy,
        );
        let control = Arc::new(control);
        let ledger = ChunkLedger::new(Arc::clone(&store), Arc::clone(&clock), RETENTION, CLAIM_TTL);
        let vaults = Vaults::new(Arc::new(MemoryVault::default()), None);
        let register = control.register().clone();
        let catalogue = Catalogue::new(ledger, register, vaults, clock);
        Self {
            world: world.clone(),
            control: Arc::clone(&control),
            telephony: Arc::new(Telephony::new(control, store, None)),
            catalogue,
            caller,
        }
    }

    /// Carries an order out, and notes what the caller is told.
    pub async fn perform(&self, order: Order) -> Done {
        let done = match order {
            Order::Start => self.start(self.caller, "serverCallId").await,
            Order::StartAgain => self.start("A", "serverCallId").await,
            Order::StartOfGroup => self.start(self.caller, "groupCallId").await,
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
            Order::BotStart | Order::BotPause | Order::BotResume | Order::BotStop => {
                self.command(order).await
            }
            Order::MakeReport => {
                let made = self.catalogue.report_daily().await;
                made.map_or_else(Done::failed, |()| Done::Done)
            }
            Order::Announce => self.announce().await,
            Order::State => {
                let state = self.control.state(&first()).await;
                state.map_or_else(failed, |_| Done::Done)
            }
        };
        let line = format!("   {} {order:?}: {done:?}", self.caller);
        self.world.facts.trace("", &line, None);
        done
    }

    async fn start(&self, caller: &'static str, call: &str) -> Done {
        let body = json!({
            call: if call == "serverCallId" { CALL } else { GROUP },
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
        let asked = self.ask(Effect::Pause { until });
        match self.control.pause(&first(), resume_after, &API).await {
            Ok(view) if view.state == RecordingState::Paused => {
                self.world.tell(Told::Paused { until });
                self.answered(asked);
                Done::Done
            }
            Ok(view) => Done::nothing(format!("it is {:?}", view.state)),
            Err(error) => failed(error),
        }
    }

    async fn resume(&self) -> Done {
        let asked = self.ask(Effect::Resume);
        match self.control.resume(&first(), &API).await {
            Ok(view) if view.state == RecordingState::Active => {
                self.world.tell(Told::Resumed);
                self.answered(asked);
                Done::Done
            }
            Ok(view) => Done::nothing(format!("it is {:?}", view.state)),
            Err(error) => failed(error),
        }
    }

    fn ask(&self, effect: Effect) -> Asked {
        let moment = self.world.facts.moment();
        self.world.orders.ask(effect, moment)
    }

    /// Notes that the caller of an order is told that it is carried out.
    fn answered(&self, asked: Asked) {
        let moment = self.world.facts.moment();
        self.world.orders.tell(asked, moment);
    }

    async fn stop(&self) -> Done {
        let asked = self.ask(Effect::Stop);
        match self.control.stop(&first(), &API).await {
            Ok(_) => {
                self.world.tell(Told::Stopped);
                self.answered(asked);
                Done::Done
            }
            Err(error) => failed(error),
        }
    }

    /// Sends a bot's command, whose result is wanted in the answer.
    async fn command(&self, order: Order) -> Done {
        let command = order.command().expect("it is a bot's");
        let consent = json!({
            "basis": "consent", "givenBy": consent_of("bot"),
            "givenAt": self.world.now().to_string(),
        });
        let mut data = json!({"serverCallId": CALL});
        if order == Order::BotStart {
            data["consent"] = consent;
        }
        let activity = json!({
            "type": "command",
            "name": format!("channel/vnd.microsoft.telephony.recording.{command}"),
            "value": {"commandId": command, "data": data},
            "deliveryMode": "expectReplies",
        });
        let body = activity.to_string();
        let taken = self
            .telephony
            .take("conversation", body.as_bytes(), AfterResponse::Continues);
        match taken.await {
            Ok(taken) => {
                let result = taken.result.expect("it is wanted in the answer");
                let result = result["value"].clone();
                self.world.tell(Told::Answered { command, result });
                Done::Done
            }
            Err(error) => Done::failed(error),
        }
    }

    async fn announce(&self) -> Done {
        let event = json!({
            "id": "e", "eventType": "Microsoft.Communication.RecordingFileStatusUpdated",
            "eventTime": self.world.now().to_string(),
            "subject": format!("/recording/call/c/serverCallId/{CALL}/recordingId/{FIRST}"),
            "data": {
                "recordingStorageInfo": {"recordingChunks": [{"documentId": DOCUMENT, "index": 0}]},
                "sessionEndReason": "CallEnded",
            },
        });
        let Ok(IncomingEvent::RecordingFileStatusUpdated(update)) = IncomingEvent::parse(&event)
        else {
            panic!("it is an event with a file");
        };
        match self.control.announced(&update).await {
            Ok(_) => {
                self.world.tell(Told::Announced);
                Done::Done
            }
            Err(error) => Done::failed(error),
        }
    }

    /// The timer's sweep.
    pub async fn guard(&self) -> Done {
        let swept = self.control.sweep(Budget::of(BUDGET)).await;
        let commands = self.telephony.sweep(Budget::of(BUDGET)).await;
        let swept = swept.map(|_| ()).and(commands);
        swept.map_or_else(Done::failed, |()| Done::Done)
    }
}

fn failed(error: ControlError) -> Done {
    match error {
        ControlError::AlreadyInProgress { .. }
        | ControlError::StartUnknown { .. }
        | ControlError::NotStarted { .. }
        | ControlError::Ended { .. } => Done::nothing(error.to_string()),
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
