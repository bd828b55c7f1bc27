//! `recording-vault doctor`: what is wrong is named, and so is what mends it.

use std::collections::BTreeMap;

use acs_simulator::Simulator;
use axum::Router;
use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use base64::Engine as _;
use functions_host::Keys;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;

use crate::support::command::{report, run, text};
use crate::support::identity::{self, FakeIdentity};
use crate::support::issuer::Issuer;
use crate::support::world::{World, files_by_path};

/// Settings with which all is well, of a place of this test's own.
pub(crate) struct Place {
    pub(crate) settings: BTreeMap<String, String>,
    _simulator: Simulator,
    folder: TempDir,
}

impl Place {
    pub(crate) async fn with(changed: &[(&str, &str)]) -> Self {
        let simulator = Simulator::start(acs_simulator::Options::default())
            .await
            .expect("ports are free");
        let folder = tempfile::tempdir().expect("there is room for temporary files");
        let usual = [
            ("ACS_ENDPOINT", simulator.http_url()),
            (
                "ACS_ACCESS_KEY",
                acs_simulator::Options::ACCESS_KEY.to_owned(),
            ),
            ("ACS_CONTENT_HOSTS", simulator.http_url()),
            ("EXPORT_SWEEP_SCHEDULE", "0 * * * * *".to_owned()),
            (
                "VAULT_URL",
                format!("file://{}/vault", folder.path().display()),
            ),
        ];
        let mut settings: BTreeMap<_, _> = usual
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        settings.extend(
            changed
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
        );
        Self {
            settings,
            _simulator: simulator,
            folder,
        }
    }

    /// What doctor reports, with its exit code.
    pub(crate) async fn examined(&self, arguments: &[&str]) -> (Option<i32>, Value) {
        let output = run(&self.settings, &[&["doctor", "--json"], arguments].concat()).await;
        let report = report(&output);
        assert_checks_are_documented(&report);
        (output.status.code(), report)
    }
}

/// The table of checks in `docs/VERBS.md` has each check by its name, or by its beginning (`clock of …`).
fn assert_checks_are_documented(report: &Value) {
    let verbs = include_str!("../../docs/VERBS.md");
    let section = verbs.split("## `doctor`").nth(1).unwrap_or_default();
    let rows = section
        .lines()
        .skip_while(|line| !line.starts_with("| check |"))
        .take_while(|line| line.starts_with('|'));
    let names: Vec<&str> = rows
        .filter_map(|row| row.split('|').nth(1))
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .collect();
    let checks = report["checks"].as_array().into_iter().flatten();
    for name in checks.filter_map(|check| check["name"].as_str()) {
        let is_documented = names
            .iter()
            .any(|documented| match documented.strip_suffix('…') {
                Some(beginning) => name.starts_with(beginning),
                None => name == *documented,
            });
        assert!(
            is_documented,
            "docs/VERBS.md has no check `{name}`: {names:?}"
        );
    }
}

pub(crate) fn check<'a>(report: &'a Value, name: &str) -> &'a Value {
    let checks = report["checks"].as_array().expect("there are checks");
    checks
        .iter()
        .find(|check| check["name"] == name)
        .unwrap_or_else(|| panic!("no check `{name}` in {report}"))
}

/// The check failed; it says this, and that mends it.
pub(crate) fn assert_failed(report: &Value, name: &str, says: &str, remedy: &str) {
    let check = check(report, name);
    let has = |field: &str, part: &str| {
        check[field]
            .as_str()
            .is_some_and(|text| text.contains(part))
    };
    assert!(
        check["result"] == "failed" && has("says", says) && has("remedy", remedy),
        "{check}"
    );
}

/// A server that gives this answer to everything.
async fn server(
    status: StatusCode,
    headers: &'static [(&'static str, &'static str)],
    body: Value,
) -> String {
    let answer = move || async move {
        let mut response = (status, axum::Json(body)).into_response();
        for (name, value) in headers {
            response
                .headers_mut()
                .insert(*name, value.parse().expect("it is a header's value"));
        }
        response
    };
    let listener = TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port is free");
    let url = format!("http://{}", listener.local_addr().expect("it is bound"));
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
    url
}

