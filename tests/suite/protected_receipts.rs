//! Receipts get the retention and the legal hold of their media; what a storage refuses is said, and what a policy keeps is
//! read.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use recording_vault::export::destination::{
    BlobProperties, BlobVersion, CommitOutcome, ExportDestination, Protection, ReplaceOutcome,
};
use recording_vault::export::layout::BlobName;
use recording_vault::export::receipt_document::KeptReceipt;
use recording_vault::export::{Budget, ChunkState};
use recording_vault::recording::RecordingChunk;
use recording_vault::vault::azure::{AccessTier, AzureVault, AzureVaultOptions};
use recording_vault::vault::memory::MemoryDocumentStore;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::support::audited_vault::AuditedVault;
use crate::support::pipeline::Pipeline;
use crate::support::{azurite, chunk, content};

const RETENTION: &str = "x-ms-immutability-policy-until-date";
const LEGAL_HOLD: &str = "x-ms-legal-hold";
const UNPROTECTED: &str = "x-ms-meta-unprotected";
const RETAINED_FROM: &str = "x-ms-meta-retainedfrom";
const VERSIONS: &str = "<?xml version=\"1.0\" encoding=\"utf-8\"?><EnumerationResults><Blobs>\
    <Blob><Name>a/0-receipt.d.json</Name><VersionId>v1</VersionId></Blob>\
    <Blob><Name>a/0-receipt.d.json</Name><VersionId>v2</VersionId><IsCurrentVersion>true</IsCurrentVersion></Blob>\
    <Blob><Name>a/0-audiowav.d.wav</Name><VersionId>v1</VersionId></Blob>\
    </Blobs><NextMarker/></EnumerationResults>";

const NO_BLOBS: &str = "<?xml version=\"1.0\" encoding=\"utf-8\"?><EnumerationResults><Blobs></Blobs>\
    <NextMarker/></EnumerationResults>";

/// A storage that takes every write, except those with a header that it refuses.
#[derive(Debug, Clone, Default)]
struct Storage {
    refused: &'static [&'static str],
    /// Properties of every blob.
    properties: &'static [(&'static str, &'static str)],
    /// The headers of all writes.
    writes: Arc<Mutex<Vec<HeaderMap>>>,
}

impl Storage {
    fn that_refuses(refused: &'static [&'static str]) -> Self {
        Self {
            refused,
            ..Self::default()
        }
    }

    async fn vault(&self, options: AzureVaultOptions) -> AzureVault {
        let router = Router::new().fallback(answer).with_state(self.clone());
        azurite::vault(&serve(router).await, options)
    }

    fn writes(&self) -> Vec<HeaderMap> {
        self.writes.lock().expect("no holder panics").clone()
    }
}

/// The URL of a container that answers so.
async fn serve(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await;
    let listener = listener.expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}/account/vault?sv=2024-08-04&sr=c&sig=x")
}

async fn answer(State(storage): State<Storage>, request: Request) -> Response {
    let (status, code, body) = if *request.method() == Method::PUT {
        let headers = request.headers().clone();
        let is_refused = storage
            .refused
            .iter()
            .any(|name| headers.contains_key(*name));
        storage
            .writes
            .lock()
            .expect("no holder panics")
            .push(headers);
        if is_refused {
            (StatusCode::CONFLICT, "FeatureNotSupported", "")
        } else {
            (StatusCode::CREATED, "", "")
        }
    } else if request
        .uri()
        .query()
        .is_some_and(|query| query.contains("comp=list"))
    {
        (StatusCode::OK, "", VERSIONS)
    } else {
        (StatusCode::OK, "", "what it said")
    };
    let mut response = Response::builder().status(status);
    for (name, value) in storage.properties {
        response = response.header(*name, *value);
    }
    if *request.method() == Method::HEAD {
        response = response.header("content-length", "2");
    }
    response
        .header("etag", "\"0x1\"")
        .header("last-modified", "Mon, 02 Mar 2026 10:00:00 GMT")
        .header("x-ms-error-code", code)
        .header("content-type", "application/xml")
        .body(Body::from(body))
        .expect("it is an answer")
}

fn protecting() -> AzureVaultOptions {
    AzureVaultOptions {
        read_back: false,
        tags: true,
        tier: Some(AccessTier::Cool),
        immutable_for: Some(Duration::from_hours(24)),
        legal_hold: true,
    }
}

fn name() -> BlobName {
    "a/0-receipt.d.json".parse().expect("it is a name")
}

