//! The zip that is deployed: the same bytes from the same files, on every machine and on every day.
//!
//! Names are sorted, times are one fixed time, modes are two. The files are named one by one, so no other file of
//! the script root (local.settings.json, with its keys) is ever included.

use std::fs;
use std::io::{self, Cursor, Read as _, Write as _};
use std::path::Path;

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipArchive, ZipWriter};

use crate::BINARY;

/// The platform mounts the zip read-only and never sets this bit itself.
const EXECUTABLE: u32 = 0o755;
const PLAIN: u32 = 0o644;

/// Why there is no zip.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    #[error("could not read {0}")]
    Unreadable(String, #[source] io::Error),
    #[error("{0} has no functions")]
    NoFunctions(String),
    #[error("could not write the zip")]
    Zip(#[from] zip::result::ZipError),
    #[error("could not write the zip")]
    Write(#[from] io::Error),
}

/// Packs a script root.
///
/// # Errors
/// When a required file is missing.
pub fn pack(script_root: &Path) -> Result<Vec<u8>, ArchiveError> {
    let mut names = function_files(script_root)?;
    names.extend(["host.json".to_owned(), BINARY.to_owned()]);
    names.sort();
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for name in names {
        let content = fs::read(script_root.join(&name))
            .map_err(|error| ArchiveError::Unreadable(name.clone(), error))?;
        let mode = if name == BINARY { EXECUTABLE } else { PLAIN };
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .last_modified_time(DateTime::default())
            .unix_permissions(mode);
        zip.start_file(name, options)?;
        zip.write_all(&content)?;
    }
    Ok(zip.finish()?.into_inner())
}

/// `<Function>/function.json` of every function.
fn function_files(script_root: &Path) -> Result<Vec<String>, ArchiveError> {
    let unreadable = |error| ArchiveError::Unreadable(script_root.display().to_string(), error);
    let mut files = Vec::new();
    for entry in fs::read_dir(script_root).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        if entry.path().join("function.json").is_file() {
            files.push(format!(
                "{}/function.json",
                entry.file_name().to_string_lossy()
            ));
        }
    }
    if files.is_empty() {
        Err(ArchiveError::NoFunctions(script_root.display().to_string()))
    } else {
        Ok(files)
    }
}

/// A file of a zip, as it is when it is unpacked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packed {
    pub name: String,
    /// Unix permissions; `None` if the zip does not say.
    pub mode: Option<u32>,
    pub content: Vec<u8>,
}

/// The files of a zip, in its order.
///
/// # Errors
/// When it is not a zip.
pub fn unpack(zip: &[u8]) -> Result<Vec<Packed>, ArchiveError> {
    let mut archive = ZipArchive::new(Cursor::new(zip))?;
    let mut files = Vec::new();
    for index in 0..archive.len() {
        let mut file = archive.by_index(index)?;
        let mut content = Vec::new();
        file.read_to_end(&mut content)?;
        let mode = file.unix_mode().map(|mode| mode & 0o7777);
        files.push(Packed {
            name: file.name()?.into_owned(),
            mode,
            content,
        });
    }
    Ok(files)
}

/// Unpacks a zip into a folder, with the modes it gives.
///
/// # Errors
/// When it is not a zip, or the folder cannot be written to.
pub fn unpack_into(zip: &[u8], folder: &Path) -> Result<(), ArchiveError> {
    Ok(ZipArchive::new(Cursor::new(zip))?.extract(folder)?)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::time::{Duration, SystemTime};

    use super::*;

    fn script_root() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for function in ["Sweep", "Control"] {
            fs::create_dir(folder.path().join(function)).unwrap();
            fs::write(folder.path().join(function).join("function.json"), function).unwrap();
        }
        fs::write(folder.path().join("host.json"), "{}").unwrap();
        fs::write(folder.path().join(BINARY), "binary").unwrap();
        folder
    }

    #[test]
    fn the_same_files_give_the_same_bytes_whenever_and_however_they_were_written() {
        let (one, other) = (script_root(), script_root());
        let binary = fs::File::options()
            .append(true)
            .open(other.path().join(BINARY))
            .unwrap();
        binary
            .set_modified(SystemTime::now() - Duration::from_hours(1000))
            .unwrap();
        binary
            .set_permissions(fs::Permissions::from_mode(0o600))
            .unwrap();
        assert_eq!(pack(one.path()).unwrap(), pack(other.path()).unwrap());
    }

    #[test]
    fn only_what_is_deployed_is_in_it_and_only_the_binary_may_be_executed() {
        let folder = script_root();
        fs::write(folder.path().join("local.settings.json"), "keys").unwrap();
        fs::create_dir(folder.path().join("logs")).unwrap();
        let files = unpack(&pack(folder.path()).unwrap()).unwrap();
        let found: Vec<_> = files
            .iter()
            .map(|file| (file.name.as_str(), file.mode))
            .collect();
        let plain = Some(PLAIN);
        let expected = [
            ("Control/function.json", plain),
            ("Sweep/function.json", plain),
            ("host.json", plain),
            (BINARY, Some(EXECUTABLE)),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_script_root_without_functions_is_an_error() {
        assert!(matches!(
            pack(tempfile::tempdir().unwrap().path()),
            Err(ArchiveError::NoFunctions(_))
        ));
    }
}
