//! Every setting, read once. Bad and missing ones are reported all together, by name, before anything is bound.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroUsize;
use std::str::FromStr;
use std::time::Duration;

use bytesize::ByteSize;
use jiff::SignedDuration;
use tracing_subscriber::EnvFilter;
use url::Url;

use crate::acs::{AccessKey, AcsEndpoint, ApiVersion, ContentHost, connection_string};
use crate::control::auto_record::{AutoRecord, Scope};
use crate::export::driver::ExportPolicy;
use crate::export::transfer::BlockPolicy;
use crate::retry::RetryPolicy;
use crate::secret::SharedSecret;
use crate::vault::{InvalidVaultUrl, VaultUrl};

/// Blob Storage takes blocks up to 4,000 MiB, but a block lies in memory; and 50,000 blocks, so that 64 KiB is enough for
/// twice ACS's largest file.
const BLOCK_SIZES: std::ops::RangeInclusive<u64> = 64 << 10..=256 << 20;

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
        Some("https://acscallautomation.communication.azure.com/calling/.well-known/acsopenidconfiguration"),
    ),
    setting("EVENT_GRID_SECRET", None),
    setting("EVENT_GRID_AUDIENCE", None),
    setting("EVENT_GRID_OPENID_URL", None),
    setting("AZURE_CLIENT_ID", None),
    setting("REQUIRE_CONSENT", Some("false")),
    setting("AUTO_RECORD", Some("off")),
    setting(
        "AUTO_RECORD_OPTIONS",
        Some(r#"{"recordingContentType":"audioVideo","recordingChannelType":"mixed","recordingFormatType":"mp4"}"#),
    ),
    setting("VAULT_URL", None),
    setting("LEDGER_URL", None),
    setting("EXPORT_SWEEP_SCHEDULE", Some("0 * * * * *")),
    setting("EVENT_BUDGET", Some("20s")),
    setting("SWEEP_BUDGET", Some("4m")),
    setting("CLAIM_TTL", Some("60s")),
    setting("SOURCE_RETENTION", Some("24h")),
    setting("DELETE_DELAY", Some("0s")),
    setting("EXPORT_ATTEMPTS", Some("100")),
    setting("BLOCK_SIZE", Some("8MiB")),
    setting("BLOCKS_IN_FLIGHT", Some("4")),
    setting("CHUNKS_IN_FLIGHT", Some("4")),
    setting("LOG", Some("info")),
    setting("LOG_FORMAT", Some("text")),
];

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    Json,
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

/// Whose bearer tokens are let in.
#[derive(Debug, Clone)]
pub struct TokenConfig {
    pub openid_url: Url,
    pub audience: String,
}

/// What a delivery to the webhook has to show besides the host's function key.
#[derive(Debug, Clone, Default)]
pub struct EventGridConfig {
    pub secret: Option<SharedSecret>,
    pub tokens: Option<TokenConfig>,
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
    pub requires_consent: bool,
    pub auto_record: Option<AutoRecord>,
    pub vault: VaultUrl,
    pub ledger: VaultUrl,
    pub event_budget: Duration,
    pub sweep_budget: Duration,
    pub claim_ttl: Duration,
    pub source_retention: Duration,
    pub export: ExportPolicy,
    pub log: EnvFilter,
    pub log_format: LogFormat,
}

/// All that is wrong with the settings.
#[derive(Debug, thiserror::Error)]
pub struct InvalidConfig {
    problems: Vec<String>,
}

impl fmt::Display for InvalidConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.problems.len();
        writeln!(f, "{count} setting{} to mend:", if count == 1 { " is" } else { "s are" })?;
        self.problems.iter().try_for_each(|problem| writeln!(f, "  {problem}"))
    }
}

