//! `recording-vault accept`: allows the deletion of the sources of doubtful chunks after a review of the copies; with
//! `--place`, selects the right one of the places that events name for a document.

use std::fmt;

use clap::Args;
use recording_vault::app::App;
use recording_vault::config::Config;
use recording_vault::export::ledger::{Accepted, LedgerError, PlaceAccepted};
use recording_vault::recording::{DocumentId, FileNumber};
use serde::Serialize;

use super::existing;
use super::exit::Exit;
use super::output::{Output, write_groups};
use super::shell_user;

/// The arguments of `accept`.
#[derive(Args)]
pub struct Accept {
    /// Chunks whose copies you have checked
    #[arg(required = true)]
    documents: Vec<DocumentId>,
    /// Which of the document's places is right, as `show` numbers them: its file represents the document, and its source may be deleted
    #[arg(long, value_name = "N")]
    place: Option<FileNumber>,
}

/// The outcome for each chunk.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct AcceptReport {
    /// Their sources may be deleted at ACS.
    accepted: Vec<DocumentId>,
    /// Their copies are accepted; their sources stay at ACS, which deletes them when their retention ends.
    source_left: Vec<DocumentId>,
    /// Their copies are accepted; ACS no longer has their sources.
    source_gone: Vec<DocumentId>,
    /// Events name several places for them: nothing is deleted at ACS until one of these is chosen.
    several_places: Vec<DocumentId>,
    /// They are not doubtful, or events name one place for them.
    nothing: Vec<DocumentId>,
    /// They have no place of this number.
    no_such_place: Vec<DocumentId>,
    /// The file of this place is not in the vault.
    not_in_vault: Vec<DocumentId>,
    /// A drive works on one of their files, or moves their copy home from the backup vault.
    being_exported: Vec<DocumentId>,
    unknown: Vec<DocumentId>,
}

impl Accept {
    /// # Errors
    /// When the ledger fails.
    pub async fn run(self, config: Config, output: Output) -> anyhow::Result<Exit> {
        let app = existing::open(config).await?;
        let report = match self.place {
            Some(place) => accept_place(&app, self.documents, place).await?,
            None => accept(&app, self.documents).await?,
        };
        output.report(&report)?;
        let failed = [
            &report.unknown,
            &report.several_places,
            &report.no_such_place,
            &report.not_in_vault,
            &report.being_exported,
        ];
        Ok(Exit::fine_if(failed.iter().all(|list| list.is_empty())))
    }
}

async fn accept_place(
    app: &App,
    documents: Vec<DocumentId>,
    place: FileNumber,
) -> Result<AcceptReport, LedgerError> {
    let mut report = AcceptReport::default();
    for id in documents {
        let operator = shell_user::operator();
        let accepted = app.actions.accept_place(&id, place, &operator);
        let list = match accepted.await? {
            PlaceAccepted::Accepted | PlaceAccepted::AlreadyAccepted => &mut report.accepted,
            PlaceAccepted::OnePlace => &mut report.nothing,
            PlaceAccepted::NoSuchPlace => &mut report.no_such_place,
            PlaceAccepted::NotInVault => &mut report.not_in_vault,
            PlaceAccepted::BeingExported => &mut report.being_exported,
            PlaceAccepted::Unknown => &mut report.unknown,
        };
        list.push(id);
    }
    Ok(report)
}

async fn accept(app: &App, documents: Vec<DocumentId>) -> Result<AcceptReport, LedgerError> {
    let mut report = AcceptReport::default();
    for id in documents {
        let list = match app.actions.accept(&id, &shell_user::operator()).await? {
            Accepted::Accepted | Accepted::AlreadyAccepted => &mut report.accepted,
            Accepted::SourceLeft { .. } => &mut report.source_left,
            Accepted::SourceGone => &mut report.source_gone,
            Accepted::SeveralPlaces => &mut report.several_places,
            Accepted::NotDoubtful => &mut report.nothing,
            Accepted::Unknown => &mut report.unknown,
        };
        list.push(id);
    }
    Ok(report)
}

impl fmt::Display for AcceptReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let groups: [(&[_], _); 9] = [
            (
                &self.accepted,
                "is accepted; its source may be deleted at ACS",
            ),
            (
                &self.source_left,
                "is accepted; its source is left at ACS, which deletes it when its retention ends",
            ),
            (
                &self.source_gone,
                "is accepted; ACS no longer has its source",
            ),
            (
                &self.several_places,
                "is not accepted: events name several places for it, so say which is right with `--place`; `show` lists them",
            ),
            (&self.nothing, "is not in doubt; there is nothing to accept"),
            (&self.no_such_place, "has no such place; `show` lists them"),
            (
                &self.not_in_vault,
                "is not in the vault from that place, so that it cannot be accepted",
            ),
            (
                &self.being_exported,
                "is being exported or moved home; try again in a few minutes",
            ),
            (&self.unknown, "is not in the ledger"),
        ];
        write_groups(f, &groups, "There is nothing to accept.")
    }
}
