//! Bots of the Bot Framework's Telephony channel control recording by command activities.

mod sdk_bot;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::http::StatusCode;
use axum::{Json, Router, routing};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::support::issuer::Issuer;
use crate::support::world::{World, json_answer};

const KEY: &str = "the key of this bot";
/// Its application id.
const BOT: &str = "2f0a1c44-7d0b-4f0e-9a5e-3f1f0d1b6c11";
/// What does not happen within this never does.
const PATIENCE: Duration = Duration::from_mins(1);
const RECORDING: &str = "channel/vnd.microsoft.telephony.recording";

/// A bot's endpoint: it answers with the statuses it was given, then with 200, and keeps what it was told.
struct BotEndpoint {
    url: String,
    told: watch::Receiver<Vec<Value>>,
}

impl BotEndpoint {
    async fn start(refusals: Vec<StatusCode>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port is free");
        let url = format!(
            "http://{}/api/messages",
            listener.local_addr().expect("it is bound")
        );
        let (telling, told) = watch::channel(Vec::new());
        let refusals = Arc::new(Mutex::new(refusals));
        let take = async move |Json(activity): Json<Value>| {
            telling.send_modify(|told: &mut Vec<Value>| told.push(activity));
            let mut refusals = refusals.lock().expect("no holder of this lock panics");
            if refusals.is_empty() {
                StatusCode::OK
            } else {
                refusals.remove(0)
            }
        };
        tokio::spawn(async move {
            axum::serve(
                listener,
                Router::new().route("/api/messages", routing::post(take)),
            )
            .await
        });
        Self { url, told }
    }

    /// What it was told, once that is so many things.
    async fn told(&mut self, count: usize) -> Vec<Value> {
        let told = self.told.wait_for(|told| told.len() >= count);
        tokio::time::timeout(PATIENCE, told)
            .await
            .expect("the bot is told")
            .expect("the endpoint runs")
            .clone()
    }
}

async fn world_with_key() -> World {
    World::with(&[("TELEPHONY_KEY", KEY)]).await
}

async fn call(world: &World) -> String {
    world.admin("POST", "calls", json!({})).await["serverCallId"]
        .as_str()
        .expect("a call has an id")
        .to_owned()
}

/// An activity sent to a conversation with the key.
async fn sent(world: &World, conversation: &str, activity: &Value) -> (u16, Value) {
    sent_with(
        world,
        conversation,
        Some(("x-functions-key", KEY)),
        &activity.to_string(),
    )
    .await
}

async fn sent_with(
    world: &World,
    conversation: &str,
    header: Option<(&str, &str)>,
    body: &str,
) -> (u16, Value) {
    let url = format!(
        "{}/api/telephony/v3/conversations/{conversation}/activities",
        world.host.url()
    );
    let mut request = world.client.post(url).body(body.to_owned());
    if let Some((name, value)) = header {
        request = request.header(name, value);
    }
    json_answer(request.send().await.expect("the host answers")).await
}

/// A recording command whose result is wanted in the response; gives the result's value.
async fn result(world: &World, conversation: &str, action: &str, id: &str, data: Value) -> Value {
    let name = format!("{RECORDING}.{action}");
    let value = json!({"commandId": id, "data": data});
    let activity =
        json!({"type": "command", "name": name, "value": value, "deliveryMode": "expectReplies"});
    let (status, answer) = sent(world, conversation, &activity).await;
    assert_eq!(
        (status, &answer["activities"][0]["type"]),
        (200, &json!("commandResult")),
        "{answer}"
    );
    assert_eq!(answer["activities"][0]["name"], name.as_str(), "{answer}");
    answer["activities"][0]["value"].clone()
}

fn command(action: &str, id: &str, server_call_id: &str) -> Value {
    let value = json!({"commandId": id, "data": {"serverCallId": server_call_id}});
    json!({"type": "command", "id": format!("activity of {id}"), "name": format!("{RECORDING}.{action}"), "value": value,
        "from": {"id": "bot"}, "recipient": {"id": "+15550100"}})
}

async fn state(world: &World, recording_id: &Value) -> Value {
    let id = recording_id.as_str().expect("a result names its recording");
    world.api("GET", &format!("/recordings/{id}"), None).await.1["recordingState"].clone()
}

