//! The settings that verbs run with: environment variables, read once.

use std::ffi::OsString;

use recording_vault::config::Config;
use recording_vault::telemetry;

use super::exit::Exit;
use super::output::complain;

/// Environment variables. Those that are not Unicode cannot be settings of this app, and are skipped.
pub fn variables() -> Vec<(String, String)> {
    let text = |(name, value): (OsString, OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    std::env::vars_os().filter_map(text).collect()
}

/// Runs a verb with the app's settings, or reports everything that is wrong with them.
pub fn with_settings(verb: impl AsyncFnOnce(Config) -> anyhow::Result<Exit>) -> Exit {
    let config = match Config::read(variables()) {
        Ok(config) => config,
        Err(error) => {
            complain(&error.to_string());
            return Exit::InvalidSettings;
        }
    };
    telemetry::init_for_operator(config.log.filter.clone(), config.log.format);
    block_on(async || verb(config).await)
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
        complain(&format!("{error:#}\n"));
        Exit::NotDone
    })
}
