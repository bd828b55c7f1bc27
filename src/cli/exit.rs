//! How a verb ends. The numbers are part of the interface: docs/VERBS.md lists them.

use std::process::ExitCode;

/// What the caller's shell learns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// The verb did its work and found nothing wrong.
    Fine,
    /// The verb could not do its work; stderr has the reason.
    NotDone,
    /// Something is missing, wrong or unknown, or the command line is wrong.
    NeedsAttention,
    /// Settings are missing or invalid (`EX_USAGE` of sysexits.h).
    InvalidSettings,
    /// A signal with this number ended the process; reported as shells report it. Not 0: the Functions host takes that for
    /// "done, do not restart".
    Signal(u8),
}

impl Exit {
    /// [`Exit::Fine`] if nothing needs attention.
    pub fn fine_if(nothing_is_wrong: bool) -> Self {
        if nothing_is_wrong {
            Self::Fine
        } else {
            Self::NeedsAttention
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Fine => 0,
            Exit::NotDone => 1,
            Exit::NeedsAttention => 2,
            Exit::InvalidSettings => 64,
            Exit::Signal(number) => 128 + number,
        })
    }
}
