//! A process that is measured or serves, and what the kernel counts of it.

use std::collections::HashSet;
use std::fs;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};

/// How long a program may take until it answers.
const START_TIMEOUT: Duration = Duration::from_secs(30);
/// Linux counts processor time in hundredths of a second (`sysconf(_SC_CLK_TCK)`, 100 on every platform Rust supports).
const TICKS_PER_SECOND: u64 = 100;

/// A running process; it is killed when it is dropped.
pub struct Process {
    pub child: Child,
    id: u32,
}

/// What a process and its descendants have used so far.
#[derive(Debug, Clone, Copy, Default)]
pub struct Usage {
    /// High-water marks of their resident sets, added up.
    pub peak_bytes: u64,
    pub cpu: Duration,
}

/// Open sockets of a process.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sockets {
    pub all: usize,
    /// Those it opened itself.
    pub outgoing: usize,
}

impl Process {
    pub fn spawn(command: &mut Command) -> anyhow::Result<Self> {
        let child = command
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("could not run {command:?}"))?;
        let id = child.id().context("the process has just been started")?;
        Ok(Self { child, id })
    }

    /// Ends it as a crash would, and waits until it is gone.
    pub async fn kill(mut self) -> anyhow::Result<()> {
        Ok(self.child.kill().await?)
    }

    pub fn usage(&self) -> anyhow::Result<Usage> {
        let mut usage = Usage::default();
        for id in family(self.id) {
            // One that ends meanwhile has been counted in its parent.
            let Some(member) = used_by(id) else { continue };
            usage.peak_bytes += member.peak_bytes;
            usage.cpu += member.cpu;
        }
        used_by(self.id).context("the process has ended")?;
        Ok(usage)
    }

    /// `port` is the one it listens on.
    pub fn sockets(&self, port: u16) -> anyhow::Result<Sockets> {
        let mut inodes = HashSet::new();
        for entry in fs::read_dir(format!("/proc/{}/fd", self.id))? {
            // Descriptors may be closed while we look.
            let Ok(target) = fs::read_link(entry?.path()) else {
                continue;
            };
            let inode = target
                .to_str()
                .and_then(|target| target.strip_prefix("socket:[")?.strip_suffix(']'));
            inodes.extend(inode.map(str::to_owned));
        }
        let incoming = format!(":{port:04X}");
        let table = fs::read_to_string("/proc/net/tcp")?;
        // Fields: number, local address, remote address, state, …; the tenth is the inode.
        let outgoing = table.lines().skip(1).filter(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            fields.get(9).is_some_and(|inode| inodes.contains(*inode))
                && !fields[1].ends_with(&incoming)
        });
        Ok(Sockets {
            all: inodes.len(),
            outgoing: outgoing.count(),
        })
    }
}

/// A process and its descendants.
fn family(id: u32) -> Vec<u32> {
    let mut family = vec![id];
    let mut next = 0;
    while let Some(parent) = family.get(next) {
        let children = fs::read_dir(format!("/proc/{parent}/task"))
            .into_iter()
            .flatten()
            .flatten();
        let children =
            children.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
        let children: Vec<u32> = children
            .flat_map(|ids| {
                ids.split_whitespace()
                    .filter_map(|id| id.parse().ok())
                    .collect::<Vec<_>>()
            })
            .collect();
        family.extend(children);
        next += 1;
    }
    family
}

fn used_by(id: u32) -> Option<Usage> {
    let status = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let peak: u64 = status.lines().find_map(|line| {
        line.strip_prefix("VmHWM:")?
            .trim()
            .strip_suffix(" kB")?
            .parse()
            .ok()
    })?;
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // Behind the name, which may hold anything, field 3 comes first; 14 to 17 are the times, also of ended children.
    let (_, fields) = stat.rsplit_once(") ")?;
    let ticks: u64 = fields
        .split(' ')
        .skip(11)
        .take(4)
        .filter_map(|ticks| ticks.parse::<u64>().ok())
        .sum();
    Some(Usage {
        peak_bytes: peak * 1024,
        cpu: Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND),
    })
}

/// A free port.
pub async fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))
        .await?
        .local_addr()?
        .port())
}

/// A bare request, again and again until there is an answer: a client library would cost more than what is measured.
pub async fn first_answer(port: u16, method_and_path: &str) -> anyhow::Result<()> {
    let request = format!(
        "{method_and_path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    );
    let answered = async {
        let mut stream = loop {
            match TcpStream::connect(("127.0.0.1", port)).await {
                Ok(stream) => break stream,
                // A timer is too coarse for what takes a few milliseconds.
                Err(_) => tokio::task::yield_now().await,
            }
        };
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        if answer.starts_with(b"HTTP/1.1 200") {
            return Ok(());
        }
        bail!("the program answered {}", String::from_utf8_lossy(&answer));
    };
    tokio::time::timeout(START_TIMEOUT, answered)
        .await
        .context("the program did not answer")?
}
