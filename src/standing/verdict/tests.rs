//! What the verdict says of what is known.

use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn facts(recordings: &[(Standing, usize)]) -> Facts {
    let as_of = at("2026-03-02T12:00:00Z");
    Facts {
        as_of,
        recordings: recordings.iter().copied().collect(),
        is_capped: false,
        first_deadline: None,
        unreadable_chunks: 0,
        poison: 0,
        kept_events: 0,
        last_sweep: Some(at("2026-03-02T11:59:00Z")),
        audit_uncovered: None,
        check: Some(CheckSummary {
            began_at: at("2026-03-02T02:00:00Z"),
            finished_at: at("2026-03-02T02:01:00Z"),
            recordings: 7,
            chunks: 7,
            files: 21,
            in_place_unseen: 0,
            findings: 0,
            examples: Vec::new(),
        }),
        storage: StorageUse::Used,
    }
}

fn kind(facts: Facts) -> VerdictKind {
    verdict(facts).kind
}

#[test]
fn files_in_the_customers_own_storage_that_were_not_looked_at_are_not_called_safe() {
    let mut facts = facts(&[]);
    let check = facts.check.as_mut().unwrap();
    check.in_place_unseen = 2;
    let verdict = verdict(facts);
    assert_eq!(verdict.kind, VerdictKind::Unknown);
    assert!(
        verdict.not_checked[0].starts_with("2 files in your own storage"),
        "{verdict:?}"
    );
}

#[test]
fn safe_is_said_only_if_every_recording_is_and_everything_was_checked() {
    assert_eq!(kind(facts(&[])), VerdictKind::Safe);
    assert_eq!(
        kind(facts(&[(Standing::Acknowledged, 1)])),
        VerdictKind::Safe
    );
    for standing in Standing::ALL {
        let found = kind(facts(&[(standing, 1)]));
        let expected = match standing.concern() {
            Concern::Attention => VerdictKind::Attention,
            Concern::UnderWay => VerdictKind::UnderWay,
            Concern::Acknowledged | Concern::Safe => VerdictKind::Safe,
        };
        assert_eq!(found, expected, "{standing}");
    }
}

#[test]
fn what_was_not_checked_is_said_and_is_never_called_safe() {
    let changes: [fn(&mut Facts); 10] = [
        |facts| facts.audit_uncovered = Some("a log cannot be read".to_owned()),
        |facts| facts.kept_events = 1,
        |facts| facts.last_sweep = Some(at("2026-03-02T12:05:01Z")),
        |facts| facts.check.as_mut().unwrap().began_at = at("2026-03-02T12:05:01Z"),
        |facts| {
            facts.storage = StorageUse::VaultUnreadable {
                reason: "no route".to_owned(),
                is_ledger_empty: true,
            };
        },
        |facts| facts.is_capped = true,
        |facts| facts.last_sweep = None,
        |facts| facts.last_sweep = Some(at("2026-03-02T11:49:00Z")),
        |facts| facts.check = None,
        |facts| facts.check.as_mut().unwrap().began_at = at("2026-03-01T09:59:00Z"),
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let mut facts = facts(&[(Standing::Waiting, 1)]);
        change(&mut facts);
        let verdict = verdict(facts);
        assert_eq!(
            (verdict.kind, verdict.not_checked.len()),
            (VerdictKind::Unknown, 1),
            "{number}"
        );
    }
}

#[test]
fn whatever_cannot_be_read_needs_attention() {
    let changes: [fn(&mut Facts); 6] = [
        |facts| {
            facts.storage = StorageUse::CopiesMissing {
                missing: 1,
                looked_at: 16,
            };
        },
        |facts| facts.poison = 1,
        |facts| facts.unreadable_chunks = 1,
        |facts| facts.check.as_mut().unwrap().findings = 2,
        |facts| facts.storage = StorageUse::VaultEmpty,
        |facts| facts.storage = StorageUse::LedgerEmpty,
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let mut facts = facts(&[]);
        change(&mut facts);
        assert_eq!(kind(facts), VerdictKind::Attention, "{number}");
    }
}

#[test]
fn the_worst_comes_first_and_every_kind_is_counted() {
    let mut facts = facts(&[
        (Standing::Doubtful, 1),
        (Standing::Lost, 2),
        (Standing::Waiting, 3),
        (Standing::Acknowledged, 4),
    ]);
    facts.poison = 1;
    facts.first_deadline = Some(at("2026-03-02T15:00:00Z"));
    let verdict = verdict(facts);
    assert_eq!(
        verdict.headline,
        "Needs attention: 2 recordings lost, 1 recording with doubtful media, 1 event that could not be read"
    );
    assert_eq!(
        verdict.details,
        [
            "On the way: 3 recordings waiting for export.",
            "The first deadline is 2026-03-02T15:00:00Z, in 3 h.",
            "Acknowledged losses: 4 recordings."
        ]
    );
}

#[test]
fn there_is_time_only_where_a_deadline_says_so() {
    let mut facts = facts(&[(Standing::Failed, 1)]);
    assert!(verdict(facts.clone()).details.is_empty());
    facts.first_deadline = Some(at("2026-03-02T11:00:00Z"));
    assert!(verdict(facts).details[0].ends_with("it has passed."));
}

#[test]
fn a_vault_that_was_never_used_has_no_data() {
    let mut facts = facts(&[]);
    facts.storage = StorageUse::Unused;
    facts.check = None;
    assert_eq!(kind(facts), VerdictKind::NoData);
}
