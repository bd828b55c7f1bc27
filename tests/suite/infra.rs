//! What is made in Azure, held together with the sources: settings, functions, and the sentences that alerts wait for.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use recording_vault::config::SETTINGS;
use recording_vault::standing::{Concern, Standing};
use serde_json::Value;
use tree_sitter::{Node, Parser};

use crate::documents::{read, repository, rust_files};

/// Settings that the Bicep does not set, and why; `otherSettings` takes them all the same.
const LEFT_OUT: [(&[&str], &str); 8] = [
    (
        &[
            "TELEPHONY_APP_ID",
            "TELEPHONY_AUDIENCE",
            "TELEPHONY_OPENID_URL",
            "TELEPHONY_KEY",
            "TELEPHONY_BOT_URL",
            "TELEPHONY_BOT_AUDIENCE",
        ],
        "set where a bot is served",
    ),
    (
        &["DELETE_OTHER_OBJECT"],
        "a source of another object is left to ACS unless somebody decides otherwise",
    ),
    (
        &["OPERATOR_ACTIONS"],
        "the page is read-only until somebody decides otherwise",
    ),
    (
        &[
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "OTEL_EXPORTER_OTLP_HEADERS",
            "OTEL_SERVICE_NAME",
        ],
        "set where there is a collector besides Application Insights",
    ),
    (
        &["ACS_ACCESS_KEY", "ACS_CONNECTION_STRING"],
        "the app signs in with its managed identity",
    ),
    (
        &[
            "ACS_API_VERSION",
            "ACS_CONTENT_HOSTS",
            "ACS_OPENID_URL",
            "EVENT_GRID_APP_ID",
        ],
        "right as they are in the public cloud",
    ),
    (
        &[
            "EVENT_BUDGET",
            "SWEEP_BUDGET",
            "CLAIM_TTL",
            "SOURCE_RETENTION",
            "EXPORT_ATTEMPTS",
            "BLOCK_SIZE",
            "BLOCKS_IN_FLIGHT",
            "CHUNKS_IN_FLIGHT",
        ],
        "the defaults fit the instances and the service",
    ),
    (&["LOG"], "the alerts read what the default logs"),
];

fn bicep_files() -> Vec<PathBuf> {
    let folders = ["infra", "infra/modules"].map(|folder| repository().join(folder));
    let entries = folders
        .iter()
        .flat_map(|folder| fs::read_dir(folder).expect("the folder is there").flatten());
    entries
        .map(|entry| entry.path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "bicep")
        })
        .collect()
}

/// The lines of a Bicep file that give a property, as `(name, value)`.
fn properties(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.lines().filter_map(|line| line.trim().split_once(": "))
}

fn settings_set() -> BTreeSet<String> {
    let app = read("infra/modules/app.bicep");
    let block = app
        .split("var settings = {")
        .nth(1)
        .and_then(|rest| rest.split("\n}").next())
        .expect("the app has settings");
    properties(block).map(|(name, _)| name.to_owned()).collect()
}

#[test]
fn every_setting_is_set_or_left_out_for_a_reason_and_no_other_is() {
    let left_out = LEFT_OUT
        .iter()
        .flat_map(|(names, _)| names.iter().map(|name| (*name).to_owned()));
    let set = settings_set();
    let told: BTreeSet<String> = left_out.clone().chain(set.iter().cloned()).collect();
    let known: BTreeSet<String> = SETTINGS
        .iter()
        .map(|setting| setting.name.to_owned())
        .collect();
    assert_eq!(told, known);
    assert!(
        left_out.clone().all(|name| !set.contains(&name)),
        "what is left out is not set"
    );
}