/// A URL at which nobody listens.
async fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port is free");
    format!("http://{}", listener.local_addr().expect("it is bound"))
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one run, looked at from all sides")]
async fn where_every_check_passes_it_says_only_that_and_leaves_no_trace() {
    let world = World::new().await;
    let mut settings = world.settings().clone();
    let more = [
        ("EXPORT_SWEEP_SCHEDULE", "0 * * * * *"),
        ("FUNCTIONS_KEY", "master-key"),
    ];
    settings.extend(more.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let keys = Keys {
        master: Some("master-key".to_owned()),
        ..Keys::default()
    };
    let host = world.host_with(|options| options.keys = keys).await;
    let new = run(&settings, &["doctor", "--url", &host.url()]).await;
    assert!(
        text(&new).ends_with("No check failed; not checked: 2.\n"),
        "neither a sweep nor an event is known yet: {}",
        text(&new)
    );
    let call = json!({"call": {"chunks": [{"durationMs": 1000}]}});
    let event = world.recording(call).await;
    world.event(&event).await;
    world.sweep().await;
    let files = world.vault_files().len();
    let output = run(&settings, &["doctor", "--url", &host.url()]).await;
    let found = text(&output);
    assert!(
        output.status.success() && found.contains("\nEvery check passed. "),
        "{found}"
    );
    for name in [
        "settings",
        "clock of ACS",
        "ACS ",
        "vault",
        "ledger",
        "content hosts",
        "handler",
        "function key",
        "webhook, Cloud",
        "timer schedule",
        "last sweep",
        "events",
        "functions",
        "Event Grid trigger",
    ] {
        assert!(
            found
                .lines()
                .any(|line| line.starts_with(&format!("✓  {name}"))),
            "{name} is not in {found}"
        );
    }
    assert!(
        found
            .lines()
            .all(|line| line.chars().count() <= 100 || !line.contains(' ')),
        "{found}"
    );
    assert_eq!(world.vault_files().len(), files, "the probe is removed");
    let ledger = files_by_path(&world.vault.with_file_name("vault-ledger"));
    assert!(
        ledger.keys().all(|name| !name.starts_with("doctor/")),
        "{:?}",
        ledger.keys()
    );
    let port = world
        .handler_url()
        .await
        .rsplit(':')
        .next()
        .expect("it has a port")
        .to_owned();
    assert!(
        run(&settings, &["doctor", "--port", &port])
            .await
            .status
            .success(),
        "the handler itself answers too"
    );
}

#[tokio::test]
async fn a_wrong_key_is_named_with_where_to_copy_the_right_one() {
    let place = Place::with(&[(
        "ACS_ACCESS_KEY",
        &base64::prelude::BASE64_STANDARD.encode("another key"),
    )])
    .await;
    let (code, found) = place.examined(&[]).await;
    assert_eq!(code, Some(2));
    assert_failed(&found, "ACS", "401", "az communication list-key");
    assert_eq!(
        (&found["failed"], &check(&found, "vault")["result"]),
        (&json!(1), &json!("fine")),
        "the others go on: {found}"
    );
}

#[tokio::test]
async fn an_acs_that_does_not_exist_is_named() {
    let place = Place::with(&[("ACS_ENDPOINT", &nobody().await)]).await;
    let (code, found) = place.examined(&[]).await;
    assert_eq!(code, Some(2));
    assert_failed(
        &found,
        "ACS",
        "could not reach `127.0.0.1:",
        "check the name in ACS_ENDPOINT",
    );
    assert_eq!(check(&found, "clock of ACS")["result"], "notChecked");
}

#[tokio::test]
async fn a_missing_role_at_acs_is_named_with_the_command_that_gives_it() {
    let refusal = json!({"error": {"code": "7504", "message": "Insufficient permissions."}});
    let place = Place::with(&[(
        "ACS_ENDPOINT",
        &server(StatusCode::FORBIDDEN, &[], refusal).await,
    )])
    .await;
    let (_, found) = place.examined(&[]).await;
    assert_failed(&found, "ACS", "7504", "az role assignment create");
    assert_failed(
        &found,
        "ACS",
        "403",
        "--role \"Communication and Email Service Owner\"",
    );
}

#[tokio::test]
async fn a_vault_that_cannot_be_written_is_named() {
    let folder = tempfile::tempdir().expect("there is room for temporary files");
    // No process may make a folder in a file, not even root's.
    let file = folder.path().join("file");
    std::fs::write(&file, "").expect("the folder is ours");
    let ledger = format!("file://{}/ledger", folder.path().display());
    let vault = format!("file://{}/vault", file.display());
    let place = Place::with(&[("VAULT_URL", &vault), ("LEDGER_URL", &ledger)]).await;
    let (code, found) = place.examined(&[]).await;
    assert_eq!(code, Some(2));
    assert_failed(
        &found,
        "vault",
        "could not write",
        "let the process's user write to file://",
    );
    assert_eq!(check(&found, "ledger")["result"], "fine");

    let place = Place::with(&[
        ("VAULT_URL", "file:///nowhere/at/all"),
        ("LEDGER_URL", &ledger),
    ])
    .await;
    assert_failed(
        &place.examined(&[]).await.1,
        "vault",
        "could not write",
        "a disk may not be mounted",
    );
}

#[tokio::test]
async fn an_identity_that_gives_no_token_is_named_and_what_needs_it_is_not_asked() {
    let endpoint = nobody().await;
    let settings = [
        ("ACS_ACCESS_KEY", ""),
        ("IDENTITY_ENDPOINT", endpoint.as_str()),
        ("IDENTITY_HEADER", "x"),
    ];
    let place = Place::with(&settings).await;
    let (code, found) = place.examined(&[]).await;
    assert_eq!(code, Some(2));
    assert_failed(
        &found,
        "identity for ACS",
        "no answer within",
        "az functionapp identity assign",
    );
    assert_eq!(check(&found, "ACS")["result"], "notChecked");
}

#[tokio::test]
async fn an_identity_that_gives_tokens_is_fine() {
    let identity = FakeIdentity::start().await;
    let settings = [
        ("ACS_ACCESS_KEY", ""),
        ("IDENTITY_ENDPOINT", &*identity.url),
        ("IDENTITY_HEADER", identity::HEADER),
    ];
    let (code, found) = Place::with(&settings).await.examined(&[]).await;
    assert_eq!(
        (code, &check(&found, "ACS")["result"]),
        (Some(0), &json!("fine")),
        "{found}"
    );
    // This is no app, so the identity is this machine's.
    let says = check(&found, "ACS")["says"].as_str().unwrap_or_default();
    assert!(
        says.ends_with("(with the identity of this machine)"),
        "{says}"
    );
    let rights = check(&found, "rights of the app");
    assert_eq!(rights["result"], "notChecked", "{rights}");
}

/// Requests to this machine carry credentials in the clear, and no proxy can reach it.
#[tokio::test]
async fn a_proxy_sees_no_request_to_this_machine() {
    let identity = FakeIdentity::start().await;
    let proxy = TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port is free");
    let address = proxy.local_addr().expect("it is bound");
    let proxy_url = format!("http://{address}");
    let settings = [
        ("ACS_ACCESS_KEY", ""),
        ("IDENTITY_ENDPOINT", &*identity.url),
        ("IDENTITY_HEADER", identity::HEADER),
        ("HTTP_PROXY", &*proxy_url),
        ("http_proxy", &*proxy_url),
        ("ALL_PROXY", &*proxy_url),
        ("NO_PROXY", ""),
    ];
    let place = Place::with(&settings).await;
    let examining = place.examined(&[]);
    let (code, found) = tokio::select! {
        examined = examining => examined,
        visit = proxy.accept() => panic!("the proxy was asked by {visit:?}"),
    };
    assert_eq!(
        (code, &check(&found, "ACS")["result"]),
        (Some(0), &json!("fine")),
        "{found}"
    );
}

#[tokio::test]
async fn an_identity_of_the_app_itself_shows_the_rights_of_the_app() {
    let identity = FakeIdentity::start().await;
    // A directory is no vault of an app, so its settings are invalid there: the storage is a container.
    let storage = server(StatusCode::NOT_FOUND, &[], json!({})).await;
    let vault = format!("{storage}/acct/calls?sv=1&sig=TOPSECRET");
    let settings = [
        ("ACS_ACCESS_KEY", ""),
        ("IDENTITY_ENDPOINT", &*identity.url),
        ("IDENTITY_HEADER", identity::HEADER),
        ("WEBSITE_SITE_NAME", "an-app"),
        ("VAULT_URL", &*vault),
    ];
    let (_, found) = Place::with(&settings).await.examined(&[]).await;
    let acs = check(&found, "ACS");
    assert_eq!(acs["result"], "fine", "{acs}");
    assert!(!found.to_string().contains("rights of the app"), "{found}");
}

#[tokio::test]
async fn an_api_version_that_acs_does_not_know_is_no_accepted_key() {
    let refusal = json!({"error": {
        "code": "UnsupportedApiVersion",
        "message": "The HTTP resource that matches the request URI does not support the API version '2026-03-12'",
    }});
    let acs = server(StatusCode::BAD_REQUEST, &[], refusal).await;
    let place = Place::with(&[("ACS_ENDPOINT", &acs)]).await;
    let (code, found) = place.examined(&[]).await;
    assert_eq!(code, Some(2));
    assert_failed(&found, "ACS", "UnsupportedApiVersion", "ACS_API_VERSION");
}

#[tokio::test]
async fn a_clock_that_is_an_hour_off_is_named() {
    let not_found = json!({"error": {"code": "8522", "message": "Recording not found."}});
    let long_ago: &[(&str, &str)] = &[("date", "Mon, 02 Mar 2020 10:00:00 GMT")];
    let place = Place::with(&[(
        "ACS_ENDPOINT",
        &server(StatusCode::NOT_FOUND, long_ago, not_found).await,
    )])
    .await;
    let (code, found) = place.examined(&[]).await;
    assert_eq!(code, Some(2));
    assert_failed(
        &found,
        "clock of ACS",
        "ahead of theirs",
        "timedatectl set-ntp true",
    );
    assert_eq!(check(&found, "ACS")["result"], "fine");
}

#[tokio::test]
async fn a_storage_that_refuses_is_named_without_its_signature() {
    let refusal: &[(&str, &str)] = &[("x-ms-error-code", "AuthorizationPermissionMismatch")];
    let storage = server(StatusCode::FORBIDDEN, refusal, json!({})).await;
    let place = Place::with(&[(
        "VAULT_URL",
        &format!("{storage}/acct/calls?sv=1&sig=TOPSECRET"),
    )])
    .await;
    let (code, found) = place.examined(&[]).await;
    assert_eq!(code, Some(2));
    assert_failed(
        &found,
        "vault",
        "AuthorizationPermissionMismatch",
        "put another SAS into VAULT_URL",
    );
    assert_failed(
        &found,
        "ledger",
        "AuthorizationPermissionMismatch",
        "put another SAS into LEDGER_URL",
    );
    assert!(!found.to_string().contains("TOPSECRET"), "{found}");
}

#[tokio::test]
async fn bad_settings_are_all_named_and_the_handler_is_checked_nevertheless() {
    let place = Place::with(&[
        ("ACS_ENDPOINT", ""),
        ("BLOCK_SIZE", "7"),
        ("VAULT_URL", "s3://x"),
    ])
    .await;
    let url = nobody().await;
    let (code, found) = place
        .examined(&["--port", url.rsplit(':').next().expect("it has a port")])
        .await;
    assert_eq!(code, Some(64));
    let named: String = found["checks"]
        .as_array()
        .expect("there are checks")
        .iter()
        .map(|check| check["says"].to_string())
        .collect();
    for name in ["ACS_ENDPOINT", "BLOCK_SIZE", "VAULT_URL"] {
        assert!(named.contains(name), "{name} is not in {found}");
    }
    assert_failed(
        &found,
        "settings",
        "ACS_ENDPOINT",
        "--settings ACS_ENDPOINT=<value>",
    );
    assert_failed(
        &found,
        "handler",
        "nothing can be connected to",
        "func start --script-root dist",
    );
    assert_eq!(check(&found, "ledger")["result"], "notChecked");
    assert_eq!(
        std::fs::read_dir(place.folder.path())
            .expect("it is there")
            .count(),
        0,
        "nothing was written"
    );
}

#[tokio::test]
async fn a_schedule_and_content_hosts_that_are_missing_are_named() {
    let place = Place::with(&[("EXPORT_SWEEP_SCHEDULE", ""), ("ACS_CONTENT_HOSTS", "")]).await;
    let mut settings = place.settings.clone();
    settings.remove("EXPORT_SWEEP_SCHEDULE");
    let found = report(&run(&settings, &["doctor", "--json"]).await);
    assert_failed(
        &found,
        "timer schedule",
        "the Functions host disables ExportSweep",
        "EXPORT_SWEEP_SCHEDULE=0 * * * * *",
    );
    assert_failed(
        &found,
        "content hosts",
        "names no host",
        "set ACS_CONTENT_HOSTS",
    );
}

#[tokio::test]
async fn a_key_of_another_function_is_called_that() {
    let answer = async |uri: axum::http::Uri, headers: axum::http::HeaderMap| match uri.path() {
        "/api/openapi.json" => StatusCode::OK,
        "/api/vault/summary" if headers.contains_key("x-functions-key") => StatusCode::OK,
        _ => StatusCode::UNAUTHORIZED,
    };
    let listener = TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port is free");
    let url = format!("http://{}", listener.local_addr().expect("it is bound"));
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
    let place = Place::with(&[("FUNCTIONS_KEY", "key-of-vault")]).await;
    let (_, found) = place.examined(&["--url", &url]).await;
    assert_failed(
        &found,
        "function key",
        "one of the function Vault only",
        "put a host key into the variable FUNCTIONS_KEY",
    );
    let functions = check(&found, "functions");
    assert_eq!(functions["result"], "notChecked", "{functions}");
}

#[tokio::test]
async fn a_function_that_fails_is_named_and_not_said_to_accept_the_key() {
    let answer = async |uri: axum::http::Uri| match uri.path() {
        "/api/vault/summary" => StatusCode::BAD_GATEWAY,
        _ => StatusCode::OK,
    };
    let listener = TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port is free");
    let url = format!("http://{}", listener.local_addr().expect("it is bound"));
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
    let place = Place::with(&[("FUNCTIONS_KEY", "key-of-the-host")]).await;
    let (code, found) = place.examined(&["--url", &url]).await;
    assert_eq!(code, Some(2));
    assert_failed(&found, "function key", "Vault answers 502", "log");
}

#[tokio::test]
async fn files_that_were_announced_before_the_subscription_was_removed_do_not_hide_that() {
    let world = World::with(&[("MISSING_AFTER", "0s")]).await;
    let events = async || {
        let output = run(world.settings(), &["doctor", "--json"]).await;
        check(&report(&output), "events").clone()
    };
    let event = world
        .recording(json!({"call": {"chunks": [{"durationMs": 1000}]}}))
        .await;
    world.event(&event).await;
    let found = events().await;
    assert_eq!(found["result"], "fine", "{found}");
    // Its event never comes.
    let chunks = json!({"chunks": [{"durationMs": 1000}]});
    let call = world.admin("POST", "calls", chunks).await["serverCallId"].clone();
    let start = json!({"serverCallId": call});
    let started = world.api("POST", "/recordings", Some(start)).await.1;
    let id = started["recordingId"].as_str().expect("it is started");
    let stop = format!("/recordings/{id}/stop");
    world.api("POST", &stop, None).await;
    world.sweep().await;
    let found = events().await;
    let says = found["says"].as_str().unwrap_or_default();
    assert!(
        found["result"] == "failed" && says.contains("the files of 1 recording in time"),
        "{found}"
    );
}

#[tokio::test]
async fn a_newer_recording_that_cannot_be_read_is_not_said_to_be_on_time() {
    let world = World::new().await;
    let event = world
        .recording(json!({"call": {"chunks": [{"durationMs": 1000}]}}))
        .await;
    world.event(&event).await;
    let chunks = json!({"chunks": [{"durationMs": 1000}]});
    let call = world.admin("POST", "calls", chunks).await["serverCallId"].clone();
    let start = json!({"serverCallId": call});
    let started = world.api("POST", "/recordings", Some(start)).await.1;
    let id = started["recordingId"].as_str().expect("it is started");
    let folder = world
        .vault
        .with_file_name("vault-ledger")
        .join("recordings");
    let accounts = files_by_path(&folder);
    let newer = accounts
        .iter()
        .find(|(_, content)| String::from_utf8_lossy(content).contains(id));
    let (newer, _) = newer.expect("it has an account");
    std::fs::write(folder.join(newer), "no JSON").expect("the folder is ours");
    let output = run(world.settings(), &["doctor", "--json"]).await;
    let report = report(&output);
    let found = check(&report, "events");
    let says = found["says"].as_str().unwrap_or_default();
    assert!(
        found["result"] == "notChecked" && says.contains("the files of 1 newer recording"),
        "{found}"
    );
}

#[tokio::test]
async fn a_note_of_the_last_sweep_that_is_not_readable_is_not_a_missing_sweep() {
    let world = World::new().await;
    world.sweep().await;
    let ledger = world.vault.with_file_name("vault-ledger");
    std::fs::write(ledger.join("last-sweep.json"), "{").expect("the folder is ours");
    let output = run(world.settings(), &["doctor", "--json"]).await;
    assert_failed(
        &report(&output),
        "last sweep",
        "could not read `last-sweep.json`",
        "the next sweep",
    );
}

#[tokio::test]
async fn a_wrong_function_key_is_named_and_goes_nowhere_in_the_clear() {
    let refused = server(StatusCode::UNAUTHORIZED, &[], json!({})).await;
    let place = Place::with(&[("FUNCTIONS_KEY", "TOPSECRET")]).await;
    let (code, found) = place.examined(&["--url", &refused]).await;
    assert_eq!(
        (code, found.to_string().contains("TOPSECRET")),
        (Some(2), false)
    );
    assert_failed(&found, "handler", "401", "log");
    let (_, found) = place.examined(&["--url", "http://app.example"]).await;
    assert_failed(&found, "handler", "not https", "https://");
}

#[tokio::test]
async fn a_shell_without_settings_is_told_how_to_get_those_of_the_app() {
    let url = nobody().await;
    let unset = [("EXPORT_SWEEP_SCHEDULE", "0 * * * * *")];
    let unset: BTreeMap<_, _> = unset
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let output = run(&unset, &["doctor", "--json", "--url", &url]).await;
    assert_eq!(output.status.code(), Some(64));
    let found = report(&output);
    assert_failed(
        &found,
        "settings",
        "this shell has no settings",
        "az functionapp config appsettings list --name <app> --resource-group <group> | recording-vault --settings - doctor",
    );
    assert!(!found.to_string().contains("appsettings set"), "{found}");
    // Without the address of an app, it is this shell's settings that are missing.
    let found = report(&run(&unset, &["doctor", "--json"]).await);
    assert_failed(
        &found,
        "settings",
        "ACS_ENDPOINT is missing",
        "--settings ACS_ENDPOINT=<value>",
    );
}

/// Each of them fails for its own reason, and none is passed over.
#[tokio::test]
async fn what_settings_ask_for_besides_is_checked_or_said_not_to_be() {
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let closed = nobody().await;
    let external = format!("{closed}/acct/calls?sv=1&sig=TOPSECRET");
    let openid = format!("{closed}/openid");
    let notify = format!("{closed}/hook/TOPSECRET");
    let settings = [
        ("NOTIFY_URL", notify.as_str()),
        ("NOTIFY_SECRET", secret),
        ("TIMESTAMP_URL", &closed),
        ("TIMESTAMP_CA", "/nonexist"),
        ("EXTERNAL_STORAGE", &external),
        ("ACS_RESOURCE_ID", "00000000-0000-0000-0000-000000000001"),
        ("ACS_OPENID_URL", &openid),
        ("EVENT_GRID_AUDIENCE", "an-app"),
        ("EVENT_GRID_OPENID_URL", &openid),
        ("TELEPHONY_APP_ID", "00000000-0000-0000-0000-000000000002"),
        ("TELEPHONY_OPENID_URL", &openid),
        ("TELEPHONY_BOT_URL", &openid),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &closed),
        ("AUTO_RECORD", "all"),
    ];
    let (code, found) = Place::with(&settings).await.examined(&[]).await;
    assert_eq!(code, Some(2));
    for (name, setting) in [
        ("notifications", "NOTIFY_URL"),
        ("timestamp authority", "TIMESTAMP_URL"),
        ("timestamp certificates", "TIMESTAMP_CA"),
        ("external storage", "EXTERNAL_STORAGE"),
        ("tokens of ACS", "ACS_OPENID_URL"),
        ("tokens of Event Grid", "EVENT_GRID_OPENID_URL"),
        ("tokens of bots", "TELEPHONY_OPENID_URL"),
        ("results to the bot", "TELEPHONY_BOT_URL"),
        ("telemetry", "OTEL_EXPORTER_OTLP_ENDPOINT"),
    ] {
        assert_failed(&found, name, "", setting);
    }
    assert_eq!(
        check(&found, "automatic recording")["result"],
        "notChecked",
        "{found}"
    );
    assert!(!found.to_string().contains("TOPSECRET"), "{found}");
}

#[tokio::test]
async fn what_only_traffic_would_show_is_not_checked() {
    let receiver = server(StatusCode::NOT_FOUND, &[], json!({})).await;
    let issuer = Issuer::start().await;
    let openid = issuer.openid_url();
    let settings = [
        ("NOTIFY_URL", receiver.as_str()),
        ("NOTIFY_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
        ("ACS_RESOURCE_ID", "00000000-0000-0000-0000-000000000001"),
        ("ACS_OPENID_URL", &openid),
    ];
    let place = Place::with(&settings).await;
    let output = run(&place.settings, &["doctor"]).await;
    assert!(!text(&output).contains("Every check passed"), "{output:?}");
    let (code, found) = place.examined(&[]).await;
    assert_eq!(code, Some(0), "{found}");
    assert_eq!(check(&found, "notifications")["result"], "notChecked");
    assert_eq!(check(&found, "tokens of ACS")["result"], "fine");
}
