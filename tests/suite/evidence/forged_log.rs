//! Packages whose history was forged: a record is believed only from a document that a checkpoint covers.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::{logs, only_file, packed, packed_of, sum_again, verify};
use crate::support::world::World;

const FORGED: &str =
    r#"{"at":"2026-03-02T10:00:00Z","actor":"operator","action":"held","subject":"forged"}"#;

/// A copy of a package, to change it.
pub(super) fn copy_of(package: &Path) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("there is room for temporary files");
    copy_into(package, folder.path());
    folder
}

fn copy_into(from: &Path, into: &Path) {
    for entry in fs::read_dir(from).expect("it can be listed") {
        let path = entry.expect("it can be listed").path();
        let copy = into.join(path.file_name().expect("it has a name"));
        if path.is_dir() {
            fs::create_dir_all(&copy).expect("it can be made");
            copy_into(&path, &copy);
        } else {
            fs::copy(&path, &copy).expect("it can be copied");
        }
    }
}

pub(super) fn changed(path: &Path, change: impl FnOnce(String) -> String) {
    let text = fs::read_to_string(path).expect("it can be read");
    let after = change(text.clone());
    assert_ne!(after, text, "{} is changed", path.display());
    fs::write(path, after).expect("it can be written");
}

/// Lists all files again, also new ones.
pub(super) fn list_again(folder: &Path) {
    let mut names = Vec::new();
    add_files(folder, folder, &mut names);
    let lines = names.iter().flat_map(|name| ["00  ", &name[..], "\n"]);
    let lines: String = lines.collect();
    fs::write(folder.join("SHA256SUMS"), lines).expect("it can be written");
    sum_again(folder);
}

fn add_files(root: &Path, folder: &Path, names: &mut Vec<String>) {
    for entry in fs::read_dir(folder).expect("it can be listed") {
        let path = entry.expect("it can be listed").path();
        if path.is_dir() {
            add_files(root, &path, names);
        } else if !path.ends_with("SHA256SUMS") {
            let name = path.strip_prefix(root).expect("it is below");
            names.push(name.display().to_string());
        }
    }
}

fn add_record(folder: &Path, place: &str, record: &str) {
    let line = format!("{place}\t{record}\n");
    changed(&folder.join("0001/records.txt"), |text| text + &line);
}

fn put(folder: &Path, name: &str, content: &str) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().expect("it has a folder")).expect("it can be made");
    fs::write(path, content).expect("it can be written");
}

fn log_name(folder: &Path) -> String {
    let log = logs(folder).pop().expect("there is a log");
    let name = log.file_name().expect("it has a name");
    name.to_string_lossy().into_owned()
}

#[tokio::test]
async fn a_record_is_believed_only_from_a_document_that_a_checkpoint_covers() {
    let package = packed().await;
    let log = log_name(package.path());
    let document = format!(
        r#"{{"writer":"{log}","sequence":9999,"previous":"00","at":"2026-03-02T10:00:00Z","records":[{FORGED}]}}"#
    );
    let after_the_end = format!("audit/{log}/000000009999.json");
    let zero = format!("audit/{log}/000000000000.json");
    let other_log = format!("audit/20260302100000-{}/000000000001.json", "0".repeat(32));
    // What is put where, and the place that `records.txt` names.
    for (file, place) in [
        (None, "0001/records.txt"),
        (None, "audit"),
        (None, "0001"),
        (None, ""),
        (None, "/dev/stdin"),
        (Some("0001/recording.json"), "0001/recording.json"),
        (Some("PROBLEMS.txt"), "PROBLEMS.txt"),
        (Some("audit/x/1.json"), "audit/x/1.json"),
        (Some("audit/segments.txt.json"), "audit/segments.txt.json"),
        (
            Some("audit/checkpoints/000000099999.json"),
            "audit/checkpoints/000000099999.json",
        ),
        (Some(&after_the_end[..]), &after_the_end[..]),
        (Some(&zero), &zero),
        (Some(&other_log), &other_log),
    ] {
        let forged = copy_of(package.path());
        if let Some(file) = file {
            put(forged.path(), file, &document);
        }
        add_record(forged.path(), place, FORGED);
        list_again(forged.path());
        let (code, said) = verify(forged.path());
        assert_eq!(code, Some(2), "{place}: {said}");
        assert!(said.contains("NOT IN THE LOG"), "{place}: {said}");
    }
}

