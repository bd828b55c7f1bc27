//! ASP.NET route templates, as far as `function.json` uses them: `recordings/{id}`, `{id?}`, `{*rest}`.

use std::collections::BTreeMap;

use regex::{Regex, RegexBuilder};

/// A parsed template.
#[derive(Debug, Clone)]
pub struct Route {
    template: String,
    segments: Vec<Segment>,
}

#[derive(Debug, Clone)]
enum Segment {
    Literal(String),
    Parameter {
        name: String,
        is_optional: bool,
        regex: Option<Regex>,
    },
    Rest {
        name: String,
    },
}

impl Route {
    /// # Errors
    /// When a `regex(…)` is none.
    pub fn parse(template: &str) -> Result<Self, String> {
        let segments = template
            .trim_matches('/')
            .split('/')
            .map(segment)
            .collect::<Result<_, _>>()?;
        Ok(Self {
            template: template.to_owned(),
            segments,
        })
    }

    pub fn template(&self) -> &str {
        &self.template
    }

    /// The parameters of a path (without the prefix), or `None` where it does not fit. Literals match in any casing.
    pub fn matches(&self, path: &str) -> Option<BTreeMap<String, String>> {
        let mut parts = path
            .trim_matches('/')
            .split('/')
            .filter(|part| !part.is_empty());
        let mut parameters = BTreeMap::new();
        for segment in &self.segments {
            match segment {
                Segment::Literal(literal) => {
                    parts
                        .next()
                        .filter(|part| part.eq_ignore_ascii_case(literal))?;
                }
                Segment::Parameter {
                    name,
                    is_optional,
                    regex,
                } => match parts.next() {
                    Some(part) => {
                        if !regex.as_ref().is_none_or(|regex| regex.is_match(part)) {
                            return None;
                        }
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

fn segment(text: &str) -> Result<Segment, String> {
    let Some(parameter) = text
        .strip_prefix('{')
        .and_then(|text| text.strip_suffix('}'))
    else {
        return Ok(Segment::Literal(text.to_owned()));
    };
    if let Some(rest) = parameter.strip_prefix('*') {
        return Ok(Segment::Rest {
            name: rest.trim_start_matches('*').to_owned(),
        });
    }
    // Of constraints `regex(…)` is checked, as ASP.NET does: in any casing, and anchored only where it says so
    // (`RegexRouteConstraint`). Others (`{id:int}`) are not.
    let (name, constraint) = parameter.split_once(':').unwrap_or((parameter, ""));
    let pattern = constraint
        .trim_end_matches('?')
        .strip_prefix("regex(")
        .and_then(|text| text.strip_suffix(')'));
    let regex = pattern
        .map(|pattern| RegexBuilder::new(pattern).case_insensitive(true).build())
        .transpose();
    let regex =
        regex.map_err(|error| format!("the route's constraint `{constraint}` is none: {error}"))?;
    Ok(Segment::Parameter {
        name: name.trim_end_matches('?').to_owned(),
        is_optional: parameter.ends_with('?'),
        regex,
    })
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
    fn templates_match_as_in_asp_net(
        #[case] template: &str,
        #[case] path: &str,
        #[case] expected: bool,
    ) {
        assert_eq!(
            Route::parse(template).unwrap().matches(path).is_some(),
            expected
        );
    }

    #[rstest::rstest]
    #[case("/vault/chunks", true)]
    #[case("/vault/CHUNKS/a/media", true)]
    #[case("/vault/play/x", false)]
    #[case("/vault/chunksandmore", false)]
    #[case("/vault", false)]
    fn a_regular_expression_constrains_its_segment(#[case] path: &str, #[case] expected: bool) {
        let route = Route::parse("vault/{resource:regex(^(summary|chunks)$)}/{*rest}").unwrap();
        assert_eq!(route.matches(path).is_some(), expected);
    }

    #[test]
    fn a_constraint_that_is_no_regular_expression_is_told() {
        assert!(Route::parse("vault/{resource:regex(^()$)}").is_ok());
        assert!(
            Route::parse("vault/{resource:regex([)}")
                .unwrap_err()
                .contains("constraint")
        );
    }

    #[test]
    fn parameters_are_named() {
        assert_eq!(
            Route::parse("recordings/{*path}")
                .unwrap()
                .matches("/recordings/a/pause")
                .unwrap()["path"],
            "a/pause"
        );
    }
}
