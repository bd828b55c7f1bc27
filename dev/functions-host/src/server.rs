//! Starting and stopping the host.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use axum::response::Html;
use axum::{Router, routing};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::app::{FunctionApp, Trigger};
use crate::console::Console;
use crate::invocation::Invoker;
use crate::shared::Shared;
use crate::worker::Worker;
use crate::{admin, event_grid, http, timer};

/// How the host is set up.
#[derive(Clone)]
pub struct Options {
    pub script_root: PathBuf,
    /// Port 0: whatever is free.
    pub address: SocketAddr,
    /// The host's own environment; it wins over local.settings.json.
    pub environment: BTreeMap<String, String>,
    /// Asked for where a function wants a key; as with `func`, nothing is asked for by default.
    pub function_key: Option<String>,
    /// Where timers keep their status.
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
            function_key: None,
            state_dir: None,
            console: Console::silent(),
        }
    }
}

/// A running host; when it is dropped the handler is killed, as the real one does it.
pub struct Host {
    address: SocketAddr,
    worker: Worker,
    _tasks: JoinSet<()>,
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
            &console,
        )?);
        let listener = TcpListener::bind(options.address).await?;
        let address = listener.local_addr()?;
        print_functions(&app, address, &console);
        let (worker, supervision) = Worker::supervise(Arc::clone(&app), console.clone());
        let invoker = Invoker {
            app: Arc::clone(&app),
            worker: worker.clone(),
            console,
            client: reqwest::Client::new(),
        };
        let function_key = options.function_key.as_deref().map(Arc::from);
        let shared = Shared {
            invoker: invoker.clone(),
            draining: watch::Sender::new(false),
            function_key,
        };
        let mut tasks = JoinSet::new();
        tasks.spawn(supervision);
        let state_dir = options
            .state_dir
            .unwrap_or_else(|| app.root.join(".functions-host"));
        for function in app
            .functions
            .iter()
            .filter(|function| matches!(function.trigger, Trigger::Timer { .. }))
        {
            tasks.spawn(timer::run(
                invoker.clone(),
                function.name.clone(),
                state_dir.clone(),
                shared.draining.subscribe(),
            ));
        }
        let router = router(shared);
        tasks.spawn(async move {
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self {
            address,
            worker,
            _tasks: tasks,
        })
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where Event Grid delivers to a function.
    pub fn event_grid_url(&self, function: &str) -> String {
        format!(
            "{}/runtime/webhooks/eventgrid?functionName={function}",
            self.url()
        )
    }

    /// Waits until the handler answers.
    ///
    /// # Errors
    /// When the host has given up on it.
    pub async fn ready(&self) -> Result<(), String> {
        self.worker.port().await.map(drop)
    }

    /// The handler's port, to talk to it past the host.
    ///
    /// # Errors
    /// As [`Host::ready`].
    pub async fn handler_port(&self) -> Result<u16, String> {
        self.worker.port().await
    }

    /// The handler's process id while it runs.
    pub fn handler_process_id(&self) -> Option<u32> {
        self.worker.process_id()
    }

    /// Kills the handler with SIGKILL and waits until it is gone; it is started again, and that is not counted as its error.
    pub async fn kill_handler(&self) {
        self.worker.kill_and_wait().await;
    }

    /// Waits until the host stops by itself: the handler failed too often.
    pub async fn stopped(&mut self) -> String {
        self.worker.failed().await
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
        .merge(admin::routes())
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
