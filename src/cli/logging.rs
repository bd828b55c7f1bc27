//! Begins the log of a process that serves, with what an operator should know of its settings. Verbs log elsewhere.

use recording_vault::config::{Config, MisspeltSetting};
use recording_vault::telemetry;

/// Sets up logs, metrics and traces, and warns of misspelt settings. Must be called within the runtime.
pub(super) fn begin(config: &Config) {
    telemetry::init(
        config.log.filter.clone(),
        config.log.format,
        config.log.otlp.as_ref(),
    );
    for MisspeltSetting { given, meant } in &config.misspelt {
        tracing::warn!("`{given}` is not a setting, and is ignored; did you mean `{meant}`?");
    }
}
