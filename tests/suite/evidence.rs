//! Evidence packages: what is in them, and that they can be verified without our binary.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::support::command::{self, report, text};
use crate::support::world::{World, document_ids};

/// A world with a recording of two chunks that are proved, with the recording's id and the chunks' ids.
async fn exported() -> (World, String, Vec<String>) {
    let world = World::new().await;
    let event = world
        .recording(json!({"call": {"chunks": [{"durationMs": 1000}, {"durationMs": 1000}]}}))
        .await;
    world.event(&event).await;
    world.sweep().await;
    let (status, page) = world.api("GET", "/vault/recordings", None).await;
    assert_eq!(status, 200, "{page}");
    let id = page["recordings"][0]["recordingId"].as_str();
    let id = id.expect("the recording is listed").to_owned();
    (world, id, document_ids(&event))
}

async fn run(world: &World, arguments: &[&str]) -> Output {
    command::run(world.settings(), arguments).await
}

fn unpack(package: &Path) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("there is room for temporary files");
    let file = File::open(package).expect("the package was written");
    let mut zip = zip::ZipArchive::new(file).expect("the package is a ZIP");
    zip.extract(folder.path()).expect("the package is complete");
    folder
}

/// Runs the package's own script with the system's tools only.
fn verify(folder: &Path) -> (Option<i32>, String) {
    let output = Command::new("sh")
        .arg(folder.join("verify.sh"))
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .output()
        .expect("there is a shell");
    (output.status.code(), text(&output))
}

fn file_with(folder: &Path, ending: &str) -> PathBuf {
    let mut files = fs::read_dir(folder.join("0001"))
        .expect("the first recording has a folder")
        .map(|entry| entry.expect("the folder can be listed").path());
    let found = files.find(|path| path.to_string_lossy().ends_with(ending));
    found.expect("the file is in the package")
}

#[tokio::test]
async fn a_package_holds_the_vaults_bytes_and_verifies_offline() {
    let (world, id, documents) = exported().await;
    let folder = tempfile::tempdir().expect("there is room for temporary files");
    let to = folder.path().join("evidence.zip");
    let made = run(
        &world,
        &["evidence", &id, "--to", &to.display().to_string(), "--json"],
    )
    .await;
    assert_eq!(made.status.code(), Some(0), "{}", text(&made));
    assert_eq!(report(&made)["problems"], json!([]));
    let unpacked = unpack(&to);
    let vault = world.vault_files();
    for document in &documents {
        for (what, ending) in [
            ("audiowav", "wav"),
            ("acsmetadata", "json"),
            ("receipt", "json"),
        ] {
            let name = format!("-{what}.{document}.{ending}");
            let (_, in_vault) = vault
                .iter()
                .find(|(file, _)| file.ends_with(&name))
                .expect("the vault has the file");
            let packed = fs::read(file_with(unpacked.path(), &name));
            assert!(packed.expect("it can be read") == **in_vault, "{name}");
        }
    }
    let sheet = fs::read_to_string(unpacked.path().join("index.html")).expect("there is a sheet");
    assert!(sheet.contains(&id) && sheet.contains("UTC"), "{sheet}");
    assert_eq!(
        verify(unpacked.path()).0,
        Some(0),
        "{:?}",
        verify(unpacked.path())
    );
}

#[tokio::test]
async fn a_changed_file_is_found_also_where_the_list_of_digests_was_changed_with_it() {
    let (world, id, _) = exported().await;
    let folder = tempfile::tempdir().expect("there is room for temporary files");
    let to = folder.path().join("evidence.zip");
    let made = run(
        &world,
        &["evidence", &id, "--to", &to.display().to_string()],
    )
    .await;
    assert_eq!(made.status.code(), Some(0), "{}", text(&made));
    let unpacked = unpack(&to);
    let media = file_with(unpacked.path(), ".wav");
    let mut content = fs::read(&media).expect("it can be read");
    let before = hex::encode(Sha256::digest(&content));
    *content.last_mut().expect("the file is not empty") ^= 1;
    fs::write(&media, &content).expect("it can be written");
    let (code, said) = verify(unpacked.path());
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("DIFFERENT"), "{said}");

    let sums = unpacked.path().join("SHA256SUMS");
    let list = fs::read_to_string(&sums).expect("it can be read");
    let after = hex::encode(Sha256::digest(&content));
    fs::write(&sums, list.replace(&before, &after)).expect("it can be written");
    let (code, said) = verify(unpacked.path());
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("is not what its receipt proves"), "{said}");
}

