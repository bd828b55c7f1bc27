//! The operator's verbs, run as an operator runs them: the built binary, with the app's settings.

use std::path::Path;
use std::process::{Command, Output};

use base64::Engine as _;
use serde_json::{Value, json};

use crate::support::world::{World, document_ids, files_by_path};

fn run(world: &World, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_recording-vault"));
    command
        .args(arguments)
        .envs(world.settings())
        .output()
        .expect("the binary runs")
}

fn report(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(&text)
        .unwrap_or_else(|_| panic!("{text}\n{}", String::from_utf8_lossy(&output.stderr)))
}

/// Stores an event as Event Grid dead-letters it, with its reason; returns the container's URL.
fn dead_letters(folder: &Path, event: &Value) -> String {
    let mut dead = event.clone();
    dead["deadLetterReason"] = "MaxDeliveryAttemptsExceeded".into();
    dead["deliveryAttempts"] = 30.into();
    let container = folder.join("dead-letters");
    std::fs::create_dir_all(container.join("2026/3/2")).expect("the folder is ours");
    std::fs::write(container.join("2026/3/2/a.json"), json!([dead]).to_string())
        .expect("the folder is ours");
    format!("file://{}", container.display())
}

#[tokio::test]
async fn events_are_replayed_from_files_containers_and_poison_and_again_without_harm() {
    let world = World::new().await;
    let folder = tempfile::tempdir().expect("there is room for temporary files");
    let write = |name: &str, content: String| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).expect("the folder is ours");
        path.display().to_string()
    };
    let mut events = Vec::new();
    for _ in 0..4 {
        let plan = json!({"call": {"chunks": [{"durationMs": 1000}]}});
        events.push(world.recording(plan).await);
    }
    let url = dead_letters(folder.path(), &events[0]);
    let file = write("one.json", events[1].to_string());
    let message = write(
        "message.txt",
        base64::prelude::BASE64_STANDARD.encode(json!([events[2]]).to_string()),
    );

    for _ in 0..2 {
        let replay = ["replay", "--yes", "--json", &file, &message, &url];
        let output = run(&world, &replay);
        let report = report(&output);
        assert!(output.status.success(), "{report}");
        assert_eq!(
            (
                &report["documents"],
                report["chunks"].as_array().map(Vec::len)
            ),
            (&json!(3), Some(3)),
            "{report}"
        );
    }
    world.sweep().await;
    for event in &events[..3] {
        assert_eq!(
            world.ledger_entry(&document_ids(event)[0])["state"]["name"],
            "sourceDeleted"
        );
    }
    // One that came garbled is kept; mended by hand, it is replayed from there.
    world.event(&json!(events[3].to_string() + " ")).await;
    world.event(&json!("garbled")).await;
    let poison = world.poison();
    let garbled = poison
        .keys()
        .find(|name| String::from_utf8_lossy(&poison[*name]).contains("garbled"))
        .expect("it is kept");
    let output = run(
        &world,
        &[
            "replay",
            "--json",
            &format!("poison:{}", garbled.trim_end_matches(".json")),
        ],
    );
    assert_eq!(
        output.status.code(),
        Some(2),
        "it is still not readable: {}",
        report(&output)
    );
}

#[tokio::test]
async fn what_is_where_and_what_was_refused_is_listed() {
    let world = World::new().await;
    let event = world
        .recording(json!({"call": {"chunks": [{"durationMs": 1000}]}}))
        .await;
    let id = document_ids(&event)[0].clone();
    world.event(&event).await;
    world.event(&json!("garbled")).await;
    let mut foreign = world.recording(json!({})).await;
    foreign["data"]["recordingStorageInfo"]["recordingChunks"][0]["contentLocation"] =
        "https://evil.example/x".into();
    world.event(&foreign).await;
    let all = report(&run(&world, &["list", "--json"]));
    assert_eq!(
        (
            all["chunks"].as_array().map(Vec::len),
            all["poison"].as_array().map(Vec::len)
        ),
        (Some(2), Some(1)),
        "{all}"
    );
    let dead = report(&run(&world, &["list", "--state", "deadlettered", "--json"]));
    assert!(
        dead["chunks"][0]["reason"]
            .as_str()
            .is_some_and(|reason| reason.contains("evil.example")),
        "{dead}"
    );
    let call = world.ledger_entry(&id)["chunk"]["callId"]
        .as_str()
        .expect("it has a call")
        .to_owned();
    let of = String::from_utf8_lossy(&run(&world, &["list", "--of", &call]).stdout).into_owned();
    assert!(
        of.contains(&id) && of.contains("sourceDeleted") && of.contains(".wav"),
        "{of}"
    );
    let shown = report(&run(&world, &["show", &id, "--json"]));
    assert_eq!(shown["state"]["name"], "sourceDeleted", "{shown}");
    assert_eq!(run(&world, &["show", "nobody"]).status.code(), Some(2));
}

