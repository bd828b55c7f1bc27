//! Holds a recording, a call, a person's recordings or those of a period for a case, and releases them.
//!
//! A hold may be placed before its recording is known: it applies as soon as an event announces a chunk of it. The audit
//! log has a pseudonym of a person.

mod edge;

use std::fmt;

use futures::{FutureExt as _, TryFutureExt as _};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::{Operator, OperatorActions};
use crate::catalogue::CatalogueError;
use crate::catalogue::covered::Covered;
use crate::catalogue::person::Person;
use crate::export::{ChunkState, LedgerEntry};
use crate::recording::DocumentId;
use crate::store::audit::{Actor, AuditAction};
use crate::store::holds::{Added, Case, CaseTag, Held, HeldPerson, Hold, HoldRule, ReleaseOutcome};

pub use edge::{InvalidEdge, PeriodEdge};

/// A requested hold.
#[derive(Debug, Clone)]
pub struct RequestedHold {
    pub held: Held,
    pub tag: CaseTag,
    /// Who requested it, as the operator wrote it.
    pub requested_by: Option<String>,
    pub note: Option<String>,
}

/// All holds in force.
#[derive(Debug)]
pub struct ListedHolds {
    pub holds: Vec<ListedHold>,
    /// Keys of holds that are not readable. Nothing that they may cover is deleted.
    pub unreadable: Vec<String>,
}

/// A hold, and what it covers now.
#[derive(Debug)]
pub struct ListedHold {
    pub hold: Hold,
    pub holds_now: HoldsNow,
}

/// What a hold covers now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct HoldsNow {
    /// Its person was named with another `keys/person.json` than the present one: each recording that was named with the
    /// present one counts as held, until the hold is released and added again.
    pub named_by_another_key: bool,
    /// Recordings in the register.
    pub recordings: usize,
    /// Chunks that are held; not those whose copies are deleted.
    pub chunks: usize,
    /// Chunks that may match, and therefore count as held.
    pub uncertain_chunks: usize,
    /// There are more recordings than were counted.
    pub is_capped: bool,
    /// Accounts and entries that may belong to it and are not readable.
    pub unreadable: usize,
}

impl HoldsNow {
    /// Whether no recording or chunk matches. `false` where that is not known.
    pub fn is_nothing(&self) -> bool {
        self.has_no_match() && self.unreadable == 0 && !self.is_capped
    }

    /// Whether nothing that could be read matches.
    pub fn has_no_match(&self) -> bool {
        self.recordings == 0 && self.chunks == 0 && self.uncertain_chunks == 0
    }

    fn of(covered: &Covered, named_by_another_key: bool) -> Self {
        let entries = covered.entries.iter();
        Self {
            named_by_another_key,
            recordings: covered.recordings,
            chunks: entries.filter(|entry| !is_deleted(entry)).count(),
            uncertain_chunks: covered.uncertain.len(),
            is_capped: covered.is_capped,
            unreadable: covered.unreadable.len(),
        }
    }
}

/// A hold that is in force.
#[derive(Debug)]
pub struct Holding {
    pub held: Held,
    pub tag: CaseTag,
    pub added: Added,
    /// Known chunks that are held.
    pub chunks: Vec<DocumentId>,
    /// Chunks that may match, and therefore count as held.
    pub uncertain: Vec<DocumentId>,
    /// More recordings match than were read: whether parts of the others were deleted is unknown.
    pub is_capped: bool,
    /// Recordings in the register that match.
    pub recordings: usize,
    /// Chunks whose copies were deleted before, or are being deleted now: the hold was too late for them.
    pub gone: Vec<DocumentId>,
    /// Chunks whose deletion at ACS began before the hold: whether ACS has them, and keeps them, is unknown.
    pub in_doubt: Vec<DoubtfulHold>,
    /// Unreadable accounts and entries that may belong to it: whether they are held is unknown.
    pub unreadable: Vec<String>,
    /// Every case that holds it, this one included.
    pub cases: Vec<Case>,
}

/// A chunk whose copy in the vault is held, and whose source at ACS may be deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DoubtfulHold {
    pub document_id: DocumentId,
    pub deletion_began_at: Timestamp,
    /// Until then the deletion may still arrive at ACS; `None` if it no longer can, but may have arrived.
    pub may_arrive_until: Option<Timestamp>,
}

impl fmt::Display for DoubtfulHold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (id, began_at) = (&self.document_id, self.deletion_began_at);
        write!(
            f,
            "the deletion of chunk {id} at ACS began at {began_at:.0}, before the hold, and "
        )?;
        match self.may_arrive_until {
            Some(until) => write!(f, "may still happen until {until:.0}")?,
            None => f.write_str("whether ACS deleted it is unknown")?,
        }
        f.write_str("; its copy in the vault is held")
    }
}

impl Holding {
    /// Whether everything known is held, and was held before any deletion of it began.
    pub fn is_complete(&self) -> bool {
        self.gone.is_empty()
            && self.in_doubt.is_empty()
            && self.unreadable.is_empty()
            && !self.is_capped
    }

