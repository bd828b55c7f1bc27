//! What operators ask, as the verbs do it, and what they are told.

use recording_vault::catalogue::erasing::Eraser;
use recording_vault::export::ledger::{Accepted, Retried};
use recording_vault::export::retention::{Removal, Retention, RetentionKeeps, RetentionPolicy};
use recording_vault::operator_actions::{Operator, OperatorActions};

use super::action::Done;
use super::facts::Fact;
use super::process::{BUDGET, Process};
use super::world::document;
use crate::support::fake_source::PARTICIPANT;

impl Process {
    pub fn actions(&self) -> OperatorActions {
        let clock = &self.world.clock;
        OperatorActions::new(&self.ledger, &self.catalogue(), &self.vaults, clock)
    }

    pub async fn retry(&self) -> Done {
        match self.actions().retry(&document(), &Operator::Shell).await {
            Ok(Retried::Opened | Retried::AlreadyOpen) => Done::Done,
            Ok(
                other @ (Retried::Safe
                | Retried::Doubtful
                | Retried::NotWhole
                | Retried::Removed
                | Retried::UnfinishedImport
                | Retried::Unknown),
            ) => Done::nothing(other),
            Err(error) => Done::failed(error),
        }
    }

    pub async fn accept(&self) -> Done {
        match self.actions().accept(&document(), &Operator::Shell).await {
            Ok(Accepted::Accepted(_) | Accepted::AlreadyAccepted(_)) => {
                self.world.facts.note(Fact::Accepted);
                Done::Done
            }
            Ok(other @ (Accepted::SeveralPlaces | Accepted::NotDoubtful | Accepted::Unknown)) => {
                Done::nothing(other)
            }
            Err(error) => Done::failed(error),
        }
    }

    pub async fn apply_retention(&self) -> Done {
        let policy = RetentionPolicy {
            keep_for: self.world.settings.keep_copies_for,
            keeps: RetentionKeeps::People,
        };
        let retention = Retention::new(
            self.ledger.clone(),
            self.vaults.clone(),
            self.world.clock.clone(),
            policy,
        );
        self.world.facts.note(Fact::RemovalBegun);
        match retention.apply(&Operator::Shell).await {
            Ok(applied) => match applied.removals.into_iter().next() {
                Some((_, Removal::Removed | Removal::FinishedByAnother)) => {
                    self.world.facts.note(Fact::Removed);
                    Done::Done
                }
                Some((_, Removal::Failed { reason, .. } | Removal::NotBegun { reason })) => {
                    Done::Failed(reason)
                }
                Some((_, other)) => Done::nothing(other),
                None => Done::nothing("nothing is past its policy"),
            },
            Err(error) => Done::failed(error),
        }
    }

    pub async fn erase(&self) -> Done {
        let eraser = Eraser::new(self.catalogue(), self.driver.clone(), BUDGET);
        self.world.facts.note(Fact::RemovalBegun);
        let person = PARTICIPANT.parse().expect("it is a participant's id");
        match Box::pin(eraser.erase(&person, "on request", &Operator::Shell)).await {
            Ok(erasure) => match erasure.left.first() {
                Some(left) => Done::Failed(left.reason.clone()),
                None if erasure.erased.is_empty() => Done::nothing("the person is in no recording"),
                None => {
                    self.world.facts.note(Fact::Removed);
                    self.world.facts.note(Fact::Erased);
                    Done::Done
                }
            },
            Err(error) => Done::failed(error),
        }
    }
}
