//! A secret that others present to us.

use std::fmt;

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// Shared with whoever may call. It has no `Display` and does not show itself in `Debug`.
#[derive(Clone)]
pub struct SharedSecret([u8; 32]);

impl SharedSecret {
    pub fn new(text: &str) -> Self {
        Self(Sha256::digest(text).into())
    }

    /// Whether `given` is it; takes the same time whatever it is.
    pub fn is(&self, given: &str) -> bool {
        let given: [u8; 32] = Sha256::digest(given).into();
        self.0.ct_eq(&given).into()
    }
}

impl fmt::Debug for SharedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedSecret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_secret_itself_is_it_and_it_does_not_show_itself() {
        let secret = SharedSecret::new("s3cret");
        assert!(secret.is("s3cret") && !secret.is("s3cre") && !secret.is(""));
        assert_eq!(format!("{secret:?}"), "SharedSecret(…)");
    }
}
