//! A sweep that a request runs because the timer does not fire, the alarm about the timer, and a claim of a process that died.

use std::fs;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::doctor::{assert_failed, check};
use crate::support::command::{report, run};
use crate::support::eventually;
use crate::support::world::{World, document_ids};

const OVERDUE: &str = "No sweep ended in time";

/// The timer of these tests never fires, so the longest pause that is permitted counts: 15 min, and `SWEEP_BUDGET`.
const LONG_AGO: SignedDuration = SignedDuration::from_mins(30);

/// The lines that alert rules read.
fn verdicts(console: &str) -> Vec<&str> {
    console
        .lines()
        .filter_map(|line| line.find("Verdict: ").map(|at| &line[at..]))
        .collect()
}

/// Notes a sweep that the timer triggered.
fn note_last_sweep(world: &World, ago: SignedDuration) {
    let ledger = world.vault.with_file_name("vault-ledger");
    fs::create_dir_all(&ledger).expect("the folder is ours");
    let at = (Timestamp::now() - ago).to_string();
    let sweep = json!({"at": at, "durationMs": 5, "timer": {"endedAt": at}});
    fs::write(ledger.join("last-sweep.json"), sweep.to_string()).expect("the folder is ours");
}

/// A chunk whose event came and whose export was left to the sweep.
async fn left_to_the_sweep(world: &World) -> String {
    let faults = json!([{"plane": "media", "kind": "slow", "piecesPerSecond": 1}]);
    world.admin("PUT", "faults", faults).await;
    let event = world
        .recording(json!({"call": {"chunks": [{"durationMs": 60_000}]}}))
        .await;
    world.event(&event).await;
    world.admin("PUT", "faults", json!([])).await;
    document_ids(&event).remove(0)
}

#[tokio::test]
async fn a_request_starts_the_sweep_that_the_timer_did_not_and_of_two_processes_one_does() {
    let world = World::with(&[("EVENT_BUDGET", "1s")]).await;
    note_last_sweep(&world, LONG_AGO);
    let other = world.another_host().await;
    let ask = async |host: String| {
        let url = format!("{host}/api/vault/summary");
        let answer = world.client.get(url).send().await;
        assert_eq!(answer.expect("the host answers").status(), 200);
    };
    tokio::join!(ask(world.host.url()), ask(other.url()));
    await_sweep(&world).await;
    let console = world.console();
    assert_eq!(console.matches(OVERDUE).count(), 1, "{console}");
    // Alerts learn what it saw, and that the timer did not fire.
    eventually("the sweep reports its verdict", async || {
        let console = world.console();
        let verdict = verdicts(&console).pop()?;
        verdict.ends_with(" timerLate").then_some(())
    })
    .await;
}

