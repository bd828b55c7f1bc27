//! From a recorded call to the deleted source: built binary, stand-in host, ACS simulator, every kind of vault.

use futures::TryStreamExt as _;
use serde_json::{Value, json};

use crate::support::audit::{assert_all_in_vault, assert_deleted_after_read};
use crate::support::world::{World, document_ids};
use crate::support::{azurite, eventually};

async fn subscribe(world: &World, deliveries: u32) {
    let url = world.host.event_grid_url("RecordingFileStatusUpdated");
    world
        .admin(
            "POST",
            "event-subscriptions",
            json!({"url": url, "deliveries": deliveries}),
        )
        .await;
}

async fn until_deleted(world: &World, count: usize) -> Vec<Value> {
    eventually("every chunk is exported and deleted", async || {
        let objects = world.objects().await;
        let done =
            objects.len() == count && objects.iter().all(|object| !object["deletedAt"].is_null());
        done.then_some(objects)
    })
    .await
}

#[tokio::test]
async fn a_recorded_call_ends_up_in_a_directory_and_is_deleted_at_acs() {
    let world = World::new().await;
    subscribe(&world, 1).await;
    let plan = json!({"chunks": [{"durationMs": 9000}, {"durationMs": 5000}, {"durationMs": 100}]});
    let call = world.admin("POST", "calls", plan).await;
    let start = json!({"serverCallId": call["serverCallId"], "recordingContentType": "audio", "recordingFormatType": "wav"});
    let (_, started) = world.api("POST", "/recordings", Some(start)).await;
    let id = started["recordingId"]
        .as_str()
        .expect("a start gives an id");
    world
        .api("POST", &format!("/recordings/{id}/stop"), None)
        .await;

    let objects = until_deleted(&world, 3).await;

    assert_all_in_vault(&objects, &world.vault_files());
    assert_deleted_after_read(&world).await;
}

#[tokio::test]
async fn a_recorded_call_ends_up_in_azure_blob_storage() {
    let container = azurite::container_url().await;
    let world = World::with(&[("VAULT_URL", &container)]).await;
    let event = world
        .recording(json!({"call": {"chunks": [{"durationMs": 9000}, {"durationMs": 5000}]}}))
        .await;
    let (status, answer) = world.event(&event).await;
    assert_eq!(status, 200, "{answer}");
    let objects = until_deleted(&world, 2).await;
    assert_all_in_vault(&objects, &azurite::blobs(&container).await);
    assert!(!world.console().contains("sig="), "{}", world.console());
}

#[tokio::test]
async fn every_format_and_every_event_of_a_batch_is_exported() {
    let world = World::new().await;
    let mut events = Vec::new();
    for format in ["wav", "mp3", "mp4"] {
        events.push(
            world.recording(json!({"format": format, "call": {"chunks": [{"durationMs": 5000, "sizeBytes": 200_000}]}})).await,
        );
    }
    let (status, answer) = world.event(&Value::Array(events)).await;
    assert_eq!(status, 200, "{answer}");
    let objects = until_deleted(&world, 3).await;
    let files = world.vault_files();
    assert_all_in_vault(&objects, &files);
    for marker in ["0000-audiowav.", "0000-audiomp3.", "0000-audiovideomp4."] {
        assert!(
            files.keys().any(|name| name.starts_with(marker)),
            "{marker} is not in {:?}",
            files.keys()
        );
    }
}

#[tokio::test]
async fn deliveries_at_once_export_and_delete_each_chunk_once() {
    let world = World::new().await;
    subscribe(&world, 5).await;
    world
        .recording(json!({"announce": true, "call": {"chunks": [{"durationMs": 9000}]}}))
        .await;
    until_deleted(&world, 1).await;
    let log = world.content_log().await;
    let count = |method: &str, part: &str| {
        let is_it = |line: &&Value| {
            line["method"] == method
                && line["path"]
                    .as_str()
                    .is_some_and(|path| path.ends_with(part))
        };
        log.iter().filter(is_it).count()
    };
    assert_eq!(count("GET", "/content/acsmetadata"), 1, "{log:?}");
    let ranges: Vec<_> = log
        .iter()
        .filter(|line| {
            line["path"]
                .as_str()
                .is_some_and(|path| path.ends_with("/audio"))
        })
        .collect();
    let distinct: std::collections::HashSet<_> = ranges
        .iter()
        .map(|line| line["range"].to_string())
        .collect();
    assert_eq!(
        ranges.len(),
        distinct.len(),
        "nothing is read twice: {log:?}"
    );
    assert_eq!(
        log.iter().filter(|line| line["method"] == "DELETE").count(),
        1,
        "{log:?}"
    );
}

