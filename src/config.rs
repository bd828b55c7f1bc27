//! Reads every setting once. Reports all invalid and missing ones together, by name, before the port is bound.

mod acs;
mod doors;
mod export;
mod reader;
pub mod settings;
mod storage;
mod telemetry;

use std::fmt;
use std::time::Duration;

use tracing_subscriber::EnvFilter;
use url::Url;

use crate::acs::{AccessKey, AcsEndpoint, ApiVersion, ContentHost};
use crate::control::ControlPolicy;
use crate::control::auto_record::AutoRecord;
use crate::export::driver::ExportPolicy;
use crate::export::retention::RetentionPolicy;
use crate::export_queue::QueueUrl;
use crate::identity::{IdentityConfig, IdentityEndpoint, Login};
use crate::secret::SharedSecret;
use crate::telemetry::{LogFormat, OtlpConfig};
use crate::vault::VaultUrl;
use crate::vault::azure::AzureVaultOptions;
use crate::vault::url::ContainerUrl;
use reader::Reader;
pub use settings::{SETTINGS, Setting};

/// A request to the vault begins only while half of a claim is left, and is cut off when the claim is over: with less than this
/// a slow storage would hardly get anything done.
const SHORTEST_CLAIM: Duration = Duration::from_secs(3);

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

/// What a delivery to the webhook has to show besides the host's function key.
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

/// Where recordings and the ledger lie.
#[derive(Debug)]
pub struct StorageConfig {
    pub vault: VaultUrl,
    /// Takes copies while the vault is not available.
    pub backup_vault: Option<VaultUrl>,
    /// How files are kept in a vault that is a container.
    pub vault_options: AzureVaultOptions,
    pub ledger: VaultUrl,
    /// Takes the documents of the audit log; `None`: they lie in the ledger.
    pub audit: Option<VaultUrl>,
    /// The customer's own containers that ACS writes into.
    pub external: Vec<ContainerUrl>,
    /// Takes the messages for `ExportChunk`; `None` where events and the timer export.
    pub export_queue: Option<QueueUrl>,
}

/// How long work may take, and how long a claim and a source last.
#[derive(Debug, Clone, Copy)]
pub struct TimeLimits {
    pub event_budget: Duration,
    pub sweep_budget: Duration,
    pub claim_ttl: Duration,
    pub source_retention: Duration,
    /// How long events that could not be read are kept.
    pub poison_retention: Duration,
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
    pub export: ExportPolicy,
    /// Whether the operator's page may change something.
    pub operator_actions: bool,
    pub log: LogConfig,
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
            "{count} setting{} invalid:",
            if count == 1 { " is" } else { "s are" }
        )?;
        self.problems
            .iter()
            .try_for_each(|problem| writeln!(f, "  {problem}"))
    }
}

impl Config {
    /// Reads settings from name-value pairs, as the environment gives them. Empty ones count as not given.
    ///
    /// # Errors
    /// With every problem found.
    pub fn read(
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, InvalidConfig> {
        let mut reader = Reader::new(variables);
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
    /// Reads every setting before it gives up on one, so that every problem is found.
    fn config(&mut self) -> Option<Config> {
        let acs = self.acs();
        let identity = IdentityConfig {
            client_id: self.text("AZURE_CLIENT_ID"),
            login: Login::ManagedIdentity,
            // The platform's own variables, not settings of ours.
            endpoint: if self.text("IDENTITY_ENDPOINT").is_some() {
                IdentityEndpoint::OfThePlatform
            } else {
                IdentityEndpoint::OfTheMachine
            },
        };
        let callbacks = self.callbacks();
        let event_grid = self.event_grid();
        let telephony = self.telephony();
        let control = self.control();
        let requires_consent = control.is_some_and(|control| control.requires_consent);
        let auto_record = self.auto_record(acs.as_ref(), requires_consent);
        let storage = self.storage();
        let retention = self.retention();
        let export = self.export();
        self.schedule();
        let limits = self.limits();
        let operator_actions = self.parsed("OPERATOR_ACTIONS", |text| match text {
            "on" => Ok(true),
            "off" => Ok(false),
            other => Err(format!("is `{other}`; expected on or off")),
        });
        let log = self.log();
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
            export: export?,
            operator_actions: operator_actions?,
            log: log?,
        })
    }

    fn control(&mut self) -> Option<ControlPolicy> {
        let requires_consent = self.boolean("REQUIRE_CONSENT");
        let missing_after = self.duration("MISSING_AFTER", Duration::ZERO);
        Some(ControlPolicy {
            requires_consent: requires_consent?,
            missing_after: missing_after?,
        })
    }

