//! [`DocumentStore`] on a directory: any number of processes on one machine may share it.
//!
//! A conditional write holds the lock of its key's shard while it compares and renames. The kernel drops the lock of a
//! killed process, so nothing has to be cleaned up.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::PathBuf;

use async_trait::async_trait;
use bytes::Bytes;

use super::{blocking, ensure_folder, if_there, refuse_links, sync_parent, temporary};
use crate::export::checksummed::crc64;
use crate::store::digest::Sha256Digest;
use crate::store::document_store::{
    DamagedDocument, DocumentRemoval, DocumentStore, MOST_DOCUMENT_BYTES, PlacePolicy,
    Precondition, PutOutcome, StoreError, StorePlace, Version, Versioned,
};

/// Writers of different shards do not wait for each other.
const SHARDS: u64 = 64;

/// The ledger's documents as files below a directory.
#[derive(Debug, Clone)]
pub struct DirectoryDocumentStore {
    root: PathBuf,
}

impl DirectoryDocumentStore {
    /// A store in `root`, which is created with the first document.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    async fn run<T: Send + 'static>(
        &self,
        action: &'static str,
        key: &str,
        work: impl FnOnce(&Self, &str) -> io::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (store, owned) = (self.clone(), key.to_owned());
        let work = move || {
            refuse_links(&store.root, &store.root.join(&owned))?;
            work(&store, &owned)
        };
        blocking(work).await.map_err(|error| StoreError {
            action,
            key: key.to_owned(),
            source: match error.downcast::<DamagedDocument>() {
                Ok(damaged) => Box::new(damaged),
                Err(error) => error.into(),
            },
        })
    }

    fn path(&self, key: &str) -> io::Result<PathBuf> {
        let safe = key
            .split('/')
            .all(|segment| !segment.is_empty() && !segment.starts_with('.'));
        if safe {
            Ok(self.root.join(key))
        } else {
            Err(io::Error::other("the key is not a safe name"))
        }
    }

    fn lock(&self, key: &str) -> io::Result<File> {
        let path = self
            .root
            .join(".locks")
            .join(format!("{:02}", crc64(key.as_bytes()) % SHARDS));
        ensure_folder(&self.root, &path)?;
        let file = File::create(path)?;
        file.lock()?;
        Ok(file)
    }

    fn read(&self, key: &str) -> io::Result<Option<Versioned>> {
        let path = self.path(key)?;
        let Some(found) = if_there(fs::metadata(&path))? else {
            return Ok(None);
        };
        if !found.is_file() {
            return Err(io::Error::other("it is not a file"));
        }
        let Some(file) = if_there(File::open(&path))? else {
            return Ok(None);
        };
        let mut content = Vec::new();
        // It may grow while it is read.
        file.take(MOST_DOCUMENT_BYTES as u64 + 1)
            .read_to_end(&mut content)?;
        if content.len() > MOST_DOCUMENT_BYTES {
            return Err(io::Error::other(DamagedDocument::too_large(None)));
        }
        Ok(Some(Versioned {
            version: version_of(&content),
            content: content.into(),
        }))
    }

    fn write(&self, key: &str, content: &[u8], condition: &Precondition) -> io::Result<PutOutcome> {
        let path = self.path(key)?;
        let _lock = self.lock(key)?;
        let holds = match (self.read(key)?, condition) {
            (None, Precondition::Absent) => true,
            (Some(stored), Precondition::Unchanged(version)) => stored.version == *version,
            (Some(_), Precondition::Absent) | (None, Precondition::Unchanged(_)) => false,
        };
        if !holds {
            return Ok(PutOutcome::Conflict);
        }
        ensure_folder(&self.root, &path)?;
        temporary(&self.root.join(".locks"), content)?.persist(&path)?;
        sync_parent(&path)?;
        Ok(PutOutcome::Written(version_of(content)))
    }

    /// Descends into folders in order, and only until there are enough keys: a list costs its folder, not the vault.
    fn keys(&self, prefix: &str, after: Option<&str>, limit: usize) -> io::Result<Vec<String>> {
        let (folder, _) = prefix.rsplit_once('/').unwrap_or_default();
        let keys_to_list = KeysToList {
            prefix,
            after: after.unwrap_or_default(),
        };
        let mut keys = Vec::new();
        // A stack: the next one is on top.
        let mut ahead = vec![if folder.is_empty() {
            String::new()
        } else {
            format!("{folder}/")
        }];
        while let Some(next) = ahead.pop() {
            if keys.len() == limit {
                break;
            }
            if !next.is_empty() && !next.ends_with('/') {
                keys.push(next);
                continue;
            }
            let Some(entries) = if_there(fs::read_dir(self.root.join(&next)))? else {
                continue;
            };
            let mut below = Vec::new();
            for entry in entries {
                let entry = entry?;
                let Some(name) = entry.file_name().to_str().map(str::to_owned) else {
                    continue;
                };
                if name.starts_with('.') {
                    continue;
                }
                let file_type = entry.file_type()?;
                if file_type.is_symlink() {
                    continue;
                }
                let is_folder = file_type.is_dir();
                let key = if is_folder {
                    format!("{next}{name}/")
                } else {
                    format!("{next}{name}")
                };
                if if is_folder {
                    keys_to_list.may_be_in(&key)
                } else {
                    keys_to_list.is(&key)
                } {
                    below.push(key);
                }
            }
            below.sort_unstable_by(|one, other| other.cmp(one));
            ahead.append(&mut below);
        }
        Ok(keys)
    }
}

