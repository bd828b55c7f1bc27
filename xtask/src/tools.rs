//! What tests and checks need besides cargo, installed into `target/` or `node_modules`.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, bail, ensure};
use sha2::Digest as _;

use crate::paths;

/// Runs a command at the repository's top; fails when it fails.
pub fn run_command(command: &mut Command) -> anyhow::Result<()> {
    let shown = format!("{command:?}");
    let status = command
        .status()
        .with_context(|| format!("could not run {shown}"))?;
    ensure!(status.success(), "{shown} failed with {status}");
    Ok(())
}

/// Runs the cargo that runs us.
pub fn run_cargo(arguments: &[&str]) -> anyhow::Result<()> {
    run_command(cargo().args(arguments))
}

/// The cargo that runs this.
pub fn cargo() -> Command {
    let given = std::env::var_os("CARGO");
    let mut command = Command::new(given.unwrap_or_else(|| env!("CARGO").into()));
    command.current_dir(paths::root());
    command
}

/// Azurite's blob and queue services, in memory, on free ports; they end with this value.
pub struct Azurite {
    processes: Vec<Child>,
    pub blob_url: String,
    pub queue_url: String,
}

impl Azurite {
    pub fn start() -> anyhow::Result<Self> {
        let folder = paths::root().join("dev/azurite");
        let blob = folder.join("node_modules/azurite/dist/src/blob/main.js");
        npm_ci("Azurite", &folder, &blob)?;
        let mut azurite = Self {
            processes: Vec::new(),
            blob_url: String::new(),
            queue_url: String::new(),
        };
        azurite.blob_url = azurite.serve(&blob, ["--blobHost", "--blobPort"])?;
        let queue = folder.join("node_modules/azurite/dist/src/queue/main.js");
        azurite.queue_url = azurite.serve(&queue, ["--queueHost", "--queuePort"])?;
        Ok(azurite)
    }

    /// One of its services; gives its URL.
    fn serve(&mut self, script: &Path, [host, port]: [&str; 2]) -> anyhow::Result<String> {
        let mut process = Command::new("node")
            .arg(script)
            .args([host, "127.0.0.1", port, "0", "--inMemoryPersistence"])
            .args(["--skipApiVersionCheck", "--silent", "--disableTelemetry"])
            .stdout(Stdio::piped())
            .spawn()
            .context("could not start node")?;
        let output = process.stdout.take().context("Azurite has no output")?;
        self.processes.push(process);
        for line in BufReader::new(output).lines() {
            if let Some((_, url)) = line?.split_once("successfully listens on ") {
                return Ok(format!("{}/devstoreaccount1", url.trim()));
            }
        }
        bail!("Azurite ended before it listened")
    }
}