    /// Whether no known recording matches, so that the hold applies to future ones.
    pub fn matches_nothing(&self) -> bool {
        self.recordings == 0
            && self.chunks.is_empty()
            && self.uncertain.is_empty()
            && self.in_doubt.is_empty()
            && self.gone.is_empty()
            && self.unreadable.is_empty()
            && !self.is_capped
    }

    /// Returns what is not held, or may not be: a sentence for each.
    pub fn problems(&self) -> Vec<String> {
        let gone = self.gone.iter().map(|id| {
            format!("chunk {id} of it was deleted from the vault, or is being deleted now")
        });
        let in_doubt = self.in_doubt.iter().map(DoubtfulHold::to_string);
        let unreadable = self.unreadable.iter().map(|name| {
            format!("{name} is not readable: whether it belongs to what is held is unknown")
        });
        let capped = self.is_capped.then(|| {
            format!(
                "it matches more than {} recordings; whether copies of the others were deleted before is not checked",
                self.recordings
            )
        });
        gone.chain(in_doubt)
            .chain(unreadable)
            .chain(capped)
            .collect()
    }
}

/// A case that no longer holds something.
#[derive(Debug)]
pub struct Releasing {
    pub held: Held,
    pub tag: CaseTag,
    pub outcome: ReleaseOutcome,
    /// Cases that still hold it.
    pub still: Vec<Case>,
    /// Whether the register knows a recording of it.
    pub recordings: usize,
}

impl OperatorActions {
    /// Returns a person as holds identify them: all formats of an id are one person.
    ///
    /// # Errors
    /// When the key of people's names cannot be read.
    pub async fn held_person(&self, person: &Person) -> Result<HeldPerson, CatalogueError> {
        let mut names = self.catalogue.names_of(person).await?;
        let name = names.remove(0);
        let pseudonym = self.catalogue.pseudonym(person).await?;
        let person = HeldPerson::new(name, person.id().to_owned());
        Ok(person.recorded_as(pseudonym).or(names))
    }

