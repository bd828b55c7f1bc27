//! An ACS that starts, pauses, resumes and stops, and that loses, refuses or holds answers when a test asks for it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::Bytes;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Notify;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    Start,
    State,
    Pause,
    Resume,
    Stop,
}

/// What goes wrong with one request.
#[derive(Debug, Clone)]
pub enum Trouble {
    /// It is not carried out.
    Refused(u16, &'static str),
    /// It is not carried out, and answered with this status and no error object, as a front end does.
    Page(u16),
    /// It is carried out, and answered with 502.
    AnswerLost,
    /// It waits before it is carried out.
    Held(Arc<Hold>),
    /// It is carried out, and its answer waits.
    AnswerHeld(Arc<Hold>),
}

/// A request that waits until the test lets it go on.
#[derive(Debug, Default)]
pub struct Hold {
    arrived: Notify,
    released: Notify,
}

impl Hold {
    pub async fn arrived(&self) {
        self.arrived.notified().await;
    }

    pub fn release(&self) {
        self.released.notify_one();
    }

    async fn wait(&self) {
        self.arrived.notify_one();
        self.released.notified().await;
    }
}

/// A start as it arrived.
#[derive(Debug, Clone, PartialEq)]
pub struct ReceivedStart {
    pub request_id: String,
    pub first_sent: String,
    pub body: Value,
}

#[derive(Default)]
struct State {
    /// Recordings that exist, and whether they are paused.
    recordings: BTreeMap<String, bool>,
    by_request: BTreeMap<String, String>,
    by_call: BTreeMap<String, String>,
    troubles: Vec<(Op, Trouble)>,
    starts: Vec<ReceivedStart>,
    asked: Vec<Op>,
}

/// The service, as long as the test runs.
pub struct FakeAcs {
    pub url: String,
    state: Arc<Mutex<State>>,
}

impl FakeAcs {
    pub async fn start() -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        let answer = move |method: Method, uri: Uri, headers: HeaderMap, body: Bytes| {
            let shared = Arc::clone(&shared);
            async move { answer(&shared, &method, &uri, &headers, &body).await }
        };
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port is free");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
        Self { url, state }
    }

    /// The next `times` requests of this kind meet this trouble.
    pub fn trouble(&self, op: Op, trouble: &Trouble, times: usize) {
        let troubles = std::iter::repeat_n((op, trouble.clone()), times);
        lock(&self.state).troubles.extend(troubles);
    }

    /// The next request of this kind is carried out, and its answer waits.
    pub fn hold_answer(&self, op: Op) -> Arc<Hold> {
        let hold = Arc::new(Hold::default());
        self.trouble(op, &Trouble::AnswerHeld(Arc::clone(&hold)), 1);
        hold
    }

    /// The next request of this kind waits before it is carried out.
    pub fn hold(&self, op: Op) -> Arc<Hold> {
        let hold = Arc::new(Hold::default());
        self.trouble(op, &Trouble::Held(Arc::clone(&hold)), 1);
        hold
    }

    pub fn calm(&self) {
        lock(&self.state).troubles.clear();
    }

    /// The recording ends by itself.
    pub fn end(&self, id: &str) {
        lock(&self.state).end(id);
    }

    /// It is resumed past us, or by a request that arrives late.
    pub fn resume(&self, id: &str) {
        if let Some(is_paused) = lock(&self.state).recordings.get_mut(id) {
            *is_paused = false;
        }
    }

    /// Whether it is paused; `None` when there is no such recording.
    pub fn is_paused(&self, id: &str) -> Option<bool> {
        lock(&self.state).recordings.get(id).copied()
    }

    pub fn recordings(&self) -> Vec<String> {
        lock(&self.state).recordings.keys().cloned().collect()
    }

    pub fn starts(&self) -> Vec<ReceivedStart> {
        lock(&self.state).starts.clone()
    }

