//! `recording-vault lambda`: the HTTP side under `lambda_http`. Events, timer and export stay with the Functions host.
//! Lambda freezes the process after each response, so nothing is left to be done behind one.

use std::sync::Arc;

use recording_vault::compose;
use recording_vault::config::{Config, InvalidConfig};
use recording_vault::{functions, telemetry};

use super::exit::Exit;
use super::output::{complain, complain_in_lines};

/// Variables that the runtime reads, and cannot do without.
/// <https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html#configuration-envvars-runtime>
const OF_LAMBDA: [&str; 4] = [
    "AWS_LAMBDA_RUNTIME_API",
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
    "AWS_LAMBDA_FUNCTION_VERSION",
];

/// Runs until Lambda ends the process.
pub fn run(variables: Vec<(String, String)>) -> Exit {
    let missing = missing(&variables);
    let config = match Config::read(variables) {
        Ok(config) if missing.is_empty() => config,
        config => {
            let problems = config.err().unwrap_or_default();
            let all = missing.into_iter().fold(problems, InvalidConfig::and);
            complain_in_lines(&all.to_string());
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

/// The variables of Lambda that are missing outside of it.
fn missing(variables: &[(String, String)]) -> Vec<String> {
    let value = |name: &str| {
        let mut variables = variables.iter();
        variables.find_map(|(given, value)| (given == name).then_some(value))
    };
    let problem = |name: &&str| match value(name) {
        None => Some(format!("{name} is missing; AWS Lambda sets it")),
        Some(text) if name.ends_with("_SIZE") && text.parse::<i32>().is_err() => {
            Some(format!("{name} is `{text}`; AWS Lambda sets a number"))
        }
        Some(_) => None,
    };
    OF_LAMBDA.iter().filter_map(problem).collect()
}

#[tokio::main]
async fn serve(config: Config) -> anyhow::Result<()> {
    telemetry::init(
        config.log.filter.clone(),
        config.log.format,
        config.log.otlp.as_ref(),
    );
    let app = tokio::task::spawn_blocking(|| compose::app(config)).await??;
    let app = Arc::new(app.frozen_after_responses());
    lambda_http::run(functions::http_router(&app))
        .await
        .map_err(|error| anyhow::anyhow!(error))
}
