//! One world with every kind of trouble, asked through every door: page data, API, `status`, `list`, `report`, `reconcile`, the
//! nightly report and the metrics say the same; and what nobody looked at is never called safe.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Output;

use serde_json::{Value, json};

use crate::support::command::{self, report, text};
use crate::support::world::{World, document_ids};

type Counts = BTreeMap<String, u64>;

async fn run(world: &World, arguments: &[&str]) -> Output {
    command::run(world.settings(), arguments).await
}

async fn summary(world: &World) -> Value {
    let (status, answer) = world.api("GET", "/vault/summary", None).await;
    assert_eq!(status, 200, "{answer}");
    answer
}

fn ledger(world: &World) -> PathBuf {
    world.vault.with_file_name("vault-ledger")
}

/// Changes a chunk's entry in the ledger as no process would.
pub(crate) fn edit(world: &World, id: &str, change: impl FnOnce(&mut Value)) {
    let path = ledger(world).join(format!("chunks/{id}.json"));
    let mut entry = world.ledger_entry(id);
    change(&mut entry);
    std::fs::write(path, entry.to_string()).expect("the folder is ours");
}

/// A recording of one chunk that has ended; its event.
async fn recorded(world: &World) -> Value {
    world
        .recording(json!({"call": {"chunks": [{"durationMs": 1000}]}}))
        .await
}

fn chunk_of(event: &mut Value) -> &mut Value {
    &mut event["data"]["recordingStorageInfo"]["recordingChunks"][0]
}

fn account_of(world: &World, event: &Value) -> PathBuf {
    let subject = event["subject"].as_str().expect("an event has a subject");
    let id = subject.rsplit("recordingId/").next().expect("it names one");
    let mut accounts = std::fs::read_dir(ledger(world).join("recordings"))
        .expect("there are accounts")
        .flatten()
        .map(|entry| entry.path());
    accounts
        .find(|path| {
            let account = std::fs::read_to_string(path).unwrap_or_default();
            account.contains(id.trim_end_matches('='))
        })
        .expect("the recording has an account")
}

/// Every kind of trouble that a test can make: verified, failed, lost, at risk, incomplete, missing, doubtful, in the backup
/// vault only, unknown, and poison.
async fn troubled() -> World {
    let world = World::with(&[("MISSING_AFTER", "0s"), ("EVENT_BUDGET", "1s")]).await;
    world.event(&recorded(&world).await).await;
    let mut failed = recorded(&world).await;
    chunk_of(&mut failed)["contentLocation"] = "https://evil.example/v1/objects/x".into();
    world.event(&failed).await;
    let mut lost = recorded(&world).await;
    chunk_of(&mut lost)["contentLocation"] = "https://evil.example/v1/objects/y".into();
    world.event(&lost).await;
    let lost = document_ids(&lost)[0].clone();
    let gone = "2026-01-01T00:00:00Z";
    edit(&world, &lost, |entry| entry["surelyGoneAt"] = gone.into());
    let seconds = gone
        .parse::<jiff::Timestamp>()
        .expect("it is a time")
        .as_second();
    let doomed = ledger(&world).join("doomed");
    std::fs::write(doomed.join(format!("{seconds:011}-{lost}")), "m").expect("the folder is ours");
    let mut incomplete = recorded(&world).await;
    chunk_of(&mut incomplete)["index"] = 2.into();
    world.event(&incomplete).await;
    at_risk(&world).await;
    copied(&world, |receipt| {
        receipt["anomaly"] = "it is a web page".into();
    })
    .await;
    copied(&world, |receipt| receipt["vault"] = "backup".into()).await;
    let unreadable = recorded(&world).await;
    world.event(&unreadable).await;
    world.event(&json!("garbled")).await;
    missing(&world).await;
    world.sweep().await;
    std::fs::write(account_of(&world, &unreadable), "no JSON").expect("the folder is ours");
    // The next sweep makes the report of today, and the complete check finds what no list names.
    let due = ledger(&world).join("reports-due").join(today());
    std::fs::create_dir_all(&due).expect("the folder is ours");
    std::fs::write(due.join("00000000000-test"), "").expect("the folder is ours");
    let check = run(&world, &["status", "--check"]).await;
    assert_eq!(check.status.code(), Some(2), "{}", text(&check));
    world.sweep().await;
    world
}

