//! `hold` and `retention` from the outside, as an operator runs them.

use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::support::world::{World, document_ids};

fn run(world: &World, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_recording-vault"));
    command
        .args(arguments)
        .envs(world.settings())
        .output()
        .expect("the binary runs")
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn report(output: &Output) -> Value {
    let text = text(output);
    serde_json::from_str(&text)
        .unwrap_or_else(|_| panic!("{text}\n{}", String::from_utf8_lossy(&output.stderr)))
}

/// What an event's subject says after a name.
fn of_subject(event: &Value, name: &str) -> String {
    let subject = event["subject"].as_str().expect("an event has a subject");
    let mut segments = subject.split('/').skip_while(|segment| *segment != name);
    segments.nth(1).expect("it is in the subject").to_owned()
}

#[tokio::test]
#[expect(
    clippy::too_many_lines,
    reason = "one scenario, in the order in which it happens"
)]
async fn an_operator_holds_a_call_and_releases_it_case_by_case() {
    let world = World::new().await;
    let unused = run(&world, &["hold", "list"]);
    assert_eq!(unused.status.code(), Some(1), "nothing was ever recorded");
    let one = || json!({"call": {"chunks": [{"durationMs": 1000}]}});
    world.event(&world.recording(one()).await).await;
    assert_eq!(
        text(&run(&world, &["hold", "list"])).trim(),
        "Nothing is held."
    );
    let event = world.recording(one()).await;
    let (id, call) = (document_ids(&event)[0].clone(), of_subject(&event, "call"));
    let add = |case: &str| {
        run(
            &world,
            &[
                "hold", "add", "--case", case, "--by", "legal", "--note", "a note", "--call",
                &call, "--json",
            ],
        )
    };
    assert_eq!(
        report(&add("A-1"))["chunks"],
        json!([]),
        "its event is still to come"
    );
    world.event(&event).await;
    world.sweep().await;
    assert_eq!(world.ledger_entry(&id)["state"]["name"], "exported");
    let objects = world.objects().await;
    let held = objects.iter().find(|object| object["documentId"] == *id);
    assert!(
        held.is_some_and(|object| object["deletedAt"].is_null()),
        "it is held: {objects:?}"
    );
    assert_eq!(report(&add("B-2"))["chunks"], json!([id]));
    let again = report(&add("B-2"));
    assert_eq!(
        (&again["isNew"], &again["gone"]),
        (&json!(false), &json!([])),
        "{again}"
    );
    let listed = text(&run(&world, &["hold", "list"]));
    for part in [call.as_str(), "`A-1`", "`B-2`", "by legal", "a note"] {
        assert!(listed.contains(part), "{part} is not in {listed}");
    }

    let release = |case: &str| {
        run(
            &world,
            &["hold", "release", "--case", case, "--call", &call],
        )
    };
    assert!(text(&release("A-1")).contains("still held for `B-2`"));
    let repeated = release("A-1");
    assert!(repeated.status.success(), "{}", text(&repeated));
    assert!(
        text(&repeated).contains("is no longer held for `A-1`"),
        "{}",
        text(&repeated)
    );
    let output = release("C-3");
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
    assert!(
        text(&output).contains("was never held for `C-3`"),
        "{}",
        text(&output)
    );
    assert!(release("B-2").status.success());
    assert_eq!(
        report(&run(&world, &["hold", "list", "--json"])),
        json!({"holds": []})
    );
    world.sweep().await;
    assert_eq!(world.ledger_entry(&id)["state"]["name"], "sourceDeleted");
}

#[tokio::test]
async fn a_hold_of_nothing_or_for_no_case_is_refused() {
    let world = World::new().await;
    for arguments in [
        &["hold", "add", "--case", "A-1"][..],
        &["hold", "add", "--case", " ", "--call", "c"],
        &["hold", "add", "--call", "c"],
        &[
            "hold",
            "add",
            "--case",
            "A-1",
            "--call",
            "c",
            "--recording",
            "r",
        ],
        &["hold", "release", "--case", "A-1"],
        &[
            "hold", "add", "--case", "A-1", "--call", "c", "--person", "p",
        ],
        &[
            "hold",
            "add",
            "--case",
            "A-1",
            "--recording",
            "r",
            "--from",
            "2026-03-02",
        ],
        &["hold", "add", "--case", "A-1", "--from", "yesterday"],
        &[
            "hold",
            "add",
            "--case",
            "A-1",
            "--from",
            "2026-03-03",
            "--to",
            "2026-03-02",
        ],
    ] {
        let output = run(&world, arguments);
        assert!(
            !output.status.success() && !output.stderr.is_empty(),
            "{arguments:?}"
        );
    }
}

