//! The built binary as an operator runs it.

use std::collections::BTreeMap;
use std::process::{Command, Output};

use serde_json::Value;

/// Runs a verb to its end, with these settings and none of the machine's own.
pub async fn run(settings: &BTreeMap<String, String>, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_recording-vault"));
    command.args(arguments).env_clear().envs(settings);
    // What it asks is answered by tasks of this test: they must not be kept from running.
    let running = tokio::task::spawn_blocking(move || command.output().expect("the binary runs"));
    running.await.expect("nothing panics there")
}

pub fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub fn report(output: &Output) -> Value {
    let text = text(output);
    serde_json::from_str(&text)
        .unwrap_or_else(|_| panic!("{text}\n{}", String::from_utf8_lossy(&output.stderr)))
}
