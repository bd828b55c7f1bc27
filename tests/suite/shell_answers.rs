//! Answers at the shell: with `--json`, each is a document, also "there is none" and a refusal; no text from outside forges a
//! line or reaches the terminal as a control character; and an id is found in every spelling.

use std::fs;
use std::process::Output;

use serde_json::{Value, json};

use crate::support::audited_vault::edit;
use crate::support::command::{self, report, text};
use crate::support::world::{World, document_ids, files_by_path};

const ANNA: &str = "8:acs:29bd5ea9_00000001";

async fn run(world: &World, arguments: &[&str]) -> Output {
    command::run(world.settings(), arguments).await
}

/// Exports a chunk of a call with these participants. Returns its event.
async fn exported(world: &World, participants: &[&str]) -> Value {
    let plan = json!({"call": {"participants": participants, "chunks": [{"durationMs": 1000}]}});
    let event = world.recording(plan).await;
    world.event(&event).await;
    world.sweep().await;
    event
}

fn day(offset: i64) -> String {
    let now = jiff::Zoned::now().with_time_zone(jiff::tz::TimeZone::UTC);
    let day = now.date().checked_add(jiff::Span::new().days(offset));
    day.expect("it is a day").to_string()
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a table of verbs")]
async fn every_answer_without_a_report_is_a_document_too() {
    let world = World::with(&[("DELETE_DELAY", "1h")]).await;
    exported(&world, &[ANNA]).await;
    let file = |name: &str| world.vault.with_file_name(name).display().to_string();
    let (media, metadata) = (file("a.wav"), file("a.json"));
    fs::write(&media, "media").expect("the folder is ours");
    fs::write(&metadata, "[1]").expect("the folder is ours");
    let (zip, tar) = (file("a.zip"), file("a.tar"));
    let (tomorrow, yesterday) = (day(2), day(-2));
    let app = "https://app.azurewebsites.net";
    let cases: &[(&[&str], &str, i32)] = &[
        (&["show", "0-eus-d1-none"], "notFound", 2),
        (&["audit", "show", "nobody"], "notFound", 2),
        (&["audit", "show", "030 123456"], "unknown", 2),
        (&["replay", "poison:none"], "notFound", 2),
        (&["evidence", "bm9ib2R5", "--to", &zip], "notFound", 2),
        (&["evidence", "--case", "none", "--to", &zip], "notFound", 2),
        (&["report", "--day", &tomorrow], "noData", 2),
        (
            &["reconcile", "--from", &tomorrow, "--to", &tomorrow],
            "noData",
            2,
        ),
        (
            &["reconcile", "--from", &yesterday, "--to", &yesterday],
            "noData",
            2,
        ),
        (
            &["reconcile", "--from", &tomorrow, "--to", &yesterday],
            "refused",
            2,
        ),
        (
            &[
                "import",
                &media,
                "--recording",
                "r-1",
                "--metadata",
                &metadata,
            ],
            "refused",
            2,
        ),
        (
            &["gdpr", "export", "8:acs:nobody", "--to", &tar],
            "notFound",
            2,
        ),
        (&["gdpr", "find", "030 123456"], "refused", 2),
        (&["list", "--person", "030 123456"], "refused", 2),
        (
            &["gdpr", "erase", ANNA, "--reason", "8:acs:bob asked"],
            "refused",
            2,
        ),
        (
            &["gdpr", "erase", ANNA, "--reason", "request 17"],
            "notConfirmed",
            1,
        ),
        (&["verify", "--of", "none"], "notFound", 2),
        (&["open", "none", "--url", app], "notFound", 2),
        (&["play-url", "0-eus-d1-none", "--url", app], "notFound", 2),
        (&["find", "2026-03-05..2026-03-01"], "refused", 2),
        (
            &["hold", "add", "--case", "A-1", "--person", "030 123456"],
            "refused",
            2,
        ),
    ];
    for (arguments, outcome, code) in cases {
        for form in ["--json", "--jsonl"] {
            let output = run(&world, &[*arguments, &[form]].concat()).await;
            let answer = report(&output);
            assert_eq!(
                (&answer["outcome"], output.status.code()),
                (&json!(outcome), Some(*code)),
                "{arguments:?}: {answer}"
            );
            let message = answer["message"].as_str().unwrap_or_default();
            assert!(!message.is_empty(), "{arguments:?}: {answer}");
        }
        // People read the same on standard error.
        let output = run(&world, arguments).await;
        assert_eq!(output.status.code(), Some(*code), "{arguments:?}");
        assert_eq!(text(&output), "", "{arguments:?}");
        assert!(!output.stderr.is_empty(), "{arguments:?}");
    }
}

/// What a verb prints has no control character but line breaks, and no line begins with `forged`.
fn assert_visible(output: &Output, arguments: &[&str]) -> String {
    let all = format!(
        "{}{}",
        text(output),
        String::from_utf8_lossy(&output.stderr)
    );
    let is_hidden =
        |character: char| character != '\n' && recording_vault::visible::is_hidden(character);
    assert!(!all.contains(is_hidden), "{arguments:?}: {all:?}");
    let is_forged = |line: &str| line.trim_start().starts_with("forged");
    assert!(!all.lines().any(is_forged), "{arguments:?}: {all}");
    all
}

#[tokio::test]
async fn no_text_from_outside_forges_a_line_or_controls_the_terminal() {
    let world = World::new().await;
    let participant = "8:acs:a\r\nforged\u{1b}[2J\u{202e}";
    exported(&world, &[participant]).await;
    let add = [
        "hold",
        "add",
        "--case",
        "A-1",
        "--recording",
        "r-1",
        "--yes",
    ];
    assert!(run(&world, &add).await.status.success());
    // As an earlier version, or another program, may have written it.
    let holds = world.vault.with_file_name("vault-ledger").join("holds");
    for name in files_by_path(&holds).into_keys() {
        edit(&holds.join(name), |hold| {
            hold["cases"][0]["requestedBy"] = "ada\u{1b}[2J".into();
            hold["cases"][0]["note"] = "ok\nforged".into();
        });
    }
    let today = day(0);
    for arguments in [
        &["list"][..],
        &["list", "--json"],
        &["report"],
        &["report", "--day", &today, "--json"],
        &["hold", "list"],
        &["hold", "list", "--json"],
        &["find", "x\u{1b}[2J\nforged"],
        &["audit", "show", "x\u{1b}[2J\nforged\u{9b}"],
        &[
            "open",
            "x\nforged",
            "--url",
            "https://app.azurewebsites.net",
        ],
        &["verify", "--of", "x\nforged\u{1b}"],
        &["list", "--top\u{1b}[2J"],
        &["show", "\u{1b}[2J"],
    ] {
        let output = run(&world, arguments).await;
        assert!(output.status.code().is_some(), "{arguments:?}");
        assert_visible(&output, arguments);
    }
    let listed = run(&world, &["hold", "list"]).await;
    let listed = assert_visible(&listed, &["hold", "list"]);
    assert!(listed.contains(r"ok\nforged"), "{listed}");
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a table of verbs")]
async fn the_name_of_a_document_begins_no_line_of_a_report() {
    let world = World::with(&[("VAULT_RETENTION", "48h")]).await;
    let event = exported(&world, &[ANNA]).await;
    let id = &document_ids(&event)[0];
    let ledger = world.vault.with_file_name("vault-ledger");
    let name = "x\nforged The audit log is whole.";
    let folders = [
        "audit",
        "audit/logs",
        "holds",
        "holds/standing",
        "chunks",
        "recordings",
        "poison",
        "people",
        "audit/people",
        "control",
        "keys",
        "corrupt",
    ];
    for folder in folders {
        let folder = ledger.join(folder);
        fs::create_dir_all(&folder).expect("the folder is ours");
        fs::write(folder.join(name), "{").expect("the folder is ours");
        fs::write(folder.join(format!("{name}.json")), "{").expect("the folder is ours");
    }
    fs::write(world.vault.join(name), "x").expect("the folder is ours");
    let file = |name: &str| world.vault.with_file_name(name).display().to_string();
    let (zip, case, tar) = (file("a.zip"), file("b.zip"), file("a.tar"));
    let replayed = world.vault.with_file_name("events");
    fs::create_dir(&replayed).expect("the folder is ours");
    fs::write(replayed.join(name), "no event").expect("the folder is ours");
    let replayed = format!("file://{}", replayed.display());
    let today = day(0);
    let mut said = String::new();
    for arguments in [
        &["audit", "verify"][..],
        &["audit", "verify", "--json"],
        &["audit", "show", "r-1"],
        &["hold", "list"],
        &["hold", "add", "--case", "A-1", "--person", ANNA, "--yes"],
        &[
            "hold",
            "add",
            "--case",
            "A-1",
            "--recording",
            "r-1",
            "--yes",
        ],
        &["hold", "release", "--case", "A-1", "--recording", "r-1"],
        &["list"],
        &["find", ANNA],
        &["show", id],
        &["open", "none", "--url", "https://app.azurewebsites.net"],
        &["status"],
        &["status", "--check"],
        &["report"],
        &["reconcile", "--from", &today, "--to", &today],
        &["verify"],
        &["retry"],
        &["replay", &replayed],
        &["accept", id],
        &["delete-source", "--dry-run"],
        &["retention", "plan"],
        &["retention", "apply", "--yes"],
        &["acknowledge", "r-1", "--reason", "a"],
        &["dismiss", "poison:x", "--reason", "a"],
        &["gdpr", "find", ANNA],
        &["gdpr", "export", ANNA, "--to", &tar],
        &["gdpr", "erase", ANNA, "--reason", "request 17", "--dry-run"],
        &["evidence", id, "--to", &zip],
        &["evidence", "--case", "A-1", "--to", &case],
        &["ledger", "index"],
        &["ledger", "rebuild"],
        &["gdpr", "erase", ANNA, "--reason", "request 17", "--yes"],
    ] {
        let output = run(&world, arguments).await;
        said += &assert_visible(&output, arguments);
    }
    assert!(said.contains(r"x\nforged"), "no verb named a document");
}

/// What writes a report says which lines it begins, by the functions of `visible`: texts from outside are in most.
#[test]
fn no_verb_writes_a_line_that_a_text_from_outside_can_begin() {
    let cli = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cli");
    // A table escapes its cells; `output` prints.
    let own = ["table.rs", "output.rs"];
    for (name, content) in files_by_path(&cli) {
        if own.contains(&name.as_str()) || !name.ends_with(".rs") {
            continue;
        }
        let source = String::from_utf8(content).expect("it is text");
        let code = source.split("#[cfg(test)]").next().unwrap_or_default();
        let bare: String = code.split_whitespace().collect();
        for forbidden in ["write!(f,", "writeln!(f,", r#"join("\n")"#] {
            assert!(
                !bare.contains(forbidden),
                "{name} has `{forbidden}`: use `visible::write_part`, `write_line` or `write_lines`"
            );
        }
    }
}

#[tokio::test]
async fn a_text_that_is_kept_has_no_control_character() {
    let world = World::with(&[("OPERATOR_ACTIONS", "on")]).await;
    exported(&world, &[ANNA]).await;
    let recording = ["--case", "A-1", "--recording", "r-1", "--yes"];
    for (option, value) in [
        ("--note", "ok\nforged"),
        ("--by", "ada\u{1b}[2J"),
        ("--note", "a\u{2028}b"),
        ("--note", "a\u{202e}b"),
        ("--by", "a\u{2066}b"),
    ] {
        let verb = [&["hold", "add", option, value][..], &recording].concat();
        let output = run(&world, &verb).await;
        assert_eq!(output.status.code(), Some(2), "{option}");
        let said = assert_visible(&output, &verb);
        assert!(said.contains("control character"), "{said}");
    }
    for verb in [
        &["acknowledge", "r-1", "--reason", "a\nb"][..],
        &["dismiss", "poison:x", "--reason", "a\rb"],
        &["gdpr", "erase", ANNA, "--yes", "--reason", "a\u{1b}b"],
    ] {
        let output = run(&world, verb).await;
        assert_eq!(output.status.code(), Some(2), "{verb:?}");
        assert_visible(&output, verb);
    }
    for (member, value) in [("note", "a\nb"), ("by", "a\u{1b}b")] {
        let hold = json!({"case": "A-1", "recordingId": "r-1", member: value});
        let (status, answer) = world.api("POST", "/vault/holds", Some(hold)).await;
        assert_eq!(status, 400, "{answer}");
        assert!(answer.to_string().contains("control character"), "{answer}");
    }
    let listed = report(&run(&world, &["hold", "list", "--json"]).await);
    assert_eq!(listed["holds"], json!([]), "{listed}");
}

#[tokio::test]
async fn a_recording_is_listed_and_verified_by_every_spelling_of_its_id() {
    let world = World::new().await;
    let event = exported(&world, &[ANNA]).await;
    let entry = world.ledger_entry(&document_ids(&event)[0]);
    let ids = ["recordingId", "serverCallId"].map(|name| entry["chunk"][name].as_str());
    let mut spellings = Vec::new();
    for id in ids.into_iter().flatten() {
        let bare = id.trim_end_matches('=');
        spellings.extend([
            format!("{bare}=="),
            bare.to_owned(),
            bare.replace('-', "+").replace('_', "/"),
            bare.replace('+', "-").replace('/', "_"),
        ]);
    }
    assert!(!spellings.is_empty(), "{entry}");
    let call = entry["chunk"]["callId"].as_str().expect("it has a call");
    let capitals = call.to_uppercase();
    spellings.extend([capitals[..8].to_owned(), capitals, call.to_lowercase()]);
    for spelling in spellings {
        for verb in ["list", "verify"] {
            let output = run(&world, &[verb, "--of", &spelling, "--json"]).await;
            assert_eq!(output.status.code(), Some(0), "{verb} {spelling}");
        }
    }
}

/// The exit code of a dry run, and of the erasure.
async fn erasing(world: &World, person: &str) -> (Value, Option<i32>, Option<i32>) {
    let erase = ["gdpr", "erase", person, "--reason", "request 17", "--json"];
    let preview = run(world, &[&erase[..], &["--dry-run"]].concat()).await;
    let erased = run(world, &[&erase[..], &["--yes"]].concat()).await;
    (
        report(&preview),
        preview.status.code(),
        erased.status.code(),
    )
}

#[tokio::test]
async fn a_dry_run_of_an_erasure_names_what_stays() {
    let world = World::new().await;
    let event = exported(&world, &[ANNA]).await;
    let (preview, planned, erased) = erasing(&world, "8:acs:nobody").await;
    assert_eq!((planned, erased), (Some(2), Some(2)), "{preview}");

    let entry = world.ledger_entry(&document_ids(&event)[0]);
    let recording = entry["chunk"]["recordingId"].as_str().expect("it has one");
    let of_hold = ["--case", "A-1", "--recording", recording];
    let add = [&["hold", "add", "--yes"][..], &of_hold].concat();
    assert!(run(&world, &add).await.status.success());
    let (preview, planned, erased) = erasing(&world, ANNA).await;
    assert_eq!((planned, erased), (Some(2), Some(2)), "{preview}");
    let reason = preview["left"][0]["reason"].as_str().unwrap_or_default();
    assert!(reason.contains("`A-1`"), "{preview}");
    assert_eq!(preview["recordings"].as_array().map(Vec::len), Some(1));

    let release = [&["hold", "release"][..], &of_hold].concat();
    assert!(run(&world, &release).await.status.success());
    let (preview, planned, erased) = erasing(&world, ANNA).await;
    assert_eq!((planned, erased), (Some(0), Some(0)), "{preview}");
    // Nothing is left of a person who was erased.
    let (preview, planned, erased) = erasing(&world, ANNA).await;
    assert_eq!((planned, erased), (Some(0), Some(0)), "{preview}");
}

#[tokio::test]
async fn a_dry_run_of_an_erasure_knows_a_person_who_was_an_operator() {
    let world = World::with(&[("OPERATOR_ACTIONS", "on")]).await;
    exported(&world, &[ANNA]).await;
    let operator = "8:acs:29bd5ea9_00000042";
    let id = json!({"case": "A-1", "recordingId": "r-1", "by": operator});
    let (status, answer) = world.api("POST", "/vault/holds", Some(id)).await;
    assert!((200..300).contains(&status), "{answer}");
    let (preview, planned, erased) = erasing(&world, operator).await;
    assert_eq!((planned, erased), (Some(0), Some(0)), "{preview}");
}

#[tokio::test]
async fn no_package_of_a_case_whose_holds_cannot_be_read_is_unknown() {
    let world = World::new().await;
    exported(&world, &[ANNA]).await;
    let holds = world.vault.with_file_name("vault-ledger").join("holds");
    fs::create_dir_all(&holds).expect("the folder is ours");
    fs::write(holds.join("x.json"), "{").expect("the folder is ours");
    let zip = world.vault.with_file_name("a.zip").display().to_string();
    let output = run(
        &world,
        &["evidence", "--case", "B-9", "--to", &zip, "--json"],
    )
    .await;
    let answer = report(&output);
    assert_eq!(answer["outcome"], "unknown", "{answer}");
    assert_eq!(output.status.code(), Some(2), "{answer}");
}

#[tokio::test]
async fn a_dry_run_of_an_erasure_counts_what_acs_keeps_for_now() {
    let world = World::with(&[("DELETE_DELAY", "1h")]).await;
    exported(&world, &[ANNA]).await;
    let (preview, planned, erased) = erasing(&world, ANNA).await;
    assert_eq!((planned, erased), (Some(2), Some(2)), "{preview}");
    let reason = preview["left"][0]["reason"].as_str().unwrap_or_default();
    assert!(reason.contains("DELETE_DELAY"), "{preview}");
}
