//! Compares a CycloneDX document with `Cargo.lock`: it lists what is built, and nothing about the machine.

use std::collections::BTreeMap;

use serde_json::Value;

/// A package as `Cargo.lock` has it: name, version, and the SHA-256 of those that come from the registry.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Locked {
    name: String,
    version: String,
    sha256: Option<String>,
}

/// All problems of the document, one sentence each.
///
/// `direct`: the dependencies that have to be in it.
#[must_use]
pub fn problems(document: &str, lock: &str, direct: &[String]) -> Vec<String> {
    let Ok(document) = serde_json::from_str::<Value>(document) else {
        return vec!["the document is not JSON".to_owned()];
    };
    let mut problems = Vec::new();
    let main = &document["metadata"]["component"];
    if document["bomFormat"] != "CycloneDX" || main["name"] != crate::BINARY {
        problems.push(format!("it is no CycloneDX document of {}", crate::BINARY));
    }
    let locked = locked(lock);
    let mut listed = BTreeMap::new();
    for component in document["components"].as_array().into_iter().flatten() {
        let text = |name: &str| component[name].as_str().unwrap_or_default();
        let (name, version) = (text("name"), text("version"));
        listed.insert(name.to_owned(), version.to_owned());
        let package = locked
            .iter()
            .find(|package| package.name == name && package.version == version);
        match package {
            None => problems.push(format!("{name} {version} is not in Cargo.lock")),
            Some(Locked { sha256: None, .. }) => {}
            Some(Locked { sha256, .. }) if sha256.as_deref() == sha256_of(component) => {}
            Some(_) => problems.push(format!(
                "{name} {version} has another SHA-256 than in Cargo.lock"
            )),
        }
    }
    let missing = direct.iter().filter(|name| !listed.contains_key(*name));
    problems.extend(missing.map(|name| format!("{name} is not listed")));
    let text = document.to_string();
    let places = ["/home/", "/root/", "/Users/", "/tmp/"];
    problems.extend(
        places
            .iter()
            .filter(|place| text.contains(*place))
            .map(|place| format!("it has a path of the machine that made it, below {place}")),
    );
    problems
}

fn sha256_of(component: &Value) -> Option<&str> {
    let hashes = component["hashes"].as_array()?;
    let sha256 = hashes.iter().find(|hash| hash["alg"] == "SHA-256")?;
    sha256["content"].as_str()
}

fn locked(lock: &str) -> Vec<Locked> {
    let packages = lock.split("[[package]]").skip(1);
    packages
        .map(|package| {
            let value = |name: &str| {
                let lines = package.lines().filter_map(|line| line.split_once(" = "));
                lines
                    .filter(|(key, _)| *key == name)
                    .map(|(_, value)| value.trim_matches('"').to_owned())
                    .next()
            };
            Locked {
                name: value("name").unwrap_or_default(),
                version: value("version").unwrap_or_default(),
                sha256: value("checksum"),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::problems;

    const LOCK: &str = "version = 4\n\n[[package]]\nname = \"bytes\"\nversion = \"1.11.0\"\nsource = \"registry\"\nchecksum = \"b35204fbdc0b3f4446b89fc1ac2cf84a8a68971995d0bf2e925ec7cd960f9cb3\"\n\n[[package]]\nname = \"recording-vault\"\nversion = \"0.1.0\"\ndependencies = [\n \"bytes\",\n]\n";

    fn document(sha256: &str) -> String {
        format!(
            r#"{{"bomFormat": "CycloneDX", "metadata": {{"component": {{"name": "recording-vault"}}}},
                "components": [{{"name": "bytes", "version": "1.11.0", "hashes": [{{"alg": "SHA-256", "content": "{sha256}"}}]}}]}}"#
        )
    }

    const OF_THE_LOCK: &str = "b35204fbdc0b3f4446b89fc1ac2cf84a8a68971995d0bf2e925ec7cd960f9cb3";

    #[test]
    fn a_document_that_lists_what_is_locked_has_no_problems() {
        let direct = ["bytes".to_owned()];
        assert_eq!(
            problems(&document(OF_THE_LOCK), LOCK, &direct),
            Vec::<String>::new()
        );
    }

    #[test]
    fn what_is_missing_exchanged_unknown_or_private_is_found() {
        let right = document(OF_THE_LOCK);
        let cases = [
            (document(&"0".repeat(64)), "has another SHA-256"),
            (right.replace("1.11.0", "1.11.1"), "is not in Cargo.lock"),
            (
                right.replace("\"bytes\"", "\"serde\""),
                "bytes is not listed",
            ),
            (
                right.replace("recording-vault", "another"),
                "no CycloneDX document",
            ),
            (
                right.replace("CycloneDX\"", "CycloneDX\", \"a\": \"file:///home/me\""),
                "a path of the machine",
            ),
            ("{".to_owned(), "not JSON"),
        ];
        for (wrong, expected) in cases {
            let found = problems(&wrong, LOCK, &["bytes".to_owned()]);
            assert!(
                found.iter().any(|problem| problem.contains(expected)),
                "{expected}: {found:?}"
            );
        }
    }
}
