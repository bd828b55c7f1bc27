//! `host.json`, as far as a custom handler can tell.

use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use super::error::AppError;
use super::read_json;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HostJson {
    version: Option<String>,
    pub function_timeout: Option<String>,
    pub custom_handler: Option<CustomHandler>,
    pub extension_bundle: Option<Value>,
    extensions: Option<Extensions>,
}

#[derive(Deserialize)]
struct Extensions {
    http: Option<HttpExtension>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct HttpExtension {
    route_prefix: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CustomHandler {
    pub description: Option<Description>,
    #[serde(default)]
    pub enable_proxying_http_request: bool,
    #[serde(default)]
    pub enable_forwarding_http_request: bool,
    pub initialization_timeout: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Description {
    pub default_executable_path: Option<String>,
    pub working_directory: Option<String>,
    #[serde(default)]
    pub arguments: Vec<String>,
}

impl HostJson {
    pub fn read(root: &Path) -> Result<Self, AppError> {
        let path = root.join("host.json");
        if !path.is_file() {
            return Err(AppError::NoHostJson(root.to_owned()));
        }
        let host: Self = read_json(&path)?;
        if host.version.as_deref() == Some("2.0") {
            Ok(host)
        } else {
            Err(AppError::Version)
        }
    }

    /// The prefix of every route; `api` by default.
    pub fn route_prefix(&self) -> String {
        self.extensions
            .as_ref()
            .and_then(|extensions| extensions.http.as_ref())
            .and_then(|http| http.route_prefix.clone())
            .unwrap_or_else(|| "api".to_owned())
    }
}