impl Config {
    /// Reads settings from name-value pairs, as the environment gives them. Empty ones count as not given.
    ///
    /// # Errors
    /// With every problem found.
    pub fn read(variables: impl IntoIterator<Item = (String, String)>) -> Result<Self, InvalidConfig> {
        let mut reader = Reader::new(variables);
        let acs = reader.acs();
        let callbacks = reader.callbacks();
        let event_grid = reader.event_grid();
        let requires_consent = reader.boolean("REQUIRE_CONSENT");
        let auto_record = reader.auto_record(acs.as_ref(), requires_consent == Some(true));
        let vault = reader.required("VAULT_URL");
        let ledger = reader.ledger(vault.as_ref());
        let export = reader.export();
        let event_budget = reader.duration("EVENT_BUDGET", Duration::from_secs(1));
        let sweep_budget = reader.duration("SWEEP_BUDGET", Duration::from_secs(1));
        let claim_ttl = reader.duration("CLAIM_TTL", Duration::from_secs(3));
        let source_retention = reader.duration("SOURCE_RETENTION", Duration::from_secs(1));
        let identity_client_id = reader.text("AZURE_CLIENT_ID");
        let log = reader.parsed("LOG", |text| EnvFilter::try_new(text).map_err(|error| format!("is no filter: {error}")));
        let log_format = reader.parsed("LOG_FORMAT", |text| match text {
            "text" => Ok(LogFormat::Text),
            "json" => Ok(LogFormat::Json),
            other => Err(format!("is `{other}`; expected text or json")),
        });
        let complete = (|| {
            Some(Self {
                acs: acs?,
                identity_client_id,
                callbacks,
                event_grid,
                requires_consent: requires_consent?,
                auto_record,
                vault: vault?,
                ledger: ledger?,
                event_budget: event_budget?,
                sweep_budget: sweep_budget?,
                claim_ttl: claim_ttl?,
                source_retention: source_retention?,
                export: export?,
                log: log?,
                log_format: log_format?,
            })
        })();
        match complete {
            Some(config) if reader.problems.is_empty() => Ok(config),
            Some(_) | None => Err(InvalidConfig { problems: reader.problems }),
        }
    }
}

/// Reads settings and gathers what is wrong with them; a setting that is wrong reads as `None`.
struct Reader {
    values: BTreeMap<String, String>,
    problems: Vec<String>,
}

impl Reader {
    fn new(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        let values = variables.into_iter().filter(|(_, value)| !value.trim().is_empty()).collect();
        Self { values, problems: Vec::new() }
    }

    fn text(&self, name: &str) -> Option<String> {
        let default = SETTINGS.iter().find(|setting| setting.name == name).and_then(|setting| setting.default);
        self.values.get(name).map(|value| value.trim().to_owned()).or_else(|| default.map(str::to_owned))
    }

    fn problem(&mut self, name: &str, what: impl fmt::Display) {
        self.problems.push(format!("{name} {what}"));
    }

    /// Parses a setting that has a value, given or by default.
    fn parsed<T, E: fmt::Display>(&mut self, name: &str, parse: impl FnOnce(&str) -> Result<T, E>) -> Option<T> {
        let text = self.text(name)?;
        parse(&text).map_err(|problem| self.problem(name, problem)).ok()
    }

    fn required<T: FromStr<Err: fmt::Display>>(&mut self, name: &str) -> Option<T> {
        if self.text(name).is_none() {
            self.problem(name, "is missing");
        }
        self.parsed(name, T::from_str)
    }

    fn duration(&mut self, name: &str, least: Duration) -> Option<Duration> {
        self.parsed(name, |text| {
            let duration = text
                .parse::<SignedDuration>()
                .ok()
                .and_then(|duration| Duration::try_from(duration).ok())
                .ok_or_else(|| format!("is `{text}`; expected a duration such as 20s, 4m or 24h"))?;
            if duration < least { Err(format!("is `{text}`; expected at least {least:?}")) } else { Ok(duration) }
        })
    }

