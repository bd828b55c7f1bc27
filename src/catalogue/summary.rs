//! How everything stands, in a few numbers: counted by markers, and only so far.

use futures::{StreamExt as _, TryStreamExt as _};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

use super::{AT_ONCE, Catalogue, CatalogueError};
use crate::export::ledger::LastSweep;
use crate::export::{ChunkState, LedgerEntry};
use crate::store::index::{Attention, Count, Listed, Period, Place};

/// Markers that are counted; there may be more.
const COUNTED: usize = 10_000;
/// Entries that are looked at for one number.
const LOOKED_AT: usize = 500;
/// How far back `verified` counts.
const VERIFIED_HOURS: i64 = 24;

/// The numbers.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Tiles {
    /// Recordings that run.
    pub active: usize,
    /// Chunks that are not in the vault, and nobody is at.
    pub waiting: usize,
    /// Chunks that are being exported.
    pub exporting: usize,
    /// Of this process.
    pub exporting_bytes_per_second: u64,
    pub verified: VerifiedTile,
    /// Chunks that are not in the vault although half of their time is over.
    pub at_risk: usize,
    /// When ACS drops the next chunk that is not in the vault.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub next_deadline: Option<Timestamp>,
    /// Chunks that were given up.
    pub failed: usize,
    /// Recordings whose files never came.
    pub missing: usize,
    /// Chunks that ACS dropped before they were in the vault.
    pub lost: usize,
    /// Holds in force.
    pub held: usize,
    /// Events that could not be read.
    pub poison: usize,
    pub last_sweep: Option<SweepTile>,
    /// Names of the numbers above that are only a lower bound: there is more than is counted.
    pub capped: Vec<&'static str>,
}

/// Chunks that were proved of late.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct VerifiedTile {
    pub count: usize,
    pub is_capped: bool,
    pub hours: i64,
}

/// The timer's last work.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SweepTile {
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    pub duration_ms: u64,
}

/// Numbers that are counted by markers.
struct Counts {
    active: Count,
    verified: Count,
    failed: Count,
    missing: Count,
    lost: Count,
    held: Count,
    poison: Count,
}

impl Counts {
    /// Names of the numbers that are lower bounds.
    fn capped(&self, open: &Open) -> Vec<&'static str> {
        let counts = [
            ("active", self.active.is_capped),
            ("waiting", open.is_capped),
            ("exporting", open.is_capped),
            ("atRisk", open.is_capped),
            ("failed", self.failed.is_capped),
            ("missing", self.missing.is_capped),
            ("lost", self.lost.is_capped),
            ("held", self.held.is_capped),
            ("poison", self.poison.is_capped),
        ];
        let capped = counts.into_iter().filter(|(_, is_capped)| *is_capped);
        capped.map(|(name, _)| name).collect()
    }
}

/// What is open, nearest expiry first, as far as it was looked at.
struct Open {
    entries: Vec<LedgerEntry>,
    is_capped: bool,
}

/// A chunk that is not in the vault yet.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Deadline {
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    pub recording_id: Option<String>,
    pub document_id: String,
    pub index: u32,
    /// `half`, `threeQuarters` or `ninetyPercent` of its time is over.
    #[schema(value_type = Option<String>)]
    pub risk: Option<crate::export::entry::Risk>,
}

/// Chunks that are not in the vault yet, by expiry.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Deadlines {
    pub deadlines: Vec<Deadline>,
    pub is_capped: bool,
}

/// An event that could not be read.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Poison {
    pub sha256: String,
    pub kept_at: Option<String>,
    pub reason: Option<String>,
}

/// Some of the events that could not be read.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PoisonList {
    pub poison: Vec<Poison>,
    pub is_capped: bool,
}

