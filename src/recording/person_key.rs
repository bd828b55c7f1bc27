//! One form for the many spellings of a person's id: ids are compared and hashed in this form only. It must not know where
//! ids come from, and which settings there are.

mod number;

use self::number::{Digits, PhoneNumber, SHORTEST_BARE_NUMBER, is_separator};
use super::country::{Country, may_exist};

/// Digits of a number that is recognised in a text, by so many of its last digits.
const LONG_ENOUGH: usize = 7;
const LAST_DIGITS: usize = 8;
/// What may precede an id: <https://learn.microsoft.com/azure/communication-services/concepts/identifiers>
const KINDS: [&str; 8] = [
    "acs:",
    "orgid:",
    "gcch-acs:",
    "dod-acs:",
    "gcch:",
    "dod:",
    "teamsvisitor:",
    "spool:",
];

/// The form of an id in which equal persons are equal. Has no `Display`: it names a person.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PersonKey(String);

impl PersonKey {
    /// Reads an id as ACS, an event or a caller writes it: in any casing, with or without prefix, a phone number in any
    /// spelling.
    pub fn of(id: &str) -> Self {
        match PhoneNumber::read(id) {
            Some(PhoneNumber::International(digits)) => Self(format!("+{digits}")),
            Some(PhoneNumber::Dialled(digits)) if digits.starts_with('0') => Self(digits),
            Some(PhoneNumber::Dialled(digits)) => Self(format!("+{digits}")),
            None => Self(without_prefix(id)),
        }
    }

    /// Returns the forms that a searched id may have, the most likely first. A phone number without `+` is one that is dialled
    /// in `country`.
    pub fn searched(text: &str, country: Option<Country>) -> Vec<Self> {
        let literal = Self::of(text);
        let Some(digits) = Digits::read(text) else {
            return vec![literal];
        };
        let numbers = digits.international(country);
        // Nobody has such a number; an earlier version may have held it.
        let is_nobodys = literal.is_national() || !may_exist(literal.digits());
        let keys = numbers.into_iter().map(|number| Self(format!("+{number}")));
        let mut keys: Vec<Self> = keys.collect();
        if keys.is_empty() || (is_nobodys && !keys.contains(&literal)) {
            keys.push(literal);
        }
        keys
    }

    /// Whether an id is a phone number that may belong to any country, or to one of several: it names nobody. `country`
    /// completes a number in national form, and says with which prefix other countries are dialled. Digits without `+` may
    /// have their country already, unless an area code in brackets begins them.
    pub fn lacks_country(text: &str, country: Option<Country>) -> bool {
        let Some(digits) = Digits::read(text) else {
            return false;
        };
        let has_area_code = || text.trim_matches(is_separator).starts_with('(');
        match (digits.number(), digits.international(country).len()) {
            (_, 1) => false,
            (PhoneNumber::International(_), _) => digits.has_prefix(),
            (PhoneNumber::Dialled(all), 0) => {
                // Without its `+` it is an international number only if there may be such a one.
                let is_no_number = all.len() >= LONG_ENOUGH && !may_exist(&all);
                country.is_none() || all.starts_with('0') || has_area_code() || is_no_number
            }
            (PhoneNumber::Dialled(_), _) => true,
        }
    }

    /// Whether it is a phone number in national form: its country is unknown.
    pub fn is_national(&self) -> bool {
        self.0.starts_with('0') && self.0.bytes().all(|byte| byte.is_ascii_digit())
    }

    /// Whether a text names the person: it has the id without prefix, or the last digits of the phone number.
    pub fn is_named_in(&self, text: &str) -> bool {
        let digits = self.0.trim_start_matches('+');
        if digits.len() >= LONG_ENOUGH && digits.bytes().all(|byte| byte.is_ascii_digit()) {
            let last = &digits[digits.len().saturating_sub(LAST_DIGITS)..];
            let is_left_out =
                |character: &char| is_separator(*character) || "()".contains(*character);
            let joined: String = text.chars().filter(|it| !is_left_out(it)).collect();
            return joined.contains(last);
        }
        // A shorter id may be part of any word.
        self.0.len() >= SHORTEST_BARE_NUMBER && text.to_lowercase().contains(&self.0)
    }

