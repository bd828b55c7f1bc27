//! A directory as vault and ledger: the embedded default.
//!
//! Files appear whole or not at all: written under a temporary name, synced, renamed; then the folder is synced.
//!
//! ```text
//! <vault>/20260302/<callId>/…/0000-audiowav.<documentId>.wav   a committed file
//! <vault>/.staging/<name>/<block id in hex>                    a staged block
//! <vault>/.committed/<name>                                    the committed block list, 64 bytes an id
//! ```

mod ledger;
mod vault;
mod versions;

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex};

use tempfile::NamedTempFile;

pub use ledger::DirectoryDocumentStore;
pub use vault::DirectoryVault;

/// Runs file work off the async threads.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(io::Error::other(error)))
}

/// Folders that this process knows to be durable. One that is merely there may have been made by a writer that was killed
/// before it could sync it.
static SYNCED: LazyLock<Mutex<HashSet<PathBuf>>> = LazyLock::new(Mutex::default);

/// Creates the root if only its last part is missing: a whole missing path is more likely a disk that is not mounted.
fn ensure_root(root: &Path) -> io::Result<()> {
    match fs::create_dir(root) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        result => result,
    }
}

/// Creates the folder of `path` inside `root`, synced.
fn ensure_folder(root: &Path, path: &Path) -> io::Result<()> {
    ensure_root(root)?;
    let Some(folder) = path.parent() else {
        return Ok(());
    };
    if folder.is_dir()
        && SYNCED
            .lock()
            .expect("no holder of this lock panics")
            .contains(folder)
    {
        return Ok(());
    }
    fs::create_dir_all(folder)?;
    // The root's own name lies in its parent.
    let parents = folder
        .ancestors()
        .take_while(|ancestor| ancestor.starts_with(root))
        .chain(root.parent());
    for parent in parents.filter(|parent| !parent.as_os_str().is_empty()) {
        sync_folder(parent)?;
    }
    SYNCED
        .lock()
        .expect("no holder of this lock panics")
        .insert(folder.to_owned());
    Ok(())
}

/// Makes a rename or creation in `folder` durable.
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

fn sync_parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), sync_folder)
}

/// A synced temporary file in `folder` that holds `content`; it is removed unless persisted.
fn temporary(folder: &Path, content: &[u8]) -> io::Result<NamedTempFile> {
    let mut file = NamedTempFile::new_in(folder)?;
    file.write_all(content)?;
    file.as_file().sync_all()?;
    Ok(file)
}

/// `None` for a file or folder that is not there.
fn if_there<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
