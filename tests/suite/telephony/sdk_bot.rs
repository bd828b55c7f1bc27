//! A bot of the official Bot Framework SDK sends the commands, and reads their results.

use std::process::Stdio;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout};

use super::{BOT, PATIENCE, RECORDING, call, state};
use crate::support::issuer::Issuer;
use crate::support::world::World;

/// A bot made with the Bot Framework's SDK, in a process of its own.
struct SdkBot {
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
    /// Where it listens.
    url: String,
}

impl SdkBot {
    async fn start() -> Self {
        #[expect(clippy::disallowed_methods, reason = "xtask passes it to the tests")]
        let script = std::env::var("TEST_TELEPHONY_BOT")
            .expect("TEST_TELEPHONY_BOT is not set: run the tests by `cargo xtask test`");
        let mut process = tokio::process::Command::new("node")
            .arg(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("Node.js is installed");
        let output = process.stdout.take().expect("it has an output");
        let mut lines = BufReader::new(output).lines();
        let first = lines.next_line().await.expect("it is text");
        let url = first
            .as_deref()
            .and_then(|line| line.strip_prefix("listening "))
            .expect("the first line has its address")
            .to_owned();
        Self {
            process,
            lines,
            url,
        }
    }

    /// Sends its commands in one conversation; returns what it sent and received.
    async fn converse(mut self, conversation: &Value) -> Vec<Value> {
        let mut input = self.process.stdin.take().expect("it has an input");
        input
            .write_all(format!("{conversation}\n").as_bytes())
            .await
            .expect("it reads");
        let mut happened = Vec::new();
        while let Some(line) = self.lines.next_line().await.expect("it is text") {
            let step = serde_json::from_str::<Value>(&line);
            happened.push(step.unwrap_or_else(|_| panic!("{line}")));
        }
        let status = self.process.wait().await.expect("it ends");
        assert!(status.success(), "{happened:?}");
        happened
    }
}

/// The result of a command, as the bot receives it.
fn received(action: &str, id: &str, outcome: Value) -> Value {
    let mut value = json!({"commandId": id});
    value
        .as_object_mut()
        .expect("it is an object")
        .extend(outcome.as_object().expect("it is an object").clone());
    json!({"what": action, "type": "commandResult", "name": format!("{RECORDING}.{action}"), "value": value,
        "isReply": true, "from": "+15550100", "to": "bot"})
}

#[tokio::test]
#[expect(
    clippy::too_many_lines,
    reason = "one scenario, in the order in which it happens"
)]
async fn a_bot_of_the_bot_framework_sdk_sends_the_four_commands_and_receives_the_results() {
    let bot = SdkBot::start().await;
    let issuer = Issuer::start().await;
    let settings = [
        ("TELEPHONY_APP_ID", BOT),
        ("TELEPHONY_OPENID_URL", &issuer.openid_url()),
        ("TELEPHONY_BOT_URL", &bot.url),
    ];
    let world = World::with(&settings).await;
    let mut claims = issuer.claims();
    claims["aud"] = "https://api.botframework.com".into();
    claims["azp"] = BOT.into();
    let wanted = json!({"serviceUrl": format!("{}/api/telephony/", world.host.url()), "token": issuer.token(&claims),
        "conversationId": "a conversation/with odd characters", "serverCallId": call(&world).await});
    let happened = bot.converse(&wanted).await;
    let first = happened[0]["value"]["data"]["recordingId"].clone();
    let second = happened[6]["value"]["data"]["recordingId"].clone();
    assert!(
        first.is_string() && second.is_string() && first != second,
        "{happened:?}"
    );
    let done = |recording: &Value, state: &str| json!({"data": {"recordingId": recording, "recordingState": state}});
    let failed = |code: &str, message: &str| json!({"error": {"code": code, "message": message}});
    let expected = [
        received(
            "start",
            "start-1",
            json!({"data": happened[0]["value"]["data"]}),
        ),
        received(
            "start",
            "start-2",
            failed(
                "RecordingAlreadyInProgress",
                "Recording is already in progress",
            ),
        ),
        received("pause", "pause-1", done(&first, "paused")),
        received("resume", "resume-1", done(&first, "active")),
        received("stop", "stop-1", done(&first, "stopped")),
        received(
            "stop",
            "stop-2",
            failed("RecordingNotStarted", "Recording has not started"),
        ),
    ];
    assert_eq!(happened[..6], expected);
    assert_eq!(
        happened[7]["value"]["data"]["recordingState"], "paused",
        "{}",
        happened[7]
    );
    let dtmf = "Command channel/vnd.microsoft.telephony.dtmf.batch is not supported";
    assert_eq!(
        happened[8]["value"]["error"],
        json!({"code": "NotSupported", "message": dtmf})
    );
    assert_eq!(
        happened[9],
        received("resume", "resume-2", done(&second, "active"))
    );
    assert!(happened[10]["id"].is_string(), "{}", happened[10]);
    assert_eq!(
        (&happened[11]["status"], &happened[11]["error"]["code"]),
        (&json!(404), &json!("ConversationNotFound"))
    );
    let transferred = async { while state(&world, &second).await != "stopped" {} };
    tokio::time::timeout(PATIENCE, transferred)
        .await
        .expect("the transfer ends the recording");
}
