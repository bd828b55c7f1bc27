//! What fails and is known: each class with its reason. One that no longer fails must go, so this list only shrinks.

/// Failures of a scenario that say the same.
pub struct KnownOpen {
    pub scenario: &'static str,
    /// Part of what is wrong.
    pub problem: &'static str,
    pub reason: &'static str,
}

/// Every known class.
pub const KNOWN_OPEN: &[KnownOpen] = &[
    KnownOpen {
        scenario: "erase",
        problem: "Erase fails: chunk 0: the vault did not delete it",
        reason: "a process that was frozen past its claim, and that nobody took over from, reports that it did not finish; a repeat finishes",
    },
    KnownOpen {
        scenario: "retention apply",
        problem: "ApplyRetention fails: could not",
        reason: "a process that was frozen past its claim, and that nobody took over from, reports that it did not finish; a repeat finishes",
    },
];
