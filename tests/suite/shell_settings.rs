//! Where verbs read settings: the environment, a file of lines, an app's settings; and how they sign in on a laptop.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use axum::Router;
use axum::http::{HeaderMap, StatusCode, header};
use futures::FutureExt as _;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;

use crate::support::command::{report, text};
use crate::support::identity::{self, FakeIdentity};
use crate::support::world::BINARY;

/// Settings of a vault in a folder, whose ACS is never asked.
fn settings(folder: &Path) -> BTreeMap<&'static str, String> {
    BTreeMap::from([
        (
            "ACS_ENDPOINT",
            "https://contoso.communication.azure.com".to_owned(),
        ),
        ("ACS_ACCESS_KEY", "c2VjcmV0".to_owned()),
        ("VAULT_URL", format!("file://{}/vault", folder.display())),
    ])
}

/// What `az functionapp config appsettings list` prints.
fn of_azure(settings: &BTreeMap<&str, String>) -> String {
    let list = settings
        .iter()
        .map(|(name, value)| json!({"name": name, "slotSetting": false, "value": value}));
    Value::Array(list.collect()).to_string()
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("there is room for temporary files")
}

fn written(folder: &TempDir, name: &str, content: &str) -> PathBuf {
    let path = folder.path().join(name);
    fs::write(&path, content).expect("the folder is ours");
    path
}

