//! Metrics and traces: what a collector and a scraper get, and that neither can disturb an export.

use std::collections::{BTreeMap, BTreeSet};

use axum::http::StatusCode;
use opentelemetry_proto::tonic::trace::v1::Span;
use recording_vault::metrics::instrument::Metric;
use serde_json::{Value, json};

use crate::support::azurite;
use crate::support::collector::{Collector, attribute};
use crate::support::eventually;
use crate::support::open_metrics::{self, Family};
use crate::support::world::{World, document_ids};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f0670000b90207";

fn traceparent() -> String {
    format!("00-{TRACE}-{CALLER}-01")
}

/// The host's own request, with its trace.
async fn invoke(world: &World, path: &str, body: &Value) -> u16 {
    let request = world
        .client
        .post(format!("{}{path}", world.handler_url().await))
        .header("traceparent", traceparent());
    let request = request.header(
        "x-azure-functions-invocationid",
        "6e4c2b9a-0000-4444-8888-000000000001",
    );
    request
        .body(body.to_string())
        .send()
        .await
        .expect("the handler answers")
        .status()
        .as_u16()
}

async fn spans_until(collector: &Collector, wanted: &str) -> Vec<Span> {
    eventually(&format!("a span `{wanted}` arrives"), async || {
        let spans = collector.spans();
        spans
            .iter()
            .any(|span| span.name == wanted)
            .then_some(spans)
    })
    .await
}

/// What no collector and no scraper may get.
fn assert_no_secret(what: &[u8]) {
    let text = String::from_utf8_lossy(what);
    let secrets = [
        acs_simulator::Options::ACCESS_KEY,
        "the-function-key",
        "Signature=",
        "sig=",
        "8:acs:",
        "+1555",
        "/content/",
    ];
    for secret in secrets {
        assert!(!text.contains(secret), "{secret} is in {text}");
    }
}

/// The spans of a trace, by name.
struct Trace<'a>(&'a [Span]);

impl<'a> Trace<'a> {
    fn named(&self, name: &str) -> Vec<&'a Span> {
        self.0.iter().filter(|span| span.name == name).collect()
    }

    fn one(&self, name: &str) -> &'a Span {
        let found = self.named(name);
        let all: Vec<&String> = self.0.iter().map(|span| &span.name).collect();
        assert_eq!(found.len(), 1, "{name} in {all:?}");
        found[0]
    }
}

/// Asserts that an event's spans are one trace below the host's: invocation, drive, transfers, deletion.
fn assert_one_trace(spans: &[Span], event: &Value) {
    let trace = Trace(spans);
    assert!(
        spans
            .iter()
            .all(|span| hex::encode(&span.trace_id) == TRACE),
        "one trace, the host's"
    );
    let (invocation, drive) = (trace.one("RecordingFileStatusUpdated"), trace.one("drive"));
    assert_eq!(hex::encode(&invocation.parent_span_id), CALLER);
    assert_eq!(
        attribute(&invocation.attributes, "faas.trigger").as_deref(),
        Some("pubsub")
    );
    assert_eq!(drive.parent_span_id, invocation.span_id);
    let documents = document_ids(event);
    let recording_id = event["subject"]
        .as_str()
        .and_then(|subject| subject.rsplit('/').next());
    let expected = [
        ("document.id", Some(documents[0].as_str())),
        ("chunk.index", Some("0")),
        ("recording.id", recording_id),
        ("outcome", Some("settled")),
    ];
    for (name, value) in expected {
        assert_eq!(
            attribute(&drive.attributes, name).as_deref(),
            value,
            "{name}"
        );
    }
    assert_transfers(&trace, drive);
    assert_eq!(
        trace.one("ACS delete").parent_span_id,
        trace.one("delete").span_id
    );
    assert_eq!(trace.one("delete").parent_span_id, drive.span_id);
}

/// Asserts that both parts were read and verified below the drive.
fn assert_transfers(trace: &Trace<'_>, drive: &Span) {
    let transfers = trace.named("transfer");
    assert!(
        transfers
            .iter()
            .all(|span| span.parent_span_id == drive.span_id)
    );
    let parts: BTreeSet<_> = transfers
        .iter()
        .filter_map(|span| attribute(&span.attributes, "part"))
        .collect();
    assert_eq!(parts, ["media", "metadata"].map(str::to_owned).into());
    let ids: BTreeSet<_> = transfers.iter().map(|span| span.span_id.clone()).collect();
    let is_below = |span: &&Span| ids.contains(&span.parent_span_id);
    assert_eq!(trace.named("verify").len(), 2);
    assert!(trace.named("verify").iter().all(is_below));
    assert!(trace.named("ACS read").iter().all(is_below));
}

