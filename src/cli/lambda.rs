//! `recording-vault lambda`: the HTTP side under `lambda_http`. Events, timer and export stay with the Functions host.

use std::sync::Arc;

use recording_vault::compose;
use recording_vault::config::Config;
use recording_vault::{functions, telemetry};

use super::exit::Exit;
use super::output::complain;

/// Runs until Lambda ends the process.
pub fn run(variables: Vec<(String, String)>) -> Exit {
    let config = match Config::read(variables) {
        Ok(config) => config,
        Err(error) => {
            complain(&error.to_string());
            return Exit::InvalidSettings;
        }
    };
    match serve(config) {
        Ok(()) => Exit::Fine,
        Err(error) => {
            complain(&format!("recording-vault stopped: {error:#}\n"));
            Exit::NotDone
        }
    }
}

#[tokio::main]
async fn serve(config: Config) -> anyhow::Result<()> {
    telemetry::init(
        config.log.filter.clone(),
        config.log.format,
        config.log.otlp.as_ref(),
    );
    let app = tokio::task::spawn_blocking(|| compose::app(config)).await??;
    lambda_http::run(functions::http_router(&Arc::new(app)))
        .await
        .map_err(|error| anyhow::anyhow!(error))
}
