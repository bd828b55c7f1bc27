//! Finds wording in the repository's texts and names of tests that `prose.txt` lists, with what to write instead.
//!
//! It knows no grammar: it finds the patterns that made texts hard to read before.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use regex::{Regex, RegexBuilder};

use crate::paths;

/// The list: a regular expression and a hint on each line, with a tab between them.
const LIST: &str = "prose.txt";
/// The places that are checked.
const PLACES: [&str; 9] = [
    "README.md",
    "CONTRIBUTING.md",
    "docs",
    "src",
    "crates",
    "dev",
    "xtask",
    "infra",
    "local.settings.sample.json",
];
/// Of these, only the names of tests are checked.
const TESTS: &str = "tests";
/// A function whose name has at least this many words is a test: its name is a sentence.
const SENTENCE_WORDS: usize = 5;
const KINDS: [&str; 6] = ["rs", "md", "html", "js", "bicep", "json"];
/// Folders of third-party text.
const FOREIGN: [&str; 3] = ["node_modules", "target", "fixtures"];

struct Pattern {
    expression: Regex,
    hint: String,
}

/// A place with wording from the list.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    line: usize,
    found: String,
    hint: String,
}

/// Checks all texts.
///
/// # Errors
/// When a listed wording is found (each one is printed), or a file cannot be read.
pub fn run() -> anyhow::Result<()> {
    let root = paths::root();
    let patterns = read_list(&root)?;
    let mut count = 0;
    for place in PLACES.into_iter().chain([TESTS]) {
        for file in files(&root.join(place))? {
            let text =
                fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))?;
            let mut found = findings(&patterns, &names_of_tests(&text));
            if place != TESTS {
                found.extend(findings(&patterns, &text));
            }
            for finding in found {
                count += 1;
                let file = file.strip_prefix(&root).unwrap_or(&file);
                println!(
                    "{}:{}: `{}`; write {}",
                    file.display(),
                    finding.line,
                    finding.found,
                    finding.hint
                );
            }
        }
    }
    ensure!(count == 0, "{count} places with wording that {LIST} lists");
    Ok(())
}

fn read_list(root: &Path) -> anyhow::Result<Vec<Pattern>> {
    let text = fs::read_to_string(root.join(LIST)).with_context(|| format!("read {LIST}"))?;
    text.lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| {
            let (expression, hint) = line
                .split_once('\t')
                .with_context(|| format!("{LIST}: no tab in `{line}`"))?;
            let expression = RegexBuilder::new(expression)
                .case_insensitive(true)
                .build()
                .with_context(|| format!("{LIST}: `{expression}`"))?;
            Ok(Pattern {
                expression,
                hint: hint.to_owned(),
            })
        })
        .collect()
}

fn findings(patterns: &[Pattern], text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, line) in text.lines().enumerate() {
        for pattern in patterns {
            if let Some(found) = pattern.expression.find(line) {
                findings.push(Finding {
                    line: index + 1,
                    found: found.as_str().to_owned(),
                    hint: pattern.hint.clone(),
                });
            }
        }
    }
    findings
}

/// The names of tests as sentences, each on the line where it is.
fn names_of_tests(text: &str) -> String {
    let sentence = |line: &str| {
        let (_, after) = line.split_once("fn ")?;
        let name = after.split(['(', '<']).next()?;
        let is_sentence = name.split('_').count() >= SENTENCE_WORDS;
        is_sentence.then(|| name.replace('_', " "))
    };
    let sentences = text.lines().map(|line| sentence(line).unwrap_or_default());
    sentences.collect::<Vec<_>>().join("\n")
}

/// The texts below a place, or the place itself where it is a file.
fn files(place: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if place.is_file() {
        return Ok(vec![place.to_owned()]);
    }
    let mut found = Vec::new();
    let entries = fs::read_dir(place).with_context(|| format!("list {}", place.display()))?;
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() && !FOREIGN.contains(&&*name) {
            found.extend(files(&path)?);
        } else if path
            .extension()
            .is_some_and(|kind| KINDS.iter().any(|text| kind == *text))
        {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_repository_uses_no_listed_wording() {
        run().unwrap();
    }

    #[test]
    fn a_listed_wording_is_found_with_its_line_and_hint() {
        let patterns = read_list(&paths::root()).unwrap();
        let found = findings(
            &patterns,
            concat!("Returns a chunk.\n// Who", "ever asks is served.\n"),
        );
        assert_eq!(found.len(), 1);
        assert_eq!(
            (found[0].line, &found[0].found[..]),
            (2, concat!("Who", "ever"))
        );
    }

    #[test]
    fn a_listed_wording_is_found_in_the_name_of_a_test() {
        let patterns = read_list(&paths::root()).unwrap();
        let text = concat!(
            "#[test]\nasync fn a_key_is_made_an",
            "ew_at_night() {\nfn begin_an",
            "ew() {\nuse a_key_is_made_an",
            "ew;"
        );
        let found = findings(&patterns, &names_of_tests(text));
        let lines: Vec<usize> = found.iter().map(|finding| finding.line).collect();
        assert_eq!(lines, [2]);
    }
}
