//! `verify`, `reconcile` and `delete-source`: what is there, what is missing, what may go; and `completions`.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Output;

use serde_json::{Value, json};

use crate::hold_verbs::age;
use crate::support::audited_vault::edit;
use crate::support::azurite;
use crate::support::command::{self, report, text};
use crate::support::world::{World, document_ids, files_by_path};

/// A world with two chunks that are exported, and proved, and their ids.
async fn exported(settings: &[(&str, &str)]) -> (World, Vec<String>) {
    let world = World::with(settings).await;
    let ids = exported_in(&world).await;
    (world, ids)
}

async fn exported_in(world: &World) -> Vec<String> {
    let event = world
        .recording(json!({"call": {"chunks": [{"durationMs": 1000}, {"durationMs": 1000}]}}))
        .await;
    world.event(&event).await;
    world.sweep().await;
    document_ids(&event)
}

async fn run(world: &World, arguments: &[&str]) -> Output {
    command::run(world.settings(), arguments).await
}

async fn with(world: &World, changed: (&str, &str), arguments: &[&str]) -> Output {
    let mut settings = world.settings().clone();
    settings.insert(changed.0.to_owned(), changed.1.to_owned());
    command::run(&settings, arguments).await
}

/// A file of a chunk in the vault.
fn file(world: &World, id: &str, what: &str) -> PathBuf {
    let files = files_by_path(&world.vault);
    let name = files
        .keys()
        .find(|name| name.contains(&format!("-{what}.{id}.")))
        .expect("the file is there");
    world.vault.join(name)
}

fn kinds(reconciled: &Value) -> Vec<(&str, &str)> {
    let findings = reconciled["findings"].as_array().expect("there is a list");
    findings
        .iter()
        .map(|finding| (finding["kind"].as_str(), finding["subject"].as_str()))
        .map(|(kind, subject)| (kind.expect("it is text"), subject.expect("it is text")))
        .collect()
}

/// Yesterday to tomorrow, so that no midnight comes between.
fn days() -> [String; 4] {
    let today = jiff::Zoned::now()
        .with_time_zone(jiff::tz::TimeZone::UTC)
        .date();
    let day = |offset: i64| {
        today
            .checked_add(jiff::Span::new().days(offset))
            .expect("it is a day")
            .to_string()
    };
    ["--from".to_owned(), day(-1), "--to".to_owned(), day(1)]
}

async fn reconciled(world: &World, more: &[&str]) -> (Option<i32>, Value) {
    let days = days();
    let arguments: Vec<&str> = ["reconcile", "--json"]
        .into_iter()
        .chain(days.iter().map(String::as_str))
        .chain(more.iter().copied())
        .collect();
    let output = run(world, &arguments).await;
    (output.status.code(), report(&output))
}

#[tokio::test]
async fn copies_are_verified_until_one_is_damaged_and_each_damage_is_named() {
    let (world, ids) = exported(&[]).await;
    let output = run(&world, &["verify"]).await;
    assert!(
        output.status.success() && text(&output).contains("2 copies verified: every one is"),
        "{}",
        text(&output)
    );
    assert!(
        output.stderr.is_empty() || !String::from_utf8_lossy(&output.stderr).contains('\r'),
        "no bar where no terminal is"
    );

    fs::write(file(&world, &ids[0], "audiowav"), "rot").expect("the folder is ours");
    fs::remove_file(file(&world, &ids[1], "acsmetadata")).expect("the folder is ours");
    fs::remove_file(file(&world, &ids[1], "receipt")).expect("the folder is ours");
    let output = run(&world, &["verify", "--json"]).await;
    assert_eq!(output.status.code(), Some(2));
    let found = report(&output);
    let of = |id: &str| {
        found["wrong"]
            .as_array()
            .and_then(|wrong| wrong.iter().find(|copy| copy["documentId"] == id))
            .expect("it is wrong")
    };
    assert!(
        of(&ids[0])["problems"][0]
            .as_str()
            .is_some_and(|problem| problem.contains("has 3 bytes in the vault")),
        "{found}"
    );
    let problems = of(&ids[1])["problems"].to_string();
    assert!(
        problems.contains("acsmetadata")
            && problems.contains("is not in the vault")
            && problems.contains("the receipt"),
        "{found}"
    );
    let one = report(&run(&world, &["verify", "--json", &ids[1]]).await);
    assert_eq!(
        (&one["verified"], one["wrong"].as_array().map(Vec::len)),
        (&json!(1), Some(1)),
        "{one}"
    );
    let unknown = run(&world, &["verify", "nobody", "nobody"]).await;
    assert_eq!(
        (unknown.status.code(), text(&unknown).trim()),
        (
            Some(2),
            "UNKNOWN: nobody\n  it is not in the ledger\n0 copies verified. 1 chunk is unknown."
        )
    );
    let twice = run(&world, &["verify", "--json", &ids[1], &ids[1]]).await;
    assert_eq!(report(&twice)["verified"], 1);
    let none = run(&world, &["verify", "--of", "no such call"]).await;
    assert_eq!(
        (none.status.code(), text(&none).as_str()),
        (Some(2), ""),
        "a selection without a copy is no success"
    );
}