    /// How often this was asked for.
    pub fn asked(&self, op: Op) -> usize {
        let state = lock(&self.state);
        state.asked.iter().filter(|asked| **asked == op).count()
    }
}

impl State {
    fn end(&mut self, id: &str) {
        self.recordings.remove(id);
        self.by_call.retain(|_, known| known != id);
    }

    fn carry_out(&mut self, op: Op, id: &str, start: Option<&ReceivedStart>) -> (u16, Value) {
        let refused = |status, code: &str| {
            (
                status,
                json!({"error": {"code": code, "message": "as it happens"}}),
            )
        };
        if let (Op::Start, Some(start)) = (op, start) {
            return self.start(start);
        }
        let Some(is_paused) = self.recordings.get_mut(id) else {
            return refused(404, "8522");
        };
        match op {
            Op::Pause | Op::Resume => {
                let wanted = op == Op::Pause;
                if *is_paused == wanted {
                    return refused(409, "8573");
                }
                *is_paused = wanted;
                (202, json!({}))
            }
            Op::Stop => {
                self.end(id);
                (204, json!({}))
            }
            Op::Start | Op::State => {
                let state = if *is_paused { "inactive" } else { "active" };
                (200, json!({"recordingId": id, "recordingState": state}))
            }
        }
    }

    fn start(&mut self, start: &ReceivedStart) -> (u16, Value) {
        let call = start.body["callLocator"].to_string();
        let known = self.by_request.get(&start.request_id).cloned();
        if known.is_none() && self.by_call.contains_key(&call) {
            return (
                400,
                json!({"error": {"code": "8553", "message": "Duplicate Recording"}}),
            );
        }
        let id = known.unwrap_or_else(|| {
            let id = format!("r{}", self.by_request.len() + 1);
            self.by_request.insert(start.request_id.clone(), id.clone());
            self.by_call.insert(call, id.clone());
            self.recordings.insert(id.clone(), false);
            id
        });
        (200, json!({"recordingId": id, "recordingState": "active"}))
    }
}

async fn answer(
    state: &Mutex<State>,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    body: &[u8],
) -> (StatusCode, Json<Value>) {
    let name = uri.path().rsplit('/').next().unwrap_or_default();
    let (id, action) = name.split_once(':').unwrap_or((name, ""));
    let op = match (method.as_str(), action) {
        ("GET", _) => Op::State,
        ("DELETE", _) => Op::Stop,
        (_, "pause") => Op::Pause,
        (_, "resume") => Op::Resume,
        _ => Op::Start,
    };
    let header = |name: &str| {
        let value = headers.get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default().to_owned()
    };
    let start = (op == Op::Start).then(|| ReceivedStart {
        request_id: header("repeatability-request-id"),
        first_sent: header("repeatability-first-sent"),
        body: serde_json::from_slice(body).unwrap_or_default(),
    });
    let trouble = {
        let mut state = lock(state);
        state.asked.push(op);
        state.starts.extend(start.clone());
        let position = state.troubles.iter().position(|(of, _)| *of == op);
        position.map(|position| state.troubles.remove(position).1)
    };
    let carry_out = || lock(state).carry_out(op, id, start.as_ref());
    let (status, body) = match trouble {
        None => carry_out(),
        Some(Trouble::Refused(status, code)) => (
            status,
            json!({"error": {"code": code, "message": "refused on purpose"}}),
        ),
        Some(Trouble::Page(status)) => (status, json!("<html>A page of a front end</html>")),
        Some(Trouble::AnswerLost) => {
            carry_out();
            (502, json!({}))
        }
        Some(Trouble::Held(hold)) => {
            hold.wait().await;
            carry_out()
        }
        Some(Trouble::AnswerHeld(hold)) => {
            let answer = carry_out();
            hold.wait().await;
            answer
        }
    };
    (
        StatusCode::from_u16(status).expect("it is a status"),
        Json(body),
    )
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
