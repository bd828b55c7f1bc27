//! README's ten minutes on this machine, as written, but for the ports.

use std::process::Command;

use serde_json::{Value, json};

use crate::documents::read;
use crate::support::eventually;
use crate::support::world::World;

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
    let command = line
        .trim()
        .replace("http://127.0.0.1:7071", &world.host.url())
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
