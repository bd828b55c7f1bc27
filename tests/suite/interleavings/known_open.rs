//! What fails and is known: each class with its reason. One that no longer fails must go, so this list only shrinks.

/// Failures of a scenario that say the same.
pub struct KnownOpen {
    pub scenario: &'static str,
    /// Part of what is wrong.
    pub problem: &'static str,
    pub reason: &'static str,
}

/// All there are.
pub const KNOWN_OPEN: &[KnownOpen] = &[
    KnownOpen {
        scenario: "event of a dead-lettered chunk",
        problem: "catalogue/proved/*/*-*-chunk-a is stale",
        reason: "a process that froze writes its marker when it wakes, and does not take it back when it finds its claim lost",
    },
    KnownOpen {
        scenario: "new event",
        problem: "catalogue/proved/*/*-*-chunk-a is stale",
        reason: "a process that froze writes its marker when it wakes, and does not take it back when it finds its claim lost",
    },
    KnownOpen {
        scenario: "new event, the rest comes later",
        problem: "catalogue/proved/*/*-*-chunk-a is stale",
        reason: "a process that froze writes its marker when it wakes, and does not take it back when it finds its claim lost",
    },
    KnownOpen {
        scenario: "sweep while more comes",
        problem: "catalogue/proved/*/*-*-chunk-a is stale",
        reason: "a process that froze writes its marker when it wakes, and does not take it back when it finds its claim lost",
    },
    KnownOpen {
        scenario: "control: Guard of PauseIsOver",
        problem: "a pause that was to end by itself did not",
        reason: "a resume that the guard decided on an older pause is sent after a newer pause began",
    },
    KnownOpen {
        scenario: "control: Guard of PauseIsOver",
        problem: "the guard ended a pause",
        reason: "a resume that the guard decided on an older pause is sent after a newer pause began",
    },
    KnownOpen {
        scenario: "control: Start of NotRecorded",
        problem: "the consent of A is lost",
        reason: "a second start overwrites the reservation of a first one whose outcome is unknown",
    },
    KnownOpen {
        scenario: "event of a dead-lettered chunk",
        problem: "acsmetadata.chunk-a.json names the person",
        reason: "an export relies on a marker that an erasure removes as stale",
    },
    KnownOpen {
        scenario: "event of a dead-lettered chunk",
        problem: "catalogue/participant/*/*/*-*-chunk-a is missing",
        reason: "an export relies on a marker that an erasure removes as stale",
    },
    KnownOpen {
        scenario: "event of a dead-lettered chunk",
        problem: "chunks/chunk-a.json names the person",
        reason: "an export relies on a marker that an erasure removes as stale",
    },
    KnownOpen {
        scenario: "event of a dead-lettered chunk",
        problem: "does not find the person",
        reason: "an export relies on a marker that an erasure removes as stale",
    },
    KnownOpen {
        scenario: "new event",
        problem: "acsmetadata.chunk-a.json names the person",
        reason: "an export relies on a marker that an erasure removes as stale",
    },
    KnownOpen {
        scenario: "new event",
        problem: "catalogue/participant/*/*/*-*-chunk-a is missing",
        reason: "an export relies on a marker that an erasure removes as stale",
    },
    KnownOpen {
        scenario: "new event",
        problem: "chunks/chunk-a.json names the person",
        reason: "an export relies on a marker that an erasure removes as stale",
    },
    KnownOpen {
        scenario: "new event",
        problem: "does not find the person",
        reason: "an export relies on a marker that an erasure removes as stale",
    },
    KnownOpen {
        scenario: "event of a dead-lettered chunk",
        problem: "catalogue/participant/*/*/*-*-chunk-a names",
        reason: "the marker has a hash without a key",
    },
    KnownOpen {
        scenario: "new event",
        problem: "catalogue/participant/*/*/*-*-chunk-a names",
        reason: "the marker has a hash without a key",
    },
    KnownOpen {
        scenario: "sweep of a pending chunk",
        problem: "does not find the person",
        reason: "an export relies on a marker that an erasure removes as stale",
    },
    KnownOpen {
        scenario: "sweep of a pending chunk",
        problem: "acsmetadata.chunk-a.json names the person",
        reason: "an export relies on a marker that an erasure removes as stale",
    },
    KnownOpen {
        scenario: "sweep of a pending chunk",
        problem: "chunks/chunk-a.json names the person",
        reason: "an export relies on a marker that an erasure removes as stale",
    },
    KnownOpen {
        scenario: "sweep of a pending chunk",
        problem: "catalogue/participant/*/*/*-*-chunk-a is missing",
        reason: "an export relies on a marker that an erasure removes as stale",
    },
    KnownOpen {
        scenario: "sweep of a pending chunk",
        problem: "catalogue/participant/*/*/*-*-chunk-a names",
        reason: "the marker has a hash without a key",
    },
    KnownOpen {
        scenario: "sweep of a pending chunk",
        problem: "catalogue/proved/*/*-*-chunk-a is stale",
        reason: "a process that froze writes its marker when it wakes, and does not take it back when it finds its claim lost",
    },
    KnownOpen {
        scenario: "move home",
        problem: "catalogue/proved/*/*-*-chunk-a is stale",
        reason: "a process that froze writes its marker when it wakes, and does not take it back when it finds its claim lost",
    },
];
