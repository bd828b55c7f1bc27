//! `recording-vault doctor`: checks everything that this app needs, and suggests a fix for each problem.

mod acs;
mod advice;
mod clock;
mod handler;
mod host;
mod key;
mod running;
mod storage;
mod target;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use recording_vault::acs::guard::CONTENT_DOMAINS;
use recording_vault::acs::{AcsEndpoint, ContentHost};
use recording_vault::app::App;
use recording_vault::compose;
use recording_vault::config::{Config, InvalidConfig, SignIn};
use recording_vault::counted::counted;
use recording_vault::error_chain::ErrorChain;
use recording_vault::identity::IdentityConfig;
use recording_vault::store::DocumentStore;
use recording_vault::telemetry;
use recording_vault::vault::VaultUrl;
use serde::Serialize;
use url::Url;

use super::argument;
use super::exit::Exit;
use super::output::Output;
use super::settings::{GivenSettings, Origin, block_on};
use super::table::Table;
use target::{ExportVia, Handler};

const FUNCTIONS_KEY: &str = "FUNCTIONS_KEY";

/// The arguments of `doctor`.
#[derive(Args)]
pub struct Doctor {
    /// Where the functions are, such as `https://<app>.azurewebsites.net`; the variable `FUNCTIONS_KEY` has their key
    #[arg(long, value_parser = argument::web_url)]
    url: Option<Url>,
    /// The port of `func start`, or of the handler itself, on this machine
    #[arg(long, conflicts_with = "url", value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,
}

impl Doctor {
    /// Reads the settings itself: invalid ones are a finding.
    pub fn run(self, settings: GivenSettings, output: Output) -> Exit {
        let handler = self.handler(&settings.variables);
        let config = settings.config();
        if let Ok(config) = &config {
            telemetry::init_for_operator(config.log.filter.clone(), config.log.format);
        }
        let has_invalid_settings = config.is_err();
        block_on(async || {
            let report = Box::pin(examine(config, &settings, handler)).await?;
            output.report(&report)?;
            Ok(if has_invalid_settings {
                Exit::InvalidSettings
            } else {
                Exit::fine_if(report.failed == 0)
            })
        })
    }

    fn handler(self, variables: &[(String, String)]) -> Option<Handler> {
        let variable = |name: &str| {
            let found = variables.iter().find(|(given, _)| given == name);
            let value = found.map(|(_, value)| value.trim().to_owned());
            value.filter(|value| !value.is_empty())
        };
        let local = |port| format!("http://127.0.0.1:{port}").parse().ok();
        let url = self.url.or_else(|| self.port.and_then(local))?;
        Some(Handler {
            url,
            key: variable(FUNCTIONS_KEY),
            secret: variable("EVENT_GRID_SECRET"),
            export: match variable("EXPORT_QUEUE_URL") {
                Some(_) => ExportVia::Queue,
                None => ExportVia::Event,
            },
        })
    }
}

/// A check that takes longer has failed.
const DEADLINE: Duration = Duration::from_secs(30);

/// What was checked.
#[derive(Debug, Serialize)]
struct Examination {
    pub failed: usize,
    pub checks: Vec<Check>,
}

/// One check and what it found.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Check {
    pub name: String,
    pub result: Outcome,
    pub says: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    Fine,
    Failed,
    NotChecked,
}

impl Check {
    fn new(
        name: impl Into<String>,
        result: Outcome,
        says: impl Into<String>,
        remedy: Option<String>,
    ) -> Self {
        Self {
            name: name.into(),
            result,
            says: says.into(),
            remedy,
        }
    }

    fn fine(name: impl Into<String>, says: impl Into<String>) -> Self {
        Self::new(name, Outcome::Fine, says, None)
    }

    fn failed(name: impl Into<String>, says: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(name, Outcome::Failed, says, Some(remedy.into()))
    }

    fn not_checked(name: impl Into<String>, says: impl Into<String>) -> Self {
        Self::new(name, Outcome::NotChecked, says, None)
    }
}

impl fmt::Display for Examination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new(&["", "check", "what was found"]);
        for check in &self.checks {
            let mark = match check.result {
                Outcome::Fine => "✓",
                Outcome::Failed => "✗",
                Outcome::NotChecked => "–",
            };
            table.row([mark, &check.name, &check.says]);
            if let Some(remedy) = &check.remedy {
                table.note(format!("→ {remedy}"));
            }
        }
        let is_unknown = |check: &&Check| check.result == Outcome::NotChecked;
        let not_checked = self.checks.iter().filter(is_unknown).count();
        match self.failed {
            0 if not_checked == 0 => write!(f, "{table}\n\nAll is well."),
            0 => write!(f, "{table}\n\nNo check failed; not checked: {not_checked}."),
            failed => {
                let checks = counted(failed, "check", "checks");
                write!(f, "{table}\n\n{checks} failed.")
            }
        }
    }
}

