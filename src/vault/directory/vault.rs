//! [`ExportDestination`] on a directory.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::ops::Range;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use sha2::Digest as _;
use tempfile::NamedTempFile;

use super::versions;
use super::{
    blocking, ensure_folder, if_there, is_refused, refuse_links, refuse_missing_root, sync_parent,
    temporary,
};
use crate::export::block::{Block, BlockId, ID_LENGTH};
use crate::export::checksummed::crc64;
use crate::export::destination::{
    BlobProperties, BlobVersion, CommitOutcome, CommittedBlob, CreateOutcome, DescribedBlob,
    DestinationError, ExportDestination, ListedBlob, RemoveOutcome, ReplaceOutcome, StageOutcome,
    TouchOutcome,
};
use crate::export::layout::BlobName;
use crate::store::digest::Sha256Digest;

const STAGING: &str = ".staging";
const COMMITTED: &str = ".committed";
/// Commits of different files rarely wait for each other.
const SHARDS: u64 = 64;
const COPY_BUFFER: usize = 256 * 1024;

/// A vault in a directory.
#[derive(Debug, Clone)]
pub struct DirectoryVault {
    root: PathBuf,
}

impl DirectoryVault {
    /// A vault in `root`, which is created with the first file.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    fn file(&self, name: &BlobName) -> PathBuf {
        self.root.join(name.as_str())
    }

    fn staging(&self, name: &BlobName) -> PathBuf {
        self.root.join(STAGING).join(name.as_str())
    }

    fn block_list(&self, name: &BlobName) -> PathBuf {
        self.root.join(COMMITTED).join(name.as_str())
    }

    async fn run<T: Send + 'static>(
        &self,
        action: &'static str,
        name: &BlobName,
        work: impl FnOnce(&Self, &BlobName) -> io::Result<T> + Send + 'static,
    ) -> Result<T, DestinationError> {
        let (vault, blob) = (self.clone(), name.clone());
        let work = move || {
            for path in [
                vault.file(&blob),
                vault.staging(&blob),
                vault.block_list(&blob),
            ] {
                refuse_links(&vault.root, &path)?;
            }
            work(&vault, &blob)
        };
        blocking(work).await.map_err(|error| DestinationError {
            action,
            is_refused: is_refused(&self.root, &error),
            name: name.clone(),
            source: error.into(),
        })
    }

    fn write_block(&self, name: &BlobName, block: &Block) -> io::Result<()> {
        if crc64(&block.content) != block.id.crc64() {
            return Err(io::Error::other("the block does not match its CRC-64"));
        }
        let path = self.staging(name).join(block.id.to_hex());
        ensure_folder(&self.root, &path)?;
        temporary(&self.staging(name), &block.content)?.persist(path)?;
        Ok(())
    }

    fn assemble(&self, name: &BlobName, blocks: &[BlockId]) -> io::Result<CommitOutcome> {
        let target = self.file(name);
        let staging = self.staging(name);
        // One commit at a time: the block list must be that of the file that wins.
        let _lock = self.lock(name)?;
        if target.try_exists()? {
            clear(&staging);
            return Ok(CommitOutcome::AlreadyThere);
        }
        let mut assembled = NamedTempFile::new_in(&staging)?;
        for id in blocks {
            append_block(&staging.join(id.to_hex()), id, assembled.as_file_mut())?;
        }
        assembled.as_file().sync_all()?;

        let list: Vec<u8> = blocks.iter().flat_map(|id| id.to_bytes()).collect();
        let list_path = self.block_list(name);
        ensure_folder(&self.root, &list_path)?;
        temporary(&staging, &list)?.persist(&list_path)?;
        sync_parent(&list_path)?;

        let outcome = self.persist_new(assembled, &target)?;
        clear(&staging);
        Ok(outcome)
    }

    /// The names of all files after `after`, in ascending order.
    fn names(&self, after: Option<&BlobName>) -> io::Result<Vec<BlobName>> {
        let mut names = Vec::new();
        let mut folders = vec![String::new()];
        while let Some(folder) = folders.pop() {
            let Some(entries) = if_there(fs::read_dir(self.root.join(&folder)))? else {
                continue;
            };
            for entry in entries {
                let entry = entry?;
                let Some(name) = entry
                    .file_name()
                    .to_str()
                    .map(|name| format!("{folder}{name}"))
                else {
                    continue;
                };
                let file_type = entry.file_type()?;
                if file_type.is_symlink() {
                    continue;
                }
                if file_type.is_dir() {
                    // The vault's own folders begin with a dot.
                    if !entry.file_name().to_string_lossy().starts_with('.') {
                        folders.push(format!("{name}/"));
                    }
                } else {
                    names.extend(
                        name.parse::<BlobName>()
                            .ok()
                            .filter(|name| after.is_none_or(|after| name > after)),
                    );
                }
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    fn listed(&self, after: Option<&BlobName>, limit: usize) -> io::Result<Vec<ListedBlob>> {
        refuse_missing_root(&self.root)?;
        let names = self.names(after)?.into_iter();
        let listed = names.map(|name| {
            // One that was removed meanwhile is skipped, and the next one takes its room.
            let found = if_there(fs::metadata(self.file(&name)))?;
            Ok(found.map(|found| ListedBlob {
                size_bytes: found.len(),
                name,
            }))
        });
        listed
            .filter_map(io::Result::transpose)
            .take(limit)
            .collect()
    }

    fn lock(&self, name: &BlobName) -> io::Result<File> {
        let path = self
            .root
            .join(COMMITTED)
            .join(".locks")
            .join(format!("{:02}", crc64(name.as_str().as_bytes()) % SHARDS));
        ensure_folder(&self.root, &path)?;
        let file = File::create(path)?;
        file.lock()?;
        Ok(file)
    }

    /// Gives a synced temporary file its name, unless a file of that name exists.
    fn persist_new(&self, file: NamedTempFile, target: &Path) -> io::Result<CommitOutcome> {
        ensure_folder(&self.root, target)?;
        match file.persist_noclobber(target) {
            Ok(_) => {
                sync_parent(target)?;
                Ok(CommitOutcome::Committed)
            }
            Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => {
                Ok(CommitOutcome::AlreadyThere)
            }
            Err(error) => Err(error.error),
        }
    }
}

/// Discards what was staged for a committed file. Another writer may still be working there; it will find the file,
/// and what it leaves behind is harmless waste.
fn clear(staging: &Path) {
    if let Err(error) = if_there(fs::remove_dir_all(staging)) {
        tracing::debug!(folder = %staging.display(), %error, "Could not clear a staging folder");
    }
}

/// Copies a staged block. A corrupt one is discarded, so that it is fetched again.
fn append_block(path: &Path, id: &BlockId, into: &mut File) -> io::Result<()> {
    let mut block = File::open(path)?;
    let mut checksum = crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc64Nvme);
    let mut size_bytes = 0;
    let mut buffer = vec![0; COPY_BUFFER];
    loop {
        let read = block.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        checksum.update(&buffer[..read]);
        into.write_all(&buffer[..read])?;
        size_bytes += read as u64;
    }
    if size_bytes == id.size_bytes() && checksum.finalize() == id.crc64() {
        return Ok(());
    }
    fs::remove_file(path)?;
    Err(io::Error::other(format!(
        "staged block {id} no longer matches its CRC-64 and was thrown away"
    )))
}

/// The next piece of a file, and the rest of the file.
fn piece_of(mut file: io::Take<File>) -> io::Result<Option<(Bytes, io::Take<File>)>> {
    let mut piece = Vec::with_capacity(COPY_BUFFER);
    io::Read::by_ref(&mut file)
        .take(COPY_BUFFER as u64)
        .read_to_end(&mut piece)?;
    Ok(if piece.is_empty() {
        None
    } else {
        Some((Bytes::from(piece), file))
    })
}

fn sha256_of_file(path: &Path) -> io::Result<(Sha256Digest, u64)> {
    let mut file = File::open(path)?;
    let mut digest = sha2::Sha256::new();
    let mut buffer = vec![0; COPY_BUFFER];
    let mut size_bytes = 0;
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok((
                Sha256Digest::from_bytes(digest.finalize().into()),
                size_bytes,
            ));
        }
        digest.update(&buffer[..read]);
        size_bytes += read as u64;
    }
}