#[tokio::test]
async fn a_receipt_that_the_ledger_does_not_know_is_verified_too() {
    let (world, ids) = exported(&[]).await;
    fs::remove_dir_all(world.vault.with_file_name("vault-ledger").join("chunks"))
        .expect("the folder is ours");
    let found = report(&run(&world, &["verify", "--json"]).await);
    assert_eq!(
        (&found["verified"], &found["wrong"]),
        (&json!(2), &json!([])),
        "{found}"
    );
    fs::remove_file(file(&world, &ids[0], "audiowav")).expect("the folder is ours");
    let found = report(&run(&world, &["verify", "--json"]).await);
    assert_eq!(found["wrong"][0]["documentId"], json!(ids[0]), "{found}");
}

#[tokio::test]
async fn a_share_of_a_container_is_read_and_the_same_one_with_the_same_seed() {
    let vault = azurite::container_url().await;
    let (world, _) = exported(&[("VAULT_URL", &vault)]).await;
    let output = run(&world, &["verify", "--json", "--read-data-subset", "50%"]).await;
    let first = report(&output);
    assert!(
        output.status.success() && first["read"] == 1 && first["readBytes"].as_u64() > Some(0),
        "{first}"
    );
    let seed = first["seed"].to_string();
    let again = report(
        &run(
            &world,
            &[
                "verify",
                "--json",
                "--read-data-subset",
                "50%",
                "--seed",
                &seed,
            ],
        )
        .await,
    );
    assert_eq!(again, first);
    let all = report(&run(&world, &["verify", "--json", "--read-data-subset", "all"]).await);
    assert_eq!((&all["read"], all.get("seed")), (&json!(2), None), "{all}");
    assert_eq!(
        run(&world, &["verify", "--read-data-subset", "some"])
            .await
            .status
            .code(),
        Some(2)
    );
}

#[tokio::test]
async fn what_should_exist_and_does_not_is_found_by_comparing() {
    let (world, ids) = exported(&[]).await;
    let (code, found) = reconciled(&world, &[]).await;
    assert_eq!((code, &found["findings"]), (Some(2), &json!([])), "{found}");
    assert_eq!(
        (&found["recordings"], &found["chunks"], &found["files"]),
        (&json!(1), &json!(2), &json!(6)),
        "{found}"
    );

    let media = file(&world, &ids[0], "audiowav");
    let stray = media.with_file_name("0000-audiowav.0-eus-d1-ffff.wav");
    fs::rename(&media, &stray).expect("the folder is ours");
    fs::write(media.with_file_name("notes.txt"), "mine").expect("the folder is ours");
    let ledger = world.vault.with_file_name("vault-ledger");
    fs::remove_file(ledger.join(format!("chunks/{}.json", ids[1]))).expect("the folder is ours");
    let (code, found) = reconciled(&world, &[]).await;
    assert_eq!(code, Some(2));
    let kinds = kinds(&found);
    let has = |kind: &str, part: &str| {
        kinds
            .iter()
            .any(|(found, subject)| *found == kind && subject.contains(part))
    };
    assert!(
        has("fileMissing", &ids[0])
            && has("fileWithoutEntry", "0-eus-d1-ffff")
            && has("fileWithoutEntry", "notes.txt"),
        "{found}"
    );
    assert!(
        has("receiptWithoutEntry", &ids[1])
            && has("fileWithoutEntry", &ids[1])
            && has("recordingIncomplete", ""),
        "{found}"
    );
    let days = days();
    let output = run(
        &world,
        &["reconcile", &days[0], &days[1], &days[2], &days[3]],
    )
    .await;
    let table = text(&output);
    assert!(
        table.contains("file missing") && table.contains("ledger rebuild"),
        "{table}"
    );

    fs::remove_dir_all(ledger.join("recordings")).expect("the folder is ours");
    let (_, found) = reconciled(&world, &[]).await;
    assert!(
        found["findings"]
            .to_string()
            .contains("chunkWithoutRecording"),
        "{found}"
    );
}

