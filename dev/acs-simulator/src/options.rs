//! How the simulator is set up. Knows nothing of what it simulates.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

/// How the simulator is set up. Ports are 0 by default: whatever is free.
#[derive(Debug, Clone)]
pub struct Options {
    pub http: SocketAddr,
    pub https: Option<SocketAddr>,
    /// Base64.
    pub access_key: String,
    /// A bearer token that is accepted besides JWTs for ACS's audience.
    pub bearer_token: Option<String>,
    pub content_base: Option<String>,
    pub activation: Duration,
    pub event_delay: Duration,
    pub retention: Duration,
    pub redelivery_scale: f64,
    pub any_call: bool,
    /// Content may be read without credentials: for programs that do not support any. The real service never allows it.
    pub open_content: bool,
}

impl Options {
    /// A key for tests: base64 of `simulated access key of nobody!`.
    pub const ACCESS_KEY: &str = "c2ltdWxhdGVkIGFjY2VzcyBrZXkgb2Ygbm9ib2R5IQ==";
}

impl Default for Options {
    fn default() -> Self {
        Self {
            http: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            https: None,
            access_key: Self::ACCESS_KEY.to_owned(),
            bearer_token: None,
            content_base: None,
            activation: Duration::ZERO,
            event_delay: Duration::ZERO,
            retention: Duration::from_hours(24),
            redelivery_scale: 1.0,
            any_call: false,
            open_content: false,
        }
    }
}