#[async_trait]
impl ExportDestination for DirectoryVault {
    async fn staged_blocks(&self, name: &BlobName) -> Result<Vec<BlockId>, DestinationError> {
        self.run("list the staged blocks of", name, |vault, name| {
            let Some(entries) = if_there(fs::read_dir(vault.staging(name)))? else {
                return Ok(Vec::new());
            };
            let mut ids = Vec::new();
            for entry in entries {
                // Names that are not ids are leftovers of a killed writer; the next commit removes them.
                ids.extend(entry?.file_name().to_str().and_then(BlockId::from_hex));
            }
            Ok(ids)
        })
        .await
    }

    async fn stage(&self, name: &BlobName, block: Block) -> Result<StageOutcome, DestinationError> {
        let staging = self.run("stage a block of", name, move |vault, name| {
            vault.write_block(name, &block)
        });
        staging.await.map(|()| StageOutcome::Staged)
    }

    async fn commit(
        &self,
        name: &BlobName,
        blocks: &[BlockId],
        _properties: &BlobProperties,
    ) -> Result<CommitOutcome, DestinationError> {
        let blocks = blocks.to_vec();
        self.run("commit", name, move |vault, name| {
            vault.assemble(name, &blocks)
        })
        .await
    }

    /// By the same steps as a large file: the block list beside it names its digest.
    async fn create(
        &self,
        name: &BlobName,
        block: Block,
        _properties: &BlobProperties,
    ) -> Result<CreateOutcome, DestinationError> {
        self.run("create", name, move |vault, name| {
            vault.write_block(name, &block)?;
            Ok(match vault.assemble(name, &[block.id])? {
                CommitOutcome::Committed => CreateOutcome::Unconfirmed,
                CommitOutcome::AlreadyThere => CreateOutcome::AlreadyThere,
            })
        })
        .await
    }