#[tokio::test]
async fn every_call_of_a_list_must_have_a_recording() {
    let (world, ids) = exported(&[]).await;
    let chunk = world.ledger_entry(&ids[0])["chunk"].clone();
    let list = world.vault.with_file_name("calls.csv");
    let call = chunk["serverCallId"]
        .as_str()
        .or(chunk["callId"].as_str())
        .expect("it has a call");
    fs::write(
        &list,
        format!("agent,serverCallId\n\"Doe, J\",{call}==\nx,bm9ib2R5\n"),
    )
    .expect("the folder is ours");
    let (code, found) = reconciled(&world, &["--calls", &list.display().to_string()]).await;
    assert_eq!(
        (code, kinds(&found)),
        (Some(2), vec![("callWithoutRecording", "bm9ib2R5")]),
        "{found}"
    );
    fs::write(&list, format!("{call}\n")).expect("the folder is ours");
    let (code, found) = reconciled(&world, &["--calls", &list.display().to_string()]).await;
    // Today is not over.
    assert_eq!((code, &found["calls"]), (Some(2), &json!(1)), "{found}");
    assert_eq!(found["findings"], json!([]), "{found}");
    let unchecked = |found: &Value| found["notChecked"].to_string();
    assert!(unchecked(&found).contains("not ended"), "{found}");
    fs::write(&list, format!("agent,callId\na,{call}\nb,\n")).expect("the folder is ours");
    let (_, found) = reconciled(&world, &["--calls", &list.display().to_string()]).await;
    assert!(
        unchecked(&found).contains("1 row of the list names no call"),
        "{found}"
    );

    fs::write(&list, "agent,customer\nx,y\n").expect("the folder is ours");
    let days = days();
    let output = run(
        &world,
        &[
            "reconcile",
            &days[0],
            &days[1],
            &days[2],
            &days[3],
            "--calls",
            &list.display().to_string(),
        ],
    )
    .await;
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.code() == Some(1) && complaint.contains("none of them is `callId`"),
        "{complaint}"
    );
}

#[tokio::test]
async fn a_call_whose_id_another_system_writes_in_capitals_has_its_recording() {
    let (world, ids) = exported(&[]).await;
    let chunk = world.ledger_entry(&ids[0])["chunk"].clone();
    let call = chunk["callId"].as_str().expect("it has a call");
    let capitals = call.to_uppercase();
    assert_ne!(call, capitals);
    let list = world.vault.with_file_name("calls.csv");
    fs::write(&list, format!("agent,callId\na,{capitals}\n")).expect("the folder is ours");
    let (_, found) = reconciled(&world, &["--calls", &list.display().to_string()]).await;
    assert_eq!(found["findings"], json!([]), "{found}");
    let verified = run(&world, &["verify", "--of", &capitals, "--json"]).await;
    assert_eq!(verified.status.code(), Some(0), "{verified:?}");
    assert_eq!(report(&verified)["verified"], 2);
}

/// Writes a list of the call of a chunk.
fn list_of_call(world: &World, id: &str) -> String {
    let chunk = world.ledger_entry(id)["chunk"].clone();
    let call = chunk["serverCallId"].as_str().or(chunk["callId"].as_str());
    let list = world.vault.with_file_name("calls.csv");
    fs::write(&list, call.expect("it has a call")).expect("the folder is ours");
    list.display().to_string()
}

#[tokio::test]
async fn a_call_whose_copies_were_deleted_has_no_recording() {
    let (world, ids) = exported(&[]).await;
    let list = list_of_call(&world, &ids[0]);
    let apply = ["retention", "apply", "--yes"];
    for id in &ids {
        age(&world, id);
    }
    let applied = with(&world, ("VAULT_RETENTION", "24h"), &apply).await;
    assert!(applied.status.success(), "{applied:?}");
    let (_, found) = reconciled(&world, &["--calls", &list]).await;
    assert_eq!(kinds(&found)[0].0, "callWithoutRecording", "{found}");
    let problem = found["findings"][0]["problem"].as_str();
    assert!(
        problem.is_some_and(|problem| problem.contains("no copy is left")),
        "{found}"
    );
    let (_, found) = reconciled(&world, &[]).await;
    assert_eq!(
        found["findings"],
        json!([]),
        "a policy deleted them: {found}"
    );
}

