//! A directory as vault and ledger: the embedded default.
//!
//! Files appear whole or not at all: each is written under a temporary name, synced and renamed; then its folder is
//! synced.
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
use std::fs::{self, DirBuilder, File};
use std::io::{self, Write as _};
#[cfg(unix)]
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, PoisonError};

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

/// Folders that this process knows to be durable. One that merely exists may be from a writer that was killed
/// before it could sync it.
static SYNCED: LazyLock<Mutex<HashSet<PathBuf>>> = LazyLock::new(Mutex::default);

/// Only the account that runs the handler may read recordings.
fn private_folder() -> DirBuilder {
    #[cfg_attr(not(unix), expect(unused_mut, reason = "modes are of Unix"))]
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    builder.mode(0o700);
    builder
}

/// Refuses a path that leads over a symbolic link below `root`: it would lead out of the vault. The root itself may be
/// one.
fn refuse_links(root: &Path, path: &Path) -> io::Result<()> {
    let below = path
        .ancestors()
        .take_while(|part| *part != root && part.starts_with(root));
    for part in below {
        if if_there(fs::symlink_metadata(part))?.is_some_and(|found| found.is_symlink()) {
            return Err(io::Error::other(
                "a symbolic link is below the root of the vault or ledger; links are not followed",
            ));
        }
    }
    Ok(())
}

/// Creates the root if only its last part is missing: a whole missing path is more likely a disk that is not mounted.
fn ensure_root(root: &Path) -> io::Result<()> {
    match private_folder().create(root) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        result => result,
    }
}

/// Creates the folder of `path` inside `root`, synced.
fn ensure_folder(root: &Path, path: &Path) -> io::Result<()> {
    refuse_links(root, path)?;
    ensure_root(root)?;
    let Some(folder) = path.parent() else {
        return Ok(());
    };
    if folder.is_dir()
        && SYNCED
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(folder)
    {
        return Ok(());
    }
    private_folder().recursive(true).create(folder)?;
    // The root's own name is in its parent.
    let parents = folder
        .ancestors()
        .take_while(|ancestor| ancestor.starts_with(root))
        .chain(root.parent());
    for parent in parents.filter(|parent| !parent.as_os_str().is_empty()) {
        sync_folder(parent)?;
    }
    SYNCED
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
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

/// Creates a synced temporary file in `folder` with `content`; it is removed unless persisted.
fn temporary(folder: &Path, content: &[u8]) -> io::Result<NamedTempFile> {
    let mut file = NamedTempFile::new_in(folder)?;
    file.write_all(content)?;
    file.as_file().sync_all()?;
    Ok(file)
}

/// `None` for a file or folder that does not exist.
fn if_there<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether it fails until a person acts.
fn is_refused(root: &Path, error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::PermissionDenied
            | io::ErrorKind::ReadOnlyFilesystem
            | io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
    ) || (error.kind() == io::ErrorKind::NotFound && !root.is_dir())
}

/// Fails if neither the root nor the folder that it would be created in exists: such a path is more likely a disk that is
/// not mounted than an empty vault.
fn refuse_missing_root(root: &Path) -> io::Result<()> {
    let parent = root
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    if root.is_dir() || parent.is_none_or(Path::is_dir) {
        return Ok(());
    }
    let problem = format!("the folder `{}` does not exist", root.display());
    Err(io::Error::new(io::ErrorKind::NotFound, problem))
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;
    use crate::export::destination::{BlobProperties, ExportDestination as _};
    use crate::export::layout::BlobName;
    use crate::store::document_store::{DocumentStore as _, Precondition};
    use bytes::Bytes;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    const PROPERTIES: BlobProperties = BlobProperties {
        content_type: "application/json",
        metadata: Vec::new(),
        tags: Vec::new(),
    };

    fn name(text: &str) -> BlobName {
        text.parse().unwrap()
    }

    #[tokio::test]
    async fn folders_are_for_their_owner_only() {
        let parent = tempfile::tempdir().unwrap();
        let (vault_root, ledger_root) = (parent.path().join("vault"), parent.path().join("ledger"));
        let vault = DirectoryVault::new(&vault_root);
        vault
            .put(
                &name("day/call/a.json"),
                Bytes::from_static(b"{}"),
                &PROPERTIES,
            )
            .await
            .unwrap();
        let store = DirectoryDocumentStore::new(&ledger_root);
        let put = store.put(
            "chunks/a.json",
            Bytes::from_static(b"{}"),
            Precondition::Absent,
        );
        put.await.unwrap();
        let folders = [
            "vault",
            "vault/day",
            "vault/day/call",
            "ledger",
            "ledger/chunks",
        ];
        for folder in folders {
            let mode = fs::metadata(parent.path().join(folder))
                .unwrap()
                .permissions()
                .mode();
            assert_eq!(mode & 0o777, 0o700, "{folder}");
        }
    }

    #[tokio::test]
    async fn links_below_the_root_are_not_followed() {
        let parent = tempfile::tempdir().unwrap();
        let outside = parent.path().join("outside");
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("secret.json"), b"{}").unwrap();
        let root = parent.path().join("root");
        fs::create_dir(&root).unwrap();
        symlink(&outside, root.join("folder")).unwrap();
        symlink(outside.join("secret.json"), root.join("file.json")).unwrap();

        let vault = DirectoryVault::new(&root);
        for linked in ["folder/secret.json", "file.json"] {
            assert!(vault.read(&name(linked), 0..10).await.is_err(), "{linked}");
            assert!(vault.inspect(&name(linked)).await.is_err(), "{linked}");
        }
        let (new, properties) = (name("folder/new.json"), PROPERTIES);
        let put = vault.put(&new, Bytes::new(), &properties);
        assert!(put.await.is_err());
        let store = DirectoryDocumentStore::new(&root);
        assert!(store.find("folder/secret.json").await.is_err());
        let put = store.put("folder/new.json", Bytes::new(), Precondition::Absent);
        assert!(put.await.is_err());
        assert!(store.list("", None, 10).await.unwrap().is_empty());
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
    }

    #[tokio::test]
    async fn the_root_itself_may_be_a_link() {
        let parent = tempfile::tempdir().unwrap();
        let real = parent.path().join("real");
        fs::create_dir(&real).unwrap();
        symlink(&real, parent.path().join("link")).unwrap();
        let vault = DirectoryVault::new(parent.path().join("link"));
        vault
            .put(&name("a.json"), Bytes::from_static(b"{}"), &PROPERTIES)
            .await
            .unwrap();
        assert!(real.join("a.json").is_file());
    }
}