#[tokio::test]
async fn the_four_commands_control_the_recording_and_report_its_state() {
    let world = world_with_key().await;
    let call = call(&world).await;
    let started = result(&world, "c", "start", "1", json!({"serverCallId": call})).await;
    assert_eq!(
        (&started["commandId"], started.get("error")),
        (&json!("1"), None),
        "{started}"
    );
    let id = &started["data"]["recordingId"];
    for (action, expected) in [
        ("pause", "paused"),
        ("resume", "active"),
        ("stop", "stopped"),
    ] {
        let value = result(&world, "c", action, action, Value::Null).await;
        assert_eq!(
            value,
            json!({"commandId": action, "data": {"recordingId": id, "recordingState": expected}})
        );
        assert_eq!(state(&world, id).await, expected);
    }
}

#[tokio::test]
async fn what_is_not_possible_is_an_error_with_the_channels_text() {
    let world = world_with_key().await;
    let call = call(&world).await;
    let error = async |action: &str, id: &str| {
        let value = result(&world, "c", action, id, json!({"serverCallId": call})).await;
        assert_eq!(
            (&value["commandId"], value.get("data")),
            (&json!(id), None),
            "{value}"
        );
        value["error"].clone()
    };
    for action in ["pause", "resume", "stop"] {
        let expected =
            json!({"code": "RecordingNotStarted", "message": "Recording has not started"});
        assert_eq!(error(action, action).await, expected, "{action}");
    }
    result(&world, "c", "start", "1", Value::Null).await;
    let expected = json!({"code": "RecordingAlreadyInProgress", "message": "Recording is already in progress"});
    assert_eq!(error("start", "2").await, expected);
    let expected = json!({"code": "NotSupported", "message": format!("Command {RECORDING}.rewind is not supported")});
    assert_eq!(error("rewind", "3").await, expected);
}