#[tokio::test]
async fn a_listed_call_of_another_day_is_looked_for_in_the_vault() {
    let (world, ids) = exported(&[]).await;
    let list = list_of_call(&world, &ids[0]);
    for id in &ids {
        let entry = world.vault.with_file_name("vault-ledger");
        let entry = entry.join(format!("chunks/{id}.json"));
        edit(&entry, |entry| {
            let folder = entry["folder"].as_str().expect("it has a folder");
            let (_, rest) = folder.split_once('/').expect("it begins with the day");
            entry["folder"] = format!("20260101/{rest}").into();
        });
    }
    let media = file(&world, &ids[0], "audiowav");
    let name = media
        .strip_prefix(&world.vault)
        .expect("it is in the vault");
    let name = name.display().to_string();
    fs::remove_file(&media).expect("it is there");
    let (_, found) = reconciled(&world, &["--calls", &list]).await;
    assert!(kinds(&found).contains(&("fileMissing", &name)), "{found}");
}

#[tokio::test]
async fn a_listed_call_whose_chunk_is_not_in_the_vault_is_found_whatever_its_day() {
    let world = World::new().await;
    let event = world
        .recording(json!({"call": {"chunks": [{"durationMs": 1000}]}}))
        .await;
    let id = document_ids(&event).swap_remove(0);
    let mut foreign = event;
    foreign["data"]["recordingStorageInfo"]["recordingChunks"][0]["contentLocation"] =
        "https://evil.example/x".into();
    world.event(&foreign).await;
    world.sweep().await;
    let list = list_of_call(&world, &id);
    let ledger = world.vault.with_file_name("vault-ledger");
    edit(&ledger.join(format!("chunks/{id}.json")), |entry| {
        let folder = entry["folder"].as_str().expect("it has a folder");
        let (_, rest) = folder.split_once('/').expect("it begins with the day");
        entry["folder"] = format!("20260101/{rest}").into();
    });
    // Its account is of another day too.
    for folder in ["recordings", "catalogue"] {
        fs::remove_dir_all(ledger.join(folder)).expect("the folder is ours");
    }
    exported_in(&world).await;
    let (code, found) = reconciled(&world, &["--calls", &list]).await;
    assert_eq!(code, Some(2), "{found}");
    let kinds = kinds(&found);
    assert!(kinds.contains(&("chunkNotInVault", &id)), "{found}");
}

#[tokio::test]
async fn days_in_the_wrong_order_are_refused() {
    let world = World::new().await;
    let output = run(
        &world,
        &["reconcile", "--from", "2026-03-02", "--to", "2026-03-01"],
    )
    .await;
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.code() == Some(2)
            && complaint.contains("the period 2026-03-02 to 2026-03-01 must end after it begins"),
        "{complaint}"
    );
}

