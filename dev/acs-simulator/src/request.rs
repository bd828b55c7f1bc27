//! A request to the control plane, read whole. Knows nothing of what it asks for.

use std::collections::HashMap;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, Query, Request};
use axum::http::{HeaderMap, Method, Uri};

/// One request with its body.
pub struct ApiRequest {
    pub method: Method,
    pub uri: Uri,
    pub headers: HeaderMap,
    pub query: HashMap<String, String>,
    pub body: Bytes,
}

impl ApiRequest {
    /// The `api-version` of the query; empty if there is none.
    pub fn api_version(&self) -> &str {
        self.query
            .get("api-version")
            .map(String::as_str)
            .unwrap_or_default()
    }
}

impl<S: Send + Sync> FromRequest<S> for ApiRequest {
    type Rejection = BytesRejection;

    async fn from_request(request: Request, state: &S) -> Result<Self, Self::Rejection> {
        let (parts, body) = request.into_parts();
        let (method, uri, headers) = (
            parts.method.clone(),
            parts.uri.clone(),
            parts.headers.clone(),
        );
        let query = Query::try_from_uri(&uri)
            .map(|Query(query)| query)
            .unwrap_or_default();
        let body = Bytes::from_request(Request::from_parts(parts, body), state).await?;
        Ok(Self {
            method,
            uri,
            headers,
            query,
            body,
        })
    }
}