/// Creates and replaces a document.
async fn write_twice(vault: &AzureVault) {
    let properties = BlobProperties {
        content_type: "application/json",
        metadata: Vec::new(),
        tags: Vec::new(),
    };
    let content = Bytes::from_static(b"{}");
    let name = name();
    let put = vault.put(&name, content.clone(), &properties).await;
    assert_eq!(put.expect("it is taken"), CommitOutcome::Committed);
    let version = BlobVersion("\"0x1\"".to_owned());
    let replacing = vault.replace(&name, &version, content, &properties);
    let replaced = replacing.await.expect("it is taken");
    assert_eq!(replaced, ReplaceOutcome::Replaced);
}

#[tokio::test]
async fn a_receipt_gets_the_retention_and_the_hold_of_its_media_when_it_is_written_and_replaced() {
    let storage = Storage::default();
    write_twice(&storage.vault(protecting()).await).await;
    let writes = storage.writes();
    assert_eq!(writes.len(), 2, "one request each: {writes:?}");
    for headers in &writes {
        assert!(headers.contains_key(RETENTION), "{headers:?}");
        assert_eq!(headers[LEGAL_HOLD], "true");
        assert!(!headers.contains_key(UNPROTECTED), "{headers:?}");
        assert!(!headers.contains_key("x-ms-access-tier"), "{headers:?}");
        assert!(!headers.contains_key("x-ms-tags"), "{headers:?}");
    }
    assert_eq!(writes[0]["if-none-match"], "*");
    assert_eq!(writes[1]["if-match"], "\"0x1\"");
    assert!(!writes[1].contains_key("if-none-match"), "{writes:?}");
}

#[tokio::test]
async fn a_receipt_that_is_replaced_is_retained_no_longer_than_before() {
    let until = "Tue, 01 Jan 2199 00:00:00 GMT";
    let storage = Storage {
        properties: &[(RETENTION, "Tue, 01 Jan 2199 00:00:00 GMT")],
        ..Storage::default()
    };
    write_twice(&storage.vault(protecting()).await).await;
    let writes = storage.writes();
    assert_ne!(writes[0][RETENTION], until, "its own period");
    assert_eq!(writes[1][RETENTION], until);
    assert!(!writes[0].contains_key(RETAINED_FROM), "{writes:?}");
    assert_eq!(writes[1][RETAINED_FROM], "2026-03-02T10:00:00Z");
}

#[tokio::test]
async fn a_storage_that_refuses_a_hold_takes_the_receipt_with_its_retention_and_a_note() {
    let storage = Storage::that_refuses(&[LEGAL_HOLD]);
    write_twice(&storage.vault(protecting()).await).await;
    let taken = storage.writes().into_iter();
    let taken = taken.filter(|headers| !headers.contains_key(LEGAL_HOLD));
    let taken: Vec<HeaderMap> = taken.collect();
    assert_eq!(taken.len(), 2);
    for headers in taken {
        assert!(headers.contains_key(RETENTION), "{headers:?}");
        assert_eq!(headers[UNPROTECTED], "legalHold");
    }
}

#[tokio::test]
async fn a_receipt_that_no_setting_protects_and_a_probe_are_one_request_without_protection() {
    let storage = Storage::default();
    write_twice(&storage.vault(AzureVaultOptions::default()).await).await;
    let properties = BlobProperties {
        content_type: "text/plain",
        metadata: Vec::new(),
        tags: Vec::new(),
    };
    let vault = storage.vault(protecting()).await;
    let (name, content) = (name(), Bytes::from_static(b"probe"));
    let put = vault.put_unprotected(&name, content, &properties).await;
    assert_eq!(put.expect("it is taken"), CommitOutcome::Committed);
    let writes = storage.writes();
    assert_eq!(writes.len(), 3, "{writes:?}");
    for headers in writes {
        assert!(!headers.contains_key(RETENTION), "{headers:?}");
        assert!(!headers.contains_key(LEGAL_HOLD), "{headers:?}");
    }
}

#[tokio::test]
async fn versions_of_receipts_that_were_overwritten_are_found_and_read() {
    for options in [protecting(), AzureVaultOptions::default()] {
        let vault = Storage::default().vault(options).await;
        let is_receipt = |name: &BlobName| name.as_str().contains("-receipt.");
        let earlier = vault.earlier_versions(is_receipt).await;
        let earlier = earlier.expect("the storage lists");
        let names: Vec<_> = earlier
            .iter()
            .map(|version| (version.name.as_str(), version.id.as_str()))
            .collect();
        assert_eq!(names, [("a/0-receipt.d.json", "v1")]);
        let read = vault.read_earlier(&earlier[0]).await;
        assert_eq!(
            read.expect("the storage reads").as_deref(),
            Some(&b"what it said"[..])
        );
    }
}

/// A container without files, with one earlier version of a receipt; or it refuses to list versions.
#[derive(Debug, Clone)]
struct Overwritten {
    earlier: Option<String>,
}

