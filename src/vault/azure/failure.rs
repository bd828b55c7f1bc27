//! Describes failures of the storage without secrets: transport errors print the URL of the request, and
//! that may contain the signature of a SAS. And briefly: the client repeats the whole body of an answer.

use std::error::Error;

use azure_core::error::ErrorKind;

use super::status;
use crate::error_chain::{ErrorChain, excerpt};

/// Longest text of a failure: an error of the storage has a few hundred bytes, the page of a gateway more.
const TEXT_BYTES: usize = 600;

/// A failure of the storage: its text, and the cause for decisions.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub struct StorageFailure {
    text: String,
    pub cause: Cause,
}

/// Where it failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// The storage answered, with a code of its own: `AuthorizationPermissionMismatch`.
    Answered {
        status: u16,
        code: String,
    },
    /// There is no token for the request.
    NoToken,
    /// It was not reached, or the connection broke.
    Unreachable,
    Other,
}

pub fn redacted(error: &azure_core::Error) -> Box<dyn Error + Send + Sync> {
    let text = ErrorChain(error).to_string();
    let mut text = excerpt(&redact_signature(&text), TEXT_BYTES);
    let cause = match (error.kind(), status(error)) {
        (ErrorKind::Credential, _) => Cause::NoToken,
        (ErrorKind::HttpResponse { error_code, .. }, Some(status)) => Cause::Answered {
            status: status.into(),
            code: error_code.clone().unwrap_or_default(),
        },
        (ErrorKind::Connection | ErrorKind::Io, _) => Cause::Unreachable,
        _ => Cause::Other,
    };
    if let Cause::Answered { code, .. } = &cause
        && let Some(explained) = explained(code)
    {
        text = format!("{explained} ({text})");
    }
    Box::new(StorageFailure { text, cause })
}

/// What a code means for a blob, and how to fix it: responses that no retry changes.
fn explained(code: &str) -> Option<&'static str> {
    Some(match code {
        "LeaseIdMissing" | "LeaseIdMismatchWithBlobOperation" | "LeaseAlreadyPresent" => {
            "another program holds a lease on it; release it there, or break it with `az storage blob lease break`"
        }
        "BlobArchived" => {
            "it is in the archive tier; rehydrate it with `az storage blob set-tier --tier Hot`, which takes hours"
        }
        "BlobBeingRehydrated" => "it is on its way out of the archive tier, which takes hours",
        "SnapshotsPresent" => {
            "it has snapshots, which keep it from being deleted; delete them with `az storage blob delete --delete-snapshots only`"
        }
        "BlobImmutableDueToPolicy" => {
            "an immutability policy or a legal hold protects it until that ends or is removed"
        }
        _ => return None,
    })
}

fn redact_signature(text: &str) -> String {
    let mut redacted = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("sig=") {
        let (before, signature) = rest.split_at(at + "sig=".len());
        redacted.push_str(before);
        redacted.push('…');
        let end = signature.find(|c: char| !(c.is_ascii_alphanumeric() || "%+/=-_.~".contains(c)));
        rest = end.map_or("", |end| &signature[end..]);
    }
    redacted + rest
}

#[cfg(test)]
mod tests {
    use super::{Cause, StorageFailure, TEXT_BYTES, redact_signature, redacted};
    use azure_core::error::ErrorKind;
    use azure_core::http::StatusCode;

    fn answered(status: StatusCode, code: &str) -> String {
        let kind = ErrorKind::HttpResponse {
            status,
            error_code: Some(code.to_owned()),
            raw_response: None,
        };
        let failure = redacted(&azure_core::Error::with_message(kind, code.to_owned()));
        let failure = failure.downcast::<StorageFailure>().unwrap();
        assert!(matches!(&failure.cause, Cause::Answered { code: found, .. } if found == code));
        failure.to_string()
    }

    #[rstest::rstest]
    #[case::lease(StatusCode::PreconditionFailed, "LeaseIdMissing", "lease break")]
    #[case::archived(StatusCode::Conflict, "BlobArchived", "set-tier")]
    #[case::snapshots(StatusCode::Conflict, "SnapshotsPresent", "--delete-snapshots only")]
    #[case::policy(
        StatusCode::Conflict,
        "BlobImmutableDueToPolicy",
        "immutability policy"
    )]
    fn an_answer_that_no_repetition_changes_names_the_way_out(
        #[case] status: StatusCode,
        #[case] code: &str,
        #[case] way_out: &str,
    ) {
        let text = answered(status, code);
        assert!(text.contains(way_out) && text.contains(code), "{text}");
    }

    #[test]
    fn the_page_of_a_gateway_is_not_repeated() {
        let kind = ErrorKind::HttpResponse {
            status: StatusCode::ServiceUnavailable,
            error_code: None,
            raw_response: None,
        };
        let page = format!("503: <html>\n<b>Busy</b>\n{}", "é\n".repeat(500_000));
        let text = redacted(&azure_core::Error::with_message(kind, page)).to_string();
        assert!(text.starts_with("503: <html> <b>Busy</b> é"), "{text}");
        assert!(text.len() <= TEXT_BYTES, "{} bytes", text.len());
    }

    #[test]
    fn a_signature_is_cut_out_of_an_error_text() {
        let text = "error sending request for url (http://h/c?sv=1&sig=ab%2Bc%3D&se=2 and sig=x)";
        assert_eq!(
            redact_signature(text),
            "error sending request for url (http://h/c?sv=1&sig=…&se=2 and sig=…)"
        );
    }
}
