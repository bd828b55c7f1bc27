//! Commands of README and the guides that build something or need Azure, as written: at a shell whose `cargo`, `az` and `azd`
//! are stand-ins. The `cargo` runs what cargo has built; the others know the commands and options of the real ones.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use functions_host::Keys;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::documents::read;
use crate::support::PATIENCE;
use crate::support::world::{BINARY, World, document_ids, files};

const EACH_MINUTE: [&str; 2] = ["EXPORT_SWEEP_SCHEDULE", "0 * * * * *"];
const CARGO: &str = r#"#!/bin/sh
set -e
case "$1" in
xtask)
    shift
    export CARGO="$0" CARGO_MANIFEST_DIR="$CLONE/xtask"
    exec "$BUILT/xtask" "$@" ;;
build)
    profile=debug
    for word in "$@"; do if [ "$word" = --release ]; then profile=release; fi; done
    mkdir -p "$CARGO_TARGET_DIR/$profile"
    cp "$BUILT/recording-vault" "$CARGO_TARGET_DIR/$profile/" ;;
*)
    echo "error: no such command: $1" >&2
    exit 101 ;;
esac
"#;
const AZ: &str = r#"#!/bin/sh
echo "az $*" >> "$STAND_INS/log"
wrong() { echo "ERROR: $1" >&2; exit 2; }
case "$*" in
login) exit 0 ;;
"ad signed-in-user show --query id --output tsv")
    echo 00000000-0000-0000-0000-000000000003
    exit 0 ;;
"functionapp config appsettings list "*) ;;
"functionapp keys list --name contoso-vault --resource-group contoso-rg --query masterKey --output tsv")
    echo master-key
    exit 0 ;;
*) wrong "'$*' is misspelled or not recognized by the system." ;;
esac
shift 4
while [ $# -gt 0 ]; do
    case "$1" in
    --name|-n|--resource-group|-g) [ $# -gt 1 ] || wrong "argument $1: expected one argument"; shift 2 ;;
    *) wrong "unrecognized arguments: $1" ;;
    esac
done
cat "$STAND_INS/appsettings.json"
"#;
const AZD: &str = r#"#!/bin/sh
echo "azd $*" >> "$STAND_INS/log"
case "$1 $2" in
"auth login") [ $# -eq 2 ] ;;
"config set") [ $# -eq 4 ] ;;
"env new") [ $# -eq 3 ] ;;
"env set") [ $# -eq 4 ] ;;
"up ") [ $# -eq 1 ] ;;
*) echo "ERROR: unknown command \"$*\" for \"azd\"" >&2; exit 1 ;;
esac
"#;

/// A shell with the stand-ins.
struct Shell {
    folder: TempDir,
}

impl Shell {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("there is room for temporary files");
        for (name, script) in [("cargo", CARGO), ("az", AZ), ("azd", AZD)] {
            let path = folder.path().join(name);
            fs::write(&path, script).expect("the folder is ours");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755))
                .expect("the folder is ours");
        }
        Self { folder }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn command(&self, line: &str, folder: &Path) -> Command {
        let built = Path::new(BINARY).parent().expect("a binary has a folder");
        let path = std::env::var_os("PATH").unwrap_or_default();
        let first = [self.path().to_owned(), built.to_owned()];
        let path = first.into_iter().chain(std::env::split_paths(&path));
        let mut command = Command::new("sh");
        command
            .args(["-c", line])
            .current_dir(folder)
            .env(
                "PATH",
                std::env::join_paths(path).expect("folders have names"),
            )
            .env("BUILT", built)
            .env("CLONE", folder)
            .env("STAND_INS", self.path())
            .env("CARGO_TARGET_DIR", folder.join("target"));
        command
    }

    fn run(&self, line: &str, folder: &Path) -> Output {
        let output = self.command(line, folder).output();
        let output = output.expect("there is a shell");
        assert!(output.status.success(), "{line}: {output:?}");
        output
    }

    /// What was asked of Azure's programs.
    fn log(&self) -> Vec<String> {
        let log = fs::read_to_string(self.path().join("log")).expect("something was asked");
        log.lines().map(str::to_owned).collect()
    }
}

