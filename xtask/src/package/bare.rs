//! Runs the content of the zip in a bare Debian, as old as the platform's images may be, without anything of this
//! machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use deploy_package::{BINARY, archive};

use crate::paths;
use crate::tools::{is_root, run_command};

/// glibc 2.31 and 2.36.
const SUITES: [&str; 2] = ["bullseye", "bookworm"];
/// In the bare system.
const SCRIPT_ROOT: &str = "home/site/wwwroot";
/// The binary is killed after this time.
const LONGEST: &str = "60";
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Skips with a message where a bare system cannot be made.
pub fn check(zip: &[u8]) -> anyhow::Result<()> {
    if let Some(reason) = impossible() {
        println!("Skipped running it in a bare Debian: {reason}");
        return Ok(());
    }
    for suite in SUITES {
        let system = bare_debian(suite)?;
        check_in(&system, zip)
            .with_context(|| format!("what is in the zip does not run in a bare Debian {suite}"))?;
        println!("It runs in a bare Debian {suite}");
    }
    Ok(())
}

fn impossible() -> Option<&'static str> {
    let succeeds = |command: &mut Command| {
        command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    };
    if !is_root() && !succeeds(Command::new("sudo").args(["-n", "true"])) {
        return Some("it takes root (chroot), or sudo without a password");
    }
    let install = [
        "install",
        "-y",
        "--no-install-recommends",
        "debootstrap",
        "debian-archive-keyring",
    ];
    let found = succeeds(as_root("debootstrap").arg("--version"))
        || succeeds(as_root("apt-get").args(install));
    (!found).then_some("there is no debootstrap, and apt-get could not install it")
}

fn as_root(program: &str) -> Command {
    if is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("sudo");
    command.args(["-n", program]);
    command
}

/// Made once; a minute. The platform's images have certificates too, and without them no TLS client can be built.
fn bare_debian(suite: &str) -> anyhow::Result<PathBuf> {
    let folder = paths::target().join("tools");
    let system = folder.join(format!("debian-{suite}"));
    if !system.is_dir() {
        println!("Making a bare Debian {suite} in {}", system.display());
        fs::create_dir_all(&folder)?;
        // Under this name until it is complete.
        let partial = folder.join(format!("debian-{suite}.partial"));
        run_command(as_root("rm").arg("-rf").arg(&partial))?;
        let mut debootstrap = as_root("debootstrap");
        debootstrap
            .args(["--variant=minbase", "--include=ca-certificates", suite])
            .arg(&partial);
        let output = debootstrap.output().context("could not run debootstrap")?;
        let said = String::from_utf8_lossy(&output.stdout);
        ensure!(
            output.status.success(),
            "debootstrap failed: {}",
            said.trim().lines().last().unwrap_or_default()
        );
        run_command(as_root("mv").arg(&partial).arg(&system))?;
    }
    Ok(system)
}

fn check_in(system: &Path, zip: &[u8]) -> anyhow::Result<()> {
    let unpacked = tempfile::tempdir()?;
    archive::unpack_into(zip, unpacked.path())?;
    let site = system.join(SCRIPT_ROOT);
    run_command(as_root("rm").arg("-rf").arg(&site))?;
    run_command(as_root("mkdir").arg("-p").arg(&site))?;
    run_command(
        as_root("cp")
            .arg("-R")
            .arg(unpacked.path().join("."))
            .arg(&site),
    )?;
    let version = as_root("chroot")
        .arg(system)
        .arg(format!("/{SCRIPT_ROOT}/{BINARY}"))
        .arg("--version")
        .output()?;
    let said = String::from_utf8_lossy(&version.stdout);
    let wanted = format!("{BINARY} {}", paths::version()?);
    ensure!(
        said.trim() == wanted,
        "--version said `{}` and `{}`",
        said.trim(),
        String::from_utf8_lossy(&version.stderr).trim()
    );
    let port = std::net::TcpListener::bind("127.0.0.1:0")?
        .local_addr()?
        .port();
    let mut served = serve(system, port)?;
    let answer = tokio::runtime::Runtime::new()?.block_on(until_answered(port, &mut served));
    // Its group is not ours to kill where sudo started it.
    run_command(as_root("kill").arg(served.id().to_string())).ok();
    served.wait()?;
    answer
}

fn serve(system: &Path, port: u16) -> anyhow::Result<Child> {
    let mut command = as_root("timeout");
    command
        .arg(LONGEST)
        .arg("chroot")
        .arg(system)
        .args(["/usr/bin/env", "-i"])
        .arg(format!("FUNCTIONS_CUSTOMHANDLER_PORT={port}"))
        .args([
            "ACS_ENDPOINT=https://contoso.communication.azure.com",
            "VAULT_URL=file:///tmp/vault",
        ])
        .arg(format!("/{SCRIPT_ROOT}/{BINARY}"))
        .arg("serve");
    command.spawn().context("could not run chroot")
}

async fn until_answered(port: u16, served: &mut Child) -> anyhow::Result<()> {
    let client = reqwest::Client::new();
    let looking = async {
        let mut ticks = tokio::time::interval(LOOK_EVERY);
        loop {
            ticks.tick().await;
            if let Some(status) = served.try_wait()? {
                bail!("`serve` ended with {status}");
            }
            if let Ok(response) = client.get(format!("http://127.0.0.1:{port}/")).send().await {
                let text = response.error_for_status()?.text().await?;
                ensure!(text.contains("running"), "GET / was answered `{text}`");
                return Ok(());
            }
        }
    };
    tokio::time::timeout(PATIENCE, looking)
        .await
        .context("GET / was not answered")?
}
