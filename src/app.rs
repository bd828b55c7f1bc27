//! What the functions and verbs work with. `compose` puts it together.

use std::sync::Arc;
use std::time::Duration;

use crate::catalogue::Catalogue;
use crate::catalogue::tickets::Tickets;
use crate::clock::Clock;
use crate::control::RecordingControl;
use crate::control::telephony::{AfterResponse, Telephony};
use crate::export::retention::Retention;
use crate::export::{ChunkLedger, ExportDriver, ExportSweep, Vaults};
use crate::intake::Intake;
use crate::intake::dispatch::Dispatch;
use crate::notify::Notifier;
use crate::oidc::TokenValidator;
use crate::operator_actions::OperatorActions;
use crate::recent_all_clear::RecentAllClear;
use crate::secret::SharedSecret;
use crate::sweep_rhythm::SweepRhythm;
use crate::throttle::Throttle;
use crate::timestamps::TimestampAuthority;

/// The application: one service for each of its tasks.
pub struct App {
    pub clock: Arc<dyn Clock>,
    pub ledger: ChunkLedger,
    pub vaults: Vaults,
    pub control: Arc<RecordingControl>,
    /// Takes events from any source.
    pub intake: Intake,
    /// Exports the chunks that a delivery announced.
    pub dispatch: Arc<Dispatch>,
    pub driver: Arc<ExportDriver>,
    pub sweep: ExportSweep,
    /// Deletes copies that are past `VAULT_RETENTION`; `None` where copies are kept without a limit.
    pub retention: Option<Retention>,
    /// Finds, shows and plays recordings.
    pub catalogue: Catalogue,
    /// Holds, retries, replays, verifies.
    pub actions: OperatorActions,
    pub tickets: Tickets,
    pub event_grid: EventGridDoor,
    /// Checks the tokens of ACS's callbacks; `None` where callbacks are off.
    pub callback_tokens: Option<TokenValidator>,
    /// Takes the commands of bots; `None` where they are off.
    pub telephony: Option<TelephonyDoor>,
    /// Notifies other systems about recordings; `None` where notifications are off.
    pub notifier: Option<Arc<Notifier>>,
    /// Stamps checkpoints of the audit log; `None` where no authority is set.
    pub timestamps: Option<TimestampAuthority>,
    pub event_budget: Duration,
    /// The last report of a sweep without problems.
    pub recent_all_clear: RecentAllClear,
    /// How long events that could not be read are kept.
    pub poison_retention: Duration,
    pub sweep_budget: Duration,
    /// How often sweeps end.
    pub sweep_rhythm: SweepRhythm,
    /// Whether App Service Authentication signs callers in.
    pub platform_signs_in: bool,
    /// Whether the vault's API may change something.
    pub actions_enabled: bool,
}

impl App {
    /// Returns the same application for a platform that freezes the process after a response.
    #[must_use]
    pub fn frozen_after_responses(mut self) -> Self {
        if let Some(door) = &mut self.telephony {
            door.after_response = AfterResponse::IsFrozen;
        }
        self
    }

    /// Sends the notifications of a delivery, without delaying its response.
    pub fn notify_soon(&self) {
        if let Some(notifier) = &self.notifier {
            notifier.send_soon();
        }
    }
}

/// Who may deliver to the webhook.
pub struct EventGridDoor {
    pub secret: Option<SharedSecret>,
    pub tokens: Option<TokenValidator>,
    /// Limits how often deliveries without the secret are reported, all of which a wrong setting refuses.
    pub secret_reports: Throttle,
    /// The same, for deliveries with another token than the settings expect.
    pub token_reports: Throttle,
    /// Visits validation URLs; carries no credential.
    pub client: reqwest::Client,
}

/// Who may send commands as a bot.
pub struct TelephonyDoor {
    pub key: Option<SharedSecret>,
    pub tokens: Option<TokenValidator>,
    pub telephony: Arc<Telephony>,
    pub after_response: AfterResponse,
}