#[tokio::test]
async fn what_is_no_event_is_named_and_not_kept_and_the_rest_is_replayed() {
    let world = World::new().await;
    let plan = json!({"call": {"chunks": [{"durationMs": 1000}]}});
    let event = world.recording(plan).await;
    let root = tempfile::tempdir().expect("there is room for temporary files");
    let folder = root.path().join("mail of anna@contoso.com");
    std::fs::create_dir(&folder).expect("the folder is ours");
    let write = |name: &str, content: String| {
        std::fs::write(folder.join(name), content).expect("the folder is ours");
    };
    let large = std::fs::File::create(folder.join("a-large")).expect("the folder is ours");
    large.set_len(65 << 20).expect("a sparse file has room");
    write(
        "b-settings.json",
        json!({"Values": {"ACS_ACCESS_KEY": "s3cr3t"}}).to_string(),
    );
    write(
        "c-array.json",
        json!([{"a": "s3cr3t"}, "s3cr3t", event]).to_string(),
    );
    let url = format!(
        "file://{}",
        folder.display().to_string().replace(' ', "%20")
    );
    let one = folder.join("b-settings.json").display().to_string();
    let output = run(&world, &["replay", "--yes", "--json", &url, &one]);
    let report = report(&output);
    assert_eq!(output.status.code(), Some(2), "{report}");
    assert_eq!(
        report["chunks"].as_array().map(Vec::len),
        Some(1),
        "{report}"
    );
    let unreadable: Vec<&str> = report["unreadable"]
        .as_array()
        .expect("there is a list")
        .iter()
        .filter_map(Value::as_str)
        .collect();
    let expected = [
        ("a-large", "skipped"),
        ("b-settings.json", "not an event"),
        ("c-array.json", "not an event"),
        ("c-array.json", "not an event"),
        ("b-settings.json", "not an event"),
    ];
    assert_eq!(unreadable.len(), expected.len(), "{report}");
    for (line, (name, why)) in unreadable.iter().zip(expected) {
        assert!(line.contains(name) && line.contains(why), "{line}");
    }
    assert!(world.poison().is_empty());
    for (name, content) in files_by_path(&world.vault.with_file_name("vault-ledger")) {
        let content = String::from_utf8_lossy(&content);
        assert!(!content.contains("s3cr3t"), "{name}: {content}");
        assert!(!content.contains("anna@contoso"), "{name}: {content}");
    }
}

#[tokio::test]
async fn a_replay_of_nothing_says_so() {
    let world = World::new().await;
    for (from, code) in [
        ("/nowhere/events.json", 1),
        ("poison:abc", 2),
        ("https://", 1),
    ] {
        let output = run(&world, &["replay", from]);
        assert_eq!(output.status.code(), Some(code), "{from}");
        assert!(!output.stderr.is_empty(), "{from}");
    }
}

#[tokio::test]
async fn dead_letters_are_retried_once_what_was_wrong_is_fixed() {
    let world = World::with(&[("ACS_CONTENT_HOSTS", "")]).await;
    let event = world
        .recording(json!({"call": {"chunks": [{"durationMs": 1000}]}}))
        .await;
    let id = document_ids(&event)[0].clone();
    world.event(&event).await;
    assert_eq!(world.ledger_entry(&id)["state"]["name"], "deadLettered");
    let output = run(&world, &["retry", "--json"]);
    assert_eq!(report(&output)["opened"], json!([id]));
    assert_eq!(world.ledger_entry(&id)["state"]["name"], "pending");
    let output = run(&world, &["retry", "nobody"]);
    assert_eq!(
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stdout).trim()
        ),
        (Some(2), "nobody is not in the ledger")
    );
}

