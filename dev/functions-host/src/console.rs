//! What the host prints.

use std::sync::Arc;

use jiff::Timestamp;

/// Where the host's lines go.
#[derive(Clone)]
pub struct Console(Arc<dyn Fn(&str) + Send + Sync>);

impl Console {
    pub fn new(print: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self(Arc::new(print))
    }

    pub fn silent() -> Self {
        Self::new(|_| {})
    }

    /// A line with the host's time stamp.
    pub(crate) fn line(&self, text: &str) {
        let now = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S%.3fZ");
        (self.0)(&format!("[{now}] {text}"));
    }

    /// A line as it is.
    pub(crate) fn plain(&self, text: &str) {
        (self.0)(text);
    }
}