impl Drop for Azurite {
    fn drop(&mut self) {
        for process in &mut self.processes {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// Installs a folder's locked packages, unless `made`, one of their files, is newer than the lock.
fn npm_ci(what: &str, folder: &Path, made: &Path) -> anyhow::Result<()> {
    if is_fresh(made, &folder.join("package-lock.json")) {
        return Ok(());
    }
    eprintln!("Installing {what} (npm ci)");
    let mut npm = Command::new("npm");
    npm.args([
        "ci",
        "--no-audit",
        "--no-fund",
        "--ignore-scripts",
        "--loglevel=error",
    ])
    .current_dir(folder);
    run_command(npm.stdout(Stdio::null()))
        .with_context(|| format!("{what} needs Node.js with npm"))?;
    touch(made)
}

/// The exporter on Microsoft's SDKs for JavaScript; returns its script.
pub fn node_exporter() -> anyhow::Result<PathBuf> {
    let folder = paths::root().join("dev/bench-peers/node");
    npm_ci(
        "Microsoft's SDKs",
        &folder,
        &folder.join("node_modules/@azure/storage-blob/package.json"),
    )?;
    Ok(folder.join("exporter.mjs"))
}

/// The bot on Microsoft's Bot Framework SDK; returns its script.
pub fn telephony_bot() -> anyhow::Result<PathBuf> {
    let folder = paths::root().join("dev/telephony-bot");
    npm_ci(
        "the Bot Framework SDK",
        &folder,
        &folder.join("node_modules/botbuilder/package.json"),
    )?;
    Ok(folder.join("bot.mjs"))
}

/// What generates and compiles the TypeScript client; returns the folder with its source.
pub fn typescript_client() -> anyhow::Result<PathBuf> {
    let folder = paths::root().join("dev/generated-clients");
    npm_ci(
        "the generator of TypeScript clients",
        &folder,
        &folder.join("node_modules/openapi-typescript/package.json"),
    )?;
    Ok(folder)
}

/// A virtual environment with the generator of Python clients; returns its interpreter.
pub fn python_client() -> anyhow::Result<PathBuf> {
    python_packages(
        "the generator of Python clients",
        &paths::root().join("dev/generated-clients/requirements.txt"),
        &paths::target().join("python-client"),
    )
}

/// Runs a prose linter, textlint with its rules in `dev/prose`, over the documents for people.
///
/// # Errors
/// When it finds something, which it prints, or cannot be installed.
pub fn lint_prose() -> anyhow::Result<()> {
    let root = paths::root();
    let folder = root.join("dev/prose");
    let linter = folder.join("node_modules/textlint/bin/textlint.js");
    npm_ci("the prose linter", &folder, &linter)?;
    let mut lint = Command::new("node");
    lint.arg(linter)
        .arg("--config")
        .arg(folder.join(".textlintrc.json"))
        .args(["--format", "unix"])
        .args(["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs"]);
    run_command(lint.current_dir(root))
}

pub fn is_root() -> bool {
    Command::new("id")
        .arg("-u")
        .output()
        .is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

/// Whether rclone is available: on the PATH, or installed where root has apt.
pub fn rclone() -> bool {
    runs("rclone", &["version"]).is_some() || installed("rclone")
}

/// Chromium with what drives it; returns the browser.
pub fn chromium() -> anyhow::Result<PathBuf> {
    let folder = paths::root().join("dev/browser");
    npm_ci(
        "the browser's driver",
        &folder,
        &folder.join("node_modules/playwright-core/package.json"),
    )?;
    let there = || {
        ["chromium", "chromium-browser", "google-chrome"]
            .into_iter()
            .find(|name| runs(name, &["--version"]).is_some())
    };
    let found = there().or_else(|| {
        eprintln!("Installing Chromium (apt-get install chromium)");
        installed("chromium").then(there).flatten()
    });
    let path = found
        .and_then(|name| runs("which", &[name]))
        .and_then(|path| String::from_utf8(path).ok());
    path.map(|path| PathBuf::from(path.trim())).context(
        "the tests of the operator's page need Chromium, and it cannot be installed here: as root, `apt-get install chromium`",
    )
}

/// What a program prints, if it succeeds.
fn runs(program: &str, arguments: &[&str]) -> Option<Vec<u8>> {
    let output = Command::new(program)
        .args(arguments)
        .stderr(Stdio::null())
        .output()
        .ok()?;
    output.status.success().then_some(output.stdout)
}

/// Installs a Debian package where root has apt; its lists are fetched if they are missing or old.
fn installed(package: &str) -> bool {
    let install = || {
        runs(
            "apt-get",
            &["install", "-y", "--no-install-recommends", package],
        )
        .is_some()
    };
    is_root() && (install() || runs("apt-get", &["update"]).is_some() && install())
}

/// A virtual environment with the official Python SDK; returns its interpreter.
pub fn python_sdk() -> anyhow::Result<PathBuf> {
    let requirements = paths::root().join("tests/python-sdk/requirements.txt");
    python_packages(
        "the Azure SDK for Python",
        &requirements,
        &paths::target().join("python-sdk"),
    )
}

/// A virtual environment with zig, which links for older versions of glibc; returns its interpreter.
pub fn zig() -> anyhow::Result<PathBuf> {
    python_packages(
        "zig",
        &paths::root().join("xtask/zig-requirements.txt"),
        &paths::target().join("tools/zig"),
    )
}

/// Creates a virtual environment, again whenever the requirements change; returns its interpreter.
fn python_packages(what: &str, requirements: &Path, folder: &Path) -> anyhow::Result<PathBuf> {
    let done = folder.join("installed");
    let python = folder.join("bin/python");
    if !is_fresh(&done, requirements) {
        println!("Installing {what} into {}", folder.display());
        run_command(
            Command::new("python3")
                .args(["-m", "venv", "--clear"])
                .arg(folder),
        )
        .with_context(|| format!("{what} needs Python 3 with venv (Debian: python3-venv)"))?;
        let mut pip = Command::new(&python);
        pip.args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--require-hashes",
            "--requirement",
        ])
        .arg(requirements);
        run_command(&mut pip)?;
        fs::write(done, "")?;
    }
    Ok(python)
}

/// Where cargo keeps the sources of dependencies.
#[expect(
    clippy::disallowed_methods,
    reason = "cargo's own variable, and the home it falls back on"
)]
pub fn cargo_home() -> Option<PathBuf> {
    let home = || std::env::var("HOME").map(|home| PathBuf::from(home).join(".cargo"));
    std::env::var("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|_| home())
        .ok()
}

/// cargo-zigbuild, checked by the SHA-256 of its crate: what it links is attested. `--locked` holds the crates it is made of.
pub fn zigbuild(version: &str, sha256: &str) -> anyhow::Result<PathBuf> {
    let path = cargo_tool("cargo-zigbuild", "cargo-zigbuild", version)?;
    let registries = cargo_home()
        .context("cargo has no home")?
        .join("registry/cache");
    let name = format!("cargo-zigbuild-{version}.crate");
    let mut crates = fs::read_dir(&registries)
        .with_context(|| format!("could not read {}", registries.display()))?
        .flatten()
        .map(|registry| registry.path().join(&name))
        .filter(|file| file.is_file())
        .peekable();
    ensure!(crates.peek().is_some(), "{name} is not in cargo's cache");
    for file in crates {
        let found = hex::encode(sha2::Sha256::digest(fs::read(&file)?));
        ensure!(
            found == sha256,
            "{} has SHA-256 {found}, and {sha256} is expected",
            file.display()
        );
    }
    Ok(path)
}

/// A cargo subcommand's binary, installed on first use.
pub fn cargo_tool(package: &str, binary: &str, version: &str) -> anyhow::Result<PathBuf> {
    let folder = paths::target().join("tools");
    let path = folder.join("bin").join(binary);
    if !path.is_file() {
        println!("Installing {package} {version} (once, a few minutes)");
        run_command(
            cargo()
                .args([
                    "install",
                    "--locked",
                    "--version",
                    version,
                    package,
                    "--root",
                ])
                .arg(&folder),
        )?;
    }
    Ok(path)
}

fn is_fresh(made: &Path, from: &Path) -> bool {
    let time = |path: &Path| {
        fs::metadata(path)
            .and_then(|metadata| metadata.modified())
            .ok()
    };
    time(made)
        .zip(time(from))
        .is_some_and(|(made, from)| made >= from)
}

/// npm keeps the packages' own times, which are older than the lock file.
fn touch(path: &Path) -> anyhow::Result<()> {
    fs::File::options()
        .append(true)
        .open(path)?
        .set_modified(std::time::SystemTime::now())?;
    Ok(())
}
