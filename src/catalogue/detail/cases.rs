//! Cases as HTTP callers see them: of one hold, and all that hold a recording. Pure; it must not know what a hold covers.

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::catalogue::known::{HeldCase, HoldTarget};
use crate::store::holds::Case;

/// A case that holds something.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ShownCase {
    pub case: String,
    /// The caller who placed the hold, marked if the name is not verified.
    pub by: Option<String>,
    /// Who requested the hold, as the caller wrote it; not verified.
    pub requested_by: Option<String>,
    pub note: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
}

/// A case that holds the recording, by a hold on the recording itself or on what it belongs to.
#[derive(Debug, Serialize, ToSchema)]
pub struct HoldOnRecording {
    #[serde(flatten)]
    pub case: ShownCase,
    /// What the hold is on. `POST …/release` of this recording releases its holds on `recording`,
    /// `POST /api/vault/holds/release` the others.
    pub on: HoldTarget,
}

impl From<&HeldCase> for HoldOnRecording {
    fn from(held: &HeldCase) -> Self {
        Self {
            case: shown_case(&held.case),
            on: held.on,
        }
    }
}

/// A case, as HTTP callers see it.
pub fn shown_case(case: &Case) -> ShownCase {
    ShownCase {
        case: case.tag.to_string(),
        by: case.by.clone(),
        requested_by: case.requested_by.clone(),
        note: case.note.clone(),
        at: case.since,
    }
}
