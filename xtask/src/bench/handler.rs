//! The release binary as a process of its own, and what the kernel counts of it.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};

/// Attempts to connect before the handler counts as not starting; each gives way to other work.
const ATTEMPTS: u32 = 2_000_000;
/// Linux counts processor time in hundredths of a second (`sysconf(_SC_CLK_TCK)`, 100 on every platform Rust supports).
const TICKS_PER_SECOND: u64 = 100;

/// A running handler with an empty vault of its own; it is killed when it is dropped.
pub struct Handler {
    pub url: String,
    process: Child,
    _vault: tempfile::TempDir,
}

/// What a process has used so far.
pub struct Usage {
    /// High-water mark of its resident set.
    pub peak_bytes: u64,
    pub cpu: Duration,
}

impl Handler {
    /// Starts it and waits for its first answer.
    pub async fn start(binary: &Path, acs: &str, folder: &Path) -> anyhow::Result<Self> {
        let vault = tempfile::tempdir_in(folder)?;
        let port = TcpListener::bind(("127.0.0.1", 0)).await?.local_addr()?.port();
        let process = Command::new(binary)
            .arg("serve")
            .env("FUNCTIONS_CUSTOMHANDLER_PORT", port.to_string())
            .env("ACS_ENDPOINT", acs)
            .env("ACS_ACCESS_KEY", acs_simulator::Options::ACCESS_KEY)
            .env("ACS_CONTENT_HOSTS", acs)
            .env("VAULT_URL", format!("file://{}", vault.path().join("vault").display()))
            .env("EVENT_BUDGET", "10m")
            .env("LOG", "warn")
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        first_answer(port).await?;
        Ok(Self { url: format!("http://127.0.0.1:{port}"), process, _vault: vault })
    }

    pub fn usage(&self) -> anyhow::Result<Usage> {
        let id = self.process.id().context("the handler has ended")?;
        let status = fs::read_to_string(format!("/proc/{id}/status"))?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        let stat = fs::read_to_string(format!("/proc/{id}/stat"))?;
        // Behind the name, which may hold anything, field 3 comes first; 14 and 15 are user and system time.
        let (_, fields) = stat.rsplit_once(") ").context("/proc/<id>/stat is as documented")?;
        let ticks: u64 = fields.split(' ').skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
        Ok(Usage {
            peak_bytes: peak.context("/proc/<id>/status is as documented")? * 1024,
            cpu: Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND),
        })
    }
}

/// A bare `GET /`, again and again: a client library would cost more than what is measured.
async fn first_answer(port: u16) -> anyhow::Result<()> {
    for _ in 0..ATTEMPTS {
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)).await else {
            tokio::task::yield_now().await;
            continue;
        };
        stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        if answer.starts_with(b"HTTP/1.1 200") {
            return Ok(());
        }
        bail!("the handler answered {}", String::from_utf8_lossy(&answer));
    }
    bail!("the handler did not answer")
}
