//! App Service's managed identity endpoint, in small
//! (<https://learn.microsoft.com/azure/app-service/overview-managed-identity#rest-endpoint-reference>).

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::json;
use tokio::net::TcpListener;

pub const HEADER: &str = "the host's own secret";

/// The queries that came.
type Asked = Arc<Mutex<Vec<HashMap<String, String>>>>;

/// A running endpoint; what was asked for is kept.
pub struct FakeIdentity {
    pub url: String,
    pub asked: Asked,
}

impl FakeIdentity {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port is free");
        let url = format!(
            "http://{}/msi/token",
            listener.local_addr().expect("it is bound")
        );
        let asked = Asked::default();
        let router = Router::new()
            .route("/msi/token", get(token))
            .with_state(Arc::clone(&asked));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, asked }
    }
}

async fn token(
    State(asked): State<Asked>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Response {
    if headers
        .get("x-identity-header")
        .is_none_or(|value| value != HEADER)
    {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let resource = query.get("resource").cloned().unwrap_or_default();
    asked
        .lock()
        .expect("no holder of this lock panics")
        .push(query);
    let expires_on = jiff::Timestamp::now().as_second() + 3600;
    let claims = json!({"aud": resource, "exp": expires_on}).to_string();
    let token = format!(
        "{}.{}.c2ln",
        BASE64_URL_SAFE_NO_PAD.encode("{}"),
        BASE64_URL_SAFE_NO_PAD.encode(claims)
    );
    Json(json!({"access_token": token, "expires_on": expires_on.to_string(), "resource": resource, "token_type": "Bearer"}))
        .into_response()
}
