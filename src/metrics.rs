//! All metrics: counted anywhere, read by the OpenMetrics endpoint and by OpenTelemetry. A leaf that knows neither.
//!
//! Values are those of this process since its start. The table in `docs/OPERATIONS.md` lists the same metrics; a test
//! compares them.

pub mod instrument;
pub mod openmetrics;
mod rate;

use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use instrument::{Counter, Description, Gauge, Histogram, Metric};
use rate::Rate;

/// From a small chunk beside its vault to the largest over a slow line.
const WORK: &[f64] = &[
    0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0,
];
/// From a quick answer to the longest that is waited for.
const REQUEST: &[f64] = &[
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
];
/// From at once to the end of ACS's retention.
const WAIT: &[f64] = &[
    1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14400.0, 43200.0, 86400.0,
];

/// What a sweep saw says nothing of now after this time: no later sweep of this process looked.
const SWEEP_LASTS: Duration = Duration::from_mins(15);

macro_rules! metrics {
    ($($name:ident: $kind:ident = $otel:literal, $unit:literal, [$($label:literal),*], $help:literal $(, $new:ident $extra:expr)?;)*) => {
        $(
            #[doc = $help]
            pub static $name: $kind = metrics!(@new $kind,
                Description { name: $otel, unit: $unit, help: $help, labels: &[$($label),*] } $(, $new $extra)?);
        )*
        /// All of them.
        pub static ALL: &[Metric] = &[$(Metric::$kind(&$name)),*];
    };
    (@new $kind:ident, $description:expr) => { $kind::new($description) };
    (@new $kind:ident, $description:expr, $new:ident $extra:expr) => { $kind::$new($description, $extra) };
}

