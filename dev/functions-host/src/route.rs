//! ASP.NET route templates, as far as `function.json` uses them: `recordings/{id}`, `{id?}`, `{*rest}`.

use std::collections::BTreeMap;

/// A parsed template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    template: String,
    segments: Vec<Segment>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    Literal(String),
    Parameter { name: String, is_optional: bool },
    Rest { name: String },
}

impl Route {
    pub fn parse(template: &str) -> Self {
        let segments = template.trim_matches('/').split('/').map(segment).collect();
        Self { template: template.to_owned(), segments }
    }

    pub fn template(&self) -> &str {
        &self.template
    }

    /// The parameters of a path (without the prefix), or `None` where it does not fit. Literals match in any casing.
    pub fn matches(&self, path: &str) -> Option<BTreeMap<String, String>> {
        let mut parts = path.trim_matches('/').split('/').filter(|part| !part.is_empty());
        let mut parameters = BTreeMap::new();
        for segment in &self.segments {
            match segment {
                Segment::Literal(literal) => {
                    parts.next().filter(|part| part.eq_ignore_ascii_case(literal))?;
                }
                Segment::Parameter { name, is_optional } => match parts.next() {
                    Some(part) => {
                        parameters.insert(name.clone(), part.to_owned());
                    }
                    None if *is_optional => {}
                    None => return None,
                },
                Segment::Rest { name } => {
                    let rest: Vec<&str> = parts.by_ref().collect();
                    if !rest.is_empty() {
                        parameters.insert(name.clone(), rest.join("/"));
                    }
                }
            }
        }
        parts.next().is_none().then_some(parameters)
    }
}

fn segment(text: &str) -> Segment {
    let Some(parameter) = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')) else {
        return Segment::Literal(text.to_owned());
    };
    if let Some(rest) = parameter.strip_prefix('*') {
        return Segment::Rest { name: rest.trim_start_matches('*').to_owned() };
    }
    // A constraint (`{id:int}`) is not checked.
    let name = parameter.split(':').next().unwrap_or(parameter);
    Segment::Parameter { name: name.trim_end_matches('?').to_owned(), is_optional: parameter.ends_with('?') }
}

#[cfg(test)]
mod tests {
    use super::Route;

    #[rstest::rstest]
    #[case("recordings/{*path}", "/recordings", true)]
    #[case("recordings/{*path}", "/recordings/a/pause", true)]
    #[case("recordings/{*path}", "/recording", false)]
    #[case("a/{id}/b", "/a/1/b", true)]
    #[case("a/{id}/b", "/A/1/B", true)]
    #[case("a/{id}/b", "/a/1", false)]
    #[case("a/{id?}", "/a", true)]
    #[case("a/{id:int}", "/a/1/2", false)]
    fn templates_match_as_in_asp_net(#[case] template: &str, #[case] path: &str, #[case] expected: bool) {
        assert_eq!(Route::parse(template).matches(path).is_some(), expected);
    }

    #[test]
    fn parameters_are_named() {
        assert_eq!(Route::parse("recordings/{*path}").matches("/recordings/a/pause").unwrap()["path"], "a/pause");
    }
}
