//! Behind a host that forwards: what it can hold of media, and who is told.

use functions_host::Generation;
use serde_json::json;

use crate::support::world::{World, document_ids};

const PART_BYTES: u64 = 8 << 20;

#[tokio::test]
async fn a_part_is_as_large_as_a_forwarding_host_can_hold_and_a_player_reaches_the_end() {
    let world = World::new().await;
    let call = json!({"chunks": [{"sizeBytes": PART_BYTES + 700_000}]});
    let event = world
        .recording(json!({"format": "mp4", "call": call}))
        .await;
    world.event(&event).await;
    let id = document_ids(&event).remove(0);
    let host = world
        .host_with(|options| options.generation = Generation::Forwarding)
        .await;
    let url = format!("{}/api/vault/chunks/{id}/media", host.url());
    let part = async |from: u64| {
        let request = world
            .client
            .get(&url)
            .header("range", format!("bytes={from}-"));
        let answer = request.send().await.expect("the host answers");
        assert_eq!(answer.status(), 206);
        let range = answer.headers()["content-range"]
            .to_str()
            .expect("it is text")
            .to_owned();
        (
            range,
            answer.bytes().await.expect("the body comes").len() as u64,
        )
    };
    let (range, first) = part(0).await;
    assert!(range.starts_with("bytes 0-8388607/"), "{range}");
    assert_eq!(first, PART_BYTES);
    let (range, rest) = part(first).await;
    let size = range
        .rsplit('/')
        .next()
        .and_then(|size| size.parse::<u64>().ok());
    assert_eq!(Some(first + rest), size, "{range}");
    // The whole is small enough to be held.
    let whole = world
        .client
        .get(&url)
        .send()
        .await
        .expect("the host answers");
    assert_eq!(whole.status(), 200);
    // Behind the host that proxies nothing is cut short.
    let proxied = url.replace(&host.url(), &world.host.url());
    let request = world.client.get(proxied).header("range", "bytes=0-");
    let all = request.send().await.expect("the host answers");
    assert_eq!(all.content_length(), size);
}

#[tokio::test]
async fn a_whole_file_that_a_forwarding_host_cannot_hold_is_refused_with_the_way_out() {
    const TOO_LARGE_BYTES: u64 = (64 << 20) + 1;
    let world = World::with(&[("BLOCK_SIZE", "8MiB")]).await;
    let call = json!({"chunks": [{"sizeBytes": TOO_LARGE_BYTES + 4096}]});
    let event = world
        .recording(json!({"format": "mp4", "call": call}))
        .await;
    world.event(&event).await;
    world.sweep().await;
    let id = document_ids(&event).remove(0);
    let forwarding = world
        .host_with(|options| options.generation = Generation::Forwarding)
        .await;
    let get = async |host: &str, range: Option<&str>| {
        let url = format!("{host}/api/vault/chunks/{id}/media");
        let mut request = world.client.get(url);
        if let Some(range) = range {
            request = request.header("range", range);
        }
        request.send().await.expect("the host answers")
    };
    let refused = get(&forwarding.url(), None).await;
    assert_eq!(refused.status(), 501);
    let problem: serde_json::Value = refused.json().await.expect("it is JSON");
    assert_eq!(problem["error"]["code"], "TooLargeForHost", "{problem}");
    let message = problem["error"]["message"].as_str().unwrap_or_default();
    assert!(message.contains("Range"), "{problem}");

    let (_, listed) = world.api("GET", "/vault/recordings", None).await;
    let recording = listed["recordings"][0]["recordingId"].as_str();
    let recording = recording.expect("it has an id");
    for path in [
        format!("recordings/{recording}/evidence"),
        format!("evidence?recordings={recording}"),
    ] {
        let url = format!("{}/api/vault/{path}", forwarding.url());
        let answer = world
            .client
            .get(url)
            .send()
            .await
            .expect("the host answers");
        let (status, problem) = crate::support::world::json_answer(answer).await;
        assert_eq!(
            (status, &problem["error"]["code"]),
            (501, &json!("TooLargeForHost")),
            "{path}: {problem}"
        );
    }

    let part = get(&forwarding.url(), Some("bytes=0-99")).await;
    assert_eq!(part.status(), 206);
    assert_eq!(part.bytes().await.expect("the body comes").len(), 100);
    let whole = get(&world.host.url(), None).await;
    assert_eq!(whole.status(), 200, "a host that proxies holds nothing");
    assert!(whole.content_length() >= Some(TOO_LARGE_BYTES));
}

#[tokio::test]
async fn an_anonymous_caller_cannot_pretend_that_the_host_forwards() {
    let world = World::new().await;
    let (_, summary) = world.api("GET", "/vault/summary", None).await;
    assert_eq!(summary["host"], "proxying");
    alternate_agents(&world, "/openapi.json").await;
    // Without a host this request does not count.
    let direct = format!("{}/api/vault/summary", world.handler_url().await);
    let answer = world.client.get(direct).send().await;
    let (_, summary) = crate::support::world::json_answer(answer.expect("it answers")).await;
    assert_eq!(summary["host"], "proxying");
    assert_eq!(warnings(&world), 0, "{}", world.console());
}

#[tokio::test]
async fn a_caller_with_a_key_who_alternates_the_user_agent_causes_one_warning() {
    let world = World::new().await;
    alternate_agents(&world, "/vault/summary").await;
    assert_eq!(warnings(&world), 1, "{}", world.console());
}

/// Asks through a host that proxies, in turn like a host that forwards.
async fn alternate_agents(world: &World, path: &str) {
    for agent in ["curl/8", "curl/8 Azure-Functions-Host/4.1037.0"].repeat(3) {
        let request = world
            .client
            .get(format!("{}/api{path}", world.host.url()))
            .header("user-agent", agent);
        let answer = request.send().await.expect("the host answers");
        assert_eq!(answer.status(), 200, "{agent}");
    }
}

fn warnings(world: &World) -> usize {
    world.console().matches("forwards HTTP requests").count()
}

#[tokio::test]
async fn a_host_that_forwards_is_warned_of_once_and_shown_in_the_summary() {
    let world = World::new().await;
    let (_, summary) = world.api("GET", "/vault/summary", None).await;
    assert_eq!(summary["host"], "proxying");
    let host = world
        .host_with(|options| options.generation = Generation::Forwarding)
        .await;
    for _ in 0..2 {
        let answer = world
            .client
            .get(format!("{}/api/vault/summary", host.url()))
            .send()
            .await;
        let answer = answer.expect("the host answers");
        assert_eq!(answer.headers()["x-recording-vault-host"], "forwarding");
        let summary: serde_json::Value = answer.json().await.expect("it is JSON");
        assert_eq!(summary["host"], "forwarding");
    }
    assert_eq!(warnings(&world), 1, "{}", world.console());
}
