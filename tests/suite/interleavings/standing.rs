//! The scenarios of standing holds: one on a person or on a period is added or released while the chunk is exported, its
//! source deleted, or its copy removed.

use super::action::Action::{
    AddHold, ApplyRetention, Deliver, Drive, Erase, HoldAndApplyRetention, ReleaseHold, Sweep,
};
use super::event::Event;
use super::holds::HeldBy::{Period, Person, Recording};
use super::scenario::{Before, Scenario};

/// Holds that meet an export or a deletion at ACS.
pub const AT_ACS: &[Scenario] = &[
    Scenario {
        name: "new event, a person is held meanwhile",
        before: Before::Unknown,
        held: None,
        action: Deliver(Event::Whole),
        others: &[AddHold(Person)],
    },
    Scenario {
        name: "new event of a person who is held",
        before: Before::Unknown,
        held: Some(Person),
        action: Deliver(Event::Whole),
        others: &[ReleaseHold(Person)],
    },
    Scenario {
        name: "event that names the participants, a person is held meanwhile",
        before: Before::Settled(Event::Bare),
        held: None,
        action: Deliver(Event::Whole),
        others: &[AddHold(Person)],
    },
    Scenario {
        name: "sweep of a pending chunk, a person is held meanwhile",
        before: Before::Recorded(Event::Whole),
        held: None,
        action: Sweep,
        others: &[AddHold(Person)],
    },
    Scenario {
        name: "sweep of a chunk that is due for deletion, a person or a day is held meanwhile",
        before: Before::DueForDeletion,
        held: None,
        action: Sweep,
        others: &[AddHold(Person), AddHold(Period)],
    },
    Scenario {
        name: "delete-source, a person is held meanwhile",
        before: Before::DueForDeletion,
        held: None,
        action: Drive,
        others: &[AddHold(Person)],
    },
    Scenario {
        name: "hold add of a person before a deletion at ACS",
        before: Before::DueForDeletion,
        held: None,
        action: AddHold(Person),
        others: &[Sweep, Drive],
    },
    Scenario {
        name: "hold add of a day before a deletion at ACS",
        before: Before::DueForDeletion,
        held: None,
        action: AddHold(Period),
        others: &[Drive],
    },
    Scenario {
        name: "hold release of a person",
        before: Before::DueForDeletion,
        held: Some(Person),
        action: ReleaseHold(Person),
        others: &[Sweep, AddHold(Period), AddHold(Recording)],
    },
    Scenario {
        name: "hold release of a day",
        before: Before::DueForDeletion,
        held: Some(Period),
        action: ReleaseHold(Period),
        others: &[Sweep, AddHold(Period)],
    },
];

/// Holds that meet a removal from the vault.
pub const IN_THE_VAULT: &[Scenario] = &[
    Scenario {
        name: "retention apply, a person or a day is held meanwhile",
        before: Before::PastPolicy,
        held: None,
        action: ApplyRetention,
        others: &[
            AddHold(Person),
            AddHold(Period),
            HoldAndApplyRetention(Person),
        ],
    },
    Scenario {
        name: "retention apply while a person is held",
        before: Before::PastPolicy,
        held: Some(Person),
        action: ApplyRetention,
        others: &[ReleaseHold(Person), AddHold(Period), ApplyRetention],
    },
    Scenario {
        name: "hold add of a person before a removal",
        before: Before::PastPolicy,
        held: None,
        action: AddHold(Person),
        others: &[ApplyRetention, Erase],
    },
    Scenario {
        name: "hold add of a day before a removal",
        before: Before::PastPolicy,
        held: None,
        action: AddHold(Period),
        others: &[ApplyRetention, Erase],
    },
    Scenario {
        name: "hold release of a person before a removal",
        before: Before::PastPolicy,
        held: Some(Person),
        action: ReleaseHold(Person),
        others: &[
            ApplyRetention,
            AddHold(Person),
            HoldAndApplyRetention(Period),
        ],
    },
    Scenario {
        name: "erase, the person or the day is held meanwhile",
        before: Before::Settled(Event::Whole),
        held: None,
        action: Erase,
        others: &[AddHold(Person), AddHold(Period)],
    },
];
