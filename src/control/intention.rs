//! A caller's request, stored before ACS is asked, so that a kill or a lost answer leaves a trace.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::pause::PauseEnd;
use super::requester::{AskedBy, REQUEST_ID};
use crate::store::audit::INVOCATION;

/// A pause, resume or stop whose outcome at ACS is not registered yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intention {
    pub id: Uuid,
    /// When it was decided. For a pause this is when the pause begins.
    pub at: Timestamp,
    #[serde(flatten)]
    pub action: IntendedAction,
    /// For its record in the audit log, if its answer is lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked_by: Option<AskedBy>,
}

/// What ACS is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    tag = "action",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
pub enum IntendedAction {
    Pause {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        resume_at: Option<Timestamp>,
    },
    Resume {
        /// When the pause began that it ends; `None` if the register knew of none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pause: Option<Timestamp>,
        by: PauseEnd,
    },
    Stop,
}

/// An intention, and whether the register has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Noted {
    Written(Intention),
    /// The register failed; ACS is asked anyway.
    NotWritten(Intention),
}

impl Noted {
    pub fn intention(&self) -> &Intention {
        match self {
            Self::Written(intention) | Self::NotWritten(intention) => intention,
        }
    }
}

impl Intention {
    pub fn new(at: Timestamp, action: IntendedAction) -> Self {
        Self {
            id: Uuid::new_v4(),
            at,
            action,
            asked_by: None,
        }
    }

    /// Returns the same intention, with who asks for it. A request that the host repeats has the same id again.
    #[must_use]
    pub fn asked_by(self, mut asked_by: AskedBy) -> Self {
        let invocation = asked_by.detail.get(INVOCATION).and_then(Value::as_str);
        let repeated = invocation.map(|name| Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes()));
        let id = repeated.unwrap_or(self.id);
        let text = id.to_string();
        asked_by.detail.insert(REQUEST_ID.to_owned(), text.into());
        Self {
            id,
            asked_by: Some(asked_by),
            ..self
        }
    }

    /// When the intended pause must end, for a pause.
    pub fn resume_at(&self) -> Option<Timestamp> {
        match self.action {
            IntendedAction::Pause { resume_at } => resume_at,
            IntendedAction::Resume { .. } | IntendedAction::Stop => None,
        }
    }

    pub fn is_pause(&self) -> bool {
        matches!(self.action, IntendedAction::Pause { .. })
    }

    /// Whether it ends the pause that began at this time.
    pub fn ends(&self, began: Timestamp) -> bool {
        matches!(self.action, IntendedAction::Resume { pause, .. } if pause == Some(began))
    }
}