    /// Whether a text evidently names somebody: it has a phone number with `+`, or a raw id such as `8:acs:…`.
    pub fn are_in(text: &str) -> bool {
        // Of a time zone, such as UTC+1, a date may follow.
        let begins = |at: usize| !text[..at].ends_with(char::is_alphanumeric);
        let phone = |(at, _): (usize, &str)| begins(at) && is_phone_number(&text[at..]);
        let raw_id = |(at, _): (usize, &str)| is_raw_id(&text[..at], &text[at..]);
        text.match_indices(['+', '＋']).any(phone) || text.match_indices(':').any(raw_id)
    }

    /// Its form as text, which names the person.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn digits(&self) -> &str {
        self.0.trim_start_matches('+')
    }
}

/// Whether a text begins with a phone number, which begins with `+` and the first digit of its country.
fn is_phone_number(text: &str) -> bool {
    let rest = &text[text.chars().next().map_or(0, char::len_utf8)..];
    let begins = rest.trim_start_matches('(');
    let is_part = |it: char| {
        it.is_ascii_digit() || ('０'..='９').contains(&it) || is_separator(it) || "()".contains(it)
    };
    let end = rest.find(|it| !is_part(it)).unwrap_or(rest.len());
    let digits = rest[..end].chars().filter(|it| it.is_numeric()).count();
    let has_country = begins.starts_with(char::is_numeric) && !begins.starts_with(['0', '０']);
    has_country && digits >= LONG_ENOUGH
}

/// Whether there is a raw id of a participant around the `:` at the beginning of `after`.
fn is_raw_id(before: &str, after: &str) -> bool {
    let number_at = before
        .rfind(|it: char| !it.is_alphanumeric())
        .map_or(0, |at| {
            at + before[at..].chars().next().map_or(0, char::len_utf8)
        });
    let after = after[1..].to_lowercase();
    let is_of_kind = KINDS.iter().any(|kind| after.starts_with(kind));
    match &before[number_at..] {
        "8" | "28" => is_of_kind,
        "4" => after.starts_with('+'),
        _ => false,
    }
}

/// Returns the id without the prefix of its kind, in lower case.
fn without_prefix(id: &str) -> String {
    let id = id.trim().to_lowercase();
    let cut = |id: &str| -> Option<String> {
        let (number, rest) = id.split_once(':')?;
        let is_number =
            (1..=2).contains(&number.len()) && number.bytes().all(|it| it.is_ascii_digit());
        Some(rest.to_owned()).filter(|rest| is_number && !rest.is_empty())
    };
    let id = cut(&id).unwrap_or(id);
    let kind = KINDS.iter().find_map(|kind| id.strip_prefix(kind));
    kind.filter(|rest| !rest.is_empty())
        .map(str::to_owned)
        .unwrap_or(id)
}

#[cfg(test)]
mod tests {
    use super::super::country;
    use super::*;

    fn germany() -> Option<Country> {
        "DE".parse().ok()
    }

    #[rstest::rstest]
    #[case("+1 555 123 0001 asked")]
    #[case("caller +15551230001")]
    #[case("John Smith +49 (0)30 1234-567")]
    #[case("of (+49) 30 1234567, twice")]
    #[case("＋４９３０１２３４５６７")]
    #[case("8:acs:29bd5ea9_01")]
    #[case("asked by (8:ORGID:1), today")]
    #[case("4:+15551230001")]
    #[case("bot 28:gcch:1")]
    fn a_text_with_a_number_or_an_id_names_somebody(#[case] text: &str) {
        assert!(PersonKey::are_in(text));
    }

    #[rstest::rstest]
    #[case("a test call")]
    #[case("case 2026-0017 of 12 March")]
    #[case("at 10:30, UTC+01:00, 2026-03-02")]
    #[case("2026-03-02T10:00:00+02:00 20260302")]
    #[case("C++ 2026 + 3 others, A+B, A + 2026-03-02")]
    #[case("18:acs:1 and 8: acs")]
    #[case("ticket+4711")]
    #[case("asked at 10:30 GMT+1 2026-03-02")]
    fn other_texts_name_nobody_evidently(#[case] text: &str) {
        assert!(!PersonKey::are_in(text));
    }

