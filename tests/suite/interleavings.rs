//! Every interleaving of two processes: each single request of one of them is held, answered late, repeated, lost, applied
//! again later, or its process is killed or frozen there, while another handles the same event, sweeps, or carries out what
//! an operator asks. After each run everything is checked; on in-memory stores, in virtual time.
//!
//! A run takes a random fifth of the cases of each scenario; `INTERLEAVINGS=all` runs each of them, and so does
//! `INTERLEAVING_PAIRS`.
//! `INTERLEAVING='<part of a case>'` runs only the cases whose name has this part, and prints their requests.
//! `INTERLEAVING_PAIRS=<number>` runs, besides, so many cases of each scenario with two disturbances, one of each party, while a
//! third process sweeps; `INTERLEAVING_SEED=<seed>` runs the same ones again.

mod action;
mod checks;
mod control;
mod disturbance;
mod enumeration;
mod event;
mod facts;
mod gate;
mod holds;
mod known_open;
mod operators;
mod play;
mod process;
mod report;
mod run;
mod scenario;
mod scenarios;
mod share;
mod standing;
mod stores;
mod watched_store;
mod world;

use enumeration::explore;

#[test]
fn no_interleaving_of_events_breaks_a_promise() {
    explore(scenarios::EVENTS);
}

#[test]
fn no_interleaving_of_events_that_tell_more_breaks_a_promise() {
    explore(scenarios::MORE);
}

#[test]
fn no_interleaving_of_sweeps_breaks_a_promise() {
    explore(scenarios::SWEEPS);
}

#[test]
fn no_interleaving_of_what_operators_ask_breaks_a_promise() {
    explore(scenarios::OPERATORS);
}

#[test]
fn no_interleaving_of_standing_holds_with_exports_and_deletions_breaks_a_promise() {
    explore(standing::AT_ACS);
}

#[test]
fn no_interleaving_of_standing_holds_with_removals_breaks_a_promise() {
    explore(standing::IN_THE_VAULT);
}

#[test]
fn no_interleaving_of_recording_control_breaks_a_promise() {
    control::explore(control::Subject::Pauses);
}

#[test]
fn no_interleaving_of_starts_breaks_a_promise() {
    control::explore(control::Subject::Starts);
}

#[test]
fn no_interleaving_of_what_bots_command_breaks_a_promise() {
    control::explore(control::Subject::Commands);
}

#[test]
fn no_interleaving_of_the_report_of_a_day_breaks_a_promise() {
    control::explore(control::Subject::Reports);
}
