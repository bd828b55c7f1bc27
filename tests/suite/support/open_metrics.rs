//! A strict reader of OpenMetrics text, from the specification: what it takes, any scraper takes.
//!
//! <https://prometheus.io/docs/specs/om/open_metrics_spec/>

use std::collections::BTreeMap;

/// A family as the text declares it.
#[derive(Debug, Default)]
pub struct Family {
    pub kind: String,
    pub unit: Option<String>,
    pub help: String,
    /// Sample name with its labels, as written.
    pub samples: Vec<(String, f64)>,
}

impl Family {
    /// The value of one sample.
    pub fn sample(&self, name: &str) -> Option<f64> {
        self.samples
            .iter()
            .find(|(sample, _)| sample == name)
            .map(|(_, value)| *value)
    }
}

/// Reads a whole exposition; panics where it breaks a rule.
pub fn parse(text: &str) -> BTreeMap<String, Family> {
    let lines = text
        .strip_suffix("# EOF\n")
        .expect("it ends with # EOF and a line feed, and nothing behind it");
    assert!(
        !text.contains('\r') && !lines.contains("# EOF"),
        "one end, and line feeds only"
    );
    let mut exposition = Exposition::default();
    for line in lines.lines() {
        assert!(
            !line.is_empty() && line == line.trim(),
            "no empty lines, no stray spaces: {line:?}"
        );
        match line.strip_prefix("# ") {
            Some(declaration) => exposition.declare(line, declaration),
            None => exposition.add_sample(line),
        }
    }
    let histograms = exposition
        .families
        .iter()
        .filter(|(_, family)| family.kind == "histogram");
    histograms.for_each(|(name, family)| check_histogram(name, family));
    exposition.families
}

/// What has been read so far.
#[derive(Default)]
struct Exposition {
    families: BTreeMap<String, Family>,
    /// Name of the family whose lines come now.
    current: String,
    /// How many of type, unit and help have come: all before the samples, each once.
    stage: usize,
}

impl Exposition {
    fn declare(&mut self, line: &str, declaration: &str) {
        let mut words = declaration.splitn(3, ' ');
        let keyword = words.next().expect("a split has a first part");
        let name = words.next().expect("a keyword is followed by a name");
        let value = words.next().expect("a name is followed by something");
        let at = ["TYPE", "UNIT", "HELP"]
            .iter()
            .position(|known| *known == keyword)
            .expect("a known keyword");
        if keyword == "TYPE" {
            assert!(is_name(name), "{line}");
            assert!(["counter", "gauge", "histogram"].contains(&value), "{line}");
            let family = Family {
                kind: value.to_owned(),
                ..Family::default()
            };
            let before = self.families.insert(name.to_owned(), family);
            assert!(
                before.is_none(),
                "{name} is declared once, its samples in one place"
            );
            name.clone_into(&mut self.current);
        } else {
            assert_eq!(name, self.current, "a family's lines stand together");
            assert!(self.stage < at + 1, "{line}: out of order");
            let family = self.families.get_mut(name).expect("it is declared");
            if keyword == "UNIT" {
                assert!(
                    name.ends_with(&format!("_{value}")),
                    "{line}: a unit is the end of the name"
                );
                family.unit = Some(value.to_owned());
            } else {
                assert!(
                    !value.is_empty() && !value.contains(['\\', '"']),
                    "{line}: nothing to be escaped"
                );
                value.clone_into(&mut family.help);
            }
        }
        self.stage = at + 1;
    }

    fn add_sample(&mut self, line: &str) {
        assert_eq!(self.stage, 3, "{line}: before its family's HELP");
        let (sample, value) = line.rsplit_once(' ').expect("a sample has a value");
        let family = self
            .families
            .get_mut(&self.current)
            .expect("samples come after their family");
        check_sample(&self.current, family, sample);
        let value: f64 = value
            .parse()
            .unwrap_or_else(|_| panic!("{line}: not a number"));
        assert!(
            !family.samples.iter().any(|(known, _)| known == sample),
            "{line}: twice"
        );
        family.samples.push((sample.to_owned(), value));
    }
}

fn check_sample(family_name: &str, family: &Family, sample: &str) {
    let (name, labels) = sample
        .split_once('{')
        .map_or((sample, None), |(name, labels)| (name, Some(labels)));
    let suffixes: &[&str] = match family.kind.as_str() {
        "counter" => &["_total"],
        "histogram" => &["_bucket", "_count", "_sum"],
        _ => &[""],
    };
    assert!(
        suffixes
            .iter()
            .any(|suffix| name == format!("{family_name}{suffix}")),
        "{sample} in {family_name}"
    );
    let Some(labels) = labels else { return };
    let labels = labels
        .strip_suffix('}')
        .unwrap_or_else(|| panic!("{sample}: labels end with a brace"));
    for label in labels.split(',') {
        let (name, value) = label
            .split_once('=')
            .unwrap_or_else(|| panic!("{sample}: {label}"));
        assert!(is_name(name) && !name.starts_with("__"), "{sample}: {name}");
        let value = value
            .strip_prefix('"')
            .and_then(|value| value.strip_suffix('"'));
        assert!(
            value.is_some_and(|value| !value.contains(['"', '\\'])),
            "{sample}: {label}"
        );
    }
}

/// Buckets ascend, are cumulative, and the last is all.
fn check_histogram(name: &str, family: &Family) {
    let mut last = (f64::NEG_INFINITY, 0.0);
    for (sample, value) in &family.samples {
        if let Some((_, rest)) = sample.split_once("le=\"") {
            let bound = rest.split('"').next().unwrap_or_default();
            let bound: f64 = if bound == "+Inf" {
                f64::INFINITY
            } else {
                bound.parse().expect("a bound is a number")
            };
            assert!(
                bound > last.0 && *value >= last.1,
                "{sample} after {last:?}"
            );
            last = (bound, *value);
        } else if sample.starts_with(&format!("{name}_count")) {
            assert_eq!(
                last,
                (f64::INFINITY, *value),
                "{sample}: the bucket +Inf holds all"
            );
        } else {
            last = (f64::NEG_INFINITY, 0.0);
        }
    }
}

fn is_name(name: &str) -> bool {
    let first = name
        .chars()
        .next()
        .is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
    first && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}
