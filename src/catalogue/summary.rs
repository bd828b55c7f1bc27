//! The verdict, and the numbers behind it.

use futures::{StreamExt as _, TryStreamExt as _};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

use super::observed::Observed;
use super::survey::Survey;
use super::{AT_ONCE, Catalogue, CatalogueError};
use crate::error_chain::ErrorChain;
use crate::export::LedgerEntry;
use crate::export::destination::DestinationError;
use crate::export::layout::BlobName;
use crate::export::ledger::LastSweep;
use crate::export::receipt::VaultName;
use crate::recording::DocumentId;
use crate::standing::Standing;
use crate::standing::verdict::{Remains, StorageUse, Verdict, verdict};
use crate::store::audit::Knowledge;
use crate::store::index::{FOLLOWS_WITHIN, Listed, Period};
use crate::store::listing::Count;

/// Markers that are counted; there may be more.
const COUNTED: usize = 10_000;
/// Entries that are read for one number.
const LOOKED_AT: usize = 500;
/// How far back `verified` counts.
const VERIFIED_HOURS: i64 = 24;

/// Everything at a glance.
#[derive(Debug)]
pub struct Summary {
    pub verdict: Verdict,
    pub storage: StorageUse,
    pub tiles: Tiles,
}

/// The numbers; recordings, unless something else is named. One that is named like a standing counts the recordings that have it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Tiles {
    pub active: usize,
    pub paused: usize,
    pub awaiting_files: usize,
    pub waiting: usize,
    pub exporting: usize,
    /// Of this process.
    pub exporting_bytes_per_second: u64,
    pub backup_only: usize,
    /// Chunks that were proved recently.
    pub verified: VerifiedTile,
    pub at_risk: usize,
    /// When the first recording gets worse by itself.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub next_deadline: Option<Timestamp>,
    pub failed: usize,
    pub missing: usize,
    pub incomplete: usize,
    pub doubtful: usize,
    pub unknown: usize,
    pub lost: usize,
    pub acknowledged: usize,
    /// Holds in force.
    pub held: usize,
    /// Events that could not be read.
    pub poison: usize,
    pub last_sweep: Option<SweepTile>,
    /// Names of the numbers above that are only a lower bound: there is more than is counted.
    pub capped: Vec<&'static str>,
}

/// Chunks that were proved recently.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct VerifiedTile {
    pub count: usize,
    pub is_capped: bool,
    pub hours: i64,
}

/// The last sweep that ended.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SweepTile {
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    pub duration_ms: u64,
}

/// Numbers that do not count unsettled recordings.
struct Beside {
    verified: Count,
    held: Count,
    poison: Count,
    sweep: Option<LastSweep>,
}

