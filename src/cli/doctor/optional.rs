//! What is used only where a setting asks for it: token issuers, time stamps, your own containers, receivers. One check for
//! each that is set; what only real traffic would show is "not checked".

use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use recording_vault::app::App;
use recording_vault::compose::{self, BuildError};
use recording_vault::config::{Config, NotifyConfig};
use recording_vault::error_chain::ErrorChain;
use recording_vault::oidc::TokenValidator;
use recording_vault::storage_url::ContainerUrl;
use recording_vault::store::DocumentStore;
use recording_vault::store::digest::Sha256Digest;
use recording_vault::store::document_store::StorePlace;
use recording_vault::timestamps::TimestampAuthority;
use recording_vault::vault::VaultUrl;
use reqwest::Client;
use timestamp_token::TrustAnchors;
use url::Url;

use super::advice::Principal;
use super::target::unreachable;
use super::{Check, within};

const EXTERNAL: &str = "external storage";
const AUTHORITY: &str = "timestamp authority";
const CERTIFICATES: &str = "timestamp certificates";
const AUTOMATIC: &str = "automatic recording";
/// A file that no recording has.
const NO_FILE: &str = "recording-vault-doctor/none";

/// What the settings ask for besides the usual.
#[derive(Debug)]
pub(super) struct OptionalTargets {
    receivers: Vec<Receiver>,
    external: Vec<ContainerUrl>,
    certificates: Option<PathBuf>,
    is_recording_automatic: bool,
}

/// A service that takes what the app sends.
#[derive(Debug)]
struct Receiver {
    check: &'static str,
    setting: &'static str,
    /// Scheme, host and port: path and query may hold a secret.
    origin: String,
    /// What only real traffic shows.
    unknown: &'static str,
}

/// A container of the customer, and its client.
pub(super) type ExternalContainer = (VaultUrl, Arc<dyn DocumentStore>);

impl OptionalTargets {
    pub(super) fn of(config: &Config) -> Self {
        Self {
            receivers: receivers(config),
            external: config.storage.external.clone(),
            certificates: config.timestamps.ca.clone(),
            is_recording_automatic: config.auto_record.is_some(),
        }
    }

    /// Sets up the clients of the customer's containers.
    ///
    /// # Errors
    /// When a client refuses its URL.
    pub(super) fn external(&self, config: &Config) -> Result<Vec<ExternalContainer>, BuildError> {
        let open = |container: &ContainerUrl| {
            let url = VaultUrl::Container(container.clone());
            let store = compose::storage_at(config, &url)?;
            Ok((url, store))
        };
        self.external.iter().map(open).collect()
    }
}

fn receivers(config: &Config) -> Vec<Receiver> {
    let origin = |url: &Url| url.origin().ascii_serialization();
    let mut receivers = Vec::new();
    let mut add = |check, setting, url: &Url, unknown| {
        receivers.push(Receiver {
            check,
            setting,
            origin: origin(url),
            unknown,
        });
    };
    let event = "whether it takes an event is not checked, because that would send one";
    let message = "whether it takes a message is not checked, because that would send one";
    match &config.notify {
        Some(NotifyConfig::Webhook(webhook)) => {
            add("notifications", "NOTIFY_URL", &webhook.url, event);
        }
        Some(NotifyConfig::Queue(queue)) => {
            add("notifications", "NOTIFY_QUEUE_URL", queue.expose(), message);
        }
        None => {}
    }
    if let Some(queue) = &config.storage.export_queue {
        add(
            "export queue",
            "EXPORT_QUEUE_URL",
            queue.url().expose(),
            message,
        );
    }
    let bot = config.telephony.as_ref();
    if let Some(url) = bot.and_then(|bot| bot.bot_url.as_ref()) {
        let unknown = "whether the bot takes a result is not checked, because that would send one";
        add("results to the bot", "TELEPHONY_BOT_URL", url, unknown);
    }
    if let Some(otlp) = &config.log.otlp {
        let unknown = "whether it takes telemetry is not checked, because that would send some";
        let setting = "OTEL_EXPORTER_OTLP_ENDPOINT";
        add("telemetry", setting, &otlp.endpoint, unknown);
    }
    receivers
}