#[tokio::test]
async fn the_timer_deletes_when_the_delay_has_passed_and_not_before() {
    let world = World::with(&[("DELETE_DELAY", "1h")]).await;
    let event = world.recording(json!({})).await;
    world.event(&event).await;
    let report = world.sweep().await;
    assert_eq!(
        (&report["waiting"], &report["deleted"]),
        (&json!(1), &json!(0)),
        "{report}"
    );
    assert!(
        world
            .objects()
            .await
            .iter()
            .all(|object| object["deletedAt"].is_null())
    );
    assert_eq!(
        world.ledger_entry(&document_ids(&event)[0])["state"]["name"],
        "exported"
    );
}

#[tokio::test]
async fn the_timer_takes_up_what_the_event_could_not_finish() {
    let world = World::new().await;
    // Out of luck for longer than one invocation is patient.
    world
        .admin(
            "PUT",
            "faults",
            json!([{"plane": "media", "kind": "status", "status": 503, "times": 4}]),
        )
        .await;
    let event = world
        .recording(json!({"call": {"chunks": [{"durationMs": 9000}]}}))
        .await;
    let (status, answer) = world.event(&event).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(
        world.ledger_entry(&document_ids(&event)[0])["state"]["name"],
        "pending"
    );
    let deleted = eventually("the chunk backs off and is then swept", async || {
        (world.sweep().await["deleted"] == 1).then_some(())
    });
    deleted.await;
    assert_all_in_vault(&world.objects().await, &world.vault_files());
}

#[tokio::test]
async fn a_handler_killed_in_mid_export_continues_from_the_staged_blocks() {
    for vault in ["directory", "azure"] {
        let container = if vault == "azure" {
            azurite::container_url().await
        } else {
            String::new()
        };
        // A claim that a busy machine does not renew in time would let two sweeps read the file.
        let mut settings = vec![("CLAIM_TTL", "10s")];
        if vault == "azure" {
            settings.push(("VAULT_URL", &container));
        }
        let world = World::with(&settings).await;
        // Ten blocks of 64 KiB, each half a second: killed after some of them.
        world
            .admin(
                "PUT",
                "faults",
                json!([{"plane": "media", "kind": "slow", "piecesPerSecond": 2, "times": 100}]),
            )
            .await;
        let event = world
            .recording(json!({"call": {"chunks": [{"durationMs": 20_000}]}}))
            .await;
        let delivery = tokio::spawn(delivery(&world, &event).await);
        let staged = async || match vault {
            "azure" => azure_staged(&container, &event).await,
            _ => crate::support::world::files(&world.vault.join(".staging")).len(),
        };
        eventually("some blocks are staged", async || {
            (staged().await >= 3).then_some(())
        })
        .await;
        world.host.kill_handler().await;
        assert!(
            delivery.await.expect("it does not panic").is_err(),
            "the host sees its invocation fail"
        );
        world
            .host
            .ready()
            .await
            .expect("the host starts the handler again");

        eventually("the claim runs out and the sweep goes on", async || {
            (world.sweep().await["deleted"] == 1).then_some(())
        })
        .await;

        let files = if vault == "azure" {
            azurite::blobs(&container).await
        } else {
            world.vault_files()
        };
        assert_all_in_vault(&world.objects().await, &files);
        let served = served_bytes(&world).await;
        let wasted = served
            - world.objects().await[0]["sizeBytes"]
                .as_u64()
                .expect("the simulator tells the size");
        assert!(
            wasted <= 4 * 65_536,
            "{vault}: {wasted} bytes were read twice, more than the blocks in flight"
        );
    }
}

/// The request of an event, to be sent beside what else happens.
async fn delivery(
    world: &World,
    event: &Value,
) -> impl Future<Output = reqwest::Result<()>> + use<> {
    let client = world.client.clone();
    let url = format!("{}/RecordingFileStatusUpdated", world.handler_url().await);
    let body = json!({"Data": {"event": event}}).to_string();
    async move { client.post(url).body(body).send().await.map(drop) }
}

/// Bytes of audio that were asked for.
async fn served_bytes(world: &World) -> u64 {
    let mut served = 0;
    for line in world.content_log().await {
        let is_audio = line["path"]
            .as_str()
            .is_some_and(|path| path.ends_with("/audio"));
        let range = line["range"]
            .as_str()
            .and_then(|range| range.strip_prefix("bytes=")?.split_once('-'));
        if let Some((first, last)) = range.filter(|_| is_audio) {
            let last: u64 = last.parse().expect("a range names its last byte");
            served += last + 1 - first.parse::<u64>().expect("a range names its first byte");
        }
    }
    served
}