    /// Returns what a hold covers now, or would cover.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn holds_now(&self, held: &Held) -> Result<HoldsNow, CatalogueError> {
        let is_of_another_key = match held.rule().and_then(HoldRule::person) {
            Some(person) => self.catalogue.is_of_another_key(person).await?,
            None => false,
        };
        let covered = self.catalogue.covered_by(held).await?;
        Ok(HoldsNow::of(&covered, is_of_another_key))
    }

    /// Lists all holds in force, and what each covers now.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn holds(&self) -> Result<ListedHolds, CatalogueError> {
        let all = self.ledger.holds().all().await?;
        let mut holds = Vec::new();
        for hold in all.holds {
            let holds_now = self.holds_now(&hold.held).await?;
            holds.push(ListedHold { hold, holds_now });
        }
        Ok(ListedHolds {
            holds,
            unreadable: all.unreadable,
        })
    }

    /// Holds a recording, a call, or what a rule matches for a case.
    ///
    /// # Errors
    /// When the storage fails. The hold may be in force then; repeating is harmless.
    pub async fn hold(
        &self,
        request: RequestedHold,
        operator: &Operator,
    ) -> Result<Holding, CatalogueError> {
        let RequestedHold {
            held,
            tag,
            requested_by,
            note,
        } = request;
        // `by` of a record is the caller; a name in the request is not verified.
        let mut detail = json!({"case": tag});
        if let Some(name) = &requested_by {
            detail["wantedBy"] = name.as_str().into();
        }
        if let Some(note) = &note {
            detail["note"] = note.as_str().into();
        }
        if let Some(person) = held.rule().and_then(HoldRule::person) {
            // By them the hold finds recordings: a check of the log compares them with the hold.
            detail["names"] = json!(person.names().collect::<Vec<_>>());
        }
        let case = Case {
            by: operator.label(),
            requested_by,
            tag,
            note,
            since: self.clock.now(),
        };
        let holds = self.ledger.holds();
        let added = if holds.is_held_for(&held, &case.tag).await? {
            Added::AlreadyHeld
        } else {
            self.ledger
                .audit_operator(AuditAction::Held, &audited_name(&held), operator, detail)
                .await?;
            holds.add(&held, &case).await?
        };
        // After the hold is durable: this finds a deletion that did not see the hold.
        let covered = self.catalogue.covered_by(&held).await?;
        let mut holding = Holding {
            held,
            tag: case.tag,
            added,
            chunks: Vec::new(),
            gone: Vec::new(),
            in_doubt: Vec::new(),
            unreadable: covered.unreadable,
            cases: covered.cases,
            uncertain: Vec::new(),
            is_capped: covered.is_capped,
            recordings: covered.recordings,
        };
        let now = self.clock.now();
        for entry in covered.entries {
            if let Some(id) = holding.add_begun(&entry, now) {
                holding.chunks.push(id);
            }
        }
        for entry in covered.uncertain {
            if let Some(id) = holding.add_begun(&entry, now) {
                holding.uncertain.push(id);
            }
        }
        Ok(holding)
    }

    /// Releases a hold of a case; other cases still hold it. If nothing was held under the given subject, the hold of the
    /// case that was given in another way is released, if there is only one.
    ///
    /// # Errors
    /// When the storage fails. Repeating is harmless.
    pub async fn release(
        &self,
        held: Held,
        tag: CaseTag,
        operator: &Operator,
    ) -> Result<Releasing, CatalogueError> {
        let mut outcome = self.release_as(&held, &tag, operator).await?;
        for other in self.ledger.holds().same_by_another_key(&held).await? {
            outcome = outcome.or(self.release_as(&other, &tag, operator).await?);
        }
        if outcome != ReleaseOutcome::NeverHeld {
            return self.released(held, tag, outcome).await;
        }
        for other in self.given_otherwise(&held, &tag).await? {
            let outcome = self.release_as(&other, &tag, operator).await?;
            if outcome != ReleaseOutcome::NeverHeld {
                return self.released(other, tag, outcome).await;
            }
        }
        self.released(held, tag, outcome).await
    }

    /// Subjects that `held` may mean, given in another way: the only one that the case holds, or, where it holds none,
    /// those that it may have held before. None where it holds several: nothing is released by a guess.
    async fn given_otherwise(
        &self,
        held: &Held,
        tag: &CaseTag,
    ) -> Result<Vec<Held>, CatalogueError> {
        let holds = self.ledger.holds();
        let others = holds.other_subjects(held).await?;
        if others.is_empty() {
            return Ok(others);
        }
        let all = holds.all().await?.holds;
        let has_case = |hold: &&Hold| hold.cases.iter().any(|case| case.tag == *tag);
        let of_case: Vec<&Held> = all.iter().filter(has_case).map(|hold| &hold.held).collect();
        let is_held = |other: &Held| of_case.contains(&other);
        let in_force: Vec<Held> = others
            .iter()
            .filter(|other| is_held(other))
            .cloned()
            .collect();
        Ok(match in_force.len() {
            0 => others,
            1 => in_force,
            _ => Vec::new(),
        })
    }

    async fn release_as(
        &self,
        held: &Held,
        tag: &CaseTag,
        operator: &Operator,
    ) -> Result<ReleaseOutcome, CatalogueError> {
        let subject = audited_name(held);
        let detail = operator.sign(json!({"case": tag}));
        let audit = || {
            let log = self.ledger.audit();
            let auditing = log.append(
                Actor::Operator,
                AuditAction::Released,
                &subject,
                detail.clone(),
            );
            auditing.map_ok(|_| ()).boxed()
        };
        let holds = self.ledger.holds();
        Ok(holds.release(held, tag, audit).await?)
    }

    /// Wakes the work that waited for a hold.
    async fn released(
        &self,
        held: Held,
        tag: CaseTag,
        outcome: ReleaseOutcome,
    ) -> Result<Releasing, CatalogueError> {
        let covered = self.catalogue.covered_by(&held).await?;
        // Work that waited for the hold is due with the next sweep.
        for entry in covered.entries.iter().chain(&covered.uncertain) {
            if matches!(entry.state, ChunkState::Exported { .. }) && entry.not_before.is_some() {
                self.ledger.wake(&entry.chunk.document_id).await?;
            }
        }
        Ok(Releasing {
            held,
            tag,
            outcome,
            still: covered.cases,
            recordings: covered.recordings,
        })
    }
}

/// Returns the name of what is held for the audit log, which remains after an erasure. Equal rules have one name, however
/// the person's id was written.
fn audited_name(held: &Held) -> String {
    match held {
        Held::Matching(rule) => {
            let person = rule.person().and_then(HeldPerson::pseudonym);
            rule.described(person)
        }
        Held::RecordingId(_) | Held::CallId(_) => held.to_string(),
    }
}

impl Holding {
    /// Notes a chunk whose deletion began before the hold; returns any other.
    fn add_begun(&mut self, entry: &LedgerEntry, now: Timestamp) -> Option<DocumentId> {
        let id = entry.chunk.document_id.clone();
        if is_deleted(entry) {
            self.gone.push(id);
        } else if let Some(doubt) = doubt_about(entry, now) {
            self.in_doubt.push(doubt);
        } else {
            return Some(id);
        }
        None
    }
}

fn is_deleted(entry: &LedgerEntry) -> bool {
    match entry.state {
        ChunkState::Removing { .. } | ChunkState::Removed { .. } => true,
        ChunkState::Pending
        | ChunkState::Exported { .. }
        | ChunkState::SourceDeleted { .. }
        | ChunkState::SourceLeft { .. }
        | ChunkState::InPlace { .. }
        | ChunkState::Expired { .. }
        | ChunkState::DeadLettered { .. } => false,
    }
}

/// Returns a deletion that has begun and is not settled: whether ACS has the source is unknown, and a request may still
/// be on its way.
fn doubt_about(entry: &LedgerEntry, now: Timestamp) -> Option<DoubtfulHold> {
    let intent = entry.intent.as_ref()?;
    Some(DoubtfulHold {
        document_id: entry.chunk.document_id.clone(),
        deletion_began_at: intent.began_at,
        may_arrive_until: intent.may_still_act(now).then(|| intent.acts_until()),
    })
}
