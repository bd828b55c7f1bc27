//! The audit log's records of each chunk, in so few bytes that a long log fits into memory.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use recording_vault::recording::DocumentId;
use recording_vault::store::audit::{AuditAction, AuditPosition, AuditRecord};
use recording_vault::store::digest::Sha256Digest;
use serde_json::Value;

/// The chunks that the log has records of.
#[derive(Debug, Default)]
pub struct LoggedChunks {
    chunks: BTreeMap<DocumentId, Vec<Fact>>,
}

/// A state that a chunk came into: its name and its proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint([u8; 16]);

/// The states of a chunk in the records. A state may be recorded more than once.
#[derive(Debug)]
struct Fact {
    what: Fingerprint,
    is_state: bool,
    /// Of the newest record that says so.
    at: Timestamp,
    places: Vec<Place>,
}

/// Compact reference to a document of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place([u8; 8]);

/// How an entry compares with the newest records of its chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// No later record has another state.
    Newest,
    /// A single later record has another state: a process may have ended between the record and its write.
    Unclear,
    /// Several later records have other states, so the entry had them: it was reset to an earlier state.
    PutBack,
}

impl Place {
    fn of(position: &AuditPosition) -> Self {
        let digest = Sha256Digest::of(position.to_string().as_bytes()).to_bytes();
        let mut place = [0; 8];
        place.copy_from_slice(&digest[..8]);
        Self(place)
    }
}

impl Fingerprint {
    pub fn of(action: &AuditAction, detail: &Value) -> Self {
        // A rebuild of an entry from its receipt counts as its export.
        let action = if *action == AuditAction::Rebuilt {
            &AuditAction::Exported
        } else {
            action
        };
        // Whatever chunk was erased, its entry has no proof.
        let detail = if *action == AuditAction::RecordedErased {
            &Value::Null
        } else {
            detail
        };
        let digest = Sha256Digest::of(format!("{action}\n{detail}").as_bytes()).to_bytes();
        let (half, _) = digest.split_at(16);
        Self(half.try_into().expect("half of 32 bytes are 16"))
    }
}

impl LoggedChunks {
    pub fn add(&mut self, position: &AuditPosition, record: &AuditRecord) {
        // Actions on anything but a chunk have another kind of subject.
        let Ok(id) = record.subject.parse::<DocumentId>() else {
            return;
        };
        let facts = self.chunks.entry(id).or_default();
        let (what, place) = (
            Fingerprint::of(&record.action, &record.detail),
            Place::of(position),
        );
        match facts.iter_mut().find(|fact| fact.what == what) {
            Some(known) => {
                known.at = known.at.max(record.at);
                known.places.push(place);
            }
            None => facts.push(Fact {
                what,
                is_state: is_state(&record.action),
                at: record.at,
                places: vec![place],
            }),
        }
    }

    pub fn has(&self, id: &DocumentId) -> bool {
        self.chunks.contains_key(id)
    }

    pub fn has_state(&self, id: &DocumentId, state: Fingerprint) -> bool {
        self.facts(id).iter().any(|fact| fact.what == state)
    }

    /// Compares an entry, by the records that it refers to, with all records of its chunk.
    pub fn freshness(&self, id: &DocumentId, audited: &[AuditPosition]) -> Freshness {
        let listed: BTreeSet<Place> = audited.iter().map(Place::of).collect();
        let is_listed = |fact: &&Fact| fact.places.iter().any(|place| listed.contains(place));
        let facts = self.facts(id);
        let Some(newest) = facts.iter().filter(is_listed).map(|fact| fact.at).max() else {
            return Freshness::Newest;
        };
        let later = facts
            .iter()
            .filter(|fact| fact.is_state && fact.at > newest && !is_listed(fact));
        match later.count() {
            0 => Freshness::Newest,
            1 => Freshness::Unclear,
            _ => Freshness::PutBack,
        }
    }

    pub fn documents(&self) -> impl Iterator<Item = &DocumentId> {
        self.chunks.keys()
    }

    fn facts(&self, id: &DocumentId) -> &[Fact] {
        self.chunks.get(id).map_or(&[], Vec::as_slice)
    }
}

/// Whether a record of this action has a state of a chunk.
fn is_state(action: &AuditAction) -> bool {
    matches!(
        action,
        AuditAction::Pending
            | AuditAction::Exported
            | AuditAction::SourceDeleted
            | AuditAction::SourceLeft
            | AuditAction::InPlace
            | AuditAction::Removing
            | AuditAction::Removed
            | AuditAction::Expired
            | AuditAction::DeadLettered
            | AuditAction::Rebuilt
            | AuditAction::RecordedErased
    )
}

#[cfg(test)]
mod tests {
    use recording_vault::store::audit::Actor;
    use serde_json::json;

    use super::*;

    fn position(number: u64) -> AuditPosition {
        let text = format!("20260302100000-{}/{number}", "a".repeat(32));
        text.parse().expect("it is a position")
    }

    /// Records of one chunk, a second apart, each in its own document.
    fn logged(records: &[(AuditAction, Value)]) -> LoggedChunks {
        let mut logged = LoggedChunks::default();
        for (number, (action, detail)) in (1..).zip(records) {
            let record = AuditRecord {
                at: Timestamp::from_second(number).expect("it is a time"),
                actor: Actor::Handler,
                action: action.clone(),
                subject: "chunk-a".to_owned(),
                detail: detail.clone(),
            };
            logged.add(&position(number.unsigned_abs()), &record);
        }
        logged
    }

    fn freshness(records: &[(AuditAction, Value)], audited: &[u64]) -> Freshness {
        let audited: Vec<AuditPosition> = audited.iter().copied().map(position).collect();
        let id = "chunk-a".parse().expect("it is a document id");
        logged(records).freshness(&id, &audited)
    }

    #[test]
    fn an_entry_that_lacks_two_later_states_was_put_back() {
        let records = [
            (AuditAction::Recorded, Value::Null),
            (AuditAction::Exported, json!({"sha256": "1"})),
            (AuditAction::DeletingSource, json!({"at": "there"})),
            (AuditAction::SourceDeleted, json!({"sha256": "1"})),
            (AuditAction::Removing, json!({"sha256": "1"})),
        ];
        assert_eq!(freshness(&records, &[1, 2, 3, 4, 5]), Freshness::Newest);
        assert_eq!(freshness(&records, &[1, 2, 3, 4]), Freshness::Unclear);
        assert_eq!(freshness(&records, &[1, 2]), Freshness::PutBack);
    }

    #[test]
    fn a_record_that_was_written_twice_is_no_later_state() {
        let exported = || (AuditAction::Exported, json!({"sha256": "1"}));
        let records = [(AuditAction::Recorded, Value::Null), exported(), exported()];
        assert_eq!(freshness(&records, &[1, 2]), Freshness::Newest);
        assert_eq!(freshness(&records, &[1, 3]), Freshness::Newest);
    }

    #[test]
    fn a_state_that_was_recorded_before_and_never_written_is_no_later_state() {
        let records = [
            (AuditAction::Recorded, Value::Null),
            (AuditAction::DeadLettered, json!({"reason": "refused"})),
            (AuditAction::Exported, json!({"sha256": "1"})),
        ];
        assert_eq!(freshness(&records, &[1, 3]), Freshness::Newest);
    }
}
