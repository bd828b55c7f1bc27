//! What holds of every verb at the command line: closed sets of words, `--json`, closed pipes, and actions that are repeated.

use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::rights::principal;
use crate::support::audit::audit_records;
use crate::support::command::{report, run, text};
use crate::support::world::{BINARY, World, document_ids};

async fn shell(world: &World, arguments: &[&str]) -> Output {
    run(world.settings(), arguments).await
}

/// Runs a verb without any setting.
fn bare(arguments: &[&str]) -> Output {
    let mut command = Command::new(BINARY);
    let command = command.args(arguments).env_clear();
    command.output().expect("the binary runs")
}

/// Posts to the vault's API as somebody who signed in.
async fn post(world: &World, path: &str, body: Value) -> (u16, Value) {
    let url = format!("{}/api/vault{path}", world.host.url());
    let request = world
        .client
        .post(url)
        .headers(principal("ada@contoso.com", &["Recordings.Operate"]))
        .body(body.to_string());
    let response = request.send().await.expect("the host answers");
    let status = response.status().as_u16();
    (status, response.json().await.expect("it is JSON"))
}

fn of_subject(event: &Value, name: &str) -> String {
    let subject = event["subject"].as_str().expect("an event has a subject");
    let mut segments = subject.split('/').skip_while(|segment| *segment != name);
    segments.nth(1).expect("it is in the subject").to_owned()
}

#[rstest::rstest]
#[case(
    &["list", "--state", "exportd"],
    &["pending", "exported", "sourceDeleted", "sourceLeft", "removing", "removed", "inPlace", "expired", "deadLettered"]
)]
#[case(&["completions", "bsh"], &["bash", "elvish", "fish", "powershell", "zsh"])]
#[case(&["hold", "relase"], &["release"])]
fn a_word_outside_a_closed_set_is_an_error_that_names_the_choices(
    #[case] arguments: &[&str],
    #[case] choices: &[&str],
) {
    let output = bare(arguments);
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{complaint}");
    assert!(output.stdout.is_empty(), "{}", text(&output));
    for choice in choices {
        assert!(complaint.contains(choice), "{choice} is not in {complaint}");
    }
}

/// A hold of what is not recorded yet: from now on the vault is used.
async fn hold_something(world: &World) {
    let add = [
        "hold",
        "add",
        "--yes",
        "--case",
        "A-1",
        "--recording",
        "later",
    ];
    let output = shell(world, &add).await;
    assert!(output.status.success(), "{output:?}");
}

#[tokio::test]
async fn json_is_printed_wherever_the_flag_stands() {
    let world = World::new().await;
    hold_something(&world).await;
    for arguments in [
        &["--json", "hold", "list"],
        &["hold", "--json", "list"],
        &["hold", "list", "--json"],
    ] {
        let output = shell(&world, arguments).await;
        let holds = report(&output)["holds"].as_array().map(Vec::len);
        assert_eq!(holds, Some(1), "{arguments:?}");
    }
}

#[tokio::test]
async fn a_reader_that_closes_its_pipe_ends_a_verb_quietly() {
    let world = World::new().await;
    hold_something(&world).await;
    for arguments in [
        &["openapi"][..],
        &["completions", "bash"],
        &["hold", "list"],
        &["hold", "list", "--json"],
    ] {
        let (reader, writer) = std::io::pipe().expect("there are pipes");
        drop(reader);
        let mut command = Command::new(BINARY);
        command
            .args(arguments)
            .env_clear()
            .envs(world.settings())
            .stdout(writer)
            .stderr(Stdio::piped());
        let output =
            tokio::task::spawn_blocking(move || command.output().expect("the binary runs"))
                .await
                .expect("nothing panics there");
        let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {complaint}");
        assert_eq!(complaint, "", "{arguments:?}");
    }
}

#[test]
fn a_report_that_cannot_be_written_is_a_failure() {
    let full = std::fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .expect("Linux has it");
    let mut command = Command::new(BINARY);
    let output = command
        .arg("openapi")
        .stdout(full)
        .stderr(Stdio::piped())
        .output()
        .expect("the binary runs");
    assert_eq!(output.status.code(), Some(1));
    assert!(!output.stderr.is_empty());
}

