//! What `reconcile` answers, and when its exit code is 0.

use super::*;

#[test]
fn a_period_is_its_days_and_their_folders() {
    let period = Period::new("2026-02-27".parse().unwrap(), "2026-03-02".parse().unwrap()).unwrap();
    assert_eq!(period.days().count(), 4);
    assert!(period.has_folder("20260227/a/b") && period.has_folder("20260302/a/b"));
    assert!(!period.has_folder("20260226/a/b") && !period.has_folder("20260303/a/b"));
    assert!(!period.has_folder("recording-vault-doctor-1.txt") && !period.has_folder("unknown"));
}

#[test]
fn a_period_is_fine_only_where_nothing_was_found_and_everything_was_checked() {
    let day = "2026-03-02".parse().unwrap();
    let mut report = Reconciliation {
        period: Period::new(day, day).unwrap(),
        recordings: 1,
        chunks: 1,
        files: 3,
        calls: 0,
        findings: Vec::new(),
        not_checked: Vec::new(),
    };
    assert!(report.is_fine() && report.to_string().contains("Nothing is missing."));
    report.not_checked.push("the vault".to_owned());
    assert!(!report.is_fine());
}

#[rstest::rstest]
#[case("2026-03-02", "2026-03-01", "must end after it begins")]
#[case("2024-01-01", "2026-03-01", "more than 366 days")]
fn what_is_no_period_is_refused(#[case] from: &str, #[case] to: &str, #[case] expected: &str) {
    let error = Period::new(from.parse().unwrap(), to.parse().unwrap())
        .unwrap_err()
        .to_string();
    assert!(error.contains(expected), "{error}");
}
