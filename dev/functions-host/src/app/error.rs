//! Why a script root is refused.

use std::io;
use std::path::PathBuf;

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
