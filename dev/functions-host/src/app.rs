//! The script root: what is read, and what the real host or `func` would refuse.

mod error;
mod function;
mod host_json;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use timer_schedule::parse_time_span;

pub use self::error::AppError;
use self::function::functions;
pub use self::function::{Function, Trigger};
use self::host_json::HostJson;
use crate::console::Console;

const DEFAULT_TIMEOUT: Duration = Duration::from_mins(30);
const DEFAULT_INITIALIZATION_TIMEOUT: Duration = Duration::from_secs(30);

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
    pub passing: Passing,
}

/// How the host passes on HTTP requests to pure HTTP functions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passing {
    Proxying,
    Forwarding,
    Envelopes,
}

/// Which host is simulated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Generation {
    /// Today's: it knows `enableProxyingHttpRequest`.
    #[default]
    Proxying,
    /// One from before 2025, which does not.
    Forwarding,
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
        generation: Generation,
        console: &Console,
    ) -> Result<Self, AppError> {
        let root = root.canonicalize().map_err(|source| AppError::Read {
            path: root.to_owned(),
            source,
        })?;
        let host = HostJson::read(&root)?;
        let mut environment = local_settings(&root)?;
        environment.extend(outer.clone());
        check_worker_runtime(&environment)?;
        let route_prefix = host.route_prefix();
        let handler = host.custom_handler.ok_or(AppError::NoExecutable)?;
        let description = handler.description.ok_or(AppError::NoExecutable)?;
        let named = description
            .default_executable_path
            .filter(|path| !path.is_empty())
            .ok_or(AppError::NoExecutable)?;
        let functions = functions(
            &root,
            &environment,
            host.extension_bundle.is_some(),
            console,
        )?;
        check_storage(&functions, &environment)?;
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
            route_prefix,
            function_timeout: time_span(host.function_timeout)?.unwrap_or(DEFAULT_TIMEOUT),
            initialization_timeout: time_span(handler.initialization_timeout)?
                .unwrap_or(DEFAULT_INITIALIZATION_TIMEOUT),
            passing: match generation {
                Generation::Proxying if handler.enable_proxying_http_request => Passing::Proxying,
                Generation::Proxying | Generation::Forwarding => {
                    if handler.enable_forwarding_http_request {
                        Passing::Forwarding
                    } else {
                        Passing::Envelopes
                    }
                }
            },
            environment,
            root,
        })
    }
}

fn check_worker_runtime(environment: &BTreeMap<String, String>) -> Result<(), AppError> {
    let runtime = environment
        .get("FUNCTIONS_WORKER_RUNTIME")
        .map(String::as_str)
        .unwrap_or_default();
    if runtime.eq_ignore_ascii_case("custom") {
        Ok(())
    } else {
        Err(AppError::WorkerRuntime(runtime.to_owned()))
    }
}

/// Every trigger but HTTP needs the host's storage account.
fn check_storage(
    functions: &[Function],
    environment: &BTreeMap<String, String>,
) -> Result<(), AppError> {
    let is_needed = functions
        .iter()
        .any(|function| !matches!(function.trigger, Trigger::Http { .. }));
    let mut names = environment.keys();
    if is_needed && !names.any(|name| name.starts_with("AzureWebJobsStorage")) {
        return Err(AppError::NoStorage);
    }
    Ok(())
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

/// Relative to the root if it exists there, else from the PATH.
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

/// Replaces `%NAME%`; an unset name becomes empty.
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
    text.map(|text| parse_time_span(&text).ok_or(AppError::TimeSpan(text)))
        .transpose()
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
        let generation = Generation::Proxying;
        FunctionApp::read(
            root(files).path(),
            &environment,
            generation,
            &Console::silent(),
        )
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
