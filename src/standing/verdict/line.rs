//! The line that a sweep writes about the verdict, whatever the value of `LOG` is. Alert rules wait for its words. Pure.

use std::fmt;

use super::{Verdict, VerdictCode, VerdictKind};

/// The kind of the verdict and every cause of it: `Verdict: attention; lost checkLate`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerdictLine {
    kind: VerdictKind,
    codes: Vec<VerdictCode>,
}

impl VerdictLine {
    pub fn of(verdict: &Verdict) -> Self {
        Self {
            kind: verdict.kind,
            codes: verdict.codes.clone(),
        }
    }

    /// The line of a sweep that could not determine the verdict.
    pub fn undetermined() -> Self {
        Self {
            kind: VerdictKind::Unknown,
            codes: vec![VerdictCode::NotDetermined],
        }
    }

    /// Adds that the sweep could not look: then nothing is known to be safe.
    #[must_use]
    pub fn of_failed_sweep(mut self) -> Self {
        self.kind = match self.kind {
            VerdictKind::Attention => VerdictKind::Attention,
            VerdictKind::Safe
            | VerdictKind::UnderWay
            | VerdictKind::Unknown
            | VerdictKind::NoData => VerdictKind::Unknown,
        };
        self.codes.push(VerdictCode::SweepFailed);
        self
    }

    pub fn kind(&self) -> VerdictKind {
        self.kind
    }

    pub fn codes(&self) -> &[VerdictCode] {
        &self.codes
    }

    /// Whether nothing is wrong, nothing is on the way, and everything was checked.
    pub fn is_all_clear(&self) -> bool {
        matches!(self.kind, VerdictKind::Safe | VerdictKind::NoData) && self.codes.is_empty()
    }
}

impl fmt::Display for VerdictLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Verdict: {};", self.kind.name())?;
        for code in &self.codes {
            write!(f, " {}", code.name())?;
        }
        Ok(())
    }
}