/// A recording whose file ACS does not hand out, and whose time there has nearly passed.
async fn at_risk(world: &World) {
    let mut event = recorded(world).await;
    let id = document_ids(&event)[0].clone();
    let location = &mut chunk_of(&mut event)["contentLocation"];
    let text = location.as_str().expect("an event names a place");
    *location = text.replace("/content/", "/no-content/").into();
    world.event(&event).await;
    let now = jiff::Timestamp::now();
    let hours = jiff::SignedDuration::from_hours;
    edit(world, &id, |entry| {
        entry["recordedAt"] = (now - hours(23)).to_string().into();
        entry["expiresAt"] = (now + hours(1)).to_string().into();
        entry["notBefore"] = (now + hours(1)).to_string().into();
    });
}

/// A recording that is in the vault, with a changed receipt.
async fn copied(world: &World, change: impl FnOnce(&mut Value)) {
    let event = recorded(world).await;
    world.event(&event).await;
    edit(world, &document_ids(&event)[0], |entry| {
        change(&mut entry["state"]["receipt"]);
    });
}

/// A recording that ended, and of which no event comes.
async fn missing(world: &World) {
    let call = world
        .admin("POST", "calls", json!({"chunks": [{"durationMs": 1000}]}))
        .await["serverCallId"]
        .clone();
    let started = world
        .api("POST", "/recordings", Some(json!({"serverCallId": call})))
        .await
        .1;
    let id = started["recordingId"].as_str().expect("it is started");
    world
        .api("POST", &format!("/recordings/{id}/stop"), None)
        .await;
}

fn today() -> String {
    let now = jiff::Zoned::now().with_time_zone(jiff::tz::TimeZone::UTC);
    now.date().to_string()
}

fn counts(value: &Value) -> Counts {
    let members = value.as_object().expect("they are counted");
    let count = |count: &Value| count.as_u64().expect("it is a number");
    members
        .iter()
        .map(|(name, value)| (name.clone(), count(value)))
        .collect()
}

/// Standings that are not settled.
fn open(counts: Counts) -> Counts {
    let is_settled = |name: &str| ["verified", "inPlace", "erased", "removed"].contains(&name);
    counts
        .into_iter()
        .filter(|(name, count)| !is_settled(name) && *count > 0)
        .collect()
}

fn length(list: &Value) -> u64 {
    list.as_array().map_or(0, |list| list.len() as u64)
}

