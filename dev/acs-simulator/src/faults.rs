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

/// A fault, and how often it occurs.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Fault {
    pub plane: Plane,
    /// Number of requests; by default every one.
    pub times: Option<u32>,
    /// Affects some of them only; unaffected requests do not count.
    pub chance: Option<Chance>,
    #[serde(flatten)]
    pub kind: FaultKind,
}

/// Which requests are affected: the same ones for the same seed, if they arrive in the same order.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Chance {
    pub percent: u8,
    /// Continues with every request.
    pub seed: u64,
}

/// The misbehaviour.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(
    rename_all = "camelCase",
    tag = "kind",
    rename_all_fields = "camelCase"
)]
pub enum FaultKind {
    /// Answers with this status instead.
    Status {
        status: u16,
        retry_after: Option<u64>,
    },
    /// Answers with this status and a page for people.
    Page { status: u16 },
    /// Answers with this status and an error in JSON.
    Worded { status: u16 },
    /// Answers a `Range` with the whole file and 200, and does not announce its length.
    Unannounced,
    /// Answers a `Range` with 200, its part and its `Content-Range`, if the answer is to have one, and does not announce its
    /// length.
    Hidden { has_range: bool },
    /// Answers a `Range` with 200, its part and the length of that, and without its `Content-Range`.
    CalledWhole,
    /// Answers with this status and the text of a gateway.
    Text { status: u16 },
    /// Answers a `Range` without the length of the whole file, `bytes 0-99/*`, and with 200 if the part is to be called whole.
    NoTotal { is_called_whole: bool },
    /// Sends this many bytes less than its `Content-Range` says.
    Short { by_bytes: u64 },
    /// Claims that the whole file has this many bytes.
    Total { bytes: u64 },
    /// Cuts the connection after this many bytes of the body.
    DropAfter { bytes: u64 },
    /// Answers a `Range` with the whole file and 200.
    IgnoreRange,
    /// 200 with nothing in it.
    Empty,
    /// 302 to this location.
    Redirect { location: String },
    /// Sends this many pieces of 64 KiB a second.
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
        self.0
            .iter_mut()
            .filter(|fault| fault.plane == plane)
            .find_map(Fault::strike)
    }
}

impl Fault {
    fn strike(&mut self) -> Option<FaultKind> {
        if self.times == Some(0) || !self.chance.as_mut().is_none_or(Chance::strikes) {
            return None;
        }
        if let Some(times) = &mut self.times {
            *times -= 1;
        }
        Some(self.kind.clone())
    }
}

impl Chance {
    /// `SplitMix64` (<https://prng.di.unimi.it/splitmix64.c>).
    fn strikes(&mut self) -> bool {
        self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.seed;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % 100 < u64::from(self.percent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn struck(fault: &str) -> Vec<bool> {
        let mut faults = Faults(vec![serde_json::from_str(fault).unwrap()]);
        (0..1000)
            .map(|_| faults.next(Plane::Media).is_some())
            .collect()
    }

    #[test]
    fn a_chance_strikes_as_often_as_it_says_and_the_same_requests_each_time() {
        let fault = r#"{"plane": "media", "kind": "empty", "chance": {"percent": 20, "seed": 7}}"#;
        let requests = struck(fault);
        let count = requests.iter().filter(|is_struck| **is_struck).count();
        assert!((160..240).contains(&count), "{count} of 1000");
        assert_eq!(struck(fault), requests);
        assert_ne!(struck(&fault.replace('7', "8")), requests);
    }

    #[test]
    fn only_requests_that_are_struck_count() {
        let fault = r#"{"plane": "media", "kind": "empty", "times": 3, "chance": {"percent": 20, "seed": 7}}"#;
        assert_eq!(
            struck(fault).iter().filter(|is_struck| **is_struck).count(),
            3
        );
    }
}
