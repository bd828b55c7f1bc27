//! Passes over the files of a removal: each sees the files, checks the holds, and removes what it saw.
//!
//! It does not decide whether a chunk may be removed, and writes nothing to the ledger but the renewal of the claim.

use super::Removals;
use super::files::{Act, FilePlace};
use crate::error_chain::ErrorChain;
use crate::export::destination::DestinationError;
use crate::export::entry::LedgerEntry;
use crate::export::fence::{Fence, is_cut_off};
use crate::export::ledger::{Claim, LedgerError};
use crate::store::holds::Case;

/// A removal is begun again so many times after its claim ended under it; then the next removal continues it.
const MOST_CUT_OFFS: u32 = 4;

/// Outcome of the removal of the files. `sent`: removals that may still take effect.
pub(super) enum Removed {
    All,
    Held {
        cases: Vec<Case>,
        sent: Vec<FilePlace>,
    },
    Stopped {
        reason: String,
        sent: Vec<FilePlace>,
    },
}

/// One pass over the files. `sent`: removals that may still take effect.
enum Round {
    Done,
    Held(Vec<Case>),
    /// The claim ended while the process stood still. Another process may have it by now.
    CutOff {
        reason: String,
        sent: Vec<FilePlace>,
    },
    Stopped {
        reason: String,
        sent: Vec<FilePlace>,
    },
}

impl Round {
    /// A request that removes no file failed.
    fn failed(error: &DestinationError) -> Self {
        let (reason, sent) = (ErrorChain(error).to_string(), Vec::new());
        if is_cut_off(error) {
            Self::CutOff { reason, sent }
        } else {
            Self::Stopped { reason, sent }
        }
    }
}

impl Removals {
    /// Removes the files and what is staged beside them. A process that stood still until its claim ended begins again
    /// with the versions of the files, as long as no other process has taken the claim over.
    pub(super) async fn remove_unless_held(
        &self,
        claim: &Claim,
        places: &[FilePlace],
    ) -> Result<Removed, LedgerError> {
        let (mut sent, mut cut_offs) = (Vec::new(), 0);
        loop {
            match self.remove_once(claim, places).await? {
                Round::Done => return Ok(Removed::All),
                Round::Held(cases) => return Ok(Removed::Held { cases, sent }),
                Round::CutOff { sent: late, .. } if cut_offs < MOST_CUT_OFFS => {
                    cut_offs += 1;
                    sent.extend(late);
                }
                Round::CutOff { reason, sent: late } | Round::Stopped { reason, sent: late } => {
                    sent.extend(late);
                    return Ok(Removed::Stopped { reason, sent });
                }
            }
        }
    }

    /// Sees the files and removes them. The versions come first, then the holds: see `files`. Before each batch of
    /// removals the claim is renewed if necessary, and then the holds are checked: between that check and a removal
    /// nothing waits but removals.
    async fn remove_once(&self, claim: &Claim, places: &[FilePlace]) -> Result<Round, LedgerError> {
        let fence = Fence::new(&self.ledger, claim);
        let mut seen = match self.vaults.see(places.to_vec()).await {
            Ok(seen) => seen,
            Err(error) => return Ok(Round::failed(&error)),
        };
        loop {
            self.ledger.ensure_time(claim).await?;
            let cases = self.cases_now(claim).await?;
            if !cases.is_empty() {
                return Ok(Round::Held(cases));
            }
            match self.vaults.remove_seen(fence, seen).await {
                Act::Done => break,
                Act::OutOfTime { rest } => seen = rest,
                Act::CutOff { reason, sent } => return Ok(Round::CutOff { reason, sent }),
                Act::Stopped { reason, sent } => return Ok(Round::Stopped { reason, sent }),
            }
        }
        let discarded = self.vaults.discard_staged_at(fence, places).await;
        Ok(discarded.map_or_else(|error| Round::failed(&error), |()| Round::Done))
    }

    /// The cases that hold the chunk as its entry is now. The entry is read before the holds and after them: an event may
    /// add a name by which it is held. Events add each name once, so this ends.
    async fn cases_now(&self, claim: &Claim) -> Result<Vec<Case>, LedgerError> {
        let mut looked_at = self.claimed_entry(claim).await?;
        loop {
            let cases = self.ledger.cases_on(&looked_at).await?;
            if !cases.is_empty() {
                return Ok(cases);
            }
            let now = self.claimed_entry(claim).await?;
            if looked_at.is_held_as(&now) {
                return Ok(cases);
            }
            looked_at = now;
        }
    }

    async fn claimed_entry(&self, claim: &Claim) -> Result<LedgerEntry, LedgerError> {
        let document_id = claim.document_id();
        let found = self.ledger.find(document_id).await?;
        let entry = found.map(|found| found.entry);
        let entry = entry.filter(|entry| entry.is_claimed_by(claim.token()));
        entry.ok_or_else(|| LedgerError::ClaimLost {
            document_id: document_id.clone(),
        })
    }
}
