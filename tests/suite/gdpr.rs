//! A person's recordings by the verb `gdpr`: the built binary, with the app's settings.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::support::command;
use crate::support::world::{World, document_ids, files, files_by_path};

const ANNA: &str = "8:acs:29bd5ea9_00000001";

fn run(world: &World, arguments: &[&str], input: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_recording-vault"));
    command.arg("gdpr").args(arguments).envs(world.settings());
    let streams = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = streams.spawn().expect("the binary runs");
    // One that does not ask has closed it already.
    let _ = child
        .stdin
        .take()
        .expect("it is piped")
        .write_all(input.as_bytes());
    child.wait_with_output().expect("it ends")
}

fn report(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(&text)
        .unwrap_or_else(|_| panic!("{text}\n{}", String::from_utf8_lossy(&output.stderr)))
}

async fn archived(world: &World, participants: &[&str]) -> Value {
    let event = world
        .recording(
            json!({"call": {"participants": participants, "chunks": [{"durationMs": 3000}]}}),
        )
        .await;
    world.event(&event).await;
    world.sweep().await;
    event
}

#[tokio::test]
#[expect(
    clippy::too_many_lines,
    reason = "one scenario, in the order in which it happens"
)]
async fn a_person_is_found_handed_out_and_erased_and_others_stay() {
    let world = World::new().await;
    let event = archived(&world, &[ANNA, "4:+15551230001"]).await;
    let other = archived(&world, &["4:+15551230001"]).await;
    let id = &document_ids(&event)[0];
    let found = run(&world, &["find", &ANNA.to_uppercase(), "--json"], "");
    let row = report(&found)["recordings"][0].clone();
    assert_eq!(
        (found.status.code(), &row["chunks"]),
        (Some(0), &json!(1)),
        "{row}"
    );
    assert_eq!(
        run(&world, &["find", "8:acs:nobody"], "").status.code(),
        Some(2)
    );

    let folder = tempfile::tempdir().expect("there is room for temporary files");
    let to = |name: &str| folder.path().join(name).display().to_string();
    // One digit of the id is wrong: that is no answer to a person.
    let mistaken = "8:acs:nobody";
    let exported = run(&world, &["export", mistaken, "--to", &to("none.tar")], "");
    assert_eq!(exported.status.code(), Some(2));
    assert!(!folder.path().join("none.tar").exists());
    let erase = ["erase", mistaken, "--reason", "request 16", "--yes"];
    for _ in 0..2 {
        let erased = run(&world, &erase, "");
        assert_eq!(erased.status.code(), Some(2));
        let said = String::from_utf8_lossy(&erased.stdout).into_owned();
        assert!(said.contains("the id may be wrong"), "{said}");
    }
    let exported = run(
        &world,
        &["export", ANNA, "--to", &to("anna.tar"), "--json"],
        "",
    );
    assert_eq!(
        (exported.status.code(), &report(&exported)["missing"]),
        (Some(0), &json!([]))
    );
    let archive = std::fs::read(to("anna.tar")).expect("it is there");
    let media = &world.vault_files()[&format!("0000-audiowav.{id}.wav")];
    assert!(
        archive.windows(media.len()).any(|part| part == media),
        "the media is in it, byte for byte"
    );
    for (file, problem) in [
        ("anna.tar", "already exists"),
        ("anna.zip", "does not end with .tar"),
    ] {
        let refused = run(&world, &["export", ANNA, "--to", &to(file)], "");
        assert_eq!(refused.status.code(), Some(2), "{file}");
        assert!(
            String::from_utf8_lossy(&refused.stderr).contains(problem),
            "{file}"
        );
    }
    assert_eq!(
        std::fs::read_dir(folder.path())
            .expect("the folder is ours")
            .count(),
        1,
        "nothing half-written is left"
    );

    for answer in ["", "no\n", "yes\n"] {
        let refused = run(&world, &["erase", ANNA, "--reason", "request 17"], answer);
        assert_eq!(refused.status.code(), Some(1), "{answer}");
    }
    let named = run(
        &world,
        &["erase", ANNA, "--reason", &format!("{ANNA} asked"), "--yes"],
        "",
    );
    assert_eq!(named.status.code(), Some(2));
    assert!(
        world
            .vault_files()
            .keys()
            .any(|name| name.contains(id.as_str())),
        "nothing was erased"
    );

    let erased = run(
        &world,
        &["erase", ANNA, "--reason", "request 17", "--json"],
        "erase\n",
    );
    assert_eq!(
        (erased.status.code(), &report(&erased)["left"]),
        (Some(0), &json!([]))
    );
    assert!(
        !world
            .vault_files()
            .keys()
            .any(|name| name.contains(id.as_str()))
    );
    assert!(
        world
            .vault_files()
            .keys()
            .any(|name| name.contains(&document_ids(&other)[0])),
        "the other's are there"
    );
    let ledger = files(&world.vault.with_file_name("vault-ledger"));
    for (name, content) in &ledger {
        assert!(
            !String::from_utf8_lossy(content).contains(ANNA),
            "{name} names her"
        );
    }
    let recording = row["recordingId"].as_str().expect("it has an id");
    let (status, answer) = world
        .api("GET", &format!("/vault/recordings/{recording}"), None)
        .await;
    assert_eq!(
        (status, &answer["error"]["code"]),
        (410, &json!("RecordingErased"))
    );
    let (status, _) = world
        .api("GET", &format!("/vault/chunks/{id}/media"), None)
        .await;
    assert_eq!(status, 410);
    let again = run(
        &world,
        &["erase", ANNA, "--reason", "request 17", "--yes", "--json"],
        "",
    );
    assert_eq!(
        (again.status.code(), report(&again)),
        (Some(0), json!({"erased": [], "left": [], "atAcs": []}))
    );
    // Its event comes again: nothing of it comes back.
    world.event(&event).await;
    world.sweep().await;
    assert_eq!(run(&world, &["find", ANNA], "").status.code(), Some(2));
}