    #[rstest::rstest]
    #[case("4:+493012345678")]
    #[case("+493012345678")]
    #[case("+49 30 1234-5678")]
    #[case("+49 (0)30 12345678")]
    #[case("+49 (0) 30/123 456 78")]
    #[case("(+49) 30 12345678")]
    #[case("0049 30 12345678")]
    #[case("0049 (0)30 12345678")]
    #[case("004930.1234.5678")]
    #[case("4:0049 30 12345678")]
    #[case("4:493012345678")]
    #[case("4: 493012345678")]
    #[case(" 493012345678")]
    #[case("+49+30+12345678")]
    #[case("tel:+49-30-1234-5678")]
    #[case("TEL: +49 30 12345678")]
    #[case("\u{202a}+49\u{a0}30\u{2011}12345678\u{202c}")]
    #[case("＋４９３０１２３４５６７８")]
    fn a_phone_number_is_one_person_in_every_spelling(#[case] text: &str) {
        assert_eq!(PersonKey::of(text).as_str(), "+493012345678");
        let searched = PersonKey::searched(text, germany());
        assert_eq!(searched, [PersonKey::of("4:+493012345678")]);
    }

    #[rstest::rstest]
    #[case("030 12345678")]
    #[case("(030) 1234-5678")]
    #[case("(0)30 12345678")]
    #[case("030+12345678")]
    #[case("4:03012345678")]
    fn a_national_number_is_one_of_the_default_country_only(#[case] text: &str) {
        let [first, literal] = &PersonKey::searched(text, germany())[..] else {
            panic!("it is searched for as it is, too")
        };
        assert_eq!(first.as_str(), "+493012345678");
        assert_eq!(literal.as_str(), "03012345678");
        let without_country = PersonKey::searched(text, None);
        assert_eq!(without_country, std::slice::from_ref(literal));
        assert!(literal.is_national() && !first.is_national());
    }

    #[rstest::rstest]
    #[case("030 12345678", true, false)]
    #[case("(030) 12345678", true, false)]
    #[case("(555) 123-0001", true, true)]
    #[case("5551230001", true, false)]
    #[case("4:03012345678", true, false)]
    #[case("+49 (0)30 12345678", false, false)]
    #[case("(+49) 30 12345678", false, false)]
    #[case("004930 12345678", false, false)]
    #[case("4:493012345678", false, false)]
    #[case("8:acs:29bd5ea9_00000001", false, false)]
    #[case("anna", false, false)]
    fn a_number_needs_its_country(#[case] text: &str, #[case] alone: bool, #[case] german: bool) {
        assert_eq!(PersonKey::lacks_country(text, None), alone);
        assert_eq!(PersonKey::lacks_country(text, germany()), german);
        let american = "US".parse().ok();
        assert!(!PersonKey::lacks_country("(555) 123-0001", american));
    }

    #[rstest::rstest]
    #[case("AU", "0011 49 30 12345678")]
    #[case("AU", "0011 49 (0)30 12345678")]
    #[case("AU", "4:0011493012345678")]
    #[case("AU", "0049 30 12345678")]
    #[case("US", "011 49 30 12345678")]
    #[case("US", "(011) 49 30 12345678")]
    #[case("JP", "010 49 30 12345678")]
    #[case("RU", "8 10 49 30 12345678")]
    #[case("BY", "810 493012345678")]
    #[case("CU", "119 49 30 12345678")]
    #[case("KE", "000 49 30 12345678")]
    #[case("HK", "001 49 30 12345678")]
    #[case("BR", "0021 49 30 12345678")]
    #[case("IL", "012 49 30 12345678")]
    #[case("FI", "990 49 30 12345678")]
    fn a_number_is_dialled_abroad_as_in_the_country_of_its_caller(
        #[case] country: &str,
        #[case] dialled: &str,
    ) {
        let country = country.parse().ok();
        let searched = PersonKey::searched(dialled, country);
        assert_eq!(searched[0].as_str(), "+493012345678");
        assert!(!PersonKey::lacks_country(dialled, country));
        // Every other form is of nobody.
        let mut others = searched[1..].iter();
        assert!(others.all(|key| !may_exist(key.digits())), "{searched:?}");
    }

