//! Starting and stopping the host.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::DefaultBodyLimit;
use axum::response::Html;
use axum::{Router, routing};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::app::{FunctionApp, Generation, Trigger};
use crate::console::Console;
use crate::invocation::Invoker;
use crate::keys::Keys;
use crate::shared::Shared;
use crate::worker::Worker;
use crate::{admin, event_grid, http, timer};

/// How long the host waits for calls in flight.
const STOPS_WITHIN: Duration = Duration::from_secs(10);

/// How the host is set up.
#[derive(Clone)]
pub struct Options {
    pub script_root: PathBuf,
    /// Port 0: whatever is free.
    pub address: SocketAddr,
    /// The host's own environment; it wins over local.settings.json.
    pub environment: BTreeMap<String, String>,
    /// As with `func`, none is asked for by default.
    pub keys: Keys,
    pub generation: Generation,
    /// Where timers keep their status, if anywhere. Never in the script root: the real host restarts at a new folder
    /// there.
    pub state_dir: Option<PathBuf>,
    pub console: Console,
}

impl Options {
    /// `func start --script-root <root>`, with this process's environment, on any free port.
    pub fn new(script_root: impl Into<PathBuf>) -> Self {
        Self {
            script_root: script_root.into(),
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            environment: std::env::vars().collect(),
            keys: Keys::default(),
            generation: Generation::default(),
            state_dir: None,
            console: Console::silent(),
        }
    }
}

/// A running host; when it is dropped the handler is killed, as the real one does it.
pub struct Host {
    address: SocketAddr,
    invoker: Invoker,
    keys: Arc<Keys>,
    supervision: JoinSet<()>,
    tasks: JoinSet<()>,
}

impl Host {
    /// Reads the script root, binds, starts the handler and the timers.
    ///
    /// # Errors
    /// Where the real host or `func` would refuse, and when the address cannot be bound.
    pub async fn start(options: Options) -> anyhow::Result<Self> {
        let console = options.console.clone();
        let app = Arc::new(FunctionApp::read(
            &options.script_root,
            &options.environment,
            options.generation,
            &console,
        )?);
        let listener = TcpListener::bind(options.address).await?;
        let address = listener.local_addr()?;
        print_functions(&app, address, &console);
        let (worker, supervision) = Worker::supervise(Arc::clone(&app), console.clone());
        let invoker = Invoker {
            app: Arc::clone(&app),
            worker,
            console,
            client: reqwest::Client::new(),
            calls: watch::Sender::new(0),
        };
        let keys = Arc::new(options.keys);
        let shared = Shared {
            invoker: invoker.clone(),
            draining: watch::Sender::new(false),
            keys: Arc::clone(&keys),
        };
        let supervision = JoinSet::from_iter([supervision]);
        let mut tasks = JoinSet::new();
        for function in app
            .functions
            .iter()
            .filter(|function| matches!(function.trigger, Trigger::Timer { .. }))
        {
            tasks.spawn(timer::run(
                invoker.clone(),
                function.name.clone(),
                options.state_dir.clone(),
                shared.draining.subscribe(),
            ));
        }
        let service = router(shared).into_make_service_with_connect_info::<SocketAddr>();
        tasks.spawn(async move {
            let _ = axum::serve(listener, service).await;
        });
        Ok(Self {
            address,
            invoker,
            keys,
            supervision,
            tasks,
        })
    }

    /// Stops as the host does at SIGTERM: calls in flight are waited for, then the handler is killed. The
    /// handler has ended when this returns.
    pub async fn stop(mut self) {
        let mut calls = self.invoker.calls.subscribe();
        let idle = calls.wait_for(|calls| *calls == 0);
        let _ = tokio::time::timeout(STOPS_WITHIN, idle).await;
        self.invoker.worker.stop();
        self.supervision.join_all().await;
        self.tasks.shutdown().await;
    }

    /// The function that a request is given to.
    pub fn function_of(&self, method: &str, path: &str) -> Option<&str> {
        let matched = http::matched(&self.invoker.app, method, path)?;
        Some(&matched.function.name)
    }

    /// The functions that an Event Grid subscription can name.
    pub fn event_grid_functions(&self) -> Vec<&str> {
        let functions = self.invoker.app.functions.iter();
        functions
            .filter(|function| matches!(function.trigger, Trigger::EventGrid { .. }))
            .map(|function| function.name.as_str())
            .collect()
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where Event Grid delivers to a function, with the system key where there is one.
    pub fn event_grid_url(&self, function: &str) -> String {
        let key = self.keys.system.as_ref();
        let key = key.map_or_else(String::new, |key| format!("&code={key}"));
        format!(
            "{}/runtime/webhooks/eventgrid?functionName={function}{key}",
            self.url()
        )
    }

    /// Waits until the handler answers.
    ///
    /// # Errors
    /// When the host has given up on the handler.
    pub async fn ready(&self) -> Result<(), String> {
        self.invoker.worker.port().await.map(drop)
    }

    /// The same, without a borrow of the host.
    ///
    /// # Errors
    /// As [`Host::ready`].
    pub fn when_ready(&self) -> impl Future<Output = Result<(), String>> + Send + 'static {
        let worker = self.invoker.worker.clone();
        async move { worker.port().await.map(drop) }
    }

    /// The handler's port, to talk to it past the host.
    ///
    /// # Errors
    /// As [`Host::ready`].
    pub async fn handler_port(&self) -> Result<u16, String> {
        self.invoker.worker.port().await
    }

    /// The handler's process id while it runs.
    pub fn handler_process_id(&self) -> Option<u32> {
        self.invoker.worker.process_id()
    }

    /// Kills the handler with SIGKILL and waits until it is gone; it is started again, and that is not counted as its error.
    pub async fn kill_handler(&self) {
        self.invoker.worker.kill_and_wait().await;
    }

    /// Waits until the host stops by itself: the handler failed too often.
    pub async fn stopped(&mut self) -> String {
        self.invoker.worker.failed().await
    }
}

fn router(shared: Shared) -> Router {
    Router::new()
        .route(
            "/",
            routing::get(|| async { Html("<h1>Your Functions host is running</h1>") }),
        )
        .route(
            "/runtime/webhooks/eventgrid",
            routing::any(event_grid::answer),
        )
        .route(
            "/runtime/webhooks/EventGrid",
            routing::any(event_grid::answer),
        )
        .merge(admin::routes(&shared))
        .fallback(http::answer)
        .layer(DefaultBodyLimit::max(100 << 20))
        .with_state(shared)
}

/// As `func start` lists them.
fn print_functions(app: &FunctionApp, address: SocketAddr, console: &Console) {
    console.plain("\nFunctions:\n");
    for function in &app.functions {
        let line = match &function.trigger {
            Trigger::Http { methods, route, .. } => {
                format!(
                    "{}: [{}] http://{address}/{}/{}",
                    function.name,
                    methods.join(","),
                    app.route_prefix,
                    route.template()
                )
            }
            Trigger::EventGrid { .. } => format!("{}: eventGridTrigger", function.name),
            Trigger::Timer { .. } => format!("{}: timerTrigger", function.name),
        };
        console.plain(&format!("\t{line}\n"));
    }
}