#[tokio::test]
async fn a_copy_that_was_changed_in_the_vault_is_packed_as_a_problem() {
    let (world, id, documents) = exported().await;
    let name = format!("-audiowav.{}.wav", documents[0]);
    let files = crate::support::world::files_by_path(&world.vault);
    let path = files.keys().find(|file| file.ends_with(&name));
    let path = world.vault.join(path.expect("the file is there"));
    let mut content = fs::read(&path).expect("it can be read");
    *content.last_mut().expect("the file is not empty") ^= 1;
    fs::write(&path, content).expect("it can be written");
    let folder = tempfile::tempdir().expect("there is room for temporary files");
    let to = folder.path().join("evidence.zip");
    let made = run(
        &world,
        &["evidence", &id, "--to", &to.display().to_string(), "--json"],
    )
    .await;
    assert_eq!(made.status.code(), Some(2), "{}", text(&made));
    let problems = &report(&made)["problems"];
    assert!(
        problems[0]
            .as_str()
            .is_some_and(|text| text.contains("SHA-256")),
        "{problems}"
    );
}

#[tokio::test]
async fn a_case_a_day_and_a_call_select_recordings_and_what_matches_nothing_writes_nothing() {
    let (world, id, _) = exported().await;
    let held = run(
        &world,
        &["hold", "add", "--case", "A-1", "--recording", &id],
    )
    .await;
    assert_eq!(held.status.code(), Some(0), "{}", text(&held));
    let (_, detail) = world
        .api("GET", &format!("/vault/recordings/{id}"), None)
        .await;
    let started = detail["startedAt"].as_str().expect("it has started");
    let call = detail["callId"].as_str().expect("its call is known");
    let folder = tempfile::tempdir().expect("there is room for temporary files");
    for (name, selection) in [
        ("case.zip", vec!["--case", "A-1"]),
        ("day.zip", vec![&started[..10]]),
        ("call.zip", vec![call]),
    ] {
        let to = folder.path().join(name).display().to_string();
        let arguments = [vec!["evidence"], selection, vec!["--to", &to, "--json"]].concat();
        let made = run(&world, &arguments).await;
        assert_eq!(made.status.code(), Some(0), "{name}: {}", text(&made));
        assert_eq!(report(&made)["recordings"], json!([id]), "{name}");
    }
    let to = folder.path().join("none.zip");
    let none = run(
        &world,
        &[
            "evidence",
            "--case",
            "B-2",
            "--to",
            &to.display().to_string(),
        ],
    )
    .await;
    assert_eq!(none.status.code(), Some(2), "{}", text(&none));
    assert!(!to.exists());
}

#[tokio::test]
async fn the_api_streams_the_same_package() {
    let (world, id, _) = exported().await;
    let url = format!(
        "{}/api/vault/recordings/{id}/evidence?timeZone=Europe/Berlin",
        world.handler_url().await
    );
    let answer = world
        .client
        .get(url)
        .send()
        .await
        .expect("the handler answers");
    assert_eq!(answer.status(), 200);
    let package = answer.bytes().await.expect("the package is complete");
    let folder = tempfile::tempdir().expect("there is room for temporary files");
    let to = folder.path().join("evidence.zip");
    fs::write(&to, package).expect("it can be written");
    let unpacked = unpack(&to);
    assert_eq!(verify(unpacked.path()).0, Some(0));
    let recording = fs::read(unpacked.path().join("0001/recording.json"));
    let recording: Value =
        serde_json::from_slice(&recording.expect("it is there")).expect("it is JSON");
    assert_eq!(recording["recordingId"], id);

    let wrong = format!("/vault/recordings/{id}/evidence?timeZone=Mars/Olympus");
    let (status, answer) = world.api("GET", &wrong, None).await;
    assert_eq!(
        (status, &answer["error"]["target"]),
        (400, &json!("timeZone"))
    );
}