    fn limits(&mut self) -> Option<TimeLimits> {
        let event_budget = self.duration("EVENT_BUDGET", Duration::from_secs(1));
        let sweep_budget = self.duration("SWEEP_BUDGET", Duration::from_secs(1));
        let claim_ttl = self.duration("CLAIM_TTL", SHORTEST_CLAIM);
        let source_retention = self.duration("SOURCE_RETENTION", Duration::from_secs(1));
        let poison_retention = self.duration("POISON_RETENTION", Duration::from_hours(1));
        Some(TimeLimits {
            event_budget: event_budget?,
            sweep_budget: sweep_budget?,
            claim_ttl: claim_ttl?,
            source_retention: source_retention?,
            poison_retention: poison_retention?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(settings: &[(&str, &str)]) -> Result<Config, InvalidConfig> {
        Config::read(
            settings
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
        )
    }

    const MINIMAL: [(&str, &str); 2] = [
        ("ACS_ENDPOINT", "https://contoso.communication.azure.com"),
        ("VAULT_URL", "file:///var/vault"),
    ];

    fn problems(settings: &[(&str, &str)]) -> String {
        read(settings).unwrap_err().to_string()
    }

    #[test]
    fn two_settings_are_enough_and_mean_managed_identity() {
        let config = read(&MINIMAL).unwrap();
        assert!(matches!(config.acs.sign_in, SignIn::ManagedIdentity));
        assert_eq!(config.limits.sweep_budget, Duration::from_mins(4));
        assert_eq!(config.retention, None, "copies are kept without a limit");
        assert_eq!(config.export.blocks.block_size_bytes.get(), 8 << 20);
        assert_eq!(
            format!("{:?}", config.storage.ledger),
            "file:///var/vault-ledger"
        );
    }

    #[test]
    fn every_problem_is_reported_at_once_by_name() {
        let text = problems(&[
            ("ACS_ENDPOINT", "http://contoso.communication.azure.com"),
            ("ACS_ACCESS_KEY", "*SECRET*"),
            ("ACS_API_VERSION", "1999"),
            ("ACS_CONTENT_HOSTS", "http://evil.example"),
            ("EVENT_BUDGET", "soon"),
            ("CLAIM_TTL", "1s"),
            ("BLOCK_SIZE", "7"),
            ("BLOCKS_IN_FLIGHT", "0"),
            ("CHUNKS_IN_FLIGHT", "-1"),
            ("LOG_FORMAT", "xml"),
            ("EXPORT_SWEEP_SCHEDULE", "bogus"),
            ("LEDGER_URL", "s3://x"),
            ("DELETE_DELAY", "-5s"),
        ]);
        for name in [
            "ACS_ENDPOINT",
            "ACS_ACCESS_KEY",
            "ACS_API_VERSION",
            "ACS_CONTENT_HOSTS",
            "EVENT_BUDGET",
            "CLAIM_TTL",
            "BLOCK_SIZE",
            "BLOCKS_IN_FLIGHT",
            "CHUNKS_IN_FLIGHT",
            "LOG_FORMAT",
            "EXPORT_SWEEP_SCHEDULE",
            "LEDGER_URL",
            "DELETE_DELAY",
            "VAULT_URL is missing",
        ] {
            assert!(text.contains(name), "{name} is not in {text}");
        }
        assert!(!text.contains("SECRET"), "{text}");
        assert!(text.starts_with("14 settings are invalid"), "{text}");
    }

    #[test]
    fn a_retention_is_a_day_or_more() {
        let with = |period| [MINIMAL[0], MINIMAL[1], ("VAULT_RETENTION", period)];
        let keep_for = Duration::from_hours(8760);
        assert_eq!(
            read(&with("8760h")).unwrap().retention,
            Some(RetentionPolicy { keep_for })
        );
        for mistaken in ["365s", "365d", "0", "always"] {
            assert!(
                problems(&with(mistaken)).contains("VAULT_RETENTION"),
                "{mistaken}"
            );
        }
    }

    #[test]
    fn a_connection_string_stands_for_endpoint_and_key() {
        let string = "endpoint=https://contoso.communication.azure.com/;accesskey=c2VjcmV0";
        let config = read(&[("ACS_CONNECTION_STRING", string), MINIMAL[1]]).unwrap();
        assert!(matches!(config.acs.sign_in, SignIn::AccessKey(_)));
    }

    #[test]
    fn both_forms_of_the_key_at_once_are_an_error() {
        let string = "endpoint=https://contoso.communication.azure.com/;accesskey=c2VjcmV0";
        let text = problems(&[("ACS_CONNECTION_STRING", string), MINIMAL[0], MINIMAL[1]]);
        assert!(
            text.contains("ACS_ENDPOINT and ACS_CONNECTION_STRING are both set"),
            "{text}"
        );
    }

    #[test]
    fn the_vault_does_not_stand_in_for_itself() {
        let vault = ("VAULT_URL", "https://a.blob.core.windows.net/calls");
        let backup = (
            "BACKUP_VAULT_URL",
            "https://A.blob.core.windows.net/calls?sv=1&sig=x",
        );
        let text = problems(&[MINIMAL[0], vault, backup]);
        assert!(
            text.contains("BACKUP_VAULT_URL is VAULT_URL")
                && text.contains("LEDGER_URL has to be set"),
            "{text}"
        );
    }

    #[test]
    fn a_directory_has_no_holds_and_tiers() {
        let wanted = [
            ("VAULT_TIER", "cool"),
            ("VAULT_TAGS", "true"),
            ("VAULT_IMMUTABLE_FOR", "8760h"),
            ("VAULT_LEGAL_HOLD", "true"),
        ];
        let text = problems(&[&MINIMAL[..], &wanted[..]].concat());
        assert!(wanted.iter().all(|(name, _)| text.contains(name)), "{text}");
    }

    #[test]
    fn an_unresolved_reference_to_key_vault_is_refused_by_name() {
        let reference = "@Microsoft.KeyVault(SecretUri=https://v.vault.azure.net/secrets/s)";
        let text = problems(&[
            ("ACS_ENDPOINT", "https://contoso.communication.azure.com"),
            ("ACS_ACCESS_KEY", reference),
            (
                "VAULT_URL",
                " @microsoft.keyvault(VaultName=v;SecretName=s)",
            ),
            ("EVENT_GRID_SECRET", reference),
            ("WEBSITE_SOMETHING", reference),
        ]);
        assert!(text.starts_with("3 settings are invalid"), "{text}");
        for name in ["ACS_ACCESS_KEY", "VAULT_URL", "EVENT_GRID_SECRET"] {
            assert!(
                text.contains(&format!("{name} refers to Key Vault")),
                "{text}"
            );
        }
        assert!(!text.contains("is missing"), "{text}");
    }

    #[test]
    fn the_audit_log_has_a_place_of_its_own() {
        let with = |audit| [MINIMAL[0], MINIMAL[1], ("AUDIT_URL", audit)];
        assert!(read(&MINIMAL).unwrap().storage.audit.is_none());
        let audit = read(&with("file:///var/audit")).unwrap().storage.audit;
        assert_eq!(format!("{:?}", audit.unwrap()), "file:///var/audit");
        for taken in ["file:///var/vault", "file:///var/vault-ledger"] {
            let text = problems(&with(taken));
            assert!(text.contains("AUDIT_URL is "), "{text}");
        }
    }

    #[test]
    fn an_empty_setting_counts_as_not_given() {
        assert!(problems(&[("VAULT_URL", " "), MINIMAL[0]]).contains("VAULT_URL is missing"));
    }

    #[test]
    fn telemetry_is_off_unless_there_is_an_endpoint_and_secrets_go_by_tls_only() {
        assert!(read(&MINIMAL).unwrap().log.otlp.is_none());
        let with = |endpoint, headers| {
            [
                MINIMAL[0],
                MINIMAL[1],
                ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint),
                ("OTEL_EXPORTER_OTLP_HEADERS", headers),
            ]
        };
        let otlp = read(&with(
            "https://otlp.example/base",
            "api-key=a%20b, x-tenant=7",
        ))
        .unwrap()
        .log
        .otlp
        .unwrap();
        assert_eq!(
            (otlp.service_name.as_str(), otlp.headers.expose().len()),
            ("recording-vault", 2)
        );
        assert!(read(&with("http://collector:4318", "")).is_ok());
        for mistaken in [
            "http://collector:4318",
            "https://k:s@otlp.example",
            "https://otlp.example?key=1",
            "otlp.example:4318",
        ] {
            let text = problems(&with(mistaken, "api-key=SECRET"));
            assert!(
                text.contains("OTEL_EXPORTER_OTLP_") && !text.contains("SECRET"),
                "{mistaken}: {text}"
            );
        }
        let text = problems(&with("https://otlp.example", "SECRET"));
        assert!(
            text.contains("OTEL_EXPORTER_OTLP_HEADERS") && !text.contains("SECRET"),
            "{text}"
        );
    }

    #[test]
    fn debug_shows_no_secret() {
        let headers = ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=SECRET");
        let settings = [
            headers,
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://otlp.example"),
            MINIMAL[0],
        ];
        let settings = [
            &settings[..],
            &[
                ("ACS_ACCESS_KEY", "c2VjcmV0"),
                ("VAULT_URL", "https://a.b/c?sig=SECRET"),
            ],
        ]
        .concat();
        let config = read(&settings).unwrap();
        let shown = format!("{config:?}");
        assert!(
            !shown.contains("c2VjcmV0") && !shown.contains("SECRET"),
            "{shown}"
        );
    }
}
