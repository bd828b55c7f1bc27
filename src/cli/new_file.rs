//! A file that a verb writes: it never replaces another file, and gets its name only when it is complete.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use serde::Serializer;
use tempfile::NamedTempFile;

/// Why the file cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum NewFileError {
    #[error("`{path}` does not end with .{extension}, the format of the file")]
    Extension {
        path: PathBuf,
        extension: &'static str,
    },
    #[error("`{0}` exists already; it is not overwritten")]
    Exists(PathBuf),
    #[error("could not write `{path}`")]
    Write { path: PathBuf, source: io::Error },
}

/// Serializes a path for a report. JSON has no form for bytes that are not UTF-8: they are replaced.
///
/// # Errors
/// When the serializer fails.
pub fn serialize_path<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&path.display())
}

/// A file that is being written.
pub struct NewFile {
    path: PathBuf,
    partial: NamedTempFile,
}

impl NewFile {
    /// Creates a file; its name must have this extension.
    ///
    /// # Errors
    /// When the name has another extension, the file exists, or its folder cannot be written.
    pub fn create(path: &Path, extension: &'static str) -> Result<Self, NewFileError> {
        let path = path.to_owned();
        let has_extension = path
            .extension()
            .is_some_and(|found| found.eq_ignore_ascii_case(extension));
        if !has_extension {
            return Err(NewFileError::Extension { path, extension });
        }
        if path.exists() {
            return Err(NewFileError::Exists(path));
        }
        let partial = tempfile::Builder::new()
            .prefix(".partial-")
            .tempfile_in(folder_of(&path));
        match partial {
            Ok(partial) => Ok(Self { path, partial }),
            Err(source) => Err(NewFileError::Write { path, source }),
        }
    }

    /// Opens it for writing its content.
    ///
    /// # Errors
    /// When the file cannot be opened a second time.
    pub fn writer(&self) -> Result<BufWriter<File>, NewFileError> {
        let file = self.partial.as_file().try_clone();
        file.map(BufWriter::new)
            .map_err(|source| self.failed(source))
    }

    /// Gives the complete file its name, durably. Returns its absolute path.
    ///
    /// # Errors
    /// When it cannot be written, or a file of that name exists by now.
    pub fn complete(self, mut writer: BufWriter<File>) -> Result<PathBuf, NewFileError> {
        let written = writer.flush().and_then(|()| writer.get_ref().sync_all());
        written.map_err(|source| self.failed(source))?;
        let Self { path, partial } = self;
        let failed = |source| NewFileError::Write {
            path: path.clone(),
            source,
        };
        partial
            .persist_noclobber(&path)
            .map_err(|error| failed(error.error))?;
        File::open(folder_of(&path))
            .and_then(|folder| folder.sync_all())
            .map_err(failed)?;
        Ok(fs::canonicalize(&path).unwrap_or(path))
    }

    fn failed(&self, source: io::Error) -> NewFileError {
        NewFileError::Write {
            path: self.path.clone(),
            source,
        }
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_its_name_only_when_it_is_complete_and_replaces_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.zip");
        let file = NewFile::create(&path, "zip").unwrap();
        let mut writer = file.writer().unwrap();
        writer.write_all(b"content").unwrap();
        assert!(!path.exists());
        file.complete(writer).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"content");
        assert!(matches!(
            NewFile::create(&path, "zip"),
            Err(NewFileError::Exists(_))
        ));
        let other = folder.path().join("a.tar");
        assert!(matches!(
            NewFile::create(&other, "zip"),
            Err(NewFileError::Extension { .. })
        ));
    }
}