/// What the compiler would say first: no module has defaults, so each gets all of its parameters and no other.
#[test]
fn every_module_gets_the_parameters_it_has_and_gives_the_outputs_that_are_used() {
    for file in ["infra/main.bicep", "infra/subscription.bicep"] {
        let text = read(file);
        for module in text.split("\nmodule ").skip(1) {
            let name = module.split(' ').next().unwrap_or_default();
            let path = module.split('\'').nth(1).expect("a module has a path");
            let declared = read(&format!("infra/{path}"));
            let of_kind = |kind: &str| -> BTreeSet<String> {
                declared
                    .lines()
                    .filter_map(|line| Some(line.strip_prefix(kind)?.split(' ').next()?.to_owned()))
                    .collect()
            };
            let block = module
                .split("\n}")
                .next()
                .and_then(|block| block.split("params: {\n").nth(1));
            let given = block
                .expect("a module has parameters")
                .lines()
                .filter_map(|line| {
                    let line = line
                        .strip_prefix("    ")
                        .filter(|line| !line.starts_with([' ', '}', ')', ']']))?;
                    Some(line.split(':').next()?.to_owned())
                });
            assert_eq!(
                given.collect::<BTreeSet<_>>(),
                of_kind("param "),
                "{path} in {file}"
            );
            for used in text.split(&format!("{name}.outputs.")).skip(1) {
                let used: String = used
                    .chars()
                    .take_while(char::is_ascii_alphanumeric)
                    .collect();
                assert!(
                    of_kind("output ").contains(&used),
                    "{path} has no output {used}"
                );
            }
        }
    }
}

#[test]
fn alerts_wait_for_sentences_that_are_logged() {
    let alerts = read("infra/modules/alerts.bicep");
    let sentences: Vec<&str> = properties(&alerts)
        .filter(|(name, _)| *name == "sentence")
        .map(|(_, value)| value.trim_matches('\''))
        .collect();
    assert!(sentences.len() >= 5, "{sentences:?}");
    let mut sources = String::new();
    for file in rust_files(&repository().join("src")) {
        let text =
            fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        sources += text.split("#[cfg(test)]").next().unwrap_or_default();
    }
    for sentence in sentences {
        // On the line of the macro, or alone on the next one.
        let logged = sources.lines().collect::<Vec<_>>().windows(7).any(|lines| {
            let is_macro = ["error!(", "warn!("]
                .iter()
                .any(|call| lines[0].contains(call));
            is_macro && lines.iter().any(|line| line.contains(sentence))
        });
        assert!(logged, "nothing logs `{sentence}`");
    }
}

#[test]
fn there_is_an_alert_for_each_standing_that_needs_a_person_and_a_query_that_counts_it() {
    let alerts = read("infra/modules/alerts.bicep");
    let alarms: Vec<(&str, &str)> = alerts
        .split("  {\n")
        .filter_map(|alarm| {
            let value = |name: &str| {
                let mut found = properties(alarm).filter(|(known, _)| *known == name);
                found.next().map(|(_, value)| value.trim_matches('\''))
            };
            Some((value("standing")?, value("sentence")?))
        })
        .collect();
    let alarmed: BTreeSet<&str> = alarms.iter().map(|(standing, _)| *standing).collect();
    let expected: BTreeSet<&str> = Standing::ALL
        .into_iter()
        .filter(|standing| standing.concern() == Concern::Attention)
        .map(Standing::name)
        .collect();
    assert_eq!(alarmed, expected);
    let guide = read("docs/OPERATIONS.md");
    let source = read("src/timer/standing_report.rs");
    for (standing, sentence) in alarms {
        let query = format!("text contains \"{sentence}\", \"{standing}\"");
        assert!(guide.contains(&query), "no query has `{query}`");
        let rule = format!("`text contains \"{sentence}\"`");
        assert!(guide.contains(&rule), "no alert rule has {rule}");
        let variant = standing[..1].to_uppercase() + &standing[1..];
        let logged = format!("Standing::{variant} => warn!(count, \"{sentence}: {{count}}\")");
        assert!(source.contains(&logged), "no sweep logs `{logged}`");
    }
}

#[test]
fn functions_that_the_infrastructure_names_exist() {
    for (file, function) in [
        ("infra/subscription.bicep", "RecordingFileStatusUpdated"),
        ("infra/modules/alerts.bicep", "ExportSweep"),
    ] {
        assert!(
            read(file).contains(function),
            "{file} does not name {function}"
        );
        assert!(
            repository()
                .join("functions")
                .join(function)
                .join("function.json")
                .is_file(),
            "there is no {function}"
        );
    }
}

