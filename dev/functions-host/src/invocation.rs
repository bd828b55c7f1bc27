//! One invocation of the handler: the envelope, the host's encoding of its values, and what the answer means.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::sync::watch;
use uuid::Uuid;

use crate::app::FunctionApp;
use crate::console::Console;
use crate::raw_json::{Raw, raw};
use crate::worker::Worker;

/// The version that the stand-in reports.
pub const HOST_VERSION: &str = "4.1052.200";

/// Members of `Data` or `Metadata`.
pub type Members = BTreeMap<String, Raw>;

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Envelope {
    data: Members,
    metadata: Members,
}

/// Calls functions by envelope.
#[derive(Clone)]
pub struct Invoker {
    pub app: Arc<FunctionApp>,
    pub worker: Worker,
    pub console: Console,
    pub client: reqwest::Client,
    /// How many calls are in flight.
    pub calls: watch::Sender<usize>,
}

/// One call in flight.
pub struct Call(watch::Sender<usize>);

impl Drop for Call {
    fn drop(&mut self) {
        self.0.send_modify(|calls| *calls -= 1);
    }
}

/// A value as the host passes it: objects are nested, everything else becomes JSON in a string.
pub fn encoded(value: &RawValue) -> Raw {
    if value.get().starts_with('{') {
        value.to_owned()
    } else {
        raw(&Value::String(value.get().to_owned()))
    }
}

impl Invoker {
    /// Counts a call until it is dropped.
    pub fn begin_call(&self) -> Call {
        self.calls.send_modify(|calls| *calls += 1);
        Call(self.calls.clone())
    }

    /// Calls a function; `Ok` holds its `Outputs`.
    ///
    /// # Errors
    /// With the host's reason why the invocation counts as failed.
    pub async fn invoke(
        &self,
        function: &str,
        reason: &str,
        data: Members,
        metadata: Members,
    ) -> Result<Value, String> {
        let id = Uuid::new_v4().to_string();
        self.console.line(&format!(
            "Executing 'Functions.{function}' (Reason='{reason}', Id={id})"
        ));
        let _call = self.begin_call();
        let began = Instant::now();
        let result = self.timed(function, &id, data, metadata).await;
        let verdict = if result.is_ok() {
            "Succeeded"
        } else {
            "Failed"
        };
        let elapsed = began.elapsed().as_millis();
        self.console.line(&format!(
            "Executed 'Functions.{function}' ({verdict}, Id={id}, Duration={elapsed}ms)"
        ));
        if let Err(error) = &result {
            self.console.line(&format!("error: {error}"));
        }
        result
    }

    async fn timed(
        &self,
        function: &str,
        id: &str,
        data: Members,
        metadata: Members,
    ) -> Result<Value, String> {
        let timeout = self.app.function_timeout;
        match tokio::time::timeout(timeout, self.exchange(function, id, data, metadata)).await {
            Ok(result) => result,
            Err(_) => Err(self.kill_after_timeout(function, timeout)),
        }
    }

    /// One stuck invocation ends the whole process, with everything that runs in it.
    pub fn kill_after_timeout(&self, function: &str, timeout: Duration) -> String {
        self.worker.kill();
        format!(
            "Timeout value of {timeout:?} was exceeded by function: Functions.{function}. The handler is killed and started again"
        )
    }

    async fn exchange(
        &self,
        function: &str,
        id: &str,
        data: Members,
        mut metadata: Members,
    ) -> Result<Value, String> {
        let port = self.worker.port().await?;
        let now = Timestamp::now().to_string();
        let sys = json!({"MethodName": function, "UtcNow": now, "RandGuid": Uuid::new_v4()});
        metadata.insert("sys".to_owned(), raw(&sys));
        let envelope = serde_json::to_string(&Envelope { data, metadata })
            .expect("members of an envelope are JSON");
        let response = self.post(port, function, id, envelope).await?;
        let status = response.status();
        if !status.is_success() {
            return Err(format!(
                "Response status code does not indicate success: {status}."
            ));
        }
        let media_type = response
            .headers()
            .get("content-type")
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
            .to_owned();
        let body = response.bytes().await.map_err(|error| error.to_string())?;
        if body.is_empty() || body.as_ref() == b"null" {
            self.console.line(&format!("error: Functions.{function} answered {status} with nothing in it: the host now waits until its timeout. Answer with a JSON object"));
            std::future::pending::<()>().await;
        }
        if !media_type.starts_with("application/json") {
            return Err(format!(
                "Invalid HttpResponseMessage: the media type is `{media_type}`, not application/json"
            ));
        }
        let answer: Value = serde_json::from_slice(&body)
            .map_err(|error| format!("Invalid HttpResponseMessage: {error}"))?;
        self.print_logs(&answer)?;
        Ok(member(&answer, "Outputs").unwrap_or(Value::Null))
    }

    async fn post(
        &self,
        port: u16,
        function: &str,
        id: &str,
        envelope: String,
    ) -> Result<reqwest::Response, String> {
        // The host does not know the length of what it sends.
        let body =
            reqwest::Body::wrap_stream(futures::stream::iter([Ok::<_, std::io::Error>(envelope)]));
        self.client
            .post(format!("http://127.0.0.1:{port}/{function}"))
            .header("content-type", "application/json; charset=utf-8")
            .header("x-azure-functions-hostversion", HOST_VERSION)
            .header("x-azure-functions-invocationid", id)
            .header("user-agent", format!("Azure-Functions-Host/{HOST_VERSION}"))
            .body(body)
            .send()
            .await
            .map_err(|error| format!("Exception while executing function: {error}"))
    }

    fn print_logs(&self, answer: &Value) -> Result<(), String> {
        let logs = member(answer, "Logs");
        for log in logs.iter().filter_map(Value::as_array).flatten() {
            match log.as_str() {
                Some(line) => self.console.line(line),
                None => return Err("Invalid HttpResponseMessage: Logs must be strings".to_owned()),
            }
        }
        Ok(())
    }
}

/// A member of the answer; the host ignores the case of its name.
fn member(answer: &Value, name: &str) -> Option<Value> {
    let fields = answer.as_object()?;
    let (_, value) = fields
        .iter()
        .find(|(key, _)| key.eq_ignore_ascii_case(name))?;
    Some(value.clone())
}

#[cfg(test)]
mod tests {
    use super::{encoded, raw};
    use serde_json::{Value, json};

    #[rstest::rstest]
    #[case(json!("s"), json!("\"s\""))]
    #[case(json!(4), json!("4"))]
    #[case(json!([1]), json!("[1]"))]
    #[case(json!({"a": 1}), json!({"a": 1}))]
    fn values_are_encoded_as_the_host_does(#[case] value: Value, #[case] expected: Value) {
        assert_eq!(encoded(&raw(&value)).get(), expected.to_string());
    }
}