/// Asserts what is counted of one chunk that was exported and deleted.
fn assert_counted(collector: &Collector) {
    let counted = [
        (
            "recording_vault.chunks.exported",
            &[("vault", "home")][..],
            1.0,
        ),
        ("recording_vault.chunks.expired", &[], 0.0),
        ("recording_vault.events", &[("outcome", "taken")], 1.0),
        ("recording_vault.drives", &[("outcome", "settled")], 1.0),
        ("recording_vault.export.duration", &[], 1.0),
        ("recording_vault.export.delay", &[], 1.0),
        (
            "recording_vault.acs.requests",
            &[("operation", "delete"), ("status", "2xx")],
            1.0,
        ),
    ];
    for (name, labels, expected) in counted {
        assert_eq!(collector.metric(name, labels), Some(expected), "{name}");
    }
}

#[tokio::test]
async fn the_whole_way_of_a_chunk_is_one_trace_below_the_hosts_and_its_metrics_arrive() {
    let collector = Collector::start().await;
    let settings = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url()),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-key=the%20key"),
        ("OTEL_SERVICE_NAME", "calls-of-contoso"),
    ];
    let world = World::with(&settings).await;
    let event = world
        .recording(json!({"call": {"chunks": [{"durationMs": 9000}]}}))
        .await;
    let document_id = &document_ids(&event)[0];

    let body = json!({"Data": {"event": event}, "Metadata": {}});
    assert_eq!(
        invoke(&world, "/RecordingFileStatusUpdated", &body).await,
        200
    );

    let spans = spans_until(&collector, "RecordingFileStatusUpdated").await;
    assert_one_trace(&spans, &event);
    let exported = eventually("the metrics arrive", async || {
        collector.metric("recording_vault.chunks.deleted", &[])
    })
    .await;
    assert!((exported - 1.0).abs() < f64::EPSILON, "{exported}");
    assert_counted(&collector);
    assert!(
        collector
            .services()
            .iter()
            .all(|name| name == "calls-of-contoso")
    );
    for (headers, body) in collector.requests() {
        assert_eq!(headers["content-type"], "application/x-protobuf");
        assert_eq!(headers["x-key"], "the key");
        assert_no_secret(&body);
    }
    assert!(!world.console().contains("the key"), "{}", world.console());
    assert!(
        world
            .console()
            .contains(&format!("Exported chunk `{document_id}`")),
        "lines are written as ever: {}",
        world.console()
    );
    assert!(
        !world.console().contains("drive{"),
        "spans do not show in the lines: {}",
        world.console()
    );
}

