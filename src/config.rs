//! Reads every setting once. Reports all invalid and missing ones together, by name, before the port is bound.

mod acs;
mod doors;
mod export;
mod limits;
mod misspelt;
mod notify;
mod platform;
mod reader;
pub mod settings;
mod storage;
mod telemetry;
mod timestamps;

use std::fmt;
use std::time::Duration;

use tracing_subscriber::EnvFilter;
use url::Url;

use crate::acs::{AccessKey, AcsEndpoint, ApiVersion, ContentHost};
use crate::control::ControlPolicy;
use crate::control::auto_record::AutoRecord;
use crate::counted::counted;
use crate::export::driver::ExportPolicy;
use crate::export::retention::RetentionPolicy;
use crate::export_queue::ExportQueueUrl;
use crate::identity::{IdentityConfig, Login};
use crate::recording::country::{Country, NoCountry};
use crate::secret::SharedSecret;
use crate::storage_url::ContainerUrl;
use crate::telemetry::{LogFormat, OtlpConfig};
use crate::vault::VaultUrl;
use crate::vault::azure::AzureVaultOptions;
pub use limits::TimeLimits;
pub use misspelt::MisspeltSetting;
pub use notify::NotifyConfig;
pub use platform::{Platform, is_under_core_tools};
use reader::Reader;
pub use reader::is_key_vault_reference;
pub use settings::{SETTINGS, Setting};
pub use timestamps::TimestampConfig;

/// Where settings come from: what can be expected of their values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SettingsFrom {
    /// The environment of the process. In Azure, the platform has resolved references to Key Vault.
    Environment,
    /// A file at a shell, where nothing resolves references.
    File,
    /// The same, of an app that runs in Azure.
    AzureApp,
}

/// How to sign in at ACS.
#[derive(Debug, Clone)]
pub enum SignIn {
    AccessKey(AccessKey),
    ManagedIdentity,
}

/// Where ACS is and how to sign in there.
#[derive(Debug, Clone)]
pub struct AcsConfig {
    pub endpoint: AcsEndpoint,
    pub sign_in: SignIn,
    pub api_version: ApiVersion,
    pub content_hosts: Vec<ContentHost>,
}

/// Whose bearer tokens are accepted.
#[derive(Debug, Clone)]
pub struct TokenConfig {
    pub openid_url: Url,
    pub audience: String,
}

/// What a delivery to the webhook must carry besides the host's function key.
#[derive(Debug, Clone)]
pub struct EventGridConfig {
    pub secret: Option<SharedSecret>,
    pub tokens: Option<TokenConfig>,
    /// Event Grid's own application; tokens of other applications of the tenant are refused.
    pub app_id: String,
}

/// Who may send commands as a bot, and where their results go.
#[derive(Debug, Clone)]
pub struct TelephonyConfig {
    pub key: Option<SharedSecret>,
    /// The bot's tokens, and its application id.
    pub tokens: Option<(TokenConfig, String)>,
    pub bot_url: Option<Url>,
    /// Our identity's tokens for the bot are for this application.
    pub bot_audience: Option<String>,
}

/// The storage of recordings and the ledger.
#[derive(Debug)]
pub struct StorageConfig {
    pub vault: VaultUrl,
    /// Stores copies while the vault is not available.
    pub backup_vault: Option<VaultUrl>,
    /// How files are kept in a vault that is a container.
    pub vault_options: AzureVaultOptions,
    pub ledger: VaultUrl,
    /// Stores the documents of the audit log; `None`: the ledger stores them.
    pub audit: Option<VaultUrl>,
    /// The customer's own containers that ACS writes into.
    pub external: Vec<ContainerUrl>,
    /// More containers that `replay` may read with the identity.
    pub replay_from: Vec<ContainerUrl>,
    /// Takes the messages for `ExportChunk`; `None` where events and the timer export.
    pub export_queue: Option<ExportQueueUrl>,
}

/// How log lines are filtered and written, and where metrics and traces go.
#[derive(Debug, Clone)]
pub struct LogConfig {
    pub filter: EnvFilter,
    pub format: LogFormat,
    /// `None`: metrics and traces are not exported.
    pub otlp: Option<OtlpConfig>,
}

/// The settings of the process, each one valid.
#[derive(Debug)]
pub struct Config {
    pub acs: AcsConfig,
    /// How to sign in at Microsoft Entra.
    pub identity: IdentityConfig,
    /// Checks ACS's callbacks; the audience is the immutable id of the resource.
    pub callbacks: Option<TokenConfig>,
    pub event_grid: EventGridConfig,
    /// `None`: bots are off.
    pub telephony: Option<TelephonyConfig>,
    pub control: ControlPolicy,
    pub auto_record: Option<AutoRecord>,
    pub storage: StorageConfig,
    /// When copies may be deleted from the vault; `None`: never.
    pub retention: Option<RetentionPolicy>,
    pub limits: TimeLimits,
    /// The Functions host disables the timer: this is a Function App in Azure, and `EXPORT_SWEEP_SCHEDULE` is not set.
    pub lacks_schedule: bool,
    pub export: ExportPolicy,
    /// Whether App Service Authentication signs callers in: the platform sets `WEBSITE_AUTH_ENABLED`.
    pub platform_signs_in: bool,
    /// Whether the operator's page may change something.
    pub actions_enabled: bool,
    /// The country of phone numbers in national form; `None`: a number needs its country.
    pub default_country: Option<Country>,
    pub timestamps: TimestampConfig,
    pub log: LogConfig,
    /// `None`: nobody is notified.
    pub notify: Option<NotifyConfig>,
    /// Names that are no setting and look like one: what they set is not in force.
    pub misspelt: Vec<MisspeltSetting>,
}

