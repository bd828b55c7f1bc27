//! What the repository says of itself is true.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use recording_vault::config::{Config, SETTINGS};
use recording_vault::standing::Standing;
use recording_vault::standing::verdict::VerdictCode;
use serde_json::Value;

pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub fn read(name: &str) -> String {
    fs::read_to_string(repository().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn json(name: &str) -> Value {
    serde_json::from_str(&read(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[test]
fn the_sample_settings_are_those_of_the_configuration() {
    let sample = json("local.settings.sample.json");
    let values = sample["Values"].as_object().expect("the sample has values");
    let of_the_host = ["FUNCTIONS_WORKER_RUNTIME", "AzureWebJobsStorage"];
    let sampled: BTreeSet<&str> = values
        .keys()
        .map(String::as_str)
        .filter(|name| !of_the_host.contains(name))
        .collect();
    assert_eq!(
        sampled,
        SETTINGS.iter().map(|setting| setting.name).collect()
    );
    for setting in SETTINGS {
        if let Some(default) = setting.default {
            assert_eq!(values[setting.name], default, "{}", setting.name);
        }
    }
    let variables = values
        .iter()
        .map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned()));
    Config::read(variables).expect("the sample is good as it is");
}

/// Settings with their defaults, of every table that begins with `| setting `.
fn settings_tables(document: &str) -> Vec<(String, String)> {
    let text = read(document);
    let mut settings = Vec::new();
    let mut lines = text.lines();
    while lines.any(|line| line.starts_with("| setting ")) {
        let rows = lines
            .by_ref()
            .skip(1)
            .take_while(|line| line.starts_with('|'));
        settings.extend(rows.map(|line| {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            let cell = |index: usize| cells[index].trim_matches('`').to_owned();
            (cell(1), cell(2))
        }));
    }
    settings
}

/// A setting as a table has it.
fn row(name: &str) -> (String, String) {
    let setting = SETTINGS.iter().find(|setting| setting.name == name);
    let setting = setting.unwrap_or_else(|| panic!("there is no setting {name}"));
    (name.to_owned(), setting.default.unwrap_or("-").to_owned())
}

#[test]
fn docs_settings_has_every_setting_once_with_its_default() {
    let mut documented = settings_tables("docs/SETTINGS.md");
    documented.sort();
    let mut expected: Vec<_> = SETTINGS.iter().map(|setting| row(setting.name)).collect();
    expected.sort();
    assert_eq!(documented, expected);
}

#[test]
fn the_readme_has_the_four_settings_that_one_cannot_start_without() {
    let four = [
        "ACS_ENDPOINT",
        "ACS_ACCESS_KEY",
        "VAULT_URL",
        "EXPORT_SWEEP_SCHEDULE",
    ];
    assert_eq!(settings_tables("README.md"), four.map(row));
}

#[test]
fn the_readme_is_one_page_and_docs_are_few() {
    let words = read("README.md").split_whitespace().count();
    assert!(words <= 1000, "README.md has {words} words");
    let documents = fs::read_dir(repository().join("docs")).expect("docs can be listed");
    let documents = documents
        .map(|entry| entry.expect("docs can be listed").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    let index = read("docs/README.md");
    let mut count = 0;
    for document in documents {
        count += 1;
        let name = document.file_name().expect("a file has a name");
        let name = name.to_string_lossy();
        let is_linked = name == "README.md" || index.contains(&format!("]({name})"));
        assert!(is_linked, "docs/README.md does not link to {name}");
    }
    assert!(count <= 10, "docs has {count} documents");
}

#[test]
fn the_openapi_document_is_that_of_the_code() {
    let written = read("docs/openapi.json");
    let how = "write it anew: cargo run -- openapi > docs/openapi.json";
    assert!(
        written.trim_end() == recording_vault::functions::api_description::text(),
        "docs/openapi.json is old; {how}"
    );
}

#[test]
fn host_json_is_what_the_host_and_func_need() {
    let host = json("host.json");
    let handler = &host["customHandler"];
    assert_eq!(host["version"], "2.0");
    // `func … publish` sets the execution bit only on an exact match of the name.
    assert_eq!(
        handler["description"]["defaultExecutablePath"],
        "recording-vault"
    );
    assert_eq!(
        handler["description"]["arguments"],
        serde_json::json!(["serve"])
    );
    assert_eq!(
        (
            &handler["enableProxyingHttpRequest"],
            &handler["enableForwardingHttpRequest"]
        ),
        (&true.into(), &true.into())
    );
    assert_eq!(host["extensionBundle"]["version"], "[4.*, 5.0.0)");
    // `func` takes a `default` for its own system logs; the queue trigger has the Azure SDK log every request.
    assert_eq!(
        host["logging"]["logLevel"],
        serde_json::json!({"Azure.Core": "Warning", "Microsoft.AspNetCore": "Warning"})
    );
}

#[test]
fn the_pipeline_and_the_vocabulary_know_no_http_no_sdk_and_no_environment() {
    let sources = repository().join("src");
    for module in ["export", "recording"] {
        for file in rust_files(&sources.join(module)) {
            let text = fs::read_to_string(&file)
                .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            for foreign in [
                "reqwest",
                "axum",
                "azure_",
                "opentelemetry",
                "std::env",
                "SystemTime",
                "Timestamp::now",
            ] {
                assert!(
                    !text.contains(foreign),
                    "{} names {foreign}",
                    file.display()
                );
            }
        }
    }
}

/// A task that panics does not end the process, so a mutex that it held must stay usable.
#[test]
fn no_lock_of_the_app_panics_after_a_panic_of_its_holder() {
    for file in rust_files(&repository().join("src")) {
        let text =
            fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let shipped = text.split("#[cfg(test)]").next().unwrap_or_default();
        let joined: String = shipped.split_whitespace().collect();
        for panicking in [".lock().expect(", ".lock().unwrap()"] {
            let is_shipped = joined.contains(panicking) && !file.ends_with("tests.rs");
            assert!(
                !is_shipped,
                "{}: write .lock().unwrap_or_else(PoisonError::into_inner)",
                file.display()
            );
        }
    }
}

#[test]
fn every_module_is_a_room_of_reasonable_size_with_its_purpose_on_the_door() {
    for top in [
        "src",
        "crates/timer-schedule/src",
        "crates/timestamp-token/src",
        "dev/acs-simulator/src",
        "dev/blob-sink/src",
        "dev/deploy-package/src",
        "dev/functions-host/src",
        "xtask/src",
    ] {
        for file in rust_files(&repository().join(top)) {
            let text = fs::read_to_string(&file)
                .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            assert!(
                text.starts_with("//! "),
                "{} does not say what it is for",
                file.display()
            );
            assert!(
                text.lines().count() <= 500,
                "{} is more than one idea",
                file.display()
            );
        }
    }
}

pub fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

/// A cell of a table of docs/PERFORMANCE.md, by a part of the table's heading, and the first cell of its row.
fn measured(heading: &str, first_cell: Option<&str>, column: &str) -> String {
    let text = read("docs/PERFORMANCE.md");
    let table: Vec<Vec<&str>> = text
        .lines()
        .skip_while(|line| !(line.starts_with("## ") && line.contains(heading)))
        .skip(1)
        .take_while(|line| !line.starts_with("## "))
        .filter(|line| line.starts_with('|'))
        .map(|line| line.split('|').map(str::trim).collect())
        .collect();
    let head = table.first();
    let head = head.unwrap_or_else(|| panic!("docs/PERFORMANCE.md has no table `{heading}`"));
    let column = head.iter().position(|name| *name == column);
    let is_sought = |row: &&Vec<&str>| first_cell.is_none_or(|cell| row[1] == cell);
    let row = table.iter().skip(2).find(is_sought);
    let cell = row.zip(column).map(|(row, column)| row[column].to_owned());
    cell.unwrap_or_else(|| panic!("`{heading}` has no such row or column: {head:?}"))
}

fn number(figure: &str) -> f64 {
    let number = figure.parse();
    number.unwrap_or_else(|error| panic!("`{figure}` is no number: {error}"))
}

#[test]
fn figures_that_other_pages_quote_are_those_of_docs_performance() {
    let vault = Some("recording-vault");
    let tls = |column: &str| measured("to sink-tls", vault, column);
    let (tls_rate, tls_cpu) = (tls("MB/s"), tls("CPU s/GB"));
    let gigabytes = 1.0 / number(&tls_cpu);
    let burst = |column: &str| measured("events of 1 MB", vault, column);
    let (small_rate, small_cpu) = (burst("events/s"), burst("CPU s/GB"));
    let answers = "Answers to 1000 events, 64 at once";
    let p99 = measured(answers, None, "p99 ms");
    let quotes = [
        (
            "docs/OPERATIONS.md",
            "One chunk of 1.5 GB, content over TLS, to sink-tls",
            format!(
                "{tls_rate} MB/s over TLS on both sides and {tls_cpu} CPU seconds for each GB. So one core moves {gigabytes:.2} GB/s at best, or {:.1} TB an hour",
                gigabytes * 3.6
            ),
        ),
        (
            "docs/OPERATIONS.md",
            "200 events of 1 MB, 16 deliveries at once",
            format!(
                "{small_rate} a second of 1 MB, and {small_cpu} CPU seconds for each GB: requests dominate the cost, not bytes. That is {:.0},000 an hour",
                number(&small_rate) * 3.6
            ),
        ),
        (
            "docs/SCALING.md",
            answers,
            format!("p99 {p99} ms with 64 deliveries at once"),
        ),
    ];
    for (page, table, quote) in quotes {
        assert!(
            read(page).contains(&quote),
            "{page} quotes other figures than the table `{table}` of docs/PERFORMANCE.md; write there: {quote}"
        );
    }
}

#[test]
fn the_table_of_standings_is_that_of_the_code() {
    let architecture = read("docs/ARCHITECTURE.md");
    let table: Vec<&str> = architecture
        .lines()
        .skip_while(|line| !line.starts_with("| standing |"))
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .collect();
    let word = |value: Value| value.as_str().expect("it is a word").to_owned();
    let expected: Vec<String> = Standing::ALL
        .into_iter()
        .map(|standing| {
            let concern = serde_json::to_value(standing.concern()).expect("it is a word");
            let steps: Vec<String> = standing
                .steps()
                .iter()
                .filter(|step| step.advice().is_some())
                .map(|step| serde_json::to_value(step).expect("it is a word"))
                .map(|step| format!("`{}`", word(step)))
                .collect();
            let steps = if steps.is_empty() {
                "-".to_owned()
            } else {
                steps.join(", ")
            };
            let (name, meaning) = (standing.name(), standing.meaning());
            let deadline = standing.deadline().unwrap_or("-");
            format!(
                "| `{name}` | {} | {meaning} | {deadline} | {steps} |",
                word(concern)
            )
        })
        .collect();
    assert_eq!(table, expected);
}

/// People read the meaning of a standing on the page and in the table of alert rules too.
#[test]
fn a_standing_means_the_same_on_the_page_and_in_the_alert_rules() {
    let (page, rules) = (
        read("src/functions/vault/page/format.js"),
        read("docs/OPERATIONS.md"),
    );
    for standing in Standing::ALL {
        let (name, meaning) = (standing.name(), standing.meaning());
        let begin = format!("  {name}: {{ name: ");
        let line = page.lines().find(|line| line.starts_with(&begin));
        let (first, rest) = meaning.split_at(1);
        let says = format!("says: '{}{rest}.", first.to_uppercase());
        assert!(
            line.is_some_and(|line| line.contains(&says)),
            "{name}: {line:?}"
        );
        if let Some(code) = VerdictCode::of_standing(standing) {
            let begin = format!("| `{}` |", code.name());
            let row = rules.lines().find(|line| line.starts_with(&begin));
            let means = format!("| {meaning} |");
            assert!(row.is_some_and(|row| row.contains(&means)), "{row:?}");
        }
    }
}

#[test]
fn every_test_that_guards_an_invariant_exists() {
    let architecture = read("docs/ARCHITECTURE.md");
    let invariants = architecture
        .split("## Invariants")
        .nth(1)
        .and_then(|rest| rest.split("\n## ").next());
    assert_tests_exist(invariants.expect("there are invariants"));
}

#[test]
fn every_test_that_guards_against_a_threat_exists() {
    assert_tests_exist(&read("docs/SECURITY.md"));
}

/// Tests are named as `module::test`; what is named otherwise is something else.
fn assert_tests_exist(text: &str) {
    let named: Vec<(&str, &str)> = text
        .split('`')
        .filter_map(|text| text.split_once("::"))
        .collect();
    let tests = |named: &&(&str, &str)| named.1.contains('_');
    assert!(named.iter().filter(tests).count() > 20, "{named:?}");
    for (module, test) in named.iter().filter(tests) {
        let files = [repository().join("src"), repository().join("tests")]
            .iter()
            .flat_map(|folder| rust_files(folder))
            .collect::<Vec<_>>();
        let of_module = files
            .iter()
            .filter(|file| file.ends_with(format!("{module}.rs")));
        let exists = of_module.clone().any(|file| {
            fs::read_to_string(file).is_ok_and(|text| text.contains(&format!("fn {test}(")))
        });
        assert!(exists, "no `{module}` has a test `{test}`");
    }
}

#[test]
fn every_source_that_a_document_names_exists() {
    let folders = ["docs", "docs/decisions"].map(|folder| repository().join(folder));
    let documents = folders.iter().flat_map(|folder| {
        let entries = fs::read_dir(folder).expect("docs can be listed");
        entries.map(|entry| entry.expect("docs can be listed").path())
    });
    let is_document = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "md");
    let mut count = 0;
    for document in documents.filter(is_document) {
        let text = fs::read_to_string(&document).expect("documents can be read");
        let named = text.split('`').filter(|part| {
            part.starts_with("src/") && !part.contains(|c: char| c.is_whitespace() || c == '*')
        });
        for path in named {
            count += 1;
            let exists = repository().join(path).exists();
            assert!(exists, "{} names {path}", document.display());
        }
    }
    assert!(count > 40, "{count}");
}

#[test]
fn the_security_page_names_every_function_without_a_key() {
    let text = read("docs/SECURITY.md");
    let named: BTreeSet<String> = text
        .split("the anonymous routes (")
        .nth(1)
        .and_then(|rest| rest.split(')').next())
        .expect("the page lists them")
        .split('`')
        .filter(|part| part.starts_with(|c: char| c.is_ascii_uppercase()))
        .map(str::to_owned)
        .collect();
    let functions = fs::read_dir(repository().join("functions")).expect("functions can be listed");
    let anonymous: BTreeSet<String> = functions
        .map(|entry| entry.expect("functions can be listed").file_name())
        .filter_map(|name| name.into_string().ok())
        .filter(|name| {
            let path = format!("functions/{name}/function.json");
            repository().join(&path).exists()
                && read(&path).contains("\"authLevel\": \"anonymous\"")
        })
        .collect();
    assert_eq!(named, anonymous);
}

#[test]
fn links_between_documents_lead_somewhere() {
    let documents = [
        "README.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
        "docs/README.md",
        "docs/API.md",
        "docs/ARCHITECTURE.md",
        "docs/OPERATIONS.md",
        "docs/NOTIFICATIONS.md",
        "docs/PERFORMANCE.md",
        "docs/SETTINGS.md",
        "docs/VERBS.md",
        "docs/SCALING.md",
        "docs/SECURITY.md",
    ];
    for document in documents {
        let text = read(document);
        for link in text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            let path = link.split('#').next().unwrap_or_default();
            if path.is_empty() || path.contains("://") {
                continue;
            }
            let target = repository().join(document).with_file_name("").join(path);
            assert!(
                target.exists(),
                "{document} links to {link}, which is not there"
            );
        }
    }
}
