//! A stand-in for Azure Communication Services' call recording, for development and tests only.
//!
//! | module | plays |
//! |---|---|
//! | `control` | `/calling/recordings…`: the state machine and its real error bodies |
//! | `legacy` | `/conversations/…`: the control plane of 2021-04 |
//! | `content` | `/v1/objects/{documentId}…`: media and metadata by `Range`, deletion, expiry |
//! | `auth` | authorization on both planes: HMAC-SHA256 or a bearer token |
//! | `events` | Event Grid: handshake, delivery, redelivery |
//! | `storing` | the end of a recording: its chunks become stored objects |
//! | `media` | WAV synthesised on the fly at the exact data rate, real MP3 and MP4 |
//! | `tls` | the TLS door, with a throw-away certificate authority |
//! | `admin` | `/admin/…`: setup and inspection by tests; no authorization |
//!
//! Where the real service's response is not publicly known, a comment in the code says so.

mod admin;
mod auth;
mod content;
mod control;
mod events;
mod faults;
mod legacy;
pub mod media;
mod metadata;
mod options;
mod request;
mod server;
mod storing;
pub mod tls;
mod world;

pub use options::Options;
pub use server::Simulator;