#[tokio::test]
async fn a_request_over_http_is_below_its_callers_span_in_both_forms() {
    let collector = Collector::start().await;
    let world = World::with(&[("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url())]).await;
    let url = format!(
        "{}/api/recordings/unknown?code=the-function-key",
        world.handler_url().await
    );
    let answer = world
        .client
        .get(&url)
        .header("traceparent", traceparent())
        .send()
        .await
        .expect("the handler answers");
    assert_eq!(answer.status(), 404);
    let request = json!({"Url": url, "Method": "GET", "Headers": {"traceparent": [traceparent()]}});
    let (status, _) = world
        .envelope(
            "RecordingReads",
            json!({"Data": {"req": request}}).to_string(),
        )
        .await;
    assert_eq!(status, 200);

    let spans = eventually("both arrive", async || {
        let spans: Vec<_> = collector
            .spans()
            .into_iter()
            .filter(|span| span.name == "RecordingReads")
            .collect();
        (spans.len() == 2).then_some(spans)
    })
    .await;

    for span in &spans {
        assert_eq!(
            (
                hex::encode(&span.trace_id).as_str(),
                hex::encode(&span.parent_span_id).as_str()
            ),
            (TRACE, CALLER)
        );
        assert_eq!(
            attribute(&span.attributes, "http.route").as_deref(),
            Some("/api/recordings/{recording_id}")
        );
        assert_eq!(
            attribute(&span.attributes, "http.response.status_code").as_deref(),
            Some("404")
        );
    }
    assert!(
        collector
            .spans()
            .iter()
            .any(|span| span.name == "ACS state"),
        "what was asked of ACS is below it"
    );
    collector
        .requests()
        .iter()
        .for_each(|(_, body)| assert_no_secret(body));
}

#[tokio::test]
async fn what_arrives_is_named_as_the_registry_names_it() {
    let collector = Collector::start().await;
    let world = World::with(&[("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url())]).await;
    world.sweep().await;
    let described = eventually("a sweep's metrics arrive", async || {
        let described = collector.described();
        described
            .contains_key("recording_vault.sweep.finished")
            .then_some(described)
    })
    .await;
    for (name, (unit, help)) in described {
        let known = recording_vault::metrics::ALL
            .iter()
            .map(Metric::description);
        let known = known
            .into_iter()
            .find(|description| description.name == name);
        assert!(
            known.is_some_and(|known| known.unit == unit && known.help == help),
            "{name}"
        );
    }
}

/// What is wrong with it.
enum Endpoint {
    Refuses,
    Hangs,
    Fails,
}

#[rstest::rstest]
#[case::refuses(Endpoint::Refuses)]
#[case::hangs(Endpoint::Hangs)]
#[case::fails(Endpoint::Fails)]
#[tokio::test]
async fn an_endpoint_that_takes_nothing_disturbs_no_export_and_is_reported_once(
    #[case] endpoint: Endpoint,
) {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port is free");
    let mut url = format!("http://{}", silent.local_addr().expect("it is bound"));
    let mut collector = None;
    match endpoint {
        // Nobody listens there any more.
        Endpoint::Refuses => drop(silent),
        // Connections wait in its backlog.
        Endpoint::Hangs => std::mem::forget(silent),
        Endpoint::Fails => {
            let failing = Collector::that_answers(StatusCode::INTERNAL_SERVER_ERROR).await;
            url = failing.url().to_owned();
            collector = Some(failing);
        }
    }
    let world = World::with(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &url)]).await;

    let event = world
        .recording(json!({"call": {"chunks": [{"durationMs": 9000}]}}))
        .await;
    let (status, answer) = world.event(&event).await;

    assert_eq!(status, 200, "{answer}");
    assert_eq!(
        world.ledger_entry(&document_ids(&event)[0])["state"]["name"],
        "sourceDeleted",
        "{answer}"
    );
    let told = || world.console().matches("does not accept telemetry").count();
    eventually("both signals are told of", async || {
        (told() == 2).then_some(())
    })
    .await;
    if let Some(collector) = collector {
        eventually("it is tried again and again", async || {
            (collector.requests().len() >= 5).then_some(())
        })
        .await;
        assert_eq!(told(), 2, "once for each signal: {}", world.console());
    }
}

/// Asserts what is counted of two exported chunks whose event came twice, and of an event that cannot be read.
fn assert_samples(families: &BTreeMap<String, Family>) {
    let samples = [
        (
            "recording_vault_chunks_exported",
            "recording_vault_chunks_exported_total{vault=\"home\"}",
            2.0,
        ),
        (
            "recording_vault_chunks_deleted",
            "recording_vault_chunks_deleted_total",
            2.0,
        ),
        (
            "recording_vault_chunks_announced",
            "recording_vault_chunks_announced_total{outcome=\"duplicate\"}",
            2.0,
        ),
        (
            "recording_vault_events",
            "recording_vault_events_total{outcome=\"poison\"}",
            1.0,
        ),
        (
            "recording_vault_export_duration_seconds",
            "recording_vault_export_duration_seconds_count",
            2.0,
        ),
        (
            "recording_vault_chunks_at_risk",
            "recording_vault_chunks_at_risk{percent_elapsed=\"90\"}",
            0.0,
        ),
    ];
    for (family, sample, expected) in samples {
        assert_eq!(
            families[family].sample(sample),
            Some(expected),
            "{sample} in {families:?}"
        );
    }
}

#[tokio::test]
async fn the_metrics_of_an_instance_are_open_metrics_text_in_both_forms() {
    let world = World::new().await;
    let event = world
        .recording(json!({"call": {"chunks": [{"durationMs": 9000}, {"durationMs": 2000}]}}))
        .await;
    world.event(&event).await;
    world.event(&event).await;
    world.event(&json!({"id": "bad"})).await;
    world.sweep().await;

    let url = format!("{}/api/metrics?code=the-function-key", world.host.url());
    let answer = world
        .client
        .get(url)
        .send()
        .await
        .expect("the host answers");

    assert_eq!(
        answer.headers()["content-type"],
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    );
    let text = answer.text().await.expect("metrics are text");
    assert_no_secret(text.as_bytes());
    let families = open_metrics::parse(&text);
    assert_eq!(families.len(), recording_vault::metrics::ALL.len());
    assert_samples(&families);
    let proved = families["recording_vault_export_proved_bytes"].samples[0].1;
    let sizes = world
        .objects()
        .await
        .iter()
        .filter_map(|object| object["sizeBytes"].as_f64())
        .sum::<f64>();
    assert!((proved - sizes).abs() < f64::EPSILON, "{proved} of {sizes}");

    let request = json!({"Url": "http://localhost:7071/api/metrics", "Method": "GET"});
    let (status, answer) = world
        .envelope("Metrics", json!({"Data": {"req": request}}).to_string())
        .await;
    assert_eq!(status, 200, "{answer}");
    let output = &answer["Outputs"]["res"];
    assert_eq!(
        output["headers"]["content-type"],
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    );
    open_metrics::parse(output["body"].as_str().expect("the text is passed as text"));
}

async fn metrics_of(world: &World) -> BTreeMap<String, Family> {
    let url = format!("{}/api/metrics", world.handler_url().await);
    let answer = world.client.get(url).send().await;
    let text = answer.expect("the handler answers").text().await;
    open_metrics::parse(&text.expect("metrics are text"))
}

async fn recorded(world: &World) {
    let call = json!({"call": {"chunks": [{"durationMs": 1000}]}});
    let event = world.recording(call).await;
    world.event(&event).await;
}

async fn assert_verdict(world: &World, line: &str) {
    eventually(&format!("`{line}` is written"), async || {
        let console = world.console();
        let mut lines = console.lines().filter(|one| one.contains("Verdict: "));
        lines.next_back()?.ends_with(line).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_look_that_fails_leaves_no_numbers_of_an_earlier_one_and_says_that_nothing_is_known() {
    let world = World::new().await;
    recorded(&world).await;
    world.sweep().await;
    assert_verdict(&world, "Verdict: safe;").await;
    let families = metrics_of(&world).await;
    let standing = &families["recording_vault_recordings_standing"];
    let lost = standing.sample("recording_vault_recordings_standing{standing=\"lost\"}");
    assert_eq!(lost, Some(0.0));
    let verdict = |families: &BTreeMap<String, Family>, kind: &str| {
        families["recording_vault_verdict"]
            .sample(&format!("recording_vault_verdict{{kind=\"{kind}\"}}"))
    };
    assert_eq!(verdict(&families, "safe"), Some(1.0));
    assert_eq!(verdict(&families, "unknown"), Some(0.0));
    let read = families["recording_vault_standing_read_seconds"].samples[0].1;

    recorded(&world).await;
    let poison = world.vault.with_file_name("vault-ledger").join("poison");
    assert!(!poison.exists(), "no event was unreadable");
    std::fs::write(&poison, "").expect("the folder is ours");
    world.sweep().await;
    assert_verdict(&world, "Verdict: unknown; notDetermined").await;
    let families = metrics_of(&world).await;
    for family in ["recordings_standing", "survey_capped"] {
        let samples = &families[&format!("recording_vault_{family}")].samples;
        assert!(samples.is_empty(), "{samples:?}");
    }
    assert_eq!(verdict(&families, "safe"), Some(0.0));
    assert_eq!(verdict(&families, "unknown"), Some(1.0));
    let causes = &families["recording_vault_verdict_causes"].samples;
    let not_determined = "recording_vault_verdict_causes{code=\"notDetermined\"}";
    assert_eq!(causes, &[(not_determined.to_owned(), 1.0)]);
    let still = families["recording_vault_standing_read_seconds"].samples[0].1;
    assert!((still - read).abs() < f64::EPSILON, "{still} is not {read}");

    std::fs::remove_file(&poison).expect("the folder is ours");
    world.sweep().await;
    assert_verdict(&world, "Verdict: safe;").await;
}

#[rstest::rstest]
#[case::errors("error")]
#[case::another_part("recording_vault::export=debug")]
#[case::nothing("off")]
#[tokio::test]
async fn no_filter_of_the_log_silences_the_verdict(#[case] filter: &str) {
    let world = World::with(&[("LOG", filter), ("LOG_FORMAT", "json")]).await;
    world.event(&json!("garbled")).await;
    world.sweep().await;
    assert_verdict(&world, "Verdict: attention; poison").await;
}

/// The counts of requests to Blob Storage, together.
async fn storage_requests(world: &World) -> f64 {
    let families = metrics_of(world).await;
    let requests = &families["recording_vault_storage_requests"];
    requests.samples.iter().map(|(_, count)| count).sum()
}

#[tokio::test]
async fn what_a_chunk_and_an_idle_sweep_ask_of_blob_storage_is_what_the_guide_counts_with() {
    let container = azurite::container_url().await;
    let world = World::with(&[("VAULT_URL", &container), ("BLOCK_SIZE", "8MiB")]).await;
    world.sweep().await;
    let before = storage_requests(&world).await;
    world.sweep().await;
    let of_a_sweep = storage_requests(&world).await - before;
    let event = world
        .recording(json!({"call": {"chunks": [{"durationMs": 9000}]}}))
        .await;
    world.event(&event).await;
    let of_a_chunk = storage_requests(&world).await - before - of_a_sweep;
    assert!(
        (16.0..=22.0).contains(&of_a_sweep),
        "a sweep asks {of_a_sweep} times (the guide counts with 20), a chunk {of_a_chunk} times"
    );
    assert!(
        (36.0..=42.0).contains(&of_a_chunk),
        "a chunk takes {of_a_chunk} requests; the guide counts with 40 for the first of a process"
    );
}
