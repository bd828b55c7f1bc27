//! `cargo xtask release <tag>`: whether a tag may be released, and the notes for it. Nothing is published here.

use std::fs;

use anyhow::{Context as _, ensure};

use crate::{package, paths};

/// Compares the tag with Cargo.toml and CHANGELOG.md, and writes the notes beside the zip.
pub fn run(tag: &str) -> anyhow::Result<()> {
    let changelog = fs::read_to_string(paths::root().join("CHANGELOG.md"))?;
    let notes = notes(tag, &paths::version()?, &changelog)?;
    let file = package::folder()?.join("notes.md");
    fs::write(&file, notes)?;
    println!("{tag} may be released; its notes are in {}", file.display());
    Ok(())
}

/// The changelog section of the version in the tag.
fn notes(tag: &str, version: &str, changelog: &str) -> anyhow::Result<String> {
    let tagged = tag
        .strip_prefix('v')
        .with_context(|| format!("the tag `{tag}` is not `v<version>`"))?;
    ensure!(
        tagged == version,
        "the tag `{tag}` does not name the version in Cargo.toml, {version}"
    );
    let of_version = |section: &&str| {
        let title = section.lines().next().unwrap_or_default();
        title
            .strip_prefix(version)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
    };
    let section = changelog.split("\n## ").skip(1).find(of_version);
    let section = section.with_context(|| format!("CHANGELOG.md has no section `## {version}`"))?;
    let (_, notes) = section.split_once('\n').unwrap_or_default();
    ensure!(
        !notes.trim().is_empty(),
        "CHANGELOG.md says nothing under `## {version}`"
    );
    Ok(format!("{}\n", notes.trim()))
}

#[cfg(test)]
mod tests {
    use super::notes;

    const CHANGELOG: &str = "# Changelog\n\n## Unreleased\n\n- more\n\n## 0.2.0 - 2026-11-01\n\n### Added\n- this\n\n## 0.1.0\n";

    #[test]
    fn the_notes_are_what_the_changelog_says_of_the_version() {
        assert_eq!(
            notes("v0.2.0", "0.2.0", CHANGELOG).unwrap(),
            "### Added\n- this\n"
        );
    }

    #[test]
    fn a_tag_that_does_not_fit_is_refused_with_the_reason() {
        let refusals = [
            (notes("0.2.0", "0.2.0", CHANGELOG), "is not `v<version>`"),
            (
                notes("v0.2.1", "0.2.0", CHANGELOG),
                "does not name the version in Cargo.toml, 0.2.0",
            ),
            (notes("v0.2", "0.2", CHANGELOG), "no section `## 0.2`"),
            (
                notes("v0.1.0", "0.1.0", CHANGELOG),
                "says nothing under `## 0.1.0`",
            ),
        ];
        for (refusal, reason) in refusals {
            let refusal = refusal.unwrap_err().to_string();
            assert!(refusal.contains(reason), "{refusal} is not {reason}");
        }
    }
}
