//! Reads settings one by one, and gathers what is wrong with them.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroUsize;
use std::str::FromStr;
use std::time::Duration;

use bytesize::ByteSize;
use jiff::SignedDuration;
use url::Url;

use super::{AcsConfig, EventGridConfig, SETTINGS, SignIn, TelephonyConfig, TokenConfig};
use crate::acs::{AccessKey, ApiVersion, ContentHost, connection_string};
use crate::control::auto_record::{AutoRecord, Scope};
use crate::export::block::BlockPolicy;
use crate::export::driver::ExportPolicy;
use crate::export::retention::RetentionPolicy;
use crate::export::{DeletionPolicy, OnAnomaly};
use crate::export_queue::QUEUE_NAME;
use crate::recording::OnOtherObject;
use crate::retry::RetryPolicy;
use crate::secret::{SecretHeaders, SharedSecret};
use crate::telemetry::OtlpConfig;
use crate::vault::azure::{AccessTier, AzureVaultOptions};
use crate::vault::url::ContainerUrl;
use crate::vault::{InvalidVaultUrl, VaultUrl};

/// Blob Storage takes blocks up to 4,000 MiB, but a block lies in memory and its upload has a minute; and 50,000 blocks, so
/// that 64 KiB is enough for twice ACS's largest file.
const BLOCK_SIZES: std::ops::RangeInclusive<u64> = 64 << 10..=64 << 20;

/// Reads settings and gathers what is wrong with them; a setting that is wrong reads as `None`.
pub(super) struct Reader {
    values: BTreeMap<String, String>,
    pub(super) problems: Vec<String>,
}

impl Reader {
    pub(super) fn new(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        let values = variables
            .into_iter()
            .filter(|(_, value)| !value.trim().is_empty())
            .collect();
        Self {
            values,
            problems: Vec::new(),
        }
    }

    pub(super) fn text(&self, name: &str) -> Option<String> {
        let default = SETTINGS
            .iter()
            .find(|setting| setting.name == name)
            .and_then(|setting| setting.default);
        self.values
            .get(name)
            .map(|value| value.trim().to_owned())
            .or_else(|| default.map(str::to_owned))
    }

    fn problem(&mut self, name: &str, what: impl fmt::Display) {
        self.problems.push(format!("{name} {what}"));
    }

    /// Parses a setting that has a value, given or by default.
    pub(super) fn parsed<T, E: fmt::Display>(
        &mut self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let text = self.text(name)?;
        parse(&text)
            .map_err(|problem| self.problem(name, problem))
            .ok()
    }

    pub(super) fn required<T: FromStr<Err: fmt::Display>>(&mut self, name: &str) -> Option<T> {
        if self.text(name).is_none() {
            self.problem(name, "is missing");
        }
        self.parsed(name, T::from_str)
    }

    pub(super) fn duration(&mut self, name: &str, least: Duration) -> Option<Duration> {
        self.parsed(name, |text| {
            let duration = text
                .parse::<SignedDuration>()
                .ok()
                .and_then(|duration| Duration::try_from(duration).ok())
                .ok_or_else(|| {
                    format!("is `{text}`; expected a duration such as 20s, 4m or 24h")
                })?;
            if duration < least {
                Err(format!("is `{text}`; expected at least {least:?}"))
            } else {
                Ok(duration)
            }
        })
    }

    /// The host reads it, and leaves the timer out when it cannot: then nothing that was interrupted ever goes on.
    pub(super) fn schedule(&mut self) {
        self.parsed("EXPORT_SWEEP_SCHEDULE", |text| {
            let fields = text.split_whitespace().count();
            let is_time_span = fields == 1 && text.split(':').count() >= 3;
            let is_ncrontab = fields == 5 || fields == 6;
            let expected =
                "expected six fields such as 0 * * * * *, or a time span such as 00:01:00";
            if is_ncrontab || is_time_span {
                Ok(())
            } else {
                Err(format!("is `{text}`; {expected}"))
            }
        });
    }

    fn count(&mut self, name: &str, most: usize) -> Option<NonZeroUsize> {
        self.parsed(name, |text| match text.parse::<NonZeroUsize>() {
            Ok(count) if count.get() <= most => Ok(count),
            Ok(_) | Err(_) => Err(format!("is `{text}`; expected a number from 1 to {most}")),
        })
    }