#[tokio::test]
#[expect(
    clippy::too_many_lines,
    reason = "one world, asked through every door at the same moment"
)]
async fn every_door_says_the_same_of_a_world_with_every_kind_of_trouble() {
    let world = troubled().await;
    let summary = summary(&world).await;
    let verdict = &summary["verdict"];
    let expected = open(counts(&verdict["recordings"]));
    for standing in [
        "lost",
        "failed",
        "atRisk",
        "unknown",
        "missing",
        "incomplete",
        "doubtful",
        "backupOnly",
    ] {
        assert_eq!(expected.get(standing), Some(&1), "{standing}: {verdict}");
    }
    assert_eq!(
        (&verdict["kind"], &verdict["poison"]),
        (&json!("attention"), &json!(1)),
        "{verdict}"
    );
    let headline = verdict["headline"].as_str().expect("there is one");
    assert!(
        headline.starts_with("Needs attention: 1 recording lost, 1 recording failed"),
        "{headline}"
    );

    // The numbers of the page, and the lists behind them.
    for (standing, count) in &expected {
        assert_eq!(&summary["tiles"][standing], count, "{standing}: {summary}");
        let path = format!("/vault/recordings?state={standing}");
        let (_, list) = world.api("GET", &path, None).await;
        assert_eq!(length(&list["recordings"]), *count, "{standing}: {list}");
        for row in list["recordings"].as_array().into_iter().flatten() {
            assert_ne!(row["reasons"], json!([]), "{row}");
        }
        let listed = run(&world, &["list", "--json", "--standing", standing]).await;
        let listed = report(&listed);
        assert!(
            length(&listed["chunks"]) + length(&listed["recordings"]) >= *count,
            "{standing}: {listed}"
        );
    }

    // The verb says what the page says.
    let status = report(&run(&world, &["status", "--json"]).await);
    assert_eq!(
        (&status["headline"], &status["recordings"]),
        (&verdict["headline"], &verdict["recordings"])
    );

    // The day: report, page data, and the snapshot of the sweep.
    let day = run(&world, &["report", "--json"]).await;
    assert_eq!(day.status.code(), Some(2));
    let day = report(&day);
    assert_eq!(open(counts(&day["standings"])), expected, "{day}");
    let (_, days) = world.api("GET", "/vault/days", None).await;
    let shown = &days["days"][29];
    assert_eq!(
        (&shown["day"], &shown["recordings"], &shown["incomplete"]),
        (
            &json!(today()),
            &json!(length(&day["recordings"])),
            &day["incomplete"]
        ),
        "{days}"
    );
    let nightly = std::fs::read(ledger(&world).join(format!("reports/{}.json", today())));
    let nightly: Value =
        serde_json::from_slice(&nightly.expect("it is made")).expect("a report is JSON");
    assert_eq!(open(counts(&nightly["standings"])), expected, "{nightly}");
    assert!(!nightly.to_string().contains("8:acs:"), "it names nobody");

    // What reconcile finds of recordings.
    let reconciled = run(
        &world,
        &["reconcile", "--json", "--from", &today(), "--to", &today()],
    )
    .await;
    let reconciled = report(&reconciled);
    let mut of_recordings: BTreeMap<String, Value> = BTreeMap::new();
    for finding in reconciled["findings"].as_array().into_iter().flatten() {
        if finding["kind"] == "recordingIncomplete" {
            let subject = finding["subject"].as_str().expect("it is text");
            of_recordings.insert(subject.to_owned(), finding["standing"].clone());
        }
    }
    let mut found = Counts::new();
    for standing in of_recordings.values() {
        let standing = standing.as_str().expect("it is a word");
        *found.entry(standing.to_owned()).or_default() += 1;
    }
    assert_eq!(found, expected, "{reconciled}");

    // The metrics of the last sweep.
    let metrics = world
        .client
        .get(format!("{}/api/metrics", world.host.url()));
    let metrics = metrics.send().await.expect("the host answers");
    let metrics = metrics.text().await.expect("metrics are text");
    for (standing, count) in &expected {
        let line =
            format!("recording_vault_recordings_standing{{standing=\"{standing}\"}} {count}");
        assert!(metrics.contains(&line), "{line}: {metrics}");
    }
    let console = world.console();
    assert!(console.contains("Recordings are lost: 1"), "{console}");
}

#[tokio::test]
async fn a_loss_is_counted_apart_once_it_is_acknowledged_and_an_event_once_it_is_dismissed() {
    let world = troubled().await;
    let lost = report(&run(&world, &["list", "--json", "--standing", "lost"]).await);
    let lost = lost["chunks"][0]["documentId"]
        .as_str()
        .expect("it is lost");
    for (id, expected) in [(lost, Some(0)), (lost, Some(0)), ("nobody", Some(2))] {
        let output = run(&world, &["acknowledge", id, "--reason", "a test call"]).await;
        assert_eq!(output.status.code(), expected, "{}", text(&output));
    }
    let without_reason = run(&world, &["acknowledge", lost, "--reason", " "]).await;
    assert_eq!(without_reason.status.code(), Some(2));
    let missing = report(&run(&world, &["list", "--json", "--standing", "missing"]).await);
    let missing = missing["recordings"][0]["recordingId"]
        .as_str()
        .expect("it is missing");
    let output = run(&world, &["acknowledge", missing, "--reason", "a test call"]).await;
    assert!(output.status.success(), "{}", text(&output));
    let poison = report(&run(&world, &["list", "--json"]).await);
    let poison = poison["poison"][0]["sha256"].as_str().expect("it is kept");
    let poison = format!("poison:{poison}");
    let output = run(&world, &["dismiss", &poison, "--reason", "a test"]).await;
    assert!(output.status.success(), "{}", text(&output));
    // The same event again is dealt with.
    world.event(&json!("garbled")).await;
    let verdict = summary(&world).await["verdict"].clone();
    assert_eq!(
        (
            &verdict["acknowledged"],
            &verdict["poison"],
            &verdict["recordings"]["lost"],
            &verdict["recordings"]["missing"]
        ),
        (&json!(2), &json!(0), &Value::Null, &Value::Null),
        "{verdict}"
    );
    // What is opened again is lost again if it fails again.
    run(&world, &["retry", lost]).await;
    assert!(world.ledger_entry(lost).get("acknowledged").is_none());
}

