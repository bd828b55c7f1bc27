//! Whether `func` can read a local.settings.json. What it cannot read it asks about, and an answer overwrites the file.

use serde_json::Value;

/// Names what is wrong with it, one sentence each.
pub fn problems(text: &str) -> Vec<String> {
    let settings: Value = match serde_json::from_str(text.trim_start_matches('\u{feff}')) {
        Ok(settings) => settings,
        Err(error) => return vec![format!("local.settings.json is not JSON: {error}.")],
    };
    let Some(values) = settings["Values"].as_object() else {
        return vec!["local.settings.json has no object `Values`.".to_owned()];
    };
    values
        .iter()
        .filter_map(|(name, value)| {
            let kind = match value {
                Value::String(_) => return None,
                Value::Null => "null",
                Value::Bool(_) => "true or false",
                Value::Number(_) => "a number",
                Value::Array(_) => "an array",
                Value::Object(_) => "an object",
            };
            Some(format!(
                "`{name}` in local.settings.json is {kind}; write its value as a text in quotes."
            ))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_of_texts_are_fine() {
        let text = "\u{feff}{\"IsEncrypted\": false, \"Values\": {\"LOG\": \"info\", \"VAULT_URL\": \"\"}}";
        assert!(problems(text).is_empty());
    }

    #[test]
    fn each_problem_is_named() {
        for (text, expected) in [
            ("{", "is not JSON"),
            ("[]", "has no object `Values`"),
            (r#"{"Values": []}"#, "has no object `Values`"),
            (
                r#"{"Values": {"VAULT_TAGS": true}}"#,
                "`VAULT_TAGS` in local.settings.json is true or false",
            ),
            (
                r#"{"Values": {"AUTO_RECORD_OPTIONS": {}}}"#,
                "is an object; write its value as a text",
            ),
            (r#"{"Values": {"EXPORT_ATTEMPTS": 100}}"#, "is a number"),
        ] {
            let problems = problems(text);
            assert!(problems[0].contains(expected), "{text}: {problems:?}");
        }
        let both = r#"{"Values": {"A": null, "B": [], "C": "x"}}"#;
        assert_eq!(problems(both).len(), 2);
    }
}
