//! The handler's process: started, polled until it answers, restarted by the host's rules, stopped by SIGKILL.

use std::collections::VecDeque;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use uuid::Uuid;

use crate::app::FunctionApp;
use crate::console::Console;

const POLL_EVERY: Duration = Duration::from_millis(25);
/// An error this long after the one before empties the window.
const ERROR_WINDOW: Duration = Duration::from_mins(30);
const ERRORS_TOLERATED: usize = 3;
/// Exit code by which a handler asks to be started again.
const EXIT_RESTART: i32 = 200;
const STDERR_LINES_KEPT: usize = 3;

/// State of the process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WorkerState {
    Starting,
    Ready {
        port: u16,
    },
    /// Exit 0 counts as success: the host does not start it again, and invocations fail.
    ExitedWithSuccess {
        port: u16,
    },
    /// The host gives up.
    Failed {
        reason: String,
    },
}

/// A handle on the supervised process. The process is killed when the supervisor is dropped.
#[derive(Clone)]
pub struct Worker {
    state: watch::Receiver<WorkerState>,
    orders: Arc<Orders>,
    process_id: watch::Receiver<Option<u32>>,
}

/// Orders to the supervisor.
#[derive(Default)]
struct Orders {
    /// Kill it and start it again.
    kill: Notify,
    /// Kill it and end.
    stop: Notify,
}

impl Worker {
    /// Starts the supervision; the returned future does it, and ends when the host gives up.
    pub fn supervise(
        app: Arc<FunctionApp>,
        console: Console,
    ) -> (Self, impl Future<Output = ()> + Send) {
        let (state_sender, state) = watch::channel(WorkerState::Starting);
        let (process_sender, process_id) = watch::channel(None);
        let orders = Arc::new(Orders::default());
        let worker = Self {
            state,
            orders: Arc::clone(&orders),
            process_id,
        };
        (
            worker,
            supervise(app, console, state_sender, process_sender, orders),
        )
    }

    /// The port of a process that is ready; waits for one that is starting.
    pub async fn port(&self) -> Result<u16, String> {
        let mut state = self.state.clone();
        let state = state
            .wait_for(|state| *state != WorkerState::Starting)
            .await
            .map_err(|_| "the host has stopped".to_owned())?;
        match &*state {
            WorkerState::Ready { port } | WorkerState::ExitedWithSuccess { port } => Ok(*port),
            WorkerState::Failed { reason } => Err(reason.clone()),
            WorkerState::Starting => Err("the handler is starting".to_owned()),
        }
    }

    /// Kills the process at once; the supervisor starts it again.
    pub fn kill(&self) {
        self.orders.kill.notify_one();
    }

    /// Tells the supervisor to kill the process and to end; it has ended when the process is gone.
    pub fn stop(&self) {
        self.orders.stop.notify_one();
    }

    /// Kills the process and waits until it is gone.
    pub async fn kill_and_wait(&self) {
        let mut process_id = self.process_id.clone();
        let killed = *process_id.borrow();
        self.kill();
        // The supervisor has ended when this fails, and the process with it.
        let _ = process_id
            .wait_for(|now| *now != killed || killed.is_none())
            .await;
    }

    /// The process that runs now.
    pub fn process_id(&self) -> Option<u32> {
        *self.process_id.borrow()
    }

    /// Waits until the host has given up, and says why.
    pub async fn failed(&mut self) -> String {
        let failed = self
            .state
            .wait_for(|state| matches!(state, WorkerState::Failed { .. }))
            .await;
        match failed.as_deref() {
            Ok(WorkerState::Failed { reason }) => reason.clone(),
            Ok(_) | Err(_) => "the host has stopped".to_owned(),
        }
    }
}

async fn supervise(
    app: Arc<FunctionApp>,
    console: Console,
    state: watch::Sender<WorkerState>,
    process_id: watch::Sender<Option<u32>>,
    orders: Arc<Orders>,
) {
    let mut errors: VecDeque<Instant> = VecDeque::new();
    loop {
        state.send_replace(WorkerState::Starting);
        let error = match run_once(&app, &console, &state, &process_id, &orders).await {
            Ending::Success { port } => {
                console.line("The handler exited with code 0: the host does not start it again");
                state.send_replace(WorkerState::ExitedWithSuccess { port });
                return;
            }
            Ending::Restart => continue,
            Ending::Stopped => return,
            Ending::Error(error) => error,
        };
        console.line(&error);
        let now = Instant::now();
        if errors
            .back()
            .is_some_and(|last| now.duration_since(*last) > ERROR_WINDOW)
        {
            errors.clear();
        }
        errors.push_back(now);
        if errors.len() >= ERRORS_TOLERATED {
            let reason = format!(
                "Exceeded http worker restart retry count. Shutting down Functions Host. Last error: {error}"
            );
            console.line(&reason);
            state.send_replace(WorkerState::Failed { reason });
            return;
        }
    }
}

enum Ending {
    Success { port: u16 },
    Restart,
    Stopped,
    Error(String),
}

