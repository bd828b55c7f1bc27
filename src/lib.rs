//! recording-vault saves call recordings of Azure Communication Services in your own storage, proves each copy, and only
//! then deletes the original.
//!
//! Arrows point down; no module imports one above it, and a test derives every arrow from the sources.
//!
//! ```text
//!      functions          compose            the Functions host │ settings become the application
//!       │     └──▶ timer     │
//!       └──────────▶ app ◀───┘               one service for each thing that it does
//!                     │
//!             operator_actions               what shell, HTTP and page share
//!              │            │
//!           intake      catalogue  notify    events in │ recordings found, shown, played │ events out
//!              │            │
//!              │        standing            how chunks and recordings stand: one pure function
//!              └─▶ control ◀┘                recording control and its register
//!                     │
//!      export_queue  acs    vault            implement the traits of export; acs and vault never name each other
//!                     │      │
//!                     └▶ export              the pipeline: ledger, drive, transfer, receipt, retention, sweep
//!                         │    │
//!                       store  media         documents under conditional writes │ what a media file says about itself
//!                         │    │
//!                        recording           the vocabulary
//! ```
//!
//! `config` reads the settings of all of them for `compose`; `oidc`, `request_body`, `storage_url` and `telemetry` need little else.
//!
//! Leaves, which import no other module of the crate: `address`, `clock`, `counted`, `error_chain`, `http_client`, `in_flight`, `metrics`, `recent_all_clear`, `recording`,
//! `retry`, `secret`, `suggestion`, `sweep_rhythm`, `throttle`, `visible`.
//!
//! `docs/ARCHITECTURE.md` follows one recording through these modules, and lists the invariants with their tests.

pub mod acs;
pub mod address;
pub mod app;
pub mod bot;
pub mod catalogue;
pub mod clock;
pub mod compose;
pub mod config;
pub mod control;
pub mod counted;
pub mod error_chain;
pub mod export;
pub mod export_queue;
pub mod functions;
pub mod http_client;
pub mod identity;
pub mod in_flight;
pub mod intake;
pub mod media;
pub mod metrics;
pub mod notify;
pub mod oidc;
pub mod operator_actions;
pub mod recent_all_clear;
pub mod recording;
pub mod request_body;
pub mod retry;
pub mod secret;
pub mod standing;
pub mod storage_url;
pub mod store;
pub mod suggestion;
pub mod sweep_rhythm;
pub mod telemetry;
pub mod throttle;
pub mod timer;
pub mod timestamps;
pub mod vault;
pub mod visible;
