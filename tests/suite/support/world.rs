//! The built binary under the stand-in host, with the ACS simulator and a vault.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use acs_simulator::Simulator;
use functions_host::{Console, Host, Keys};
use reqwest::{Client, Response};
use serde_json::{Value, json};
use tempfile::TempDir;

pub const BINARY: &str = env!("CARGO_BIN_EXE_recording-vault");
/// A timer that does not fire by itself: tests sweep when they want to.
const NEVER: &str = "0 0 0 29 2 *";

/// Everything around one handler. It ends when it is dropped.
pub struct World {
    pub simulator: Simulator,
    pub host: Host,
    pub client: Client,
    pub vault: PathBuf,
    lines: Arc<Mutex<Vec<String>>>,
    options: functions_host::Options,
    _folder: TempDir,
}

/// A script root as `cargo xtask stage` makes it.
pub fn script_root(folder: &Path) -> PathBuf {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = folder.join("dist");
    fs::create_dir_all(&root).expect("the folder is ours");
    fs::copy(repository.join("host.json"), root.join("host.json")).expect("host.json is there");
    std::os::unix::fs::symlink(BINARY, root.join("recording-vault")).expect("the folder is ours");
    for function in fs::read_dir(repository.join("functions")).expect("the functions are there") {
        let function = function.expect("the functions are there");
        if function.file_name() == "ExportChunk" {
            // Off unless it is asked for.
            continue;
        }
        let into = root.join(function.file_name());
        fs::create_dir(&into).expect("the folder is ours");
        fs::copy(
            function.path().join("function.json"),
            into.join("function.json"),
        )
        .expect("function.json is there");
    }
    root
}

impl World {
    pub async fn new() -> Self {
        Self::with(&[]).await
    }

    /// With settings that differ from the usual ones; an empty value takes one away.
    pub async fn with(settings: &[(&str, &str)]) -> Self {
        Self::with_key(None, settings).await
    }

    /// With a key that the host asks for.
    pub async fn with_key(function_key: Option<&str>, settings: &[(&str, &str)]) -> Self {
        let simulator = Simulator::start(acs_simulator::Options::default())
            .await
            .expect("ports are free");
        let folder = tempfile::tempdir().expect("there is room for temporary files");
        let vault = folder.path().join("vault");
        let usual = [
            ("FUNCTIONS_WORKER_RUNTIME", "custom"),
            ("AzureWebJobsStorage", "UseDevelopmentStorage=true"),
            ("ACS_ENDPOINT", &simulator.http_url()),
            ("ACS_ACCESS_KEY", acs_simulator::Options::ACCESS_KEY),
            ("ACS_CONTENT_HOSTS", &simulator.http_url()),
            ("VAULT_URL", &format!("file://{}", vault.display())),
            ("EXPORT_SWEEP_SCHEDULE", NEVER),
            ("BLOCK_SIZE", "64KiB"),
        ];
        let mut environment = BTreeMap::new();
        environment.extend(
            usual
                .iter()
                .chain(settings)
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
        );
        let lines = Arc::new(Mutex::new(Vec::new()));
        let console = Arc::clone(&lines);
        let options = functions_host::Options {
            environment,
            keys: function_key.map(Keys::of_host).unwrap_or_default(),
            console: Console::new(move |line| {
                console
                    .lock()
                    .expect("no holder of this lock panics")
                    .push(line.to_owned());
            }),
            ..functions_host::Options::new(script_root(folder.path()))
        };
        let host = start(options.clone()).await;
        Self {
            simulator,
            host,
            client: Client::new(),
            vault,
            lines,
            options,
            _folder: folder,
        }
    }

    /// A second host with the same settings: an instance more, as scaling out makes them.
    pub async fn another_host(&self) -> Host {
        self.host_with(|_| {}).await
    }

    /// A second host that asks for a function key.
    pub async fn host_with_key(&self, key: &str) -> Host {
        self.host_with(|options| options.keys = Keys::of_host(key))
            .await
    }

    /// A second host with the same settings, but for what `change` does.
    pub async fn host_with(&self, change: impl FnOnce(&mut functions_host::Options)) -> Host {
        let mut options = self.options.clone();
        change(&mut options);
        start(options).await
    }

    /// What the handler is set up with.
    pub fn settings(&self) -> &BTreeMap<String, String> {
        &self.options.environment
    }

    /// What host and handler printed.
    pub fn console(&self) -> String {
        self.lines
            .lock()
            .expect("no holder of this lock panics")
            .join("\n")
    }

    /// The handler itself, past the host.
    pub async fn handler_url(&self) -> String {
        handler_url(&self.host).await
    }

    /// An envelope to the handler, as the host would send it.
    pub async fn envelope(&self, function: &str, body: impl Into<reqwest::Body>) -> (u16, Value) {
        let request = self
            .client
            .post(format!("{}/{function}", self.handler_url().await))
            .header("content-type", "application/json");
        let response = request
            .body(body)
            .send()
            .await
            .expect("the handler answers");
        let status = response.status().as_u16();
        (status, response.json().await.expect("an answer is JSON"))
    }

    /// An event to the handler in an envelope.
    pub async fn event(&self, event: &Value) -> (u16, Value) {
        self.envelope(
            "RecordingFileStatusUpdated",
            json!({"Data": {"event": event}, "Metadata": {}}).to_string(),
        )
        .await
    }

    /// A tick of the timer; what it says of chunks.
    pub async fn sweep(&self) -> Value {
        self.swept("Sweep: ").await
    }

