//! `recording-vault doctor` where something answers in front of the functions: a sign-in, an access restriction; and where
//! functions answer that should ask for a key.

use axum::Router;
use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::Value;
use tokio::net::TcpListener;

use crate::doctor::{Place, assert_failed, check};

const KEY: &str = "x-functions-key";

/// The address of a server that answers like this.
async fn answering(answer: fn(&Request) -> Response) -> String {
    let listener = TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port is free");
    let url = format!("http://{}", listener.local_addr().expect("it is bound"));
    let routes = Router::new().fallback(move |request: Request| async move { answer(&request) });
    tokio::spawn(async move { axum::serve(listener, routes).await });
    url
}

/// What doctor finds there, with a key.
async fn examined(answer: fn(&Request) -> Response) -> (Option<i32>, Value) {
    let url = answering(answer).await;
    let place = Place::with(&[("FUNCTIONS_KEY", "a-key")]).await;
    place.examined(&["--url", &url]).await
}

/// App Service Authentication with the action "redirect".
fn redirected() -> Response {
    let location = "https://login.microsoftonline.com/tenant/oauth2/v2.0/authorize?client_id=x";
    (StatusCode::FOUND, [(header::LOCATION, location)]).into_response()
}

fn forbidden_page() -> Response {
    let page = "<h1>You do not have permission to view this directory or page.</h1>";
    (StatusCode::FORBIDDEN, axum::response::Html(page)).into_response()
}

#[tokio::test]
async fn a_redirect_to_a_sign_in_is_no_handler_that_does_not_run() {
    let (code, found) = examined(|_| redirected()).await;
    assert_eq!(code, Some(2));
    let remedy = "exclude `/api/openapi.json` from App Service Authentication";
    assert_failed(&found, "handler", "asks for a sign-in", remedy);
}

#[tokio::test]
async fn a_403_of_something_in_front_is_no_handler_that_does_not_run() {
    let (code, found) = examined(|_| forbidden_page()).await;
    assert_eq!(code, Some(2));
    let says = "something in front of the Functions host answers 403";
    let remedy = "exclude `/api/openapi.json` from App Service Authentication";
    assert_failed(&found, "handler", says, remedy);
    assert_failed(&found, "handler", says, "access restrictions");
}

/// Only the description of the API is excluded from the sign-in.
fn redirected_elsewhere(request: &Request) -> Response {
    if is_description(request) {
        StatusCode::OK.into_response()
    } else {
        redirected()
    }
}

fn forbidden_elsewhere(request: &Request) -> Response {
    if is_description(request) {
        StatusCode::OK.into_response()
    } else {
        forbidden_page()
    }
}

fn is_description(request: &Request) -> bool {
    request.uri().path() == "/api/openapi.json"
}

/// App Service Authentication with the action "401".
fn challenged_elsewhere(request: &Request) -> Response {
    if is_description(request) {
        return StatusCode::OK.into_response();
    }
    let challenge = "Bearer realm=\"app.azurewebsites.net\" authorization_uri=\"https://login.microsoftonline.com/tenant/oauth2/authorize\"";
    let headers = [(header::WWW_AUTHENTICATE, challenge)];
    (StatusCode::UNAUTHORIZED, headers).into_response()
}

#[rstest::rstest]
#[case::redirect(redirected_elsewhere, "asks for a sign-in")]
#[case::challenge(challenged_elsewhere, "asks for a sign-in")]
#[case::forbidden(forbidden_elsewhere, "403 Forbidden")]
#[tokio::test]
async fn what_a_sign_in_hides_is_not_checked_and_a_webhook_behind_it_has_failed(
    #[case] answer: fn(&Request) -> Response,
    #[case] says: &str,
) {
    let (code, found) = examined(answer).await;
    assert_eq!(code, Some(2));
    let key = check(&found, "function key");
    assert_eq!(key["result"], "notChecked", "{key}");
    let remedy = "exclude `/api/eventgrid/webhook` from App Service Authentication";
    for webhook in ["webhook, Event Grid schema", "webhook, CloudEvents"] {
        assert_failed(&found, webhook, says, remedy);
    }
    let functions = check(&found, "functions");
    assert_eq!(functions["result"], "notChecked", "{functions}");
}

#[rstest::rstest]
#[case::redirect(redirected_elsewhere)]
#[case::challenge(challenged_elsewhere)]
#[tokio::test]
async fn a_trigger_behind_a_sign_in_has_failed(#[case] answer: fn(&Request) -> Response) {
    let (_, found) = examined(answer).await;
    let remedy = "exclude `/runtime/webhooks/eventgrid` from App Service Authentication";
    assert_failed(&found, "Event Grid trigger", "asks for a sign-in", remedy);
}

#[tokio::test]
async fn a_function_without_a_key_is_named_where_the_others_ask_for_one() {
    let (code, found) = examined(|request| {
        let is_open = matches!(
            request.uri().path(),
            "/api/openapi.json" | "/api/vault/summary"
        );
        if is_open || request.headers().contains_key(KEY) {
            StatusCode::OK.into_response()
        } else {
            StatusCode::UNAUTHORIZED.into_response()
        }
    })
    .await;
    assert_eq!(code, Some(2));
    let says = "1 function answers without a key too: Vault";
    assert_failed(&found, "function key", says, "\"authLevel\": \"function\"");
}
