//! A stand-in for the Azure Functions host (v4) with a custom handler, and for `func start`: development and tests only.
//!
//! It follows the host's source (Azure/azure-functions-host, Azure/azure-functions-core-tools) where a handler can tell
//! the difference: start-up and readiness, restart rules, SIGKILL, the invocation envelope and its answers, HTTP
//! proxying, the Event Grid webhook, timers, `functionTimeout`, what it prints.
//! Not simulated: scale-out, keys in storage, a restart in place, other bindings, Easy Auth, Application Insights.
//!
//! | module | plays |
//! |---|---|
//! | `app` | the script root: `host.json`, `local.settings.json`, `<Function>/function.json`, and what the host refuses |
//! | `worker` | the handler's process |
//! | `invocation` | the envelope, its encoding rule, and what answers mean |
//! | `http` | HTTP triggers: routes, proxying, forwarding, envelopes, output binding |
//! | `keys` | which key opens what |
//! | `event_grid` | `/runtime/webhooks/eventgrid` |
//! | `timer` | timer triggers |
//! | `admin` | `/admin/…` |

mod admin;
mod app;
mod console;
mod event_grid;
mod http;
mod invocation;
mod keys;
mod query;
mod raw_json;
mod route;
mod server;
mod shared;
mod timer;
mod worker;

pub use app::{AppError, Generation};
pub use console::Console;
pub use keys::Keys;
pub use server::{Host, Options};
