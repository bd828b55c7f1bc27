//! Settings of logs, metrics and traces.

use std::str::FromStr;

use tracing_subscriber::EnvFilter;
use url::Url;

use super::LogConfig;
use super::reader::Reader;
use crate::secret::SecretHeaders;
use crate::telemetry::{LogFormat, OtlpConfig};

/// Logs a line for each token, and several for each failure.
const TALKATIVE: &str = "azure_identity";

/// Limits verbose targets to warnings, unless the filter names them.
fn quieted(filter: &str) -> String {
    if filter.contains(TALKATIVE) {
        filter.to_owned()
    } else {
        format!("{filter},{TALKATIVE}=warn")
    }
}

impl Reader {
    pub(super) fn log(&mut self) -> Option<LogConfig> {
        let filter = self.parsed("LOG", |text| {
            let text = quieted(text);
            EnvFilter::try_new(text).map_err(|error| format!("is no filter: {error}"))
        });
        let format = self.parsed("LOG_FORMAT", |text| match text {
            "text" => Ok(LogFormat::Text),
            "json" => Ok(LogFormat::Json),
            other => Err(format!("is `{other}`; expected text or json")),
        });
        let otlp = self.otlp();
        Some(LogConfig {
            filter: filter?,
            format: format?,
            otlp,
        })
    }

    /// Metrics and traces are off unless an endpoint is set.
    fn otlp(&mut self) -> Option<OtlpConfig> {
        const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
        let headers = self.parsed("OTEL_EXPORTER_OTLP_HEADERS", SecretHeaders::from_str);
        let has_headers = headers.is_some();
        let endpoint = self.parsed(ENDPOINT, |text| match Url::parse(text) {
            Ok(url) if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() => {
                Err("is no http URL")
            }
            Ok(url)
                if !url.username().is_empty()
                    || url.password().is_some()
                    || url.query().is_some() =>
            {
                Err("carries a secret or a query; a secret belongs into OTEL_EXPORTER_OTLP_HEADERS")
            }
            Ok(url) if has_headers && url.scheme() != "https" && !crate::net::is_loopback(&url) => {
                Err("is not https, and OTEL_EXPORTER_OTLP_HEADERS would be sent in the open")
            }
            Ok(url) => Ok(url),
            Err(_) => Err("is no URL; expected one such as http://localhost:4318"),
        })?;
        Some(OtlpConfig {
            endpoint,
            headers: headers.unwrap_or_default(),
            service_name: self.text("OTEL_SERVICE_NAME")?,
        })
    }
}