/// What the checks are about, of the settings.
struct Targets {
    acs: AcsEndpoint,
    sign_in: SignIn,
    identity: IdentityConfig,
    content_hosts: Vec<ContentHost>,
    vault: VaultUrl,
    backup: Option<VaultUrl>,
    ledger: VaultUrl,
    /// The vault is to keep more than the bytes of files: tags, a tier, a retention, a legal hold.
    has_extras: bool,
    audit: Option<VaultUrl>,
    /// Deliveries to the webhook need a token that only Event Grid has.
    wants_token: bool,
}

impl Targets {
    fn of(config: &Config) -> Self {
        Self {
            acs: config.acs.endpoint.clone(),
            sign_in: config.acs.sign_in.clone(),
            identity: config.identity.clone(),
            content_hosts: config.acs.content_hosts.clone(),
            vault: config.storage.vault.clone(),
            backup: config.storage.backup_vault.clone(),
            ledger: config.storage.ledger.clone(),
            has_extras: {
                let options = &config.storage.vault_options;
                *options != options.plain()
            },
            audit: config.storage.audit.clone(),
            wants_token: config.event_grid.tokens.is_some(),
        }
    }

    /// The storages in use, by name.
    fn storages(&self) -> impl Iterator<Item = (&'static str, &VaultUrl)> {
        let backup = self.backup.iter().map(|url| ("backup vault", url));
        [("vault", &self.vault)]
            .into_iter()
            .chain(backup)
            .chain(self.documents())
    }

    /// Those that keep documents.
    fn documents(&self) -> impl Iterator<Item = (&'static str, &VaultUrl)> {
        let audit = self.audit.iter().map(|url| ("audit log", url));
        [("ledger", &self.ledger)].into_iter().chain(audit)
    }
}

/// Checks everything that can be checked with these settings, valid or not.
async fn examine(
    config: Result<Config, InvalidConfig>,
    settings: &GivenSettings,
    handler: Option<Handler>,
) -> Result<Examination, reqwest::Error> {
    let client = reqwest::Client::builder()
        .timeout(DEADLINE.saturating_sub(Duration::from_secs(5)))
        .redirect(reqwest::redirect::Policy::none())
        .build()?;
    let targets = config.as_ref().ok().map(Targets::of);
    let mut checks = match (config, &targets) {
        (Ok(config), Some(targets)) => {
            Box::pin(with_settings(config, settings, targets, &client)).await
        }
        (Err(invalid), _) => without_settings(&invalid, &settings.origin),
        (Ok(_), None) => Vec::new(),
    };
    let wants_token = targets.is_some_and(|targets| targets.wants_token);
    checks.extend(handler::checks(handler.as_ref(), wants_token, &client).await);
    let failed = checks
        .iter()
        .filter(|check| check.result == Outcome::Failed)
        .count();
    Ok(Examination { failed, checks })
}

fn without_settings(invalid: &InvalidConfig, origin: &Origin) -> Vec<Check> {
    let named = invalid.problems().iter().map(|problem| {
        // Each begins with the name of its setting.
        let name = problem.split(' ').next().unwrap_or_default();
        let remedy = format!(
            "correct the app setting: `az functionapp config appsettings set --name <app> --resource-group <group> --settings {name}=<value>`; locally the environment or local.settings.json"
        );
        Check::failed("settings", format!("{problem} (read from {origin})"), remedy)
    });
    let mut checks: Vec<Check> = named.collect();
    let rest = [
        "clock of ACS",
        "identity",
        "ACS",
        "content hosts",
        "vault",
        "ledger",
    ];
    checks.extend(rest.map(|name| Check::not_checked(name, "the settings are invalid")));
    checks
}

