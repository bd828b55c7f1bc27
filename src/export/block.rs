//! Blocks: the staged pieces of a blob, and the ids that make an interrupted export resumable.
//!
//! An id holds all that must survive a kill. It is written with the block in one step, so the two never disagree:
//!
//! ```text
//!  0        4        8               16               24               32                              64
//!  ├─ index ┼─ size ─┼─ CRC-64/NVME ─┼─ total bytes ──┼─ SHA-256 before┼─ SHA-256 state after ─────────┤
//!  bit 31 of index: this is the last block, and the state after it is the digest of the whole
//! ```
//! 64 bytes is the most a block id may have, and all ids of a blob have the same length
//! (<https://learn.microsoft.com/rest/api/storageservices/put-block>).

use std::fmt;
use std::num::NonZeroUsize;

use bytes::Bytes;

use crate::export::checksummed::Checksummed;
use crate::store::digest::{ChainingValue, Sha256Digest, WORD};

/// Length of every block id in bytes.
pub const ID_LENGTH: usize = 64;
const LAST: u32 = 1 << 31;

/// How a file is cut and how much of it is in memory.
#[derive(Debug, Clone, Copy)]
pub struct BlockPolicy {
    /// A multiple of 64 bytes, at least 64.
    pub block_size_bytes: NonZeroUsize,
    pub blocks_in_flight: NonZeroUsize,
}

/// The identity of a block, in 64 bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct BlockId {
    index: u32,
    is_last: bool,
    size_bytes: u32,
    crc64: u64,
    total_bytes: u64,
    before: [u8; 8],
    after: [u8; 32],
}

impl BlockId {
    pub fn to_bytes(self) -> [u8; ID_LENGTH] {
        let mut bytes = [0; ID_LENGTH];
        let index = self.index | if self.is_last { LAST } else { 0 };
        bytes[0..4].copy_from_slice(&index.to_be_bytes());
        bytes[4..8].copy_from_slice(&self.size_bytes.to_be_bytes());
        bytes[8..16].copy_from_slice(&self.crc64.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.total_bytes.to_be_bytes());
        bytes[24..32].copy_from_slice(&self.before);
        bytes[32..64].copy_from_slice(&self.after);
        bytes
    }

    pub fn to_hex(self) -> String {
        hex::encode(self.to_bytes())
    }

    pub fn from_hex(text: &str) -> Option<Self> {
        Self::from_bytes(&hex::decode(text).ok()?)
    }

    /// Parses an id; `None` for one that this product did not write.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; ID_LENGTH] = bytes.try_into().ok()?;
        let index = u32::from_be_bytes(bytes[0..4].try_into().ok()?);
        Some(Self {
            index: index & !LAST,
            is_last: index & LAST != 0,
            size_bytes: u32::from_be_bytes(bytes[4..8].try_into().ok()?),
            crc64: u64::from_le_bytes(bytes[8..16].try_into().ok()?),
            total_bytes: u64::from_be_bytes(bytes[16..24].try_into().ok()?),
            before: bytes[24..32].try_into().ok()?,
            after: bytes[32..64].try_into().ok()?,
        })
    }

    /// Position in the blob, counted from 0.
    pub fn index(&self) -> usize {
        self.index as usize
    }

    pub fn size_bytes(&self) -> u64 {
        u64::from(self.size_bytes)
    }

    /// Checksum of the block's content, for the storage to check.
    pub fn crc64(&self) -> u64 {
        self.crc64
    }
}

impl fmt::Display for BlockId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.index)
    }
}

impl fmt::Debug for BlockId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "BlockId({}, {} bytes, last: {})",
            self.index, self.size_bytes, self.is_last
        )
    }
}

/// A block ready to be staged.
#[derive(Debug, Clone)]
pub struct Block {
    pub id: BlockId,
    pub content: Bytes,
}

/// A position in a blob: the blocks before it, and the SHA-256 state there.
///
/// Every block is created from, and checked against, the chain before it: swapped, missing or foreign
/// blocks do not fit.
#[derive(Debug, Clone)]
pub struct BlockChain {
    total_bytes: u64,
    ids: Vec<BlockId>,
    offset: u64,
    state: ChainingValue,
    digest: Option<Sha256Digest>,
}

impl BlockChain {
    /// The beginning of a blob of `total_bytes`.
    pub fn start(total_bytes: u64) -> Self {
        Self {
            total_bytes,
            ids: Vec::new(),
            offset: 0,
            state: ChainingValue::START,
            digest: None,
        }
    }

    /// The chain that the given ids form from the beginning, in any order: of several beginnings the one that
    /// leads furthest, of several blocks for one place the first that fits.
    ///
    /// `None` when no block fits the start; the total is then still unknown.
    pub fn resume(ids: &[BlockId]) -> Option<Self> {
        let totals = ids
            .iter()
            .filter(|id| id.index == 0)
            .map(|id| id.total_bytes);
        totals
            .map(|total_bytes| Self::resume_of(total_bytes, ids))
            .filter(|chain| chain.offset > 0)
            .max_by_key(|chain| chain.offset)
    }

    /// The same for a blob of `total_bytes`: a chain of no block if none fits the start.
    pub fn resume_of(total_bytes: u64, ids: &[BlockId]) -> Self {
        let mut chain = Self::start(total_bytes);
        chain.append_staged(ids);
        chain
    }

