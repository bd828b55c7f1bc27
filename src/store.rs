//! Small JSON documents under conditional writes, and what they store for other modules: index, holds, audit log.
//!
//! The foundation that control, export, catalogue and vault share. It knows no chunk, no ACS and no storage service.

pub mod answers;
pub mod audit;
pub mod digest;
pub mod document_store;
pub mod documents;
#[cfg(test)]
pub(crate) mod faulty_store;
pub mod holds;
pub mod index;
pub(crate) mod keys;
pub mod listing;
pub mod outbox;
pub mod people;
pub mod reports_due;
pub mod seen_calls;

pub use document_store::{DocumentStore, Precondition, PutOutcome, StoreError, Version, Versioned};
pub use documents::{DocumentError, Documents};
