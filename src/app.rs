//! The composition root: settings become clients become the application. The only place that names concrete adapters together.

use std::sync::Arc;
use std::time::Duration;

use azure_core::credentials::TokenCredential;
use azure_identity::{ManagedIdentityCredential, ManagedIdentityCredentialOptions, UserAssignedId};
use azure_storage_blob::BlobContainerClient;

use crate::acs::{
    AcsContent, AcsCredential, AcsHttp, CallRecordingClient, ContentGuard, EntraCredential,
};
use crate::bot::Bot;
use crate::catalogue::Catalogue;
use crate::catalogue::tickets::Tickets;
use crate::clock::{Clock, SystemClock};
use crate::config::{Config, EventGridConfig, SignIn, TelephonyConfig};
use crate::control::RecordingControl;
use crate::control::auto_record::AutoRecord;
use crate::control::telephony::Telephony;
use crate::export::destination::ExportDestination;
use crate::export::retention::Retention;
use crate::export::{ChunkLedger, ExportDriver, ExportSweep, Vaults};
use crate::export_queue::ExportQueue;
use crate::intake::backpressure::DeliveryBackpressure;
use crate::oidc::TokenValidator;
use crate::secret::SharedSecret;
use crate::store::document_store::DocumentStore;
use crate::vault::VaultUrl;
use crate::vault::azure::{
    AzureDocumentStore, AzureStorage, AzureVault, AzureVaultOptions, ExternalStorage,
};
use crate::vault::directory::{DirectoryDocumentStore, DirectoryVault};
use crate::vault::url::ContainerUrl;

const VISIT_TIMEOUT: Duration = Duration::from_secs(20);

/// What the functions work with.
pub struct App {
    pub control: Arc<RecordingControl>,
    /// Which calls are recorded without being asked for.
    pub auto_record: Option<AutoRecord>,
    /// Lets ACS's callbacks in; `None` where they are off.
    pub callback_tokens: Option<TokenValidator>,
    pub event_grid: EventGridDoor,
    /// Bots' commands; `None` where they are off.
    pub telephony: Option<TelephonyDoor>,
    pub crowd: DeliveryBackpressure,
    pub clock: Arc<dyn Clock>,
    pub driver: Arc<ExportDriver>,
    pub sweep: ExportSweep,
    /// Takes over the driving; `None` where events and the timer do it.
    pub export_queue: Option<ExportQueue>,
    /// Deletes from the vault what is past its policy; `None` where copies are kept for ever.
    pub retention: Option<Retention>,
    pub event_budget: Duration,
    pub sweep_budget: Duration,
    /// Every recording, to be found, shown and played.
    pub catalogue: Catalogue,
    pub tickets: Tickets,
    /// Whether the vault's API may do more than look.
    pub operator_actions: bool,
}

/// Who may deliver to the webhook.
pub struct EventGridDoor {
    pub secret: Option<SharedSecret>,
    pub tokens: Option<TokenValidator>,
    /// Visits validation URLs; carries no credential.
    pub client: reqwest::Client,
}

impl EventGridDoor {
    fn open(config: EventGridConfig) -> Result<Self, reqwest::Error> {
        let tokens = config
            .tokens
            .map(|tokens| TokenValidator::new(tokens.openid_url, tokens.audience))
            .transpose()?;
        let tokens = tokens.map(|tokens| tokens.issued_to(config.app_id));
        let client = reqwest::Client::builder()
            .timeout(VISIT_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        Ok(Self {
            secret: config.secret,
            tokens,
            client,
        })
    }
}

/// Who may send commands as a bot.
pub struct TelephonyDoor {
    pub key: Option<SharedSecret>,
    pub tokens: Option<TokenValidator>,
    pub telephony: Arc<Telephony>,
}

impl TelephonyDoor {
    fn open(
        config: TelephonyConfig,
        control: &Arc<RecordingControl>,
        store: &Arc<dyn DocumentStore>,
        identity: Option<Arc<dyn TokenCredential>>,
    ) -> Result<Self, reqwest::Error> {
        let tokens = config.tokens.map(|(tokens, app_id)| {
            TokenValidator::new(tokens.openid_url, tokens.audience)
                .map(|validator| validator.issued_to(app_id))
        });
        let bot = config
            .bot_url
            .map(|url| Bot::new(url, identity.zip(config.bot_audience)))
            .transpose()?;
        let telephony = Arc::new(Telephony::new(Arc::clone(control), Arc::clone(store), bot));
        Ok(Self {
            key: config.key,
            tokens: tokens.transpose()?,
            telephony,
        })
    }
}

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
    #[error("could not set up the client of {url:?}")]
    Storage {
        url: VaultUrl,
        source: Box<azure_core::Error>,
    },
}

