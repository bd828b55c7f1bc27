//! The settings that verbs run with: those of the environment, or of what the command line names. Read once.

mod app_settings;
mod env_file;

use std::ffi::OsString;
use std::fmt;
use std::io::{self, IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};

use clap::Args;
use recording_vault::config::{Config, InvalidConfig, SETTINGS, SettingsFrom};
use recording_vault::identity::Login;
use recording_vault::telemetry;
use recording_vault::vault::azure::StorageFailure;
use recording_vault::visible;

use super::exit::Exit;
use super::output::{complain, complain_in_lines};

/// Names standard input.
const STDIN: &str = "-";

/// Where verbs read settings, besides the environment.
#[derive(Debug, Clone, Default, Args)]
pub struct SettingsSource {
    /// Read settings from this file of `NAME=value` lines; they replace those of the environment one by one
    #[arg(long, global = true, value_name = "FILE", help_heading = "Settings")]
    env_file: Option<PathBuf>,
    /// Read all settings from local.settings.json, or from `az functionapp config appsettings list` (`-`: standard input)
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        help_heading = "Settings",
        conflicts_with = "env_file"
    )]
    settings: Option<PathBuf>,
}

/// Settings, and where they come from.
pub struct GivenSettings {
    pub variables: Vec<(String, String)>,
    pub origin: SettingsOrigin,
    pub from: SettingsFrom,
}

/// Where settings come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SettingsOrigin {
    Environment,
    /// Settings that it lacks come from the environment.
    EnvFile(PathBuf),
    /// No setting comes from the environment.
    AppSettings(PathBuf),
    /// The same, from standard input.
    StandardInput,
}

/// Why settings cannot be read. The values are not repeated: they may be secrets.
#[derive(Debug, thiserror::Error)]
pub enum UnreadableSettings {
    #[error("could not read `{path}`: {source}")]
    File { path: PathBuf, source: io::Error },
    #[error("could not read standard input: {0}")]
    StandardInput(io::Error),
    #[error(
        "--settings - reads standard input, which is this terminal; pipe into it: az functionapp config appsettings list --name <app> --resource-group <group> | recording-vault --settings - <verb>"
    )]
    Terminal,
    #[error("`{path}`: {problem}")]
    EnvFile {
        path: PathBuf,
        problem: env_file::InvalidLine,
    },
    #[error("{origin}: {problem}")]
    AppSettings {
        origin: SettingsOrigin,
        problem: app_settings::InvalidAppSettings,
    },
}

impl fmt::Display for SettingsOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Environment => f.write_str("the environment"),
            Self::EnvFile(path) => {
                visible::write_part(f, format_args!("`{}` and the environment", path.display()))
            }
            Self::AppSettings(path) => visible::write_part(f, format_args!("`{}`", path.display())),
            Self::StandardInput => f.write_str("standard input"),
        }
    }
}

impl SettingsSource {
    /// Whether the command line names a place to read settings from.
    pub fn is_named(&self) -> bool {
        self.env_file.is_some() || self.settings.is_some()
    }

    /// Reads the settings, valid or not.
    ///
    /// # Errors
    /// When the named file does not exist, or has another form.
    pub fn read(&self) -> Result<GivenSettings, UnreadableSettings> {
        match (&self.settings, &self.env_file) {
            (Some(path), _) => app_settings(path),
            (None, Some(path)) => env_file(path),
            (None, None) => Ok(GivenSettings {
                variables: variables(),
                origin: SettingsOrigin::Environment,
                from: SettingsFrom::Environment,
            }),
        }
    }
}

fn env_file(path: &Path) -> Result<GivenSettings, UnreadableSettings> {
    let given =
        env_file::parse(&content(path)?).map_err(|problem| UnreadableSettings::EnvFile {
            path: path.to_owned(),
            problem,
        })?;
    let mut all = variables();
    all.retain(|(name, _)| given.iter().all(|(replaced, _)| replaced != name));
    all.extend(given);
    Ok(GivenSettings {
        variables: all,
        origin: SettingsOrigin::EnvFile(path.to_owned()),
        from: SettingsFrom::File,
    })
}

