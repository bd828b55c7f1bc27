//! What happens all at once in a bad night: kills, faults, a vault that is gone, a disk that is full.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use functions_host::Host;
use futures::future::join_all;
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};
use recording_vault::store::digest::Sha256Digest;
use recording_vault::store::document_store::DocumentStore;
use recording_vault::vault::VaultUrl;
use recording_vault::vault::azure::AzureDocumentStore;
use recording_vault::vault::directory::DirectoryDocumentStore;
use serde_json::{Value, json};

use crate::support::audit::{
    assert_all_in_vault, assert_deleted_after_read, assert_deleted_with_receipt, assert_no_orphan,
    deletions,
};
use crate::support::gate::Gate;
use crate::support::small_disk::SmallDisk;
use crate::support::world::{BINARY, World, document_ids, files_by_path, handler_url};
use crate::support::{azurite, eventually};

const EVERY_SECOND: &str = "* * * * * *";
const CLAIM_TTL: &str = "4s";
/// Kills of each handler, unless everything is done before.
const KILLS: u32 = 12;
/// `ENOSPC`, as the errors of the standard library tell it on Linux.
const DISK_FULL: &str = "os error 28";
/// Fewer are no storm.
const LEAST_KILLS: u32 = 4;

fn vault_url(world: &World) -> VaultUrl {
    world.settings()["VAULT_URL"]
        .parse()
        .expect("the world has a vault")
}

fn ledger(world: &World) -> Arc<dyn DocumentStore> {
    let url = match world.settings().get("LEDGER_URL") {
        Some(url) => url.parse().expect("it is a ledger's URL"),
        None => vault_url(world)
            .ledger_beside()
            .expect("there is a place beside the vault"),
    };
    match url {
        VaultUrl::Directory(path) => Arc::new(DirectoryDocumentStore::new(path)),
        VaultUrl::Container(url) => Arc::new(AzureDocumentStore::new(azurite::client(
            url.expose().as_str(),
        ))),
    }
}

/// All that is committed in the vault, by its path.
async fn vault_files(world: &World) -> BTreeMap<String, Vec<u8>> {
    match vault_url(world) {
        VaultUrl::Directory(path) => files_by_path(&path),
        VaultUrl::Container(url) => azurite::blobs(url.expose().as_str()).await,
    }
}

/// Event Grid, in a hurry: delivers until it is acknowledged.
async fn deliver(world: &World, host: &Host, event: &Value) {
    let body = json!({"Data": {"event": event}}).to_string();
    eventually("the event is acknowledged", async || {
        host.ready().await.ok()?;
        let url = format!("{}/RecordingFileStatusUpdated", handler_url(host).await);
        let response = world
            .client
            .post(url)
            .body(body.clone())
            .send()
            .await
            .ok()?;
        (response.status() == 200).then_some(())
    })
    .await;
}

/// The timers' sweeps come to an end with everything.
async fn until_settled(world: &World) {
    let ledger = ledger(world);
    eventually("no chunk is open any more", async || {
        ledger
            .list("open/", None, 1)
            .await
            .expect("the ledger works")
            .is_empty()
            .then_some(())
    })
    .await;
}

/// Everything is in the vault, exactly; nothing else is; nothing was deleted too early, and all was in the end.
async fn assert_nothing_lost(world: &World, count: usize) {
    let (objects, files) = (world.objects().await, vault_files(world).await);
    assert_eq!(objects.len(), count);
    assert_all_in_vault(&objects, &files);
    assert_no_orphan(&objects, &files);
    assert_deleted_after_read(world).await;
    assert_deleted_with_receipt(world, &files).await;
    assert!(
        objects.iter().all(|object| !object["deletedAt"].is_null()),
        "{objects:?}"
    );
    match vault_url(world) {
        VaultUrl::Directory(path) => assert_only_waste_is_staged(&path, &files),
        VaultUrl::Container(url) => {
            let names = azurite::names_with_uncommitted(url.expose().as_str()).await;
            assert_eq!(
                names,
                files.into_keys().collect::<Vec<_>>(),
                "something is staged and not committed"
            );
        }
    }
}

