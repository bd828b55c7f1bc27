//! The composition root: settings become clients become the application. The only place that names concrete adapters
//! together. It sends nothing.

mod notifications;
mod storage;

use std::sync::Arc;
use std::time::Duration;

use azure_core::credentials::TokenCredential;

use crate::acs::{
    AcsContent, AcsCredential, AcsHttp, CallRecordingClient, ContentGuard, EntraCredential,
};
use crate::app::{App, EventGridDoor, TelephonyDoor};
use crate::bot::Bot;
use crate::catalogue::Catalogue;
use crate::catalogue::tickets::Tickets;
use crate::clock::{Clock, SystemClock};
use crate::config::{
    AcsConfig, Config, EventGridConfig, SignIn, StorageConfig, TelephonyConfig, TimeLimits,
    TimestampConfig, TokenConfig,
};
use crate::control::telephony::{AfterResponse, Telephony};
use crate::control::{ControlPolicy, RecordingControl};
use crate::export::retention::Retention;
use crate::export::source::RecordingSource;
use crate::export::{ChunkLedger, ExportDriver, ExportSweep, Sources, Vaults};
use crate::export_queue::ExportQueue;
use crate::identity::{self, IdentityConfig};
use crate::intake::Intake;
use crate::intake::dispatch::Dispatch;
use crate::oidc::TokenValidator;
use crate::operator_actions::OperatorActions;
use crate::recent_all_clear::RecentAllClear;
use crate::store::DocumentStore;
use crate::throttle::Throttle;
use crate::timestamps::TimestampAuthority;
use crate::vault::VaultUrl;
use crate::vault::azure::ExternalStorage;
use notifications::Notifications;
use storage::Storage;

/// How long a visit to a validation URL of Event Grid may take.
const VISIT_TIMEOUT: Duration = Duration::from_secs(20);
/// A wrong setting refuses every delivery: that is reported at once, and then at this interval.
const REPORT_REFUSED_EVERY: Duration = Duration::from_mins(5);

