//! How log lines are written, and where metrics and traces go.

use url::Url;

use crate::secret::SecretHeaders;

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    Json,
}

/// Where metrics and traces go.
#[derive(Debug, Clone)]
pub struct OtlpConfig {
    /// Of an OpenTelemetry collector; each signal's path is below it.
    pub endpoint: Url,
    pub headers: SecretHeaders,
    pub service_name: String,
}