/// The parts of a clone that its tasks read.
fn clone_into(folder: &Path) {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    for name in ["host.json", "local.settings.sample.json"] {
        fs::copy(repository.join(name), folder.join(name)).expect("it is there");
    }
    for function in fs::read_dir(repository.join("functions")).expect("it is there") {
        let function = function.expect("it is there");
        let into = folder.join("functions").join(function.file_name());
        fs::create_dir_all(&into).expect("the folder is ours");
        let from = function.path().join("function.json");
        fs::copy(from, into.join("function.json")).expect("it is there");
    }
}

/// The line of README that begins so, without its comment.
fn line(beginning: &str) -> String {
    line_of("README.md", beginning)
}

fn line_of(document: &str, beginning: &str) -> String {
    let document = read(document);
    let mut lines = document
        .lines()
        .filter_map(|line| line.strip_prefix("    "));
    let line = lines
        .find(|line| line.starts_with(beginning))
        .unwrap_or_else(|| panic!("there is no `{beginning}`"));
    let command = line.split(" #").next().unwrap_or(line);
    command.trim().to_owned()
}

fn assert_xtask_is_built() {
    let xtask = Path::new(BINARY).with_file_name("xtask");
    assert!(
        xtask.is_file(),
        "xtask is not built: run the tests by `cargo xtask test`"
    );
    assert!(read(".cargo/config.toml").contains("xtask = \"run --package xtask --\""));
}

/// Copies the sample, changes settings of it, and stages; gives `dist/`.
pub fn staged(clone: &Path, settings: &[(&str, &str)]) -> PathBuf {
    assert_xtask_is_built();
    let shell = Shell::new();
    clone_into(clone);
    shell.run(&line("cp local.settings"), clone);
    let path = clone.join("local.settings.json");
    let sample = fs::read_to_string(&path).expect("it is copied");
    let mut file: Value = serde_json::from_str(&sample).expect("the sample is JSON");
    for (name, value) in settings {
        file["Values"][name] = (*value).into();
    }
    fs::write(&path, file.to_string()).expect("it is ours");
    let output = shell.run(&line("cargo xtask stage"), clone);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let func = line_of("docs/OPERATIONS.md", "func start");
    assert!(said.contains(&func), "{func} is not in {said}");
    clone.join("dist")
}

#[test]
fn settings_that_func_cannot_read_stage_nothing() {
    assert_xtask_is_built();
    let (shell, clone) = (Shell::new(), tempfile::tempdir().expect("there is room"));
    clone_into(clone.path());
    let settings = r#"{"IsEncrypted": false, "Values": {"EXPORT_ATTEMPTS": 100}}"#;
    fs::write(clone.path().join("local.settings.json"), settings).expect("it is ours");
    let stage = line("cargo xtask stage");
    let output = shell.command(&stage, clone.path()).output();
    let output = output.expect("there is a shell");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("`EXPORT_ATTEMPTS`") && said.contains("in quotes"),
        "{said}"
    );
    assert!(!clone.path().join("dist").exists());
}

#[test]
fn the_demo_exports_and_deletes_what_it_records() {
    assert_xtask_is_built();
    let (shell, clone) = (Shell::new(), tempfile::tempdir().expect("there is room"));
    clone_into(clone.path());
    let output = shell.run(&line("cargo xtask demo"), clone.path());
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        said.contains("4 of 4 chunks are in the vault byte for byte"),
        "{said}"
    );
    let vault = files(&clone.path().join("target/demo/vault"));
    let receipts = vault.keys().filter(|name| name.contains("-receipt."));
    assert_eq!(receipts.count(), 4, "{:?}", vault.keys());
}

