//! What is stored, and when a write is refused. Knows no HTTP.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use crc_fast::CrcAlgorithm;
use jiff::Timestamp;

/// A piece of a blob as it came in one request.
#[derive(Debug, Clone)]
pub struct Block {
    pub size_bytes: u64,
    /// CRC-64/NVME, which is what Azure Storage calls `x-ms-content-crc64`.
    pub crc64: u64,
    /// Its first bytes: all of a small one, of a large one as many as are kept.
    pub content: Bytes,
}

/// A committed blob.
#[derive(Debug, Clone)]
pub struct Blob {
    /// With their ids, which a blob put in one piece has not.
    pub blocks: Vec<(String, Block)>,
    pub etag: String,
    pub modified_at: Timestamp,
    /// Content type and metadata, as headers of its answers.
    pub headers: Vec<(String, String)>,
}

impl Blob {
    pub fn size_bytes(&self) -> u64 {
        self.blocks.iter().map(|(_, block)| block.size_bytes).sum()
    }

    /// The bytes from `begin` to `end`, if they were kept.
    pub fn read(&self, begin: u64, end: u64) -> Result<Bytes, Refusal> {
        let mut bytes = BytesMut::new();
        let mut at = 0;
        for (_, block) in &self.blocks {
            let (from, to) = (
                begin.clamp(at, at + block.size_bytes) - at,
                end.clamp(at, at + block.size_bytes) - at,
            );
            let position = |offset: u64| usize::try_from(offset).map_err(|_| Refusal::InvalidRange);
            if from < to {
                let part = block
                    .content
                    .get(position(from)?..position(to)?)
                    .ok_or(Refusal::ContentDropped)?;
                bytes.extend_from_slice(part);
            }
            at += block.size_bytes;
        }
        Ok(bytes.freeze())
    }

    pub fn crc64(&self) -> u64 {
        let empty = crc_fast::checksum(CrcAlgorithm::Crc64Nvme, b"");
        self.blocks.iter().fold(empty, |crc64, (_, block)| {
            crc_fast::checksum_combine(
                CrcAlgorithm::Crc64Nvme,
                crc64,
                block.crc64,
                block.size_bytes,
            )
        })
    }
}

/// The place of a blob: it may have staged blocks and no blob yet.
#[derive(Debug, Default)]
pub struct Slot {
    pub blob: Option<Blob>,
    pub staged: BTreeMap<String, Block>,
}

/// Why a request is refused, by the service's own error codes
/// (<https://learn.microsoft.com/rest/api/storageservices/blob-service-error-codes>).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    ContainerNotFound,
    ContainerAlreadyExists,
    BlobNotFound,
    BlobAlreadyExists,
    ConditionNotMet,
    NotModified,
    InvalidBlockList,
    InvalidRange,
    Md5Mismatch,
    Crc64Mismatch,
    UnsupportedRequest,
    /// Ours: the content was counted and dropped.
    ContentDropped,
}

/// `If-Match` and `If-None-Match` of a request.
#[derive(Debug, Default)]
pub struct Conditions {
    pub if_match: Option<String>,
    pub if_none_match: Option<String>,
}

impl Conditions {
    /// Whether a write may replace the existing blob.
    pub fn check_write(&self, there: Option<&Blob>) -> Result<(), Refusal> {
        self.check_match(there)?;
        match (&self.if_none_match, there) {
            (Some(tag), Some(_)) if tag == "*" => Err(Refusal::BlobAlreadyExists),
            (Some(tag), Some(blob)) if *tag == blob.etag => Err(Refusal::ConditionNotMet),
            _ => Ok(()),
        }
    }

    /// Whether a read returns the existing blob.
    pub fn check_read(&self, there: &Blob) -> Result<(), Refusal> {
        self.check_match(Some(there))?;
        let unwanted = self
            .if_none_match
            .as_ref()
            .is_some_and(|tag| tag == "*" || *tag == there.etag);
        if unwanted {
            Err(Refusal::NotModified)
        } else {
            Ok(())
        }
    }

    fn check_match(&self, there: Option<&Blob>) -> Result<(), Refusal> {
        let Some(wanted) = &self.if_match else {
            return Ok(());
        };
        let met = there.is_some_and(|blob| wanted == "*" || *wanted == blob.etag);
        if met {
            Ok(())
        } else {
            Err(Refusal::ConditionNotMet)
        }
    }
}

/// All stored state.
#[derive(Debug, Default)]
pub struct Store {
    pub containers: BTreeMap<String, BTreeMap<String, Slot>>,
    /// How often each operation was requested.
    pub requests: BTreeMap<&'static str, u64>,
    /// Bytes of content received.
    pub received_bytes: u64,
    writes: u64,
}

impl Store {
    pub fn create_container(&mut self, name: &str) -> Result<(), Refusal> {
        if self.containers.contains_key(name) {
            return Err(Refusal::ContainerAlreadyExists);
        }
        self.containers.insert(name.to_owned(), BTreeMap::new());
        Ok(())
    }

    pub fn container(&mut self, name: &str) -> Result<&mut BTreeMap<String, Slot>, Refusal> {
        self.containers
            .get_mut(name)
            .ok_or(Refusal::ContainerNotFound)
    }

    pub fn slot(&mut self, container: &str, name: &str) -> Result<&mut Slot, Refusal> {
        self.container(container)?
            .get_mut(name)
            .ok_or(Refusal::BlobNotFound)
    }

    pub fn blob(&mut self, container: &str, name: &str) -> Result<&Blob, Refusal> {
        self.slot(container, name)?
            .blob
            .as_ref()
            .ok_or(Refusal::BlobNotFound)
    }

    pub fn stage(
        &mut self,
        container: &str,
        name: &str,
        id: String,
        block: Block,
    ) -> Result<(), Refusal> {
        self.container(container)?
            .entry(name.to_owned())
            .or_default()
            .staged
            .insert(id, block);
        Ok(())
    }

    /// The blocks that a list names, in its order: staged ones before committed ones.
    pub fn listed(
        &mut self,
        container: &str,
        name: &str,
        ids: Vec<String>,
    ) -> Result<Vec<(String, Block)>, Refusal> {
        let slot = self
            .container(container)?
            .entry(name.to_owned())
            .or_default();
        let committed: BTreeMap<&String, &Block> = slot
            .blob
            .iter()
            .flat_map(|blob| &blob.blocks)
            .map(|(id, block)| (id, block))
            .collect();
        let find = |id: String| {
            let block = slot
                .staged
                .get(&id)
                .or(committed.get(&id).copied())
                .cloned()
                .ok_or(Refusal::InvalidBlockList)?;
            Ok((id, block))
        };
        ids.into_iter().map(find).collect()
    }

    /// Makes blocks a blob, unless the conditions forbid it; returns the blob.
    pub fn commit(
        &mut self,
        (container, name): (&str, &str),
        blocks: Vec<(String, Block)>,
        headers: Vec<(String, String)>,
        conditions: &Conditions,
    ) -> Result<Blob, Refusal> {
        self.writes += 1;
        let etag = format!("\"0x8DD{:012X}\"", self.writes);
        let slot = self
            .container(container)?
            .entry(name.to_owned())
            .or_default();
        conditions.check_write(slot.blob.as_ref())?;
        let blob = Blob {
            blocks,
            etag,
            modified_at: Timestamp::now(),
            headers,
        };
        *slot = Slot {
            blob: Some(blob.clone()),
            staged: BTreeMap::new(),
        };
        Ok(blob)
    }
}