#[tokio::test]
async fn an_operator_holds_a_person_and_a_period_before_there_is_a_recording() {
    let world = World::new().await;
    let person = ["--person", "4:+15550000000"];
    let add = |what: &[&str]| {
        let arguments = [&["hold", "add", "--yes", "--case", "A-1", "--json"], what].concat();
        run(&world, &arguments)
    };
    let output = add(&person);
    assert!(output.status.success(), "{}", text(&output));
    assert_eq!(report(&output)["matchesNothing"], json!(true));
    let output = add(&["--from", "2020-01", "--to", "2020-12-31"]);
    assert!(output.status.success(), "{}", text(&output));

    let event = world
        .recording(json!({"call": {"chunks": [{"durationMs": 1000}]}}))
        .await;
    world.event(&event).await;
    world.sweep().await;
    let id = &document_ids(&event)[0];
    assert_eq!(
        world.ledger_entry(id)["state"]["name"],
        "sourceDeleted",
        "neither the person nor the period is that of this recording"
    );
    let output = add(&["--from", "2020-01"]);
    assert_eq!(report(&output)["chunks"], json!([id]));
    let listed = text(&run(&world, &["hold", "list"]));
    for part in [
        "recordings of 4:+15550000000",
        "matches no known recording",
        "from 2020-01-01T00:00:00Z until 2021-01-01T00:00:00Z",
        "holds 1 chunk of 1 recording now",
    ] {
        assert!(listed.contains(part), "{part} is not in {listed}");
    }
    let released = [
        "hold",
        "release",
        "--case",
        "A-1",
        "--person",
        "4:+15550000000",
    ];
    let output = run(&world, &released);
    assert!(
        text(&output).contains("are no longer held for `A-1`"),
        "{}",
        text(&output)
    );
}

/// As if a chunk had been recorded long ago.
pub(crate) fn age(world: &World, id: &str) {
    let path = world
        .vault
        .with_file_name("vault-ledger")
        .join(format!("chunks/{id}.json"));
    let mut entry = world.ledger_entry(id);
    entry["recordedAt"] = "2020-03-02T10:03:00Z".into();
    entry["chunk"]["startedAt"] = "2020-03-02T10:00:00Z".into();
    std::fs::write(path, entry.to_string()).expect("the ledger is ours");
}

#[tokio::test]
#[expect(
    clippy::too_many_lines,
    reason = "one scenario, in the order in which it happens"
)]
async fn an_operator_deletes_from_the_vault_what_is_past_its_policy() {
    let world = World::with(&[("VAULT_RETENTION", "8760h")]).await;
    let mut events = Vec::new();
    for _ in 0..3 {
        let event = world
            .recording(json!({"call": {"chunks": [{"durationMs": 1000}]}}))
            .await;
        world.event(&event).await;
        events.push(event);
    }
    let ids: Vec<String> = events
        .iter()
        .map(|event| document_ids(event)[0].clone())
        .collect();
    let [old, held, young] = &ids[..] else {
        panic!("{ids:?}")
    };
    age(&world, old);
    age(&world, held);
    let recording = of_subject(&events[1], "recordingId");
    assert!(
        run(
            &world,
            &["hold", "add", "--case", "A-1", "--recording", &recording]
        )
        .status
        .success()
    );

    let planned = text(&run(&world, &["retention", "plan"]));
    assert!(
        planned.contains(old) && planned.contains("is held for `A-1`") && !planned.contains(young),
        "{planned}"
    );
    let plan = report(&run(&world, &["retention", "plan", "--json"]));
    let copies = plan["copies"].as_array().expect("a plan has copies");
    assert!(
        copies.len() == 2
            && copies
                .iter()
                .all(|copy| copy["sizeBytes"].as_u64() > Some(1000)),
        "{plan}"
    );
    assert!(
        copies
            .iter()
            .all(|copy| copy["ageDays"].as_u64() > Some(365)),
        "{plan}"
    );

    let output = run(&world, &["retention", "apply", "--yes", "--json"]);
    let applied = report(&output);
    assert!(output.status.success(), "{applied}");
    let verified = run(&world, &["verify", old, "--json"]);
    let found = report(&verified);
    let why = found["withoutCopy"][0]["problems"].to_string();
    assert!(
        verified.status.code() == Some(2) && why.contains("deleted from the vault by policy"),
        "{found}"
    );
    assert_eq!(found["wrong"], json!([]), "{found}");
    assert_eq!(
        (&applied["removed"], &applied["failed"]),
        (&json!([old]), &json!([])),
        "{applied}"
    );
    assert_eq!(
        (
            &applied["held"][0]["documentId"],
            &applied["held"][0]["cases"][0]["tag"]
        ),
        (&json!(held), &json!("A-1"))
    );
    let files = world.vault_files();
    assert!(
        files.len() == 6 && files.keys().all(|name| !name.contains(old.as_str())),
        "{:?}",
        files.keys()
    );
    assert!(
        text(&run(&world, &["list", "--state", "removed"]))
            .contains("deleted from the vault by policy")
    );

    world.event(&events[0]).await;
    world.sweep().await;
    assert_eq!(world.ledger_entry(old)["state"]["name"], "removed");
    assert!(text(&run(&world, &["retry", old])).contains("deleted from the vault"));
    let late = run(
        &world,
        &[
            "hold",
            "add",
            "--case",
            "B-2",
            "--recording",
            &of_subject(&events[0], "recordingId"),
            "--json",
        ],
    );
    assert_eq!(
        (late.status.code(), &report(&late)["gone"]),
        (Some(2), &json!([old])),
        "who holds it has to know"
    );
    assert!(
        text(&run(&world, &["retention", "apply", "--yes"]))
            .starts_with("0 deleted from the vault, 1 held, 0 not deleted")
    );
}

#[tokio::test]
async fn without_a_policy_nothing_is_past_it() {
    let world = World::new().await;
    for verb in ["plan", "apply"] {
        let output = run(&world, &["retention", verb]);
        assert_eq!(output.status.code(), Some(64));
        assert!(String::from_utf8_lossy(&output.stderr).contains("VAULT_RETENTION is not set"));
    }
}