async fn azure_staged(container: &str, event: &Value) -> usize {
    let chunk = event["data"]["recordingStorageInfo"]["recordingChunks"][0]["documentId"]
        .as_str()
        .expect("a chunk has an id");
    let client = azurite::client(container);
    let include = vec![azure_storage_blob::models::ListBlobsIncludeItem::UncommittedBlobs];
    let options = azure_storage_blob::models::BlobContainerClientListBlobsOptions {
        include: Some(include),
        ..Default::default()
    };
    let mut pages = client
        .list_blobs(Some(options))
        .expect("the URL is good")
        .into_pages();
    let page = pages
        .try_next()
        .await
        .expect("Azurite lists")
        .expect("there is a page")
        .into_model()
        .expect("a page is XML");
    let name = page
        .blob_items
        .into_iter()
        .filter_map(|blob| blob.name)
        .find(|name| name.contains(chunk) && name.ends_with(".wav"));
    let Some(name) = name else { return 0 };
    let blob = client.blob_client(&name).block_blob_client();
    let list = blob
        .get_block_list(azure_storage_blob::models::BlockListType::Uncommitted, None)
        .await
        .expect("Azurite lists blocks");
    list.into_model()
        .expect("a block list is XML")
        .uncommitted_blocks
        .unwrap_or_default()
        .len()
}

#[tokio::test]
async fn a_forged_location_is_refused_without_a_request_and_the_chunk_is_dead_lettered() {
    let stranger = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port is free");
    let forged = format!(
        "http://{}/v1/objects/x/content/audio",
        stranger.local_addr().expect("it is bound")
    );
    let world = World::new().await;
    let mut event = world.recording(json!({})).await;
    event["data"]["recordingStorageInfo"]["recordingChunks"][0]["contentLocation"] = forged.into();
    let (status, answer) = world.event(&event).await;
    assert_eq!(status, 200, "{answer}");
    let entry = world.ledger_entry(&document_ids(&event)[0]);
    assert_eq!(entry["state"]["name"], "deadLettered", "{entry}");
    assert!(
        entry["state"]["reason"]
            .as_str()
            .is_some_and(|reason| reason.contains("refused")),
        "{entry}"
    );
    let nobody_came =
        tokio::time::timeout(std::time::Duration::from_millis(200), stranger.accept()).await;
    assert!(nobody_came.is_err(), "the forged host got a connection");
    assert!(world.objects().await[0]["deletedAt"].is_null());
}

#[tokio::test]
async fn a_redirect_is_followed_within_the_allow_list_and_refused_beyond_it() {
    let world = World::new().await;
    let event = world
        .recording(json!({"call": {"chunks": [{"durationMs": 2000}]}}))
        .await;
    let content =
        event["data"]["recordingStorageInfo"]["recordingChunks"][0]["contentLocation"].clone();
    world
        .admin(
            "PUT",
            "faults",
            json!([{"plane": "media", "kind": "redirect", "location": content, "times": 1}]),
        )
        .await;
    world.event(&event).await;
    assert_eq!(
        world.ledger_entry(&document_ids(&event)[0])["state"]["name"],
        "sourceDeleted"
    );

    let stranger = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port is free");
    let evil = format!("http://{}/v1", stranger.local_addr().expect("it is bound"));
    let event = world.recording(json!({})).await;
    let fault = json!([{"plane": "media", "kind": "redirect", "location": evil, "times": 20}]);
    world.admin("PUT", "faults", fault).await;
    world.event(&event).await;
    let entry = world.ledger_entry(&document_ids(&event)[0]);
    assert_eq!(entry["state"]["name"], "pending", "{entry}");
    assert!(
        entry["failures"][0]["reason"]
            .as_str()
            .is_some_and(|reason| reason.contains("redirected to a refused location")),
        "{entry}"
    );
    assert_eq!(entry["obstacle"], "redirectRefused", "{entry}");
    let reported = || {
        let console = world.console();
        let lines = console.lines();
        lines
            .filter(|line| line.contains("is not in ACS_CONTENT_HOSTS"))
            .count()
    };
    assert_eq!(reported(), 1);
    let retry = std::process::Command::new(crate::support::world::BINARY)
        .args(["retry", &document_ids(&event)[0]])
        .envs(world.settings())
        .output();
    assert!(retry.expect("the binary runs").status.success());
    world.sweep().await;
    assert_eq!(reported(), 1, "it is reported once");
    let nobody_came =
        tokio::time::timeout(std::time::Duration::from_millis(200), stranger.accept()).await;
    assert!(nobody_came.is_err(), "the forged host got a connection");
}

