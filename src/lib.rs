//! recording-vault: no call recording of Azure Communication Services is ever lost.
//!
//! ```text
//!    main ─▶ app ─▶ functions ─▶ catalogue ─▶ control ─▶ acs ─┐     vault ─┐      acs and vault never name each other
//!                       │            │           │            ▼            ▼
//!                       └────────────┴───────────┴────────▶ export  ◀── they implement its traits
//!                                                              ▼
//!                                                          recording
//! ```
//!
//! | module | what it is |
//! |---|---|
//! | [`functions`] | what the Functions host sends and gets back |
//! | [`catalogue`] | every recording, found, shown, played, erased |
//! | [`control`] | recording control and its register |
//! | [`export`] | the pipeline: ledger, drive, transfer, verify, receipt, sweep |
//! | [`acs`] | ACS over REST: recording control and content |
//! | [`vault`] | where recordings and the ledger are kept |
//! | [`recording`] | the vocabulary |
//!
//! Leaves, which import no other module of the crate: `bot`, `clock`, `error_chain`, `metrics`, `net`, `recording`,
//! `retry`, `secret`.
//!
//! The invariants, and what guards each, stand in `docs/ARCHITECTURE.md`.

pub mod acs;
pub mod app;
pub mod bot;
pub mod catalogue;
pub mod clock;
pub mod compose;
pub mod config;
pub mod control;
pub mod error_chain;
pub mod export;
pub mod export_queue;
pub mod functions;
pub mod intake;
pub mod media;
pub mod metrics;
pub mod net;
pub mod oidc;
pub mod operator_actions;
pub mod recording;
pub mod retry;
pub mod secret;
pub mod store;
pub mod telemetry;
pub mod timer;
pub mod vault;
