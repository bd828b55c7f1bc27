//! "Did you mean …?" for words of a closed set: members of a body, parameters of a query. Pure.

/// Words that people confuse with another one although the spelling differs.
const CONFUSED: [(&str, &str); 6] = [
    ("callId", "serverCallId"),
    ("groupId", "groupCallId"),
    ("limit", "top"),
    ("pageSize", "top"),
    ("since", "from"),
    ("until", "to"),
];
/// The smallest similarity of a suggestion.
const ALIKE: f64 = 0.8;

/// The word of `known` that `given` probably means.
pub fn meant<'a>(given: &str, known: &[&'a str]) -> Option<&'a str> {
    let find = |word: &str| known.iter().find(|known| known.eq_ignore_ascii_case(word));
    let confused = CONFUSED
        .iter()
        .filter(|(wrong, _)| wrong.eq_ignore_ascii_case(given))
        .find_map(|(_, right)| find(right));
    let likeness =
        |word: &str| strsim::jaro_winkler(&given.to_ascii_lowercase(), &word.to_ascii_lowercase());
    let alike = || {
        let words = known.iter().map(|word| (likeness(word), word));
        let best = words.max_by(|one, other| one.0.total_cmp(&other.0))?;
        (best.0 >= ALIKE).then_some(best.1)
    };
    let letters = |word: &str| {
        let mut letters = word.to_ascii_lowercase().into_bytes();
        letters.sort_unstable();
        letters
    };
    // `form` is a typo of `from`, and not short for `format`.
    let swapped = known.iter().find(|word| letters(word) == letters(given));
    find(given).or(confused).or(swapped).or_else(alike).copied()
}

/// `; did you mean …?`, or `; expected …` with all of them.
pub fn hint(given: &str, known: &[&str]) -> String {
    match meant(given, known) {
        Some(word) => format!("; did you mean `{word}`?"),
        None if known.is_empty() => "; there are none here.".to_owned(),
        None => format!("; expected {}.", quoted(known)),
    }
}

fn quoted(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.split_last() {
        Some((last, others)) if !others.is_empty() => format!("{} or {last}", others.join(", ")),
        Some(_) | None => quoted.concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case("callId", Some("serverCallId"))]
    #[case("servercallid", Some("serverCallId"))]
    #[case("serverCallID", Some("serverCallId"))]
    #[case("sreverCallId", Some("serverCallId"))]
    #[case("form", Some("from"))]
    #[case("limit", Some("top"))]
    #[case("xyz", None)]
    fn a_word_is_suggested_only_where_it_is_probably_meant(
        #[case] given: &str,
        #[case] expected: Option<&str>,
    ) {
        assert_eq!(
            meant(given, &["serverCallId", "roomId", "top", "format", "from"]),
            expected
        );
    }

    #[test]
    fn a_hint_is_a_suggestion_or_the_choices() {
        assert_eq!(hint("form", &["from", "to"]), "; did you mean `from`?");
        assert_eq!(hint("x", &["from", "to"]), "; expected `from` or `to`.");
        assert_eq!(hint("x", &[]), "; there are none here.");
    }
}