#[tokio::test]
async fn a_hold_before_its_recording_is_known_has_one_record_of_the_same_form_at_each_door() {
    let world = World::with(&[("OPERATOR_ACTIONS", "on"), ("WEBSITE_AUTH_ENABLED", "True")]).await;
    for repeated in [false, true] {
        let add = "hold add --yes --case A-1 --by legal --recording shell --json";
        let add: Vec<&str> = add.split(' ').collect();
        let shell = report(&shell(&world, &add).await);
        assert_eq!(
            (&shell["chunks"], &shell["isNew"]),
            (&json!([]), &json!(!repeated)),
            "{shell}"
        );
        let body = json!({"case": "A-1", "by": "legal"});
        let (status, api) = post(&world, "/recordings/api/hold", body).await;
        assert_eq!(
            (status, &api["holds"][0]["requestedBy"]),
            (200, &json!("legal")),
            "{api}"
        );
        assert!(
            api["message"]
                .as_str()
                .is_some_and(|message| message.contains("is known yet")),
            "{api}"
        );
    }
    let said = text(
        &shell(
            &world,
            &["hold", "add", "--case", "A-1", "--recording", "shell"],
        )
        .await,
    );
    assert!(said.contains("no such chunk is known yet"), "{said}");
    let details: Vec<Value> = ["shell", "api"]
        .iter()
        .map(|door| {
            let mut records = audit_records(&world, "held", &format!("recording {door}"));
            assert_eq!(records.len(), 1, "{records:?}");
            let mut detail = records.remove(0)["detail"].take();
            assert_eq!(detail["through"], *door, "{detail}");
            let members = detail.as_object_mut().expect("it has members");
            // Each door names the operator in its own way; only a host sends a request again.
            for member in ["through", "by", "claimedBy", "invocation"] {
                members.remove(member);
            }
            detail
        })
        .collect();
    assert_eq!(details[0], details[1]);
    assert_eq!(details[0], json!({"case": "A-1", "wantedBy": "legal"}));
}

#[tokio::test]
async fn a_hold_that_came_before_its_recording_keeps_it() {
    let world = World::with(&[("OPERATOR_ACTIONS", "on")]).await;
    let event = world
        .recording(json!({"call": {"chunks": [{"durationMs": 1000}]}}))
        .await;
    let recording = of_subject(&event, "recordingId");
    let path = format!("/recordings/{recording}/hold");
    assert_eq!(post(&world, &path, json!({"case": "A-1"})).await.0, 200);
    world.event(&event).await;
    world.sweep().await;
    let id = &document_ids(&event)[0];
    assert_eq!(world.ledger_entry(id)["state"]["name"], "exported");
    let held = report(
        &shell(
            &world,
            &[
                "hold",
                "add",
                "--case",
                "A-1",
                "--recording",
                &recording,
                "--json",
            ],
        )
        .await,
    );
    assert_eq!(
        (&held["chunks"], &held["isNew"]),
        (&json!([id]), &json!(false)),
        "{held}"
    );
}

#[tokio::test]
async fn a_release_that_is_repeated_is_said_to_be_done_already_and_has_one_record() {
    let world = World::with(&[("OPERATOR_ACTIONS", "on")]).await;
    for recording in ["shell", "api"] {
        let add = [
            "hold",
            "add",
            "--yes",
            "--case",
            "A-1",
            "--recording",
            recording,
        ];
        assert!(shell(&world, &add).await.status.success());
    }
    let release = ["hold", "release", "--case", "A-1", "--recording", "shell"];
    let first = shell(&world, &release).await;
    let again = shell(&world, &release).await;
    assert_eq!(
        (first.status.code(), again.status.code()),
        (Some(0), Some(0))
    );
    let (first, again) = (text(&first), text(&again));
    for said in [&first, &again] {
        assert!(said.contains("is no longer held for `A-1`"), "{said}");
    }
    assert!(!first.contains("already") && again.contains("already"));
    let path = "/recordings/api/release";
    let first = post(&world, path, json!({"case": "A-1"})).await;
    let again = post(&world, path, json!({"case": "A-1"})).await;
    assert_eq!((first.0, &first.1["holds"]), (200, &json!([])));
    assert_eq!(first, again);
    for recording in ["shell", "api"] {
        let records = audit_records(&world, "released", &format!("recording {recording}"));
        assert_eq!(records.len(), 1, "{records:?}");
    }
    // A case that never held it is a slip of the pen, which must not look like a release.
    let slip = ["hold", "release", "--case", "A-7", "--recording", "shell"];
    let slip = shell(&world, &slip).await;
    assert_eq!(slip.status.code(), Some(2), "{}", text(&slip));
    // Held again, it can be released again.
    let add = [
        "hold",
        "add",
        "--case",
        "A-1",
        "--recording",
        "shell",
        "--json",
    ];
    assert_eq!(report(&shell(&world, &add).await)["isNew"], true);
    assert!(shell(&world, &release).await.status.success());
    assert_eq!(
        audit_records(&world, "released", "recording shell").len(),
        2
    );
}