impl App {
    /// Puts the application together; sends nothing.
    ///
    /// # Errors
    /// When a client cannot be set up.
    pub fn build(config: Config) -> Result<Self, BuildError> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let new_identity = || {
            identity(config.identity_client_id.clone())
                .map_err(|error| BuildError::Identity(Box::new(error)))
        };
        let credential = match config.acs.sign_in {
            SignIn::AccessKey(key) => AcsCredential::AccessKey(key),
            SignIn::ManagedIdentity => {
                let client_id = config.identity_client_id.clone();
                let entra = EntraCredential::new(move || identity(client_id.clone()));
                AcsCredential::Entra(entra.map_err(|error| BuildError::Identity(Box::new(error)))?)
            }
        };
        let externals = config
            .external_storage
            .iter()
            .any(|container| !container.has_sas());
        let stores = [
            Some(&config.vault),
            Some(&config.ledger),
            config.backup_vault.as_ref(),
        ];
        let needs_identity =
            stores.into_iter().flatten().any(VaultUrl::needs_identity) || externals;
        let storage_identity = if needs_identity {
            Some(new_identity()?)
        } else {
            None
        };
        let http = AcsHttp::new(config.acs.endpoint, credential, Arc::clone(&clock))
            .map_err(BuildError::Http)?;
        let storage = Storage {
            azure: AzureStorage::new(storage_identity),
        };
        let store = storage.ledger_store(&config.ledger)?;
        let client = CallRecordingClient::new(http.clone(), config.acs.api_version);
        let control = Arc::new(RecordingControl::new(
            client,
            Arc::clone(&store),
            Arc::clone(&clock),
            config.control,
        ));
        let telephony = match config.telephony {
            Some(config) => {
                let identity = config
                    .bot_audience
                    .is_some()
                    .then(new_identity)
                    .transpose()?;
                Some(
                    TelephonyDoor::open(config, &control, &store, identity)
                        .map_err(BuildError::Http)?,
                )
            }
            None => None,
        };
        let callback_tokens = config
            .callbacks
            .map(|callbacks| TokenValidator::new(callbacks.openid_url, callbacks.audience));
        let tickets = Tickets::new(Arc::clone(&store));
        let ledger = ChunkLedger::new(
            store,
            Arc::clone(&clock),
            config.source_retention,
            config.claim_ttl,
        );
        let source = AcsContent::new(http, ContentGuard::new(config.acs.content_hosts));
        let vaults = storage.vaults(
            &config.vault,
            config.backup_vault.as_ref(),
            &config.vault_options,
            &clock,
        )?;
        let external = ExternalStorage::new(&storage.azure, &config.external_storage);
        let external = external.map_err(|error| BuildError::External(Box::new(error)))?;
        let export_queue = match &config.export_queue {
            Some(url) => {
                let identity = (!url.has_sas()).then(new_identity).transpose()?;
                Some(
                    ExportQueue::new(url, identity)
                        .map_err(|error| BuildError::Queue(Box::new(error)))?,
                )
            }
            None => None,
        };
        let retention = config.retention.map(|policy| {
            Retention::new(ledger.clone(), vaults.clone(), Arc::clone(&clock), policy)
        });
        let catalogue = Catalogue::new(
            ledger.clone(),
            control.register().clone(),
            vaults.clone(),
            Arc::clone(&clock),
        );
        let driver = Arc::new(ExportDriver::new(
            ledger,
            Arc::new(source),
            Arc::new(external),
            vaults,
            Arc::clone(&clock),
            config.export,
        ));
        Ok(Self {
            control,
            auto_record: config.auto_record,
            event_grid: EventGridDoor::open(config.event_grid).map_err(BuildError::Http)?,
            telephony,
            crowd: DeliveryBackpressure::new(config.export.chunks_in_flight),
            callback_tokens: callback_tokens.transpose().map_err(BuildError::Http)?,
            clock,
            sweep: ExportSweep::new(Arc::clone(&driver)),
            driver,
            export_queue,
            retention,
            event_budget: config.event_budget,
            sweep_budget: config.sweep_budget,
            catalogue,
            tickets,
            operator_actions: config.operator_actions,
        })
    }
}

