//! A phone number as it is written, in any spelling, and the numbers that it may mean. It must not know of persons.

use crate::recording::country::{
    Country, LONGEST_LOCAL, USUAL_PREFIX, calling_code, may_exist, prefixes,
};

/// Digits that a phone number has at least, where its form says that it is one, and where only digits say so.
const SHORTEST_NUMBER: usize = 3;
pub(super) const SHORTEST_BARE_NUMBER: usize = 5;
/// E.164 allows 15; a prefix of up to 8 digits may come before.
const LONGEST_NUMBER: usize = 23;

/// A phone number as it is written.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum PhoneNumber {
    /// The digits of its international form.
    International(String),
    /// The digits that are dialled within a country, or an international number without its `+`.
    Dialled(String),
}

/// What the digits of a phone number mean. Numbers are without `+`.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Only this number can be meant.
    Certain(String),
    /// One of these may be meant, the most likely first, or another number, or none.
    Uncertain(Vec<String>),
}

/// The digits of a phone number as they are written.
pub(super) struct Digits {
    all: String,
    /// Without a `(0)`, which is dialled within the country only.
    shortened: String,
    /// In the brackets with which they begin: an area code, or a calling code.
    bracketed: Option<String>,
    /// They follow `+`, or `4:`, after which ACS writes `+`.
    has_plus: bool,
}

impl PhoneNumber {
    pub(super) fn read(text: &str) -> Option<Self> {
        Some(Digits::read(text)?.number())
    }
}

impl Meaning {
    pub(super) fn numbers(self) -> Vec<String> {
        match self {
            Self::Certain(number) => vec![number],
            Self::Uncertain(numbers) => numbers,
        }
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
        let bracketed = written.strip_prefix('(');
        let bracketed = bracketed.and_then(|rest| rest.split_once(')'));
        Some(Self {
            all,
            shortened,
            bracketed: bracketed.map(|(code, _)| digits_of(code)),
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
    fn has_prefix(&self) -> bool {
        self.shortened.starts_with(USUAL_PREFIX)
    }

    /// Whether it begins with a calling code.
    fn is_whole(&self) -> bool {
        self.has_plus && !self.shortened.starts_with('0')
    }

    /// What follows a prefix, without a `(0)` unless the number has it, as in Italy.
    fn after(&self, prefix: &str) -> String {
        let [all, shortened] = [&self.all, &self.shortened]
            .map(|digits| digits.strip_prefix(prefix).unwrap_or(digits));
        let keeps_zero = all != shortened && may_exist(all);
        let digits = if keeps_zero { all } else { shortened };
        digits.to_owned()
    }

    /// What is meant if `+` is left out, if there may be such a number.
    fn without_plus(&self) -> Option<String> {
        let number = self.after("");
        let code = calling_code(&number)?;
        let is_code = |bracketed: &String| bracketed == code;
        let is_begun = self.bracketed.as_ref().is_none_or(is_code);
        (is_begun && !self.all.starts_with('0')).then_some(number)
    }

    /// What is meant where this is dialled in a country; without one, in any. Digits may be an international number after a
    /// prefix or without its `+`, or a national number with or without its trunk prefix.
    pub(super) fn meaning(&self, country: Option<Country>) -> Meaning {
        if self.is_whole() {
            return Meaning::Certain(self.after(""));
        }
        let prefixes = prefixes(country, &self.shortened);
        let abroad = prefixes.iter().map(|prefix| self.after(prefix));
        let abroad: Vec<String> = abroad.filter(|number| may_exist(number)).collect();
        let national = country.map(|country| country.national_numbers(&self.all));
        let national = national.unwrap_or_default();
        let mut numbers: Vec<String> = Vec::new();
        for number in abroad.iter().chain(&national).chain(&self.without_plus()) {
            if !numbers.contains(number) {
                numbers.push(number.clone());
            }
        }
        let [number] = &numbers[..] else {
            return Meaning::Uncertain(numbers);
        };
        let is_certain = match (country, prefixes.is_empty()) {
            // With a prefix of the country it is no national number, also if no other country has such a number.
            (Some(_), false) => abroad.contains(number),
            (None, false) => *number == self.after(USUAL_PREFIX),
            (Some(country), true) if national.contains(number) => country.is_usual_form(&self.all),
            // Fewer digits may be a number of the caller's town.
            (Some(_), true) => self.all.len() > LONGEST_LOCAL,
            (None, true) => false,
        };
        if is_certain {
            Meaning::Certain(number.clone())
        } else {
            Meaning::Uncertain(numbers)
        }
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

    #[test]
    fn what_may_be_meant_is_named_the_most_likely_first() {
        let digits = Digits::read("005 49 30 12345678").expect("it is a phone number");
        let numbers = ["493012345678", "5493012345678"].map(str::to_owned);
        let tanzania = "TZ".parse().ok();
        assert_eq!(
            digits.meaning(tanzania),
            Meaning::Uncertain(numbers.to_vec())
        );
        let [_, in_germany] = numbers;
        let germany = "DE".parse().ok();
        assert_eq!(digits.meaning(germany), Meaning::Certain(in_germany));
    }
}
