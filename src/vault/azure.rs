//! Azure Blob Storage through the official client: the only module that knows `azure_storage_blob`.

mod answers;
mod bounded;
mod creating;
mod external;
mod failure;
mod ledger;
mod options;
mod probe;
mod vault;
mod versions;

use std::num::NonZero;
use std::sync::Arc;

use azure_core::credentials::TokenCredential;
use azure_core::error::ErrorKind;
use azure_core::http::{
    ClientOptions, ExponentialRetryOptions, RetryOptions, StatusCode, Transport,
};
use azure_core::time::Duration;
use azure_storage_blob::models::{
    BlobClientDownloadOptions, BlobContainerClientListBlobsOptions, BlobItem, ListBlobsIncludeItem,
};
use azure_storage_blob::{BlobContainerClient, BlobContainerClientOptions};

use futures::TryStreamExt as _;

use crate::http_client;
use crate::storage_url::ContainerUrl;
pub use azure_storage_blob::models::AccessTier;
use bounded::BoundedClient;
use creating::NameContentCrc64;
pub use external::ExternalStorage;
pub use failure::redacted;
pub use failure::{Cause, StorageFailure};
pub use ledger::AzureDocumentStore;
pub use options::AzureVaultOptions;
pub use vault::AzureVault;

/// Attempts of the client itself; this product retries through the drives of the sweep.
const SDK_RETRIES: u32 = 3;
/// Longest delay between them.
const LONGEST_DELAY_SECONDS: i64 = 3;

/// Creates clients that share one connection pool.
#[derive(Clone)]
pub struct AzureStorage {
    credential: Option<Arc<dyn TokenCredential>>,
    transport: Transport,
}

impl AzureStorage {
    /// `credential` is used for containers whose URL carries no SAS.
    pub fn new(credential: Option<Arc<dyn TokenCredential>>) -> Self {
        let client = BoundedClient::new(http_client::azure_client());
        Self {
            credential,
            transport: Transport::new(Arc::new(client)),
        }
    }

    /// A client for one container.
    ///
    /// # Errors
    /// When the client refuses the URL (for example a token over plain http).
    pub fn container(&self, url: &ContainerUrl) -> azure_core::Result<BlobContainerClient> {
        let retry = ExponentialRetryOptions {
            max_retries: SDK_RETRIES,
            max_total_elapsed: Duration::seconds(10),
            max_delay: Duration::seconds(LONGEST_DELAY_SECONDS),
            ..ExponentialRetryOptions::default()
        };
        let client_options = ClientOptions {
            transport: Some(self.transport.clone()),
            retry: RetryOptions::exponential(retry),
            per_call_policies: vec![Arc::new(NameContentCrc64)],
            ..ClientOptions::default()
        };
        let options = BlobContainerClientOptions {
            client_options,
            ..BlobContainerClientOptions::default()
        };
        let credential = if url.has_sas() {
            None
        } else {
            self.credential.clone()
        };
        BlobContainerClient::new(url.expose().clone(), credential, Some(options))
    }
}

/// Maximum entries of a page of a listing.
const PAGE: usize = 5000;

/// One request at a time, even for a large blob: concurrency is limited by the blocks in flight, and without this
/// the client looks up the number of processors for every call.
const SEQUENTIAL: Option<NonZero<usize>> = NonZero::new(1);

fn sequential_download() -> BlobClientDownloadOptions<'static> {
    BlobClientDownloadOptions {
        parallel: SEQUENTIAL,
        ..BlobClientDownloadOptions::default()
    }
}

/// At most `limit` names of blobs that begin with `prefix` and come after `after`, in ascending order.
async fn names(
    container: &BlobContainerClient,
    prefix: Option<&str>,
    after: Option<&str>,
    limit: usize,
) -> azure_core::Result<Vec<String>> {
    listed(container, prefix, after, limit, |name, _| Some(name)).await
}