#[rstest::rstest]
#[case::cut(json!({"plane": "media", "kind": "dropAfter", "bytes": 30_000, "times": 2}))]
#[case::range_ignored(json!({"plane": "media", "kind": "ignoreRange", "times": 1}))]
#[case::empty(json!({"plane": "media", "kind": "empty", "times": 1}))]
#[case::a_page_with_400(json!({"plane": "media", "kind": "page", "status": 400, "times": 1}))]
#[case::a_page_with_200(json!({"plane": "metadata", "kind": "page", "status": 200, "times": 1}))]
#[case::an_error_with_200(json!({"plane": "media", "kind": "worded", "status": 200, "times": 1}))]
#[case::no_length(json!({"plane": "media", "kind": "unannounced"}))]
#[case::no_length_of_metadata(json!({"plane": "metadata", "kind": "unannounced"}))]
#[case::a_part_without_length(json!({"plane": "media", "kind": "hidden", "hasRange": true}))]
#[case::a_part_that_is_called_whole(json!({"plane": "media", "kind": "hidden", "hasRange": false}))]
#[case::a_part_that_is_called_whole_with_its_length(json!({"plane": "media", "kind": "calledWhole"}))]
#[case::one_part_that_is_called_whole_with_its_length(json!({"plane": "media", "kind": "calledWhole", "times": 1}))]
#[case::some_parts_that_are_called_whole_with_their_length(json!({"plane": "media", "kind": "calledWhole", "chance": {"percent": 50, "seed": 2}}))]
#[case::an_error_as_text(json!({"plane": "media", "kind": "text", "status": 200, "times": 1}))]
#[case::an_error_in_place_of_metadata(json!({"plane": "metadata", "kind": "worded", "status": 200, "times": 1}))]
#[case::parts_of_a_file_without_length(json!({"plane": "media", "kind": "noTotal", "isCalledWhole": false}))]
#[case::parts_of_metadata_without_length(json!({"plane": "metadata", "kind": "noTotal", "isCalledWhole": false}))]
#[case::parts_that_are_called_whole(json!({"plane": "media", "kind": "noTotal", "isCalledWhole": true}))]
#[case::gone_says_a_page(json!({"plane": "media", "kind": "page", "status": 410, "times": 1}))]
#[case::error_500(json!({"plane": "media", "kind": "status", "status": 500, "times": 2}))]
#[case::error_503(json!({"plane": "media", "kind": "status", "status": 503, "retryAfter": 1, "times": 1}))]
#[case::shorter_than_announced(json!({"plane": "media", "kind": "short", "byBytes": 1000, "times": 2}))]
#[case::another_total(json!({"plane": "media", "kind": "total", "bytes": 1_000_000, "times": 1}))]
#[case::range_not_satisfiable(json!({"plane": "media", "kind": "status", "status": 416, "times": 2}))]
#[case::gone_before_its_time(json!({"plane": "media", "kind": "status", "status": 404, "times": 1}))]
#[case::throttled(json!({"plane": "metadata", "kind": "status", "status": 429, "retryAfter": 1, "times": 1}))]
#[case::redirected_away(json!({"plane": "media", "kind": "redirect", "location": "https://evil.example/v1", "times": 1}))]
#[case::metadata_redirected_away(json!({"plane": "metadata", "kind": "redirect", "location": "https://evil.example/v1", "times": 1}))]
#[case::delete_redirected_away(json!({"plane": "delete", "kind": "redirect", "location": "https://evil.example/v1", "times": 1}))]
#[case::deleted_says_a_page(json!({"plane": "delete", "kind": "page", "status": 200, "times": 1}))]
#[case::never_existed_says_a_page(json!({"plane": "delete", "kind": "page", "status": 404, "times": 1}))]
#[case::deleted_says_a_gateway(json!({"plane": "delete", "kind": "worded", "status": 200, "times": 1}))]
#[case::never_existed_says_a_gateway(json!({"plane": "delete", "kind": "text", "status": 404, "times": 1}))]
#[case::delete_503(json!({"plane": "delete", "kind": "status", "status": 503, "times": 1}))]
#[tokio::test]
async fn the_services_known_misbehaviour_loses_nothing(#[case] fault: Value) {
    let world = World::new().await;
    world.admin("PUT", "faults", json!([fault])).await;
    let event = world
        .recording(json!({"call": {"chunks": [{"durationMs": 9000}]}}))
        .await;
    world.event(&event).await;
    eventually("the chunk gets through in the end", async || {
        world.sweep().await;
        (world.ledger_entry(&document_ids(&event)[0])["state"]["name"] == "sourceDeleted")
            .then_some(())
    })
    .await;
    assert_all_in_vault(&world.objects().await, &world.vault_files());
    assert_deleted_after_read(&world).await;
    let deleted = |object: &Value| !object["deletedAt"].is_null();
    assert!(
        world.objects().await.iter().all(deleted),
        "it is deleted at ACS"
    );
}
