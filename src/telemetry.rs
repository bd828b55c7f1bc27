//! Logging as the Functions host reads it, and the adapter that prints an error with its causes.
//!
//! The host takes stdout as information and stderr as errors (or warnings, when the line says so), line by line.

use std::error::Error;
use std::fmt;
use std::io;

use tracing::Level;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::writer::{MakeWriter, MakeWriterExt as _};

use crate::config::LogFormat;

/// An error and all its causes on one line, separated by `: `.
pub struct ErrorChain<'a>(pub &'a dyn Error);

impl fmt::Display for ErrorChain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut last = self.0.to_string();
        f.write_str(&last)?;
        let mut source = self.0.source();
        while let Some(error) = source {
            let text = error.to_string();
            // Transparent errors repeat what they wrap.
            if text != last {
                write!(f, ": {text}")?;
            }
            last = text;
            source = error.source();
        }
        Ok(())
    }
}

/// Sends log lines to stdout, warnings and errors to stderr, as the host wants it. Called once, before anything is logged.
pub fn init(filter: EnvFilter, format: LogFormat) {
    start(filter, format, io::stderr.with_max_level(Level::WARN).or_else(io::stdout));
}

/// Sends all log lines to stderr: stdout is a verb's own.
pub fn init_for_operator(filter: EnvFilter, format: LogFormat) {
    start(filter, format, io::stderr);
}

fn start(filter: EnvFilter, format: LogFormat, writer: impl for<'w> MakeWriter<'w> + Send + Sync + 'static) {
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer).with_ansi(false);
    match format {
        LogFormat::Text => builder.with_target(false).init(),
        LogFormat::Json => builder.json().flatten_event(true).with_current_span(false).init(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] Inner);

    #[derive(Debug, thiserror::Error)]
    #[error("inner")]
    struct Inner;

    #[test]
    fn the_whole_chain_is_printed_once() {
        assert_eq!(ErrorChain(&Outer(Inner)).to_string(), "outer: inner");
    }
}
