//! Evidence packages: what is in them, and that they can be verified without our binary.

mod costs;
mod differences;
mod forged_files;
mod forged_log;
mod selections;
mod sheets;
mod timestamps;
mod while_packed;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::support::command::{self, report, text};
use crate::support::two_places::two_places;
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
    verify_in(Path::new("/"), &folder.join("verify.sh"), &[])
}

/// Runs a package's script in a folder, with variables.
fn verify_in(folder: &Path, script: &Path, variables: &[(&str, &str)]) -> (Option<i32>, String) {
    let output = Command::new("sh")
        .arg(script)
        .current_dir(folder)
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .envs(variables.iter().copied())
        .output()
        .expect("there is a shell");
    (output.status.code(), all_text(&output))
}

fn all_text(output: &Output) -> String {
    text(output) + &String::from_utf8_lossy(&output.stderr)
}

/// Writes the evidence of something and unpacks it. Also returns the exit code and the problems.
async fn packed_of(world: &World, of: &[&str]) -> (tempfile::TempDir, Option<i32>, Vec<String>) {
    let folder = tempfile::tempdir().expect("there is room for temporary files");
    let to = folder.path().join("evidence.zip");
    let to_text = to.display().to_string();
    let arguments = [&["evidence"], of, &["--to", &to_text, "--json"]].concat();
    let made = run(world, &arguments).await;
    let problems = report(&made)["problems"].clone();
    let problems = serde_json::from_value(problems).expect("problems are texts");
    (unpack(&to), made.status.code(), problems)
}

#[tokio::test]
async fn without_its_tools_the_script_calls_no_file_broken() {
    let (world, id, _) = exported().await;
    let folder = tempfile::tempdir().expect("there is room for temporary files");
    let unpacked = packed_whole(&world, &id).await;
    let output = Command::new("/bin/sh")
        .arg(unpacked.path().join("verify.sh"))
        .env_clear()
        .env("PATH", folder.path())
        .output()
        .expect("there is a shell");
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(said, "sed is required\n");
    assert!(!text(&output).contains("BROKEN"));
}

#[tokio::test]
async fn a_recording_that_was_erased_keeps_back_no_other_of_its_day() {
    let (world, _, _) = exported().await;
    let call = json!({"participants": ["8:acs:gone"], "chunks": [{"durationMs": 1000}]});
    let event = world.recording(json!({"call": call})).await;
    world.event(&event).await;
    world.sweep().await;
    let erase = [
        "gdpr",
        "erase",
        "8:acs:gone",
        "--yes",
        "--reason",
        "request 1",
    ];
    let erased = run(&world, &erase).await;
    assert_eq!(erased.status.code(), Some(0), "{}", text(&erased));
    let day = world.api("GET", "/vault/recordings", None).await.1;
    let day = day["recordings"][0]["startedAt"]
        .as_str()
        .expect("it began");
    let folder = tempfile::tempdir().expect("there is room for temporary files");
    let to = folder.path().join("day.zip");
    let made = run(
        &world,
        &[
            "evidence",
            &day[..10],
            "--to",
            &to.display().to_string(),
            "--json",
        ],
    )
    .await;
    let report = report(&made);
    assert_eq!(
        report["recordings"].as_array().map(Vec::len),
        Some(1),
        "{report}"
    );
    assert!(
        report["problems"].to_string().contains("was erased"),
        "{report}"
    );
    let (status, said) = verify(unpack(&to).path());
    assert_eq!(status, Some(3), "{said}");
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
    let unpacked = packed_whole(&world, &id).await;
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

#[tokio::test]
async fn one_package_has_several_recordings_and_lists_those_that_are_missing() {
    let (world, id, _) = exported().await;
    let url = format!(
        "{}/api/vault/evidence?recordings={id},nobody,{id}&timeZone=Europe/Berlin",
        world.handler_url().await
    );
    let answer = world.client.get(url).send().await;
    let answer = answer.expect("the handler answers");
    assert_eq!(answer.status(), 200);
    let package = answer.bytes().await.expect("the package is complete");
    let folder = tempfile::tempdir().expect("there is room for temporary files");
    let to = folder.path().join("evidence.zip");
    fs::write(&to, package).expect("it can be written");
    let unpacked = unpack(&to);
    assert!(unpacked.path().join("0001/recording.json").is_file());
    assert!(
        !unpacked.path().join("0002").exists(),
        "each recording once"
    );
    let problems = fs::read_to_string(unpacked.path().join("PROBLEMS.txt"));
    let problems = problems.expect("what is missing is listed");
    assert!(problems.contains("`nobody`"), "{problems}");
    let (code, said) = verify(unpacked.path());
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("INCOMPLETE"), "{said}");

    let many: Vec<String> = (0..26).map(|number| format!("r{number}")).collect();
    for (query, target) in [
        (format!("recordings={}", many.join(",")), "recordings"),
        ("recordings=a,,b".to_owned(), "recordings"),
        ("recordings=a&timeZone=Mars/Olympus".to_owned(), "timeZone"),
    ] {
        let (status, answer) = world
            .api("GET", &format!("/vault/evidence?{query}"), None)
            .await;
        assert_eq!(
            (status, &answer["error"]["target"]),
            (400, &json!(target)),
            "{query}: {answer}"
        );
    }
}

