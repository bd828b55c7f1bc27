//! Earlier versions of small documents. Where a policy protects single versions, a blob can be overwritten, and what it
//! protected stays as an earlier version
//! (<https://learn.microsoft.com/azure/storage/blobs/immutable-version-level-worm-policies>).

use azure_storage_blob::models::{
    BlobContainerClientListBlobsOptions, BlobItem, ListBlobsIncludeItem,
};
use bytes::Bytes;
use futures::TryStreamExt as _;

use super::answers::failed;
use super::vault::AzureVault;
use super::{PAGE, if_there, sequential_download};
use crate::export::destination::{DestinationError, EarlierVersion, NameFilter};

impl AzureVault {
    /// Lists the whole container.
    pub(super) async fn list_earlier(
        &self,
        is_wanted: NameFilter,
    ) -> Result<Vec<EarlierVersion>, DestinationError> {
        let everything = "everything".parse().expect("it is a safe name");
        let failed = failed("list the versions of", &everything);
        let options = BlobContainerClientListBlobsOptions {
            maxresults: i32::try_from(PAGE).ok(),
            include: Some(vec![ListBlobsIncludeItem::Versions]),
            ..BlobContainerClientListBlobsOptions::default()
        };
        let listing = self.container.list_blobs(Some(options));
        let mut pages = listing.map_err(&failed)?.into_pages();
        let mut earlier = Vec::new();
        while let Some(page) = pages.try_next().await.map_err(&failed)? {
            let blobs = page.into_model().map_err(&failed)?.blob_items;
            let versions = blobs.into_iter().filter_map(earlier_version);
            earlier.extend(versions.filter(|version| is_wanted(&version.name)));
        }
        Ok(earlier)
    }

    pub(super) async fn download_earlier(
        &self,
        version: &EarlierVersion,
    ) -> Result<Option<Bytes>, DestinationError> {
        let failed = failed("read an earlier version of", &version.name);
        let blob = self.container.blob_client(version.name.as_str());
        let blob = blob.with_version(&version.id).map_err(&failed)?;
        let found = blob.download(Some(sequential_download())).await;
        match if_there(found).map_err(&failed)? {
            Some(found) => found.body.collect().await.map(Some).map_err(&failed),
            None => Ok(None),
        }
    }
}

fn earlier_version(blob: BlobItem) -> Option<EarlierVersion> {
    if blob.is_current_version == Some(true) {
        return None;
    }
    Some(EarlierVersion {
        name: blob.name?.parse().ok()?,
        id: blob.version_id?,
    })
}
