//! README's ten minutes on this machine, as written, but for the ports.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::Receiver;
use std::time::Duration;

use serde_json::{Value, json};

use crate::documents::read;
use crate::readme_commands::staged;
use crate::support::eventually;
use crate::support::world::{World, files_by_path};

/// The part of README that is tried here.
fn section() -> String {
    let readme = read("README.md");
    let (_, after) = readme
        .split_once("## Record a call of your own")
        .expect("README has the section");
    let (section, _) = after.split_once("\n## ").expect("another section follows");
    section.to_owned()
}

/// Runs a line of the section at a shell, with this host and recording; gives its answer.
fn run(line: &str, world: &World, recording_id: &str) -> Value {
    answer(line, &world.host.url(), recording_id)
}

fn answer(line: &str, host: &str, recording_id: &str) -> Value {
    let command = line
        .trim()
        .replace("http://127.0.0.1:7071", host)
        .replace("<recordingId>", recording_id);
    let output = Command::new("sh").args(["-c", &command]).output();
    let output = output.expect("there is a shell");
    assert!(output.status.success(), "{command}: {output:?}");
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{command}: {error}: {output:?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_of_the_first_ten_minutes_end_with_a_wav() {
    let section = section();
    let world = World::new().await;
    let curls: Vec<&str> = section
        .lines()
        .filter(|line| line.trim_start().starts_with("curl "))
        .collect();
    let [start, list, stop] = curls[..] else {
        panic!("three requests are expected: {curls:?}");
    };
    let call = start
        .split("\"serverCallId\":\"")
        .nth(1)
        .and_then(|rest| rest.split('"').next());
    let call = json!({"serverCallId": call.expect("the start names a call")});
    world.admin("POST", "calls", call).await;
    let url = world.host.event_grid_url("RecordingFileStatusUpdated");
    world
        .admin("POST", "event-subscriptions", json!({"url": url}))
        .await;

    let started = run(start, &world, "");
    let id = started["recordingId"]
        .as_str()
        .expect("a start gives an id");
    let listed = run(list, &world, "");
    assert_eq!(listed["recordings"][0]["recordingId"], id, "{listed}");
    let stopped = run(stop, &world, id);
    assert_eq!(stopped["recordingState"], "stopped", "{stopped}");
    let wav = eventually("the copy is in the vault", async || {
        let mut files = world.vault_files().into_iter();
        files.find(|(name, _)| name.ends_with(".wav"))
    })
    .await;
    assert!(wav.1.starts_with(b"RIFF"), "{}", wav.0);
    let find = section.lines().find(|line| line.contains("find /tmp/"));
    let find = find.expect("the section looks for the file");
    let vault = world.vault.to_str().expect("it is text");
    let find = find.replace("/tmp/recording-vault", vault);
    let output = Command::new("sh").args(["-c", find.trim()]).output();
    let found = String::from_utf8(output.expect("there is a shell").stdout);
    let found = found.expect("it is text");
    let found: Vec<&str> = found.lines().collect();
    assert!(
        matches!(found[..], [one] if one.ends_with(&wav.0)),
        "{find}: {found:?}"
    );
}

/// How each command of README is covered, by the words with which it begins.
const COMMANDS: [(&str, Coverage); 24] = [
    ("cargo xtask demo", Coverage::Here),
    ("cargo xtask test", Coverage::Here),
    ("cp local.settings.sample.json ", Coverage::Here),
    ("cargo xtask stage", Coverage::Here),
    ("cargo run -p acs-simulator ", Coverage::Here),
    ("cargo run -p functions-host ", Coverage::Here),
    (
        "curl -s -X POST http://127.0.0.1:7071/api/recordings -d ",
        Coverage::Here,
    ),
    (
        "curl -s \"http://127.0.0.1:7071/api/recordings?state=active\"",
        Coverage::Here,
    ),
    (
        "curl -s -X POST http://127.0.0.1:7071/api/recordings/<recordingId>/stop",
        Coverage::Here,
    ),
    ("find /tmp/recording-vault/2* ", Coverage::Here),
    ("az login && azd auth login", Coverage::Azure),
    ("azd config set ", Coverage::Azure),
    ("azd env new ", Coverage::Azure),
    ("azd env set ", Coverage::Azure),
    ("azd up", Coverage::Azure),
    ("cargo install --path .", Coverage::Azure),
    ("az functionapp config appsettings list ", Coverage::Azure),
    ("recording-vault doctor", Coverage::Verb),
    ("recording-vault report", Coverage::Verb),
    ("recording-vault status", Coverage::Verb),
    ("recording-vault find", Coverage::Verb),
    ("recording-vault verify", Coverage::Verb),
    ("recording-vault hold add", Coverage::Verb),
    ("recording-vault gdpr find", Coverage::Verb),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Coverage {
    /// A test of this file or of `readme_commands` runs it as written. `cargo xtask test` is what runs the tests.
    Here,
    /// It needs a subscription: `readme_commands` runs it with stand-ins for `az` and `azd`.
    Azure,
    /// `readme_commands` runs it as written; the binary knows the verb.
    Verb,
}

/// Lines of README that people type: indented, and no request of the API, diagram or name of a file.
fn commands() -> Vec<String> {
    let readme = read("README.md");
    let programs = [
        "cargo",
        "cp",
        "curl",
        "find",
        "az",
        "azd",
        "func",
        "npx",
        "recording-vault",
    ];
    let lines = readme.lines().filter_map(|line| line.strip_prefix("    "));
    let typed = lines.filter(|line| {
        let program = line.split_whitespace().next().unwrap_or_default();
        // Diagrams are indented further; requests begin with their method, files with a digit.
        let is_other = !line.starts_with(|first: char| first.is_ascii_lowercase());
        assert!(
            is_other || programs.contains(&program),
            "`{line}` begins with a program that has no coverage"
        );
        !is_other
    });
    typed.map(str::to_owned).collect()
}

#[test]
fn each_command_of_readme_has_a_row_and_each_row_a_command() {
    let commands = commands();
    for line in &commands {
        let covered = COMMANDS.iter().any(|(words, _)| line.starts_with(words));
        assert!(covered, "`{line}` of README has no row in COMMANDS");
    }
    for (words, coverage) in COMMANDS {
        let line = commands.iter().find(|line| line.starts_with(words));
        assert!(line.is_some(), "README has no `{words}`");
        let arguments: Vec<&str> = words.split_whitespace().skip(1).collect();
        match coverage {
            Coverage::Here | Coverage::Azure => {}
            Coverage::Verb => {
                let binary = env!("CARGO_BIN_EXE_recording-vault");
                let help = Command::new(binary).args(arguments).arg("--help").output();
                assert!(help.expect("the binary runs").status.success(), "{words}");
            }
        }
    }
}

#[test]
fn the_sample_of_the_settings_is_copied_as_written() {
    let section = section();
    let line = section.lines().find(|line| line.trim().starts_with("cp "));
    let line = line.expect("the section copies the sample").trim();
    let folder = tempfile::tempdir().expect("there is room");
    let sample = read("local.settings.sample.json");
    let write = std::fs::write(folder.path().join("local.settings.sample.json"), &sample);
    write.expect("the folder is ours");
    let mut shell = Command::new("sh");
    let output = shell.args(["-c", line]).current_dir(folder.path()).output();
    assert!(output.expect("there is a shell").status.success(), "{line}");
    let copy = std::fs::read_to_string(folder.path().join("local.settings.json"));
    assert_eq!(copy.expect("it is there"), sample);
}

#[test]
fn the_settings_of_the_stand_ins_are_those_of_the_simulator() {
    let section = section();
    let acs = "http://127.0.0.1:8081";
    for (name, value) in [
        ("ACS_ENDPOINT", acs),
        ("ACS_ACCESS_KEY", acs_simulator::Options::ACCESS_KEY),
        ("ACS_CONTENT_HOSTS", acs),
    ] {
        let setting = format!("`\"{name}\": \"{value}\"`");
        assert!(section.contains(&setting), "README lacks {setting}");
    }
    let sample: Value =
        serde_json::from_str(&read("local.settings.sample.json")).expect("the sample is JSON");
    assert_eq!(sample["Values"]["VAULT_URL"], "file:///tmp/recording-vault");
}

/// A stand-in that runs as README starts it; it ends with this value.
struct Started {
    process: Child,
    lines: Receiver<String>,
}

impl Started {
    /// Runs a `cargo run -p <package> -- …` line by the binary that cargo has built, with more arguments.
    fn of(line: &str, replaced: &[(&str, &str)], more: &[&str]) -> Self {
        let line = line.split(" #").next().expect("a line has a beginning");
        let mut words = line.split_whitespace();
        let run: Vec<&str> = words.by_ref().take(3).collect();
        assert_eq!(run, ["cargo", "run", "-p"], "{line}");
        let package = words.next().expect("a package is named");
        assert_eq!(words.next(), Some("--"), "{line}");
        let binary = Path::new(env!("CARGO_BIN_EXE_recording-vault")).with_file_name(package);
        assert!(
            binary.is_file(),
            "`{package}` is not built: run the tests by `cargo xtask test`"
        );
        let arguments = words.map(|word| {
            let found = replaced.iter().find(|(from, _)| *from == word);
            found.map_or(word, |(_, to)| to)
        });
        let mut process = Command::new(binary)
            .args(arguments)
            .args(more)
            .stdout(Stdio::piped())
            .spawn()
            .expect("it runs");
        let output = process.stdout.take().expect("it has an output");
        let (sender, lines) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        Self { process, lines }
    }

    /// The URL on this machine that it prints first.
    fn url(&self) -> String {
        loop {
            let line = self.lines.recv_timeout(Duration::from_mins(2));
            let line = line.expect("it prints where it listens");
            let url = line
                .split_whitespace()
                .find(|word| word.starts_with("http://127.0.0.1:"));
            if let Some(url) = url {
                let url: url::Url = url.parse().expect("it is a URL");
                return url.origin().ascii_serialization();
            }
        }
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_as_written_stage_start_the_stand_ins_and_record_a_call() {
    let section = section();
    let line = |what: &str| {
        let found = section.lines().find(|line| line.contains(what));
        found
            .unwrap_or_else(|| panic!("README has no {what}"))
            .trim()
            .to_owned()
    };
    let folder = tempfile::tempdir().expect("there is room");
    let acs = Started::of(&line("-p acs-simulator"), &[], &["--http", "127.0.0.1:0"]);
    let acs_url = acs.url();
    let vault = folder.path().join("vault");
    let vault_url = format!("file://{}", vault.display());
    let settings = [
        ("ACS_ENDPOINT", &*acs_url),
        ("ACS_ACCESS_KEY", acs_simulator::Options::ACCESS_KEY),
        ("ACS_CONTENT_HOSTS", &*acs_url),
        ("VAULT_URL", &*vault_url),
    ];
    let root = staged(folder.path(), &settings);
    let root = root.to_str().expect("it is text");
    let replaced = [("dist", root), ("http://127.0.0.1:8081", &acs_url)];
    let host = Started::of(&line("-p functions-host"), &replaced, &["--port", "0"]);
    let host_url = host.url();
    let start = line("curl -s -X POST http://127.0.0.1:7071/api/recordings -d");
    let stop = line("/stop");
    let started = answer(&start, &host_url, "");
    let id = started["recordingId"].as_str().expect("it is started");
    answer(&stop, &host_url, id);
    let wav = eventually("the copy is in the vault", async || {
        let files = files_by_path(&vault).into_iter();
        let mut media = files.filter(|(name, _)| name.ends_with(".wav"));
        media.next()
    })
    .await;
    assert!(wav.1.starts_with(b"RIFF"), "{}", wav.0);
}
