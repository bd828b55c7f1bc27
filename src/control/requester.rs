//! The requester of an operation on a recording, and its door. Knows neither the register nor ACS.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::store::audit::{Actor, Invocation, Principal};
use crate::store::digest::Sha256Digest;

/// Members of a record's detail with names, whose documents the storage may refuse.
pub(super) const NAMES: [&str; 2] = ["by", "claimedBy"];
/// Member of a record with the id of the request: what was recorded once is found by it.
pub(super) const REQUEST_ID: &str = "requestId";
/// Member of a record whose names are left out.
pub(super) const NAME_NOT_STORED: &str = "nameNotStored";

/// The requester of a start, a pause, a resume or a stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Requester {
    /// A caller of the HTTP API with a key.
    Api {
        principal: Option<Principal>,
        /// Set if the host may send the request again.
        invocation: Option<Invocation>,
    },
    /// A bot, in this conversation.
    Bot { conversation_id: String },
    /// The auto-record policy.
    AutoRecord,
    /// The timer.
    Sweep,
}

/// Who asked for an operation, as the audit log says it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AskedBy {
    pub actor: Actor,
    /// The signed detail of its record.
    pub detail: Map<String, Value>,
}

impl AskedBy {
    /// Leaves the names out, if there are any.
    pub(super) fn forget_names(&mut self) {
        let before = self.detail.len();
        self.detail
            .retain(|member, _| !NAMES.contains(&member.as_str()));
        if self.detail.len() < before {
            self.detail.insert(NAME_NOT_STORED.to_owned(), true.into());
        }
    }
}

impl Requester {
    /// Returns who asks, with the detail of a record.
    pub(super) fn asks(&self, mut detail: Map<String, Value>) -> AskedBy {
        let through = self.add_names(&mut detail);
        detail.insert("through".to_owned(), through.into());
        AskedBy {
            actor: self.actor(),
            detail,
        }
    }

    pub(super) fn actor(&self) -> Actor {
        match self {
            Self::Api { .. } => Actor::Operator,
            Self::Bot { .. } | Self::AutoRecord | Self::Sweep => Actor::Handler,
        }
    }

    /// Adds the door (`through`) and what is known about the requester to the detail of an audit record. Of a
    /// conversation it keeps only the digest, which names its document in the ledger: a conversation's id may name
    /// people.
    pub(super) fn sign(&self, detail: Map<String, Value>) -> Value {
        Value::Object(self.asks(detail).detail)
    }

    /// Adds what is known about the requester. Returns the door.
    fn add_names(&self, detail: &mut Map<String, Value>) -> &'static str {
        match self {
            Self::Api {
                principal,
                invocation,
            } => {
                if let Some(principal) = principal {
                    principal.sign(detail);
                }
                if let Some(invocation) = invocation {
                    invocation.sign(detail);
                }
                "api"
            }
            Self::Bot { conversation_id } => {
                let digest = Sha256Digest::of(conversation_id.as_bytes());
                detail.insert("conversationSha256".to_owned(), digest.to_string().into());
                "bot"
            }
            Self::AutoRecord => "auto-record",
            Self::Sweep => "sweep",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_record_names_the_door_and_marks_an_unchecked_principal_as_claimed() {
        let signed = |requester: Requester| requester.sign(Map::new());
        let api = |principal| {
            signed(Requester::Api {
                principal,
                invocation: None,
            })
        };
        assert_eq!(
            api(Some(Principal::Claimed("ada".to_owned()))),
            json!({"through": "api", "claimedBy": "ada"})
        );
        assert_eq!(
            api(Some(Principal::Verified("ada".to_owned()))),
            json!({"through": "api", "by": "ada"})
        );
        assert_eq!(api(None), json!({"through": "api"}));
        assert_eq!(
            signed(Requester::AutoRecord),
            json!({"through": "auto-record"})
        );
    }

    #[test]
    fn a_conversation_is_recorded_by_its_digest_alone() {
        let conversation_id = "19:ada@example".to_owned();
        let signed = Requester::Bot { conversation_id }.sign(Map::new());
        assert!(!signed.to_string().contains("ada@example"), "{signed}");
        assert_eq!(signed["through"], "bot");
    }
}
