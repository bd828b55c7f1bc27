//! Versions of a directory vault's files: what the file system reports for a file, without reading it. The caller holds
//! the lock of the file's name.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::if_there;
use crate::export::destination::{BlobVersion, DescribedBlob, TouchOutcome};

/// File systems with times coarser than nanoseconds still distinguish two times that differ by this much.
const TOUCH_STEP: Duration = Duration::from_millis(10);

/// The version of a file, if it exists.
pub(super) fn of(path: &Path) -> io::Result<Option<BlobVersion>> {
    Ok(described(path)?.map(|found| found.version))
}

/// The version and the size of a file, if it exists. A folder of its name is no file.
pub(super) fn described(path: &Path) -> io::Result<Option<DescribedBlob>> {
    let found = if_there(fs::metadata(path))?;
    let found = found.filter(fs::Metadata::is_file);
    found.as_ref().map(described_as).transpose()
}

pub(super) fn described_as(found: &fs::Metadata) -> io::Result<DescribedBlob> {
    let modified = found
        .modified()?
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    let text = format!("{}-{}-{}", inode(found), found.len(), modified.as_nanos());
    Ok(DescribedBlob {
        version: BlobVersion(text),
        size_bytes: found.len(),
        etag: None,
    })
}

/// Gives a file a new version by its time of modification.
pub(super) fn touch(path: &Path) -> io::Result<TouchOutcome> {
    let Some(file) = if_there(File::open(path))? else {
        return Ok(TouchOutcome::NotThere);
    };
    let later = file.metadata()?.modified()? + TOUCH_STEP;
    file.set_modified(later.max(SystemTime::now()))?;
    file.sync_all()?;
    Ok(TouchOutcome::Touched)
}

#[cfg(unix)]
fn inode(found: &fs::Metadata) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    found.ino()
}

#[cfg(not(unix))]
fn inode(_found: &fs::Metadata) -> u64 {
    0
}