#[tokio::test]
async fn safe_is_said_after_a_complete_check_only_and_no_longer_when_a_file_is_gone() {
    let world = World::new().await;
    let status = run(&world, &["status"]).await;
    assert_eq!(status.status.code(), Some(1), "nothing was recorded");
    world.event(&recorded(&world).await).await;
    let status = run(&world, &["status", "--json"]).await;
    assert_eq!(
        (status.status.code(), &report(&status)["kind"]),
        (Some(2), &json!("unknown")),
        "neither a sweep nor a check has ended"
    );
    world.sweep().await;
    let status = run(&world, &["status"]).await;
    assert!(
        status.status.success() && text(&status).starts_with("Everything recorded is safe."),
        "{}",
        text(&status)
    );
    let receipt = crate::support::world::files_by_path(&world.vault)
        .into_keys()
        .find(|name| name.contains("-receipt."))
        .expect("there is a receipt");
    std::fs::remove_file(world.vault.join(receipt)).expect("the folder is ours");
    let status = run(&world, &["status", "--check"]).await;
    assert!(
        status.status.code() == Some(2) && text(&status).contains("is not in the vault"),
        "{}",
        text(&status)
    );
}

#[tokio::test]
async fn a_recording_that_lacks_most_of_its_length_and_a_copy_that_is_gone_are_said_before_the_next_check()
 {
    let world = World::with(&[("MISSING_AFTER", "0s")]).await;
    world.event(&recorded(&world).await).await;
    world.sweep().await;
    let status = run(&world, &["status"]).await;
    assert!(status.status.success(), "{}", text(&status));
    let short = recorded(&world).await;
    world.event(&short).await;
    world.sweep().await;
    edit(&world, &document_ids(&short)[0], |entry| {
        entry["chunk"]["durationMs"] = 3_600_000.into();
        entry["metadata"]["durationMs"] = 60_000.into();
    });
    let verdict = summary(&world).await["verdict"].clone();
    assert_eq!(
        (&verdict["kind"], &verdict["recordings"]["incomplete"]),
        (&json!("attention"), &json!(1)),
        "{verdict}"
    );
    let media = crate::support::world::files_by_path(&world.vault)
        .into_keys()
        .find(|name| name.ends_with(".wav") || name.ends_with(".mp4") || name.ends_with(".mp3"))
        .expect("there is media");
    std::fs::remove_file(world.vault.join(media)).expect("the folder is ours");
    let status = run(&world, &["status"]).await;
    assert!(
        text(&status).contains("of 2 copies looked for, the vault lacks 1"),
        "{}",
        text(&status)
    );
}

