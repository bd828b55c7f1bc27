//! What happens to a single request of a process. Knows nothing of what is requested.

use std::fmt;

/// Whether a request changes something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Read,
    Write,
}

/// What happens to one request. The other party works while the request, or its process, waits; where nothing waits, the
/// other party works after the process has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disturbance {
    /// The request is under way until the other party has finished.
    Held,
    /// Applied at once; the answer is under way until the other party has finished.
    AnswerLate,
    /// The answer is lost, and the request repeated at once.
    Repeated,
    /// The answer is lost, and the request repeated after the other party has finished.
    RepeatedLate,
    /// The answer is lost, and the process hears of a failure.
    AnswerLost,
    /// Applied and answered; applied once more after both parties have ended.
    AppliedAgainLate,
    /// The process is killed right after the request was applied.
    Killed,
    /// The same, and the other party comes when the claim of the killed process has run out.
    KilledLongAgo,
    /// The process is killed while the request is under way; the request arrives when the other party has finished.
    KilledInFlight,
    /// The process stands still, before it sends the request, for longer than its claim lasts.
    FrozenBefore,
    /// The process stands still, after the request was applied, for longer than its claim lasts.
    FrozenAfter,
}

impl Disturbance {
    const OF_READS: [Self; 2] = [Self::AnswerLate, Self::FrozenAfter];
    const OF_WRITES: [Self; 11] = [
        Self::Held,
        Self::AnswerLate,
        Self::Repeated,
        Self::RepeatedLate,
        Self::AnswerLost,
        Self::AppliedAgainLate,
        Self::Killed,
        Self::KilledLongAgo,
        Self::KilledInFlight,
        Self::FrozenBefore,
        Self::FrozenAfter,
    ];

    /// Those that make a difference: a read changes nothing, however often it is applied.
    pub fn of(kind: Kind) -> &'static [Self] {
        match kind {
            Kind::Read => &Self::OF_READS,
            Kind::Write => &Self::OF_WRITES,
        }
    }

    /// The process goes on at once, as if nothing had happened: when the other party comes makes no difference.
    pub fn is_over_at_once(self) -> bool {
        matches!(self, Self::Repeated | Self::AnswerLost)
    }

    pub fn kills(self) -> bool {
        match self {
            Self::Killed | Self::KilledLongAgo | Self::KilledInFlight => true,
            Self::Held
            | Self::AnswerLate
            | Self::Repeated
            | Self::RepeatedLate
            | Self::AnswerLost
            | Self::AppliedAgainLate
            | Self::FrozenBefore
            | Self::FrozenAfter => false,
        }
    }
}

impl fmt::Display for Disturbance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