    fn count(&mut self, name: &str, most: usize) -> Option<NonZeroUsize> {
        self.parsed(name, |text| match text.parse::<NonZeroUsize>() {
            Ok(count) if count.get() <= most => Ok(count),
            Ok(_) | Err(_) => Err(format!("is `{text}`; expected a number from 1 to {most}")),
        })
    }

    fn acs(&mut self) -> Option<AcsConfig> {
        let connection_string = self.text("ACS_CONNECTION_STRING");
        let (endpoint, sign_in) = match connection_string {
            Some(text) => {
                for name in ["ACS_ENDPOINT", "ACS_ACCESS_KEY"] {
                    if self.text(name).is_some() {
                        self.problem(name, "and ACS_CONNECTION_STRING are both set; keep one of them");
                    }
                }
                let parts = connection_string::parse(&text).map_err(|error| self.problem("ACS_CONNECTION_STRING", error)).ok();
                let (endpoint, key) = parts.unzip();
                (endpoint, key.map(SignIn::AccessKey))
            }
            None => {
                let endpoint = self.required("ACS_ENDPOINT");
                let sign_in = match self.text("ACS_ACCESS_KEY") {
                    Some(_) => self.parsed("ACS_ACCESS_KEY", AccessKey::from_str).map(SignIn::AccessKey),
                    None => Some(SignIn::ManagedIdentity),
                };
                (endpoint, sign_in)
            }
        };
        let api_version = self.parsed("ACS_API_VERSION", ApiVersion::from_str);
        let content_hosts = match self.text("ACS_CONTENT_HOSTS") {
            Some(_) => self.parsed("ACS_CONTENT_HOSTS", |text| {
                text.split(',')
                    .filter(|host| !host.trim().is_empty())
                    .map(ContentHost::from_str)
                    .collect::<Result<Vec<_>, _>>()
                    .map_err(|error| format!("has an entry that is wrong: {error}"))
            }),
            None => Some(Vec::new()),
        };
        Some(AcsConfig { endpoint: endpoint?, sign_in: sign_in?, api_version: api_version?, content_hosts: content_hosts? })
    }

    fn boolean(&mut self, name: &str) -> Option<bool> {
        self.parsed(name, |text| text.parse().map_err(|_| format!("is `{text}`; expected true or false")))
    }

    /// Callbacks are off unless it is known whose they are.
    fn callbacks(&mut self) -> Option<TokenConfig> {
        let openid_url = self.https_url("ACS_OPENID_URL");
        Some(TokenConfig { audience: self.text("ACS_RESOURCE_ID")?, openid_url: openid_url? })
    }

    fn event_grid(&mut self) -> EventGridConfig {
        let openid_url = self.https_url("EVENT_GRID_OPENID_URL");
        let audience = self.text("EVENT_GRID_AUDIENCE");
        if openid_url.is_some() != audience.is_some() {
            self.problem("EVENT_GRID_AUDIENCE", "and EVENT_GRID_OPENID_URL belong together; set both or none");
        }
        let tokens = openid_url.zip(audience).map(|(openid_url, audience)| TokenConfig { openid_url, audience });
        EventGridConfig { secret: self.text("EVENT_GRID_SECRET").as_deref().map(SharedSecret::new), tokens }
    }

    fn https_url(&mut self, name: &str) -> Option<Url> {
        self.parsed(name, |text| match Url::parse(text) {
            Ok(url) if url.scheme() == "https" || crate::net::is_loopback(&url) => Ok(url),
            Ok(_) | Err(_) => Err(format!("is `{text}`; expected an https URL")),
        })
    }

    fn auto_record(&mut self, acs: Option<&AcsConfig>, needs_consent: bool) -> Option<AutoRecord> {
        let (scope, options) = (self.text("AUTO_RECORD")?, self.text("AUTO_RECORD_OPTIONS")?);
        let scope = Scope::parse(&scope).map_err(|error| self.problem("AUTO_RECORD", error)).ok()??;
        let policy = AutoRecord::new(scope, &options, acs?.api_version);
        let policy = policy.map_err(|error| self.problem("AUTO_RECORD_OPTIONS", error)).ok()?;
        if needs_consent && !policy.has_consent() {
            self.problem("AUTO_RECORD_OPTIONS", "have no `consent`, and REQUIRE_CONSENT is true");
        }
        Some(policy)
    }

