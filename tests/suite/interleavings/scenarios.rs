//! The scenarios of a chunk's way, in groups that are tested side by side.

use super::action::Action::{
    self, Accept, AddHold, ApplyRetention, Deliver, Drive, Erase, HoldAndApplyRetention,
    ReleaseHold, Retry, Sweep,
};
use super::event::Event;
use super::scenario::{Before, Scenario};

const ANYBODY: &[Action] = &[Deliver(Event::Whole), Sweep, AddHold, Retry, Erase];

/// Events of a chunk.
pub const EVENTS: &[Scenario] = &[
    Scenario {
        name: "new event",
        before: Before::Unknown,
        is_held: false,
        action: Deliver(Event::Whole),
        others: ANYBODY,
    },
    Scenario {
        name: "event again",
        before: Before::Settled(Event::Whole),
        is_held: false,
        action: Deliver(Event::Whole),
        others: &[Deliver(Event::Whole), Sweep, Erase],
    },
    Scenario {
        name: "event of a dead-lettered chunk",
        before: Before::DeadLettered,
        is_held: false,
        action: Deliver(Event::Whole),
        others: ANYBODY,
    },
];

/// Events that tell more than those before.
pub const MORE: &[Scenario] = &[
    Scenario {
        name: "new event, the rest comes later",
        before: Before::Unknown,
        is_held: false,
        action: Deliver(Event::Bare),
        others: &[
            Deliver(Event::Whole),
            Deliver(Event::WithoutDelete),
            Deliver(Event::WithoutMetadata),
            Sweep,
        ],
    },
    Scenario {
        name: "event with more",
        before: Before::Settled(Event::Bare),
        is_held: false,
        action: Deliver(Event::Whole),
        others: &[
            Deliver(Event::Bare),
            Deliver(Event::WithoutMetadata),
            Sweep,
            Retry,
            AddHold,
        ],
    },
    Scenario {
        name: "event with the metadata's place",
        before: Before::Settled(Event::WithoutMetadata),
        is_held: false,
        action: Deliver(Event::WithoutDelete),
        others: &[Deliver(Event::Whole), Sweep, AddHold],
    },
    Scenario {
        name: "event with the delete location",
        before: Before::Settled(Event::WithoutDelete),
        is_held: false,
        action: Deliver(Event::Whole),
        others: &[Deliver(Event::Whole), Sweep, AddHold, Erase],
    },
    Scenario {
        name: "sweep while more comes",
        before: Before::Recorded(Event::Bare),
        is_held: false,
        action: Sweep,
        others: &[Deliver(Event::Whole), Deliver(Event::WithoutDelete), Sweep],
    },
];

/// Sweeps, and what a sweep does for a chunk.
pub const SWEEPS: &[Scenario] = &[
    Scenario {
        name: "sweep of a pending chunk",
        before: Before::Recorded(Event::Whole),
        is_held: false,
        action: Sweep,
        others: ANYBODY,
    },
    Scenario {
        name: "sweep of a chunk that is due for deletion",
        before: Before::DueForDeletion,
        is_held: false,
        action: Sweep,
        others: ANYBODY,
    },
    Scenario {
        name: "delete-source",
        before: Before::DueForDeletion,
        is_held: false,
        action: Drive,
        others: &[Sweep, AddHold, Erase],
    },
    Scenario {
        name: "move home",
        before: Before::InBackup,
        is_held: false,
        action: Sweep,
        others: &[Deliver(Event::Whole), Sweep, AddHold, Retry],
    },
];

/// What operators ask.
pub const OPERATORS: &[Scenario] = &[
    Scenario {
        name: "retry",
        before: Before::DeadLettered,
        is_held: false,
        action: Retry,
        others: ANYBODY,
    },
    Scenario {
        name: "accept",
        before: Before::Doubtful,
        is_held: false,
        action: Accept,
        others: &[Deliver(Event::Whole), Sweep, AddHold, Retry, Accept],
    },
    Scenario {
        name: "hold add before a deletion at ACS",
        before: Before::DueForDeletion,
        is_held: false,
        action: AddHold,
        others: &[Sweep, Drive, AddHold, Erase],
    },
    Scenario {
        name: "hold add before a removal",
        before: Before::PastPolicy,
        is_held: false,
        action: AddHold,
        others: &[ApplyRetention, Erase],
    },
    Scenario {
        name: "hold release",
        before: Before::DueForDeletion,
        is_held: true,
        action: ReleaseHold,
        others: &[Sweep, AddHold, ReleaseHold],
    },
    Scenario {
        name: "retention apply",
        before: Before::PastPolicy,
        is_held: false,
        action: ApplyRetention,
        others: &[
            AddHold,
            ApplyRetention,
            HoldAndApplyRetention,
            Deliver(Event::Whole),
            Erase,
        ],
    },
    Scenario {
        name: "erase",
        before: Before::Settled(Event::Whole),
        is_held: false,
        action: Erase,
        others: &[AddHold, Erase, Deliver(Event::Whole), Retry],
    },
];
