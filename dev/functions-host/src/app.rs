//! The script root: what is read, and what the real host or `func` would refuse.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use crate::console::Console;
use crate::route::Route;
use crate::schedule::Schedule;

const DEFAULT_TIMEOUT: Duration = Duration::from_mins(30);
const DEFAULT_INITIALIZATION_TIMEOUT: Duration = Duration::from_secs(30);

/// Why the host does not start.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    #[error("`{0}` has no host.json")]
    NoHostJson(PathBuf),
    #[error("could not read `{path}`")]
    Read { path: PathBuf, source: io::Error },
    #[error("`{path}` is not what it should be")]
    Json {
        path: PathBuf,
        source: serde_json::Error,
    },
    #[error("host.json: version must be \"2.0\"")]
    Version,
    #[error("host.json: customHandler.description.defaultExecutablePath is missing")]
    NoExecutable,
    #[error("host.json: `{0}` is no time span (hh:mm:ss)")]
    TimeSpan(String),
    #[error("`{0}` is neither in the script root nor on the PATH")]
    ExecutableNotFound(String),
    #[error(
        "FUNCTIONS_WORKER_RUNTIME is `{0}`; a custom handler needs `custom`, in local.settings.json or the environment"
    )]
    WorkerRuntime(String),
    #[error(
        "Missing value for AzureWebJobsStorage in local.settings.json. This is required for all triggers other than httptrigger, kafkatrigger, rabbitmqtrigger, orchestrationTrigger, activityTrigger, entityTrigger."
    )]
    NoStorage,
}

/// A script root that was read.
pub struct FunctionApp {
    pub root: PathBuf,
    pub executable: PathBuf,
    pub working_directory: PathBuf,
    pub arguments: Vec<String>,
    pub environment: BTreeMap<String, String>,
    pub functions: Vec<Function>,
    pub route_prefix: String,
    pub function_timeout: Duration,
    pub initialization_timeout: Duration,
    pub is_proxying: bool,
    pub is_forwarding: bool,
}

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

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct HostJson {
    version: Option<String>,
    function_timeout: Option<String>,
    custom_handler: Option<CustomHandler>,
    extension_bundle: Option<Value>,
    extensions: Option<Extensions>,
}

