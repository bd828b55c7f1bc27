//! A script root with a scripted handler, and the host on it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use functions_host::{Console, Host, Options};
use reqwest::{Client, Response};
use serde_json::{Value, json};
use tempfile::TempDir;

pub const PATIENCE: Duration = Duration::from_secs(30);
/// Runs handler.py, which is in the same folder.
pub const PYTHON: &str = "exec python3 handler.py";

/// A script root with four functions, a handler that is this shell script, and the host on it.
pub struct World {
    pub host: Host,
    pub client: Client,
    lines: Arc<Mutex<Vec<String>>>,
    pub root: TempDir,
}

impl World {
    pub async fn new(script: &str) -> Self {
        Self::with(script, |_| {}).await
    }

    pub async fn with(script: &str, change: impl FnOnce(&mut Options)) -> Self {
        Self::of(script, "00:00:30", change).await
    }

    /// With two seconds for each invocation.
    pub async fn impatient(script: &str) -> Self {
        Self::of(script, "00:00:02", |_| {}).await
    }

    async fn of(script: &str, timeout: &str, change: impl FnOnce(&mut Options)) -> Self {
        let root = tempfile::tempdir().expect("there is room for temporary files");
        write_root(root.path(), script, timeout);
        let lines = Arc::new(Mutex::new(Vec::new()));
        let console = Arc::clone(&lines);
        let mut environment: BTreeMap<String, String> = std::env::vars().collect();
        environment.extend(
            [
                ("FUNCTIONS_WORKER_RUNTIME", "custom"),
                ("AzureWebJobsStorage", "x"),
                ("SCHEDULE", "0 0 0 29 2 *"),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned())),
        );
        let mut options = Options {
            environment,
            console: Console::new(move |line| {
                console
                    .lock()
                    .expect("no holder of this lock panics")
                    .push(line.to_owned());
            }),
            ..Options::new(root.path())
        };
        change(&mut options);
        let host = Host::start(options).await.expect("the script root is good");
        Self {
            host,
            client: Client::new(),
            lines,
            root,
        }
    }

    pub fn console(&self) -> String {
        self.lines
            .lock()
            .expect("no holder of this lock panics")
            .join("\n")
    }

    pub async fn deliver(&self, event_type: &str, events: Value) -> Response {
        let request = self
            .client
            .post(self.host.event_grid_url("OnEvent"))
            .header("aeg-event-type", event_type);
        request
            .json(&events)
            .send()
            .await
            .expect("the host answers")
    }

    /// One notification that makes the handler act.
    pub async fn act(&self, act: &str) -> Response {
        self.deliver("Notification", json!([{"data": {"act": act}}]))
            .await
    }

    pub async fn until(&self, what: &str, mut is_so: impl FnMut(&Self) -> bool) {
        let mut ticks = tokio::time::interval(Duration::from_millis(20));
        let waiting = async {
            while !is_so(self) {
                ticks.tick().await;
            }
        };
        let result = tokio::time::timeout(PATIENCE, waiting).await;
        assert!(
            result.is_ok(),
            "{what}: not within {PATIENCE:?}; {}",
            self.console()
        );
    }
}

pub fn write_root(root: &Path, script: &str, timeout: &str) {
    let file = |name: &str, content: String| {
        let path = root.join(name);
        fs::create_dir_all(path.parent().expect("it has a folder")).expect("the folder is ours");
        fs::write(path, content).expect("the folder is ours");
    };
    let host = json!({
        "version": "2.0", "functionTimeout": timeout, "extensionBundle": {},
        "customHandler": {"description": {"defaultExecutablePath": "handler"}, "enableProxyingHttpRequest": true, "enableForwardingHttpRequest": true},
    });
    let function = |bindings: Value| json!({"bindings": bindings}).to_string();
    file("host.json", host.to_string());
    file("handler.py", include_str!("handler.py").to_owned());
    file("handler", format!("#!/bin/sh\n{script}\n"));
    fs::set_permissions(root.join("handler"), fs::Permissions::from_mode(0o755))
        .expect("the file is ours");
    file(
        "OnEvent/function.json",
        function(json!([{"type": "eventGridTrigger", "name": "event", "direction": "in"}])),
    );
    let timer = json!([{"type": "timerTrigger", "name": "timer", "direction": "in", "schedule": "%SCHEDULE%"}]);
    file("OnTimer/function.json", function(timer));
    let http = json!([
        {"type": "httpTrigger", "name": "req", "direction": "in", "route": "things/{*path}", "methods": ["get", "post", "delete"]},
        {"type": "http", "name": "res", "direction": "out"},
    ]);
    file("OnHttp/function.json", function(http));
    let two_outputs = json!([
        {"type": "httpTrigger", "name": "req", "direction": "in", "route": "enveloped/{id}", "methods": ["post"]},
        {"type": "http", "name": "res", "direction": "out"},
        {"type": "queue", "name": "messages", "direction": "out"},
    ]);
    file("OnEnvelope/function.json", function(two_outputs));
}