/// An app's settings are complete: a setting from the environment would belong to another app.
fn app_settings(path: &Path) -> Result<GivenSettings, UnreadableSettings> {
    let (text, origin) = if path == Path::new(STDIN) {
        (standard_input()?, SettingsOrigin::StandardInput)
    } else {
        (content(path)?, SettingsOrigin::AppSettings(path.to_owned()))
    };
    let (from, given) =
        app_settings::parse(&text).map_err(|problem| UnreadableSettings::AppSettings {
            origin: origin.clone(),
            problem,
        })?;
    let mut all = variables();
    all.retain(|(name, _)| SETTINGS.iter().all(|setting| setting.name != name));
    all.extend(given);
    Ok(GivenSettings {
        variables: all,
        origin,
        from,
    })
}

fn content(path: &Path) -> Result<String, UnreadableSettings> {
    std::fs::read_to_string(path).map_err(|source| UnreadableSettings::File {
        path: path.to_owned(),
        source,
    })
}

fn standard_input() -> Result<String, UnreadableSettings> {
    let mut stdin = io::stdin();
    if stdin.is_terminal() {
        return Err(UnreadableSettings::Terminal);
    }
    let mut text = String::new();
    stdin
        .read_to_string(&mut text)
        .map_err(UnreadableSettings::StandardInput)?;
    Ok(text)
}

impl GivenSettings {
    /// The settings as a verb uses them: it signs in as the person who runs it where there is no managed identity.
    ///
    /// # Errors
    /// With every problem found.
    pub fn config(&self) -> Result<Config, InvalidConfig> {
        let mut config = Config::read_from(self.from, self.variables.iter().cloned())?;
        config.identity.login = Login::ManagedIdentityOrAzureCli;
        Ok(config)
    }
}

/// Environment variables. Those that are not Unicode cannot be settings of this app, and are skipped.
pub fn variables() -> Vec<(String, String)> {
    let text = |(name, value): (OsString, OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    std::env::vars_os().filter_map(text).collect()
}

/// Reads settings for a verb, or reports that they cannot be read.
pub fn with_source(source: &SettingsSource, verb: impl FnOnce(GivenSettings) -> Exit) -> Exit {
    match source.read() {
        Ok(settings) => verb(settings),
        Err(error) => {
            complain(&format!("{error}\n"));
            Exit::InvalidSettings
        }
    }
}

/// Runs a verb with the app's settings, or reports everything that is wrong with them.
pub fn with_settings(
    source: &SettingsSource,
    verb: impl AsyncFnOnce(Config) -> anyhow::Result<Exit>,
) -> Exit {
    with_source(source, |settings| {
        let config = match settings.config() {
            Ok(config) => config,
            Err(error) => {
                complain_in_lines(&format!("Read from {}: {error}", settings.origin));
                return Exit::InvalidSettings;
            }
        };
        telemetry::init_for_operator(config.log.filter.clone(), config.log.format);
        let places = format!(
            "The vault is {:?}, the ledger {:?}. Run `recording-vault doctor`: it checks both, and suggests fixes.",
            config.storage.vault, config.storage.ledger
        );
        block_on(async || {
            let done = verb(config).await;
            done.map_err(|error| with_places(error, places))
        })
    })
}

/// Adds where the storage is to an error of it.
fn with_places(error: anyhow::Error, places: String) -> anyhow::Error {
    // What wraps a failure of the storage may be transparent, and is not in the chain then.
    let mut causes = error.chain();
    if causes.any(<dyn std::error::Error>::is::<StorageFailure>) {
        anyhow::anyhow!("{}\n{places}", visible::one_line(&format!("{error:#}")))
    } else {
        // It may repeat a name from outside.
        anyhow::anyhow!("{}", visible::one_line(&format!("{error:#}")))
    }
}

/// Runs a verb to its end; an error that it returns is printed with its causes.
pub fn block_on(verb: impl AsyncFnOnce() -> anyhow::Result<Exit>) -> Exit {
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            complain(&format!("could not start: {error}\n"));
            return Exit::NotDone;
        }
    };
    runtime.block_on(verb()).unwrap_or_else(|error| {
        complain_in_lines(&format!("{error:#}\n"));
        Exit::NotDone
    })
}
