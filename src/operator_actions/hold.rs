//! Holds a recording, a call, a person's recordings or those of a period for a case, and releases them.
//!
//! A hold may be placed before its recording is known: it applies as soon as an event announces a chunk of it. The audit
//! log has a pseudonym of a person.

mod edge;
mod holding;

use futures::{FutureExt as _, TryFutureExt as _};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use self::holding::is_deleted;
use super::{Operator, OperatorActions};
use crate::catalogue::CatalogueError;
use crate::catalogue::covered::Covered;
use crate::catalogue::person::Person;
use crate::catalogue::still_held::StillHeld;
use crate::export::ChunkState;
use crate::recording::RecordingId;
use crate::store::audit::{Actor, AuditAction};
use crate::store::holds::{Added, Case, CaseTag, Held, HeldPerson, Hold, HoldRule, ReleaseOutcome};

pub use edge::{InvalidEdge, PeriodEdge};
pub use holding::{DoubtfulHold, Holding};

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

/// A case that no longer holds something.
#[derive(Debug)]
pub struct Releasing {
    pub held: Held,
    pub tag: CaseTag,
    pub outcome: ReleaseOutcome,
    /// Cases that still hold any part of it.
    pub still: Vec<Case>,
    /// How much of it these cases hold.
    pub still_held: StillHeld,
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
        let held = held.in_one_form();
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
                .audit_operator(
                    AuditAction::Held,
                    &audited_name(&held),
                    operator,
                    audited_detail(&held, &case),
                )
                .await?;
            holds.add(&held, &case).await?
        };
        // After the hold is durable: this finds a deletion that did not see the hold.
        let mut covered = self.catalogue.covered_by(&held).await?;
        let others = std::mem::take(&mut covered.named_otherwise);
        let named_otherwise = self.not_held_for(&case.tag, others).await?;
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
            named_otherwise,
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

    /// Returns the recordings that a case does not hold by their own ids.
    async fn not_held_for(
        &self,
        tag: &CaseTag,
        recordings: Vec<RecordingId>,
    ) -> Result<Vec<RecordingId>, CatalogueError> {
        let holds = self.ledger.holds();
        let mut not_held = Vec::new();
        for id in recordings {
            let by_its_id = Held::RecordingId(id.clone());
            if !holds.is_held_for(&by_its_id, tag).await? {
                not_held.push(id);
            }
        }
        Ok(not_held)
    }

    /// Releases a hold of a case; other cases still hold it. If nothing was held under the given subject, the hold of the
    /// case that was given in another way is released, if there is only one.
    ///
    /// # Errors
    /// When the storage fails. Repeating is harmless.
    pub async fn release(
        &self,
        given: Held,
        tag: CaseTag,
        operator: &Operator,
    ) -> Result<Releasing, CatalogueError> {
        let held = given.clone().in_one_form();
        let mut outcome = self.release_as(&held, &tag, operator).await?;
        for other in self.ledger.holds().same_by_another_key(&held).await? {
            outcome = outcome.or(self.release_as(&other, &tag, operator).await?);
        }
        if outcome != ReleaseOutcome::NeverHeld {
            return self.released(held, tag, outcome).await;
        }
        for other in self.given_otherwise(&given, &tag).await? {
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
        let (covered, kept) = self.catalogue.covered_by_released(&held).await?;
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
            still: kept.cases,
            still_held: kept.still_held,
            recordings: covered.recordings,
        })
    }
}

/// Returns what the audit log says of a new case.
fn audited_detail(held: &Held, case: &Case) -> serde_json::Value {
    // `by` of a record is the caller; a name in the request is not verified.
    let mut detail = json!({"case": case.tag});
    if let Some(name) = &case.requested_by {
        detail["wantedBy"] = name.as_str().into();
    }
    if let Some(note) = &case.note {
        detail["note"] = note.as_str().into();
    }
    if let Some(person) = held.rule().and_then(HoldRule::person) {
        // By them the hold finds recordings: a check of the log compares them with the hold.
        detail["names"] = json!(person.names().collect::<Vec<_>>());
    }
    detail
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
