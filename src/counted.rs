//! Numbers of things in sentences: "1 chunk", "2 chunks". It knows no nouns.

use std::fmt;

/// Returns a number with its noun in the singular or plural.
pub fn counted<N: fmt::Display + PartialEq + From<u8>>(
    count: N,
    one: &str,
    several: &str,
) -> String {
    let noun = if count == N::from(1) { one } else { several };
    format!("{count} {noun}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_singular() {
        assert_eq!(counted(1_u64, "file", "files"), "1 file");
        assert_eq!(counted(0_usize, "file", "files"), "0 files");
        assert_eq!(counted(21_usize, "entry", "entries"), "21 entries");
    }
}