/// Every problem of the settings.
#[derive(Debug, Default, thiserror::Error)]
pub struct InvalidConfig {
    problems: Vec<String>,
}

impl InvalidConfig {
    /// One sentence for each problem; it begins with the name of the setting.
    pub fn problems(&self) -> &[String] {
        &self.problems
    }

    /// Adds a problem.
    #[must_use]
    pub fn and(mut self, problem: String) -> Self {
        self.problems.push(problem);
        self
    }
}

impl fmt::Display for InvalidConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.problems.len();
        writeln!(
            f,
            "{} invalid:",
            counted(count, "setting is", "settings are")
        )?;
        self.problems
            .iter()
            .try_for_each(|problem| writeln!(f, "  {problem}"))
    }
}

impl Config {
    /// Reads the settings of the environment, given as name-value pairs. Empty ones count as missing.
    ///
    /// # Errors
    /// With every problem found.
    pub fn read(
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, InvalidConfig> {
        Self::read_from(SettingsFrom::Environment, variables)
    }

    /// Reads settings that may come from elsewhere.
    ///
    /// # Errors
    /// As [`Config::read`].
    pub fn read_from(
        from: SettingsFrom,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, InvalidConfig> {
        let mut reader = Reader::new(from, variables);
        let config = reader.config();
        match config {
            Some(config) if reader.problems.is_empty() => Ok(config),
            Some(_) | None => Err(InvalidConfig {
                problems: reader.problems,
            }),
        }
    }
}

impl Reader {
    /// Reads every setting before it fails, so that every problem is found.
    fn config(&mut self) -> Option<Config> {
        let acs = self.acs();
        let identity = IdentityConfig {
            client_id: self.guid("AZURE_CLIENT_ID"),
            login: Login::ManagedIdentity,
            endpoint: self.identity_endpoint(),
        };
        let callbacks = self.callbacks();
        let event_grid = self.event_grid();
        let telephony = self.telephony();
        let limits = self.limits();
        let control = self.control(limits.map(|limits| limits.source_retention));
        let requires_consent = control.is_some_and(|control| control.requires_consent);
        let auto_record = self.auto_record(acs.as_ref(), requires_consent);
        let storage = self.storage();
        let retention = self.retention();
        let export = self.export();
        let actions_enabled = self.parsed("OPERATOR_ACTIONS", |text| match text {
            "on" => Ok(true),
            "off" => Ok(false),
            other => Err(format!("is `{other}`; expected on or off")),
        });
        let default_country = self.parsed("DEFAULT_COUNTRY", |text| {
            let problem = |error: NoCountry| format!("is `{text}`; {error}");
            text.parse::<Country>().map_err(problem)
        });
        let timestamps = self.timestamps();
        let log = self.log();
        let notify = self.notify();
        let misspelt = self.misspelt();
        Some(Config {
            acs: acs?,
            identity,
            callbacks,
            event_grid,
            telephony,
            control: control?,
            auto_record,
            storage: storage?,
            retention,
            limits: limits?,
            lacks_schedule: self.lacks_schedule(),
            export: export?,
            platform_signs_in: self.platform_signs_in(),
            actions_enabled: actions_enabled?,
            default_country,
            timestamps,
            log: log?,
            notify,
            misspelt,
        })
    }

    /// Returns names that look like a setting. One that keeps a default from being changed that deletes is a problem.
    fn misspelt(&mut self) -> Vec<MisspeltSetting> {
        let found = self.names().filter_map(MisspeltSetting::of);
        let found: Vec<MisspeltSetting> = found.collect();
        for misspelt in &found {
            if misspelt.deletes() && !self.is_given(misspelt.meant) {
                let meant = misspelt.meant;
                self.problem(
                    &misspelt.given,
                    format!(
                        "is not a setting; did you mean {meant}? Its default deletes sources at ACS"
                    ),
                );
            }
        }
        found
    }

    /// Files count as missing while ACS may still have them.
    fn control(&mut self, source_retention: Option<Duration>) -> Option<ControlPolicy> {
        const NAME: &str = "MISSING_AFTER";
        let requires_consent = self.boolean("REQUIRE_CONSENT");
        let reason = "ACS drops the files of a recording after SOURCE_RETENTION, and what was never announced is lost then";
        let missing_after = match source_retention {
            Some(limit) => self.duration_below(NAME, Duration::ZERO, (limit, reason)),
            None => self.duration(NAME, Duration::ZERO),
        };
        Some(ControlPolicy {
            requires_consent: requires_consent?,
            missing_after: missing_after?,
        })
    }
}

#[cfg(test)]
mod tests;
