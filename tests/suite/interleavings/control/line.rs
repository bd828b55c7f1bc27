//! The line of one process to ACS: the real client, HTTP, and the process's gate before ACS.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use recording_vault::acs::{AcsCredential, AcsHttp, CallRecordingClient};
use recording_vault::clock::SystemClock;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::acs::{Acs, Answer, Operation};
use crate::interleavings::disturbance::Kind;
use crate::interleavings::gate::{Call, Gate};

type Ends = Arc<Mutex<Option<(Arc<Gate>, Arc<Acs>)>>>;

/// What comes back over the line.
enum Reply {
    Answer(Answer),
    /// The connection is cut before the answer: the client asks again.
    Cut,
}

/// A line that serves one run after the other.
pub struct Line {
    pub client: CallRecordingClient,
    ends: Ends,
}

impl Line {
    pub async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let ends = Ends::default();
        let router = Router::new().fallback(answer).with_state(Arc::clone(&ends));
        tokio::spawn(async move { axum::serve(listener, router).await });
        let endpoint = format!("http://{address}").parse();
        let endpoint = endpoint.expect("it is an endpoint");
        let key = AcsCredential::AccessKey("c2VjcmV0".parse().expect("it is base64"));
        let http = AcsHttp::new(endpoint, key, Arc::new(SystemClock)).expect("TLS is there");
        let version = "2024-09-15".parse().expect("it is a version");
        Self {
            client: CallRecordingClient::new(http, version),
            ends,
        }
    }

    /// From now on requests pass this gate, to this ACS.
    pub fn connect(&self, gate: &Arc<Gate>, acs: &Arc<Acs>) {
        let mut ends = self.ends.lock().expect("no holder of this lock panics");
        *ends = Some((Arc::clone(gate), Arc::clone(acs)));
    }
}

async fn answer(
    State(ends): State<Ends>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let connected = ends.lock().expect("no holder of this lock panics").clone();
    let (Some((gate, acs)), Some((name, operation))) =
        (connected, operation(&method, &uri, &headers))
    else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let kind = if method == Method::GET {
        Kind::Read
    } else {
        Kind::Write
    };
    let lost = if name == "start" {
        // An answer that cannot be read: what was asked for may have happened. The client does not ask again.
        Reply::Answer((200, json!("the answer was lost")))
    } else {
        Reply::Cut
    };
    let call: Call<Reply> = Arc::new(move |_| {
        let (acs, operation) = (Arc::clone(&acs), operation.clone());
        Box::pin(async move { Reply::Answer(acs.carry_out(&operation)) })
    });
    let (status, body) = match gate.pass(kind, format!("ACS {name}"), lost, call).await {
        Reply::Answer(answer) => answer,
        // The end of the connection's task closes the connection; this is no failure of the test.
        Reply::Cut => std::panic::resume_unwind(Box::new("the connection is cut")),
    };
    let status = StatusCode::from_u16(status).expect("it is a status");
    if body == Value::Null {
        return status.into_response();
    }
    (status, axum::Json(body)).into_response()
}

fn operation(method: &Method, uri: &Uri, headers: &HeaderMap) -> Option<(&'static str, Operation)> {
    let rest = uri.path().strip_prefix("/calling/recordings")?;
    let (id, action) = rest.trim_start_matches('/').split_once(':').unzip();
    let id = id.unwrap_or(rest.trim_start_matches('/')).to_owned();
    match (method.as_str(), action) {
        ("POST", None) => {
            let request_id = headers.get("repeatability-request-id")?.to_str().ok()?;
            let request_id = request_id.to_owned();
            Some(("start", Operation::Start { request_id }))
        }
        ("POST", Some("pause")) => Some(("pause", Operation::Pause { id })),
        ("POST", Some("resume")) => Some(("resume", Operation::Resume { id })),
        ("GET", None) => Some(("state", Operation::State { id })),
        ("DELETE", None) => Some(("stop", Operation::Stop { id })),
        _ => None,
    }
}
