//! Returns what a caller may do, so that the page offers only permitted actions. The host has checked the key, and the
//! caller's app roles were checked, before this runs.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::functions::principal::Caller;
use crate::store::audit::Principal;

/// What the caller may do, and the name that the audit log records.
#[derive(Serialize, ToSchema)]
pub(crate) struct RightsAnswer {
    /// Whether `OPERATOR_ACTIONS` is on.
    actions: bool,
    /// `null`: nobody is signed in, and the caller gave no name.
    principal: Option<NamedPrincipal>,
}

/// A caller's name.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NamedPrincipal {
    #[schema(example = "ada@contoso.com")]
    name: String,
    /// Whether App Service Authentication signed the caller in; otherwise the name is not verified.
    is_verified: bool,
}

/// Returns what the caller may do. Changes nothing.
#[utoipa::path(
    post, path = "/api/vault/rights", operation_id = "getRights", tag = "vault",
    responses(
        (status = 200, description = "The caller may act", body = RightsAnswer),
        (status = 403, description = "The caller's app roles do not permit actions", body = crate::functions::problem::ErrorAnswer),
    )
)]
pub(crate) async fn rights(State(app): State<Arc<App>>, caller: Caller) -> Json<RightsAnswer> {
    let named = |name, is_verified| Some(NamedPrincipal { name, is_verified });
    Json(RightsAnswer {
        actions: app.actions_enabled,
        principal: match caller.principal {
            Some(Principal::Verified(name)) => named(name, true),
            Some(Principal::Claimed(name)) => named(name, false),
            None => None,
        },
    })
}
