//! On what ground a call is recorded: evidence that is kept with the recording.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::invalid::InvalidRequest;

/// A name or a reference; more is a document, and belongs elsewhere.
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
    #[schema(value_type = String, format = DateTime)]
    pub given_at: Timestamp,
    /// Where the evidence itself lies.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "crm:case/4711")]
    pub reference: Option<String>,
}

impl Consent {
    /// Checks that every part says something.
    ///
    /// # Errors
    /// With the part that is empty or too long.
    pub fn check(&self) -> Result<(), InvalidRequest> {
        let reference = self.reference.as_ref();
        let parts =
            [("consent.basis", Some(&self.basis)), ("consent.givenBy", Some(&self.given_by)), ("consent.reference", reference)];
        for (field, text) in parts {
            let Some(text) = text else { continue };
            if text.trim().is_empty() {
                return Err(InvalidRequest::of(field, format!("`{field}` is empty.")));
            }
            if text.len() > LONGEST {
                return Err(InvalidRequest::of(field, format!("`{field}` has more than {LONGEST} bytes.")));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[rstest::rstest]
    #[case(json!({"basis": " ", "givenBy": "x", "givenAt": "2026-03-02T10:00:00Z"}), "`consent.basis` is empty")]
    #[case(json!({"basis": "consent", "givenBy": "", "givenAt": "2026-03-02T10:00:00Z"}), "`consent.givenBy` is empty")]
    fn evidence_that_says_nothing_is_refused(#[case] consent: serde_json::Value, #[case] expected: &str) {
        let consent: Consent = serde_json::from_value(consent).unwrap();
        let error = consent.check().unwrap_err();
        assert!(error.message.contains(expected), "{error:?}");
    }
}