#[tokio::test]
async fn a_retry_that_is_repeated_has_the_same_answer_and_one_record() {
    let world = World::with(&[("ACS_CONTENT_HOSTS", ""), ("OPERATOR_ACTIONS", "on")]).await;
    let mut ids = Vec::new();
    for _ in 0..2 {
        let event = world
            .recording(json!({"call": {"chunks": [{"durationMs": 1000}]}}))
            .await;
        world.event(&event).await;
        let id = document_ids(&event)[0].clone();
        assert_eq!(world.ledger_entry(&id)["state"]["name"], "deadLettered");
        ids.push(id);
    }
    let retry = ["retry", "--json", &ids[0]];
    let first = shell(&world, &retry).await;
    let again = shell(&world, &retry).await;
    assert_eq!(
        (first.status.code(), again.status.code()),
        (Some(0), Some(0))
    );
    assert_eq!(report(&first)["opened"], json!([ids[0]]));
    assert_eq!(report(&first), report(&again));
    let path = format!("/chunks/{}/retry", ids[1]);
    let first = post(&world, &path, Value::Null).await;
    let again = post(&world, &path, Value::Null).await;
    assert_eq!(first.1["state"], "pending", "{}", first.1);
    assert_eq!((first.0, &first), (200, &again));
    for (id, door) in [(&ids[0], "shell"), (&ids[1], "api")] {
        let records = audit_records(&world, "retried", id);
        assert_eq!(records.len(), 1, "{records:?}");
        assert_eq!(records[0]["detail"]["through"], door, "{records:?}");
    }
}

#[tokio::test]
async fn an_acceptance_that_is_repeated_has_the_state_of_the_source_and_one_record() {
    let world = World::new().await;
    let short = json!({"call": {"chunks": [{"durationMs": 5000, "metadataDurationMs": 60_000}]}});
    let event = world.recording(short).await;
    world.event(&event).await;
    let id = document_ids(&event)[0].clone();
    let accept = ["accept", "--json", &id];
    let first = shell(&world, &accept).await;
    let again = shell(&world, &accept).await;
    // Its source is deleted then.
    world.sweep().await;
    assert_eq!(world.ledger_entry(&id)["state"]["name"], "sourceDeleted");
    let late = shell(&world, &accept).await;
    for (answer, source, already) in [
        (&first, "accepted", json!([])),
        (&again, "accepted", json!([id])),
        (&late, "sourceGone", json!([id])),
    ] {
        let report = report(answer);
        assert!(answer.status.success(), "{report}");
        assert_eq!(report[source], json!([id]), "{report}");
        assert_eq!(report["alreadyAccepted"], already, "{report}");
    }
    assert_eq!(audit_records(&world, "accepted", &id).len(), 1);
}

#[tokio::test]
async fn a_storage_that_cannot_be_read_makes_a_copy_unchecked_and_not_wrong() {
    let world = World::with(&[("OPERATOR_ACTIONS", "on")]).await;
    let event = world
        .recording(json!({"call": {"chunks": [{"durationMs": 1000}]}}))
        .await;
    world.event(&event).await;
    let id = document_ids(&event)[0].clone();
    let path = format!("/chunks/{id}/verify");
    assert_eq!(post(&world, &path, Value::Null).await.1["verified"], true);
    // A file stands where the day's folder was: everything below it is an error, and none of it "not found".
    let name = world.ledger_entry(&id)["state"]["receipt"]["media"]["name"].clone();
    let day = name.as_str().and_then(|name| name.split('/').next());
    let day = world.vault.join(day.expect("a name has folders"));
    let aside = world.vault.with_file_name("aside");
    std::fs::rename(&day, &aside).expect("the folder is ours");
    std::fs::write(&day, "").expect("the folder is ours");

    let output = shell(&world, &["verify", "--json", &id]).await;
    let found = report(&output);
    assert_eq!(output.status.code(), Some(1), "{found}");
    assert_eq!(found["wrong"], json!([]), "{found}");
    assert_eq!(found["notChecked"][0]["documentId"], json!(id), "{found}");
    let (status, answer) = post(&world, &path, Value::Null).await;
    assert_eq!(
        (status, &answer["error"]["code"]),
        (503, &json!("VaultUnavailable")),
        "{answer}"
    );

    std::fs::remove_file(&day).expect("the file is ours");
    std::fs::rename(&aside, &day).expect("the folder is ours");
    assert!(shell(&world, &["verify", &id]).await.status.success());
    let through: Vec<Value> = audit_records(&world, "verified", &id)
        .iter()
        .map(|record| record["detail"]["through"].clone())
        .collect();
    assert_eq!(through, ["api", "shell", "api", "shell"]);
}
