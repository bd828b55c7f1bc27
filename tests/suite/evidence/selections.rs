//! Packages of days, calls and cases, some of whose recordings are erased or not readable.

use std::fs;

use serde_json::json;

use super::{export_recordings, packed_of, run, verify};
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