#[test]
fn the_tests_are_run_by_the_line_that_readme_has() {
    let run = read(".ci/run");
    let last = run.trim_end().lines().last().unwrap_or_default();
    assert_eq!(last, format!("exec {}", line("cargo xtask test")));
}

#[test]
fn the_commands_of_a_deployment_give_the_template_what_it_needs() {
    let (shell, folder) = (Shell::new(), tempfile::tempdir().expect("there is room"));
    let readme = read("README.md");
    let lines = readme.lines().filter_map(|line| line.strip_prefix("    "));
    let is_check = |line: &str| line.starts_with("az functionapp ");
    let of_azure =
        |line: &&str| (line.starts_with("az ") || line.starts_with("azd ")) && !is_check(line);
    for line in lines.filter(of_azure) {
        let line = line
            .replace("<resource>", "contoso-acs")
            .replace("<its resource group>", "contoso-rg");
        shell.run(&line, folder.path());
    }
    let log = shell.log();
    assert_eq!(log.last().map(String::as_str), Some("azd up"), "{log:?}");
    assert!(log.contains(&"az login".to_owned()) && log.contains(&"azd auth login".to_owned()));
    assert!(log.contains(&"azd config set alpha.language.custom on".to_owned()));
    assert!(read("azure.yaml").contains("language: custom"));
    let set: BTreeSet<&str> = log
        .iter()
        .filter_map(|line| line.strip_prefix("azd env set "))
        .filter_map(|line| line.split(' ').next())
        .collect();
    let parameters = read("infra/main.parameters.json");
    let named: Vec<&str> = parameters
        .split("${")
        .skip(1)
        .filter_map(|rest| rest.split('}').next())
        .collect();
    // azd itself sets the name, and asks for the location.
    let by_azd = ["AZURE_ENV_NAME", "AZURE_LOCATION"];
    for name in named.iter().filter(|name| !name.contains('=')) {
        assert!(
            set.contains(name) || by_azd.contains(name),
            "{name} is not set by README"
        );
    }
    for name in set {
        let is_used = named
            .iter()
            .any(|named| named.split('=').next() == Some(name));
        assert!(is_used, "the template does not use {name}");
    }
}

/// Settings whose timer fires as the template sets it. Not in the form of Azure's list: the vault of an app in Azure is no
/// directory.
fn listed(world: &World) -> String {
    let mut settings = world.settings().clone();
    settings.extend([EACH_MINUTE.map(str::to_owned).into()]);
    json!(settings).to_string()
}

#[tokio::test]
async fn the_settings_of_an_app_in_azure_are_piped_into_a_verb_as_written() {
    let world = World::new().await;
    let shell = Shell::new();
    let listed = listed(&world);
    fs::write(shell.path().join("appsettings.json"), listed).expect("the folder is ours");
    let line = line_of("docs/SETTINGS.md", "az functionapp config appsettings list")
        .replace("<app>", "contoso-vault")
        .replace("<group>", "contoso-rg");
    let mut command = shell.command(&line, shell.path());
    let running = tokio::task::spawn_blocking(move || command.output());
    let output = running.await.expect("nothing panics there");
    let output = output.expect("there is a shell");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{output:?}");
    assert!(said.contains("read from standard input"), "{said}");
    let asked =
        "az functionapp config appsettings list --name contoso-vault --resource-group contoso-rg";
    assert_eq!(shell.log(), [asked]);
}

#[tokio::test]
async fn the_first_check_after_a_deployment_passes_as_written() {
    let world = World::new().await;
    let call = json!({"chunks": [{"durationMs": 1000}]});
    let event = world.recording(json!({ "call": call })).await;
    world.event(&event).await;
    world.sweep().await;
    let keys = Keys {
        master: Some("master-key".to_owned()),
        ..Keys::default()
    };
    let host = world.host_with(|options| options.keys = keys).await;
    let shell = Shell::new();
    let listed = listed(&world);
    fs::write(shell.path().join("appsettings.json"), listed).expect("the folder is ours");
    let key = line("KEY=$(az functionapp keys list");
    let check = line("az functionapp config appsettings list");
    let script = format!("{key}\n{check}")
        .replace("https://<app>.azurewebsites.net", &host.url())
        .replace("<app>", "contoso-vault")
        .replace("<group>", "contoso-rg");
    let mut command = shell.command(&script, shell.path());
    let running = tokio::task::spawn_blocking(move || command.output());
    let output = running.await.expect("nothing panics there");
    let output = output.expect("there is a shell");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{output:?}");
    assert!(said.contains("Every check passed."), "{said}");
}

