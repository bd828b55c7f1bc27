//! The measured programs: ours, and its alternatives.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::json;
use tokio::process::Command;

use super::process::{self, Process};
use super::servers::{Event, Servers, Target};
use super::table::Role;

/// A made-up shared access signature: the sink does not check it.
const SAS: &str = "sv=2024-08-04&sr=c&sig=x";
/// Microsoft's SDKs send credentials to such hosts only; the certificate is good for it.
const SDK_CONTENT_HOST: &str = "bench-storage.asm.skype.com";
const SWEEP_EVERY: Duration = Duration::from_millis(500);
const EVENT_PATH: &str = "RecordingFileStatusUpdated";

/// The release binary, with settings besides the necessary ones.
#[derive(Clone)]
pub struct RecordingVault {
    binary: PathBuf,
    settings: Vec<(&'static str, &'static str)>,
    ledger: Ledger,
}

/// The place of its ledger.
#[derive(Clone, Copy)]
enum Ledger {
    /// In the sink, beside the vault: as deployed.
    Sink,
    Directory,
}

impl RecordingVault {
    /// With default settings.
    pub fn new(binary: PathBuf) -> Self {
        Self {
            binary,
            settings: Vec::new(),
            ledger: Ledger::Sink,
        }
    }

    /// With its ledger in a directory.
    #[must_use]
    pub fn with_directory_ledger(self) -> Self {
        Self {
            ledger: Ledger::Directory,
            ..self
        }
    }

    #[must_use]
    pub fn with(mut self, name: &'static str, value: &'static str) -> Self {
        self.settings.push((name, value));
        self
    }

    /// Starts it on a container; the same container has the same ledger.
    pub async fn start(&self, servers: &Servers, container: &str) -> anyhow::Result<Running> {
        Program::Ours(self.clone())
            .start(servers, Target::Plain, container)
            .await
    }
}

/// One program.
#[derive(Clone)]
pub enum Program {
    Ours(RecordingVault),
    /// Only copies blocks and computes SHA-256: the limit.
    Limit {
        binary: PathBuf,
    },
    /// `operations/copyurl` for each file: no hash, no check, no ledger.
    Rclone,
    /// An exporter on the SDKs for JavaScript.
    Node {
        script: PathBuf,
    },
}

/// A program that has answered its first request.
pub struct Running {
    pub process: Process,
    pub port: u16,
    pub url: String,
    container: String,
    takes: Takes,
}

/// How a program receives an event.
enum Takes {
    /// By the Functions host, with content at the host named.
    Event {
        content_host: Option<(String, String)>,
    },
    /// By a call for each file.
    Calls,
}

impl Program {
    pub fn name(&self) -> &'static str {
        match self {
            Self::Ours(_) => "recording-vault",
            Self::Limit { .. } => "limit: copy and SHA-256",
            Self::Rclone => "rclone",
            Self::Node { .. } => "node with SDKs",
        }
    }

    pub fn role(&self) -> Role {
        match self {
            Self::Ours(_) => Role::Ours,
            Self::Limit { .. } => Role::Limit,
            Self::Rclone | Self::Node { .. } => Role::Peer,
        }
    }

    /// Starts it and waits for its first answer.
    pub async fn start(
        &self,
        servers: &Servers,
        target: Target,
        container: &str,
    ) -> anyhow::Result<Running> {
        let port = process::free_port().await?;
        let account = servers.account(target);
        let (mut command, probe, takes) = match self {
            Self::Ours(ours) => {
                let command = ours.command(servers, &account, container);
                (command, "GET /", Takes::Event { content_host: None })
            }
            Self::Limit { binary } => {
                let mut command = Command::new(binary);
                command.env("BLOB_ACCOUNT_URL", format!("{account}?{SAS}"));
                (command, "POST /rc/noop", Takes::Calls)
            }
            Self::Rclone => (
                rclone(servers, &account, port),
                "POST /rc/noop",
                Takes::Calls,
            ),
            Self::Node { script } => {
                let named = servers.acs.replace("127.0.0.1", SDK_CONTENT_HOST);
                let content_host = Some((servers.acs.clone(), named));
                let container_url = format!("{account}/{container}?{SAS}");
                let command = node(servers, script, &container_url);
                (command, "GET /", Takes::Event { content_host })
            }
        };
        command
            .env("FUNCTIONS_CUSTOMHANDLER_PORT", port.to_string())
            .env("SSL_CERT_FILE", &servers.ca_file);
        let process = Process::spawn(command.stdout(Stdio::null()))?;
        process::first_answer(port, probe).await?;
        let url = format!("http://127.0.0.1:{port}");
        Ok(Running {
            process,
            port,
            url,
            container: container.to_owned(),
            takes,
        })
    }
}