/// Runs a verb in an environment of its own, with this on its standard input.
fn run(environment: &[(&str, &str)], arguments: &[&str], input: &str) -> Output {
    let mut command = Command::new(BINARY);
    let command = command
        .args(arguments)
        .env_clear()
        .envs(environment.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("the binary runs");
    // A verb that does not read it may have ended already.
    let _ = (child.stdin.take().expect("it is piped")).write_all(input.as_bytes());
    child.wait_with_output().expect("it ends")
}

fn complaint(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The settings were read and are valid, and nothing was ever recorded there.
fn assert_reads_an_unused_vault(output: &Output) {
    let complaint = complaint(output);
    assert!(
        output.status.code() == Some(1) && complaint.contains("nothing was ever stored at"),
        "{complaint}"
    );
}

#[test]
fn a_file_of_lines_replaces_the_environment_name_by_name() {
    let folder = folder();
    let given = settings(folder.path());
    let path = written(
        &folder,
        "app.env",
        &format!(
            "# of this vault\nexport VAULT_URL='{}'\nACS_ACCESS_KEY={}\n",
            given["VAULT_URL"], given["ACS_ACCESS_KEY"]
        ),
    );
    let environment = [
        ("ACS_ENDPOINT", given["ACS_ENDPOINT"].as_str()),
        ("VAULT_URL", "file:///another/vault"),
    ];
    let path = path.to_str().expect("the folder's name is text");
    for arguments in [
        ["--env-file", path, "hold", "list", "--json"],
        ["hold", "list", "--json", "--env-file", path],
    ] {
        let output = run(&environment, &arguments, "");
        assert_reads_an_unused_vault(&output);
    }
}

#[test]
fn an_apps_settings_are_read_from_a_file_and_from_azures_output_and_no_other_app_comes_in_between()
{
    let folder = folder();
    let given = settings(folder.path());
    let local = json!({"IsEncrypted": false, "Values": given}).to_string();
    let path = written(&folder, "local.settings.json", &local);
    let path = path.to_str().expect("the folder's name is text");
    // The ledger of another app would be a mixture of both.
    let environment = [("LEDGER_URL", "s3://not-a-ledger"), ("BLOCK_SIZE", "7")];
    for (source, input) in [(path, String::new()), ("-", of_azure(&given))] {
        let output = run(
            &environment,
            &["hold", "list", "--json", "--settings", source],
            &input,
        );
        assert_reads_an_unused_vault(&output);
    }
    let output = run(&environment, &["hold", "list"], "");
    assert_eq!(output.status.code(), Some(64));
}

#[test]
fn what_cannot_be_read_is_named_without_its_values() {
    let folder = folder();
    let encrypted = written(
        &folder,
        "encrypted.json",
        r#"{"IsEncrypted": true, "Values": {"A": "TOPSECRET"}}"#,
    );
    let lines = written(&folder, "lines.env", "VAULT_URL=file:///x\nTOPSECRET\n");
    let of = |path: &Path| path.to_str().expect("the folder's name is text").to_owned();
    for (option, source, input, expected) in [
        ("--settings", of(&encrypted), "", "func settings decrypt"),
        (
            "--settings",
            "-".to_owned(),
            "",
            "does the `az` command before the pipe fail?",
        ),
        (
            "--settings",
            "-".to_owned(),
            "TOPSECRET",
            "standard input: it is not JSON",
        ),
        (
            "--settings",
            "/nowhere.json".to_owned(),
            "",
            "could not read `/nowhere.json`",
        ),
        ("--env-file", of(&lines), "", "line 2 has no `=`"),
        (
            "--env-file",
            "/nowhere.env".to_owned(),
            "",
            "could not read `/nowhere.env`",
        ),
    ] {
        let output = run(&[], &["list", option, &source], input);
        let said = complaint(&output);
        assert_eq!(output.status.code(), Some(64), "{said}");
        assert!(
            said.contains(expected) && !said.contains("TOPSECRET"),
            "{said}"
        );
    }
}

#[test]
fn invalid_settings_say_where_they_come_from() {
    let folder = folder();
    let path = written(&folder, "app.json", r#"{"Values": {"BLOCK_SIZE": "7"}}"#);
    let path = path.to_str().expect("the folder's name is text");
    let output = run(&[], &["list", "--settings", path], "");
    let said = complaint(&output);
    assert_eq!(output.status.code(), Some(64));
    assert!(
        said.contains(&format!("Read from `{path}`: ")) && said.contains("VAULT_URL is missing"),
        "{said}"
    );
}

#[test]
fn what_serves_reads_the_environment_only() {
    let options: [&[&str]; 4] = [
        &["--settings", "app.json"],
        &["--env-file", "app.json"],
        &["--json"],
        &["--jsonl"],
    ];
    for options in options {
        let output = run(&[], &[&["serve"], options].concat(), "");
        assert_eq!(output.status.code(), Some(2), "{}", complaint(&output));
        assert!(complaint(&output).contains("are for verbs that report"));
    }
}

/// An ACS that answers "not found" to the Azure CLI's token, and 401 to everything else.
async fn acs_for(token: &'static str) -> String {
    let answer = move |headers: HeaderMap| async move {
        let given = headers.get(header::AUTHORIZATION);
        let is_ours = given.is_some_and(|given| given == format!("Bearer {token}").as_str());
        let (status, code) = if is_ours {
            (StatusCode::NOT_FOUND, "8522")
        } else {
            (StatusCode::UNAUTHORIZED, "7509")
        };
        let error = json!({"error": {"code": code, "message": "an answer"}});
        (status, axum::Json(error))
    };
    let listener = TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port is free");
    let url = format!("http://{}", listener.local_addr().expect("it is bound"));
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
    url
}

/// A stand-in for `az` that has this token.
fn az(folder: &TempDir, token: &str) -> String {
    let tools = folder.path().join("tools");
    fs::create_dir(&tools).expect("the folder is ours");
    let answer =
        json!({"accessToken": token, "expires_on": 4_102_444_800_i64, "tokenType": "Bearer"});
    let script = format!("#!/bin/sh\necho '{answer}'\n");
    fs::write(tools.join("az"), script).expect("the folder is ours");
    fs::set_permissions(tools.join("az"), fs::Permissions::from_mode(0o755))
        .expect("the folder is ours");
    format!("{}:/usr/bin:/bin", tools.display())
}

#[tokio::test]
async fn without_a_managed_identity_a_verb_signs_in_with_the_login_of_the_azure_cli() {
    let folder = folder();
    let mut given = settings(folder.path());
    given.insert("ACS_ENDPOINT", acs_for("of-the-cli").await);
    given.remove("ACS_ACCESS_KEY");
    let path = az(&folder, "of-the-cli");
    let input = of_azure(&given);
    let doctor = move || {
        let arguments = ["doctor", "--json", "--settings", "-"];
        // A port at which nothing listens: the endpoint of a managed identity that is not there.
        let environment = [
            ("PATH", path.as_str()),
            ("IDENTITY_ENDPOINT", "http://127.0.0.1:9/"),
            ("IDENTITY_HEADER", "x"),
        ];
        run(&environment, &arguments, &input)
    };
    // What it asks is answered by tasks of this test.
    let output = tokio::task::spawn_blocking(doctor).await;
    let found = report(&output.expect("nothing panics there"));
    let said = |name: &str| {
        let checks = found["checks"].as_array().expect("there are checks");
        let check = checks.iter().find(|check| check["name"] == name);
        check.unwrap_or_else(|| panic!("no check `{name}` in {found}"))["says"].to_string()
    };
    assert!(
        said("settings").contains("read from standard input"),
        "{found}"
    );
    assert!(
        said("identity for ACS").contains("the login of the Azure CLI returns a token"),
        "{found}"
    );
    assert!(
        said("ACS").contains("accepts our token") && said("ACS").contains("(with your account)"),
        "{found}"
    );
    assert!(
        said("rights of the app").contains("whether the app's identity has its roles is not known"),
        "{found}"
    );
    assert!(
        said("vault").contains("the app runs in Azure"),
        "a directory of this machine is not looked at: {found}"
    );
    assert!(!folder.path().join("vault").exists());
}

#[test]
fn the_handler_does_not_start_in_azure_with_a_vault_that_is_lost_with_the_instance() {
    let folder = folder();
    let given = settings(folder.path());
    let mut environment: Vec<(&str, &str)> = given
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    environment.extend([
        ("FUNCTIONS_CUSTOMHANDLER_PORT", "0"),
        ("WEBSITE_SITE_NAME", "contoso-vault"),
    ]);
    let output = run(&environment, &["serve"], "");
    let said = complaint(&output);
    assert_eq!(output.status.code(), Some(64), "{said}");
    assert!(said.contains("VAULT_URL is a directory"), "{said}");
}

/// A secret in plain text would replace the reference in the app.
#[test]
fn doctor_leaves_a_reference_to_key_vault_in_the_app() {
    let folder = folder();
    let mut given = settings(folder.path());
    let reference = "@Microsoft.KeyVault(SecretUri=https://v.vault.azure.net/secrets/s)";
    given.insert("ACS_ACCESS_KEY", reference.to_owned());
    given.insert("EVENT_GRID_SECRET", reference.to_owned());
    let output = run(
        &[],
        &["doctor", "--json", "--settings", "-"],
        &of_azure(&given),
    );
    assert_eq!(output.status.code(), Some(64));
    let found = report(&output);
    let failed = found["checks"].as_array().expect("there are checks");
    let failed: Vec<&Value> = failed
        .iter()
        .filter(|check| check["result"] == "failed")
        .collect();
    assert_eq!(failed.len(), 1, "{found}");
    let remedy = failed[0]["remedy"].as_str().expect("it has a remedy");
    assert!(
        remedy.contains("az keyvault secret show") && !remedy.contains("appsettings set"),
        "{remedy}"
    );
    let says = failed[0]["says"].as_str().expect("it says something");
    assert!(says.starts_with("ACS_ACCESS_KEY refers"), "{says}");
}

#[tokio::test]
async fn replay_sends_no_token_to_a_host_that_only_the_command_line_names() {
    let (folder, identity) = (folder(), FakeIdentity::start().await);
    let stranger = TcpListener::bind("127.0.0.1:0").await;
    let stranger = stranger.expect("a port is free");
    let address = stranger.local_addr().expect("it is bound");
    let mut given = settings(folder.path());
    given.insert("IDENTITY_ENDPOINT", identity.url.clone());
    given.insert("IDENTITY_HEADER", identity::HEADER.to_owned());
    let running = tokio::task::spawn_blocking(move || {
        let environment: Vec<(&str, &str)> = given
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let from = format!("https://{address}/deadletters");
        run(&environment, &["replay", &from], "")
    });
    let output = running.await.expect("nothing panics there");
    let said = complaint(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("add the URL to REPLAY_FROM"), "{said}");
    let asked = identity
        .asked
        .lock()
        .expect("no holder of this lock panics");
    assert!(asked.is_empty(), "{asked:?}");
    assert!(stranger.accept().now_or_never().is_none(), "it was asked");
}

#[test]
fn the_version_has_the_commit() {
    let output = run(&[], &["--version"], "");
    let version = text(&output);
    let expected = format!("recording-vault {} (", env!("CARGO_PKG_VERSION"));
    assert!(version.starts_with(&expected), "{version}");
    assert!(version.trim_end().ends_with(')'), "{version}");
}

#[test]
fn a_shell_completes_verbs_states_and_ids_of_the_ledger() {
    let folder = folder();
    let given = settings(folder.path());
    let chunks = folder.path().join("vault-ledger/chunks");
    fs::create_dir_all(&chunks).expect("the folder is ours");
    for id in ["0-eus-d1-a", "0-eus-d1-b", "0-wus-d1-c"] {
        fs::write(chunks.join(format!("{id}.json")), "{}").expect("the folder is ours");
    }
    let completed = |words: &[&str]| {
        let mut environment: Vec<(&str, &str)> = given
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let index = (words.len() - 1).to_string();
        environment.push(("RECORDING_VAULT_COMPLETE", "bash"));
        environment.push(("_CLAP_COMPLETE_INDEX", &index));
        environment.push(("_CLAP_COMPLETE_COMP_TYPE", "9"));
        environment.push(("_CLAP_IFS", "\n"));
        let output = run(&environment, &[&["--"], words].concat(), "");
        assert_eq!(complaint(&output), "");
        let words: Vec<String> = text(&output).lines().map(str::to_owned).collect();
        words
    };
    assert_eq!(completed(&["recording-vault", "rec"]), ["reconcile"]);
    assert_eq!(completed(&["recording-vault", "hold", "rel"]), ["release"]);
    assert_eq!(
        completed(&["recording-vault", "list", "--state", "dead"]),
        ["deadLettered"]
    );
    assert_eq!(
        completed(&["recording-vault", "show", "0-eus"]),
        ["0-eus-d1-a", "0-eus-d1-b"]
    );
    assert_eq!(
        completed(&["recording-vault", "retry", "0-eus-d1-a", "0-w"]),
        ["0-wus-d1-c"]
    );
}

#[test]
fn every_verb_that_deletes_asks_and_no_answer_is_no() {
    let folder = folder();
    let mut given = settings(folder.path());
    given.insert("VAULT_RETENTION", "24h".to_owned());
    for verb in [
        &["retention", "apply"][..],
        &["delete-source"],
        &["gdpr", "erase", "8:acs:x", "--reason", "asked for"],
    ] {
        for option in ["--yes", "--dry-run"] {
            let arguments = [verb, &["--settings", "-", option]].concat();
            let output = run(&[], &arguments, &of_azure(&given));
            assert_reads_an_unused_vault(&output);
        }
        let both = run(&[], &[verb, &["--yes", "--dry-run"]].concat(), "");
        assert_eq!(both.status.code(), Some(2), "{verb:?}");
    }
}

#[tokio::test]
async fn a_storage_that_fails_is_named_once_and_with_what_to_run() {
    let listener = TcpListener::bind("127.0.0.1:0").await;
    let address = listener.expect("a port is free").local_addr();
    let address = address.expect("it is bound");
    let folder = folder();
    let mut settings = settings(folder.path());
    let vault = format!("http://{address}/acct/calls?sv=1&sig=TOPSECRET");
    settings.insert("VAULT_URL", vault);
    let environment: Vec<(&str, String)> = settings.into_iter().collect();
    let running = tokio::task::spawn_blocking(move || {
        let environment: Vec<(&str, &str)> = environment
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        run(&environment, &["list"], "")
    });
    let output = running.await.expect("nothing panics there");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        !said.contains("INFO") && !said.contains("TOPSECRET"),
        "{said}"
    );
    let last = said.lines().last().unwrap_or_default();
    assert!(
        last.contains("/acct/calls-ledger") && last.contains("Run `recording-vault doctor`"),
        "{said}"
    );
}
