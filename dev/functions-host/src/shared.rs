//! What all routes share. Knows no route.

use std::sync::Arc;

use tokio::sync::watch;

use crate::invocation::Invoker;
use crate::keys::Keys;

/// What all routes work with.
#[derive(Clone)]
pub struct Shared {
    pub invoker: Invoker,
    pub draining: watch::Sender<bool>,
    pub keys: Arc<Keys>,
}
