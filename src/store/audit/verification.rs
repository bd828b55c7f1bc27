//! Follows the chain from its beginning, and tells every place where it does not hold.

use futures::{Stream, StreamExt as _, TryStreamExt as _};
use serde::Serialize;

use crate::store::audit::{AUDIT, AuditLog, AuditRecord, Document, HEAD, Head};
use crate::store::digest::Sha256Digest;
use crate::store::document_store::StoreError;

/// Documents read at once.
const AT_ONCE: usize = 16;
const PAGE: usize = 1000;

/// What is found in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditReport {
    pub documents: u64,
    pub records: u64,
    /// Number and SHA-256 of the last document: noted elsewhere, they prove later that nothing was cut off.
    pub last: u64,
    pub last_sha256: Sha256Digest,
    /// A sentence each; none means that the log is whole.
    pub problems: Vec<String>,
}

impl AuditReport {
    /// Follows one document.
    fn follow(&mut self, key: &str, content: Option<&[u8]>) {
        let expected = self.last + 1;
        let number = key
            .strip_prefix(AUDIT)
            .and_then(|name| name.strip_suffix(".json"))
            .and_then(|name| name.parse().ok());
        let Some(number) = number else {
            self.problems
                .push(format!("`{key}` is no document of the log"));
            return;
        };
        if number != expected {
            self.problems.push(format!(
                "documents {expected} to {} are missing",
                number - 1
            ));
        }
        let Some(content) = content else {
            self.problems
                .push(format!("document {number} vanished while it was read"));
            return;
        };
        match serde_json::from_slice::<Document>(content) {
            Ok(document) => {
                if document.sequence != number {
                    self.problems.push(format!(
                        "document {number} says that it is document {}",
                        document.sequence
                    ));
                }
                if number == expected && document.previous != self.last_sha256 {
                    let before = number - 1;
                    self.problems.push(format!(
                        "document {before} is not the one that document {number} was written after"
                    ));
                }
                self.records += document.records.len() as u64;
            }
            Err(error) => self
                .problems
                .push(format!("document {number} is not readable: {error}")),
        }
        self.documents += 1;
        self.last = number;
        self.last_sha256 = Sha256Digest::of(content);
    }
}

impl AuditLog {
    /// SHA-256 of a document, if there is one of that number.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn digest_of(&self, sequence: u64) -> Result<Option<Sha256Digest>, StoreError> {
        Ok(self.at(sequence).await?.map(|tail| tail.sha256))
    }

    /// All that the log tells, from its beginning, with the number of each document. What is not readable is left out.
    pub fn documents(
        &self,
    ) -> impl Stream<Item = Result<(u64, Vec<AuditRecord>), StoreError>> + Send {
        let pages = futures::stream::try_unfold(Some(None::<String>), move |after| async move {
            let Some(after) = after else { return Ok(None) };
            let keys = self.store.list(AUDIT, after.as_deref(), PAGE).await?;
            let next = keys
                .last()
                .cloned()
                .filter(|_| keys.len() == PAGE)
                .map(Some);
            Ok::<_, StoreError>(Some((
                futures::stream::iter(keys.into_iter().map(Ok)),
                next,
            )))
        });
        let found = pages
            .try_flatten()
            .map_ok(move |key| async move { self.store.find(&key).await });
        found.try_buffered(AT_ONCE).try_filter_map(|stored| {
            let document =
                stored.and_then(|stored| serde_json::from_slice::<Document>(&stored.content).ok());
            std::future::ready(Ok(
                document.map(|document| (document.sequence, document.records))
            ))
        })
    }

    /// Reads the whole log and looks for edits, gaps and reorderings.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn verify(&self) -> Result<AuditReport, StoreError> {
        let mut report = AuditReport {
            documents: 0,
            records: 0,
            last: 0,
            last_sha256: Sha256Digest::ZERO,
            problems: Vec::new(),
        };
        let mut after: Option<String> = None;
        loop {
            let keys = self.store.list(AUDIT, after.as_deref(), PAGE).await?;
            let is_last = keys.len() < PAGE;
            after = keys.last().cloned();
            let mut documents = futures::stream::iter(keys)
                .map(|key| async move { self.store.find(&key).await.map(|stored| (key, stored)) })
                .buffered(AT_ONCE);
            while let Some(document) = documents.next().await {
                let (key, stored) = document?;
                report.follow(&key, stored.as_ref().map(|stored| &stored.content[..]));
            }
            if is_last {
                break;
            }
        }
        let head = self
            .store
            .find(HEAD)
            .await?
            .and_then(|stored| serde_json::from_slice::<Head>(&stored.content).ok());
        if let Some(head) = head.filter(|head| head.sequence > report.last) {
            report.problems.push(format!(
                "the log ends at document {}, and there was a document {}",
                report.last, head.sequence
            ));
        }
        Ok(report)
    }
}
