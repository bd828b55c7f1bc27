//! The call that a recording is of, in the words that ACS's requests and our documents have for it. Field names:
//! `communicationservicescallautomation.json`
//! (<https://github.com/Azure/azure-rest-api-specs/tree/main/specification/communication/data-plane/CallAutomation>).

use std::mem;

use serde::{Deserialize, Serialize};

use super::ServerCallId;
use super::id::comparable;

/// Which call is to be recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind")]
pub enum CallLocator {
    #[serde(rename = "serverCallLocator", rename_all = "camelCase")]
    ServerCall { server_call_id: ServerCallId },
    #[serde(rename = "groupCallLocator", rename_all = "camelCase")]
    GroupCall { group_call_id: String },
    #[serde(rename = "roomCallLocator", rename_all = "camelCase")]
    RoomCall { room_id: String },
}

/// The call as a locator or as a Call Automation connection; exactly one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum RecordedCall {
    #[serde(rename = "callLocator")]
    Locator(CallLocator),
    #[serde(rename = "callConnectionId")]
    Connection(String),
}

impl RecordedCall {
    /// Returns the id that names the call, as it was received.
    pub fn id(&self) -> &str {
        match self {
            Self::Locator(CallLocator::ServerCall { server_call_id }) => server_call_id.as_str(),
            Self::Locator(
                CallLocator::GroupCall { group_call_id: id }
                | CallLocator::RoomCall { room_id: id },
            )
            | Self::Connection(id) => id,
        }
    }

    /// Whether this is certainly another call. Names of different kinds may mean the same call, and so do a UUID in capitals
    /// and in small letters.
    pub fn is_another(&self, other: &Self) -> bool {
        let is_other_id = comparable(self.id()) != comparable(other.id());
        match (self, other) {
            (Self::Connection(_), Self::Connection(_)) => is_other_id,
            (Self::Locator(one), Self::Locator(other)) => {
                mem::discriminant(one) == mem::discriminant(other) && is_other_id
            }
            (Self::Connection(_) | Self::Locator(_), _) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_not_another_because_its_uuid_is_in_capitals() {
        let group = |id: &str| {
            let group_call_id = id.to_owned();
            RecordedCall::Locator(CallLocator::GroupCall { group_call_id })
        };
        let connection = |id: &str| RecordedCall::Connection(id.to_owned());
        let (small, capitals) = (
            "7c62cca0-0000-4444-8888-00000000abcd",
            "7C62CCA0-0000-4444-8888-00000000ABCD",
        );
        assert!(!group(small).is_another(&group(capitals)));
        assert!(!connection(small).is_another(&connection(capitals)));
        assert!(connection("a").is_another(&connection("A")));
    }
}
