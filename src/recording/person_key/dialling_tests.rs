//! However an example number of any country is dialled, it is read as that number or refused, and never as another one.

use super::PersonKey;
use super::number::SHORTEST_BARE_NUMBER;
use crate::recording::country::{Country, may_exist};

/// Countries of callers: of each way to dial abroad, and with and without trunk prefix.
const CALLERS: [&str; 28] = [
    "AU", "BR", "BY", "CL", "CN", "CO", "CU", "DE", "FI", "GB", "HK", "ID", "IL", "IN", "IT", "JP",
    "KE", "KH", "KR", "MU", "NG", "NZ", "RU", "SG", "TH", "TW", "TZ", "US",
];

/// Examples of a country.
struct Examples {
    name: String,
    calling_code: String,
    international_prefixes: Vec<String>,
    trunk_prefix: Option<String>,
    /// National numbers without trunk prefix.
    numbers: Vec<String>,
}

impl Examples {
    fn country(&self) -> Country {
        self.name.parse().expect("every country is known")
    }
}

fn examples() -> Vec<Examples> {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/fixtures/phone-numbers.tsv"
    );
    let file = std::fs::read_to_string(path).expect("the fixture is there");
    let lines = file.lines().filter(|line| !line.starts_with('#'));
    lines.map(examples_of).collect()
}

fn examples_of(line: &str) -> Examples {
    let fields: Vec<&str> = line.split('\t').collect();
    let [name, calling_code, prefixes, trunk, fixed_line, mobile] = fields[..] else {
        panic!("{line}")
    };
    let given = |text: &str| Some(text.to_owned()).filter(|text| text != "-");
    Examples {
        name: name.to_owned(),
        calling_code: calling_code.to_owned(),
        international_prefixes: prefixes.split(' ').map(str::to_owned).collect(),
        trunk_prefix: given(trunk),
        numbers: [fixed_line, mobile].into_iter().filter_map(given).collect(),
    }
}

/// How many texts are read, and how many there are.
#[derive(Debug, Default)]
struct Count {
    read: usize,
    all: usize,
}

impl Count {
    /// Adds a text by which a number is meant. It is read as that number, or refused.
    fn add(&mut self, text: &str, country: Option<Country>, number: &str) {
        self.all += 1;
        // With fewer digits it is another id.
        if text.len() < SHORTEST_BARE_NUMBER || PersonKey::lacks_country(text, country) {
            return;
        }
        self.read += 1;
        let searched = PersonKey::searched(text, country);
        let expected = PersonKey::of(&format!("+{number}"));
        let mut others = searched.iter().filter(|key| **key != expected);
        assert!(
            searched[0] == expected && others.all(|key| !may_exist(key.digits())),
            "{text} in {country:?}: {searched:?} for {expected:?}"
        );
    }

    /// Whether so many of a hundred are read.
    fn has_read(&self, percent: usize) -> bool {
        self.all > 0 && self.read * 100 >= self.all * percent
    }
}

#[test]
fn the_examples_may_exist() {
    let countries = examples();
    assert!(countries.len() > 240, "{}", countries.len());
    for country in countries {
        assert!(!country.numbers.is_empty(), "{}", country.name);
        for number in &country.numbers {
            let number = format!("{}{number}", country.calling_code);
            assert!(may_exist(&number), "{}: {number}", country.name);
        }
    }
}

#[test]
fn a_number_that_is_dialled_abroad_is_read_as_itself_or_refused() {
    let targets = examples();
    let mut count = Count::default();
    for caller in examples() {
        if !CALLERS.contains(&caller.name.as_str()) {
            continue;
        }
        let country = Some(caller.country());
        let prefixes = caller.international_prefixes.iter().map(String::as_str);
        // `00` is written everywhere.
        for (at, prefix) in prefixes.chain(["00"]).enumerate() {
            let prefix = prefix.replace('x', "5");
            for target in &targets {
                let national = &target.numbers[at % target.numbers.len()];
                let number = format!("{}{national}", target.calling_code);
                count.add(&format!("{prefix}{number}"), country, &number);
            }
        }
    }
    assert!(count.has_read(70), "{count:?}");
}

#[test]
fn a_national_number_is_read_as_itself_or_refused() {
    let (mut with_trunk, mut without_trunk) = (Count::default(), Count::default());
    for target in examples() {
        for national in &target.numbers {
            let number = format!("{}{national}", target.calling_code);
            if let Some(trunk) = &target.trunk_prefix {
                with_trunk.add(
                    &format!("{trunk}{national}"),
                    Some(target.country()),
                    &number,
                );
            }
            without_trunk.add(national, Some(target.country()), &number);
        }
    }
    assert!(with_trunk.has_read(95), "{with_trunk:?}");
    assert!(without_trunk.has_read(45), "{without_trunk:?}");
}

#[test]
fn a_number_without_its_plus_is_read_as_itself_or_refused() {
    let targets = examples();
    let (mut at_home, mut abroad) = (Count::default(), Count::default());
    for (at, target) in targets.iter().enumerate() {
        for number in &target.numbers {
            let number = format!("{}{number}", target.calling_code);
            at_home.add(&number, Some(target.country()), &number);
            let elsewhere = CALLERS[at % CALLERS.len()].parse().ok();
            abroad.add(&number, elsewhere, &number);
        }
    }
    assert!(at_home.has_read(80), "{at_home:?}");
    assert!(abroad.has_read(60), "{abroad:?}");
}

#[test]
fn a_number_after_00_without_a_country_is_read_as_itself_or_refused() {
    let mut count = Count::default();
    for target in examples() {
        for number in &target.numbers {
            let number = format!("{}{number}", target.calling_code);
            count.add(&format!("00{number}"), None, &number);
        }
    }
    assert!(count.has_read(60), "{count:?}");
}
