//! ACS's `CommunicationIdentifierModel`: whom it names. It must not know which request or event has it.

use serde_json::Value;

use super::lenient::Fields;

/// The members of the kinds of identifiers, and of their ids.
const KINDS: [(&str, &str); 5] = [
    ("communicationUser", "id"),
    ("phoneNumber", "value"),
    ("microsoftTeamsUser", "userId"),
    ("teamsExtensionUser", "userId"),
    ("microsoftTeamsApp", "appId"),
];

/// Returns the raw id of an identifier, such as `8:acs:…` or `4:+1555…`, from its `rawId` or from the member of its kind.
pub fn raw_id(identifier: &Value) -> Option<String> {
    let fields = Fields::of(identifier)?;
    let of_kind = |(kind, member): &(&str, &str)| fields.object(kind)?.text(member);
    let id = fields
        .text("rawId")
        .or_else(|| KINDS.iter().find_map(of_kind));
    let id = id?.trim();
    (!id.is_empty()).then(|| id.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[rstest::rstest]
    #[case(json!({"rawId": "8:acs:x"}), Some("8:acs:x"))]
    #[case(json!({"kind": "phoneNumber", "phoneNumber": {"value": "+15551230001"}}), Some("+15551230001"))]
    #[case(json!({"communicationUser": {"id": "8:acs:x"}}), Some("8:acs:x"))]
    #[case(json!({"microsoftTeamsUser": {"userId": "7c62"}}), Some("7c62"))]
    #[case(json!({"rawId": " "}), None)]
    #[case(json!({"rawId": 17}), None)]
    #[case(json!("8:acs:x"), None)]
    fn an_identifier_names_its_person_in_every_form(
        #[case] identifier: Value,
        #[case] expected: Option<&str>,
    ) {
        assert_eq!(raw_id(&identifier).as_deref(), expected);
    }
}