#[tokio::test]
async fn what_is_held_is_named_and_kept() {
    let world = World::new().await;
    let event = archived(&world, &[ANNA]).await;
    let found = report(&run(&world, &["find", ANNA, "--json"], ""));
    let recording = found["recordings"][0]["recordingId"]
        .as_str()
        .expect("it has an id")
        .to_owned();
    let arguments = ["hold", "add", "--case", "A-1", "--recording", &recording];
    let held = Command::new(env!("CARGO_BIN_EXE_recording-vault"))
        .args(arguments)
        .envs(world.settings())
        .output();
    assert!(held.expect("the binary runs").status.success());
    let refused = run(
        &world,
        &["erase", ANNA, "--reason", "request 17", "--yes", "--json"],
        "",
    );
    let left = report(&refused);
    assert_eq!(
        (refused.status.code(), &left["erased"]),
        (Some(2), &json!([]))
    );
    assert!(
        left["left"][0]["reason"]
            .as_str()
            .is_some_and(|reason| reason.contains("`A-1`")),
        "{left}"
    );
    assert!(
        world
            .vault_files()
            .keys()
            .any(|name| name.contains(&document_ids(&event)[0]))
    );
}

#[tokio::test]
async fn a_copy_that_the_vault_lacks_is_left_unless_the_operator_says_that_it_is_gone() {
    let world = World::new().await;
    let event = archived(&world, &[ANNA]).await;
    let id = &document_ids(&event)[0];
    let mut names = files_by_path(&world.vault).into_keys();
    let media = names.find(|name| name.contains(id) && !name.ends_with(".json"));
    let media = media.expect("it is in the vault");
    std::fs::remove_file(world.vault.join(media)).expect("the file is ours");
    let erase = ["erase", ANNA, "--reason", "request 17"];
    let erased = |more: &[&str]| run(&world, &[&erase, more].concat(), "");
    for mode in ["--dry-run", "--yes"] {
        let left = erased(&[mode, "--json"]);
        let report = report(&left);
        assert_eq!(left.status.code(), Some(2), "{report}");
        let reason = report["left"][0]["reason"].to_string();
        assert!(reason.contains("check VAULT_URL"), "{report}");
        assert_eq!(world.ledger_entry(id)["state"]["name"], "sourceDeleted");
    }
    for mode in ["--dry-run", "--yes"] {
        let done = erased(&[mode, "--missing-too"]);
        assert_eq!(done.status.code(), Some(0), "{done:?}");
    }
    assert_eq!(world.ledger_entry(id)["state"]["name"], "removed");
}

#[tokio::test]
async fn an_archive_of_which_the_history_cannot_be_read_is_not_complete() {
    let world = World::new().await;
    let event = archived(&world, &[ANNA]).await;
    let entry = world.ledger_entry(&document_ids(&event)[0]);
    let first = entry["audited"][0].as_str().expect("it has a record");
    let (writer, number) = first.split_once('/').expect("it is a position");
    let number: u64 = number.parse().expect("it is a number");
    let log = world.vault.with_file_name("vault-ledger").join("audit");
    let document = log.join(format!("{writer}/{number:012}.json"));
    assert!(document.is_file(), "{}", document.display());
    std::fs::write(document, "{").expect("the folder is ours");
    let folder = tempfile::tempdir().expect("there is room for temporary files");
    let to = folder.path().join("anna.tar").display().to_string();
    let exported = run(&world, &["export", ANNA, "--to", &to, "--json"], "");
    let manifest = report(&exported);
    assert_eq!(exported.status.code(), Some(2), "{manifest}");
    let part = "1 document of the audit log about this recording is missing or not readable";
    let reasons = manifest["incomplete"].to_string();
    assert!(reasons.contains(part), "{manifest}");
}

/// A second of silence.
fn wav() -> Vec<u8> {
    let mut wav = b"RIFF\xa4\x3e\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0".to_vec();
    wav.extend_from_slice(b"\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0data\x80\x3e\0\0");
    wav.extend_from_slice(&[0; 16_000]);
    wav
}

#[tokio::test]
async fn a_copy_that_was_imported_by_hand_is_whole_in_an_archive() {
    let world = World::new().await;
    let folder = tempfile::tempdir().expect("there is room for temporary files");
    let at = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(at("found.wav"), wav()).expect("it can be written");
    let metadata = json!({"participants": [{"participantId": ANNA}]});
    std::fs::write(at("metadata.json"), metadata.to_string()).expect("it can be written");
    let (media, metadata) = (at("found.wav"), at("metadata.json"));
    let import = [
        "import",
        "--yes",
        "--recording",
        "mine",
        "--start",
        "2026-03-02T10:00:00Z",
        "--metadata",
        &metadata,
        &media,
    ];
    let imported = command::run(world.settings(), &import).await;
    assert_eq!(imported.status.code(), Some(0), "{imported:?}");
    let to = at("anna.tar");
    let exported = run(&world, &["export", ANNA, "--to", &to, "--json"], "");
    let manifest = report(&exported);
    assert_eq!(manifest["recordings"], json!(["mine"]), "{manifest}");
    assert_eq!(manifest["incomplete"], json!([]), "{manifest}");
    assert_eq!(exported.status.code(), Some(0), "{manifest}");
}
