//! What an entry may differ in from the log, and what is a reset.

use jiff::Timestamp;
use recording_vault::store::audit::Actor;
use serde_json::json;

use super::*;

const WRITER: char = 'a';
const OTHER: char = 'b';

fn position(writer: char, number: u64) -> AuditPosition {
    let text = format!("20260302100000-{}/{number}", writer.to_string().repeat(32));
    text.parse().expect("it is a position")
}

fn state(name: &str) -> ChunkState {
    let media = json!({"name": "f/a.wav", "sizeBytes": 1, "sha256": "0".repeat(64), "etag": "e"});
    let receipt = json!({"media": media, "metadata": null, "verifiedAt": "2026-03-02T10:00:00Z"});
    let at = "2026-03-02T10:00:00Z";
    let state = json!({"name": name, "receipt": receipt, "deletedAt": at, "removedAt": at, "at": at, "reason": "r"});
    serde_json::from_value(state).expect("it is a state")
}

/// The records of a chunk, and the number of the next checkpoint.
struct Log(LoggedChunk, u64);

impl Log {
    fn new() -> Self {
        Self(LoggedChunk::default(), 1)
    }

    /// A record in this document, as many seconds after the epoch.
    fn then(
        mut self,
        (writer, number, second): (char, u64, i64),
        (action, detail): (AuditAction, Value),
    ) -> Self {
        let record = AuditRecord {
            at: Timestamp::from_second(second).expect("it is a time"),
            actor: Actor::Handler,
            action,
            subject: "chunk-a".to_owned(),
            detail,
        };
        let document = FollowedDocument {
            position: position(writer, number),
            checkpoint: self.1,
        };
        self.0.add(&document, &record);
        self
    }

    /// A checkpoint covers what was written so far.
    fn checkpoint(mut self) -> Self {
        self.1 += 1;
        self
    }

    /// A state in the next document of the one log.
    fn state(self, number: u64, name: &str) -> Self {
        let at = (WRITER, number, i64::try_from(number).expect("it is small"));
        self.then(at, audited_state(&state(name)))
    }

    fn recorded(self) -> Self {
        self.then((WRITER, 1, 1), (AuditAction::Recorded, Value::Null))
    }

    fn check(&self, name: &str, listed: &[u64]) -> StateCheck {
        let listed: Vec<_> = listed
            .iter()
            .map(|number| position(WRITER, *number))
            .collect();
        self.0.check_state(&state(name), &Listed::of(&listed))
    }
}

#[test]
fn an_entry_with_an_earlier_state_was_reset_whatever_it_lists() {
    let log = Log::new()
        .recorded()
        .state(2, "exported")
        .state(3, "sourceDeleted")
        .state(4, "removed");
    assert_eq!(log.check("removed", &[1, 2, 3, 4]), StateCheck::Newest);
    for listed in [&[][..], &[1, 2], &[1, 2, 3], &[1, 2, 3, 4]] {
        assert_eq!(
            log.check("exported", listed),
            StateCheck::Reset,
            "{listed:?}"
        );
        assert_eq!(
            log.check("pending", listed),
            StateCheck::Reset,
            "{listed:?}"
        );
    }
    assert_eq!(log.check("sourceDeleted", &[1, 2, 3, 4]), StateCheck::Reset);
    assert_eq!(log.check("sourceDeleted", &[1, 2, 3]), StateCheck::Unclear);
    assert_eq!(log.check("deadLettered", &[1, 2, 3]), StateCheck::NotLogged);
}

#[test]
fn a_record_that_was_written_twice_is_no_later_state() {
    let log = Log::new()
        .recorded()
        .state(2, "exported")
        .state(3, "exported");
    assert_eq!(log.check("exported", &[1, 2]), StateCheck::Newest);
    assert_eq!(log.check("exported", &[1, 3]), StateCheck::Newest);
}

#[test]
fn a_state_that_was_recorded_before_and_never_written_is_no_later_state() {
    let log = Log::new()
        .recorded()
        .state(2, "deadLettered")
        .state(3, "exported");
    assert_eq!(log.check("exported", &[1, 3]), StateCheck::Newest);
    let listed = |numbers: &[u64]| {
        let positions: Vec<_> = numbers
            .iter()
            .map(|number| position(WRITER, *number))
            .collect();
        Listed::of(&positions)
    };
    assert_eq!(log.0.count_unlisted(&listed(&[1, 3])), 1);
    assert_eq!(log.0.count_unlisted(&listed(&[1, 2, 3])), 0);
    assert_eq!(
        log.0.count_unlisted(&listed(&[1, 2])),
        0,
        "it is being written"
    );
}

#[test]
fn a_clock_that_is_ahead_makes_no_earlier_state_a_later_one() {
    let log = Log::new()
        .recorded()
        .then((OTHER, 1, 200), audited_state(&state("exported")))
        .state(2, "sourceDeleted");
    let listed = [position(WRITER, 1), position(OTHER, 1), position(WRITER, 2)];
    let check = |listed: &[AuditPosition]| {
        log.0
            .check_state(&state("sourceDeleted"), &Listed::of(listed))
    };
    assert_eq!(check(&listed), StateCheck::Newest);
    let removed = log.0.clone();
    let removed = Log(removed, 1).then((OTHER, 2, 250), audited_state(&state("removed")));
    let mut reordered = listed.to_vec();
    reordered.insert(0, position(OTHER, 2));
    let check = removed
        .0
        .check_state(&state("sourceDeleted"), &Listed::of(&reordered));
    assert_eq!(check, StateCheck::Reset, "nothing follows a removal");
}