/// At most `limit` of the blobs that `read` accepts, by name and size, whose names begin with `prefix` and come after
/// `after`, in ascending order. Fewer only if there are no more.
async fn listed<T>(
    container: &BlobContainerClient,
    prefix: Option<&str>,
    after: Option<&str>,
    limit: usize,
    read: impl Fn(String, u64) -> Option<T>,
) -> azure_core::Result<Vec<T>> {
    let options = BlobContainerClientListBlobsOptions {
        prefix: prefix.map(str::to_owned),
        // Begins at `after` itself if the service supports this; an emulator that does not begins at the front.
        start_from: after.map(str::to_owned),
        maxresults: i32::try_from(limit.min(PAGE)).ok(),
        // An account with a hierarchical namespace lists its directories too, and marks them only there.
        include: Some(vec![ListBlobsIncludeItem::Metadata]),
        ..BlobContainerClientListBlobsOptions::default()
    };
    let mut border = Border {
        after,
        has_directories: false,
    };
    let mut pages = container.list_blobs(Some(options))?.into_pages();
    let mut listed = Vec::new();
    while listed.len() < limit {
        let Some(page) = pages.try_next().await? else {
            break;
        };
        let found = page.into_model()?.blob_items;
        border.see_page(found.iter().any(is_directory));
        let found = found
            .into_iter()
            .filter(|blob| !is_directory(blob))
            .filter_map(|blob| {
                let size_bytes = blob.properties.and_then(|found| found.content_length);
                let name = blob.name.filter(|name| border.is_before(name));
                read(name?, size_bytes.unwrap_or_default())
            });
        listed.extend(found);
    }
    listed.truncate(limit);
    Ok(listed)
}

/// Where a listing of several pages begins. A flat account lists by the whole name. One with a hierarchical namespace may
/// list folder by folder, so that `F-2/a` follows `F/z`: the listing has the next folder as a directory when it leaves one.
struct Border<'a> {
    after: Option<&'a str>,
    /// A page so far has a directory: that of a file may be on an earlier page than the file.
    has_directories: bool,
}

impl Border<'_> {
    fn see_page(&mut self, has_directories: bool) {
        self.has_directories |= has_directories;
    }

    /// Whether a blob of the page is listed after the border.
    fn is_before(&self, name: &str) -> bool {
        self.after.is_none_or(|after| {
            name > after || (self.has_directories && name.split('/').gt(after.split('/')))
        })
    }
}

/// A directory of an account with a hierarchical namespace
/// (<https://learn.microsoft.com/azure/storage/blobs/data-lake-storage-known-issues>).
fn is_directory(blob: &BlobItem) -> bool {
    let metadata = blob.metadata.as_ref();
    let members = metadata.and_then(|metadata| metadata.values.as_ref());
    members.is_some_and(|members| {
        let says = |(name, value): (&String, &String)| {
            name.eq_ignore_ascii_case("hdi_isfolder") && value.eq_ignore_ascii_case("true")
        };
        members.iter().any(says)
    })
}

fn status(error: &azure_core::Error) -> Option<StatusCode> {
    error.http_status()
}

fn has_code(error: &azure_core::Error, wanted: &str) -> bool {
    matches!(error.kind(), ErrorKind::HttpResponse { error_code: Some(code), .. } if code == wanted)
}

/// `None` if the storage reports that there is no such blob.
fn if_there<T>(result: azure_core::Result<T>) -> azure_core::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error)
            if status(&error) == Some(StatusCode::NotFound)
                && !has_code(&error, "ContainerNotFound") =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case::flat("F/a", "F-2/z", false, true)]
    #[case::flat_before("F-2/a", "F/z", false, false)]
    #[case::next_folder("F-2/a", "F/z", true, true)]
    #[case::same_folder("F/b", "F/a", true, true)]
    #[case::itself("F/a", "F/a", true, false)]
    #[case::before("E/z", "F/a", true, false)]
    fn no_file_is_skipped_at_the_border_of_a_page(
        #[case] name: &str,
        #[case] after: &str,
        #[case] has_directories: bool,
        #[case] expected: bool,
    ) {
        let border = Border {
            after: Some(after),
            has_directories,
        };
        assert_eq!(border.is_before(name), expected);
    }

    #[test]
    fn a_folder_whose_directory_is_on_an_earlier_page_is_not_skipped() {
        let mut border = Border {
            after: Some("F/m"),
            has_directories: false,
        };
        border.see_page(true);
        border.see_page(false);
        assert!(border.is_before("F-2/a"));
    }
}
