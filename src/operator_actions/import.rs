//! Imports a file that was downloaded by hand, as the copy of a chunk that was given up or of a recording that no
//! event announced. An import never causes a deletion at ACS.

mod file_source;
mod new_recording;

use std::path::PathBuf;
use std::sync::Arc;

use self::file_source::FileSource;
use super::{Operator, OperatorActions};
use crate::catalogue::CatalogueError;
use crate::export::driver::import::FilesToImport;
use crate::export::{Budget, ExportDriver};
use crate::recording::{DocumentId, MediaKind, RecordingChunk};

pub use crate::export::driver::import::ImportOutcome;
pub use new_recording::NewRecording;

/// A requested import. The files are on this machine.
#[derive(Debug, Clone)]
pub struct ImportRequest {
    pub subject: ImportSubject,
    pub media: ImportFile,
    /// ACS's metadata file, if there is one.
    pub metadata: Option<ImportFile>,
    /// Where the media comes from: a file's name, or a URL without its query.
    pub from: String,
}

/// A file on this machine, and its name for the operator.
#[derive(Debug, Clone)]
pub struct ImportFile {
    pub path: PathBuf,
    /// As the operator gave it: a path, or the URL from which it was downloaded, without its query.
    pub name: String,
}

impl From<PathBuf> for ImportFile {
    fn from(path: PathBuf) -> Self {
        Self {
            name: path.display().to_string(),
            path,
        }
    }
}

/// What the imported file is a copy of.
#[derive(Debug, Clone)]
pub enum ImportSubject {
    /// A chunk of the ledger.
    Document(DocumentId),
    /// A recording that may be unknown.
    New(NewRecording),
}

/// A chunk after an import.
#[derive(Debug)]
pub struct Importing {
    /// `None`: the recording was erased on request, and nothing was imported.
    pub document_id: Option<DocumentId>,
    pub outcome: ImportOutcome,
}

impl OperatorActions {
    /// Imports a file.
    ///
    /// # Errors
    /// When the ledger fails, or the file cannot be read. Repeating is harmless.
    pub async fn import(
        &self,
        request: ImportRequest,
        driver: &ExportDriver,
        operator: &Operator,
        budget: Budget,
    ) -> Result<Importing, ImportError> {
        let source = FileSource::open(&request.media, request.metadata.as_ref()).await?;
        let kind = kind_of(&request.media.path);
        let document_id = match request.subject {
            ImportSubject::Document(id) => id,
            ImportSubject::New(recording) => {
                let sha256 = source.sha256().await?;
                let chunk = recording.chunk(&sha256, kind);
                self.refuse_known_chunk(&source, &chunk).await?;
                let recording_import = self.record_import(chunk, recording.is_last, operator);
                let Some(id) = Box::pin(recording_import).await? else {
                    return Ok(Importing {
                        document_id: None,
                        outcome: ImportOutcome::Removed,
                    });
                };
                id
            }
        };
        let files = FilesToImport {
            has_metadata: request.metadata.is_some(),
            source: Arc::new(source),
            erasures: Arc::new(self.catalogue.clone()),
            kind,
            from: request.from,
        };
        let importing = driver.import(&document_id, files, operator, budget);
        let outcome = Box::pin(importing).await.map_err(CatalogueError::from)?;
        Ok(Importing {
            document_id: Some(document_id),
            outcome,
        })
    }

    /// Refuses metadata of a chunk that the ledger has: the file would become a second chunk beside it. An import that was
    /// begun before is finished.
    async fn refuse_known_chunk(
        &self,
        source: &FileSource,
        chunk: &RecordingChunk,
    ) -> Result<(), ImportError> {
        let Some((metadata, id)) = source.chunk_of_metadata().await? else {
            return Ok(());
        };
        let known = self.ledger.find(&id).await.map_err(CatalogueError::from)?;
        let begun = self.ledger.find(&chunk.document_id).await;
        if known.is_none() || begun.map_err(CatalogueError::from)?.is_some() {
            return Ok(());
        }
        let metadata = metadata.name.clone();
        Err(ImportError::OfKnownChunk { metadata, id })
    }

    /// Makes the chunk of a file known, and then its recording: whatever a kill leaves between the two leads to an import
    /// that is not finished. `None`: the recording was erased on request, and no file of it is imported.
    async fn record_import(
        &self,
        chunk: RecordingChunk,
        is_last: bool,
        operator: &Operator,
    ) -> Result<Option<DocumentId>, CatalogueError> {
        if self.catalogue.is_erased(&chunk.filed_under()).await? {
            return Ok(None);
        }
        self.ledger
            .record_for_import(chunk.clone(), operator)
            .await?;
        if self.catalogue.register_imported(&chunk, is_last).await? {
            return Ok(Some(chunk.document_id));
        }
        // It was erased meanwhile.
        self.ledger.record_erased(chunk).await?;
        Ok(None)
    }
}

/// Why an import did not begin, or was interrupted.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
    #[error("could not read `{name}`")]
    File {
        name: String,
        #[source]
        source: std::io::Error,
    },
    #[error("`{0}` is empty")]
    Empty(String),
    #[error(
        "`{0}` is not a metadata file of ACS, which is a JSON object; give the file whose name has `acsmetadata`"
    )]
    NotMetadata(String),
    #[error(
        "`{metadata}` is the metadata of chunk {id}, which the ledger has; give --document {id} instead of --recording"
    )]
    OfKnownChunk { metadata: String, id: DocumentId },
}

impl ImportError {
    /// Whether the files are the problem: they cannot be imported as it was requested.
    pub fn is_of_files(&self) -> bool {
        match self {
            Self::File { .. }
            | Self::Empty(_)
            | Self::NotMetadata(_)
            | Self::OfKnownChunk { .. } => true,
            Self::Catalogue(_) => false,
        }
    }
}

/// Returns the kind of media by a file's name.
fn kind_of(path: &std::path::Path) -> Option<MediaKind> {
    let extension = path.extension()?.to_str()?.to_ascii_lowercase();
    MediaKind::from_parts(None, extension.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case("a.mp4", true)]
    #[case("a.WAV", true)]
    #[case("a.b.mp3", true)]
    #[case("a.txt", false)]
    #[case("a", false)]
    fn a_name_says_what_kind_of_media_it_is(#[case] name: &str, #[case] is_known: bool) {
        assert_eq!(kind_of(name.as_ref()).is_some(), is_known);
    }
}
