//! Tries the settings' options besides the bytes of a file (tags, tier, retention, legal hold), each on a file of its
//! own that is removed again. `doctor` uses it, so that a missing right is found before the first recording.

use std::time::Duration;

use azure_core::time::OffsetDateTime;
use bytes::Bytes;

use super::creating::Content;
use super::options::{AzureVaultOptions, Extra};
use super::redacted;
use super::vault::AzureVault;
use crate::error_chain::ErrorChain;
use crate::export::block::BlockChain;
use crate::export::destination::{
    BlobProperties, DestinationError, ExportDestination as _, ExtraOutcome, TriedExtra,
};
use crate::export::layout::BlobName;

/// The shortest retention that is still in the future if a clock is minutes off. It is not locked, and is
/// removed at once.
const PROBE_RETENTION: Duration = Duration::from_mins(5);
const CONTENT: &[u8] = b"written by `recording-vault doctor`; it may be deleted";

impl AzureVault {
    /// Tries each requested extra.
    pub(super) async fn try_each_extra(&self, probe: &BlobName) -> Vec<TriedExtra> {
        let mut tried = Vec::new();
        for extra in self.options.extras() {
            let setting = extra.setting();
            let outcome = match format!("{probe}-{setting}").parse() {
                Ok(name) => self.try_extra(extra, &name).await,
                Err(unsafe_name) => ExtraOutcome::Refused {
                    reason: format!("{unsafe_name}"),
                },
            };
            tried.push(TriedExtra { setting, outcome });
        }
        tried
    }

    async fn try_extra(&self, extra: Extra, name: &BlobName) -> ExtraOutcome {
        if let Err(reason) = self.put_probe(extra, name).await {
            return ExtraOutcome::Refused { reason };
        }
        match self.clear_probe(extra, name).await {
            Ok(()) => ExtraOutcome::Works,
            Err(reason) => ExtraOutcome::LeftBehind {
                probe: name.clone(),
                reason,
            },
        }
    }

    /// Creates a file with this extra alone, by the call of an export.
    async fn put_probe(&self, extra: Extra, name: &BlobName) -> Result<(), String> {
        let chain = BlockChain::start(CONTENT.len() as u64);
        let (_, block) = chain.hash_next(Bytes::from_static(CONTENT));
        let properties = BlobProperties {
            content_type: "text/plain",
            metadata: Vec::new(),
            tags: vec![("documentId", "doctor".to_owned())],
        };
        let options = self.options.only(extra);
        let options = AzureVaultOptions {
            immutable_for: options.immutable_for.map(|_| PROBE_RETENTION),
            ..options
        };
        let content = Content::InOnePiece(&block);
        let created = self.create_with(name, &content, &properties, &options);
        created.await.map(drop).map_err(|error| text_of(&error))
    }

    async fn clear_probe(&self, extra: Extra, name: &BlobName) -> Result<(), String> {
        let blob = self.container.blob_client(name.as_str());
        let cleared = match extra {
            Extra::Tags | Extra::Tier => Ok(()),
            Extra::Retention => blob.delete_immutability_policy(None).await.map(drop),
            Extra::LegalHold => blob.set_legal_hold(false, None).await.map(drop),
        };
        cleared.map_err(|error| text_of(&error))?;
        let removing = async {
            if let Some(version) = self.version(name).await? {
                let _removed = self.remove(name, &version).await?;
            }
            Ok::<_, DestinationError>(())
        };
        removing.await.map_err(|error| error.reason())
    }

    /// The time from which a retention is counted.
    pub(super) fn now(&self) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(self.clock.now().as_second())
            .unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }
}

fn text_of(error: &azure_core::Error) -> String {
    ErrorChain(&*redacted(error)).to_string()
}
