//! The ground on which a call is recorded: evidence that is stored with the recording.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::clock::CLOCKS_DIFFER;
use crate::request_body::{self, InvalidRequest};

/// Enough for a name or a reference; a longer text is a document, which belongs elsewhere.
const LONGEST: usize = 512;

/// The participants' consent, or another lawful basis.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Consent {
    /// The ground: `consent`, `contract`, `legalObligation`, …
    #[schema(example = "consent")]
    pub basis: String,
    /// Who gave it, or who established it.
    #[schema(example = "caller, by pressing 1")]
    pub given_by: String,
    #[serde(deserialize_with = "request_body::time")]
    #[schema(value_type = String, format = DateTime)]
    pub given_at: Timestamp,
    /// Where the evidence is stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "crm:case/4711")]
    pub reference: Option<String>,
}

impl Consent {
    /// Checks that every part has a value, and that it was given already.
    ///
    /// # Errors
    /// With the part that is empty, too long, or in the future.
    pub fn check(&self, now: Timestamp) -> Result<(), InvalidRequest> {
        if self.given_at.duration_since(now) > CLOCKS_DIFFER {
            let message = "`consent.givenAt` is in the future.";
            return Err(InvalidRequest::of("consent.givenAt", message));
        }
        let reference = self.reference.as_ref();
        let parts = [
            ("consent.basis", Some(&self.basis)),
            ("consent.givenBy", Some(&self.given_by)),
            ("consent.reference", reference),
        ];
        for (field, text) in parts {
            let Some(text) = text else { continue };
            if text.trim().is_empty() {
                return Err(InvalidRequest::of(field, format!("`{field}` is empty.")));
            }
            if text.len() > LONGEST {
                return Err(InvalidRequest::of(
                    field,
                    format!("`{field}` has more than {LONGEST} bytes."),
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::SignedDuration;
    use serde_json::json;

    #[rstest::rstest]
    #[case(json!({"basis": " ", "givenBy": "x", "givenAt": "2026-03-02T10:00:00Z"}), "`consent.basis` is empty")]
    #[case(json!({"basis": "consent", "givenBy": "", "givenAt": "2026-03-02T10:00:00Z"}), "`consent.givenBy` is empty")]
    fn evidence_that_says_nothing_is_refused(
        #[case] consent: serde_json::Value,
        #[case] expected: &str,
    ) {
        let consent: Consent = serde_json::from_value(consent).unwrap();
        let error = consent.check(consent.given_at).unwrap_err();
        assert!(error.message.contains(expected), "{error:?}");
    }

    #[test]
    fn nobody_consents_in_the_future() {
        let given_at: Timestamp = "2026-03-02T10:00:00Z".parse().unwrap();
        let consent = Consent {
            basis: "consent".into(),
            given_by: "x".into(),
            given_at,
            reference: None,
        };
        assert!(
            consent
                .check(given_at - SignedDuration::from_mins(4))
                .is_ok()
        );
        assert!(
            consent
                .check(given_at - SignedDuration::from_mins(6))
                .is_err()
        );
    }
}