    /// Appends the blocks that are already staged and fit.
    pub fn append_staged(&mut self, ids: &[BlockId]) {
        let mut ids: Vec<&BlockId> = ids.iter().collect();
        ids.sort_by_key(|id| id.index);
        for id in ids {
            self.append(*id);
        }
    }

    /// Bytes before this position.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    pub fn total_bytes(&self) -> u64 {
        self.total_bytes
    }

    pub fn ids(&self) -> &[BlockId] {
        &self.ids
    }

    /// The digest of the whole, once the last block is in.
    pub fn digest(&self) -> Option<Sha256Digest> {
        self.digest
    }

    /// Hashes `content` as the next block. Costs about 1 ms per MiB: call it off the async threads.
    ///
    /// # Panics
    /// When `content` is empty, runs past the total, or ends inside a 64-byte word without being the last.
    #[must_use]
    pub fn hash_next(mut self, content: impl Into<Checksummed>) -> (Self, Block) {
        let (content, crc64) = content.into().into_parts();
        let end = self.offset + content.len() as u64;
        assert!(
            !content.is_empty() && end <= self.total_bytes,
            "blocks are cut inside the total"
        );
        let is_last = end == self.total_bytes;
        let after = if is_last {
            let digest = self.state.finish(&content, self.total_bytes);
            ChainingValue::from_bytes(digest.to_bytes())
        } else {
            self.state.after(&content)
        };
        let id = BlockId {
            index: u32::try_from(self.ids.len()).expect("a blob has at most 50,000 blocks"),
            is_last,
            size_bytes: u32::try_from(content.len()).expect("a block is smaller than 4 GiB"),
            crc64,
            total_bytes: self.total_bytes,
            before: self.fingerprint(),
            after: after.to_bytes(),
        };
        let appended = self.append(id);
        debug_assert!(appended, "a block made by this chain fits it");
        (self, Block { id, content })
    }

    /// Appends an id if it fits. Returns whether it did.
    fn append(&mut self, id: BlockId) -> bool {
        let end = self.offset + id.size_bytes();
        let fits = self.digest.is_none()
            && u64::from(id.index) == self.ids.len() as u64
            && id.total_bytes == self.total_bytes
            && id.before == self.fingerprint()
            && id.size_bytes > 0
            && end <= self.total_bytes
            && id.is_last == (end == self.total_bytes)
            && (id.is_last || id.size_bytes().is_multiple_of(WORD as u64));
        if fits {
            self.ids.push(id);
            self.offset = end;
            self.state = ChainingValue::from_bytes(id.after);
            self.digest = id.is_last.then(|| Sha256Digest::from_bytes(id.after));
        }
        fits
    }

    fn fingerprint(&self) -> [u8; 8] {
        let mut fingerprint = [0; 8];
        fingerprint.copy_from_slice(&self.state.to_bytes()[..8]);
        fingerprint
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTENT: &[u8] = &[7; 300];

    fn blocks() -> (BlockChain, Vec<Block>) {
        let mut chain = BlockChain::start(CONTENT.len() as u64);
        let mut blocks = Vec::new();
        for piece in CONTENT.chunks(128) {
            let (next, block) = chain.hash_next(Bytes::copy_from_slice(piece));
            chain = next;
            blocks.push(block);
        }
        (chain, blocks)
    }

    fn ids() -> Vec<BlockId> {
        blocks().1.iter().map(|block| block.id).collect()
    }

    #[test]
    fn the_last_block_carries_the_digest_of_the_whole() {
        assert_eq!(blocks().0.digest(), Some(Sha256Digest::of(CONTENT)));
    }

    #[test]
    fn an_id_survives_its_64_bytes() {
        for id in ids() {
            assert_eq!(BlockId::from_bytes(&id.to_bytes()), Some(id));
        }
        assert_eq!(BlockId::from_bytes(b"somebody else's"), None);
    }

    #[test]
    fn staged_blocks_in_any_order_resume_the_chain() {
        let mut ids = ids();
        ids.reverse();
        let chain = BlockChain::resume(&ids).unwrap();
        assert_eq!(
            (chain.offset(), chain.digest()),
            (300, Some(Sha256Digest::of(CONTENT)))
        );
    }

    #[test]
    fn a_gap_ends_what_is_resumed() {
        let ids = ids();
        assert_eq!(BlockChain::resume(&[ids[0], ids[2]]).unwrap().offset(), 128);
        assert!(BlockChain::resume(&[ids[1], ids[2]]).is_none());
        assert!(BlockChain::resume(&[]).is_none());
    }

    #[test]
    fn a_block_of_another_content_does_not_fit() {
        let (_, foreign) = BlockChain::start(300).hash_next(Bytes::from_static(&[9; 128]));
        let ids = ids();
        let chain = BlockChain::resume(&[foreign.id, ids[1], ids[2]]).unwrap();
        assert_eq!(
            chain.offset(),
            128,
            "only the foreign first block forms a chain, nothing of ours follows it"
        );
    }

    #[test]
    fn of_two_first_blocks_the_one_that_leads_further_is_taken() {
        let (_, foreign) = BlockChain::start(999).hash_next(Bytes::from_static(&[9; 128]));
        let ids = ids();
        let chain = BlockChain::resume(&[foreign.id, ids[0], ids[1]]).unwrap();
        assert_eq!((chain.total_bytes(), chain.offset()), (300, 256));
    }
}