#[derive(Deserialize)]
struct Extensions {
    http: Option<HttpExtension>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct HttpExtension {
    route_prefix: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CustomHandler {
    description: Option<Description>,
    #[serde(default)]
    enable_proxying_http_request: bool,
    #[serde(default)]
    enable_forwarding_http_request: bool,
    initialization_timeout: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Description {
    default_executable_path: Option<String>,
    working_directory: Option<String>,
    #[serde(default)]
    arguments: Vec<String>,
}

#[derive(Deserialize)]
struct LocalSettings {
    #[serde(rename = "Values", default)]
    values: BTreeMap<String, Value>,
}

impl FunctionApp {
    /// Reads a script root. `outer` is the host's own environment; it wins over local.settings.json.
    pub fn read(
        root: &Path,
        outer: &BTreeMap<String, String>,
        console: &Console,
    ) -> Result<Self, AppError> {
        let root = root.canonicalize().map_err(|source| AppError::Read {
            path: root.to_owned(),
            source,
        })?;
        let path = root.join("host.json");
        if !path.is_file() {
            return Err(AppError::NoHostJson(root));
        }
        let host: HostJson = read_json(&path)?;
        if host.version.as_deref() != Some("2.0") {
            return Err(AppError::Version);
        }
        let mut environment = local_settings(&root)?;
        environment.extend(outer.clone());
        let runtime = environment
            .get("FUNCTIONS_WORKER_RUNTIME")
            .map(String::as_str)
            .unwrap_or_default();
        if !runtime.eq_ignore_ascii_case("custom") {
            return Err(AppError::WorkerRuntime(runtime.to_owned()));
        }
        let handler = host.custom_handler.ok_or(AppError::NoExecutable)?;
        let description = handler.description.ok_or(AppError::NoExecutable)?;
        let named = description
            .default_executable_path
            .filter(|path| !path.is_empty())
            .ok_or(AppError::NoExecutable)?;
        let route_prefix = host
            .extensions
            .and_then(|extensions| extensions.http)
            .and_then(|http| http.route_prefix);
        let functions = functions(
            &root,
            &environment,
            host.extension_bundle.is_some(),
            console,
        )?;
        let needs_storage = functions
            .iter()
            .any(|function| !matches!(function.trigger, Trigger::Http { .. }));
        if needs_storage
            && environment
                .keys()
                .all(|name| !name.starts_with("AzureWebJobsStorage"))
        {
            return Err(AppError::NoStorage);
        }
        Ok(Self {
            executable: executable(&root, &expanded(&named, &environment), &environment)?,
            working_directory: description
                .working_directory
                .map_or_else(|| root.clone(), |path| root.join(path)),
            arguments: description
                .arguments
                .iter()
                .map(|argument| expanded(argument, &environment))
                .collect(),
            functions,
            route_prefix: route_prefix.unwrap_or_else(|| "api".to_owned()),
            function_timeout: time_span(host.function_timeout)?.unwrap_or(DEFAULT_TIMEOUT),
            initialization_timeout: time_span(handler.initialization_timeout)?
                .unwrap_or(DEFAULT_INITIALIZATION_TIMEOUT),
            is_proxying: handler.enable_proxying_http_request,
            is_forwarding: handler.enable_forwarding_http_request,
            environment,
            root,
        })
    }
}

fn read_json<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<T, AppError> {
    let text = fs::read(path).map_err(|source| AppError::Read {
        path: path.to_owned(),
        source,
    })?;
    serde_json::from_slice(&text).map_err(|source| AppError::Json {
        path: path.to_owned(),
        source,
    })
}

fn local_settings(root: &Path) -> Result<BTreeMap<String, String>, AppError> {
    let path = root.join("local.settings.json");
    if !path.is_file() {
        return Ok(BTreeMap::new());
    }
    let settings: LocalSettings = read_json(&path)?;
    let text = |value: Value| {
        value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned)
    };
    Ok(settings
        .values
        .into_iter()
        .map(|(name, value)| (name, text(value)))
        .collect())
}

/// Relative to the root if it is there, else from the PATH.
fn executable(
    root: &Path,
    named: &str,
    environment: &BTreeMap<String, String>,
) -> Result<PathBuf, AppError> {
    let in_root = root.join(named);
    if in_root.is_file() {
        return Ok(in_root);
    }
    let path = environment
        .get("PATH")
        .map(String::as_str)
        .unwrap_or_default();
    let found = std::env::split_paths(path)
        .map(|folder| folder.join(named))
        .find(|candidate| candidate.is_file());
    found.ok_or_else(|| AppError::ExecutableNotFound(named.to_owned()))
}

/// Replaces `%NAME%`; what is not set becomes nothing.
fn expanded(text: &str, environment: &BTreeMap<String, String>) -> String {
    let parts: Vec<&str> = text.split('%').collect();
    if parts.len().is_multiple_of(2) {
        return text.to_owned();
    }
    let part = |(index, part): (usize, &&str)| {
        if index % 2 == 0 {
            (*part).to_owned()
        } else {
            environment.get(*part).cloned().unwrap_or_default()
        }
    };
    parts.iter().enumerate().map(part).collect()
}

fn time_span(text: Option<String>) -> Result<Option<Duration>, AppError> {
    text.map(|text| crate::schedule::parse_time_span(&text).ok_or(AppError::TimeSpan(text)))
        .transpose()
}

/// Direct children of the root that hold a function.json. A bad one is reported and left out; the others load.
fn functions(
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
    let mut names: Vec<&str> = Vec::new();
    for binding in bindings {
        let binding_name = binding["name"].as_str().unwrap_or_default();
        if !is_binding_name(binding_name) {
            return Err(format!(
                "the binding name `{binding_name}` must match ^[A-Za-z][A-Za-z0-9]{{0,127}}$ or be $return"
            ));
        }
        if names.contains(&binding_name) {
            return Err(format!("the binding name `{binding_name}` is there twice"));
        }
        names.push(binding_name);
    }
    let is_out = |binding: &&Value| {
        binding["direction"]
            .as_str()
            .is_some_and(|direction| direction.eq_ignore_ascii_case("out"))
    };
    let kind = |binding: &Value| {
        binding["type"]
            .as_str()
            .unwrap_or_default()
            .to_ascii_lowercase()
    };
    let triggers: Vec<&Value> = bindings
        .iter()
        .filter(|binding| kind(binding).ends_with("trigger"))
        .collect();
    let [trigger] = triggers[..] else {
        return Err(format!(
            "it has {} triggers; exactly one is needed",
            triggers.len()
        ));
    };
    let outputs: Vec<&Value> = bindings.iter().filter(is_out).collect();
    let http_output = outputs.iter().find(|binding| kind(binding) == "http");
    let binding = trigger["name"].as_str().unwrap_or_default().to_owned();
    let trigger = match kind(trigger).as_str() {
        "httptrigger" => {
            let methods = trigger["methods"].as_array().map(|methods| {
                methods
                    .iter()
                    .filter_map(|method| Some(method.as_str()?.to_ascii_uppercase()))
                    .collect()
            });
            let level = trigger["authLevel"].as_str().unwrap_or("function");
            let route = Route::parse(trigger["route"].as_str().unwrap_or(name))?;
            Trigger::Http {
                binding,
                methods: methods.unwrap_or_default(),
                route,
                needs_key: !level.eq_ignore_ascii_case("anonymous"),
            }
        }
        "eventgridtrigger" if has_bundle => {
            let is_many = trigger["cardinality"]
                .as_str()
                .is_some_and(|cardinality| cardinality.eq_ignore_ascii_case("many"));
            Trigger::EventGrid { binding, is_many }
        }
        "timertrigger" => {
            let schedule = trigger["schedule"].as_str().unwrap_or_default();
            let resolved = match schedule
                .strip_prefix('%')
                .and_then(|name| name.strip_suffix('%'))
            {
                Some(name) => environment
                    .get(name)
                    .cloned()
                    .ok_or_else(|| format!("'%{name}%' does not resolve to a value."))?,
                None => schedule.to_owned(),
            };
            Trigger::Timer {
                binding,
                schedule: Schedule::parse(&resolved).ok_or_else(|| {
                    format!(
                        "The schedule expression '{resolved}' was not recognized as a valid cron expression or timespan string."
                    )
                })?,
                run_on_startup: trigger["runOnStartup"] == true,
                use_monitor: trigger["useMonitor"] != false,
            }
        }
        other => {
            return Err(format!(
                "The binding type(s) '{other}' are not registered. Please ensure the type is correct and the binding extension is installed."
            ));
        }
    };
    let is_http_only = matches!(trigger, Trigger::Http { .. })
        && bindings.len() == 2
        && outputs.len() == 1
        && http_output.is_some();
    let http_output = http_output
        .and_then(|binding| binding["name"].as_str())
        .map(str::to_owned);
    Ok(Function {
        name: name.to_owned(),
        trigger,
        http_output,
        is_http_only,
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

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: &str = r#"{"version":"2.0","customHandler":{"description":{"defaultExecutablePath":"handler","arguments":["%MODE%"]}},"extensionBundle":{}}"#;

    fn root(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (name, content) in files {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        root
    }

    fn read(files: &[(&str, &str)], environment: &[(&str, &str)]) -> Result<FunctionApp, String> {
        let environment = environment
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        FunctionApp::read(root(files).path(), &environment, &Console::silent())
            .map_err(|error| error.to_string())
    }

    const CUSTOM: (&str, &str) = ("FUNCTIONS_WORKER_RUNTIME", "custom");

    #[test]
    fn settings_of_the_environment_win_over_the_file() {
        let settings = r#"{"Values":{"MODE":"file","OTHER":"file"}}"#;
        let files = [
            ("host.json", HOST),
            ("handler", ""),
            ("local.settings.json", settings),
        ];
        let app = read(&files, &[CUSTOM, ("MODE", "environment")]).unwrap();
        assert_eq!(app.arguments, ["environment"]);
        assert_eq!(app.environment["OTHER"], "file");
    }

    #[rstest::rstest]
    #[case(&[("x", "")], "no host.json")]
    #[case(&[("host.json", r#"{"version":"1.0"}"#)], "version must be")]
    #[case(&[("host.json", r#"{"version":"2.0"}"#)], "defaultExecutablePath is missing")]
    #[case(&[("host.json", HOST)], "`handler` is neither in the script root")]
    fn a_root_the_host_would_refuse_is_refused(
        #[case] files: &[(&str, &str)],
        #[case] expected: &str,
    ) {
        let error = read(files, &[CUSTOM]).err().unwrap();
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn another_worker_runtime_is_refused() {
        let error = read(&[("host.json", HOST), ("handler", "")], &[])
            .err()
            .unwrap();
        assert!(error.contains("FUNCTIONS_WORKER_RUNTIME"), "{error}");
    }

    #[test]
    fn a_trigger_other_than_http_needs_storage() {
        let timer = r#"{"bindings":[{"type":"timerTrigger","name":"timer","direction":"in","schedule":"0 * * * * *"}]}"#;
        let files = [
            ("host.json", HOST),
            ("handler", ""),
            ("Tick/function.json", timer),
        ];
        assert!(
            read(&files, &[CUSTOM])
                .err()
                .unwrap()
                .contains("AzureWebJobsStorage")
        );
        assert_eq!(
            read(&files, &[CUSTOM, ("AzureWebJobsStorage", "x")])
                .unwrap()
                .functions
                .len(),
            1
        );
    }

    #[test]
    fn a_bad_function_is_left_out_and_the_others_load() {
        let good = r#"{"bindings":[{"type":"httpTrigger","name":"req","direction":"in"},{"type":"http","name":"res","direction":"out"}]}"#;
        let bad = r#"{"bindings":[{"type":"timerTrigger","name":"timer","schedule":"%NOT_SET%"}]}"#;
        let files = [
            ("host.json", HOST),
            ("handler", ""),
            ("Good/function.json", good),
            ("Bad/function.json", bad),
            ("functions/Deep/function.json", good),
        ];
        let app = read(&files, &[CUSTOM]).unwrap();
        assert_eq!(
            app.functions
                .iter()
                .map(|function| function.name.as_str())
                .collect::<Vec<_>>(),
            ["Good"]
        );
        assert!(app.functions[0].is_http_only);
    }
}
