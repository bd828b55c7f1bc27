//! What fails and is known: each class with its reason. One that no longer fails must go, so this list only shrinks.

/// Failures of a scenario that say the same.
pub struct KnownOpen {
    /// How the scenario's name begins; empty for every scenario.
    pub scenario: &'static str,
    /// Part of what is wrong.
    pub problem: &'static str,
    pub reason: &'static str,
}

pub const KNOWN_OPEN: &[KnownOpen] = &[];
