//! The simulator and the sink as processes, with the requests of a benchmark to them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

use super::process::Process;

/// An export that takes longer will never end.
const REQUEST_TIMEOUT: Duration = Duration::from_mins(5);
/// Longest wait for blobs that were promised.
const ARRIVAL_TIMEOUT: Duration = Duration::from_mins(2);

/// The data rate of the simulator's wav.
const WAV_BYTES_PER_MS: u64 = 32;

/// Which door of the sink blobs go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    Plain,
    Tls,
}

impl Target {
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "sink",
            Self::Tls => "sink-tls",
        }
    }
}

/// What a recording's chunks are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// PCM, 32,000 bytes a second.
    Wav,
    Mp4,
}

/// The event of a recording, and its chunks.
#[derive(Debug, Clone)]
pub struct Event {
    pub json: Value,
    pub document_ids: Vec<String>,
}

/// The processes at both ends of an exporter.
pub struct Servers {
    /// Scratch space that is removed with this value.
    pub folder: tempfile::TempDir,
    pub client: reqwest::Client,
    /// The certificate authorities of both.
    pub ca_file: PathBuf,
    /// The simulator's TLS door.
    pub acs: String,
    acs_admin: String,
    sink: [String; 2],
    containers: AtomicU32,
    _processes: [Process; 2],
}

