//! Faults a test may switch on.

use serde::{Deserialize, Serialize};

/// Which requests a fault applies to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Plane {
    Control,
    Media,
    Metadata,
    Delete,
}

/// What goes wrong, and how often.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Fault {
    pub plane: Plane,
    /// For so many requests; every one unless given.
    pub times: Option<u32>,
    #[serde(flatten)]
    pub kind: FaultKind,
}

/// The misbehaviour.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "kind", rename_all_fields = "camelCase")]
pub enum FaultKind {
    /// Answers with this status instead.
    Status { status: u16, retry_after: Option<u64> },
    /// Answers with this status and a page for people.
    Page { status: u16 },
    /// Sends so many bytes less than its `Content-Range` says.
    Short { by_bytes: u64 },
    /// Says that the whole file has so many bytes.
    Total { bytes: u64 },
    /// Cuts the connection after so many bytes of the body.
    DropAfter { bytes: u64 },
    /// Answers a `Range` with the whole file and 200.
    IgnoreRange,
    /// 200 with nothing in it.
    Empty,
    /// 302 to this location.
    Redirect { location: String },
    /// Sends so many pieces of 64 KiB a second.
    Slow { pieces_per_second: u32 },
}

/// The faults that are switched on.
#[derive(Debug, Default)]
pub struct Faults(Vec<Fault>);

impl Faults {
    pub fn set(&mut self, faults: Vec<Fault>) {
        self.0 = faults;
    }

    /// The fault for the next request, counted down.
    pub fn next(&mut self, plane: Plane) -> Option<FaultKind> {
        let fault = self.0.iter_mut().find(|fault| fault.plane == plane && fault.times != Some(0))?;
        if let Some(times) = &mut fault.times {
            *times -= 1;
        }
        Some(fault.kind.clone())
    }
}
