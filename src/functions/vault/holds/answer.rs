//! The answer of an action on a hold: what still holds it. It must not know what a hold covers.

use serde::Serialize;
use utoipa::ToSchema;

use crate::catalogue::detail::{ShownCase, shown_case};
use crate::catalogue::still_held::StillHeld;
use crate::operator_actions::hold::{Holding, Releasing};

/// What holds a recording now, or what is left after a release.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct HoldsAnswer {
    /// The cases; after a release, those that still hold any part of what the hold covered.
    holds: Vec<ShownCase>,
    /// After a release: how many of the recordings that the hold covered are still held.
    #[serde(skip_serializing_if = "Option::is_none")]
    still_held: Option<StillHeld>,
    /// What the holds apply to, where that is not evident.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(
        example = "No chunk of this recording is known yet. The hold applies as soon as one is announced."
    )]
    message: Option<&'static str>,
}

impl From<&Holding> for HoldsAnswer {
    fn from(holding: &Holding) -> Self {
        Self {
            holds: holding.cases.iter().map(shown_case).collect(),
            still_held: None,
            message: holding.chunks.is_empty().then_some(
                "No chunk of this recording is known yet. The hold applies as soon as one is announced.",
            ),
        }
    }
}

impl From<Releasing> for HoldsAnswer {
    fn from(releasing: Releasing) -> Self {
        Self {
            holds: releasing.still.iter().map(shown_case).collect(),
            still_held: Some(releasing.still_held),
            message: None,
        }
    }
}