impl Catalogue {
    /// Returns the current verdict and numbers.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn summary(&self) -> Result<Summary, CatalogueError> {
        let now = self.clock.now();
        let recent = Period {
            from: now
                .checked_sub(SignedDuration::from_hours(VERIFIED_HOURS))
                .ok(),
            to: None,
        };
        let (index, holds) = (self.ledger.index(), self.ledger.holds());
        let (observed, verified, held) = futures::try_join!(
            self.observed(),
            async { Ok(index.count(&Listed::Proved, recent, COUNTED).await?) },
            async { Ok(holds.count(LOOKED_AT).await?) },
        )?;
        let verdict = verdict(observed.facts());
        let Observed {
            survey,
            poison,
            sweep,
            storage,
            ..
        } = observed;
        let beside = Beside {
            verified,
            held,
            poison,
            sweep,
        };
        Ok(Summary {
            verdict,
            storage,
            tiles: tiles(&survey, &beside),
        })
    }

    /// Whether ledger and vault hold anything, and whether they match.
    ///
    /// # Errors
    /// When the ledger's storage fails. A vault that cannot be read is not called empty.
    pub async fn storage_use(&self) -> Result<StorageUse, CatalogueError> {
        let proved = self.proved_media().await?;
        // A list of all entries is long in a directory.
        if proved.is_empty() {
            let is_ledger_empty = self.is_ledger_empty().await?;
            return match self.vaults.home().list(None, 1).await {
                Err(error) => Ok(unreadable(&error, is_ledger_empty)),
                // No copy at home was proved lately: all that is known of the vault is that it answers.
                Ok(_) if !is_ledger_empty => Ok(StorageUse::Used),
                Ok(files) if !files.is_empty() => Ok(StorageUse::LedgerEmpty(Remains::Vault)),
                Ok(_) => self.remains().await,
            };
        }
        let looked_at = proved.len();
        let looking = futures::stream::iter(proved)
            .map(|(id, media)| async move { self.is_there(&id, &media).await });
        let looked: Vec<Result<bool, CatalogueError>> = looking.buffered(AT_ONCE).collect().await;
        let (mut missing, mut failed) = (0, None);
        for found in looked {
            match found {
                Ok(true) => {}
                Ok(false) => missing += 1,
                Err(CatalogueError::Vault(error)) => failed = Some(unreadable(&error, false)),
                Err(error) => return Err(error),
            }
        }
        if missing == 0 {
            return Ok(failed.unwrap_or(StorageUse::Used));
        }
        let files = self.vaults.home().list(None, 1).await;
        Ok(match files {
            Ok(files) if files.is_empty() => StorageUse::VaultEmpty,
            Ok(_) | Err(_) => StorageUse::CopiesMissing { missing, looked_at },
        })
    }

    /// What says that there were recordings, where neither ledger nor vault has anything. A backup vault that cannot be read
    /// may have files.
    async fn remains(&self) -> Result<StorageUse, CatalogueError> {
        if let Some(backup) = self.vaults.backup() {
            match backup.list(None, 1).await {
                Err(error) => return Ok(unreadable(&error, true)),
                Ok(files) if !files.is_empty() => {
                    return Ok(StorageUse::LedgerEmpty(Remains::BackupVault));
                }
                Ok(_) => {}
            }
        }
        // A record precedes what it is about.
        let before = self.clock.now().checked_sub(FOLLOWS_WITHIN);
        let before = before.unwrap_or(Timestamp::MIN);
        Ok(match self.ledger.audit().knows_recordings(before).await? {
            Knowledge::OfRecordings => StorageUse::LedgerEmpty(Remains::AuditLog),
            Knowledge::None => StorageUse::Unused,
            Knowledge::NotRead => StorageUse::LogNotRead,
        })
    }

    async fn is_ledger_empty(&self) -> Result<bool, CatalogueError> {
        Ok(self.ledger.is_without_entries().await?
            && self.ledger.open_chunks(None, 1).await?.0.is_empty()
            && self.register.names(None).await?.0.is_empty())
    }

    /// Whether the vault at home has a copy, or it was moved or deleted meanwhile.
    async fn is_there(&self, id: &DocumentId, media: &BlobName) -> Result<bool, CatalogueError> {
        let found = self.vaults.home().version(media).await?;
        Ok(found.is_some() || !self.is_expected(id, media).await?)
    }

    /// Returns the media of a few copies at home: those that were proved last.
    async fn proved_media(&self) -> Result<Vec<(DocumentId, BlobName)>, CatalogueError> {
        let index = self.ledger.index();
        let places = index.places(&Listed::Proved, Period::default(), None, AT_ONCE);
        let documents = places.await?.into_iter().filter_map(|place| place.document);
        let looking =
            futures::stream::iter(documents).map(|id| async move { self.entry(&id).await });
        let entries: Vec<Option<LedgerEntry>> = looking.buffered(AT_ONCE).try_collect().await?;
        let at_home = |entry: LedgerEntry| {
            let receipt = entry.state.receipt()?;
            (receipt.vault() == VaultName::Home).then(|| {
                let media = receipt.media().name().clone();
                (entry.chunk.document_id.clone(), media)
            })
        };
        Ok(entries.into_iter().flatten().filter_map(at_home).collect())
    }
}

fn unreadable(error: &DestinationError, is_ledger_empty: bool) -> StorageUse {
    StorageUse::VaultUnreadable {
        reason: ErrorChain(error).to_string(),
        is_ledger_empty,
    }
}

fn tiles(survey: &Survey, beside: &Beside) -> Tiles {
    let counts = survey.counts();
    let of = |standing: Standing| counts.get(&standing).copied().unwrap_or_default();
    Tiles {
        active: of(Standing::Active),
        paused: of(Standing::Paused),
        awaiting_files: of(Standing::AwaitingFiles),
        waiting: of(Standing::Waiting),
        exporting: of(Standing::Exporting),
        exporting_bytes_per_second: crate::metrics::export_bytes_per_second(),
        backup_only: of(Standing::BackupOnly),
        verified: VerifiedTile {
            count: beside.verified.count,
            is_capped: beside.verified.is_capped,
            hours: VERIFIED_HOURS,
        },
        at_risk: of(Standing::AtRisk),
        next_deadline: survey.first_deadline(),
        failed: of(Standing::Failed),
        missing: of(Standing::Missing),
        incomplete: of(Standing::Incomplete),
        doubtful: of(Standing::Doubtful),
        unknown: of(Standing::Unknown),
        lost: of(Standing::Lost),
        acknowledged: of(Standing::Acknowledged),
        held: beside.held.count,
        poison: beside.poison.count,
        last_sweep: beside.sweep.as_ref().map(
            |LastSweep {
                 at, duration_ms, ..
             }| SweepTile {
                at: *at,
                duration_ms: *duration_ms,
            },
        ),
        capped: capped(survey, beside),
    }
}

/// Returns the names of the numbers that are lower bounds. Of a survey that did not read everything, all are: one that is 0
/// says only that no such recording was read.
fn capped(survey: &Survey, beside: &Beside) -> Vec<&'static str> {
    let is_counted =
        |standing: &Standing| !standing.is_settled() || *standing == Standing::Acknowledged;
    let of_recordings = Standing::ALL.into_iter().filter(is_counted);
    let others = [
        ("held", beside.held.is_capped),
        ("poison", beside.poison.is_capped),
    ];
    let others = others.into_iter().filter(|(_, is_capped)| *is_capped);
    of_recordings
        .filter(|_| survey.limits().is_capped)
        .map(Standing::name)
        .chain(others.map(|(name, _)| name))
        .collect()
}
