//! Settings of an app as JSON: `local.settings.json`, or what `az functionapp config appsettings list` prints. Pure.

use recording_vault::config::SettingsFrom;
use serde_json::{Map, Value};

/// JSON that is no settings. Values are not repeated: they may be secrets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAppSettings {
    #[error("there is nothing in it; does the `az` command before the pipe fail?")]
    Empty,
    #[error("it is not JSON (line {line}, column {column})")]
    NotJson { line: usize, column: usize },
    #[error("it is encrypted; decrypt it: func settings decrypt")]
    Encrypted,
    #[error("it has no `Values`; expected those of local.settings.json")]
    NoValues,
    #[error(
        "it has no settings; expected local.settings.json, or the output of `az functionapp config appsettings list`"
    )]
    OtherForm,
    #[error("the value of `{0}` is not text; write it in quotes")]
    NotText(String),
}

/// Names and values of settings.
type Pairs = Vec<(String, String)>;

/// Reads the settings in any of the forms. Only Azure lists the settings of an app.
///
/// # Errors
/// When the text has none of these forms, or is encrypted.
pub fn parse(text: &str) -> Result<(SettingsFrom, Pairs), InvalidAppSettings> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.trim().is_empty() {
        return Err(InvalidAppSettings::Empty);
    }
    let parsed: Value =
        serde_json::from_str(text).map_err(|error| InvalidAppSettings::NotJson {
            line: error.line(),
            column: error.column(),
        })?;
    match parsed {
        Value::Array(settings) => Ok((SettingsFrom::AzureApp, listed(&settings)?)),
        Value::Object(file) if file.contains_key("Values") || file.contains_key("IsEncrypted") => {
            Ok((SettingsFrom::File, local(&file)?))
        }
        Value::Object(settings) if settings.values().any(Value::is_string) => {
            Ok((SettingsFrom::File, named(&settings)?))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
            Err(InvalidAppSettings::OtherForm)
        }
    }
}

/// `local.settings.json`.
fn local(file: &Map<String, Value>) -> Result<Pairs, InvalidAppSettings> {
    if file.get("IsEncrypted") == Some(&Value::Bool(true)) {
        return Err(InvalidAppSettings::Encrypted);
    }
    let values = file.get("Values").and_then(Value::as_object);
    named(values.ok_or(InvalidAppSettings::NoValues)?)
}

/// `{"NAME": "value"}`.
fn named(settings: &Map<String, Value>) -> Result<Pairs, InvalidAppSettings> {
    settings
        .iter()
        .map(|(name, value)| Ok((name.clone(), text_of(name, value)?)))
        .collect()
}

/// `[{"name": "NAME", "value": "value"}]`.
fn listed(settings: &[Value]) -> Result<Pairs, InvalidAppSettings> {
    let setting = |setting: &Value| {
        let name = setting.get("name").and_then(Value::as_str);
        let name = name.ok_or(InvalidAppSettings::OtherForm)?;
        let value = setting.get("value").unwrap_or(&Value::Null);
        Ok((name.to_owned(), text_of(name, value)?))
    };
    settings.iter().map(setting).collect()
}

fn text_of(name: &str, value: &Value) -> Result<String, InvalidAppSettings> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Null => Ok(String::new()),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            Err(InvalidAppSettings::NotText(name.to_owned()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case::local(SettingsFrom::File, r#"{"IsEncrypted": false, "Values": {"A": "b"}}"#)]
    #[case::mark(
        SettingsFrom::File,
        "\u{feff}{\"Values\": {\"A\": \"b\"}, \"Host\": {\"LocalHttpPort\": 7071}}"
    )]
    #[case::azure(
        SettingsFrom::AzureApp,
        r#"[{"name": "A", "slotSetting": false, "value": "b"}]"#
    )]
    #[case::plain(SettingsFrom::File, r#"{"A": "b"}"#)]
    fn settings_are_read_in_every_form_that_azures_tools_write(
        #[case] from: SettingsFrom,
        #[case] text: &str,
    ) {
        let expected = vec![("A".to_owned(), "b".to_owned())];
        assert_eq!(parse(text), Ok((from, expected)));
    }

    #[rstest::rstest]
    #[case("", InvalidAppSettings::Empty)]
    #[case("ERROR: Please run 'az login'", InvalidAppSettings::NotJson { line: 1, column: 1 })]
    #[case(
        r#"{"IsEncrypted": true, "Values": {"A": "SECRET"}}"#,
        InvalidAppSettings::Encrypted
    )]
    #[case(r#"{"IsEncrypted": false}"#, InvalidAppSettings::NoValues)]
    #[case(r#"[{"A": "SECRET"}]"#, InvalidAppSettings::OtherForm)]
    #[case(r#"{"version": 2}"#, InvalidAppSettings::OtherForm)]
    #[case(r#"{"Values": {"A": 7}}"#, InvalidAppSettings::NotText("A".to_owned()))]
    fn what_is_no_settings_says_what_is_expected(
        #[case] text: &str,
        #[case] problem: InvalidAppSettings,
    ) {
        assert_eq!(parse(text), Err(problem));
    }
}
