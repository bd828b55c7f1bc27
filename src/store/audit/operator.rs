//! Who an operator's action is recorded under. It knows no action.

use serde_json::{Map, Value};

/// The caller of the HTTP API, as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Principal {
    /// App Service Authentication signed the caller in under this name.
    Verified(String),
    /// The caller gave this name; nothing verifies it.
    Claimed(String),
    /// A holder of a key who gave no name.
    Unnamed,
}

impl Principal {
    /// The name as people read it, with a mark where nothing verifies it.
    pub fn label(&self) -> Option<String> {
        match self {
            Self::Verified(name) => Some(name.clone()),
            Self::Claimed(name) => Some(format!("{name} (claimed)")),
            Self::Unnamed => None,
        }
    }

    /// Adds the principal to the detail of an audit record: `by` where the name is verified, else `claimedBy`. Where
    /// the detail already names who requested it, a verified name is added only if it is another (`principal`).
    pub fn sign(&self, detail: &mut Map<String, Value>) {
        match self {
            Self::Verified(name) => match detail.get("by") {
                None | Some(Value::Null) => {
                    detail.insert("by".to_owned(), name.clone().into());
                }
                Some(by) if by == name => {}
                Some(_) => {
                    detail.insert("principal".to_owned(), name.clone().into());
                }
            },
            Self::Claimed(name) => {
                detail.insert("claimedBy".to_owned(), name.clone().into());
            }
            Self::Unnamed => {}
        }
    }
}

/// An operator, and the door through which the action came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operator {
    /// A person at a shell that has the app's settings.
    Shell,
    /// A caller of the HTTP API or its page.
    Api(Principal),
}

impl Operator {
    /// The detail of an audit record, with the door (`through`) and the principal added.
    pub fn sign(&self, detail: Value) -> Value {
        let mut detail = match detail {
            Value::Object(members) => members,
            Value::Null => Map::new(),
            other @ (Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) => {
                Map::from_iter([("detail".to_owned(), other)])
            }
        };
        let through = match self {
            Self::Shell => "shell",
            Self::Api(principal) => {
                principal.sign(&mut detail);
                "api"
            }
        };
        detail.insert("through".to_owned(), through.into());
        Value::Object(detail)
    }

    /// The operator's name, where one is known; marked where nothing verifies it.
    pub fn label(&self) -> Option<String> {
        match self {
            Self::Shell => None,
            Self::Api(principal) => principal.label(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn verified(name: &str) -> Operator {
        Operator::Api(Principal::Verified(name.to_owned()))
    }

    fn claimed(name: &str) -> Operator {
        Operator::Api(Principal::Claimed(name.to_owned()))
    }

    #[test]
    fn a_record_names_the_door_and_the_principal() {
        assert_eq!(
            Operator::Shell.sign(Value::Null),
            json!({"through": "shell"})
        );
        assert_eq!(
            verified("ada").sign(Value::Null),
            json!({"through": "api", "by": "ada"})
        );
        assert_eq!(
            Operator::Api(Principal::Unnamed).sign(Value::Null),
            json!({"through": "api"})
        );
    }

    #[test]
    fn a_name_that_nothing_verifies_is_recorded_and_shown_as_claimed() {
        assert_eq!(
            claimed("ada").sign(json!({"by": "legal"})),
            json!({"through": "api", "by": "legal", "claimedBy": "ada"})
        );
        assert_eq!(claimed("ada").label().unwrap(), "ada (claimed)");
        assert_eq!(verified("ada").label().unwrap(), "ada");
        assert_eq!(Operator::Api(Principal::Unnamed).label(), None);
    }

    #[test]
    fn a_principal_who_acts_for_somebody_else_is_named_beside_them() {
        assert_eq!(
            verified("ada").sign(json!({"case": "A-1", "by": "legal"})),
            json!({"case": "A-1", "by": "legal", "principal": "ada", "through": "api"})
        );
        assert_eq!(
            verified("ada").sign(json!({"by": "ada"})),
            json!({"by": "ada", "through": "api"})
        );
    }
}
