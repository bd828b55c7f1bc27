//! Real Azurite, started by `cargo xtask test`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use azure_storage_blob::models::{BlobContainerClientListBlobsOptions, ListBlobsIncludeItem};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use futures::TryStreamExt as _;
use hmac::{Hmac, KeyInit as _, Mac as _};
use recording_vault::clock::SystemClock;
use recording_vault::vault::VaultUrl;
use recording_vault::vault::azure::{AzureVault, AzureVaultOptions};
use sha2::Sha256;
use url::Url;

/// The emulator's published account
/// (<https://learn.microsoft.com/azure/storage/common/storage-connect-azurite#http-connection-strings>).
const ACCOUNT: &str = "devstoreaccount1";
const KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";
const SAS_VERSION: &str = "2021-12-02";
const SAS_EXPIRY: &str = "2099-01-01T00:00:00Z";

/// The URL, with a SAS, of a container of this test's own, which does not exist yet.
pub fn new_container_url() -> String {
    static CONTAINERS: AtomicU32 = AtomicU32::new(0);
    let number = CONTAINERS.fetch_add(1, Ordering::Relaxed);
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("it is after 1970")
        .as_nanos();
    format!("{}/test-{now}-{number}?{}", base_url(), account_sas())
}

/// Creates the container of a URL.
pub async fn create_container(url: &str) {
    let (container, sas) = url.split_once('?').expect("the URL has a SAS");
    let request = reqwest::Client::new()
        .put(format!("{container}?restype=container&{sas}"))
        .header("content-length", 0);
    let response = request.send().await.expect("Azurite answers");
    assert!(
        response.status().is_success(),
        "Azurite created no container: {}",
        response.status()
    );
}

/// The URL of a container that is there.
pub async fn container_url() -> String {
    let url = new_container_url();
    create_container(&url).await;
    url
}

/// A client of a container.
pub fn client(url: &str) -> azure_storage_blob::BlobContainerClient {
    let VaultUrl::Container(container) = url.parse().expect("the URL is a vault's") else {
        panic!("it is a container's")
    };
    recording_vault::vault::azure::AzureStorage::new(None)
        .container(&container)
        .expect("a SAS needs no credential")
}

/// Writes a blob under a name of any kind.
pub async fn upload(url: &str, name: &str, content: &'static [u8]) {
    let blob = client(url).blob_client(name);
    let content = bytes::Bytes::from_static(content);
    let upload = blob.upload(content.into(), None).await;
    upload.expect("Azurite takes it");
}

/// Every blob of a container, by its name.
pub async fn blobs(url: &str) -> BTreeMap<String, Vec<u8>> {
    let client = client(url);
    let mut files = BTreeMap::new();
    for name in names(url, Vec::new()).await {
        let content = client
            .blob_client(&name)
            .download(None)
            .await
            .expect("Azurite gives")
            .body
            .collect()
            .await;
        files.insert(name, content.expect("the body comes").to_vec());
    }
    files
}

/// Names of blobs, also of such that nothing is committed of yet.
pub async fn names_with_uncommitted(url: &str) -> Vec<String> {
    names(url, vec![ListBlobsIncludeItem::UncommittedBlobs]).await
}

async fn names(url: &str, include: Vec<ListBlobsIncludeItem>) -> Vec<String> {
    let include = Some(include).filter(|include| !include.is_empty());
    let options = BlobContainerClientListBlobsOptions {
        include,
        ..Default::default()
    };
    let mut pages = client(url)
        .list_blobs(Some(options))
        .expect("the URL is good")
        .into_pages();
    let mut names = Vec::new();
    while let Some(page) = pages.try_next().await.expect("Azurite lists") {
        let blobs = page.into_model().expect("a page is XML").blob_items;
        names.extend(
            blobs
                .into_iter()
                .map(|blob| blob.name.expect("a blob has a name")),
        );
    }
    names
}

/// A vault in a container.
pub fn vault(url: &str, options: AzureVaultOptions) -> AzureVault {
    AzureVault::new(client(url), options, Arc::new(SystemClock))
}

/// Where Azurite listens, as `http://<address>/<account>`.
pub fn base_url() -> String {
    #[expect(clippy::disallowed_methods, reason = "how xtask tells the tests")]
    let url = std::env::var("TEST_AZURITE_URL");
    url.expect("TEST_AZURITE_URL is not set: run the tests by `cargo xtask test`, which installs and starts Azurite")
}

/// The URL of a queue, with a SAS.
pub fn queue_url(name: &str) -> String {
    #[expect(clippy::disallowed_methods, reason = "how xtask tells the tests")]
    let url = std::env::var("TEST_AZURITE_QUEUE_URL")
        .expect("TEST_AZURITE_QUEUE_URL is not set: run the tests by `cargo xtask test`");
    format!("{url}/{name}?{}", sas_of("q", "rwdlacup"))
}

fn account_sas() -> String {
    sas_of("b", "rwdlact")
}

/// An account SAS: one HMAC over its fields
/// (<https://learn.microsoft.com/rest/api/storageservices/create-account-sas>).
fn sas_of(service: &str, permissions: &str) -> String {
    let fields = [
        ACCOUNT,
        permissions,
        service,
        "sco",
        "",
        SAS_EXPIRY,
        "",
        "",
        SAS_VERSION,
        "",
    ];
    let string_to_sign = fields.join("\n") + "\n";
    let key = BASE64_STANDARD
        .decode(KEY)
        .expect("the published key is base64");
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("HMAC takes a key of any length");
    mac.update(string_to_sign.as_bytes());
    let signature = BASE64_STANDARD.encode(mac.finalize().into_bytes());
    let mut url = Url::parse("http://localhost").expect("it is a URL");
    url.query_pairs_mut()
        .extend_pairs([
            ("sv", SAS_VERSION),
            ("ss", service),
            ("srt", "sco"),
            ("sp", permissions),
            ("se", SAS_EXPIRY),
        ])
        .append_pair("sig", &signature);
    url.query().unwrap_or_default().to_owned()
}
