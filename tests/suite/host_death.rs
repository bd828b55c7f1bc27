//! The handler without its host: it ends, and gives back what it had claimed. And at a terminal: whose Ctrl-C is whose.

use std::process::Stdio;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::support::eventually;
use crate::support::world::{BINARY, World, document_ids};

/// A shell that stands for the host: it starts the handler, prints the handler's number, and waits for it.
const HOST: &str = r#""$BINARY" serve & echo "$!"; wait"#;

struct Handler {
    host: Child,
    /// Kept open: a handler whose output is closed is tried elsewhere.
    _lines: Lines<BufReader<ChildStdout>>,
    process_id: u32,
    url: String,
    ledger: TempDir,
}

impl Handler {
    async fn start(world: &World, settings: &[(&str, &str)]) -> Self {
        let ledger = tempfile::tempdir().expect("there is room for temporary files");
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .expect("a port is free")
            .port();
        let mut host = Command::new("sh")
            .args(["-c", HOST])
            .env_clear()
            .envs(world.settings())
            .env("BINARY", BINARY)
            .env("PATH", "/usr/bin:/bin")
            .env("FUNCTIONS_CUSTOMHANDLER_PORT", port.to_string())
            .env("FUNCTIONS_CUSTOMHANDLER_WORKER_ID", "a-worker")
            .env("LEDGER_URL", format!("file://{}", ledger.path().display()))
            .envs(settings.iter().copied())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("there is a shell");
        let stdout = host.stdout.take().expect("it is piped");
        let mut lines = BufReader::new(stdout).lines();
        let first = lines.next_line().await.expect("it is text");
        let process_id = first.and_then(|line| line.parse().ok());
        let handler = Self {
            host,
            _lines: lines,
            process_id: process_id.expect("the shell prints the number first"),
            url: format!("http://127.0.0.1:{port}"),
            ledger,
        };
        eventually("the handler answers", async || {
            world.client.get(&handler.url).send().await.ok()
        })
        .await;
        handler
    }

    fn is_running(&self) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.process_id));
        // A zombie has ended; in a container nobody may ask how.
        stat.is_ok_and(|stat| !stat.contains(") Z "))
    }

    async fn until_it_ends(&self) {
        eventually("the handler ends", async || {
            (!self.is_running()).then_some(())
        })
        .await;
    }

    /// Sends the signal, unless the handler has ended already.
    fn signal(&self, name: &str) {
        // The shell's own `kill`: a small system has no other.
        let status = std::process::Command::new("sh")
            .args(["-c", &format!("kill -{name} {}", self.process_id)])
            .status();
        let is_sent = status.expect("kill runs").success();
        assert!(is_sent || !self.is_running(), "{name} was not sent");
    }

    fn entry(&self, document_id: &str) -> Option<Value> {
        let path = self
            .ledger
            .path()
            .join(format!("chunks/{document_id}.json"));
        serde_json::from_slice(&std::fs::read(path).ok()?).ok()
    }
}

impl Drop for Handler {
    fn drop(&mut self) {
        self.signal("KILL");
    }
}

#[tokio::test]
async fn a_handler_ends_when_its_host_is_killed() {
    let world = World::new().await;
    let mut handler = Handler::start(&world, &[]).await;
    assert!(handler.is_running());
    handler.host.kill().await.expect("it runs");
    handler.until_it_ends().await;
}

#[tokio::test]
async fn a_handler_that_nobody_started_as_a_worker_stays() {
    let world = World::new().await;
    let settings = [("FUNCTIONS_CUSTOMHANDLER_WORKER_ID", "")];
    let mut handler = Handler::start(&world, &settings).await;
    handler.host.kill().await.expect("it runs");
    let mut looks = tokio::time::interval(std::time::Duration::from_secs(1));
    for _ in 0..4 {
        looks.tick().await;
        let answer = world.client.get(&handler.url).send().await;
        answer.expect("the handler serves on");
    }
}

#[tokio::test]
async fn a_handler_without_a_host_gives_its_claims_back() {
    let world = World::new().await;
    let faults = json!([{"plane": "media", "kind": "slow", "piecesPerSecond": 1}]);
    world.admin("PUT", "faults", faults).await;
    let event = world
        .recording(json!({"call": {"chunks": [{"durationMs": 600_000}]}}))
        .await;
    let mut handler = Handler::start(&world, &[]).await;
    let id = document_ids(&event).remove(0);
    let envelope = json!({"Data": {"event": event}, "Metadata": {}}).to_string();
    let delivery = world
        .client
        .post(format!("{}/RecordingFileStatusUpdated", handler.url))
        .header("content-type", "application/json")
        .body(envelope);
    let delivering = tokio::spawn(delivery.send());
    eventually("the chunk is claimed", async || {
        handler
            .entry(&id)
            .filter(|entry| entry["claim"].is_object())
    })
    .await;
    handler.host.kill().await.expect("it runs");
    // The caller is gone as well.
    delivering.abort();
    handler.until_it_ends().await;
    let entry = handler.entry(&id).expect("the entry is there");
    assert_eq!(
        (&entry["claim"], &entry["state"]["name"]),
        (&Value::Null, &json!("pending")),
        "{entry}"
    );
}

#[tokio::test]
async fn at_a_terminal_the_first_ctrl_c_is_the_hosts_and_the_second_ends_the_handler() {
    let world = World::new().await;
    let settings = [("FUNCTIONS_CORETOOLS_ENVIRONMENT", "true")];
    let handler = Handler::start(&world, &settings).await;
    handler.signal("INT");
    let answer = world.client.get(&handler.url).send().await;
    assert_eq!(answer.expect("it serves on").status(), 200);
    // A signal that arrives before the handler has taken the first one counts as the first.
    eventually("a later one ends the handler", async || {
        handler.signal("INT");
        (!handler.is_running()).then_some(())
    })
    .await;
}

#[rstest::rstest]
#[case::ctrl_c_on_the_platform("INT", "")]
#[case::termination_at_a_terminal("TERM", "true")]
#[tokio::test]
async fn a_signal_ends_the_handler_at_once(#[case] signal: &str, #[case] core_tools: &str) {
    let world = World::new().await;
    let settings = [("FUNCTIONS_CORETOOLS_ENVIRONMENT", core_tools)];
    let handler = Handler::start(&world, &settings).await;
    handler.signal(signal);
    handler.until_it_ends().await;
}
