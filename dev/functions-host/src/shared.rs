//! What all routes share. Knows no route.

use std::collections::HashMap;
use std::sync::Arc;

use axum::http::{HeaderMap, Uri};
use tokio::sync::watch;

use crate::invocation::Invoker;

/// What all routes work with.
#[derive(Clone)]
pub struct Shared {
    pub invoker: Invoker,
    pub draining: watch::Sender<bool>,
    /// Asked for where a function wants a key.
    pub function_key: Option<Arc<str>>,
}

impl Shared {
    /// `?code=` or `x-functions-key`.
    pub fn is_key_right(&self, uri: &Uri, headers: &HeaderMap) -> bool {
        let Some(key) = self.function_key.as_deref() else {
            return true;
        };
        let in_header = headers
            .get("x-functions-key")
            .and_then(|value| value.to_str().ok())
            == Some(key);
        in_header || query(uri).get("code").map(String::as_str) == Some(key)
    }
}

/// The parameters of a query.
pub fn query(uri: &Uri) -> HashMap<String, String> {
    axum::extract::Query::try_from_uri(uri)
        .map(|query| query.0)
        .unwrap_or_default()
}
