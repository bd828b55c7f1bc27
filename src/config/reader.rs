//! Reads settings one by one, and collects every problem. Knows no concern: `acs`, `doors`, `export`, `storage` and
//! `telemetry` read with it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::num::NonZeroUsize;
use std::str::FromStr;
use std::time::Duration;

use jiff::SignedDuration;
use url::Url;
use uuid::Uuid;

use super::SettingsFrom;
use super::platform::Platform;
use super::settings::SETTINGS;

/// Settings that verbs at a shell do not use, and that may be secrets in Key Vault.
const OF_THE_HANDLER: [&str; 3] = [
    "EVENT_GRID_SECRET",
    "OTEL_EXPORTER_OTLP_HEADERS",
    "TELEPHONY_KEY",
];

/// Reads settings and collects every problem; an invalid setting reads as `None`.
pub(super) struct Reader {
    values: BTreeMap<String, String>,
    /// Settings that refer to a secret that is not resolved.
    unresolved: BTreeSet<String>,
    from: SettingsFrom,
    pub(super) problems: Vec<String>,
}

impl Reader {
    pub(super) fn new(
        from: SettingsFrom,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Self {
        // An empty value counts as not set.
        let given = variables
            .into_iter()
            .filter(|(_, value)| !value.trim().is_empty());
        let (unresolved, values): (BTreeMap<_, _>, BTreeMap<_, _>) =
            given.partition(|(name, value)| is_setting(name) && is_key_vault_reference(value));
        let mut reader = Self {
            values,
            unresolved: unresolved.into_keys().collect(),
            from,
            problems: Vec::new(),
        };
        for name in reader.unresolved.clone() {
            let problem = match from {
                SettingsFrom::Environment => {
                    "refers to Key Vault, and the platform did not resolve the reference; check keyVaultReferenceIdentity of the app, the role Key Vault Secrets User of that identity, and the name of the secret"
                }
                SettingsFrom::File | SettingsFrom::AzureApp
                    if OF_THE_HANDLER.contains(&name.as_str()) =>
                {
                    continue;
                }
                SettingsFrom::File | SettingsFrom::AzureApp => {
                    "refers to Key Vault, and only the platform resolves references, in the app; for a verb at a shell, save the settings to a file, and replace the reference there by the secret"
                }
            };
            reader.problem(&name, problem);
        }
        reader
    }

    /// The platform that this process runs on; `None`: a machine that keeps its disk.
    pub(super) fn platform(&self) -> Option<Platform> {
        Platform::of(self.from, |name| self.values.get(name).map(String::as_str))
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

    /// The names of all that has a value, settings or not.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.values.keys().map(String::as_str)
    }

    /// Whether a setting has a value of its own.
    pub(super) fn is_given(&self, name: &str) -> bool {
        self.values.contains_key(name) || self.unresolved.contains(name)
    }

    pub(super) fn problem(&mut self, name: &str, what: impl fmt::Display) {
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
        if self.text(name).is_none() && !self.unresolved.contains(name) {
            self.problem(name, "is missing");
        }
        self.parsed(name, T::from_str)
    }

    pub(super) fn duration(&mut self, name: &str, least: Duration) -> Option<Duration> {
        self.parsed(name, |text| duration(text, least))
    }

    /// Reads a duration below a limit that has a reason.
    pub(super) fn duration_below(
        &mut self,
        name: &str,
        least: Duration,
        (limit, reason): (Duration, &str),
    ) -> Option<Duration> {
        self.parsed(name, |text| {
            let duration = duration(text, least)?;
            if duration < limit {
                return Ok(duration);
            }
            let limit = as_written(limit);
            Err(format!("is `{text}`; expected less than {limit}: {reason}"))
        })
    }

    pub(super) fn count(&mut self, name: &str, most: usize) -> Option<NonZeroUsize> {
        self.parsed(name, |text| match text.parse::<NonZeroUsize>() {
            Ok(count) if count.get() <= most => Ok(count),
            Ok(_) | Err(_) => Err(format!("is `{text}`; expected a number from 1 to {most}")),
        })
    }

    pub(super) fn boolean(&mut self, name: &str) -> Option<bool> {
        self.parsed(name, |text| {
            text.parse()
                .map_err(|_| format!("is `{text}`; expected true or false"))
        })
    }

    /// Reads an id that Azure assigns, in the form in which Azure writes it.
    pub(super) fn guid(&mut self, name: &str) -> Option<String> {
        self.parsed(name, |text| match Uuid::try_parse(text) {
            Ok(id) => Ok(id.to_string()),
            Err(_) => Err(format!(
                "is `{text}`; expected an id such as 00000000-0000-0000-0000-000000000000"
            )),
        })
    }

    /// Reads the audience of tokens: an application id, or the URI of an application.
    pub(super) fn audience(&mut self, name: &str) -> Option<String> {
        self.parsed(name, |text| {
            if let Ok(id) = Uuid::try_parse(text) {
                return Ok(id.to_string());
            }
            let is_quoted = text.contains(['"', '\'', '{', '}', '<', '>']);
            if is_quoted || text.contains(char::is_whitespace) {
                return Err(format!(
                    "is `{text}`; expected an application id, or the URI of an application, without quotes, brackets and spaces"
                ));
            }
            Ok(text.to_owned())
        })
    }

    pub(super) fn https_url(&mut self, name: &str) -> Option<Url> {
        self.parsed(name, |text| match Url::parse(text) {
            Ok(url) if url.scheme() == "https" || crate::address::is_loopback(&url) => Ok(url),
            Ok(_) | Err(_) => {
                Err("is not an https URL; its value is not shown, because it may hold a secret")
            }
        })
    }
}

fn duration(text: &str, least: Duration) -> Result<Duration, String> {
    let duration = text
        .parse::<SignedDuration>()
        .ok()
        .and_then(|duration| Duration::try_from(duration).ok())
        .ok_or_else(|| {
            format!("is `{text}`; expected hours, minutes or seconds, such as 24h, 4m or 20s")
        })?;
    if duration < least {
        let least = as_written(least);
        return Err(format!("is `{text}`; expected at least {least}"));
    }
    Ok(duration)
}

/// A duration as a setting writes it, such as `24h`.
fn as_written(duration: Duration) -> String {
    SignedDuration::try_from(duration).map_or_else(
        |_| format!("{} s", duration.as_secs()),
        |duration| format!("{duration:#}"),
    )
}

fn is_setting(name: &str) -> bool {
    SETTINGS.iter().any(|setting| setting.name == name)
}

/// Whether a value refers to Key Vault. The platform leaves a reference as it is when it cannot resolve it.
/// <https://learn.microsoft.com/azure/app-service/app-service-key-vault-references>
pub fn is_key_vault_reference(value: &str) -> bool {
    const BEGINS: &str = "@Microsoft.KeyVault(";
    value
        .trim()
        .get(..BEGINS.len())
        .is_some_and(|begin| begin.eq_ignore_ascii_case(BEGINS))
}