/// Checks everything that is set, all at the same time.
pub(super) async fn checks(
    targets: &OptionalTargets,
    app: &App,
    external: &[ExternalContainer],
    principal: Principal,
    client: &Client,
) -> Vec<Check> {
    let issuers = issuers(app).map(|(check, setting, tokens)| {
        let checking = keys(check, setting, tokens);
        async move { within(check, checking).await }.boxed()
    });
    let mut asking: Vec<BoxFuture<'_, Check>> = issuers.collect();
    for (url, store) in external {
        let checking = within(EXTERNAL, container(url, &**store));
        asking.push(if url.needs_identity() {
            checking
                .map(move |check| check.with_rights_of(principal))
                .boxed()
        } else {
            checking.boxed()
        });
    }
    if let Some(authority) = &app.timestamps {
        asking.push(within(AUTHORITY, stamp(authority)).boxed());
    }
    for receiver in &targets.receivers {
        asking.push(within(receiver.check, reached(receiver, client)).boxed());
    }
    let mut checks = futures::future::join_all(asking).await;
    checks.extend(targets.certificates.as_deref().map(certificates));
    if targets.is_recording_automatic {
        let says = "whether a subscription delivers CallStarted to the app cannot be seen from here: `az eventgrid system-topic event-subscription list --resource-group <group> --system-topic-name <topic>` lists them";
        checks.push(Check::not_checked(AUTOMATIC, says));
    }
    checks
}

/// Whose tokens the app accepts, by check and setting.
fn issuers(app: &App) -> impl Iterator<Item = (&'static str, &'static str, &TokenValidator)> {
    let bots = app.telephony.as_ref();
    let found = [
        (
            "tokens of ACS",
            "ACS_OPENID_URL",
            app.callback_tokens.as_ref(),
        ),
        (
            "tokens of Event Grid",
            "EVENT_GRID_OPENID_URL",
            app.event_grid.tokens.as_ref(),
        ),
        (
            "tokens of bots",
            "TELEPHONY_OPENID_URL",
            bots.and_then(|bots| bots.tokens.as_ref()),
        ),
    ];
    found
        .into_iter()
        .filter_map(|(check, setting, tokens)| Some((check, setting, tokens?)))
}

async fn keys(check: &str, setting: &str, tokens: &TokenValidator) -> Check {
    match tokens.fetch_keys().await {
        Ok(()) => Check::fine(
            check,
            "the keys of their issuer can be fetched; whether the audience is right only a token shows",
        ),
        Err(error) => Check::failed(
            check,
            format!(
                "the keys of their issuer cannot be fetched: {}",
                ErrorChain(&error)
            ),
            format!("check {setting}, and that this network allows connections to it"),
        ),
    }
}

/// Files are read there; nothing is written.
async fn container(url: &VaultUrl, store: &dyn DocumentStore) -> Check {
    let remedy = "check EXTERNAL_STORAGE; the identity needs the role Storage Blob Data Reader there, or the SAS the permission to read";
    let place = store.place().await;
    if let Ok(StorePlace::Missing) = place {
        let says = format!("{url:?}: there is no such container");
        return Check::failed(EXTERNAL, says, remedy);
    }
    if let Err(error) = store.find(NO_FILE).await {
        let why = ErrorChain(&*error.source);
        return Check::failed(
            EXTERNAL,
            format!("{url:?}: files cannot be read: {why}"),
            remedy,
        );
    }
    match place {
        Ok(StorePlace::Exists(_)) => Check::fine(EXTERNAL, format!("{url:?}: files can be read")),
        Ok(StorePlace::Missing | StorePlace::Unknown) | Err(_) => Check::not_checked(
            EXTERNAL,
            format!("{url:?}: it answers, and does not say whether there is such a container"),
        ),
    }
}

/// Has a digest of nothing stamped: only that shows that the authority works.
async fn stamp(authority: &TimestampAuthority) -> Check {
    match authority
        .stamp(Sha256Digest::of(b"recording-vault doctor"))
        .await
    {
        Ok(_) => Check::fine(AUTHORITY, "it stamps a digest"),
        Err(error) => Check::failed(
            AUTHORITY,
            ErrorChain(&error).to_string(),
            "check TIMESTAMP_URL, and that this network allows connections to it; without a stamp the audit log is not protected against a change of all its records",
        ),
    }
}

/// `audit verify` reads them on the machine where it runs.
fn certificates(file: &Path) -> Check {
    let remedy =
        "put the certificates of the authority, in PEM, into the file that TIMESTAMP_CA names";
    let failed = |why: &dyn std::fmt::Display| {
        let says = format!("`{}` cannot be used: {why}", file.display());
        Check::failed(CERTIFICATES, says, remedy)
    };
    match std::fs::read(file).map(|pem| TrustAnchors::from_pem(&pem)) {
        Ok(Ok(_)) => Check::fine(
            CERTIFICATES,
            format!("`{}` has certificates", file.display()),
        ),
        Ok(Err(error)) => failed(&ErrorChain(&error)),
        Err(error) => failed(&error),
    }
}

async fn reached(receiver: &Receiver, client: &Client) -> Check {
    let Receiver {
        check,
        setting,
        origin,
        unknown,
    } = receiver;
    match client.get(origin).send().await {
        Ok(_) => Check::not_checked(*check, format!("{origin} answers; {unknown}")),
        Err(error) => Check::failed(
            *check,
            format!("{origin}: {}", unreachable(&error)),
            format!("check {setting}, and that this network allows connections to it"),
        ),
    }
}