    fn ledger(&mut self, vault: Option<&VaultUrl>) -> Option<VaultUrl> {
        if self.text("LEDGER_URL").is_some() {
            return self.required("LEDGER_URL");
        }
        let beside: Result<VaultUrl, InvalidVaultUrl> = vault?.ledger_beside();
        beside.map_err(|error| self.problem("VAULT_URL", error)).ok()
    }

    fn export(&mut self) -> Option<ExportPolicy> {
        let block_size_bytes = self.parsed("BLOCK_SIZE", |text| {
            let size = text.parse::<ByteSize>().map(|size| size.as_u64()).unwrap_or_default();
            let usable = BLOCK_SIZES.contains(&size) && size.is_multiple_of(1024);
            let size = usize::try_from(size).ok().and_then(NonZeroUsize::new).filter(|_| usable);
            size.ok_or_else(|| format!("is `{text}`; expected a multiple of 1KiB from 64KiB to 256MiB, such as 8MiB"))
        });
        let blocks_in_flight = self.count("BLOCKS_IN_FLIGHT", 64);
        let chunks_in_flight = self.count("CHUNKS_IN_FLIGHT", 256);
        let attempts = self.count("EXPORT_ATTEMPTS", 10_000);
        let delete_delay = self.duration("DELETE_DELAY", Duration::ZERO);
        Some(ExportPolicy {
            blocks: BlockPolicy { block_size_bytes: block_size_bytes?, blocks_in_flight: blocks_in_flight? },
            chunks_in_flight: chunks_in_flight?.get(),
            delete_delay: delete_delay?,
            attempts: RetryPolicy {
                first_delay: Duration::from_secs(10),
                longest_delay: Duration::from_mins(15),
                failures: u32::try_from(attempts?.get()).unwrap_or(u32::MAX),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(settings: &[(&str, &str)]) -> Result<Config, InvalidConfig> {
        Config::read(settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
    }

    const MINIMAL: [(&str, &str); 2] =
        [("ACS_ENDPOINT", "https://contoso.communication.azure.com"), ("VAULT_URL", "file:///var/vault")];

    fn problems(settings: &[(&str, &str)]) -> String {
        read(settings).unwrap_err().to_string()
    }

    #[test]
    fn two_settings_are_enough_and_mean_managed_identity() {
        let config = read(&MINIMAL).unwrap();
        assert!(matches!(config.acs.sign_in, SignIn::ManagedIdentity));
        assert_eq!(config.sweep_budget, Duration::from_mins(4));
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
            "LEDGER_URL",
            "DELETE_DELAY",
            "VAULT_URL is missing",
        ] {
            assert!(text.contains(name), "{name} is not in {text}");
        }
        assert!(!text.contains("SECRET"), "{text}");
        assert!(text.starts_with("13 settings are to mend"), "{text}");
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
        assert!(text.contains("ACS_ENDPOINT and ACS_CONNECTION_STRING are both set"), "{text}");
    }

    #[test]
    fn an_empty_setting_counts_as_not_given() {
        assert!(problems(&[("VAULT_URL", " "), MINIMAL[0]]).contains("VAULT_URL is missing"));
    }

    #[test]
    fn debug_shows_no_secret() {
        let config = read(&[MINIMAL[0], ("ACS_ACCESS_KEY", "c2VjcmV0"), ("VAULT_URL", "https://a.b/c?sig=SECRET")]).unwrap();
        let shown = format!("{config:?}");
        assert!(!shown.contains("c2VjcmV0") && !shown.contains("SECRET"), "{shown}");
    }
}
