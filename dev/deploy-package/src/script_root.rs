//! The script root: host.json, the function folders, the binary. One tree for `func`, for the zip, for the tests.

use std::fs;
use std::io;
use std::path::Path;

use crate::BINARY;

/// The function of the export queue is off unless it is asked for: without its queue the host would complain for ever.
const OF_THE_QUEUE: &str = "ExportChunk";

/// Which functions there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Functions {
    Usual,
    WithExportQueue,
}

/// Makes `folder` anew from the repository and a binary.
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

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let copied = fs::copy(from, to);
    copied.map(drop).map_err(|error| {
        io::Error::new(
            error.kind(),
            format!("could not copy {}: {error}", from.display()),
        )
    })
}