#[tokio::test]
async fn a_start_after_a_stop_is_another_session_of_the_same_conversation() {
    let world = world_with_key().await;
    let call = call(&world).await;
    let first = result(&world, "c", "start", "1", json!({"serverCallId": call})).await["data"]["recordingId"].clone();
    result(&world, "c", "stop", "2", Value::Null).await;
    let second =
        result(&world, "c", "start", "3", Value::Null).await["data"]["recordingId"].clone();
    assert_ne!(first, second);
    let (_, listed) = world.api("GET", "/recordings?conversation=c", None).await;
    let listed = listed["recordings"].as_array().expect("it is a list");
    let of = |member: &str| {
        listed
            .iter()
            .map(|recording| recording[member].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(of("recordingId"), [first, second]);
    assert_eq!(of("recordingState"), ["stopped", "active"]);
    assert_eq!(
        (of("conversation"), of("startedBy")),
        (vec![json!("c"); 2], vec![json!("telephony"); 2])
    );
}

#[tokio::test]
async fn a_recording_of_a_conversation_that_has_no_account_is_counted() {
    let world = world_with_key().await;
    let call = call(&world).await;
    let started = result(&world, "c", "start", "1", json!({"serverCallId": call})).await;
    let id = started["data"]["recordingId"].as_str();
    let id = id.expect("it is started").trim_end_matches('=');
    let accounts = world.vault.with_file_name("vault-ledger/recordings");
    let accounts = std::fs::read_dir(accounts).expect("there are accounts");
    let mut accounts = accounts.flatten().map(|file| file.path());
    let is_its_own = |path: &std::path::PathBuf| {
        std::fs::read_to_string(path).is_ok_and(|account| account.contains(id))
    };
    let account = accounts.find(is_its_own).expect("it has an account");
    std::fs::remove_file(account).expect("the folder is ours");
    let (_, listed) = world.api("GET", "/recordings?conversation=c", None).await;
    assert_eq!(listed, json!({"recordings": [], "unreadable": 1}));
}

#[tokio::test]
async fn the_same_command_again_is_not_carried_out_again() {
    let world = world_with_key().await;
    let call = call(&world).await;
    let data = json!({"serverCallId": call});
    let first = result(&world, "c", "start", "1", data.clone()).await;
    result(&world, "c", "stop", "2", Value::Null).await;
    assert_eq!(result(&world, "c", "start", "1", data).await, first);
    assert_eq!(
        state(&world, &first["data"]["recordingId"]).await,
        "stopped"
    );
    assert_eq!(
        world.api("GET", "/recordings", None).await.1["recordings"],
        json!([])
    );
}

#[tokio::test]
async fn a_conversation_is_tied_by_whatever_tells_its_call() {
    let world = world_with_key().await;
    let call = call(&world).await;
    let (status, _) = sent(
        &world,
        "c",
        &json!({"type": "conversationUpdate", "channelData": {"serverCallId": call}}),
    )
    .await;
    assert_eq!(status, 200);
    let started = result(&world, "c", "start", "1", Value::Null).await;
    assert_eq!(started.get("error"), None, "{started}");
}

#[tokio::test]
async fn a_bot_that_leaves_or_hands_the_call_over_ends_the_recording() {
    let world = world_with_key().await;
    for end in [
        json!({"type": "endOfConversation", "id": "e"}),
        json!({"type": "event", "name": "handoff.initiate", "value": {}}),
    ] {
        let call = call(&world).await;
        let id = result(&world, "c", "start", &call, json!({"serverCallId": call})).await["data"]["recordingId"].clone();
        assert_eq!(sent(&world, "c", &end).await.0, 200);
        // The next command waits for its turn.
        result(&world, "c", "resume", &format!("after {call}"), Value::Null).await;
        assert_eq!(state(&world, &id).await, "stopped", "{end}");
    }
    assert_eq!(
        sent(&world, "unknown", &json!({"type": "endOfConversation"}))
            .await
            .0,
        200
    );
}

#[tokio::test]
async fn other_activities_are_taken_and_ignored() {
    let world = world_with_key().await;
    for activity in [
        json!({"type": "message", "text": "hello"}),
        json!({"type": "typing"}),
        json!({"type": "event", "name": "anything", "value": 7}),
        json!({"type": "trace", "id": "t", "channelData": "odd"}),
    ] {
        let (status, answer) = sent(&world, "c", &activity).await;
        assert_eq!(status, 200, "{activity}: {answer}");
        assert!(answer["id"].is_string(), "{answer}");
    }
    assert!(
        !world
            .vault
            .with_file_name("vault-ledger")
            .join("telephony")
            .exists()
    );
}

#[tokio::test]
async fn what_is_wrong_is_refused_in_the_connectors_shape_and_nothing_is_started() {
    let world = world_with_key().await;
    let call = call(&world).await;
    let start = command("start", "1", &call);
    let with = |name: &str, value: Value| {
        let mut activity = start.clone();
        activity[name] = value;
        activity.to_string()
    };
    let refused = [
        (400, "BadSyntax", "{".to_owned()),
        (400, "BadSyntax", "[]".to_owned()),
        (400, "MissingProperty", with("type", Value::Null)),
        (400, "MissingProperty", with("name", Value::Null)),
        (400, "BadArgument", with("type", json!(1))),
        (400, "BadArgument", with("value", json!("start"))),
        (
            400,
            "BadArgument",
            with(
                "value",
                json!({"commandId": "1", "data": {"serverCallId": 5}}),
            ),
        ),
        (
            400,
            "BadArgument",
            with("conversation", json!({"id": "another"})),
        ),
        (
            404,
            "ConversationNotFound",
            with("value", json!({"commandId": "1"})),
        ),
    ];
    for (status, code, body) in refused {
        let (answered, answer) =
            sent_with(&world, "c", Some(("x-functions-key", KEY)), &body).await;
        assert_eq!(
            (answered, &answer["error"]["code"]),
            (status, &json!(code)),
            "{body}: {answer}"
        );
        assert!(answer["error"]["message"].is_string(), "{answer}");
    }
    assert_eq!(
        world.api("GET", "/recordings", None).await.1["recordings"],
        json!([])
    );
}

#[tokio::test]
async fn a_result_is_posted_to_the_bot_until_it_has_it_and_always_the_same() {
    let mut bot = BotEndpoint::start(vec![StatusCode::BAD_GATEWAY]).await;
    let world = World::with(&[("TELEPHONY_KEY", KEY), ("TELEPHONY_BOT_URL", &bot.url)]).await;
    let call = call(&world).await;
    let (status, answer) = sent(&world, "c", &command("start", "1", &call)).await;
    assert_eq!((status, answer), (200, json!({"id": "activity of 1"})));
    let told = bot.told(2).await;
    assert_eq!(told[0], told[1]);
    let told = &told[1];
    assert_eq!(
        (&told["type"], &told["channelId"], &told["replyToId"]),
        (
            &json!("commandResult"),
            &json!("telephony"),
            &json!("activity of 1")
        )
    );
    assert_eq!(
        (&told["from"]["id"], &told["recipient"]["id"]),
        (&json!("+15550100"), &json!("bot"))
    );
    assert_eq!(
        (&told["value"]["commandId"], told["value"].get("error")),
        (&json!("1"), None),
        "{told}"
    );
    // The same command again is neither carried out nor reported again.
    assert_eq!(
        sent(&world, "c", &command("start", "1", &call)).await,
        (200, json!({"id": "activity of 1"}))
    );
    sent(&world, "c", &command("stop", "2", &call)).await;
    let told = bot.told(3).await;
    assert_eq!(
        (told.len(), &told[2]["value"]["commandId"]),
        (3, &json!("2")),
        "{told:?}"
    );
}

#[tokio::test]
async fn what_a_killed_process_had_begun_the_sweep_ends_and_tells() {
    let mut bot = BotEndpoint::start(Vec::new()).await;
    let world = World::with(&[("TELEPHONY_KEY", KEY), ("TELEPHONY_BOT_URL", &bot.url)]).await;
    let call = call(&world).await;
    let id = result(&world, "c", "start", "1", json!({"serverCallId": call})).await["data"]["recordingId"].clone();
    sent(&world, "c", &command("stop", "2", &call)).await;
    bot.told(1).await;
    let ledger = world.vault.with_file_name("vault-ledger");
    // The process is through with it when the marker is gone.
    let open = ledger.join("telephony-open");
    let is_open = || std::fs::read_dir(&open).is_ok_and(|mut markers| markers.next().is_some());
    let closed = async {
        while is_open() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, closed)
        .await
        .expect("nothing is left to do");
    // As if the process had been killed after ACS had stopped the recording, and before that was written down.
    let folder = ledger.join("telephony");
    let document = std::fs::read_dir(&folder)
        .expect("it is there")
        .next()
        .expect("it is there")
        .expect("it is there");
    let mut conversation: Value =
        serde_json::from_slice(&std::fs::read(document.path()).expect("it is ours"))
            .expect("it is JSON");
    conversation["commands"][1]["progress"] = json!({"name": "queued", "tries": 1, "notBefore": "2026-03-02T10:00:00Z", "by": "8d0c9a57-3f0e-5b6a-b8a3-7b1e22d160c4"});
    std::fs::write(document.path(), conversation.to_string()).expect("it is ours");
    let name = document.file_name().to_string_lossy().replace(".json", "");
    std::fs::create_dir_all(&open).expect("it is ours");
    std::fs::write(open.join(name), "").expect("it is ours");
    world.sweep_recordings().await;
    let told = bot.told(2).await;
    assert_eq!(
        told[1]["value"],
        json!({"commandId": "2", "data": {"recordingId": id, "recordingState": "stopped"}})
    );
    assert_eq!(told[1]["id"], told[0]["id"], "the bot knows it by its id");
}

#[tokio::test]
async fn only_the_key_or_the_bots_own_token_opens_the_door() {
    let issuer = Issuer::start().await;
    let world = World::with(&[
        ("TELEPHONY_KEY", KEY),
        ("TELEPHONY_APP_ID", BOT),
        ("TELEPHONY_OPENID_URL", &issuer.openid_url()),
    ])
    .await;
    let claims = |audience: &str, application: &str| {
        let mut claims = issuer.claims();
        claims["aud"] = audience.into();
        claims["azp"] = Value::Null;
        claims["appid"] = application.into();
        format!("Bearer {}", issuer.token(&claims))
    };
    let typing = json!({"type": "typing"}).to_string();
    let right = claims("https://api.botframework.com", BOT);
    for (header, expected) in [
        (Some(("x-functions-key", KEY)), 200),
        (Some(("authorization", right.as_str())), 200),
        (Some(("x-functions-key", "wrong")), 401),
        (
            Some((
                "authorization",
                &claims("https://api.botframework.com", "another"),
            )),
            401,
        ),
        (Some(("authorization", &claims("somebody else", BOT))), 401),
        (None, 401),
    ] {
        let (status, answer) = sent_with(&world, "c", header, &typing).await;
        assert_eq!(status, expected, "{header:?}: {answer}");
        assert!(
            status == 200 || answer["error"]["code"] == "Unauthorized",
            "{answer}"
        );
    }
    let world = World::new().await;
    let (status, answer) = sent(&world, "c", &json!({"type": "typing"})).await;
    assert_eq!(
        (status, &answer["error"]["code"]),
        (503, &json!("TelephonyOff"))
    );
}
