//! Parameters of the deployment: what azd and the second phase pass on.

use std::collections::BTreeSet;

use serde_json::Value;

use super::read;

/// Parameters of a file: name, type, and default, if there is one.
fn parameters_of(bicep: &str) -> Vec<(&str, &str, Option<&str>)> {
    let lines = bicep.lines().filter_map(|line| line.strip_prefix("param "));
    lines
        .map(|line| {
            let (declared, default) = match line.split_once(" = ") {
                Some((declared, default)) => (declared, Some(default)),
                None => (line, None),
            };
            let (name, kind) = declared.split_once(' ').expect("a parameter has a type");
            (name, kind, default)
        })
        .collect()
}

/// Parameters that are JSON: a variable would need escapes.
const JSON: [&str; 1] = ["autoRecordOptions"];

/// azd reads no other file: a parameter that is missing there is reset to its default by the next deployment.
#[test]
fn azd_passes_on_each_parameter_that_a_variable_can_hold() {
    let file: Value =
        serde_json::from_str(&read("infra/main.parameters.json")).expect("it is JSON");
    let given = file["parameters"]
        .as_object()
        .expect("there are parameters");
    let main = read("infra/main.bicep");
    let mut variables = BTreeSet::new();
    for (name, kind, default) in parameters_of(&main) {
        if !["string", "int", "bool"].contains(&kind) || JSON.contains(&name) {
            assert!(!given.contains_key(name), "{name} is no text");
            continue;
        }
        let value = given.get(name).and_then(|given| given["value"].as_str());
        let value = value.unwrap_or_else(|| panic!("main.parameters.json lacks {name}"));
        let variable = value
            .strip_prefix("${")
            .and_then(|value| value.strip_suffix('}'))
            .unwrap_or_else(|| panic!("{name} is no variable"));
        let (variable, given) = match variable.split_once('=') {
            Some((variable, given)) => (variable, Some(given)),
            None => (variable, None),
        };
        assert_eq!(
            given,
            default.map(|default| default.trim_matches('\'')),
            "{name}"
        );
        assert!(
            variables.insert(variable.to_owned()),
            "{variable} is used twice"
        );
    }
    for name in given.keys() {
        assert!(
            main.contains(&format!("\nparam {name} ")),
            "main.bicep has no parameter {name}"
        );
    }
}

/// What an operator exports by hand, because no parameter of the first phase says it.
const OF_THE_OPERATOR: [&str; 1] = ["ACS_SYSTEM_TOPIC"];

#[test]
fn the_second_phase_gets_every_parameter_it_has() {
    let (script, second) = (read("infra/subscribe.sh"), read("infra/subscription.bicep"));
    let outputs = read("infra/main.bicep");
    for (name, _, _) in parameters_of(&second) {
        let Some((_, given)) = script.split_once(&format!(" {name}=\"$")) else {
            assert_eq!(name, "actionGroupName", "subscribe.sh does not give {name}");
            continue;
        };
        let variable: String = given
            .trim_start_matches('{')
            .chars()
            .take_while(|c| c.is_ascii_uppercase() || *c == '_')
            .collect();
        let is_output = outputs.contains(&format!("\noutput {variable} "));
        let is_exported = OF_THE_OPERATOR.contains(&&*variable)
            && read("docs/OPERATIONS.md").contains(&format!("export {variable}="));
        assert!(is_output || is_exported, "nothing sets {variable}");
    }
}
