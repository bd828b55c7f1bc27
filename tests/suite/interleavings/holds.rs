//! Holds of a run: by the recording, by a person in it, or by a period; and whether one is in force at a moment.

use std::collections::BTreeSet;
use std::fmt;

use recording_vault::catalogue::CatalogueError;
use recording_vault::operator_actions::Operator;
use recording_vault::operator_actions::hold::{Holding, PeriodEdge, RequestedHold};
use recording_vault::store::holds::{Held, HoldRule, ReleaseOutcome};

use super::action::Done;
use super::event::Event;
use super::facts::{AtHold, Fact, Facts};
use super::process::Process;
use crate::support::fake_source::PARTICIPANT;

/// The day on which the recording began.
const DAY: &str = "2026-03-02";

/// What a hold names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum HeldBy {
    Recording,
    /// A participant of the recording.
    Person,
    /// The day on which the recording began.
    Period,
}

/// The case of a hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum HoldCase {
    /// Holds from the beginning.
    First,
    /// Holds from the run on.
    Second,
}

/// One hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct HoldId {
    pub by: HeldBy,
    pub case: HoldCase,
}

impl HeldBy {
    pub fn first(self) -> HoldId {
        HoldId {
            by: self,
            case: HoldCase::First,
        }
    }

    pub fn second(self) -> HoldId {
        HoldId {
            by: self,
            case: HoldCase::Second,
        }
    }
}

impl fmt::Display for HoldCase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::First => "A-1",
            Self::Second => "B-2",
        })
    }
}

impl Facts {
    /// Whether the recording is held before a moment: a hold was reported as complete, and no release of it has begun.
    pub fn is_held_before(&self, moment: u64) -> bool {
        let mut in_force = BTreeSet::new();
        for (at, fact) in self.all() {
            match fact {
                Fact::Held(hold) if at < moment => drop(in_force.insert(hold)),
                Fact::Released(hold) if at < moment => drop(in_force.remove(&hold)),
                Fact::Held(_)
                | Fact::Released(_)
                | Fact::HoldWritten(_)
                | Fact::Acknowledged(_)
                | Fact::Accepted
                | Fact::RemovalBegun
                | Fact::Removed
                | Fact::Erased
                | Fact::SourceDeleted { .. }
                | Fact::CopyRemoved { .. }
                | Fact::Broken(_) => {}
            }
        }
        !in_force.is_empty()
    }

    /// Whether there was nothing left to hold whenever a hold became durable.
    fn is_held_too_late(&self) -> bool {
        let mut written = self.all().into_iter().filter_map(|(_, fact)| match fact {
            Fact::HoldWritten(found) => Some(found),
            Fact::Held(_)
            | Fact::Released(_)
            | Fact::Acknowledged(_)
            | Fact::Accepted
            | Fact::RemovalBegun
            | Fact::Removed
            | Fact::Erased
            | Fact::SourceDeleted { .. }
            | Fact::CopyRemoved { .. }
            | Fact::Broken(_) => None,
        });
        written.all(|found| found == AtHold::Nothing)
    }
}

impl Process {
    pub async fn add_hold(&self, hold: HoldId) -> Done {
        match self.hold(hold).await {
            Ok(holding) => {
                // It says that it matches nothing: who was in a recording is not known after its erasure.
                let is_late = holding.matches_nothing() && self.world.facts.is_held_too_late();
                if holding.is_complete() && !is_late {
                    self.world.facts.note(Fact::Held(hold));
                }
                Done::Done
            }
            Err(error) => Done::failed(error),
        }
    }

    async fn hold(&self, HoldId { by, case }: HoldId) -> Result<Holding, CatalogueError> {
        let request = RequestedHold {
            held: self.held(by).await?,
            tag: case.to_string().parse().expect("it is a tag"),
            requested_by: None,
            note: None,
        };
        self.actions().hold(request, &Operator::Shell).await
    }

    pub async fn release_hold(&self, hold: HoldId) -> Done {
        self.world.facts.note(Fact::Released(hold));
        match self.release(hold).await {
            Ok(ReleaseOutcome::Released | ReleaseOutcome::ReleasedBefore) => Done::Done,
            Ok(ReleaseOutcome::NeverHeld) => Done::nothing(ReleaseOutcome::NeverHeld),
            Err(error) => Done::failed(error),
        }
    }

    async fn release(&self, HoldId { by, case }: HoldId) -> Result<ReleaseOutcome, CatalogueError> {
        let held = self.held(by).await?;
        let tag = case.to_string().parse().expect("it is a tag");
        let releasing = self.actions().release(held, tag, &Operator::Shell).await?;
        Ok(releasing.outcome)
    }

    async fn held(&self, by: HeldBy) -> Result<Held, CatalogueError> {
        let rule = match by {
            HeldBy::Recording => {
                return Ok(Held::RecordingId(Event::Whole.chunk().filed_under()));
            }
            HeldBy::Person => {
                let person = PARTICIPANT.parse().expect("it is a participant's id");
                let person = self.actions().held_person(&person).await?;
                HoldRule::new(Some(person), PeriodEdge::period(None, None))
            }
            HeldBy::Period => {
                let day = DAY.parse().ok();
                HoldRule::new(None, PeriodEdge::period(day, day))
            }
        };
        Ok(Held::Matching(rule.expect("it is a rule")))
    }
}
