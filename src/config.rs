//! Every setting, read once. Bad and missing ones are reported all together, by name, before anything is bound.

mod reader;

use std::fmt;
use std::time::Duration;

use tracing_subscriber::EnvFilter;
use url::Url;

use crate::acs::{AccessKey, AcsEndpoint, ApiVersion, ContentHost};
use crate::control::ControlPolicy;
use crate::control::auto_record::AutoRecord;
use crate::export::driver::ExportPolicy;
use crate::export::retention::RetentionPolicy;
use crate::secret::SharedSecret;
use crate::telemetry::{LogFormat, OtlpConfig};
use crate::vault::VaultUrl;
use crate::vault::azure::AzureVaultOptions;
use crate::vault::url::ContainerUrl;
use reader::Reader;

/// A setting as the documentation lists it.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    pub name: &'static str,
    /// `None`: there is none, or it has to be given.
    pub default: Option<&'static str>,
}

const fn setting(name: &'static str, default: Option<&'static str>) -> Setting {
    Setting { name, default }
}

/// All settings. `local.settings.sample.json` and the table in README.md name the same; a test holds them together.
pub const SETTINGS: &[Setting] = &[
    setting("ACS_ENDPOINT", None),
    setting("ACS_ACCESS_KEY", None),
    setting("ACS_CONNECTION_STRING", None),
    setting("ACS_API_VERSION", Some("2026-03-12")),
    setting("ACS_CONTENT_HOSTS", None),
    setting("ACS_RESOURCE_ID", None),
    setting(
        "ACS_OPENID_URL",
        Some(
            "https://acscallautomation.communication.azure.com/calling/.well-known/acsopenidconfiguration",
        ),
    ),
    setting("EVENT_GRID_SECRET", None),
    setting("EVENT_GRID_AUDIENCE", None),
    setting("EVENT_GRID_OPENID_URL", None),
    // Microsoft.EventGrid in the public cloud.
    setting(
        "EVENT_GRID_APP_ID",
        Some("4962773b-9cdb-44cf-a8bf-237846a00ab7"),
    ),
    setting("TELEPHONY_APP_ID", None),
    setting("TELEPHONY_AUDIENCE", Some("https://api.botframework.com")),
    setting(
        "TELEPHONY_OPENID_URL",
        Some("https://login.microsoftonline.com/botframework.com/.well-known/openid-configuration"),
    ),
    setting("TELEPHONY_KEY", None),
    setting("TELEPHONY_BOT_URL", None),
    setting("TELEPHONY_BOT_AUDIENCE", None),
    setting("AZURE_CLIENT_ID", None),
    setting("REQUIRE_CONSENT", Some("false")),
    setting("MISSING_AFTER", Some("30m")),
    setting("AUTO_RECORD", Some("off")),
    setting(
        "AUTO_RECORD_OPTIONS",
        Some(
            r#"{"recordingContentType":"audioVideo","recordingChannelType":"mixed","recordingFormatType":"mp4"}"#,
        ),
    ),
    setting("VAULT_URL", None),
    setting("BACKUP_VAULT_URL", None),
    setting("VERIFY", Some("block-list")),
    setting("ON_ANOMALY", Some("keep")),
    setting("VAULT_TIER", None),
    setting("VAULT_TAGS", Some("false")),
    setting("VAULT_IMMUTABLE_FOR", None),
    setting("VAULT_LEGAL_HOLD", Some("false")),
    setting("VAULT_RETENTION", None),
    setting("LEDGER_URL", None),
    setting("EXTERNAL_STORAGE", None),
    setting("EXPORT_QUEUE_URL", None),
    setting("EXPORT_SWEEP_SCHEDULE", Some("0 * * * * *")),
    setting("EVENT_BUDGET", Some("20s")),
    setting("SWEEP_BUDGET", Some("4m")),
    setting("CLAIM_TTL", Some("60s")),
    setting("SOURCE_RETENTION", Some("24h")),
    setting("DELETE_DELAY", Some("0s")),
    setting("DELETE_OTHER_OBJECT", Some("false")),
    setting("EXPORT_ATTEMPTS", Some("100")),
    setting("BLOCK_SIZE", Some("8MiB")),
    setting("BLOCKS_IN_FLIGHT", Some("4")),
    setting("CHUNKS_IN_FLIGHT", Some("4")),
    setting("OPERATOR_ACTIONS", Some("off")),
    setting("LOG", Some("info")),
    setting("LOG_FORMAT", Some("text")),
    setting("OTEL_EXPORTER_OTLP_ENDPOINT", None),
    setting("OTEL_EXPORTER_OTLP_HEADERS", None),
    setting("OTEL_SERVICE_NAME", Some("recording-vault")),
];

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

/// Whose bearer tokens are let in.
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
    /// Event Grid's own application; others of the tenant are not let in.
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