metrics! {
    EVENTS: Counter = "recording_vault.events", "{event}", ["outcome"],
        "Events received: taken, ignored (of another type) or poison (kept, not readable)";
    DELIVERIES_REFUSED: Counter = "recording_vault.deliveries.refused", "{delivery}", [],
        "Webhook deliveries without the right secret or token";
    CALLBACKS: Counter = "recording_vault.callbacks", "{callback}", ["outcome"],
        "Reports of ACS about recordings: taken, or refused for their token";
    CHUNKS_ANNOUNCED: Counter = "recording_vault.chunks.announced", "{chunk}", ["outcome"],
        "Chunks that events announced: new, duplicate (known already), other (of a known document, and exported beside the first), conflicting (known, at a place that is not read, or a fifth file) or erased (of a recording that was erased, and not exported)";
    CHUNKS_EXPORTED: Counter = "recording_vault.chunks.exported", "{chunk}", ["vault"],
        "Chunks copied and proved, into the vault (home) or the backup vault (backup)";
    CHUNKS_DELETED: Counter = "recording_vault.chunks.deleted", "{chunk}", [],
        "Chunks deleted at ACS, with their proof in hand";
    CHUNKS_LEFT: Counter = "recording_vault.chunks.left", "{chunk}", [],
        "Chunks that are in the vault and were not deleted at ACS";
    CHUNKS_IN_PLACE: Counter = "recording_vault.chunks.in_place", "{chunk}", [],
        "Chunks catalogued in place, in your own storage";
    CHUNKS_DOUBTFUL: Counter = "recording_vault.chunks.doubtful", "{chunk}", [],
        "Chunks in the vault whose media is not what the event and metadata report, or whose metadata is missing";
    CHUNKS_NOTICED: Counter = "recording_vault.chunks.noticed", "{chunk}", [],
        "Chunks in the vault with a notice on their media, such as a silent channel";
    CHUNKS_DEAD_LETTERED: Counter = "recording_vault.chunks.dead_lettered", "{chunk}", [],
        "Chunks given up without a copy until an operator retries them";
    CHUNKS_EXPIRED: Counter = "recording_vault.chunks.expired", "{chunk}", [],
        "Chunks LOST: ACS had dropped them before they were copied";
    ATTEMPTS_FAILED: Counter = "recording_vault.attempts.failed", "{attempt}", ["cause"],
        "Steps to be tried again, by whose failure it was: source or vault";
    EXPORT_PROVED: Counter = "recording_vault.export.proved", "By", [],
        "Bytes of media that were copied and proved";
    EXPORT_STAGED: Counter = "recording_vault.export.staged", "By", [],
        "Bytes that were written into a vault, proved yet or not";
    EXPORT_THROUGHPUT: Gauge = "recording_vault.export.throughput", "By/s", [],
        "What this instance writes into vaults, over the last ten seconds", computed throughput;
    EXPORT_DURATION: Histogram = "recording_vault.export.duration", "s", [],
        "From a drive's claim on a chunk to its proved copy", new WORK;
    EXPORT_DELAY: Histogram = "recording_vault.export.delay", "s", [],
        "From a chunk's event to its proved copy", new WAIT;
    DRIVES: Counter = "recording_vault.drives", "{drive}", ["outcome"],
        "Times that a chunk was looked at, by how that ended";
    ACS_REQUESTS: Counter = "recording_vault.acs.requests", "{request}", ["operation", "status"],
        "Requests to ACS, each attempt, by class of status; unreachable where there was no answer";
    ACS_REQUEST_DURATION: Histogram = "recording_vault.acs.request.duration", "s", ["operation"],
        "From a request to ACS to the head of its answer", new REQUEST;
    STORAGE_REQUESTS: Counter = "recording_vault.storage.requests", "{request}", ["method", "status"],
        "Requests to Blob Storage, each attempt, by class of status; unreachable where there was no answer";
    STORAGE_REQUEST_DURATION: Histogram = "recording_vault.storage.request.duration", "s", ["method"],
        "From a request to Blob Storage to the head of its answer", new REQUEST;
    SWEEP_FINISHED: Gauge = "recording_vault.sweep.finished", "s", [],
        "When the last sweep of this instance ended that could look, in Unix time";
    SWEEP_DURATION: Histogram = "recording_vault.sweep.duration", "s", [],
        "How long a sweep took", new WORK;
    SWEEPS_CUT_SHORT: Counter = "recording_vault.sweeps.cut_short", "{sweep}", [],
        "Sweeps whose budget was spent before all that is due was done";
    SWEEP_SEEN: Gauge = "recording_vault.sweep.seen", "{chunk}", [],
        "Open chunks the last sweep looked at", lasting SWEEP_LASTS;
    SWEEP_DUE: Gauge = "recording_vault.sweep.due", "{chunk}", [],
        "Of these, those of which something was due", lasting SWEEP_LASTS;
    SWEEP_DEFERRED: Gauge = "recording_vault.sweep.deferred", "{chunk}", [],
        "Of these, those left to the next sweep", lasting SWEEP_LASTS;
    SWEEP_FAILED: Gauge = "recording_vault.sweep.failed", "{chunk}", [],
        "Of these, those that failed and are tried again", lasting SWEEP_LASTS;
    CHUNKS_AT_RISK: Gauge = "recording_vault.chunks.at_risk", "{chunk}", ["percent_elapsed"],
        "Chunks not in the vault after 50, 75 or 90 % of their time at ACS, as of the last sweep, each counted once", lasting SWEEP_LASTS;
    RECORDINGS_STANDING: Gauge = "recording_vault.recordings.standing", "{recording}", ["standing"],
        "Recordings that are not settled, and those that were acknowledged, by their standing at the last look", lasting SWEEP_LASTS;
    VERDICT: Gauge = "recording_vault.verdict", "{verdict}", ["kind"],
        "1 for the verdict of the last look (safe, underWay, attention, unknown or noData), 0 for the others; unknown if the look failed", lasting SWEEP_LASTS;
    VERDICT_CAUSES: Gauge = "recording_vault.verdict.causes", "{cause}", ["code"],
        "1 for each cause of the verdict: what is wrong and what was not checked", lasting SWEEP_LASTS;
    STANDING_READ: Gauge = "recording_vault.standing.read", "s", [],
        "When this instance last determined the verdict, in Unix time";
    SURVEY_CAPPED: Gauge = "recording_vault.survey.capped", "{look}", [],
        "1 if the last look did not read all recordings that are not settled, else 0; then counts by standing are lower bounds, and those of 0 are not shown", lasting SWEEP_LASTS;
    AUDIT_UNCOVERED: Gauge = "recording_vault.audit.uncovered", "{sweep}", [],
        "1 if the last sweep of this instance left records of the audit log that no checkpoint covers, else 0", lasting SWEEP_LASTS;
    CHECK_BEGAN: Gauge = "recording_vault.check.began", "s", [],
        "When the last complete check began that has ended, in seconds since 1970";
    RECORDINGS_RUNNING: Gauge = "recording_vault.recordings.running", "{recording}", [],
        "Recordings that run, by the register, at the last sweep", lasting SWEEP_LASTS;
    RECORDINGS_MISSING: Counter = "recording_vault.recordings.missing", "{recording}", [],
        "Recordings that ended and whose files no event announced in time";
}

static STARTED: LazyLock<Instant> = LazyLock::new(Instant::now);
static STAGED: Mutex<Rate> = Mutex::new(Rate::new());

/// All metrics as OpenMetrics text.
pub fn open_metrics() -> String {
    openmetrics::text(ALL)
}

/// Counts what was written into a vault.
pub fn staged(size_bytes: u64) {
    EXPORT_STAGED.add(size_bytes, &[]);
    let now = STARTED.elapsed().as_secs();
    STAGED
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .add(now, size_bytes);
}

/// What this process writes into vaults now, over the last ten seconds.
pub fn export_bytes_per_second() -> u64 {
    let now = STARTED.elapsed().as_secs();
    STAGED
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .per_second(now)
}

/// A status by its class: few label values, and enough for an alert.
pub fn status_class(status: Option<u16>) -> &'static str {
    match status.map(|status| status / 100) {
        Some(1) => "1xx",
        Some(2) => "2xx",
        Some(3) => "3xx",
        Some(4) => "4xx",
        Some(5) => "5xx",
        Some(_) => "other",
        None => "unreachable",
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "bytes in a second stay below 2^52"
)]
fn throughput() -> f64 {
    export_bytes_per_second() as f64
}