#[tokio::test]
async fn the_audit_log_is_whole_until_somebody_edits_it() {
    let world = World::new().await;
    let event = world
        .recording(json!({"call": {"chunks": [{"durationMs": 1000}]}}))
        .await;
    world.event(&event).await;
    world.sweep().await;
    let output = run(&world, &["audit", "verify", "--json"]);
    let whole = report(&output);
    assert!(
        output.status.success() && whole["problems"] == json!([]),
        "{whole}"
    );
    let folder = world.vault.with_file_name("vault-ledger").join("audit");
    let documents = files_by_path(&folder);
    let log: String = documents
        .values()
        .map(|content| String::from_utf8_lossy(content))
        .collect();
    for action in ["recorded", "exported", "deletingSource", "sourceDeleted"] {
        assert!(
            log.contains(&format!("\"action\":\"{action}\"")),
            "{action} is not in {log}"
        );
    }
    let noted = format!(
        "{}:{}",
        whole["newest"]["number"],
        whole["newest"]["sha256"].as_str().expect("it is text")
    );
    assert!(
        run(&world, &["audit", "verify", "--noted", &noted])
            .status
            .success()
    );

    let first = documents.keys().next().expect("the log has a document");
    let first = folder.join(first);
    let edited = std::fs::read_to_string(&first)
        .expect("it is there")
        .replace("recorded", "forgotten");
    std::fs::write(&first, edited).expect("the folder is ours");
    let output = run(&world, &["audit", "verify"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.code() == Some(2) && text.contains("NOT whole"),
        "{text}"
    );
}

#[tokio::test]
async fn a_corrupt_entry_stops_only_itself_and_is_rebuilt_from_its_receipt() {
    let world = World::with(&[("DELETE_DELAY", "1h")]).await;
    let event = world
        .recording(json!({"call": {"chunks": [{"durationMs": 1000}, {"durationMs": 1000}]}}))
        .await;
    world.event(&event).await;
    let ids = document_ids(&event);
    let path = world
        .vault
        .with_file_name("vault-ledger")
        .join(format!("chunks/{}.json", ids[0]));
    std::fs::write(&path, "{\"chunk\": ").expect("the folder is ours");
    let swept = world.sweep().await;
    assert_eq!(
        (&swept["seen"], &swept["failed"], &swept["waiting"]),
        (&json!(2), &json!(1), &json!(1)),
        "{swept}"
    );

    let output = run(&world, &["ledger", "rebuild", "--json"]);
    assert!(output.status.success(), "{}", report(&output));
    assert_eq!(report(&output)["rebuilt"], json!([ids[0]]));
    let entry = world.ledger_entry(&ids[0]);
    assert_eq!(entry["state"]["name"], "exported", "{entry}");
    assert_eq!(world.sweep().await["failed"], 0);
    let again = String::from_utf8_lossy(&run(&world, &["ledger", "rebuild"]).stdout).into_owned();
    assert!(
        again.contains("Accounts of recordings were not looked at"),
        "{again}"
    );

    let lost = "0-eus-d9-ffffffffffffffffffffffffffffffff";
    assert_eq!(
        run(&world, &["ledger", "rebuild", lost]).status.code(),
        Some(2),
        "there is no receipt of it"
    );
}

#[tokio::test]
async fn an_entry_is_rebuilt_from_the_receipt_whose_copy_the_vault_has() {
    let world = World::with(&[("DELETE_DELAY", "1h")]).await;
    let event = world
        .recording(json!({"call": {"chunks": [{"durationMs": 1000}]}}))
        .await;
    world.event(&event).await;
    let id = &document_ids(&event)[0];
    let entry = world.ledger_entry(id);
    let folder = entry["folder"].as_str().expect("it has a folder");
    let other = format!("{folder}-2");
    let (first, second) = (world.vault.join(folder), world.vault.join(&other));
    let files = files_by_path(&first);
    // As after another export: the copy is in another folder, and the first one has its earlier receipt and another file.
    std::fs::rename(&first, &second).expect("the folder is ours");
    std::fs::create_dir(&first).expect("the folder is ours");
    for (name, content) in files {
        let content = if name.contains("-receipt.") {
            let text = String::from_utf8_lossy(&content).into_owned();
            let text = text.replace(&format!("{folder}/"), &format!("{other}/"));
            std::fs::write(second.join(&name), text).expect("the folder is ours");
            content
        } else {
            b"another program's".to_vec()
        };
        std::fs::write(first.join(&name), content).expect("the folder is ours");
    }
    let ledger = world.vault.with_file_name("vault-ledger");
    std::fs::remove_file(ledger.join(format!("chunks/{id}.json"))).expect("the folder is ours");

    let verified = run(&world, &["verify", "--json"]);
    assert!(verified.status.success(), "{}", report(&verified));
    // Only a real export would have its proof in the log.
    for of_the_log in ["audit", "audit-subjects"] {
        std::fs::remove_dir_all(ledger.join(of_the_log)).expect("the folder is ours");
    }
    let output = run(&world, &["ledger", "rebuild", id, "--json"]);
    assert!(output.status.success(), "{}", report(&output));
    assert_eq!(report(&output)["rebuilt"], json!([id]));
    assert_eq!(world.ledger_entry(id)["folder"], other.as_str());
}