#[test]
fn an_id_is_that_of_its_announcement_unless_that_lacked_it() {
    let announced = |action, detail: Value| (action, detail);
    let first = json!({"recordingId": "r+/a=", "callId": null, "index": 0});
    let later = json!({"recordingId": "other", "callId": "c", "index": 0});
    let log = Log::new()
        .then((WRITER, 1, 1), announced(AuditAction::Recorded, first))
        .then(
            (WRITER, 2, 2),
            announced(AuditAction::AnnouncedAgain, later),
        );
    let changed = |recording: Value, call: Value, index: u32| {
        let chunk = json!({"recordingId": recording, "callId": call, "index": index});
        log.0.changed_members(&chunk)
    };
    assert!(changed(json!("r-_a"), json!("c"), 0).is_empty());
    assert!(changed(json!("r+/a="), Value::Null, 0).is_empty());
    assert_eq!(changed(json!("other"), json!("c"), 0), ["recordingId"]);
    assert_eq!(
        changed(Value::Null, json!("d"), 1),
        ["recordingId", "callId", "index"]
    );
}

#[test]
fn an_entry_of_processes_whose_clocks_differ_was_not_reset() {
    for ahead in [600, 3600, 24 * 3600] {
        let log = Log::new()
            .recorded()
            .then((OTHER, 1, ahead), audited_state(&state("exported")))
            .checkpoint()
            .checkpoint()
            .state(2, "sourceDeleted");
        let listed = [position(WRITER, 1), position(OTHER, 1), position(WRITER, 2)];
        let check = |name: &str, listed: &[AuditPosition]| {
            log.0.check_state(&state(name), &Listed::of(listed))
        };
        assert_eq!(check("sourceDeleted", &listed), StateCheck::Newest);
        assert_eq!(check("exported", &listed), StateCheck::Reset, "{ahead}");
        assert_eq!(check("exported", &listed[..2]), StateCheck::Unclear);
        let mut reordered = listed.clone();
        reordered.swap(1, 2);
        assert_eq!(check("exported", &reordered), StateCheck::OrderUnclear);
    }
}

#[test]
fn an_order_that_only_clocks_know_is_unclear_where_the_list_has_another() {
    let log = Log::new()
        .recorded()
        .then((OTHER, 1, 3600), audited_state(&state("exported")))
        .state(2, "sourceDeleted");
    let listed = [position(WRITER, 1), position(OTHER, 1), position(WRITER, 2)];
    let check = |name: &str| log.0.check_state(&state(name), &Listed::of(&listed));
    assert_eq!(check("sourceDeleted"), StateCheck::OrderUnclear);
    assert_eq!(check("exported"), StateCheck::OrderUnclear);
}

#[test]
fn what_follows_the_newest_listed_record_is_counted_unless_it_is_a_state() {
    let action = |action| (action, Value::Null);
    for newest in [
        AuditAction::AnnouncedAgain,
        AuditAction::Accepted,
        AuditAction::Acknowledged,
        AuditAction::DeletingSource,
        AuditAction::Forgotten,
    ] {
        let log = Log::new()
            .recorded()
            .state(2, "exported")
            .then((OTHER, 1, 3), action(newest.clone()));
        let count = |listed: &[AuditPosition]| log.0.count_unlisted(&Listed::of(listed));
        let listed = [position(WRITER, 1), position(WRITER, 2), position(OTHER, 1)];
        assert_eq!(count(&listed), 0, "{newest}");
        assert_eq!(count(&listed[..2]), 1, "{newest}");
    }
}

#[test]
fn the_record_of_a_rebuild_proves_no_copy() {
    let exported = state("exported");
    let receipt = exported.receipt().expect("it has one");
    let rebuilt = || {
        (
            AuditAction::Rebuilt,
            json!({"proof": audited_state(&exported).1}),
        )
    };
    let log = Log::new().recorded().then((WRITER, 2, 2), rebuilt());
    assert_eq!(log.0.proof_of(receipt), LoggedProof::OnlyRebuilt);
    let other = json!({"media": "f/a.wav", "sha256": "1".repeat(64)});
    let log = log.then((WRITER, 3, 3), (AuditAction::Exported, other));
    assert_eq!(
        log.0.proof_of(receipt),
        LoggedProof::OnlyRebuiltBesideOthers
    );
    assert!(log.0.contradicts(receipt));
    let log = log.state(4, "exported");
    assert_eq!(log.0.proof_of(receipt), LoggedProof::Recorded);
    assert!(!log.0.contradicts(receipt));
    let empty = Log::new();
    assert_eq!(empty.0.proof_of(receipt), LoggedProof::NotRecorded);
}

#[test]
fn the_log_need_not_be_as_old_as_the_receipt_that_an_entry_was_rebuilt_from() {
    let Log(exported, _) = Log::new().then((WRITER, 1, 1), (AuditAction::Exported, Value::Null));
    assert!(exported.dates_entry());
    let Log(rebuilt, _) = Log::new().then((WRITER, 1, 1), (AuditAction::Rebuilt, Value::Null));
    assert!(!rebuilt.dates_entry());
}
