//! Packages of days, calls and cases, some of whose recordings are erased or not readable.

use std::fs;

use serde_json::json;

use super::{export_recordings, exported, file_with, packed_of, run, unpack, verify};
use crate::support::command::text;
use crate::support::world::{World, files_by_path};

/// Two recordings of one day; the second one's account is not readable.
async fn with_an_unreadable_account() -> (World, [String; 2]) {
    let world = World::new().await;
    let ids = export_recordings(&world, 2).await;
    let ids: [String; 2] = ids.try_into().expect("there are two");
    for id in &ids {
        let held = run(&world, &["hold", "add", "--case", "A-1", "--recording", id]).await;
        assert_eq!(held.status.code(), Some(0), "{}", text(&held));
    }
    let accounts = world
        .vault
        .with_file_name("vault-ledger")
        .join("recordings");
    let (name, _) = files_by_path(&accounts)
        .into_iter()
        .find(|(_, content)| String::from_utf8_lossy(content).contains(&ids[1]))
        .expect("it has an account");
    fs::write(accounts.join(name), b"{").expect("it can be written");
    (world, ids)
}

#[tokio::test]
async fn an_unreadable_account_does_not_prevent_the_package_of_its_day_or_case() {
    let (world, [readable, unreadable]) = with_an_unreadable_account().await;
    let (_, detail) = world
        .api("GET", &format!("/vault/recordings/{readable}"), None)
        .await;
    let day = &detail["startedAt"].as_str().expect("it has started")[..10];
    for of in [vec![day], vec!["--case", "A-1"]] {
        let (package, code, problems) = packed_of(&world, &of).await;
        assert_eq!(code, Some(2), "{of:?}: {problems:?}");
        assert!(
            problems
                .iter()
                .any(|problem| problem.contains("recordings/") && problem.contains("not readable")),
            "{of:?}: {problems:?}"
        );
        assert!(
            !problems
                .iter()
                .any(|problem| problem.contains("there is no recording")),
            "{problems:?}"
        );
        let sheet = fs::read_to_string(package.path().join("index.html")).expect("it is there");
        assert!(
            sheet.contains(&readable) && sheet.contains("not readable"),
            "{of:?}"
        );
        let (code, said) = verify(package.path());
        assert_eq!(code, Some(3), "{of:?}: {said}");
    }
    // A package of that recording alone is refused, with the reason.
    let folder = tempfile::tempdir().expect("there is room for temporary files");
    let to = folder.path().join("one.zip").display().to_string();
    let made = run(&world, &["evidence", &unreadable, "--to", &to]).await;
    assert!(matches!(made.status.code(), Some(1 | 2)), "{}", text(&made));
}

/// A package of the API, unpacked.
async fn downloaded(world: &World, path: &str) -> tempfile::TempDir {
    let url = format!("{}/api/vault/{path}", world.handler_url().await);
    let answer = world.client.get(url).send().await;
    let answer = answer.expect("the handler answers");
    assert_eq!(answer.status(), 200, "{path}");
    let package = answer.bytes().await.expect("the package is complete");
    let folder = tempfile::tempdir().expect("there is room for temporary files");
    let to = folder.path().join("evidence.zip");
    fs::write(&to, package).expect("it can be written");
    unpack(&to)
}

#[tokio::test]
async fn a_recording_whose_account_is_lost_is_packed_through_every_door() {
    let (world, id, documents) = exported().await;
    let add = ["hold", "add", "--case", "A-1", "--recording", &id];
    let held = run(&world, &add).await;
    assert_eq!(held.status.code(), Some(0), "{}", text(&held));
    let accounts = world
        .vault
        .with_file_name("vault-ledger")
        .join("recordings");
    for account in files_by_path(&accounts).into_keys() {
        fs::remove_file(accounts.join(account)).expect("it can be removed");
    }
    // It finds chunks without an account.
    run(&world, &["status", "--check"]).await;
    let mut packages = Vec::new();
    for of in [vec![&id[..]], vec!["--case", "A-1"]] {
        let (package, code, problems) = packed_of(&world, &of).await;
        assert_eq!(code, Some(2), "{of:?}: {problems:?}");
        packages.push(package);
    }
    for path in [
        format!("recordings/{id}/evidence"),
        format!("evidence?recordings={id}"),
    ] {
        packages.push(downloaded(&world, &path).await);
    }
    for package in &packages {
        let problems = fs::read_to_string(package.path().join("PROBLEMS.txt"));
        let problems = problems.expect("what is missing is listed");
        assert!(problems.contains("its account is missing"), "{problems}");
        assert!(!problems.contains("there is no recording"), "{problems}");
        for document in &documents {
            file_with(package.path(), &format!("-audiowav.{document}.wav"));
        }
        let (code, said) = verify(package.path());
        assert_eq!(code, Some(3), "{said}");
    }
}

#[tokio::test]
async fn the_beginning_of_an_id_is_no_subject_of_a_package_and_find_is_named() {
    let world = World::new().await;
    let ids = export_recordings(&world, 2).await;
    let path = format!("/vault/recordings/{}", ids[0]);
    let (_, detail) = world.api("GET", &path, None).await;
    let call = detail["callId"].as_str().expect("its call is known");
    let folder = tempfile::tempdir().expect("there is room for temporary files");
    let to = folder.path().join("b.zip").display().to_string();
    for part in [&ids[0][..4], &ids[0][..ids[0].len() - 1], &call[..13]] {
        let made = run(&world, &["evidence", part, "--to", &to]).await;
        let said = String::from_utf8_lossy(&made.stderr);
        assert_eq!(made.status.code(), Some(2), "{part}: {said}");
        let hint = format!("recording-vault find {part}");
        assert!(said.contains(&hint), "{part}: {said}");
        let files = fs::read_dir(folder.path()).expect("the folder is ours");
        assert_eq!(files.count(), 0, "{part}: no file is written");
    }
}

#[tokio::test]
async fn an_acknowledged_loss_is_still_a_problem_of_the_package() {
    let world = World::new().await;
    let mut event = world.recording(json!({})).await;
    event["data"]["recordingStorageInfo"]["recordingChunks"][0]["contentLocation"] =
        "https://evil.example/x".into();
    world.event(&event).await;
    world.sweep().await;
    let id = event["subject"]
        .as_str()
        .and_then(|subject| subject.rsplit('/').next());
    let id = id.expect("it has an id");
    let reason = "there is no other copy";
    let said = run(&world, &["acknowledge", id, "--reason", reason]).await;
    assert_eq!(said.status.code(), Some(0), "{}", text(&said));
    let (package, code, problems) = packed_of(&world, &[id]).await;
    assert_eq!(code, Some(2), "{problems:?}");
    let acknowledged = format!("(acknowledged: {reason})");
    assert!(
        problems
            .iter()
            .any(|problem| problem.contains(&acknowledged)),
        "{problems:?}"
    );
    let sheet = fs::read_to_string(package.path().join("index.html")).expect("it is there");
    assert!(
        sheet.contains("<th>Standing</th>") && sheet.contains(&acknowledged),
        "{sheet}"
    );
    let (code, said) = verify(package.path());
    assert_eq!(code, Some(3), "{said}");
}