/// The process's settings, valid throughout.
#[derive(Debug)]
pub struct Config {
    pub acs: AcsConfig,
    /// Client id of a user-assigned identity.
    pub identity_client_id: Option<String>,
    /// ACS's callbacks; the audience is the resource's immutable id.
    pub callbacks: Option<TokenConfig>,
    pub event_grid: EventGridConfig,
    /// `None`: bots are not let in.
    pub telephony: Option<TelephonyConfig>,
    pub control: ControlPolicy,
    pub auto_record: Option<AutoRecord>,
    pub vault: VaultUrl,
    /// Stands in for the vault while that is not available.
    pub backup_vault: Option<VaultUrl>,
    /// How files are kept in a vault that is a container.
    pub vault_options: AzureVaultOptions,
    /// After how long copies may be deleted from the vault; never, unless set.
    pub retention: Option<RetentionPolicy>,
    pub ledger: VaultUrl,
    /// Containers of the customer's own that ACS writes into.
    pub external_storage: Vec<ContainerUrl>,
    /// Where messages for `ExportChunk` go; events and the timer drive by themselves unless set.
    pub export_queue: Option<ContainerUrl>,
    pub event_budget: Duration,
    pub sweep_budget: Duration,
    pub claim_ttl: Duration,
    pub source_retention: Duration,
    pub export: ExportPolicy,
    /// Whether the operator's page may do more than look.
    pub operator_actions: bool,
    pub log: EnvFilter,
    pub log_format: LogFormat,
    /// Off, unless set.
    pub otlp: Option<OtlpConfig>,
}

/// All that is wrong with the settings.
#[derive(Debug, Default, thiserror::Error)]
pub struct InvalidConfig {
    problems: Vec<String>,
}

impl InvalidConfig {
    /// What is wrong, each beginning with the setting's name.
    pub fn problems(&self) -> &[String] {
        &self.problems
    }

    /// With one problem more.
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
            "{count} setting{} to mend:",
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
        let acs = reader.acs();
        let callbacks = reader.callbacks();
        let event_grid = reader.event_grid();
        let telephony = reader.telephony();
        let requires_consent = reader.boolean("REQUIRE_CONSENT");
        let missing_after = reader.duration("MISSING_AFTER", Duration::ZERO);
        let auto_record = reader.auto_record(acs.as_ref(), requires_consent == Some(true));
        let vault = reader.required("VAULT_URL");
        let backup_vault = reader.backup_vault(vault.as_ref());
        let vault_options = reader.vault_options(vault.as_ref());
        let retention = reader.retention();
        let ledger = reader.ledger(vault.as_ref());
        let external_storage = reader.external_storage();
        let export_queue = reader.export_queue();
        let export = reader.export();
        reader.schedule();
        let event_budget = reader.duration("EVENT_BUDGET", Duration::from_secs(1));
        let sweep_budget = reader.duration("SWEEP_BUDGET", Duration::from_secs(1));
        let claim_ttl = reader.duration("CLAIM_TTL", Duration::from_secs(3));
        let source_retention = reader.duration("SOURCE_RETENTION", Duration::from_secs(1));
        let identity_client_id = reader.text("AZURE_CLIENT_ID");
        let operator_actions = reader.parsed("OPERATOR_ACTIONS", |text| match text {
            "on" => Ok(true),
            "off" => Ok(false),
            other => Err(format!("is `{other}`; expected on or off")),
        });
        let log = reader.parsed("LOG", |text| {
            EnvFilter::try_new(text).map_err(|error| format!("is no filter: {error}"))
        });
        let log_format = reader.parsed("LOG_FORMAT", |text| match text {
            "text" => Ok(LogFormat::Text),
            "json" => Ok(LogFormat::Json),
            other => Err(format!("is `{other}`; expected text or json")),
        });
        let otlp = reader.otlp();
        let complete = (|| {
            Some(Self {
                acs: acs?,
                identity_client_id,
                callbacks,
                event_grid,
                telephony,
                control: ControlPolicy {
                    requires_consent: requires_consent?,
                    missing_after: missing_after?,
                },
                auto_record,
                vault: vault?,
                backup_vault,
                vault_options: vault_options?,
                retention,
                ledger: ledger?,
                external_storage: external_storage?,
                export_queue,
                event_budget: event_budget?,
                sweep_budget: sweep_budget?,
                claim_ttl: claim_ttl?,
                source_retention: source_retention?,
                export: export?,
                operator_actions: operator_actions?,
                log: log?,
                log_format: log_format?,
                otlp,
            })
        })();
        match complete {
            Some(config) if reader.problems.is_empty() => Ok(config),
            Some(_) | None => Err(InvalidConfig {
                problems: reader.problems,
            }),
        }
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
        assert_eq!(config.sweep_budget, Duration::from_mins(4));
        assert_eq!(config.retention, None, "copies are kept for ever");
        assert_eq!(config.export.blocks.block_size_bytes.get(), 8 << 20);
        assert_eq!(format!("{:?}", config.ledger), "file:///var/vault-ledger");
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
        assert!(text.starts_with("14 settings are to mend"), "{text}");
    }

    #[test]
    fn a_retention_is_a_day_or_more() {
        let with = |period| [MINIMAL[0], MINIMAL[1], ("VAULT_RETENTION", period)];
        let keep_for = Duration::from_hours(8760);
        assert_eq!(
            read(&with("8760h")).unwrap().retention,
            Some(RetentionPolicy { keep_for })
        );
        for mistaken in ["365s", "365d", "0", "for ever"] {
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
    fn an_empty_setting_counts_as_not_given() {
        assert!(problems(&[("VAULT_URL", " "), MINIMAL[0]]).contains("VAULT_URL is missing"));
    }

    #[test]
    fn telemetry_is_off_unless_there_is_an_endpoint_and_secrets_go_by_tls_only() {
        assert!(read(&MINIMAL).unwrap().otlp.is_none());
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
