//! Finds markers of records that are missing. It keeps eight bytes for each marker.

use std::collections::BTreeSet;

use futures::TryStreamExt as _;

use super::{NewestOfSubjects, SUBJECTS};
use crate::store::audit::name::AuditPosition;
use crate::store::audit::record::AuditRecord;
use crate::store::audit::{AuditLog, StoreError};
use crate::store::digest::Sha256Digest;
use crate::store::listing::keys;

/// The markers that the records of the log need. Takes the records of each document one after another.
#[derive(Debug, Default)]
pub struct ExpectedMarkers {
    current: Option<(AuditPosition, NewestOfSubjects)>,
    /// Hashes of the markers' keys.
    keys: BTreeSet<u64>,
}

impl ExpectedMarkers {
    pub fn add(&mut self, position: &AuditPosition, record: &AuditRecord) {
        let is_current = |(current, _): &(AuditPosition, _)| current == position;
        if !self.current.as_ref().is_some_and(is_current) {
            self.end_document();
        }
        let begin = || (position.clone(), NewestOfSubjects::default());
        self.current.get_or_insert_with(begin).1.add(record);
    }

    fn end_document(&mut self) {
        if let Some((position, newest)) = self.current.take() {
            let keys = newest.markers(&position);
            self.keys.extend(keys.map(|key| hash(&key)));
        }
    }
}

impl AuditLog {
    /// Returns how many of these markers are missing. Lists all markers.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn missing_markers(
        &self,
        mut expected: ExpectedMarkers,
    ) -> Result<usize, StoreError> {
        expected.end_document();
        let mut markers = keys(&*self.store, SUBJECTS, None);
        while !expected.keys.is_empty() {
            let Some(key) = markers.try_next().await? else {
                break;
            };
            expected.keys.remove(&hash(&key));
        }
        Ok(expected.keys.len())
    }
}

fn hash(key: &str) -> u64 {
    let digest = Sha256Digest::of(key.as_bytes()).to_bytes();
    let (first, _) = digest.split_at(8);
    u64::from_be_bytes(first.try_into().expect("it has eight bytes"))
}
