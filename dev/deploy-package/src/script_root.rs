//! The script root: host.json, the function folders, the binary. One tree for `func`, for the zip, for the tests.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::Path;

use crate::BINARY;

/// The function of the export queue is off by default: without its queue the host would log errors without end.
const OF_THE_QUEUE: &str = "ExportChunk";

/// What `func azure functionapp publish` leaves out of the package.
const FUNC_IGNORE: &str = "\
.funcignore
local.settings.json
__azurite_db_*.json
__blobstorage__
__queuestorage__
";

/// Which functions there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Functions {
    Usual,
    WithExportQueue,
}

/// Recreates `folder` from the repository and a binary.
///
/// # Errors
/// When something cannot be read or written.
pub fn assemble(
    repository: &Path,
    binary: &Path,
    folder: &Path,
    functions: Functions,
) -> io::Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    fs::create_dir_all(folder)?;
    copy(&repository.join("host.json"), &folder.join("host.json"))?;
    // Copying keeps the execution bit.
    copy(binary, &folder.join(BINARY))?;
    for function in fs::read_dir(repository.join("functions"))? {
        let function = function?;
        if function.file_name() == OF_THE_QUEUE && functions == Functions::Usual {
            continue;
        }
        let into = folder.join(function.file_name());
        fs::create_dir(&into)?;
        copy(
            &function.path().join("function.json"),
            &into.join("function.json"),
        )?;
    }
    Ok(())
}

/// Brings `folder` up to date while a host may run on it: no required directory is removed, each file is renamed into
/// place, and host.json comes last, so that the host restarts once, with everything in place.
///
/// # Errors
/// When something cannot be read or written.
pub fn update(
    repository: &Path,
    binary: &Path,
    folder: &Path,
    functions: Functions,
) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    replace(binary, &folder.join(BINARY))?;
    let mut wanted = Vec::new();
    for function in fs::read_dir(repository.join("functions"))? {
        let function = function?;
        if function.file_name() == OF_THE_QUEUE && functions == Functions::Usual {
            continue;
        }
        let into = folder.join(function.file_name());
        fs::create_dir_all(&into)?;
        replace_if_changed(
            &function.path().join("function.json"),
            &into.join("function.json"),
        )?;
        wanted.push(function.file_name());
    }
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let is_function = entry.path().join("function.json").is_file();
        if is_function && !wanted.contains(&entry.file_name()) {
            fs::remove_dir_all(entry.path())?;
        }
    }
    fs::write(folder.join(".funcignore"), FUNC_IGNORE)?;
    replace(&repository.join("host.json"), &folder.join("host.json"))
}

/// A reader sees the old file or the new one, and a running binary keeps its own.
fn replace(from: &Path, to: &Path) -> io::Result<()> {
    let mut name = OsString::from(".new-");
    name.push(to.file_name().unwrap_or_default());
    let beside = to.with_file_name(name);
    copy(from, &beside)?;
    fs::rename(beside, to)
}

/// The host restarts at every write of a function.json.
fn replace_if_changed(from: &Path, to: &Path) -> io::Result<()> {
    if fs::read(to).is_ok_and(|now| fs::read(from).is_ok_and(|new| new == now)) {
        return Ok(());
    }
    replace(from, to)
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let copied = fs::copy(from, to);
    copied.map(drop).map_err(|error| {
        io::Error::new(
            error.kind(),
            format!("could not copy {}: {error}", from.display()),
        )
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    struct Tree(tempfile::TempDir);

    impl Tree {
        fn new() -> Self {
            let tree = Self(tempfile::tempdir().unwrap());
            tree.write("host.json", "{}");
            tree.write("binary", "one");
            tree.write("functions/Kept/function.json", "{}");
            tree.write("functions/ExportChunk/function.json", "{}");
            tree
        }

        fn write(&self, name: &str, content: &str) {
            let path = self.0.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }

        fn update(&self) {
            let root = self.0.path();
            let (binary, dist) = (root.join("binary"), root.join("dist"));
            update(root, &binary, &dist, Functions::Usual).unwrap();
        }

        fn inode(&self, name: &str) -> u64 {
            fs::metadata(self.0.path().join(name)).unwrap().ino()
        }
    }

    #[test]
    fn a_running_host_keeps_its_directories_and_gets_host_json_last() {
        let tree = Tree::new();
        tree.update();
        tree.write("dist/Gone/function.json", "{}");
        tree.write("dist/local.settings.json", "{}");
        tree.write("binary", "two");
        let before = ["dist", "dist/Kept", "dist/Kept/function.json"].map(|name| tree.inode(name));
        let binary = tree.inode("dist/recording-vault");
        tree.update();
        let after = ["dist", "dist/Kept", "dist/Kept/function.json"].map(|name| tree.inode(name));
        assert_eq!(before, after);
        assert_ne!(
            binary,
            tree.inode("dist/recording-vault"),
            "a running binary is not written into"
        );
        let dist = tree.0.path().join("dist");
        assert_eq!(
            fs::read_to_string(dist.join("recording-vault")).unwrap(),
            "two"
        );
        assert!(!dist.join("Gone").exists() && !dist.join("ExportChunk").exists());
        assert!(dist.join("local.settings.json").is_file());
        let written = |name: &str| fs::metadata(dist.join(name)).unwrap().ctime_nsec();
        let at = |name: &str| {
            (
                fs::metadata(dist.join(name)).unwrap().ctime(),
                written(name),
            )
        };
        assert!(at("host.json") >= at("recording-vault") && at("host.json") >= at(".funcignore"));
        assert!(!dist.join(".new-host.json").exists());
    }
}