    #[test]
    fn a_number_of_which_the_prefix_may_be_a_part_of_the_country_is_of_nobody_for_certain() {
        let nigeria = "NG".parse().ok();
        let both = ["+15551230001", "+915551230001"].map(PersonKey::of);
        assert_eq!(PersonKey::searched("009 1 555 123 0001", nigeria), both);
        assert!(PersonKey::lacks_country("009 1 555 123 0001", nigeria));
        assert!(!PersonKey::lacks_country("+91 555 123 0001", nigeria));
    }

    #[rstest::rstest]
    #[case("0011 49 30 12345678")]
    #[case("000 49 30 12345678")]
    #[case("00 999 12345678")]
    #[case("0049 030 12345678")]
    fn no_country_has_such_a_number(#[case] dialled: &str) {
        for country in [None, germany()] {
            assert!(PersonKey::lacks_country(dialled, country), "{country:?}");
        }
    }

    #[test]
    fn digits_that_begin_with_no_calling_code_are_no_number_without_a_plus() {
        let finland = "FI".parse().ok();
        assert!(PersonKey::lacks_country("1888 49 30 12345678", finland));
        assert!(!PersonKey::lacks_country("49 30 12345678", finland));
    }

    /// Whatever prefix a country has, a number is found, or it is said that its country is not certain.
    #[test]
    fn with_no_prefix_of_any_country_is_a_number_taken_for_another_one() {
        let numbers = ["493012345678", "15551230001", "61491570156", "79123456789"];
        for (name, prefix) in country::tests::all_prefixes() {
            let country: Option<Country> = name.parse().ok();
            for number in numbers {
                let dialled = format!("{prefix}{number}");
                let searched = PersonKey::searched(&dialled, country);
                let is_certain = !PersonKey::lacks_country(&dialled, country);
                let expected = PersonKey::of(&format!("+{number}"));
                assert!(
                    !is_certain || searched[0] == expected,
                    "{name}: {dialled}: {searched:?}"
                );
                let is_usual = matches!(prefix.as_str(), "00" | "0011" | "010" | "011" | "810");
                let is_searched = searched.contains(&expected);
                assert!(is_searched || !is_usual, "{name}: {dialled}: {searched:?}");
            }
        }
    }

    #[test]
    fn a_zero_that_belongs_to_the_number_stays() {
        let expected = PersonKey::of("4:+390612345678");
        assert_eq!(PersonKey::of("+39 (0)6 12345678"), expected);
        assert_eq!(
            PersonKey::searched("06 12345678", "IT".parse().ok())[0],
            expected
        );
    }

    #[rstest::rstest]
    #[case("8:acs:29bd5ea9_00000001", "29BD5EA9_00000001")]
    #[case("8:acs:29bd5ea9_00000001", " acs:29bd5ea9_00000001 ")]
    #[case(
        "8:orgid:7c62cca0-0000-4444-8888-000000000001",
        "7c62cca0-0000-4444-8888-000000000001"
    )]
    #[case(
        "28:orgid:7c62cca0-0000-4444-8888-000000000001",
        "28:7C62cca0-0000-4444-8888-000000000001"
    )]
    #[case("4:anonymous", "anonymous")]
    fn an_id_is_one_person_with_and_without_its_prefix(#[case] one: &str, #[case] other: &str) {
        assert_eq!(PersonKey::of(one), PersonKey::of(other));
    }

    #[rstest::rstest]
    #[case("8:acs:anna", "8:acs:bert")]
    #[case("4:+15551230001", "4:+15551230002")]
    #[case("8:live:anna", "8:anna")]
    #[case("8:acs:15551230001x", "4:+15551230001")]
    #[case("8:acs:", "8:orgid:")]
    fn different_persons_stay_different(#[case] one: &str, #[case] other: &str) {
        assert_ne!(PersonKey::of(one), PersonKey::of(other));
    }
}
