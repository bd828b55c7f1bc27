//! The query of a URL. Knows nothing of the host.

use std::collections::BTreeMap;

use axum::http::Uri;

/// The parameters of a query.
pub fn query(uri: &Uri) -> BTreeMap<String, String> {
    axum::extract::Query::try_from_uri(uri)
        .map(|query| query.0)
        .unwrap_or_default()
}