#[tokio::test]
async fn the_verbs_of_readme_run_as_written() {
    let world = World::new().await;
    let call = json!({"participants": ["8:acs:anna"], "chunks": [{"durationMs": 1000}]});
    let event = world.recording(json!({"call": call})).await;
    world.event(&event).await;
    world.sweep().await;
    let shell = Shell::new();
    let placeholders = BTreeMap::from([
        ("https://<app>.azurewebsites.net", world.host.url()),
        ("<what>", document_ids(&event)[0].clone()),
        ("<case>", "A-2026-17".to_owned()),
        ("<callId>", "a-call".to_owned()),
        ("<person>", "8:acs:anna".to_owned()),
    ]);
    let readme = read("README.md");
    let lines = readme.lines().filter_map(|line| line.strip_prefix("    "));
    let verbs: Vec<&str> = lines
        .filter(|line| line.starts_with("recording-vault "))
        .collect();
    assert!(verbs.len() >= 7, "{verbs:?}");
    for verb in verbs {
        let line = verb.split(" #").next().expect("a line has a beginning");
        let replaced = placeholders
            .iter()
            .fold(line.to_owned(), |line, (name, value)| {
                line.replace(name, value)
            });
        assert!(
            !replaced.contains('<'),
            "{replaced} has an unknown placeholder"
        );
        let mut command = shell.command(&replaced, shell.path());
        let [name, value] = EACH_MINUTE;
        command.envs(world.settings()).env(name, value);
        let running = tokio::task::spawn_blocking(move || command.output());
        let output = running.await.expect("nothing panics there");
        let output = output.expect("there is a shell");
        // Today is not over, so whether anything of it is missing is not known.
        let expected = if line.trim() == "recording-vault report" {
            2
        } else {
            0
        };
        let code = output.status.code();
        assert_eq!(code, Some(expected), "{replaced}: {output:?}");
    }
}

/// A process that ends with its children.
struct Group(Child);

impl Drop for Group {
    fn drop(&mut self) {
        let group = format!("-{}", self.0.id());
        let _ = Command::new("kill").args(["--", &group]).status();
        let _ = self.0.wait();
    }
}

#[test]
fn azurite_starts_by_the_command_of_the_guide() {
    let installed = Path::new(env!("CARGO_MANIFEST_DIR")).join("dev/azurite");
    assert!(
        installed.join("node_modules/.bin/azurite").exists(),
        "Azurite is not installed: run the tests by `cargo xtask test`"
    );
    let folder = tempfile::tempdir().expect("there is room");
    let place = folder.path().to_str().expect("it is text");
    let line = line_of("docs/OPERATIONS.md", "npx azurite").replace("/tmp/azurite", place);
    let line = format!("{line} --blobPort 0 --queuePort 0 --tablePort 0");
    let mut command = Command::new("sh");
    let command = command.args(["-c", &format!("exec {line}")]);
    let process = command
        .current_dir(installed)
        .process_group(0)
        .stdout(Stdio::piped())
        .spawn();
    let mut azurite = Group(process.expect("there is a shell"));
    let output = azurite.0.stdout.take().expect("it has an output");
    let (sender, printed) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            let _ = sender.send(line);
        }
    });
    let mut services = 0;
    while services < 3 {
        let said = printed.recv_timeout(PATIENCE);
        let said = said.unwrap_or_else(|error| panic!("{line}: {services} services: {error}"));
        services += usize::from(said.contains("successfully listening at"));
    }
}
