//! What is fetched to test and to build is pinned; what is attested is built by a job that does nothing else.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::documents::{read, repository};

const REQUIREMENTS: [&str; 4] = [
    "dev/checkov/requirements.txt",
    "dev/generated-clients/requirements.txt",
    "tests/python-sdk/requirements.txt",
    "xtask/zig-requirements.txt",
];

#[test]
fn actions_of_workflows_are_pinned_and_may_do_no_more_than_they_say() {
    let folder = repository().join(".github/workflows");
    let workflows: Vec<PathBuf> = fs::read_dir(&folder)
        .expect("there are workflows")
        .flatten()
        .map(|e| e.path())
        .collect();
    assert!(!workflows.is_empty());
    for file in workflows {
        let text = fs::read_to_string(&file).expect("it is readable");
        assert!(
            text.lines().any(|line| line.starts_with("permissions:")),
            "{} has no permissions",
            file.display()
        );
        let used = text
            .lines()
            .filter_map(|line| line.trim().trim_start_matches("- ").strip_prefix("uses: "));
        for action in used {
            assert!(
                is_pinned(action),
                "{} uses {action}: 40 hex digits and the version as a comment",
                file.display()
            );
        }
    }
}

fn is_pinned(action: &str) -> bool {
    action
        .split_once('@')
        .and_then(|(_, rest)| rest.split_once(" # v"))
        .is_some_and(|(commit, version)| {
            commit.len() == 40
                && commit
                    .bytes()
                    .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
                && version.starts_with(|c: char| c.is_ascii_digit())
        })
}

#[test]
fn a_pin_is_a_whole_commit_with_its_version() {
    let commit = "8e8c483db84b4bee98b60c0593521ed34d9990e8";
    assert!(is_pinned(&format!("actions/checkout@{commit} # v6.0.1")));
    for loose in [
        "actions/checkout@v6",
        "actions/checkout@8e8c483 # v6.0.1",
        &format!("actions/checkout@{commit}"),
    ] {
        assert!(!is_pinned(loose), "{loose}");
    }
}

#[test]
fn every_package_for_python_has_its_version_and_its_hashes() {
    for file in REQUIREMENTS {
        let text = read(file);
        let packages: Vec<&str> = text
            .lines()
            .filter(|line| !line.starts_with(['#', ' ']) && !line.is_empty())
            .collect();
        assert!(!packages.is_empty(), "{file}");
        for package in packages {
            let after = text.split(package).nth(1).unwrap_or_default();
            assert!(
                package.contains("==") && after.trim_start().starts_with("--hash=sha256:"),
                "{file}: {package}"
            );
        }
    }
    assert!(read("xtask/src/tools.rs").contains("\"--require-hashes\""));
    assert!(read(".github/workflows/ci.yml").contains("--require-hashes"));
}

/// The lines of one job.
fn job<'a>(workflow: &'a str, name: &str) -> &'a str {
    let start = format!("\n  {name}:\n");
    let rest = workflow
        .split_once(&start)
        .unwrap_or_else(|| panic!("there is no job {name}"))
        .1;
    let end = rest
        .match_indices("\n  ")
        .find(|(at, _)| rest[at + 3..].starts_with(|c: char| c.is_ascii_alphabetic() || c == '#'))
        .map_or(rest.len(), |(at, _)| at);
    &rest[..end]
}

#[test]
fn what_is_attested_comes_from_a_job_that_builds_and_does_nothing_else() {
    let release = read(".github/workflows/release.yml");
    let build = job(&release, "build");
    let commands: Vec<&str> = build
        .lines()
        .filter_map(|line| line.trim().trim_start_matches("- ").strip_prefix("run: "))
        .collect();
    assert_eq!(commands.len(), 2, "{commands:?}");
    assert_eq!(commands[0], "cargo run --locked --package xtask -- package");
    assert!(commands[1].contains("sha256sum"), "{commands:?}");

    let publish = job(&release, "publish");
    assert!(publish.contains("needs: [verify, build, rebuild]"));
    assert!(publish.contains("[ \"$BUILT\" = \"$REBUILT\" ]"));
    assert!(!publish.contains("cargo"), "what may sign builds nothing");
}

#[test]
fn a_release_is_built_by_one_toolchain_that_the_manifest_accepts() {
    let release = read(".github/workflows/release.yml");
    let toolchain = release
        .lines()
        .find_map(|line| line.trim().strip_prefix("RUSTUP_TOOLCHAIN: "))
        .expect("the release names its toolchain")
        .trim_matches('"');
    let parts: Vec<&str> = toolchain.split('.').collect();
    assert!(
        parts.len() == 3 && parts.iter().all(|part| part.parse::<u32>().is_ok()),
        "{toolchain} is not exact"
    );
    let manifest = read("Cargo.toml");
    let least = manifest
        .lines()
        .find_map(|line| line.strip_prefix("rust-version = "))
        .expect("the manifest has a version")
        .trim_matches('"');
    assert!(toolchain.starts_with(least), "{toolchain} and {least}");
}

#[test]
fn dependabot_watches_everything_that_is_pinned() {
    let dependabot = read(".github/dependabot.yml");
    for file in REQUIREMENTS {
        let folder = Path::new(file).parent().expect("it is in a folder");
        assert!(
            dependabot.contains(&format!("/{}", folder.display())),
            "{file}"
        );
    }
    for lock in npm_locks(&repository().join("dev")) {
        let folder = lock.parent().expect("it is in a folder");
        let folder = folder
            .strip_prefix(repository())
            .expect("it is in the repository");
        assert!(
            dependabot.contains(&format!("/{}", folder.display())),
            "{}",
            folder.display()
        );
    }
    for ecosystem in ["github-actions", "cargo", "pip", "npm"] {
        assert!(
            dependabot.contains(&format!("package-ecosystem: {ecosystem}")),
            "{ecosystem}"
        );
    }
}

fn npm_locks(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("it is readable").flatten();
    let mut locks = Vec::new();
    for entry in entries.map(|entry| entry.path()) {
        if entry.ends_with("node_modules") {
            continue;
        }
        if entry.is_dir() {
            locks.extend(npm_locks(&entry));
        } else if entry.ends_with("package-lock.json") {
            locks.push(entry);
        }
    }
    locks
}

#[test]
fn every_package_for_node_is_locked_by_its_hash() {
    for lock in npm_locks(&repository().join("dev")) {
        let text = fs::read_to_string(&lock).expect("it is readable");
        let lock_file: Value = serde_json::from_str(&text).expect("it is JSON");
        let packages = lock_file["packages"].as_object().expect("it has packages");
        for (name, package) in packages {
            let is_local = name.is_empty()
                || package["link"] == true
                || !name.contains("node_modules/")
                || package["resolved"]
                    .as_str()
                    .is_some_and(|url| !url.starts_with("https://"));
            assert!(
                is_local || package["integrity"].is_string(),
                "{}: {name}",
                lock.display()
            );
        }
    }
}
