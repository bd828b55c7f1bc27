//! Azure Communication Services call recording over REST.
//! No other module knows ACS's JSON, URLs, versions and signatures.

pub mod api_version;
pub mod client;
pub mod connection_string;
pub mod content;
pub mod credential;
pub mod endpoint;
pub mod error;
pub mod failed_start;
pub mod guard;
pub mod hmac;
mod http;
pub mod operation;
pub mod wire;

pub use api_version::ApiVersion;
pub use client::CallRecordingClient;
pub use content::AcsContent;
pub use credential::{AccessKey, AcsCredential, EntraCredential};
pub use endpoint::AcsEndpoint;
pub use error::AcsError;
pub use guard::{ContentGuard, ContentHost};
pub use http::AcsHttp;
