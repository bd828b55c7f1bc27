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
        scenario: "accept",
        problem: "and says",
        reason: "a conflict with its own write is taken for somebody else",
    },
    KnownOpen {
        scenario: "erase",
        problem: "fails:",
        reason: "a conflict with its own write is taken for somebody else",
    },
    KnownOpen {
        scenario: "retention apply",
        problem: "and says",
        reason: "a conflict with its own write is taken for somebody else",
    },
    KnownOpen {
        scenario: "retention apply",
        problem: "fails:",
        reason: "a conflict with its own write is taken for somebody else",
    },
    KnownOpen {
        scenario: "event of a dead-lettered chunk",
        problem: "receipt.chunk-a.json is in the vault",
        reason: "a late write arrives after the removal, and nobody looks again",
    },
    KnownOpen {
        scenario: "new event",
        problem: "receipt.chunk-a.json is in the vault",
        reason: "a late write arrives after the removal, and nobody looks again",
    },
    KnownOpen {
        scenario: "sweep of a pending chunk",
        problem: "receipt.chunk-a.json is in the vault",
        reason: "a late write arrives after the removal, and nobody looks again",
    },
    KnownOpen {
        scenario: "erase",
        problem: "is stale",
        reason: "a write that failed does not take its markers back",
    },
    KnownOpen {
        scenario: "event of a dead-lettered chunk",
        problem: "is stale",
        reason: "a write that failed does not take its markers back",
    },
    KnownOpen {
        scenario: "event with more",
        problem: "is stale",
        reason: "a write that failed does not take its markers back",
    },
    KnownOpen {
        scenario: "event with the metadata's place",
        problem: "is stale",
        reason: "a write that failed does not take its markers back",
    },
    KnownOpen {
        scenario: "move home",
        problem: "is stale",
        reason: "a write that failed does not take its markers back",
    },
    KnownOpen {
        scenario: "new event",
        problem: "is stale",
        reason: "a write that failed does not take its markers back",
    },
    KnownOpen {
        scenario: "new event, the rest comes later",
        problem: "is stale",
        reason: "a write that failed does not take its markers back",
    },
    KnownOpen {
        scenario: "retention apply",
        problem: "is stale",
        reason: "a write that failed does not take its markers back",
    },
    KnownOpen {
        scenario: "retry",
        problem: "is stale",
        reason: "a write that failed does not take its markers back",
    },
    KnownOpen {
        scenario: "sweep of a pending chunk",
        problem: "is stale",
        reason: "a write that failed does not take its markers back",
    },
    KnownOpen {
        scenario: "sweep while more comes",
        problem: "is stale",
        reason: "a write that failed does not take its markers back",
    },
    KnownOpen {
        scenario: "delete-source",
        problem: "deleted at ACS although it is held",
        reason: "an audit record is written between the look at the holds and the deletion",
    },
    KnownOpen {
        scenario: "event of a dead-lettered chunk",
        problem: "deleted at ACS although it is held",
        reason: "an audit record is written between the look at the holds and the deletion",
    },
    KnownOpen {
        scenario: "event with more",
        problem: "deleted at ACS although it is held",
        reason: "an audit record is written between the look at the holds and the deletion",
    },
    KnownOpen {
        scenario: "event with the delete location",
        problem: "deleted at ACS although it is held",
        reason: "an audit record is written between the look at the holds and the deletion",
    },
    KnownOpen {
        scenario: "event with the metadata's place",
        problem: "deleted at ACS although it is held",
        reason: "an audit record is written between the look at the holds and the deletion",
    },
    KnownOpen {
        scenario: "move home",
        problem: "deleted at ACS although it is held",
        reason: "an audit record is written between the look at the holds and the deletion",
    },
    KnownOpen {
        scenario: "new event",
        problem: "deleted at ACS although it is held",
        reason: "an audit record is written between the look at the holds and the deletion",
    },
    KnownOpen {
        scenario: "sweep of a chunk that is due for deletion",
        problem: "deleted at ACS although it is held",
        reason: "an audit record is written between the look at the holds and the deletion",
    },
    KnownOpen {
        scenario: "sweep of a pending chunk",
        problem: "deleted at ACS although it is held",
        reason: "an audit record is written between the look at the holds and the deletion",
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
        scenario: "retry",
        problem: "acsmetadata.chunk-a.json names the person",
        reason: "an export relies on a marker that an erasure removes as stale",
    },
    KnownOpen {
        scenario: "retry",
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
        problem: "catalogue/participant/*/*/*-*-chunk-a is missing",
        reason: "an export relies on a marker that an erasure removes as stale",
    },
    KnownOpen {
        scenario: "sweep of a pending chunk",
        problem: "chunks/chunk-a.json names the person",
        reason: "an export relies on a marker that an erasure removes as stale",
    },
    KnownOpen {
        scenario: "sweep of a pending chunk",
        problem: "does not find the person",
        reason: "an export relies on a marker that an erasure removes as stale",
    },
    KnownOpen {
        scenario: "event of a dead-lettered chunk",
        problem: "has no marker",
        reason: "an opener writes its marker before its entry; a sweep in between removes it as left behind",
    },
    KnownOpen {
        scenario: "event with more",
        problem: "has no marker",
        reason: "an opener writes its marker before its entry; a sweep in between removes it as left behind",
    },
    KnownOpen {
        scenario: "event with the delete location",
        problem: "has no marker",
        reason: "an opener writes its marker before its entry; a sweep in between removes it as left behind",
    },
    KnownOpen {
        scenario: "event with the metadata's place",
        problem: "has no marker",
        reason: "an opener writes its marker before its entry; a sweep in between removes it as left behind",
    },
    KnownOpen {
        scenario: "retry",
        problem: "has no marker",
        reason: "an opener writes its marker before its entry; a sweep in between removes it as left behind",
    },
    KnownOpen {
        scenario: "retry",
        problem: "acsmetadata.chunk-a.json is in the vault",
        reason: "as above: no sweep finds the chunk",
    },
    KnownOpen {
        scenario: "retry",
        problem: "it has no copy: it is pending",
        reason: "as above: no sweep finds the chunk",
    },
    KnownOpen {
        scenario: "event with more",
        problem: "catalogue/proved/*/*-*-chunk-a is missing",
        reason: "markers are removed without a condition",
    },
    KnownOpen {
        scenario: "event with the metadata's place",
        problem: "catalogue/proved/*/*-*-chunk-a is missing",
        reason: "markers are removed without a condition",
    },
    KnownOpen {
        scenario: "retention apply",
        problem: "0000-acsmetadata.chunk-a.json is not what its receipt says",
        reason: "who froze before the removal wakes after the hold, and removes",
    },
    KnownOpen {
        scenario: "retention apply",
        problem: "0000-audiowav.chunk-a.wav is not what its receipt says",
        reason: "who froze before the removal wakes after the hold, and removes",
    },
    KnownOpen {
        scenario: "retention apply",
        problem: "the receipt is not in the vault",
        reason: "who froze before the removal wakes after the hold, and removes",
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
        problem: "catalogue/participant/*/*/*-*-chunk-a names",
        reason: "the marker has a hash without a key",
    },
    KnownOpen {
        scenario: "new event, the rest comes later",
        problem: "an event told where its metadata is",
        reason: "the write that settles is decided on the entry from before the event",
    },
    KnownOpen {
        scenario: "new event, the rest comes later",
        problem: "its source can be deleted",
        reason: "the write that settles is decided on the entry from before the event",
    },
    KnownOpen {
        scenario: "sweep while more comes",
        problem: "an event told where its metadata is",
        reason: "the write that settles is decided on the entry from before the event",
    },
    KnownOpen {
        scenario: "sweep while more comes",
        problem: "its source can be deleted",
        reason: "the write that settles is decided on the entry from before the event",
    },
];
