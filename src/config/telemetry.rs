//! Settings of logs, metrics and traces.

use std::str::FromStr;

use tracing_subscriber::EnvFilter;
use url::Url;

use super::LogConfig;
use super::reader::Reader;
use crate::secret::SecretHeaders;
use crate::suggestion;
use crate::telemetry::{LogFormat, OtlpConfig};

/// Words of a filter that need no module.
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
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

/// Refuses a word that is no level, and levels without a comma between: a filter takes each for the name of a module,
/// and everything else would be silent, errors too.
fn check_words(filter: &str) -> Result<(), String> {
    // A filter of spans may have commas and spaces inside.
    if filter.contains(['[', '{']) {
        return Ok(());
    }
    for directive in filter.split(',').map(str::trim) {
        let target = directive.split_once('=').map(|(target, _)| target.trim());
        if target.unwrap_or(directive).contains(char::is_whitespace) {
            return Err(format!(
                "is `{filter}`; separate levels and modules with commas, such as `info,recording_vault=debug`"
            ));
        }
        let is_level = LEVELS
            .iter()
            .any(|known| known.eq_ignore_ascii_case(directive));
        if target.is_none() && !directive.is_empty() && !is_level {
            let hint = suggestion::hint(directive, &LEVELS);
            let hint = hint.trim_end_matches('.');
            return Err(format!(
                "has the word `{directive}`, which is not a level{hint}"
            ));
        }
    }
    Ok(())
}

impl Reader {
    pub(super) fn log(&mut self) -> Option<LogConfig> {
        let filter = self.parsed("LOG", |text| {
            check_words(text)?;
            let text = quieted(text);
            EnvFilter::try_new(text).map_err(|error| format!("is not a filter: {error}"))
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
                Err("is not an http URL")
            }
            Ok(url)
                if !url.username().is_empty()
                    || url.password().is_some()
                    || url.query().is_some() =>
            {
                Err("carries a secret or a query; a secret belongs into OTEL_EXPORTER_OTLP_HEADERS")
            }
            Ok(url)
                if has_headers && url.scheme() != "https" && !crate::address::is_loopback(&url) =>
            {
                Err("is not https, and OTEL_EXPORTER_OTLP_HEADERS would be sent in the open")
            }
            Ok(url) => Ok(url),
            Err(_) => Err("is not a URL; expected one such as http://localhost:4318"),
        })?;
        Some(OtlpConfig {
            endpoint,
            headers: headers.unwrap_or_default(),
            service_name: self.text("OTEL_SERVICE_NAME")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case("warning", "did you mean `warn`?")]
    #[case("info recording_vault=debug", "with commas")]
    #[case("info debug", "with commas")]
    #[case("info,recording_vault", "expected `off`")]
    #[case("verbose", "not a level; expected")]
    fn a_filter_that_would_silence_errors_is_refused(#[case] filter: &str, #[case] part: &str) {
        let problem = check_words(filter).unwrap_err();
        assert!(problem.contains(part), "{problem}");
    }

    #[rstest::rstest]
    #[case("info")]
    #[case("WARN")]
    #[case("info, recording_vault=debug")]
    #[case("error,recording_vault::export=trace,")]
    #[case("info,[chunk{document.id=a b}]=debug")]
    fn levels_and_modules_are_taken(#[case] filter: &str) {
        assert_eq!(check_words(filter), Ok(()));
    }
}