#[tokio::test]
async fn what_is_due_is_deleted_at_the_source_and_a_dry_run_says_so_before() {
    let (world, ids) = exported(&[("DELETE_DELAY", "1h")]).await;
    let waiting = report(&run(&world, &["delete-source", "--dry-run", "--json"]).await);
    assert_eq!(waiting["wouldDelete"], json!([]));
    let why: BTreeMap<&str, &str> = waiting["kept"]
        .as_array()
        .expect("there is a list")
        .iter()
        .map(|kept| {
            (
                kept["documentId"].as_str().unwrap_or_default(),
                kept["why"].as_str().unwrap_or_default(),
            )
        })
        .collect();
    assert!(
        ids.iter()
            .all(|id| why[id.as_str()].contains("DELETE_DELAY has not passed")),
        "{waiting}"
    );
    assert_eq!(
        report(&run(&world, &["delete-source", "--yes", "--json"]).await)["deleted"],
        json!([]),
        "a delay is honoured"
    );

    let due = ("DELETE_DELAY", "0s");
    let before = report(&with(&world, due, &["delete-source", "--dry-run", "--json"]).await);
    assert_eq!(
        before["wouldDelete"].as_array().map(Vec::len),
        Some(2),
        "{before}"
    );
    assert!(
        world
            .objects()
            .await
            .iter()
            .all(|object| object["deletedAt"].is_null()),
        "a dry run deletes nothing"
    );
    let output = with(&world, due, &["delete-source", "--yes"]).await;
    assert!(
        output.status.success() && text(&output).ends_with("2 deleted, 0 failed, 0 stay\n"),
        "{}",
        text(&output)
    );
    assert!(
        ids.iter()
            .all(|id| world.ledger_entry(id)["state"]["name"] == "sourceDeleted")
    );
    let again = text(&with(&world, due, &["delete-source", "--dry-run"]).await);
    assert!(
        again.starts_with("No chunk in the ledger is known to have a source at ACS."),
        "{again}"
    );
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "three kinds of chunk in one run")]
async fn what_is_held_unproved_or_in_ones_own_storage_stays_and_why_is_said() {
    let (world, ids) = exported(&[("DELETE_DELAY", "1h"), ("EVENT_BUDGET", "1s")]).await;
    let call = world.ledger_entry(&ids[0])["chunk"]["callId"]
        .as_str()
        .expect("it has a call")
        .to_owned();
    assert!(
        run(&world, &["hold", "add", "--case", "A-1", "--call", &call])
            .await
            .status
            .success()
    );
    let mut lost = world
        .recording(json!({"call": {"chunks": [{"durationMs": 1000}]}}))
        .await;
    lost["data"]["recordingStorageInfo"]["recordingChunks"][0]["contentLocation"] =
        "https://evil.example/x".into();
    world.event(&lost).await;
    let mut own = world
        .recording(json!({"call": {"chunks": [{"durationMs": 1000}]}}))
        .await;
    own["data"]["storageType"] = "AzureBlob".into();
    for chunk in own["data"]["recordingStorageInfo"]["recordingChunks"]
        .as_array_mut()
        .expect("it has chunks")
    {
        for name in ["contentLocation", "metadataLocation"] {
            chunk[name] = "https://mine.blob.core.windows.net/calls/x".into();
        }
        chunk["deleteLocation"] = Value::Null;
    }
    world.event(&own).await;

    let output = with(
        &world,
        ("DELETE_DELAY", "0s"),
        &["delete-source", "--yes", "--json"],
    )
    .await;
    let found = report(&output);
    assert_eq!(
        (output.status.code(), &found["deleted"]),
        (Some(0), &json!([])),
        "{found}"
    );
    let why = |id: &str| {
        let kept = found["kept"]
            .as_array()
            .and_then(|kept| kept.iter().find(|kept| kept["documentId"] == id));
        kept.unwrap_or_else(|| panic!("{id} is not in {found}"))["why"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    assert!(
        why(&ids[0]).contains("held for `A-1`") || why(&ids[0]).contains("held for A-1"),
        "{found}"
    );
    assert!(
        why(&document_ids(&lost)[0]).contains("not in the vault, and was given up"),
        "{found}"
    );
    assert!(
        why(&document_ids(&own)[0]).contains("own storage")
            || why(&document_ids(&own)[0]).contains("given up"),
        "{found}"
    );
    assert!(
        world
            .objects()
            .await
            .iter()
            .all(|object| object["deletedAt"].is_null())
    );
}

#[tokio::test]
async fn a_copy_that_left_the_vault_keeps_its_source() {
    let (world, ids) = exported(&[("DELETE_DELAY", "1h")]).await;
    fs::remove_file(file(&world, &ids[0], "audiowav")).expect("the folder is ours");
    let found = report(
        &with(
            &world,
            ("DELETE_DELAY", "0s"),
            &["delete-source", "--yes", "--json"],
        )
        .await,
    );
    assert_eq!(
        (&found["deleted"], &found["kept"][0]["documentId"]),
        (&json!([ids[1]]), &json!(ids[0])),
        "{found}"
    );
    assert!(
        found["kept"][0]["why"]
            .as_str()
            .is_some_and(|why| why.contains("no longer holds what was proved")),
        "{found}"
    );
}

#[tokio::test]
async fn shells_are_given_their_completions_without_any_setting() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let output = command::run(&BTreeMap::new(), &["completions", shell]).await;
        assert!(
            output.status.success() && text(&output).contains("recording-vault"),
            "{shell}: {}",
            text(&output)
        );
    }
}
