//! What is made in Azure, held together with the sources: settings, functions, and the words that alerts wait for.

mod network;
mod parameters;
mod second_phase;

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use recording_vault::config::SETTINGS;
use recording_vault::standing::Standing;
use recording_vault::standing::verdict::line::VerdictLine;
use recording_vault::standing::verdict::{VerdictCode, VerdictKind};
use serde_json::Value;
use tree_sitter::{Node, Parser};

use crate::documents::{read, repository};

/// Settings that the Bicep does not set, and why; `otherSettings` takes them all the same.
const LEFT_OUT: [(&[&str], &str); 11] = [
    (
        &["REPLAY_FROM"],
        "dead letters are on the storage account of the vault",
    ),
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
        &[
            "DELETE_OTHER_OBJECT",
            "DELETE_UNSOLICITED",
            "POISON_RETENTION",
            "TIMESTAMP_URL",
            "TIMESTAMP_CA",
        ],
        "right as they are, unless somebody decides otherwise",
    ),
    (
        &["DEFAULT_COUNTRY"],
        "which country is the default is for the customer to say",
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
    (
        &["NOTIFY_URL", "NOTIFY_SECRET", "NOTIFY_QUEUE_URL"],
        "set where somebody receives notifications",
    ),
    (
        &["LOG"],
        "the default logs what the queries of the guide read",
    ),
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

/// The settings of ours that the templates set: main.bicep those it has or computes, app.bicep those that Azure knows.
fn settings_set() -> BTreeSet<String> {
    let blocks = [
        ("infra/main.bicep", "var settings = {"),
        ("infra/modules/app.bicep", "var platformSettings = {"),
    ];
    let mut names = BTreeSet::new();
    for (file, start) in blocks {
        let text = read(file);
        let block = text
            .split(start)
            .nth(1)
            .and_then(|rest| rest.split("\n}").next())
            .unwrap_or_else(|| panic!("{file} has no `{start}`"));
        names.extend(properties(block).map(|(name, _)| name.to_owned()));
    }
    let of_the_host = ["AzureWebJobsStorage", "APPLICATIONINSIGHTS_"];
    names.retain(|name| !of_the_host.iter().any(|prefix| name.starts_with(prefix)));
    names
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
    for file in [
        "infra/main.bicep",
        "infra/subscription.bicep",
        "infra/modules/private-endpoints.bicep",
    ] {
        let text = read(file);
        let folder = file.rsplit_once('/').map_or("", |(folder, _)| folder);
        for module in text.split("\nmodule ").skip(1) {
            let name = module.split(' ').next().unwrap_or_default();
            let path = module.split('\'').nth(1).expect("a module has a path");
            let declared = read(&format!("{folder}/{path}"));
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

/// The words that the rules wait for, each with its severity, as `alerts.bicep` lists them.
fn alarms() -> Vec<(String, String)> {
    let alerts = read("infra/modules/alerts.bicep");
    let alarms = alerts.split("  {\n").filter_map(|alarm| {
        let value = |name: &str| {
            let mut found = properties(alarm).filter(|(known, _)| *known == name);
            Some(found.next()?.1.trim_matches('\'').to_owned())
        };
        Some((value("word")?, value("severity")?))
    });
    alarms.collect()
}

#[test]
fn every_code_of_the_verdict_has_one_alert_rule_and_a_row_in_the_guide_and_so_have_kinds_that_know_nothing()
 {
    let alarms = alarms();
    let words: Vec<&str> = alarms.iter().map(|(word, _)| word.as_str()).collect();
    let distinct: BTreeSet<&str> = words.iter().copied().collect();
    assert_eq!(distinct.len(), words.len(), "{words:?}");
    let codes = VerdictCode::ALL.into_iter().map(VerdictCode::name);
    let kinds = [VerdictKind::Unknown, VerdictKind::NoData].map(VerdictKind::name);
    let expected: BTreeSet<&str> = codes.chain(kinds).collect();
    assert_eq!(distinct, expected);
    let guide = read("docs/OPERATIONS.md");
    for (word, severity) in &alarms {
        let row = format!("\n| `{word}` | {severity} | ");
        assert!(guide.contains(&row), "the guide has no row {row:?}");
    }
}

/// The block of a resource in `alerts.bicep`.
fn rule<'a>(alerts: &'a str, name: &str) -> &'a str {
    let rest = alerts.split(&format!("resource {name} '")).nth(1);
    rest.and_then(|rest| rest.split("\nresource ").next())
        .unwrap_or_else(|| panic!("there is no rule {name}"))
}

#[test]
fn no_alert_is_resolved_because_nobody_looks() {
    let alerts = read("infra/modules/alerts.bicep");
    let words = rule(&alerts, "words");
    assert!(words.contains("autoMitigate: false"), "{words}");
    assert!(words.contains("muteActionsDuration: "), "{words}");
    // The alert on the absence of the line ends with a line only.
    let absent = rule(&alerts, "absent");
    assert!(absent.contains("operator: 'LessThan'"), "{absent}");
    assert!(absent.contains("autoMitigate: true"), "{absent}");
    let rules = alerts.matches("scheduledQueryRules@").count();
    assert_eq!(rules, 2, "each rule is one of the two kinds above");
}

#[test]
fn a_word_that_needs_a_second_look_is_a_word_of_the_rules_and_no_known_problem() {
    let alerts = read("infra/modules/alerts.bicep");
    let line = alerts
        .lines()
        .find(|line| line.starts_with("var confirmed = ["));
    let words: BTreeSet<String> = line
        .expect("there is a list")
        .split('\'')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect();
    let known: BTreeSet<String> = alarms().into_iter().map(|(word, _)| word).collect();
    assert!(!words.is_empty() && words.is_subset(&known), "{words:?}");
    let standings = Standing::ALL
        .into_iter()
        .filter_map(VerdictCode::of_standing);
    for code in standings {
        assert!(!words.contains(code.name()), "{code:?}");
    }
}

/// The longest interval of sweeps that the guide allows. Each look writes one line.
#[test]
fn a_rule_that_needs_two_lines_waits_for_two_sweeps_of_every_schedule_that_is_allowed() {
    let alerts = read("infra/modules/alerts.bicep");
    let words = rule(&alerts, "words");
    assert!(
        words.contains("windowSize: contains(confirmed, alarm.word) ? 'PT45M' : 'PT15M'")
            && words.contains("threshold: contains(confirmed, alarm.word) ? 1 : 0"),
        "{words}"
    );
    let guide = read("docs/OPERATIONS.md");
    assert!(guide.contains("its interval must be at most 15 minutes"));
}

/// A dead letter that cannot be written is the end of its event.
#[test]
fn an_event_that_is_dropped_alerts_as_one_that_is_dead_lettered() {
    let letters = read("infra/modules/dead-letters.bicep");
    for metric in ["DeadLetteredCount", "DroppedEventCount"] {
        assert!(letters.contains(&format!("metric: '{metric}'")), "{metric}");
    }
    assert!(letters.contains("metricName: count.metric"));
}

/// Event Grid gives up when ACS has dropped the file.
#[test]
fn a_delivery_that_fails_alerts_while_there_is_time() {
    let letters = read("infra/modules/dead-letters.bicep");
    let failed = letters
        .split("  {\n")
        .find(|count| count.contains("metric: 'DeliveryAttemptFailCount'"))
        .expect("failed attempts are counted");
    assert!(
        failed.contains("severity: 1") && failed.contains("window: 'PT15M'"),
        "{failed}"
    );
    let guide = read("docs/OPERATIONS.md");
    for name in letters
        .lines()
        .filter_map(|line| line.strip_prefix("    name: '")?.strip_suffix('\''))
        .filter(|name| !name.contains('$'))
    {
        let rule = format!("`recording-vault-{name}`");
        assert!(guide.contains(&rule), "the guide does not explain {rule}");
    }
}

/// `doctor` and the other verbs need what the app's identity needs.
#[test]
fn operators_get_the_roles_of_the_app_at_what_their_verbs_use() {
    /// GUID of the role that a module assigns at a scope, or the parameter that has it.
    fn role_at(module: &str, scope: &str) -> String {
        let at = format!("scope: {scope}\n");
        let assignment = module.split("\nresource ").find(|part| part.contains(&at));
        let assignment = assignment.unwrap_or_else(|| panic!("no role at {scope}"));
        let definition = "'Microsoft.Authorization/roleDefinitions',";
        let (_, role) = assignment.split_once(definition).expect("it has a role");
        let role = role.split(')').next().expect("it ends").trim();
        let variable = format!("var {role} = '");
        let value = module.split_once(&*variable).map(|(_, value)| value);
        let guid = value.and_then(|value| value.split('\'').next());
        guid.unwrap_or(role).to_owned()
    }
    let (operators, app) = (
        read("infra/modules/operators.bicep"),
        read("infra/modules/roles.bicep"),
    );
    for scope in ["recordings", "ledger", "audit"] {
        assert_eq!(role_at(&operators, scope), role_at(&app, scope), "{scope}");
    }
    // They read dead letters, which only Event Grid writes.
    let reader = "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1";
    assert_eq!(role_at(&operators, "undelivered"), reader);
    let (operators_on_acs, app_on_acs) = (
        read("infra/modules/operators-on-acs.bicep"),
        read("infra/modules/acs.bicep"),
    );
    assert_eq!(
        role_at(&operators_on_acs, "acs"),
        role_at(&app_on_acs, "acs")
    );
    for (module, loops) in [(operators, 4), (operators_on_acs, 1)] {
        assert_eq!(
            module.matches("for principalId in operators: {").count(),
            loops
        );
    }
    // A conflict with an assignment that was made by hand does not stop the app.
    let template = read("infra/main.bicep");
    let app = template
        .split("module app ")
        .nth(1)
        .expect("there is an app");
    let waits_for = app.lines().find(|line| line.contains("dependsOn"));
    assert!(
        waits_for.is_some_and(|line| !line.contains("operator")),
        "{waits_for:?}"
    );
    assert!(read("README.md").contains("azd env set OPERATOR_PRINCIPAL_IDS "));
}

#[test]
fn every_rule_reads_the_line_that_a_look_writes() {
    let verdict = VerdictLine::undetermined().to_string();
    let prefix = "Verdict: ";
    assert!(verdict.starts_with(prefix), "{verdict}");
    let alerts = read("infra/modules/alerts.bicep");
    let queries: Vec<&str> = properties(&alerts)
        .filter(|(name, _)| *name == "query")
        .map(|(_, query)| query)
        .collect();
    assert_eq!(queries.len(), 2, "{queries:?}");
    for query in queries {
        let reads = format!("'traces | where message startswith_cs \"{prefix}\"");
        assert!(query.starts_with(&reads), "{query}");
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
                let kind: Vec<&str> = kind.split('/').take(2).collect();
                versions.insert((kind.join("/"), version.to_owned()));
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

/// The real compiler runs in the workflow, with these rules.
#[test]
fn every_rule_of_the_linter_is_an_error() {
    let config: Value = serde_json::from_str(&read("infra/bicepconfig.json")).expect("it is JSON");
    let rules = config["analyzers"]["core"]["rules"]
        .as_object()
        .expect("there are rules");
    for (name, rule) in rules {
        assert_eq!(rule["level"], "error", "{name}");
    }
    let off_by_default = [
        "no-hardcoded-outputs",
        "no-module-name",
        "use-description-params",
        "use-recent-api-versions",
        "use-resource-id-functions",
        "use-user-defined-types",
        "what-if-short-circuiting",
    ];
    for name in off_by_default {
        assert!(rules.contains_key(name), "{name}");
    }
}

#[test]
fn a_rule_that_is_switched_off_for_a_resource_is_explained() {
    for file in bicep_files() {
        let text = fs::read_to_string(&file).expect("it is readable");
        if text.contains("#disable-") {
            let is_explained = text
                .lines()
                .any(|line| line.starts_with("//") && line.contains("linter"));
            assert!(is_explained, "{}", file.display());
        }
        assert!(!text.contains("#disable-diagnostics"), "{}", file.display());
    }
}

/// The template describes its parameters, and no table elsewhere repeats them.
#[test]
fn a_parameter_of_the_template_is_described_in_one_place() {
    let main = read("infra/main.bicep");
    let parameters = main
        .lines()
        .filter_map(|line| line.strip_prefix("param ")?.split(' ').next());
    let documents = ["README.md", "docs/OPERATIONS.md", "docs/SETTINGS.md"].map(read);
    for parameter in parameters {
        let row = format!("\n| `{parameter}` |");
        let repeated = documents.iter().any(|document| document.contains(&row));
        assert!(!repeated, "{parameter}");
    }
}

#[test]
fn every_declaration_of_the_templates_is_described_and_typed() {
    let kinds = ["param ", "output ", "var ", "type "];
    for file in bicep_files() {
        let text = fs::read_to_string(&file).expect("it is readable");
        let lines: Vec<&str> = text.lines().collect();
        for (at, line) in lines.iter().enumerate() {
            if !kinds.iter().any(|kind| line.starts_with(kind)) {
                continue;
            }
            let decorators = lines[..at]
                .iter()
                .rev()
                .take_while(|line| line.starts_with('@'));
            let described = decorators
                .filter(|line| line.starts_with("@description('"))
                .count();
            assert_eq!(described, 1, "{}: {line}", file.display());
            let untyped = line
                .split_whitespace()
                .any(|word| matches!(word, "object" | "array"));
            assert!(!untyped, "{}: {line}", file.display());
        }
        let names_a_module = text.split("\nmodule ").skip(1).any(|module| {
            module
                .lines()
                .nth(1)
                .is_some_and(|line| line.starts_with("  name:"))
        });
        assert!(!names_a_module, "{} names a module", file.display());
    }
}

/// `what-if` predicts a module only if what its resources are named by is no output of another one.
#[test]
fn modules_get_no_outputs_of_other_modules() {
    for file in ["infra/main.bicep", "infra/subscription.bicep"] {
        for line in read(file).lines().filter(|line| line.contains(".outputs.")) {
            assert!(line.starts_with("output "), "{file}: {line}");
        }
    }
}

#[test]
fn parameters_that_cannot_work_together_are_refused_before_anything_is_made() {
    let main = read("infra/main.bicep");
    let group = main
        .split("\nresource group ")
        .nth(1)
        .and_then(|rest| rest.split("\n}").next())
        .expect("there is a resource group");
    assert!(group.contains("empty(problems) ? location : fail(join(problems, ' '))"));
    let problems = main
        .split("var problems = filter(")
        .nth(1)
        .and_then(|rest| rest.split("\n)").next())
        .expect("there are refusals");
    for parameters in [
        "siteAccess",
        "siteAllowedRanges",
        "storageAllowedAddresses",
        "existingNetwork",
        "keyVaultResourceGroupName",
        "eventGridOpenIdUrl",
        "vaultImmutableFor",
        "vaultLegalHold",
        "autoRecordOptions",
        "refusedSettings",
        "repeatedSettings",
    ] {
        assert!(problems.contains(parameters), "{parameters}");
    }
    let topic = read("infra/modules/dead-letters.bicep");
    assert!(
        topic.contains("fail('The system topic ${topicName} has no system-assigned identity"),
        "a topic without an identity is refused with a sentence"
    );
}

/// ARM keeps both of two names that differ in case, and the platform one of them.
#[test]
fn other_settings_are_set_once_and_never_empty() {
    let main = read("infra/main.bicep");
    assert!(main.contains("other => toLower(other) == toLower(name)"));
    let filtered =
        "filter(items(union(otherSettings, givenSettings)), setting => !empty(setting.value))";
    assert!(main.contains(filtered));
    assert!(main.contains("settings: allSettings"));
    let schedule = main
        .split("param exportSweepSchedule ")
        .next()
        .and_then(|before| before.rsplit("\n\n").next());
    assert!(schedule.is_some_and(|decorators| decorators.contains("@minLength(1)")));
}

/// A wider assignable scope would let others assign the role elsewhere.
#[test]
fn the_custom_role_has_a_unique_name_and_belongs_to_the_resource_group() {
    let (main, role) = (
        read("infra/main.bicep"),
        read("infra/modules/custom-role.bicep"),
    );
    assert!(main.contains("displayName: 'recording-vault recordings ${suffix}'"));
    assert!(role.contains("assignableScopes: [resourceGroup().id]"));
}