/// A kill may leave blocks of a file behind that is committed; none of one that is not.
fn assert_only_waste_is_staged(vault: &Path, files: &BTreeMap<String, Vec<u8>>) {
    for staged in files_by_path(&vault.join(".staging")).keys() {
        let (name, _) = staged
            .rsplit_once('/')
            .expect("a block lies in the folder of its file");
        assert!(
            files.contains_key(name),
            "{staged} is staged, and its file is not committed"
        );
    }
    for listed in files_by_path(&vault.join(".committed")).keys() {
        assert!(
            files.contains_key(listed),
            "there is a block list of {listed}, and no such file"
        );
    }
}

/// Kills a handler again and again, each time after some more requests to ACS; counts into `kills`.
async fn kill(world: &World, host: &Host, kills: &mut u32, mut random: SmallRng) {
    while *kills < KILLS {
        let until = world.simulator.content_requests() + random.random_range(1..60);
        eventually("the handlers work", async || {
            (world.simulator.content_requests() >= until).then_some(())
        })
        .await;
        host.kill_handler().await;
        *kills += 1;
        host.ready()
            .await
            .expect("the host starts the handler again");
    }
}

#[rstest::rstest]
#[case::directory(false)]
#[case::azure(true)]
#[tokio::test]
async fn a_storm_of_kills_and_faults_loses_nothing(#[case] is_azure: bool) {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut random = SmallRng::seed_from_u64(seed);
    let container = if is_azure {
        azurite::container_url().await
    } else {
        String::new()
    };
    let mut settings = vec![
        ("CLAIM_TTL", CLAIM_TTL),
        ("EXPORT_SWEEP_SCHEDULE", EVERY_SECOND),
    ];
    if is_azure {
        settings.push(("VAULT_URL", &container));
    }
    let world = World::with(&settings).await;
    let other = world.another_host().await;
    let mut events = Vec::new();
    for _ in 0..100 {
        let duration_ms = random.random_range(1000..10_000);
        events.push(
            world
                .recording(json!({"call": {"chunks": [{"durationMs": duration_ms}]}}))
                .await,
        );
    }
    let mut fault = |plane: &str, percent: u8, kind: Value| {
        let mut fault =
            json!({"plane": plane, "chance": {"percent": percent, "seed": random.random::<u64>()}});
        fault
            .as_object_mut()
            .expect("it is an object")
            .extend(kind.as_object().cloned().expect("it is an object"));
        fault
    };
    let (unavailable, cut) = (
        json!({"kind": "status", "status": 503}),
        json!({"kind": "dropAfter", "bytes": 30_000}),
    );
    // The first two come to 20 % of the requests for media.
    let faults = json!([
        fault("media", 10, unavailable.clone()),
        fault("media", 11, cut),
        fault("metadata", 20, unavailable.clone()),
        fault("delete", 20, unavailable),
    ]);
    world.admin("PUT", "faults", faults).await;

    let mut kills = [0; 2];
    let [here, there] = &mut kills;
    let randoms = [0, 1].map(|_| SmallRng::seed_from_u64(random.random()));
    let [random_here, random_there] = randoms;
    let work = async {
        // Every event reaches both.
        let deliveries = events.iter().flat_map(|event| {
            [
                deliver(&world, &world.host, event),
                deliver(&world, &other, event),
            ]
        });
        join_all(deliveries).await;
        until_settled(&world).await;
    };
    let night = async {
        futures::join!(
            kill(&world, &world.host, here, random_here),
            kill(&world, &other, there, random_there)
        );
        world.admin("PUT", "faults", json!([])).await;
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = work => {}
        () = night => {}
    }

    let log = world.content_log().await;
    let faults = log.iter().filter(|line| line["status"] == 503).count();
    println!(
        "{kills:?} kills, {} requests to ACS, {faults} of them answered with 503",
        log.len()
    );
    assert!(
        kills.iter().all(|kills| *kills >= LEAST_KILLS),
        "{kills:?} kills are no storm"
    );
    assert_nothing_lost(&world, 100).await;
}

/// Entries of the ledger, as they are written.
async fn entries(world: &World) -> Vec<Value> {
    let ledger = ledger(world);
    let mut entries = Vec::new();
    for key in ledger
        .list("chunks/", None, 1000)
        .await
        .expect("the ledger works")
    {
        let stored = ledger
            .find(&key)
            .await
            .expect("the ledger works")
            .expect("entries are never removed");
        entries.push(serde_json::from_slice(&stored.content).expect("an entry is JSON"));
    }
    entries
}