impl RecordingVault {
    fn command(&self, servers: &Servers, account: &str, container: &str) -> Command {
        let ledger_url = match self.ledger {
            Ledger::Sink => format!("{account}/{container}-ledger?{SAS}"),
            Ledger::Directory => format!("file://{}", servers.ledger(container).display()),
        };
        let mut command = Command::new(&self.binary);
        command
            .arg("serve")
            .env("ACS_ENDPOINT", &servers.acs)
            .env("ACS_ACCESS_KEY", acs_simulator::Options::ACCESS_KEY)
            .env("ACS_CONTENT_HOSTS", &servers.acs)
            .env("VAULT_URL", format!("{account}/{container}?{SAS}"))
            .env("LEDGER_URL", ledger_url)
            .envs(self.settings.iter().copied());
        command
    }
}

fn rclone(servers: &Servers, account: &str, port: u16) -> Command {
    let mut command = Command::new("rclone");
    command
        .args(["rcd", "--config", "/dev/null", "--rc-no-auth", "--quiet"])
        .arg("--rc-addr")
        .arg(format!("127.0.0.1:{port}"))
        .arg("--ca-cert")
        .arg(&servers.ca_file)
        .env("RCLONE_CONFIG_BENCH_TYPE", "azureblob")
        .env("RCLONE_CONFIG_BENCH_SAS_URL", format!("{account}?{SAS}"));
    command
}

fn node(servers: &Servers, script: &Path, container_url: &str) -> Command {
    let mut command = Command::new("node");
    command
        .arg(script)
        .env("ACS_ENDPOINT", &servers.acs)
        .env("ACS_ACCESS_KEY", acs_simulator::Options::ACCESS_KEY)
        .env("CONTENT_HOST", SDK_CONTENT_HOST)
        .env("CONTAINER_URL", container_url)
        .env("NODE_EXTRA_CA_CERTS", &servers.ca_file);
    command
}

impl Running {
    pub fn container(&self) -> &str {
        &self.container
    }

    /// One tick of the host's timer.
    pub async fn tick(&self, client: &reqwest::Client) -> anyhow::Result<()> {
        let request = client
            .post(format!("{}/ExportSweep", self.url))
            .body(r#"{"Data":{"timer":{}}}"#);
        request.send().await?.error_for_status()?;
        Ok(())
    }

    /// The host's timer at a short interval: our program then finishes what an event left undone.
    pub async fn sweep(&self, client: &reqwest::Client) -> anyhow::Result<()> {
        self.tick(client).await?;
        tokio::time::sleep(SWEEP_EVERY).await;
        Ok(())
    }

    /// Delivers an event and waits until the program says that it is done.
    pub async fn deliver(&self, client: &reqwest::Client, event: &Event) -> anyhow::Result<()> {
        match &self.takes {
            Takes::Event { content_host } => {
                let mut body = json!({"Data": {"event": event.json}, "Metadata": {}}).to_string();
                if let Some((real, named)) = content_host {
                    body = body.replace(real, named);
                }
                let request = client
                    .post(format!("{}/{EVENT_PATH}", self.url))
                    .header("content-type", "application/json");
                request.body(body).send().await?.error_for_status()?;
            }
            Takes::Calls => {
                let chunks = event.json["data"]["recordingStorageInfo"]["recordingChunks"]
                    .as_array()
                    .into_iter()
                    .flatten();
                for (chunk, id) in chunks.zip(&event.document_ids) {
                    for (location, extension) in
                        [("contentLocation", "mp4"), ("metadataLocation", "json")]
                    {
                        let remote = format!("{id}.{extension}");
                        let call = json!({"fs": format!("bench:{}", self.container), "remote": remote, "url": chunk[location]});
                        let request = client
                            .post(format!("{}/operations/copyurl", self.url))
                            .json(&call);
                        request.send().await?.error_for_status()?;
                    }
                }
            }
        }
        Ok(())
    }
}
