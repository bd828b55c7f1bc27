//! The HTTP side under `lambda_http`: the built binary with a Lambda runtime API that hands it one API Gateway event.
//! (<https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>)

use std::io::Read as _;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{Mutex, mpsc};

use crate::support::PATIENCE;
use crate::support::world::World;

/// Hands out events, and gives back what the function answers.
struct RuntimeApi {
    events: Mutex<mpsc::Receiver<Value>>,
    answers: mpsc::Sender<Value>,
}

async fn next(State(api): State<Arc<RuntimeApi>>) -> Response {
    let Some(event) = api.events.lock().await.recv().await else {
        return StatusCode::GONE.into_response();
    };
    let deadline = jiff::Timestamp::now().as_millisecond() + 60_000;
    let headers = [
        ("lambda-runtime-aws-request-id", "r1".to_owned()),
        ("lambda-runtime-deadline-ms", deadline.to_string()),
        (
            "lambda-runtime-invoked-function-arn",
            "arn:aws:lambda:eu-central-1:1:function:recordings".to_owned(),
        ),
    ];
    (headers, Json(event)).into_response()
}

async fn answered(
    State(api): State<Arc<RuntimeApi>>,
    Path(_id): Path<String>,
    answer: Bytes,
) -> StatusCode {
    let answer = serde_json::from_slice(&answer).expect("an answer is JSON");
    api.answers.send(answer).await.expect("the test listens");
    StatusCode::ACCEPTED
}

