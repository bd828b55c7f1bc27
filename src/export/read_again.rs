//! Versions of files that this process compared again, because their `ETag` is not that of the proof, and found as proved: by
//! their block lists, or by their content. A player asks for many parts of a file, and not each may read it whole.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::layout::BlobName;
use super::receipt::VaultName;
use crate::store::digest::Sha256Digest;

/// Files that are remembered; more of them replace all.
const MOST_FILES: usize = 1000;

/// What was compared again.
#[derive(Debug, Default)]
pub(super) struct ReadAgain {
    files: Mutex<HashMap<(VaultName, BlobName), Seen>>,
}

/// The content of a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    pub etag: String,
    pub sha256: Sha256Digest,
}

impl ReadAgain {
    /// Whether this version of a file was compared, and had this content.
    pub fn has(&self, vault: VaultName, name: &BlobName, seen: &Seen) -> bool {
        let files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        files.get(&(vault, name.clone())) == Some(seen)
    }

    pub fn note(&self, vault: VaultName, name: &BlobName, seen: Seen) {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        if files.len() >= MOST_FILES {
            files.clear();
        }
        files.insert((vault, name.clone()), seen);
    }
}
