//! The settings themselves: invalid ones, and names that are no setting.

use recording_vault::config::{Config, InvalidConfig, SettingsFrom, is_key_vault_reference};

use super::{Check, StorageRole};
use crate::cli::settings::{GivenSettings, SettingsOrigin};

const SETTINGS_CHECK: &str = "settings";
/// Gives a verb at a shell the settings of the app.
const FROM_THE_APP: &str = "give it the settings of the app: `az functionapp config appsettings list --name <app> --resource-group <group> | recording-vault --settings - doctor`, with --url and FUNCTIONS_KEY as they are now";

/// Invalid settings; with them nothing else than the handler can be checked.
pub(super) fn invalid(
    invalid: &InvalidConfig,
    given: &GivenSettings,
    has_handler: bool,
) -> Vec<Check> {
    let mut checks = if has_handler && has_none(given) {
        let says = "the environment of this shell has no settings of the app; the app itself may have all of them";
        vec![Check::failed(SETTINGS_CHECK, says, FROM_THE_APP)]
    } else {
        let problems = invalid.problems().iter();
        problems.map(|problem| of_problem(problem, given)).collect()
    };
    let rest = [
        "clock of ACS",
        "identity",
        "ACS",
        "content hosts",
        StorageRole::Vault.label(),
        StorageRole::Ledger.label(),
    ];
    checks.extend(rest.map(|name| Check::not_checked(name, "the settings are invalid")));
    checks
}

/// Whether this shell was not meant to have settings: those of an app that runs elsewhere are not here.
fn has_none(given: &GivenSettings) -> bool {
    const FIRST: [&str; 4] = [
        "ACS_ENDPOINT",
        "ACS_CONNECTION_STRING",
        "ACS_ACCESS_KEY",
        "VAULT_URL",
    ];
    let is_given = |(name, value): &(String, String)| {
        FIRST.contains(&name.as_str()) && !value.trim().is_empty()
    };
    given.origin == SettingsOrigin::Environment && !given.variables.iter().any(is_given)
}

fn of_problem(problem: &str, given: &GivenSettings) -> Check {
    // Each begins with the name of its setting.
    let name = problem.split(' ').next().unwrap_or_default();
    let mut variables = given.variables.iter();
    let refers_to_key_vault =
        variables.any(|(given, value)| given == name && is_key_vault_reference(value));
    let remedy = match (refers_to_key_vault, given.from) {
        (false, _) => format!(
            "correct the app setting: `az functionapp config appsettings set --name <app> --resource-group <group> --settings {name}=<value>`; locally the environment or local.settings.json"
        ),
        (true, SettingsFrom::Environment) => {
            "leave the app setting as it is: the portal shows under Environment variables why the reference is not resolved".to_owned()
        }
        (true, SettingsFrom::File | SettingsFrom::AzureApp) => {
            "leave the app setting as it is, and give this command a copy of the settings with the secret: `az keyvault secret show --id <SecretUri> --query value --output tsv`".to_owned()
        }
    };
    let origin = &given.origin;
    Check::failed(
        SETTINGS_CHECK,
        format!("{problem} (read from {origin})"),
        remedy,
    )
}

/// The settings, each valid; and misspelt names, whose settings have their defaults.
pub(super) fn valid(config: &Config, origin: &SettingsOrigin) -> Vec<Check> {
    if config.misspelt.is_empty() {
        let detail = format!("read from {origin}; all are valid or have their defaults");
        return vec![Check::fine(SETTINGS_CHECK, detail)];
    }
    let misspelt = config.misspelt.iter().map(|misspelt| {
        let (given, meant) = (&misspelt.given, misspelt.meant);
        let problem = format!("{misspelt} {given} has no effect on {meant} (read from {origin})");
        let remedy = format!("rename {given}, or remove it if another program reads it");
        Check::failed(SETTINGS_CHECK, problem, remedy)
    });
    misspelt.collect()
}