impl Catalogue {
    /// The numbers as they are now.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn tiles(&self) -> Result<Tiles, CatalogueError> {
        let now = self.clock.now();
        let index = self.ledger.index();
        let recent = Period {
            from: now
                .checked_sub(SignedDuration::from_hours(VERIFIED_HOURS))
                .ok(),
            to: None,
        };
        let holds = self.ledger.holds();
        let (active, open, verified, failed, missing, lost, held, poison, sweep) = futures::try_join!(
            async { Ok::<_, CatalogueError>(self.register.count_running(COUNTED).await?) },
            self.open(),
            async { Ok(index.count(&Listed::Proved, recent, COUNTED).await?) },
            self.count_of(Attention::Failed),
            self.count_of(Attention::Missing),
            self.count_of(Attention::Lost),
            async { Ok(holds.count(LOOKED_AT).await?) },
            async { Ok(self.ledger.count_poison(COUNTED).await?) },
            async { Ok(self.ledger.last_sweep().await?) },
        )?;
        let counts = Counts {
            active,
            verified,
            failed,
            missing,
            lost,
            held,
            poison,
        };
        Ok(tiles(counts, &open, sweep, now))
    }

    /// Few are looked at again, as a kill may have left a marker too many; many are counted as they are.
    async fn count_of(&self, kind: Attention) -> Result<Count, CatalogueError> {
        let list = Listed::Attention(kind);
        let places = self
            .ledger
            .index()
            .places(&list, Period::default(), None, AT_ONCE)
            .await?;
        if places.len() == AT_ONCE {
            let places = self
                .ledger
                .index()
                .places(&list, Period::default(), None, COUNTED + 1)
                .await?;
            let is_counted =
                |place: &&Place| kind == Attention::Missing || place.document.is_some();
            let count = places.iter().take(COUNTED).filter(is_counted).count();
            return Ok(Count {
                count,
                is_capped: places.len() > COUNTED,
            });
        }
        let fitting = futures::stream::iter(places).map(|place| {
            let list = &list;
            async move { self.is_true(list, &place).await }
        });
        let fitting: Vec<bool> = fitting.buffered(AT_ONCE).try_collect().await?;
        Ok(Count {
            count: fitting.into_iter().filter(|is| *is).count(),
            is_capped: false,
        })
    }

    async fn is_true(&self, list: &Listed, place: &Place) -> Result<bool, CatalogueError> {
        // A start that failed is over and done with: it waits for nobody.
        if *list == Listed::Attention(Attention::Failed) && place.document.is_none() {
            return Ok(false);
        }
        let key = list.key(place);
        Ok(match &place.document {
            Some(document) => self
                .entry(document)
                .await?
                .is_some_and(|entry| entry.markers().contains(&key)),
            None => self
                .recorded(&place.recording)
                .await?
                .is_some_and(|recorded| recorded.account.markers().contains(&key)),
        })
    }

    async fn open(&self) -> Result<Open, CatalogueError> {
        let (chunks, next) = self.ledger.open_chunks(None, LOOKED_AT).await?;
        let entries = futures::stream::iter(chunks)
            .map(|chunk| async move { self.entry(&chunk.document_id).await });
        let entries: Vec<_> = entries.buffered(AT_ONCE).try_collect().await?;
        Ok(Open {
            entries: entries.into_iter().flatten().collect(),
            is_capped: next.is_some(),
        })
    }

    /// Chunks that are not in the vault and that ACS drops before `until`, nearest first.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn deadlines(&self, until: Timestamp) -> Result<Deadlines, CatalogueError> {
        let now = self.clock.now();
        let Open { entries, is_capped } = self.open().await?;
        let is_beyond = entries.last().is_some_and(|last| last.expires_at > until);
        let due = entries
            .into_iter()
            .filter(|entry| !entry.is_safe() && entry.expires_at <= until);
        let deadlines = due.map(|entry| Deadline {
            at: entry.expires_at,
            recording_id: entry.chunk.recording_id.as_ref().map(ToString::to_string),
            document_id: entry.chunk.document_id.to_string(),
            index: entry.chunk.index,
            risk: entry.risk(now),
        });
        Ok(Deadlines {
            deadlines: deadlines.collect(),
            is_capped: is_capped && !is_beyond,
        })
    }

    /// Events that could not be read, with the reasons.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn poison(&self) -> Result<PoisonList, CatalogueError> {
        let sha256s = self.ledger.some_poisoned(LOOKED_AT).await?;
        let is_capped = sha256s.len() == LOOKED_AT;
        let kept = futures::stream::iter(sha256s).map(|sha256| async move {
            let kept = self
                .ledger
                .poison(&sha256)
                .await?
                .and_then(|kept| serde_json::from_slice::<serde_json::Value>(&kept).ok());
            let text = |name: &str| {
                kept.as_ref()
                    .and_then(|kept| kept[name].as_str())
                    .map(str::to_owned)
            };
            Ok::<_, CatalogueError>(Poison {
                kept_at: text("keptAt"),
                reason: text("reason"),
                sha256,
            })
        });
        let mut poison: Vec<Poison> = kept.buffered(AT_ONCE).try_collect().await?;
        poison.sort_by(|one, other| other.kept_at.cmp(&one.kept_at));
        Ok(PoisonList { poison, is_capped })
    }
}

fn tiles(counts: Counts, open: &Open, sweep: Option<LastSweep>, now: Timestamp) -> Tiles {
    let pending = |claimed: bool| {
        let is = |entry: &&LedgerEntry| {
            matches!(entry.state, ChunkState::Pending) && entry.is_claimed(now) == claimed
        };
        open.entries.iter().filter(is).count()
    };
    let at_risk = open.entries.iter().filter(|entry| entry.is_at_risk(now));
    let next_unsafe = open.entries.iter().find(|entry| !entry.is_safe());
    Tiles {
        capped: counts.capped(open),
        active: counts.active.count,
        waiting: pending(false),
        exporting: pending(true),
        exporting_bytes_per_second: crate::metrics::export_bytes_per_second(),
        verified: VerifiedTile {
            count: counts.verified.count,
            is_capped: counts.verified.is_capped,
            hours: VERIFIED_HOURS,
        },
        at_risk: at_risk.count(),
        next_deadline: next_unsafe.map(|entry| entry.expires_at),
        failed: counts.failed.count,
        missing: counts.missing.count,
        lost: counts.lost.count,
        held: counts.held.count,
        poison: counts.poison.count,
        last_sweep: sweep.map(
            |LastSweep {
                 at, duration_ms, ..
             }| SweepTile { at, duration_ms },
        ),
    }
}
