//! What the verdict says of what is known.

use std::collections::BTreeSet;

use super::line::VerdictLine;
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
        unreadable_chunks: Vec::new(),
        unwritten_chunks: 0,
        poison: 0,
        kept_events: 0,
        unknown_starts: Vec::new(),
        has_more_starts: false,
        last_sweep: Some(at("2026-03-02T11:59:00Z")),
        timer: Some(TimerState::Fires),
        sweep_late_after: SignedDuration::from_mins(10),
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

fn chunk(number: usize) -> DocumentId {
    format!("doc-{number}").parse().unwrap()
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
    let changes: [fn(&mut Facts); 13] = [
        |facts| facts.check.as_mut().unwrap().in_place_unseen = 1,
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
        |facts| facts.timer = Some(TimerState::Late { last: None }),
        |facts| facts.timer = Some(TimerState::Unknown),
        |facts| facts.check = None,
        |facts| facts.check.as_mut().unwrap().began_at = at("2026-03-01T09:59:00Z"),
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let mut facts = facts(&[(Standing::Waiting, 1)]);
        change(&mut facts);
        let verdict = verdict(facts);
        assert_eq!(
            (verdict.kind, verdict.not_checked.len(), verdict.codes.len()),
            (VerdictKind::Unknown, 1, 1),
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
        |facts| facts.unreadable_chunks = vec![chunk(1)],
        |facts| facts.check.as_mut().unwrap().findings = 2,
        |facts| facts.storage = StorageUse::VaultEmpty,
        |facts| facts.storage = StorageUse::LedgerEmpty(Remains::AuditLog),
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let mut facts = facts(&[]);
        change(&mut facts);
        let verdict = verdict(facts);
        assert_eq!(
            (verdict.kind, verdict.codes.len()),
            (VerdictKind::Attention, 1),
            "{number}"
        );
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
fn a_chunk_that_is_not_recorded_yet_is_on_the_way_and_not_safe() {
    let mut facts = facts(&[]);
    facts.unwritten_chunks = 1;
    let verdict = verdict(facts.clone());
    assert_eq!(verdict.kind, VerdictKind::UnderWay);
    assert_eq!(verdict.headline, "Nothing is wrong; 1 chunk on the way");
    let said = ["On the way: 1 chunk announced and not recorded yet."];
    assert_eq!(verdict.details, said);
    assert_eq!(
        not_read(&facts),
        ["1 chunk is announced and not recorded yet"]
    );
}

#[test]
fn the_first_chunks_without_a_readable_entry_are_named() {
    let mut facts = facts(&[]);
    facts.unreadable_chunks = (1..=5).map(chunk).collect();
    let verdict = verdict(facts);
    assert_eq!(
        verdict.headline,
        "Needs attention: 5 chunks whose entries are missing or not readable"
    );
    let said = ["Entries missing or not readable: doc-1, doc-2, doc-3 and 2 more."];
    assert_eq!(verdict.details, said);
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
    facts.last_sweep = None;
    assert_eq!(kind(facts), VerdictKind::NoData);
}

#[test]
fn a_sweep_is_late_by_the_rhythm_of_the_timer() {
    let mut facts = facts(&[]);
    facts.last_sweep = Some(at("2026-03-02T11:38:00Z"));
    assert_eq!(kind(facts.clone()), VerdictKind::Unknown);
    facts.sweep_late_after = SignedDuration::from_mins(24);
    assert_eq!(kind(facts), VerdictKind::Safe);
}

#[test]
fn sweeps_behind_requests_do_not_hide_that_the_timer_triggers_none() {
    let mut facts = facts(&[]);
    let last = Some(at("2026-03-02T11:20:00Z"));
    facts.timer = Some(TimerState::Late { last });
    let late = verdict(facts.clone());
    assert_eq!(late.kind, VerdictKind::Unknown);
    assert_eq!(late.codes, [VerdictCode::TimerLate]);
    assert_eq!(
        late.not_checked,
        [
            "a request ran the last sweep, because the timer has triggered none since 2026-03-02T11:20:00Z: no sweep runs while there is no request; check that the timer of ExportSweep fires"
        ]
    );
    // The sweep has looked, so the reports of days miss nothing.
    assert!(not_recent(&facts).is_empty());

    facts.storage = StorageUse::Unused;
    let before_use = verdict(facts);
    assert_eq!(before_use.kind, VerdictKind::NoData);
    assert_eq!(before_use.codes, [VerdictCode::TimerLate]);
}

#[test]
fn a_vault_of_which_something_is_not_known_is_not_called_unused() {
    let changes: [fn(&mut Facts); 5] = [
        |facts| facts.unknown_starts = vec![facts.as_of],
        |facts| facts.has_more_starts = true,
        |facts| facts.audit_uncovered = Some("a log cannot be read".to_owned()),
        |facts| facts.is_capped = true,
        |facts| facts.kept_events = 1,
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let mut facts = facts(&[]);
        (facts.storage, facts.check) = (StorageUse::Unused, None);
        change(&mut facts);
        assert_eq!(kind(facts), VerdictKind::Unknown, "{number}");
    }
}

/// Facts with every cause at once, as far as they do not exclude each other.
fn everything_wrong(storage: StorageUse) -> Facts {
    let attention: Vec<(Standing, usize)> = Standing::ALL
        .into_iter()
        .filter(|standing| standing.concern() == Concern::Attention)
        .map(|standing| (standing, 1))
        .collect();
    let mut facts = facts(&attention);
    facts.is_capped = true;
    facts.unreadable_chunks = vec![chunk(1)];
    facts.poison = 1;
    facts.kept_events = 1;
    facts.unknown_starts = vec![facts.as_of];
    facts.last_sweep = None;
    facts.timer = Some(TimerState::Late { last: None });
    facts.audit_uncovered = Some("a log cannot be read".to_owned());
    if let Some(check) = &mut facts.check {
        check.findings = 1;
        check.in_place_unseen = 1;
        check.began_at = at("2026-03-01T00:00:00Z");
    }
    facts.storage = storage;
    facts
}

#[test]
fn every_cause_has_a_code_and_every_code_has_a_cause() {
    let storages = [
        StorageUse::VaultEmpty,
        StorageUse::LedgerEmpty(Remains::Vault),
        StorageUse::CopiesMissing {
            missing: 1,
            looked_at: 16,
        },
        StorageUse::VaultUnreadable {
            reason: "no route".to_owned(),
            is_ledger_empty: false,
        },
    ];
    let mut given = BTreeSet::new();
    for storage in storages {
        let facts = everything_wrong(storage);
        let causes = problems(&facts).len() + not_checked(&facts).len();
        let codes = verdict(facts).codes;
        let distinct: BTreeSet<VerdictCode> = codes.iter().copied().collect();
        assert_eq!((codes.len(), distinct.len()), (causes, causes), "{codes:?}");
        given.extend(distinct);
    }
    let of_the_sweep = VerdictLine::undetermined().of_failed_sweep();
    given.extend(of_the_sweep.codes().iter().copied());
    assert_eq!(given, VerdictCode::ALL.into_iter().collect());
}

#[test]
fn a_standing_has_a_code_if_it_needs_a_person() {
    for standing in Standing::ALL {
        let needs_a_person = standing.concern() == Concern::Attention;
        let code = VerdictCode::of_standing(standing);
        assert_eq!(code.is_some(), needs_a_person, "{standing}");
    }
}

/// Alert rules look for whole words in the line.
#[test]
fn codes_and_kinds_are_different_words_and_are_named_as_in_json() {
    let codes = VerdictCode::ALL.map(|code| (code.name(), serde_json::to_value(code).unwrap()));
    let kinds = VerdictKind::ALL.map(|kind| (kind.name(), serde_json::to_value(kind).unwrap()));
    let mut words = BTreeSet::new();
    for (name, json) in codes.into_iter().chain(kinds) {
        assert_eq!(json, name);
        assert!(name.chars().all(|c| c.is_ascii_alphanumeric()), "{name}");
        assert!(words.insert(name), "{name}");
    }
}

#[test]
fn the_line_of_a_sweep_has_the_kind_and_every_code() {
    let line = |facts| VerdictLine::of(&verdict(facts));
    assert_eq!(line(facts(&[])).to_string(), "Verdict: safe;");
    let mut lost = facts(&[(Standing::Lost, 2)]);
    lost.check = None;
    let lost = line(lost);
    assert_eq!(lost.to_string(), "Verdict: attention; lost checkLate");
    let failed = lost.of_failed_sweep();
    assert_eq!(failed.kind(), VerdictKind::Attention);
    for kind in [facts(&[]), facts(&[(Standing::Waiting, 1)])] {
        let failed = line(kind).of_failed_sweep();
        assert_eq!(failed.to_string(), "Verdict: unknown; sweepFailed");
    }
    assert!(line(facts(&[])).is_all_clear());
}

#[test]
fn the_line_of_a_timer_that_is_late_is_no_all_clear() {
    let line = |recordings: &[(Standing, usize)]| {
        let facts = Facts {
            timer: Some(TimerState::Late { last: None }),
            ..facts(recordings)
        };
        VerdictLine::of(&verdict(facts))
    };
    for recordings in [&[][..], &[(Standing::Waiting, 1)]] {
        let late = line(recordings);
        assert_eq!(late.to_string(), "Verdict: unknown; timerLate");
        assert!(!late.is_all_clear());
    }
    let lost = line(&[(Standing::Lost, 2)]);
    assert_eq!(lost.to_string(), "Verdict: attention; lost timerLate");
}
