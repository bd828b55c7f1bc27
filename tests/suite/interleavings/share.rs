//! Which of the cases a run takes: all of them, or a random share of each scenario.

use std::fmt;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use super::enumeration::setting;

/// One case of so many is run, unless all are asked for. A broken promise shows in many neighbouring cases.
const ONE_OF: u64 = 5;

/// The chosen cases.
#[derive(Debug, Clone, Copy)]
pub enum Share {
    All,
    /// By a hash of the seed and the name of the case.
    Random {
        seed: u64,
    },
}

impl Share {
    /// Reads the choice from the environment.
    ///
    /// # Panics
    /// When `INTERLEAVINGS` or `INTERLEAVING_SEED` has no such value.
    pub fn chosen() -> Self {
        match setting("INTERLEAVINGS").as_deref() {
            None if setting("INTERLEAVING_PAIRS").is_none() => Self::Random { seed: seed() },
            None | Some("all") => Self::All,
            Some(other) => panic!("INTERLEAVINGS is `all` or not set, not `{other}`"),
        }
    }

    pub fn is_all(self) -> bool {
        matches!(self, Self::All)
    }

    pub fn has(self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Random { seed } => {
                let mut hasher = DefaultHasher::new();
                (seed, name).hash(&mut hasher);
                hasher.finish().is_multiple_of(ONE_OF)
            }
        }
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all cases"),
            Self::Random { seed } => write!(f, "a share: INTERLEAVING_SEED={seed}"),
        }
    }
}

/// The seed of a random choice.
///
/// # Panics
/// When `INTERLEAVING_SEED` is no number.
pub fn seed() -> u64 {
    setting("INTERLEAVING_SEED").map_or_else(rand::random, |seed| {
        seed.parse().expect("INTERLEAVING_SEED is a number")
    })
}
