//! What all routes share. Knows no route.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::http::Uri;
use tokio::sync::watch;

use crate::invocation::Invoker;
use crate::keys::Keys;

/// What all routes work with.
#[derive(Clone)]
pub struct Shared {
    pub invoker: Invoker,
    pub draining: watch::Sender<bool>,
    pub keys: Arc<Keys>,
}

/// The parameters of a query.
pub fn query(uri: &Uri) -> BTreeMap<String, String> {
    axum::extract::Query::try_from_uri(uri)
        .map(|query| query.0)
        .unwrap_or_default()
}
