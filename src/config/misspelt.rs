//! Names that are no setting and look like one: the setting that is meant has its default then. The Functions host and other
//! programs have settings in the same place, so a name that looks like none of ours is not reported.

use std::fmt;

use super::settings::SETTINGS;

/// Beginnings of names that belong to the platform or to other programs, whatever else they look like.
const OF_OTHERS: [&str; 10] = [
    "APPINSIGHTS",
    "APPLICATIONINSIGHTS",
    "APPSETTING_",
    "AZURE_",
    "AZUREWEBJOBS",
    "CONTAINER_",
    "FUNCTIONS_",
    // Of systemd.
    "NOTIFY_SOCKET",
    "OTEL_",
    "WEBSITE_",
];
/// Settings whose defaults delete a source, or delete it by the weaker proof. A slip in their names must not do that.
const DELETE_BY_DEFAULT: [&str; 4] = [
    "DELETE_DELAY",
    "DELETE_UNSOLICITED",
    "ON_UNKNOWN_MEDIA",
    "VERIFY",
];
/// Names from this length on may have two slips, or be cut short.
const LONG: usize = 10;
/// Shorter names look like too much else.
const SHORT: usize = 5;
/// A name that is cut short lacks at most this much.
const CUT: usize = 4;

/// A name that is no setting, and the setting that it probably means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MisspeltSetting {
    pub given: String,
    pub meant: &'static str,
}

impl MisspeltSetting {
    /// Finds the setting that a name means which is none.
    pub(super) fn of(given: &str) -> Option<Self> {
        let names = || SETTINGS.iter().map(|setting| setting.name);
        if names().any(|name| name == given) {
            return None;
        }
        let spelt = given.to_ascii_uppercase().replace(['-', '.'], "_");
        let is_of_others = OF_OTHERS.iter().any(|other| spelt.starts_with(other));
        let meant = names().find(|name| *name == spelt).or_else(|| {
            let alike = names().filter(|name| !is_of_others && are_alike(&spelt, name));
            alike.min_by_key(|name| strsim::osa_distance(&spelt, name))
        })?;
        Some(Self {
            given: given.to_owned(),
            meant,
        })
    }

    /// Whether the default of the setting deletes what the misspelt value may have kept.
    pub(super) fn deletes(&self) -> bool {
        DELETE_BY_DEFAULT.contains(&self.meant)
    }
}

impl fmt::Display for MisspeltSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { given, meant } = self;
        write!(f, "{given} is not a setting; did you mean {meant}?")
    }
}

fn are_alike(spelt: &str, name: &str) -> bool {
    let shorter = spelt.len().min(name.len());
    let is_long = shorter >= LONG;
    let slips = if is_long { 2 } else { 1 };
    shorter >= SHORT
        && (strsim::osa_distance(spelt, name) <= slips || is_long && is_cut_short(spelt, name))
}

/// Whether one name is a beginning of the other.
fn is_cut_short(spelt: &str, name: &str) -> bool {
    (spelt.starts_with(name) || name.starts_with(spelt)) && spelt.len().abs_diff(name.len()) <= CUT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case("DELETE_UNSOLICTED", Some("DELETE_UNSOLICITED"))]
    #[case("ON_UNKOWN_MEDIA", Some("ON_UNKNOWN_MEDIA"))]
    #[case("VAULT_RETENTON", Some("VAULT_RETENTION"))]
    #[case("BACKUP_VAULT_ULR", Some("BACKUP_VAULT_URL"))]
    #[case("vault_immutable_for", Some("VAULT_IMMUTABLE_FOR"))]
    #[case("VAULT-LEGAL-HOLD", Some("VAULT_LEGAL_HOLD"))]
    #[case("NOTIFY_QUEUE", Some("NOTIFY_QUEUE_URL"))]
    #[case("VERFIY", Some("VERIFY"))]
    #[case("Azure_Client_Id", Some("AZURE_CLIENT_ID"))]
    #[case("VAULT_URL", None)]
    // Of the platform, and of other programs.
    #[case("AzureWebJobsStorage", None)]
    #[case("FUNCTIONS_WORKER_RUNTIME", None)]
    #[case("WEBSITE_AUTH_ENABLED", None)]
    #[case("AZURE_CLIENT_SECRET", None)]
    #[case("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", None)]
    #[case("APPLICATIONINSIGHTS_CONNECTION_STRING", None)]
    #[case("NOTIFY_SOCKET", None)]
    #[case("VAULT_CONTAINER", None)]
    #[case("VAULT_ADDR", None)]
    #[case("VAULT_TOKEN", None)]
    #[case("VAULT_NAMESPACE", None)]
    #[case("VAULT_STORAGE_NAME", None)]
    #[case("VERIFY_SSL", None)]
    #[case("LOGS", None)]
    #[case("PATH", None)]
    fn a_name_is_taken_for_a_setting_only_where_it_looks_like_one(
        #[case] given: &str,
        #[case] expected: Option<&str>,
    ) {
        let meant = MisspeltSetting::of(given).map(|misspelt| misspelt.meant);
        assert_eq!(meant, expected);
    }
}
