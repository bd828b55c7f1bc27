//! Who an operator's action is recorded under. It knows no action.

use serde_json::{Map, Value};

use super::runs::{INVOCATION, Invocation};

/// The member of a record's detail with a verified caller, and the one with a claimed caller.
const VERIFIED: &str = "by";
const CLAIMED: &str = "claimedBy";

/// An operator, and the door through which the action came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operator {
    /// A person at a shell whom the system does not name. Verbs use [`Operator::ShellUser`].
    Shell,
    /// The same, as the system names them: `user@host`.
    ShellUser(String),
    /// A caller of the HTTP API or its page.
    Api {
        principal: Option<Principal>,
        /// Set if the host may send the request again.
        invocation: Option<Invocation>,
    },
}

/// A caller's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Principal {
    /// The host has authenticated the caller.
    Verified(String),
    /// A claim in a header or by the caller, not verified.
    Claimed(String),
}

impl Principal {
    pub fn name(&self) -> &str {
        match self {
            Self::Verified(name) | Self::Claimed(name) => name,
        }
    }

    /// Returns the name for display, with a mark if it is not verified.
    pub fn label(&self) -> String {
        match self {
            Self::Verified(name) => name.clone(),
            Self::Claimed(name) => format!("{name} (claimed)"),
        }
    }

    /// The member of an audit record's detail that has the name.
    fn member(&self) -> &'static str {
        match self {
            Self::Verified(_) => VERIFIED,
            Self::Claimed(_) => CLAIMED,
        }
    }

    /// Adds the name to the detail of an audit record.
    pub fn sign(&self, detail: &mut Map<String, Value>) {
        detail.insert(self.member().to_owned(), self.name().into());
    }
}

impl Operator {
    /// The detail of an audit record, with the door (`through`) and the operator's name added: `by`, or `claimedBy` if
    /// it is not verified. An `invocation` makes the record the same in each run of the request. These members identify
    /// the caller and the request only: what the detail has in their places is removed.
    pub fn sign(&self, detail: Value) -> Value {
        let mut detail = match detail {
            Value::Object(members) => members,
            Value::Null => Map::new(),
            other @ (Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) => {
                Map::from_iter([("detail".to_owned(), other)])
            }
        };
        detail.retain(|member, _| ![VERIFIED, CLAIMED, INVOCATION].contains(&&member[..]));
        let through = match self {
            Self::Shell | Self::ShellUser(_) => "shell",
            Self::Api { .. } => "api",
        };
        match self {
            Self::Shell => {}
            Self::ShellUser(name) => {
                detail.insert(VERIFIED.to_owned(), name.as_str().into());
            }
            Self::Api {
                principal,
                invocation,
            } => {
                if let Some(principal) = principal {
                    principal.sign(&mut detail);
                }
                if let Some(invocation) = invocation {
                    invocation.sign(&mut detail);
                }
            }
        }
        detail.insert("through".to_owned(), through.into());
        Value::Object(detail)
    }

    /// Returns the caller's name if it is known, with a mark if it is not verified.
    pub fn label(&self) -> Option<String> {
        match self {
            Self::Shell | Self::ShellUser(_) => None,
            Self::Api { principal, .. } => principal.as_ref().map(Principal::label),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn caller(principal: Option<Principal>) -> Operator {
        Operator::Api {
            principal,
            invocation: None,
        }
    }

    fn api(principal: &str) -> Operator {
        caller(Some(Principal::Verified(principal.to_owned())))
    }

    #[test]
    fn a_record_names_the_door_and_the_operator() {
        assert_eq!(
            Operator::Shell.sign(Value::Null),
            json!({"through": "shell"})
        );
        assert_eq!(
            Operator::ShellUser("ada@desk".to_owned()).sign(Value::Null),
            json!({"through": "shell", "by": "ada@desk"})
        );
        assert_eq!(
            api("ada").sign(Value::Null),
            json!({"through": "api", "by": "ada"})
        );
    }

    #[test]
    fn an_unchecked_name_is_recorded_as_claimed() {
        let principal = Some(Principal::Claimed("ada".to_owned()));
        assert_eq!(
            caller(principal).sign(json!({"case": "A-1", "wantedBy": "legal"})),
            json!({"through": "api", "case": "A-1", "wantedBy": "legal", "claimedBy": "ada"})
        );
    }

    #[test]
    fn a_detail_cannot_name_the_caller() {
        let forged = json!({
            "by": "ada", "claimedBy": "bert", "through": "shell", "invocation": "1", "case": "A-1",
        });
        let signed = |operator: Operator| operator.sign(forged.clone());
        assert_eq!(
            signed(caller(None)),
            json!({"case": "A-1", "through": "api"})
        );
        let principal = Some(Principal::Claimed("eve".to_owned()));
        assert_eq!(
            signed(caller(principal)),
            json!({"case": "A-1", "claimedBy": "eve", "through": "api"})
        );
        assert_eq!(
            signed(api("eve")),
            json!({"case": "A-1", "by": "eve", "through": "api"})
        );
        assert_eq!(
            signed(Operator::ShellUser("eve@desk".to_owned())),
            json!({"case": "A-1", "by": "eve@desk", "through": "shell"})
        );
    }
}
