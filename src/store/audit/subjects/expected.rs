//! Compares the markers of records with the log, both ways. It keeps eight bytes for each marker.

use std::collections::BTreeSet;

use futures::TryStreamExt as _;

use super::beyond::BeyondEnds;
use super::{MarkedDocument, NewestOfSubjects, SUBJECTS};
use crate::store::audit::name::{AuditPosition, WriterName};
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

/// What the markers say of the log.
#[derive(Debug, Default)]
pub struct MarkerCheck {
    /// How many records lack their marker.
    pub missing: usize,
    /// Documents that have markers, and were removed from the ends of their logs.
    pub removed: BTreeSet<AuditPosition>,
    /// Markers name more documents after the ends of their logs than were looked for.
    pub is_capped: bool,
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
    /// Compares all markers with those that the log needs. `end_of`: the last document of a log that was read.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn check_markers(
        &self,
        mut expected: ExpectedMarkers,
        end_of: impl Fn(&WriterName) -> u64 + Send,
    ) -> Result<MarkerCheck, StoreError> {
        expected.end_document();
        let mut beyond = BeyondEnds::at(self.clock.now());
        let mut markers = keys(&*self.store, SUBJECTS, None);
        while let Some(key) = markers.try_next().await? {
            expected.keys.remove(&hash(&key));
            if let Some(marked) = MarkedDocument::of_key(&key) {
                let end = end_of(&marked.position.writer);
                beyond.add(marked, end);
            }
        }
        Ok(MarkerCheck {
            missing: expected.keys.len(),
            is_capped: beyond.is_capped,
            removed: self.removed(beyond, end_of).await?,
        })
    }
}

fn hash(key: &str) -> u64 {
    let digest = Sha256Digest::of(key.as_bytes()).to_bytes();
    let (first, _) = digest.split_at(8);
    u64::from_be_bytes(first.try_into().expect("it has eight bytes"))
}