/// Why the application cannot be put together. None of it depends on the network.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    #[error("could not set up an HTTP client")]
    Http(#[source] reqwest::Error),
    #[error("could not set up the managed identity")]
    Identity(#[source] Box<azure_core::Error>),
    #[error("could not set up the clients of EXTERNAL_STORAGE")]
    External(#[source] Box<azure_core::Error>),
    #[error("could not set up the client of EXPORT_QUEUE_URL")]
    Queue(#[source] Box<azure_core::Error>),
    #[error("could not set up the client of NOTIFY_QUEUE_URL")]
    NotifyQueue(#[source] Box<azure_core::Error>),
    #[error(
        "no setting sends the identity's token to the storage account of {url:?}, so nothing was sent there; if the account is yours, add the URL to REPLAY_FROM, or give it with a SAS"
    )]
    UnnamedHost { url: VaultUrl },
    #[error("could not set up the client of {url:?}")]
    Storage {
        url: VaultUrl,
        source: Box<azure_core::Error>,
    },
}

/// Creates the app's identity, once for each client that needs one.
type NewIdentity<'a> = &'a dyn Fn() -> Result<Arc<dyn TokenCredential>, BuildError>;

/// Puts the application together; sends nothing.
///
/// # Errors
/// When a client cannot be set up.
pub fn app(config: Config) -> Result<App, BuildError> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let identity = config.identity.clone();
    let new_identity = || identity_of(&identity);
    let storage = open_storage(&config.storage, &clock, &new_identity)?;
    let (store, in_flight) = (Arc::clone(&storage.store), config.export.chunks_in_flight);
    let event_source = config.acs.endpoint.join("/").to_string();
    let acs = AcsClients::new(config.acs, &clock, identity.clone())?;
    let notifications = Notifications::new(config.notify, event_source, &store, &new_identity)?;

    let ledger = ledger(&storage, &config.limits, &clock).with_outbox(notifications.outbox());
    let control = control(acs.recording, &ledger, &store, &clock, config.control);
    let control = Arc::new(control.with_outbox(notifications.outbox()));
    let vaults = storage.vaults;
    let source: Arc<dyn RecordingSource> = Arc::new(acs.content);
    let external: Arc<dyn RecordingSource> = Arc::new(storage.external);
    let sources = Sources {
        acs: Arc::clone(&source),
        external: Arc::clone(&external),
    };
    let driver = Arc::new(ExportDriver::new(
        ledger.clone(),
        sources,
        vaults.clone(),
        Arc::clone(&clock),
        config.export,
    ));
    let catalogue = catalogue(&ledger, &control, &vaults, &clock)
        .with_external(external)
        .with_default_country(config.default_country)
        .with_sweep_rhythm(config.limits.sweep_rhythm);
    let retention = config
        .retention
        .map(|policy| Retention::new(ledger.clone(), vaults.clone(), Arc::clone(&clock), policy));
    let intake = Intake::new(&ledger, &control, &source, config.auto_record, &clock);
    // Where a queue drives the chunks, another process may export them.
    let slots = storage.queue.is_none().then(|| driver.slots());
    Ok(App {
        intake: intake.claiming_for(slots),
        dispatch: Dispatch::new(Arc::clone(&driver), storage.queue, in_flight),
        sweep: ExportSweep::new(Arc::clone(&driver)),
        driver,
        retention,
        actions: OperatorActions::new(&ledger, &catalogue, &vaults, &clock),
        catalogue,
        notifier: notifications.notifier(&ledger, &control, &clock),
        tickets: Tickets::new(Arc::clone(&store)),
        event_grid: event_grid(config.event_grid).map_err(BuildError::Http)?,
        callback_tokens: callback_tokens(config.callbacks).map_err(BuildError::Http)?,
        telephony: telephony(config.telephony, &control, &store, &new_identity)?,
        timestamps: timestamp_authority(config.timestamps)?,
        recent_all_clear: RecentAllClear::default(),
        event_budget: config.limits.event_budget,
        poison_retention: config.limits.poison_retention,
        sweep_budget: config.limits.sweep_budget,
        sweep_rhythm: config.limits.sweep_rhythm,
        platform_signs_in: config.platform_signs_in,
        actions_enabled: config.actions_enabled,
        clock,
        ledger,
        vaults,
        control,
    })
}

fn control(
    client: CallRecordingClient,
    ledger: &ChunkLedger,
    store: &Arc<dyn DocumentStore>,
    clock: &Arc<dyn Clock>,
    policy: ControlPolicy,
) -> RecordingControl {
    let control = RecordingControl::new(client, Arc::clone(store), Arc::clone(clock), policy);
    // The ledger knows where the audit log is stored, and a process has one log.
    control.with_audit(ledger.audit_log())
}

fn timestamp_authority(config: TimestampConfig) -> Result<Option<TimestampAuthority>, BuildError> {
    let authority = config.url.map(TimestampAuthority::new);
    authority.transpose().map_err(BuildError::Http)
}

fn ledger(storage: &OpenedStorage, limits: &TimeLimits, clock: &Arc<dyn Clock>) -> ChunkLedger {
    let ledger = ChunkLedger::new(
        Arc::clone(&storage.store),
        Arc::clone(clock),
        limits.source_retention,
        limits.claim_ttl,
    );
    match &storage.audit {
        Some(container) => ledger.with_audit_container(Arc::clone(container)),
        None => ledger,
    }
}

fn catalogue(
    ledger: &ChunkLedger,
    control: &RecordingControl,
    vaults: &Vaults,
    clock: &Arc<dyn Clock>,
) -> Catalogue {
    let register = control.register().clone();
    Catalogue::new(ledger.clone(), register, vaults.clone(), Arc::clone(clock))
}

/// The stores in Blob Storage or a directory.
struct OpenedStorage {
    store: Arc<dyn DocumentStore>,
    audit: Option<Arc<dyn DocumentStore>>,
    vaults: Vaults,
    external: ExternalStorage,
    queue: Option<ExportQueue>,
}

fn open_storage(
    config: &StorageConfig,
    clock: &Arc<dyn Clock>,
    new_identity: NewIdentity<'_>,
) -> Result<OpenedStorage, BuildError> {
    let storage = Storage::new(storage_identity(config, new_identity)?);
    let external = ExternalStorage::new(storage.azure(), &config.external)
        .map_err(|error| BuildError::External(Box::new(error)))?;
    Ok(OpenedStorage {
        store: storage.documents(&config.ledger)?,
        audit: config
            .audit
            .as_ref()
            .map(|url| storage.documents(url))
            .transpose()?,
        vaults: storage.vaults(config, clock)?,
        external,
        queue: export_queue(config, new_identity)?,
    })
}

/// The clients that talk to ACS over one connection pool.
struct AcsClients {
    recording: CallRecordingClient,
    content: AcsContent,
}

impl AcsClients {
    fn new(
        config: AcsConfig,
        clock: &Arc<dyn Clock>,
        identity: IdentityConfig,
    ) -> Result<Self, BuildError> {
        let credential = match config.sign_in {
            SignIn::AccessKey(key) => AcsCredential::AccessKey(key),
            SignIn::ManagedIdentity => {
                let entra = EntraCredential::new(move || identity::credential(&identity));
                AcsCredential::Entra(entra.map_err(|error| BuildError::Identity(Box::new(error)))?)
            }
        };
        let http = AcsHttp::new(config.endpoint, credential, Arc::clone(clock))
            .map_err(BuildError::Http)?;
        Ok(Self {
            recording: CallRecordingClient::new(http.clone(), config.api_version),
            content: AcsContent::new(http, ContentGuard::new(config.content_hosts)),
        })
    }
}

/// Opens a container or a directory that the settings or the command line name.
///
/// # Errors
/// When a client cannot be set up, or would send the identity's token to a host that no setting names.
pub fn storage_at(config: &Config, url: &VaultUrl) -> Result<Arc<dyn DocumentStore>, BuildError> {
    let identity = match url {
        VaultUrl::Directory(_) => None,
        VaultUrl::Container(container) if container.has_sas() => None,
        VaultUrl::Container(container) if config.storage.sends_token_to(container) => {
            Some(identity_of(&config.identity)?)
        }
        VaultUrl::Container(_) => return Err(BuildError::UnnamedHost { url: url.clone() }),
    };
    Storage::new(identity).documents(url)
}

fn identity_of(config: &IdentityConfig) -> Result<Arc<dyn TokenCredential>, BuildError> {
    identity::credential(config).map_err(|error| BuildError::Identity(Box::new(error)))
}

/// The identity for Blob Storage; `None` where every container has a SAS or is a directory.
fn storage_identity(
    config: &StorageConfig,
    new_identity: NewIdentity<'_>,
) -> Result<Option<Arc<dyn TokenCredential>>, BuildError> {
    let ours = [
        Some(&config.vault),
        Some(&config.ledger),
        config.backup_vault.as_ref(),
        config.audit.as_ref(),
    ];
    let is_needed = ours.into_iter().flatten().any(VaultUrl::needs_identity)
        || config.external.iter().any(|container| !container.has_sas());
    is_needed.then(new_identity).transpose()
}

fn export_queue(
    config: &StorageConfig,
    new_identity: NewIdentity<'_>,
) -> Result<Option<ExportQueue>, BuildError> {
    let Some(url) = &config.export_queue else {
        return Ok(None);
    };
    let identity = (!url.has_sas()).then(new_identity).transpose()?;
    ExportQueue::new(url, identity)
        .map(Some)
        .map_err(|error| BuildError::Queue(Box::new(error)))
}

fn event_grid(config: EventGridConfig) -> Result<EventGridDoor, reqwest::Error> {
    let tokens = config
        .tokens
        .map(|tokens| TokenValidator::new(tokens.openid_url, tokens.audience))
        .transpose()?;
    let client = crate::http_client::builder()
        .timeout(VISIT_TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .build()?;
    Ok(EventGridDoor {
        secret: config.secret,
        tokens: tokens.map(|tokens| tokens.issued_to(config.app_id)),
        secret_reports: Throttle::new(REPORT_REFUSED_EVERY),
        token_reports: Throttle::new(REPORT_REFUSED_EVERY),
        client,
    })
}

fn callback_tokens(config: Option<TokenConfig>) -> Result<Option<TokenValidator>, reqwest::Error> {
    config
        .map(|tokens| TokenValidator::new(tokens.openid_url, tokens.audience))
        .transpose()
}

fn telephony(
    config: Option<TelephonyConfig>,
    control: &Arc<RecordingControl>,
    store: &Arc<dyn DocumentStore>,
    new_identity: NewIdentity<'_>,
) -> Result<Option<TelephonyDoor>, BuildError> {
    let Some(config) = config else {
        return Ok(None);
    };
    let identity = config
        .bot_audience
        .is_some()
        .then(new_identity)
        .transpose()?;
    let tokens = config
        .tokens
        .map(|(tokens, app_id)| {
            TokenValidator::new(tokens.openid_url, tokens.audience)
                .map(|validator| validator.issued_to(app_id))
        })
        .transpose()
        .map_err(BuildError::Http)?;
    let bot = config
        .bot_url
        .map(|url| Bot::new(url, identity.zip(config.bot_audience)))
        .transpose()
        .map_err(BuildError::Http)?;
    let telephony = Telephony::new(Arc::clone(control), Arc::clone(store), bot);
    Ok(Some(TelephonyDoor {
        key: config.key,
        tokens,
        telephony: Arc::new(telephony),
        after_response: AfterResponse::Continues,
    }))
}