    /// A tick of the timer; what it says of running recordings.
    pub async fn sweep_recordings(&self) -> Value {
        self.swept("Recordings: ").await
    }

    async fn swept(&self, part: &str) -> Value {
        let timer = json!({"Data": {"timer": {"ScheduleStatus": null, "IsPastDue": false}}, "Metadata": {}});
        let (status, answer) = self.envelope("ExportSweep", timer.to_string()).await;
        assert_eq!(status, 200, "{answer}");
        let report = answer["ReturnValue"]["report"]
            .as_array()
            .expect("an answer has a report")
            .iter();
        let report = report
            .filter_map(Value::as_str)
            .find_map(|log| log.strip_prefix(part))
            .expect("a sweep reports");
        serde_json::from_str(report).expect("a report is JSON")
    }

    /// A request to the HTTP API through the host.
    pub async fn api(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let method = method.parse().expect("it is a method");
        let mut request = self
            .client
            .request(method, format!("{}/api{path}", self.host.url()));
        if let Some(body) = body {
            request = request.body(body.to_string());
        }
        json_answer(request.send().await.expect("the host answers")).await
    }

    /// Something of the simulator's admin API.
    pub async fn admin(&self, method: &str, path: &str, body: Value) -> Value {
        let request = self.client.request(
            method.parse().expect("it is a method"),
            format!("{}/admin/{path}", self.simulator.http_url()),
        );
        let response = request
            .json(&body)
            .send()
            .await
            .expect("the simulator answers");
        assert!(
            response.status().is_success(),
            "the simulator answered {}",
            response.status()
        );
        response.json().await.unwrap_or_default()
    }

    /// A recording that has ended; gives its event.
    pub async fn recording(&self, wanted: Value) -> Value {
        self.admin("POST", "recordings", wanted).await
    }

    /// What the simulator stores, and stored.
    pub async fn objects(&self) -> Vec<Value> {
        self.admin("GET", "objects", Value::Null)
            .await
            .as_array()
            .cloned()
            .unwrap_or_default()
    }

    /// The requests the content plane got.
    pub async fn content_log(&self) -> Vec<Value> {
        self.admin("GET", "log", Value::Null)
            .await
            .as_array()
            .cloned()
            .unwrap_or_default()
    }

    /// The vault's committed files, by the last part of their name.
    pub fn vault_files(&self) -> BTreeMap<String, Vec<u8>> {
        files(&self.vault)
    }

    /// As if nothing had ever been recorded.
    pub fn forget_ledger(&self) {
        let ledger = self.vault.with_file_name("vault-ledger");
        if ledger.exists() {
            fs::remove_dir_all(ledger).expect("the folder is ours");
        }
    }

    /// Events that were kept because they cannot be read.
    pub fn poison(&self) -> BTreeMap<String, Vec<u8>> {
        files(&self.poison_folder())
    }

    pub fn poison_folder(&self) -> PathBuf {
        self.vault.with_file_name("vault-ledger").join("poison")
    }

    /// Where a file of the vault is, by the end of its name.
    pub fn vault_file(&self, ending: &str) -> PathBuf {
        let files = files_by_path(&self.vault);
        let mut names = files.into_keys().filter(|name| !name.starts_with('.'));
        let name = names.find(|name| name.ends_with(ending));
        self.vault.join(name.expect("the vault has such a file"))
    }

    pub fn ledger_entry(&self, document_id: &str) -> Value {
        let path = self
            .vault
            .with_file_name("vault-ledger")
            .join(format!("chunks/{document_id}.json"));
        serde_json::from_slice(&fs::read(path).expect("the entry is there"))
            .expect("an entry is JSON")
    }
}

async fn start(options: functions_host::Options) -> Host {
    let host = Host::start(options)
        .await
        .expect("the host accepts our script root");
    host.ready().await.expect("the handler starts");
    host
}

/// The handler of a host, past it.
pub async fn handler_url(host: &Host) -> String {
    format!(
        "http://127.0.0.1:{}",
        host.handler_port().await.expect("the handler runs")
    )
}

pub async fn json_answer(response: Response) -> (u16, Value) {
    let status = response.status().as_u16();
    let text = response.text().await.expect("the answer is text");
    (
        status,
        serde_json::from_str(&text).unwrap_or_else(|_| panic!("{status} with no JSON: {text}")),
    )
}

/// All files below a folder but a vault's own working folders.
pub fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if path.is_dir() && !name.starts_with('.') {
            found.extend(files(&path));
        } else if path.is_file() {
            found.insert(name, fs::read(&path).expect("the file is readable"));
        }
    }
    found
}

/// All files below a folder but those in folders that begin with a dot, by their path in it.
pub fn files_by_path(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if path.is_dir() && !name.starts_with('.') {
            found.extend(
                files_by_path(&path)
                    .into_iter()
                    .map(|(below, content)| (format!("{name}/{below}"), content)),
            );
        } else if path.is_file() {
            found.insert(name, fs::read(&path).expect("the file is readable"));
        }
    }
    found
}

/// Document ids of an event, in its order.
pub fn document_ids(event: &Value) -> Vec<String> {
    let chunks = event["data"]["recordingStorageInfo"]["recordingChunks"]
        .as_array()
        .expect("an event has chunks");
    chunks
        .iter()
        .map(|chunk| {
            chunk["documentId"]
                .as_str()
                .expect("a chunk has an id")
                .to_owned()
        })
        .collect()
}
