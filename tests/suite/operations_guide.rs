//! What `docs/OPERATIONS.md` says of log lines and metrics is what the sources write.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use recording_vault::metrics;
use recording_vault::metrics::instrument::Metric;

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn guide() -> String {
    fs::read_to_string(repository().join("docs/OPERATIONS.md")).expect("the guide is there")
}

/// The rows of the table whose head begins with this cell.
fn table<'a>(guide: &'a str, first_cell: &str) -> Vec<&'a str> {
    let head = format!("| {first_cell} |");
    guide
        .lines()
        .skip_while(|line| !line.starts_with(&head))
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .collect()
}

/// Level and sentence of everything that is logged, as the sources write it.
fn logged() -> BTreeSet<(String, String)> {
    let mut lines = BTreeSet::new();
    for file in rust_files(&repository().join("src")) {
        let text = fs::read_to_string(&file).expect("sources are readable");
        let shipped = text.split("#[cfg(test)]").next().unwrap_or_default();
        for level in ["info", "warn", "error"] {
            let call = format!("{level}!(");
            for (at, _) in shipped.match_indices(&call) {
                let is_part_of_a_word =
                    shipped[..at].ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
                if !is_part_of_a_word && let Some(sentence) = sentence(&shipped[at + call.len()..])
                {
                    lines.insert((level.to_owned(), sentence));
                }
            }
        }
    }
    lines
}

/// The last string among a call's own arguments.
fn sentence(arguments: &str) -> Option<String> {
    let (mut depth, mut last) = (1, None);
    let mut rest = arguments.char_indices();
    while let Some((at, c)) = rest.next() {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            '"' => {
                let mut is_escaped = false;
                let end = rest.find(|(_, c)| {
                    let is_end = *c == '"' && !is_escaped;
                    is_escaped = *c == '\\' && !is_escaped;
                    is_end
                });
                if depth == 1 {
                    last = Some(arguments[at + 1..end?.0].to_owned());
                }
            }
            _ => {}
        }
        if depth == 0 {
            return last;
        }
    }
    None
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path());
    let (folders, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    let below = folders.iter().flat_map(|folder| rust_files(folder));
    below
        .chain(
            files
                .into_iter()
                .filter(|file| file.extension().is_some_and(|extension| extension == "rs")),
        )
        .collect()
}

/// Level and sentence of each row of the table of log lines.
fn rows_of_lines(guide: &str) -> Vec<(String, String)> {
    let rows = table(guide, "level").into_iter().map(|row| {
        let level = row.split('|').nth(1).unwrap_or_default().trim();
        let sentence = row
            .split("``")
            .nth(1)
            .unwrap_or_else(|| panic!("no sentence in {row}"));
        (level.to_owned(), sentence.trim().to_owned())
    });
    rows.collect()
}

#[test]
fn the_guide_has_each_line_once_and_orders_the_lines_by_level() {
    let rows = rows_of_lines(&guide());
    let mut seen = BTreeSet::new();
    let repeated: Vec<_> = rows.iter().filter(|row| !seen.insert(*row)).collect();
    assert!(repeated.is_empty(), "{repeated:#?}");
    let levels = rows.iter().map(|(level, _)| {
        let order = ["error", "warn", "info"];
        order.iter().position(|known| known == level)
    });
    assert!(levels.is_sorted(), "the rows of a level are together");
}

#[test]
fn the_guide_has_every_error_and_warning_and_nothing_that_is_not_logged() {
    let guide = guide();
    let told: BTreeSet<(String, String)> = rows_of_lines(&guide).into_iter().collect();
    let logged = logged();
    assert!(logged.len() > 60, "{logged:?}");
    let invented: Vec<_> = told.difference(&logged).collect();
    assert!(
        invented.is_empty(),
        "the table `Logs` of docs/OPERATIONS.md has lines that nothing logs: {invented:#?}"
    );
    let untold: Vec<_> = logged
        .difference(&told)
        .filter(|(level, _)| level != "info")
        .collect();
    assert!(
        untold.is_empty(),
        "the table `Logs` of docs/OPERATIONS.md lacks a row for each of: {untold:#?}"
    );
}

#[test]
fn queries_and_alerts_look_for_what_is_logged() {
    let guide = guide();
    let logged = logged();
    let mut count = 0;
    for operator in ["text contains ", "text startswith "] {
        for quoted in guide.split(operator).skip(1) {
            let quote = quoted
                .chars()
                .next()
                .filter(|c| *c == '"' || *c == '\'')
                .unwrap_or_else(|| panic!("{quoted}"));
            let part = quoted[1..].split(quote).next().unwrap_or_default();
            let is_logged = logged.iter().any(|(_, sentence)| sentence.contains(part));
            assert!(is_logged, "a query looks for `{part}`, which no line holds");
            count += 1;
        }
    }
    assert!(count > 15, "{count}");
}