#[tokio::test]
async fn verbs_on_a_vault_that_does_not_exist_say_so_and_create_nothing() {
    let world = World::new().await;
    let nowhere = world.vault.with_file_name("nowhere");
    let mut settings = world.settings().clone();
    settings.insert(
        "VAULT_URL".to_owned(),
        format!("file://{}", nowhere.display()),
    );
    for arguments in [
        &["list"][..],
        &["report"],
        &["reconcile", "--from", "2026-03-01", "--to", "2026-03-02"],
        &["show", "nobody"],
        &["verify"],
        &["retry"],
        &["acknowledge", "nobody", "--reason", "r"],
        &["gdpr", "find", "8:acs:x"],
        &["gdpr", "erase", "8:acs:x", "--reason", "r", "--yes"],
        &["hold", "list"],
        &["audit", "verify"],
        &["audit", "show", "nobody"],
        &["ledger", "index"],
        &["ledger", "rebuild"],
        &["open", "nobody"],
        &["find", "nobody"],
    ] {
        let output = command::run(&settings, arguments).await;
        let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            output.status.code() == Some(1) && complaint.contains("nothing was ever stored at"),
            "{arguments:?}: {complaint}"
        );
    }
    assert!(!nowhere.exists() && !nowhere.with_file_name("nowhere-ledger").exists());
    world.event(&recorded(&world).await).await;
    settings.insert(
        "VAULT_URL".to_owned(),
        format!("file://{}", world.vault.display()),
    );
    settings.insert(
        "LEDGER_URL".to_owned(),
        format!("file://{}", nowhere.display()),
    );
    let output = command::run(&settings, &["report"]).await;
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.code() == Some(1) && complaint.contains("there is no ledger here"),
        "{complaint}"
    );
}

#[tokio::test]
async fn a_day_without_data_is_not_a_day_without_losses() {
    let world = World::new().await;
    world.event(&recorded(&world).await).await;
    for (day, why) in [
        ("2099-01-01", "has not begun"),
        ("2020-01-01", "no recording is known to have begun on it"),
    ] {
        let output = run(&world, &["report", "--day", day]).await;
        let complaint = String::from_utf8_lossy(&output.stderr).into_owned() + &text(&output);
        assert!(
            output.status.code() == Some(2) && complaint.contains(why),
            "{day}: {complaint}"
        );
    }
    let nothing = run(&world, &["list", "--standing", "lost"]).await;
    assert_eq!(
        (nothing.status.code(), text(&nothing).trim()),
        (Some(2), "Nothing matches.")
    );
}

/// A recording that runs has no callId yet: both verbs show the id by which it is found.
#[tokio::test]
async fn a_running_recording_is_shown_with_the_id_that_finds_it() {
    let world = World::new().await;
    let chunks = json!({"chunks": [{"durationMs": 1000}]});
    let call = world.admin("POST", "calls", chunks).await["serverCallId"].clone();
    let start = json!({"serverCallId": call});
    world.api("POST", "/recordings", Some(start)).await;
    let call = call.as_str().expect("a call has an id");
    let found = run(&world, &["find", call]).await;
    let begin: String = call.chars().take(12).collect();
    let shown = text(&found);
    assert!(shown.contains(&begin), "{shown}");
    assert!(!shown.contains("unknown"), "{shown}");
    let header = shown.lines().next().unwrap_or_default();
    assert!(header.contains("standing"), "{shown}");
    // The state of a chunk finds no recording, and says where it is listed.
    let found = text(&run(&world, &["find", "Exported"]).await);
    assert!(
        found.contains("`recording-vault list --state exported`"),
        "{found}"
    );
}

#[tokio::test]
async fn a_list_takes_the_word_that_a_search_shows() {
    let world = World::new().await;
    let event = world
        .recording(json!({"call": {"chunks": [{"durationMs": 1000}]}}))
        .await;
    world.event(&event).await;
    for (state, expected) in [("verified", 1), ("sourceDeleted", 1), ("lost", 0)] {
        let output = run(&world, &["list", "--state", state, "--json"]).await;
        let chunks = report(&output)["chunks"].as_array().map_or(0, Vec::len);
        assert_eq!(chunks, expected, "{state}");
    }
    // One size has one unit, whichever verb shows it.
    let listed = text(&run(&world, &["list"]).await);
    let found = text(&run(&world, &["find", "verified"]).await);
    for shown in [listed, found] {
        assert!(shown.contains(" kB") && !shown.contains("KiB"), "{shown}");
    }
}