/// A package of the exported recording, unpacked.
async fn packed() -> tempfile::TempDir {
    let (world, id, _) = exported().await;
    packed_whole(&world, &id).await
}

/// The package of a recording of which nothing is missing.
async fn packed_whole(world: &World, id: &str) -> tempfile::TempDir {
    let (package, code, problems) = packed_of(world, &[id]).await;
    assert_eq!((code, problems), (Some(0), Vec::new()));
    package
}

/// Exports so many recordings of one chunk each. Returns their ids.
async fn export_recordings(world: &World, count: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for _ in 0..count {
        let event = world
            .recording(json!({"call": {"chunks": [{"durationMs": 1000}]}}))
            .await;
        world.event(&event).await;
        world.sweep().await;
        let subject = event["subject"]
            .as_str()
            .and_then(|subject| subject.rsplit('/').next());
        ids.push(subject.expect("it has an id").to_owned());
    }
    ids
}

/// Writes the list of digests again, as somebody would who changed a file.
fn sum_again(folder: &Path) {
    let list = fs::read_to_string(folder.join("SHA256SUMS")).expect("it can be read");
    let lines = list.lines().filter_map(|line| {
        let (_, name) = line.split_once("  ")?;
        let content = fs::read(folder.join(name)).ok()?;
        Some(format!(
            "{}  {name}\n",
            hex::encode(Sha256::digest(content))
        ))
    });
    let lines: String = lines.collect();
    fs::write(folder.join("SHA256SUMS"), lines).expect("it can be written");
}

fn only_file(folder: &Path) -> PathBuf {
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .expect("the folder is there")
        .map(|entry| entry.expect("it can be listed").path())
        .collect();
    files.sort();
    files.pop().expect("there is a file")
}

fn logs(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder.join("audit")).expect("the log is in the package");
    let paths = entries.map(|entry| entry.expect("it can be listed").path());
    let is_log = |path: &PathBuf| {
        let name = path.file_name().map(|name| name.to_string_lossy());
        name.is_some_and(|name| name.starts_with(|first: char| first.is_ascii_digit()))
    };
    paths.filter(is_log).collect()
}

#[tokio::test]
async fn the_records_of_a_package_are_proved_by_the_audit_log_offline() {
    let unpacked = packed().await;
    let folder = unpacked.path();
    let (code, said) = verify(folder);
    assert_eq!(code, Some(0), "{said}");
    let records = fs::read_to_string(folder.join("0001/records.txt")).expect("it is there");
    let count = records.lines().count();
    let history = fs::read(folder.join("0001/history.json")).expect("it is there");
    let history: Vec<Value> = serde_json::from_slice(&history).expect("it is JSON");
    assert!(count > 4 && count == history.len(), "{records}");
    assert!(
        said.contains(&format!("{count} records are in the audit log")),
        "{said}"
    );
    // The digest that a reader compares is the newest checkpoint's.
    let newest = fs::read(only_file(&folder.join("audit/checkpoints"))).expect("it is there");
    assert!(
        said.contains(&hex::encode(Sha256::digest(newest))),
        "{said}"
    );
}

#[tokio::test]
async fn every_place_of_a_document_is_in_the_package_and_proved_by_its_receipt() {
    let world = World::new().await;
    let (event, document) = two_places(&world).await;
    let entry = world.ledger_entry(&document);
    assert_eq!(entry["further"][0]["state"]["name"], "proved", "{entry}");
    let id = event["subject"]
        .as_str()
        .and_then(|subject| subject.rsplit('/').next());
    let id = id.expect("the subject ends with the recording");
    let folder = tempfile::tempdir().expect("there is room for temporary files");
    let to = folder.path().join("evidence.zip");
    let to_text = to.display().to_string();
    let made = run(&world, &["evidence", id, "--to", &to_text, "--json"]).await;
    let problems = report(&made)["problems"].to_string();
    assert!(!problems.contains("not in"), "{problems}");
    let unpacked = unpack(&to);
    let folder = unpacked.path();
    let sums = fs::read_to_string(folder.join("SHA256SUMS")).expect("it is there");
    let sheet = fs::read_to_string(folder.join("index.html")).expect("it is there");
    let of_document = world.vault_files();
    let of_document = of_document
        .iter()
        .filter(|(name, _)| name.contains(&document));
    let mut count = 0;
    for (name, content) in of_document {
        let last = name.rsplit('/').next().expect("it has a name");
        let line = format!("{}  0001/{last}", hex::encode(Sha256::digest(content)));
        assert!(sums.contains(&line), "{line} is not in {sums}");
        assert!(sheet.contains(last), "{last}");
        count += 1;
    }
    assert!(count >= 5, "two places with their receipts: {count}");
    let (code, said) = verify(folder);
    assert!(matches!(code, Some(0 | 3)), "{code:?}: {said}");

    // The second place is changed, then taken out together with its line.
    let second = file_with(folder, ".2.wav");
    let content = fs::read(&second).expect("it can be read");
    fs::write(&second, b"another").expect("it can be written");
    sum_again(folder);
    let (code, said) = verify(folder);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("is not what its receipt proves"), "{said}");
    fs::write(&second, content).expect("it can be written");
    sum_again(folder);
    fs::remove_file(&second).expect("it can be removed");
    let _ = fs::remove_file(folder.join("PROBLEMS.txt"));
    sum_again(folder);
    let (code, said) = verify(folder);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("MISSING: 0001/"), "{said}");
}