/// The rule of a day matches each line that says that a day is not known to be complete.
#[test]
fn the_rule_of_a_day_fires_for_one_recording_for_several_and_for_what_is_not_known() {
    let guide = guide();
    let rule = guide
        .lines()
        .find(|line| line.starts_with("| day not complete |"));
    let parts: Vec<&str> = rule
        .expect("it is there")
        .split('"')
        .skip(1)
        .step_by(2)
        .collect();
    let of_days = logged().into_iter().filter(|(level, sentence)| {
        level != "info"
            && sentence.contains("{day}")
            && sentence.ends_with("; see {key} in the ledger")
    });
    let of_days: Vec<String> = of_days.map(|(_, sentence)| sentence).collect();
    assert_eq!(of_days.len(), 3, "{of_days:?}");
    for sentence in of_days {
        let matches = parts.iter().any(|part| sentence.contains(part));
        assert!(matches, "no rule for: {sentence}");
    }
}

#[test]
fn the_table_of_metrics_is_the_registry() {
    let expected: Vec<String> = metrics::ALL
        .iter()
        .map(|metric| {
            let description = metric.description();
            let family = metrics::openmetrics::family_name(description);
            let suffix = if matches!(metric, Metric::Counter(_)) {
                "_total"
            } else {
                ""
            };
            let labels: Vec<String> = description
                .labels
                .iter()
                .map(|label| format!("`{label}`"))
                .collect();
            let labels = if labels.is_empty() {
                "-".to_owned()
            } else {
                labels.join(", ")
            };
            let (name, kind, unit, help) = (
                description.name,
                metric.kind(),
                description.unit,
                description.help,
            );
            format!("| `{name}` | `{family}{suffix}` | {kind} | `{unit}` | {labels} | {help} |")
        })
        .collect();
    assert_eq!(table(&guide(), "OpenTelemetry"), expected);
}

#[test]
fn alerts_on_metrics_name_metrics_that_there_are() {
    let text = metrics::open_metrics();
    let guide = guide();
    let rules = guide
        .split("```yaml")
        .nth(1)
        .and_then(|rest| rest.split("```").next())
        .expect("there are rules");
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let named: BTreeSet<&str> = rules
        .split(|c| !is_part(c))
        .filter(|word| word.starts_with("recording_vault_"))
        .collect();
    assert!(named.len() > 4, "{named:?}");
    for name in named {
        let family = format!("# TYPE {} ", name.strip_suffix("_total").unwrap_or(name));
        assert!(text.contains(&family), "{name}");
    }
}

/// A comparison with a series that is not there is neither true nor false: the rule must ask for its absence too.
#[test]
fn a_rule_on_the_age_of_a_metric_fires_if_the_metric_is_absent() {
    let guide = guide();
    let rules: Vec<&str> = guide
        .lines()
        .filter(|line| line.contains("expr: \"time() - max("))
        .collect();
    assert!(rules.len() >= 3, "{rules:?}");
    for rule in rules {
        let metric = rule
            .split("max(")
            .nth(1)
            .and_then(|rest| rest.split(')').next());
        let metric = metric.expect("it names a metric");
        assert!(rule.contains(&format!(" or absent({metric})")), "{rule}");
    }
}

#[test]
fn links_within_the_guide_lead_to_its_sections() {
    let guide = guide();
    let sections: BTreeSet<String> = guide
        .lines()
        .filter(|line| line.starts_with('#'))
        .map(|line| {
            line.trim_start_matches('#')
                .trim()
                .to_lowercase()
                .replace(' ', "-")
                .replace(',', "")
        })
        .collect();
    for link in guide
        .split("](#")
        .skip(1)
        .filter_map(|rest| rest.split(')').next())
    {
        assert!(
            sections.contains(link),
            "#{link} is no section of {sections:?}"
        );
    }
}

#[test]
fn the_host_samples_no_log_line_away() {
    let host = fs::read(repository().join("host.json")).expect("host.json is there");
    let host: serde_json::Value = serde_json::from_slice(&host).expect("it is JSON");
    let excluded = &host["logging"]["applicationInsights"]["samplingSettings"]["excludedTypes"];
    assert!(
        excluded
            .as_str()
            .is_some_and(|excluded| excluded.split(';').any(|kind| kind == "Trace")),
        "{excluded}"
    );
}
