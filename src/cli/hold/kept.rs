//! What other holds keep after a release, in words. It must not know how that is found.

use recording_vault::catalogue::still_held::StillHeld;
use recording_vault::counted::counted;
use recording_vault::store::holds::CaseTag;

/// Says what other holds keep of what a released hold covered.
pub(super) fn kept_by(cases: &[CaseTag], still_held: &StillHeld) -> Option<String> {
    if cases.is_empty() {
        return None;
    }
    let cases: Vec<String> = cases.iter().map(|tag| format!("`{tag}`")).collect();
    let cases = cases.join(", ");
    let (held, recordings) = (still_held.held, still_held.recordings);
    Some(match (recordings, still_held.partly_held) {
        (0 | 1, 0) => format!("it is still held for {cases}"),
        (0 | 1, _) => format!("a part of it is still held for {cases}, and the rest is not"),
        (_, partly_held) => {
            let is = is_or_are(held);
            let in_part = match partly_held {
                0 => String::new(),
                count => format!(", and {count} in part"),
            };
            format!("{held} of {recordings} recordings {is} still held for {cases}{in_part}")
        }
    })
}

/// Says of what it is not known whether it is still held.
pub(super) fn not_known(still_held: &StillHeld) -> Vec<String> {
    let capped = still_held.is_capped.then(|| {
        "it covered more recordings than were read: whether the others are still held is unknown"
            .to_owned()
    });
    let unreadable = match still_held.unreadable {
        0 => None,
        count => Some(format!(
            "{} that it may have covered {} not readable: what is still held there is unknown",
            counted(count, "account or entry", "accounts or entries"),
            is_or_are(count)
        )),
    };
    let unreadable_holds = match still_held.unreadable_holds {
        0 => None,
        count => Some(format!(
            "{} {} not readable: what such a hold covers is unknown, and is not deleted",
            counted(count, "hold", "holds"),
            is_or_are(count)
        )),
    };
    let all = [capped, unreadable, unreadable_holds];
    all.into_iter().flatten().collect()
}

fn is_or_are(count: usize) -> &'static str {
    if count == 1 { "is" } else { "are" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case::of_nothing_known(0, 0, 0, "it is still held for `Y-1`")]
    #[case::of_one(1, 1, 0, "it is still held for `Y-1`")]
    #[case::of_a_part(1, 0, 1, "a part of it is still held for `Y-1`, and the rest is not")]
    #[case::of_two(2, 1, 0, "1 of 2 recordings is still held for `Y-1`")]
    #[case::of_more(3, 2, 1, "2 of 3 recordings are still held for `Y-1`, and 1 in part")]
    fn a_release_says_how_much_is_still_held(
        #[case] recordings: usize,
        #[case] held: usize,
        #[case] partly_held: usize,
        #[case] expected: &str,
    ) {
        let still_held = StillHeld {
            recordings,
            held,
            partly_held,
            ..StillHeld::default()
        };
        let cases: [CaseTag; 1] = ["Y-1".parse().unwrap()];
        assert_eq!(kept_by(&cases, &still_held).as_deref(), Some(expected));
        assert_eq!(kept_by(&[], &still_held), None);
        assert!(not_known(&still_held).is_empty());
    }
}