impl Overwritten {
    /// Two exported chunks, and this as the backup vault. No setting asks for protection.
    async fn beside(self, mut vault: AuditedVault) -> AuditedVault {
        let router = Router::new().fallback(answer_versions).with_state(self);
        let ledger = format!("file://{}", vault.ledger().display());
        let settings = [
            ("BACKUP_VAULT_URL", serve(router).await),
            ("LEDGER_URL", ledger),
        ];
        let settings = settings.map(|(name, value)| (name.to_owned(), value));
        vault.more_settings.extend(settings);
        vault
    }
}

async fn answer_versions(State(container): State<Overwritten>, request: Request) -> Response {
    let query = request.uri().query().unwrap_or_default();
    let has = |part: &str| query.contains(part);
    let (status, code, body) = match container.earlier {
        None if has("include=versions") => (
            StatusCode::FORBIDDEN,
            "AuthorizationPermissionMismatch",
            String::new(),
        ),
        Some(_) if has("include=versions") => (StatusCode::OK, "", VERSIONS.to_owned()),
        Some(_) | None if has("comp=list") => (StatusCode::OK, "", NO_BLOBS.to_owned()),
        Some(earlier) if has("versionid=v1") => (StatusCode::OK, "", earlier),
        Some(_) | None => (StatusCode::NOT_FOUND, "BlobNotFound", String::new()),
    };
    Response::builder()
        .status(status)
        .header("etag", "\"0x1\"")
        .header("last-modified", "Mon, 02 Mar 2026 10:00:00 GMT")
        .header("x-ms-error-code", code)
        .header("content-type", "application/xml")
        .body(Body::from(body))
        .expect("it is an answer")
}

#[tokio::test]
async fn versions_of_receipts_prove_what_they_name_where_no_setting_asks_for_protection() {
    let vault = AuditedVault::new().await;
    let receipt = std::fs::read(vault.receipt(&vault.id)).expect("it is there");
    let mut receipt: Value = serde_json::from_slice(&receipt).expect("it is JSON");
    receipt["auditCheckpoint"] = json!({"number": 99, "sha256": "0".repeat(64)});
    let earlier = Some(receipt.to_string());
    let vault = Overwritten { earlier }.beside(vault).await;
    let part = "checkpoint 99 is missing, and version v1 of the receipt `a/0-receipt.d.json` in the backup vault names it";
    vault.assert_found("an earlier version", part).await;
}

#[tokio::test]
async fn versions_of_receipts_that_the_storage_does_not_list_are_not_checked() {
    let container = Overwritten { earlier: None };
    let vault = container.beside(AuditedVault::new().await).await;
    let part = "earlier versions of receipts in the backup vault could not be listed";
    vault.assert_not_checked("versions", part).await;
}

#[tokio::test]
async fn a_blob_that_has_no_protection_lacks_it_whatever_its_writer_noted() {
    type Properties = &'static [(&'static str, &'static str)];
    const HELD: (&str, &str) = (LEGAL_HOLD, "true");
    const RETAINED: (&str, &str) = (RETENTION, "Tue, 01 Jan 2199 00:00:00 GMT");
    const NO_LONGER: (&str, &str) = (RETENTION, "Fri, 01 Jan 2021 00:00:00 GMT");
    const NOTED: (&str, &str) = (UNPROTECTED, "legalHold");
    let cases: [(Properties, &[Protection]); 5] = [
        (&[], &Protection::ALL),
        (&[HELD, RETAINED], &[]),
        (&[HELD], &[Protection::Retention]),
        (&[HELD, NO_LONGER], &[Protection::Retention]),
        (&[HELD, RETAINED, NOTED], &[Protection::LegalHold]),
    ];
    for (properties, expected) in cases {
        let storage = Storage {
            properties,
            ..Storage::default()
        };
        let vault = storage.vault(protecting()).await;
        let missing = vault.missing_protection(&name()).await;
        assert_eq!(missing.expect("it is there"), expected, "{properties:?}");
    }
    let vault = Storage::default().vault(AzureVaultOptions::default()).await;
    let missing = vault.missing_protection(&name()).await;
    assert!(missing.expect("it is there").is_empty(), "nothing asks");
}

