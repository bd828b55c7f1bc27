//! The built binary, called as the Functions host calls it.

use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::support::world::{BINARY, World, document_ids};

/// Runs the binary with just these variables; it has to end by itself.
fn run(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    Command::new(BINARY)
        .args(arguments)
        .env_clear()
        .envs(variables.iter().copied())
        .output()
        .expect("the binary runs")
}

#[test]
fn every_bad_setting_is_listed_by_name_and_the_exit_code_is_64() {
    let variables = [
        ("ACS_ENDPOINT", "ftp://x"),
        ("ACS_ACCESS_KEY", "*SECRET*"),
        ("EVENT_BUDGET", "soon"),
    ];
    let output = run(&["serve"], &variables);
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(64), "{complaint}");
    for name in [
        "ACS_ENDPOINT",
        "ACS_ACCESS_KEY",
        "EVENT_BUDGET",
        "VAULT_URL is missing",
        "FUNCTIONS_CUSTOMHANDLER_PORT",
    ] {
        assert!(complaint.contains(name), "{name} is not in {complaint}");
    }
    assert!(!complaint.contains("SECRET"), "{complaint}");
}

#[test]
fn a_port_that_is_taken_is_a_fault_and_no_success() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let port = taken.local_addr().expect("it is bound").port().to_string();
    let variables = [
        ("ACS_ENDPOINT", "https://contoso.communication.azure.com"),
        ("VAULT_URL", "file:///tmp/never-written"),
        ("FUNCTIONS_CUSTOMHANDLER_PORT", &port),
    ];
    let output = run(&["serve"], &variables);
    assert_eq!(
        output.status.code(),
        Some(1),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// A Function App in Azure; on another machine, a host may not even be there.
const IN_AZURE: (&str, &str) = ("WEBSITE_SITE_NAME", "contoso");

/// It ends by itself, because its port is taken.
#[rstest::rstest]
#[case::not_set(&[IN_AZURE], true)]
#[case::blank(&[IN_AZURE, ("EXPORT_SWEEP_SCHEDULE", " ")], true)]
#[case::set(&[IN_AZURE, ("EXPORT_SWEEP_SCHEDULE", "0 * * * * *")], false)]
#[case::on_another_machine(&[], false)]
fn a_function_app_without_a_schedule_is_an_error_at_the_start(
    #[case] more: &[(&str, &str)],
    #[case] is_reported: bool,
) {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let port = taken.local_addr().expect("it is bound").port().to_string();
    let variables = [
        ("ACS_ENDPOINT", "https://contoso.communication.azure.com"),
        ("VAULT_URL", "https://contoso.blob.core.windows.net/calls"),
        ("FUNCTIONS_CUSTOMHANDLER_PORT", &port),
    ];
    let output = run(&["serve"], &[&variables[..], more].concat());
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    let error = "EXPORT_SWEEP_SCHEDULE is not set: the Functions host disables ExportSweep";
    assert_eq!(said.contains(error), is_reported, "{said}");
}

#[tokio::test]
async fn the_host_is_answered_at_its_root() {
    let world = World::new().await;
    let response = world
        .client
        .get(world.handler_url().await)
        .send()
        .await
        .expect("the handler answers");
    assert_eq!(response.status(), 200);
    let body: Value = response.json().await.expect("the answer is JSON");
    assert_eq!(body["status"], "running");
}

/// The forms in which the host, and forwarders, pass an event.
#[rstest::rstest]
#[case::one(|event: &Value| json!({"Data": {"event": event}, "Metadata": {"data": event["data"], "sys": {"MethodName": "RecordingFileStatusUpdated"}}}))]
#[case::many(|event: &Value| json!({"Data": {"event": json!([event]).to_string()}, "Metadata": {}}))]
#[case::encoded(|event: &Value| json!({"Data": {"event": event.to_string()}}))]
#[case::other_binding_name(|event: &Value| json!({"Data": {"eventGridEvent": event}}))]
#[case::lower_case(|event: &Value| json!({"data": {"event": event}}))]
#[tokio::test]
async fn an_event_is_exported_in_whatever_form_the_host_passes_it(
    #[case] envelope: fn(&Value) -> Value,
) {
    let world = World::new().await;
    let event = world
        .recording(json!({"call": {"chunks": [{"durationMs": 3000}]}}))
        .await;
    let (status, answer) = world
        .envelope("RecordingFileStatusUpdated", envelope(&event).to_string())
        .await;
    assert_eq!(status, 200, "{answer}");
    assert!(
        answer.get("Outputs").is_some() && answer.get("ReturnValue").is_some(),
        "{answer}"
    );
    let id = &document_ids(&event)[0];
    assert_eq!(
        world.ledger_entry(id)["state"]["name"],
        "sourceDeleted",
        "{answer}"
    );
}

#[rstest::rstest]
#[case::cloud_events("cloudEvents")]
#[case::of_2021("documentIds")]
#[tokio::test]
async fn events_of_every_schema_are_exported(#[case] schema: &str) {
    let world = World::new().await;
    let event = world
        .recording(json!({"schema": schema, "call": {"chunks": [{"durationMs": 3000}]}}))
        .await;
    let (status, answer) = world.event(&event).await;
    assert_eq!(status, 200, "{answer}");
    let wav = world
        .vault_files()
        .into_keys()
        .filter(|name| name.ends_with(".wav"))
        .count();
    assert_eq!(wav, 1, "{answer}");
}

#[rstest::rstest]
#[case::no_json("this is no JSON")]
#[case::no_data(r#"{"Metadata": {}}"#)]
#[case::no_event_type(r#"{"Data": {"event": {"id": "1"}}}"#)]
#[case::no_chunks(r#"{"Data": {"event": {"eventType": "Microsoft.Communication.RecordingFileStatusUpdated", "data": {}}}}"#)]
#[case::traversal(r#"{"Data": {"event": {"eventType": "Microsoft.Communication.RecordingFileStatusUpdated", "data": {"recordingStorageInfo": {"recordingChunks": [{"documentId": "../../x"}]}}}}}"#)]
#[tokio::test]
async fn an_unreadable_event_is_kept_whole_logged_and_acknowledged(#[case] body: &'static str) {
    let world = World::new().await;
    for _ in 0..2 {
        let (status, answer) = world.envelope("RecordingFileStatusUpdated", body).await;
        assert_eq!(status, 200, "{answer}");
    }
    let poison =
        crate::support::world::files(&world.vault.with_file_name("vault-ledger").join("poison"));
    assert_eq!(poison.len(), 1, "a redelivery is kept once");
    let kept: Value =
        serde_json::from_slice(poison.values().next().expect("one is there")).expect("it is JSON");
    assert!(
        kept["reason"].is_string() && !kept["event"].is_null(),
        "{kept}"
    );
    assert!(
        world
            .console()
            .contains("Kept an unreadable event as poison"),
        "{}",
        world.console()
    );
}

#[tokio::test]
async fn one_unreadable_event_of_a_batch_does_not_spoil_the_others() {
    let world = World::new().await;
    let good = world
        .recording(json!({"call": {"chunks": [{"durationMs": 1000}]}}))
        .await;
    let other = json!({"eventType": "Microsoft.Communication.CallStarted", "data": {}});
    let batch = json!({"Data": {"event": [{"id": "bad"}, other, good]}});
    let (status, answer) = world
        .envelope("RecordingFileStatusUpdated", batch.to_string())
        .await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(
        world.ledger_entry(&document_ids(&good)[0])["state"]["name"],
        "sourceDeleted"
    );
}

#[tokio::test]
async fn an_unknown_function_is_a_404_with_an_answer_in_it() {
    let world = World::new().await;
    let (status, answer) = world.envelope("NoSuchFunction", "{}").await;
    assert_eq!(
        (status, &answer["error"]["code"]),
        (404, &json!("NotFound"))
    );
}

#[tokio::test]
async fn a_ledger_that_fails_is_a_500_so_that_the_event_is_retried() {
    // A file stands where the ledger's directory should be.
    let blocked = tempfile::NamedTempFile::new().expect("there is room for temporary files");
    let world = World::with(&[(
        "LEDGER_URL",
        &format!("file://{}", blocked.path().display()),
    )])
    .await;
    let event = world.recording(json!({})).await;
    let (status, answer) = world.event(&event).await;
    assert_eq!(status, 500, "{answer}");
    assert!(
        answer["Logs"][0]
            .as_str()
            .is_some_and(|log| log.contains("ledger")),
        "{answer}"
    );
    assert!(
        world.content_log().await.is_empty(),
        "nothing is read before the event is durable"
    );
}

#[tokio::test]
async fn a_vault_that_is_absent_fails_that_attempt_only() {
    let folder = tempfile::tempdir().expect("there is room for temporary files");
    let vault = folder.path().join("not-mounted/vault");
    let ledger = folder.path().join("ledger");
    let settings = [
        ("VAULT_URL", format!("file://{}", vault.display())),
        ("LEDGER_URL", format!("file://{}", ledger.display())),
    ];
    let world = World::with(
        &settings
            .each_ref()
            .map(|(name, value)| (*name, value.as_str())),
    )
    .await;
    let event = world.recording(json!({})).await;
    let (status, answer) = world.event(&event).await;
    assert_eq!(status, 200, "the chunk is in the ledger: {answer}");
    let entry = std::fs::read(ledger.join(format!("chunks/{}.json", document_ids(&event)[0])))
        .expect("the entry is there");
    let entry: Value = serde_json::from_slice(&entry).expect("an entry is JSON");
    assert_eq!(
        (&entry["state"]["name"], &entry["attempts"]),
        (&json!("pending"), &json!(0)),
        "{entry}"
    );
}

#[tokio::test]
async fn secrets_do_not_reach_the_console() {
    let world = World::with(&[("LOG", "trace")]).await;
    let event = world
        .recording(json!({"call": {"chunks": [{"durationMs": 1000}]}}))
        .await;
    world.event(&event).await;
    world
        .api("GET", "/recordings/x?code=the-function-key", None)
        .await;
    let console = world.console();
    for secret in [
        acs_simulator::Options::ACCESS_KEY,
        "Signature=",
        "the-function-key",
    ] {
        assert!(!console.contains(secret), "{secret} is on the console");
    }
}

/// To the handler itself, with these headers.
async fn send(world: &World, method: &str, path: &str, headers: &[(&str, &str)]) -> (u16, Value) {
    let method = method.parse().expect("it is a method");
    let url = format!("{}{path}", world.handler_url().await);
    let mut request = world.client.request(method, url).body("{}");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = request.send().await.expect("the handler answers");
    let status = response.status().as_u16();
    (status, response.json().await.unwrap_or_default())
}

#[tokio::test]
async fn an_envelope_reaches_its_own_function_only() {
    let world = World::new().await;
    let ask = async |function: &str, url: &str| {
        let request =
            json!({"Url": format!("https://app.example{url}"), "Method": "GET", "Headers": {}});
        let envelope = json!({"Data": {"req": request}, "Metadata": {}});
        let (status, answer) = world.envelope(function, envelope.to_string()).await;
        assert_eq!(status, 200, "{answer}");
        answer["Outputs"]["res"]["statusCode"].as_u64()
    };
    for (function, url) in [
        ("VaultPage", "/api/vault/summary"),
        ("VaultPage", "/api/vault/recordings"),
        ("VaultPage", "/api/vault//summary"),
        ("VaultPage", "/api/vault/../vault/summary"),
        ("VaultPlay", "/api/vault/days"),
        ("VaultPlay", "/api/vault/"),
        ("Vault", "/api/vault/play/ticket"),
        ("ApiDescription", "/api/openapi.json/../metrics"),
        ("RecordingCallbacks", "/api/recordings"),
        ("RecordingCallbacks", "/api/recordings/r"),
        ("RecordingControl", "/api/recordings"),
        ("VaultActions", "/api/vault/summary"),
    ] {
        let status = ask(function, url).await;
        assert!(
            matches!(status, Some(400..=405)),
            "{function} {url}: {status:?}"
        );
    }
    for (function, url) in [
        ("VaultPage", "/api/vault/"),
        ("Vault", "/api/vault/summary"),
        ("RecordingReads", "/api/recordings"),
        ("Metrics", "/api/metrics"),
        ("ApiDescription", "/api/openapi.json"),
    ] {
        assert_eq!(ask(function, url).await, Some(200), "{function} {url}");
    }
}

#[tokio::test]
async fn a_page_of_another_site_changes_nothing_at_the_loopback_listener() {
    let world = World::new().await;
    let origin = ("origin", "https://evil.example");
    let form = ("content-type", "text/plain");
    let invocation = ("x-azure-functions-invocationid", "1");
    for path in [
        "/api/recordings",
        "/ExportSweep",
        "/RecordingFileStatusUpdated",
    ] {
        for headers in [&[origin][..], &[form]] {
            assert_eq!(send(&world, "POST", path, headers).await.0, 403, "{path}");
        }
        for headers in [
            &[origin, form, invocation][..],
            &[("content-type", "application/json")],
        ] {
            assert_ne!(send(&world, "POST", path, headers).await.0, 403, "{path}");
        }
    }
    assert_eq!(
        send(&world, "GET", "/api/recordings", &[origin]).await.0,
        200
    );
}

#[tokio::test]
async fn responses_with_recording_data_are_stored_nowhere() {
    let world = World::new().await;
    for path in [
        "/api/recordings",
        "/api/metrics",
        "/api/vault/summary",
        "/api/vault/chunks/x/media",
    ] {
        let url = format!("{}{path}", world.handler_url().await);
        let response = world
            .client
            .get(url)
            .send()
            .await
            .expect("the handler answers");
        let header = |name: &str| response.headers().get(name).cloned();
        assert_eq!(
            header("cache-control").expect("there is one"),
            "no-store",
            "{path}"
        );
        assert_eq!(
            header("x-content-type-options").expect("there is one"),
            "nosniff",
            "{path}"
        );
    }
}

#[tokio::test]
async fn refusals_have_the_headers_of_every_other_response() {
    let world = World::with(&[("EVENT_GRID_SECRET", "a-secret-of-16-characters")]).await;
    let url = world.handler_url().await;
    for (method, path, size_bytes, status) in [
        ("GET", "/api/nothing", 0, 404),
        ("PUT", "/api/vault/summary", 0, 405),
        ("POST", "/api/recordings", 65_537, 413),
        ("GET", "/api/recordings/a%25", 0, 400),
        ("POST", "/api/eventgrid/webhook", 2, 503),
    ] {
        let method = method.parse().expect("it is a method");
        let request = world.client.request(method, format!("{url}{path}"));
        let request = request.body("x".repeat(size_bytes));
        let response = request.send().await.expect("the handler answers");
        assert_eq!(response.status().as_u16(), status, "{path}");
        let header = |name: &str| response.headers()[name].clone();
        assert_eq!(header("cache-control"), "no-store", "{path}");
        assert_eq!(header("x-content-type-options"), "nosniff", "{path}");
    }
}

#[tokio::test]
async fn a_call_that_is_announced_late_or_by_a_replay_is_not_recorded() {
    let world = World::with(&[("AUTO_RECORD", "all")]).await;
    let started = |minutes: i64| {
        let at = jiff::Timestamp::now() - jiff::SignedDuration::from_mins(minutes);
        json!({"id": "late", "eventType": "Microsoft.Communication.CallStarted", "eventTime": at.to_string(),
            "data": {"serverCallId": "aHR0cHM6Ly9sYXRl"}})
    };
    let (status, answer) = world.event(&started(61)).await;
    assert_eq!(status, 200, "it is not delivered again");
    assert!(answer.to_string().contains("late"), "{answer}");
    assert!(
        world.console().contains("more than an hour late"),
        "{}",
        world.console()
    );
}

/// An app without work costs what its host writes about the timer, and nothing of its own.
#[tokio::test]
async fn an_idle_app_writes_nothing_and_its_cost_is_documented() {
    const SWEEPS: usize = 3;
    const SWEEPS_A_DAY: usize = 24 * 60;
    let world = World::new().await;
    crate::support::eventually("the first line is there", async || {
        world.console().contains("Listening on").then_some(())
    })
    .await;
    // The first of a day makes the report of the day before.
    world.sweep().await;
    let before = world.console().lines().count();
    for _ in 0..SWEEPS {
        let url = format!("{}/admin/functions/ExportSweep", world.host.url());
        let run = world.client.post(url).json(&json!({"input": ""}));
        assert_eq!(run.send().await.expect("the host answers").status(), 202);
    }
    crate::support::eventually("the sweeps end", async || {
        let ended = world
            .console()
            .matches("Executed 'Functions.ExportSweep' (Succeeded")
            .count();
        (ended == SWEEPS).then_some(())
    })
    .await;
    let console = world.console();
    let lines: Vec<&str> = console.lines().skip(before).collect();
    let of_host = |line: &&&str| line.contains(" 'Functions.ExportSweep' (");
    assert_eq!(
        lines.iter().filter(of_host).count(),
        lines.len(),
        "{console}"
    );
    let a_day = lines.len() / SWEEPS * SWEEPS_A_DAY;
    let written = format!("{},{:03} entries a day", a_day / 1000, a_day % 1000);
    let operations = crate::documents::read("docs/OPERATIONS.md");
    assert!(
        operations.contains(&written),
        "OPERATIONS does not say {written}"
    );
}

#[tokio::test]
async fn without_an_identity_the_answer_comes_soon_and_names_the_key_setting() {
    let world = World::with(&[("ACS_ACCESS_KEY", "")]).await;
    let began = std::time::Instant::now();
    let start = json!({"serverCallId": "aHR0cHM6Ly9jYWxs"});
    let (status, answer) = world.api("POST", "/recordings", Some(start)).await;
    assert_eq!(status, 502, "{answer}");
    let message = answer["error"]["message"].as_str().unwrap_or_default();
    assert!(message.contains("set ACS_ACCESS_KEY"), "{answer}");
    // The library alone asks for 20 s and more.
    assert!(
        began.elapsed() < std::time::Duration::from_secs(10),
        "{:?}",
        began.elapsed()
    );
}
