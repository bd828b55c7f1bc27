//! Mistakes at the shell: each ends with an exit code that fits and a sentence that says what is wrong. And `find`, which
//! finds what the API finds.

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::command::{report, run, text};
use crate::support::world::{BINARY, World, document_ids};

const ANNA: &str = "8:acs:29bd5ea9_00000001";

/// Arguments, exit code, and a part of what stderr says.
const MISTAKES: [(&[&str], i32, &str); 34] = [
    (&[], 2, "Usage"),
    (&["lst"], 2, "list"),
    (&["--jsn", "list"], 2, "--json"),
    (&["--json", "--jsonl", "list"], 2, "cannot be used with"),
    (&["list", "--state", "lost"], 2, "possible values"),
    (&["list", "everything"], 2, "unexpected argument"),
    (&["show"], 2, "<DOCUMENT>"),
    (&["show", "../../etc/passwd"], 2, "invalid value"),
    (&["show", "0-eus-d1-none"], 1, "there is no vault here"),
    (&["find"], 2, "<TEXT>"),
    (
        &["find", "2026-03-01..2026-02-01", "--top", "x"],
        2,
        "invalid value 'x'",
    ),
    (
        &["open", "nothing-of-that-name"],
        1,
        "there is no vault here",
    ),
    (
        &["open", "nothing", "--url", "app"],
        2,
        "invalid value 'app'",
    ),
    (&["play-url", "0-eus-d1-none"], 1, "there is no vault here"),
    (
        &["report", "--day", "yesterday"],
        2,
        "invalid value 'yesterday'",
    ),
    (&["report", "--day", "2026-02-30"], 2, "invalid value"),
    (&["reconcile", "--from", "2026-03-02"], 2, "--to"),
    (
        &["reconcile", "--from", "2026-03-02", "--to", "2026-03-01"],
        2,
        "",
    ),
    (
        &["verify", "--read-data-subset", "200%"],
        2,
        "invalid value",
    ),
    (
        &["verify", "--read-data-subset", "some"],
        2,
        "invalid value",
    ),
    (&["retry", ""], 2, "invalid value"),
    (&["accept"], 2, "<DOCUMENTS>"),
    (&["hold", "add", "--recording", "x"], 2, "--case"),
    (&["hold", "add", "--case", "A-1"], 2, "--recording"),
    (
        &["hold", "add", "--case", "", "--recording", "x"],
        2,
        "expected 1 to 128 characters",
    ),
    (&["hold", "rm"], 2, "unrecognized subcommand"),
    (&["gdpr", "erase", "8:acs:x"], 2, "--reason"),
    (
        &["gdpr", "erase", "8:acs:x", "--reason", " ", "--yes"],
        2,
        "the reason is empty",
    ),
    (
        &["gdpr", "export", "8:acs:x", "--to", "x.zip"],
        1,
        "does not end with .tar",
    ),
    (&["retention", "apply"], 64, "VAULT_RETENTION is not set"),
    (
        &["retention", "apply", "--yes", "--dry-run"],
        2,
        "cannot be used with",
    ),
    (&["completions", "tcsh"], 2, "possible values"),
    (
        &["list", "--settings", "/nowhere.json"],
        64,
        "could not read `/nowhere.json`",
    ),
    (
        &["serve", "--env-file", "x"],
        2,
        "what serves reads the environment",
    ),
];

