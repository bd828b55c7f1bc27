//! The functions that are checked: their address, key and secret, how a request to them is made, and what it means that one
//! gets no answer. It knows no check.

use recording_vault::config::is_key_vault_reference;
use reqwest::header::{HeaderMap, HeaderValue};
use reqwest::{Client, Method, RequestBuilder};
use url::Url;

pub(super) const HANGS: &str = "it runs and hangs: check its log for what it waits for, such as a storage that does not answer, and restart the app";

/// Where the functions are, and their key and secret.
#[derive(Clone)]
pub struct Handler {
    pub url: Url,
    pub key: Option<String>,
    pub secret: WebhookSecret,
    pub export: ExportVia,
}

/// What is known of `EVENT_GRID_SECRET`.
#[derive(Clone)]
pub enum WebhookSecret {
    NotSet,
    Known(String),
    /// The settings refer to Key Vault.
    InKeyVault,
}

impl WebhookSecret {
    /// Reads the value of the setting.
    pub(super) fn of(value: Option<String>) -> Self {
        match value {
            None => Self::NotSet,
            Some(value) if is_key_vault_reference(&value) => Self::InKeyVault,
            Some(value) => Self::Known(value),
        }
    }

    /// The secret, if it can be sent.
    pub(super) fn known(&self) -> Option<&str> {
        match self {
            Self::Known(secret) => Some(secret),
            Self::NotSet | Self::InKeyVault => None,
        }
    }
}

/// What exports the chunks of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExportVia {
    Event,
    /// `EXPORT_QUEUE_URL` is set: the function `ExportChunk`.
    Queue,
}

impl Handler {
    /// The same functions, for a caller without their key.
    pub(super) fn without_key(&self) -> Self {
        Self {
            key: None,
            ..self.clone()
        }
    }

    pub(super) fn request(
        &self,
        client: &Client,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
    ) -> RequestBuilder {
        let mut url = self.url.clone();
        url.set_path(path);
        url.set_query(None);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let mut headers = HeaderMap::new();
        let key = self.key.as_deref();
        if let Some(mut key) = key.and_then(|key| HeaderValue::from_str(key.trim()).ok()) {
            key.set_sensitive(true);
            headers.insert("x-functions-key", key);
        }
        client.request(method, url).headers(headers)
    }

    /// What to do about a request without an answer.
    pub(super) fn where_it_runs(&self, error: &reqwest::Error) -> String {
        if hangs(error) {
            return HANGS.to_owned();
        }
        if recording_vault::address::is_loopback(&self.url) {
            return "start it: `func start --script-root dist`; --port is the port it prints (7071 by default)".to_owned();
        }
        "check that the app runs (`az functionapp show --name <app> --resource-group <group> --query state`) and that its network allows requests from here".to_owned()
    }
}

/// Whether the server took the request, and does not answer.
fn hangs(error: &reqwest::Error) -> bool {
    error.is_timeout() && !error.is_connect()
}

/// Without the URL: it may hold the secret.
pub(super) fn unreachable(error: &reqwest::Error) -> String {
    let why = if hangs(error) {
        "it takes the request, and does not answer in time"
    } else if error.is_timeout() {
        "it does not answer in time"
    } else if error.is_connect() {
        "nothing can be connected to at this URL"
    } else {
        "the connection broke"
    };
    why.to_owned()
}