#[tokio::test]
async fn a_part_of_a_record_is_no_record_of_the_log() {
    let package = packed().await;
    let records = fs::read_to_string(package.path().join("0001/records.txt"));
    let records = records.expect("it can be read");
    let first = records.lines().next().expect("there is a record");
    let (place, record) = first.split_once('\t').expect("it has a place");
    let without_end = &record[..record.len() - 1];
    let of_detail = record
        .split_once("\"detail\":")
        .map_or("{", |(_, detail)| detail);
    for part in [
        "",
        "{",
        "}",
        "\"actor\":\"handler\"",
        without_end,
        of_detail,
    ] {
        let forged = copy_of(package.path());
        add_record(forged.path(), place, part);
        list_again(forged.path());
        let (code, said) = verify(forged.path());
        assert_eq!(code, Some(2), "{part}: {said}");
        assert!(said.contains("NOT IN THE LOG"), "{part}: {said}");
    }
}

#[tokio::test]
async fn a_document_beside_its_segment_is_not_proved_even_if_no_record_names_it() {
    let package = packed().await;
    let log = log_name(package.path());
    for name in [
        format!("audit/{log}/000000009999.json"),
        format!("audit/20260302100000-{}/000000000001.json", "a".repeat(32)),
    ] {
        let forged = copy_of(package.path());
        put(forged.path(), &name, "{}");
        list_again(forged.path());
        let (code, said) = verify(forged.path());
        assert_eq!(code, Some(2), "{name}: {said}");
        assert!(
            said.contains(&format!("NOT PROVED: no checkpoint covers {name}")),
            "{said}"
        );
    }
    for name in ["audit/x/1.json", "audit/1.json", "0001/audit/1.json"] {
        let forged = copy_of(package.path());
        put(forged.path(), name, "{}");
        list_again(forged.path());
        let (code, said) = verify(forged.path());
        assert_eq!(code, Some(2), "{name}: {said}");
    }
}

#[tokio::test]
async fn a_segment_cannot_be_moved_shortened_or_pointed_elsewhere() {
    let package = packed().await;
    let segments = fs::read_to_string(package.path().join("audit/segments.txt"));
    let segments = segments.expect("it can be read");
    let line = segments.lines().next().expect("there is a segment");
    let parts: Vec<&str> = line.split(' ').collect();
    let [writer, first, last, checkpoint] = parts[..] else {
        panic!("{line}");
    };
    let next: u64 = last.parse::<u64>().expect("it is a number") + 1;
    for forged_line in [
        String::new(),
        format!("{writer} {first} {next} {checkpoint}"),
        format!("{writer} {next} {last} {checkpoint}"),
        format!("{writer} {first} 999999999999 {checkpoint}"),
        format!("{writer} {first} {last} 99999"),
        format!("{writer} 0{first} {last} {checkpoint}"),
        format!("../0001 {first} {last} {checkpoint}"),
        format!("{writer} {first} {last}"),
        format!(".* {first} {last} {checkpoint}"),
    ] {
        let forged = copy_of(package.path());
        let all = segments.replacen(line, &forged_line, 1);
        fs::write(forged.path().join("audit/segments.txt"), all).expect("it can be written");
        list_again(forged.path());
        let (code, said) = verify(forged.path());
        assert_eq!(code, Some(2), "{forged_line}: {said}");
    }
}

#[tokio::test]
async fn a_record_that_was_cut_from_the_list_is_missed() {
    let package = packed().await;
    let list = package.path().join("0001/records.txt");
    let records = fs::read_to_string(&list).expect("it can be read");
    for action in ["recorded", "exported", "deletingSource", "sourceDeleted"] {
        let forged = copy_of(package.path());
        let word = format!("\"action\":\"{action}\"");
        let kept = records.lines().filter(|line| !line.contains(&word));
        let kept: String = kept.flat_map(|line| [line, "\n"]).collect();
        assert_ne!(kept, records, "{action}");
        fs::write(forged.path().join("0001/records.txt"), kept).expect("it can be written");
        list_again(forged.path());
        let (code, said) = verify(forged.path());
        assert_eq!(code, Some(2), "{action}: {said}");
        assert!(said.contains("LEFT OUT"), "{action}: {said}");
    }
}