#[test]
fn thirty_mistakes_at_the_shell_say_what_is_wrong() {
    let folder = tempfile::tempdir().expect("there is room for temporary files");
    let settings = BTreeMap::from([
        (
            "ACS_ENDPOINT",
            "https://contoso.communication.azure.com".to_owned(),
        ),
        ("ACS_ACCESS_KEY", "c2VjcmV0".to_owned()),
        (
            "VAULT_URL",
            format!("file://{}/vault", folder.path().display()),
        ),
    ]);
    let mut wrong = Vec::new();
    for (arguments, code, part) in MISTAKES {
        let mut command = Command::new(BINARY);
        let command = command.args(arguments).env_clear().envs(&settings);
        let output = command.output().expect("the binary runs");
        let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
        let is_told = complaint.contains(part) && !complaint.contains("panicked");
        if output.status.code() != Some(code) || !is_told {
            let found = output.status.code();
            wrong.push(format!(
                "{arguments:?}: {found:?}, expected {code} `{part}`: {complaint}"
            ));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// Ids of the recordings of an answer.
fn ids(found: &Value) -> Vec<String> {
    let rows = found["recordings"].as_array().expect("there is a list");
    rows.iter()
        .map(|row| {
            row["recordingId"]
                .as_str()
                .expect("a row has an id")
                .to_owned()
        })
        .collect()
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a table of searches in one world")]
async fn find_finds_what_the_api_finds_by_anything_that_is_known() {
    let world = World::new().await;
    let call = json!({"participants": [ANNA, "4:+15551230001"], "chunks": [{"durationMs": 2000}]});
    let event = world.recording(json!({"call": call})).await;
    let other = json!({"participants": ["8:acs:other"], "chunks": [{"durationMs": 2000}]});
    let other = world.recording(json!({"call": other})).await;
    for event in [&event, &other] {
        world.event(event).await;
    }
    world.sweep().await;
    let (_, found) = world
        .api(
            "GET",
            &format!("/vault/recordings?participant={ANNA}"),
            None,
        )
        .await;
    let row = found["recordings"][0].clone();
    let of = |name: &str| row[name].as_str().expect("a row has it").to_owned();
    let (id, day) = (of("recordingId"), of("startedAt")[..10].to_owned());
    let hold = [
        "hold",
        "add",
        "--case",
        "Complaint 2026/17",
        "--recording",
        &id,
    ];
    assert!(run(world.settings(), &hold).await.status.success());
    for (text, expected) in [
        (id.clone(), 1),
        (id[..id.len() - 6].to_owned(), 1),
        (of("callId"), 1),
        (of("serverCallId"), 1),
        (document_ids(&event)[0].clone(), 1),
        (ANNA.to_uppercase(), 1),
        ("4:+15551230001".to_owned(), 1),
        ("complaint 2026".to_owned(), 1),
        (day.clone(), 2),
        (format!("{}..", &day[..7]), 2),
        ("1999-01-01..1999-12-31".to_owned(), 0),
        ("lost".to_owned(), 0),
        ("of nobody".to_owned(), 0),
    ] {
        let output = run(world.settings(), &["find", &text, "--json"]).await;
        let by_shell = ids(&report(&output));
        let code = if expected == 0 { 2 } else { 0 };
        assert_eq!(output.status.code(), Some(code), "{text}");
        // As a caller writes it who forgets to encode the plus sign.
        let query = text.replace(' ', "%20");
        let (status, by_api) = world
            .api("GET", &format!("/vault/recordings?q={query}"), None)
            .await;
        assert_eq!(status, 200, "{text}: {by_api}");
        assert_eq!(
            (by_shell.len(), &by_shell),
            (expected, &ids(&by_api)),
            "{text}"
        );
    }
    let (_, plus) = world
        .api("GET", "/vault/recordings?participant=4:+15551230001", None)
        .await;
    assert_eq!(ids(&plus), std::slice::from_ref(&id));

    let found = text(&run(world.settings(), &["find", &day]).await);
    assert!(
        found.starts_with("started") && found.contains("2 recordings."),
        "{found}"
    );
    let url = ["--url", "https://app.example"];
    let opened = run(world.settings(), &[&["open", &id][..], &url].concat()).await;
    assert!(text(&opened).starts_with("https://app.example/api/vault/#/recordings/"));
    let many = run(world.settings(), &[&["open", &day][..], &url].concat()).await;
    assert_eq!(many.status.code(), Some(2));
}

#[tokio::test]
async fn a_play_url_plays_without_a_key() {
    let world = World::new().await;
    let call = json!({"chunks": [{"durationMs": 1000}]});
    let event = world.recording(json!({"call": call})).await;
    world.event(&event).await;
    world.sweep().await;
    let id = &document_ids(&event)[0];
    let host = world.host.url();
    let printed = text(&run(world.settings(), &["play-url", id, "--url", &host]).await);
    let response = world.client.get(printed.trim()).send().await;
    let response = response.expect("the host answers");
    assert_eq!(response.status(), 200);
    let length = response.bytes().await.expect("it arrives").len();
    assert!(length > 1000, "{length} bytes");
    let nowhere = run(world.settings(), &["play-url", id]).await;
    assert_eq!(nowhere.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&nowhere.stderr).contains("FUNCTIONS_URL"));
}
