//! `recording-vault ledger index`: makes the index anew, by which recordings are found.

use std::fmt;

use serde::Serialize;

use crate::app::App;
use crate::catalogue::CatalogueError;
use crate::catalogue::rebuild::IndexReport;

/// What was indexed.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct Indexed(pub IndexReport);

impl fmt::Display for Indexed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let IndexReport {
            recordings,
            chunks,
            metadata_read,
            problems,
        } = &self.0;
        write!(
            f,
            "{recordings} recordings and {chunks} chunks are indexed; the metadata of {metadata_read} was read from the vault"
        )?;
        problems
            .iter()
            .try_for_each(|problem| write!(f, "\n{problem}"))
    }
}

/// Looks at everything there is, and writes every marker there should be.
///
/// # Errors
/// When the ledger fails.
pub async fn run(app: &App) -> Result<Indexed, CatalogueError> {
    app.catalogue.index_everything().await.map(Indexed)
}
