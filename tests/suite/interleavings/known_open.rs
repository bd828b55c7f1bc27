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
        scenario: "control: PauseForAWhile of Running",
        problem: "a pause that was to end by itself did not",
        reason: "another caller resumes or pauses between the intention and ACS's pause, and the answer then finds its intention gone",
    },
    KnownOpen {
        scenario: "control: Guard of PauseIsOver",
        problem: "the guard ended a pause that was to go on",
        reason: "ACS takes a resume that arrives a second time, late, for the newer pause: its requests name no pause",
    },
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
