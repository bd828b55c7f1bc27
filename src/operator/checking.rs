//! The verbs `doctor`, `verify`, `reconcile` and `delete-source` at the command line.

use std::path::Path;
use std::process::ExitCode;

use jiff::civil::Date;
use recording_vault::compose;
use recording_vault::config::Config;
use recording_vault::telemetry;
use recording_vault::verbs::delete_source::{self as deleting, Mode};
use recording_vault::verbs::doctor::{self as examining, Handler};
use recording_vault::verbs::reconcile::{self as reconciling, Period};
use recording_vault::verbs::verify::{self as verifying, WantedCopies};
use url::Url;

use super::{EXIT_INCOMPLETE, print};

const FUNCTIONS_KEY: &str = "FUNCTIONS_KEY";

fn code(is_complete: bool) -> ExitCode {
    if is_complete {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(EXIT_INCOMPLETE)
    }
}

/// Where the functions are, as the options of `doctor` name it.
pub fn at(url: Option<Url>, port: Option<u16>) -> Option<Url> {
    url.or_else(|| port.and_then(|port| format!("http://127.0.0.1:{port}").parse().ok()))
}

/// Bad settings are one of its findings, so it reads them itself.
pub fn doctor(variables: Vec<(String, String)>, url: Option<Url>, json: bool) -> ExitCode {
    let variable = |name: &str| {
        variables
            .iter()
            .find(|(given, _)| given == name)
            .map(|(_, value)| value.clone())
    };
    let handler = url.map(|url| Handler {
        url,
        key: variable(FUNCTIONS_KEY),
        secret: variable("EVENT_GRID_SECRET"),
    });
    let config = Config::read(variables.clone());
    if let Ok(config) = &config {
        telemetry::init_for_operator(config.log.filter.clone(), config.log.format);
    }
    let has_bad_settings = config.is_err();
    crate::run(async || {
        let report = Box::pin(examining::run(config, handler)).await?;
        print(json).report(&report);
        Ok(if has_bad_settings {
            ExitCode::from(crate::EXIT_CONFIG)
        } else {
            code(report.failed == 0)
        })
    })
}

pub async fn verify(config: Config, wanted: WantedCopies, json: bool) -> anyhow::Result<ExitCode> {
    let report = verifying::run(&compose::app(config)?, &wanted).await?;
    print(json).report(&report);
    Ok(code(report.wrong.is_empty()))
}

pub async fn reconcile(
    config: Config,
    from: Date,
    to: Date,
    calls: Option<&Path>,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let calls = calls
        .map(reconciling::calls::read)
        .transpose()?
        .unwrap_or_default();
    let report = reconciling::run(&compose::app(config)?, Period::new(from, to)?, calls).await?;
    print(json).report(&report);
    Ok(code(report.findings.is_empty()))
}

pub async fn delete_source(config: Config, dry_run: bool, json: bool) -> anyhow::Result<ExitCode> {
    let budget = config.limits.sweep_budget;
    let mode = if dry_run { Mode::DryRun } else { Mode::Delete };
    let report = deleting::run(&compose::app(config)?, mode, budget).await?;
    print(json).report(&report);
    Ok(code(report.failed.is_empty()))
}