/// Why an entry's last attempt failed.
fn last_failure(entry: &Value) -> Option<&str> {
    entry["failures"].as_array()?.last()?["reason"].as_str()
}

/// What an operator sees of the chunks.
fn listed(world: &World) -> Vec<Value> {
    let output = Command::new(BINARY)
        .args(["list", "--json"])
        .envs(world.settings())
        .output()
        .expect("the binary runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let listing: Value = serde_json::from_slice(&output.stdout).expect("a listing is JSON");
    listing["chunks"]
        .as_array()
        .cloned()
        .expect("a listing has chunks")
}

/// Asserts that every chunk of acknowledged events has its entry.
async fn assert_all_in_ledger(world: &World, events: &[Value]) {
    let entries = entries(world).await;
    for id in events.iter().flat_map(document_ids) {
        let is_there = entries
            .iter()
            .any(|entry| entry["chunk"]["documentId"] == id.as_str());
        assert!(is_there, "{id} was acknowledged, and is not in the ledger");
    }
}

/// Asserts that an operator sees at least so many pending chunks, each with its failure.
fn assert_pending(world: &World, count: usize) {
    let pending: Vec<Value> = listed(world)
        .into_iter()
        .filter(|chunk| chunk["state"] == "pending")
        .collect();
    assert!(pending.len() >= count, "{pending:?}");
    let has_failure = |chunk: &Value| {
        chunk["reason"]
            .as_str()
            .is_some_and(|reason| reason.contains("error sending request"))
    };
    assert!(pending.iter().all(has_failure), "{pending:?}");
}

/// Asserts that no chunk of these events is in the vault, and none was deleted at its source.
async fn assert_untouched(world: &World, in_vault: &BTreeMap<String, Vec<u8>>, events: &[Value]) {
    let deleted = deletions(world).await;
    for id in events.iter().flat_map(document_ids) {
        assert!(
            !deleted.iter().any(|path| path.contains(&id)),
            "{id} was deleted while there was no vault"
        );
        assert!(
            !in_vault.keys().any(|name| name.contains(&id)),
            "the gate was not shut"
        );
    }
}

#[tokio::test]
async fn a_vault_that_is_gone_for_a_while_costs_nothing_but_time() {
    let container = azurite::container_url().await;
    let gate = Gate::to(&azurite::base_url()).await;
    let folder = tempfile::tempdir().expect("there is room for temporary files");
    let world = World::with(&[
        ("VAULT_URL", &gate.through(&container)),
        (
            "LEDGER_URL",
            &format!("file://{}", folder.path().join("ledger").display()),
        ),
        ("CLAIM_TTL", CLAIM_TTL),
        ("EXPORT_SWEEP_SCHEDULE", EVERY_SECOND),
    ])
    .await;
    let call = json!({"call": {"chunks": [{"durationMs": 9000}]}});
    let events = join_all((0..20).map(|_| world.recording(call.clone()))).await;
    let (before, meanwhile) = events.split_at(10);
    world
        .admin(
            "PUT",
            "faults",
            json!([{"plane": "media", "kind": "slow", "piecesPerSecond": 5}]),
        )
        .await;
    let goes = async {
        eventually("exports are on their way", async || {
            (world.simulator.content_requests() >= 20).then_some(())
        })
        .await;
        gate.shut();
        world.admin("PUT", "faults", json!([])).await;
    };
    futures::join!(
        join_all(
            before
                .iter()
                .map(|event| deliver(&world, &world.host, event))
        ),
        goes
    );

    join_all(
        meanwhile
            .iter()
            .map(|event| deliver(&world, &world.host, event)),
    )
    .await;

    assert_all_in_ledger(&world, &events).await;
    eventually("every export has failed", async || {
        let has_failed = |entry: &Value| {
            last_failure(entry).is_some() || entry["state"]["name"] == "sourceDeleted"
        };
        entries(&world).await.iter().all(has_failed).then_some(())
    })
    .await;
    assert_pending(&world, meanwhile.len());
    let in_vault = azurite::blobs(&container).await;
    assert_deleted_with_receipt(&world, &in_vault).await;
    assert_untouched(&world, &in_vault, meanwhile).await;

    gate.open();
    until_settled(&world).await;
    assert_nothing_lost(&world, 20).await;
}

/// What stands under a final name is whole.
async fn assert_no_half_file(world: &World) {
    let objects = world.objects().await;
    for (name, content) in vault_files(world)
        .await
        .iter()
        .filter(|(name, _)| name.ends_with(".wav"))
    {
        let of = objects.iter().find(|object| {
            object["documentId"]
                .as_str()
                .is_some_and(|id| name.contains(id))
        });
        let object = of.unwrap_or_else(|| panic!("nothing is known of {name}"));
        assert_eq!(
            object["sha256"],
            Sha256Digest::of(content).to_string().as_str(),
            "{name}"
        );
    }
}

#[rstest::rstest]
#[case::the_ledger_lies_elsewhere(false)]
#[case::the_ledger_lies_there_too(true)]
#[tokio::test]
async fn a_disk_that_is_full_for_a_while_costs_nothing_but_time(#[case] has_ledger: bool) {
    let disk = match SmallDisk::mount("4m") {
        Ok(disk) => disk,
        Err(reason) => {
            println!("skipped, no small disk can be mounted here: {reason}");
            return;
        }
    };
    let folder = tempfile::tempdir().expect("there is room for temporary files");
    let ledger_root = if has_ledger {
        disk.path()
    } else {
        folder.path()
    };
    let world = World::with(&[
        (
            "VAULT_URL",
            &format!("file://{}", disk.path().join("vault").display()),
        ),
        (
            "LEDGER_URL",
            &format!("file://{}", ledger_root.join("ledger").display()),
        ),
        ("CLAIM_TTL", CLAIM_TTL),
        ("EXPORT_SWEEP_SCHEDULE", EVERY_SECOND),
    ])
    .await;
    let mut events = Vec::new();
    for _ in 0..10 {
        events.push(
            world
                .recording(json!({"call": {"chunks": [{"durationMs": 20_000}]}}))
                .await,
        );
    }
    let is_full = async {
        eventually("it is told that the disk is full", async || {
            let is_full = |entry: &Value| {
                last_failure(entry).is_some_and(|reason| reason.contains(DISK_FULL))
            };
            let is_told = if has_ledger {
                world.console().contains(DISK_FULL)
            } else {
                entries(&world).await.iter().any(is_full)
            };
            is_told.then_some(())
        })
        .await;
        if !has_ledger {
            let is_told = |chunk: &Value| {
                chunk["reason"]
                    .as_str()
                    .is_some_and(|reason| reason.contains(DISK_FULL))
            };
            assert!(
                listed(&world).iter().any(is_told),
                "the operator is not told"
            );
        }
        assert_no_half_file(&world).await;
        assert_deleted_with_receipt(&world, &vault_files(&world).await).await;
        assert!(
            world
                .objects()
                .await
                .iter()
                .any(|object| object["deletedAt"].is_null()),
            "the disk was not full"
        );
        disk.resize("64m");
    };
    let deliveries = join_all(
        events
            .iter()
            .map(|event| deliver(&world, &world.host, event)),
    );
    futures::join!(deliveries, is_full);

    until_settled(&world).await;
    assert_nothing_lost(&world, 10).await;
}

#[tokio::test]
async fn an_event_that_finds_a_full_disk_is_not_acknowledged() {
    let disk = match SmallDisk::mount("4m") {
        Ok(disk) => disk,
        Err(reason) => {
            println!("skipped, no small disk can be mounted here: {reason}");
            return;
        }
    };
    let world = World::with(&[(
        "VAULT_URL",
        &format!("file://{}", disk.path().join("vault").display()),
    )])
    .await;
    let event = world
        .recording(json!({"call": {"chunks": [{"durationMs": 1000}]}}))
        .await;
    world.event(&event).await;
    let filler = disk.path().join("filler");
    let full =
        std::fs::write(&filler, vec![1; 4 << 20]).expect_err("it is more than there is room for");
    assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);

    let event = world
        .recording(json!({"call": {"chunks": [{"durationMs": 1000}]}}))
        .await;
    let (status, answer) = world.event(&event).await;
    assert_eq!(status, 500, "{answer}");
    assert_eq!(
        world
            .objects()
            .await
            .iter()
            .filter(|object| object["deletedAt"].is_null())
            .count(),
        1
    );

    std::fs::remove_file(filler).expect("the file is ours");
    let (status, answer) = world.event(&event).await;
    assert_eq!(status, 200, "{answer}");
    until_settled(&world).await;
    assert_nothing_lost(&world, 2).await;
}
