//! Who an operator's action is recorded under. It knows no action.

use serde_json::{Map, Value};

/// An operator, and the door through which the action came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operator {
    /// A person at a shell that has the app's settings.
    Shell,
    /// A caller of the HTTP API or its page; the principal is what the host says of who signed in.
    Api { principal: Option<String> },
}

impl Operator {
    /// The detail of an audit record, with the door (`through`) and the principal (`by`) added. Where the detail already says
    /// by whom something is wanted, the principal is added only if it is another (`principal`).
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
            Self::Api { principal } => {
                let principal = Value::from(principal.clone());
                match detail.get("by") {
                    None | Some(Value::Null) => {
                        detail.insert("by".to_owned(), principal);
                    }
                    Some(by) if *by == principal => {}
                    Some(_) => {
                        detail.insert("principal".to_owned(), principal);
                    }
                }
                "api"
            }
        };
        detail.insert("through".to_owned(), through.into());
        Value::Object(detail)
    }

    /// The principal, where one is known.
    pub fn principal(&self) -> Option<&str> {
        match self {
            Self::Shell => None,
            Self::Api { principal } => principal.as_deref(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn api(principal: &str) -> Operator {
        Operator::Api {
            principal: Some(principal.to_owned()),
        }
    }

    #[test]
    fn a_record_names_the_door_and_the_principal() {
        assert_eq!(
            Operator::Shell.sign(Value::Null),
            json!({"through": "shell"})
        );
        assert_eq!(
            api("ada").sign(Value::Null),
            json!({"through": "api", "by": "ada"})
        );
    }

    #[test]
    fn a_principal_who_acts_for_somebody_else_is_named_beside_them() {
        assert_eq!(
            api("ada").sign(json!({"case": "A-1", "by": "legal"})),
            json!({"case": "A-1", "by": "legal", "principal": "ada", "through": "api"})
        );
        assert_eq!(
            api("ada").sign(json!({"by": "ada"})),
            json!({"by": "ada", "through": "api"})
        );
    }
}
