//! `recording-vault serve`: the functions, as the Azure Functions host starts them.

use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::sync::Arc;

use anyhow::Context as _;
use recording_vault::compose;
use recording_vault::config::{Config, InvalidConfig};
use recording_vault::{functions, telemetry};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::exit::Exit;
use super::output::complain;

const PORT: &str = "FUNCTIONS_CUSTOMHANDLER_PORT";

/// Serves until a signal comes.
pub fn run(variables: Vec<(String, String)>) -> Exit {
    let port = port(&variables);
    let (config, port) = match (Config::read(variables), port) {
        (Ok(config), Ok(port)) => (config, port),
        (config, port) => {
            let problems = config.err().unwrap_or_default();
            let all = port.err().into_iter().fold(problems, InvalidConfig::and);
            complain(&all.to_string());
            return Exit::InvalidSettings;
        }
    };
    match serve(config, port) {
        Ok(signal) => Exit::Signal(signal),
        Err(error) => {
            complain(&format!("recording-vault stopped: {error:#}\n"));
            Exit::NotDone
        }
    }
}

fn port(variables: &[(String, String)]) -> Result<u16, String> {
    match variables.iter().find(|(name, _)| name == PORT) {
        Some((_, text)) => text
            .parse()
            .map_err(|_| format!("{PORT} is `{text}`; expected a port number")),
        None => Err(format!(
            "{PORT} is missing; the Functions host sets it (start with `func start --script-root dist`)"
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
        functions.send_replace(Some(functions::router(&Arc::new(app))));
        std::future::pending::<anyhow::Result<Infallible>>().await
    };
    // Nothing has to be finished in order: a kill at any point loses nothing, so a signal ends the process at once.
    tokio::select! {
        never = functions::listener::serve(listener, functions::front(ready)) => match never {},
        failed = building => match failed? {},
        _ = terminate.recv() => Ok(15),
        _ = interrupt.recv() => Ok(2),
    }
}
