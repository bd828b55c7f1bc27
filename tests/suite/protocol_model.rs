//! The protocol of claim, marker, lists and log as a model: every interleaving of two deliveries, an operator, a sweep, a
//! kill and a claim that ends too early is gone through.
//!
//! `interleavings` and `schedules` test the code; this tests the protocol, and that a fault in it would be found.

mod accounts;
mod explorer;
mod model;

use self::accounts::{Accounts, Order};
use self::explorer::{Explored, explore};
use self::model::{Protocol, Recording, Removal};

/// A guard against a model without end.
const MOST_STATES: usize = 4_000_000;

#[test]
fn no_interleaving_leaves_an_open_chunk_without_a_marker_or_a_state_without_a_record() {
    let protocol = Protocol {
        removal: Removal::OutnumberedFirst,
        recording: Recording::BeforeTheEntry,
    };
    match explore(&protocol, MOST_STATES) {
        Explored::AllRight { states } => assert!(states > 10_000, "only {states} states"),
        Explored::Wrong { problem, way } => panic!("{problem}:\n{way}"),
    }
}

#[test]
fn a_marker_that_is_removed_as_soon_as_the_entry_is_settled_is_found_missing() {
    let protocol = Protocol {
        removal: Removal::AsSoonAsSettled,
        recording: Recording::BeforeTheEntry,
    };
    let Explored::Wrong { problem, .. } = explore(&protocol, MOST_STATES) else {
        panic!("the hole is not found");
    };
    assert!(problem.contains("no marker leads to it"), "{problem}");
}

#[test]
fn a_record_that_does_not_come_before_its_entry_is_found_missing() {
    let protocol = Protocol {
        removal: Removal::OutnumberedFirst,
        recording: Recording::AfterTheEntry,
    };
    let Explored::Wrong { problem, .. } = explore(&protocol, MOST_STATES) else {
        panic!("the fault is not found");
    };
    assert!(problem.contains("no record says so"), "{problem}");
}

#[test]
fn no_interleaving_of_an_event_with_an_erasure_exports_a_chunk_of_an_erased_recording() {
    let order = Order::AccountFirst;
    match explore(&Accounts { order }, MOST_STATES) {
        Explored::AllRight { states } => assert!(states > 1_000, "only {states} states"),
        Explored::Wrong { problem, way } => panic!("{problem}:\n{way}"),
    }
}

#[test]
fn an_entry_that_is_written_beside_its_account_is_found_exported_after_an_erasure() {
    let order = Order::EntryBesideAccount;
    let Explored::Wrong { problem, .. } = explore(&Accounts { order }, MOST_STATES) else {
        panic!("the fault is not found");
    };
    assert!(problem.contains("its recording is erased"), "{problem}");
}