#[test]
fn modules_are_there_and_api_versions_are_the_same_everywhere() {
    let mut versions = BTreeSet::new();
    for file in bicep_files() {
        let text = fs::read_to_string(&file).expect("it is readable");
        // Line by line, for comments have apostrophes.
        let code = text
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"));
        for quoted in code.flat_map(|line| line.split('\'').skip(1).step_by(2)) {
            if quoted.ends_with(".bicep") {
                assert!(
                    file.with_file_name("").join(quoted).is_file(),
                    "{} names {quoted}",
                    file.display()
                );
            }
            if let Some((kind, version)) = quoted
                .split_once('@')
                .filter(|(kind, _)| kind.starts_with("Microsoft."))
            {
                let provider = kind.split('/').next().unwrap_or_default();
                let kind = if provider == "Microsoft.Insights" {
                    kind
                } else {
                    provider
                };
                versions.insert((kind.to_owned(), version.to_owned()));
            }
        }
    }
    assert!(versions.len() >= 8, "{versions:?}");
    let kinds: BTreeSet<&String> = versions.iter().map(|(kind, _)| kind).collect();
    assert_eq!(kinds.len(), versions.len(), "{versions:?}");
}

/// The compiler itself is not to be had everywhere; the grammar of its language is.
#[test]
fn the_bicep_files_have_no_syntax_errors() {
    let mut parser = Parser::new();
    parser
        .set_language(&tree_sitter_bicep::LANGUAGE.into())
        .expect("the grammar fits the parser");
    let files = bicep_files();
    assert!(files.len() >= 8, "{files:?}");
    for file in files {
        let text = fs::read_to_string(&file).expect("it is readable");
        let tree = parser.parse(&text, None).expect("there is no time limit");
        let errors = errors(tree.root_node());
        assert!(errors.is_empty(), "{}: {errors:?}", file.display());
    }
}

/// Where the tree is broken: lines, from 1.
fn errors(node: Node<'_>) -> Vec<usize> {
    if node.is_error() || node.is_missing() {
        return vec![node.start_position().row + 1];
    }
    let mut cursor = node.walk();
    node.children(&mut cursor).flat_map(errors).collect()
}

#[test]
fn the_parameters_are_those_of_the_main_file() {
    let parameters: Value =
        serde_json::from_str(&read("infra/main.parameters.json")).expect("it is JSON");
    let main = read("infra/main.bicep");
    for (name, _) in parameters["parameters"]
        .as_object()
        .expect("there are parameters")
    {
        assert!(
            main.contains(&format!("\nparam {name} ")),
            "main.bicep has no parameter {name}"
        );
    }
}

#[test]
fn the_second_phase_gets_every_parameter_it_has() {
    let (script, second) = (read("infra/subscribe.sh"), read("infra/subscription.bicep"));
    for line in second
        .lines()
        .filter_map(|line| line.strip_prefix("param "))
        .filter(|line| !line.contains(" = "))
    {
        let name = line.split(' ').next().unwrap_or_default();
        assert!(
            script.contains(&format!("{name}=")),
            "subscribe.sh does not give {name}"
        );
    }
    let outputs = read("infra/main.bicep");
    for name in [
        "AZURE_RESOURCE_GROUP",
        "FUNCTION_APP_NAME",
        "VAULT_STORAGE_NAME",
        "DEAD_LETTER_CONTAINER",
    ] {
        assert!(
            script.contains(name) && outputs.contains(&format!("output {name} ")),
            "{name}"
        );
    }
}

#[test]
fn what_runs_on_a_stranger_s_machine_is_pinned_and_may_do_no_more_than_it_says() {
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
fn the_parser_of_these_tests_finds_errors() {
    let mut parser = Parser::new();
    parser
        .set_language(&tree_sitter_bicep::LANGUAGE.into())
        .expect("the grammar fits the parser");
    let tree = parser
        .parse(
            "param location string\nresource x 'a@1' = {\n  name: \n",
            None,
        )
        .expect("there is no time limit");
    assert!(!errors(tree.root_node()).is_empty());
}
