//! Finds wording in the repository's texts that `prose.txt` lists, with what to write instead.
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
    for place in PLACES {
        for file in files(&root.join(place))? {
            let text =
                fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))?;
            for finding in findings(&patterns, &text) {
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
}
