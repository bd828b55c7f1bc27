//! Why the storage did not do what was asked, without what nobody may read: transport errors print the URL they went to, and
//! that may hold the signature of a SAS.

use std::error::Error;

use azure_core::error::ErrorKind;

use super::status;
use crate::error_chain::ErrorChain;

/// A failure of the storage: its text, and what a decision may go by.
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
    /// There is no token to ask it with.
    NoToken,
    /// It was not reached, or broke off.
    Unreachable,
    Other,
}

pub fn redacted(error: &azure_core::Error) -> Box<dyn Error + Send + Sync> {
    let text = redact_signature(&ErrorChain(error).to_string());
    let cause = match (error.kind(), status(error)) {
        (ErrorKind::Credential, _) => Cause::NoToken,
        (ErrorKind::HttpResponse { error_code, .. }, Some(status)) => Cause::Answered {
            status: status.into(),
            code: error_code.clone().unwrap_or_default(),
        },
        (ErrorKind::Connection | ErrorKind::Io, _) => Cause::Unreachable,
        _ => Cause::Other,
    };
    Box::new(StorageFailure { text, cause })
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
    use super::redact_signature;

    #[test]
    fn a_signature_is_cut_out_of_an_error_text() {
        let text = "error sending request for url (http://h/c?sv=1&sig=ab%2Bc%3D&se=2 and sig=x)";
        assert_eq!(
            redact_signature(text),
            "error sending request for url (http://h/c?sv=1&sig=…&se=2 and sig=…)"
        );
    }
}
