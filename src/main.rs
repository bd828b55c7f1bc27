//! The binary: `recording-vault serve`, started by the Azure Functions host; and the operator's verbs.

mod arguments;
#[cfg(feature = "lambda")]
mod lambda;
mod operator;

use std::convert::Infallible;
use std::ffi::OsString;
use std::io::Write as _;
use std::net::Ipv4Addr;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use arguments::{Arguments, AuditVerb, Command, LedgerVerb};
use clap::{CommandFactory as _, Parser as _};
use recording_vault::compose;
use recording_vault::config::{Config, InvalidConfig};
use recording_vault::verbs::list::Wanted;
use recording_vault::verbs::verify::WantedCopies;
use recording_vault::{functions, telemetry};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Settings are missing or wrong (`EX_USAGE` of sysexits.h).
const EXIT_CONFIG: u8 = 64;
/// The host takes 0 for "done, do not restart"; a stop by signal is told as a shell tells it.
const EXIT_SIGNAL: u8 = 128;

fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Serve => serve_functions(variables()),
        Command::Replay { from, json } => {
            operate(async |config| Box::pin(operator::replay(config, &from, json)).await)
        }
        Command::List {
            state,
            of,
            at_risk,
            doubtful,
            json,
        } => operate(async |config| {
            operator::list(
                config,
                Wanted {
                    state,
                    of,
                    at_risk,
                    doubtful,
                },
                json,
            )
            .await
        }),
        Command::Show { document, json } => {
            operate(async |config| operator::show(config, &document, json).await)
        }
        Command::Report { day, json } => {
            operate(async |config| operator::report(config, day, json).await)
        }
        Command::Retry { documents, json } => {
            operate(async |config| operator::retry(config, documents, json).await)
        }
        Command::Accept { documents, json } => {
            operate(async |config| operator::accept(config, documents, json).await)
        }
        Command::Audit {
            verb: AuditVerb::Verify { noted, json },
        } => operate(async |config| operator::audit_verify(config, noted, json).await),
        Command::Ledger {
            verb: LedgerVerb::Rebuild { documents, json },
        } => operate(async |config| operator::rebuild(config, documents, json).await),
        Command::Ledger {
            verb: LedgerVerb::Index { json },
        } => operate(async |config| operator::index(config, json).await),
        Command::Hold { verb } => {
            operate(async |config| operator::keeping::hold(config, verb).await)
        }
        Command::Retention { verb } => {
            operate(async |config| operator::keeping::retention(config, verb).await)
        }
        Command::Doctor { url, port, json } => {
            operator::checking::doctor(variables(), operator::checking::at(url, port), json)
        }
        Command::Verify {
            documents,
            of,
            read_data_subset,
            seed,
            json,
        } => {
            let wanted = WantedCopies {
                documents,
                of,
                read: read_data_subset,
                seed,
            };
            operate(async |config| operator::checking::verify(config, wanted, json).await)
        }
        Command::Reconcile {
            from,
            to,
            calls,
            json,
        } => operate(async |config| {
            operator::checking::reconcile(config, from, to, calls.as_deref(), json).await
        }),
        Command::DeleteSource { dry_run, json } => {
            operate(async |config| operator::checking::delete_source(config, dry_run, json).await)
        }
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(
                shell,
                &mut Arguments::command(),
                "recording-vault",
                &mut script,
            );
            print!("{}", String::from_utf8_lossy(&script));
            ExitCode::SUCCESS
        }
        Command::Gdpr { verb } => {
            operate(async |config| Box::pin(operator::people::gdpr(config, verb)).await)
        }
        Command::Openapi => {
            println!("{}", functions::api_description::text());
            ExitCode::SUCCESS
        }
        #[cfg(feature = "lambda")]
        Command::Lambda => lambda::main(variables()),
    }
}

/// Runs a verb with the app's settings.
fn operate(verb: impl AsyncFnOnce(Config) -> anyhow::Result<ExitCode>) -> ExitCode {
    let config = match Config::read(variables()) {
        Ok(config) => config,
        Err(error) => {
            complain(&error.to_string());
            return ExitCode::from(EXIT_CONFIG);
        }
    };
    telemetry::init_for_operator(config.log.filter.clone(), config.log.format);
    run(async || verb(config).await)
}

fn run(verb: impl AsyncFnOnce() -> anyhow::Result<ExitCode>) -> ExitCode {
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            complain(&format!("could not start: {error}\n"));
            return ExitCode::FAILURE;
        }
    };
    runtime.block_on(verb()).unwrap_or_else(|error| {
        complain(&format!("{error:#}\n"));
        ExitCode::FAILURE
    })
}

/// The environment. What is not Unicode is none of our settings, and must not stop us.
fn variables() -> Vec<(String, String)> {
    let text = |(name, value): (OsString, OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    std::env::vars_os().filter_map(text).collect()
}

fn serve_functions(variables: Vec<(String, String)>) -> ExitCode {
    let port = port_of_host(&variables);
    let config = Config::read(variables);
    let (config, port) = match (config, port) {
        (Ok(config), Ok(port)) => (config, port),
        (config, port) => {
            let problems = config.err().unwrap_or_default();
            complain(
                &port
                    .err()
                    .into_iter()
                    .fold(problems, InvalidConfig::and)
                    .to_string(),
            );
            return ExitCode::from(EXIT_CONFIG);
        }
    };
    match serve(config, port) {
        Ok(signal) => ExitCode::from(EXIT_SIGNAL + signal),
        Err(error) => {
            complain(&format!("recording-vault stopped: {error:#}\n"));
            ExitCode::FAILURE
        }
    }
}

fn port_of_host(variables: &[(String, String)]) -> Result<u16, String> {
    const NAME: &str = "FUNCTIONS_CUSTOMHANDLER_PORT";
    match variables.iter().find(|(name, _)| name == NAME) {
        Some((_, text)) => text
            .parse()
            .map_err(|_| format!("{NAME} is `{text}`; expected a port number")),
        None => Err(format!(
            "{NAME} is missing; the Functions host sets it (start with `func start --script-root dist`)"
        )),
    }
}

/// Serves until a signal comes; returns its number.
#[tokio::main]
async fn serve(config: Config, port: u16) -> anyhow::Result<u8> {
    telemetry::init(
        config.log.filter.clone(),
        config.log.format,
        config.log.otlp.as_ref(),
    );
    // Bound before anything else: the host polls at once, and connections wait in the backlog.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
        .await
        .with_context(|| format!("could not bind 127.0.0.1:{port}"))?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tracing::info!(vault = ?config.storage.vault, ledger = ?config.storage.ledger, acs = ?config.acs.endpoint, "Listening on 127.0.0.1:{port}");
    let (functions, ready) = watch::channel(None);
    let building = async {
        let app = tokio::task::spawn_blocking(|| compose::app(config)).await??;
        functions.send_replace(Some(functions::router(Arc::new(app))));
        std::future::pending::<anyhow::Result<Infallible>>().await
    };
    // Nothing has to be finished in order: a kill at any point loses nothing, so a signal ends the process at once.
    tokio::select! {
        result = axum::serve(listener, functions::front(ready)).into_future() => {
            result?;
            anyhow::bail!("the listener ended by itself")
        }
        failed = building => match failed? {},
        _ = terminate.recv() => Ok(15),
        _ = interrupt.recv() => Ok(2),
    }
}

fn complain(text: &str) {
    // stderr may be closed; there is nobody to tell then.
    let _ = std::io::stderr().write_all(text.as_bytes());
}
