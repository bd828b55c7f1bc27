//! `recording-vault doctor`: checks everything that this app needs, and suggests a fix for each problem.

mod acs;
mod advice;
mod clock;
mod front;
mod handler;
mod host;
mod key;
mod limits;
mod memory;
mod optional;
mod role;
mod running;
mod settings;
mod storage;
mod target;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use futures::FutureExt as _;
use recording_vault::acs::{AcsEndpoint, ContentHost};
use recording_vault::app::App;
use recording_vault::compose;
use recording_vault::config::{Config, InvalidConfig, SettingsFrom, SignIn};
use recording_vault::counted::counted;
use recording_vault::error_chain::ErrorChain;
use recording_vault::identity::IdentityConfig;
use recording_vault::store::DocumentStore;
use recording_vault::telemetry;
use recording_vault::vault::VaultUrl;
use recording_vault::visible;
use serde::Serialize;
use url::Url;

use super::argument;
use super::exit::Exit;
use super::output::Output;
use super::settings::{GivenSettings, block_on};
use super::table::Table;
use advice::Principal;
use limits::Times;
use optional::OptionalTargets;
use role::StorageRole;
use target::{ExportVia, Handler, WebhookSecret};

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
            secret: WebhookSecret::of(variable("EVENT_GRID_SECRET")),
            export: match variable("EXPORT_QUEUE_URL") {
                Some(_) => ExportVia::Queue,
                None => ExportVia::Event,
            },
        })
    }
}

/// What no check looks at.
const OF_RECORDINGS: &str =
    "Whether every recording is safe is not among them: `recording-vault status`.";

const NO_TOKEN: &str = "without a token it refuses every request";

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

    /// Adds whose rights it used, unless those of the app. A failure names them itself.
    #[must_use]
    fn with_rights_of(mut self, principal: Principal) -> Self {
        if let (Some(used), true) = (principal.used(), self.result != Outcome::Failed) {
            self.says = format!("{} (with {used})", self.says);
        }
        self
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
        table.fmt(f)?;
        f.write_str("\n")?;
        match self.failed {
            0 if not_checked == 0 => {
                visible::write_line(f, format_args!("Every check passed. {OF_RECORDINGS}"))
            }
            0 => visible::write_line(
                f,
                format_args!("No check failed; not checked: {not_checked}."),
            ),
            failed => {
                let checks = counted(failed, "check", "checks");
                visible::write_line(f, format_args!("{checks} failed."))
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
    times: Times,
    /// The most memory that exports take.
    export_mib: u64,
    optional: OptionalTargets,
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
            times: Times::of(config),
            export_mib: memory::of_exports(&config.export),
            optional: OptionalTargets::of(config),
        }
    }

    /// The storages in use.
    fn storages(&self) -> impl Iterator<Item = (StorageRole, &VaultUrl)> {
        let backup = self.backup.iter().map(|url| (StorageRole::Backup, url));
        [(StorageRole::Vault, &self.vault)]
            .into_iter()
            .chain(backup)
            .chain(self.documents())
    }

    /// Those that keep documents.
    fn documents(&self) -> impl Iterator<Item = (StorageRole, &VaultUrl)> {
        let audit = self.audit.iter().map(|url| (StorageRole::Audit, url));
        [(StorageRole::Ledger, &self.ledger)]
            .into_iter()
            .chain(audit)
    }
}

