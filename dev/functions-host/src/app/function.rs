//! A function folder: `function.json`, and what the host refuses of it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use timer_schedule::{InvalidSchedule, Schedule};

use super::error::AppError;
use super::read_json;
use crate::console::Console;
use crate::route::Route;

/// One function folder.
pub struct Function {
    pub name: String,
    pub trigger: Trigger,
    /// Name of its `http` output binding.
    pub http_output: Option<String>,
    /// Exactly one input, the trigger, and exactly one output, `http`: such a function gets the request itself.
    pub is_http_only: bool,
}

/// What calls a function.
pub enum Trigger {
    Http {
        binding: String,
        methods: Vec<String>,
        route: Route,
        needs_key: bool,
    },
    EventGrid {
        binding: String,
        is_many: bool,
    },
    Timer {
        binding: String,
        schedule: Schedule,
        run_on_startup: bool,
        use_monitor: bool,
    },
}

/// Direct children of the root that hold a function.json. A bad one is reported and left out; the others load.
pub(super) fn functions(
    root: &Path,
    environment: &BTreeMap<String, String>,
    has_bundle: bool,
    console: &Console,
) -> Result<Vec<Function>, AppError> {
    let entries = fs::read_dir(root).map_err(|source| AppError::Read {
        path: root.to_owned(),
        source,
    })?;
    let mut folders: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.join("function.json").is_file())
        .collect();
    folders.sort();
    let mut functions = Vec::new();
    for folder in folders {
        let name = folder
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if environment
            .get(&format!("AzureWebJobs.{name}.Disabled"))
            .is_some_and(|value| value == "true" || value == "1")
        {
            console.line(&format!("Function {name} is disabled"));
            continue;
        }
        match function(&name, &folder, environment, has_bundle) {
            Ok(function) => functions.push(function),
            Err(reason) => console.line(&format!("The '{name}' function is in error: {reason}")),
        }
    }
    Ok(functions)
}

fn function(
    name: &str,
    folder: &Path,
    environment: &BTreeMap<String, String>,
    has_bundle: bool,
) -> Result<Function, String> {
    if !is_function_name(name) {
        return Err(
            "its name must match ^[A-Za-z][A-Za-z0-9_-]{0,127}$ and not be `host`".to_owned(),
        );
    }
    let json: Value =
        read_json(&folder.join("function.json")).map_err(|error| error.to_string())?;
    if json.get("scriptFile").is_some() {
        return Err("scriptFile must not be set for a custom handler".to_owned());
    }
    let bindings = json["bindings"]
        .as_array()
        .filter(|bindings| !bindings.is_empty())
        .ok_or("it has no bindings")?;
    check_binding_names(bindings)?;
    let triggers: Vec<&Value> = bindings
        .iter()
        .filter(|binding| kind(binding).ends_with("trigger"))
        .collect();
    let [json] = triggers[..] else {
        return Err(format!(
            "it has {} triggers; exactly one is needed",
            triggers.len()
        ));
    };
    let trigger = match kind(json).as_str() {
        "httptrigger" => http_trigger(name, json)?,
        "eventgridtrigger" if has_bundle => event_grid_trigger(json),
        "timertrigger" => timer_trigger(json, environment)?,
        other => {
            return Err(format!(
                "The binding type(s) '{other}' are not registered. Please ensure the type is correct and the binding extension is installed."
            ));
        }
    };
    let outputs: Vec<&Value> = bindings
        .iter()
        .filter(|binding| is_output(binding))
        .collect();
    let http_output = outputs.iter().find(|binding| kind(binding) == "http");
    let is_http_only = matches!(trigger, Trigger::Http { .. })
        && bindings.len() == 2
        && outputs.len() == 1
        && http_output.is_some();
    Ok(Function {
        name: name.to_owned(),
        trigger,
        http_output: http_output.map(|binding| text(binding, "name").to_owned()),
        is_http_only,
    })
}

fn text<'a>(binding: &'a Value, member: &str) -> &'a str {
    binding[member].as_str().unwrap_or_default()
}

fn kind(binding: &Value) -> String {
    text(binding, "type").to_ascii_lowercase()
}

fn is_output(binding: &Value) -> bool {
    text(binding, "direction").eq_ignore_ascii_case("out")
}

fn check_binding_names(bindings: &[Value]) -> Result<(), String> {
    let mut names: Vec<&str> = Vec::new();
    for binding in bindings {
        let name = text(binding, "name");
        if !is_binding_name(name) {
            return Err(format!(
                "the binding name `{name}` must match ^[A-Za-z][A-Za-z0-9]{{0,127}}$ or be $return"
            ));
        }
        if names.contains(&name) {
            return Err(format!("the binding name `{name}` is there twice"));
        }
        names.push(name);
    }
    Ok(())
}

fn http_trigger(function: &str, json: &Value) -> Result<Trigger, String> {
    let methods = json["methods"].as_array().map(|methods| {
        methods
            .iter()
            .filter_map(|method| Some(method.as_str()?.to_ascii_uppercase()))
            .collect()
    });
    let level = json["authLevel"].as_str().unwrap_or("function");
    Ok(Trigger::Http {
        binding: text(json, "name").to_owned(),
        methods: methods.unwrap_or_default(),
        route: Route::parse(json["route"].as_str().unwrap_or(function))?,
        needs_key: !level.eq_ignore_ascii_case("anonymous"),
    })
}

fn event_grid_trigger(json: &Value) -> Trigger {
    Trigger::EventGrid {
        binding: text(json, "name").to_owned(),
        is_many: text(json, "cardinality").eq_ignore_ascii_case("many"),
    }
}

fn timer_trigger(json: &Value, environment: &BTreeMap<String, String>) -> Result<Trigger, String> {
    let schedule = text(json, "schedule");
    let setting = schedule
        .strip_prefix('%')
        .and_then(|name| name.strip_suffix('%'));
    let resolved = match setting {
        Some(name) => environment
            .get(name)
            .ok_or_else(|| format!("'%{name}%' does not resolve to a value."))?,
        None => schedule,
    };
    let schedule = resolved.parse().map_err(|error: InvalidSchedule| {
        format!(
            "The schedule expression '{resolved}' was not recognized as a valid cron expression or timespan string: {error}"
        )
    })?;
    Ok(Trigger::Timer {
        binding: text(json, "name").to_owned(),
        schedule,
        run_on_startup: json["runOnStartup"] == true,
        use_monitor: json["useMonitor"] != false,
    })
}

fn is_function_name(name: &str) -> bool {
    let rest_fits = name
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        && rest_fits
        && name.len() <= 128
        && !name.eq_ignore_ascii_case("host")
}

fn is_binding_name(name: &str) -> bool {
    let fits = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric());
    name == "$return" || fits && name.len() <= 128
}
