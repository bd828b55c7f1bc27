//! One form for the many spellings of a person's id: ids are compared and hashed in this form only. It must not know where
//! ids come from, and which settings there are.

#[cfg(test)]
mod dialling_tests;
mod number;

use self::number::{Digits, Meaning, PhoneNumber, SHORTEST_BARE_NUMBER, is_separator};
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
        let numbers = digits.meaning(country).numbers();
        // No person has such a number; an earlier version may have held it.
        let is_unassigned = literal.is_national() || !may_exist(literal.digits());
        let keys = numbers.into_iter().map(|number| Self(format!("+{number}")));
        let mut keys: Vec<Self> = keys.collect();
        if keys.is_empty() || (is_unassigned && !keys.contains(&literal)) {
            keys.push(literal);
        }
        keys
    }

    /// Whether an id is a phone number that may be read as several numbers, or as none that can exist: it names no person.
    /// `country` completes a number in national form, and says with which prefix other countries are dialled.
    pub fn lacks_country(text: &str, country: Option<Country>) -> bool {
        let digits = Digits::read(text);
        digits.is_some_and(|digits| matches!(digits.meaning(country), Meaning::Uncertain(_)))
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
    #[case("5551230001", true, true)]
    #[case("30 12345678", true, true)]
    #[case("12345", true, true)]
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
        // No person has a number of another form.
        let mut others = searched[1..].iter();
        assert!(others.all(|key| !may_exist(key.digits())), "{searched:?}");
    }

    #[test]
    fn a_number_of_which_the_prefix_may_be_a_part_of_the_country_is_ambiguous() {
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

    /// How people write numbers; without the `+` that is always certain.
    #[rstest::rstest]
    #[case::india("IN", "98765 43210", Some("+919876543210"))]
    #[case::israel_or_india("IN", "97212 34567", None)]
    #[case::china_or_america("CN", "131 2345 6789", None)]
    #[case::china("CN", "0131 2345 6789", Some("+8613123456789"))]
    #[case::turkey_or_cuba("TR", "532 123 45 67", None)]
    #[case::brazil_or_netherlands("BR", "31 91234 5678", None)]
    #[case::brazil("BR", "(11) 91234-5678", Some("+5511912345678"))]
    #[case::france("FR", "06 12 34 56 78", Some("+33612345678"))]
    #[case::france_without_trunk("FR", "6 12 34 56 78", None)]
    #[case::america_or_new_zealand("US", "646-555-1234", None)]
    #[case::america("US", "(646) 555-1234", Some("+16465551234"))]
    #[case::america_with_its_code("US", "1 646 555 1234", Some("+16465551234"))]
    #[case::germany_or_america("DE", "1 646 555 1234", None)]
    #[case::lithuania_or_china("LT", "8 612 34567", None)]
    #[case::sydney_or_iran("AU", "9876 5432", None)]
    #[case::within_town("US", "555 1234", None)]
    #[case::within_brazilian_town("BR", "91234-5678", None)]
    #[case::denmark("DK", "20 12 34 56", Some("+4520123456"))]
    #[case::tanzania_abroad("TZ", "005 49 30 12345678", None)]
    #[case::uganda_abroad("UG", "007 49 30 12345678", Some("+493012345678"))]
    #[case::finland_abroad("FI", "99511 49 30 12345678", Some("+493012345678"))]
    #[case::australia_abroad("AU", "1414 0011 49 30 12345678", Some("+493012345678"))]
    #[case::japan_abroad("JP", "010 999 1234567", None)]
    #[case::israel_abroad("IL", "012 999 1234567", None)]
    #[case::new_zealand_abroad("NZ", "0161 999 1234", None)]
    #[case::own_code("FR", "33 (0)6 12 34 56 78", Some("+33612345678"))]
    #[case::gabon("FR", "+241 (0)1 23 45 67", Some("+24101234567"))]
    fn a_text_names_a_person_if_it_can_be_read_in_one_way_only(
        #[case] country: &str,
        #[case] text: &str,
        #[case] expected: Option<&str>,
    ) {
        let country: Option<Country> = country.parse().ok();
        assert!(country.is_some());
        let searched = PersonKey::searched(text, country);
        let is_certain = !PersonKey::lacks_country(text, country);
        let found = is_certain.then(|| searched[0].as_str());
        assert_eq!(found, expected, "{searched:?}");
    }

    #[test]
    fn without_a_country_00_is_read_if_no_country_dials_another_number_so() {
        assert!(!PersonKey::lacks_country("0049 30 12345678", None));
        // In Hong Kong it is +36 12345678 through a carrier.
        assert!(PersonKey::lacks_country("0033 6 12 34 56 78", None));
        let france = "FR".parse().ok();
        assert!(!PersonKey::lacks_country("0033 6 12 34 56 78", france));
        assert!(PersonKey::lacks_country("011 49 30 12345678", None));
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
