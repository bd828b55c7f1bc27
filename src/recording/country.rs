//! Countries and their phone numbers: the calling code, and how a number is dialled within the country and from it. Only what
//! a dialled number needs to become its international form; it knows no settings.

mod plans;

use std::cmp::Reverse;
use std::str::FromStr;
use std::sync::LazyLock;

use self::plans::PLANS;

/// The international prefix that ITU-T E.164 recommends. Where a country has another one, this one is written too.
pub(super) const USUAL_PREFIX: &str = "00";
/// Digits of a number without its area code, at most: those of a mobile phone in Brazil.
pub(super) const LONGEST_LOCAL: usize = 9;

/// Markers in `PLANS`.
const NONE: &str = "-";
const OPTIONAL: char = '?';

static COUNTRIES: LazyLock<Vec<Country>> =
    LazyLock::new(|| PLANS.lines().filter_map(Country::read).collect());

/// How phone numbers are dialled in a country, and in others of its calling code. The fields are those of
/// `PLANS`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Country {
    calling_code: &'static str,
    names: &'static str,
    trunks: &'static str,
    prefixes: &'static str,
    numbers: &'static str,
}

/// A text that names no country.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a country, such as DE or US, or its calling code, such as 49")]
pub struct NoCountry;

impl FromStr for Country {
    type Err = NoCountry;
    fn from_str(text: &str) -> Result<Self, NoCountry> {
        let text = text.trim();
        let code = text.trim_start_matches('+');
        let has_name = |country: &&Country| {
            let mut names = country.names.split(',');
            country.calling_code == code || names.any(|name| name.eq_ignore_ascii_case(text))
        };
        let mut countries = COUNTRIES.iter().filter(|country| country.names != NONE);
        countries.find(has_name).copied().ok_or(NoCountry)
    }
}

/// Returns the international prefixes with which dialled digits begin, the longest first: those of the country, and `00`.
/// Without a country, digits after `00` may be dialled in any.
pub(super) fn prefixes(country: Option<Country>, dialled: &str) -> Vec<&str> {
    let own: Vec<&str> = match country {
        Some(country) => country.prefixes.split(',').collect(),
        None if dialled.starts_with(USUAL_PREFIX) => {
            let all = COUNTRIES.iter();
            all.flat_map(|country| country.prefixes.split(','))
                .collect()
        }
        None => return Vec::new(),
    };
    let patterns = own.into_iter().chain([USUAL_PREFIX]);
    let mut found: Vec<&str> = patterns
        .filter_map(|pattern| beginning(dialled, pattern))
        .collect();
    found.sort_by_key(|prefix| Reverse(prefix.len()));
    found.dedup();
    found
}

/// Returns the beginning of digits that has the form of a pattern.
fn beginning<'a>(digits: &'a str, pattern: &str) -> Option<&'a str> {
    let mut rest = digits.chars();
    let mut pattern = pattern.chars();
    while let Some(wanted) = pattern.next() {
        let digit = rest.next()?;
        let fits = match wanted {
            'x' => true,
            '[' => {
                let choice: String = pattern.by_ref().take_while(|it| *it != ']').collect();
                choice.contains(digit)
            }
            wanted => wanted == digit,
        };
        if !fits {
            return None;
        }
    }
    digits.strip_suffix(rest.as_str())
}

/// Whether a number is as long as `8` or `6-9` says.
fn has_length(number: &str, lengths: &str) -> bool {
    let (shortest, longest) = lengths.split_once('-').unwrap_or((lengths, lengths));
    let range: Option<(usize, usize)> = shortest.parse().ok().zip(longest.parse().ok());
    range.is_some_and(|(shortest, longest)| (shortest..=longest).contains(&number.len()))
}

/// Returns the calling code with which a number begins, if there may be such a number.
pub(super) fn calling_code(international: &str) -> Option<&'static str> {
    let has_it = |country: &&Country| {
        let number = international.strip_prefix(country.calling_code);
        number.is_some_and(|number| country.has(number))
    };
    let found = COUNTRIES.iter().find(has_it);
    found.map(|country| country.calling_code)
}