/// An event as API Gateway's HTTP APIs send it, payload format 2.0.
fn gateway_event(method: &str, path: &str, query: &str, body: Option<&Value>) -> Value {
    json!({
        "version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": query, "isBase64Encoded": false,
        "headers": {"content-type": "application/json", "host": "api.example"},
        "requestContext": {"accountId": "1", "apiId": "a", "domainName": "api.example", "domainPrefix": "a", "requestId": "q",
            "routeKey": "$default", "stage": "$default", "time": "02/Mar/2026:10:00:00 +0000", "timeEpoch": 1_772_445_600_000_i64,
            "http": {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1", "userAgent": "test"}},
        "body": body.map(Value::to_string),
    })
}

/// The same for a stage with a name, with which the path of an HTTP API begins.
fn event_of_stage(stage: &str, path: &str, query: &str) -> Value {
    let mut event = gateway_event("GET", &format!("/{stage}{path}"), query, None);
    event["requestContext"]["stage"] = stage.into();
    event
}

/// An event as API Gateway's REST APIs send it, payload format 1.0: its path is without the stage.
fn rest_event(stage: &str, path: &str, (name, value): (&str, &str)) -> Value {
    json!({
        "resource": "/{proxy+}", "path": path, "httpMethod": "GET", "isBase64Encoded": false,
        "headers": {"Host": "api.example"}, "multiValueHeaders": {"Host": ["api.example"]},
        "queryStringParameters": {name: value}, "multiValueQueryStringParameters": {name: [value]},
        "pathParameters": {"proxy": path.trim_start_matches('/')}, "stageVariables": null,
        "requestContext": {"accountId": "1", "apiId": "a", "domainName": "api.example", "domainPrefix": "a", "requestId": "q",
            "resourceId": "r", "resourcePath": "/{proxy+}", "path": format!("/{stage}{path}"), "stage": stage,
            "httpMethod": "GET", "protocol": "HTTP/1.1", "requestTimeEpoch": 1_772_445_600_000_i64},
        "body": null,
    })
}

/// Serves Lambda's runtime API; returns its address.
async fn runtime_api(events: mpsc::Receiver<Value>, answers: mpsc::Sender<Value>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    let api = Arc::new(RuntimeApi {
        events: Mutex::new(events),
        answers,
    });
    let router = Router::new()
        .route("/2018-06-01/runtime/invocation/next", get(next))
        .route(
            "/2018-06-01/runtime/invocation/{id}/response",
            post(answered),
        )
        .with_state(api);
    tokio::spawn(async move { axum::serve(listener, router).await });
    address.to_string()
}

/// Variables that Lambda sets, except the address of its runtime API.
const OF_LAMBDA: [(&str, &str); 3] = [
    ("AWS_LAMBDA_FUNCTION_NAME", "recordings"),
    ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
    ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
];

fn start_function(world: &World, runtime_api: &str, more: &[(&str, &str)]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_recording-vault"))
        .arg("lambda")
        .envs(world.settings())
        .envs(OF_LAMBDA)
        // The vault of these tests is a directory, which is lost with an instance of Lambda.
        .env("AWS_SAM_LOCAL", "true")
        .envs(more.iter().copied())
        .env("AWS_LAMBDA_RUNTIME_API", runtime_api)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs")
}

/// The function, with a Lambda that calls it.
struct Lambda {
    function: Child,
    events: mpsc::Sender<Value>,
    answers: mpsc::Receiver<Value>,
}

impl Lambda {
    async fn start(world: &World) -> Self {
        Self::start_with(world, &[]).await
    }

    /// With more variables.
    async fn start_with(world: &World, more: &[(&str, &str)]) -> Self {
        let (events, receive_event) = mpsc::channel(4);
        let (send_answer, answers) = mpsc::channel(4);
        let runtime_api = runtime_api(receive_event, send_answer).await;
        Self {
            function: start_function(world, &runtime_api, more),
            events,
            answers,
        }
    }

    /// The status and the body of its answer.
    async fn ask(
        &mut self,
        method: &str,
        path: &str,
        query: &str,
        body: Option<&Value>,
    ) -> (Value, Value) {
        self.answer_to(gateway_event(method, path, query, body))
            .await
    }

    /// The status and the body of the answer to an event.
    async fn answer_to(&mut self, event: Value) -> (Value, Value) {
        let sent = self.events.send(event).await;
        sent.expect("the runtime listens");
        let answer = tokio::time::timeout(PATIENCE, self.answers.recv())
            .await
            .expect("the function answers in time");
        let answer = answer.expect("the function answers");
        let body = answer["body"].as_str().expect("an answer has a body");
        let body = serde_json::from_str(body).expect("the body is JSON");
        (answer["statusCode"].clone(), body)
    }
}

impl Lambda {
    /// Ends the function. Returns its warnings and errors.
    fn ended(&mut self) -> String {
        // It may have ended by itself.
        let _ = self.function.kill();
        let _ = self.function.wait();
        let mut said = String::new();
        if let Some(mut stderr) = self.function.stderr.take() {
            stderr.read_to_string(&mut said).expect("it is text");
        }
        said
    }
}

impl Drop for Lambda {
    fn drop(&mut self) {
        eprint!("{}", self.ended());
    }
}

#[tokio::test]
async fn an_api_gateway_event_gets_the_answer_that_http_gets() {
    let world = World::new().await;
    let mut lambda = Lambda::start(&world).await;
    let call = world.admin("POST", "calls", json!({})).await["serverCallId"].clone();
    let (status, started) = lambda
        .ask(
            "POST",
            "/api/recordings",
            "",
            Some(&json!({"serverCallId": call})),
        )
        .await;
    assert_eq!(status, 200, "{started}");
    let id = started["recordingId"]
        .as_str()
        .expect("a start gives an id");
    let path = format!("/recordings/{id}");
    let (status, state) = lambda.ask("GET", &format!("/api{path}"), "", None).await;
    assert_eq!(
        (status, state),
        (json!(200), world.api("GET", &path, None).await.1)
    );
    let (status, list) = lambda
        .ask("GET", "/api/recordings", "state=active", None)
        .await;
    assert_eq!(
        (status, list),
        (
            json!(200),
            world.api("GET", "/recordings?state=active", None).await.1
        )
    );
    // The triggers of the Functions host are not there for everybody.
    assert_eq!(
        lambda
            .ask("POST", "/ExportSweep", "", Some(&json!({})))
            .await
            .0,
        404
    );
}

#[tokio::test]
async fn the_stage_of_an_api_is_no_part_of_its_paths() {
    let world = World::new().await;
    let mut lambda = Lambda::start(&world).await;
    let call = world.admin("POST", "calls", json!({})).await["serverCallId"].clone();
    let start = json!({"serverCallId": call});
    world.api("POST", "/recordings", Some(start)).await;
    let expected = world.api("GET", "/recordings?state=active", None).await.1;
    for event in [
        event_of_stage("prod", "/api/recordings", "state=active"),
        event_of_stage("api", "/api/recordings", "state=active"),
        rest_event("prod", "/api/recordings", ("state", "active")),
        rest_event("api", "/api/recordings", ("state", "active")),
    ] {
        let (status, list) = lambda.answer_to(event.clone()).await;
        assert_eq!((status, &list), (json!(200), &expected), "{event}");
    }
    let (status, _) = lambda
        .answer_to(event_of_stage("prod", "/ExportSweep", ""))
        .await;
    assert_eq!(status, 404);
}

#[tokio::test]
async fn a_misspelt_setting_is_reported_as_the_handler_reports_it() {
    let world = World::new().await;
    let mut lambda = Lambda::start_with(&world, &[("VAULT_RETENTON", "8760h")]).await;
    let (status, _) = lambda.ask("GET", "/api/recordings", "", None).await;
    assert_eq!(status, 200);
    let said = lambda.ended();
    assert!(
        said.contains(
            "`VAULT_RETENTON` is not a setting, and is ignored; did you mean `VAULT_RETENTION`?"
        ),
        "{said}"
    );
}

#[rstest::rstest]
#[case::lost_with_the_instance("file:///tmp/calls-ledger")]
#[case::where_two_instances_may_write_at_once("file:///mnt/efs/calls-ledger")]
fn a_directory_is_refused(#[case] directory: &str) {
    let output = Command::new(env!("CARGO_BIN_EXE_recording-vault"))
        .arg("lambda")
        .envs(OF_LAMBDA)
        .env("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:1")
        .env("ACS_ENDPOINT", "https://contoso.communication.azure.com")
        .env("VAULT_URL", "https://a.blob.core.windows.net/calls")
        .env("LEDGER_URL", directory)
        .output()
        .expect("the binary runs");
    let said = String::from_utf8(output.stderr).expect("it is text");
    assert_eq!(output.status.code(), Some(64), "{said}");
    assert!(
        said.contains("LEDGER_URL is a directory, and this app runs on AWS Lambda"),
        "{said}"
    );
}

#[tokio::test]
async fn a_bots_command_is_carried_out_before_its_answer() {
    let world = World::with(&[("TELEPHONY_KEY", "the key of the bot")]).await;
    let mut lambda = Lambda::start(&world).await;
    let call = world.admin("POST", "calls", json!({})).await["serverCallId"].clone();
    for (action, state) in [
        ("start", "active"),
        ("pause", "paused"),
        ("stop", "stopped"),
    ] {
        let name = format!("channel/vnd.microsoft.telephony.recording.{action}");
        let value = json!({"commandId": action, "data": {"serverCallId": call}});
        let activity = json!({"type": "command", "id": action, "name": name, "value": value});
        let path = "/api/telephony/v3/conversations/c/activities";
        let query = "code=the%20key%20of%20the%20bot";
        let (status, answer) = lambda.ask("POST", path, query, Some(&activity)).await;
        assert_eq!(status, 200, "{answer}");
        let listed = world.api("GET", "/recordings?conversation=c", None).await.1;
        assert_eq!(listed["recordings"][0]["recordingState"], state, "{listed}");
    }
}

#[tokio::test]
async fn a_recording_that_was_started_without_the_ledger_is_registered_by_the_next_request() {
    let world = World::new().await;
    let mut lambda = Lambda::start(&world).await;
    let call = world.admin("POST", "calls", json!({})).await["serverCallId"].clone();
    let ledger = world.vault.with_file_name("vault-ledger");
    let away = world.vault.with_file_name("ledger-away");
    std::fs::create_dir_all(&ledger).expect("it is ours");
    std::fs::rename(&ledger, &away).expect("it is ours");
    std::fs::write(&ledger, "not a directory").expect("it is ours");
    let start = json!({ "serverCallId": call });
    let (status, started) = lambda
        .ask("POST", "/api/recordings", "", Some(&start))
        .await;
    assert_eq!(status, 200, "{started}");
    std::fs::remove_file(&ledger).expect("it is ours");
    std::fs::rename(&away, &ledger).expect("it is ours");
    let (_, listed) = lambda
        .ask("GET", "/api/recordings", "state=active", None)
        .await;
    let listed = listed["recordings"].as_array().expect("it is a list");
    assert_eq!(listed.len(), 1, "{listed:?}");
    assert_eq!(listed[0]["recordingId"], started["recordingId"]);
}

#[tokio::test]
async fn outside_of_lambda_it_says_which_variables_are_missing() {
    let world = World::new().await;
    let run = |more: &[(&str, &str)]| {
        let output = Command::new(env!("CARGO_BIN_EXE_recording-vault"))
            .arg("lambda")
            .envs(world.settings())
            .envs(more.iter().copied())
            .output()
            .expect("the binary runs");
        let said = String::from_utf8(output.stderr).expect("it is text");
        assert_eq!(output.status.code(), Some(64), "{said}");
        said
    };
    let said = run(&[]);
    assert!(
        said.contains("AWS_LAMBDA_FUNCTION_NAME is missing; AWS Lambda sets it"),
        "{said}"
    );
    assert!(said.starts_with("4 settings are invalid"), "{said}");
    let said = run(&[
        ("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:1"),
        ("AWS_LAMBDA_FUNCTION_NAME", "recordings"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "much"),
        ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
    ]);
    assert!(said.contains("MEMORY_SIZE is `much`"), "{said}");
}