    pub(super) fn acs(&mut self) -> Option<AcsConfig> {
        let connection_string = self.text("ACS_CONNECTION_STRING");
        let (endpoint, sign_in) = match connection_string {
            Some(text) => {
                for name in ["ACS_ENDPOINT", "ACS_ACCESS_KEY"] {
                    if self.text(name).is_some() {
                        self.problem(
                            name,
                            "and ACS_CONNECTION_STRING are both set; keep one of them",
                        );
                    }
                }
                let parts = connection_string::parse(&text)
                    .map_err(|error| self.problem("ACS_CONNECTION_STRING", error))
                    .ok();
                let (endpoint, key) = parts.unzip();
                (endpoint, key.map(SignIn::AccessKey))
            }
            None => {
                let endpoint = self.required("ACS_ENDPOINT");
                let sign_in = match self.text("ACS_ACCESS_KEY") {
                    Some(_) => self
                        .parsed("ACS_ACCESS_KEY", AccessKey::from_str)
                        .map(SignIn::AccessKey),
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
        Some(AcsConfig {
            endpoint: endpoint?,
            sign_in: sign_in?,
            api_version: api_version?,
            content_hosts: content_hosts?,
        })
    }

    pub(super) fn boolean(&mut self, name: &str) -> Option<bool> {
        self.parsed(name, |text| {
            text.parse()
                .map_err(|_| format!("is `{text}`; expected true or false"))
        })
    }

    /// Callbacks are off unless it is known whose they are.
    pub(super) fn callbacks(&mut self) -> Option<TokenConfig> {
        let openid_url = self.https_url("ACS_OPENID_URL");
        Some(TokenConfig {
            audience: self.text("ACS_RESOURCE_ID")?,
            openid_url: openid_url?,
        })
    }

    pub(super) fn event_grid(&mut self) -> EventGridConfig {
        let openid_url = self.https_url("EVENT_GRID_OPENID_URL");
        let audience = self.text("EVENT_GRID_AUDIENCE");
        if openid_url.is_some() != audience.is_some() {
            self.problem(
                "EVENT_GRID_AUDIENCE",
                "and EVENT_GRID_OPENID_URL belong together; set both or none",
            );
        }
        let tokens = openid_url
            .zip(audience)
            .map(|(openid_url, audience)| TokenConfig {
                openid_url,
                audience,
            });
        let app_id = self.text("EVENT_GRID_APP_ID").unwrap_or_default();
        EventGridConfig {
            secret: self
                .text("EVENT_GRID_SECRET")
                .as_deref()
                .map(SharedSecret::new),
            tokens,
            app_id,
        }
    }

    /// Bots are not let in unless it is known by what.
    pub(super) fn telephony(&mut self) -> Option<TelephonyConfig> {
        let (openid_url, bot_url) = (
            self.https_url("TELEPHONY_OPENID_URL"),
            self.https_url("TELEPHONY_BOT_URL"),
        );
        let key = self.text("TELEPHONY_KEY").as_deref().map(SharedSecret::new);
        let tokens = self
            .text("TELEPHONY_APP_ID")
            .zip(openid_url.zip(self.text("TELEPHONY_AUDIENCE")));
        let tokens = tokens.map(|(app_id, (openid_url, audience))| {
            (
                TokenConfig {
                    openid_url,
                    audience,
                },
                app_id,
            )
        });
        let bot_audience = self.text("TELEPHONY_BOT_AUDIENCE");
        if bot_audience.is_some() && self.text("TELEPHONY_BOT_URL").is_none() {
            self.problem(
                "TELEPHONY_BOT_AUDIENCE",
                "is set, and TELEPHONY_BOT_URL, which it belongs to, is not",
            );
        }
        if key.is_none() && self.text("TELEPHONY_APP_ID").is_none() {
            if self.text("TELEPHONY_BOT_URL").is_some() {
                let expected =
                    "is set, and nothing lets the bot in: set TELEPHONY_APP_ID or TELEPHONY_KEY";
                self.problem("TELEPHONY_BOT_URL", expected);
            }
            return None;
        }
        Some(TelephonyConfig {
            key,
            tokens,
            bot_url,
            bot_audience,
        })
    }

    fn https_url(&mut self, name: &str) -> Option<Url> {
        self.parsed(name, |text| match Url::parse(text) {
            Ok(url) if url.scheme() == "https" || crate::net::is_loopback(&url) => Ok(url),
            Ok(_) | Err(_) => Err(format!("is `{text}`; expected an https URL")),
        })
    }

    /// Metrics and traces are off unless it is known where to.
    pub(super) fn otlp(&mut self) -> Option<OtlpConfig> {
        const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
        let headers = self.parsed("OTEL_EXPORTER_OTLP_HEADERS", SecretHeaders::from_str);
        let has_headers = headers.is_some();
        let endpoint = self.parsed(ENDPOINT, |text| match Url::parse(text) {
            Ok(url) if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() => {
                Err("is no http URL")
            }
            Ok(url)
                if !url.username().is_empty()
                    || url.password().is_some()
                    || url.query().is_some() =>
            {
                Err("carries a secret or a query; a secret belongs into OTEL_EXPORTER_OTLP_HEADERS")
            }
            Ok(url) if has_headers && url.scheme() != "https" && !crate::net::is_loopback(&url) => {
                Err("is not https, and OTEL_EXPORTER_OTLP_HEADERS would be sent in the open")
            }
            Ok(url) => Ok(url),
            Err(_) => Err("is no URL; expected one such as http://localhost:4318"),
        })?;
        Some(OtlpConfig {
            endpoint,
            headers: headers.unwrap_or_default(),
            service_name: self.text("OTEL_SERVICE_NAME")?,
        })
    }

    pub(super) fn auto_record(
        &mut self,
        acs: Option<&AcsConfig>,
        needs_consent: bool,
    ) -> Option<AutoRecord> {
        let (scope, options) = (self.text("AUTO_RECORD")?, self.text("AUTO_RECORD_OPTIONS")?);
        let scope = Scope::parse(&scope)
            .map_err(|error| self.problem("AUTO_RECORD", error))
            .ok()??;
        let policy = AutoRecord::new(scope, &options, acs?.api_version);
        let policy = policy
            .map_err(|error| self.problem("AUTO_RECORD_OPTIONS", error))
            .ok()?;
        if needs_consent && !policy.has_consent() {
            self.problem(
                "AUTO_RECORD_OPTIONS",
                "have no `consent`, and REQUIRE_CONSENT is true",
            );
        }
        Some(policy)
    }

    pub(super) fn ledger(&mut self, vault: Option<&VaultUrl>) -> Option<VaultUrl> {
        if self.text("LEDGER_URL").is_some() {
            let ledger: Option<VaultUrl> = self.required("LEDGER_URL");
            if ledger
                .as_ref()
                .zip(vault)
                .is_some_and(|(ledger, vault): (&VaultUrl, _)| ledger.is_same_place(vault))
            {
                self.problem(
                    "LEDGER_URL",
                    "is VAULT_URL; the ledger needs a place of its own",
                );
            }
            return ledger;
        }
        let beside: Result<VaultUrl, InvalidVaultUrl> = vault?.ledger_beside();
        beside
            .map_err(|error| self.problem("VAULT_URL", error))
            .ok()
    }

    pub(super) fn backup_vault(&mut self, vault: Option<&VaultUrl>) -> Option<VaultUrl> {
        let backup = self.parsed("BACKUP_VAULT_URL", VaultUrl::from_str)?;
        if vault.is_some_and(|vault| vault.is_same_place(&backup)) {
            self.problem(
                "BACKUP_VAULT_URL",
                "is VAULT_URL; what fails there fails here too",
            );
        }
        if self.text("LEDGER_URL").is_none() {
            self.problem(
                "LEDGER_URL",
                "has to be set with BACKUP_VAULT_URL; beside VAULT_URL it would be away with it",
            );
        }
        Some(backup)
    }

    pub(super) fn vault_options(&mut self, vault: Option<&VaultUrl>) -> Option<AzureVaultOptions> {
        let read_back = self.parsed("VERIFY", |text| match text {
            "block-list" => Ok(false),
            "read-back" => Ok(true),
            other => Err(format!("is `{other}`; expected block-list or read-back")),
        });
        let is_directory = matches!(vault, Some(VaultUrl::Directory(_)));
        for name in ["VAULT_TIER", "VAULT_IMMUTABLE_FOR"] {
            if is_directory && self.text(name).is_some() {
                self.problem(
                    name,
                    "is set, and VAULT_URL is a directory, which has no such thing",
                );
            }
        }
        // Archive would have to be rehydrated before a copy could be proved, played or moved.
        let tier = match self.text("VAULT_TIER") {
            Some(_) => Some(self.parsed("VAULT_TIER", |text| match text {
                "hot" => Ok(AccessTier::Hot),
                "cool" => Ok(AccessTier::Cool),
                "cold" => Ok(AccessTier::Cold),
                other => Err(format!("is `{other}`; expected hot, cool or cold")),
            })?),
            None => None,
        };
        let immutable_for = match self.text("VAULT_IMMUTABLE_FOR") {
            Some(_) => Some(self.duration("VAULT_IMMUTABLE_FOR", Duration::from_hours(24))?),
            None => None,
        };
        let (tags, legal_hold) = (self.boolean("VAULT_TAGS"), self.boolean("VAULT_LEGAL_HOLD"));
        for (name, wanted) in [("VAULT_TAGS", tags), ("VAULT_LEGAL_HOLD", legal_hold)] {
            if is_directory && wanted == Some(true) {
                self.problem(
                    name,
                    "is true, and VAULT_URL is a directory, which has no such thing",
                );
            }
        }
        Some(AzureVaultOptions {
            read_back: read_back?,
            tags: tags?,
            tier,
            immutable_for,
            legal_hold: legal_hold?,
        })
    }

    /// At least a day: what is shorter is a slip of the unit, and would empty the vault.
    pub(super) fn retention(&mut self) -> Option<RetentionPolicy> {
        self.duration("VAULT_RETENTION", Duration::from_hours(24))
            .map(|keep_for| RetentionPolicy { keep_for })
    }

    pub(super) fn external_storage(&mut self) -> Option<Vec<ContainerUrl>> {
        if self.text("EXTERNAL_STORAGE").is_none() {
            return Some(Vec::new());
        }
        self.parsed("EXTERNAL_STORAGE", |text| {
            let containers = text.split(',').map(str::trim).filter(|url| !url.is_empty());
            let containers = containers.map(|url| match url.parse() {
                Ok(VaultUrl::Container(container)) => Ok(container),
                Ok(VaultUrl::Directory(_)) => {
                    Err("has a directory; expected URLs of containers".to_owned())
                }
                Err(error) => Err(format!("has an entry that {error}")),
            });
            containers.collect::<Result<Vec<_>, _>>()
        })
    }

    pub(super) fn export_queue(&mut self) -> Option<ContainerUrl> {
        let expected = format!(
            "expected https://<account>.queue.core.windows.net/{QUEUE_NAME}, with a SAS or without"
        );
        self.parsed("EXPORT_QUEUE_URL", |text| match text.parse() {
            Ok(VaultUrl::Container(queue))
                if queue.expose().path().ends_with(&format!("/{QUEUE_NAME}")) =>
            {
                Ok(queue)
            }
            Ok(VaultUrl::Container(_)) => Err(format!(
                "is not the queue that the function ExportChunk reads; {expected}"
            )),
            Ok(VaultUrl::Directory(_)) => Err(format!("is a directory; {expected}")),
            Err(error) => Err(format!("is no URL of a queue ({error}); {expected}")),
        })
    }

    pub(super) fn export(&mut self) -> Option<ExportPolicy> {
        let block_size_bytes = self.parsed("BLOCK_SIZE", |text| {
            let size = text
                .parse::<ByteSize>()
                .map(|size| size.as_u64())
                .unwrap_or_default();
            let usable = BLOCK_SIZES.contains(&size) && size.is_multiple_of(1024);
            let size = usize::try_from(size)
                .ok()
                .and_then(NonZeroUsize::new)
                .filter(|_| usable);
            size.ok_or_else(|| {
                format!(
                    "is `{text}`; expected a multiple of 1KiB from 64KiB to 64MiB, such as 8MiB"
                )
            })
        });
        let blocks_in_flight = self.count("BLOCKS_IN_FLIGHT", 64);
        let chunks_in_flight = self.count("CHUNKS_IN_FLIGHT", 256);
        let attempts = self.count("EXPORT_ATTEMPTS", 10_000);
        let delete_delay = self.duration("DELETE_DELAY", Duration::ZERO);
        let other_objects = self.boolean("DELETE_OTHER_OBJECT").map(|deletes| {
            if deletes {
                OnOtherObject::Delete
            } else {
                OnOtherObject::Keep
            }
        });
        let anomalies = self.parsed("ON_ANOMALY", |text| match text {
            "keep" => Ok(OnAnomaly::Keep),
            "delete" => Ok(OnAnomaly::Delete),
            other => Err(format!("is `{other}`; expected keep or delete")),
        });
        Some(ExportPolicy {
            blocks: BlockPolicy {
                block_size_bytes: block_size_bytes?,
                blocks_in_flight: blocks_in_flight?,
            },
            chunks_in_flight: chunks_in_flight?.get(),
            deletion: DeletionPolicy {
                delay: delete_delay?,
                anomalies: anomalies?,
                other_objects: other_objects?,
            },
            attempts: RetryPolicy {
                first_delay: Duration::from_secs(10),
                longest_delay: Duration::from_mins(15),
                failures: u32::try_from(attempts?.get()).unwrap_or(u32::MAX),
            },
        })
    }
}
