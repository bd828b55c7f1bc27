//! Files of `NAME=value` lines, as shells, Docker and many tools read them. Pure; it must not know which names are settings.

/// A line that is no setting. The line is not repeated: it may hold a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidLine {
    #[error("line {0} has no `=`; expected NAME=value")]
    NoValue(usize),
    #[error("line {0} has an invalid name; expected letters, digits and `_` before the `=`")]
    Name(usize),
    #[error("line {0} begins a quoted value and does not end it")]
    Quote(usize),
}

/// Reads the lines. If a name occurs twice, the last one wins.
///
/// # Errors
/// At the first line that is no setting, comment or blank.
pub fn parse(text: &str) -> Result<Vec<(String, String)>, InvalidLine> {
    let mut found: Vec<(String, String)> = Vec::new();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for (index, line) in text.lines().enumerate() {
        let (number, line) = (index + 1, line.trim());
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let line = line.strip_prefix("export ").unwrap_or(line);
        let (name, value) = line.split_once('=').ok_or(InvalidLine::NoValue(number))?;
        let name = name.trim();
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if name.is_empty() || !name.bytes().all(is_name) {
            return Err(InvalidLine::Name(number));
        }
        let value = unquoted(value.trim()).ok_or(InvalidLine::Quote(number))?;
        found.retain(|(known, _)| known != name);
        found.push((name.to_owned(), value));
    }
    Ok(found)
}

/// A value without its quotes, or without the comment behind it; `None` where a quote is not closed.
fn unquoted(value: &str) -> Option<String> {
    match value.chars().next() {
        Some('\'') => {
            let inner = value[1..].split('\'').next().unwrap_or_default();
            let rest = value.get(inner.len() + 2..)?;
            is_comment(rest).then(|| inner.to_owned())
        }
        Some('"') => double_quoted(&value[1..]),
        Some(_) | None => Some(
            value
                .split(" #")
                .next()
                .unwrap_or_default()
                .trim()
                .to_owned(),
        ),
    }
}

/// Up to the closing quote; `\"`, `\\`, `\n` and `\$` stand for what they escape.
fn double_quoted(text: &str) -> Option<String> {
    let (mut inner, mut rest) = (String::new(), text.chars());
    loop {
        match rest.next()? {
            '"' => return is_comment(rest.as_str()).then_some(inner),
            '\\' => match rest.next()? {
                'n' => inner.push('\n'),
                escaped @ ('"' | '\\' | '$') => inner.push(escaped),
                other => inner.extend(['\\', other]),
            },
            other => inner.push(other),
        }
    }
}

/// Whether nothing that counts follows a quoted value.
fn is_comment(rest: &str) -> bool {
    let rest = rest.trim_start();
    rest.is_empty() || rest.starts_with('#')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case("A=b", "b")]
    #[case("export A = b ", "b")]
    #[case("\u{feff}A=b", "b")]
    #[case("A=", "")]
    #[case("A=b=c", "b=c")]
    #[case("A=b # comment", "b")]
    #[case("A=https://x/y#z", "https://x/y#z")]
    #[case("A='b # c' # d", "b # c")]
    #[case(r#"A="b \" c""#, r#"b " c"#)]
    #[case(r#"A={"a":"b"}"#, r#"{"a":"b"}"#)]
    #[case(r#"A='{"a":"b"}'"#, r#"{"a":"b"}"#)]
    #[case("A=x\nA=b", "b")]
    #[case("# A=x\n\nA=b\r\n", "b")]
    fn a_line_is_a_setting(#[case] text: &str, #[case] value: &str) {
        assert_eq!(
            parse(text).unwrap(),
            [("A".to_owned(), value.to_owned())],
            "{text}"
        );
    }

    #[rstest::rstest]
    #[case("A=1\nSECRET", InvalidLine::NoValue(2))]
    #[case("=SECRET", InvalidLine::Name(1))]
    #[case("A B=SECRET", InvalidLine::Name(1))]
    #[case("A=\"SECRET", InvalidLine::Quote(1))]
    #[case("A='SECRET", InvalidLine::Quote(1))]
    #[case("A='SECRET' more", InvalidLine::Quote(1))]
    fn a_line_that_is_none_is_named_by_its_number_and_not_repeated(
        #[case] text: &str,
        #[case] problem: InvalidLine,
    ) {
        assert_eq!(parse(text), Err(problem.clone()));
        assert!(!problem.to_string().contains("SECRET"), "{problem}");
    }
}