/// A package of a recording after which other checkpoints were written, and their files.
async fn with_checkpoints() -> (tempfile::TempDir, Vec<PathBuf>) {
    let world = World::new().await;
    let mut first = None;
    for _ in 0..4 {
        let event = world
            .recording(json!({"call": {"chunks": [{"durationMs": 1000}]}}))
            .await;
        world.event(&event).await;
        world.sweep().await;
        first.get_or_insert(event);
    }
    let first = first.expect("there were some");
    let id = first["subject"]
        .as_str()
        .and_then(|subject| subject.rsplit('/').next());
    let (package, code, problems) = packed_of(&world, &[id.expect("it has an id")]).await;
    assert_eq!((code, problems), (Some(0), Vec::new()));
    let (code, said) = verify(package.path());
    assert_eq!(code, Some(0), "{said}");
    let newest = only_file(&package.path().join("audit/checkpoints"));
    let number: u64 = newest
        .file_stem()
        .expect("it has a name")
        .to_string_lossy()
        .parse()
        .expect("it is a number");
    let checkpoints: Vec<PathBuf> = (1..=number)
        .map(|number| PathBuf::from(format!("audit/checkpoints/{number:012}.json")))
        .filter(|name| package.path().join(name).is_file())
        .collect();
    assert!(checkpoints.len() >= 4, "{checkpoints:?}");
    (package, checkpoints)
}

#[tokio::test]
async fn the_chain_of_checkpoints_has_no_gap_no_exchange_and_no_other_number() {
    let (package, checkpoints) = with_checkpoints().await;
    let [.., before, middle, newest] = &checkpoints[..] else {
        panic!("there are several");
    };
    let after = format!("audit/checkpoints/{:012}.json", 4711);

    let forged = copy_of(package.path());
    fs::remove_file(forged.path().join(middle)).expect("it can be removed");
    list_again(forged.path());
    let (code, said) = verify(forged.path());
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("NOT PROVED: checkpoints"), "{said}");

    let forged = copy_of(package.path());
    fs::rename(forged.path().join(newest), forged.path().join(&after)).expect("it can be moved");
    list_again(forged.path());
    let (code, said) = verify(forged.path());
    assert_eq!(code, Some(2), "{said}");
    assert!(
        said.contains("does not say that it is checkpoint 4711"),
        "{said}"
    );

    let forged = copy_of(package.path());
    fs::copy(forged.path().join(before), forged.path().join(middle)).expect("it can be copied");
    list_again(forged.path());
    let (code, said) = verify(forged.path());
    assert_eq!(code, Some(2), "{said}");

    for (file, change) in [(middle, " "), (before, "x"), (newest, " ")] {
        let forged = copy_of(package.path());
        changed(&forged.path().join(file), |text| {
            text.replacen("{\"number\"", &format!("{change}{{\"number\""), 1)
        });
        list_again(forged.path());
        let (code, said) = verify(forged.path());
        assert_eq!(code, Some(2), "{}: {said}", file.display());
        assert!(said.contains("BROKEN"), "{said}");
    }

    let forged = copy_of(package.path());
    fs::remove_dir_all(forged.path().join("audit/checkpoints")).expect("it can be removed");
    list_again(forged.path());
    let (code, said) = verify(forged.path());
    assert_eq!(code, Some(2), "{said}");
}

#[tokio::test]
async fn a_forged_history_does_not_verify_however_consistently_it_was_forged() {
    // A record that the log does not have.
    let unpacked = packed().await;
    let list = unpacked.path().join("0001/records.txt");
    let records = fs::read_to_string(&list).expect("it can be read");
    let forged = records.replacen("\"action\":\"exported\"", "\"action\":\"expired\"", 1);
    assert_ne!(forged, records);
    fs::write(&list, &forged).expect("it can be written");
    sum_again(unpacked.path());
    let (code, said) = verify(unpacked.path());
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("NOT IN THE LOG"), "{said}");

    // The same record forged in the log too: the checkpoint does not agree.
    for log in logs(unpacked.path()) {
        for document in fs::read_dir(log).expect("it can be listed") {
            let path = document.expect("it can be listed").path();
            let text = fs::read_to_string(&path).expect("it can be read");
            let text = text.replace("\"action\":\"exported\"", "\"action\":\"expired\"");
            fs::write(&path, text).expect("it can be written");
        }
    }
    let all = records.replace("\"action\":\"exported\"", "\"action\":\"expired\"");
    fs::write(&list, all).expect("it can be written");
    sum_again(unpacked.path());
    let (code, said) = verify(unpacked.path());
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("BROKEN"), "{said}");

    // A document without its way to a checkpoint proves nothing.
    let unpacked = packed().await;
    fs::write(unpacked.path().join("audit/segments.txt"), "").expect("it can be written");
    sum_again(unpacked.path());
    let (code, said) = verify(unpacked.path());
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("NOT PROVED"), "{said}");
}
