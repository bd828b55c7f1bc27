//! SHA-256 that can be suspended after any whole block and resumed by another process.
//!
//! The chaining value of FIPS 180-4 §6.2 is all the state there is between 64-byte words: 32 bytes that travel in the
//! [`BlockId`](crate::export::block::BlockId) of every staged block. So an export that was killed resumes without
//! reading the staged bytes back, and still ends with the SHA-256 of the whole.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::block_api::compress256;

/// SHA-256 works on 64-byte words; all but a file's last block must be a multiple of it.
pub const WORD: usize = 64;

/// FIPS 180-4 §5.3.3, the initial hash value.
const INITIAL: [u32; 8] = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];

/// A finished SHA-256, shown as lower-case hex.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Sha256Digest([u8; 32]);

impl Sha256Digest {
    /// Placeholder where there is nothing to digest.
    pub const ZERO: Self = Self([0; 32]);

    /// The digest of bytes that are all in memory.
    pub fn of(bytes: &[u8]) -> Self {
        use sha2::Digest as _;
        Self(sha2::Sha256::digest(bytes).into())
    }

    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    pub fn to_bytes(self) -> [u8; 32] {
        self.0
    }
}

impl fmt::Display for Sha256Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Sha256Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<Sha256Digest> for String {
    fn from(digest: Sha256Digest) -> Self {
        digest.to_string()
    }
}

impl TryFrom<String> for Sha256Digest {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| "a SHA-256 is 64 hexadecimal digits")?;
        Ok(Self(bytes))
    }
}

impl FromStr for Sha256Digest {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.to_owned().try_into()
    }
}

/// The state between two blocks: 8 big-endian words.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ChainingValue([u8; 32]);

impl ChainingValue {
    pub const START: Self = Self(words_to_bytes(INITIAL));

    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    pub fn to_bytes(self) -> [u8; 32] {
        self.0
    }

    /// The state after a block that is not the last.
    ///
    /// # Panics
    /// When the block is not a whole number of 64-byte words: blocks are cut to such sizes, and `BLOCK_SIZE` is
    /// validated when settings are read.
    #[must_use]
    pub fn after(self, block: &[u8]) -> Self {
        let (words, rest) = block.as_chunks::<WORD>();
        assert!(
            rest.is_empty(),
            "a block that is not the last is a multiple of {WORD} bytes"
        );
        let mut state = self.words();
        compress256(&mut state, words);
        Self(words_to_bytes(state))
    }

    /// The digest of everything, `block` being the last of `total_bytes`.
    #[must_use]
    pub fn finish(self, block: &[u8], total_bytes: u64) -> Sha256Digest {
        let (words, rest) = block.as_chunks::<WORD>();
        let mut state = self.words();
        compress256(&mut state, words);
        // FIPS 180-4 §5.1.1: one set bit, zeros, and the length in bits as 64-bit big-endian.
        let mut padding = [0_u8; 2 * WORD];
        padding[..rest.len()].copy_from_slice(rest);
        padding[rest.len()] = 0x80;
        let padded = if rest.len() + 9 <= WORD {
            WORD
        } else {
            2 * WORD
        };
        padding[padded - 8..padded].copy_from_slice(&total_bytes.wrapping_mul(8).to_be_bytes());
        compress256(&mut state, padding[..padded].as_chunks::<WORD>().0);
        Sha256Digest(words_to_bytes(state))
    }

    fn words(self) -> [u32; 8] {
        let mut words = [0; 8];
        for (word, bytes) in words.iter_mut().zip(self.0.as_chunks::<4>().0) {
            *word = u32::from_be_bytes(*bytes);
        }
        words
    }
}

const fn words_to_bytes(words: [u32; 8]) -> [u8; 32] {
    let mut bytes = [0; 32];
    let mut index = 0;
    while index < 8 {
        let word = words[index].to_be_bytes();
        bytes[index * 4] = word[0];
        bytes[index * 4 + 1] = word[1];
        bytes[index * 4 + 2] = word[2];
        bytes[index * 4 + 3] = word[3];
        index += 1;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_cut_into_blocks_gives_the_sha256_of_the_whole(
            content in proptest::collection::vec(any::<u8>(), 0..2000),
            words_per_block in 1_usize..8,
        ) {
            let mut state = ChainingValue::START;
            let mut rest = content.as_slice();
            while rest.len() > words_per_block * WORD {
                let (block, tail) = rest.split_at(words_per_block * WORD);
                state = ChainingValue::from_bytes(state.after(block).to_bytes());
                rest = tail;
            }
            prop_assert_eq!(state.finish(rest, content.len() as u64), Sha256Digest::of(&content));
        }
    }

    #[test]
    fn a_digest_survives_its_text_form() {
        let digest = Sha256Digest::of(b"abc");
        assert_eq!(
            digest.to_string(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(Sha256Digest::try_from(digest.to_string()), Ok(digest));
        assert!(Sha256Digest::try_from("xyz".to_owned()).is_err());
    }
}
