//! What happens when ACS refuses our credential: a token is replaced once, and the failure keeps ACS's own ids.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use azure_core::credentials::{AccessToken, TokenCredential, TokenRequestOptions};
use recording_vault::acs::{AcsContent, AcsCredential, AcsHttp, ContentGuard, EntraCredential};
use recording_vault::clock::SystemClock;
use recording_vault::export::source::{ChunkPart, RecordingSource as _, SourceError};
use recording_vault::recording::ChunkLocations;
use serde_json::json;
use tokio::net::TcpListener;

use crate::support::chunk;
use crate::support::world::World;

/// A credential whose tokens say which one it is.
#[derive(Debug)]
struct Numbered(usize);

#[async_trait]
impl TokenCredential for Numbered {
    async fn get_token(
        &self,
        _scopes: &[&str],
        _options: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        let expires_on = SystemTime::now() + Duration::from_hours(1);
        let token = format!("token-{}", self.0);
        Ok(AccessToken::new(token, expires_on.into()))
    }
}

/// ACS, which accepts one token; and how often it was asked.
async fn acs(accepted: &'static str) -> (AcsContent, Arc<AtomicUsize>, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let answer = async move |headers: HeaderMap| -> Response {
        counted.fetch_add(1, Ordering::SeqCst);
        if headers["authorization"] == format!("Bearer {accepted}").as_str() {
            let range = [("content-range", "bytes 0-4/5")];
            return (StatusCode::PARTIAL_CONTENT, range, "media").into_response();
        }
        let body =
            r#"{"title":"Unauthorized","status":401,"message":"Unauthorized","traceId":"0fb2"}"#;
        (StatusCode::UNAUTHORIZED, [("ms-cv", "abc.0")], body).into_response()
    };
    let router = Router::new().fallback(answer);
    tokio::spawn(async move { axum::serve(listener, router).await });
    let made = Arc::new(AtomicUsize::new(0));
    let tokens = Arc::clone(&made);
    let entra = EntraCredential::new(move || {
        let number = tokens.fetch_add(1, Ordering::SeqCst);
        Ok(Arc::new(Numbered(number)) as Arc<dyn TokenCredential>)
    });
    let credential = AcsCredential::Entra(entra.expect("credentials can be made"));
    let endpoint = format!("http://{address}").parse().expect("an endpoint");
    let http = AcsHttp::new(endpoint, credential, Arc::new(SystemClock)).expect("there is TLS");
    (AcsContent::new(http, ContentGuard::default()), asked, made)
}

async fn read(source: &AcsContent) -> Result<(), SourceError> {
    let mut chunk = chunk("a", 0);
    // The resource's own endpoint.
    chunk.locations = ChunkLocations::default();
    let opened = source.open(&chunk, ChunkPart::Media, 0..10).await;
    opened.map(drop)
}

#[tokio::test]
async fn a_refused_token_is_replaced_by_one_of_a_new_credential() {
    let (source, asked, made) = acs("token-1").await;
    read(&source).await.expect("the second token is right");
    read(&source).await.expect("the second token is kept");
    assert_eq!(
        (asked.load(Ordering::SeqCst), made.load(Ordering::SeqCst)),
        (3, 2)
    );
}

#[tokio::test]
async fn a_token_is_replaced_once_and_the_failure_keeps_the_ids_of_acs() {
    let (source, asked, _) = acs("no token").await;
    let error = read(&source).await.expect_err("no token is right");
    assert_eq!(asked.load(Ordering::SeqCst), 2);
    assert!(
        matches!(error, SourceError::CredentialRefused { .. }),
        "{error}"
    );
    let text = error.to_string();
    assert!(
        text.contains("traceId 0fb2") && text.contains("MS-CV abc.0"),
        "{text}"
    );
}

/// The verdict after one attempt to export a new recording.
async fn verdict_with(settings: &[(&str, &str)]) -> serde_json::Value {
    let world = World::with(settings).await;
    let event = world
        .recording(json!({"call": {"chunks": [{"durationMs": 1000}]}}))
        .await;
    world.event(&event).await;
    let (status, answer) = world.api("GET", "/vault/summary", None).await;
    assert_eq!(status, 200, "{answer}");
    answer["verdict"].clone()
}

#[tokio::test]
async fn a_refused_credential_needs_attention_at_the_first_attempt() {
    let verdict = verdict_with(&[("ACS_ACCESS_KEY", "d3Jvbmc=")]).await;
    assert_eq!(verdict["kind"], "attention", "{verdict}");
    assert_eq!(verdict["codes"][0], "atRisk", "{verdict}");
}

#[cfg(unix)]
#[tokio::test]
async fn a_vault_whose_folder_cannot_be_created_is_no_empty_vault() {
    let verdict = verdict_with(&[("VAULT_URL", "file:///proc/nope/vault")]).await;
    assert_eq!(verdict["kind"], "unknown", "{verdict}");
    assert_eq!(verdict["codes"][0], "vaultUnreadable", "{verdict}");
}
