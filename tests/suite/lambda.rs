//! The HTTP side under `lambda_http`: the built binary with a Lambda runtime API that hands it one API Gateway event.
//! (<https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>)

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

fn start_function(world: &World, runtime_api: &str) -> Child {
    Command::new(env!("CARGO_BIN_EXE_recording-vault"))
        .arg("lambda")
        .envs(world.settings())
        .env("AWS_LAMBDA_RUNTIME_API", runtime_api)
        .env("AWS_LAMBDA_FUNCTION_NAME", "recordings")
        .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
        .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128")
        .stdout(Stdio::null())
        .spawn()
        .expect("the binary runs")
}

#[tokio::test]
async fn an_api_gateway_event_gets_the_answer_that_http_gets() {
    let world = World::new().await;
    let (send_event, events) = mpsc::channel(4);
    let (answers, mut receive_answer) = mpsc::channel(4);
    let runtime_api = runtime_api(events, answers).await;
    let mut function = start_function(&world, &runtime_api);
    let mut ask = async |method: &str, path: &str, query: &str, body: Option<&Value>| {
        send_event
            .send(gateway_event(method, path, query, body))
            .await
            .expect("the runtime listens");
        let answer = tokio::time::timeout(PATIENCE, receive_answer.recv())
            .await
            .expect("the function answers in time");
        let answer = answer.expect("the function answers");
        let body = answer["body"].as_str().expect("an answer has a body");
        (
            answer["statusCode"].clone(),
            serde_json::from_str::<Value>(body).expect("the body is JSON"),
        )
    };
    let call = world.admin("POST", "calls", json!({})).await["serverCallId"].clone();
    let (status, started) = ask(
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
    let (status, state) = ask("GET", &format!("/api{path}"), "", None).await;
    assert_eq!(
        (status, state),
        (json!(200), world.api("GET", &path, None).await.1)
    );
    let (status, list) = ask("GET", "/api/recordings", "state=active", None).await;
    assert_eq!(
        (status, list),
        (
            json!(200),
            world.api("GET", "/recordings?state=active", None).await.1
        )
    );
    // The triggers of the Functions host are not there for everybody.
    assert_eq!(
        ask("POST", "/ExportSweep", "", Some(&json!({}))).await.0,
        404
    );
    function.kill().expect("it runs");
    function.wait().expect("it was started");
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
