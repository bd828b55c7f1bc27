//! `recording-vault serve`: the functions, as the Azure Functions host starts them.

mod ending;
mod host_watch;

use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::Context as _;
use recording_vault::app::App;
use recording_vault::compose;
use recording_vault::config::{Config, InvalidConfig};
use recording_vault::export::Budget;
use recording_vault::functions;
use recording_vault::in_flight::InFlight;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::exit::Exit;
use super::logging;
use super::output::{complain, complain_in_lines};
use ending::{Ending, Endings, Surroundings};
use host_watch::HostWatch;

const PORT: &str = "FUNCTIONS_CUSTOMHANDLER_PORT";
/// How long work continues after the host ended. Another instance resumes unfinished work when its claim expires.
const LEAVES_WITHIN: Duration = Duration::from_secs(10);
/// Time for writes to a directory that are in progress when everything else has ended.
const BLOCKING_ENDS_WITHIN: Duration = Duration::from_secs(1);

/// Serves until a signal arrives, or the host has ended.
pub fn run(variables: Vec<(String, String)>) -> Exit {
    let host = HostWatch::begin(&variables);
    let surroundings = Surroundings::of(&variables);
    let port = port(&variables);
    let (config, port) = match (Config::read(variables), port) {
        (Ok(config), Ok(port)) => (config, port),
        (config, port) => {
            let problems = config.err().unwrap_or_default();
            let all = port.err().into_iter().fold(problems, InvalidConfig::and);
            complain_in_lines(&all.to_string());
            surroundings.let_it_be_read();
            return Exit::InvalidSettings;
        }
    };
    match run_serving(config, port, surroundings, host) {
        Ok(Ending::Signal(signal)) => Exit::Signal(signal),
        Ok(Ending::HostGone) => Exit::NotDone,
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

fn run_serving(
    config: Config,
    port: u16,
    surroundings: Surroundings,
    host: HostWatch,
) -> anyhow::Result<Ending> {
    let runtime = tokio::runtime::Runtime::new()?;
    let ending = runtime.block_on(async {
        let endings = Endings::new(surroundings, host)?;
        Box::pin(serve(config, port, endings)).await
    });
    runtime.shutdown_timeout(BLOCKING_ENDS_WITHIN);
    ending
}

/// Serves until something ends it. A signal ends the process at once: a kill at any point loses nothing.
async fn serve(config: Config, port: u16, endings: Endings) -> anyhow::Result<Ending> {
    logging::begin(&config);
    if config.lacks_schedule {
        tracing::error!(
            "EXPORT_SWEEP_SCHEDULE is not set: the Functions host disables ExportSweep, and sweeps run only behind events and requests"
        );
    }
    // Bound before anything else: the host polls at once, and connections wait in the backlog.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
        .await
        .with_context(|| format!("could not bind 127.0.0.1:{port}"))?;
    tracing::info!(vault = ?config.storage.vault, ledger = ?config.storage.ledger, acs = ?config.acs.endpoint, "Listening on 127.0.0.1:{port}");
    let (functions, ready) = watch::channel(None);
    let (in_flight, built) = (InFlight::default(), OnceLock::new());
    let building = async {
        let app = tokio::task::spawn_blocking(|| compose::app(config)).await??;
        let app: &Arc<App> = built.get_or_init(|| Arc::new(app));
        functions.send_replace(Some(functions::router(app)));
        Ok::<Infallible, anyhow::Error>(app.control.keep_registering().await)
    };
    let front = functions::front(ready, &in_flight);
    let ending = tokio::select! {
        never = functions::listener::serve(listener, front) => match never {},
        failed = building => match failed? {},
        ending = endings.first() => ending,
    };
    if ending == Ending::HostGone {
        leave(&in_flight, built.get()).await;
    }
    Ok(ending)
}

/// Ends the work in progress: the listener accepts nothing new, exports stop at their next piece and release their
/// claims.
async fn leave(in_flight: &InFlight, app: Option<&Arc<App>>) {
    tracing::warn!("The Functions host has ended; this handler exits");
    Budget::end_all();
    let ended = async {
        in_flight.none().await;
        if let Some(app) = app {
            app.driver.all_released().await;
        }
    };
    if tokio::time::timeout(LEAVES_WITHIN, ended).await.is_err() {
        tracing::warn!(
            "Work was in progress when this handler ended; it resumes when its claims expire"
        );
    }
}