/// Documents that change contain the id of each write, so no two writes of one have the same content.
fn version_of(content: &[u8]) -> Version {
    Version(Sha256Digest::of(content).to_string())
}

/// Which keys are to be listed.
struct KeysToList<'a> {
    prefix: &'a str,
    after: &'a str,
}

impl KeysToList<'_> {
    fn is(&self, key: &str) -> bool {
        key.starts_with(self.prefix) && key > self.after
    }

    /// Whether a folder, written with its slash, may hold one.
    fn may_be_in(&self, folder: &str) -> bool {
        let has_prefix = folder.starts_with(self.prefix) || self.prefix.starts_with(folder);
        has_prefix && (folder > self.after || self.after.starts_with(folder))
    }
}

#[async_trait]
impl DocumentStore for DirectoryDocumentStore {
    async fn find(&self, key: &str) -> Result<Option<Versioned>, StoreError> {
        self.run("read", key, Self::read).await
    }

    async fn put(
        &self,
        key: &str,
        content: Bytes,
        condition: Precondition,
    ) -> Result<PutOutcome, StoreError> {
        self.run("write", key, move |store, key| {
            store.write(key, &content, &condition)
        })
        .await
    }

    async fn remove(&self, key: &str) -> Result<(), StoreError> {
        self.run("remove", key, |store, key| {
            let path = store.path(key)?;
            if if_there(fs::remove_file(&path))?.is_some() {
                sync_parent(&path)?;
            }
            Ok(())
        })
        .await
    }

    async fn remove_unchanged(
        &self,
        key: &str,
        version: &Version,
    ) -> Result<DocumentRemoval, StoreError> {
        let version = version.clone();
        self.run("remove", key, move |store, key| {
            let path = store.path(key)?;
            let _lock = store.lock(key)?;
            match store.read(key)? {
                None => return Ok(DocumentRemoval::Removed),
                Some(found) if found.version != version => return Ok(DocumentRemoval::Changed),
                Some(_) => {}
            }
            fs::remove_file(&path)?;
            sync_parent(&path)?;
            Ok(DocumentRemoval::Removed)
        })
        .await
    }

    async fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>, StoreError> {
        let after = after.map(str::to_owned);
        self.run("list", prefix, move |store, prefix| {
            store.keys(prefix, after.as_deref(), limit)
        })
        .await
    }

    async fn place(&self) -> Result<StorePlace, StoreError> {
        let root = self.root.clone();
        let found = blocking(move || if_there(fs::metadata(&root))).await;
        match found {
            Ok(None) => Ok(StorePlace::Missing),
            Ok(Some(_)) => Ok(StorePlace::Exists(PlacePolicy::NotShown)),
            Err(error) => Err(StoreError {
                action: "find the folder of",
                key: String::new(),
                source: error.into(),
            }),
        }
    }
}
