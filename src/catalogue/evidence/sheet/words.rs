//! Stored words in plain English: states, and details of audit records. It writes no HTML.

use serde_json::Value;

/// States of chunks and of places, as the ledger stores them.
const STATES: [(&str, &str); 14] = [
    ("pending", "not in the vault yet"),
    ("exported", "in the vault, and still at ACS"),
    ("sourceDeleted", "in the vault, and deleted at ACS"),
    ("sourceLeft", "in the vault, and not deleted at ACS"),
    ("removing", "being deleted from the vault"),
    ("removed", "deleted from the vault"),
    ("inPlace", "in your own storage"),
    ("expired", "lost: ACS dropped it before it was copied"),
    ("deadLettered", "given up, without a copy"),
    ("unknown", "not in the ledger"),
    (
        "unreadable",
        "unknown: its entry in the ledger is not readable",
    ),
    ("proved", "in the vault"),
    ("missing", "could not be read at its place"),
    ("refused", "its place may not be used"),
];

/// Members of a record's detail whose words are not those of their name.
const LABELS: [(&str, &str); 8] = [
    ("sizeBytes", "size in bytes"),
    ("sha256", "SHA-256"),
    ("metadataSha256", "SHA-256 of the metadata"),
    ("media", "file"),
    ("anomaly", "doubt"),
    ("wantedBy", "requested by"),
    ("recordingId", "recording"),
    ("eventId", "event"),
];

/// Members that the sentence about a record has already.
const IN_THE_SENTENCE: [&str; 6] = ["reason", "by", "claimedBy", "through", "case", "resumeAt"];

/// The state of a chunk or a place.
pub(super) fn state_in_words(state: &str) -> &str {
    let words = STATES.iter().find(|(name, _)| *name == state);
    words.map_or(state, |(_, words)| words)
}

/// Texts of the audit log mark a name that no sign-in confirmed as claimed.
pub(super) fn not_verified(text: &str) -> String {
    text.replace("(claimed)", "(not verified)")
}

/// The details of a record that the sentence about it lacks.
pub(super) fn detail_in_words(detail: &Value) -> String {
    let mut parts = Vec::new();
    add_members(detail, &mut parts);
    parts.join("; ")
}

fn add_members(detail: &Value, parts: &mut Vec<String>) {
    let Value::Object(members) = detail else {
        parts.extend(in_words(detail));
        return;
    };
    for (member, value) in members {
        if IN_THE_SENTENCE.contains(&&member[..]) {
            continue;
        }
        if value.is_object() {
            add_members(value, parts);
        } else if let Some(value) = in_words(value) {
            parts.push(format!("{}: {value}", label(member)));
        }
    }
}

/// `None`: there is no value.
fn in_words(value: &Value) -> Option<String> {
    Some(match value {
        Value::Null => return None,
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        Value::Array(values) => {
            let values: Vec<String> = values.iter().filter_map(in_words).collect();
            values.join(", ")
        }
        Value::Object(_) => detail_in_words(value),
    })
}

/// `sizeBytes` in words.
fn label(member: &str) -> String {
    if let Some((_, words)) = LABELS.iter().find(|(name, _)| *name == member) {
        return (*words).to_owned();
    }
    let mut words = String::new();
    for character in member.chars() {
        if character.is_uppercase() {
            words.push(' ');
        }
        words.extend(character.to_lowercase());
    }
    words
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::export::state::StateKind;

    #[test]
    fn each_state_of_the_ledger_has_words() {
        for state in [
            StateKind::Pending,
            StateKind::Exported,
            StateKind::SourceDeleted,
            StateKind::SourceLeft,
            StateKind::Removing,
            StateKind::Removed,
            StateKind::InPlace,
            StateKind::Expired,
            StateKind::DeadLettered,
        ] {
            let words = state_in_words(state.as_str());
            assert_ne!(words, state.as_str());
            assert!(
                !words.contains(state.as_str()) || words.contains(' '),
                "{words}"
            );
        }
    }

    #[test]
    fn details_are_words_without_braces_and_quotes() {
        let detail = json!({
            "proof": {"media": "a/b.wav", "sha256": "ab", "metadataSha256": null, "sizeBytes": 7, "vault": "home"},
            "reason": "is in the sentence", "someOther": true, "list": ["x", "y"],
        });
        assert_eq!(
            detail_in_words(&detail),
            "list: x, y; file: a/b.wav; SHA-256: ab; size in bytes: 7; vault: home; some other: yes"
        );
        assert_eq!(detail_in_words(&Value::Null), "");
    }
}