/// Whether there may be a number with these digits, which begin with a calling code.
pub(super) fn may_exist(international: &str) -> bool {
    calling_code(international).is_some()
}

impl Country {
    fn read(plan: &'static str) -> Option<Self> {
        let mut fields = plan.splitn(5, ' ');
        Some(Self {
            calling_code: fields.next()?,
            names: fields.next()?,
            trunks: fields.next()?,
            prefixes: fields.next()?,
            numbers: fields.next()?,
        })
    }

    /// Whether there may be a number with these digits after the calling code.
    fn has(&self, number: &str) -> bool {
        let mut forms = self.numbers.split(' ').filter_map(|it| it.split_once(':'));
        forms.any(|(pattern, lengths)| {
            let mut lengths = lengths.split(',');
            beginning(number, pattern).is_some() && lengths.any(|it| has_length(number, it))
        })
    }

    fn trunks(&self) -> impl Iterator<Item = &'static str> {
        self.trunks.trim_start_matches(OPTIONAL).split(',')
    }

    /// Returns every number, without `+`, that digits may be in national form, with or without a trunk prefix.
    pub(super) fn national_numbers(&self, dialled: &str) -> Vec<String> {
        let after_trunk = self.trunks().filter_map(|it| dialled.strip_prefix(it));
        let numbers = after_trunk.chain([dialled]).filter(|it| self.has(it));
        numbers
            .map(|number| format!("{}{number}", self.calling_code))
            .collect()
    }

    /// Whether a national number is usually written as these digits are: with a trunk prefix, or without one where there is
    /// none, or where it is left out and the area code is there.
    pub(super) fn is_usual_form(&self, dialled: &str) -> bool {
        let has_area_code = dialled.len() > LONGEST_LOCAL;
        self.trunks.starts_with(NONE)
            || self.trunks.starts_with(OPTIONAL) && has_area_code
            || self.trunks().any(|trunk| dialled.starts_with(trunk))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn country(name: &str) -> Country {
        name.parse().expect("it is a country")
    }

    #[test]
    fn every_plan_is_of_another_calling_code_and_all_its_fields_are_readable() {
        assert_eq!(COUNTRIES.len(), PLANS.lines().count());
        let codes: BTreeSet<&str> = COUNTRIES.iter().map(|it| it.calling_code).collect();
        assert_eq!(codes.len(), COUNTRIES.len());
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let pattern = |text: &str| digits(&text.replace(['x', '[', ']'], ""));
        for plan in COUNTRIES.iter() {
            assert!(digits(plan.calling_code), "{plan:?}");
            assert!(plan.trunks().all(|it| it == NONE || digits(it)), "{plan:?}");
            let mut prefixes = plan.prefixes.split(',');
            assert!(prefixes.all(|it| it == NONE || pattern(it)), "{plan:?}");
            for form in plan.numbers.split(' ') {
                let (begins, lengths) = form.split_once(':').expect("it has lengths");
                let is_length =
                    |it: &str| (1..20).any(|length| has_length(&"0".repeat(length), it));
                assert!(
                    pattern(begins) && lengths.split(',').all(is_length),
                    "{form}"
                );
            }
        }
    }

    #[test]
    fn every_country_has_one_plan() {
        let names = COUNTRIES.iter().flat_map(|it| it.names.split(','));
        let names: Vec<&str> = names.filter(|name| *name != NONE).collect();
        let different: BTreeSet<&&str> = names.iter().collect();
        assert_eq!(different.len(), names.len());
        assert!(names.len() > 230, "{}", names.len());
        assert!(names.iter().all(|name| name.len() == 2), "{names:?}");
    }

    #[rstest::rstest]
    #[case("DE", "0301234567", &["49301234567"])]
    #[case("de", "301234567", &["49301234567"])]
    #[case("49", "0301234567", &["49301234567"])]
    #[case("+1", "5551230001", &["15551230001"])]
    #[case("US", "15551230001", &["15551230001"])]
    #[case("US", "0115551230", &[])]
    #[case("IT", "0612345678", &["390612345678"])]
    #[case("IT", "061234567", &["39061234567"])]
    #[case("CI", "0712345678", &["2250712345678"])]
    #[case("GA", "01234567", &["24101234567"])]
    #[case("GA", "06031234", &["2416031234", "24106031234"])]
    #[case("DK", "030123456", &[])]
    #[case("ES", "912345678", &["34912345678"])]
    #[case("ES", "34912345678", &[])]
    #[case("RU", "89123456789", &["79123456789"])]
    #[case("RU", "861012345678", &[])]
    #[case("HU", "0612345678", &["3612345678"])]
    #[case("LT", "861234567", &["37061234567"])]
    fn a_national_number_becomes_international(
        #[case] name: &str,
        #[case] dialled: &str,
        #[case] expected: &[&str],
    ) {
        assert_eq!(country(name).national_numbers(dialled), expected);
    }

    #[rstest::rstest]
    #[case("DE", "0301234567", true)]
    #[case("DE", "301234567890", false)]
    #[case("US", "5551230001", true)]
    #[case("US", "5551234", false)]
    #[case("IN", "9876543210", true)]
    #[case("BR", "912345678", false)]
    #[case("DK", "20123456", true)]
    #[case("MC", "93123456", true)]
    fn a_national_number_has_its_trunk_prefix_where_one_is_usual(
        #[case] name: &str,
        #[case] dialled: &str,
        #[case] expected: bool,
    ) {
        assert_eq!(country(name).is_usual_form(dialled), expected);
    }

    #[rstest::rstest]
    #[case("AU", "001149301234567", &["0011", "00"])]
    #[case("AU", "141400114930", &["14140011"])]
    #[case("DE", "001149301234567", &["00"])]
    #[case("HK", "008049301234567", &["0080", "008", "00"])]
    #[case("HK", "003049301234567", &["0030", "003", "00"])]
    #[case("TZ", "0054930", &["005", "00"])]
    #[case("CL", "123049301234567", &["1230"])]
    #[case("CL", "1230", &["1230"])]
    #[case("CL", "123", &[])]
    #[case("DE", "0301234567", &[])]
    #[case("CV", "0049", &["00", "0"])]
    fn the_longest_prefix_comes_first(
        #[case] name: &str,
        #[case] dialled: &str,
        #[case] expected: &[&str],
    ) {
        assert_eq!(prefixes(Some(country(name)), dialled), expected);
    }

    #[test]
    fn without_a_country_digits_after_00_are_dialled_in_any() {
        assert_eq!(prefixes(None, "005493012"), ["005", "00", "0"]);
        assert!(prefixes(None, "0115493012").is_empty());
    }

    #[rstest::rstest]
    #[case("493012345678", true)]
    #[case("4903012345678", false)]
    #[case("390612345678", true)]
    #[case("15551230001", true)]
    #[case("1555123000", false)]
    #[case("11493012345", false)]
    #[case("79123456789", true)]
    #[case("71123456789", false)]
    #[case("24101234567", true)]
    #[case("9876543210", false)]
    #[case("870773111632", true)]
    #[case("990123456789", false)]
    #[case("0493012345678", false)]
    #[case("4930", false)]
    #[case("493012345678901234", false)]
    fn a_number_that_cannot_exist_is_recognised(#[case] digits: &str, #[case] expected: bool) {
        assert_eq!(may_exist(digits), expected);
    }

    #[rstest::rstest]
    #[case("")]
    #[case("-")]
    #[case("Germany")]
    #[case("ZZ")]
    #[case("+999")]
    #[case("800")]
    fn what_is_no_country_is_refused(#[case] text: &str) {
        assert_eq!(text.parse::<Country>(), Err(NoCountry));
    }
}