async fn run_once(
    app: &FunctionApp,
    console: &Console,
    state: &watch::Sender<WorkerState>,
    process_id: &watch::Sender<Option<u32>>,
    orders: &Orders,
) -> Ending {
    let (mut child, port) = match spawn(app).await {
        Ok(started) => started,
        Err(error) => {
            return Ending::Error(format!(
                "Failed to start a new http worker process: {error}"
            ));
        }
    };
    process_id.send_replace(child.id());
    let stderr_tail = Arc::new(Mutex::new(VecDeque::new()));
    let out = child
        .stdout
        .take()
        .map(|stream| tokio::spawn(copy_lines(stream, console.clone(), None)));
    let err = child.stderr.take().map(|stream| {
        let tail = Some(Arc::clone(&stderr_tail));
        tokio::spawn(copy_lines(stream, console.clone(), tail))
    });
    let ending = run_until_the_end(app, state, orders, &mut child, port).await;
    // In this order: a reader that sees that the process has ended must not see its port as ready.
    state.send_replace(WorkerState::Starting);
    process_id.send_replace(None);
    if matches!(ending, Ending::Stopped) {
        // A process that the handler left behind may hold its output open for long.
        return ending;
    }
    for lines in [out, err].into_iter().flatten() {
        let _ = lines.await;
    }
    match ending {
        Ending::Error(error) => {
            let tail = stderr_tail.lock().expect("no holder of this lock panics");
            let lines: Vec<String> = [error].into_iter().chain(tail.iter().cloned()).collect();
            Ending::Error(lines.join("\n"))
        }
        ending @ (Ending::Success { .. } | Ending::Restart | Ending::Stopped) => ending,
    }
}

/// Reports the process ready when it answers; returns when it has ended or was killed.
async fn run_until_the_end(
    app: &FunctionApp,
    state: &watch::Sender<WorkerState>,
    orders: &Orders,
    child: &mut Child,
    port: u16,
) -> Ending {
    let mut is_ready = false;
    let ready = wait_until_ready(port, app.initialization_timeout);
    tokio::pin!(ready);
    loop {
        tokio::select! {
            result = &mut ready, if !is_ready => {
                if result.is_err() {
                    let _ = child.kill().await;
                    return Ending::Error("Initializing HttpWorker timed out.".to_owned());
                }
                is_ready = true;
                state.send_replace(WorkerState::Ready { port });
            }
            () = orders.kill.notified() => {
                let _ = child.kill().await;
                return Ending::Restart;
            }
            () = orders.stop.notified() => {
                let _ = child.kill().await;
                return Ending::Stopped;
            }
            status = child.wait() => return ending(app, status, port),
        }
    }
}

fn ending(app: &FunctionApp, status: std::io::Result<ExitStatus>, port: u16) -> Ending {
    let executable = app.executable.display();
    match status.map(|status| status.code()) {
        Ok(Some(0)) => Ending::Success { port },
        Ok(Some(EXIT_RESTART)) => Ending::Restart,
        Ok(Some(code)) => {
            Ending::Error(format!("{executable} exited with code {code} (0x{code:X})"))
        }
        Ok(None) => Ending::Error(format!("{executable} was killed")),
        Err(error) => Ending::Error(error.to_string()),
    }
}

async fn spawn(app: &FunctionApp) -> std::io::Result<(Child, u16)> {
    // As the host does: a port that is free now. No other process learns it.
    let port = TcpListener::bind(("127.0.0.1", 0))
        .await?
        .local_addr()?
        .port();
    let worker_id = Uuid::new_v4().to_string();
    let port_text = port.to_string();
    let root = app.root.to_string_lossy().into_owned();
    let mut command = Command::new(&app.executable);
    command
        .args(&app.arguments)
        .current_dir(&app.working_directory)
        .env_clear()
        .envs(&app.environment)
        .env("FUNCTIONS_CUSTOMHANDLER_PORT", &port_text)
        .env("FUNCTIONS_CUSTOMHANDLER_WORKER_ID", &worker_id)
        .env("FUNCTIONS_HTTPWORKER_PORT", &port_text)
        .env("FUNCTIONS_HTTPWORKER_ID", &worker_id)
        .env("FUNCTIONS_APP_ROOT_PATH", &root)
        .env("AzureWebJobsScriptRoot", &root)
        .env("AZURE_FUNCTIONS_ENVIRONMENT", "Development")
        .env("FUNCTIONS_CORETOOLS_ENVIRONMENT", "true")
        .env("WEBSITE_HOSTNAME", "localhost:7071")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    Ok((command.spawn()?, port))
}

/// Any answer at all means ready; a refused connection means "not yet".
async fn wait_until_ready(port: u16, timeout: Duration) -> Result<(), ()> {
    let client = reqwest::Client::new();
    let url = format!("http://127.0.0.1:{port}/");
    let deadline = Instant::now() + timeout;
    while Instant::now() < deadline {
        match client.get(&url).send().await {
            Err(error) if error.is_connect() => tokio::time::sleep(POLL_EVERY).await,
            Ok(_) | Err(_) => return Ok(()),
        }
    }
    Err(())
}

/// stdout is information; stderr is an error, or a warning when the line says so.
async fn copy_lines(
    stream: impl AsyncRead + Unpin,
    console: Console,
    tail: Option<Arc<Mutex<VecDeque<String>>>>,
) {
    let mut lines = BufReader::new(stream).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let level = match &tail {
            None => "",
            Some(_) if line.to_ascii_lowercase().contains("warn") => "warning: ",
            Some(_) => "error: ",
        };
        console.line(&format!("{level}{line}"));
        if let Some(tail) = &tail {
            let mut tail = tail.lock().expect("no holder of this lock panics");
            tail.push_back(line);
            if tail.len() > STDERR_LINES_KEPT {
                tail.pop_front();
            }
        }
    }
}