/// Checks everything that can be checked with these settings, valid or not.
async fn examine(
    config: Result<Config, InvalidConfig>,
    given: &GivenSettings,
    handler: Option<Handler>,
) -> Result<Examination, reqwest::Error> {
    let client = recording_vault::http_client::builder()
        .timeout(DEADLINE.saturating_sub(Duration::from_secs(5)))
        .redirect(reqwest::redirect::Policy::none())
        .build()?;
    let targets = config.as_ref().ok().map(Targets::of);
    let mut checks = match (config, &targets) {
        (Ok(config), Some(targets)) => {
            Box::pin(with_settings(config, given, targets, &client)).await
        }
        (Err(invalid), _) => settings::invalid(&invalid, given, handler.is_some()),
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

async fn with_settings(
    config: Config,
    given: &GivenSettings,
    targets: &Targets,
    client: &reqwest::Client,
) -> Vec<Check> {
    let mut checks = settings::valid(&config, &given.origin);
    let documents: Result<BTreeMap<_, _>, _> = targets
        .documents()
        .map(|(role, url)| Ok((role, compose::storage_at(&config, url)?)))
        .collect();
    let external = targets.optional.external(&config);
    let (app, documents, external) = match (compose::app(config), documents, external) {
        (Ok(app), Ok(documents), Ok(external)) => (app, documents, external),
        (Err(error), _, _) | (_, Err(error), _) | (_, _, Err(error)) => {
            checks.push(Check::failed(
                "clients",
                ErrorChain(&error).to_string(),
                "check the settings of the part it names",
            ));
            return checks;
        }
    };
    let (clocks, (tokens, principal)) = tokio::join!(
        clock::checks(targets, client, &*app.clock),
        acs::tokens(targets, given)
    );
    checks.extend(clocks);
    let has_token = tokens.iter().all(|check| check.result != Outcome::Failed);
    checks.extend(tokens);
    let services = Services {
        app: &app,
        documents,
        targets,
        has_token,
        principal,
        from: given.from,
    };
    let (asked, optional) = tokio::join!(
        services.checks(),
        optional::checks(&targets.optional, &app, &external, principal, client)
    );
    checks.extend(asked.checks);
    checks.extend(rights_of_the_app(principal).filter(|_| has_token));
    checks.push(acs::content_hosts(targets));
    checks.extend(optional);
    checks.push(limits::schedule(&given.variables));
    checks.extend(limits::times(&targets.times));
    let memory = memory::limit_mib(given.from, &given.variables);
    checks.push(memory::check(targets.export_mib, memory));
    checks.extend(running::disabled(&given.variables));
    if asked.is_ledger_fine {
        checks.push(running::last_sweep(&app, &given.variables).await);
        checks.push(running::events(&app).await);
    }
    checks
}

/// ACS and the storages.
struct Services<'a> {
    app: &'a App,
    documents: BTreeMap<StorageRole, Arc<dyn DocumentStore>>,
    targets: &'a Targets,
    has_token: bool,
    principal: Principal,
    from: SettingsFrom,
}

/// What was found at ACS and at the storages.
struct Asked {
    checks: Vec<Check>,
    is_ledger_fine: bool,
}

impl Services<'_> {
    /// Checks ACS and each storage, all at the same time.
    async fn checks(&self) -> Asked {
        let storages = self.targets.storages().map(|(role, url)| async move {
            let checks = self.storage(role, url).await;
            (role, checks)
        });
        let (acs, storages) = tokio::join!(self.acs(), futures::future::join_all(storages));
        let is_fine = |check: &Check| check.result == Outcome::Fine;
        let is_ledger_fine = storages
            .iter()
            .any(|(role, checks)| *role == StorageRole::Ledger && checks.iter().all(is_fine));
        let storages = storages.into_iter().flat_map(|(_, checks)| checks);
        Asked {
            checks: std::iter::once(acs).chain(storages).collect(),
            is_ledger_fine,
        }
    }

    async fn acs(&self) -> Check {
        let asking = acs::sign_in(self.targets, self.principal, self.app.control.acs());
        match self.targets.sign_in {
            SignIn::AccessKey(_) => asking.await,
            SignIn::ManagedIdentity if self.has_token => {
                asking.await.with_rights_of(self.principal)
            }
            SignIn::ManagedIdentity => Check::not_checked("ACS", NO_TOKEN),
        }
    }

    async fn storage(&self, role: StorageRole, url: &VaultUrl) -> Vec<Check> {
        if self.from == SettingsFrom::AzureApp && matches!(url, VaultUrl::Directory(_)) {
            return vec![storage::on_an_instance(role, url)];
        }
        if !url.needs_identity() {
            return self.used(role, url).await;
        }
        if !self.has_token {
            return vec![Check::not_checked(role.label(), NO_TOKEN)];
        }
        let checks = self.used(role, url).await.into_iter();
        checks
            .map(|check| check.with_rights_of(self.principal))
            .collect()
    }

    /// Uses a storage as the app does.
    async fn used(&self, role: StorageRole, url: &VaultUrl) -> Vec<Check> {
        let vaults = &self.app.vaults;
        let documents = self.documents.get(&role);
        match role {
            StorageRole::Vault => {
                let mut asking =
                    vec![storage::vault((role, url), self.principal, vaults.home()).boxed()];
                if self.targets.has_extras {
                    asking.push(storage::extras(url, vaults.home()).boxed());
                }
                futures::future::join_all(asking).await
            }
            StorageRole::Backup => match vaults.backup() {
                Some(backup) => vec![storage::vault((role, url), self.principal, backup).await],
                None => Vec::new(),
            },
            StorageRole::Ledger => match documents {
                Some(documents) => vec![storage::ledger(url, self.principal, &**documents).await],
                None => Vec::new(),
            },
            StorageRole::Audit => match documents {
                Some(documents) => vec![storage::audit(url, self.principal, &**documents).await],
                None => Vec::new(),
            },
        }
    }
}

/// What checks with the rights of somebody else do not show.
fn rights_of_the_app(principal: Principal) -> Option<Check> {
    let used = principal.used()?;
    let says = format!(
        "the checks above used {used}; whether the app's identity has its roles is not known: `az role assignment list --all --assignee <principal id of the app's identity> --output table` lists them"
    );
    Some(Check::not_checked("rights of the app", says))
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