/// Waits until a sweep has ended that a request started.
async fn await_sweep(world: &World) {
    eventually("a sweep is noted", async || {
        let (_, summary) = world.api("GET", "/vault/summary", None).await;
        let at: Timestamp = summary["tiles"]["lastSweep"]["at"].as_str()?.parse().ok()?;
        (Timestamp::now().duration_since(at) < SignedDuration::from_mins(5)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn doctor_does_not_clear_the_alarm_about_the_timer_by_its_own_requests() {
    let world = World::new().await;
    note_last_sweep(&world, SignedDuration::from_mins(40));
    let mut settings = world.settings().clone();
    let schedule = "0 * * * * *".to_owned();
    settings.insert("EXPORT_SWEEP_SCHEDULE".to_owned(), schedule);
    let url = world.host.url();
    let doctor = async || report(&run(&settings, &["doctor", "--json", "--url", &url]).await);

    let overdue = "40 min ago";
    assert_failed(&doctor().await, "last sweep", overdue, "ExportSweep");
    await_sweep(&world).await;
    let found = doctor().await;
    assert_failed(&found, "last sweep", "a request ran it", "ExportSweep");
    assert_failed(&found, "last sweep", overdue, "ExportSweep");

    world.sweep().await;
    let found = doctor().await;
    let sweep = check(&found, "last sweep");
    assert_eq!(sweep["result"], "fine", "{sweep}");
}

#[tokio::test]
async fn a_timer_that_does_not_fire_stays_visible_until_it_does() {
    let world = World::new().await;
    note_last_sweep(&world, LONG_AGO);
    let event = world
        .recording(json!({"call": {"chunks": [{"durationMs": 1000}]}}))
        .await;
    world.event(&event).await;
    eventually("the sweep reports its verdict", async || {
        let console = world.console();
        let verdict = verdicts(&console).pop()?;
        let is_unknown = verdict.starts_with("Verdict: unknown; ");
        (is_unknown && verdict.ends_with(" timerLate")).then_some(())
    })
    .await;
    let verdict = async || {
        let (_, summary) = world.api("GET", "/vault/summary", None).await;
        let codes = summary["verdict"]["codes"].to_string();
        (summary["verdict"]["kind"].clone(), codes)
    };
    let (kind, codes) = verdict().await;
    assert_eq!(kind, "unknown", "{codes}");
    assert!(codes.contains("timerLate"), "{codes}");
    let status = run(world.settings(), &["status"]).await;
    let said = crate::support::command::text(&status);
    assert_eq!(status.status.code(), Some(2), "{said}");
    assert!(
        said.contains(
            "Not checked: a request ran the last sweep, because the timer has triggered none since "
        ),
        "{said}"
    );

    world.sweep().await;
    let (kind, codes) = verdict().await;
    assert_eq!(kind, "safe", "{codes}");
}

#[tokio::test]
async fn an_event_starts_it_too_and_its_chunks_are_exported() {
    let world = World::with(&[("EVENT_BUDGET", "1s")]).await;
    let id = left_to_the_sweep(&world).await;
    assert_ne!(world.ledger_entry(&id)["state"]["name"], "sourceDeleted");
    // The first event's look was before: another process looks now.
    note_last_sweep(&world, SignedDuration::from_hours(1));
    let other = world.another_host().await;
    let url = format!(
        "{}/RecordingFileStatusUpdated",
        crate::support::world::handler_url(&other).await
    );
    let nothing = json!({"Data": {"event": []}, "Metadata": {}}).to_string();
    let request = world
        .client
        .post(url)
        .header("content-type", "application/json")
        .body(nothing);
    assert_eq!(
        request.send().await.expect("the handler answers").status(),
        200
    );
    eventually("the chunk is exported", async || {
        (world.ledger_entry(&id)["state"]["name"] == "sourceDeleted").then_some(())
    })
    .await;
}

#[rstest::rstest]
#[case::recent(SignedDuration::from_mins(4), "/vault/summary")]
#[case::between_two_sweeps_of_a_rare_timer(SignedDuration::from_mins(17), "/vault/summary")]
#[case::anonymous(LONG_AGO, "/openapi.json")]
#[tokio::test]
async fn no_sweep_is_started_where_one_came_or_anybody_may_ask(
    #[case] ago: SignedDuration,
    #[case] path: &str,
) {
    let world = World::new().await;
    note_last_sweep(&world, ago);
    let (status, _) = world.api("GET", path, None).await;
    assert_eq!(status, 200);
    // What would have been started is started before this is answered.
    world.api("GET", "/openapi.json", None).await;
    assert!(!world.console().contains(OVERDUE), "{}", world.console());
}

#[rstest::rstest]
#[case::chunks("open")]
#[case::running_recordings("running")]
#[case::missing_recordings("awaiting")]
#[tokio::test]
async fn a_sweep_that_could_not_look_is_not_noted_as_one(#[case] folder: &str) {
    let world = World::new().await;
    let ledger = world.vault.with_file_name("vault-ledger");
    let last_sweep = || fs::exists(ledger.join("last-sweep.json")).expect("the folder is ours");
    let unlistable = ledger.join(folder);
    fs::create_dir_all(&ledger).expect("the folder is ours");
    fs::write(&unlistable, "").expect("the folder is ours");
    let timer = json!({"Data": {"timer": {}}, "Metadata": {}}).to_string();
    let (status, answer) = world.envelope("ExportSweep", timer).await;
    assert_eq!(status, 500, "the host counts it as failed: {answer}");
    assert!(!last_sweep());
    eventually("the sweep reports that it does not know", async || {
        let console = world.console();
        let verdict = verdicts(&console).pop()?;
        let is_unknown = verdict.starts_with("Verdict: unknown; ");
        (is_unknown && verdict.ends_with(" sweepFailed")).then_some(())
    })
    .await;
    fs::remove_file(&unlistable).expect("the folder is ours");
    world.sweep().await;
    assert!(last_sweep());
}

#[tokio::test]
async fn a_sweep_waits_for_the_claim_of_a_process_that_was_killed() {
    let world = World::with(&[("CLAIM_TTL", "3s"), ("EVENT_BUDGET", "10s")]).await;
    let faults = json!([{"plane": "media", "kind": "slow", "piecesPerSecond": 1, "times": 1}]);
    world.admin("PUT", "faults", faults).await;
    let event = world
        .recording(json!({"call": {"chunks": [{"durationMs": 60_000}]}}))
        .await;
    let id = document_ids(&event).remove(0);
    let envelope = json!({"Data": {"event": event}, "Metadata": {}}).to_string();
    let request = world
        .client
        .post(format!(
            "{}/RecordingFileStatusUpdated",
            world.handler_url().await
        ))
        .header("content-type", "application/json")
        .body(envelope);
    let delivering = tokio::spawn(request.send());
    eventually("the chunk is claimed", async || {
        let path = world
            .vault
            .with_file_name("vault-ledger")
            .join(format!("chunks/{id}.json"));
        let entry: serde_json::Value = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
        entry["claim"].is_object().then_some(())
    })
    .await;
    world.host.kill_handler().await;
    delivering.abort();
    world.admin("PUT", "faults", json!([])).await;
    let report = world.sweep().await;
    assert_eq!(
        world.ledger_entry(&id)["state"]["name"],
        "sourceDeleted",
        "{report}"
    );
}
