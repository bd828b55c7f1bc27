//! The complete check of accounts and entries: each is read and classified, each account must be in the list of all
//! recordings, and each copy at home must exist.

use futures::{StreamExt as _, TryStreamExt as _};
use tracing::warn;

use super::{NOTEWORTHY_KEPT, Seen};
use crate::catalogue::day_numbers::Judged;
use crate::catalogue::in_place::InPlaceSeen;
use crate::catalogue::known::Reading;
use crate::catalogue::{AT_ONCE, Catalogue, CatalogueError};
use crate::counted::counted;
use crate::error_chain::ErrorChain;
use crate::export::LedgerEntry;
use crate::export::layout::BlobName;
use crate::export::receipt::VaultName;
use crate::recording::DocumentId;
use crate::standing::ChunkEntry;
use crate::store::digest::Sha256Digest;
use crate::store::documents::DocumentError;

/// What is wrong with a chunk.
#[derive(Debug)]
enum Problem {
    None,
    Found {
        subject: String,
        problem: String,
    },
    Unregistered {
        id: DocumentId,
    },
    /// It is in the customer's own storage, which could not be looked at.
    InPlaceUnseen,
}

impl Catalogue {
    /// Checks a page of all recordings. Returns after which name the next page begins.
    pub(super) async fn check_recordings(
        &self,
        after: Option<&str>,
        seen: &mut Seen,
    ) -> Result<Option<String>, CatalogueError> {
        let rules = self.rules();
        let (names, next) = self.register.names(after).await?;
        let names = names
            .into_iter()
            .filter_map(|name| Sha256Digest::try_from(name).ok());
        let judging = futures::stream::iter(names).map(|name| async move {
            let Some(judged) = self.judge(name, rules).await? else {
                return Ok(None);
            };
            let was_unlisted = self.list_again(&judged).await?;
            Ok::<_, CatalogueError>(Some((judged, was_unlisted)))
        });
        let mut judging = judging.buffered(AT_ONCE);
        let mut unlisted = 0;
        while let Some(judged) = judging.try_next().await? {
            let Some((judged, was_unlisted)) = judged else {
                continue;
            };
            unlisted += usize::from(was_unlisted);
            let standing = judged.standing();
            seen.recordings += 1;
            *seen.standings.entry(standing).or_default() += 1;
            if !standing.is_settled() && seen.noteworthy.len() < NOTEWORTHY_KEPT {
                seen.noteworthy.push(judged.name);
            }
        }
        if unlisted > 0 {
            let recordings = counted(unlisted, "recording", "recordings");
            warn!(
                unlisted,
                "The complete check listed {recordings} again that the list of all recordings lacked"
            );
        }
        Ok(next)
    }

    /// Lists a recording again whose marker in the list of all was lost. Returns whether it was.
    async fn list_again(&self, judged: &Judged) -> Result<bool, CatalogueError> {
        let Reading::Known(recorded) = &judged.reading else {
            return Ok(false);
        };
        let listing = self.register.list_again(&recorded.account, judged.now);
        Ok(listing.await?)
    }

    /// Checks a page of all chunks. Returns after which name the next page begins.
    pub(super) async fn check_chunks(
        &self,
        after: Option<&str>,
        seen: &mut Seen,
    ) -> Result<Option<String>, CatalogueError> {
        let (ids, next) = self.ledger.documents(after).await?;
        seen.chunks += ids.len();
        let checking = futures::stream::iter(ids)
            .map(|id| async move { self.chunk_problem(&id).await })
            .buffered(AT_ONCE);
        let problems: Vec<Problem> = checking.try_collect().await?;
        for problem in problems {
            match problem {
                Problem::None => {}
                Problem::Found { subject, problem } => seen.find(subject, problem),
                Problem::InPlaceUnseen => seen.in_place_unseen += 1,
                Problem::Unregistered { id } => {
                    seen.find(
                        id.to_string(),
                        "the register has no recording with this chunk",
                    );
                    if seen.unregistered.len() < NOTEWORTHY_KEPT {
                        seen.unregistered.push(id);
                    }
                }
            }
        }
        Ok(next)
    }

    async fn chunk_problem(&self, id: &DocumentId) -> Result<Problem, CatalogueError> {
        let entry = match self.chunk_entry(id).await? {
            ChunkEntry::Found(entry) => entry,
            ChunkEntry::Absent => return Ok(Problem::None),
            ChunkEntry::Unreadable => {
                let problem =
                    "its ledger entry is not readable; run `recording-vault ledger rebuild`";
                return Ok(Problem::Found {
                    subject: id.to_string(),
                    problem: problem.to_owned(),
                });
            }
        };
        if !self.is_registered(&entry).await? {
            return Ok(Problem::Unregistered { id: id.clone() });
        }
        if let Some(seen) = self.look_in_place(&entry).await {
            return Ok(match seen {
                InPlaceSeen::AsRead => Problem::None,
                InPlaceSeen::Differs { location, problem } => Problem::Found {
                    subject: location,
                    problem,
                },
                InPlaceSeen::NotSeen => Problem::InPlaceUnseen,
            });
        }
        let Some(receipt) = entry.state.receipt() else {
            return Ok(Problem::None);
        };
        let media = receipt.media().name();
        match receipt.vault() {
            VaultName::Home => {}
            VaultName::Backup => return self.backup_problem(id, media).await,
        }
        Ok(match self.vaults.home().version(media).await? {
            Some(_) => Problem::None,
            None if !self.is_expected(id, media).await? => Problem::None,
            None => Problem::Found {
                subject: media.to_string(),
                problem: format!("the copy of chunk {id} is not in the vault"),
            },
        })
    }

    /// Looks for the only copy of a chunk in the backup vault. One that cannot be read must not keep the check from the others.
    async fn backup_problem(
        &self,
        id: &DocumentId,
        media: &BlobName,
    ) -> Result<Problem, CatalogueError> {
        let looking = async {
            self.vaults
                .get(VaultName::Backup, media)?
                .version(media)
                .await
        };
        let problem = match looking.await {
            Ok(Some(_)) => return Ok(Problem::None),
            Ok(None) => format!("the copy of chunk {id} is not in the backup vault"),
            Err(error) => format!(
                "the copy of chunk {id} is in the backup vault and could not be looked at: {}",
                ErrorChain(&error)
            ),
        };
        // It may have been moved home meanwhile.
        let entry = self.entry(id).await?;
        let receipt = entry.as_ref().and_then(|entry| entry.state.receipt());
        let is_expected = receipt.is_some_and(|receipt| {
            receipt.vault() == VaultName::Backup && receipt.media().name() == media
        });
        if !is_expected {
            return Ok(Problem::None);
        }
        Ok(Problem::Found {
            subject: media.to_string(),
            problem,
        })
    }

    /// Whether an account names the chunk. An unreadable account counts as unknown elsewhere.
    async fn is_registered(&self, entry: &LedgerEntry) -> Result<bool, CatalogueError> {
        let document_id = &entry.chunk.document_id;
        match self.register.find(&entry.chunk.filed_under()).await {
            Ok(Some(account)) => Ok(account.files.documents().any(|(_, id)| id == document_id)),
            Ok(None) => Ok(false),
            Err(DocumentError::Corrupt { .. }) => Ok(true),
            Err(error) => Err(error.into()),
        }
    }
}