    async fn inspect(&self, name: &BlobName) -> Result<Option<CommittedBlob>, DestinationError> {
        self.run("inspect", name, |vault, name| {
            let Some((read_back, size_bytes)) = if_there(sha256_of_file(&vault.file(name)))? else {
                return Ok(None);
            };
            let list = if_there(fs::read(vault.block_list(name)))?.unwrap_or_default();
            let blocks = list
                .chunks(ID_LENGTH)
                .map(|bytes| {
                    BlockId::from_bytes(bytes)
                        .map_or((None, bytes.len() as u64), |id| (Some(id), id.size_bytes()))
                })
                .collect();
            Ok(Some(CommittedBlob {
                size_bytes,
                etag: read_back.to_string(),
                blocks,
                named: None,
                read_back: Some(read_back),
            }))
        })
        .await
    }

    fn location(&self) -> Option<String> {
        Some(self.root.display().to_string())
    }

    async fn read(&self, name: &BlobName, range: Range<u64>) -> Result<Bytes, DestinationError> {
        self.run("read", name, move |vault, name| {
            let mut content = Vec::new();
            let mut file = File::open(vault.file(name))?;
            file.seek(SeekFrom::Start(range.start))?;
            file.take(range.end.saturating_sub(range.start))
                .read_to_end(&mut content)?;
            Ok(Bytes::from(content))
        })
        .await
    }

