//! A phone number as it is written, in any spelling, and the numbers that it may mean. It must not know of persons.

use crate::recording::country::{Country, USUAL_PREFIX, ZERO_KEPT, may_exist, prefixes};

/// Digits that a phone number has at least, where its form says that it is one, and where only digits say so.
const SHORTEST_NUMBER: usize = 3;
pub(super) const SHORTEST_BARE_NUMBER: usize = 5;
/// E.164 allows 15; a prefix may come before.
const LONGEST_NUMBER: usize = 19;

/// A phone number as it is written.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum PhoneNumber {
    /// The digits of its international form.
    International(String),
    /// The digits that are dialled within a country, or an international number without its `+`.
    Dialled(String),
}

/// The digits of a phone number as they are written.
pub(super) struct Digits {
    all: String,
    /// Without a `(0)`, which is dialled within the country only.
    shortened: String,
    /// They follow `+`, or `4:`, after which ACS writes `+`.
    has_plus: bool,
}

impl PhoneNumber {
    pub(super) fn read(text: &str) -> Option<Self> {
        Some(Digits::read(text)?.number())
    }
}

impl Digits {
    pub(super) fn read(text: &str) -> Option<Self> {
        let text = text.trim_matches(is_separator);
        let text = without_start(text, "tel:").unwrap_or(text).trim_start();
        let raw = text.strip_prefix("4:");
        let mut written = String::new();
        let mut has_plus = false;
        for character in raw.unwrap_or(text).chars() {
            match character {
                '0'..='9' | '(' | ')' => written.push(character),
                '０'..='９' => written.push(ascii_digit(character)),
                '+' | '＋' => has_plus |= digits_of(&written).is_empty(),
                character if is_separator(character) => {}
                _ => return None,
            }
        }
        let all = digits_of(&written);
        // `(0)` is dialled within the country only.
        let shortened = digits_of(&written.replacen("(0)", "", 1));
        let shortest = if has_plus || raw.is_some() {
            SHORTEST_NUMBER
        } else {
            SHORTEST_BARE_NUMBER
        };
        if !(shortest..=LONGEST_NUMBER).contains(&all.len()) {
            return None;
        }
        Some(Self {
            all,
            shortened,
            has_plus: has_plus || raw.is_some(),
        })
    }

    /// The number as it is without a country.
    pub(super) fn number(&self) -> PhoneNumber {
        if self.has_prefix() {
            PhoneNumber::International(self.after(USUAL_PREFIX))
        } else if self.is_whole() {
            PhoneNumber::International(self.after(""))
        } else {
            PhoneNumber::Dialled(self.all.clone())
        }
    }

    /// Whether it begins with the usual international prefix.
    pub(super) fn has_prefix(&self) -> bool {
        self.shortened.starts_with(USUAL_PREFIX)
    }

    /// Whether it begins with a calling code.
    fn is_whole(&self) -> bool {
        self.has_plus && !self.shortened.starts_with('0')
    }

    /// What follows a prefix.
    fn after(&self, prefix: &str) -> String {
        let [all, shortened] = [&self.all, &self.shortened]
            .map(|digits| digits.strip_prefix(prefix).unwrap_or(digits));
        let keeps_zero = ZERO_KEPT.iter().any(|code| all.starts_with(code));
        let digits = if keeps_zero { all } else { shortened };
        digits.to_owned()
    }

    /// Every international number, without `+`, that may be meant where this is dialled in a country. None: it has its
    /// country, or nobody can have such a number.
    pub(super) fn international(&self, country: Option<Country>) -> Vec<String> {
        if self.is_whole() {
            return Vec::new();
        }
        let mut numbers = Vec::new();
        for prefix in prefixes(country, &self.shortened) {
            let number = self.after(prefix);
            if may_exist(&number) && !numbers.contains(&number) {
                numbers.push(number);
            }
        }
        if !numbers.is_empty() && !self.all.starts_with('0') && may_exist(&self.all) {
            // Its `+` may be left out.
            numbers.push(self.all.clone());
        }
        if numbers.is_empty() && !self.has_prefix() {
            numbers.extend(country.and_then(|country| country.international(&self.all)));
        }
        numbers
    }
}

fn digits_of(written: &str) -> String {
    written.chars().filter(char::is_ascii_digit).collect()
}

fn ascii_digit(full_width: char) -> char {
    let digit = u32::from(full_width) - u32::from('０');
    char::from_digit(digit, 10).unwrap_or(full_width)
}

/// Characters that are allowed between the digits of a phone number: spaces, dashes, and marks that come along with copied text.
pub(super) fn is_separator(character: char) -> bool {
    character.is_whitespace()
        || matches!(
            character,
            '-' | '.' | '/' | '\u{ad}' | '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{200b}'..='\u{200f}'
                | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}'
        )
}

fn without_start<'a>(text: &'a str, start: &str) -> Option<&'a str> {
    let found = text.get(..start.len())?;
    found
        .eq_ignore_ascii_case(start)
        .then(|| &text[start.len()..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case("7c62cca0-0000-4444-8888-000000000001")]
    #[case("11111111-2222-3333-4444-555555555555")]
    #[case("IVR 7")]
    #[case("17")]
    #[case("")]
    fn other_texts_are_no_phone_numbers(#[case] text: &str) {
        assert_eq!(PhoneNumber::read(text), None);
    }
}
