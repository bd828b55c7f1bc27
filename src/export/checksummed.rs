//! Bytes with their CRC-64, which is computed piece by piece as they arrive: later they are no longer in the processor's
//! caches, and loading them again costs more than the checksum.

use bytes::{Bytes, BytesMut};

/// Azure's CRC-64 is CRC-64/NVME, little-endian on the wire.
const ALGORITHM: crc_fast::CrcAlgorithm = crc_fast::CrcAlgorithm::Crc64Nvme;

/// Returns the CRC-64 of bytes, as the storage computes it.
pub fn crc64(bytes: &[u8]) -> u64 {
    crc_fast::checksum(ALGORITHM, bytes)
}

/// Bytes with their CRC-64.
#[derive(Clone)]
pub struct Checksummed {
    bytes: Bytes,
    crc64: u64,
}

impl Checksummed {
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Drops what exceeds this length in bytes.
    pub fn truncate(&mut self, length: usize) {
        if length < self.bytes.len() {
            self.bytes.truncate(length);
            self.crc64 = crc64(&self.bytes);
        }
    }

    pub fn into_parts(self) -> (Bytes, u64) {
        (self.bytes, self.crc64)
    }
}

impl From<Bytes> for Checksummed {
    fn from(bytes: Bytes) -> Self {
        let crc64 = crc64(&bytes);
        Self { bytes, crc64 }
    }
}

/// Bytes that are being received.
pub(in crate::export) struct Gathering {
    bytes: BytesMut,
    crc64: crc_fast::Digest,
}

impl Gathering {
    /// Begins in an empty buffer.
    pub fn in_buffer(buffer: BytesMut) -> Self {
        debug_assert!(buffer.is_empty(), "its bytes are not in the checksum");
        Self {
            bytes: buffer,
            crc64: crc_fast::Digest::new(ALGORITHM),
        }
    }

    /// Returns how many bytes there are.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    pub fn push(&mut self, piece: &[u8]) {
        self.crc64.update(piece);
        self.bytes.extend_from_slice(piece);
    }

    pub fn finish(self) -> Checksummed {
        Checksummed {
            bytes: self.bytes.freeze(),
            crc64: self.crc64.finalize(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_the_bytes_however_they_came_and_wherever_they_end() {
        let content: Vec<u8> = (0..1000_u32).map(|n| (n * 7 % 251) as u8).collect();
        for piece in [1, 3, 64, 999, 1000] {
            let mut gathering = Gathering::in_buffer(BytesMut::new());
            for piece in content.chunks(piece) {
                gathering.push(piece);
            }
            let mut checksummed = gathering.finish();
            for end in [1000, 999, 64, 1, 0] {
                checksummed.truncate(end);
                let (bytes, found) = checksummed.clone().into_parts();
                assert_eq!(bytes, content[..end]);
                assert_eq!(found, crc64(&content[..end]), "{piece} {end}");
            }
        }
    }
}
