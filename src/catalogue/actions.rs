//! What somebody may do to what the catalogue shows. Everything is written into the audit log first, with who did it.

use serde_json::json;

use super::{Catalogue, CatalogueError};
use crate::export::destination::DestinationError;
use crate::export::ledger::Retried;
use crate::export::receipt::VerifiedFile;
use crate::export::recheck::{Depth, Rechecked};
use crate::export::{ChunkState, ExportReceipt, Mismatch};
use crate::recording::{DocumentId, RecordingId};
use crate::store::holds::{Case, CaseTag, Held};
use crate::store::index::recording_name;

/// Who does it, as far as that is known.
#[derive(Debug, Clone, Default)]
pub struct By(pub Option<String>);

/// What a look at a copy found.
#[derive(Debug)]
pub enum Verified {
    /// The vault has it as it was proved.
    Is(VerifiedFile),
    IsNot {
        problem: String,
    },
    Unknown,
}

/// What holding a recording found.
#[derive(Debug)]
pub enum HeldNow {
    Held(Vec<Case>),
    /// Chunks of it are deleted, or are being deleted at this moment; the rest is held.
    TooLate {
        gone: Vec<DocumentId>,
    },
    Unknown,
}

impl Catalogue {
    async fn requested(&self, what: &str, subject: &str, by: &By) -> Result<(), CatalogueError> {
        let detail = json!({"what": what, "by": by.0, "through": "api"});
        self.ledger
            .audit_operator("requested", subject, detail)
            .await?;
        Ok(())
    }

    /// Opens a chunk again that was given up.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn retry(&self, id: &DocumentId, by: &By) -> Result<Retried, CatalogueError> {
        self.requested("retry", id.as_str(), by).await?;
        Ok(self.ledger.retry(id).await?)
    }

    /// The state of a chunk, as the ledger calls it.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn state_of(&self, id: &DocumentId) -> Result<&'static str, CatalogueError> {
        Ok(self
            .ledger
            .find(id)
            .await?
            .map_or("unknown", |found| found.entry.state.name()))
    }

    /// Looks whether the vault has both files of a chunk as they were proved.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn verify(&self, id: &DocumentId, by: &By) -> Result<Verified, CatalogueError> {
        let Some(found) = self.ledger.find(id).await? else {
            return Ok(Verified::Unknown);
        };
        self.requested("verify", id.as_str(), by).await?;
        let state = &found.entry.state;
        let Some(receipt) = state.receipt() else {
            let what = if matches!(state, ChunkState::InPlace { .. }) {
                "it lies in your own storage"
            } else {
                "it has no copy in the vault"
            };
            return Ok(Verified::IsNot {
                problem: format!("{what}: its state is {}", state.name()),
            });
        };
        Ok(match self.disagreement(receipt).await {
            Ok(None) => Verified::Is(receipt.media().clone()),
            Ok(Some(problem)) => Verified::IsNot { problem },
            Err(error) => Verified::IsNot {
                problem: crate::error_chain::ErrorChain(&error).to_string(),
            },
        })
    }

    async fn disagreement(
        &self,
        receipt: &ExportReceipt,
    ) -> Result<Option<String>, DestinationError> {
        for file in std::iter::once(receipt.media()).chain(receipt.metadata()) {
            match self.vaults.recheck(receipt, file, Depth::Described).await? {
                Rechecked::Unchanged => {}
                Rechecked::Differs(Mismatch::Missing { name }) => {
                    return Ok(Some(format!("`{name}` is not in the vault any more")));
                }
                Rechecked::Differs(_) => {
                    return Ok(Some(format!(
                        "`{}` in the vault is not the file that was proved",
                        file.name()
                    )));
                }
            }
        }
        Ok(None)
    }

    /// Holds a recording for a case.
    ///
    /// # Errors
    /// When the ledger fails. The hold may be there then; repeating is harmless.
    pub async fn hold(
        &self,
        id: &RecordingId,
        case: &Case,
        by: &By,
    ) -> Result<HeldNow, CatalogueError> {
        if self.recorded(&recording_name(id)).await?.is_none() {
            return Ok(HeldNow::Unknown);
        }
        let held = Held::RecordingId(id.clone());
        self.requested("hold", &held.to_string(), by).await?;
        let detail = json!({"case": case.tag, "by": case.by});
        self.ledger
            .audit_operator("held", &held.to_string(), detail)
            .await?;
        self.ledger.holds().add(&held, case).await?;
        // Only now: a removal that did not find the hold is found here.
        let Some(recorded) = self.find(id).await? else {
            return Ok(HeldNow::Unknown);
        };
        let is_gone = |state: &ChunkState| {
            matches!(
                state,
                ChunkState::Removing { .. } | ChunkState::Removed { .. }
            )
        };
        let gone = recorded
            .entries()
            .filter(|entry| is_gone(&entry.state))
            .map(|entry| entry.chunk.document_id.clone());
        let gone: Vec<DocumentId> = gone.collect();
        Ok(if gone.is_empty() {
            HeldNow::Held(recorded.cases)
        } else {
            HeldNow::TooLate { gone }
        })
    }

    /// Releases a recording from a case. The cases that hold it still; `None` for a recording that is not known.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn release(
        &self,
        id: &RecordingId,
        tag: &CaseTag,
        by: &By,
    ) -> Result<Option<Vec<Case>>, CatalogueError> {
        if self.recorded(&recording_name(id)).await?.is_none() {
            return Ok(None);
        }
        let held = Held::RecordingId(id.clone());
        self.requested("release", &held.to_string(), by).await?;
        self.ledger
            .audit_operator("released", &held.to_string(), json!({"case": tag}))
            .await?;
        self.ledger.holds().release(&held, tag).await?;
        Ok(self.find(id).await?.map(|recorded| recorded.cases))
    }

    /// Whether there is such poison; that somebody feeds it in again is written down.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn replayed(
        &self,
        sha256: &str,
        by: &By,
    ) -> Result<Option<bytes::Bytes>, CatalogueError> {
        let Some(kept) = self.ledger.poison(sha256).await? else {
            return Ok(None);
        };
        self.requested("replay", &format!("poison:{sha256}"), by)
            .await?;
        self.ledger
            .audit_operator(
                "replayed",
                &format!("poison:{sha256}"),
                serde_json::Value::Null,
            )
            .await?;
        Ok(Some(kept))
    }
}