async fn with_settings(
    config: Config,
    settings: &GivenSettings,
    targets: &Targets,
    client: &reqwest::Client,
) -> Vec<Check> {
    let mut checks = vec![Check::fine(
        "settings",
        format!(
            "read from {}; all are valid or have their defaults",
            settings.origin
        ),
    )];
    let documents: Result<BTreeMap<_, _>, _> = targets
        .documents()
        .map(|(name, url)| Ok((name, compose::storage_at(&config, url)?)))
        .collect();
    let (app, documents) = match (compose::app(config), documents) {
        (Ok(app), Ok(documents)) => (app, documents),
        (Err(error), _) | (_, Err(error)) => {
            checks.push(Check::failed(
                "clients",
                ErrorChain(&error).to_string(),
                "check the settings of the part it names",
            ));
            return checks;
        }
    };
    let (clocks, tokens) = tokio::join!(
        clock::checks(targets, client, &*app.clock),
        acs::tokens(targets)
    );
    checks.extend(clocks);
    let has_token = tokens.iter().all(|check| check.result != Outcome::Failed);
    checks.extend(tokens);
    checks.extend(services(&app, &documents, targets, has_token).await);
    checks.push(content_hosts(targets));
    checks.push(running::schedule(&settings.variables));
    checks.extend(running::disabled(&settings.variables));
    if checks
        .iter()
        .any(|check| check.name == "ledger" && check.result == Outcome::Fine)
    {
        checks.push(running::last_sweep(&app, &settings.variables).await);
        checks.push(running::events(&app).await);
    }
    checks
}

/// Checks ACS and each storage, all at the same time.
async fn services(
    app: &App,
    documents: &BTreeMap<&'static str, Arc<dyn DocumentStore>>,
    targets: &Targets,
    has_token: bool,
) -> Vec<Check> {
    let vaults = &app.vaults;
    let mut checks = Vec::new();
    let mut asking: Vec<BoxFuture<'_, Check>> = Vec::new();
    if has_token || matches!(targets.sign_in, SignIn::AccessKey(_)) {
        asking.push(acs::sign_in(targets, app.control.acs()).boxed());
    } else {
        checks.push(Check::not_checked(
            "ACS",
            "there is no token to ask it with",
        ));
    }
    for (name, url) in targets.storages() {
        if url.needs_identity() && !has_token {
            checks.push(Check::not_checked(name, "there is no token to ask it with"));
        } else if let Some(documents) = documents.get(name) {
            asking.push(match name {
                "ledger" => storage::ledger(url, &**documents).boxed(),
                _ => storage::audit(url, &**documents).boxed(),
            });
        } else if name == "vault" {
            asking.push(storage::vault(name, url, vaults.home()).boxed());
            if targets.has_extras {
                asking.push(storage::extras(url, vaults.home()).boxed());
            }
        } else if let Some(backup) = vaults.backup() {
            asking.push(storage::vault(name, url, backup).boxed());
        }
    }
    checks.extend(futures::future::join_all(asking).await);
    checks
}

fn content_hosts(targets: &Targets) -> Check {
    let own: Vec<String> = CONTENT_DOMAINS
        .iter()
        .map(|domain| format!("*{domain}"))
        .collect();
    let own = format!(
        "our credentials go to ACS's own recording storage only ({})",
        own.join(", ")
    );
    if targets.content_hosts.is_empty() {
        return if recording_vault::net::is_loopback(&targets.acs.join("/")) {
            Check::failed(
                "content hosts",
                "ACS_ENDPOINT is on this machine, and ACS_CONTENT_HOSTS names no host: files of a simulator are refused",
                "set ACS_CONTENT_HOSTS to the simulator's address, such as http://127.0.0.1:8081",
            )
        } else {
            Check::fine("content hosts", own)
        };
    }
    let more: Vec<String> = targets
        .content_hosts
        .iter()
        .map(|host| {
            if host.is_plain() {
                format!("{host} (plain http, good for tests only)")
            } else {
                host.to_string()
            }
        })
        .collect();
    Check::fine(
        "content hosts",
        format!(
            "{own}, and, by ACS_CONTENT_HOSTS, to {}: be sure that these are Microsoft's",
            more.join(", ")
        ),
    )
}

/// A check that ends.
async fn within(name: &str, checking: impl Future<Output = Check>) -> Check {
    let remedy = "check whether this network allows the connection: name resolution, firewall, private endpoint";
    within_of(DEADLINE, name, remedy, checking).await
}

async fn within_of(
    deadline: Duration,
    name: &str,
    remedy: &str,
    checking: impl Future<Output = Check>,
) -> Check {
    let too_late = || {
        Check::failed(
            name,
            format!("there was no answer within {} s", deadline.as_secs()),
            remedy,
        )
    };
    tokio::time::timeout(deadline, checking)
        .await
        .unwrap_or_else(|_| too_late())
}
