//! `cargo xtask demo`: the complete main job, on this machine.
//!
//! ACS simulator, stand-in Functions host, the real handler, a directory as vault. Two calls are recorded; their events
//! arrive; every chunk is exported, proved, and, at the timer's next tick, deleted at the source.

mod bars;
mod report;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use acs_simulator::Simulator;
use anyhow::{Context as _, bail, ensure};
use deploy_package::{BINARY, script_root};
use functions_host::{Console, Host};
use serde_json::{Value, json};

use crate::demo::bars::Bars;
use crate::paths;
use crate::tools::run_cargo;

/// A run that takes longer has failed.
const PATIENCE: Duration = Duration::from_mins(5);
/// Both calls have ended before the first event arrives. At the service the event takes minutes.
const EVENT_DELAY: Duration = Duration::from_secs(4);
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// A pause as the caller of a contact centre would make it for a card number, in small.
const TALK: Duration = Duration::from_millis(700);

pub fn run(keep: bool) -> anyhow::Result<()> {
    println!("Building the handler; the first time this takes some minutes");
    run_cargo(&["build", "--package", "recording-vault"])?;
    let folder = paths::target().join("demo");
    let dist = folder.join("dist");
    script_root::assemble(
        &paths::root(),
        &paths::target().join("debug").join(BINARY),
        &dist,
        script_root::Functions::Usual,
    )?;
    let vault = folder.join("vault");
    for old in [&vault, &folder.join("vault-ledger")] {
        if old.exists() {
            std::fs::remove_dir_all(old)?;
        }
    }
    tokio::runtime::Runtime::new()?.block_on(demo(&dist, &vault, keep))
}

async fn demo(dist: &Path, vault: &Path, keep: bool) -> anyhow::Result<()> {
    let options = acs_simulator::Options {
        event_delay: EVENT_DELAY,
        redelivery_scale: 0.1,
        ..Default::default()
    };
    let simulator = Simulator::start(options).await?;
    let admin = Admin {
        client: reqwest::Client::new(),
        url: simulator.http_url(),
    };
    let bars = Bars::default();
    let host = start_host(&simulator.http_url(), dist, vault, &bars).await?;
    host.ready().await.map_err(anyhow::Error::msg)?;
    println!("ACS simulator   {}", simulator.http_url());
    println!("Functions host  {}", host.url());
    println!("Vault           {}\n", vault.display());
    admin
        .post(
            "/admin/event-subscriptions",
            &json!({"url": host.event_grid_url("RecordingFileStatusUpdated")}),
        )
        .await?;

    record_calls(&admin, &host).await?;
    println!("\nThe events arrive; chunks are exported, proved, and deleted at the source:");
    let finished = tokio::time::timeout(PATIENCE, until_deleted(&admin, 4)).await;
    bars.finish();
    let objects = finished
        .context("not every chunk was exported and deleted in time; see the log above")??;
    report::print(vault, &objects)?;
    if keep {
        print_hint(&simulator.http_url(), &host.url());
        tokio::signal::ctrl_c().await?;
    }
    Ok(())
}

async fn record_calls(admin: &Admin, host: &Host) -> anyhow::Result<()> {
    let minutes = |minutes: u64| json!({"durationMs": minutes * 60_000});
    let audio = json!({"recordingContentType": "audio", "recordingChannelType": "mixed", "recordingFormatType": "wav"});
    record_call(
        admin,
        host,
        "an audio call of 47 minutes, in 3 chunks",
        &json!({"chunks": [minutes(20), minutes(20), minutes(7)]}),
        audio,
    )
    .await?;
    let video = json!({"recordingContentType": "audioVideo", "recordingChannelType": "mixed", "recordingFormatType": "mp4"});
    record_call(
        admin,
        host,
        "a video call",
        &json!({"chunks": [{"sizeBytes": 45_000_000}]}),
        video,
    )
    .await?;
    Ok(())
}

fn print_hint(simulator: &str, host: &str) {
    println!("\nEverything keeps running (Ctrl-C ends it). Record another call:");
    println!(
        "  curl -s -X POST {simulator}/admin/calls -H 'content-type: application/json' -d '{{}}'   # gives a serverCallId"
    );
    println!(
        "  curl -s -X POST {host}/api/recordings -d '{{\"serverCallId\":\"…\"}}'                # gives a recordingId"
    );
    println!("  curl -s -X POST {host}/api/recordings/<recordingId>/stop");
}