#[tokio::test]
async fn a_blob_whose_retention_is_shorter_than_the_setting_lacks_it() {
    type Properties = &'static [(&'static str, &'static str)];
    const UNTIL: (&str, &str) = (RETENTION, "Tue, 01 Jan 2199 00:00:00 GMT");
    const CREATED: (&str, &str) = ("x-ms-creation-time", "Thu, 01 Jan 2150 00:00:00 GMT");
    const REPLACED: (&str, &str) = (RETAINED_FROM, "2026-03-02T10:00:00Z");
    // Without a time of its creation, that of its last change counts, which is in 2026.
    let cases: [(u64, Properties, &[Protection]); 4] = [
        (100, &[UNTIL], &[]),
        (200, &[UNTIL], &[Protection::Retention]),
        (60, &[UNTIL, CREATED], &[Protection::Retention]),
        (60, &[UNTIL, CREATED, REPLACED], &[]),
    ];
    for (years, properties, expected) in cases {
        let storage = Storage {
            properties,
            ..Storage::default()
        };
        let options = AzureVaultOptions {
            immutable_for: Some(Duration::from_hours(years * 365 * 24)),
            ..AzureVaultOptions::default()
        };
        let vault = storage.vault(options).await;
        let missing = vault.missing_protection(&name()).await;
        let missing = missing.expect("it is there");
        assert_eq!(missing, expected, "{years} years, {properties:?}");
    }
}

/// The receipt in the vault of a pipeline.
fn kept(pipeline: &Pipeline) -> (BlobName, KeptReceipt) {
    let files = pipeline.vault.files();
    let mut receipts = files
        .into_iter()
        .filter(|(name, _)| name.as_str().contains("-receipt."));
    let (name, content) = receipts.next().expect("there is a receipt");
    let kept = serde_json::from_slice(&content).expect("it is a receipt");
    (name, kept)
}

#[tokio::test]
async fn a_receipt_that_alone_lacks_its_protection_says_so_and_spares_the_source() {
    let pipeline = Pipeline::new();
    pipeline
        .vault
        .refuse_protection_of("-receipt.", &[Protection::Retention]);
    let chunk = chunk("a", 0);
    let id = &chunk.document_id;
    pipeline.source.put(id, content(1000, 1));
    pipeline.record(&chunk).await;
    pipeline.drive(id).await;
    let state = pipeline.state(id).await;
    let receipt = state.receipt().expect("it is in the vault");
    let missing = receipt.missing_protection();
    assert!(
        missing.is_some_and(|missing| {
            missing == "its receipt lacks the retention of VAULT_IMMUTABLE_FOR"
        }),
        "{receipt:?}"
    );
    assert_eq!(kept(&pipeline).1.receipt, *receipt, "the file says it too");
    assert_eq!(pipeline.sweep().await.deleted, 0);
    assert!(pipeline.source.has(id));
}

/// A copy without its metadata, whose receipt a policy protects; and the chunk with all its locations.
async fn with_protected_receipt() -> (Pipeline, RecordingChunk, KeptReceipt) {
    let pipeline = Pipeline::new();
    let whole = chunk("a", 0);
    let id = &whole.document_id;
    let metadata = format!("{{\"chunkDocumentId\": \"{id}\"}}");
    pipeline
        .source
        .put_with_metadata(id, content(1000, 1), metadata);
    let mut poor: RecordingChunk = whole.clone();
    poor.locations.metadata = None;
    poor.locations.delete = None;
    pipeline.record(&poor).await;
    pipeline.drive(id).await;
    let (name, first) = kept(&pipeline);
    assert_eq!(first.receipt.metadata(), None);
    pipeline.vault.protect(&name);
    (pipeline, whole, first)
}

fn assert_beside_earlier_file(state: &ChunkState) {
    let receipt = state.receipt().expect("it is in the vault");
    assert!(receipt.metadata().is_some(), "{receipt:?}");
    assert!(receipt.has_earlier_file(), "{receipt:?}");
}

#[tokio::test]
async fn a_receipt_that_a_policy_protects_from_a_later_proof_is_noted_in_the_entry() {
    let (pipeline, whole, first) = with_protected_receipt().await;
    pipeline.record(&whole).await;
    pipeline.drive(&whole.document_id).await;
    assert_beside_earlier_file(&pipeline.state(&whole.document_id).await);
    assert_eq!(kept(&pipeline).1.receipt, first.receipt);
}

#[tokio::test]
async fn a_protected_receipt_that_outlived_the_ledger_is_noted_in_the_first_entry_of_the_next() {
    let (pipeline, whole, first) = with_protected_receipt().await;
    let driver = pipeline.another_through(Arc::new(MemoryDocumentStore::default()));
    let (ledger, id) = (driver.ledger(), &whole.document_id);
    let recorded = ledger.record(whole.clone()).await;
    recorded.expect("the ledger works");
    let budget = Budget::of(Duration::from_hours(1));
    driver.drive(id, budget).await.expect("the ledger works");
    let found = ledger.find(id).await.expect("the ledger works");
    assert_beside_earlier_file(&found.expect("it is there").entry.state);
    assert_eq!(kept(&pipeline).1.receipt, first.receipt);
}
