//! The scenarios of a chunk's way, in groups that are tested side by side.

use super::action::Action::{
    self, Accept, AddHold, ApplyRetention, Deliver, Drive, Erase, HoldAndApplyRetention,
    ReleaseHold, Retry, Sweep,
};
use super::event::Event;
use super::holds::HeldBy::Recording;
use super::scenario::{Before, Scenario};

const ANYBODY: &[Action] = &[
    Deliver(Event::Whole),
    Sweep,
    AddHold(Recording),
    Retry,
    Erase,
];

/// Events of a chunk.
pub const EVENTS: &[Scenario] = &[
    Scenario {
        name: "new event",
        before: Before::Unknown,
        held: None,
        action: Deliver(Event::Whole),
        others: ANYBODY,
    },
    Scenario {
        name: "new event of a person's recording",
        before: Before::Started,
        held: None,
        action: Deliver(Event::Whole),
        others: &[Erase, Deliver(Event::Whole), Sweep],
    },
    Scenario {
        name: "event again",
        before: Before::Settled(Event::Whole),
        held: None,
        action: Deliver(Event::Whole),
        others: &[Deliver(Event::Whole), Sweep, Erase],
    },
    Scenario {
        name: "event of a dead-lettered chunk",
        before: Before::DeadLettered,
        held: None,
        action: Deliver(Event::Whole),
        others: ANYBODY,
    },
];

/// Events that tell more than those before.
pub const MORE: &[Scenario] = &[
    Scenario {
        name: "new event, the rest comes later",
        before: Before::Unknown,
        held: None,
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
        held: None,
        action: Deliver(Event::Whole),
        others: &[
            Deliver(Event::Bare),
            Deliver(Event::WithoutMetadata),
            Sweep,
            Retry,
            AddHold(Recording),
        ],
    },
    Scenario {
        name: "event with the metadata's place",
        before: Before::Settled(Event::WithoutMetadata),
        held: None,
        action: Deliver(Event::WithoutDelete),
        others: &[Deliver(Event::Whole), Sweep, AddHold(Recording)],
    },
    Scenario {
        name: "event with the delete location",
        before: Before::Settled(Event::WithoutDelete),
        held: None,
        action: Deliver(Event::Whole),
        others: &[Deliver(Event::Whole), Sweep, AddHold(Recording), Erase],
    },
    Scenario {
        name: "sweep while more comes",
        before: Before::Recorded(Event::Bare),
        held: None,
        action: Sweep,
        others: &[Deliver(Event::Whole), Deliver(Event::WithoutDelete), Sweep],
    },
];

/// Sweeps, and what a sweep does for a chunk.
pub const SWEEPS: &[Scenario] = &[
    Scenario {
        name: "sweep of a pending chunk",
        before: Before::Recorded(Event::Whole),
        held: None,
        action: Sweep,
        others: ANYBODY,
    },
    Scenario {
        name: "sweep of a chunk that is due for deletion",
        before: Before::DueForDeletion,
        held: None,
        action: Sweep,
        others: ANYBODY,
    },
    Scenario {
        name: "delete-source",
        before: Before::DueForDeletion,
        held: None,
        action: Drive,
        others: &[Sweep, AddHold(Recording), Erase],
    },
    Scenario {
        name: "move home",
        before: Before::InBackup,
        held: None,
        action: Sweep,
        others: &[Deliver(Event::Whole), Sweep, AddHold(Recording), Retry],
    },
];

/// What operators ask.
pub const OPERATORS: &[Scenario] = &[
    Scenario {
        name: "retry",
        before: Before::DeadLettered,
        held: None,
        action: Retry,
        others: ANYBODY,
    },
    Scenario {
        name: "accept",
        before: Before::Doubtful,
        held: None,
        action: Accept,
        others: &[
            Deliver(Event::Whole),
            Sweep,
            AddHold(Recording),
            Retry,
            Accept,
        ],
    },
    Scenario {
        name: "hold add before a deletion at ACS",
        before: Before::DueForDeletion,
        held: None,
        action: AddHold(Recording),
        others: &[Sweep, Drive, AddHold(Recording), Erase],
    },
    Scenario {
        name: "hold add before a removal",
        before: Before::PastPolicy,
        held: None,
        action: AddHold(Recording),
        others: &[ApplyRetention, Erase],
    },
    Scenario {
        name: "hold release",
        before: Before::DueForDeletion,
        held: Some(Recording),
        action: ReleaseHold(Recording),
        others: &[Sweep, AddHold(Recording), ReleaseHold(Recording)],
    },
    Scenario {
        name: "retention apply",
        before: Before::PastPolicy,
        held: None,
        action: ApplyRetention,
        others: &[
            AddHold(Recording),
            ApplyRetention,
            HoldAndApplyRetention(Recording),
            Deliver(Event::Whole),
            Erase,
        ],
    },
    Scenario {
        name: "erase",
        before: Before::Settled(Event::Whole),
        held: None,
        action: Erase,
        others: &[AddHold(Recording), Erase, Deliver(Event::Whole), Retry],
    },
];