async fn start_host(acs: &str, dist: &Path, vault: &Path, bars: &Bars) -> anyhow::Result<Host> {
    let settings = [
        ("FUNCTIONS_WORKER_RUNTIME", "custom".to_owned()),
        (
            "AzureWebJobsStorage",
            "UseDevelopmentStorage=true".to_owned(),
        ),
        ("ACS_ENDPOINT", acs.to_owned()),
        (
            "ACS_ACCESS_KEY",
            acs_simulator::Options::ACCESS_KEY.to_owned(),
        ),
        ("ACS_CONTENT_HOSTS", acs.to_owned()),
        ("VAULT_URL", format!("file://{}", vault.display())),
        ("BLOCK_SIZE", "1MiB".to_owned()),
        ("DELETE_DELAY", "2s".to_owned()),
        ("EXPORT_SWEEP_SCHEDULE", "*/3 * * * * *".to_owned()),
        (
            "LOG",
            "info,recording_vault::export::transfer::file=debug".to_owned(),
        ),
        ("LOG_FORMAT", "json".to_owned()),
    ];
    let mut environment: BTreeMap<String, String> = std::env::vars().collect();
    environment.extend(settings.map(|(name, value)| (name.to_owned(), value)));
    let bars = bars.clone();
    let options = functions_host::Options {
        environment,
        state_dir: Some(PathBuf::from(dist).join("../timers")),
        console: Console::new(move |line| bars.read(line)),
        ..functions_host::Options::new(dist)
    };
    Host::start(options).await
}

/// Start, pause, resume, stop: through our own HTTP API, as any caller would.
async fn record_call(
    admin: &Admin,
    host: &Host,
    what: &str,
    plan: &Value,
    mut start: Value,
) -> anyhow::Result<()> {
    println!("Recording {what}");
    let call = admin.post("/admin/calls", plan).await?;
    start["serverCallId"] = call["serverCallId"].clone();
    let api = Admin {
        client: admin.client.clone(),
        url: format!("{}/api/recordings", host.url()),
    };
    let started = api.post("", &start).await?;
    let id = started["recordingId"]
        .as_str()
        .context("the start gave no recordingId")?
        .to_owned();
    println!("  started   …{}", &id[id.len().saturating_sub(16)..]);
    for action in ["pause", "resume", "stop"] {
        tokio::time::sleep(TALK).await;
        let answer = api.post(&format!("/{id}/{action}"), &json!({})).await?;
        println!(
            "  {action:<9} {}",
            answer["recordingState"].as_str().unwrap_or_default()
        );
    }
    Ok(())
}

/// Waits until `count` chunks are stored and every one of them is deleted.
async fn until_deleted(admin: &Admin, count: usize) -> anyhow::Result<Vec<Value>> {
    loop {
        let objects = admin.get("/admin/objects").await?;
        let objects = objects
            .as_array()
            .context("the simulator lists its objects")?;
        if objects.len() == count && objects.iter().all(|object| !object["deletedAt"].is_null()) {
            return Ok(objects.clone());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// A client of a JSON API.
struct Admin {
    client: reqwest::Client,
    url: String,
}

impl Admin {
    async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        let response = self
            .client
            .post(format!("{}{path}", self.url))
            .json(body)
            .send()
            .await?;
        Self::json(path, response).await
    }

    async fn get(&self, path: &str) -> anyhow::Result<Value> {
        Self::json(
            path,
            self.client
                .get(format!("{}{path}", self.url))
                .send()
                .await?,
        )
        .await
    }

    async fn json(path: &str, response: reqwest::Response) -> anyhow::Result<Value> {
        let status = response.status();
        let body = response.text().await?;
        ensure!(status.is_success(), "{path} answered {status}: {body}");
        match serde_json::from_str(&body) {
            Ok(value) => Ok(value),
            Err(_) => bail!("{path} answered {status} with no JSON: {body}"),
        }
    }
}