/// A container or directory that is not ours, to read from.
///
/// # Errors
/// When a client cannot be set up.
pub fn storage_at(config: &Config, url: &VaultUrl) -> Result<Arc<dyn DocumentStore>, BuildError> {
    let needed = url
        .needs_identity()
        .then(|| identity(config.identity_client_id.clone()))
        .transpose();
    let azure = AzureStorage::new(needed.map_err(|error| BuildError::Identity(Box::new(error)))?);
    Storage { azure }.ledger_store(url)
}

/// The app's managed identity; it asks for a token when one is needed.
///
/// # Errors
/// When the platform's kind of managed identity is not supported.
pub fn identity(client_id: Option<String>) -> azure_core::Result<Arc<dyn TokenCredential>> {
    let user_assigned_id = client_id.map(UserAssignedId::ClientId);
    let options = ManagedIdentityCredentialOptions {
        user_assigned_id,
        ..ManagedIdentityCredentialOptions::default()
    };
    Ok(ManagedIdentityCredential::new(Some(options))?)
}

struct Storage {
    azure: AzureStorage,
}

impl Storage {
    fn vaults(
        &self,
        home: &VaultUrl,
        backup: Option<&VaultUrl>,
        options: &AzureVaultOptions,
        clock: &Arc<dyn Clock>,
    ) -> Result<Vaults, BuildError> {
        // What waits in the backup vault to be moved home must not be locked in there.
        let backup = backup
            .map(|url| self.vault(url, options.plain(), clock))
            .transpose()?;
        Ok(Vaults::new(
            self.vault(home, options.clone(), clock)?,
            backup,
        ))
    }

    fn vault(
        &self,
        url: &VaultUrl,
        options: AzureVaultOptions,
        clock: &Arc<dyn Clock>,
    ) -> Result<Arc<dyn ExportDestination>, BuildError> {
        Ok(match url {
            VaultUrl::Directory(path) => Arc::new(DirectoryVault::new(path)),
            VaultUrl::Container(container) => Arc::new(AzureVault::new(
                self.container(url, container)?,
                options,
                Arc::clone(clock),
            )),
        })
    }

    fn ledger_store(&self, url: &VaultUrl) -> Result<Arc<dyn DocumentStore>, BuildError> {
        Ok(match url {
            VaultUrl::Directory(path) => Arc::new(DirectoryDocumentStore::new(path)),
            VaultUrl::Container(container) => {
                Arc::new(AzureDocumentStore::new(self.container(url, container)?))
            }
        })
    }

    fn container(
        &self,
        url: &VaultUrl,
        container: &ContainerUrl,
    ) -> Result<BlobContainerClient, BuildError> {
        let client = self.azure.container(container);
        client.map_err(|source| BuildError::Storage {
            url: url.clone(),
            source: Box::new(source),
        })
    }
}
