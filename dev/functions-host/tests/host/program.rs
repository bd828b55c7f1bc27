//! The program itself: connected to the simulator, and stopped as a service manager stops it.

use std::process::Stdio;

use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::net::TcpListener;
use tokio::process::{Child, ChildStdout, Command};
use tokio::sync::mpsc;

use crate::world::{PATIENCE, write_root};

const SCRIPT: &str = r#"echo "handler $$ admits $ACS_CONTENT_HOSTS"; exec python3 handler.py"#;

/// A simulator that only takes subscriptions; gives its address, and the subscriptions as they come.
async fn simulator() -> (String, mpsc::Receiver<Value>) {
    let (taken, subscriptions) = mpsc::channel(4);
    let take = async move |Json(subscription): Json<Value>| {
        taken.send(subscription).await.expect("the test listens");
        Json(json!({}))
    };
    let router = Router::new().route("/admin/event-subscriptions", post(take));
    let listener = TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    tokio::spawn(async move { axum::serve(listener, router).await });
    (format!("http://{address}"), subscriptions)
}

fn start(root: &std::path::Path, acs: &str) -> (Child, Lines<BufReader<ChildStdout>>) {
    let mut program = Command::new(env!("CARGO_BIN_EXE_functions-host"))
        .args(["--port", "0", "--acs", acs, "--script-root"])
        .arg(root)
        .env("FUNCTIONS_WORKER_RUNTIME", "custom")
        .env("AzureWebJobsStorage", "x")
        .env("SCHEDULE", "0 0 0 29 2 *")
        .env("ACS_CONTENT_HOSTS", "files.example")
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("the program runs");
    let stdout = program.stdout.take().expect("it is piped");
    (program, BufReader::new(stdout).lines())
}

async fn line_with(lines: &mut Lines<BufReader<ChildStdout>>, part: &str) -> String {
    let looking = async {
        loop {
            let line = lines.next_line().await.expect("it is text");
            let line = line.unwrap_or_else(|| panic!("the program ended without `{part}`"));
            if line.contains(part) {
                return line;
            }
        }
    };
    tokio::time::timeout(PATIENCE, looking)
        .await
        .unwrap_or_else(|_| panic!("no line has `{part}`"))
}

#[tokio::test]
async fn the_program_connects_to_the_simulator_and_leaves_no_handler_behind() {
    let root = tempfile::tempdir().expect("there is room for temporary files");
    write_root(root.path(), SCRIPT, "00:00:30");
    let (acs, mut subscriptions) = simulator().await;
    let (mut program, mut lines) = start(root.path(), &acs);
    let admits = line_with(&mut lines, "admits").await;
    assert!(
        admits.ends_with(&format!("admits files.example,{acs}")),
        "{admits}"
    );
    let subscription = tokio::time::timeout(PATIENCE, subscriptions.recv()).await;
    let subscription = subscription.expect("it subscribes").expect("it subscribes");
    let url = subscription["url"].as_str().expect("it has a URL");
    assert!(
        url.ends_with("/runtime/webhooks/eventgrid?functionName=OnEvent"),
        "{url}"
    );
    line_with(&mut lines, "OnEvent is subscribed to the events of").await;

    let process_id = program.id().expect("it runs").to_string();
    // The shell's own `kill`: a small system has no other.
    let status = Command::new("sh")
        .args(["-c", &format!("kill -TERM {process_id}")])
        .status()
        .await;
    assert!(status.expect("kill runs").success());
    let ended = tokio::time::timeout(PATIENCE, program.wait()).await;
    assert!(ended.expect("it ends").expect("it ends").success());
    let handler = admits
        .split_whitespace()
        .skip_while(|word| *word != "handler")
        .nth(1);
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", handler.expect("it is named")));
    assert!(
        stat.map_or(true, |stat| stat.contains(") Z ")),
        "the handler runs on"
    );
}