impl Servers {
    /// Starts both from a folder of binaries.
    pub async fn start(release: &Path, sink_arguments: &[&str]) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let ca = |name: &str| folder.path().join(name);
        let mut simulator = Command::new(release.join("acs-simulator"));
        simulator.args(["--open-content", "--content-base", "https://127.0.0.1"]);
        let (simulator, [acs_admin, acs]) = serve(simulator, &ca("simulator.pem")).await?;
        let mut sink = Command::new(release.join("blob-sink"));
        sink.args(sink_arguments);
        let (sink, doors) = serve(sink, &ca("sink.pem")).await?;
        let ca_file = ca("ca.pem");
        fs::write(
            &ca_file,
            fs::read_to_string(ca("simulator.pem"))? + &fs::read_to_string(ca("sink.pem"))?,
        )?;
        let (client, containers) = (
            reqwest::Client::builder()
                .timeout(REQUEST_TIMEOUT)
                .build()?,
            AtomicU32::default(),
        );
        Ok(Self {
            folder,
            client,
            ca_file,
            acs,
            acs_admin,
            sink: doors,
            containers,
            _processes: [simulator, sink],
        })
    }

    /// A new container; returns its name.
    pub async fn container(&self) -> anyhow::Result<String> {
        let name = format!("bench-{}", self.containers.fetch_add(1, Ordering::Relaxed));
        let request = self.client.put(format!(
            "{}/{name}?restype=container",
            self.account(Target::Plain)
        ));
        request.send().await?.error_for_status()?;
        Ok(name)
    }

    /// The folder of the ledger that goes with a container.
    pub fn ledger(&self, container: &str) -> PathBuf {
        self.folder.path().join(format!("ledger-{container}"))
    }

    pub fn account(&self, target: Target) -> String {
        let [plain, tls] = &self.sink;
        format!(
            "{}/devstoreaccount1",
            if target == Target::Plain { plain } else { tls }
        )
    }

    /// A recording with chunks of these sizes.
    pub async fn recording(&self, sizes_bytes: &[u64]) -> anyhow::Result<Event> {
        self.recording_of(Format::Mp4, sizes_bytes).await
    }

    /// A recording of this format with chunks of these sizes.
    pub async fn recording_of(&self, format: Format, sizes_bytes: &[u64]) -> anyhow::Result<Event> {
        let chunk = |size: &u64| match format {
            Format::Wav => json!({"durationMs": size / WAV_BYTES_PER_MS}),
            Format::Mp4 => json!({"sizeBytes": size}),
        };
        let chunks: Vec<Value> = sizes_bytes.iter().map(chunk).collect();
        let format = match format {
            Format::Wav => "wav",
            Format::Mp4 => "mp4",
        };
        let wanted = json!({"format": format, "call": {"chunks": chunks}});
        let request = self
            .client
            .post(format!("{}/admin/recordings", self.acs_admin))
            .json(&wanted);
        let json: Value = request.send().await?.error_for_status()?.json().await?;
        let chunks = json["data"]["recordingStorageInfo"]["recordingChunks"]
            .as_array()
            .context("the event names chunks")?;
        let document_ids = chunks
            .iter()
            .filter_map(|chunk| chunk["documentId"].as_str())
            .map(str::to_owned)
            .collect();
        Ok(Event { json, document_ids })
    }

    pub async fn set_faults(&self, faults: &Value) -> anyhow::Result<()> {
        let request = self
            .client
            .put(format!("{}/admin/faults", self.acs_admin))
            .json(faults);
        request.send().await?.error_for_status()?;
        Ok(())
    }

    /// What the simulator knows of a chunk.
    pub async fn object(&self, document_id: &str) -> anyhow::Result<Value> {
        let request = self
            .client
            .get(format!("{}/admin/objects/{document_id}", self.acs_admin));
        Ok(request.send().await?.error_for_status()?.json().await?)
    }

    /// How many requests the sink has had.
    pub async fn storage_requests(&self) -> anyhow::Result<u64> {
        let [plain, _] = &self.sink;
        let stats: Value = self
            .client
            .get(format!("{plain}/admin/stats"))
            .send()
            .await?
            .json()
            .await?;
        Ok(stats["requests"]
            .as_object()
            .into_iter()
            .flatten()
            .filter_map(|(_, count)| count.as_u64())
            .sum())
    }

    /// The names of all blobs in a container.
    pub async fn names(&self, container: &str) -> anyhow::Result<Vec<String>> {
        let [plain, _] = &self.sink;
        let blobs: Vec<Value> = self
            .client
            .get(format!("{plain}/admin/blobs"))
            .send()
            .await?
            .json()
            .await?;
        let blobs = blobs.iter().filter(|blob| blob["container"] == container);
        Ok(blobs
            .filter_map(|blob| blob["name"].as_str())
            .map(str::to_owned)
            .collect())
    }

    /// The content of a small blob that is JSON.
    pub async fn document(&self, container: &str, name: &str) -> anyhow::Result<Value> {
        let request = self.client.get(format!(
            "{}/{container}/{name}",
            self.account(Target::Plain)
        ));
        Ok(request.send().await?.error_for_status()?.json().await?)
    }

    /// Blocks at the sink that no blob consists of yet.
    pub async fn staged_blocks(&self) -> anyhow::Result<u64> {
        let [plain, _] = &self.sink;
        let stats: Value = self
            .client
            .get(format!("{plain}/admin/stats"))
            .send()
            .await?
            .json()
            .await?;
        stats["stagedBlocks"]
            .as_u64()
            .context("the sink counts staged blocks")
    }

    /// Waits until a container holds the media and metadata of all events, each with its exact size and CRC-64; returns
    /// how many of them it lacks in the end.
    pub async fn missing(&self, container: &str, events: &[Event]) -> anyhow::Result<usize> {
        let mut wanted = Vec::new();
        for id in events.iter().flat_map(|event| &event.document_ids) {
            let object = self.object(id).await?;
            wanted.push((object["sizeBytes"].clone(), object["crc64"].clone()));
            wanted.push((
                object["metadataSizeBytes"].clone(),
                object["metadataCrc64"].clone(),
            ));
        }
        ensure!(
            wanted
                .iter()
                .all(|(size, crc64)| size.is_u64() && crc64.is_string()),
            "the simulator knows its chunks"
        );
        let deadline = Instant::now() + ARRIVAL_TIMEOUT;
        loop {
            let found = self.blobs(container).await?;
            let missing = wanted
                .iter()
                .filter(|wanted| !found.contains(wanted))
                .count();
            if missing == 0 || Instant::now() > deadline {
                return Ok(missing);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until a container holds that many blobs of media; sizes and checksums are compared after the measurement.
    pub async fn arrived(
        &self,
        container: &str,
        least_bytes: u64,
        count: usize,
    ) -> anyhow::Result<()> {
        let deadline = Instant::now() + ARRIVAL_TIMEOUT;
        loop {
            let sizes = self.sizes(container).await?;
            let media = sizes.iter().filter(|size| **size >= least_bytes).count();
            if media >= count {
                return Ok(());
            }
            ensure!(
                Instant::now() < deadline,
                "{media} of {count} blobs arrived"
            );
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    async fn sizes(&self, container: &str) -> anyhow::Result<Vec<u64>> {
        let [plain, _] = &self.sink;
        let sizes = self.client.get(format!("{plain}/admin/sizes/{container}"));
        Ok(sizes.send().await?.json().await?)
    }

    async fn blobs(&self, container: &str) -> anyhow::Result<Vec<(Value, Value)>> {
        let [plain, _] = &self.sink;
        let blobs: Vec<Value> = self
            .client
            .get(format!("{plain}/admin/blobs"))
            .send()
            .await?
            .json()
            .await?;
        let blobs = blobs
            .into_iter()
            .filter(|blob| blob["container"] == container);
        Ok(blobs
            .map(|blob| (blob["sizeBytes"].clone(), blob["crc64"].clone()))
            .collect())
    }
}

/// Starts a server on free ports; returns its plain and its TLS door.
async fn serve(mut command: Command, ca_file: &Path) -> anyhow::Result<(Process, [String; 2])> {
    command
        .args([
            "--http",
            "127.0.0.1:0",
            "--https",
            "127.0.0.1:0",
            "--ca-file",
        ])
        .arg(ca_file)
        .stdout(Stdio::piped());
    let mut process = Process::spawn(&mut command)?;
    let mut lines =
        BufReader::new(process.child.stdout.take().context("its output is piped")?).lines();
    let mut door = async || {
        let line = lines
            .next_line()
            .await?
            .context("the server ended before it listened")?;
        line.rsplit_once(' ')
            .map(|(_, url)| url.to_owned())
            .context("the server says where it is")
    };
    let doors = [door().await?, door().await?];
    Ok((process, doors))
}
