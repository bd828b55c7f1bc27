//! Who a record names, in words. Knows no action.

use super::record::{Actor, AuditRecord};

/// Members of a record's detail that name who asked: verified, and as the caller claims.
const NAMES: [&str; 2] = ["by", "claimedBy"];

impl AuditRecord {
    /// Describes who did it, as far as known. Takes a record with its names; see [`AuditLog::reveal`](super::AuditLog::reveal).
    pub fn who(&self) -> String {
        let name = NAMES
            .iter()
            .find_map(|member| self.detail[*member].as_str());
        let door = self.detail["through"].as_str();
        match (self.actor, name, door) {
            (Actor::Handler, None, None) => "the app".to_owned(),
            (Actor::Handler, _, Some("sweep")) => "the timer".to_owned(),
            (Actor::Handler, _, Some("auto-record")) => "AUTO_RECORD".to_owned(),
            (Actor::Handler, _, Some("bot")) => "a bot".to_owned(),
            (Actor::Operator, None, Some("ticket")) => "the holder of a ticket".to_owned(),
            (Actor::Operator, Some(name), Some("ticket")) => {
                format!("the holder of a ticket of {}", self.marked(name))
            }
            (Actor::Handler, _, Some("api")) | (Actor::Operator, None, Some("api")) => {
                "a caller of the API who gave no name".to_owned()
            }
            (Actor::Handler, _, Some(door)) | (Actor::Operator, None, Some(door)) => {
                format!("a person at the {door}")
            }
            (Actor::Handler, Some(name), None) | (Actor::Operator, Some(name), None) => {
                name.to_owned()
            }
            (Actor::Operator, Some(name), Some("api")) => {
                format!("{} through the API", self.marked(name))
            }
            (Actor::Operator, Some(name), Some(door)) => {
                format!("{} at the {door}", self.marked(name))
            }
            (Actor::Operator, None, None) => "an operator".to_owned(),
        }
    }

    /// The name, with a mark if it is not verified.
    fn marked(&self, name: &str) -> String {
        if self.detail["claimedBy"] == *name {
            format!("{name} (claimed)")
        } else {
            name.to_owned()
        }
    }
}