    async fn stream(
        &self,
        name: &BlobName,
        version: Option<&BlobVersion>,
        range: Range<u64>,
    ) -> Result<Option<BoxStream<'static, Result<Bytes, DestinationError>>>, DestinationError> {
        let wanted = version.cloned();
        let opened = self.run("read", name, move |vault, name| {
            let Some(mut file) = if_there(File::open(vault.file(name)))? else {
                return Ok(None);
            };
            let found = versions::described_as(&file.metadata()?)?.version;
            if wanted.is_some_and(|wanted| wanted != found) {
                return Ok(None);
            }
            file.seek(SeekFrom::Start(range.start))?;
            Ok(Some(file.take(range.end.saturating_sub(range.start))))
        });
        let Some(file) = opened.await? else {
            return Ok(None);
        };
        let (vault, name) = (self.clone(), name.clone());
        let pieces = futures::stream::try_unfold(file, move |file| {
            let (vault, name) = (vault.clone(), name.clone());
            async move { vault.run("read", &name, |_, _| piece_of(file)).await }
        });
        Ok(Some(pieces.boxed()))
    }

    async fn list(
        &self,
        after: Option<&BlobName>,
        limit: usize,
    ) -> Result<Vec<ListedBlob>, DestinationError> {
        let (vault, after) = (self.clone(), after.cloned());
        blocking(move || vault.listed(after.as_ref(), limit))
            .await
            .map_err(|error| DestinationError {
                action: "list",
                is_refused: is_refused(&self.root, &error),
                name: "files".parse().expect("it is a safe name"),
                source: error.into(),
            })
    }

    async fn describe(&self, name: &BlobName) -> Result<Option<DescribedBlob>, DestinationError> {
        self.run("inspect", name, |vault, name| {
            versions::described(&vault.file(name))
        })
        .await
    }

    async fn replace(
        &self,
        name: &BlobName,
        version: &BlobVersion,
        content: Bytes,
        _properties: &BlobProperties,
    ) -> Result<ReplaceOutcome, DestinationError> {
        let version = version.clone();
        self.run("replace", name, move |vault, name| {
            let file = vault.file(name);
            let staged = vault.staging(name).join("document");
            ensure_folder(&vault.root, &staged)?;
            let _lock = vault.lock(name)?;
            if versions::of(&file)?.as_ref() != Some(&version) {
                return Ok(ReplaceOutcome::Changed);
            }
            temporary(&vault.staging(name), &content)?.persist(&file)?;
            sync_parent(&file)?;
            clear(&vault.staging(name));
            Ok(ReplaceOutcome::Replaced)
        })
        .await
    }

    async fn remove(
        &self,
        name: &BlobName,
        version: &BlobVersion,
    ) -> Result<RemoveOutcome, DestinationError> {
        let version = version.clone();
        self.run("remove", name, move |vault, name| {
            let _lock = vault.lock(name)?;
            match versions::of(&vault.file(name))? {
                None => return Ok(RemoveOutcome::Removed),
                Some(found) if found != version => return Ok(RemoveOutcome::Changed),
                Some(_) => {}
            }
            // The block list alone has no meaning; a file without its list would be a stranger's.
            for path in [vault.file(name), vault.block_list(name)] {
                if_there(fs::remove_file(&path))?;
                if_there(sync_parent(&path))?;
            }
            Ok(RemoveOutcome::Removed)
        })
        .await
    }

    async fn touch(&self, name: &BlobName) -> Result<TouchOutcome, DestinationError> {
        self.run("touch", name, |vault, name| {
            let _lock = vault.lock(name)?;
            versions::touch(&vault.file(name))
        })
        .await
    }

    async fn discard_staged(&self, name: &BlobName) -> Result<(), DestinationError> {
        self.run("discard the staged blocks of", name, |vault, name| {
            if_there(fs::remove_dir_all(vault.staging(name))).map(drop)
        })
        .await
    }

    async fn put(
        &self,
        name: &BlobName,
        content: Bytes,
        _properties: &BlobProperties,
    ) -> Result<CommitOutcome, DestinationError> {
        self.run("write", name, move |vault, name| {
            let staged = vault.staging(name).join("document");
            ensure_folder(&vault.root, &staged)?;
            let file = temporary(&vault.staging(name), &content)?;
            let outcome = vault.persist_new(file, &vault.file(name))?;
            clear(&vault.staging(name));
            Ok(outcome)
        })
        .await
    }
}
