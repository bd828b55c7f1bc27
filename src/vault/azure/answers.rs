//! Interprets Blob Storage's responses to the vault's requests. Codes decide, not statuses: a 412 may be a lease, a 409
//! a policy.

use azure_core::http::StatusCode;

use super::{has_code, redacted, status};
use crate::export::destination::{CommitOutcome, DestinationError};
use crate::export::layout::BlobName;

/// Error codes of a conditional create if a blob exists; a lease or a policy may answer before the condition does.
const IS_THERE: [&str; 4] = [
    "BlobAlreadyExists",
    "ConditionNotMet",
    "LeaseIdMissing",
    "BlobImmutableDueToPolicy",
];

/// An immutability policy or a legal hold of the blob or its container refuses the request
/// (<https://learn.microsoft.com/azure/storage/blobs/immutable-storage-overview>).
pub(super) fn is_protected(error: &azure_core::Error) -> bool {
    has_code(error, "BlobImmutableDueToPolicy")
}

/// The blob has a different `ETag`, or is gone; a lease also answers 412, with a different code.
pub(super) fn is_changed(error: &azure_core::Error) -> bool {
    has_code(error, "ConditionNotMet") || has_code(error, "BlobNotFound")
}

pub(super) fn failed<'a>(
    action: &'static str,
    name: &'a BlobName,
) -> impl Fn(azure_core::Error) -> DestinationError + 'a {
    move |error| DestinationError {
        action,
        is_refused: is_refused(&error),
        name: name.clone(),
        source: redacted(&error),
    }
}

/// Error codes that no retry changes.
const REFUSED: [&str; 3] = [
    "ContainerNotFound",
    "ContainerDisabled",
    "AccountIsDisabled",
];

/// Whether the storage refuses such a request until a person acts.
fn is_refused(error: &azure_core::Error) -> bool {
    REFUSED.iter().any(|code| has_code(error, code))
        || matches!(
            status(error),
            Some(StatusCode::Unauthorized | StatusCode::Forbidden)
        )
}

/// Outcome of a conditional create.
pub(super) fn created(result: azure_core::Result<()>) -> azure_core::Result<CommitOutcome> {
    match result {
        Ok(()) => Ok(CommitOutcome::Committed),
        Err(error) if IS_THERE.iter().any(|code| has_code(&error, code)) => {
            Ok(CommitOutcome::AlreadyThere)
        }
        Err(error) => Err(error),
    }
}

/// Error codes of a content that was damaged on its way.
const DAMAGED: [&str; 2] = ["Crc64Mismatch", "Md5Mismatch"];

/// Whether a commit may have failed for lack of a right or a feature, so that a plainer one may succeed.
pub(super) fn may_be_unsupported(error: &azure_core::Error) -> bool {
    !DAMAGED.iter().any(|code| has_code(error, code))
        && matches!(
            status(error),
            Some(StatusCode::BadRequest | StatusCode::Conflict | StatusCode::Forbidden)
        )
}
