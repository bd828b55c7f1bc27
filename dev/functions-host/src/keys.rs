//! The host's keys, and what each one authorizes. Knows no route.

use std::collections::BTreeMap;

use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};

use crate::query::query;

const HEADER: &str = "x-functions-key";

/// All keys. As with `func`, no key is required if there are none.
#[derive(Debug, Clone, Default)]
pub struct Keys {
    /// Opens every function.
    pub host: Option<String>,
    /// Opens the Event Grid extension's webhook.
    pub system: Option<String>,
    /// Opens everything.
    pub master: Option<String>,
    /// By the name of the one function that each opens.
    pub functions: BTreeMap<String, String>,
}

/// The owner of the key of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Caller {
    /// No keys are asked for.
    Anybody,
    Master,
    Host,
    System,
    Functions(Vec<String>),
    Stranger,
}

impl Keys {
    /// Keys of which one opens every function.
    pub fn of_host(key: impl Into<String>) -> Self {
        Self {
            host: Some(key.into()),
            ..Self::default()
        }
    }

    /// Whether the key of a request opens a function that asks for one.
    pub fn opens_function(&self, function: &str, uri: &Uri, headers: &HeaderMap) -> bool {
        match self.caller(uri, headers) {
            Caller::Anybody | Caller::Master | Caller::Host => true,
            Caller::Functions(names) => names.iter().any(|name| name == function),
            Caller::System | Caller::Stranger => false,
        }
    }

    /// The host's answer to a request whose key does not open `/admin`.
    pub fn refused_by_admin(&self, uri: &Uri, headers: &HeaderMap) -> Option<Response> {
        match self.caller(uri, headers) {
            Caller::Anybody | Caller::Master => None,
            Caller::Host | Caller::System => Some(StatusCode::FORBIDDEN.into_response()),
            Caller::Functions(_) | Caller::Stranger => Some(unauthorized()),
        }
    }

    /// The host's answer to a request whose key does not open an extension's webhook.
    pub fn refused_by_webhook(&self, uri: &Uri, headers: &HeaderMap) -> Option<Response> {
        match self.caller(uri, headers) {
            Caller::Anybody | Caller::Master | Caller::System => None,
            Caller::Host => Some(StatusCode::FORBIDDEN.into_response()),
            Caller::Functions(_) | Caller::Stranger => Some(unauthorized()),
        }
    }

    fn are_none(&self) -> bool {
        self.host.is_none()
            && self.system.is_none()
            && self.master.is_none()
            && self.functions.is_empty()
    }

    /// The header wins over the query: a wrong header beside a right `code` is wrong.
    fn caller(&self, uri: &Uri, headers: &HeaderMap) -> Caller {
        if self.are_none() {
            return Caller::Anybody;
        }
        let in_query = query(uri)
            .into_iter()
            .find(|(name, _)| name.eq_ignore_ascii_case("code"))
            .map(|(_, key)| key);
        let given = match headers.get(HEADER) {
            Some(key) => key.to_str().ok().map(str::to_owned),
            None => in_query,
        };
        let Some(given) = given.filter(|key| !key.is_empty()) else {
            return Caller::Stranger;
        };
        let is = |key: &Option<String>| key.as_ref() == Some(&given);
        if is(&self.master) {
            return Caller::Master;
        }
        if is(&self.host) {
            return Caller::Host;
        }
        if is(&self.system) {
            return Caller::System;
        }
        let opened = self.functions.iter().filter(|(_, key)| **key == given);
        let opened: Vec<String> = opened.map(|(name, _)| name.clone()).collect();
        if opened.is_empty() {
            Caller::Stranger
        } else {
            Caller::Functions(opened)
        }
    }
}

fn unauthorized() -> Response {
    let scheme = HeaderValue::from_static("Bearer");
    (
        StatusCode::UNAUTHORIZED,
        [(header::WWW_AUTHENTICATE, scheme)],
    )
        .into_response()
}
